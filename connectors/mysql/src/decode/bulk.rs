//! Many row images of the log at once, column by column: one walk finds the cells of up to 64 rows ([`walk`]), then each
//! column is decoded in a loop of its own ([`cells`]).
//!
//! It knows no error. What it cannot take (bytes that end early, a value that breaks its policy) it leaves as it was, and
//! whoever called decodes row by row, which names the fault. Values that are not plain go through [`Step::append`] here too.
//!
//! [`Step::append`]: super::step::Step::append

mod cells;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use walk::Shape;
pub(super) use walk::{Found, Images};

use self::{cells::Cells, walk::Taken};
use super::{batch::ColumnState, binlog::BinlogPlan, error::Fault};

/// Rows that are decoded together: their null bits are one number.
pub(crate) const ROWS_MAX: usize = 64;
/// With fewer rows the walk costs more than it saves.
pub(crate) const ROWS_MIN: usize = 3;

/// Appends the first rows of `images` to all columns, or none: also when there are fewer than `rows_min`. After a fault the
/// columns may hold halves of them.
pub(super) fn append(
    plan: &BinlogPlan,
    shape: &Shape,
    columns: &mut [ColumnState],
    rows_before: usize,
    found: &mut Found,
    images: Images<'_>,
    rows_min: usize,
) -> Result<Taken, Fault> {
    let length = images.bytes.len();
    // Places are kept in 32 bits.
    if length.saturating_sub(images.at) < shape.image_bytes_min.saturating_mul(rows_min)
        || u32::try_from(length).is_err()
    {
        return Ok((0, 0));
    }
    let taken = found.walk(shape, images);
    if taken.0 < rows_min {
        return Ok((0, 0));
    }
    found.nulled_before.clear();
    let done = append_columns(plan, shape, columns, rows_before, found, images.bytes, taken);
    if done.is_err() {
        for &(at, nulled) in &found.nulled_before {
            if let Some(column) = columns.get_mut(at) {
                column.nulled = nulled;
            }
        }
    }
    done.map(|()| taken)
}

fn append_columns(
    plan: &BinlogPlan,
    shape: &Shape,
    columns: &mut [ColumnState],
    rows_before: usize,
    found: &mut Found,
    images: &[u8],
    taken: Taken,
) -> Result<(), Fault> {
    let images = images.get(..taken.1).unwrap_or_default();
    for (at, ((step, column), place)) in
        plan.steps.iter().zip(columns).zip(&shape.places).enumerate()
    {
        let mut runs = found.runs.get(place.run as usize..).unwrap_or_default().iter();
        let Some(run) = runs.next() else { return Err(Fault::wrong_builder()) };
        let begins = run.begins.get(..taken.0).unwrap_or_default();
        let ends = runs.next().and_then(|next| next.begins.get(..taken.0)).unwrap_or_default();
        let nulls = if place.stores_null { run.nulls } else { 0 };
        let cells = Cells { images, begins, ends, distance: place.distance, nulls };
        if !cells.append_plain(step, column, rows_before)? {
            column.builder.truncate(rows_before);
            found.nulled_before.push((at, column.nulled));
            let codec = plan.codecs.get(at).ok_or_else(Fault::wrong_builder)?;
            cells.append_any(step, column, codec)?;
        }
    }
    Ok(())
}

/// Eight bytes, big-endian. Those beyond the end are 0. All places are of 32 bits, which spares a comparison.
#[inline(always)]
fn word_at(images: &[u8], at: usize) -> u64 {
    let place = at as u32 as usize;
    match images.get(place..place + 8).and_then(<[u8]>::first_chunk::<8>) {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => last_word_at(images, at),
    }
}

#[cold]
#[inline(never)]
fn last_word_at(images: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    let last = images.get(at..).unwrap_or_default();
    word.iter_mut().zip(last).for_each(|(into, byte)| *into = *byte);
    u64::from_be_bytes(word)
}
