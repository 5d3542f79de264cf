//! Values of both ends as one comparable text, written apart from the converter under test.
//!
//! Comes in: an Arrow cell of the lake, or a value of the independent client with its column's type. Goes out: text, or
//! None for NULL. The form follows the value model (correctness §7.1): booleans 0/1, decimals with all their decimals,
//! floats in their shortest exact form, bytes as hex, temporal values in UTC with six decimals, sets joined by commas.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use mysql_async::Value;

use crate::{Failure, Outcome};

const DAY_US: i64 = 86_400_000_000;

/// One cell of an Arrow array as text; None for NULL.
pub fn arrow_text(array: &ArrayRef, row: usize) -> Outcome<Option<String>> {
    if array.is_null(row) {
        return Ok(None);
    }
    let text = match array.data_type() {
        DataType::Boolean => u8::from(array.as_boolean().value(row)).to_string(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float32 => format!("{:?}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => format!("{:?}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => array.as_primitive::<Decimal128Type>().value_as_string(row),
        DataType::Utf8 => array.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => hex(array.as_binary::<i32>().value(row)),
        DataType::FixedSizeBinary(_) => hex(array.as_fixed_size_binary().value(row)),
        DataType::Date32 => date(i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Time64(TimeUnit::Microsecond) => {
            clock(array.as_primitive::<Time64MicrosecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            format!("{} {}", date(micros.div_euclid(DAY_US)), clock(micros.rem_euclid(DAY_US)))
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>().value(row);
            let items: Outcome<Vec<_>> = (0..list.len()).map(|i| arrow_text(&list, i)).collect();
            items?.into_iter().flatten().collect::<Vec<_>>().join(",")
        }
        other => return Err(Failure::new(format!("the harness cannot print Arrow {other} yet"))),
    };
    Ok(Some(text))
}

/// One value of the client's binary protocol, of a column whose `DATA_TYPE` and `COLUMN_TYPE` are these.
pub(crate) fn sql_text(
    value: Value,
    data_type: &str,
    column_type: &str,
) -> Outcome<Option<String>> {
    let text = match value {
        Value::NULL => return Ok(None),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Double(number) => format!("{number:?}"),
        // A date with a zero month or day does not exist; the lake has NULL for it.
        Value::Date(_, 0, ..) | Value::Date(_, _, 0, ..) => return Ok(None),
        Value::Date(year, month, day, ..) if data_type == "date" => {
            format!("{year:04}-{month:02}-{day:02}")
        }
        Value::Date(year, month, day, hour, minute, second, micro) => {
            format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micro:06}")
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => format!(
            "{}{:02}:{minutes:02}:{seconds:02}.{micros:06}",
            if negative { "-" } else { "" },
            u32::from(hours) + 24 * days
        ),
        Value::Bytes(bytes) => return bytes_text(bytes, data_type, column_type).map(Some),
    };
    Ok(Some(text))
}

fn bytes_text(bytes: Vec<u8>, data_type: &str, column_type: &str) -> Outcome<String> {
    match data_type {
        "bit" if column_type == "bit(1)" => Ok(u8::from(bytes.iter().any(|b| *b != 0)).to_string()),
        "bit" | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            Ok(hex(&bytes))
        }
        "vector" => {
            let floats = bytes.chunks_exact(4).map(|four| {
                let four: [u8; 4] = four.try_into().expect("chunks of four have four bytes");
                format!("{:?}", f32::from_le_bytes(four))
            });
            Ok(floats.collect::<Vec<_>>().join(","))
        }
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geomcollection" | "geometrycollection" => {
            Err(Failure::new(format!("the harness cannot print {data_type} yet")))
        }
        _ => Ok(String::from_utf8(bytes)?),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Time of day, or of a longer span, from microseconds.
fn clock(micros: i64) -> String {
    let (sign, micros) = if micros < 0 { ("-", -micros) } else { ("", micros) };
    let seconds = micros / 1_000_000;
    format!(
        "{sign}{:02}:{:02}:{:02}.{:06}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        micros % 1_000_000
    )
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The calendar date of a day counted from 1970-01-01, found by walking: slow, and plainly right.
fn date(day: i64) -> String {
    // 400 years repeat after 146,097 days.
    let mut year = 1970 + 400 * day.div_euclid(146_097);
    let mut rest = day.rem_euclid(146_097);
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if rest < days {
            break;
        }
        rest -= days;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if rest < days {
            break;
        }
        rest -= days;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        for (day, text) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_723, "2024-01-01"),
            (2_932_896, "9999-12-31"),
            (-354_285, "1000-01-01"),
        ] {
            assert_eq!(date(day), text);
        }
    }

    #[test]
    fn spans_may_be_negative_and_longer_than_a_day() {
        assert_eq!(clock(-1_500_000), "-00:00:01.500000");
        assert_eq!(clock(838 * 3_600_000_000 + 1), "838:00:00.000001");
    }
}
