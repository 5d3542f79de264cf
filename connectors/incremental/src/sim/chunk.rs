//! The chunk readers: prove, SELECT, log end, in that order and at separate moments.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    database::{Database, Image},
    slip::{Mistake, Slip},
};
use crate::{Bound, Interval, Key, Opened};

/// How the source proves that all the reader has passed is visible (correctness §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The set of passed transactions is contained in the server's proven set.
    Set,
    /// The snapshot's exact position is at or behind `at`; needs visibility in log order.
    SnapshotPosition,
    /// No proof: the rows are read with locks, never waiting for one.
    Locks,
}

pub(super) struct Rows {
    pub(super) rows: BTreeMap<u8, Image>,
    pub(super) upto: Option<u8>,
    pub(super) bytes: u64,
}

pub(super) enum Stage {
    Opened,
    Selected(Rows),
    Ended { rows: Rows, high: u64 },
}

pub(super) struct Chunk {
    pub(super) opened: Opened<u64, u8>,
    /// How many groups the reader had passed when the range was opened.
    pub(super) at_count: usize,
    pub(super) stage: Stage,
    /// Groups that were proven when the SELECT was sent.
    pub(super) proven_at_select: BTreeSet<usize>,
    /// The log end when the range was opened; only a mistaken driver looks at it.
    high_early: u64,
    high_with_rows: Option<u64>,
}

/// What came of a chunk reader's step.
pub(super) enum Step {
    Waits,
    Went,
    RefusedByLocks,
}

pub(super) const ROW_BYTES: u64 = 50;

impl Chunk {
    pub(super) fn new(db: &Database, opened: Opened<u64, u8>, at_count: usize) -> Self {
        let high_early = db.position(db.log_len());
        Self {
            opened,
            at_count,
            stage: Stage::Opened,
            proven_at_select: BTreeSet::new(),
            high_early,
            high_with_rows: None,
        }
    }

    pub(super) fn step(
        &mut self,
        db: &Database,
        proof: Proof,
        passed_beyond: &BTreeSet<usize>,
        never_counted: &BTreeSet<usize>,
        mistake: Mistake,
    ) -> Step {
        match std::mem::replace(&mut self.stage, Stage::Opened) {
            Stage::Opened => {
                let counted = (0..self.at_count)
                    .chain(passed_beyond.iter().copied())
                    .filter(|index| !never_counted.contains(index));
                let proven = match proof {
                    Proof::Locks => true,
                    Proof::SnapshotPosition => {
                        db.visible_prefix() >= self.at_count
                            || mistake.is(Slip::SnapshotNotCompared)
                    }
                    Proof::Set if mistake.is(Slip::SelectBeforeProven) => true,
                    Proof::Set if mistake.is(Slip::ProofComparesMaxima) => {
                        let maximum = (0..db.log_len()).rev().find(|index| db.is_proven(*index));
                        maximum.map_or(0, |index| index + 1) >= self.at_count
                    }
                    Proof::Set => counted.into_iter().all(|index| db.is_proven(index)),
                };
                if proven { self.select(db, proof, mistake) } else { Step::Waits }
            }
            Stage::Selected(rows) => {
                let high = match self.high_with_rows {
                    Some(high) => high,
                    None if mistake.is(Slip::HighBeforeSelect) => self.high_early,
                    None if mistake.is(Slip::HighFromProven) => {
                        let proven = (0..db.log_len()).rev().find(|index| db.is_proven(*index));
                        db.position(proven.map_or(0, |index| index + 1).max(self.at_count))
                    }
                    None => db.position(db.log_len()),
                };
                self.stage = Stage::Ended { rows, high };
                Step::Went
            }
            ended @ Stage::Ended { .. } => {
                self.stage = ended;
                Step::Waits
            }
        }
    }

    fn select(&mut self, db: &Database, proof: Proof, mistake: Mistake) -> Step {
        let mut selected = Rows { rows: BTreeMap::new(), upto: None, bytes: 0 };
        if let Some(content) = db.seen().get(&self.opened.table.0) {
            for (key, image) in &content.rows {
                if !self.opened.interval.contains(&[*key]) {
                    continue;
                }
                selected.rows.insert(*key, *image);
                selected.bytes += ROW_BYTES;
                if selected.rows.len() as u64 == self.opened.rows_max
                    || selected.bytes > self.opened.bytes_max
                {
                    selected.upto = Some(*key);
                    break;
                }
            }
        }
        let scanned = interval_upto(&self.opened.interval, selected.upto);
        if proof == Proof::Locks
            && !mistake.is(Slip::LocksIgnored)
            && db.is_locked(self.opened.table.0, |key| scanned.contains(&[key]))
        {
            return Step::RefusedByLocks;
        }
        if proof == Proof::SnapshotPosition {
            let exact = db.position(db.visible_prefix());
            self.high_with_rows = Some(exact.max(self.opened.at));
        }
        if mistake.is(Slip::ProvenEventsDropped) {
            self.proven_at_select =
                (0..db.log_len()).filter(|index| db.is_proven(*index)).collect();
        }
        self.stage = Stage::Selected(selected);
        Step::Went
    }
}

pub(super) fn bound(key: u8) -> Bound<u8> {
    Bound { key: Key::from(vec![key]), literal: key }
}

/// The part of `interval` that a chunk whose last key is `upto` has read.
pub(super) fn interval_upto(interval: &Interval<u8>, upto: Option<u8>) -> Interval<u8> {
    match upto {
        Some(upto) => Interval { low: interval.low.clone(), high: Some(bound(upto)) },
        None => interval.clone(),
    }
}
