//! The `pipeline:` block: Flink CDC's options and ours.

use std::{num::NonZeroUsize, path::Path, time::Duration};

use cdc_api::{
    OptionSpec, OptionType,
    options::{parse_bytes, parse_duration},
};
use cdc_transform::DecimalMode;

use super::{
    fault::Fault,
    functions::{self, Functions},
    reader::Reader,
    spec::{PipelineOptions, RuntimeMode, SchemaChangeBehavior, TableErrorPolicy},
    tree::{Entry, Value},
};
use crate::route::RouteMode;

/// What a run needs at the very least; below it nothing could be in flight.
const MEMORY_BYTES_MIN: u64 = 64 << 20;
const MEMORY_BYTES_DEFAULT: u64 = 256 << 20;
const CHECKPOINT_INTERVAL_MIN: Duration = Duration::from_millis(100);

const BEHAVIOR: &str = "schema.change.behavior";
const FUNCTIONS: &str = "user-defined-function";

/// All keys of the block.
pub static PIPELINE_OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "name",
        OptionType::Text,
        "Name for log lines, metrics and the server's process list (default: the file's stem).",
    ),
    OptionSpec::new(
        "parallelism",
        OptionType::Integer { min: 1, max: 256 },
        "Most chunk readers and writers (default: as many as cores, at most 4).",
    ),
    OptionSpec::new(
        "execution.runtime-mode",
        OptionType::OneOf(&["STREAMING", "BATCH"]),
        "BATCH copies what is there and ends; the same as `scan.startup.mode: snapshot`.",
    )
    .default("STREAMING"),
    OptionSpec::new(
        BEHAVIOR,
        OptionType::OneOf(&["IGNORE", "LENIENT", "TRY_EVOLVE", "EVOLVE", "EXCEPTION"]),
        "What a schema change at the source does to the sink.",
    )
    .default("LENIENT"),
    OptionSpec::new(
        "route-mode",
        OptionType::OneOf(&["ALL_MATCH", "FIRST_MATCH"]),
        "Which of several matching routes count.",
    )
    .default("ALL_MATCH"),
    OptionSpec::new(
        "local-time-zone",
        OptionType::Text,
        "Zone in which transforms see timestamps (default: the environment's TZ, else UTC).",
    ),
    OptionSpec::new(
        "checkpoint.interval",
        OptionType::Duration,
        "Time between checkpoints (default: the sink's own, 3s or 1min).",
    ),
    OptionSpec::new(
        "checkpoint.storage",
        OptionType::Text,
        "Folder of the checkpoints, relative to the pipeline file (default: `.cdc-cli/<file stem>` beside it).",
    ),
    OptionSpec::new("memory.limit", OptionType::Bytes, "What the process may hold.")
        .default("256MiB"),
    OptionSpec::new(
        "table.on-error",
        OptionType::OneOf(&["quarantine", "stop"]),
        "What a table that cannot go on does: it alone stops, or the whole pipeline.",
    )
    .default("quarantine"),
    OptionSpec::new("operator.uid.prefix", OptionType::Text, "Names of Flink's operators.")
        .no_effect("state is not kept by operator here"),
    OptionSpec::new("schema.operator.uid", OptionType::Text, "Name of Flink's schema operator.")
        .no_effect("state is not kept by operator here"),
    OptionSpec::new(
        "schema-operator.rpc-timeout",
        OptionType::Duration,
        "How long Flink's schema operator waits.",
    )
    .no_effect("there is no remote schema operator here"),
    OptionSpec::new(
        "sink.partitioning.strategy",
        OptionType::Text,
        "How Flink spreads rows over its sink tasks.",
    )
    .no_effect("the sink says how its rows are spread"),
    OptionSpec::new(
        "transform.decimal.precision.mode",
        OptionType::OneOf(&["UP_TO_19", "UP_TO_38"]),
        "Most digits of decimals that transforms compute.",
    )
    .default("UP_TO_19"),
    OptionSpec::new(
        FUNCTIONS,
        OptionType::Text,
        "Functions for transforms, a list: `- name(a, b) AS expression`, or blocks with name, wasm, arguments, returns.",
    ),
    OptionSpec::new("model", OptionType::Text, "AI models for transforms.")
        .refused("AI models are not supported"),
];

/// Reads the block; without one, all defaults. Faults leave the default in place.
pub(super) fn read(reader: &mut Reader<'_>, entry: Option<&Entry>, file: &Path) -> PipelineOptions {
    let folder = file.parent().unwrap_or(Path::new(""));
    let stem = file.file_stem().map_or("pipeline".into(), |stem| stem.to_string_lossy());
    let mut options = PipelineOptions {
        name: stem.clone().into_owned(),
        parallelism: None,
        runtime_mode: RuntimeMode::default(),
        schema_change_behavior: SchemaChangeBehavior::default(),
        route_mode: RouteMode::default(),
        local_time_zone: None,
        decimals: DecimalMode::default(),
        functions: Functions::default(),
        checkpoint_interval: None,
        checkpoint_storage: folder.join(".cdc-cli").join(&*stem),
        memory_limit_bytes: MEMORY_BYTES_DEFAULT,
        on_table_error: TableErrorPolicy::default(),
    };
    let Some(entry) = entry.filter(|entry| !matches!(entry.value.value, Value::Null)) else {
        return options;
    };
    for entry in reader.block("pipeline", entry).unwrap_or_default() {
        let path = format!("pipeline.{}", entry.key);
        let Some(spec) = OptionSpec::find(PIPELINE_OPTIONS, &entry.key) else {
            let known = PIPELINE_OPTIONS.iter().map(|spec| spec.key);
            reader.unknown_key(
                &path,
                entry,
                known,
                "`cdc-cli connectors pipeline` lists the options",
            );
            continue;
        };
        if spec.key == FUNCTIONS {
            options.functions = functions::read(reader, &path, entry, folder);
            continue;
        }
        if let Some(text) = reader.option(&path, entry, spec) {
            let text = text.trim();
            if let Err((message, hint)) = set(&mut options, spec.key, text, folder) {
                let fault = Fault::new(path, message).at(reader.value_span(entry));
                reader.fault(fault.hint(hint));
            }
        }
    }
    options
}

/// Stores one value whose type is right.
fn set(
    options: &mut PipelineOptions,
    key: &str,
    text: &str,
    folder: &Path,
) -> Result<(), (String, String)> {
    let word = text.to_ascii_uppercase();
    match key {
        "name" if text.is_empty() => {
            return Err((
                "must not be empty".into(),
                "leave the key out for the file's name".into(),
            ));
        }
        "name" => options.name = text.to_owned(),
        "parallelism" => options.parallelism = text.parse().ok().and_then(NonZeroUsize::new),
        "execution.runtime-mode" if word == "BATCH" => options.runtime_mode = RuntimeMode::Batch,
        BEHAVIOR => {
            options.schema_change_behavior = match word.as_str() {
                "IGNORE" => SchemaChangeBehavior::Ignore,
                "TRY_EVOLVE" => SchemaChangeBehavior::TryEvolve,
                "EVOLVE" => SchemaChangeBehavior::Evolve,
                "EXCEPTION" => SchemaChangeBehavior::Exception,
                _ => SchemaChangeBehavior::Lenient,
            }
        }
        "route-mode" if word == "FIRST_MATCH" => options.route_mode = RouteMode::FirstMatch,
        "transform.decimal.precision.mode" if word == "UP_TO_38" => {
            options.decimals = DecimalMode::UpTo38;
        }
        "local-time-zone" => options.local_time_zone = Some(text.to_owned()),
        "checkpoint.interval" => match parse_duration(text) {
            Some(interval) if interval < CHECKPOINT_INTERVAL_MIN => {
                return Err((
                    format!("\"{text}\" is too short"),
                    "write 100ms or more, such as 3s".into(),
                ));
            }
            interval => options.checkpoint_interval = interval,
        },
        "checkpoint.storage" if text.is_empty() => {
            return Err((
                "must not be empty".into(),
                "leave the key out for the default folder".into(),
            ));
        }
        "checkpoint.storage" if text.contains("://") => {
            let hint = "write a local folder, such as ./state";
            return Err((
                "checkpoints in an object store are not supported yet".into(),
                hint.into(),
            ));
        }
        "checkpoint.storage" => options.checkpoint_storage = folder.join(text),
        "memory.limit" => match parse_bytes(text) {
            Some(bytes) if bytes >= MEMORY_BYTES_MIN => options.memory_limit_bytes = bytes,
            _ => return Err((format!("\"{text}\" is too little"), "write 64MiB or more".into())),
        },
        "table.on-error" if word == "STOP" => options.on_table_error = TableErrorPolicy::Stop,
        _ => {}
    }
    Ok(())
}
