//! The machine: the reader's position, the tables with their ranges, and who does what when.
//! Comes in: log rows, transaction boundaries, chunks that were read. Goes out: verdicts, ranges
//! to read, ranges completed. It never waits, never looks at a clock and never draws lots.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    interval::Interval,
    key::{Bound, Key},
    memory::Ledger,
    mutation::{Mutation, Mutations},
    range::{Overlay, RangeId, Segment, State},
    sizing::Limits,
    table::{Table, TableKey, TableState},
    verdict::{
        Applied, ChunkRead, Completed, Opened, Operation, Progress, ReadOutcome, Refusal,
        SinkRecovery, Verdict,
    },
};

/// A table was added that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("table {} was added to the snapshot before", .0.0)]
pub struct TableAlreadyAdded(pub TableKey);

/// The snapshot of all tables of one source (correctness §2).
///
/// `P` is a position in the log, `L` the caller's SQL literals of a key, `R` the caller's handle of
/// a row image. One owner calls everything, and it is the one that drops, keeps or emits log rows:
/// "the reader" is that point, never a socket or a decoder ahead of it.
///
/// The calls, by who makes them:
/// - **at a start**: [`add_table`](Self::add_table) per table and
///   [`hold_opening_until`](Self::hold_opening_until), in any order.
/// - **per transaction**: [`enter`](Self::enter) when its first event is met, then
///   [`put`](Self::put) and [`delete`](Self::delete) per row, then [`boundary`](Self::boundary)
///   when it has ended. Events outside of transactions (rotate, heartbeat, a skipped group) are
///   `boundary` too, or an idle log never reaches a `high`.
/// - **whenever a chunk reader is free** and the reader is near the log end:
///   [`open`](Self::open).
/// - **when a chunk came**: [`read`](Self::read), then [`complete`](Self::complete) (the reader
///   may already stand at its `high`); when it failed: [`hand_back`](Self::hand_back).
/// - **for a checkpoint**, at a boundary: [`done`](Self::done) of each table.
#[derive(Debug)]
pub struct Snapshot<P, L, R> {
    pub(crate) limits: Limits,
    sink: SinkRecovery,
    pub(crate) reader: P,
    inside_transaction: bool,
    /// Nothing is opened before the reader stands here.
    held_until: Option<P>,
    pub(crate) tables: BTreeMap<TableKey, Table<P, L, R>>,
    /// Tables that have an Unread segment.
    unread: BTreeSet<TableKey>,
    /// Every Open or Read range.
    pub(crate) ranges: BTreeMap<RangeId, Place>,
    /// Every Read range, by its `high`.
    pub(crate) awaiting: BTreeSet<(P, RangeId)>,
    pub(crate) ledger: Ledger,
    range_next: u64,
    /// The table that was opened last; the next one gets the next turn.
    turn: Option<TableKey>,
    ranges_done: u64,
    ranges_handed_back: u64,
    rows_done: u64,
    pub(crate) mutations: Mutations<R>,
}

/// Where a held range is: its lower end does not change while it is held.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) table: TableKey,
    pub(crate) low: Option<Key>,
}

impl<P: Ord + Clone, L: Clone, R> Snapshot<P, L, R> {
    /// A machine without tables, whose reader stands at `position`, between two transactions.
    pub fn new(limits: Limits, sink: SinkRecovery, position: P) -> Self {
        Self {
            limits,
            sink,
            reader: position,
            inside_transaction: false,
            held_until: None,
            tables: BTreeMap::new(),
            unread: BTreeSet::new(),
            ranges: BTreeMap::new(),
            awaiting: BTreeSet::new(),
            ledger: Ledger::default(),
            range_next: 0,
            turn: None,
            ranges_done: 0,
            ranges_handed_back: 0,
            rows_done: 0,
            mutations: Mutations::none(),
        }
    }

    // ---- tables ------------------------------------------------------------------------------

    /// Adds a table at any time. `done` is what the checkpoint says (nothing for a new table);
    /// all else is Unread and cut at `cuts`, which may be empty, unsorted or duplicate.
    pub fn add_table(
        &mut self,
        table: TableKey,
        cuts: Vec<Bound<L>>,
        done: Vec<Interval<L>>,
    ) -> Result<(), TableAlreadyAdded> {
        if self.tables.contains_key(&table) {
            return Err(TableAlreadyAdded(table));
        }
        let mut added = Table::new(&self.limits, done);
        added.cut(cuts);
        self.tables.insert(table, added);
        self.note_unread(table);
        Ok(())
    }

    /// Cuts the Unread segments of a table further, so that readers can work side by side. Cuts
    /// that fall elsewhere, or into an unknown table, change nothing.
    pub fn cut_table(&mut self, table: TableKey, cuts: Vec<Bound<L>>) {
        if let Some(known) = self.tables.get_mut(&table) {
            known.cut(cuts);
        }
    }

    /// Forgets a table (quarantined, dropped, excluded). The rows of the returned ranges are to
    /// be dropped; later changes of the table are dropped too.
    pub fn remove_table(&mut self, table: TableKey) -> Vec<RangeId> {
        let handed_back = self.hand_back_table(table);
        self.tables.remove(&table);
        self.unread.remove(&table);
        handed_back
    }

    /// The table's CREATE was met in the log (it may be inside a transaction), or it starts at the
    /// latest offset: it is Done from here on, added if it is not known. Not while `is_held`. The
    /// rows of the returned ranges are to be dropped.
    pub fn mark_table_done(&mut self, table: TableKey) -> Vec<RangeId> {
        let handed_back = self.hand_back_table(table);
        self.tables.insert(table, Table::new(&self.limits, vec![Interval::all()]));
        self.note_unread(table);
        handed_back
    }

    /// A new incarnation of the table begins (correctness §6): nothing of it is Done any more,
    /// and its cuts are forgotten. The caller has the sink table emptied first. An unknown table
    /// stays unknown.
    pub fn clear_done(&mut self, table: TableKey) -> Vec<RangeId> {
        let handed_back = self.hand_back_table(table);
        if self.mutations.made(Mutation::IncarnationKeepsDone) {
            return handed_back;
        }
        if let Some(known) = self.tables.get_mut(&table) {
            *known = Table::new(&self.limits, Vec::new());
        }
        self.note_unread(table);
        handed_back
    }

    // ---- the log -----------------------------------------------------------------------------

    /// The reader meets the beginning of a transaction. May be called again inside of it. `put`
    /// and `delete` enter by themselves: this is for rows that are skipped by
    /// [`table_state`](Self::table_state).
    pub fn enter(&mut self) {
        self.inside_transaction = true;
    }

    /// What holds for all keys of a table; `AllUnread` for an unknown one. Stays true until the
    /// next call other than `enter`, `put` and `delete`; and inside a transaction `AllDone` can
    /// only end by a call that names the table.
    pub fn table_state(&self, table: TableKey) -> TableState {
        self.tables.get(&table).map_or(TableState::AllUnread, Table::state)
    }

    /// Whether deletes are emitted whatever the state of their range.
    pub fn passes_deletes(&self) -> bool {
        self.sink == SinkRecovery::AtLeastOnce && !self.mutations.made(Mutation::DeletesNotPassed)
    }

    /// What `put` or `delete` would do with this row now. Changes nothing: for a caller whose
    /// images are costly or may fail, to be asked right before.
    pub fn verdict(&self, table: TableKey, key: &[u8], operation: Operation) -> Verdict {
        let Some(known) = self.tables.get(&table) else { return Verdict::Drop };
        let passed = operation == Operation::Delete && self.passes_deletes();
        match (&known.segment(key).state, passed) {
            (State::Done, _) if self.mutations.made(Mutation::DoneDropped) => Verdict::Drop,
            (State::Unread, _) if self.mutations.made(Mutation::UnreadEmitted) => Verdict::Emit,
            (State::Done, _) | (State::Unread, true) => Verdict::Emit,
            (State::Unread, false) => Verdict::Drop,
            (State::Open { .. } | State::Read { .. }, true) => Verdict::KeepAndEmit,
            (State::Open { .. } | State::Read { .. }, false) => Verdict::Keep,
        }
    }

    /// An insert, or an update that leaves the key's bytes as they are. `image` is called only if
    /// the row is kept; `bytes` is the memory that the image takes.
    pub fn put(
        &mut self,
        table: TableKey,
        key: &[u8],
        bytes: u64,
        image: impl FnOnce() -> R,
    ) -> Applied {
        self.change(table, key, Operation::Put, bytes, || Some(image()))
    }

    /// A delete, or the delete half of a key change.
    pub fn delete(&mut self, table: TableKey, key: &[u8]) -> Applied {
        self.change(table, key, Operation::Delete, 0, || None)
    }

    /// The reader stands at a transaction boundary: everything up to `position` has been put or
    /// deleted here, nothing beyond. Returns the ranges that are complete, in the order in which
    /// they were opened; their rows are exactly as of `position`.
    ///
    /// # Panics
    /// If the position goes back; for another server's positions there is `relocate`.
    pub fn boundary(&mut self, position: P) -> Vec<Completed<R>> {
        assert!(position >= self.reader, "the reader's position never goes back");
        self.reader = position;
        self.inside_transaction = false;
        if self.held_until.as_ref().is_some_and(|log_end| *log_end <= self.reader) {
            self.held_until = None;
        }
        self.complete()
    }

    /// The ranges that are complete where the reader stands; none inside a transaction. To be
    /// called after `read`, may be called at any time.
    pub fn complete(&mut self) -> Vec<Completed<R>> {
        if self.inside_transaction && !self.mutations.made(Mutation::CompleteInsideTransaction) {
            return Vec::new();
        }
        let mut completed = Vec::new();
        while let Some((high, range)) = self.awaiting.first() {
            if *high > self.reader && !self.mutations.made(Mutation::CompleteBeforeHigh) {
                break;
            }
            completed.push(self.finish(*range));
        }
        completed.sort_unstable_by_key(|completed| completed.range);
        completed
    }

    /// Nothing is opened until the reader stands at or behind `log_end`: the log end read *after*
    /// P0 was taken, or after a restart took up its checkpoint. To be called at each start before
    /// the first `open`; a position that is passed already holds nothing.
    ///
    /// P0 is a set, and the stream brings what is not in it. Where transactions are proven out of
    /// log order the set may hold a transaction while an older one, of the same row, is missing.
    /// The older one comes, the newer never will: an overlay would keep the older image and
    /// overwrite the newer row. Behind the log end nothing of the set is left to be passed over.
    /// For the same reason a CREATE, or the start at the latest offset, makes a table Done only
    /// once `is_held` says no; before, the caller adds the table as Unread.
    pub fn hold_opening_until(&mut self, log_end: P) {
        self.held_until = (log_end > self.reader).then_some(log_end);
    }

    /// Whether the reader has yet to reach the position given to `hold_opening_until`.
    pub fn is_held(&self) -> bool {
        self.held_until.is_some()
    }

    /// The reader goes on in the log of another server, whose positions mean nothing to the ranges
    /// of the old one: all of them are handed back. `position` is, on the new server, the last
    /// boundary that was passed; `log_end` its log end now, to which an opening that is still held
    /// is held further. Inside a transaction the machine stays inside of it until its `boundary`:
    /// the caller goes on behind the rows that it has put already, or puts all again. The caller
    /// has checked that the new log goes on where the old one was left.
    pub fn relocate(&mut self, position: P, log_end: P) -> Vec<RangeId> {
        self.reader = position;
        if self.held_until.is_some() {
            self.hold_opening_until(log_end);
        }
        if self.mutations.made(Mutation::RelocateLeavesTransaction) {
            self.inside_transaction = false;
        }
        if self.mutations.made(Mutation::RelocateKeepsRanges) {
            return Vec::new();
        }
        self.hand_back_all()
    }

    /// Where the reader stands, or the boundary before the transaction that it is inside of.
    pub fn position(&self) -> &P {
        &self.reader
    }

    /// Whether the reader stands inside a transaction.
    pub fn is_inside_transaction(&self) -> bool {
        self.inside_transaction
    }

    // ---- chunks ------------------------------------------------------------------------------

    /// The next range to read, tables taking turns; `None` inside a transaction, while opening is
    /// held, when nothing is Unread, or when the memory has no room for another chunk.
    ///
    /// The caller does not ask while a transaction prepared before the start may still commit,
    /// nor while reader and log end are far apart (correctness §2 and §4).
    pub fn open(&mut self) -> Option<Opened<P, L>> {
        if self.inside_transaction && !self.mutations.made(Mutation::OpenInsideTransaction) {
            return None;
        }
        if self.held_until.is_some() && !self.mutations.made(Mutation::OpenBeforeLogEnd) {
            return None;
        }
        let share = self.limits.chunk_bytes_share();
        if !self.ranges.is_empty()
            && self.ledger.total().saturating_add(share) > self.limits.opening_bytes_max()
        {
            return None;
        }
        let table = self.next_turn()?;
        let range = RangeId(self.range_next);
        let known = self.tables.get_mut(&table)?;
        let rows_max = known.sizing.rows_next();
        let segment = known.first_unread()?;
        let at = self.reader.clone();
        let overlay = Overlay::default();
        segment.state = State::Open { at: at.clone(), rows_max, overlay };
        let interval = segment.interval.clone();
        known.settle();
        self.range_next += 1;
        self.turn = Some(table);
        self.ranges.insert(range, Place { table, low: interval.low_key().cloned() });
        self.ledger.reserve(share);
        self.note_unread(table);
        #[cfg(test)]
        self.take_leftover(range);
        Some(Opened { range, table, interval, at, rows_max, bytes_max: share })
    }

    /// The rows of a range came. The caller keeps them, then calls `complete`. A range is read at
    /// most once: a second call is `Stale`.
    pub fn read(&mut self, range: RangeId, chunk: ChunkRead<P, L>) -> ReadOutcome {
        #[cfg(test)]
        self.revive(range, &chunk.high);
        let Some(place) = self.ranges.get(&range).cloned() else { return ReadOutcome::Stale };
        let share = self.limits.chunk_bytes_share();
        let ChunkRead { upto, high, rows, bytes, elapsed_us } = chunk;
        let known = self.tables.get_mut(&place.table).expect("a held range has a table");
        let segment = known.segment_from(place.low.as_ref());
        let State::Open { at, rows_max, .. } = &segment.state else { return ReadOutcome::Stale };
        let rows_max = *rows_max;
        if let Some(refusal) = refuse(&segment.interval, at, rows_max, upto.as_ref(), &high, rows) {
            self.release(range);
            return ReadOutcome::Refused(refusal);
        }
        let State::Open { mut overlay, .. } = std::mem::replace(&mut segment.state, State::Unread)
        else {
            unreachable!("the state was Open a moment ago")
        };
        let bytes_open = overlay.bytes();
        let was_cut = upto.is_some();
        // A last key that is also the range's end leaves nothing beyond it.
        let cut_at = upto.filter(|upto| segment.interval.is_cut_by(&upto.key));
        if let Some(upto) = &cut_at
            && !self.mutations.made(Mutation::OverlayBeyondLimitKept)
        {
            overlay.discard_beyond(&upto.key);
        }
        let bytes_read = bytes.saturating_add(overlay.bytes());
        self.awaiting.insert((high.clone(), range));
        segment.state = State::Read { high, rows, bytes, overlay };
        if let Some(upto) = cut_at
            && !self.mutations.made(Mutation::LimitReadsWholeRange)
        {
            known.split_from(place.low.as_ref(), upto);
        }
        known.sizing.learn(&self.limits, rows, bytes, elapsed_us, was_cut);
        known.settle();
        self.note_unread(place.table);
        self.ledger.unreserve(share);
        self.ledger.replace(bytes_open, bytes_read);
        ReadOutcome::Accepted { handed_back: self.relieve() }
    }

    /// The chunk of this range could not be read, or is not wanted: the range is Unread again.
    /// `smaller`: the next chunk of its table has half the rows (row locks refused this one).
    /// False if it was not held any more; then nothing has changed. Always allowed.
    pub fn hand_back(&mut self, range: RangeId, smaller: bool) -> bool {
        let Some(table) = self.release(range) else { return false };
        if smaller && let Some(known) = self.tables.get_mut(&table) {
            known.sizing.shrink();
        }
        true
    }

    /// Hands back what is held of one table: its schema has changed, or it was truncated. The
    /// rows of the returned ranges are to be dropped.
    pub fn hand_back_table(&mut self, table: TableKey) -> Vec<RangeId> {
        self.hand_back_where(|place| place.table == table)
    }

    /// Hands back all that is held: an XA COMMIT came without its PREPARE. The rows of the
    /// returned ranges are to be dropped.
    pub fn hand_back_all(&mut self) -> Vec<RangeId> {
        self.hand_back_where(|_| true)
    }

    // ---- progress ----------------------------------------------------------------------------

    /// What a checkpoint at this boundary stores of a table: its Done intervals, merged, in key
    /// order. Empty for an unknown table.
    pub fn done(&self, table: TableKey) -> Vec<Interval<L>> {
        let read_too = self.mutations.made(Mutation::ReadStoredAsDone);
        let open_too = self.mutations.made(Mutation::OpenStoredAsDone);
        self.tables.get(&table).map_or_else(Vec::new, |known| {
            known.intervals_where(|state| match state {
                State::Done => true,
                State::Read { .. } => read_too,
                State::Open { .. } => open_too,
                State::Unread => false,
            })
        })
    }

    /// Whether the table is known and wholly Done.
    pub fn is_table_done(&self, table: TableKey) -> bool {
        self.table_state(table) == TableState::AllDone
    }

    /// Whether every table is wholly Done; true without tables.
    pub fn is_done(&self) -> bool {
        self.unread.is_empty() && self.ranges.is_empty()
    }

    /// Rows of this table that SELECTs brought, of its ranges completed since it was added.
    pub fn rows_done(&self, table: TableKey) -> u64 {
        self.tables.get(&table).map_or(0, |known| known.rows_done)
    }

    /// Where the snapshot stands. Walks over the tables: for a status line, not for each row.
    pub fn progress(&self) -> Progress {
        let all_done = |table: &&Table<P, L, R>| table.state() == TableState::AllDone;
        Progress {
            tables: self.tables.len(),
            tables_done: self.tables.values().filter(all_done).count(),
            ranges_open: self.ranges.len() - self.awaiting.len(),
            ranges_read: self.awaiting.len(),
            ranges_done: self.ranges_done,
            ranges_handed_back: self.ranges_handed_back,
            rows_done: self.rows_done,
            bytes_held: self.ledger.held(),
            bytes_reserved: self.ledger.reserved(),
        }
    }

    // ---- inside ------------------------------------------------------------------------------

    fn change(
        &mut self,
        table: TableKey,
        key: &[u8],
        operation: Operation,
        bytes: u64,
        image: impl FnOnce() -> Option<R>,
    ) -> Applied {
        self.inside_transaction = true;
        let verdict = self.verdict(table, key, operation);
        if !verdict.is_kept() {
            return Applied { verdict, handed_back: Vec::new() };
        }
        let known = self.tables.get_mut(&table).expect("a kept key has a table");
        match &mut known.segment_mut(key).state {
            State::Read { high, .. }
                if *high <= self.reader && self.mutations.made(Mutation::OverlayEndsAtHigh) => {}
            State::Open { overlay, .. } | State::Read { overlay, .. } => {
                let before = overlay.bytes();
                #[cfg(test)]
                if operation == Operation::Delete && self.mutations.made(Mutation::TombstoneDropped)
                {
                    overlay.forget(key);
                    self.ledger.replace(before, overlay.bytes());
                    return Applied { verdict, handed_back: Vec::new() };
                }
                overlay.keep(key, image(), bytes);
                self.ledger.replace(before, overlay.bytes());
            }
            State::Unread | State::Done => unreachable!("a kept key lies in a held range"),
        }
        Applied { verdict, handed_back: self.relieve() }
    }

    /// Makes a Read range Done.
    fn finish(&mut self, range: RangeId) -> Completed<R> {
        let place = self.ranges.remove(&range).expect("a Read range has a place");
        let known = self.tables.get_mut(&place.table).expect("a held range has a table");
        let segment = known.segment_from(place.low.as_ref());
        let held = segment.state.bytes_held();
        let State::Read { high, rows, overlay, .. } =
            std::mem::replace(&mut segment.state, State::Done)
        else {
            unreachable!("only a Read range waits for its high")
        };
        known.rows_done += rows;
        known.settle();
        self.awaiting.remove(&(high, range));
        self.ledger.replace(held, 0);
        self.ranges_done += 1;
        self.rows_done += rows;
        Completed { range, table: place.table, overlay: overlay.into_entries() }
    }

    /// Makes a held range Unread; its overlay is gone. Its table, or `None` if it is not held.
    fn release(&mut self, range: RangeId) -> Option<TableKey> {
        let place = self.ranges.remove(&range)?;
        let known = self.tables.get_mut(&place.table).expect("a held range has a table");
        let segment = known.segment_from(place.low.as_ref());
        self.ledger.replace(segment.state.bytes_held(), 0);
        match std::mem::replace(&mut segment.state, State::Unread) {
            State::Open { overlay, .. } => {
                self.ledger.unreserve(self.limits.chunk_bytes_share());
                self.mutations.leave_over(range, &place, overlay);
            }
            State::Read { high, overlay, .. } => {
                self.awaiting.remove(&(high, range));
                self.mutations.leave_over(range, &place, overlay);
            }
            State::Unread | State::Done => unreachable!("a held range is Open or Read"),
        }
        known.settle();
        self.ranges_handed_back += 1;
        self.note_unread(place.table);
        Some(place.table)
    }

    fn hand_back_where(&mut self, wanted: impl Fn(&Place) -> bool) -> Vec<RangeId> {
        let chosen = self.ranges.iter().filter(|(_, place)| wanted(place));
        let ranges: Vec<RangeId> = chosen.map(|(range, _)| *range).collect();
        for range in &ranges {
            self.release(*range);
        }
        ranges
    }

    /// Hands back the largest ranges until the memory is within its budget (correctness §2,
    /// "Memory"): the log reader never waits for it.
    fn relieve(&mut self) -> Vec<RangeId> {
        let mut handed_back = Vec::new();
        while self.ledger.total() > self.limits.bytes_max {
            let Some(range) = self.largest_range() else { break };
            self.hand_back(range, true);
            handed_back.push(range);
        }
        handed_back
    }

    /// The range that holds most, if handing it back helps. A chunk of a single row cannot be cut
    /// smaller: when it alone is too big it must pass, or its table would never be done.
    fn largest_range(&mut self) -> Option<RangeId> {
        let held: Vec<(u64, RangeId)> = self
            .ranges
            .iter()
            .map(|(range, place)| (self.segment_at(place).state.bytes_held(), *range))
            .filter(|(bytes, _)| *bytes > 0)
            .collect();
        let (_, range) = held.iter().max()?;
        let segment = self.segment_at(self.ranges.get(range)?);
        let indivisible = match &segment.state {
            State::Read { rows, overlay, .. } => {
                *rows <= 1 && overlay.bytes() <= self.limits.bytes_max
            }
            _ => false,
        };
        if indivisible && held.len() == 1 { None } else { Some(*range) }
    }

    pub(crate) fn segment_at(&self, place: &Place) -> &Segment<P, L, R> {
        let known = self.tables.get(&place.table).expect("a held range has a table");
        known.segment_starting(place.low.as_ref())
    }

    /// The table whose turn it is among those that have something Unread.
    fn next_turn(&self) -> Option<TableKey> {
        let later = self.turn.and_then(|TableKey(turn)| turn.checked_add(1)).map(TableKey);
        let after = later.and_then(|later| self.unread.range(later..).next());
        after.or_else(|| self.unread.first()).copied()
    }

    fn note_unread(&mut self, table: TableKey) {
        if self.tables.get(&table).is_some_and(Table::has_unread) {
            self.unread.insert(table);
        } else {
            self.unread.remove(&table);
        }
    }
}

/// Why a chunk cannot be what was asked for.
fn refuse<P: Ord, L>(
    interval: &Interval<L>,
    at: &P,
    rows_max: u64,
    upto: Option<&Bound<L>>,
    high: &P,
    rows: u64,
) -> Option<Refusal> {
    if high < at {
        return Some(Refusal::HighBeforeAt);
    }
    match upto {
        Some(upto) if !interval.contains(&upto.key) => Some(Refusal::KeyOutsideRange),
        None if rows >= rows_max => Some(Refusal::LimitWithoutLastKey),
        _ => None,
    }
}
