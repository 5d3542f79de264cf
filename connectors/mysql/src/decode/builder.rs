//! Typed column builders: plain vectors that become Arrow buffers without a copy and can be cut back to a row, so that a
//! row which fails half-way leaves nothing behind.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray,
    types::{
        ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
    },
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};

mod var;

pub(crate) use var::Var;

use super::error::Fault;

/// Takes a vector's content and leaves room for as much again, or as much as `before`: batches of one table are much alike, and
/// vectors that grow step by step cost copies and fresh pages. Rows that never come cost address space only.
fn take_leaving_room<T>(values: &mut Vec<T>, before: &mut usize) -> Vec<T> {
    let expected = values.len().max(*before);
    *before = values.len();
    std::mem::replace(values, Vec::with_capacity(expected + expected / 8))
}

/// As [`take_leaving_room`], for offsets, which begin with 0.
fn take_offsets(offsets: &mut Vec<i32>, before: &mut usize) -> OffsetBuffer<i32> {
    let taken = take_leaving_room(offsets, before);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(taken))
}

/// Which rows are null. Rows that are not null leave no mark until a null comes behind them, so that they cost nothing.
#[derive(Debug, Default)]
struct Nulls(Option<Box<BooleanBufferBuilder>>);

impl Nulls {
    /// Marks the row behind the first `rows`.
    fn mark(&mut self, rows: usize) {
        let valid = self.0.get_or_insert_with(|| Box::new(BooleanBufferBuilder::new(rows + 64)));
        valid.append_n(rows.saturating_sub(valid.len()), true);
        valid.append(false);
    }
    /// Marks those of the `count` rows behind the first `rows` whose bit is set.
    fn mark_many(&mut self, rows: usize, nulls: u64, count: usize) {
        let valid = self.0.get_or_insert_with(|| Box::new(BooleanBufferBuilder::new(rows + 64)));
        valid.append_n(rows.saturating_sub(valid.len()), true);
        valid.append_packed_range(0..count.min(64), &(!nulls).to_le_bytes());
    }
    fn truncate(&mut self, rows: usize) {
        if let Some(valid) = &mut self.0
            && valid.len() > rows
        {
            valid.truncate(rows);
        }
    }
    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        let mut valid = self.0.take()?;
        valid.append_n(rows.saturating_sub(valid.len()), true);
        Some(NullBuffer::new(valid.finish()))
    }
}

/// Values of one fixed width.
#[derive(Debug)]
pub(crate) struct Fixed<T> {
    values: Vec<T>,
    nulls: Nulls,
    /// Values of the batch before.
    before: usize,
}

impl<T: Copy + Default> Fixed<T> {
    fn new(capacity: usize) -> Self {
        Fixed { values: Vec::with_capacity(capacity), nulls: Nulls::default(), before: 0 }
    }
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        self.values.push(value);
    }
    /// Appends values of which none is null.
    #[inline(always)]
    pub(crate) fn extend(&mut self, values: impl ExactSizeIterator<Item = T>) {
        self.values.extend(values);
    }
    /// Appends so many values, to be overwritten.
    #[inline(always)]
    pub(crate) fn grow(&mut self, count: usize) -> &mut [T] {
        let start = self.values.len();
        self.values.resize(start + count, T::default());
        self.values.get_mut(start..).unwrap_or_default()
    }
    /// Makes null, and clears, what has a set bit among the last `count` values, at most 64.
    fn clear_nulls(&mut self, nulls: u64, count: usize) {
        let start = self.values.len().saturating_sub(count);
        self.nulls.mark_many(start, nulls, count);
        let last = self.values.get_mut(start..).unwrap_or_default();
        let mut left = nulls;
        while left != 0 {
            if let Some(value) = last.get_mut(left.trailing_zeros() as usize) {
                *value = T::default();
            }
            left &= left - 1;
        }
    }
    #[inline]
    fn push_null(&mut self) {
        self.nulls.mark(self.values.len());
        self.values.push(T::default());
    }
    fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }
    fn finish<A: ArrowPrimitiveType<Native = T>>(&mut self, ty: &DataType) -> ArrayRef
    where
        T: arrow_buffer::ArrowNativeType,
    {
        let nulls = self.nulls.finish(self.values.len());
        let values = ScalarBuffer::from(take_leaving_room(&mut self.values, &mut self.before));
        Arc::new(PrimitiveArray::<A>::new(values, nulls).with_data_type(ty.clone()))
    }
}

/// Truth values.
#[derive(Debug)]
pub(crate) struct Bits {
    values: BooleanBufferBuilder,
    nulls: Nulls,
}

impl Bits {
    #[inline]
    pub(crate) fn push(&mut self, value: bool) {
        self.values.append(value);
    }
    /// Appends `count` values, at most 64, one a bit.
    pub(crate) fn extend(&mut self, values: u64, count: usize) {
        self.values.append_packed_range(0..count.min(64), &values.to_le_bytes());
    }
    /// As [`Fixed::clear_nulls`].
    fn clear_nulls(&mut self, nulls: u64, count: usize) {
        let start = self.values.len().saturating_sub(count);
        self.nulls.mark_many(start, nulls, count);
        let mut left = nulls;
        while left != 0 {
            let row = left.trailing_zeros() as usize;
            if row < count {
                self.values.set_bit(start + row, false);
            }
            left &= left - 1;
        }
    }
}

/// Lists; `rows` of the items builder are the items of all lists.
#[derive(Debug)]
pub(crate) struct Lists<T> {
    /// The items; push any number, then end the list.
    pub(crate) items: T,
    offsets: Vec<i32>,
    nulls: Nulls,
    /// Offsets of the batch before.
    before: usize,
}

impl<T> Lists<T> {
    fn new(items: T, capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Lists { items, offsets, nulls: Nulls::default(), before: 0 }
    }
    fn end(&mut self, items: usize) -> Result<(), Fault> {
        let end = i32::try_from(items)
            .map_err(|_| Fault::new("a batch holds more than 2^31 list items of one column"))?;
        self.offsets.push(end);
        Ok(())
    }
    fn push_null(&mut self) {
        self.nulls.mark(self.offsets.len() - 1);
        self.offsets.push(self.last());
    }
    fn last(&self) -> i32 {
        self.offsets.last().copied().unwrap_or(0)
    }
    /// Cuts back to this many lists and says how many items they have.
    fn truncate(&mut self, rows: usize) -> usize {
        self.offsets.truncate(rows + 1);
        self.nulls.truncate(rows);
        self.last() as usize
    }
    fn finish(&mut self, ty: &DataType, items: ArrayRef) -> Result<ArrayRef, ArrowError> {
        let field = match ty {
            DataType::List(field) => Arc::clone(field),
            other => Arc::new(Field::new("item", other.clone(), true)),
        };
        let nulls = self.nulls.finish(self.offsets.len() - 1);
        let offsets = take_offsets(&mut self.offsets, &mut self.before);
        Ok(Arc::new(ListArray::try_new(field, offsets, items, nulls)?))
    }
}

impl Lists<Var> {
    pub(crate) fn end_list(&mut self) -> Result<(), Fault> {
        self.end(self.items.rows())
    }
}

impl Lists<Fixed<f32>> {
    pub(crate) fn end_list(&mut self) -> Result<(), Fault> {
        self.end(self.items.values.len())
    }
}

/// One column being built. The variant follows from the column's Arrow type.
#[derive(Debug)]
pub(crate) enum ColumnBuilder {
    Bool(Box<Bits>),
    I8(Fixed<i8>),
    I16(Fixed<i16>),
    I32(Fixed<i32>),
    I64(Fixed<i64>),
    F32(Fixed<f32>),
    F64(Fixed<f64>),
    Decimal(Fixed<i128>),
    Date(Fixed<i32>),
    Time(Fixed<i64>),
    Timestamp(Fixed<i64>),
    Utf8(Var),
    Binary(Var),
    Texts(Box<Lists<Var>>),
    Floats(Box<Lists<Fixed<f32>>>),
}

macro_rules! typed {
    ($($name:ident: $variant:ident($ty:ty)),* $(,)?) => {
        $(#[inline(always)]
        pub(crate) fn $name(&mut self) -> Result<&mut $ty, Fault> {
            match self {
                ColumnBuilder::$variant(builder) => Ok(builder),
                _ => Err(Fault::wrong_builder()),
            }
        })*
    };
}

impl ColumnBuilder {
    /// A builder for columns of this Arrow type; none for the types that MySQL's value model does not have.
    pub(crate) fn of(ty: &DataType, capacity: usize) -> Option<Self> {
        use ColumnBuilder as B;
        Some(match ty {
            DataType::Boolean => B::Bool(Box::new(Bits {
                values: BooleanBufferBuilder::new(capacity),
                nulls: Nulls::default(),
            })),
            DataType::Int8 => B::I8(Fixed::new(capacity)),
            DataType::Int16 => B::I16(Fixed::new(capacity)),
            DataType::Int32 => B::I32(Fixed::new(capacity)),
            DataType::Int64 => B::I64(Fixed::new(capacity)),
            DataType::Float32 => B::F32(Fixed::new(capacity)),
            DataType::Float64 => B::F64(Fixed::new(capacity)),
            DataType::Decimal128(..) => B::Decimal(Fixed::new(capacity)),
            DataType::Date32 => B::Date(Fixed::new(capacity)),
            DataType::Time64(_) => B::Time(Fixed::new(capacity)),
            DataType::Timestamp(..) => B::Timestamp(Fixed::new(capacity)),
            DataType::Utf8 => B::Utf8(Var::new(capacity)),
            DataType::Binary => B::Binary(Var::new(capacity)),
            DataType::List(item) => match item.data_type() {
                DataType::Utf8 => B::Texts(Box::new(Lists::new(Var::new(capacity), capacity))),
                DataType::Float32 => {
                    B::Floats(Box::new(Lists::new(Fixed::new(capacity), capacity)))
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    typed! {
        bits: Bool(Bits),
        i8: I8(Fixed<i8>),
        i16: I16(Fixed<i16>),
        i32: I32(Fixed<i32>),
        i64: I64(Fixed<i64>),
        f32: F32(Fixed<f32>),
        f64: F64(Fixed<f64>),
        decimal: Decimal(Fixed<i128>),
        date: Date(Fixed<i32>),
        time: Time(Fixed<i64>),
        timestamp: Timestamp(Fixed<i64>),
        utf8: Utf8(Var),
        binary: Binary(Var),
        floats: Floats(Lists<Fixed<f32>>),
    }

    /// Appends a null.
    pub(crate) fn push_null(&mut self) {
        use ColumnBuilder as B;
        match self {
            B::Bool(bits) => {
                bits.nulls.mark(bits.values.len());
                bits.values.append(false);
            }
            B::I8(fixed) => fixed.push_null(),
            B::I16(fixed) => fixed.push_null(),
            B::I32(fixed) | B::Date(fixed) => fixed.push_null(),
            B::I64(fixed) | B::Time(fixed) | B::Timestamp(fixed) => fixed.push_null(),
            B::F32(fixed) => fixed.push_null(),
            B::F64(fixed) => fixed.push_null(),
            B::Decimal(fixed) => fixed.push_null(),
            B::Utf8(var) | B::Binary(var) => var.push_null(),
            B::Texts(lists) => lists.push_null(),
            B::Floats(lists) => lists.push_null(),
        }
    }

    /// Makes null, and clears, what has a set bit among the last `count` values of one width, at most 64.
    pub(crate) fn clear_nulls(&mut self, nulls: u64, count: usize) {
        use ColumnBuilder as B;
        match self {
            B::Bool(bits) => bits.clear_nulls(nulls, count),
            B::I8(fixed) => fixed.clear_nulls(nulls, count),
            B::I16(fixed) => fixed.clear_nulls(nulls, count),
            B::I32(fixed) | B::Date(fixed) => fixed.clear_nulls(nulls, count),
            B::I64(fixed) | B::Time(fixed) | B::Timestamp(fixed) => {
                fixed.clear_nulls(nulls, count);
            }
            B::F32(fixed) => fixed.clear_nulls(nulls, count),
            B::F64(fixed) => fixed.clear_nulls(nulls, count),
            B::Decimal(fixed) => fixed.clear_nulls(nulls, count),
            B::Utf8(_) | B::Binary(_) | B::Texts(_) | B::Floats(_) => {}
        }
    }

    /// Cuts back to this many rows, also when a value was left half-built.
    pub(crate) fn truncate(&mut self, rows: usize) {
        use ColumnBuilder as B;
        match self {
            B::Bool(bits) => {
                if bits.values.len() > rows {
                    bits.values.truncate(rows);
                }
                bits.nulls.truncate(rows);
            }
            B::I8(fixed) => fixed.truncate(rows),
            B::I16(fixed) => fixed.truncate(rows),
            B::I32(fixed) | B::Date(fixed) => fixed.truncate(rows),
            B::I64(fixed) | B::Time(fixed) | B::Timestamp(fixed) => fixed.truncate(rows),
            B::F32(fixed) => fixed.truncate(rows),
            B::F64(fixed) => fixed.truncate(rows),
            B::Decimal(fixed) => fixed.truncate(rows),
            B::Utf8(var) | B::Binary(var) => var.truncate(rows),
            B::Texts(lists) => {
                let items = lists.truncate(rows);
                lists.items.truncate(items);
            }
            B::Floats(lists) => {
                let items = lists.truncate(rows);
                lists.items.truncate(items);
            }
        }
    }

    /// Makes room for more rows, so that a bulk event does not grow the vectors step by step.
    pub(crate) fn reserve(&mut self, rows: usize) {
        use ColumnBuilder as B;
        match self {
            B::I8(fixed) => fixed.values.reserve(rows),
            B::I16(fixed) => fixed.values.reserve(rows),
            B::I32(fixed) | B::Date(fixed) => fixed.values.reserve(rows),
            B::I64(fixed) | B::Time(fixed) | B::Timestamp(fixed) => fixed.values.reserve(rows),
            B::F32(fixed) => fixed.values.reserve(rows),
            B::F64(fixed) => fixed.values.reserve(rows),
            B::Decimal(fixed) => fixed.values.reserve(rows),
            B::Utf8(var) | B::Binary(var) => var.offsets.reserve(rows),
            B::Texts(lists) => lists.offsets.reserve(rows),
            B::Floats(lists) => lists.offsets.reserve(rows),
            B::Bool(_) => {}
        }
    }

    /// Takes what was built as an array of this Arrow type, and is empty again.
    ///
    /// # Errors
    /// When text is not UTF-8: a charset's tables are wrong.
    pub(crate) fn finish(&mut self, ty: &DataType) -> Result<ArrayRef, ArrowError> {
        use ColumnBuilder as B;
        Ok(match self {
            B::Bool(bits) => {
                let nulls = bits.nulls.finish(bits.values.len());
                Arc::new(BooleanArray::new(bits.values.finish(), nulls))
            }
            B::I8(fixed) => fixed.finish::<Int8Type>(ty),
            B::I16(fixed) => fixed.finish::<Int16Type>(ty),
            B::I32(fixed) => fixed.finish::<Int32Type>(ty),
            B::I64(fixed) => fixed.finish::<Int64Type>(ty),
            B::F32(fixed) => fixed.finish::<Float32Type>(ty),
            B::F64(fixed) => fixed.finish::<Float64Type>(ty),
            B::Decimal(fixed) => fixed.finish::<Decimal128Type>(ty),
            B::Date(fixed) => fixed.finish::<Date32Type>(ty),
            B::Time(fixed) => fixed.finish::<Time64MicrosecondType>(ty),
            B::Timestamp(fixed) => fixed.finish::<TimestampMicrosecondType>(ty),
            B::Utf8(var) => {
                let (offsets, values, nulls) = var.parts();
                Arc::new(StringArray::try_new(offsets, values, nulls)?)
            }
            B::Binary(var) => {
                let (offsets, values, nulls) = var.parts();
                Arc::new(BinaryArray::try_new(offsets, values, nulls)?)
            }
            B::Texts(lists) => {
                let (offsets, values, nulls) = lists.items.parts();
                let items = Arc::new(StringArray::try_new(offsets, values, nulls)?);
                lists.finish(ty, items)?
            }
            B::Floats(lists) => {
                let items = lists.items.finish::<Float32Type>(&DataType::Float32);
                lists.finish(ty, items)?
            }
        })
    }
}
