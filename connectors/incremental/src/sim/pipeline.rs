//! The caller of the machine, as a connector would be: log reader, chunk readers, checkpoints. It
//! carries the oracle along: what the source's tables are at the point that the reader has passed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chunk::{Chunk, Proof, ROW_BYTES, Rows, Stage, Step, bound, interval_upto},
    coverage::Coverage,
    database::{Database, Group, Image, Tables, Write, apply},
    rng::Rng,
    sink::{Effect, Sink},
    slip::{Mistake, Slip},
};
use crate::{
    Applied, ChunkRead, Completed, Interval, Limits, Operation, RangeId, ReadOutcome, Snapshot,
    TableKey, TableState, mutation::Mutation,
};

/// What does not change over restarts.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) proof: Proof,
    pub(super) chunks_max: usize,
    /// Whether rows of tables that are wholly Done or Unread skip the computation of keys.
    pub(super) skips_keys: bool,
    /// Whether chunk readers go on with a range that was handed back, and come late.
    pub(super) late_chunks: bool,
    pub(super) mistake: Mistake,
}

/// Where the reader is.
#[derive(Clone, Debug, Default)]
struct Reader {
    /// How many groups it has passed.
    count: usize,
    /// How many rows of the next group it has put.
    rows_put: usize,
    /// Groups beyond `count` that were proven when P0 was taken: the stream does not bring them,
    /// although groups before them, of the same rows, may still come.
    beyond: BTreeSet<usize>,
    /// Groups before P0 that are not in P0's set; only a mistaken driver has some.
    never_counted: BTreeSet<usize>,
    /// Rows of prepared transactions.
    spool: BTreeMap<u32, Vec<Write>>,
    /// The source at `count`: the oracle.
    passed: Tables,
}

struct Checkpoint {
    reader: Reader,
    done: BTreeMap<u32, Vec<Interval<u8>>>,
}

struct Held {
    table: u32,
    interval: Interval<u8>,
    rows: BTreeMap<u8, Image>,
}

pub(super) struct Pipeline {
    settings: Settings,
    machine: Snapshot<u64, u8, Image>,
    captured: BTreeSet<u32>,
    reader: Reader,
    /// Transactions that were prepared, their PREPARE out of reach, when the reader started.
    awaited: Vec<u32>,
    chunks: Vec<Chunk>,
    held: BTreeMap<RangeId, Held>,
    pub(super) sink: Sink,
    checkpoint: Checkpoint,
    pub(super) coverage: Coverage,
}

impl Pipeline {
    pub(super) fn start(
        rng: &mut Rng,
        db: &Database,
        settings: Settings,
        captured: BTreeSet<u32>,
        sink: Sink,
    ) -> Self {
        let reader = Reader::start(db, settings.mistake);
        let checkpoint = Checkpoint { reader, done: BTreeMap::new() };
        let machine = Snapshot::new(settings.limits.clone(), sink.recovery(), 0);
        let mut pipeline = Self {
            settings,
            machine,
            captured,
            reader: Reader::default(),
            awaited: Vec::new(),
            chunks: Vec::new(),
            held: BTreeMap::new(),
            sink,
            checkpoint,
            coverage: Coverage::default(),
        };
        pipeline.restart(rng, db);
        pipeline
    }

    /// Everything but the checkpoint and what the sink kept is gone.
    pub(super) fn crash(&mut self, rng: &mut Rng, db: &Database) {
        self.coverage.crashes += 1;
        self.coverage.crashes_inside += usize::from(self.machine.is_inside_transaction());
        self.sink.crash(rng);
        self.restart(rng, db);
    }

    fn restart(&mut self, rng: &mut Rng, db: &Database) {
        self.chunks.clear();
        self.held.clear();
        self.reader = self.checkpoint.reader.clone();
        if self.settings.mistake.is(Slip::RestartSkipsGroup) && self.coverage.crashes > 0 {
            self.reader.skip_group(db);
        }
        let position = db.position(self.reader.count);
        let limits = self.settings.limits.clone();
        self.machine = Snapshot::new(limits, self.sink.recovery(), position);
        if let Mistake::Machine(mutation) = self.settings.mistake {
            self.machine.mutations.made = Some(mutation);
        }
        self.machine.hold_opening_until(db.position(db.log_len()));
        self.coverage.held_by_gaps += usize::from(!self.reader.beyond.is_empty());
        let spool = &self.reader.spool;
        self.awaited = db.prepared_xids();
        self.awaited.retain(|xid| !spool.contains_key(xid));
        // A captured table that is not there yet comes with its CREATE.
        let tables: Vec<u32> = self.reader.passed.keys().copied().collect();
        for table in tables.into_iter().filter(|table| self.captured.contains(table)) {
            let done = self.checkpoint.done.get(&table).cloned().unwrap_or_default();
            let cuts = (0..rng.below(4)).map(|_| bound(rng.below(20) as u8)).collect();
            self.machine.add_table(TableKey(table), cuts, done).expect("a table is added once");
        }
    }

    /// A table joins the running pipeline.
    pub(super) fn capture(&mut self, rng: &mut Rng, table: u32) {
        if !self.captured.insert(table) || !self.reader.passed.contains_key(&table) {
            return;
        }
        self.coverage.tables_added += 1;
        let cuts = (0..rng.below(4)).map(|_| bound(rng.below(20) as u8)).collect();
        self.machine.add_table(TableKey(table), cuts, Vec::new()).expect("a table is added once");
    }

    pub(super) fn captured(&self) -> &BTreeSet<u32> {
        &self.captured
    }

    pub(super) fn is_settled(&self, db: &Database) -> bool {
        self.reader.count == db.log_len() && self.machine.is_done()
    }

    // ---- the log reader ----------------------------------------------------------------------

    /// One row, or the end of one group.
    pub(super) fn read_log(&mut self, db: &Database) -> Result<(), String> {
        if self.reader.count == db.log_len() {
            return Ok(());
        }
        let index = self.reader.count;
        let group = db.group(index);
        if self.reader.beyond.remove(&index) {
            return self.pass_over(db, group);
        }
        if let Some(write) = self.rows_of(group).get(self.reader.rows_put).copied() {
            self.reader.rows_put += 1;
            // Of every transaction: also one whose rows are all skipped, for a table may be added,
            // or a range handed back, in the midst of it.
            if !self.settings.mistake.is(Slip::TransactionNotEntered) {
                self.machine.enter();
            }
            return self.put(write, index);
        }
        self.take_effect(group)?;
        apply(&mut self.reader.passed, group);
        self.reader.count += 1;
        self.reader.rows_put = 0;
        let is_row_event = matches!(group, Group::Rows { .. } | Group::XaCommit { .. });
        if self.settings.mistake.is(Slip::PositionOnlyOnRows) && !is_row_event {
            return Ok(());
        }
        self.stand_at_boundary(db)
    }

    /// A group that P0's set has: the stream does not bring it. A table that it created is found
    /// by asking the server.
    fn pass_over(&mut self, db: &Database, group: &Group) -> Result<(), String> {
        apply(&mut self.reader.passed, group);
        self.reader.count += 1;
        if let Group::Create { table } = group
            && self.captured.contains(table)
        {
            self.add_created(*table);
        }
        self.stand_at_boundary(db)
    }

    fn add_created(&mut self, table: u32) {
        self.coverage.created_while_held += 1;
        let added = self.machine.add_table(TableKey(table), Vec::new(), Vec::new());
        added.expect("a table is created once");
    }

    /// The rows that take effect with this group.
    fn rows_of<'a>(&'a self, group: &'a Group) -> &'a [Write] {
        let mistake = self.settings.mistake;
        match group {
            Group::Rows { writes, rolled_back } => {
                if *rolled_back && !mistake.is(Slip::RollbackApplied) { &[] } else { writes }
            }
            Group::XaPrepare { writes, .. } if mistake.is(Slip::XaAppliedAtPrepare) => writes,
            Group::XaCommit { .. } if mistake.is(Slip::XaAppliedAtPrepare) => &[],
            Group::XaCommit { xid, .. } => {
                self.reader.spool.get(xid).map_or(&[], |writes| writes.as_slice())
            }
            _ => &[],
        }
    }

    /// What the end of a group does beside its rows.
    fn take_effect(&mut self, group: &Group) -> Result<(), String> {
        let mistake = self.settings.mistake;
        match group {
            Group::Rows { .. } | Group::Idle => {}
            Group::XaPrepare { xid, writes } => {
                self.reader.spool.insert(*xid, writes.clone());
            }
            Group::XaCommit { xid, .. } => {
                if self.reader.spool.remove(xid).is_none() {
                    self.coverage.unknown_xa += 1;
                    if !mistake.is(Slip::XaUnknownCommitIgnored) {
                        let ranges = self.machine.hand_back_all();
                        self.drop_rows(ranges);
                    }
                }
            }
            Group::XaRollback { xid } => {
                self.reader.spool.remove(xid);
            }
            Group::Alter { table, .. }
            | Group::Truncate { table }
            | Group::Replace { table, .. }
            | Group::Create { table }
                if !self.captured.contains(table) => {}
            Group::Alter { table, shape } => {
                self.emit(Effect::Alter { table: *table, shape: *shape })?;
                if !mistake.is(Slip::AlterKeepsRanges) {
                    let ranges = self.machine.hand_back_table(TableKey(*table));
                    self.drop_rows(ranges);
                }
            }
            Group::Truncate { table } => {
                self.emit(Effect::Empty { table: *table })?;
                if !mistake.is(Slip::TruncateKeepsRanges) {
                    let ranges = self.machine.hand_back_table(TableKey(*table));
                    self.drop_rows(ranges);
                }
            }
            Group::Replace { table, .. } => {
                if !mistake.is(Slip::IncarnationKeepsRows) {
                    self.emit(Effect::Empty { table: *table })?;
                }
                let ranges = self.machine.clear_done(TableKey(*table));
                self.drop_rows(ranges);
            }
            Group::Create { table }
                if self.machine.is_held() && !mistake.is(Slip::CreateBeforeLogEndIsDone) =>
            {
                self.add_created(*table);
            }
            Group::Create { table } => {
                let ranges = self.machine.mark_table_done(TableKey(*table));
                self.drop_rows(ranges);
            }
        }
        Ok(())
    }

    fn stand_at_boundary(&mut self, db: &Database) -> Result<(), String> {
        let completed = self.machine.boundary(db.position(self.reader.count));
        self.send_completed(completed)
    }

    fn put(&mut self, write: Write, index: usize) -> Result<(), String> {
        let insert = |table, key, image| Effect::Insert { table, key, image };
        match write {
            Write::Insert { table, key, image } => self.change(insert(table, key, image), index),
            Write::Update { table, key, image } => {
                self.change(Effect::Update { table, key, image }, index)
            }
            Write::Delete { table, key } => self.change(Effect::Delete { table, key }, index),
            Write::Rekey { table, new, image, .. }
                if self.settings.mistake.is(Slip::KeyChangeAsUpdate) =>
            {
                self.change(Effect::Update { table, key: new, image }, index)
            }
            Write::Rekey { table, old, new, image } => {
                self.change(Effect::Delete { table, key: old }, index)?;
                self.change(insert(table, new, image), index)
            }
        }
    }

    fn change(&mut self, effect: Effect, index: usize) -> Result<(), String> {
        let (table, key, image) = match effect {
            Effect::Insert { table, key, image } | Effect::Update { table, key, image } => {
                (table, key, Some(image))
            }
            Effect::Delete { table, key } => (table, key, None),
            Effect::Alter { .. } | Effect::Empty { .. } => return Ok(()),
        };
        if !self.captured.contains(&table) || self.is_dropped_as_proven(table, key, index) {
            return Ok(());
        }
        let state = self.machine.table_state(TableKey(table));
        // A mistaken machine's mistakes are in its verdicts: it is always asked.
        let asks = matches!(self.settings.mistake, Mistake::Machine(_));
        if self.settings.skips_keys && !asks && state != TableState::Mixed {
            let passed = image.is_none() && self.machine.passes_deletes();
            let emitted = passed || state == TableState::AllDone;
            return if emitted { self.emit(effect) } else { Ok(()) };
        }
        let operation = if image.is_some() { Operation::Put } else { Operation::Delete };
        let verdict = self.machine.verdict(TableKey(table), &[key], operation);
        let applied = match image {
            Some(image) => self.machine.put(TableKey(table), &[key], ROW_BYTES, || image),
            None => self.machine.delete(TableKey(table), &[key]),
        };
        let Applied { verdict: done, handed_back } = applied;
        if done != verdict {
            return Err(format!("{done:?} was done after {verdict:?} was announced"));
        }
        self.coverage.kept += usize::from(done.is_kept());
        self.coverage.over_budget += handed_back.len();
        self.drop_rows(handed_back);
        if done.is_emitted() { self.emit(effect) } else { Ok(()) }
    }

    /// The mistake `ProvenEventsDropped`.
    fn is_dropped_as_proven(&self, table: u32, key: u8, index: usize) -> bool {
        self.settings.mistake.is(Slip::ProvenEventsDropped)
            && self.chunks.iter().any(|chunk| {
                chunk.opened.table.0 == table
                    && chunk.opened.interval.contains(&[key])
                    && chunk.proven_at_select.contains(&index)
            })
    }

    // ---- the chunk readers -------------------------------------------------------------------

    pub(super) fn open(&mut self, db: &Database) {
        if self.chunks.len() >= self.settings.chunks_max {
            return;
        }
        // Without the right to ask XA RECOVER chunks are read with locks, and nothing is awaited.
        let mistake = self.settings.mistake;
        if self.settings.proof != Proof::Locks && !mistake.is(Slip::XaNotAwaited) {
            let prepared = db.prepared_xids();
            if self.awaited.iter().any(|xid| prepared.contains(xid)) {
                self.coverage.xa_awaited += 1;
                return;
            }
        }
        if let Some(opened) = self.machine.open() {
            self.chunks.push(Chunk::new(db, opened, self.reader.count));
        }
    }

    /// One step of one chunk reader.
    pub(super) fn read_chunk(&mut self, rng: &mut Rng, db: &Database) -> Result<(), String> {
        if self.chunks.is_empty() {
            return Ok(());
        }
        let index = rng.below(self.chunks.len());
        let Settings { proof, mistake, .. } = self.settings;
        let Reader { beyond, never_counted, .. } = &self.reader;
        let chunk = &mut self.chunks[index];
        if let Stage::Ended { .. } = chunk.stage {
            let chunk = self.chunks.remove(index);
            return self.deliver(rng, chunk);
        }
        if let Step::RefusedByLocks = chunk.step(db, proof, beyond, never_counted, mistake) {
            self.coverage.refused_by_locks += 1;
            let chunk = self.chunks.remove(index);
            self.machine.hand_back(chunk.opened.range, true);
        }
        Ok(())
    }

    fn deliver(&mut self, rng: &mut Rng, chunk: Chunk) -> Result<(), String> {
        let Stage::Ended { rows: Rows { rows, upto, bytes }, high } = chunk.stage else {
            return Ok(());
        };
        let opened = chunk.opened;
        let chunk_read = ChunkRead {
            upto: upto.map(bound),
            high,
            rows: rows.len() as u64,
            bytes,
            elapsed_us: rng.below(2000) as u64,
        };
        match self.machine.read(opened.range, chunk_read) {
            ReadOutcome::Stale => {
                self.coverage.stale += 1;
                Ok(())
            }
            ReadOutcome::Refused(refusal) => Err(format!("a chunk was refused: {refusal}")),
            ReadOutcome::Accepted { handed_back } => {
                self.coverage.cut += usize::from(upto.is_some());
                self.coverage.read_inside += usize::from(self.machine.is_inside_transaction());
                self.coverage.over_budget += handed_back.len();
                let interval = interval_upto(&opened.interval, upto);
                self.held.insert(opened.range, Held { table: opened.table.0, interval, rows });
                self.drop_rows(handed_back);
                let completed = self.machine.complete();
                self.send_completed(completed)
            }
        }
    }

    /// A range is handed back for no reason that the machine knows.
    pub(super) fn hand_back(&mut self, rng: &mut Rng) {
        let running = self.chunks.iter().map(|chunk| chunk.opened.range);
        let ranges: Vec<RangeId> = running.chain(self.held.keys().copied()).collect();
        let Some(range) = rng.pick(&ranges) else { return };
        if self.machine.hand_back(range, rng.chance(30)) {
            self.drop_rows(vec![range]);
        }
    }

    /// The reader goes on at another server.
    pub(super) fn relocate(&mut self, db: &Database) {
        self.coverage.relocations += 1;
        self.coverage.relocations_inside += usize::from(self.machine.is_inside_transaction());
        let ranges =
            self.machine.relocate(db.position(self.reader.count), db.position(db.log_len()));
        self.drop_rows(ranges);
    }

    /// The rows of these ranges are not wanted any more; their chunk readers may not know it yet.
    fn drop_rows(&mut self, ranges: Vec<RangeId>) {
        for range in ranges {
            self.coverage.handed_back += 1;
            self.held.remove(&range);
            if !self.settings.late_chunks {
                self.chunks.retain(|chunk| chunk.opened.range != range);
            }
        }
    }

    fn send_completed(&mut self, completed: Vec<Completed<Image>>) -> Result<(), String> {
        for Completed { range, table, overlay } in completed {
            let held = self.held.remove(&range);
            let Some(Held { table: read_from, interval, mut rows }) = held else {
                return Err("a range is complete whose rows were dropped".into());
            };
            assert_eq!(read_from, table.0, "a range has one table");
            let mistake = self.settings.mistake;
            for (key, image) in overlay {
                match image {
                    _ if mistake.is(Slip::OverlayNotMerged) => None,
                    Some(image) => rows.insert(key[0], image),
                    None if mistake.is(Slip::TombstoneNotMerged) => None,
                    None => rows.remove(&key[0]),
                };
            }
            self.coverage.completed += 1;
            let exact = restrict(&self.reader.passed, table.0, &[interval]);
            if rows != exact {
                return Err(format!("a completed range is {rows:?}, the source was {exact:?}"));
            }
            for (key, image) in rows {
                self.emit(Effect::Insert { table: table.0, key, image })?;
            }
        }
        Ok(())
    }

    fn emit(&mut self, effect: Effect) -> Result<(), String> {
        self.coverage.emitted += 1;
        self.sink.apply(effect)
    }

    // ---- checkpoints -------------------------------------------------------------------------

    /// A barrier, if the reader stands where one may.
    pub(super) fn store_checkpoint(&mut self) -> Result<(), String> {
        let mistake = self.settings.mistake;
        if self.machine.is_inside_transaction() && !mistake.is(Slip::CheckpointInsideTransaction) {
            return Ok(());
        }
        self.coverage.checkpoints += 1;
        let tables = self.machine.tables.keys().map(|table| table.0);
        let done = tables.map(|table| (table, self.machine.done(TableKey(table)))).collect();
        let mut reader = self.reader.clone();
        reader.rows_put = 0;
        if mistake.is(Slip::XaNotInCheckpoint) {
            reader.spool.clear();
        }
        if mistake.is(Slip::CheckpointPositionStale) {
            reader = self.checkpoint.reader.clone();
        }
        self.checkpoint = Checkpoint { reader, done };
        self.sink.checkpoint();
        self.check_cut()
    }

    /// Whether the sink is one consistent cut of everything Done, and holds nothing else.
    fn check_cut(&self) -> Result<(), String> {
        if self.sink.recovery() == crate::SinkRecovery::AtLeastOnce {
            return Ok(());
        }
        for table in &self.captured {
            let done = self.checkpoint.done.get(table).cloned().unwrap_or_default();
            let (copy, exact) =
                (self.sink.rows(*table), restrict(&self.reader.passed, *table, &done));
            if copy != exact {
                return Err(format!("table {table} is cut as {copy:?}, the source was {exact:?}"));
            }
        }
        Ok(())
    }

    /// What must hold after every step, whatever happened.
    pub(super) fn check(&self, db: &Database) -> Result<(), String> {
        self.machine.check()?;
        let mistake = self.settings.mistake;
        let here = db.position(self.reader.count);
        if *self.machine.position() != here && !mistake.is(Slip::PositionOnlyOnRows) {
            return Err("the machine's position is not the reader's".into());
        }
        let revives = mistake == Mistake::Machine(Mutation::StaleReadAccepted);
        if self.held.len() != self.machine.progress().ranges_read && !revives {
            return Err("the rows held are not those of the Read ranges".into());
        }
        Ok(())
    }
}

impl Reader {
    /// P0 is the set of what is proven; the stream brings all else, in log order.
    fn start(db: &Database, mistake: Mistake) -> Self {
        let proven: BTreeSet<usize> = (0..db.log_len()).filter(|i| db.is_proven(*i)).collect();
        let count = (0..db.log_len()).find(|i| !proven.contains(i)).unwrap_or(db.log_len());
        let mut reader = Self { count, passed: db.first().clone(), ..Self::default() };
        if mistake.is(Slip::StreamFromPosition) {
            reader.never_counted = (0..db.log_len()).filter(|i| !proven.contains(i)).collect();
            reader.count = db.log_len();
        } else {
            reader.beyond = proven.range(count..).copied().collect();
        }
        (0..reader.count).for_each(|index| apply(&mut reader.passed, db.group(index)));
        reader
    }

    /// The mistake `RestartSkipsGroup`.
    fn skip_group(&mut self, db: &Database) {
        if self.count < db.log_len() && !self.beyond.remove(&self.count) {
            apply(&mut self.passed, db.group(self.count));
            self.count += 1;
        }
    }
}

/// The rows of a table that lie in one of the intervals.
fn restrict(tables: &Tables, table: u32, intervals: &[Interval<u8>]) -> BTreeMap<u8, Image> {
    let Some(content) = tables.get(&table) else { return BTreeMap::new() };
    let inside = |key: &u8| intervals.iter().any(|interval| interval.contains(&[*key]));
    content.rows.iter().filter(|(key, _)| inside(key)).map(|(key, row)| (*key, *row)).collect()
}
