//! A finished range as frames: the chunk's rows with the overlay laid over them, exactly as of the reader's position
//! (correctness §2.5).

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::{filter::filter_record_batch, interleave::interleave_record_batch};
use cdc_api::{ChangeBatch, Error, Frame, Op, Ops, Ordinals, Result, TxnId, TxnSpan};
use cdc_incremental::Key;

use super::CapturedTable;
use crate::{position::LogPosition, snapshot::ChunkRows};

/// A row image kept in an overlay: a row of a small batch that holds kept rows only.
#[derive(Debug, Clone)]
pub(crate) struct KeptRow {
    pub(crate) rows: Arc<RecordBatch>,
    pub(crate) at: usize,
    /// The end of the frame that brought it.
    #[cfg(debug_assertions)]
    pub(crate) logged_at: LogPosition,
}

/// Snapshot rows leave in frames of about this size, none of them a boundary: the caller marks the last.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// The frames of a range that is complete at `position`.
pub(crate) fn frames(
    table: &Arc<CapturedTable>,
    chunk: ChunkRows,
    overlay: Vec<(Key, Option<KeptRow>)>,
    position: &LogPosition,
) -> Result<Vec<Frame>> {
    #[cfg(debug_assertions)]
    let overlay = trusting(chunk.trusted_low.as_ref(), overlay);
    let read_ts_us = chunk.read_ts_us;
    let mut batches = uncovered(chunk, &overlay)?;
    batches.extend(images(&overlay)?);
    let txns: Arc<[TxnSpan]> = Arc::from([TxnSpan {
        first_ordinal: 0,
        id: TxnId::None,
        file: Arc::clone(position.file()),
        pos: position.offset(),
        commit_ts_us: read_ts_us,
    }]);
    let mut frames: Vec<Frame> = Vec::new();
    for rows in batches.into_iter().filter(|rows| rows.num_rows() > 0) {
        let count = u32::try_from(rows.num_rows())
            .map_err(|_| Error::internal("a chunk has more than 2^32 rows"))?;
        let batch = |first| ChangeBatch {
            schema: Arc::clone(table.schema()),
            rows,
            ops: Ops::All(Op::Read),
            ordinals: Ordinals::From(first),
            first_seq: 0,
            txns: Arc::clone(&txns),
        };
        match frames.last_mut() {
            Some(frame) if frame.bytes() < FRAME_BYTES_MAX => {
                frame.batches.push(batch(frame.ordinals));
                frame.ordinals += count;
            }
            _ => frames.push(Frame {
                batches: vec![batch(0)],
                ordinals: count,
                boundary: false,
                log_bytes: 0,
            }),
        }
    }
    Ok(frames)
}

/// The chunk's rows that no key of the overlay covers. Both are in key order.
fn uncovered(chunk: ChunkRows, overlay: &[(Key, Option<KeptRow>)]) -> Result<Vec<RecordBatch>> {
    if overlay.is_empty() {
        return Ok(chunk.batches);
    }
    let mut covered = overlay.iter().map(|(key, _)| &key[..]).peekable();
    let mut row = 0;
    let mut left = Vec::with_capacity(chunk.batches.len());
    for batch in chunk.batches {
        let keep: Vec<bool> = (0..batch.num_rows())
            .map(|_| {
                let key = chunk.keys.get(row);
                row += 1;
                while covered.peek().is_some_and(|other| *other < key) {
                    covered.next();
                }
                covered.peek().is_none_or(|other| *other != key)
            })
            .collect();
        left.push(if keep.iter().all(|keep| *keep) {
            batch
        } else {
            filter_record_batch(&batch, &BooleanArray::from(keep)).map_err(|error| {
                Error::internal("a chunk's rows cannot be filtered").caused_by(error)
            })?
        });
    }
    Ok(left)
}

/// The overlay's last images; tombstones have none.
fn images(overlay: &[(Key, Option<KeptRow>)]) -> Result<Option<RecordBatch>> {
    let kept: Vec<&KeptRow> = overlay.iter().filter_map(|(_, image)| image.as_ref()).collect();
    if kept.is_empty() {
        return Ok(None);
    }
    let mut sources: Vec<&RecordBatch> = Vec::new();
    let mut places = std::collections::HashMap::new();
    let mut indices = Vec::with_capacity(kept.len());
    for image in kept {
        let source = *places.entry(Arc::as_ptr(&image.rows)).or_insert_with(|| {
            sources.push(&image.rows);
            sources.len() - 1
        });
        indices.push((source, image.at));
    }
    interleave_record_batch(&sources, &indices)
        .map(Some)
        .map_err(|error| Error::internal("kept rows cannot be gathered").caused_by(error))
}

/// The broken proof of the race harness: what is logged before the low mark is taken as seen.
#[cfg(debug_assertions)]
fn trusting(
    low: Option<&LogPosition>,
    mut overlay: Vec<(Key, Option<KeptRow>)>,
) -> Vec<(Key, Option<KeptRow>)> {
    if let Some(low) = low {
        overlay.retain(|(_, image)| image.as_ref().is_none_or(|image| image.logged_at > *low));
    }
    overlay
}
