//! The mistakes that the caller of the machine can make. Together with the machine's own
//! (`mutation.rs`) they break every rule once; the tests beside this file see each one caught.

use crate::mutation::Mutation;

/// A mistake in the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    /// The SELECT does not wait until `at` is proven: drop by low position.
    SelectBeforeProven,
    /// `at` counts as proven when anything beyond it is: maxima compared, not sets.
    ProofComparesMaxima,
    /// `high` is the end of what is proven, not the log end.
    HighFromProven,
    /// `high` is the log end before the SELECT.
    HighBeforeSelect,
    /// Events that were proven visible when the SELECT was sent are not kept.
    ProvenEventsDropped,
    /// The stream starts at the log end printed beside P0, not behind the set.
    StreamFromPosition,
    /// A table created before the log end read after P0 is Done from birth.
    CreateBeforeLogEndIsDone,
    /// Rows that are skipped without asking the machine do not enter the transaction.
    TransactionNotEntered,
    /// A key change is sent as an update under the new key.
    KeyChangeAsUpdate,
    /// Events outside of transactions do not advance the position.
    PositionOnlyOnRows,
    /// An ALTER keeps the ranges of its table.
    AlterKeepsRanges,
    /// A TRUNCATE keeps the ranges of its table.
    TruncateKeepsRanges,
    /// A new incarnation does not empty the sink table.
    IncarnationKeepsRows,
    /// The rows of a prepared transaction take effect at its PREPARE.
    XaAppliedAtPrepare,
    /// Ranges are opened while a transaction prepared before the start is open.
    XaNotAwaited,
    /// An XA COMMIT without its PREPARE keeps the ranges.
    XaUnknownCommitIgnored,
    /// The checkpoint forgets the prepared transactions.
    XaNotInCheckpoint,
    /// A group that ends in ROLLBACK takes effect.
    RollbackApplied,
    /// A barrier is cut inside a transaction.
    CheckpointInsideTransaction,
    /// A checkpoint stores the Done ranges of now with the position of the last barrier.
    CheckpointPositionStale,
    /// After a restart the reader stands behind what the checkpoint says.
    RestartSkipsGroup,
    /// The overlay is not merged into the rows.
    OverlayNotMerged,
    /// A tombstone does not remove the row.
    TombstoneNotMerged,
    /// Locking reads do not wait for the locks.
    LocksIgnored,
    /// The snapshot's position is taken as `high`, but not compared with `at`.
    SnapshotNotCompared,
}

/// What is wrong in this run, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    None,
    Machine(Mutation),
    Driver(Slip),
}

impl Mistake {
    pub(super) fn is(self, slip: Slip) -> bool {
        self == Mistake::Driver(slip)
    }
}
