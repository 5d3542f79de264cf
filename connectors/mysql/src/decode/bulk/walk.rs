//! The walk over row images: where each cell lies, without a look at its value.

use super::{ROWS_MAX, word_at};
use crate::{
    decode::step::{Extent, Step},
    types::ColumnCodec,
};

/// Where the cells of an image lie, as far as the plan tells: runs of cells whose distances are the same in all rows. A run
/// ends with the first cell whose length is not.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    runs: Vec<Run>,
    /// Each column's run, and its distance from where the run begins.
    pub(super) places: Vec<(u32, u32)>,
    /// The null bits that no row may have.
    required: Vec<u8>,
    /// Bytes of constant length behind the last run.
    tail_bytes: usize,
    /// No image is shorter.
    pub(super) image_bytes_min: usize,
}

/// Cells of constant length, then one whose length varies: it may be null, or its length is stored ahead of it.
#[derive(Debug, Clone, Copy)]
struct Run {
    fixed_bytes: u32,
    /// Which of the four bytes at the last cell are its length; 0 for a cell of constant length.
    length_mask: u32,
    /// Bytes of the last cell besides those that the length counts.
    last_bytes: u32,
    /// The null bit of the last cell.
    null_bit: u32,
}

impl Shape {
    /// The shape of images of these columns; none when a cell's length is told in a way that the log does not have.
    pub(crate) fn of(steps: &[Step], codecs: &[ColumnCodec]) -> Option<Shape> {
        let null_bytes = steps.len().div_ceil(8);
        let mut shape = Shape {
            runs: Vec::new(),
            places: Vec::with_capacity(steps.len()),
            required: vec![0; null_bytes],
            tail_bytes: 0,
            image_bytes_min: null_bytes,
        };
        let mut fixed_bytes = 0;
        for (at, (step, codec)) in steps.iter().zip(codecs).enumerate() {
            shape.places.push((u32::try_from(shape.runs.len()).ok()?, fixed_bytes));
            if !codec.nullable {
                *shape.required.get_mut(at / 8)? |= 1 << (at % 8);
            }
            let (length_mask, last_bytes) = match step.stored_bytes() {
                Ok(bytes) if !codec.nullable => {
                    fixed_bytes += bytes;
                    shape.image_bytes_min += bytes as usize;
                    continue;
                }
                Ok(bytes) => (0, bytes),
                Err(Extent::One) => (0xFF, 1),
                Err(Extent::Two) => (0xFFFF, 2),
                Err(Extent::Three) => (0xFF_FFFF, 3),
                Err(Extent::Four) => (0xFFFF_FFFF, 4),
                Err(Extent::Fixed(_) | Extent::Lenenc) => return None,
            };
            shape.image_bytes_min += if codec.nullable { 0 } else { last_bytes as usize };
            let null_bit = u32::try_from(at).ok()?;
            shape.runs.push(Run { fixed_bytes, length_mask, last_bytes, null_bit });
            fixed_bytes = 0;
        }
        shape.tail_bytes = fixed_bytes as usize;
        Some(shape)
    }
}

/// What the walk found. Kept for its room.
#[derive(Debug, Default)]
pub(in crate::decode) struct Found {
    pub(super) runs: Vec<RunFound>,
    /// Columns that were decoded cell by cell, and how many values a policy had made null in them before.
    pub(super) nulled_before: Vec<(usize, u64)>,
}

/// Where a run begins in each row, in which rows its last cell is null, and how many bytes its last cells have that are
/// behind a length.
#[derive(Debug, Clone)]
pub(super) struct RunFound {
    pub(super) nulls: u64,
    pub(super) lengths: usize,
    pub(super) begins: [u32; ROWS_MAX],
}

/// Images one behind the other from `at` on, of which one has to end at each of `ends`.
#[derive(Clone, Copy)]
pub(in crate::decode) struct Images<'a> {
    pub(in crate::decode) bytes: &'a [u8],
    pub(in crate::decode) at: usize,
    pub(in crate::decode) ends: &'a [usize],
}

/// The rows that were appended, and where the next begins.
pub(super) type Taken = (usize, usize);

impl Found {
    /// Finds the cells of so many images as are taken together; of none when one of them has a fault.
    pub(super) fn walk(&mut self, shape: &Shape, images: Images<'_>) -> Taken {
        let Images { bytes: images, at, ends } = images;
        let mut ends = ends.iter().copied().skip_while(|&end| end <= at);
        let mut event_end = ends.next().unwrap_or(usize::MAX);
        // One run more: the cells behind the last.
        let runs = shape.runs.len() + 1;
        let nothing = RunFound { nulls: 0, lengths: 0, begins: [0; ROWS_MAX] };
        if self.runs.len() < runs {
            self.runs.resize(runs, nothing);
        }
        for run in &mut self.runs {
            (run.nulls, run.lengths) = (0, 0);
        }
        let is_narrow = shape.required.len() <= 8;
        let (required, null_bytes) = (word_of(&shape.required), shape.required.len());
        let narrow_bits = u64::MAX.checked_shr(64 - 8 * null_bytes.min(8) as u32).unwrap_or(0);
        let mut taken = (0, at);
        while taken.0 < ROWS_MAX && taken.1 < images.len() {
            let (row, start) = taken;
            let end = if is_narrow {
                // The bitmap as one number.
                let bits = word_at(images, start).swap_bytes() & narrow_bits;
                if bits & required != 0 {
                    return (0, 0);
                }
                let is_null = |run: &Run| bits >> (run.null_bit & 63) & 1;
                self.walk_image(shape, images, start + null_bytes, row, is_null)
            } else {
                let Some(bitmap) = images.get(start..start + null_bytes) else { return (0, 0) };
                if has_any(bitmap, &shape.required) {
                    return (0, 0);
                }
                let is_null = |run: &Run| {
                    let byte = bitmap.get(run.null_bit as usize / 8).copied().unwrap_or(0);
                    u64::from(byte) >> (run.null_bit & 7) & 1
                };
                self.walk_image(shape, images, start + null_bytes, row, is_null)
            };
            match end {
                Some(end) if end <= event_end => {
                    if end == event_end {
                        event_end = ends.next().unwrap_or(usize::MAX);
                    }
                    taken = (taken.0 + 1, end);
                }
                _ => return (0, 0),
            }
        }
        taken
    }

    /// The cells of one image, which begin here; returns its end, which is not beyond that of `images`.
    #[inline(always)]
    fn walk_image(
        &mut self,
        shape: &Shape,
        images: &[u8],
        mut at: usize,
        row: usize,
        is_null: impl Fn(&Run) -> u64,
    ) -> Option<usize> {
        let row = row % ROWS_MAX;
        let (found, last) = self.runs.split_at_mut_checked(shape.runs.len())?;
        for (run, found) in shape.runs.iter().zip(found) {
            found.begins[row] = at as u32;
            at += run.fixed_bytes as usize;
            let null = is_null(run);
            let kept = null.wrapping_sub(1) as usize;
            found.nulls |= null << row;
            if run.length_mask != 0 {
                let length = (length_at(images, at) & run.length_mask) as usize & kept;
                found.lengths += length;
                at += length;
            }
            at += run.last_bytes as usize & kept;
        }
        last.first_mut()?.begins[row] = at as u32;
        at += shape.tail_bytes;
        (at <= images.len()).then_some(at)
    }
}

/// Whether the bitmap has one of these bits.
#[inline(always)]
fn has_any(bitmap: &[u8], bits: &[u8]) -> bool {
    bitmap.iter().zip(bits).fold(0, |all, (byte, bits)| all | byte & bits) != 0
}

/// At most eight bytes as the number whose lowest they are.
fn word_of(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Four bytes, little-endian. Those beyond the end are 0, which is never taken for a length: the image is too long then.
#[inline(always)]
fn length_at(images: &[u8], at: usize) -> u32 {
    match images.get(at..).and_then(<[u8]>::first_chunk::<4>) {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => last_length_at(images, at),
    }
}

#[inline(never)]
fn last_length_at(images: &[u8], at: usize) -> u32 {
    let last = images.get(at..).unwrap_or_default();
    last.iter().take(4).rev().fold(0, |length, &byte| length << 8 | u32::from(byte))
}
