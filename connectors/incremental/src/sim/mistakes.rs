//! The test of the test: each rule is broken once, and some early schedule must notice.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    slip::{Mistake, Slip},
    world::run,
};
use crate::mutation::Mutation;

/// Every mistake is noticed within so many seeds (most of them within ten).
const SEEDS_MAX: u64 = 3000;

fn check_caught(mistake: Mistake) {
    for seed in 0..SEEDS_MAX {
        match catch_unwind(AssertUnwindSafe(|| run(seed, mistake, None))) {
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => {
                eprintln!("{mistake:?}: seed {seed}: {fault}");
                return;
            }
            Err(_) => {
                eprintln!("{mistake:?}: seed {seed}: an invariant of the machine panicked");
                return;
            }
        }
    }
    panic!("{mistake:?} went unnoticed in {SEEDS_MAX} schedules");
}

macro_rules! caught {
    ($($name:ident: $kind:ident($mistake:expr),)*) => {
        $(
            #[test]
            fn $name() {
                check_caught(Mistake::$kind($mistake));
            }
        )*
    };
}

caught! {
    open_inside_transaction: Machine(Mutation::OpenInsideTransaction),
    open_before_log_end: Machine(Mutation::OpenBeforeLogEnd),
    create_before_log_end_is_done: Driver(Slip::CreateBeforeLogEndIsDone),
    complete_inside_transaction: Machine(Mutation::CompleteInsideTransaction),
    complete_before_high: Machine(Mutation::CompleteBeforeHigh),
    overlay_ends_at_high: Machine(Mutation::OverlayEndsAtHigh),
    overlay_beyond_limit_kept: Machine(Mutation::OverlayBeyondLimitKept),
    limit_reads_whole_range: Machine(Mutation::LimitReadsWholeRange),
    tombstone_dropped: Machine(Mutation::TombstoneDropped),
    hand_back_keeps_overlay: Machine(Mutation::HandBackKeepsOverlay),
    stale_read_accepted: Machine(Mutation::StaleReadAccepted),
    relocate_keeps_ranges: Machine(Mutation::RelocateKeepsRanges),
    relocate_leaves_transaction: Machine(Mutation::RelocateLeavesTransaction),
    read_stored_as_done: Machine(Mutation::ReadStoredAsDone),
    open_stored_as_done: Machine(Mutation::OpenStoredAsDone),
    deletes_not_passed: Machine(Mutation::DeletesNotPassed),
    incarnation_keeps_done: Machine(Mutation::IncarnationKeepsDone),
    unread_emitted: Machine(Mutation::UnreadEmitted),
    done_dropped: Machine(Mutation::DoneDropped),
    select_before_proven: Driver(Slip::SelectBeforeProven),
    proof_compares_maxima: Driver(Slip::ProofComparesMaxima),
    high_from_proven: Driver(Slip::HighFromProven),
    high_before_select: Driver(Slip::HighBeforeSelect),
    proven_events_dropped: Driver(Slip::ProvenEventsDropped),
    stream_from_position: Driver(Slip::StreamFromPosition),
    transaction_not_entered: Driver(Slip::TransactionNotEntered),
    key_change_as_update: Driver(Slip::KeyChangeAsUpdate),
    position_only_on_rows: Driver(Slip::PositionOnlyOnRows),
    alter_keeps_ranges: Driver(Slip::AlterKeepsRanges),
    truncate_keeps_ranges: Driver(Slip::TruncateKeepsRanges),
    incarnation_keeps_rows: Driver(Slip::IncarnationKeepsRows),
    xa_applied_at_prepare: Driver(Slip::XaAppliedAtPrepare),
    xa_not_awaited: Driver(Slip::XaNotAwaited),
    xa_unknown_commit_ignored: Driver(Slip::XaUnknownCommitIgnored),
    xa_not_in_checkpoint: Driver(Slip::XaNotInCheckpoint),
    rollback_applied: Driver(Slip::RollbackApplied),
    checkpoint_inside_transaction: Driver(Slip::CheckpointInsideTransaction),
    checkpoint_position_stale: Driver(Slip::CheckpointPositionStale),
    restart_skips_group: Driver(Slip::RestartSkipsGroup),
    overlay_not_merged: Driver(Slip::OverlayNotMerged),
    tombstone_not_merged: Driver(Slip::TombstoneNotMerged),
    locks_ignored: Driver(Slip::LocksIgnored),
    snapshot_not_compared: Driver(Slip::SnapshotNotCompared),
}
