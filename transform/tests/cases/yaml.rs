//! Case files: a list of flat mappings.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser};

/// The cases of one file.
pub(crate) fn read(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let mut cases = Vec::new();
    let mut case: Option<BTreeMap<String, String>> = None;
    let mut key: Option<String> = None;
    for event in Parser::new_from_str(text) {
        match event.map_err(|error| error.to_string())?.0 {
            Event::MappingStart(..) if case.is_some() => {
                return Err("a case is a flat mapping".to_owned());
            }
            Event::MappingStart(..) => case = Some(BTreeMap::new()),
            Event::MappingEnd => cases.extend(case.take()),
            Event::Scalar(text, ..) => match (&mut case, key.take()) {
                (Some(case), Some(key)) => {
                    case.insert(key, text.to_string());
                }
                (Some(_), None) => key = Some(text.to_string()),
                (None, _) => return Err("a case file is a list of mappings".to_owned()),
            },
            _ => {}
        }
    }
    Ok(cases)
}
