//! Many row images of the log at once, column by column: one walk finds the cells of up to 64 rows, then each column is
//! decoded in a loop of its own.
//!
//! It knows no error. What it cannot take (bytes that end early, a value that breaks its policy) it leaves as it was, and
//! whoever called decodes row by row, which names the fault. Values that are not plain go through [`Step::append`] here too.

use super::{
    batch::ColumnState,
    binlog::BinlogPlan,
    builder::{ColumnBuilder, Fixed, Var},
    cursor::Cursor,
    error::Fault,
    step::{Extent, Step},
    temporal,
};
use crate::types::ColumnCodec;

#[cfg(test)]
mod tests;

/// Rows that are decoded together: their null bits are one number.
pub(super) const ROWS_MAX: usize = 64;
/// With fewer rows the walk costs more than it saves.
const ROWS_MIN: usize = 3;

/// Where the cells of an image lie, as far as the plan tells: runs of cells whose distances are the same in all rows. A run
/// ends with the first cell whose length is not.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    runs: Vec<Run>,
    /// Each column's run, and its distance from where the run begins.
    places: Vec<(u32, u32)>,
    /// The null bits that no row may have.
    required: Vec<u8>,
    /// Bytes of constant length behind the last run.
    tail_bytes: usize,
    /// No image is shorter.
    image_bytes_min: usize,
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
pub(super) struct Found {
    runs: Vec<RunFound>,
    /// Columns that were decoded cell by cell, and how many values a policy had made null in them before.
    nulled_before: Vec<(usize, u64)>,
}

/// Where a run begins in each row, in which rows its last cell is null, and how many bytes its last cells have that are
/// behind a length.
#[derive(Debug, Clone)]
struct RunFound {
    nulls: u64,
    lengths: usize,
    begins: [u32; ROWS_MAX],
}

/// Images one behind the other from `at` on, of which one has to end at each of `ends`.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) ends: &'a [usize],
}

/// The rows that were appended, and where the next begins.
pub(super) type Taken = (usize, usize);

impl Found {
    /// Finds the cells of so many images as are taken together; of none when one of them has a fault.
    fn walk(&mut self, shape: &Shape, images: Images<'_>) -> Taken {
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

/// Appends the first rows of `images` to all columns, or none: then the columns may hold halves of them.
pub(super) fn append(
    plan: &BinlogPlan,
    shape: &Shape,
    columns: &mut [ColumnState],
    rows_before: usize,
    found: &mut Found,
    images: Images<'_>,
) -> Result<Taken, Fault> {
    let length = images.bytes.len();
    // Places are kept in 32 bits.
    if length.saturating_sub(images.at) / ROWS_MIN < shape.image_bytes_min
        || u32::try_from(length).is_err()
    {
        return Ok((0, 0));
    }
    let taken = found.walk(shape, images);
    if taken.0 < ROWS_MIN {
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
    let codecs = plan.codecs.iter().zip(&shape.places);
    for (at, ((step, column), (codec, &(run, distance)))) in
        plan.steps.iter().zip(columns).zip(codecs).enumerate()
    {
        let run = run as usize;
        let Some(run) = found.runs.get(run) else { return Err(Fault::wrong_builder()) };
        let begins = run.begins.get(..taken.0).unwrap_or_default();
        let nulls = if codec.nullable { run.nulls } else { 0 };
        let cells = Cells { images, begins, distance, nulls, text_bytes: run.lengths };
        if !cells.append_plain(step, column, rows_before)? {
            column.builder.truncate(rows_before);
            found.nulled_before.push((at, column.nulled));
            cells.append_any(step, column, codec)?;
        }
    }
    Ok(())
}

/// The cells of one column.
#[derive(Clone, Copy)]
struct Cells<'a> {
    images: &'a [u8],
    begins: &'a [u32],
    distance: u32,
    nulls: u64,
    /// Of cells behind a length: bytes of all of them.
    text_bytes: usize,
}

impl Cells<'_> {
    #[inline(always)]
    fn at(&self, begin: u32) -> usize {
        begin as usize + self.distance as usize
    }

    #[inline(always)]
    fn is_null(&self, row: usize) -> bool {
        self.nulls >> row & 1 == 1
    }

    /// One cell after another, as a single row is decoded.
    #[inline(never)]
    fn append_any(
        &self,
        step: &Step,
        column: &mut ColumnState,
        codec: &ColumnCodec,
    ) -> Result<(), Fault> {
        for (row, &begin) in self.begins.iter().enumerate() {
            if self.is_null(row) {
                column.builder.push_null();
                continue;
            }
            let cell = self.images.get(self.at(begin)..).ok_or_else(Fault::cut_off)?;
            step.append(&mut Cursor::new(cell), column, codec)?;
        }
        Ok(())
    }

    /// The cells, when all of them are plain values of the common kinds; if not, says false, and what was appended has to go.
    #[inline(always)]
    fn append_plain(
        &self,
        step: &Step,
        column: &mut ColumnState,
        rows_before: usize,
    ) -> Result<bool, Fault> {
        use Step as S;
        let builder = &mut column.builder;
        Ok(match *step {
            S::Truth => self.truths(builder)?,
            S::I8 => self.numbers(builder.i8()?, |[byte]| byte as i8),
            S::U8 => self.numbers(builder.i16()?, |[byte]| i16::from(byte)),
            S::I16 => self.numbers(builder.i16()?, i16::from_le_bytes),
            S::U16 => self.numbers(builder.i32()?, |bytes| i32::from(u16::from_le_bytes(bytes))),
            S::I24 => {
                self.numbers(builder.i32()?, |[a, b, c]| i32::from_le_bytes([0, a, b, c]) >> 8)
            }
            S::U24 => self.numbers(builder.i32()?, |[a, b, c]| i32::from_le_bytes([a, b, c, 0])),
            S::I32 => self.numbers(builder.i32()?, i32::from_le_bytes),
            S::U32 => self.numbers(builder.i64()?, |bytes| i64::from(u32::from_le_bytes(bytes))),
            S::I64 => self.numbers(builder.i64()?, i64::from_le_bytes),
            S::U64 => {
                self.numbers(builder.decimal()?, |bytes| i128::from(u64::from_le_bytes(bytes)))
            }
            S::F32 => self.numbers(builder.f32()?, f32::from_le_bytes),
            S::F64 => self.numbers(builder.f64()?, f64::from_le_bytes),
            S::Decimal(layout) => match layout.short() {
                Some(short) => {
                    let (fixed, bytes) = (builder.decimal()?, layout.bytes());
                    match short.groups {
                        0 => {
                            self.words(fixed, bytes, |word| Some(short.unscaled::<0>(word)?.into()))
                        }
                        1 => {
                            self.words(fixed, bytes, |word| Some(short.unscaled::<1>(word)?.into()))
                        }
                        _ => {
                            self.words(fixed, bytes, |word| Some(short.unscaled::<2>(word)?.into()))
                        }
                    }
                }
                None => false,
            },
            S::Datetime(0) => {
                self.words(builder.timestamp()?, 5, |word| temporal::plain_datetime(word, 0))
            }
            S::Datetime(3) => {
                self.words(builder.timestamp()?, 8, |word| temporal::plain_datetime(word, 3))
            }
            S::Datetime(fraction) => {
                self.words(builder.timestamp()?, 5 + usize::from(fraction), |word| {
                    temporal::plain_datetime(word, fraction)
                })
            }
            S::Timestamp(0) => {
                self.words(builder.timestamp()?, 4, |word| temporal::plain_timestamp(word, 0))
            }
            S::Timestamp(fraction) => {
                self.words(builder.timestamp()?, 4 + usize::from(fraction), |word| {
                    temporal::plain_timestamp(word, fraction)
                })
            }
            S::Date => self.values(builder.date()?, |[a, b, c]| {
                temporal::Civil::of_packed_date(u32::from_le_bytes([a, b, c, 0])).days()
            }),
            S::Utf8(Extent::One) => self.texts::<1>(builder.utf8()?, rows_before)?,
            S::Utf8(Extent::Two) => self.texts::<2>(builder.utf8()?, rows_before)?,
            _ => false,
        })
    }

    /// Numbers of a width that is a constant.
    #[inline(always)]
    fn numbers<const N: usize, T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        of: impl Fn([u8; N]) -> T,
    ) -> bool {
        self.values(fixed, |bytes| Some(of(bytes)))
    }

    /// Values of a width that is a constant; false when one is none.
    #[inline(always)]
    fn values<const N: usize, T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        of: impl Fn([u8; N]) -> Option<T>,
    ) -> bool {
        let Cells { images, begins, distance, nulls, .. } = *self;
        let distance = distance as usize;
        let mut are_plain = true;
        let values = begins.iter().enumerate().map(|(row, &begin)| {
            let cell = images.get(begin as usize + distance..).and_then(<[u8]>::first_chunk);
            let value = cell.and_then(|cell| of(*cell));
            are_plain &= value.is_some() | (nulls >> row & 1 == 1);
            value.filter(|_| nulls >> row & 1 == 0).unwrap_or_default()
        });
        if nulls == 0 {
            fixed.extend(values)
        } else {
            fixed.extend_with_nulls(values, nulls)
        }
        are_plain
    }

    /// Values of so many bytes, at most eight, each handed on as one big-endian number; false when one is none.
    #[inline(always)]
    fn words<T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        bytes: usize,
        of: impl Fn(u64) -> Option<T>,
    ) -> bool {
        let Cells { images, begins, distance, nulls, .. } = *self;
        let distance = distance as usize;
        let beyond_bits = 64 - 8 * bytes.clamp(1, 8) as u32;
        let mut are_plain = true;
        let values = begins.iter().enumerate().map(|(row, &begin)| {
            let word = word_at(images, begin as usize + distance) >> beyond_bits;
            let value = of(word);
            are_plain &= value.is_some() | (nulls >> row & 1 == 1);
            value.filter(|_| nulls >> row & 1 == 0).unwrap_or_default()
        });
        fixed.extend(values);
        if nulls != 0 {
            fixed.mark_nulls(nulls, begins.len());
        }
        are_plain
    }

    /// Truth values, 0 or 1 each.
    #[inline(always)]
    fn truths(&self, builder: &mut ColumnBuilder) -> Result<bool, Fault> {
        let Cells { images, begins, distance, nulls, .. } = *self;
        let distance = distance as usize;
        let (mut values, mut all) = (0, 0);
        for (row, &begin) in begins.iter().enumerate() {
            let stored = images.get(begin as usize + distance).copied().unwrap_or(u8::MAX);
            let value = if nulls >> row & 1 == 1 { 0 } else { stored };
            all |= value;
            values |= u64::from(value & 1) << row;
        }
        builder.bits()?.extend(values, begins.len(), nulls);
        Ok(all <= 1)
    }

    /// Texts behind a length of `N` bytes, 1 or 2: copied first, and looked at all together.
    #[inline(always)]
    fn texts<const N: usize>(&self, var: &mut Var, rows_before: usize) -> Result<bool, Fault> {
        let Cells { images, begins, distance, nulls, text_bytes } = *self;
        let distance = distance as usize;
        let mut is_whole = true;
        let cells = begins
            .iter()
            .enumerate()
            .map(|(row, &begin)| (begin as usize + distance, nulls >> row & 1 == 1));
        var.extend(text_bytes, cells, |into, (at, is_null)| {
            // A copy of constant size costs less than one of any size; what is too much is overwritten.
            if let Some(cell) = images.get(at..).and_then(<[u8]>::first_chunk::<18>)
                && let Some(into) = into.first_chunk_mut::<16>()
            {
                let (length, head) = if N == 1 {
                    (usize::from(cell[0]), cell[1..].first_chunk())
                } else {
                    (usize::from(u16::from_le_bytes([cell[0], cell[1]])), cell[2..].first_chunk())
                };
                let length = if is_null { 0 } else { length };
                if length <= 16
                    && let Some(head) = head
                {
                    *into = *head;
                    return length;
                }
            }
            let copied = if is_null { Some(0) } else { copy_text::<N>(images, at, into) };
            is_whole &= copied.is_some();
            copied.unwrap_or(0)
        })?;
        if self.nulls != 0 {
            var.mark_nulls(rows_before, self.nulls, self.begins.len());
        }
        Ok(is_whole && var.is_utf8_behind(rows_before))
    }
}

/// Eight bytes, big-endian. Those beyond the end are 0.
#[inline(always)]
fn word_at(images: &[u8], at: usize) -> u64 {
    match images.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => last_word_at(images, at),
    }
}

#[inline(never)]
fn last_word_at(images: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    let last = images.get(at..).unwrap_or_default();
    word.iter_mut().zip(last).for_each(|(into, byte)| *into = *byte);
    u64::from_be_bytes(word)
}

/// Copies a text of any length that stands behind its length of `N` bytes.
#[inline(never)]
fn copy_text<const N: usize>(images: &[u8], at: usize, into: &mut [u8]) -> Option<usize> {
    let (prefix, text) = images.get(at..)?.split_first_chunk::<N>()?;
    let length = prefix.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    into.get_mut(..length)?.copy_from_slice(text.get(..length)?);
    Some(length)
}
