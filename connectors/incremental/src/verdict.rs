//! What the machine answers: to a log row, to a chunk that was read, to the wish for a range.

use crate::{
    interval::Interval,
    key::{Bound, Key},
    range::RangeId,
    table::TableKey,
};

/// What the sink can do after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkRecovery {
    /// It goes back to the checkpoint: rows delivered after it were never there.
    RollsBack,
    /// Rows delivered after the checkpoint may stay. Deletes are then passed on whatever the state
    /// of their range, or a row delivered before the crash and deleted during it stays for ever
    /// (correctness §2, "Crash"). The sink must take the delete of an absent key calmly.
    AtLeastOnce,
}

/// Which kind of change a log row is. A key change is a `Delete` of the old key and a `Put` of
/// the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An insert, or an update that leaves the key's bytes as they are.
    Put,
    /// A delete.
    Delete,
}

/// What is to be done with a log row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: a later SELECT will see it.
    Drop,
    /// It goes into the overlay; nothing is emitted now.
    Keep,
    /// It goes into the overlay, and the sink is told as well (only deletes, `AtLeastOnce` only).
    KeepAndEmit,
    /// The sink is told.
    Emit,
}

impl Verdict {
    /// Whether the caller has to send the change to the sink now.
    pub fn is_emitted(self) -> bool {
        matches!(self, Verdict::KeepAndEmit | Verdict::Emit)
    }

    /// Whether the change belongs into an overlay.
    pub fn is_kept(self) -> bool {
        matches!(self, Verdict::KeepAndEmit | Verdict::Keep)
    }
}

/// What became of a log row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an emitted change must be sent on, and the rows of ranges handed back must be dropped"]
pub struct Applied {
    /// What was done; the caller acts on `verdict.is_emitted()`.
    pub verdict: Verdict,
    /// Ranges handed back because the overlay outgrew the budget: the caller drops what it holds
    /// of their rows and need not finish their SELECTs. Almost always empty.
    pub handed_back: Vec<RangeId>,
}

/// A range to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened<P, L> {
    /// Names this attempt.
    pub range: RangeId,
    /// The table to read.
    pub table: TableKey,
    /// The keys to read: `WHERE low < k AND k <= high ORDER BY k`.
    pub interval: Interval<L>,
    /// The reader's position. The SELECT is sent only once every transaction up to here is proven
    /// visible.
    pub at: P,
    /// The SELECT's LIMIT.
    pub rows_max: u64,
    /// Once the rows have more bytes than this the SELECT is stopped after a whole key.
    pub bytes_max: u64,
}

/// What a chunk's SELECT brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRead<P, L> {
    /// `Some(k)`: there may be more rows beyond k, the last key that came (the LIMIT was reached,
    /// or the SELECT was stopped over its share of bytes). `None`: the whole range came.
    pub upto: Option<Bound<L>>,
    /// The log end, read *after* the SELECT, on the server that answered it.
    pub high: P,
    /// How many rows came.
    pub rows: u64,
    /// The memory that they take.
    pub bytes: u64,
    /// How long the SELECT took; steers the size of the table's next chunk.
    pub elapsed_us: u64,
}

/// What became of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "rows of a chunk that was not accepted, or of ranges handed back, must be dropped"]
pub enum ReadOutcome {
    /// The rows are kept by the caller until their range is completed or handed back. The ranges
    /// in `handed_back` made room for them; this chunk's own may be among them.
    Accepted {
        /// Ranges whose rows the caller drops.
        handed_back: Vec<RangeId>,
    },
    /// The range was handed back meanwhile: the caller drops these rows. Nothing has changed.
    Stale,
    /// The chunk contradicts what was asked for. The range is Unread again, the caller drops the
    /// rows; asking again would end the same way.
    Refused(Refusal),
}

/// Why a chunk is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Our byte order of the keys is not the server's.
    #[error("the chunk's last key lies outside of the range that was read")]
    KeyOutsideRange,
    /// Taking it as whole could lose rows.
    #[error("the chunk has as many rows as its LIMIT but is said to be the whole range")]
    LimitWithoutLastKey,
    /// It comes from another server, or was not taken after the SELECT.
    #[error("the log end after the SELECT lies before the position at which the range was opened")]
    HighBeforeAt,
}

/// A range that became Done: rows and overlay, merged, are its content exactly as of the
/// transaction boundary at which the reader stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed<R> {
    /// The attempt whose rows the caller holds.
    pub range: RangeId,
    /// Its table.
    pub table: TableKey,
    /// In key order. `Some` replaces or adds a row, `None` removes it if it is there.
    pub overlay: Vec<(Key, Option<R>)>,
}

/// Where the snapshot stands, over all tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Tables known.
    pub tables: usize,
    /// Tables that are wholly Done.
    pub tables_done: usize,
    /// Ranges whose SELECT may be running.
    pub ranges_open: usize,
    /// Ranges whose rows wait for the reader to reach the log end.
    pub ranges_read: usize,
    /// Ranges completed since the machine was made.
    pub ranges_done: u64,
    /// Ranges handed back since the machine was made, for whatever reason.
    pub ranges_handed_back: u64,
    /// Rows that SELECTs brought, of the ranges completed since the machine was made.
    pub rows_done: u64,
    /// Memory of rows and overlays.
    pub bytes_held: u64,
    /// Memory set aside for the rows of SELECTs that are running.
    pub bytes_reserved: u64,
}
