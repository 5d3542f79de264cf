//! `pipeline.user-defined-function`: SQL macros and WebAssembly modules, each judged where it is defined.

use std::{fs::File, io::Read as _, path::Path, sync::Arc};

use cdc_api::options::parse_bytes;
use cdc_transform::{
    Context, Part, Routine, RoutineFault, RoutineKey, RoutineText, Rule, RuleText,
};

use super::{
    fault::Fault,
    reader::Reader,
    tree::{Entry, Node, Value},
};

const KEYS: [&str; 8] =
    ["name", "wasm", "arguments", "returns", "export", "called-on-null", "fuel", "memory"];
/// What Flink CDC has, and needs a JVM or a Python for.
const FOREIGN: [&str; 5] =
    ["classpath", "options", "python-code", "python-executable", "python-files"];
const MODULE_BYTES_MAX: u64 = 16 << 20;
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;
const HINT: &str =
    "write `- name(a, b) AS expression`, or a block with name, wasm, arguments and returns";

/// The functions that a pipeline brings along.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    /// `name(a, b) AS expression`
    pub macros: Vec<String>,
    /// WebAssembly.
    pub routines: Vec<Arc<Routine>>,
}

/// Reads all functions; those at fault are missing.
pub(super) fn read(reader: &mut Reader<'_>, path: &str, entry: &Entry, folder: &Path) -> Functions {
    let mut functions = Functions::default();
    let mut places: Vec<(String, &Node)> = Vec::new();
    for (index, item) in reader.list(path, entry).unwrap_or_default().iter().enumerate() {
        let path = format!("{path}[{index}]");
        match &item.value {
            Value::Scalar(scalar) => {
                functions.macros.push(scalar.text.clone());
                places.push((path, item));
            }
            Value::Mapping(entries) => {
                let routine = routine(reader, &path, item, entries, folder);
                functions.routines.extend(routine.map(Arc::new));
            }
            Value::Unresolved => {}
            _ => {
                let message = format!("expected a function, found {}", item.describe());
                let fault = Fault::new(path, message).at(reader.first_line(item.span.clone()));
                reader.fault(fault.hint(HINT));
            }
        }
    }
    let context = Context {
        macros: functions.macros.clone(),
        routines: functions.routines.clone(),
        ..Context::default()
    };
    for fault in Rule::check(&RuleText::default(), &context) {
        let Part::Macro(index) = fault.part else { continue };
        let Some((path, item)) = places.get(index) else { continue };
        let Value::Scalar(scalar) = &item.value else { continue };
        let at = reader.span(item, scalar, fault.offset..fault.offset + fault.len);
        reader.fault(Fault::new(path, fault.message).at(at).maybe_hint(fault.hint));
    }
    functions
}

/// One function in WebAssembly.
fn routine(
    reader: &mut Reader<'_>,
    path: &str,
    item: &Node,
    entries: &[Entry],
    folder: &Path,
) -> Option<Routine> {
    let faults_before = reader.faults.len();
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let path = format!("{path}.{}", entry.key);
        if FOREIGN.contains(&entry.key.as_str()) {
            let message = "there is no JVM and no Python here that could run it";
            let fault = Fault::new(path, message).at(entry.key_span.clone());
            reader.fault(fault.hint(HINT));
        } else {
            let known = format!("a function has: {}", KEYS.join(", "));
            reader.unknown_key(&path, entry, KEYS, known);
        }
    }
    let has_foreign = entries.iter().any(|entry| FOREIGN.contains(&entry.key.as_str()));
    for key in ["name", "wasm", "returns"] {
        let is_there = entries.iter().any(|entry| entry.key == key);
        if !is_there && !has_foreign && !Reader::is_meant(entries, key, KEYS) {
            let at = entries.first().map_or(item.span.clone(), |first| first.key_span.clone());
            let fault = Fault::new(path, format!("required key `{key}` is missing")).at(at);
            reader.fault(if key == "wasm" { fault.hint(HINT) } else { fault });
        }
    }
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let scalar = |reader: &mut Reader<'_>, key: &str| {
        let entry = find(key)?;
        reader.scalar(&format!("{path}.{key}"), entry).map(|scalar| scalar.text.trim().to_owned())
    };
    let wrong = |reader: &mut Reader<'_>, key: &str, message: String, hint: &str| {
        let fault = Fault::new(format!("{path}.{key}"), message);
        let at = find(key).map_or(item.span.clone(), |entry| reader.value_span(entry));
        reader.fault(fault.at(at).hint(hint));
    };
    let arguments = find("arguments").and_then(|entry| match &entry.value.value {
        Value::Null => None,
        _ => reader.scalar(&format!("{path}.arguments"), entry).map(|scalar| scalar.text.clone()),
    });
    let called_on_null = match scalar(reader, "called-on-null").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(word) => {
            let hint = "write true, or false (then the result is NULL where an argument is)";
            wrong(reader, "called-on-null", format!("\"{word}\" is no truth value"), hint);
            false
        }
    };
    let fuel = scalar(reader, "fuel").and_then(|text| match text.replace('_', "").parse::<u64>() {
        Ok(fuel) if fuel > 0 => Some(fuel),
        _ => {
            let hint = "write how many instructions a call may run, such as 50000000";
            wrong(reader, "fuel", format!("\"{text}\" is no number above 0"), hint);
            None
        }
    });
    let memory_bytes = scalar(reader, "memory").and_then(|text| match parse_bytes(&text) {
        Some(bytes) if MEMORY_BYTES.contains(&bytes) => Some(bytes),
        _ => {
            let hint = "write 64KiB to 1GiB, such as 16MiB";
            wrong(reader, "memory", format!("\"{text}\" is no size that a module may have"), hint);
            None
        }
    });
    let text = RoutineText {
        name: scalar(reader, "name").unwrap_or_default(),
        arguments: arguments.unwrap_or_default(),
        returns: scalar(reader, "returns").unwrap_or_default(),
        export: scalar(reader, "export"),
        called_on_null,
        fuel,
        memory_bytes,
    };
    let file = scalar(reader, "wasm")?;
    if reader.faults.len() > faults_before {
        return None;
    }
    let module = match Routine::AVAILABLE.then(|| module(&folder.join(&file))).transpose() {
        Ok(module) => module.unwrap_or_default(),
        Err(message) => {
            wrong(reader, "wasm", message, "a path is relative to the pipeline file");
            return None;
        }
    };
    let faults = match Routine::compile(&text, &module) {
        Ok(routine) => return Some(routine),
        Err(faults) => faults,
    };
    for fault in faults {
        reader_fault(reader, path, entries, fault);
    }
    None
}

fn reader_fault(reader: &mut Reader<'_>, path: &str, entries: &[Entry], fault: RoutineFault) {
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let key = match fault.key {
        RoutineKey::Name => "name",
        RoutineKey::Arguments => "arguments",
        RoutineKey::Returns => "returns",
        RoutineKey::Export if find("export").is_some() => "export",
        RoutineKey::Export => "name",
        RoutineKey::Module => "wasm",
    };
    let new = Fault::new(format!("{path}.{key}"), fault.message).maybe_hint(fault.hint);
    let Some(entry) = find(key) else {
        reader.fault(new);
        return;
    };
    let at = match (&entry.value.value, fault.at) {
        (Value::Scalar(scalar), Some(at)) => reader.span(&entry.value, scalar, at),
        _ => reader.value_span(entry),
    };
    reader.fault(new.at(at));
}

/// The bytes of a module.
fn module(file: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(MODULE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("the module \"{}\" cannot be read: {error}", file.display()))?;
    if bytes.len() as u64 > MODULE_BYTES_MAX {
        let file = file.display();
        return Err(format!("the module \"{file}\" is larger than {} MiB", MODULE_BYTES_MAX >> 20));
    }
    Ok(bytes)
}
