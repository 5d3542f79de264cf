//! Rows of several source tables for one sink table, in the order in which they happened (correctness §6, "Many into one").

use arrow_select::interleave::interleave_record_batch;
use cdc_api::{ChangeBatch, Error, Ops, Ordinals, Result};

/// Merges batches of one frame and one sink schema by their ordinals. The two halves of an update have neighbouring
/// ordinals and stay neighbours.
pub(crate) fn by_seq(batches: Vec<ChangeBatch>) -> Result<Option<ChangeBatch>> {
    if batches.len() < 2 {
        return Ok(batches.into_iter().next());
    }
    let mut places: Vec<(u32, usize, usize)> = Vec::new();
    for (of, batch) in batches.iter().enumerate() {
        places.extend((0..batch.len()).map(|row| (batch.ordinals.at(row), of, row)));
    }
    places.sort_unstable();
    let rows: Vec<_> = batches.iter().map(|batch| &batch.rows).collect();
    let indices: Vec<(usize, usize)> = places.iter().map(|&(_, of, row)| (of, row)).collect();
    let rows = interleave_record_batch(&rows, &indices)
        .map_err(|error| Error::internal("batches of one sink table differ").caused_by(error))?;
    let ops = places.iter().map(|&(_, of, row)| batches[of].ops.at(row)).collect();
    let ordinals = places.iter().map(|&(ordinal, _, _)| ordinal).collect();
    Ok(batches.into_iter().next().map(|first| ChangeBatch {
        rows,
        ops: Ops::Each(ops),
        ordinals: Ordinals::Each(ordinals),
        ..first
    }))
}
