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
use arrow_buffer::{ArrowNativeType, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field};

mod bitmap;
mod room;
mod var;

pub(super) use self::room::{Expected, Lending, Lent, Returned};
pub(crate) use self::var::Var;
use self::{
    bitmap::{Bitmap, Nulls},
    room::Room,
};
use super::error::Fault;

/// Values of one fixed width.
#[derive(Debug)]
pub(crate) struct Fixed<T> {
    values: Room<T>,
    nulls: Nulls,
}

impl<T: Copy + Default> Fixed<T> {
    fn new(capacity: usize) -> Self {
        Fixed { values: Room::with_capacity(capacity), nulls: Nulls::default() }
    }
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        self.values.push(value);
    }
    /// Appends so many values, none of them null, to be overwritten.
    #[inline(always)]
    pub(crate) fn grow(&mut self, count: usize) -> &mut [T] {
        self.values.grow(count)
    }
    /// Makes null, and clears, what has a set bit among the last `count` values, at most 64.
    fn clear_nulls(&mut self, nulls: u64, count: usize) {
        let start = self.values.len().saturating_sub(count);
        self.nulls.mark_many(start, nulls, count);
        let last = self.values.behind_mut(start).unwrap_or_default();
        for row in set_bits(nulls) {
            if let Some(value) = last.get_mut(row) {
                *value = T::default();
            }
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
}

impl<T: Copy + Default + ArrowNativeType> Fixed<T> {
    fn finish<A: ArrowPrimitiveType<Native = T>>(
        &mut self,
        ty: &DataType,
        lending: &mut Lending,
    ) -> ArrayRef {
        let rows = self.values.len();
        let values = self.values.finish(lending);
        let nulls = self.nulls.finish(rows, lending);
        Arc::new(PrimitiveArray::<A>::new(values, nulls).with_data_type(ty.clone()))
    }
    fn make_room(&mut self, rows: usize, returned: &mut Returned) {
        self.values.make_room(rows, returned);
        self.nulls.make_room(rows, returned);
    }
}

/// The places of the set bits.
fn set_bits(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let at = bits.trailing_zeros() as usize;
        let left = bits.checked_sub(1)?;
        bits &= left;
        Some(at)
    })
}

/// Truth values.
#[derive(Debug)]
pub(crate) struct Bits {
    values: Bitmap,
    nulls: Nulls,
}

impl Bits {
    #[inline]
    pub(crate) fn push(&mut self, value: bool) {
        self.values.push(value);
    }
    /// Appends `count` values, at most 64, one a bit.
    pub(crate) fn extend(&mut self, values: u64, count: usize) {
        self.values.extend(values, count);
    }
    /// As [`Fixed::clear_nulls`].
    fn clear_nulls(&mut self, nulls: u64, count: usize) {
        let start = self.values.len().saturating_sub(count);
        self.nulls.mark_many(start, nulls, count);
        set_bits(nulls)
            .filter(|row| *row < count)
            .for_each(|row| self.values.clear_bit(start + row));
    }
    fn finish(&mut self, lending: &mut Lending) -> ArrayRef {
        let rows = self.values.len();
        let values = self.values.finish(lending);
        Arc::new(BooleanArray::new(values, self.nulls.finish(rows, lending)))
    }
    fn make_room(&mut self, rows: usize, returned: &mut Returned) {
        self.values.make_room(rows, returned);
        self.nulls.make_room(rows, returned);
    }
}

/// Lists; `rows` of the items builder are the items of all lists.
#[derive(Debug)]
pub(crate) struct Lists<T> {
    /// The items; push any number, then end the list.
    pub(crate) items: T,
    offsets: Room<i32>,
    nulls: Nulls,
    /// Items of a batch.
    expected: Expected,
}

impl<T> Lists<T> {
    fn new(items: T, capacity: usize) -> Self {
        let (offsets, nulls) = (first_offset(capacity), Nulls::default());
        Lists { items, offsets, nulls, expected: Expected::default() }
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
    fn finish(
        &mut self,
        ty: &DataType,
        items: ArrayRef,
        lending: &mut Lending,
    ) -> Result<ArrayRef, ArrowError> {
        let field = match ty {
            DataType::List(field) => Arc::clone(field),
            other => Arc::new(Field::new("item", other.clone(), true)),
        };
        self.expected.note(items.len());
        let rows = self.offsets.len() - 1;
        let offsets = finish_offsets(&mut self.offsets, lending);
        let nulls = self.nulls.finish(rows, lending);
        Ok(Arc::new(ListArray::try_new(field, offsets, items, nulls)?))
    }
    fn make_room(&mut self, rows: usize, returned: &mut Returned) {
        make_room_for_offsets(&mut self.offsets, rows, returned);
        self.nulls.make_room(rows, returned);
    }
}

/// Offsets of no values yet.
fn first_offset(capacity: usize) -> Room<i32> {
    let mut offsets = Room::with_capacity(capacity + 1);
    offsets.push(0);
    offsets
}

/// As [`Room::finish`]; what is left are the offsets of no values.
fn finish_offsets(offsets: &mut Room<i32>, lending: &mut Lending) -> OffsetBuffer<i32> {
    let finished = OffsetBuffer::new(offsets.finish(lending));
    offsets.push(0);
    finished
}

/// As [`Room::make_room`], for the offsets of so many rows.
fn make_room_for_offsets(offsets: &mut Room<i32>, rows: usize, returned: &mut Returned) {
    offsets.make_room(rows + 1, returned);
    offsets.push(0);
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
                values: Bitmap::with_capacity(capacity),
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
                bits.values.push(false);
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
                bits.values.truncate(rows);
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

    /// Gets the room of a batch that came back, or room for so many rows. Nothing is built at that time.
    pub(crate) fn make_room(&mut self, rows: usize, returned: &mut Returned) {
        use ColumnBuilder as B;
        match self {
            B::Bool(bits) => bits.make_room(rows, returned),
            B::I8(fixed) => fixed.make_room(rows, returned),
            B::I16(fixed) => fixed.make_room(rows, returned),
            B::I32(fixed) | B::Date(fixed) => fixed.make_room(rows, returned),
            B::I64(fixed) | B::Time(fixed) | B::Timestamp(fixed) => fixed.make_room(rows, returned),
            B::F32(fixed) => fixed.make_room(rows, returned),
            B::F64(fixed) => fixed.make_room(rows, returned),
            B::Decimal(fixed) => fixed.make_room(rows, returned),
            B::Utf8(var) | B::Binary(var) => var.make_room(rows, returned),
            B::Texts(lists) => {
                lists.items.make_room(lists.expected.count(), returned);
                lists.make_room(rows, returned);
            }
            B::Floats(lists) => {
                lists.items.make_room(lists.expected.count(), returned);
                lists.make_room(rows, returned);
            }
        }
    }

    /// Takes what was built as an array of this Arrow type, and is empty again; it has no room then.
    ///
    /// # Errors
    /// When text is not UTF-8: a charset's tables are wrong.
    pub(crate) fn finish(
        &mut self,
        ty: &DataType,
        lending: &mut Lending,
    ) -> Result<ArrayRef, ArrowError> {
        use ColumnBuilder as B;
        Ok(match self {
            B::Bool(bits) => bits.finish(lending),
            B::I8(fixed) => fixed.finish::<Int8Type>(ty, lending),
            B::I16(fixed) => fixed.finish::<Int16Type>(ty, lending),
            B::I32(fixed) => fixed.finish::<Int32Type>(ty, lending),
            B::I64(fixed) => fixed.finish::<Int64Type>(ty, lending),
            B::F32(fixed) => fixed.finish::<Float32Type>(ty, lending),
            B::F64(fixed) => fixed.finish::<Float64Type>(ty, lending),
            B::Decimal(fixed) => fixed.finish::<Decimal128Type>(ty, lending),
            B::Date(fixed) => fixed.finish::<Date32Type>(ty, lending),
            B::Time(fixed) => fixed.finish::<Time64MicrosecondType>(ty, lending),
            B::Timestamp(fixed) => fixed.finish::<TimestampMicrosecondType>(ty, lending),
            B::Utf8(var) => {
                let (offsets, values, nulls) = var.parts(lending);
                Arc::new(StringArray::try_new(offsets, values, nulls)?)
            }
            B::Binary(var) => {
                let (offsets, values, nulls) = var.parts(lending);
                Arc::new(BinaryArray::try_new(offsets, values, nulls)?)
            }
            B::Texts(lists) => {
                let (offsets, values, nulls) = lists.items.parts(lending);
                let items = Arc::new(StringArray::try_new(offsets, values, nulls)?);
                lists.finish(ty, items, lending)?
            }
            B::Floats(lists) => {
                let items = lists.items.finish::<Float32Type>(&DataType::Float32, lending);
                lists.finish(ty, items, lending)?
            }
        })
    }
}
