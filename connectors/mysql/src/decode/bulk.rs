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
    step::{Extent, Step, datetime_micros, timestamp_micros},
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
    /// No image is shorter.
    image_bytes_min: usize,
}

/// Cells of constant length, then one that is not.
#[derive(Debug, Clone, Copy)]
struct Run {
    fixed_bytes: u32,
    last: Last,
    /// The null bit of the last cell: byte and bit.
    null_byte: u32,
    null_bit: u8,
}

/// The cell that ends a run.
#[derive(Debug, Clone, Copy)]
enum Last {
    /// There is none: the image ends.
    Nothing,
    /// So many bytes, or null.
    Nullable(u32),
    /// Behind a length of 1 to 4 bytes, or null.
    One,
    Two,
    Three,
    Four,
}

impl Shape {
    /// The shape of images of these columns; none when a cell's length is told in a way that the log does not have.
    pub(crate) fn of(steps: &[Step], codecs: &[ColumnCodec]) -> Option<Shape> {
        let null_bytes = steps.len().div_ceil(8);
        let mut shape = Shape {
            runs: Vec::new(),
            places: Vec::with_capacity(steps.len()),
            required: vec![0; null_bytes],
            image_bytes_min: null_bytes,
        };
        let mut fixed_bytes = 0;
        for (at, (step, codec)) in steps.iter().zip(codecs).enumerate() {
            shape.places.push((u32::try_from(shape.runs.len()).ok()?, fixed_bytes));
            if !codec.nullable {
                *shape.required.get_mut(at / 8)? |= 1 << (at % 8);
            }
            let (last, bytes) = match step.stored_bytes() {
                Ok(bytes) if !codec.nullable => {
                    fixed_bytes += bytes;
                    shape.image_bytes_min += bytes as usize;
                    continue;
                }
                Ok(bytes) => (Last::Nullable(bytes), 0),
                Err(Extent::One) => (Last::One, 1),
                Err(Extent::Two) => (Last::Two, 2),
                Err(Extent::Three) => (Last::Three, 3),
                Err(Extent::Four) => (Last::Four, 4),
                Err(Extent::Fixed(_) | Extent::Lenenc) => return None,
            };
            shape.image_bytes_min += if codec.nullable { 0 } else { bytes };
            let null_byte = u32::try_from(at / 8).ok()?;
            shape.runs.push(Run { fixed_bytes, last, null_byte, null_bit: (at % 8) as u8 });
            fixed_bytes = 0;
        }
        shape.runs.push(Run { fixed_bytes, last: Last::Nothing, null_byte: 0, null_bit: 0 });
        Some(shape)
    }
}

/// What the walk found, by run: where it begins in each row, and in which rows its last cell is null. Kept for its room.
#[derive(Debug, Default)]
pub(super) struct Found {
    begins: Vec<[u32; ROWS_MAX]>,
    nulls: Vec<u64>,
    /// Columns that were decoded cell by cell, and how many values a policy had made null in them before.
    nulled_before: Vec<(usize, u64)>,
}

/// The rows that were appended and the bytes they took.
pub(super) type Taken = (usize, usize);

impl Found {
    /// Finds the cells of the images at the start of `images`, of as many as there are and fit.
    fn walk(&mut self, shape: &Shape, images: &[u8]) -> Taken {
        let runs = shape.runs.len();
        if self.begins.len() < runs {
            self.begins.resize(runs, [0; ROWS_MAX]);
        }
        self.nulls.clear();
        self.nulls.resize(runs, 0);
        let mut taken = (0, 0);
        while taken.0 < ROWS_MAX && taken.1 < images.len() {
            let Some(end) = self.walk_image(shape, images, taken.1, taken.0) else { break };
            taken = (taken.0 + 1, end);
        }
        // The row that was not taken may have left null bits behind.
        if taken.0 < ROWS_MAX {
            self.nulls.iter_mut().for_each(|nulls| *nulls &= (1 << taken.0) - 1);
        }
        taken
    }

    /// One image; returns its end, which is not beyond that of `images`.
    #[inline(always)]
    fn walk_image(
        &mut self,
        shape: &Shape,
        images: &[u8],
        start: usize,
        row: usize,
    ) -> Option<usize> {
        let bitmap = images.get(start..start + shape.required.len())?;
        let forbidden = bitmap.iter().zip(&shape.required).fold(0, |all, (a, b)| all | a & b);
        if forbidden != 0 {
            return None;
        }
        let mut at = start + bitmap.len();
        let found = self.begins.iter_mut().zip(&mut self.nulls);
        for (run, (begins, nulls)) in shape.runs.iter().zip(found) {
            begins[row % ROWS_MAX] = at as u32;
            at += run.fixed_bytes as usize;
            let null = bitmap.get(run.null_byte as usize)? >> run.null_bit & 1;
            let kept = usize::from(null).wrapping_sub(1);
            let length = match run.last {
                Last::Nothing => break,
                Last::Nullable(bytes) => bytes as usize,
                _ if null == 1 => 0,
                Last::One => 1 + usize::from(*images.get(at)?),
                Last::Two => 2 + Cursor::new(images.get(at..)?).u16().ok()? as usize,
                Last::Three => 3 + Cursor::new(images.get(at..)?).u24().ok()? as usize,
                Last::Four => 4 + Cursor::new(images.get(at..)?).u32().ok()? as usize,
            };
            *nulls |= u64::from(null) << row;
            at += length & kept;
        }
        (at <= images.len()).then_some(at)
    }
}

/// Appends the rows at the start of `images` to all columns, or none: then the columns may hold halves of them.
pub(super) fn append(
    plan: &BinlogPlan,
    shape: &Shape,
    columns: &mut [ColumnState],
    rows_before: usize,
    found: &mut Found,
    images: &[u8],
) -> Result<Taken, Fault> {
    // Places are kept in 32 bits.
    if images.len() / ROWS_MIN < shape.image_bytes_min || u32::try_from(images.len()).is_err() {
        return Ok((0, 0));
    }
    let taken = found.walk(shape, images);
    if taken.0 < ROWS_MIN {
        return Ok((0, 0));
    }
    found.nulled_before.clear();
    let done = append_columns(plan, shape, columns, rows_before, found, images, taken);
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
        let (Some(begins), Some(nulls)) = (found.begins.get(run), found.nulls.get(run)) else {
            return Err(Fault::wrong_builder());
        };
        let begins = begins.get(..taken.0).unwrap_or_default();
        let nulls = if codec.nullable { *nulls } else { 0 };
        let cells = Cells { images, begins, distance, nulls };
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
            S::Decimal(layout) if layout.is_short() => {
                self.values(builder.decimal()?, |cursor| layout.read_unscaled(cursor).ok())
            }
            S::Date => self.values(builder.date()?, |cursor| {
                super::temporal::Civil::of_packed_date(cursor.u24().ok()?).days()
            }),
            S::Datetime(3) => {
                self.values(builder.timestamp()?, |cursor| datetime_micros(cursor, 3))
            }
            S::Datetime(fraction) => {
                self.values(builder.timestamp()?, |cursor| datetime_micros(cursor, fraction))
            }
            S::Timestamp(0) => {
                self.values(builder.timestamp()?, |cursor| timestamp_micros(cursor, 0))
            }
            S::Timestamp(fraction) => {
                self.values(builder.timestamp()?, |cursor| timestamp_micros(cursor, fraction))
            }
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
        self.values(fixed, |cursor| Some(of(cursor.array().ok()?)))
    }

    /// Values of one width each; false when one is none.
    #[inline(always)]
    fn values<T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        of: impl Fn(&mut Cursor<'_>) -> Option<T>,
    ) -> bool {
        let mut are_plain = true;
        let mut value = |at: usize| {
            let value = self.images.get(at..).and_then(|cell| of(&mut Cursor::new(cell)));
            are_plain &= value.is_some();
            value.unwrap_or_default()
        };
        if self.nulls == 0 {
            fixed.extend(self.begins.iter().map(|&begin| value(self.at(begin))));
        } else {
            fixed.extend_with_nulls(
                self.begins.iter().enumerate().map(|(row, &begin)| {
                    if self.is_null(row) { T::default() } else { value(self.at(begin)) }
                }),
                self.nulls,
            );
        }
        are_plain
    }

    /// Truth values, 0 or 1 each.
    #[inline(always)]
    fn truths(&self, builder: &mut ColumnBuilder) -> Result<bool, Fault> {
        let (mut values, mut all) = (0, 0);
        for (row, &begin) in self.begins.iter().enumerate() {
            let stored = self.images.get(self.at(begin)).copied();
            let value = if self.is_null(row) { 0 } else { stored.unwrap_or(u8::MAX) };
            all |= value;
            values |= u64::from(value & 1) << row;
        }
        builder.bits()?.extend(values, self.begins.len(), self.nulls);
        Ok(all <= 1)
    }

    /// Texts behind a length of `N` bytes: copied first, and looked at all together.
    #[inline(always)]
    fn texts<const N: usize>(&self, var: &mut Var, rows_before: usize) -> Result<bool, Fault> {
        for (row, &begin) in self.begins.iter().enumerate() {
            let at = self.at(begin);
            let mut length = 0;
            if let Some(prefix) = self.images.get(at..).and_then(<[u8]>::first_chunk::<N>) {
                prefix.iter().rev().for_each(|&byte| length = length << 8 | usize::from(byte));
            }
            if self.is_null(row) {
                length = 0;
            }
            let head = self.images.get(at + N..).and_then(<[u8]>::first_chunk::<16>);
            match head {
                Some(head) if length <= head.len() => var.push_head(head, length)?,
                _ => {
                    let cell = if length == 0 {
                        &[][..]
                    } else {
                        self.images.get(at + N..at + N + length).ok_or_else(Fault::cut_off)?
                    };
                    var.push(cell)?;
                }
            }
        }
        if self.nulls != 0 {
            var.mark_nulls(rows_before, self.nulls, self.begins.len());
        }
        Ok(var.is_utf8_behind(rows_before))
    }
}
