//! The `route:` block.

use super::{
    fault::Fault,
    reader::Reader,
    tree::{Entry, Node, Scalar, Value},
};
use crate::route::{RouteField, RouteRule};

const KEYS: [&str; 4] = ["source-table", "sink-table", "replace-symbol", "description"];

/// Reads all rules; those at fault are missing.
pub(super) fn read(reader: &mut Reader<'_>, entry: &Entry) -> Vec<RouteRule> {
    let Some(items) = reader.list("route", entry) else { return Vec::new() };
    items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| rule(reader, &format!("route[{index}]"), item))
        .collect()
}

fn rule(reader: &mut Reader<'_>, path: &str, item: &Node) -> Option<RouteRule> {
    let Value::Mapping(entries) = &item.value else {
        let message = format!("expected a rule with keys, found {}", item.describe());
        let span = reader.first_line(item.span.clone());
        let hint = "write `- source-table: ...` and below it `sink-table: ...`";
        reader.fault(Fault::new(path, message).at(span).hint(hint));
        return None;
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let path = format!("{path}.{}", entry.key);
        reader.unknown_key(&path, entry, KEYS, format!("a route has: {}", KEYS.join(", ")));
    }
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let mut read = |key: &str| {
        let entry = find(key)?;
        let scalar = reader.scalar(&format!("{path}.{key}"), entry)?;
        Some((entry, scalar))
    };
    let (source, sink, symbol) = (read(KEYS[0]), read(KEYS[1]), read(KEYS[2]));
    // A description may be anything that is text.
    read(KEYS[3]);
    for key in [KEYS[0], KEYS[1]] {
        if find(key).is_none() && !Reader::is_meant(entries, key, KEYS) {
            let at = entries.first().map_or(item.span.clone(), |first| first.key_span.clone());
            reader.fault(Fault::new(path, format!("required key `{key}` is missing")).at(at));
        }
    }
    // A missing text is judged no further, and the other is judged beside one that is always right.
    let text = |found: Option<(&Entry, &'_ Scalar)>| found.map(|(_, scalar)| scalar.text.clone());
    let judged = RouteRule::new(
        &text(source).unwrap_or_else(|| "x".into()),
        &text(sink).unwrap_or_else(|| "x".into()),
        text(symbol).as_deref(),
    );
    match judged {
        Ok(rule) => (source.is_some() && sink.is_some()).then_some(rule),
        Err(faults) => {
            for fault in faults {
                let (key, found) = match fault.field {
                    RouteField::Source => (KEYS[0], source),
                    RouteField::Sink => (KEYS[1], sink),
                    RouteField::ReplaceSymbol => (KEYS[2], symbol),
                };
                // Groups cannot be judged when the pattern is not there.
                let Some((entry, scalar)) = found else { continue };
                if fault.field == RouteField::Sink && source.is_none() {
                    continue;
                }
                let span = match fault.offset {
                    Some(offset) => reader.place(&entry.value, scalar, offset),
                    None => reader.value_span(entry),
                };
                let path = format!("{path}.{key}");
                reader.fault(Fault::new(path, fault.message).at(span).maybe_hint(fault.hint));
            }
            None
        }
    }
}
