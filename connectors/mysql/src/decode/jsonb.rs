//! MySQL's binary JSON into the text that `CAST(j AS CHAR)` prints: keys in stored order, `", "` and `": "`.
//!
//! A container says where its members lie by offsets, which crafted bytes could make overlap; so depth and the length of
//! the text are bounded.

mod container;
mod diff;
mod path;
mod tree;

use std::fmt::Write;

use self::container::{Members, container};
use super::{
    cursor::Cursor,
    decimal,
    error::Fault,
    temporal::{Civil, micros_of_time, write_fraction, write_number, write_time},
};

pub(crate) use diff::apply;

/// The server allows 100 levels.
const DEPTH_MAX: usize = 100;
/// No stored value prints longer than this many times its bytes, plus a little.
const TEXT_RATIO_MAX: usize = 32;

mod kind {
    pub(super) const SMALL_OBJECT: u8 = 0x00;
    pub(super) const LARGE_OBJECT: u8 = 0x01;
    pub(super) const SMALL_ARRAY: u8 = 0x02;
    pub(super) const LARGE_ARRAY: u8 = 0x03;
    pub(super) const LITERAL: u8 = 0x04;
    pub(super) const INT16: u8 = 0x05;
    pub(super) const UINT16: u8 = 0x06;
    pub(super) const INT32: u8 = 0x07;
    pub(super) const UINT32: u8 = 0x08;
    pub(super) const INT64: u8 = 0x09;
    pub(super) const UINT64: u8 = 0x0A;
    pub(super) const DOUBLE: u8 = 0x0B;
    pub(super) const STRING: u8 = 0x0C;
    pub(super) const OPAQUE: u8 = 0x0F;
}

/// Appends the text of a stored document. An empty one is the null that the server writes into a NOT NULL column.
pub(crate) fn write_text(stored: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some((&ty, body)) = stored.split_first() else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    let text_max = out.len() + stored.len() * TEXT_RATIO_MAX + 256;
    Printer { out, text_max }.value(ty, body, 0)
}

struct Printer<'a> {
    out: &'a mut Vec<u8>,
    text_max: usize,
}

impl Printer<'_> {
    fn value(&mut self, ty: u8, body: &[u8], depth: usize) -> Result<(), Fault> {
        if self.out.len() > self.text_max {
            return Err(Fault::new("a JSON document overlaps itself"));
        }
        let mut cursor = Cursor::new(body);
        if let Some((is_object, width)) = container(ty) {
            return self.container(body, is_object, width, depth);
        }
        match ty {
            kind::LITERAL => self.literal(cursor.u8()?),
            kind::INT16 => self.signed(i64::from(cursor.u16()? as i16)),
            kind::UINT16 => self.unsigned(u64::from(cursor.u16()?)),
            kind::INT32 => self.signed(i64::from(cursor.u32()? as i32)),
            kind::UINT32 => self.unsigned(u64::from(cursor.u32()?)),
            kind::INT64 => self.signed(cursor.u64()? as i64),
            kind::UINT64 => self.unsigned(cursor.u64()?),
            kind::DOUBLE => self.double(f64::from_bits(cursor.u64()?)),
            kind::STRING => {
                let length = variable_length(&mut cursor)?;
                self.string(cursor.take(length)?)
            }
            kind::OPAQUE => {
                let field_type = cursor.u8()?;
                let length = variable_length(&mut cursor)?;
                self.opaque(field_type, cursor.take(length)?)
            }
            other => Err(Fault::new(format!("JSON value of type {other}"))),
        }
    }

    fn container(
        &mut self,
        body: &[u8],
        is_object: bool,
        width: usize,
        depth: usize,
    ) -> Result<(), Fault> {
        if depth >= DEPTH_MAX {
            return Err(Fault::new(format!(
                "a JSON document is nested more than {DEPTH_MAX} deep"
            )));
        }
        let mut members = Members::open(body, is_object, width)?;
        self.out.push(if is_object { b'{' } else { b'[' });
        let mut is_first = true;
        while let Some(member) = members.next()? {
            if !is_first {
                self.out.extend_from_slice(b", ");
            }
            is_first = false;
            if is_object {
                self.string(member.key)?;
                self.out.extend_from_slice(b": ");
            }
            self.value(member.ty, member.bytes, depth + 1)?;
        }
        self.out.push(if is_object { b'}' } else { b']' });
        Ok(())
    }

    fn literal(&mut self, which: u8) -> Result<(), Fault> {
        self.out.extend_from_slice(match which {
            0 => b"null".as_slice(),
            1 => b"true",
            2 => b"false",
            other => return Err(Fault::new(format!("JSON literal {other}"))),
        });
        Ok(())
    }

    fn signed(&mut self, value: i64) -> Result<(), Fault> {
        if value < 0 {
            self.out.push(b'-');
        }
        self.unsigned(value.unsigned_abs())
    }

    fn unsigned(&mut self, value: u64) -> Result<(), Fault> {
        write_number(value, 1, self.out);
        Ok(())
    }

    fn double(&mut self, value: f64) -> Result<(), Fault> {
        if !value.is_finite() {
            return Err(Fault::new("a JSON number is not finite"));
        }
        write_double(value, self.out);
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| Fault::new("a JSON string is not UTF-8"))?;
        write_quoted(text.as_bytes(), self.out);
        Ok(())
    }

    fn opaque(&mut self, field_type: u8, data: &[u8]) -> Result<(), Fault> {
        const TIMESTAMP: u8 = 7;
        const DATE: u8 = 10;
        const TIME: u8 = 11;
        const DATETIME: u8 = 12;
        const NEWDECIMAL: u8 = 246;
        let mut cursor = Cursor::new(data);
        match field_type {
            NEWDECIMAL => {
                let (precision, scale) = (cursor.u8()?, cursor.u8()?);
                // More than a column's 65: here the server counts whole groups of nine digits.
                const PRECISION_MAX: u8 = 81;
                if precision == 0 || precision > PRECISION_MAX || scale > precision {
                    return Err(Fault::new(format!(
                        "a JSON decimal of type DECIMAL({precision},{scale})"
                    )));
                }
                decimal::Layout::new(precision, scale).write_text(cursor.rest(), self.out)
            }
            DATE | DATETIME | TIMESTAMP => {
                let packed = cursor.u64()?;
                self.date(packed, field_type != DATE)
            }
            TIME => {
                let packed = cursor.u64()? as i64;
                let magnitude = packed.unsigned_abs();
                let time = u32::try_from(magnitude >> 24)
                    .map_err(|_| Fault::new("a JSON time is out of range"))?;
                let micro = (magnitude & 0xFF_FFFF) as u32;
                let micros =
                    micros_of_time(packed < 0, time >> 12, time >> 6 & 63, time & 63, micro)?;
                self.out.push(b'"');
                write_time(micros, 6, self.out);
                self.out.push(b'"');
                Ok(())
            }
            other => {
                self.out.extend_from_slice(b"\"base64:type");
                write_number(u64::from(other), 1, self.out);
                self.out.push(b':');
                write_base64(data, self.out);
                self.out.push(b'"');
                Ok(())
            }
        }
    }

    fn date(&mut self, packed: u64, with_time: bool) -> Result<(), Fault> {
        let micro = (packed & 0xFF_FFFF) as u32;
        // The same bits as DATETIME2, without its offset.
        let whole = packed >> 24;
        if whole >= 1 << 39 || micro > 999_999 {
            return Err(Fault::new("a JSON date is out of range"));
        }
        let civil = Civil::of_packed(whole + 0x80_0000_0000, micro)?;
        let fields: [(u32, usize, &[u8]); 6] = [
            (civil.year, 4, b"\""),
            (civil.month, 2, b"-"),
            (civil.day, 2, b"-"),
            (civil.hour, 2, b" "),
            (civil.minute, 2, b":"),
            (civil.second, 2, b":"),
        ];
        for (value, digits, before) in &fields[..if with_time { 6 } else { 3 }] {
            self.out.extend_from_slice(before);
            write_number(u64::from(*value), *digits, self.out);
        }
        if with_time {
            write_fraction(micro, 6, self.out);
        }
        self.out.push(b'"');
        Ok(())
    }
}

/// Seven bits a byte, lowest first, at most five bytes.
fn variable_length(cursor: &mut Cursor<'_>) -> Result<usize, Fault> {
    let mut length = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let byte = cursor.u8()?;
        length |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(length).map_err(|_| Fault::cut_off());
        }
    }
    Err(Fault::new("a JSON length takes more than five bytes"))
}

/// Appends a double as the server does: the shortest digits that read back as the same number, with an exponent below
/// 1e-15 and from 1e15 on unless there are digits behind the point; a whole number has `.0`.
fn write_double(value: f64, out: &mut Vec<u8>) {
    let mut scientific = Stack { bytes: [0; 32], used: 0 };
    // `d.ddde±x`, at most 24 bytes.
    write!(scientific, "{value:e}").expect("a double in scientific form fits 32 bytes");
    let text = &scientific.bytes[..scientific.used];
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let split = text.iter().position(|&byte| byte == b'e').unwrap_or(text.len());
    let (mantissa, exponent) = text.split_at(split);
    let exponent: i32 = std::str::from_utf8(exponent)
        .ok()
        .and_then(|exponent| exponent.get(1..))
        .and_then(|exponent| exponent.parse().ok())
        .unwrap_or(0);
    let mut digits = [b'0'; 20];
    let mut count = 0;
    for &digit in mantissa.iter().filter(|&&byte| byte != b'.').take(20) {
        digits[count] = digit;
        count += 1;
    }
    let point = exponent + 1;
    settle_tie(value, point, &mut digits[..count]);
    let digits = &digits[..count];
    if negative {
        out.push(b'-');
    }
    if point < -14 || (point > 15 && count as i32 <= point) {
        out.push(digits.first().copied().unwrap_or(b'0'));
        if let Some(rest @ [_, ..]) = digits.get(1..) {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
        out.push(b'e');
        if exponent < 0 {
            out.push(b'-');
        }
        write_number(u64::from(exponent.unsigned_abs()), 1, out);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(digits);
    } else {
        let whole = point as usize;
        out.extend_from_slice(digits.get(..whole).unwrap_or(digits));
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(count)));
        out.push(b'.');
        match digits.get(whole..) {
            Some(rest @ [_, ..]) => out.extend_from_slice(rest),
            _ => out.push(b'0'),
        }
    }
}

/// The shortest digits are not unique when the number lies exactly between two of them: the server takes the even one.
/// `point` is the place of the decimal point before the first digit.
fn settle_tie(value: f64, point: i32, digits: &mut [u8]) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let binary_exponent = (bits >> 52 & 0x7FF) as i32 - 1075;
    // A binary fraction of n places has n decimal places, and ends in 5: a tie has one digit more than the shortest.
    let places = -(binary_exponent + mantissa.trailing_zeros() as i32);
    if places <= 0 || places + point != digits.len() as i32 + 1 {
        return;
    }
    let mut exact = Stack { bytes: [0; 32], used: 0 };
    // The shortest have at most 17 digits, so this has at most 18 and needs no rounding.
    write!(exact, "{:.*e}", digits.len(), value.abs())
        .expect("18 digits in scientific form fit 32 bytes");
    let floor = exact.bytes.iter().filter(|&&byte| byte != b'.').take(digits.len());
    for (digit, &exact) in digits.iter_mut().zip(floor) {
        *digit = exact;
    }
    // An odd digit becomes the even one above; 9 cannot be here, one digit less would have done then.
    if let Some(last) = digits.last_mut().filter(|last| **last % 2 == 1 && **last < b'9') {
        *last += 1;
    }
}

struct Stack {
    bytes: [u8; 32],
    used: usize,
}

impl Write for Stack {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.used + text.len();
        let room = self.bytes.get_mut(self.used..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}

fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain_from = 0;
    for (at, &byte) in text.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x09 => b"\\t",
            0x0A => b"\\n",
            0x0C => b"\\f",
            0x0D => b"\\r",
            0..=0x1F => b"\\u00",
            _ => continue,
        };
        out.extend_from_slice(&text[plain_from..at]);
        out.extend_from_slice(escape);
        if escape == b"\\u00" {
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
        plain_from = at + 1;
    }
    out.extend_from_slice(&text[plain_from..]);
    out.push(b'"');
}

/// Appends base64 with a line break after every 76 characters but the last, escaped as it is inside a JSON string.
fn write_base64(data: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (at, group) in data.chunks(3).enumerate() {
        if at > 0 && at % 19 == 0 {
            out.extend_from_slice(b"\\n");
        }
        let bits = group.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - group.len()));
        for place in 0..4 {
            out.push(if place <= group.len() {
                ALPHABET[(bits >> (18 - 6 * place) & 63) as usize]
            } else {
                b'='
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(stored: &[u8]) -> String {
        let mut out = Vec::new();
        write_text(stored, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn double(value: f64) -> String {
        let mut out = Vec::new();
        write_double(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The right-hand sides were printed by MySQL 9.7.
    #[test]
    fn doubles_are_printed_as_the_server_does() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e14, "100000000000000.0"),
            (1e15, "1e15"),
            (1.25e15, "1.25e15"),
            (1_234_567_890_123_456.8, "1234567890123456.8"),
            (123_456_789_012_345.67, "123456789012345.67"),
            (9_007_199_254_740_992.0, "9.007199254740992e15"),
            (1.234_567_890_123_456_8e-10, "0.00000000012345678901234568"),
            (-0.000_123_456_789_012_345_67, "-0.00012345678901234567"),
            (1e-15, "0.000000000000001"),
            (1e-16, "1e-16"),
            (5e-324, "5e-324"),
            (f64::MIN, "-1.7976931348623157e308"),
            (0.300_000_000_000_000_04, "0.30000000000000004"),
            (-1.5e-300, "-1.5e-300"),
            // Exactly between two: …0.25, …6.625, …3.125, …5.75.
            (3_085_040_490_222_201.0 / 4.0, "771260122555550.2"),
            (-5_001_680_040_549_053.0 / 4.0, "-1250420010137263.2"),
            (1_462_957_867_852_373.0 / 8.0, "182869733481546.62"),
            (1_486_238_972_736_745.0 / 8.0, "185779871592093.12"),
            (3_085_040_490_222_203.0 / 4.0, "771260122555550.8"),
        ] {
            assert_eq!(double(value), expected);
        }
    }

    #[test]
    fn a_small_object_with_inlined_and_stored_members() {
        // {"a": 1, "bc": "x\n", "d": null}
        let mut stored = vec![kind::SMALL_OBJECT];
        stored.extend([3, 0, 32, 0]);
        stored.extend([25, 0, 1, 0, 26, 0, 2, 0, 28, 0, 1, 0]);
        stored.extend([kind::INT16, 1, 0, kind::STRING, 29, 0, kind::LITERAL, 0, 0]);
        stored.extend(b"abcd");
        stored.extend([2, b'x', b'\n']);
        assert_eq!(text(&stored), r#"{"a": 1, "bc": "x\n", "d": null}"#);
        for cut in 1..stored.len() {
            assert!(write_text(&stored[..cut], &mut Vec::new()).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_large_array_inlines_32_bits() {
        let mut stored = vec![kind::LARGE_ARRAY];
        stored.extend([2, 0, 0, 0, 26, 0, 0, 0]);
        stored.extend([kind::INT32, 0xFF, 0xFF, 0xFF, 0xFF, kind::UINT64, 18, 0, 0, 0]);
        stored.extend(u64::MAX.to_le_bytes());
        assert_eq!(text(&stored), "[-1, 18446744073709551615]");
    }

    #[test]
    fn opaque_values() {
        assert_eq!(text(&[kind::OPAQUE, 246, 4, 3, 2, 0x81, 50]), "1.50");
        assert_eq!(text(&[kind::OPAQUE, 15, 2, 1, 2]), r#""base64:type15:AQI=""#);
        assert_eq!(text(&[kind::OPAQUE, 15, 0]), r#""base64:type15:""#);
        let mut long = vec![kind::OPAQUE, 15, 100];
        long.extend([b'x'; 100]);
        let printed = text(&long);
        assert!(printed.starts_with(r#""base64:type15:eHh4"#) && printed.ends_with(r#"eHh4eA==""#));
        assert_eq!(printed.find("\\n"), Some(1 + 14 + 76));
        let packed = (((2020 * 13 + 1) << 5 | 2) << 17 | 3 << 12 | 4 << 6 | 5u64) << 24 | 123_000;
        let opaque = |ty: u8, packed: u64| {
            text(&[&[kind::OPAQUE, ty, 8][..], &packed.to_le_bytes()].concat())
        };
        assert_eq!(opaque(12, packed), r#""2020-01-02 03:04:05.123000""#);
        assert_eq!(opaque(10, packed), r#""2020-01-02""#);
        let time = -((1i64 << 12 | 2 << 6 | 3) << 24 | 500_000);
        assert_eq!(opaque(11, time as u64), r#""-01:02:03.500000""#);
    }

    #[test]
    fn an_empty_document_is_null() {
        assert_eq!(text(&[]), "null");
        assert_eq!(text(&[kind::LITERAL, 1]), "true");
    }

    #[test]
    fn documents_that_overlap_themselves_are_refused() {
        // Arrays of two members that are the same array, 40 levels deep: 2^40 values if they were all printed.
        let mut stored = vec![kind::SMALL_ARRAY];
        let levels = 40u16;
        let size = levels * 10 + 4;
        for level in 0..levels {
            let _ = level;
            stored.extend([2, 0]);
            stored.extend(size.to_le_bytes());
            stored.extend([kind::SMALL_ARRAY, 10, 0, kind::SMALL_ARRAY, 10, 0]);
        }
        stored.extend([0, 0, 4, 0]);
        stored.resize(stored.len() + usize::from(size), 0);
        assert!(write_text(&stored, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn doubles_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(double(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn random_bytes_never_panic(
            ty in 0u8..16,
            bytes in proptest::collection::vec(prop_oneof![0u8..16, any::<u8>()], 0..200),
        ) {
            let stored = [&[ty][..], &bytes].concat();
            let mut out = Vec::new();
            if write_text(&stored, &mut out).is_ok() {
                prop_assert!(String::from_utf8(out).is_ok());
            }
        }
    }
}
