//! What a start finds: the last checkpoint, whether it was committed, and that it fits the pipeline file
//! (correctness §5).

use std::time::Duration;

use cdc_api::{
    Applied, CheckpointId, Committer, Error, EventSinkProvider, EventSourceProvider,
    MetadataApplier, Recovery, Result, SinkContext, SourcePhase, SourceState,
};

use super::committed_up_to;

use crate::{
    checkpoint::{Checkpoint, CheckpointStore, Last},
    commit::{Barrier, Identity},
    definition::PipelineSpec,
    ingest::Refused,
    schema::{Registry, RegistryState},
};

/// Where an attempt begins.
pub(super) struct Recovered {
    pub(super) identity: Identity,
    /// The last checkpoint, committed by now; none at the very first start.
    pub(super) checkpoint: Option<Checkpoint>,
    /// Above every id that store or sink know.
    pub(super) next_id: CheckpointId,
    pub(super) committer: Box<dyn Committer>,
}

/// Locks the state store for the life of the process.
pub(super) async fn open_store(spec: &PipelineSpec) -> Result<CheckpointStore> {
    CheckpointStore::open(&spec.pipeline.checkpoint_storage).await
}

/// The pipeline as its sink sees it.
pub(super) fn sink_context(
    spec: &PipelineSpec,
    sink: &dyn EventSinkProvider,
    pipeline_uuid: &str,
    next_checkpoint: CheckpointId,
    writers: usize,
    memory_bytes_max: usize,
) -> SinkContext {
    SinkContext {
        pipeline_uuid: pipeline_uuid.to_owned(),
        pipeline: spec.pipeline.name.clone(),
        source: spec.source.connector.clone(),
        checkpoint_interval: checkpoint_interval(spec, sink),
        next_checkpoint,
        writers,
        memory_bytes_max,
    }
}

/// The time between two checkpoints.
pub(super) fn checkpoint_interval(spec: &PipelineSpec, sink: &dyn EventSinkProvider) -> Duration {
    spec.pipeline.checkpoint_interval.unwrap_or(sink.capabilities().checkpoint_interval)
}

/// Reads the last checkpoint, commits it again if that is not recorded, and cleans up behind a crash.
pub(super) async fn recover(
    spec: &PipelineSpec,
    store: &CheckpointStore,
    source: &dyn EventSourceProvider,
    sink: &dyn EventSinkProvider,
) -> Result<Recovered> {
    let last = store.last().await?;
    let uuid = match &last {
        Some(last) => last.checkpoint.pipeline_uuid.clone(),
        None => store.first_uuid().await?,
    };
    let identity =
        Identity { pipeline_uuid: uuid, source: source.fingerprint(), sink: sink.fingerprint() };
    let context = sink_context(spec, sink, &identity.pipeline_uuid, 0, 1, 0);
    let mut committer = sink.committer(&context).await?;
    let committed_up_to = sink.capabilities().recovery == Recovery::CommittedUpTo;
    let mut next_id = 0;
    let mut checkpoint = None;
    if let Some(last) = last {
        let fingerprints = &last.checkpoint.fingerprints;
        fits("source", &fingerprints.source, &identity.source)?;
        fits("sink", &fingerprints.sink, &identity.sink)?;
        // Above one that was never committed, too: its number is not used again for other content.
        next_id = last.checkpoint.id + 1;
        let going_on = if committed_up_to {
            committed_up_to::checkpoint(store, &last, &mut *committer).await?
        } else {
            commit_again(store, &last, &mut *committer).await?;
            last.checkpoint
        };
        tracing::info!(checkpoint = going_on.id, "going on from the last checkpoint");
        checkpoint = Some(going_on);
    }
    committer.clean_up().await?;
    if let Some(highest) = committer.highest_checkpoint().await? {
        next_id = next_id.max(highest + 1);
    }
    Ok(Recovered { identity, checkpoint, next_id, committer })
}

/// A commit that is not recorded is repeated: it finds its own work.
async fn commit_again(
    store: &CheckpointStore,
    last: &Last,
    committer: &mut dyn Committer,
) -> Result<()> {
    let checkpoint = &last.checkpoint;
    if last.committed {
        return Ok(());
    }
    tracing::info!(
        checkpoint = checkpoint.id,
        "the last checkpoint was prepared and not known to be committed: committing it again"
    );
    committer.commit(checkpoint.id, &checkpoint.committables).await?;
    store.committed(checkpoint.id).await
}

/// Changes that the last checkpoint carries: they come first, whatever had been done of them (correctness §6).
pub(super) async fn apply_pending(
    checkpoint: &Checkpoint,
    refused: &Refused,
    applier: &mut dyn MetadataApplier,
    registry: &mut Registry,
) -> Result<()> {
    for change in &checkpoint.pending_schema_changes {
        if refused.contains_key(change.table()) {
            continue;
        }
        tracing::info!(table = %change.table(), "applying a change that the checkpoint carries");
        if let Applied::Unsupported(why) = applier.apply(change).await? {
            registry.reject(change, &why)?;
        }
    }
    Ok(())
}

fn fits(what: &str, before: &str, now: &str) -> Result<()> {
    if before == now {
        return Ok(());
    }
    Err(Error::operator(format!("the {what} of the pipeline file is not the one of the checkpoint"))
        .detail(format!("checkpoint: {before}; file: {now}"))
        .hint("undo the change, or start with an empty checkpoint storage (`checkpoint.storage`) and an empty target"))
}

/// Stores checkpoint 0: P0, nothing Done, the pipeline's UUID.
pub(super) async fn store_first(
    store: &CheckpointStore,
    identity: &Identity,
    committer: &mut dyn Committer,
    id: CheckpointId,
    source_state: SourceState,
) -> Result<()> {
    let barrier = Barrier {
        id,
        phase: SourcePhase::Snapshot,
        source_state,
        quarantined: Vec::new(),
        next_seq: 1,
        tables: RegistryState::default(),
        pending: Vec::new(),
    };
    let checkpoint = identity.checkpoint(barrier, Vec::new());
    store.prepare(&checkpoint).await?;
    committer.commit(id, &[]).await?;
    store.committed(id).await
}
