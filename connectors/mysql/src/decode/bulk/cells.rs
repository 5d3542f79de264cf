//! The cells of one column, in as many rows as are taken together: plain values of the common kinds in a tight loop each, and
//! whatever else as in a single row.
//!
//! The loops know no nulls: where a cell is null, that of another row stands in for it, and the value is cleared behind.

use super::{ROWS_MAX, word_at};
use crate::{
    decode::{
        batch::ColumnState,
        builder::{ColumnBuilder, Fixed, Var},
        cursor::Cursor,
        decimal::{Layout, Short},
        error::Fault,
        step::{Extent, Step},
        temporal,
    },
    types::ColumnCodec,
};

/// The cells of one column.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    pub(super) images: &'a [u8],
    /// Where the column's run begins in each row, and where the next one does: there the run's last cell ends.
    pub(super) begins: &'a [u32],
    pub(super) ends: &'a [u32],
    pub(super) distance: u32,
    pub(super) nulls: u64,
}

impl Cells<'_> {
    /// One cell after another, as a single row is decoded.
    #[inline(never)]
    pub(super) fn append_any(
        &self,
        step: &Step,
        column: &mut ColumnState,
        codec: &ColumnCodec,
    ) -> Result<(), Fault> {
        for (row, &begin) in self.begins.iter().enumerate() {
            if self.nulls >> row & 1 == 1 {
                column.builder.push_null();
                continue;
            }
            let at = begin as usize + self.distance as usize;
            let cell = self.images.get(at..).ok_or_else(Fault::cut_off)?;
            step.append(&mut Cursor::new(cell), column, codec)?;
        }
        Ok(())
    }

    /// The cells, when all of them are plain values of the common kinds; if not, says false, and what was appended has to go.
    #[inline(always)]
    pub(super) fn append_plain(
        &self,
        step: &Step,
        column: &mut ColumnState,
        rows_before: usize,
    ) -> Result<bool, Fault> {
        let builder = &mut column.builder;
        if let Step::Utf8(extent) | Step::Bytes(extent) = *step {
            return self.texts(extent, builder, rows_before);
        }
        if self.nulls == 0 {
            return self.append_valid(step, builder);
        }
        let mut begins = [0; ROWS_MAX];
        let Some(begins) = self.with_stand_ins(&mut begins) else {
            // All are null.
            self.begins.iter().for_each(|_| builder.push_null());
            return Ok(true);
        };
        let are_plain = Cells { begins, ..*self }.append_valid(step, builder)?;
        if are_plain {
            builder.clear_nulls(self.nulls, begins.len());
        }
        Ok(are_plain)
    }

    /// The rows' begins, those of a row that is not null where one is; none when all are.
    #[inline(never)]
    fn with_stand_ins<'b>(&self, room: &'b mut [u32; ROWS_MAX]) -> Option<&'b [u32]> {
        let begins = room.get_mut(..self.begins.len())?;
        begins.copy_from_slice(self.begins);
        let valid = *begins.get((!self.nulls).trailing_zeros() as usize)?;
        let mut left = self.nulls;
        while left != 0 {
            if let Some(begin) = begins.get_mut(left.trailing_zeros() as usize) {
                *begin = valid;
            }
            left &= left - 1;
        }
        Some(begins)
    }

    /// Cells of which none is null.
    #[inline(always)]
    fn append_valid(&self, step: &Step, builder: &mut ColumnBuilder) -> Result<bool, Fault> {
        use Step as S;
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
            S::Decimal(layout) => self.decimals(layout, builder.decimal()?),
            S::Date => self.values(builder.date()?, temporal::DATE_FLAGS, |[a, b, c]| {
                temporal::date_flagged(u32::from_le_bytes([a, b, c, 0]))
            }),
            S::Datetime(fraction) => {
                let fixed = builder.timestamp()?;
                match fraction {
                    0 => self.words(fixed, 5, temporal::datetime_flags(0), |word| {
                        temporal::datetime_flagged(word >> 24, 0)
                    }),
                    3 => self.values(fixed, temporal::datetime_flags(3), |bytes| {
                        temporal::datetime_flagged(u64::from_be_bytes(bytes), 3)
                    }),
                    1 => self.words(fixed, 6, temporal::datetime_flags(1), |word| {
                        temporal::datetime_flagged(word >> 16, 1)
                    }),
                    2 => self.words(fixed, 7, temporal::datetime_flags(2), |word| {
                        temporal::datetime_flagged(word >> 8, 2)
                    }),
                    _ => false,
                }
            }
            S::Timestamp(fraction) => {
                let fixed = builder.timestamp()?;
                match fraction {
                    0 => self.values(fixed, temporal::timestamp_flags(0), |bytes| {
                        temporal::timestamp_flagged(u32::from_be_bytes(bytes).into(), 0)
                    }),
                    1..=3 => {
                        let beyond_bits = 32 - 8 * u32::from(fraction);
                        let flags = temporal::timestamp_flags(fraction);
                        self.words(fixed, 4 + usize::from(fraction), flags, |word| {
                            temporal::timestamp_flagged(word >> beyond_bits, fraction)
                        })
                    }
                    _ => false,
                }
            }
            _ => false,
        })
    }

    #[inline(always)]
    fn decimals(&self, layout: Layout, fixed: &mut Fixed<i128>) -> bool {
        let Some(short) = layout.short() else { return false };
        match short.groups {
            0 => self.short_decimals::<0>(short, fixed),
            1 => self.short_decimals::<1>(short, fixed),
            _ => self.short_decimals::<2>(short, fixed),
        }
    }

    #[inline(always)]
    fn short_decimals<const GROUPS: u8>(&self, short: Short, fixed: &mut Fixed<i128>) -> bool {
        let many = short.many();
        self.words(fixed, short.bytes(), many.flags, |word| {
            let (value, flags) = many.flagged::<GROUPS>(word);
            (value.into(), flags)
        })
    }

    /// What begins at the column's first possible place: cells are as far into it as their runs into the images.
    #[inline(always)]
    fn shifted(&self) -> &[u8] {
        self.images.get(self.distance as usize..).unwrap_or_default()
    }

    /// Whether cells of so many bytes are all there. The walk has seen to it.
    #[inline(always)]
    fn are_whole(&self, bytes: usize) -> bool {
        self.begins.last().is_some_and(|&last| last as usize + bytes <= self.shifted().len())
    }

    /// Numbers of a width that is a constant.
    #[inline(never)]
    fn numbers<const N: usize, T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        of: impl Fn([u8; N]) -> T,
    ) -> bool {
        let images = self.shifted();
        for (into, &begin) in fixed.grow(self.begins.len()).iter_mut().zip(self.begins) {
            let at = begin as usize;
            *into = of(*images.get(at..at + N).and_then(<[u8]>::first_chunk).unwrap_or(&[0; N]));
        }
        self.are_whole(N)
    }

    /// Values of a width that is a constant, each with flags; false when one of them has one of `flags`. A function of its
    /// own for each kind, so that what a loop needs is in registers.
    #[inline(never)]
    fn values<const N: usize, T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        flags: u64,
        of: impl Fn([u8; N]) -> (T, u64),
    ) -> bool {
        let (images, mut seen) = (self.shifted(), 0);
        for (into, &begin) in fixed.grow(self.begins.len()).iter_mut().zip(self.begins) {
            let at = begin as usize;
            let cell = images.get(at..at + N).and_then(<[u8]>::first_chunk);
            let (value, flags) = of(*cell.unwrap_or(&[0; N]));
            seen |= flags;
            *into = value;
        }
        self.are_whole(N) && seen & flags == 0
    }

    /// As [`Cells::values`], of so many bytes, at most eight: each the highest bytes of one number.
    #[inline(never)]
    fn words<T: Copy + Default>(
        &self,
        fixed: &mut Fixed<T>,
        bytes: usize,
        flags: u64,
        of: impl Fn(u64) -> (T, u64),
    ) -> bool {
        let (images, mut seen) = (self.shifted(), 0);
        for (into, &begin) in fixed.grow(self.begins.len()).iter_mut().zip(self.begins) {
            let (value, flags) = of(word_at(images, begin as usize));
            seen |= flags;
            *into = value;
        }
        self.are_whole(bytes) && seen & flags == 0
    }

    /// Truth values, 0 or 1 each.
    #[inline(never)]
    fn truths(&self, builder: &mut ColumnBuilder) -> Result<bool, Fault> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let images = self.shifted();
        let mut stored = [0; ROWS_MAX];
        for (into, &begin) in stored.iter_mut().zip(self.begins) {
            *into = images.get(begin as usize).copied().unwrap_or(u8::MAX);
        }
        let (mut values, mut all) = (0, 0);
        for (nth, eight) in stored.as_chunks().0.iter().enumerate() {
            let eight = u64::from_le_bytes(*eight);
            all |= eight;
            // Brings the low bit of each byte into the highest byte.
            values |= eight.wrapping_mul(0x0102_0408_1020_4080) >> 56 << (8 * nth);
        }
        builder.bits()?.extend(values, self.begins.len());
        Ok(all & !ONES == 0)
    }

    /// Texts or bytes behind a length: copied first, and looked at all together.
    #[inline(always)]
    fn texts(
        &self,
        extent: Extent,
        builder: &mut ColumnBuilder,
        rows_before: usize,
    ) -> Result<bool, Fault> {
        let prefix = match extent {
            Extent::One => 1,
            Extent::Two => 2,
            Extent::Three => 3,
            Extent::Four => 4,
            Extent::Fixed(_) | Extent::Lenenc => return Ok(false),
        };
        match builder {
            ColumnBuilder::Utf8(var) => {
                Ok(self.copy_texts(prefix, var, rows_before)? && var.is_utf8_behind(rows_before))
            }
            ColumnBuilder::Binary(var) => self.copy_texts(prefix, var, rows_before),
            _ => Err(Fault::wrong_builder()),
        }
    }

    /// A text ends where the next run begins, so that its length is known without a look at it; a null would begin behind
    /// that.
    #[inline(never)]
    fn copy_texts(&self, prefix: u32, var: &mut Var, rows_before: usize) -> Result<bool, Fault> {
        let Cells { images, begins, ends, distance, nulls } = *self;
        let head = u64::from(distance) + u64::from(prefix);
        let runs = begins.iter().zip(ends);
        let all = runs
            .clone()
            .fold(0u32, |all, (&begin, &end)| all.wrapping_add(end.wrapping_sub(begin)));
        let heads = begins.len() as u64 * head - u64::from(nulls.count_ones() * prefix);
        let Some(bytes) = u64::from(all).checked_sub(heads) else { return Ok(false) };
        let from = images.get(head as usize..).unwrap_or_default();
        let is_whole = var.extend(from, bytes as usize, begins, ends, head as u32)?;
        if nulls != 0 {
            var.mark_nulls(rows_before, nulls, begins.len());
        }
        Ok(is_whole)
    }
}
