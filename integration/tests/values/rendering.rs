//! What a value is, by the server's word: for each kind of column the expression by which the server prints it, and the
//! same text made of the Arrow value, by code that shares nothing with the decoder.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use cdc_integration::{ServerKind, arrow_text};
use serde_json::Value;

/// How a column's values are compared with the server's print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rendering {
    /// As a number: integers, decimals, booleans, YEAR.
    Number,
    /// Bit by bit, from digits that read back as the same double.
    Float,
    /// BIT of so many bytes.
    Bits(u32),
    /// NULL downstream when it is no date.
    Date,
    Datetime,
    /// TIME as a time of day.
    Clock,
    /// TIME as text.
    ClockText,
    /// TIME as microseconds.
    ClockMicros,
    /// Text, as UTF-8.
    Text,
    Bytes,
    /// The count of members and the text.
    Set,
    Json,
    /// Spatial as JSON text.
    Geometry,
    /// Spatial as WKB.
    Wkb,
    /// VECTOR, bit by bit.
    Floats,
    /// As it is printed.
    Plain,
}

impl Rendering {
    /// The expression that prints column `c`, in a session in UTC.
    pub(crate) fn expression(self, c: &str, kind: ServerKind) -> String {
        // MySQL keeps longitude before latitude, and prints them so only when asked.
        let axes = match kind {
            ServerKind::Mysql => ", 'axis-order=long-lat'",
            ServerKind::Mariadb => "",
        };
        match self {
            // Without the zeros of ZEROFILL.
            Rendering::Number => format!("CAST({c} + 0 AS CHAR)"),
            // A sum would lose the sign of zero.
            Rendering::Float => format!("{c} * 1e0"),
            Rendering::Bits(bytes) => format!("LPAD(LOWER(HEX({c} + 0)), {}, '0')", bytes * 2),
            Rendering::Datetime => format!(
                "RPAD(CONCAT(CAST({c} AS CHAR), IF(INSTR(CAST({c} AS CHAR), '.') = 0, '.', '')), 26, '0')"
            ),
            Rendering::Clock => format!(
                "RPAD(CONCAT(CAST({c} AS CHAR), IF(INSTR(CAST({c} AS CHAR), '.') = 0, '.', '')), 15, '0')"
            ),
            Rendering::Text => format!("LOWER(HEX(CONVERT({c} USING utf8mb4)))"),
            Rendering::Bytes | Rendering::Floats => format!("LOWER(HEX({c}))"),
            Rendering::Set => format!(
                "CONCAT(BIT_COUNT(CAST({c} AS UNSIGNED)), ':', LOWER(HEX(CONVERT({c} USING utf8mb4))))"
            ),
            Rendering::Json => format!("LOWER(HEX(CONVERT(CAST({c} AS CHAR) USING utf8mb4)))"),
            Rendering::Geometry => format!("CONCAT(ST_SRID({c}), ';', ST_AsText({c}{axes}))"),
            Rendering::Wkb => format!("LOWER(HEX(ST_AsBinary({c}{axes})))"),
            Rendering::Date | Rendering::ClockText | Rendering::ClockMicros | Rendering::Plain => {
                format!("CAST({c} AS CHAR)")
            }
        }
    }

    /// How the Arrow value contradicts the server's print, if it does.
    pub(crate) fn contradiction(
        self,
        printed: Option<&str>,
        array: &ArrayRef,
        row: usize,
    ) -> Option<String> {
        let expected = printed.and_then(|printed| self.expected(printed));
        let found = (!array.is_null(row)).then(|| self.found(array, row));
        if expected == found {
            return None;
        }
        Some(format!(
            "the server prints {printed:?}, which is {expected:?}, and Arrow has {found:?}"
        ))
    }

    /// The server's print in the form of [`Rendering::found`]; None: the policy makes it null.
    fn expected(self, printed: &str) -> Option<String> {
        Some(match self {
            Rendering::Date | Rendering::Datetime if !is_date(printed) => return None,
            Rendering::Float => format!("{:016x}", printed.parse::<f64>().ok()?.to_bits()),
            Rendering::ClockMicros => micros(printed)?.to_string(),
            Rendering::Geometry => {
                let (srid, wkt) = printed.split_once(';')?;
                format!("{srid};{}", shape_tokens(wkt))
            }
            _ => printed.to_owned(),
        })
    }

    fn found(self, array: &ArrayRef, row: usize) -> String {
        let plain = || match arrow_text(array, row) {
            Ok(text) => text.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        match self {
            Rendering::Float => {
                let value = match array.data_type() {
                    DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)),
                    _ => array.as_primitive::<Float64Type>().value(row),
                };
                format!("{:016x}", value.to_bits())
            }
            Rendering::ClockMicros => array.as_primitive::<Int64Type>().value(row).to_string(),
            Rendering::Text | Rendering::Json => {
                hex(array.as_string::<i32>().value(row).as_bytes())
            }
            Rendering::Set => {
                let members = array.as_list::<i32>().value(row);
                // The server puts a comma only behind a text that has begun, so none behind a first member ''.
                let mut text = String::new();
                for member in members.as_string::<i32>().iter().flatten() {
                    text.push_str(if text.is_empty() { "" } else { "," });
                    text.push_str(member);
                }
                format!("{}:{}", members.len(), hex(text.as_bytes()))
            }
            Rendering::Floats => {
                let floats = array.as_list::<i32>().value(row);
                let floats = floats.as_primitive::<Float32Type>();
                floats.values().iter().map(|float| hex(&float.to_le_bytes())).collect()
            }
            Rendering::Geometry => {
                let text = plain();
                match serde_json::from_str::<Value>(&quoted_numbers(&text)) {
                    Ok(shape) => format!(
                        "{};{}",
                        shape["srid"].as_str().unwrap_or("no srid"),
                        shape_tokens(&wkt(&shape))
                    ),
                    Err(error) => format!("{text}: {error}"),
                }
            }
            _ => plain(),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a calendar has the date that this text begins with.
fn is_date(text: &str) -> bool {
    let mut parts = text.get(..10).unwrap_or_default().split('-').map(str::parse::<u32>);
    let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// `-838:59:59.000001` in microseconds.
fn micros(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds = 0i64;
    for part in clock.split(':') {
        seconds = seconds * 60 + part.parse::<i64>().ok()?;
    }
    Some(sign * (seconds * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().ok()?))
}

/// The JSON text with its numbers as strings: the parser at hand is not exact in the last bit of a number.
fn quoted_numbers(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit() || c == '-') {
        let (before, number) = rest.split_at(at);
        let end = number.find(|c: char| ",]}".contains(c)).unwrap_or(number.len());
        let (number, behind) = number.split_at(end);
        out.push_str(&format!("{before}\"{number}\""));
        rest = behind;
    }
    out + rest
}

/// Flink CDC's JSON of a shape as WKT, with numbers as JSON has them.
fn wkt(shape: &Value) -> String {
    let name = shape["type"].as_str().unwrap_or("no type").to_uppercase();
    if let Some(parts) = shape["geometries"].as_array() {
        let parts: Vec<String> = parts.iter().map(wkt).collect();
        return if parts.is_empty() {
            format!("{name} EMPTY")
        } else {
            format!("{name}({})", parts.join(","))
        };
    }
    let coordinates = nested(&shape["coordinates"]);
    // A point is one pair, which `nested` puts into no parentheses.
    if name == "POINT" { format!("{name}({coordinates})") } else { format!("{name}{coordinates}") }
}

fn nested(value: &Value) -> String {
    match value.as_array() {
        Some(pair) if pair.first().is_some_and(Value::is_string) => {
            let numbers: Vec<&str> = pair.iter().filter_map(Value::as_str).collect();
            numbers.join(" ")
        }
        Some(parts) => format!("({})", parts.iter().map(nested).collect::<Vec<_>>().join(",")),
        None => value.to_string(),
    }
}

/// WKT in one form: upper case, numbers by their bits, and points of a MULTIPOINT without parentheses of their own, which
/// one of the servers gives them.
fn shape_tokens(wkt: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = wkt;
    while let Some(first) = rest.chars().next() {
        let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
        let length = if first.is_ascii_digit() || first == '-' {
            rest.find(|c| !is_number(c)).unwrap_or(rest.len())
        } else if first.is_ascii_alphabetic() {
            rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        match token.parse::<f64>() {
            // MariaDB prints no sign of a zero; the WKB's comparison sees it.
            Ok(number) => tokens.push(format!("{:016x}", (number + 0.0).to_bits())),
            Err(_) if token.trim().is_empty() => {}
            Err(_) => tokens.push(token.to_uppercase()),
        }
    }
    let text = tokens.join(" ");
    match text.split_once("MULTIPOINT ( (") {
        Some(_) => bare_points(&text),
        None => text,
    }
}

/// `MULTIPOINT ( ( 1 2 ) , ( 3 4 ) )` as `MULTIPOINT ( 1 2 , 3 4 )`, wherever it stands.
fn bare_points(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("MULTIPOINT ( (") {
        out.push_str(before);
        out.push_str("MULTIPOINT (");
        let (points, behind) = behind.split_once(") )").unwrap_or((behind, ""));
        out.push_str(&points.replace(") , (", ","));
        out.push(')');
        rest = behind;
    }
    out + rest
}

#[test]
fn wkt_of_both_servers_and_of_json_becomes_one_form() {
    let json = quoted_numbers(r#"{"coordinates":[[1,2],[3.5,-4]],"type":"MultiPoint","srid":0}"#);
    let shape: Value = serde_json::from_str(&json).unwrap();
    let ours = shape_tokens(&wkt(&shape));
    assert_eq!(ours, shape_tokens("MULTIPOINT((1 2),(3.5 -4e0))"));
    assert_eq!(ours, shape_tokens("MULTIPOINT(1 2,3.5 -4)"));
    assert_ne!(ours, shape_tokens("MULTIPOINT(1 2,3.5 4)"));
    assert_eq!(micros("-00:00:01.5"), Some(-1_500_000));
    assert!(is_date("2024-02-29 x") && !is_date("2023-02-29") && !is_date("2020-00-01"));
}
