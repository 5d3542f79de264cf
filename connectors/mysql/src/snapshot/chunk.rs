//! What chunk readers are asked and what they answer.

use std::sync::Arc;

use arrow_array::RecordBatch;
use cdc_api::Error;
use cdc_incremental::{Bound, Interval, RangeId};

use crate::{
    keys::KeyLiteral,
    log::RowKeys,
    position::{LogPosition, ServerIdentity},
    source::CapturedTable,
};

/// A range to read.
#[derive(Debug)]
pub(crate) struct ChunkJob {
    pub(crate) range: RangeId,
    pub(crate) table: Arc<CapturedTable>,
    pub(crate) interval: Interval<KeyLiteral>,
    pub(crate) rows_max: u64,
    pub(crate) bytes_max: u64,
    /// The reader's position when the range was opened.
    pub(crate) at: LogPosition,
    /// The GTID set passed at that moment, as text; empty without GTIDs.
    pub(crate) passed: Arc<str>,
    /// How often row locks refused this table's chunk before.
    pub(crate) refusals: u32,
}

/// A chunk's end.
#[derive(Debug)]
pub(crate) struct ChunkDone {
    pub(crate) range: RangeId,
    pub(crate) table: Arc<CapturedTable>,
    pub(crate) outcome: ChunkOutcome,
}

/// How a chunk ended.
#[derive(Debug)]
pub(crate) enum ChunkOutcome {
    Read(ChunkRows),
    /// Rows are locked by writers: smaller, later.
    Locked,
    /// The connection failed; the reader makes a new one.
    Broken(Error),
    /// The table cannot be read. `log_end`: the log's end after the failure, so that a schema change that explains it
    /// can be waited for (correctness §6).
    Failed {
        reason: String,
        remedy: String,
        log_end: Option<LogPosition>,
    },
}

/// The rows of a range in key order.
#[derive(Debug)]
pub(crate) struct ChunkRows {
    pub(crate) batches: Vec<RecordBatch>,
    /// One a row.
    pub(crate) keys: RowKeys,
    /// The last key when the range may have more rows.
    pub(crate) upto: Option<Bound<KeyLiteral>>,
    pub(crate) high: LogPosition,
    /// Whose log `high` is in.
    pub(crate) identity: ServerIdentity,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) elapsed_us: u64,
    /// When it was read, microseconds since the epoch.
    pub(crate) read_ts_us: i64,
    /// With the broken proof: the log's end before the SELECT, up to which changes are thought to be seen.
    #[cfg(debug_assertions)]
    pub(crate) trusted_low: Option<LogPosition>,
    /// The SELECT was stopped over its share of bytes.
    pub(crate) stopped: bool,
}
