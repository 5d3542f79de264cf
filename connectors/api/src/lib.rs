//! What every connector and the engine agree on: the event model, the traits and the errors of cdc-cli.
//!
//! A row travels as Arrow: a source fills [`ChangeBatch`]es (one table, one schema version), groups them into a
//! [`Frame`] (a contiguous slice of the source's log) and hands them to the engine through [`EventSource`]. The
//! engine numbers, routes and cuts barriers; a sink takes batches through [`SinkWriter`] and makes them durable
//! through [`Committer`]. Nothing here knows a connector, a runtime or a file format.

pub mod change;
pub mod error;
pub mod logical;
pub mod options;
pub mod pattern;
pub mod schema_change;
pub mod sink;
pub mod source;
pub mod table;

pub use change::{ChangeBatch, Frame, Op, Ops, Ordinals, TxnId, TxnSpan};
pub use error::{Error, ErrorKind, Result};
pub use logical::LogicalType;
pub use options::{ConnectorSpec, OptionClass, OptionFault, OptionSpec, OptionType, Options, Role};
pub use schema_change::{
    ColumnChange, ColumnPosition, SchemaChange, SchemaChangeKind, column_changes,
};
pub use sink::{
    Applied, BeforeImages, CheckpointId, Committable, Committer, EventSinkProvider,
    MetadataApplier, Partitioning, Recovery, SinkCapabilities, SinkContext, SinkWriter,
};
pub use source::{
    EventSource, EventSourceProvider, Finding, NulledColumn, Preflight, QuarantinedTable, Severity,
    SourceContext, SourceEvent, SourcePhase, SourceProgress, SourceState, TablePlan,
};
pub use table::{Column, DefaultValue, TableId, TableSchema};
