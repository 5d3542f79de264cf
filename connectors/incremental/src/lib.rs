//! The lock-free snapshot: copies tables that keep changing while their log is read, in one pass,
//! without a lock and without losing or doubling a row. A pure, synchronous state machine: no I/O,
//! no clock, no runtime, no randomness. Every database source drives the same one.

mod interval;
mod key;
mod memory;
mod mutation;
mod range;
#[cfg(test)]
mod sim;
mod sizing;
mod snapshot;
mod table;
mod verdict;

pub use interval::{Interval, merge};
pub use key::{Bound, Key};
pub use range::RangeId;
pub use sizing::Limits;
pub use snapshot::{Snapshot, TableAlreadyAdded};
pub use table::{TableKey, TableState};
pub use verdict::{
    Applied, ChunkRead, Completed, Opened, Operation, Progress, ReadOutcome, Refusal, SinkRecovery,
    Verdict,
};
