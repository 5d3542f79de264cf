//! One column of a chunk, bound to its array: how a cell of it is written is decided once per chunk, not once per cell.

use arrow_array::{
    Array, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray,
    cast::AsArray,
    types::{
        ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, Time64MicrosecondType, Time64NanosecondType,
        TimestampMicrosecondType, TimestampNanosecondType,
    },
};
use arrow_schema::{DataType, TimeUnit};
use cdc_api::{Error, LogicalType, Result};

use super::{
    number::{
        push_decimal, push_flink_decimal, push_float, push_integer, push_java_float, unscaled_bytes,
    },
    temporal::{push_date, push_offset, push_time, push_timestamp},
    text::{push_base64, push_string},
};

/// How decimals are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decimals {
    /// As a JSON number with all its digits.
    Number,
    /// As Flink's JSON format does.
    Flink {
        /// Never with an exponent.
        plain: bool,
    },
    /// As a string with all its digits.
    Text,
    /// As Kafka Connect's `Decimal`: the unscaled value's bytes in base64.
    Bytes,
    /// As the nearest double.
    Double,
}

/// How dates and times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Debezium's: days, milli-, micro- or nanoseconds as numbers; instants as text with `Z`.
    Debezium,
    /// Text with a blank between date and time.
    Sql,
    /// Text with a `T`.
    Iso,
}

/// How values of a format are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Decimals.
    pub(crate) decimals: Decimals,
    /// Dates and times.
    pub(crate) times: Times,
    /// Every number and boolean is a string, as in Canal's messages.
    pub(crate) quoted: bool,
    /// Floats in Java's form, and times as Flink's JSON format cuts them.
    pub(crate) flink: bool,
    /// A SET is one string of words between commas.
    pub(crate) sets_joined: bool,
    /// How a BIT of more than one bit is written.
    pub(crate) bits: Bits,
}

/// How the bytes of a `BIT(n > 1)`, which are big-endian here, are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    /// As they are.
    BigEndian,
    /// The other way round, as Debezium has them and Flink CDC with it.
    LittleEndian,
    /// As the number that they are, as Canal has them.
    Number,
}

/// How a time of day is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    /// The count of the array's units.
    Count,
    /// As text.
    Text,
    /// As text without the fraction, which Flink's JSON format drops.
    WholeSeconds,
}

impl TimeForm {
    fn push(self, out: &mut Vec<u8>, count: i64, nanos_per_unit: i64) {
        let nanos = count.saturating_mul(nanos_per_unit);
        match self {
            TimeForm::Count => push_integer(out, count),
            TimeForm::Text => quoted(out, |out| push_time(out, nanos)),
            TimeForm::WholeSeconds => {
                let whole = nanos.saturating_sub(nanos.rem_euclid(1_000_000_000));
                quoted(out, |out| push_time(out, whole));
            }
        }
    }
}

/// A column's cells.
pub(crate) enum Cells<'a> {
    Boolean(&'a BooleanArray),
    TinyInt(&'a PrimitiveArray<Int8Type>),
    SmallInt(&'a PrimitiveArray<Int16Type>),
    Int(&'a PrimitiveArray<Int32Type>),
    BigInt(&'a PrimitiveArray<Int64Type>),
    Float(&'a PrimitiveArray<Float32Type>, bool),
    Double(&'a PrimitiveArray<Float64Type>, bool),
    Decimal(&'a PrimitiveArray<Decimal128Type>, i8, Decimals),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    /// Bits, and whether they are a number.
    Bits(&'a BinaryArray, bool),
    Days(&'a PrimitiveArray<Date32Type>),
    Date(&'a PrimitiveArray<Date32Type>),
    TimeMicros(&'a PrimitiveArray<Time64MicrosecondType>, TimeForm),
    TimeNanos(&'a PrimitiveArray<Time64NanosecondType>, TimeForm),
    /// A count of units since the epoch, divided.
    EpochMicros(&'a PrimitiveArray<TimestampMicrosecondType>, i64),
    EpochNanos(&'a PrimitiveArray<TimestampNanosecondType>),
    TimestampMicros(&'a PrimitiveArray<TimestampMicrosecondType>, u8, bool),
    TimestampNanos(&'a PrimitiveArray<TimestampNanosecondType>, u8, bool),
    TimestampTz(&'a StructArray, u8),
    Set(&'a ListArray, &'a StringArray),
    List(&'a ListArray, Box<Cells<'a>>),
    Map(&'a MapArray, Box<Cells<'a>>, Box<Cells<'a>>),
    Row(&'a StructArray, Vec<(&'a str, Cells<'a>)>),
    /// Numbers between quotes.
    Quoted(Box<Cells<'a>>),
    /// `"1"` and `"0"`.
    Digit(&'a BooleanArray),
    /// A string that holds the JSON of what is nested.
    Nested(Box<Cells<'a>>),
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Option<&PrimitiveArray<T>> {
    array.as_primitive_opt::<T>()
}

/// Whether a column is a SET of MySQL.
pub(crate) fn is_set(source_type: &str) -> bool {
    source_type.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("set"))
}

/// The bits of a BIT column of MySQL.
pub(crate) fn bits_of(source_type: &str) -> Option<u32> {
    let (word, rest) = source_type.split_once('(')?;
    let count = rest.split_once(')')?.0;
    if word.trim().eq_ignore_ascii_case("bit") { count.trim().parse().ok() } else { None }
}

impl<'a> Cells<'a> {
    /// Binds a column's array.
    ///
    /// # Errors
    /// `Internal` when the array is not what the value model has for the type (correctness §7.1).
    pub(crate) fn bind(
        logical: &'a LogicalType,
        source_type: &str,
        array: &'a dyn Array,
        style: Style,
    ) -> Result<Cells<'a>> {
        let set = style.sets_joined && is_set(source_type);
        // Where every value is a string, what is nested is one too, and plain JSON inside.
        let nested = style.quoted
            && !set
            && matches!(
                logical,
                LogicalType::Array(_) | LogicalType::Map(..) | LogicalType::Row(_)
            );
        let inner = if nested { Style { quoted: false, ..style } } else { style };
        let cells = Self::try_bind(logical, set, array, inner).ok_or_else(|| {
            Error::internal(format!("a {logical} column came as Arrow {}", array.data_type()))
        })?;
        Ok(match cells {
            cells if nested => Cells::Nested(Box::new(cells)),
            Cells::Bytes(array) if bits_of(source_type).is_some() => match style.bits {
                Bits::BigEndian => Cells::Bytes(array),
                Bits::LittleEndian => Cells::Bits(array, false),
                Bits::Number => Cells::Bits(array, true),
            },
            cells => cells,
        })
    }

    fn try_bind(
        logical: &'a LogicalType,
        set: bool,
        array: &'a dyn Array,
        style: Style,
    ) -> Option<Cells<'a>> {
        use LogicalType as L;
        let between = if style.times == Times::Iso { b'T' } else { b' ' };
        let numbers = style.times == Times::Debezium;
        let time = match style.times {
            Times::Debezium => TimeForm::Count,
            _ if style.flink => TimeForm::WholeSeconds,
            _ => TimeForm::Text,
        };
        let zoned = matches!(logical, L::TimestampLtz(_));
        let cells = match (logical, array.data_type()) {
            (L::Boolean, _) if style.quoted => Cells::Digit(array.as_boolean_opt()?),
            (L::Boolean, _) => Cells::Boolean(array.as_boolean_opt()?),
            (L::TinyInt, _) => Cells::TinyInt(primitive(array)?),
            (L::SmallInt, _) => Cells::SmallInt(primitive(array)?),
            (L::Int, _) => Cells::Int(primitive(array)?),
            (L::BigInt, _) => Cells::BigInt(primitive(array)?),
            (L::Float, _) => Cells::Float(primitive(array)?, style.flink),
            (L::Double, _) => Cells::Double(primitive(array)?, style.flink),
            (L::Decimal { .. }, DataType::Decimal128(_, scale)) => {
                Cells::Decimal(primitive(array)?, *scale, style.decimals)
            }
            (L::Char(_) | L::VarChar(_) | L::String | L::Variant, _) => {
                Cells::Text(array.as_string_opt()?)
            }
            (L::Binary(_) | L::VarBinary(_) | L::Bytes, _) => Cells::Bytes(array.as_binary_opt()?),
            (L::Date, _) if numbers => Cells::Days(primitive(array)?),
            (L::Date, _) => Cells::Date(primitive(array)?),
            (L::Time(_), DataType::Time64(TimeUnit::Microsecond)) => {
                Cells::TimeMicros(primitive(array)?, time)
            }
            (L::Time(_), _) => Cells::TimeNanos(primitive(array)?, time),
            (L::Timestamp(0..=3), _) if numbers => Cells::EpochMicros(primitive(array)?, 1000),
            (L::Timestamp(4..=6), _) if numbers => Cells::EpochMicros(primitive(array)?, 1),
            (L::Timestamp(_), _) if numbers => Cells::EpochNanos(primitive(array)?),
            (
                L::Timestamp(_) | L::TimestampLtz(_),
                DataType::Timestamp(TimeUnit::Microsecond, _),
            ) => {
                let between = if numbers { b'T' } else { between };
                Cells::TimestampMicros(primitive(array)?, between, zoned)
            }
            (L::Timestamp(_) | L::TimestampLtz(_), _) => {
                let between = if numbers { b'T' } else { between };
                Cells::TimestampNanos(primitive(array)?, between, zoned)
            }
            (L::TimestampTz(_), _) => {
                let row = array.as_struct_opt()?;
                let (ts, offset) = row.columns().first().zip(row.columns().get(1))?;
                primitive::<TimestampNanosecondType>(ts)?;
                primitive::<Int16Type>(offset)?;
                Cells::TimestampTz(row, if numbers { b'T' } else { between })
            }
            (L::Array(element), _) => {
                let list = array.as_list_opt::<i32>()?;
                match list.values().as_string_opt::<i32>() {
                    Some(words) if set => Cells::Set(list, words),
                    _ => {
                        let values = Self::try_bind(element, false, list.values(), style)?;
                        Cells::List(list, Box::new(values))
                    }
                }
            }
            (L::Map(key, value), _) => {
                let map = array.as_map_opt()?;
                let plain = Style { quoted: false, ..style };
                let keys = Self::try_bind(key, false, map.keys(), plain)?;
                let values = Self::try_bind(value, false, map.values(), style)?;
                Cells::Map(map, Box::new(keys), Box::new(values))
            }
            (L::Row(fields), _) => {
                let row = array.as_struct_opt()?;
                if fields.len() != row.num_columns() {
                    return None;
                }
                let bound = fields.iter().zip(row.columns()).map(|((name, ty), column)| {
                    Some((name.as_str(), Self::try_bind(ty, false, column, style)?))
                });
                Cells::Row(row, bound.collect::<Option<_>>()?)
            }
            (L::Decimal { .. }, _) => return None,
        };
        let bare = matches!(
            cells,
            Cells::TinyInt(_)
                | Cells::SmallInt(_)
                | Cells::Int(_)
                | Cells::BigInt(_)
                | Cells::Float(..)
                | Cells::Double(..)
                // The other forms of a decimal are strings by themselves.
                | Cells::Decimal(_, _, Decimals::Number | Decimals::Double)
        );
        Some(if style.quoted && bare { Cells::Quoted(Box::new(cells)) } else { cells })
    }

    fn array(&self) -> &'a dyn Array {
        match self {
            Cells::Boolean(array) | Cells::Digit(array) => *array,
            Cells::TinyInt(array) => *array,
            Cells::SmallInt(array) => *array,
            Cells::Int(array) => *array,
            Cells::BigInt(array) => *array,
            Cells::Float(array, _) => *array,
            Cells::Double(array, _) => *array,
            Cells::Decimal(array, ..) => *array,
            Cells::Text(array) => *array,
            Cells::Bytes(array) | Cells::Bits(array, _) => *array,
            Cells::Days(array) | Cells::Date(array) => *array,
            Cells::TimeMicros(array, _) => *array,
            Cells::TimeNanos(array, _) => *array,
            Cells::EpochMicros(array, _) | Cells::TimestampMicros(array, ..) => *array,
            Cells::EpochNanos(array) | Cells::TimestampNanos(array, ..) => *array,
            Cells::TimestampTz(array, _) | Cells::Row(array, _) => *array,
            Cells::Set(array, _) | Cells::List(array, _) => *array,
            Cells::Map(array, ..) => *array,
            Cells::Quoted(inner) | Cells::Nested(inner) => inner.array(),
        }
    }

    /// Whether the cell is null.
    pub(crate) fn is_null(&self, at: usize) -> bool {
        self.array().is_null(at)
    }

    /// Appends the cell as JSON.
    pub(crate) fn push(&self, out: &mut Vec<u8>, at: usize) {
        if self.is_null(at) {
            return out.extend_from_slice(b"null");
        }
        match self {
            Cells::Boolean(array) => {
                out.extend_from_slice(if array.value(at) { b"true" } else { b"false" });
            }
            Cells::TinyInt(array) => push_integer(out, array.value(at)),
            Cells::SmallInt(array) => push_integer(out, array.value(at)),
            Cells::Int(array) => push_integer(out, array.value(at)),
            Cells::BigInt(array) => push_integer(out, array.value(at)),
            Cells::Float(array, false) => push_float(out, array.value(at)),
            Cells::Float(array, true) => push_java_float(out, array.value(at)),
            Cells::Double(array, false) => push_float(out, array.value(at)),
            Cells::Double(array, true) => push_java_float(out, array.value(at)),
            Cells::Decimal(array, scale, form) => {
                push_decimal_as(out, array.value(at), *scale, *form);
            }
            Cells::Text(array) => push_string(out, array.value(at)),
            Cells::Bytes(array) => quoted(out, |out| push_base64(out, array.value(at))),
            Cells::Bits(array, true) => {
                // 64 bits at most: eight bytes.
                let number =
                    array.value(at).iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
                quoted(out, |out| push_integer(out, number));
            }
            Cells::Bits(array, false) => {
                let bytes: Vec<u8> = array.value(at).iter().rev().copied().collect();
                quoted(out, |out| push_base64(out, &bytes));
            }
            Cells::Days(array) => push_integer(out, array.value(at)),
            Cells::Date(array) => quoted(out, |out| push_date(out, i64::from(array.value(at)))),
            Cells::TimeMicros(array, form) => form.push(out, array.value(at), 1000),
            Cells::TimeNanos(array, form) => form.push(out, array.value(at), 1),
            Cells::EpochMicros(array, per) => push_integer(out, array.value(at).div_euclid(*per)),
            Cells::EpochNanos(array) => push_integer(out, array.value(at)),
            Cells::TimestampMicros(array, between, zoned) => quoted(out, |out| {
                push_timestamp(out, array.value(at), 1_000_000, *between);
                if *zoned {
                    out.push(b'Z');
                }
            }),
            Cells::TimestampNanos(array, between, zoned) => quoted(out, |out| {
                push_timestamp(out, array.value(at), 1_000_000_000, *between);
                if *zoned {
                    out.push(b'Z');
                }
            }),
            Cells::TimestampTz(row, between) => push_with_offset(out, row, *between, at),
            Cells::Set(list, words) => push_set(out, list, words, at),
            Cells::List(list, values) => push_list(out, range(list.value_offsets(), at), values),
            Cells::Map(map, keys, values) => {
                push_map(out, range(map.value_offsets(), at), keys, values);
            }
            Cells::Row(_, fields) => {
                out.push(b'{');
                for (i, (name, cells)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    push_string(out, name);
                    out.push(b':');
                    cells.push(out, at);
                }
                out.push(b'}');
            }
            Cells::Quoted(inner) => quoted(out, |out| inner.push(out, at)),
            Cells::Digit(array) => {
                out.extend_from_slice(if array.value(at) { b"\"1\"" } else { b"\"0\"" });
            }
            Cells::Nested(inner) => {
                let mut text = Vec::new();
                inner.push(&mut text, at);
                push_string(out, &String::from_utf8_lossy(&text));
            }
        }
    }

    /// Whether two cells hold the same.
    pub(crate) fn same(&self, a: usize, b: usize) -> bool {
        self.array().slice(a, 1).to_data() == self.array().slice(b, 1).to_data()
    }
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn push_decimal_as(out: &mut Vec<u8>, unscaled: i128, scale: i8, form: Decimals) {
    match form {
        Decimals::Number => push_decimal(out, unscaled, scale),
        Decimals::Flink { plain } => push_flink_decimal(out, unscaled, scale, plain),
        Decimals::Text => quoted(out, |out| push_decimal(out, unscaled, scale)),
        Decimals::Bytes => quoted(out, |out| {
            let (bytes, from) = unscaled_bytes(unscaled);
            push_base64(out, &bytes[from..]);
        }),
        Decimals::Double => {
            let mut text = Vec::new();
            push_decimal(&mut text, unscaled, scale);
            // The text of a decimal is always a number that a double can come near to.
            let value = std::str::from_utf8(&text).ok().and_then(|text| text.parse::<f64>().ok());
            push_float(out, value.unwrap_or(f64::NAN));
        }
    }
}

fn range(offsets: &[i32], at: usize) -> std::ops::Range<usize> {
    let place = |at: usize| offsets.get(at).map_or(0, |offset| (*offset).max(0) as usize);
    place(at)..place(at + 1)
}

fn push_list(out: &mut Vec<u8>, range: std::ops::Range<usize>, values: &Cells<'_>) {
    out.push(b'[');
    for (i, at) in range.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        values.push(out, at);
    }
    out.push(b']');
}

fn push_set(out: &mut Vec<u8>, list: &ListArray, words: &StringArray, at: usize) {
    let mut joined = String::new();
    for (i, word) in range(list.value_offsets(), at).enumerate() {
        if i > 0 {
            joined.push(',');
        }
        joined.push_str(words.value(word));
    }
    push_string(out, &joined);
}

/// A JSON object's keys are strings: a key that is written bare gets quotes.
fn push_map(
    out: &mut Vec<u8>,
    range: std::ops::Range<usize>,
    keys: &Cells<'_>,
    values: &Cells<'_>,
) {
    out.push(b'{');
    for (i, at) in range.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let mut key = Vec::new();
        keys.push(&mut key, at);
        if key.first() == Some(&b'"') {
            out.extend_from_slice(&key);
        } else {
            push_string(out, &String::from_utf8_lossy(&key));
        }
        out.push(b':');
        values.push(out, at);
    }
    out.push(b'}');
}

fn push_with_offset(out: &mut Vec<u8>, row: &StructArray, between: u8, at: usize) {
    let (nanos, offset) = (row.column(0), row.column(1));
    let nanos = nanos.as_primitive::<TimestampNanosecondType>().value(at);
    let offset = offset.as_primitive::<Int16Type>().value(at);
    quoted(out, |out| {
        let local = nanos.saturating_add(i64::from(offset) * 60_000_000_000);
        push_timestamp(out, local, 1_000_000_000, between);
        push_offset(out, offset);
    });
}
