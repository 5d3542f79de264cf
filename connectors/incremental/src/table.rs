//! One table's key space, cut into segments. Comes in: cuts, what is already Done, and the state
//! changes that the machine decides. Goes out: which segment a key lies in, and the next Unread one.

use crate::{
    interval::{Interval, merge},
    key::{Bound, Key},
    range::{Segment, State},
    sizing::{Limits, Sizing},
};

/// The caller's number for a table; only equality and order matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableKey(pub u32);

/// What holds for every key of a table, so that a caller need not compute keys row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableState {
    /// Every change is emitted as it is.
    AllDone,
    /// Every change is dropped (deletes are still passed on to a sink that cannot roll back).
    AllUnread,
    /// It depends on the key.
    Mixed,
}

/// The segments of one table: in key order, disjoint, together every key.
#[derive(Debug)]
pub(crate) struct Table<P, L, R> {
    pub(crate) segments: Vec<Segment<P, L, R>>,
    pub(crate) sizing: Sizing,
    pub(crate) rows_done: u64,
    state: TableState,
    unread_count: usize,
}

impl<P, L: Clone, R> Table<P, L, R> {
    /// A table of which `done` is Done and the rest Unread.
    pub(crate) fn new(limits: &Limits, done: Vec<Interval<L>>) -> Self {
        let mut segments = Vec::new();
        let mut low = None;
        let mut covered_all = false;
        for interval in merge(done) {
            if interval.low_key() != low.as_ref().map(|low: &Bound<L>| &low.key) {
                let gap = Interval { low, high: interval.low.clone() };
                segments.push(Segment {
                    interval: gap,
                    starts_at_cut: false,
                    state: State::Unread,
                });
            }
            low = interval.high.clone();
            covered_all = interval.high.is_none();
            segments.push(Segment { interval, starts_at_cut: false, state: State::Done });
        }
        if !covered_all {
            let rest = Interval { low, high: None };
            segments.push(Segment { interval: rest, starts_at_cut: false, state: State::Unread });
        }
        let sizing = Sizing::new(limits);
        let mut table =
            Self { segments, sizing, rows_done: 0, state: TableState::Mixed, unread_count: 0 };
        table.settle();
        table
    }

    pub(crate) fn state(&self) -> TableState {
        self.state
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread_count > 0
    }

    /// The segment that `key` lies in.
    pub(crate) fn segment(&self, key: &[u8]) -> &Segment<P, L, R> {
        let index = self.index_of(key);
        self.segments.get(index).expect("the segments of a table cover every key")
    }

    pub(crate) fn segment_mut(&mut self, key: &[u8]) -> &mut Segment<P, L, R> {
        let index = self.index_of(key);
        self.segments.get_mut(index).expect("the segments of a table cover every key")
    }

    /// The segment whose lower end is `low`.
    pub(crate) fn segment_starting(&self, low: Option<&Key>) -> &Segment<P, L, R> {
        self.segments.get(self.index_from(low)).expect("a held range is a segment of its table")
    }

    /// The same, to change it.
    pub(crate) fn segment_from(&mut self, low: Option<&Key>) -> &mut Segment<P, L, R> {
        let index = self.index_from(low);
        self.segments.get_mut(index).expect("a held range is a segment of its table")
    }

    /// The lowest Unread segment: the fewest Done intervals come of it.
    pub(crate) fn first_unread(&mut self) -> Option<&mut Segment<P, L, R>> {
        self.segments.iter_mut().find(|segment| segment.state.is_unread())
    }

    /// Cuts Unread segments at these keys; a cut anywhere else changes nothing.
    pub(crate) fn cut(&mut self, cuts: Vec<Bound<L>>) {
        for cut in cuts {
            let index = self.index_of(&cut.key);
            let segment = &self.segments[index];
            if segment.state.is_unread() && segment.interval.is_cut_by(&cut.key) {
                self.split(index, cut, true);
            }
        }
        self.settle();
    }

    /// Ends the segment that begins at `low` at `upto`; what lies beyond is Unread.
    pub(crate) fn split_from(&mut self, low: Option<&Key>, upto: Bound<L>) {
        let index = self.index_from(low);
        self.split(index, upto, false);
    }

    /// The Done intervals, merged, in key order.
    pub(crate) fn intervals_where(
        &self,
        wanted: impl Fn(&State<P, R>) -> bool,
    ) -> Vec<Interval<L>> {
        let chosen = self.segments.iter().filter(|segment| wanted(&segment.state));
        merge(chosen.map(|segment| segment.interval.clone()).collect())
    }

    /// Merges neighbours that need not be apart, and derives what is asked often. Called after
    /// every change of a segment's state.
    pub(crate) fn settle(&mut self) {
        self.segments.dedup_by(|right, left| {
            let both_done = left.state.is_done() && right.state.is_done();
            let both_unread = left.state.is_unread() && right.state.is_unread();
            let mergeable = both_done || (both_unread && !right.starts_at_cut);
            if mergeable {
                left.interval.high = right.interval.high.take();
            }
            mergeable
        });
        let count = |wanted: fn(&State<P, R>) -> bool| {
            self.segments.iter().filter(|segment| wanted(&segment.state)).count()
        };
        let unread_count = count(State::is_unread);
        self.state = if count(State::is_done) == self.segments.len() {
            TableState::AllDone
        } else if unread_count == self.segments.len() {
            TableState::AllUnread
        } else {
            TableState::Mixed
        };
        self.unread_count = unread_count;
    }

    fn split(&mut self, index: usize, at: Bound<L>, is_cut: bool) {
        let left = &mut self.segments[index].interval;
        let right = Interval { low: Some(at.clone()), high: left.high.replace(at) };
        let right = Segment { interval: right, starts_at_cut: is_cut, state: State::Unread };
        self.segments.insert(index + 1, right);
    }

    fn index_of(&self, key: &[u8]) -> usize {
        self.segments.partition_point(|segment| segment.interval.ends_before(key))
    }

    fn index_from(&self, low: Option<&Key>) -> usize {
        self.segments.partition_point(|segment| segment.interval.low_key() < low)
    }
}
