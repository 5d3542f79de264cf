//! The main loop of a run: pulls events from the source, numbers and routes rows, hands them to the writers, and cuts
//! barriers at transaction boundaries (correctness §5). The only place that decides when a checkpoint is taken.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use cdc_api::{
    Applied, ChangeBatch, CheckpointId, Error, EventSource, Frame, Op, Ops, QuarantinedTable,
    Result, SchemaChange, SourceEvent, TableId, TableSchema,
};

use crate::{
    commit::{Barrier, Changes, Checkpoints, Outcome},
    definition::TableErrorPolicy,
    runtime::Shutdown,
    schema::{ChangeSet, Next, Pause, Registry, SinkChange, by_seq},
    sink::Writers,
    telemetry::StatusCell,
    transform::Transforms,
};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Somebody asked for the end, and everything is committed.
    Drained,
    /// A bounded source is through, and everything is committed.
    Finished,
}

/// Sink tables that an earlier attempt could not write, and why.
pub(crate) type Refused = HashMap<TableId, Arc<Error>>;

/// When barriers are cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BarrierPolicy {
    /// The time between two.
    pub(crate) interval: std::time::Duration,
}

/// One run from open source to its end.
pub(crate) struct Ingest {
    pub(crate) source: Box<dyn EventSource>,
    pub(crate) transforms: Transforms,
    pub(crate) registry: Registry,
    /// Who waits while sink tables change.
    pub(crate) pause: Pause<SinkChange, ChangeBatch>,
    pub(crate) writers: Writers,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) changes: Changes,
    /// Tables that the engine stopped: what is on its way of them is dropped.
    pub(crate) stopped: HashSet<TableId>,
    /// Tables that feed one of these stop before a row of them is written.
    pub(crate) refused: Refused,
    pub(crate) policy: BarrierPolicy,
    pub(crate) on_error: TableErrorPolicy,
    pub(crate) shutdown: Shutdown,
    pub(crate) status: StatusCell,
    /// The number that the next frame's first ordinal gets.
    pub(crate) next_seq: u64,
}

/// A batch behind transforms and routes.
struct Brought {
    /// How many of the source's changes are in it; an update's two images are one.
    changes: usize,
    routed: Vec<ChangeBatch>,
    /// Why the rest is not.
    failure: Option<Error>,
}

/// News of tables that came while sink tables change: what they mean depends on what becomes of that change.
#[derive(Debug)]
enum Deferred {
    Resumed(Arc<TableSchema>),
    Changed(Vec<SchemaChange>),
}

/// What the loop knows between two events.
struct Turn {
    /// The last event left the source at a transaction boundary.
    at_boundary: bool,
    /// Something came since the last barrier that a checkpoint would keep.
    dirty: bool,
    /// The source said that nothing follows.
    ended: bool,
    /// Nothing is read while it waits.
    deferred: Option<Deferred>,
    barrier_due: Instant,
    status_due: Instant,
}

impl Turn {
    /// What was read so far is what a checkpoint would keep.
    fn may_cut(&self) -> bool {
        self.at_boundary && self.deferred.is_none()
    }
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
            deferred: None,
            barrier_due: now + self.policy.interval,
            status_due: now,
        };
        loop {
            let draining = self.shutdown.is_requested();
            let finishing = turn.ended || (draining && turn.at_boundary);
            if turn.may_cut() && self.pause.may_cut() && !self.checkpoints.in_flight() {
                if finishing && !turn.dirty {
                    break;
                }
                if turn.dirty && (finishing || Instant::now() >= turn.barrier_due) {
                    self.cut_barrier(&mut turn, Vec::new()).await?;
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
        let barrier_may_come =
            turn.dirty && turn.may_cut() && self.pause.may_cut() && !self.checkpoints.in_flight();
        let may_read = !finishing && turn.deferred.is_none() && self.pause.may_read();
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
                let next = self.pause.committed(committed.id);
                self.follow(next, turn).await?;
                self.resume(turn).await?;
            }
            applied = self.changes.finished() => self.applied(applied?, turn).await?,
            failure = self.writers.failed() => return Err(failure),
            () = self.shutdown.requested(), if !draining => {}
            () = tokio::time::sleep_until(barrier_due), if barrier_may_come => {}
            event = self.source.next(), if may_read => self.take(event?, turn).await?,
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
            SourceEvent::Resumed(schema) => {
                self.news(Deferred::Resumed(schema), turn).await?;
            }
            SourceEvent::Schema(changes) => {
                self.news(Deferred::Changed(changes), turn).await?;
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
        let mut merged: BTreeMap<TableId, Vec<ChangeBatch>> = BTreeMap::new();
        for batch in frame.batches {
            if self.stopped.contains(batch.schema.id()) {
                continue;
            }
            let is_copied = matches!(batch.ops, Ops::All(Op::Read));
            let Brought { changes: count, routed, failure } =
                self.bring(ChangeBatch { first_seq, ..batch });
            if self.refuses(routed.iter().map(|batch| batch.schema.id())) {
                continue;
            }
            if is_copied {
                copied += count as u64;
            } else {
                changes += count as u64;
            }
            for batch in routed {
                if self.registry.is_merged(batch.schema.id()) {
                    merged.entry(batch.schema.id().clone()).or_default().push(batch);
                } else {
                    self.write(batch).await?;
                }
            }
            if let Some(error) = failure {
                self.stop_table(error)?;
            }
        }
        for batches in merged.into_values() {
            if let Some(batch) = by_seq(batches)? {
                self.write(batch).await?;
            }
        }
        self.status.update(|status| {
            status.rows_copied += copied;
            status.changes += changes;
            status.held_bytes = self.pause.held_bytes();
        });
        Ok(())
    }

    /// A batch as its sink tables take it. Where a row has no form there, the rows ahead of it go on.
    fn bring(&self, batch: ChangeBatch) -> Brought {
        match self.through(batch.clone()) {
            Ok(routed) => {
                let changes = count_of(&batch, batch.len());
                Brought { changes, routed, failure: None }
            }
            Err(error) if error.table().is_some() => {
                let (rows, routed) = self.ahead_of_failure(&batch);
                let changes = count_of(&batch, rows);
                Brought { changes, routed, failure: Some(error) }
            }
            Err(error) => Brought { changes: 0, routed: Vec::new(), failure: Some(error) },
        }
    }

    fn through(&self, batch: ChangeBatch) -> Result<Vec<ChangeBatch>> {
        match self.transforms.rows(batch)? {
            Some(batch) => self.registry.route(batch),
            None => Ok(Vec::new()),
        }
    }

    /// The most rows that pass of a batch that does not, found by halving: each row passes or fails by itself.
    fn ahead_of_failure(&self, batch: &ChangeBatch) -> (usize, Vec<ChangeBatch>) {
        let cuts = batch.cuts();
        let (mut passes, mut fails) = (0, cuts.len().saturating_sub(1));
        let mut best = (0, Vec::new());
        while fails - passes > 1 {
            let middle = passes + (fails - passes) / 2;
            match self.through(batch.head(cuts[middle])) {
                Ok(routed) => {
                    passes = middle;
                    best = (cuts[middle], routed);
                }
                Err(_) => fails = middle,
            }
        }
        best
    }

    /// Hands rows to their writer, unless their table is changing.
    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        let (table, bytes) = (batch.schema.id().clone(), batch.bytes());
        match self.pause.rows(&table, bytes, batch) {
            Some(batch) => self.writers.write(batch).await,
            None => Ok(()),
        }
    }

    /// Tables changed or go on; while sink tables change, that waits.
    async fn news(&mut self, news: Deferred, turn: &mut Turn) -> Result<()> {
        if !self.pause.is_open() {
            turn.deferred = Some(news);
            return Ok(());
        }
        match news {
            Deferred::Resumed(schema) => self.resumed(&schema, turn).await,
            Deferred::Changed(changes) => self.change_tables(&changes, turn).await,
        }
    }

    /// A table goes on as it was.
    async fn resumed(&mut self, schema: &Arc<TableSchema>, turn: &mut Turn) -> Result<()> {
        let resumed =
            self.transforms.schema(schema).and_then(|schema| self.registry.resumed(&schema));
        let changes = match resumed {
            Ok(changes) => changes,
            Err(error) => return self.stop_table(error),
        };
        let sinks = self.registry.sinks_of_source(schema.id());
        if self.refuses(sinks.iter().map(|sink| sink.id())) {
            return Ok(());
        }
        for sink in sinks {
            self.writers.schema(&sink).await?;
        }
        self.change_sinks(changes, turn).await
    }

    /// What happened to source tables, brought to the sink tables.
    async fn change_tables(&mut self, changes: &[SchemaChange], turn: &mut Turn) -> Result<()> {
        let mut sink_changes = Vec::new();
        for change in changes {
            if matches!(change, SchemaChange::Create(_) | SchemaChange::Recreate { .. }) {
                self.stopped.remove(change.table());
            }
            if self.stopped.contains(change.table()) {
                continue;
            }
            let changed = self.transforms.change(change).and_then(|change| match change {
                Some(change) => self.registry.change(&change),
                None => Ok(Vec::new()),
            });
            match changed {
                Ok(changes) => sink_changes.extend(changes),
                Err(error) => self.stop_table(error)?,
            }
        }
        self.change_sinks(sink_changes, turn).await
    }

    async fn change_sinks(&mut self, mut changes: Vec<SinkChange>, turn: &mut Turn) -> Result<()> {
        changes.retain(|change| !self.refuses([change.change.table()].into_iter()));
        if changes.is_empty() {
            return Ok(());
        }
        let set = ChangeSet {
            tables: changes.iter().map(|change| change.change.table().clone()).collect(),
            needs_commit: changes.iter().any(|change| !change.is_additive),
            changes,
        };
        let next = self.pause.change(set, self.checkpoints.has_room());
        self.follow(next, turn).await
    }

    /// What waited may begin.
    async fn resume(&mut self, turn: &mut Turn) -> Result<()> {
        let next = self.pause.resume(self.checkpoints.has_room());
        self.follow(next, turn).await?;
        match turn.deferred.take() {
            Some(news) => self.news(news, turn).await,
            None => Ok(()),
        }
    }

    async fn follow(&mut self, next: Next<SinkChange>, turn: &mut Turn) -> Result<()> {
        match next {
            Next::Wait => Ok(()),
            Next::Barrier(pending) => {
                let pending = pending.into_iter().filter(|change| !change.is_quiet);
                let pending = pending.map(|change| change.change).collect();
                let id = self.cut_barrier(turn, pending).await?;
                self.pause.barrier_cut(id);
                Ok(())
            }
            Next::Apply(changes) => self.changes.apply(changes),
        }
    }

    /// Sink tables have changed: the writers hear of it, and what was held goes on.
    async fn applied(
        &mut self,
        applied: Vec<(SinkChange, Outcome)>,
        turn: &mut Turn,
    ) -> Result<()> {
        for (change, outcome) in applied {
            let table = change.change.table();
            let mut schema = change.change.after().cloned();
            match outcome {
                Ok(Applied::Done) => {
                    let kinds = change.kinds.join(", ");
                    tracing::info!(%table, change = kinds, "schema change applied");
                    self.status.update(|status| status.schema_changes += 1);
                }
                Ok(Applied::Unsupported(why)) => {
                    let kept = self.registry.reject(&change.change, &why)?;
                    schema = kept.or_else(|| self.registry.sink_schema(table).cloned());
                    self.status.update(|status| status.schema_changes_unsupported += 1);
                }
                // The sink cannot take this table; the tables that feed it stop.
                Err(error) => self.stop_feeders(table, &error),
            }
            if let Some(schema) = schema {
                self.writers.schema(&schema).await?;
            }
        }
        for batch in self.pause.applied() {
            let table = batch.schema.id().clone();
            match self.registry.fitted(batch) {
                Ok(batch) => self.writers.write(batch).await?,
                Err(error) => self.stop_feeders(&table, &error),
            }
        }
        self.status.update(|status| status.held_bytes = 0);
        self.resume(turn).await
    }

    /// A table whose data cannot go on stops by its policy; every other error ends the run.
    fn stop_table(&mut self, error: Error) -> Result<()> {
        let Some(table) = error.table().cloned() else { return Err(error) };
        self.stop_one(table, &error);
        Ok(())
    }

    /// Whether one of these sink tables cannot be written; what feeds it stops then.
    fn refuses<'a>(&mut self, mut sinks: impl Iterator<Item = &'a TableId>) -> bool {
        let Some((table, error)) =
            sinks.find_map(|sink| self.refused.get(sink).map(|error| (sink, Arc::clone(error))))
        else {
            return false;
        };
        self.stop_feeders(table, &error);
        true
    }

    /// The tables that feed a sink table which cannot be written stop.
    fn stop_feeders(&mut self, sink: &TableId, error: &Error) {
        for source in self.registry.feeders(sink) {
            self.stop_one(source, error);
        }
    }

    fn stop_one(&mut self, table: TableId, error: &Error) {
        let remedy = error.hint_text().unwrap_or("leave the table out with `tables.exclude`");
        self.source.quarantine(&table, &error.to_string(), remedy);
        self.stopped.insert(table);
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
    async fn cut_barrier(
        &mut self,
        turn: &mut Turn,
        pending: Vec<SchemaChange>,
    ) -> Result<CheckpointId> {
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
            tables: self.registry.state(),
            pending,
        };
        self.checkpoints.submit(barrier, staged)?;
        turn.dirty = false;
        turn.barrier_due = Instant::now() + self.policy.interval;
        Ok(id)
    }

    fn publish(&mut self, turn: &mut Turn) {
        let progress = self.source.progress();
        self.status.update(|status| status.source = progress);
        turn.status_due = Instant::now() + STATUS_EVERY;
    }
}

/// The changes in the first `rows` of a batch.
fn count_of(batch: &ChangeBatch, rows: usize) -> usize {
    match &batch.ops {
        Ops::All(_) => rows,
        Ops::Each(ops) => ops.iter().take(rows).filter(|op| **op != Op::UpdateBefore).count(),
    }
}

#[cfg(test)]
mod tests;
