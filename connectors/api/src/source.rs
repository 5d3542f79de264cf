//! What a source is: a provider made from the pipeline file, and the one stream of events it opens.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{BeforeImages, Frame, Result, SchemaChange, TableId, TableSchema};

/// A source's progress as the checkpoint keeps it: position, Done intervals, schemas. Opaque to the engine.
pub type SourceState = serde_json::Value;

/// How bad a preflight finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It runs, and the user should know.
    Warning,
    /// For information.
    Note,
}

/// One thing preflight found, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found; lower case, no full stop.
    pub message: String,
    /// What mends it: SQL or a setting, ready to paste.
    pub remedy: Option<String>,
}

/// What a source found out about its server.
#[derive(Debug, Clone, Default)]
pub struct Preflight {
    /// The server in one line: product and version.
    pub server: String,
    /// In the order of their checks.
    pub findings: Vec<Finding>,
}

impl Preflight {
    /// Whether the pipeline may run.
    pub fn is_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.severity != Severity::Error)
    }
}

/// One captured table, as `cdc-cli plan` shows it.
#[derive(Debug, Clone)]
pub struct TablePlan {
    /// Its schema now.
    pub schema: Arc<TableSchema>,
    /// The server's estimate; none where it has none.
    pub rows_estimated: Option<u64>,
    /// The columns chunks are cut by.
    pub chunk_key: Vec<String>,
    /// How it is proven that a chunk's SELECT sees all the log reader has passed (correctness §2).
    pub proof: String,
    /// Why it will not be captured, with the remedy; such a table is quarantined.
    pub refused: Option<String>,
}

/// A table that stopped; the others go on. Kept in the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedTable {
    /// Which.
    pub table: TableId,
    /// Why, with where in the log.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// What the engine tells a source when it opens it.
pub struct SourceContext {
    /// The state of the last checkpoint; none at the very first start.
    pub state: Option<SourceState>,
    /// Which images the sink needs.
    pub before_images: BeforeImages,
    /// False for a sink that cannot roll back: deletes pass whatever the state of their range (correctness §2, "Crash").
    pub sink_rolls_back: bool,
    /// The most chunk readers.
    pub parallelism: usize,
    /// What chunks, overlays and frames in flight may hold together, bytes.
    pub memory_bytes_max: usize,
    /// The pipeline's name, for the server's process list and for log lines.
    pub pipeline: String,
}

/// Where a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SourcePhase {
    /// Rows that were there are being copied (changes flow beside them).
    #[default]
    Snapshot,
    /// All ranges are Done.
    Streaming,
}

/// Numbers for the progress display, the status page and metrics.
#[derive(Debug, Clone, Default)]
pub struct SourceProgress {
    /// Where it stands.
    pub phase: SourcePhase,
    /// Captured tables.
    pub tables: usize,
    /// Of them wholly copied.
    pub tables_done: usize,
    /// Rows read by chunk readers since this process started.
    pub rows_read: u64,
    /// The server's estimate of all rows still to copy when this process started.
    pub rows_estimated: u64,
    /// The log position as the server's users write it, e.g. `binlog.000003:1547`.
    pub position: String,
    /// Commit time of the last transaction seen, microseconds since the epoch; none before the first.
    pub last_commit_ts_us: Option<i64>,
    /// Whether the reader stands at the log's end as last known.
    pub caught_up: bool,
    /// Why nothing seems to move, e.g. "snapshot waits for the log, 80 MiB behind".
    pub waiting: Option<String>,
    /// Tables that stopped.
    pub quarantined: Vec<QuarantinedTable>,
    /// Columns in which a policy made values null.
    pub nulled: Vec<NulledColumn>,
}

/// A column that holds values which its type downstream cannot have and which a policy makes null, such as the date
/// 0000-00-00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NulledColumn {
    /// Its table.
    pub table: TableId,
    /// Its name.
    pub column: String,
    /// How many such values were met since this process started; some may be met twice.
    pub values: u64,
}

/// What a source gives, in order.
#[derive(Debug)]
pub enum SourceEvent {
    /// Rows. `frame.boundary` says whether a barrier may be cut behind it.
    Frame(Frame),
    /// At a start: a table that goes on as the checkpoint has it. Ahead of all its rows.
    Resumed(Arc<TableSchema>),
    /// What happened to tables, in order, at a boundary; rows that need it come later, and [`EventSource::state`] is the
    /// one behind all of it. A [`SchemaChange::Create`] alone may also come inside a transaction that creates the table
    /// and fills it: then the state is still that of the last boundary, plus the table.
    Schema(Vec<SchemaChange>),
    /// A table stopped; no row of it follows. At a boundary.
    Quarantined(QuarantinedTable),
    /// The position moved on without rows for us; at a boundary.
    Advanced,
    /// Bounded run (`snapshot` mode): everything is out. At a boundary; nothing follows.
    End,
}

/// A source as the pipeline file describes it. No connection is made before a call.
#[async_trait]
pub trait EventSourceProvider: Send + Sync {
    /// Checks server, settings and grants; connects and disconnects. Findings are not errors: an `Err` means
    /// that the server could not be asked at all.
    async fn preflight(&self) -> Result<Preflight>;

    /// Which tables match and how each would be captured. Reads metadata only.
    async fn plan(&self) -> Result<Vec<TablePlan>>;

    /// What identifies the captured data, for the checkpoint's fingerprint: a change of it is refused on resume.
    fn fingerprint(&self) -> String;

    /// Whether changes of tables are to reach the sink; if not, its tables keep their first schema.
    fn passes_schema_changes(&self) -> bool {
        true
    }

    /// Whether the run ends by itself (`snapshot` mode).
    fn is_bounded(&self) -> bool;

    /// Opens the one stream. With a state it goes on from there, or answers `Operator` with the remedy when the server
    /// no longer has what follows (purged log, another server: correctness §4).
    async fn open(&self, context: SourceContext) -> Result<Box<dyn EventSource>>;
}

/// The running source: log and snapshot as one stream (correctness §2).
#[async_trait]
pub trait EventSource: Send {
    /// The next event; waits for one. Cancel-safe: a dropped call loses nothing. After an `Err` the source is spent;
    /// a `Transient` one means that opening it again from the last checkpoint may help.
    async fn next(&mut self) -> Result<SourceEvent>;

    /// The state behind the last event returned by [`EventSource::next`]; called only at a boundary.
    fn state(&self) -> Result<SourceState>;

    /// A checkpoint with this state is committed: the server may let go of the log before it. May be called late, and
    /// only for the newest.
    async fn acknowledge(&mut self, state: &SourceState) -> Result<()>;

    /// The engine cannot go on with a table (a value that its sink or a transform refuses): no more of it comes, its stop
    /// is in the state, and a [`SourceEvent::Quarantined`] follows.
    fn quarantine(&mut self, table: &TableId, reason: &str, remedy: &str);

    /// Numbers as of now; cheap.
    fn progress(&self) -> SourceProgress;
}
