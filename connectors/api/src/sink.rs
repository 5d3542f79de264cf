//! What a sink is: writers that stage rows, a committer that makes a checkpoint's rows visible, and an applier for
//! schema changes. The protocol is correctness §5: barrier → writers flush → prepared is stored → commit → acknowledged.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::{ChangeBatch, Result, SchemaChange, TableSchema};

/// Rises by one with each checkpoint, also over restarts; never reused for other content.
pub type CheckpointId = u64;

/// Which images before a change a sink needs; the decoder skips the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeforeImages {
    /// Of deletes only (the deleted row).
    Deletes,
    /// Of deletes and updates.
    All,
}

/// How rows may be spread over writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partitioning {
    /// One writer gets everything in order.
    Single,
    /// A writer gets all log changes of a table in order; snapshot batches may go anywhere, since `seq` tells the order.
    ByTable,
}

/// What recovery may rely on (correctness §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Commit of the last prepared checkpoint is repeated; it is idempotent by checkpoint id.
    Recommit,
    /// The target itself knows which checkpoint was committed last ([`Committer::highest_checkpoint`]), since its number
    /// is part of what is committed: the run goes on from that one. A failed commit is never repeated.
    CommittedUpTo,
    /// Prepared rows were already visible when they were flushed.
    AtLeastOnce,
}

/// What a sink can do and needs.
#[derive(Debug, Clone)]
pub struct SinkCapabilities {
    /// Images wanted.
    pub before_images: BeforeImages,
    /// How rows are spread.
    pub partitioning: Partitioning,
    /// What recovery does.
    pub recovery: Recovery,
    /// `checkpoint.interval` when the file names none: 3 s, or 1 min for sinks that write files.
    pub checkpoint_interval: Duration,
}

/// The pipeline as a sink sees it.
#[derive(Debug, Clone)]
pub struct SinkContext {
    /// Drawn at the first start; part of every commit identity.
    pub pipeline_uuid: String,
    /// The pipeline's name, for labels.
    pub pipeline: String,
    /// The source connector's name, for targets that say where a row comes from.
    pub source: String,
    /// The time between two checkpoints.
    pub checkpoint_interval: Duration,
    /// The id of the first barrier that writers will see; ids rise by one from there.
    pub next_checkpoint: CheckpointId,
    /// How many writers there will be.
    pub writers: usize,
    /// What all writers may hold together, bytes.
    pub memory_bytes_max: usize,
}

/// What a writer staged for one checkpoint: opaque to the engine, stored in the checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Committable(pub serde_json::Value);

/// A sink as the pipeline file describes it. No connection is made before a call.
#[async_trait]
pub trait EventSinkProvider: Send + Sync {
    /// What it can do and needs.
    fn capabilities(&self) -> SinkCapabilities;

    /// What identifies the target, for the checkpoint's fingerprint: a change of it is refused on resume.
    fn fingerprint(&self) -> String;

    /// Whether the target can be reached and written; touches nothing that a reader would see.
    async fn preflight(&self) -> Result<()>;

    /// Writer number `index` of `context.writers`.
    async fn writer(&self, context: &SinkContext, index: usize) -> Result<Box<dyn SinkWriter>>;

    /// The one committer.
    async fn committer(&self, context: &SinkContext) -> Result<Box<dyn Committer>>;

    /// The one applier.
    async fn applier(&self, context: &SinkContext) -> Result<Box<dyn MetadataApplier>>;
}

/// Stages rows. One task owns it; calls come one at a time.
#[async_trait]
pub trait SinkWriter: Send {
    /// The schema that the table's next batches have; comes before its first batch and after a change was applied.
    async fn schema(&mut self, schema: &Arc<TableSchema>) -> Result<()>;

    /// Takes rows. When it returns, the writer holds them; they are durable only after [`SinkWriter::flush`].
    async fn write(&mut self, batch: ChangeBatch) -> Result<()>;

    /// All rows since the last flush belong to `checkpoint` and must be durable, though not visible, when this
    /// returns. An empty list is fine. Called once per checkpoint, in rising order.
    async fn flush(&mut self, checkpoint: CheckpointId) -> Result<Vec<Committable>>;

    /// The run is over and everything committed. Returns a line for the user, where there is something to say.
    async fn close(&mut self) -> Result<Option<String>>;
}

/// Makes prepared checkpoints visible. One task owns it; ids rise.
#[async_trait]
pub trait Committer: Send {
    /// Publishes what `checkpoint` staged. Idempotent by id: it is repeated after a crash, and finds its own work. With
    /// [`Recovery::CommittedUpTo`] it is not: every checkpoint is committed once, an empty one too, and rows that are
    /// written between a writer's flush and the commit's end belong to the next.
    async fn commit(
        &mut self,
        checkpoint: CheckpointId,
        committables: &[Committable],
    ) -> Result<()>;

    /// At start, after the last prepared checkpoint was committed again: removes what this pipeline staged and no
    /// checkpoint names. Never touches anything of another pipeline UUID.
    async fn clean_up(&mut self) -> Result<()>;

    /// The highest checkpoint id of this pipeline that the target knows of; new ids are above it.
    async fn highest_checkpoint(&mut self) -> Result<Option<CheckpointId>>;
}

/// What became of a schema change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The target is in the state behind the change.
    Done,
    /// The target cannot be changed so and is as it was; the text says why. `schema.change.behavior: TRY_EVOLVE` lives
    /// with that, the others stop.
    Unsupported(String),
}

/// Applies schema changes to the target. One task owns it.
///
/// The changes are those of the sink's own tables: names are the sink's, columns are known by [`crate::Column::id`], and
/// `before` is what this pipeline brought the table to. The table in the target is in its state before or behind the
/// change and in no other, except for what the target's users add to it.
#[async_trait]
pub trait MetadataApplier: Send {
    /// Brings the table to the state behind the change. May be repeated: it compares and finishes (correctness §6).
    /// A table that is to be emptied ([`SchemaChange::Truncate`], [`SchemaChange::Recreate`]) holds, when this returns,
    /// no row of an earlier generation ([`TableSchema::generation`]); rows of the new one come later.
    async fn apply(&mut self, change: &SchemaChange) -> Result<Applied>;
}
