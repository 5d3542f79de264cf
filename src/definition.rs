//! The pipeline file: Flink CDC's YAML, read into a [`PipelineSpec`] or into a [`Report`] of every fault in it.
//!
//! In: a file's text, the connectors of this build, the environment. Out: a checked spec with the notices of what is
//! accepted without effect, or all faults with their places. Never: a connection, or a file other than the pipeline's own,
//! those named by `${file:…}`, and the modules of user-defined functions.
//!
//! The way: `tree` (YAML into text with places) → `substitute` (`${…}`) → `connector`, `routes`, `transforms`, `pipeline` with
//! its `functions` (one block each, on `reader`) → `spec`. What goes wrong is a `fault`; `mask` and `screen` show it without secrets.

mod connector;
mod fault;
mod functions;
mod mask;
mod pipeline;
mod reader;
mod routes;
mod screen;
mod spec;
mod substitute;
#[cfg(test)]
mod tests;
mod transforms;
mod tree;

use std::{io::Read as _, path::Path};

use cdc_api::Role;
use cdc_transform::{Context, Metadata};

pub use connector::Connectors;
pub use fault::{Fault, Notice};
pub use functions::Functions;
pub use pipeline::PIPELINE_OPTIONS;
pub use screen::{Report, Screen};
pub use spec::{
    ConnectorBlock, PipelineOptions, PipelineSpec, RuntimeMode, SchemaChangeBehavior,
    SchemaChangeFilter, TableErrorPolicy,
};
pub use substitute::{Environment, ProcessEnvironment};
pub use transforms::{TransformRule, TransformRules};

use mask::Masked;
use reader::Reader;
use screen::Weight;
use tree::{FILE_BYTES_MAX, Node, Value};

const BLOCKS: [&str; 5] = ["source", "sink", "route", "transform", "pipeline"];

/// A file without faults.
#[derive(Debug)]
pub struct Definition {
    /// What it describes.
    pub spec: PipelineSpec,
    /// What it says without effect, in its order.
    pub notices: Vec<Notice>,
}

/// Reads a pipeline file.
///
/// # Errors
/// Every fault of the file, or that it cannot be read.
pub fn read_file(
    file: &Path,
    connectors: &dyn Connectors,
    environment: &dyn Environment,
) -> Result<Definition, Box<Report>> {
    match text_of(file) {
        Ok(text) => read(file, &text, connectors, environment),
        Err(fault) => Err(Box::new(Report {
            weight: Weight::Fault,
            file: file.display().to_string(),
            faults: vec![fault],
            masked: Masked::new("", Vec::new()),
        })),
    }
}

fn text_of(file: &Path) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| {
        let fault = Fault::new("", format!("the file cannot be read: {error}"));
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                fault.hint("check the path; it is relative to the current folder")
            }
            _ => fault,
        }
    };
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|file| file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file is larger than {} KiB", FILE_BYTES_MAX >> 10);
        return Err(Fault::new("", message).hint("this is no pipeline file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        Fault::new("", format!("line {line} is not UTF-8 text")).hint("save the file as UTF-8")
    })
}

/// Reads a pipeline file's text; `file` is its name in messages and the base of relative paths.
///
/// # Errors
/// Every fault of the text.
pub fn read(
    file: &Path,
    text: &str,
    connectors: &dyn Connectors,
    environment: &dyn Environment,
) -> Result<Definition, Box<Report>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::new(text);
    let mut root = match tree::parse(text, &mut reader.faults) {
        Ok(Some(root)) => root,
        Ok(None) => {
            let fault = Fault::new("", "the file is empty");
            reader.fault(fault.hint("a pipeline file has at least `source:` and `sink:`"));
            return Err(report(file, reader));
        }
        Err(fault) => {
            reader.fault(fault);
            reader.secrets.spans = mask::secrets_of_lines(text);
            return Err(report(file, reader));
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    resolve(&mut reader, &mut root, "", folder, environment);
    reader.secrets.gather(&root);
    match pipeline_spec(&mut reader, &root, file, connectors) {
        Some(mut spec) if reader.faults.is_empty() => {
            let mut secrets = reader.secrets.spans;
            secrets.extend(mask::secrets_of_addresses(text));
            spec.transform.shown_as(file.display().to_string(), Masked::new(text, secrets));
            let mut notices = reader.notices;
            notices.sort_by_key(|notice| notice.line);
            Ok(Definition { spec, notices })
        }
        _ => Err(report(file, reader)),
    }
}

/// Sorts the faults by place and takes the secrets out.
fn report(file: &Path, reader: Reader<'_>) -> Box<Report> {
    let mut secrets = reader.secrets;
    let mut faults = reader.faults;
    for fault in &mut faults {
        fault.message = secrets.redact(&fault.message);
        fault.hint = fault.hint.take().map(|hint| secrets.redact(&hint));
    }
    faults.sort_by_key(|fault| fault.span.as_ref().map(|span| span.start));
    secrets.spans.extend(mask::secrets_of_addresses(reader.text));
    let masked = Masked::new(reader.text, secrets.spans);
    Box::new(Report { weight: Weight::Fault, file: file.display().to_string(), faults, masked })
}

/// Replaces `${…}` in every scalar of the tree.
fn resolve(
    reader: &mut Reader<'_>,
    node: &mut Node,
    path: &str,
    folder: &Path,
    environment: &dyn Environment,
) {
    match &mut node.value {
        Value::Null | Value::Unresolved => {}
        Value::Scalar(scalar) => {
            let written = scalar.clone();
            let Err(faults) = substitute::substitute(scalar, folder, environment) else { return };
            for fault in faults {
                let first = reader.place(node, &written, fault.offset);
                let last = reader.place(node, &written, fault.offset + fault.length - 1);
                let span = first.start..last.end.max(first.end);
                reader.fault(Fault::new(path, fault.message).at(span).maybe_hint(fault.hint));
            }
            node.value = Value::Unresolved;
        }
        Value::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                resolve(reader, item, &format!("{path}[{index}]"), folder, environment);
            }
        }
        Value::Mapping(entries) => {
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{}", entry.key);
                resolve(reader, &mut entry.value, &path, folder, environment);
            }
        }
    }
}

fn pipeline_spec(
    reader: &mut Reader<'_>,
    root: &Node,
    file: &Path,
    connectors: &dyn Connectors,
) -> Option<PipelineSpec> {
    let Value::Mapping(entries) = &root.value else {
        let message = format!("a pipeline file is a block of keys, this is {}", root.describe());
        let hint = "a pipeline file has at least `source:` and `sink:`";
        reader.fault(Fault::new("", message).at(reader.first_line(root.span.clone())).hint(hint));
        return None;
    };
    for entry in entries.iter().filter(|entry| !BLOCKS.contains(&entry.key.as_str())) {
        reader.unknown_key(
            &entry.key,
            entry,
            BLOCKS,
            format!("a pipeline file has: {}", BLOCKS.join(", ")),
        );
    }
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    for key in ["source", "sink"] {
        if find(key).is_none() && !Reader::is_meant(entries, key, BLOCKS) {
            let at = entries.first().map_or(root.span.clone(), |first| first.key_span.clone());
            reader.fault(Fault::new("", format!("required block `{key}` is missing")).at(at));
        }
    }
    let pipeline = pipeline::read(reader, find("pipeline"), file);
    let batch = pipeline.runtime_mode == RuntimeMode::Batch;
    let mut connector = |key: &str, role: Role| {
        find(key).and_then(|entry| connector::read(reader, entry, role, connectors, batch))
    };
    let (source, sink) = (connector("source", Role::Source), connector("sink", Role::Sink));
    let schema_changes =
        find("sink").map(|entry| connector::schema_changes(reader, entry)).unwrap_or_default();
    let route = find("route").map(|entry| routes::read(reader, entry)).unwrap_or_default();
    let context = transform_context(reader, &pipeline, find("pipeline"), source.as_ref());
    let transform = transforms::read(reader, find("transform"), context);
    let file = file.to_owned();
    Some(PipelineSpec {
        file,
        source: source?,
        sink: sink?,
        schema_changes,
        transform,
        route,
        pipeline,
    })
}

/// What transforms depend on besides their tables.
fn transform_context(
    reader: &mut Reader<'_>,
    pipeline: &PipelineOptions,
    block: Option<&tree::Entry>,
    source: Option<&ConnectorBlock>,
) -> Context {
    let named = pipeline.local_time_zone.clone().filter(|zone| zone != "systemDefault");
    let zone = named.clone().or_else(|| std::env::var("TZ").ok()).unwrap_or_default();
    let zone = match cdc_transform::zone(&zone) {
        Some(zone) => zone,
        None => {
            if let (Some(name), Some(block)) = (named, block) {
                let message = format!("there is no time zone \"{name}\"");
                let fault = Fault::new("pipeline.local-time-zone", message);
                reader.fault(
                    fault
                        .at(block.key_span.clone())
                        .hint("write a name such as Europe/Berlin, or UTC"),
                );
            }
            Context::default().zone
        }
    };
    let listed = source.and_then(|source| source.options.text("metadata.list")).unwrap_or_default();
    let metadata = listed
        .split(',')
        .filter_map(|name| {
            let name = name.trim();
            let column = match name {
                "op_ts" => Metadata::OpTs,
                "table_name" => Metadata::Table,
                "database_name" => Metadata::Schema,
                "row_kind" => Metadata::EventType,
                _ => return None,
            };
            Some((name.to_owned(), column))
        })
        .collect();
    Context {
        zone,
        decimals: pipeline.decimals,
        metadata,
        macros: pipeline.functions.macros.clone(),
        routines: pipeline.functions.routines.clone(),
        ..Context::default()
    }
}
