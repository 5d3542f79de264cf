//! Rows of one table that wait to become a row group.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use arrow_select::concat::concat_batches;

/// A row group has at most about so many rows.
pub(crate) const GROUP_ROWS_MAX: usize = 128 << 10;
/// A batch below this is small: its arrays' own weight counts for more than its rows.
const SMALL_ROWS: usize = 1_024;
/// So many small batches at the end are put together into one.
const SMALL_BATCHES_MAX: usize = 64;

/// Batches in order, with their size.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    small: usize,
}

impl Pending {
    /// Takes a batch behind the others.
    pub(crate) fn push(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        self.rows += batch.num_rows();
        self.bytes += batch.get_array_memory_size();
        self.small = if batch.num_rows() < SMALL_ROWS { self.small + 1 } else { 0 };
        self.batches.push(batch);
        if self.small < SMALL_BATCHES_MAX {
            return Ok(());
        }
        let from = self.batches.len().saturating_sub(self.small);
        let tail = self.batches.split_off(from);
        let Some(first) = tail.first() else { return Ok(()) };
        let joined = concat_batches(&first.schema(), &tail)?;
        let before: usize = tail.iter().map(RecordBatch::get_array_memory_size).sum();
        self.bytes = self.bytes.saturating_sub(before) + joined.get_array_memory_size();
        self.small = usize::from(joined.num_rows() < SMALL_ROWS);
        self.batches.push(joined);
        Ok(())
    }

    /// Whether they are enough for a row group.
    pub(crate) fn is_full(&self, bytes_max: usize) -> bool {
        self.rows >= GROUP_ROWS_MAX || self.bytes >= bytes_max
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What the arrays hold in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all away.
    pub(crate) fn take(&mut self) -> Vec<RecordBatch> {
        std::mem::take(self).batches
    }
}
