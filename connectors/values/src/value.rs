//! One value as Flink CDC's `values` sink prints it: Java's forms for numbers and times, bytes in base64, `[a, b]` for a
//! list, `{key -> value}` for a map, `{name: TYPE -> value}` for a row.

use std::fmt::Write;

use arrow_array::{Array, cast::AsArray, types};
use arrow_schema::{DataType, TimeUnit};
use cdc_api::{Error, LogicalType, Result};

use crate::{number, temporal};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the value of row `at`; `null` where it is null.
///
/// # Errors
/// `Internal` when the array is of a type the value model does not have (correctness §7.1).
pub(crate) fn push_value(
    out: &mut String,
    logical: &LogicalType,
    array: &dyn Array,
    at: usize,
) -> Result<()> {
    if array.is_null(at) {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Boolean => push(out, array.as_boolean().value(at)),
        DataType::Int8 => push(out, array.as_primitive::<types::Int8Type>().value(at)),
        DataType::Int16 => push(out, array.as_primitive::<types::Int16Type>().value(at)),
        DataType::Int32 => push(out, array.as_primitive::<types::Int32Type>().value(at)),
        DataType::Int64 => push(out, array.as_primitive::<types::Int64Type>().value(at)),
        DataType::Float32 => {
            number::push_float(out, array.as_primitive::<types::Float32Type>().value(at));
        }
        DataType::Float64 => {
            number::push_double(out, array.as_primitive::<types::Float64Type>().value(at));
        }
        DataType::Decimal128(_, scale) => {
            let unscaled = array.as_primitive::<types::Decimal128Type>().value(at);
            number::push_decimal(out, unscaled, *scale);
        }
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(at)),
        DataType::Binary => push_base64(out, array.as_binary::<i32>().value(at)),
        DataType::Date32 => {
            let days = array.as_primitive::<types::Date32Type>().value(at);
            temporal::push_date(out, i64::from(days));
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let micros = array.as_primitive::<types::Time64MicrosecondType>().value(at);
            temporal::push_time(out, micros.saturating_mul(1_000));
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let nanos = array.as_primitive::<types::Time64NanosecondType>().value(at);
            temporal::push_time(out, nanos);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<types::TimestampMicrosecondType>().value(at);
            temporal::push_timestamp(out, micros, 1_000);
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let nanos = array.as_primitive::<types::TimestampNanosecondType>().value(at);
            temporal::push_timestamp(out, nanos, 1);
        }
        _ => return push_nested(out, logical, array, at),
    }
    Ok(())
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

fn push_nested(
    out: &mut String,
    logical: &LogicalType,
    array: &dyn Array,
    at: usize,
) -> Result<()> {
    match (logical, array.data_type()) {
        (LogicalType::Array(element), DataType::List(_)) => {
            let values = array.as_list::<i32>().value(at);
            push_list(out, '[', ']', values.len(), |out, i| push_value(out, element, &values, i))
        }
        (LogicalType::Map(key, value), DataType::Map(..)) => {
            let entries = array.as_map().value(at);
            let (keys, values) = (entries.column(0), entries.column(1));
            push_list(out, '{', '}', entries.len(), |out, i| {
                push_value(out, key, keys, i)?;
                out.push_str(" -> ");
                push_value(out, value, values, i)
            })
        }
        (LogicalType::Row(fields), DataType::Struct(_)) => {
            let row = array.as_struct();
            let columns = row.columns();
            push_list(out, '{', '}', fields.len().min(columns.len()), |out, i| {
                let (name, ty) = &fields[i];
                push(out, format_args!("{name}: {ty} -> "));
                push_value(out, ty, &columns[i], at)
            })
        }
        (LogicalType::TimestampTz(_), DataType::Struct(_)) => {
            let columns = array.as_struct().columns();
            let parts = columns.first().zip(columns.get(1)).and_then(|(ts, offset)| {
                Some((
                    ts.as_primitive_opt::<types::TimestampNanosecondType>()?.value(at),
                    offset.as_primitive_opt::<types::Int16Type>()?.value(at),
                ))
            });
            let (nanos, offset) = parts.ok_or_else(|| foreign(logical, array))?;
            temporal::push_with_offset(out, nanos, offset);
            Ok(())
        }
        _ => Err(foreign(logical, array)),
    }
}

fn push_list(
    out: &mut String,
    open: char,
    close: char,
    count: usize,
    mut element: impl FnMut(&mut String, usize) -> Result<()>,
) -> Result<()> {
    out.push(open);
    for i in 0..count {
        if i > 0 {
            out.push_str(", ");
        }
        element(out, i)?;
    }
    out.push(close);
    Ok(())
}

fn foreign(logical: &LogicalType, array: &dyn Array) -> Error {
    Error::internal(format!("a {logical} column came as Arrow {}", array.data_type()))
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = if place <= chunk.len() {
                char::from(BASE64[(word >> (18 - 6 * place) & 63) as usize])
            } else {
                '='
            };
            out.push(digit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_print_in_base64() {
        for (bytes, text) in [("", ""), ("L", "TA=="), ("Lo", "TG8="), ("Lor", "TG9y")] {
            let mut out = String::new();
            push_base64(&mut out, bytes.as_bytes());
            assert_eq!(out, text);
        }
        let mut out = String::new();
        push_base64(&mut out, &[0xfb, 0xff, 0xfe]);
        assert_eq!(out, "+//+");
    }
}
