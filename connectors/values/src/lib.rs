//! The `values` sink: events on stdout in the form Flink CDC prints them, or, with `print.enabled: false`, a hole that
//! takes whole decoded batches and counts their rows and Arrow bytes. For looking, for tests and for measuring.
//!
//! In: routed [`cdc_api::ChangeBatch`]es. Out: lines on stdout, never logs. It stages nothing: a printed line cannot be
//! taken back, so it is an at-least-once sink.

mod event;
mod number;
mod sink;
mod temporal;
mod value;

use cdc_api::{
    ConnectorSpec, EventSinkProvider, OptionFault, OptionSpec, OptionType, Options, Role,
};

/// Name, options and meaning of the `values` sink.
pub const SPEC: ConnectorSpec = ConnectorSpec {
    name: "values",
    role: Role::Sink,
    summary: "Prints events on stdout as Flink CDC prints them, or only counts them",
    options: &[
        OptionSpec::new(
            "print.enabled",
            OptionType::Boolean,
            "Whether events are printed; if not, rows and Arrow bytes are counted and printed at the end.",
        )
        .default("true"),
        OptionSpec::new(
            "materialized.in.memory",
            OptionType::Boolean,
            "Whether Flink CDC keeps all rows in the memory of its process.",
        )
        .no_effect("rows are printed or counted, never kept"),
        OptionSpec::new(
            "sink.api",
            OptionType::OneOf(&["SINK_FUNCTION", "SINK_V2"]),
            "Which of Flink's sink interfaces is used.",
        )
        .no_effect("there is one sink interface here"),
        OptionSpec::new(
            "error.on.schema.change",
            OptionType::Boolean,
            "Whether Flink CDC fails when a table's schema changes.",
        )
        .refused("failing on a schema change is set by `schema.change.behavior: exception` in the pipeline block"),
    ],
};

/// The sink that a pipeline file's `sink:` block describes.
///
/// # Errors
/// None today: the types of all options are checked before.
pub fn provider(options: &Options) -> Result<Box<dyn EventSinkProvider>, Vec<OptionFault>> {
    Ok(Box::new(sink::ValuesSink::new(options.boolean("print.enabled"))))
}
