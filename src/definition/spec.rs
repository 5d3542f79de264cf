//! A pipeline as its file describes it: read, checked, and not yet connected to anything.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use cdc_api::{Options, SchemaChangeKind};
use cdc_transform::DecimalMode;

use super::{Functions, TransformRules};
use crate::route::{RouteMode, RouteRule};

/// A checked pipeline file. Printing it never prints a secret.
#[derive(Debug, Clone)]
pub struct PipelineSpec {
    /// The file it was read from.
    pub file: PathBuf,
    /// `source:`.
    pub source: ConnectorBlock,
    /// `sink:`.
    pub sink: ConnectorBlock,
    /// `include.schema.changes` and `exclude.schema.changes` of the sink.
    pub schema_changes: SchemaChangeFilter,
    /// `transform:`.
    pub transform: TransformRules,
    /// `route:`, in the file's order.
    pub route: Vec<RouteRule>,
    /// `pipeline:`, with every default filled in.
    pub pipeline: PipelineOptions,
}

/// `source:` or `sink:`.
#[derive(Debug, Clone)]
pub struct ConnectorBlock {
    /// The word behind `type:`.
    pub connector: String,
    /// `name:`, for log lines.
    pub name: Option<String>,
    /// Checked options; they know their defaults.
    pub options: Options,
}

/// `pipeline:`.
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// For log lines, metrics and the server's process list; the file's stem when not given.
    pub name: String,
    /// The most chunk readers and writers; none means as many as there are cores, at most 4.
    pub parallelism: Option<NonZeroUsize>,
    /// Whether the run ends when all rows are copied.
    pub runtime_mode: RuntimeMode,
    /// What a schema change at the source does to the sink.
    pub schema_change_behavior: SchemaChangeBehavior,
    /// Which of several matching routes count.
    pub route_mode: RouteMode,
    /// The zone in which transforms see timestamps.
    pub local_time_zone: Option<String>,
    /// How many digits decimals of transforms may have.
    pub decimals: DecimalMode,
    /// Functions of the user's: `name(a, b) AS expression`.
    pub functions: Functions,
    /// Time between checkpoints; none means the sink's own.
    pub checkpoint_interval: Option<Duration>,
    /// The folder of the checkpoints.
    pub checkpoint_storage: PathBuf,
    /// What the process may hold, bytes.
    pub memory_limit_bytes: u64,
    /// What a table that cannot go on does to the pipeline.
    pub on_table_error: TableErrorPolicy,
}

/// `execution.runtime-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeMode {
    /// All rows, then every change.
    #[default]
    Streaming,
    /// All rows, then the end.
    Batch,
}

/// `schema.change.behavior`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaChangeBehavior {
    /// The sink keeps its first schema.
    Ignore,
    /// Changes are applied in a form that loses nothing.
    #[default]
    Lenient,
    /// As `Evolve`, and what the sink cannot do is tolerated.
    TryEvolve,
    /// Applied as they are; a failure ends the run.
    Evolve,
    /// Any change ends the run.
    Exception,
}

/// `table.on-error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableErrorPolicy {
    /// The table stops, the others go on.
    #[default]
    Quarantine,
    /// The pipeline stops.
    Stop,
}

/// Which schema changes reach the sink; none of both lists set means the behaviour's own default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaChangeFilter {
    /// Only these, when given. `create.table` is always among them.
    pub include: Option<Vec<SchemaChangeKind>>,
    /// Never these, when given; stronger than `include`.
    pub exclude: Option<Vec<SchemaChangeKind>>,
}
