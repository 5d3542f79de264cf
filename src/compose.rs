//! From a checked pipeline file to a running pipeline: recovery first, then source, sink and the stages between them
//! (correctness §5 "Recovery"). The only place that starts again after a failure that may go away by itself.

mod committed_up_to;
mod plan;
mod recovery;

use std::{collections::HashSet, sync::Arc, time::Duration};

use cdc_api::{
    BeforeImages, CheckpointId, Error, EventSinkProvider, EventSourceProvider, OptionFault,
    Partitioning, Result, SinkContext, SourceContext, TableId,
};

use crate::{
    commit::{Changes, Checkpoints},
    definition::{PipelineSpec, SchemaChangeBehavior, TableErrorPolicy},
    ingest::{BarrierPolicy, Ended, Ingest, Refused},
    registry,
    route::RouteTable,
    runtime::{Backoff, Shutdown},
    schema::{Pause, Registry, Rules},
    sink::Writers,
    telemetry::{self, Display, StatusCell},
    transform::Transforms,
};

pub use plan::{Planned, explain, plan};
use recovery::Recovered;

/// How a run shows itself.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// A person looks at stderr: bars and a live line instead of log lines.
    pub terminal: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// All is committed.
    Complete,
    /// A bounded run committed all but the tables that were quarantined.
    Incomplete,
}

/// Chunk readers and writers when the file names no parallelism.
const PARALLELISM_MAX: usize = 4;
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// Of the memory limit: what the process needs besides rows (code, connections, allocator) stays out of the budgets.
const SOURCE_SHARE_PERCENT: u64 = 30;
const SINK_SHARE_PERCENT: u64 = 25;
/// Rows that wait while their sink table changes.
const HELD_SHARE_PERCENT: u64 = 10;

/// The pieces of a pipeline that outlive an attempt.
struct Pipeline {
    spec: PipelineSpec,
    source: Box<dyn EventSourceProvider>,
    sink: Box<dyn EventSinkProvider>,
    status: StatusCell,
    shutdown: Shutdown,
    parallelism: usize,
}

/// Runs a pipeline to its end or until it is told to stop.
///
/// # Errors
/// What ended it.
pub async fn run(spec: PipelineSpec, options: RunOptions) -> Result<RunOutcome> {
    let shutdown = Shutdown::on_signals()
        .map_err(|error| Error::operator("signals cannot be received").caused_by(error))?;
    let pipeline = Pipeline::new(spec, shutdown)?;
    let display = if options.terminal { Display::Terminal } else { Display::Log };
    let name = pipeline.spec.pipeline.name.clone();
    let shown = tokio::spawn(telemetry::show(name, pipeline.status.clone(), display));
    let outcome = Box::pin(pipeline.run()).await;
    shown.abort();
    outcome
}

fn fault(faults: Vec<OptionFault>) -> Error {
    let texts: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect();
    Error::config(texts.join("; "))
}

impl Pipeline {
    fn new(spec: PipelineSpec, shutdown: Shutdown) -> Result<Pipeline> {
        let source = registry::source(&spec.source).map_err(fault)?;
        let sink = registry::sink(&spec.sink).map_err(fault)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let parallelism = spec.pipeline.parallelism.map_or(cores.min(PARALLELISM_MAX), usize::from);
        Ok(Pipeline { spec, source, sink, status: StatusCell::default(), shutdown, parallelism })
    }

    /// Attempts until one ends well, or fails in a way that only a person can mend.
    async fn run(&self) -> Result<RunOutcome> {
        let store = recovery::open_store(&self.spec).await?;
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
        let mut committed_before = None;
        let mut refused = Refused::new();
        loop {
            let error = match Box::pin(self.attempt(&store, &refused)).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            let committed = self.status.get().committed;
            if let Some(table) = self.refuses(&error, &refused) {
                tracing::warn!(error = %error, "starting again from the last checkpoint without the table");
                self.status.update(|status| status.restarts += 1);
                refused.insert(table, Arc::new(error));
                continue;
            }
            // Nothing has worked yet: a wrong address or password must not look like a run.
            if !error.is_transient() || committed.is_none() || self.shutdown.is_requested() {
                return Err(error);
            }
            if committed != committed_before {
                backoff.reset();
                committed_before = committed;
            }
            let delay = backoff.next_delay();
            tracing::warn!(error = %error, retry_in_s = delay.as_secs_f64(), "starting again from the last checkpoint");
            self.status.update(|status| status.restarts += 1);
            let mut shutdown = self.shutdown.clone();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = shutdown.requested() => return Err(error),
            }
        }
    }

    /// The sink table that a failed attempt could not write, when the others go on without it. What the sink holds of
    /// its rows since the last checkpoint is undone with the attempt, so that nothing is left half-written.
    fn refuses(&self, error: &Error, refused: &Refused) -> Option<TableId> {
        let goes_on = self.spec.pipeline.on_table_error == TableErrorPolicy::Quarantine
            && self.status.get().committed.is_some()
            && !self.shutdown.is_requested();
        error.table().filter(|table| goes_on && !refused.contains_key(table)).cloned()
    }

    async fn attempt(
        &self,
        store: &crate::checkpoint::CheckpointStore,
        refused: &Refused,
    ) -> Result<RunOutcome> {
        let capabilities = self.sink.capabilities();
        self.sink.preflight().await?;
        let Recovered { identity, checkpoint, next_id, mut committer } =
            recovery::recover(&self.spec, store, &*self.source, &*self.sink).await?;
        let limit = self.spec.pipeline.memory_limit_bytes;
        let source = self
            .source
            .open(SourceContext {
                state: checkpoint.as_ref().map(|checkpoint| checkpoint.source_state.clone()),
                before_images: if Transforms::needs_before(&self.spec.transform) {
                    BeforeImages::All
                } else {
                    capabilities.before_images
                },
                sink_rolls_back: capabilities.recovery != cdc_api::Recovery::AtLeastOnce,
                parallelism: self.parallelism,
                memory_bytes_max: share(limit, SOURCE_SHARE_PERCENT),
                pipeline: self.spec.pipeline.name.clone(),
            })
            .await?;
        let mut next_id = next_id;
        if checkpoint.is_none() {
            // Checkpoint 0, before the first row leaves (correctness §2 "Crash").
            recovery::store_first(store, &identity, &mut *committer, next_id, source.state()?)
                .await?;
            next_id += 1;
        }
        self.status.update(|status| {
            status.committed.get_or_insert((next_id.saturating_sub(1), crate::runtime::now_us()));
        });
        let context =
            self.sink_context(&identity.pipeline_uuid, next_id, capabilities.partitioning);
        let routes = RouteTable::new(self.spec.route.clone(), self.spec.pipeline.route_mode);
        let rules = Rules {
            behavior: if self.source.passes_schema_changes() {
                self.spec.pipeline.schema_change_behavior
            } else {
                SchemaChangeBehavior::Ignore
            },
            filter: self.spec.schema_changes.clone(),
        };
        let tables = checkpoint.as_ref().map(|checkpoint| checkpoint.tables.clone());
        let mut registry = Registry::new(routes, rules, tables.unwrap_or_default());
        let mut applier = self.sink.applier(&context).await?;
        if let Some(checkpoint) = &checkpoint {
            recovery::apply_pending(checkpoint, refused, &mut *applier, &mut registry).await?;
        }
        let next_seq = checkpoint.map_or(0, |checkpoint| checkpoint.next_seq);
        let writers = Writers::start(&*self.sink, &context).await?;
        let failure = writers.failure();
        let ingest = Ingest {
            source,
            transforms: Transforms::new(
                self.spec.transform.clone(),
                capabilities.before_images == BeforeImages::All,
            ),
            registry,
            pause: Pause::new(share(limit, HELD_SHARE_PERCENT)),
            writers,
            checkpoints: Checkpoints::start(store.clone(), committer, identity, next_id, failure),
            changes: Changes::start(applier),
            stopped: HashSet::new(),
            refused: refused.clone(),
            policy: BarrierPolicy {
                interval: recovery::checkpoint_interval(&self.spec, &*self.sink),
            },
            on_error: self.spec.pipeline.on_table_error,
            shutdown: self.shutdown.clone(),
            status: self.status.clone(),
            // `_seq` begins at 1, so that 0 is free for "none".
            next_seq: next_seq.max(1),
        };
        let (ended, lines) = Box::pin(ingest.run()).await?;
        let status = self.status.get();
        tracing::info!(
            rows = status.rows_copied,
            changes = status.changes,
            checkpoint = status.committed.map(|(id, _)| id),
            quarantined = status.source.quarantined.len(),
            "{}",
            if ended == Ended::Finished {
                "finished, all is committed"
            } else {
                "drained, all is committed"
            }
        );
        for line in lines {
            tracing::info!("{line}");
        }
        let incomplete = ended == Ended::Finished && !status.source.quarantined.is_empty();
        Ok(if incomplete { RunOutcome::Incomplete } else { RunOutcome::Complete })
    }

    fn sink_context(
        &self,
        pipeline_uuid: &str,
        next_checkpoint: CheckpointId,
        partitioning: Partitioning,
    ) -> SinkContext {
        recovery::sink_context(
            &self.spec,
            &*self.sink,
            pipeline_uuid,
            next_checkpoint,
            if partitioning == Partitioning::Single { 1 } else { self.parallelism },
            share(self.spec.pipeline.memory_limit_bytes, SINK_SHARE_PERCENT),
        )
    }
}

fn share(limit_bytes: u64, percent: u64) -> usize {
    usize::try_from(limit_bytes / 100 * percent).unwrap_or(usize::MAX)
}
