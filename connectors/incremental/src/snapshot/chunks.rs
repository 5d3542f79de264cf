//! Ranges on their way from Unread to Done and back: opened, read, handed back, finished.

use super::{Place, Snapshot};
use crate::{
    interval::Interval,
    key::Bound,
    mutation::Mutation,
    range::{Overlay, RangeId, State},
    table::TableKey,
    verdict::{ChunkRead, Completed, Opened, ReadOutcome, Refusal},
};

impl<P: Ord + Clone, L: Clone, R> Snapshot<P, L, R> {
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

    /// Makes a Read range Done.
    pub(super) fn finish(&mut self, range: RangeId) -> Completed<R> {
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

    /// The table whose turn it is among those that have something Unread.
    fn next_turn(&self) -> Option<TableKey> {
        let later = self.turn.and_then(|TableKey(turn)| turn.checked_add(1)).map(TableKey);
        let after = later.and_then(|later| self.unread.range(later..).next());
        after.or_else(|| self.unread.first()).copied()
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
