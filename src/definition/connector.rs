//! The `source:` and `sink:` blocks, checked against the connector's own declaration.

use std::collections::BTreeMap;

use cdc_api::{ConnectorSpec, OptionFault, OptionSpec, Options, Role, SchemaChangeKind};

use super::{
    fault::{Fault, did_you_mean},
    reader::Reader,
    spec::{ConnectorBlock, SchemaChangeFilter},
    tree::{Entry, Scalar, Value},
};

/// The connectors of this build. The registry is the real one; tests have their own.
pub trait Connectors {
    /// All of them.
    fn specs(&self) -> Vec<&'static ConnectorSpec>;
    /// Why a connector is not among them, when the name is known all the same.
    fn absence(&self, role: Role, name: &str) -> Option<String>;
    /// What the connector itself says of a block whose options are all well formed.
    fn faults(&self, role: Role, block: &ConnectorBlock) -> Vec<OptionFault>;
}

/// Keys of Flink CDC's sink block that belong to the pipeline, not to the connector.
const INCLUDE: &str = "include.schema.changes";
const EXCLUDE: &str = "exclude.schema.changes";

/// The word for a role that a user knows.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Source => "source",
        Role::Sink => "sink",
    }
}

/// Reads a block; in a batch run the source is told to end. None when it is at fault.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entry: &Entry,
    role: Role,
    connectors: &dyn Connectors,
    batch: bool,
) -> Option<ConnectorBlock> {
    let path = role_name(role);
    let entries = reader.block(path, entry)?;
    let spec = connector(reader, entry, entries, role, connectors)?;
    let faults_before = reader.faults.len();
    let name = entries
        .iter()
        .find(|entry| entry.key == "name")
        .and_then(|entry| reader.scalar(&format!("{path}.name"), entry))
        .map(|scalar| scalar.text.clone());
    let mut values = options(reader, path, entries, spec, role);
    let complete = required(reader, entry, path, entries, spec);
    if batch && role == Role::Source {
        bound(reader, path, entries, spec, &mut values);
    }
    let block = ConnectorBlock {
        connector: spec.name.to_owned(),
        name,
        options: Options::new(spec, values),
    };
    if complete {
        own_faults(reader, path, entry, entries, connectors.faults(role, &block));
    }
    (reader.faults.len() == faults_before).then_some(block)
}

/// Finds the declaration behind `type:`.
fn connector(
    reader: &mut Reader<'_>,
    block: &Entry,
    entries: &[Entry],
    role: Role,
    connectors: &dyn Connectors,
) -> Option<&'static ConnectorSpec> {
    let path = format!("{}.type", role_name(role));
    let specs = connectors.specs();
    let of_role = |role: Role| specs.iter().copied().filter(move |spec| spec.role == role);
    let names: Vec<&str> = of_role(role).map(|spec| spec.name).collect();
    let Some(entry) = entries.iter().find(|entry| entry.key == "type") else {
        let fault = Fault::new(role_name(role), "required key `type` is missing");
        let hint = format!("write `type: ` and one of: {}", names.join(", "));
        reader.fault(fault.at(block.key_span.clone()).hint(hint));
        return None;
    };
    let name = reader.scalar(&path, entry)?.text.trim();
    if let Some(spec) = of_role(role).find(|spec| spec.name == name) {
        return Some(spec);
    }
    let at = reader.value_span(entry);
    let other = if role == Role::Source { Role::Sink } else { Role::Source };
    let fault = if let Some(why) = connectors.absence(role, name) {
        Fault::new(path, why).hint(format!("this build has: {}", names.join(", ")))
    } else if of_role(other).any(|spec| spec.name == name) {
        let (role, other) = (role_name(role), role_name(other));
        Fault::new(path, format!("connector `{name}` is a {other}, not a {role}"))
            .hint(format!("{role}s of this build: {}", names.join(", ")))
    } else {
        let hint = match did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("this build has: {}", names.join(", ")),
        };
        Fault::new(path, format!("there is no {} connector `{name}`", role_name(role))).hint(hint)
    };
    reader.fault(fault.at(at));
    None
}

/// Checks every option and gives the values, also those at fault: the connector may still judge the others.
fn options(
    reader: &mut Reader<'_>,
    path: &str,
    entries: &[Entry],
    spec: &'static ConnectorSpec,
    role: Role,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for entry in entries {
        let key = entry.key.as_str();
        let own = matches!(key, "type" | "name")
            || (role == Role::Sink && matches!(key, INCLUDE | EXCLUDE));
        if own {
            continue;
        }
        let path = format!("{path}.{key}");
        match spec.option(key) {
            Some(option) => {
                let text = reader.option(&path, entry, option).unwrap_or_default();
                values.insert(key.to_owned(), text.to_owned());
            }
            None => unknown_option(reader, &path, entry, spec, role),
        }
    }
    values
}

fn unknown_option(
    reader: &mut Reader<'_>,
    path: &str,
    entry: &Entry,
    spec: &'static ConnectorSpec,
    role: Role,
) {
    let filters: &[&str] = if role == Role::Sink { &[INCLUDE, EXCLUDE] } else { &[] };
    let known = spec.options.iter().map(|option| option.key);
    let known = known.chain(["type", "name"]).chain(filters.iter().copied());
    let hint = if entry.key == "<<" {
        "merge keys are not read; write the options out".to_owned()
    } else {
        format!("`cdc-cli connectors {}` lists its options", spec.name)
    };
    reader.unknown_key(path, entry, known, hint);
}

/// Whether every required option is there; the missing ones are one fault.
fn required(
    reader: &mut Reader<'_>,
    block: &Entry,
    path: &str,
    entries: &[Entry],
    spec: &'static ConnectorSpec,
) -> bool {
    let there = |option: &OptionSpec| entries.iter().any(|entry| option.matches(&entry.key));
    let known = spec.options.iter().map(|option| option.key).chain(["type", "name"]);
    let absent: Vec<&OptionSpec> =
        spec.options.iter().filter(|option| option.required && !there(option)).collect();
    let missing: Vec<String> = absent
        .iter()
        .filter(|option| !Reader::is_meant(entries, option.key, known.clone()))
        .map(|option| format!("`{}`", option.key))
        .collect();
    let message = match missing.len() {
        0 => return absent.is_empty(),
        1 => format!("required option {} is missing", missing.join("")),
        _ => format!("required options are missing: {}", missing.join(", ")),
    };
    let hint = format!("`cdc-cli connectors {}` says what they mean", spec.name);
    reader.fault(Fault::new(path, message).at(block.key_span.clone()).hint(hint));
    false
}

const STARTUP_MODE: &str = "scan.startup.mode";

/// A batch run reads what is there and ends: the source's snapshot mode.
fn bound(
    reader: &mut Reader<'_>,
    path: &str,
    entries: &[Entry],
    spec: &'static ConnectorSpec,
    values: &mut BTreeMap<String, String>,
) {
    if spec.option(STARTUP_MODE).is_none() {
        return;
    }
    match entries.iter().find(|entry| entry.key == STARTUP_MODE) {
        Some(entry) if !matches!(&entry.value.value, Value::Scalar(scalar) if is_snapshot(scalar)) =>
        {
            let fault = Fault::new(
                format!("{path}.{STARTUP_MODE}"),
                "a run with `execution.runtime-mode: BATCH` copies what is there and ends",
            );
            let hint = "write `scan.startup.mode: snapshot`, or leave the key out";
            reader.fault(fault.at(reader.value_span(entry)).hint(hint));
        }
        _ => {
            values.insert(STARTUP_MODE.to_owned(), "snapshot".to_owned());
        }
    }
}

fn is_snapshot(scalar: &Scalar) -> bool {
    scalar.text.trim().eq_ignore_ascii_case("snapshot")
}

/// The connector's own faults, at the keys they are about. A key that is at fault already is not judged twice.
fn own_faults(
    reader: &mut Reader<'_>,
    path: &str,
    block: &Entry,
    entries: &[Entry],
    faults: Vec<OptionFault>,
) {
    for fault in faults {
        let full_path = format!("{path}.{}", fault.key);
        if reader.faults.iter().any(|known| known.path == full_path) {
            continue;
        }
        let entry = entries.iter().find(|entry| entry.key == fault.key);
        let span = match (entry, fault.offset) {
            (Some(entry), Some(offset)) => match &entry.value.value {
                Value::Scalar(scalar) => reader.place(&entry.value, scalar, offset),
                _ => reader.value_span(entry),
            },
            (Some(entry), None) => reader.value_span(entry),
            (None, _) => block.key_span.clone(),
        };
        reader.fault(Fault::new(full_path, fault.message).at(span).maybe_hint(fault.hint));
    }
}

/// The sink's filter of schema changes, and whether the file has one.
pub(super) fn schema_changes(reader: &mut Reader<'_>, sink: &Entry) -> SchemaChangeFilter {
    let mut filter = SchemaChangeFilter::default();
    let Value::Mapping(entries) = &sink.value.value else { return filter };
    for entry in entries {
        match entry.key.as_str() {
            INCLUDE => {
                filter.include = kinds(reader, entry).map(|mut kinds| {
                    if !kinds.is_empty() && !kinds.contains(&SchemaChangeKind::CreateTable) {
                        kinds.push(SchemaChangeKind::CreateTable);
                    }
                    kinds
                });
            }
            EXCLUDE => filter.exclude = kinds(reader, entry),
            _ => {}
        }
    }
    filter
}

/// A list of words, or one text with commas.
fn kinds(reader: &mut Reader<'_>, entry: &Entry) -> Option<Vec<SchemaChangeKind>> {
    let path = format!("sink.{}", entry.key);
    let mut kinds = Vec::new();
    let mut read = |reader: &mut Reader<'_>, path: &str, word: &str, span| {
        let found = SchemaChangeKind::of(word);
        if found.is_empty() {
            let known = SchemaChangeKind::ALL.iter().map(|(name, _)| *name);
            let known: Vec<&str> = known.chain(SchemaChangeKind::FAMILIES).collect();
            let hint = match did_you_mean(word, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of: {}", known.join(", ")),
            };
            let message = format!("\"{word}\" is not a kind of schema change");
            reader.fault(Fault::new(path, message).at(span).hint(hint));
        }
        kinds.extend(found);
    };
    match &entry.value.value {
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                match &item.value {
                    Value::Scalar(scalar) => read(reader, &path, &scalar.text, item.span.clone()),
                    Value::Unresolved => {}
                    _ => {
                        let message = format!("expected a word, found {}", item.describe());
                        let span = reader.first_line(item.span.clone());
                        reader.fault(Fault::new(path, message).at(span));
                    }
                }
            }
        }
        _ => {
            let scalar = reader.scalar(&path, entry)?;
            let span = reader.value_span(entry);
            for word in scalar.text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                read(reader, &path, word, span.clone());
            }
        }
    }
    kinds.sort_unstable();
    kinds.dedup();
    Some(kinds)
}
