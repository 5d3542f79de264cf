//! Who gives way when rows and overlays have outgrown their memory.

use super::Snapshot;
use crate::range::{RangeId, State};

impl<P: Ord + Clone, L: Clone, R> Snapshot<P, L, R> {
    /// Hands back the largest ranges until the memory is within its budget (correctness §2,
    /// "Memory"): the log reader never waits for it.
    pub(super) fn relieve(&mut self) -> Vec<RangeId> {
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
}
