//! Whole columns at once for the commonest functions: loops that read an Arrow array and write straight into the next.
//!
//! Each kernel says the same as the function's own row by row, which stands beside it in `functions`, and gives none for
//! arrays that it has no loop for: then the general way is taken.

use std::{fmt, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BooleanArray, PrimitiveArray, StringArray,
    cast::AsArray,
    types::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type},
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;
use cdc_api::LogicalType as L;

use crate::{
    eval::Col,
    node::{Env, Node},
    text,
    value::{Reader, Value},
};

type Run = dyn Fn(&Env, &[Col], usize) -> Option<ArrayRef> + Send + Sync;

/// A function over whole columns.
#[derive(Clone)]
pub(crate) struct Columns {
    run: Arc<Run>,
    /// Whether no row can make the function fail.
    pub(crate) is_total: bool,
}

impl fmt::Debug for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("columns")
    }
}

impl Columns {
    /// For a function that no row makes fail.
    pub(crate) fn total(
        run: impl Fn(&Env, &[Col], usize) -> Option<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        Columns { run: Arc::new(run), is_total: true }
    }

    /// For a function that may fail: then there is no result here, and the general way names the row.
    pub(crate) fn partial(
        run: impl Fn(&Env, &[Col], usize) -> Option<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        Columns { run: Arc::new(run), is_total: false }
    }

    pub(crate) fn run(&self, env: &Env, cols: &[Col], rows: usize) -> Option<ArrayRef> {
        (self.run)(env, cols, rows)
    }
}

pub(crate) fn strings(col: Option<&Col>) -> Option<&StringArray> {
    if let Some(Col::Array(array)) = col { array.as_string_opt::<i32>() } else { None }
}

/// Texts under construction.
struct Texts {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

impl Texts {
    fn new(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Texts { bytes: Vec::with_capacity(bytes), offsets }
    }
    /// Ends a row; none when all texts together are too long for one array.
    fn end(&mut self) -> Option<()> {
        self.offsets.push(i32::try_from(self.bytes.len()).ok()?);
        Some(())
    }
    fn finish(self, nulls: Option<NullBuffer>) -> Option<ArrayRef> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let array = StringArray::try_new(offsets, Buffer::from_vec(self.bytes), nulls).ok()?;
        Some(Arc::new(array))
    }
}

fn used(array: &StringArray) -> &[u8] {
    let (first, last) = (array.value_offsets().first(), array.value_offsets().last());
    match (first, last) {
        (Some(first), Some(last)) => {
            array.value_data().get(*first as usize..*last as usize).unwrap_or_default()
        }
        _ => &[],
    }
}

fn is_valid(array: &dyn Array, row: usize) -> bool {
    array.nulls().is_none_or(|nulls| nulls.is_valid(row))
}

/// A text for each row that is not NULL, written behind what is there; none as soon as one fails.
fn written(
    array: &dyn Array,
    bytes: usize,
    mut write: impl FnMut(&mut Vec<u8>, usize) -> Option<()>,
) -> Option<ArrayRef> {
    let mut out = Texts::new(array.len(), bytes);
    for row in 0..array.len() {
        if is_valid(array, row) {
            write(&mut out.bytes, row)?;
        }
        out.end()?;
    }
    out.finish(array.nulls().cloned())
}

/// A part of each text; none as soon as one fails.
pub(crate) fn parts(array: &StringArray, part: impl Fn(&str) -> Option<&str>) -> Option<ArrayRef> {
    written(array, used(array).len(), |out, row| {
        out.extend_from_slice(part(array.value(row))?.as_bytes());
        Some(())
    })
}

/// `UPPER` and `LOWER`.
pub(crate) fn cased(array: &StringArray, is_upper: bool) -> Option<ArrayRef> {
    let bytes = used(array);
    if !bytes.is_ascii() {
        return written(array, bytes.len(), |out, row| {
            let text = array.value(row);
            let text = if is_upper { text.to_uppercase() } else { text.to_lowercase() };
            out.extend_from_slice(text.as_bytes());
            Some(())
        });
    }
    let bytes = if is_upper { bytes.to_ascii_uppercase() } else { bytes.to_ascii_lowercase() };
    let first = array.value_offsets().first().copied().unwrap_or(0);
    let offsets = array.value_offsets().iter().map(|offset| offset - first).collect();
    Texts { bytes, offsets }.finish(array.nulls().cloned())
}

/// `CHAR_LENGTH`.
pub(crate) fn lengths(array: &StringArray) -> Option<ArrayRef> {
    let lengths: Vec<i32> = if used(array).is_ascii() {
        array.value_offsets().windows(2).map(|pair| pair[1] - pair[0]).collect()
    } else {
        (0..array.len()).map(|row| array.value(row).chars().count() as i32).collect()
    };
    Some(Arc::new(PrimitiveArray::<Int32Type>::new(lengths.into(), array.nulls().cloned())))
}

/// A truth about each text.
pub(crate) fn tested(array: &StringArray, test: impl Fn(&str) -> bool) -> Option<ArrayRef> {
    let bits = BooleanBuffer::collect_bool(array.len(), |row| {
        is_valid(array, row) && test(array.value(row))
    });
    Some(Arc::new(BooleanArray::new(bits, array.nulls().cloned())))
}

/// `IS NULL` and `IS NOT NULL`.
pub(crate) fn nulls(col: &Col, not: bool) -> Option<ArrayRef> {
    let Col::Array(array) = col else { return None };
    let bits = match (array.nulls(), not) {
        (Some(nulls), true) => nulls.inner().clone(),
        (Some(nulls), false) => !nulls.inner(),
        (None, true) => BooleanBuffer::new_set(array.len()),
        (None, false) => BooleanBuffer::new_unset(array.len()),
    };
    Some(Arc::new(BooleanArray::new(bits, None)))
}

/// `NOT`.
pub(crate) fn negated(col: &Col) -> Option<ArrayRef> {
    let Col::Array(array) = col else { return None };
    let array = array.as_boolean_opt()?;
    Some(Arc::new(BooleanArray::new(!array.values(), array.nulls().cloned())))
}

/// A piece of what `||` puts together.
enum Piece<'c> {
    Text(&'c StringArray),
    Fixed(String),
    Int(&'c PrimitiveArray<Int32Type>),
    BigInt(&'c PrimitiveArray<Int64Type>),
    Other(Reader<'c>),
}

impl<'c> Piece<'c> {
    fn of(col: &'c Col, ty: &L) -> Self {
        match col {
            Col::Const(value) => Piece::Fixed(text::display(value)),
            Col::Array(array) => match array.data_type() {
                DataType::Utf8 => Piece::Text(array.as_string()),
                DataType::Int32 => Piece::Int(array.as_primitive()),
                DataType::Int64 => Piece::BigInt(array.as_primitive()),
                _ => Piece::Other(col.reader(ty)),
            },
        }
    }
}

/// `||` and `CONCAT` of these arguments.
pub(crate) fn joining(args: &[Node]) -> Columns {
    let types: Vec<L> = args.iter().map(|arg| arg.ty.clone()).collect();
    Columns::total(move |_, cols, rows| joined(cols, &types, rows))
}

/// All values of a row one after another; NULL is the word `null`.
fn joined(cols: &[Col], types: &[L], rows: usize) -> Option<ArrayRef> {
    let pieces: Vec<Piece<'_>> =
        cols.iter().zip(types).map(|(col, ty)| Piece::of(col, ty)).collect();
    let mut digits = itoa::Buffer::new();
    let mut out = Texts::new(rows, rows.saturating_mul(16));
    for row in 0..rows {
        for piece in &pieces {
            let text = match piece {
                Piece::Fixed(text) => text.as_str(),
                Piece::Text(array) if is_valid(*array, row) => array.value(row),
                Piece::Int(array) if is_valid(*array, row) => digits.format(array.value(row)),
                Piece::BigInt(array) if is_valid(*array, row) => digits.format(array.value(row)),
                Piece::Other(reader) => {
                    out.bytes.extend_from_slice(text::display(&reader.get(row)).as_bytes());
                    continue;
                }
                _ => "null",
            };
            out.bytes.extend_from_slice(text.as_bytes());
        }
        out.end()?;
    }
    out.finish(None)
}

/// A text of each value, by a writer that may refuse a row.
pub(crate) fn shown(
    col: &Col,
    ty: &L,
    mut write: impl FnMut(&mut Vec<u8>, &Value<'_>) -> Option<()>,
) -> Option<ArrayRef> {
    let Col::Array(array) = col else { return None };
    let reader = col.reader(ty);
    let bytes = array.len().saturating_mul(24);
    written(array, bytes, |out, row| write(out, &reader.get(row)))
}

/// The casts between numbers that lose nothing, of numbers into texts, and of plain texts into integers.
pub(crate) fn cast(col: &Col, from: &L, to: &L) -> Option<ArrayRef> {
    let Col::Array(array) = col else { return None };
    let nulls = array.nulls().cloned();
    Some(match (array.data_type(), to) {
        (DataType::Int32, L::BigInt) => Arc::new(PrimitiveArray::<Int64Type>::new(
            array.as_primitive::<Int32Type>().values().iter().map(|v| i64::from(*v)).collect(),
            nulls,
        )),
        (DataType::Int32, L::Double) => Arc::new(PrimitiveArray::<Float64Type>::new(
            array.as_primitive::<Int32Type>().values().iter().map(|v| f64::from(*v)).collect(),
            nulls,
        )),
        (DataType::Int64, L::Double) => Arc::new(PrimitiveArray::<Float64Type>::new(
            array.as_primitive::<Int64Type>().values().iter().map(|v| *v as f64).collect(),
            nulls,
        )),
        (DataType::Utf8, L::Char(_) | L::VarChar(_) | L::String) => Arc::clone(array),
        (DataType::Utf8, L::Int) if *from != L::Variant => {
            return integers::<Int32Type>(array.as_string(), |v| i32::try_from(v).ok());
        }
        (DataType::Utf8, L::BigInt) if *from != L::Variant => {
            return integers::<Int64Type>(array.as_string(), Some);
        }
        (DataType::Int32 | DataType::Int64, L::Char(_) | L::VarChar(_) | L::String) => {
            return shown(col, from, |out, value| {
                let Value::Int(v) = value else { return None };
                out.extend_from_slice(itoa::Buffer::new().format(*v).as_bytes());
                Some(())
            });
        }
        (_, L::Char(_) | L::VarChar(_) | L::String) => {
            return shown(col, from, |out, value| {
                out.extend_from_slice(text::display(value).as_bytes());
                Some(())
            });
        }
        _ => return None,
    })
}

/// The integers that plain texts are; none as soon as one is another text or does not fit.
fn integers<T: ArrowPrimitiveType>(
    texts: &StringArray,
    fit: impl Fn(i64) -> Option<T::Native>,
) -> Option<ArrayRef> {
    let mut out = Vec::with_capacity(texts.len());
    for row in 0..texts.len() {
        let value = if is_valid(texts, row) { plain(texts.value(row))? } else { 0 };
        out.push(fit(value)?);
    }
    Some(Arc::new(PrimitiveArray::<T>::new(out.into(), texts.nulls().cloned())))
}

/// A whole number of at most 18 digits and a sign.
fn plain(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let v = digits.iter().fold(0i64, |v, digit| v * 10 + i64::from(digit - b'0'));
    Some(if is_negative { -v } else { v })
}
