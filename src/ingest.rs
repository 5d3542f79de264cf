//! The main loop of a run: pulls events from the source, numbers and routes rows, hands them to the writers, and cuts
//! barriers at transaction boundaries (correctness §5). The only place that decides when a checkpoint is taken.

use std::{sync::Arc, time::Instant};

use cdc_api::{
    Applied, ChangeBatch, CheckpointId, Error, EventSource, Frame, Op, Ops, QuarantinedTable,
    Result, SchemaChange, SourceEvent, TableSchema,
};

use crate::{
    commit::{Barrier, Checkpoints},
    definition::TableErrorPolicy,
    route::Router,
    runtime::Shutdown,
    sink::Writers,
    telemetry::StatusCell,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody asked for the end, and everything is committed.
    Drained,
    /// A bounded source is through, and everything is committed.
    Finished,
}

/// When barriers are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BarrierPolicy {
    /// The time between two.
    pub(crate) interval: std::time::Duration,
}

/// One run from open source to its end.
pub(crate) struct Ingest {
    pub(crate) source: Box<dyn EventSource>,
    pub(crate) router: Router,
    pub(crate) writers: Writers,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) policy: BarrierPolicy,
    pub(crate) on_error: TableErrorPolicy,
    pub(crate) shutdown: Shutdown,
    pub(crate) status: StatusCell,
    /// The number that the next frame's first ordinal gets.
    pub(crate) next_seq: u64,
}

/// What the loop knows between two events.
struct Turn {
    /// The last event left the source at a transaction boundary.
    at_boundary: bool,
    /// Something came since the last barrier that a checkpoint would keep.
    dirty: bool,
    /// The source said that nothing follows.
    ended: bool,
    barrier_due: Instant,
    status_due: Instant,
}

/// Numbers reach the display at most this often.
const STATUS_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

impl Ingest {
    /// Runs until the source ends, somebody asks for the end, or something fails. On success everything that was read
    /// is committed and the writers are closed; their lines for the user are returned.
    pub(crate) async fn run(mut self) -> Result<(Ended, Vec<String>)> {
        let now = Instant::now();
        let mut turn = Turn {
            at_boundary: true,
            dirty: false,
            ended: false,
            barrier_due: now + self.policy.interval,
            status_due: now,
        };
        loop {
            let draining = self.shutdown.is_requested();
            let finishing = turn.ended || (draining && turn.at_boundary);
            if turn.at_boundary && !self.checkpoints.in_flight() {
                if finishing && !turn.dirty {
                    break;
                }
                if turn.dirty && (finishing || Instant::now() >= turn.barrier_due) {
                    self.cut_barrier(&mut turn).await?;
                }
            }
            if Instant::now() >= turn.status_due {
                self.publish(&mut turn);
            }
            self.step(&mut turn, finishing, draining).await?;
        }
        let ended = if turn.ended { Ended::Finished } else { Ended::Drained };
        self.publish(&mut turn);
        Ok((ended, self.writers.close().await?))
    }

    /// Waits for whatever comes first.
    async fn step(&mut self, turn: &mut Turn, finishing: bool, draining: bool) -> Result<()> {
        let barrier_may_come = turn.dirty && turn.at_boundary && !self.checkpoints.in_flight();
        let barrier_due = tokio::time::Instant::from_std(turn.barrier_due);
        let status_due =
            tokio::time::Instant::from_std(turn.status_due.max(Instant::now() + STATUS_EVERY));
        tokio::select! {
            biased;
            done = self.checkpoints.finished(), if self.checkpoints.in_flight() => {
                let committed = done?;
                self.status.update(|status| {
                    status.committed = Some((committed.id, crate::runtime::now_us()));
                });
                self.source.acknowledge(&committed.source_state).await?;
            }
            failure = self.writers.failed() => return Err(failure),
            () = self.shutdown.requested(), if !draining => {}
            () = tokio::time::sleep_until(barrier_due), if barrier_may_come => {}
            event = self.source.next(), if !finishing => self.take(event?, turn).await?,
            () = tokio::time::sleep_until(status_due) => {}
        }
        Ok(())
    }

    async fn take(&mut self, event: SourceEvent, turn: &mut Turn) -> Result<()> {
        turn.at_boundary = true;
        turn.dirty = true;
        match event {
            SourceEvent::Frame(frame) => {
                turn.at_boundary = frame.boundary;
                self.pass(frame).await?;
            }
            SourceEvent::Resumed(schema) => self.table(&schema).await?,
            SourceEvent::Schema(changes) => {
                for change in changes {
                    self.change_schema(&change).await?;
                }
            }
            SourceEvent::Quarantined(table) => self.quarantined(&table)?,
            SourceEvent::Advanced => {}
            SourceEvent::End => turn.ended = true,
        }
        Ok(())
    }

    /// Numbers the frame's rows and hands each batch to the tables it is routed to.
    async fn pass(&mut self, frame: Frame) -> Result<()> {
        let first_seq = self.next_seq;
        self.next_seq = first_seq
            .checked_add(u64::from(frame.ordinals))
            .filter(|next| i64::try_from(*next).is_ok())
            .ok_or_else(|| Error::internal("the pipeline has numbered 2^63 rows"))?;
        let (mut copied, mut changes) = (0, 0);
        for batch in frame.batches {
            match batch.ops {
                Ops::All(Op::Read) => copied += batch.len() as u64,
                _ => changes += batch.len() as u64,
            }
            let mut routes: Vec<Arc<TableSchema>> = self.router.route(&batch.schema)?.to_vec();
            let last = routes.pop();
            for schema in routes {
                self.writers.write(ChangeBatch { schema, first_seq, ..batch.clone() }).await?;
            }
            if let Some(schema) = last {
                self.writers.write(ChangeBatch { schema, first_seq, ..batch }).await?;
            }
        }
        self.status.update(|status| {
            status.rows_copied += copied;
            status.changes += changes;
        });
        Ok(())
    }

    async fn change_schema(&mut self, change: &SchemaChange) -> Result<()> {
        match change {
            SchemaChange::Create(schema) => self.table(schema).await,
            other => Err(Error::internal(format!(
                "a change of table \"{}\" came ahead of its support",
                other.table()
            ))),
        }
    }

    async fn table(&mut self, schema: &Arc<TableSchema>) -> Result<()> {
        for sink_schema in self.router.learn(schema)?.to_vec() {
            let create = SchemaChange::Create(Arc::clone(&sink_schema));
            if let Applied::Unsupported(why) = self.checkpoints.apply(create).await? {
                return Err(Error::operator(why));
            }
            self.writers.schema(&sink_schema).await?;
        }
        Ok(())
    }

    fn quarantined(&mut self, stopped: &QuarantinedTable) -> Result<()> {
        if self.on_error == TableErrorPolicy::Stop {
            return Err(Error::data(
                stopped.table.clone(),
                format!("table \"{}\" stopped", stopped.table),
            )
            .detail(stopped.reason.clone())
            .hint(stopped.remedy.clone()));
        }
        tracing::error!(
            table = %stopped.table,
            reason = %stopped.reason,
            remedy = %stopped.remedy,
            "table quarantined, the others go on"
        );
        Ok(())
    }

    /// Cuts a barrier here: the writers flush, and the checkpoint is stored and committed beside the flow.
    async fn cut_barrier(&mut self, turn: &mut Turn) -> Result<()> {
        let source_state = self.source.state()?;
        let id: CheckpointId = self.checkpoints.next_id();
        let staged = self.writers.flush(id).await?;
        let progress = self.source.progress();
        let barrier = Barrier {
            id,
            phase: progress.phase,
            source_state,
            quarantined: progress.quarantined,
            next_seq: self.next_seq,
            tables: self.router.fingerprints(),
        };
        self.checkpoints.submit(barrier, staged, self.writers.failure())?;
        turn.dirty = false;
        turn.barrier_due = Instant::now() + self.policy.interval;
        Ok(())
    }

    fn publish(&mut self, turn: &mut Turn) {
        let progress = self.source.progress();
        self.status.update(|status| status.source = progress);
        turn.status_due = Instant::now() + STATUS_EVERY;
    }
}
