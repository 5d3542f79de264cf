//! The running source: takes frames of the log and chunks of the snapshot, asks the machine what becomes of each row, and
//! gives events. All decisions are made synchronously between two awaits, so a dropped `next` loses nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use async_trait::async_trait;
use cdc_api::{
    ChangeBatch, Error, EventSource, Frame, Op, Ops, Ordinals, QuarantinedTable, Result,
    SchemaChange, SourceEvent, SourcePhase, SourceProgress, SourceState, TableId, TableSchema,
    TxnSpan,
};
use cdc_incremental::{
    Bound, ChunkRead, Completed, Operation, RangeId, ReadOutcome, Snapshot, TableKey, TableState,
    Verdict,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    CapturedTable, Catalog, TableChange,
    range_rows::{self, KeptRow},
    state::{Known, State, TableState as SavedTable},
    xa_gate::XaGate,
};
use crate::{
    keys::KeyLiteral,
    log::{LogBatch, LogFrame, LogItem, StopScope},
    position::{Gtids, LogPosition, ServerIdentity, SourcePosition},
    snapshot::{ChunkDone, ChunkJob, ChunkOutcome, ChunkReaders, ChunkRows},
};

/// The machine as this source uses it.
pub(crate) type Machine = Snapshot<LogPosition, KeyLiteral, KeptRow>;

/// Ranges are opened only while reader and log end are at most this far apart …
const GAP_BYTES_MAX: u64 = 64 << 20;
/// … or what the reader passed in this time, if that is more (correctness §2, "Memory").
const GAP_TIME: Duration = Duration::from_secs(2);
/// Ranges opened beyond the number of chunk readers, so that no reader waits for its next one.
const RANGES_AHEAD: usize = 1;
/// A table whose chunk fails this often although the reader has passed the failure's log end is quarantined.
const FAILURES_MAX: u32 = 3;

/// The source while it runs.
pub(crate) struct MySqlSource {
    /// The tables as of the reader.
    pub(crate) catalog: Catalog,
    pub(crate) machine: Machine,
    pub(crate) gtids: Gtids,
    /// `gtids` as text, until the next transaction passes.
    pub(crate) gtids_text: Option<Arc<str>>,
    pub(crate) identity: ServerIdentity,
    pub(crate) items: mpsc::Receiver<LogItem>,
    pub(crate) chunks: ChunkReaders,
    pub(crate) gate: watch::Receiver<XaGate>,
    /// Rows of Read ranges.
    pub(crate) held: HashMap<RangeId, ChunkRows>,
    pub(crate) in_flight: usize,
    /// Tables whose definition holds from further on only; the machine gets them there.
    pub(crate) waiting: Vec<Waiting>,
    /// Events to give; the state belongs behind the last of them.
    pub(crate) out: VecDeque<SourceEvent>,
    pub(crate) quarantined: Vec<QuarantinedTable>,
    pub(crate) troubles: HashMap<TableKey, Trouble>,
    pub(crate) bounded: bool,
    /// Nothing is copied (`latest-offset`): a table is Done as soon as the reader is past what was logged when it was
    /// met.
    pub(crate) copies: bool,
    /// With `latest-offset`, until the reader is past what was logged when it started.
    pub(crate) from_latest: bool,
    pub(crate) ended: bool,
    pub(crate) stats: Stats,
    /// Dropping it ends the tasks.
    pub(crate) tasks: JoinSet<()>,
}

/// A table that begins when the reader gets to its definition.
pub(crate) struct Waiting {
    pub(crate) table: Arc<CapturedTable>,
    pub(crate) cuts: Vec<Bound<KeyLiteral>>,
}

/// What went wrong with a table's chunks so far.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Refused by row locks.
    pub(crate) refusals: u32,
    failures: u32,
    /// Only failures with the reader behind this count.
    wait_until: Option<LogPosition>,
}

/// Numbers for the display, and for the gap to the log's end.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) rows_read: u64,
    pub(crate) rows_estimated: u64,
    pub(crate) last_commit_ts_us: Option<i64>,
    /// The log's end as last seen by a chunk reader.
    pub(crate) log_end: Option<LogPosition>,
    window: (Instant, u64),
    passed_recently: u64,
    waiting: Option<String>,
}

impl Stats {
    pub(crate) fn new(rows_estimated: u64) -> Self {
        Stats {
            rows_read: 0,
            rows_estimated,
            last_commit_ts_us: None,
            log_end: None,
            window: (Instant::now(), 0),
            passed_recently: 0,
            waiting: None,
        }
    }

    fn passed(&mut self, log_bytes: u64) {
        self.window.1 += log_bytes;
        if self.window.0.elapsed() >= GAP_TIME {
            self.passed_recently = self.window.1;
            self.window = (Instant::now(), 0);
        }
    }
}

#[async_trait]
impl EventSource for MySqlSource {
    async fn next(&mut self) -> Result<SourceEvent> {
        loop {
            if let Some(event) = self.out.pop_front() {
                return Ok(event);
            }
            if self.ended {
                std::future::pending::<()>().await;
            }
            if self.bounded && !self.is_copying() && !self.machine.is_inside_transaction() {
                self.ended = true;
                return Ok(SourceEvent::End);
            }
            self.open_ranges()?;
            tokio::select! {
                item = self.items.recv() => match item {
                    Some(item) => self.take_item(item)?,
                    None => return Err(Error::internal("the log reader ended without an error")),
                },
                Some(done) = self.chunks.next() => self.take_chunk(done)?,
                changed = self.gate.changed(), if *self.gate.borrow() != XaGate::Open => {
                    if changed.is_err() && *self.gate.borrow() != XaGate::Open {
                        return Err(Error::internal("the watch over XA transactions ended"));
                    }
                }
            }
        }
    }

    fn state(&self) -> Result<SourceState> {
        let position = SourcePosition {
            log: self.machine.position().clone(),
            gtids: self.gtids.clone(),
            server: self.identity.clone(),
        };
        let tables = self
            .catalog
            .tables()
            // One whose definition holds from further on is found anew by the next start.
            .filter(|table| !table.is_stopped() && table.is_valid_at(self.machine.position()))
            .map(|table| SavedTable {
                meta: table.meta.clone(),
                known: Some(Known::of(&table.definition)),
                version: table.schema().version(),
                key_columns: table.key_columns.clone(),
                done: self.machine.done(table.key),
            })
            .collect();
        State::new(position, tables, self.quarantined.clone()).to_json()
    }

    async fn acknowledge(&mut self, _state: &SourceState) -> Result<()> {
        // A MySQL server keeps its log by time, whatever its readers have read.
        Ok(())
    }

    fn quarantine(&mut self, table: &TableId, reason: &str, remedy: &str) {
        let found = self.catalog.tables().find(|captured| captured.id() == table).cloned();
        if let Some(captured) = found {
            self.stop_table(&captured, reason, remedy);
        }
    }

    fn progress(&self) -> SourceProgress {
        let machine = self.machine.progress();
        let copying = self.is_copying();
        SourceProgress {
            phase: if copying { SourcePhase::Snapshot } else { SourcePhase::Streaming },
            tables: machine.tables,
            tables_done: machine.tables_done,
            rows_read: self.stats.rows_read,
            rows_estimated: self.stats.rows_estimated,
            position: self.machine.position().to_string(),
            last_commit_ts_us: self.stats.last_commit_ts_us,
            caught_up: self.items.is_empty(),
            waiting: self.stats.waiting.clone().filter(|_| copying),
            quarantined: self.quarantined.clone(),
            nulled: self.catalog.tables().flat_map(|table| table.nulled()).collect(),
        }
    }
}

impl MySqlSource {
    // ---- the log -------------------------------------------------------------------------------

    fn take_item(&mut self, item: LogItem) -> Result<()> {
        match item {
            LogItem::Frame(frame) => self.take_frame(frame),
            LogItem::Stop { tables, reason, remedy, scope } => {
                for table in tables {
                    let untouched = self.machine.table_state(table.key) == TableState::AllUnread;
                    if scope == StopScope::Always || !untouched {
                        self.stop_table(&table, &reason, &remedy);
                    }
                }
                Ok(())
            }
            LogItem::OtherServer { identity, position, log_end } => {
                tracing::warn!(server = %identity, "another server answers; ranges that are being copied start again");
                self.identity = identity;
                for range in self.machine.relocate(position, log_end) {
                    self.held.remove(&range);
                }
                self.stats.log_end = None;
                Ok(())
            }
            LogItem::Failed(error) => Err(error),
        }
    }

    fn take_frame(&mut self, frame: LogFrame) -> Result<()> {
        let LogFrame {
            batches,
            txns,
            ordinals,
            end,
            boundary,
            passed,
            commit_ts_us,
            log_bytes,
            changes,
        } = frame;
        let txns: Arc<[TxnSpan]> = txns.into();
        let mut emitted = Vec::with_capacity(batches.len());
        for batch in batches {
            emitted.extend(if self.from_latest {
                self.behind_start(batch, &txns)?
            } else {
                self.sift(batch, &txns, &end)?
            });
        }
        let has_rows = !emitted.is_empty();
        if has_rows {
            let frame = Frame { batches: emitted, ordinals, boundary: false, log_bytes };
            self.out.push_back(SourceEvent::Frame(frame));
        }
        for run in &passed {
            self.gtids.pass(run);
            self.gtids_text = None;
        }
        self.stats.passed(log_bytes);
        if commit_ts_us.is_some() {
            self.stats.last_commit_ts_us = commit_ts_us;
        }
        if !boundary {
            self.machine.enter();
            return Ok(());
        }
        let moved = end != *self.machine.position();
        // Ahead of the boundary: a range that is read across a change of its table is read again (correctness §6).
        let changes = self.change_tables(changes, &end)?;
        let completed = self.machine.boundary(end);
        self.emit(completed)?;
        self.begin_waiting()?;
        if self.from_latest && !self.machine.is_held() {
            self.start_at_latest();
        }
        // Last, since the state that is asked for behind an event is the one behind all of them.
        if !changes.is_empty() {
            self.out.push_back(SourceEvent::Schema(changes));
        } else if !self.mark_boundary() && moved {
            self.out.push_back(SourceEvent::Advanced);
        }
        Ok(())
    }

    /// Whether anything is left to copy.
    fn is_copying(&self) -> bool {
        !self.machine.is_done() || !self.waiting.is_empty()
    }

    /// What the log said of tables, up to `end`.
    fn change_tables(
        &mut self,
        changes: Vec<TableChange>,
        end: &LogPosition,
    ) -> Result<Vec<SchemaChange>> {
        let mut told = Vec::with_capacity(changes.len());
        for change in changes {
            change.apply(&mut self.catalog);
            match change {
                TableChange::Begin { table, replaces, born, cuts, why } => {
                    told.push(self.begin_table(table, replaces, born, cuts, &why, end)?);
                }
                TableChange::Alter { before, table } => {
                    let dropped = self.machine.hand_back_table(table.key);
                    self.forget(&dropped);
                    self.troubles.remove(&table.key);
                    tracing::info!(table = %table.id(), version = table.schema().version(), position = %end, "table altered");
                    let (before, after) = (before.schema(), table.schema());
                    if !means_the_same(before, after) {
                        let (before, after) = (Arc::clone(before), Arc::clone(after));
                        told.push(SchemaChange::Alter { before, after });
                    }
                }
                TableChange::Truncate(table) => {
                    let dropped = self.machine.hand_back_table(table.key);
                    self.forget(&dropped);
                    tracing::info!(table = %table.id(), position = %end, "table truncated");
                    told.push(SchemaChange::Truncate(Arc::clone(table.schema())));
                }
                TableChange::Drop(table) => {
                    self.remove(&table);
                    self.quarantined.retain(|stopped| stopped.table != *table.id());
                    tracing::info!(table = %table.id(), position = %end, "table dropped");
                    told.push(SchemaChange::Drop(Arc::clone(table.schema())));
                }
                TableChange::Stop { id, table, reason, remedy } => match table {
                    Some(table) => self.stop_table(&table, &reason, &remedy),
                    None => self.stop(QuarantinedTable { table: id, reason, remedy }),
                },
            }
        }
        Ok(told)
    }

    fn begin_table(
        &mut self,
        table: Arc<CapturedTable>,
        replaces: Option<Arc<CapturedTable>>,
        born: bool,
        cuts: Vec<Bound<KeyLiteral>>,
        why: &str,
        end: &LogPosition,
    ) -> Result<SchemaChange> {
        if let Some(replaced) = &replaces {
            self.remove(replaced);
        }
        self.quarantined.retain(|stopped| stopped.table != *table.id());
        tracing::info!(table = %table.id(), why, born, position = %end, "table begins");
        let after = Arc::clone(table.schema());
        if born && self.copies && !self.machine.is_held() {
            let _none = self.machine.mark_table_done(table.key);
            table.set_done();
        } else if table.is_valid_at(end) && (self.copies || self.from_latest) {
            // Before the opening hold ends the log may still bring what is older than what it left out.
            self.add(&table, cuts)?;
        } else {
            self.waiting.push(Waiting { table, cuts });
        }
        Ok(match replaces {
            Some(before) => SchemaChange::Recreate { before: Arc::clone(before.schema()), after },
            None => SchemaChange::Create(after),
        })
    }

    /// Takes a table out of the machine.
    fn remove(&mut self, table: &Arc<CapturedTable>) {
        let dropped = self.machine.remove_table(table.key);
        self.forget(&dropped);
        self.waiting.retain(|waiting| waiting.table.key != table.key);
        self.troubles.remove(&table.key);
    }

    fn add(&mut self, table: &Arc<CapturedTable>, cuts: Vec<Bound<KeyLiteral>>) -> Result<()> {
        self.stats.rows_estimated += table.meta.rows_estimated.unwrap_or_default();
        self.machine
            .add_table(table.key, cuts, Vec::new())
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// Tables begin whose definition holds where the reader stands.
    fn begin_waiting(&mut self) -> Result<()> {
        let position = self.machine.position().clone();
        let is_there = |waiting: &mut Waiting| waiting.table.is_valid_at(&position);
        let there: Vec<Waiting> = self.waiting.extract_if(.., is_there).collect();
        for Waiting { table, cuts } in there {
            if self.copies {
                self.add(&table, cuts)?;
            } else {
                let _none = self.machine.mark_table_done(table.key);
                table.set_done();
            }
        }
        Ok(())
    }

    /// Of a batch, the transactions that were logged after the start: `latest-offset` begins at a transaction, wherever
    /// the frame ends that holds it.
    fn behind_start(&self, batch: LogBatch, txns: &Arc<[TxnSpan]>) -> Result<Option<ChangeBatch>> {
        if batch.table.is_stopped() {
            return Ok(None);
        }
        let (Some(start), false) = (
            self.machine.held_until(),
            self.machine.table_state(batch.table.key) == TableState::AllDone,
        ) else {
            return Ok(Some(change_batch(batch, txns)));
        };
        let mut is_behind = Vec::with_capacity(txns.len());
        for span in txns.iter() {
            let end = LogPosition::new(Arc::clone(&span.file), span.pos)
                .map_err(|error| Error::internal(error.to_string()))?;
            is_behind.push(end > *start);
        }
        let keep: Vec<bool> = batch
            .ordinals
            .iter()
            .map(|ordinal| {
                let next = txns.partition_point(|span| span.first_ordinal <= *ordinal);
                next.checked_sub(1).is_some_and(|at| is_behind[at])
            })
            .collect();
        if keep.iter().all(|keep| !keep) {
            return Ok(None);
        }
        Ok(Some(change_batch(crate::log::select(batch, &keep), txns)))
    }

    /// Nothing is copied: from here on every change is passed on. Not while the machine is held.
    pub(crate) fn start_at_latest(&mut self) {
        self.from_latest = false;
        for table in self.catalog.tables().filter(|table| !table.is_stopped()) {
            if self.waiting.iter().any(|waiting| waiting.table.key == table.key) {
                continue;
            }
            // No range of it was ever opened.
            let _none = self.machine.mark_table_done(table.key);
            table.set_done();
        }
    }

    /// The last frame that waits ends where the reader stands. False when none waits.
    fn mark_boundary(&mut self) -> bool {
        match self.out.back_mut() {
            Some(SourceEvent::Frame(frame)) => {
                frame.boundary = true;
                true
            }
            _ => false,
        }
    }

    /// What of a batch is passed on (correctness §2, the table of states).
    fn sift(
        &mut self,
        batch: LogBatch,
        txns: &Arc<[TxnSpan]>,
        end: &LogPosition,
    ) -> Result<Option<ChangeBatch>> {
        if batch.table.is_stopped() {
            return Ok(None);
        }
        match self.machine.table_state(batch.table.key) {
            TableState::AllDone => Ok(Some(change_batch(batch, txns))),
            TableState::AllUnread if !self.machine.passes_deletes() => Ok(None),
            TableState::AllUnread | TableState::Mixed => self.sift_by_key(batch, txns, end),
        }
    }

    #[cfg_attr(
        not(debug_assertions),
        expect(unused_variables, reason = "only the broken proof asks")
    )]
    fn sift_by_key(
        &mut self,
        batch: LogBatch,
        txns: &Arc<[TxnSpan]>,
        end: &LogPosition,
    ) -> Result<Option<ChangeBatch>> {
        let table = Arc::clone(&batch.table);
        let Some(keys) = &batch.keys else {
            return Err(Error::internal(format!(
                "rows of table \"{}\" came without keys",
                table.id()
            )));
        };
        // Kept images go into a batch of their own, so that one kept row does not hold a whole frame.
        let verdicts: Vec<Verdict> = (0..keys.len())
            .map(|row| self.machine.verdict(table.key, keys.get(row), operation(batch.ops[row])))
            .collect();
        let is_kept_image = |row: usize| {
            verdicts[row].is_kept() && matches!(batch.ops[row], Op::Insert | Op::UpdateAfter)
        };
        let mask: BooleanArray = (0..keys.len()).map(|row| Some(is_kept_image(row))).collect();
        let kept_rows = mask.true_count();
        let kept = Arc::new(filtered(&batch.rows, &mask)?);
        let bytes_a_row = (kept.get_array_memory_size() / kept_rows.max(1)) as u64;
        let mut kept_at = 0;
        for (row, verdict) in verdicts.iter().enumerate().filter(|(_, verdict)| verdict.is_kept()) {
            let key = keys.get(row);
            let applied = match batch.ops[row] {
                Op::UpdateBefore => continue,
                Op::Delete => self.machine.delete(table.key, key),
                Op::Read | Op::Insert | Op::UpdateAfter => {
                    let at = kept_at;
                    kept_at += 1;
                    let image = || KeptRow {
                        rows: Arc::clone(&kept),
                        at,
                        #[cfg(debug_assertions)]
                        logged_at: end.clone(),
                    };
                    self.machine.put(table.key, key, bytes_a_row, image)
                }
            };
            debug_assert!(applied.verdict == *verdict || !applied.verdict.is_kept());
            self.forget(&applied.handed_back);
        }
        self.machine.enter();
        let emit: Vec<bool> = verdicts.iter().map(|verdict| verdict.is_emitted()).collect();
        if emit.iter().all(|emit| !emit) {
            return Ok(None);
        }
        let batch =
            if emit.iter().all(|emit| *emit) { batch } else { crate::log::select(batch, &emit) };
        Ok(Some(change_batch(batch, txns)))
    }

    // ---- the snapshot --------------------------------------------------------------------------

    /// Opens ranges and hands them to the readers, where the rules allow it.
    fn open_ranges(&mut self) -> Result<()> {
        self.stats.waiting = None;
        if self.machine.is_done() {
            if self.in_flight == 0 {
                self.chunks.rest();
            }
            return Ok(());
        }
        if self.from_latest
            || self.machine.is_inside_transaction()
            || self.in_flight >= self.chunks.readers() + RANGES_AHEAD
        {
            return Ok(());
        }
        match self.gate.borrow().clone() {
            XaGate::Open => {}
            XaGate::Waiting(left) => {
                self.stats.waiting =
                    Some(format!("snapshot waits for {left} prepared XA transactions to end"));
                return Ok(());
            }
            XaGate::Failed(why) => return Err(Error::transient("XA RECOVER failed").detail(why)),
        }
        let behind = self.bytes_behind();
        if behind > GAP_BYTES_MAX.max(self.stats.passed_recently) {
            self.stats.waiting =
                Some(format!("snapshot waits for the log, {} MiB behind", behind >> 20));
            return Ok(());
        }
        while self.in_flight < self.chunks.readers() + RANGES_AHEAD {
            let Some(opened) = self.machine.open() else { break };
            let job = ChunkJob {
                range: opened.range,
                table: self.table(opened.table)?,
                interval: opened.interval,
                rows_max: opened.rows_max,
                bytes_max: opened.bytes_max,
                at: opened.at,
                passed: self.passed_text(),
                refusals: self.troubles.get(&opened.table).map_or(0, |trouble| trouble.refusals),
            };
            self.chunks.ask(job, &mut self.tasks)?;
            self.in_flight += 1;
        }
        Ok(())
    }

    fn table(&self, key: TableKey) -> Result<Arc<CapturedTable>> {
        let found = self.catalog.get(key).cloned();
        found.ok_or_else(|| Error::internal("a range belongs to a table that is not captured"))
    }

    fn passed_text(&mut self) -> Arc<str> {
        let gtids = &self.gtids;
        let text = self.gtids_text.get_or_insert_with(|| match gtids {
            Gtids::MySql(set) => set.to_string().into(),
            Gtids::MariaDb(_) | Gtids::None => "".into(),
        });
        Arc::clone(text)
    }

    /// How far the log's end, as last seen, is ahead. A file that is not the reader's counts as a full one.
    fn bytes_behind(&self) -> u64 {
        let Some(end) = &self.stats.log_end else { return 0 };
        let reader = self.machine.position();
        if end <= reader {
            return 0;
        }
        match end.file_number() - reader.file_number() {
            0 => end.offset() - reader.offset(),
            // The stream's first position may be unknown (offset 0 of the first file) until it has moved.
            _ if reader.offset() == 0 => 0,
            files => (files << 30) + end.offset(),
        }
    }

    fn take_chunk(&mut self, done: ChunkDone) -> Result<()> {
        self.in_flight -= 1;
        let table = done.table;
        match done.outcome {
            ChunkOutcome::Read(rows) => return self.take_rows(done.range, &table, rows),
            ChunkOutcome::Locked => {
                self.troubles.entry(table.key).or_default().refusals += 1;
                self.machine.hand_back(done.range, true);
            }
            ChunkOutcome::Broken(error) => {
                tracing::warn!(table = %table.id(), error = %error, "a chunk's connection broke, reading it again");
                self.machine.hand_back(done.range, false);
            }
            ChunkOutcome::Failed { reason, remedy, log_end } => {
                self.machine.hand_back(done.range, false);
                self.note_failure(&table, &reason, &remedy, log_end);
            }
        }
        Ok(())
    }

    /// A SELECT that fails may be explained by a schema change that the reader has not reached (correctness §6).
    fn note_failure(
        &mut self,
        table: &Arc<CapturedTable>,
        reason: &str,
        remedy: &str,
        log_end: Option<LogPosition>,
    ) {
        if table.is_stopped() {
            return;
        }
        let reader = self.machine.position().clone();
        let trouble = self.troubles.entry(table.key).or_default();
        match (&trouble.wait_until, log_end) {
            (None, Some(end)) if end > reader => trouble.wait_until = Some(end),
            (Some(end), _) if *end > reader => {}
            _ => trouble.failures += 1,
        }
        if trouble.failures >= FAILURES_MAX {
            self.stop_table(table, reason, remedy);
        }
    }

    fn take_rows(
        &mut self,
        range: RangeId,
        table: &Arc<CapturedTable>,
        rows: ChunkRows,
    ) -> Result<()> {
        if rows.identity != self.identity {
            // `high` is a place in another server's log.
            self.machine.hand_back(range, false);
            return Ok(());
        }
        if self.stats.log_end.as_ref().is_none_or(|end| *end < rows.high) {
            self.stats.log_end = Some(rows.high.clone());
        }
        let read = ChunkRead {
            upto: rows.upto.clone(),
            high: rows.high.clone(),
            rows: rows.rows,
            bytes: rows.bytes,
            elapsed_us: rows.elapsed_us,
        };
        let count = rows.rows;
        self.held.insert(range, rows);
        match self.machine.read(range, read) {
            ReadOutcome::Accepted { handed_back } => {
                self.stats.rows_read += count;
                self.forget(&handed_back);
            }
            ReadOutcome::Stale => {
                self.held.remove(&range);
            }
            ReadOutcome::Refused(refusal) => {
                self.held.remove(&range);
                self.stop_table(
                    table,
                    &format!("a chunk of its rows cannot be placed: {refusal}"),
                    "please report it with the table's definition and the server's version",
                );
            }
        }
        if !self.machine.is_inside_transaction() {
            let completed = self.machine.complete();
            self.emit(completed)?;
            self.mark_boundary();
        }
        Ok(())
    }

    /// Gives the rows of completed ranges, each in one piece; no barrier between its frames (correctness §2.5).
    fn emit(&mut self, completed: Vec<Completed<KeptRow>>) -> Result<()> {
        for done in completed {
            let rows = self
                .held
                .remove(&done.range)
                .ok_or_else(|| Error::internal("a range was completed whose rows are not held"))?;
            let table = self.table(done.table)?;
            let frames = range_rows::frames(&table, rows, done.overlay, self.machine.position())?;
            self.out.extend(frames.into_iter().map(SourceEvent::Frame));
            self.troubles.remove(&done.table);
            if self.machine.is_table_done(done.table) {
                table.set_done();
                // An empty range gives no frame, yet it changes the state.
                if self.out.is_empty() {
                    self.out.push_back(SourceEvent::Advanced);
                }
            }
        }
        Ok(())
    }

    fn stop_table(&mut self, table: &Arc<CapturedTable>, reason: &str, remedy: &str) {
        if table.is_stopped() {
            return;
        }
        table.stop();
        self.remove(table);
        self.stop(QuarantinedTable {
            table: table.id().clone(),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn stop(&mut self, stopped: QuarantinedTable) {
        self.quarantined.retain(|other| other.table != stopped.table);
        self.quarantined.push(stopped.clone());
        self.out.push_back(SourceEvent::Quarantined(stopped));
    }

    fn forget(&mut self, ranges: &[RangeId]) {
        for range in ranges {
            self.held.remove(range);
        }
    }
}

/// Whether sinks see no difference.
fn means_the_same(before: &TableSchema, after: &TableSchema) -> bool {
    before.columns() == after.columns()
        && before.primary_key() == after.primary_key()
        && before.comment() == after.comment()
}

fn operation(op: Op) -> Operation {
    match op {
        Op::Delete => Operation::Delete,
        Op::Read | Op::Insert | Op::UpdateBefore | Op::UpdateAfter => Operation::Put,
    }
}

fn filtered(
    rows: &arrow_array::RecordBatch,
    mask: &BooleanArray,
) -> Result<arrow_array::RecordBatch> {
    filter_record_batch(rows, mask)
        .map_err(|error| Error::internal("a batch cannot be filtered").caused_by(error))
}

fn change_batch(batch: LogBatch, txns: &Arc<[TxnSpan]>) -> ChangeBatch {
    ChangeBatch {
        schema: Arc::clone(batch.table.schema()),
        rows: batch.rows,
        ops: Ops::Each(batch.ops),
        ordinals: Ordinals::Each(batch.ordinals),
        first_seq: 0,
        txns: Arc::clone(txns),
    }
}
