//! The lock-free snapshot: copies tables that keep changing while their log is read, in one pass,
//! without a lock and without losing or doubling a row (correctness §2). A pure, synchronous state
//! machine: no I/O, no clock, no runtime, no randomness. Every database source drives the same one.
//!
//! # The idea
//!
//! One log reader starts at P0, before any row is read, and never goes back. Beside it chunk
//! readers SELECT the tables range by range. A range joins the log at a position of its own: until
//! then its events are dropped, because a later SELECT will see them; while its SELECT runs they
//! are kept in its overlay; once its rows are out they are passed on. Rows and overlay together
//! are the range exactly as of the boundary at which the reader stands, so each row leaves as one
//! insert followed by its changes.
//!
//! | state of the key's range | a put | a delete | a delete, sink `AtLeastOnce` |
//! |---|---|---|---|
//! | Unread | dropped | dropped | emitted |
//! | Open, Read | image kept | tombstone kept | tombstone kept, and emitted |
//! | Done | emitted | emitted | emitted |
//!
//! A key change is a delete of the old key and a put of the new one: they may lie in two ranges.
//!
//! # The life of a range
//!
//! 1. [`Snapshot::open`] between two transactions: `at` = the reader's position. The range has both
//!    its ends; a SELECT may stop short of the upper one.
//! 2. **Prove** (the caller): the SELECT is sent only once the server has proven that every
//!    transaction up to `at` is visible. A log position alone proves nothing about visibility.
//! 3. **SELECT** (the caller) `ORDER BY` key `LIMIT` [`Opened::rows_max`].
//! 4. **`high`** (the caller) = the log end, read after the SELECT: nothing that it saw lies beyond.
//!    Then [`Snapshot::read`]. After a LIMIT the range ends at the last key that came; what lies
//!    beyond is Unread again, and its part of the overlay is discarded.
//! 5. At the first boundary at or behind `high`, [`Snapshot::boundary`] or [`Snapshot::complete`]
//!    returns the range as [`Completed`]: it is Done. The caller emits rows and overlay, merged, in
//!    one piece, before it puts the next log row.
//!
//! Keeping an event that the SELECT already saw is always right; dropping one that it did not see
//! never is. A range may be handed back to Unread at any moment before it is Done, and so a
//! checkpoint needs the reader's position and the Done intervals, nothing else.
//!
//! # Where things are
//!
//! `snapshot` is the machine (tables and log; `chunks`, `budget`, `progress` beneath it), `table` one
//! table's segments, `range` their states and the overlay, `interval` and `key` what a checkpoint
//! stores, `sizing` how long the next chunk is, `verdict` all that is answered. `mutation` and `sim`
//! are the proof: a simulation against a model database, and every rule broken once.

#[cfg(test)]
mod behaviour;
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
