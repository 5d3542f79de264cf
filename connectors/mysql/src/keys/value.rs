//! One key value, read from either form of a cell, and the two things that are made of it: sortable bytes and a literal.

use std::fmt::Write as _;

use super::{
    decimal::PackedDecimal,
    network::Address,
    temporal::{Civil, time_text},
};

/// A value that is the same whichever form it was read from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Signed(i64),
    /// Unsigned integers, BIT, YEAR, and ENUM and SET by their number.
    Unsigned(u64),
    /// FLOAT too: widened, its order is the same.
    Float(f64),
    Decimal(PackedDecimal),
    /// Year, month and day as DATE of the log packs them.
    Date(u64),
    /// As [`Civil::pack`] packs.
    Datetime(u64),
    /// Seconds since 1970 above, microseconds in the lower 24 bits.
    Timestamp(u64),
    /// Microseconds.
    Time(i64),
    /// BINARY without its trailing zero bytes, and VARBINARY.
    Bytes(&'a [u8]),
    /// Text in the column's charset.
    Text(&'a [u8]),
    Address(Address),
}

pub(super) fn put_signed(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

pub(super) fn put_float(value: f64, out: &mut Vec<u8>) {
    // Both zeros are one key.
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    let sortable = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&sortable.to_be_bytes());
}

/// `x'…'`: a hexadecimal literal, in a text context a binary string.
pub(super) fn hex_literal(bytes: &[u8], zeros: usize) -> String {
    let mut literal = String::with_capacity((bytes.len() + zeros) * 2 + 3);
    literal.push_str("x'");
    for byte in bytes {
        write!(literal, "{byte:02X}").expect("writing to a String never fails");
    }
    literal.extend(std::iter::repeat_n("00", zeros));
    literal.push('\'');
    literal
}

/// Prints a TIMESTAMP for a session in UTC.
pub(super) fn timestamp_text(packed: u64) -> String {
    let seconds = i64::try_from(packed >> 24).unwrap_or(0);
    let civil =
        if packed == 0 { Civil::default() } else { Civil::of_epoch(seconds, packed & 0xff_ffff) };
    civil.text()
}

/// The literals of the values whose type says all; the others need their column.
pub(super) fn literal(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Signed(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        // The shortest digits that read back as the same double.
        Value::Float(value) => format!("{value:e}"),
        Value::Date(packed) => format!("'{}'", Civil::of_date(*packed).date_text()),
        Value::Datetime(packed) => format!("'{}'", Civil::unpack(*packed).text()),
        Value::Timestamp(packed) => format!("'{}'", timestamp_text(*packed)),
        // Typed, or two of them would compare as text.
        Value::Time(micros) => format!("TIME'{}'", time_text(*micros)),
        _ => return None,
    })
}
