//! Whole columns at once, for the operators that most pipelines consist of.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
    builder::PrimitiveBuilder,
    cast::AsArray,
    types::{Decimal128Type, Float64Type, Int32Type, Int64Type},
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use cdc_api::LogicalType as L;

use super::{Col, Rows};
use crate::{node::Fast, sql::Binary, types::Arith, value::Value};

/// The result, or none where the general way has to be taken.
pub(super) fn apply(fast: &Fast, rows: &Rows<'_>, cols: &[Col], ty: &L) -> Option<ArrayRef> {
    if let Fast::Columns(columns) = fast {
        return columns.run(rows.env, cols, rows.len);
    }
    let [left, right] = cols else { return None };
    match (fast, ty) {
        (Fast::Arith(op), L::Int) => integers::<Int32Type>(*op, left, right),
        (Fast::Arith(op), L::BigInt) => integers::<Int64Type>(*op, left, right),
        (Fast::Arith(op), L::Decimal { precision, scale }) => {
            decimals(*op, left, right, *precision, *scale)
        }
        (Fast::Arith(op), L::Double) => doubles(*op, left, right),
        (Fast::Compare(op), _) => compared(*op, left, right),
        _ => None,
    }
}

/// One side: a column, or a number for all rows.
enum Side<'c, T: ArrowPrimitiveType> {
    Column(&'c PrimitiveArray<T>),
    Number(T::Native),
}

impl<T: ArrowPrimitiveType> Side<'_, T> {
    fn len(&self) -> Option<usize> {
        if let Side::Column(column) = self { Some(column.len()) } else { None }
    }
    fn nulls(&self) -> Option<&NullBuffer> {
        if let Side::Column(column) = self { column.nulls() } else { None }
    }
    fn at(&self, row: usize) -> T::Native {
        match self {
            Side::Column(column) => column.values()[row],
            Side::Number(number) => *number,
        }
    }
}

fn side<'c, T: ArrowPrimitiveType>(
    col: &'c Col,
    constant: impl Fn(&Value<'_>) -> Option<T::Native>,
) -> Option<Side<'c, T>> {
    match col {
        Col::Array(array) => array.as_primitive_opt::<T>().map(Side::Column),
        Col::Const(value) => constant(value).map(Side::Number),
    }
}

/// Both sides with the number of rows and the rows where either is NULL; none when both are constant.
fn rows<T: ArrowPrimitiveType>(
    a: &Side<'_, T>,
    b: &Side<'_, T>,
) -> Option<(usize, Option<NullBuffer>)> {
    let len = a.len().or(b.len())?;
    Some((len, NullBuffer::union(a.nulls(), b.nulls())))
}

trait Integer: Copy + Default + PartialEq {
    fn compute(op: Arith, a: Self, b: Self) -> Option<Self>;
    fn of(value: &Value<'_>) -> Option<Self>;
}

macro_rules! integer {
    ($ty:ty) => {
        impl Integer for $ty {
            fn compute(op: Arith, a: Self, b: Self) -> Option<Self> {
                match op {
                    Arith::Add => a.checked_add(b),
                    Arith::Sub => a.checked_sub(b),
                    Arith::Mul => a.checked_mul(b),
                    Arith::Div => a.checked_div(b),
                    Arith::Mod => a.checked_rem(b),
                }
            }
            fn of(value: &Value<'_>) -> Option<Self> {
                if let Value::Int(v) = value { <$ty>::try_from(*v).ok() } else { None }
            }
        }
    };
}
integer!(i32);
integer!(i64);

/// None on overflow and division by zero: the general way then names the row.
fn integers<T: ArrowPrimitiveType>(op: Arith, left: &Col, right: &Col) -> Option<ArrayRef>
where
    T::Native: Integer,
{
    let (a, b) = (side::<T>(left, T::Native::of)?, side::<T>(right, T::Native::of)?);
    let (len, nulls) = rows(&a, &b)?;
    let mut out = Vec::with_capacity(len);
    for row in 0..len {
        let valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        out.push(if valid {
            T::Native::compute(op, a.at(row), b.at(row))?
        } else {
            T::Native::default()
        });
    }
    Some(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(out), nulls)))
}

fn doubles(op: Arith, left: &Col, right: &Col) -> Option<ArrayRef> {
    let (a, b) = (
        side::<Float64Type>(left, crate::compare::number)?,
        side::<Float64Type>(right, crate::compare::number)?,
    );
    let (len, nulls) = rows(&a, &b)?;
    let compute = |row: usize| {
        let (a, b) = (a.at(row), b.at(row));
        match op {
            Arith::Add => a + b,
            Arith::Sub => a - b,
            Arith::Mul => a * b,
            Arith::Div => a / b,
            Arith::Mod => a % b,
        }
    };
    let out: Vec<f64> = (0..len).map(compute).collect();
    Some(Arc::new(PrimitiveArray::<Float64Type>::new(ScalarBuffer::from(out), nulls)))
}

/// One side of decimal arithmetic: its digits and their scale.
enum Exact<'c> {
    Decimal(&'c PrimitiveArray<Decimal128Type>, u8),
    Int(&'c PrimitiveArray<Int32Type>),
    BigInt(&'c PrimitiveArray<Int64Type>),
    Number(i128, u8),
}

impl<'c> Exact<'c> {
    fn new(col: &'c Col) -> Option<Self> {
        match col {
            Col::Const(Value::Decimal(v, scale)) => Some(Exact::Number(*v, *scale)),
            Col::Const(Value::Int(v)) => Some(Exact::Number((*v).into(), 0)),
            Col::Const(_) => None,
            Col::Array(array) => match array.data_type() {
                DataType::Decimal128(_, scale) => {
                    Some(Exact::Decimal(array.as_primitive(), u8::try_from(*scale).ok()?))
                }
                DataType::Int32 => Some(Exact::Int(array.as_primitive())),
                DataType::Int64 => Some(Exact::BigInt(array.as_primitive())),
                _ => None,
            },
        }
    }
    fn array(&self) -> Option<&dyn Array> {
        match self {
            Exact::Decimal(array, _) => Some(array),
            Exact::Int(array) => Some(array),
            Exact::BigInt(array) => Some(array),
            Exact::Number(..) => None,
        }
    }
    fn at(&self, row: usize) -> (i128, u8) {
        match self {
            Exact::Decimal(array, scale) => (array.values()[row], *scale),
            Exact::Int(array) => (array.values()[row].into(), 0),
            Exact::BigInt(array) => (array.values()[row].into(), 0),
            Exact::Number(v, scale) => (*v, *scale),
        }
    }
}

/// None on a division by zero: the general way then names the row.
fn decimals(op: Arith, left: &Col, right: &Col, precision: u8, scale: u8) -> Option<ArrayRef> {
    let (a, b) = (Exact::new(left)?, Exact::new(right)?);
    let len = a.array().or(b.array())?.len();
    let nulls =
        NullBuffer::union(a.array().and_then(Array::nulls), b.array().and_then(Array::nulls));
    let mut out = PrimitiveBuilder::<Decimal128Type>::with_capacity(len)
        .with_data_type(DataType::Decimal128(precision, scale as i8));
    for row in 0..len {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.append_null();
        } else {
            out.append_option(
                crate::arith::decimals(op, a.at(row), b.at(row), precision, scale).ok()?,
            );
        }
    }
    Some(Arc::new(out.finish()))
}

fn compared(op: Binary, left: &Col, right: &Col) -> Option<ArrayRef> {
    let ty = |col: &Col| {
        if let Col::Array(array) = col { Some(array.data_type().clone()) } else { None }
    };
    let array = match (ty(left), ty(right)) {
        (Some(a), Some(b)) if a != b => return None,
        (Some(ty), _) | (None, Some(ty)) => match ty {
            DataType::Int32 => order::<Int32Type>(op, left, right, i32::of)?,
            DataType::Int64 => order::<Int64Type>(op, left, right, i64::of)?,
            DataType::Float64 => order::<Float64Type>(op, left, right, |value| {
                if let Value::Double(v) = value { Some(*v) } else { None }
            })?,
            DataType::Utf8 => texts(op, left, right)?,
            _ => return None,
        },
        _ => return None,
    };
    Some(Arc::new(array))
}

fn order<T: ArrowPrimitiveType>(
    op: Binary,
    left: &Col,
    right: &Col,
    constant: impl Fn(&Value<'_>) -> Option<T::Native>,
) -> Option<BooleanArray>
where
    T::Native: PartialOrd,
{
    let (a, b) = (side::<T>(left, &constant)?, side::<T>(right, &constant)?);
    let (len, nulls) = rows(&a, &b)?;
    Some(two_valued(op, len, nulls, |row| a.at(row).partial_cmp(&b.at(row))))
}

fn texts(op: Binary, left: &Col, right: &Col) -> Option<BooleanArray> {
    let parts = |col: &'_ Col| match col {
        Col::Array(array) => {
            array.as_string_opt::<i32>().map(|column| (Some(column.clone()), String::new()))
        }
        Col::Const(Value::Text(text)) => Some((None, text.to_string())),
        Col::Const(_) => None,
    };
    let ((a, x), (b, y)) = (parts(left)?, parts(right)?);
    let len = a.as_ref().or(b.as_ref())?.len();
    let nulls =
        NullBuffer::union(a.as_ref().and_then(Array::nulls), b.as_ref().and_then(Array::nulls));
    Some(two_valued(op, len, nulls, |row| {
        let a = a.as_ref().map_or(x.as_str(), |column| column.value(row));
        let b = b.as_ref().map_or(y.as_str(), |column| column.value(row));
        Some(a.cmp(b))
    }))
}

/// FALSE where a side is NULL, TRUE for `<>`.
fn two_valued(
    op: Binary,
    len: usize,
    nulls: Option<NullBuffer>,
    order: impl Fn(usize) -> Option<std::cmp::Ordering>,
) -> BooleanArray {
    let bits = BooleanBuffer::collect_bool(len, |row| {
        let valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let order = if valid { order(row) } else { None };
        match op {
            Binary::Eq => order.is_some_and(|order| order.is_eq()),
            Binary::Ne => !order.is_some_and(|order| order.is_eq()),
            Binary::Lt => order.is_some_and(|order| order.is_lt()),
            Binary::Le => order.is_some_and(|order| order.is_le()),
            Binary::Gt => order.is_some_and(|order| order.is_gt()),
            _ => order.is_some_and(|order| order.is_ge()),
        }
    });
    BooleanArray::new(bits, None)
}
