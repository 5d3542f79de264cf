//! Every file of `pipelines/` is a good pipeline file.

use std::{fs, path::Path};

use cdc_cli::{
    definition::{self, Environment, Screen},
    registry::Registry,
};

/// Variables and secret files that a sample names, whatever their names.
struct Anything;

impl Environment for Anything {
    fn variable(&self, name: &str) -> Option<String> {
        Some(if name.ends_with("PORT") { "3306".into() } else { format!("value-of-{name}") })
    }

    fn file(&self, _path: &Path) -> Result<String, String> {
        Ok("secret".into())
    }
}

#[test]
fn all_samples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        count += 1;
        if let Err(report) = definition::read_file(&path, &Registry, &Anything) {
            panic!("{}", report.screen(Screen::PLAIN));
        }
    }
    assert!(count >= 3, "the samples were not found");
}
