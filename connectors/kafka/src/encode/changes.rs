//! The changes of a chunk, one by one: both halves of an update as one, each with its transaction.

use std::ops::Range;

use cdc_api::{ChangeBatch, Error, Op, Result, TxnSpan};

/// One change; rows are places in the batch.
pub(crate) enum Change<'a> {
    /// A row that the snapshot read, or an inserted one.
    Put {
        /// Whether the snapshot read it.
        read: bool,
        row: usize,
        at: At<'a>,
    },
    Update {
        before: usize,
        after: usize,
        at: At<'a>,
    },
    Delete {
        row: usize,
        at: At<'a>,
    },
}

/// Where a change stands in the source.
pub(crate) struct At<'a> {
    pub(crate) txn: &'a TxnSpan,
    pub(crate) seq: u64,
    /// Its row's place in the transaction, as far as the frame knows.
    pub(crate) row_in_txn: u32,
}

impl<'a> Change<'a> {
    /// The row whose key the record has.
    pub(crate) fn row(&self) -> usize {
        match self {
            Change::Put { row, .. } | Change::Delete { row, .. } => *row,
            Change::Update { after, .. } => *after,
        }
    }
    pub(crate) fn before(&self) -> Option<usize> {
        match self {
            Change::Put { .. } => None,
            Change::Update { before, .. } => Some(*before),
            Change::Delete { row, .. } => Some(*row),
        }
    }
    pub(crate) fn after(&self) -> Option<usize> {
        match self {
            Change::Put { row, .. } => Some(*row),
            Change::Update { after, .. } => Some(*after),
            Change::Delete { .. } => None,
        }
    }
    pub(crate) fn at(&self) -> &At<'a> {
        match self {
            Change::Put { at, .. } | Change::Update { at, .. } | Change::Delete { at, .. } => at,
        }
    }
}

/// The first place at or behind `end` that does not cut an update in two.
pub(crate) fn pair_end(batch: &ChangeBatch, end: usize) -> usize {
    let cuts = end > 0 && end < batch.len() && batch.ops.at(end - 1) == Op::UpdateBefore;
    if cuts { end + 1 } else { end }
}

/// Walks the changes of a range.
pub(crate) struct Changes<'a> {
    batch: &'a ChangeBatch,
    row: usize,
    end: usize,
    txn: usize,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(batch: &'a ChangeBatch, range: Range<usize>) -> Changes<'a> {
        let end = range.end.min(batch.len());
        let txn = if range.start < end {
            let ordinal = batch.ordinals.at(range.start);
            batch.txns.partition_point(|txn| txn.first_ordinal <= ordinal).saturating_sub(1)
        } else {
            0
        };
        Changes { batch, row: range.start, end, txn }
    }

    fn at(&mut self, row: usize) -> Result<At<'a>> {
        let (txns, ordinal) = (&self.batch.txns, self.batch.ordinals.at(row));
        while txns.get(self.txn + 1).is_some_and(|next| next.first_ordinal <= ordinal) {
            self.txn += 1;
        }
        let txn = txns
            .get(self.txn)
            .ok_or_else(|| Error::internal("a batch came without its transactions"))?;
        let row_in_txn = ordinal.saturating_sub(txn.first_ordinal);
        Ok(At { txn, seq: self.batch.seq(row), row_in_txn })
    }

    fn change(&mut self, row: usize) -> Result<Change<'a>> {
        let op = |row: usize| (row < self.end).then(|| self.batch.ops.at(row));
        match (op(row), op(row + 1)) {
            (Some(Op::UpdateBefore), Some(Op::UpdateAfter)) => {
                self.row = row + 2;
                let at = self.at(row + 1)?;
                Ok(Change::Update { before: row, after: row + 1, at })
            }
            (Some(op @ (Op::Read | Op::Insert)), _) => {
                let at = self.at(row)?;
                Ok(Change::Put { read: op == Op::Read, row, at })
            }
            (Some(Op::Delete), _) => Ok(Change::Delete { row, at: self.at(row)? }),
            _ => Err(Error::internal("an update came without one of its two images")),
        }
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Result<Change<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.row;
        if row >= self.end {
            return None;
        }
        self.row = row + 1;
        Some(self.change(row))
    }
}
