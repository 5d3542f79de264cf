//! What the log's reader hands to the source: a contiguous slice of the log, columnar by table, with the keys of rows
//! whose table is not wholly Done yet.

use std::{collections::HashMap, sync::Arc};

use arrow_array::RecordBatch;
use cdc_api::{Op, TxnId, TxnSpan};

use crate::{
    decode::{BatchBuilder, DecodeError},
    keys::{Encoded, Form, KeyCodec, KeyError, PendingKey, Weight, WeightRequest},
    position::LogPosition,
    source::{CapturedTable, TableChange},
};

/// Keys of rows in the machine's byte order, one behind the other; keys whose texts the server has to weigh wait for that.
#[derive(Debug, Default, Clone)]
pub(crate) struct RowKeys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// All keys, for a table that needs weights, until [`RowKeys::settle`].
    pending: Vec<PendingKey>,
}

impl RowKeys {
    /// Appends the key made of these cells.
    pub(crate) fn push<'c>(
        &mut self,
        codec: &KeyCodec,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        form: Form,
    ) -> Result<(), KeyError> {
        match codec.encode(cells, form, &mut self.bytes)? {
            Encoded::Ready => self.ends.push(self.bytes.len()),
            Encoded::NeedsWeights(key) => self.pending.push(key),
        }
        Ok(())
    }

    /// Appends the key of a row that was selected with its raw weights, in the order of the key's requests.
    pub(crate) fn push_weighed<'c>(
        &mut self,
        codec: &KeyCodec,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        raw_weights: &[Option<&[u8]>],
    ) -> Result<(), KeyError> {
        if let Encoded::NeedsWeights(key) = codec.encode(cells, Form::Result, &mut self.bytes)? {
            let raws = raw_weights.iter().copied().chain(std::iter::repeat(None));
            let weights = key
                .requests()
                .zip(raws)
                .map(|(request, raw)| Ok((request, codec.weight(request, raw)?)))
                .collect::<Result<Vec<_>, KeyError>>()?;
            let find = |wanted: &WeightRequest| {
                weights.iter().find(|(request, _)| *request == wanted).map(|(_, weight)| weight)
            };
            if !key.finish(find, &mut self.bytes) {
                return Err(KeyError::CellCount {
                    expected: weights.len(),
                    found: raw_weights.len(),
                });
            }
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Appends a key that is known.
    pub(crate) fn push_bytes(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
    }

    /// The keys that wait for the server.
    pub(crate) fn pending(&self) -> &[PendingKey] {
        &self.pending
    }

    /// Finishes the keys that waited; false when a weight is missing.
    pub(crate) fn settle(&mut self, weights: &HashMap<WeightRequest, Weight>) -> bool {
        for key in std::mem::take(&mut self.pending) {
            if !key.finish(|request| weights.get(request), &mut self.bytes) {
                return false;
            }
            self.ends.push(self.bytes.len());
        }
        true
    }

    /// The key of a row. All keys are settled by then.
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// The keys of the rows for which `keep` is true.
    fn selected(mut self, keep: &[bool]) -> RowKeys {
        let mut kept = RowKeys::default();
        if !self.pending.is_empty() {
            let mut flags = keep.iter();
            self.pending.retain(|_| flags.next().is_some_and(|keep| *keep));
            return self;
        }
        for (row, _) in keep.iter().enumerate().filter(|(_, keep)| **keep) {
            kept.push_bytes(self.get(row));
        }
        kept
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len() + self.pending.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }
}

/// Rows of one table in one frame.
#[derive(Debug)]
pub(crate) struct LogBatch {
    pub(crate) table: Arc<CapturedTable>,
    pub(crate) rows: RecordBatch,
    pub(crate) ops: Vec<Op>,
    pub(crate) ordinals: Vec<u32>,
    /// One key a row; none when the table was wholly Done as the rows were decoded.
    pub(crate) keys: Option<RowKeys>,
}

/// A run of transactions of one origin with consecutive numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PassedRun {
    /// The first of them.
    pub(crate) first: TxnId,
    /// The number of the last.
    pub(crate) last: u64,
}

/// A contiguous slice of the log.
#[derive(Debug)]
pub(crate) struct LogFrame {
    pub(crate) batches: Vec<LogBatch>,
    pub(crate) txns: Vec<TxnSpan>,
    pub(crate) ordinals: u32,
    /// Where the reader stands behind it.
    pub(crate) end: LogPosition,
    /// Whether that is between two transactions.
    pub(crate) boundary: bool,
    /// Transactions that ended in it, captured or not.
    pub(crate) passed: Vec<PassedRun>,
    /// When the last of them was committed, microseconds since the epoch.
    pub(crate) commit_ts_us: Option<i64>,
    pub(crate) log_bytes: u64,
    /// What happened to tables behind its rows, at its end.
    pub(crate) changes: Vec<TableChange>,
}

/// Collects a frame.
#[derive(Default)]
pub(crate) struct FrameBuilder {
    open: Vec<OpenBatch>,
    /// The builders of the last frame's tables by table key.
    spare: HashMap<u32, BatchBuilder>,
    /// Index into `open` by table key; `usize::MAX` for none.
    places: Vec<usize>,
    txns: Vec<TxnSpan>,
    ordinals: u32,
    passed: Vec<PassedRun>,
    commit_ts_us: Option<i64>,
    log_bytes: u64,
    /// Ordinals that never happened (rolled back).
    cuts: Vec<std::ops::Range<u32>>,
}

/// Rows that are being decoded.
pub(crate) struct OpenBatch {
    pub(crate) table: Arc<CapturedTable>,
    pub(crate) builder: BatchBuilder,
    pub(crate) ops: Vec<Op>,
    pub(crate) ordinals: Vec<u32>,
    pub(crate) keys: Option<RowKeys>,
}

const NO_PLACE: usize = usize::MAX;
/// Rows that a batch is prepared for; it grows.
const ROWS_EXPECTED: usize = 64;

impl FrameBuilder {
    /// Whether it holds nothing that has to travel.
    pub(crate) fn has_rows(&self) -> bool {
        !self.open.is_empty()
    }

    /// Log bytes since the last frame.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    pub(crate) fn add_log_bytes(&mut self, bytes: usize) {
        self.log_bytes += bytes as u64;
    }

    pub(crate) fn ordinals(&self) -> u32 {
        self.ordinals
    }

    /// The open batch of a table.
    pub(crate) fn batch(
        &mut self,
        table: &Arc<CapturedTable>,
    ) -> Result<&mut OpenBatch, DecodeError> {
        let key = table.key.0 as usize;
        if self.places.len() <= key {
            self.places.resize(key + 1, NO_PLACE);
        }
        if self.places[key] == NO_PLACE {
            self.places[key] = self.open.len();
            let spare = self.spare.remove(&table.key.0).filter(|spare| spare.is_of(&table.codec));
            let builder = match spare {
                Some(mut builder) => {
                    builder.make_room();
                    builder
                }
                None => BatchBuilder::new(&table.codec, ROWS_EXPECTED)?,
            };
            let rows = builder.rows_expected();
            self.open.push(OpenBatch {
                table: Arc::clone(table),
                builder,
                ops: Vec::with_capacity(rows),
                ordinals: Vec::with_capacity(rows),
                keys: (!table.is_done()).then(RowKeys::default),
            });
        }
        Ok(&mut self.open[self.places[key]])
    }

    /// Takes `count` ordinals for rows of the running transaction.
    pub(crate) fn advance_ordinals(&mut self, count: u32) {
        self.ordinals += count;
    }

    /// The first rows of a transaction in this frame come next. Position and time are filled in at its end.
    pub(crate) fn begin_txn(&mut self, id: &TxnId, file: &Arc<str>) {
        let first_ordinal = self.ordinals;
        self.txns.push(TxnSpan {
            first_ordinal,
            id: id.clone(),
            file: Arc::clone(file),
            pos: 0,
            commit_ts_us: 0,
        });
    }

    /// The running transaction's span gets position and time.
    pub(crate) fn stamp_txn(&mut self, pos: u64, commit_ts_us: i64) {
        if let Some(span) = self.txns.last_mut() {
            (span.pos, span.commit_ts_us) = (pos, commit_ts_us);
        }
    }

    /// A transaction has ended.
    pub(crate) fn pass(&mut self, id: &TxnId, commit_ts_us: i64) {
        self.commit_ts_us = Some(commit_ts_us);
        let number = match id {
            TxnId::None => return,
            TxnId::Gtid { number, .. } => *number,
            TxnId::Domain { sequence, .. } => *sequence,
        };
        if let Some(run) = self.passed.last_mut()
            && continues(run, id, number)
        {
            run.last = number;
            return;
        }
        self.passed.push(PassedRun { first: id.clone(), last: number });
    }

    /// The rows from this ordinal on never happened.
    pub(crate) fn cut_from(&mut self, ordinal: u32) {
        self.cuts.push(ordinal..self.ordinals);
    }

    /// An event broke off in the middle of a row: its halves are taken out.
    pub(crate) fn cut_row(&mut self, ordinal: u32) {
        self.cuts.push(ordinal..ordinal + 2);
        self.ordinals = self.ordinals.max(ordinal + 2);
    }

    /// The tables with rows from this ordinal on.
    pub(crate) fn tables_since(&self, ordinal: u32) -> Vec<Arc<CapturedTable>> {
        let has_rows =
            |open: &&OpenBatch| open.ordinals.last().is_some_and(|last| *last >= ordinal);
        self.open.iter().filter(has_rows).map(|open| Arc::clone(&open.table)).collect()
    }

    /// Closes the frame at `end`.
    pub(crate) fn finish(
        &mut self,
        end: LogPosition,
        boundary: bool,
    ) -> Result<LogFrame, DecodeError> {
        let mut batches = Vec::with_capacity(self.open.len());
        self.spare.clear();
        for mut open in self.open.drain(..) {
            self.places[open.table.key.0 as usize] = NO_PLACE;
            open.table.note_nulled(open.builder.take_nulled());
            let rows = open.builder.finish()?;
            self.spare.insert(open.table.key.0, open.builder);
            let batch = LogBatch {
                table: open.table,
                rows,
                ops: open.ops,
                ordinals: open.ordinals,
                keys: open.keys,
            };
            let batch = if self.cuts.is_empty() { batch } else { without(batch, &self.cuts) };
            if batch.rows.num_rows() > 0 {
                batches.push(batch);
            }
        }
        self.cuts.clear();
        Ok(LogFrame {
            batches,
            txns: std::mem::take(&mut self.txns),
            ordinals: std::mem::take(&mut self.ordinals),
            end,
            boundary,
            passed: std::mem::take(&mut self.passed),
            commit_ts_us: self.commit_ts_us.take(),
            log_bytes: std::mem::take(&mut self.log_bytes),
            changes: Vec::new(),
        })
    }
}

fn continues(run: &PassedRun, id: &TxnId, number: u64) -> bool {
    match (&run.first, id) {
        (TxnId::Gtid { source: a, tag: s, .. }, TxnId::Gtid { source: b, tag: t, .. }) => {
            a == b && s == t && run.last.checked_add(1) == Some(number)
        }
        (
            TxnId::Domain { domain: a, server: s, .. },
            TxnId::Domain { domain: b, server: t, .. },
        ) => a == b && s == t,
        _ => false,
    }
}

/// Rare: a rolled-back transaction had rows in the log.
fn without(batch: LogBatch, cuts: &[std::ops::Range<u32>]) -> LogBatch {
    let keep: Vec<bool> = batch
        .ordinals
        .iter()
        .map(|ordinal| !cuts.iter().any(|cut| cut.contains(ordinal)))
        .collect();
    select(batch, &keep)
}

/// The rows of a batch for which `keep` is true.
pub(crate) fn select(batch: LogBatch, keep: &[bool]) -> LogBatch {
    let mask = arrow_array::BooleanArray::from(keep.to_vec());
    let rows = arrow_select::filter::filter_record_batch(&batch.rows, &mask)
        .expect("the mask has one entry a row");
    let ops = batch.ops.iter().zip(keep).filter_map(|(op, keep)| keep.then_some(*op)).collect();
    let ordinals = batch
        .ordinals
        .iter()
        .zip(keep)
        .filter_map(|(ordinal, keep)| keep.then_some(*ordinal))
        .collect();
    let keys = batch.keys.map(|keys| keys.selected(keep));
    LogBatch { table: batch.table, rows, ops, ordinals, keys }
}
