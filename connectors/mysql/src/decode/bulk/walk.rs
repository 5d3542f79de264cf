//! The walk over row images: where each cell lies, without a look at its value.

use super::{ROWS_MAX, word_at};
use crate::{
    decode::step::{Extent, Step},
    types::ColumnCodec,
};

/// The null bitmap of as many columns as a table can have, in words.
const BITMAP_WORDS: usize = 64;

/// Where the cells of an image lie, as far as the plan tells: runs of cells whose distances are the same in all rows. A run
/// ends with the first cell whose length is not.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    runs: Vec<Run>,
    pub(super) places: Vec<Place>,
    null_bytes: usize,
    /// The null bits that no row may have; rows that have one all the same are decoded one by one.
    required: Vec<u64>,
    /// Those that it may have.
    nullable: Vec<u64>,
    /// Bytes of constant length behind the last run.
    tail_bytes: usize,
    /// No image is shorter.
    pub(super) image_bytes_min: usize,
}

/// Where a column's cells are: its run, their distance from where the run begins, and whether the run's null bits are theirs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) run: u32,
    pub(super) distance: u32,
    pub(super) stores_null: bool,
}

/// Cells of constant length, then one whose length varies: it may be null, or its length is stored ahead of it.
#[derive(Debug, Clone, Copy)]
struct Run {
    fixed_bytes: u32,
    /// Which of the four bytes at the last cell are its length; 0 for a cell of constant length.
    length_mask: u32,
    /// Bytes of the last cell besides those that the length counts.
    last_bytes: u32,
    /// The null bit of the last cell: its word and, unless it is never set, the bit there.
    null_word: u32,
    null_mask: u64,
}

impl Shape {
    /// The shape of images of these columns; none when a cell's length is told in a way that the log does not have.
    pub(crate) fn of(steps: &[Step], codecs: &[ColumnCodec]) -> Option<Shape> {
        let null_bytes = steps.len().div_ceil(8);
        if null_bytes > BITMAP_WORDS * 8 {
            return None;
        }
        let mut shape = Shape {
            runs: Vec::new(),
            places: Vec::with_capacity(steps.len()),
            null_bytes,
            required: vec![0; null_bytes.div_ceil(8)],
            nullable: vec![0; null_bytes.div_ceil(8)],
            tail_bytes: 0,
            image_bytes_min: null_bytes,
        };
        let mut fixed_bytes = 0;
        for (at, (step, codec)) in steps.iter().zip(codecs).enumerate() {
            let run = u32::try_from(shape.runs.len()).ok()?;
            let (distance, stores_null) = (fixed_bytes, codec.stores_null);
            shape.places.push(Place { run, distance, stores_null });
            let bit = 1 << (at % 64);
            let bits = if codec.stores_null { &mut shape.nullable } else { &mut shape.required };
            *bits.get_mut(at / 64)? |= bit;
            let (length_mask, last_bytes) = match step.stored_bytes() {
                Ok(bytes) if !codec.stores_null => {
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
            shape.image_bytes_min += if codec.stores_null { 0 } else { last_bytes as usize };
            let null_word = u32::try_from(at / 64).ok()?;
            let null_mask = if codec.stores_null { bit } else { 0 };
            shape.runs.push(Run { fixed_bytes, length_mask, last_bytes, null_word, null_mask });
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

/// Where a run begins in each row, which is where the one before it ends, and in which rows its last cell is null.
#[derive(Debug, Clone)]
pub(super) struct RunFound {
    pub(super) nulls: u64,
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
        // One run more: the cells behind the last.
        let runs = shape.runs.len() + 1;
        if self.runs.len() < runs {
            self.runs.resize(runs, RunFound { nulls: 0, begins: [0; ROWS_MAX] });
        }
        let taken = if shape.required.len() <= 1 {
            self.walk_rows::<true>(shape, images.bytes, images.at)
        } else {
            self.walk_rows::<false>(shape, images.bytes, images.at)
        };
        taken.filter(|&taken| self.has_ends(shape, images, taken)).unwrap_or_default()
    }

    /// The images' cells; none when an image goes beyond the end. `NARROW` images have null bits in one word.
    #[inline(never)]
    fn walk_rows<const NARROW: bool>(
        &mut self,
        shape: &Shape,
        images: &[u8],
        at: usize,
    ) -> Option<Taken> {
        let (found, last) = self.runs.split_at_mut_checked(shape.runs.len())?;
        let last = last.first_mut()?;
        found.iter_mut().for_each(|run| run.nulls = 0);
        let mut bitmap = [0; BITMAP_WORDS];
        let mut start = at;
        for row in 0..ROWS_MAX {
            if start >= images.len() {
                return Some((row, start));
            }
            let (mut refused, mut has_null) = (0, 0);
            // What is behind the bitmap in its last word is not looked at.
            let bits = shape.required.iter().zip(&shape.nullable);
            for (nth, (word, (required, nullable))) in bitmap.iter_mut().zip(bits).enumerate() {
                *word = word_at(images, start + 8 * nth).swap_bytes();
                refused |= *word & required;
                has_null |= *word & nullable;
                if NARROW {
                    break;
                }
            }
            if refused != 0 {
                return None;
            }
            let at = start + shape.null_bytes;
            let at = if has_null == 0 {
                walk_valid(&shape.runs, found, images, at, row)
            } else {
                walk_nulls::<NARROW>(&shape.runs, found, images, at, row, &bitmap)
            };
            last.begins[row] = at as u32;
            start = at + shape.tail_bytes;
            if start > images.len() {
                return None;
            }
        }
        Some((ROWS_MAX, start))
    }

    /// Whether an image ends wherever one has to.
    fn has_ends(&self, shape: &Shape, images: Images<'_>, taken: Taken) -> bool {
        let Images { at, ends, .. } = images;
        let ends = ends.get(ends.partition_point(|&end| end <= at)..).unwrap_or_default();
        let begins = self.runs.first().and_then(|run| run.begins.get(..taken.0));
        let begins = begins.unwrap_or_default();
        ends.iter().take_while(|&&end| end < taken.1).all(|&end| {
            u32::try_from(end + shape.null_bytes).is_ok_and(|at| begins.binary_search(&at).is_ok())
        })
    }
}

/// The cells of one image, which begin here, when none is null; returns where the last run ends.
#[inline(always)]
fn walk_valid(
    runs: &[Run],
    found: &mut [RunFound],
    images: &[u8],
    mut at: usize,
    row: usize,
) -> usize {
    for (run, found) in runs.iter().zip(found) {
        found.begins[row % ROWS_MAX] = at as u32;
        at += run.fixed_bytes as usize;
        if run.length_mask != 0 {
            at += (length_at(images, at) & run.length_mask) as usize;
        }
        at += run.last_bytes as usize;
    }
    at
}

/// As [`walk_valid`], by the image's null bits.
#[inline(always)]
fn walk_nulls<const NARROW: bool>(
    runs: &[Run],
    found: &mut [RunFound],
    images: &[u8],
    mut at: usize,
    row: usize,
    bitmap: &[u64; BITMAP_WORDS],
) -> usize {
    let row_bit = 1u64 << (row % ROWS_MAX);
    for (run, found) in runs.iter().zip(found) {
        found.begins[row % ROWS_MAX] = at as u32;
        at += run.fixed_bytes as usize;
        let word = if NARROW { 0 } else { run.null_word as usize % BITMAP_WORDS };
        let is_null = bitmap[word] & run.null_mask != 0;
        found.nulls |= if is_null { row_bit } else { 0 };
        let mut last_bytes = run.last_bytes as usize;
        if run.length_mask != 0 {
            last_bytes += (length_at(images, at) & run.length_mask) as usize;
        }
        at += if is_null { 0 } else { last_bytes };
    }
    at
}

/// Four bytes, little-endian. Those beyond the end are 0, which is never taken for a length: the image is too long then. A
/// place beyond 32 bits is beyond the end, and the image too long whatever is read: so one comparison is enough.
#[inline(always)]
fn length_at(images: &[u8], at: usize) -> u32 {
    let place = at as u32 as usize;
    match images.get(place..place + 4).and_then(<[u8]>::first_chunk::<4>) {
        Some(bytes) => u32::from_le_bytes(*bytes),
        None => last_length_at(images, at),
    }
}

#[cold]
#[inline(never)]
fn last_length_at(images: &[u8], at: usize) -> u32 {
    let last = images.get(at..).unwrap_or_default();
    last.iter().take(4).rev().fold(0, |length, &byte| length << 8 | u32::from(byte))
}
