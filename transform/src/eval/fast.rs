//! Whole columns at once, for the operators that most pipelines consist of.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray,
    cast::AsArray,
    types::{Float64Type, Int32Type, Int64Type},
};
use arrow_buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use cdc_api::LogicalType as L;

use super::Col;
use crate::{node::Fast, sql::Binary, types::Arith, value::Value};

/// The result, or none where the general way has to be taken.
pub(super) fn apply(fast: Fast, cols: &[Col], ty: &L) -> Option<Col> {
    let [left, right] = cols else { return None };
    let array = match (fast, ty) {
        (Fast::Arith(op), L::Int) => integers::<Int32Type>(op, left, right)?,
        (Fast::Arith(op), L::BigInt) => integers::<Int64Type>(op, left, right)?,
        (Fast::Arith(op), L::Double) => doubles(op, left, right)?,
        (Fast::Compare(op), _) => compared(op, left, right)?,
        _ => return None,
    };
    Some(Col::Array(array))
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
