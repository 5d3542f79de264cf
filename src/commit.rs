//! From barrier to commit (correctness §5): writers' committables are gathered, the checkpoint is stored as prepared, the
//! sink commits it, and only then it counts. One checkpoint at a time, beside the flow of rows.

use std::collections::BTreeMap;

use cdc_api::{
    Applied, CheckpointId, Committable, Committer, Error, MetadataApplier, QuarantinedTable,
    Result, SchemaChange, SourcePhase, SourceState,
};
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::{
    checkpoint::{Checkpoint, CheckpointStore, Fingerprints},
    sink::{Failure, Staged},
};

/// What `ingest` knows at a barrier.
pub(crate) struct Barrier {
    pub(crate) id: CheckpointId,
    /// For log lines.
    pub(crate) phase: SourcePhase,
    pub(crate) source_state: SourceState,
    pub(crate) quarantined: Vec<QuarantinedTable>,
    pub(crate) next_seq: u64,
    /// Sink name and schema by source table.
    pub(crate) tables: BTreeMap<String, String>,
}

/// A committed checkpoint, as far as others need it.
pub(crate) struct Committed {
    pub(crate) id: CheckpointId,
    pub(crate) source_state: SourceState,
}

/// What stays the same in all checkpoints of a pipeline.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) pipeline_uuid: String,
    pub(crate) source: String,
    pub(crate) sink: String,
}

impl Identity {
    /// The checkpoint of a barrier.
    pub(crate) fn checkpoint(
        &self,
        barrier: Barrier,
        committables: Vec<Committable>,
    ) -> Checkpoint {
        Checkpoint::new(
            self.pipeline_uuid.clone(),
            barrier.id,
            barrier.source_state,
            barrier.quarantined,
            barrier.next_seq,
            committables,
            Fingerprints {
                source: self.source.clone(),
                sink: self.sink.clone(),
                tables: barrier.tables,
            },
        )
    }
}

/// The handle that `ingest` has of the commit task.
pub(crate) struct Checkpoints {
    requests: mpsc::Sender<Request>,
    outcomes: mpsc::Receiver<Result<Committed>>,
    applier: Box<dyn MetadataApplier>,
    in_flight: bool,
    next_id: CheckpointId,
    _tasks: JoinSet<()>,
}

struct Request {
    barrier: Barrier,
    staged: Vec<Staged>,
    failure: Failure,
}

impl Checkpoints {
    /// Starts the task. `next_id` is above every id that store or sink know.
    pub(crate) fn start(
        store: CheckpointStore,
        committer: Box<dyn Committer>,
        applier: Box<dyn MetadataApplier>,
        identity: Identity,
        next_id: CheckpointId,
    ) -> Checkpoints {
        let (requests, inbox) = mpsc::channel(1);
        let (outbox, outcomes) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let _: AbortHandle = tasks.spawn(serve(store, committer, identity, inbox, outbox));
        Checkpoints { requests, outcomes, applier, in_flight: false, next_id, _tasks: tasks }
    }

    /// Whether one is between barrier and commit.
    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// The id of the next barrier.
    pub(crate) fn next_id(&mut self) -> CheckpointId {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Hands over a barrier whose writers are flushing. Never while one is in flight.
    pub(crate) fn submit(
        &mut self,
        barrier: Barrier,
        staged: Vec<Staged>,
        failure: Failure,
    ) -> Result<()> {
        self.in_flight = true;
        self.requests
            .try_send(Request { barrier, staged, failure })
            .map_err(|_| Error::internal("a checkpoint was submitted while another was in flight"))
    }

    /// Waits for the one in flight. Cancel-safe.
    pub(crate) async fn finished(&mut self) -> Result<Committed> {
        let outcome = self.outcomes.recv().await;
        self.in_flight = false;
        outcome.unwrap_or_else(|| Err(Error::internal("the commit task ended without an error")))
    }

    /// Brings a sink table to the state behind a change.
    pub(crate) async fn apply(&mut self, change: SchemaChange) -> Result<Applied> {
        self.applier.apply(&change).await
    }
}

async fn serve(
    store: CheckpointStore,
    mut committer: Box<dyn Committer>,
    identity: Identity,
    mut inbox: mpsc::Receiver<Request>,
    outbox: mpsc::Sender<Result<Committed>>,
) {
    while let Some(request) = inbox.recv().await {
        let outcome = commit(&store, &mut *committer, &identity, request).await;
        let failed = outcome.is_err();
        if outbox.send(outcome).await.is_err() || failed {
            return;
        }
    }
}

async fn commit(
    store: &CheckpointStore,
    committer: &mut dyn Committer,
    identity: &Identity,
    request: Request,
) -> Result<Committed> {
    let phase = request.barrier.phase;
    let mut committables = Vec::new();
    for staged in request.staged {
        let answer = staged.await.map_err(|_| request.failure.take())?;
        committables.extend(answer?);
    }
    let checkpoint = identity.checkpoint(request.barrier, committables);
    store.prepare(&checkpoint).await?;
    tracing::debug!(checkpoint = checkpoint.id, ?phase, "prepared");
    #[cfg(debug_assertions)]
    hold_for_test(checkpoint.id).await;
    committer.commit(checkpoint.id, &checkpoint.committables).await?;
    store.committed(checkpoint.id).await?;
    tracing::debug!(checkpoint = checkpoint.id, ?phase, "committed");
    Ok(Committed { id: checkpoint.id, source_state: checkpoint.source_state })
}

/// Stays between prepared and committed for ever when a test asks for it, so that it can kill the process just there.
/// In no release build.
#[cfg(debug_assertions)]
async fn hold_for_test(checkpoint: CheckpointId) {
    if std::env::var_os("CDC_TEST_HOLD_COMMIT").is_some() {
        tracing::info!(checkpoint, "held between prepared and committed");
        std::future::pending::<()>().await;
    }
}
