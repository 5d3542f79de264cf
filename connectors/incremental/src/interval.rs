//! Intervals of keys: open below, closed above, either end may be unbounded. Intervals are what a
//! chunk's SELECT is made of and what a checkpoint remembers of a table.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::key::{Bound, Key};

/// The keys `low < key <= high`. `None` is unbounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval<L> {
    /// The exclusive lower end.
    pub low: Option<Bound<L>>,
    /// The inclusive upper end.
    pub high: Option<Bound<L>>,
}

impl<L> Interval<L> {
    /// Every key.
    pub fn all() -> Self {
        Self { low: None, high: None }
    }

    /// Whether `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.is_above_low(key) && !self.ends_before(key)
    }

    /// Whether no key can lie in it. Bytes have no "next", so only the ends are compared.
    pub fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) => low.key >= high.key,
            _ => false,
        }
    }

    /// Whether `key` lies beyond the upper end.
    pub(crate) fn ends_before(&self, key: &[u8]) -> bool {
        self.high.as_ref().is_some_and(|high| &*high.key < key)
    }

    /// Whether a cut at `key` leaves a non-empty interval on both sides.
    pub(crate) fn is_cut_by(&self, key: &[u8]) -> bool {
        self.is_above_low(key) && self.high.as_ref().is_none_or(|high| key < &*high.key)
    }

    pub(crate) fn low_key(&self) -> Option<&Key> {
        self.low.as_ref().map(|low| &low.key)
    }

    pub(crate) fn high_key(&self) -> Option<&Key> {
        self.high.as_ref().map(|high| &high.key)
    }

    fn is_above_low(&self, key: &[u8]) -> bool {
        self.low.as_ref().is_none_or(|low| &*low.key < key)
    }
}

/// The same keys in the fewest intervals, in key order. Empty, overlapping and unsorted input is
/// welcome: it may come from a file.
pub fn merge<L>(mut intervals: Vec<Interval<L>>) -> Vec<Interval<L>> {
    intervals.retain(|interval| !interval.is_empty());
    // `None` sorts before every key, which is just what an unbounded lower end means.
    intervals.sort_by(|a, b| a.low_key().cmp(&b.low_key()));
    let mut merged: Vec<Interval<L>> = Vec::with_capacity(intervals.len());
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if reaches(last.high_key(), interval.low_key()) => {
                if compare_highs(last.high_key(), interval.high_key()) == Ordering::Less {
                    last.high = interval.high;
                }
            }
            _ => merged.push(interval),
        }
    }
    merged
}

/// Whether an interval that ends at `high` leaves no gap before one that begins at `low`.
fn reaches(high: Option<&Key>, low: Option<&Key>) -> bool {
    match (high, low) {
        (None, _) | (_, None) => true,
        (Some(high), Some(low)) => high >= low,
    }
}

fn compare_highs(a: Option<&Key>, b: Option<&Key>) -> Ordering {
    match (a, b) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bound(byte: u8) -> Bound<u8> {
        Bound { key: Key::from(vec![byte]), literal: byte }
    }

    fn interval(low: impl Into<Option<u8>>, high: impl Into<Option<u8>>) -> Interval<u8> {
        Interval { low: low.into().map(bound), high: high.into().map(bound) }
    }

    fn check(input: Vec<Interval<u8>>, expected: Vec<Interval<u8>>) {
        assert_eq!(merge(input), expected);
    }

    #[test]
    fn ends_are_open_below_and_closed_above() {
        let interval = interval(3, 5);
        assert!(!interval.contains(&[3]) && interval.contains(&[3, 0]) && interval.contains(&[5]));
        assert!(!interval.contains(&[5, 0]));
        assert!(!interval.is_cut_by(&[3]) && interval.is_cut_by(&[4]) && !interval.is_cut_by(&[5]));
    }

    #[test]
    fn neighbours_and_overlaps_merge_and_gaps_stay() {
        check(vec![interval(3, 5), interval(1, 3)], vec![interval(1, 5)]);
        check(vec![interval(1, 3), interval(4, 5)], vec![interval(1, 3), interval(4, 5)]);
        check(vec![interval(1, 9), interval(2, 3), interval(9, None)], vec![interval(1, None)]);
        check(vec![interval(None, 4), interval(4, None)], vec![Interval::all()]);
        check(vec![interval(5, 5), interval(6, 2)], vec![]);
    }

    proptest! {
        #[test]
        fn merging_keeps_exactly_the_keys(
            ends in prop::collection::vec((prop::option::of(0u8..20), prop::option::of(0u8..20)), 0..8)
        ) {
            let input: Vec<_> = ends.iter().map(|&(low, high)| interval(low, high)).collect();
            let merged = merge(input.clone());
            for key in 0u8..=20 {
                let before = input.iter().any(|interval| interval.contains(&[key]));
                let after = merged.iter().filter(|interval| interval.contains(&[key])).count();
                prop_assert_eq!(usize::from(before), after);
            }
            for pair in merged.windows(2) {
                prop_assert!(pair[0].high_key().unwrap() < pair[1].low_key().unwrap());
            }
            prop_assert_eq!(merge(merged.clone()), merged);
        }
    }
}
