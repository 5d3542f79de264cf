//! The rules of the machine, each as the mistake that breaks it. The simulation makes every one of
//! these mistakes and must notice (correctness §8, "test the test"). Outside of this crate's own
//! tests `Mutations` is empty and every question about it is the constant `false`.

use crate::{
    range::{Overlay, RangeId},
    snapshot::Place,
};

/// A mistake inside of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Ranges are opened while the reader stands inside a transaction.
    OpenInsideTransaction,
    /// Ranges are opened before the reader has reached the log end read after P0.
    OpenBeforeLogEnd,
    /// Ranges are completed while the reader stands inside a transaction.
    CompleteInsideTransaction,
    /// A Read range keeps nothing once the reader is at or past its `high`.
    OverlayEndsAtHigh,
    /// After a LIMIT the overlay beyond the last key is kept, and emitted with the range.
    OverlayBeyondLimitKept,
    /// After a LIMIT the whole range counts as read.
    LimitReadsWholeRange,
    /// A delete removes the overlay's entry instead of leaving a tombstone.
    #[cfg(test)]
    TombstoneDropped,
    /// A range that was handed back keeps its overlay for the next attempt.
    #[cfg(test)]
    HandBackKeepsOverlay,
    /// The rows of a range that was handed back are taken when they come late.
    #[cfg(test)]
    StaleReadAccepted,
    /// Ranges survive the reader's move to another server.
    RelocateKeepsRanges,
    /// A move to another server in the middle of a transaction counts as its end.
    RelocateLeavesTransaction,
    /// Read ranges are written into checkpoints as Done.
    ReadStoredAsDone,
    /// Open ranges are written into checkpoints as Done.
    OpenStoredAsDone,
    /// Deletes of ranges that are not Done never reach a sink that cannot roll back.
    DeletesNotPassed,
    /// A new incarnation keeps the Done ranges of the old one.
    IncarnationKeepsDone,
    /// Events of Unread ranges are emitted.
    UnreadEmitted,
    /// Events of Done ranges are dropped.
    DoneDropped,
    /// A range is completed before the reader has reached its `high`.
    CompleteBeforeHigh,
}

/// The mistake that a machine under test makes, and what it needs to make it.
#[derive(Debug)]
pub(crate) struct Mutations<R> {
    #[cfg(test)]
    pub(crate) made: Option<Mutation>,
    /// Overlays that a hand-back should have discarded.
    #[cfg(test)]
    pub(crate) leftovers: std::collections::BTreeMap<RangeId, LeftOver<R>>,
    #[cfg(not(test))]
    nothing: std::marker::PhantomData<fn() -> R>,
}

/// What is left of a range that a mistaken machine handed back.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct LeftOver<R> {
    pub(crate) table: crate::TableKey,
    pub(crate) low: Option<crate::Key>,
    pub(crate) overlay: Overlay<R>,
}

impl<R> Mutations<R> {
    pub(crate) fn none() -> Self {
        Self {
            #[cfg(test)]
            made: None,
            #[cfg(test)]
            leftovers: std::collections::BTreeMap::new(),
            #[cfg(not(test))]
            nothing: std::marker::PhantomData,
        }
    }

    /// Sees the overlay of a range that is handed back; only a mistaken machine keeps it.
    #[cfg(test)]
    pub(crate) fn leave_over(&mut self, range: RangeId, place: &Place, overlay: Overlay<R>) {
        let Place { table, low } = place.clone();
        self.leftovers.insert(range, LeftOver { table, low, overlay });
    }

    /// The overlay of a range that is handed back is discarded.
    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) fn leave_over(&mut self, _: RangeId, _: &Place, _: Overlay<R>) {}

    #[cfg(test)]
    pub(crate) fn made(&self, mutation: Mutation) -> bool {
        self.made == Some(mutation)
    }

    #[cfg(not(test))]
    #[inline(always)]
    pub(crate) const fn made(&self, _: Mutation) -> bool {
        false
    }
}

#[cfg(test)]
impl<P: Ord + Clone, L: Clone, R> crate::Snapshot<P, L, R> {
    /// The mistake `HandBackKeepsOverlay`: the next attempt at a range inherits the overlay.
    pub(crate) fn take_leftover(&mut self, range: RangeId) {
        use crate::range::State;
        if !self.mutations.made(Mutation::HandBackKeepsOverlay) {
            return;
        }
        let Some(Place { table, low }) = self.ranges.get(&range).cloned() else { return };
        let mut inherited = self
            .mutations
            .leftovers
            .extract_if(.., |_, left| left.table == table && left.low == low)
            .collect::<Vec<_>>();
        let Some((_, left)) = inherited.pop() else { return };
        let known = self.tables.get_mut(&table).expect("an opened range has a table");
        if let State::Open { overlay, .. } = &mut known.segment_from(low.as_ref()).state {
            self.ledger.replace(overlay.bytes(), left.overlay.bytes());
            *overlay = left.overlay;
        }
    }

    /// The mistake `StaleReadAccepted`: a range that was handed back is Open again, with an
    /// empty overlay, when its rows come late.
    pub(crate) fn revive(&mut self, range: RangeId, high: &P) {
        use crate::range::State;
        if !self.mutations.made(Mutation::StaleReadAccepted) || self.ranges.contains_key(&range) {
            return;
        }
        let Some(LeftOver { table, low, .. }) = self.mutations.leftovers.remove(&range) else {
            return;
        };
        let at = high.clone();
        let Some(known) = self.tables.get_mut(&table) else { return };
        let Some(segment) = known
            .segments
            .iter_mut()
            .find(|segment| segment.interval.low_key() == low.as_ref())
            .filter(|segment| segment.state.is_unread())
        else {
            return;
        };
        segment.state = State::Open { at, rows_max: u64::MAX, overlay: Overlay::default() };
        known.settle();
        self.ranges.insert(range, Place { table, low });
        self.ledger.reserve(self.limits.chunk_bytes_share());
    }
}
