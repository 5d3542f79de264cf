//! Numbers: integers, floats in the shortest digits or in Java's form, decimals plain or as Java's `BigDecimal` prints them.

use std::io::Write;

/// Appends an integer.
pub(crate) fn push_integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a float in the fewest digits that read back equal; `null` where JSON has no such number.
pub(crate) fn push_float<F: zmij::Float + Into<f64> + Copy>(out: &mut Vec<u8>, value: F) {
    if value.into().is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// Appends a float as Java's `toString` does and Jackson quotes it: at least one digit behind the point, scientific
/// outside of [10⁻³, 10⁷), `"NaN"` and infinities as strings.
pub(crate) fn push_java_float<F: std::fmt::LowerExp + Into<f64> + Copy>(
    out: &mut Vec<u8>,
    value: F,
) {
    let wide: f64 = value.into();
    if wide.is_nan() {
        return out.extend_from_slice(b"\"NaN\"");
    }
    if wide.is_infinite() {
        let text: &[u8] = if wide < 0.0 { b"\"-Infinity\"" } else { b"\"Infinity\"" };
        return out.extend_from_slice(text);
    }
    // Rust's scientific form has the shortest digits that read back equal, as Java's: `-1.25e-7`.
    let text = format!("{value:e}");
    let unsigned = text.strip_prefix('-').unwrap_or(&text);
    if unsigned.len() < text.len() {
        out.push(b'-');
    }
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: Vec<u8> = mantissa.bytes().filter(|byte| *byte != b'.').collect();
    if digits == b"0" {
        return out.extend_from_slice(b"0.0");
    }
    if (-3..0).contains(&exponent) {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', exponent.unsigned_abs() as usize - 1));
        out.extend_from_slice(&digits);
    } else if (0..7).contains(&exponent) {
        let whole = exponent as usize + 1;
        let (head, tail) = digits.split_at(whole.min(digits.len()));
        out.extend_from_slice(head);
        out.extend(std::iter::repeat_n(b'0', whole - head.len()));
        out.push(b'.');
        out.extend_from_slice(if tail.is_empty() { b"0" } else { tail });
    } else {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first);
        out.push(b'.');
        out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
        // Writing to a Vec cannot fail.
        let _ = write!(out, "E{exponent}");
    }
}

/// Appends a decimal with all its fractional digits and no exponent.
pub(crate) fn push_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = match u64::try_from(unscaled.unsigned_abs()) {
        Ok(short) => buffer.format(short),
        Err(_) => buffer.format(unscaled.unsigned_abs()),
    };
    let digits = digits.as_bytes();
    if scale <= 0 {
        out.extend_from_slice(digits);
        if unscaled != 0 {
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    if digits.len() <= scale {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
        out.extend_from_slice(digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// Appends a decimal as Flink's JSON format does: without zeros at the end, then as `BigDecimal.toString` or
/// `toPlainString` prints it.
pub(crate) fn push_flink_decimal(out: &mut Vec<u8>, unscaled: i128, scale: i8, plain: bool) {
    if unscaled == 0 {
        return out.push(b'0');
    }
    let (mut unscaled, mut scale) = (unscaled, scale);
    while unscaled % 10 == 0 {
        unscaled /= 10;
        scale = scale.saturating_sub(1);
    }
    let digits = unscaled.unsigned_abs().to_string();
    // The exponent of the number written with one digit ahead of the point.
    let adjusted = digits.len() as i32 - 1 - i32::from(scale);
    if plain || (scale >= 0 && adjusted >= -6) {
        return push_decimal(out, unscaled, scale);
    }
    if unscaled < 0 {
        out.push(b'-');
    }
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first.as_bytes());
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest.as_bytes());
    }
    let _ = write!(out, "E{adjusted:+}");
}

/// The bytes of a decimal's unscaled value as Java's `BigInteger.toByteArray` gives them: big-endian two's complement,
/// as short as it can be.
pub(crate) fn unscaled_bytes(unscaled: i128) -> ([u8; 16], usize) {
    let bytes = unscaled.to_be_bytes();
    let filler = if unscaled < 0 { 0xff } else { 0 };
    let sign = |byte: u8| byte & 0x80 == filler & 0x80;
    let mut from = 0;
    while from < 15 && bytes[from] == filler && sign(bytes[from + 1]) {
        from += 1;
    }
    (bytes, from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_print_as_javas() {
        for (value, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (88.88, "88.88"),
            (0.001, "0.001"),
            (0.0123, "0.0123"),
            (0.000_999, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(text(|out| push_java_float(out, value)), expected);
        }
        assert_eq!(text(|out| push_java_float(out, 22.2_f32)), "22.2");
        assert_eq!(text(|out| push_float(out, 22.2_f32)), "22.2");
        assert_eq!(text(|out| push_float(out, f64::NAN)), "null");
    }

    #[test]
    fn decimals_print_plain_and_as_flinks() {
        for (unscaled, scale, plain, flink) in [
            (1, 0, "1", "1"),
            (-98_765_432_109_876_543_210, 2, "-987654321098765432.10", "-987654321098765432.1"),
            (5, 3, "0.005", "0.005"),
            (-5, 1, "-0.5", "-0.5"),
            (0, 2, "0.00", "0"),
            (10_000, 2, "100.00", "1E+2"),
            (-12_300, 1, "-1230.0", "-1.23E+3"),
            (1, 7, "0.0000001", "1E-7"),
            (1_234_560, 4, "123.4560", "123.456"),
        ] {
            assert_eq!(text(|out| push_decimal(out, unscaled, scale)), plain);
            assert_eq!(text(|out| push_flink_decimal(out, unscaled, scale, false)), flink);
        }
        assert_eq!(text(|out| push_flink_decimal(out, 10_000, 2, true)), "100");
    }

    #[test]
    fn unscaled_values_are_as_short_as_java_makes_them() {
        for (value, expected) in [
            (0_i128, &[0_u8][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (-1, &[0xff]),
            (12_345, &[0x30, 0x39]),
        ] {
            let (bytes, from) = unscaled_bytes(value);
            assert_eq!(&bytes[from..], expected, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_finite_double_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                for text in [text(|out| push_float(out, value)), text(|out| push_java_float(out, value))] {
                    proptest::prop_assert!(serde_json::from_str::<f64>(&text).is_ok(), "{}", text);
                    proptest::prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
                }
            }
        }
    }
}
