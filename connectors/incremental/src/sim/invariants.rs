//! What holds of the machine's inside at every moment.

use std::fmt::Debug;

use crate::{
    Snapshot,
    range::{Segment, State},
    table::Table,
};

impl<P: Ord + Clone + Debug, L: Clone + Debug, R: Debug> Snapshot<P, L, R> {
    /// The first invariant that does not hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (mut open, mut read, mut held) = (0, 0, 0);
        for (key, table) in &self.tables {
            check_cover(table).map_err(|fault| format!("table {}: {fault}", key.0))?;
            for segment in &table.segments {
                open += usize::from(matches!(segment.state, State::Open { .. }));
                read += usize::from(matches!(segment.state, State::Read { .. }));
                held += segment.state.bytes_held();
            }
        }
        let reserved = open as u64 * self.limits.chunk_bytes_share();
        let counted = (open + read, read, held, reserved);
        let kept =
            (self.ranges.len(), self.awaiting.len(), self.ledger.held(), self.ledger.reserved());
        if counted != kept {
            return Err(format!("ranges, waiting, held, reserved: {kept:?}, not {counted:?}"));
        }
        let lone_row = self.ranges.values().any(|place| {
            let state = &self.segment_at(place).state;
            matches!(state, State::Read { rows, .. } if *rows <= 1) && state.bytes_held() == held
        });
        if self.ledger.total() > self.limits.bytes_max && !lone_row {
            return Err(format!("the memory is over its budget: {:?}", self.ledger));
        }
        Ok(())
    }
}

/// Segments are in order, without a gap, from end to end, and nothing is apart needlessly.
fn check_cover<P: Debug, L: Debug, R: Debug>(table: &Table<P, L, R>) -> Result<(), String> {
    let segments = &table.segments;
    let ends_open = |first: &Segment<P, L, R>, last: &Segment<P, L, R>| {
        first.interval.low.is_none() && last.interval.high.is_none()
    };
    if !matches!((segments.first(), segments.last()), (Some(a), Some(b)) if ends_open(a, b)) {
        return Err(format!("its ends are missing: {segments:?}"));
    }
    for pair in segments.windows(2) {
        let joined = pair[0].interval.high_key() == pair[1].interval.low_key();
        let both_done = pair[0].state.is_done() && pair[1].state.is_done();
        if !joined || both_done || pair[0].interval.is_empty() || pair[1].interval.is_empty() {
            return Err(format!("segments do not fit: {pair:?}"));
        }
    }
    Ok(())
}
