//! The machine: the reader's position, the tables with their ranges, and who does what when.
//! Comes in: log rows, transaction boundaries, chunks that were read. Goes out: verdicts, ranges
//! to read, ranges completed. It never waits, never looks at a clock and never draws lots.

mod budget;
mod chunks;
mod progress;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    interval::Interval,
    key::{Bound, Key},
    memory::Ledger,
    mutation::{Mutation, Mutations},
    range::{RangeId, Segment, State},
    sizing::Limits,
    table::{Table, TableKey, TableState},
    verdict::{Applied, Completed, Operation, SinkRecovery, Verdict},
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

    /// The reader meets the beginning of a transaction. To be called for every one, before any row
    /// of it is put, deleted or skipped: also when all its rows are skipped, by
    /// [`table_state`](Self::table_state) or because their table is not captured, since a table
    /// may be added or a range handed back in the midst of it. May be called again inside.
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

    /// The position given to `hold_opening_until`, until the reader has reached it.
    pub fn held_until(&self) -> Option<&P> {
        self.held_until.as_ref()
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

    pub(crate) fn segment_at(&self, place: &Place) -> &Segment<P, L, R> {
        let known = self.tables.get(&place.table).expect("a held range has a table");
        known.segment_starting(place.low.as_ref())
    }

    fn note_unread(&mut self, table: TableKey) {
        if self.tables.get(&table).is_some_and(Table::has_unread) {
            self.unread.insert(table);
        } else {
            self.unread.remove(&table);
        }
    }
}
