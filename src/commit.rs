//! From barrier to commit (correctness §5): writers' committables are gathered, the checkpoint is stored as prepared, the
//! sink commits it, and only then it counts. One checkpoint at a time, beside the flow of rows.

use std::collections::BTreeMap;

use cdc_api::{
    Applied, CheckpointId, Committable, Committer, Error, MetadataApplier, QuarantinedTable,
    Result, SchemaChange, SourcePhase, SourceState,
};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::{AbortHandle, JoinSet},
};

use crate::{
    checkpoint::{Checkpoint, CheckpointStore, Fingerprints},
    schema::{RegistryState, SinkChange},
    sink::{Failure, Staged},
};

/// Checkpoints between barrier and commit: one that is being committed, and one whose barrier a change of a table needed.
const IN_FLIGHT_MAX: usize = 2;

/// What `ingest` knows at a barrier.
pub(crate) struct Barrier {
    pub(crate) id: CheckpointId,
    /// For log lines.
    pub(crate) phase: SourcePhase,
    pub(crate) source_state: SourceState,
    pub(crate) quarantined: Vec<QuarantinedTable>,
    pub(crate) next_seq: u64,
    /// The tables of both sides.
    pub(crate) tables: RegistryState,
    /// What is applied to sink tables right behind it.
    pub(crate) pending: Vec<SchemaChange>,
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
        Checkpoint {
            pipeline_uuid: self.pipeline_uuid.clone(),
            id: barrier.id,
            source_state: barrier.source_state,
            quarantined: barrier.quarantined,
            tables: barrier.tables,
            pending_schema_changes: barrier.pending,
            next_seq: barrier.next_seq,
            committables,
            fingerprints: Fingerprints {
                source: self.source.clone(),
                sink: self.sink.clone(),
                tables: BTreeMap::new(),
            },
        }
    }
}

/// The handle that `ingest` has of the commit task.
pub(crate) struct Checkpoints {
    requests: mpsc::Sender<Request>,
    outcomes: mpsc::Receiver<Committed>,
    failure: Failure,
    in_flight: usize,
    next_id: CheckpointId,
    _tasks: JoinSet<()>,
}

struct Request {
    barrier: Barrier,
    staged: Vec<Staged>,
}

impl Checkpoints {
    /// Starts the task. `next_id` is above every id that store or sink know. Its failure goes where those of the writers
    /// go: a writer may wait for a commit, and who waits for that writer must hear that none comes.
    pub(crate) fn start(
        store: CheckpointStore,
        committer: Box<dyn Committer>,
        identity: Identity,
        next_id: CheckpointId,
        failure: Failure,
    ) -> Checkpoints {
        let (requests, inbox) = mpsc::channel(IN_FLIGHT_MAX);
        let (outbox, outcomes) = mpsc::channel(IN_FLIGHT_MAX);
        let mut tasks = JoinSet::new();
        let serving = serve(store, committer, identity, inbox, outbox, failure.clone());
        let _: AbortHandle = tasks.spawn(serving);
        Checkpoints { requests, outcomes, failure, in_flight: 0, next_id, _tasks: tasks }
    }

    /// Whether one is between barrier and commit.
    pub(crate) fn in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether a barrier can be cut at once: at most one more waits behind the one that is being committed.
    pub(crate) fn has_room(&self) -> bool {
        self.in_flight < IN_FLIGHT_MAX
    }

    /// The id of the next barrier.
    pub(crate) fn next_id(&mut self) -> CheckpointId {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// Hands over a barrier whose writers are flushing. Only while [`Checkpoints::has_room`].
    pub(crate) fn submit(&mut self, barrier: Barrier, staged: Vec<Staged>) -> Result<()> {
        self.in_flight += 1;
        match self.requests.try_send(Request { barrier, staged }) {
            // Of a task that has ended, `finished` tells.
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => {
                Err(Error::internal("a checkpoint was submitted while others were in flight"))
            }
        }
    }

    /// Waits for the one in flight. Cancel-safe.
    pub(crate) async fn finished(&mut self) -> Result<Committed> {
        match self.outcomes.recv().await {
            Some(committed) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                Ok(committed)
            }
            None => Err(self.failure.wait().await),
        }
    }
}

/// The handle that `ingest` has of the task that changes sink tables, beside the flow of rows.
pub(crate) struct Changes {
    requests: mpsc::Sender<Vec<SinkChange>>,
    outcomes: mpsc::Receiver<Result<Vec<(SinkChange, Outcome)>>>,
    _tasks: JoinSet<()>,
}

impl Changes {
    /// Starts the task.
    pub(crate) fn start(mut applier: Box<dyn MetadataApplier>) -> Changes {
        let (requests, mut inbox) = mpsc::channel::<Vec<SinkChange>>(1);
        let (outbox, outcomes) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        let _: AbortHandle = tasks.spawn(async move {
            while let Some(changes) = inbox.recv().await {
                if outbox.send(apply_all(&mut *applier, changes).await).await.is_err() {
                    return;
                }
            }
        });
        Changes { requests, outcomes, _tasks: tasks }
    }

    /// Hands over a set of changes. One at a time.
    pub(crate) fn apply(&mut self, changes: Vec<SinkChange>) -> Result<()> {
        self.requests
            .try_send(changes)
            .map_err(|_| Error::internal("sink tables were changed while others were changing"))
    }

    /// Waits for the set that was handed over. Cancel-safe.
    pub(crate) async fn finished(&mut self) -> Result<Vec<(SinkChange, Outcome)>> {
        self.outcomes
            .recv()
            .await
            .unwrap_or_else(|| Err(Error::internal("the task that changes sink tables ended")))
    }
}

/// What became of one change: done, unsupported, or an error of its table's own.
pub(crate) type Outcome = Result<Applied>;

async fn apply_all(
    applier: &mut dyn MetadataApplier,
    changes: Vec<SinkChange>,
) -> Result<Vec<(SinkChange, Outcome)>> {
    let mut applied = Vec::with_capacity(changes.len());
    for change in changes {
        let outcome =
            if change.is_quiet { Ok(Applied::Done) } else { applier.apply(&change.change).await };
        match outcome {
            Err(error) if error.table().is_none() => return Err(error),
            outcome => applied.push((change, outcome)),
        }
    }
    Ok(applied)
}

async fn serve(
    store: CheckpointStore,
    mut committer: Box<dyn Committer>,
    identity: Identity,
    mut inbox: mpsc::Receiver<Request>,
    outbox: mpsc::Sender<Committed>,
    failure: Failure,
) {
    let _reporter = failure.on_panic("the commit task panicked");
    while let Some(request) = inbox.recv().await {
        match commit(&store, &mut *committer, &identity, request).await {
            Ok(Some(committed)) => {
                if outbox.send(committed).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                failure.report(error);
                return;
            }
        }
    }
}

/// None when a writer gave no answer: it tells itself why.
async fn commit(
    store: &CheckpointStore,
    committer: &mut dyn Committer,
    identity: &Identity,
    request: Request,
) -> Result<Option<Committed>> {
    let phase = request.barrier.phase;
    let mut committables = Vec::new();
    for staged in request.staged {
        let Ok(answer) = staged.await else { return Ok(None) };
        committables.extend(answer);
    }
    let checkpoint = identity.checkpoint(request.barrier, committables);
    store.prepare(&checkpoint).await?;
    tracing::debug!(checkpoint = checkpoint.id, ?phase, "prepared");
    #[cfg(debug_assertions)]
    hold_for_test(checkpoint.id).await;
    committer.commit(checkpoint.id, &checkpoint.committables).await?;
    store.committed(checkpoint.id).await?;
    tracing::debug!(checkpoint = checkpoint.id, ?phase, "committed");
    Ok(Some(Committed { id: checkpoint.id, source_state: checkpoint.source_state }))
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
