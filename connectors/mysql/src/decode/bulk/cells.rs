//! The cells of one column, in as many rows as are taken together: plain values of the common kinds in a tight loop each, and
//! whatever else as in a single row.

use super::word_at;
use crate::{
    decode::{
        batch::ColumnState,
        builder::{ColumnBuilder, Fixed, Var},
        cursor::Cursor,
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
    pub(super) begins: &'a [u32],
    pub(super) distance: u32,
    pub(super) nulls: u64,
    /// Of cells behind a length: bytes of all of them.
    pub(super) text_bytes: usize,
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
    pub(super) fn append_any(
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
    pub(super) fn append_plain(
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

/// Copies a text of any length that stands behind its length of `N` bytes.
#[inline(never)]
fn copy_text<const N: usize>(images: &[u8], at: usize, into: &mut [u8]) -> Option<usize> {
    let (prefix, text) = images.get(at..)?.split_first_chunk::<N>()?;
    let length = prefix.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    into.get_mut(..length)?.copy_from_slice(text.get(..length)?);
    Some(length)
}
