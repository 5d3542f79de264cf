//! Numbers as Java prints them: `Double.toString`, `Float.toString` and `BigDecimal.toPlainString`.

use std::fmt::{LowerExp, Write};

/// A double: at least one digit behind the point, and scientific outside of [10⁻³, 10⁷).
pub(crate) fn push_double(out: &mut String, value: f64) {
    push_float_digits(out, value, value.is_nan(), value.is_infinite(), value < 0.0);
}

/// A float, by the same rules.
pub(crate) fn push_float(out: &mut String, value: f32) {
    push_float_digits(out, value, value.is_nan(), value.is_infinite(), value < 0.0);
}

fn push_float_digits<F: LowerExp>(
    out: &mut String,
    value: F,
    nan: bool,
    infinite: bool,
    neg: bool,
) {
    if nan {
        return out.push_str("NaN");
    }
    if infinite {
        return out.push_str(if neg { "-Infinity" } else { "Infinity" });
    }
    // Rust's scientific form has the shortest digits that read back equal, as Java's: `-1.25e-7`.
    let text = format!("{value:e}");
    let unsigned = text.strip_prefix('-').unwrap_or(&text);
    if unsigned.len() < text.len() {
        out.push('-');
    }
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if digits == "0" {
        return out.push_str("0.0");
    }
    if (-3..7).contains(&exponent) {
        push_plain(out, &digits, exponent);
    } else {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        // Writing to a String cannot fail.
        let _ = write!(out, "{first}.{rest}E{exponent}");
    }
}

/// Digits d₁d₂… with the point behind place `exponent`.
fn push_plain(out: &mut String, digits: &str, exponent: i32) {
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', exponent.unsigned_abs() as usize - 1));
        return out.push_str(digits);
    }
    let whole = exponent as usize + 1;
    let (head, tail) = digits.split_at(whole.min(digits.len()));
    out.push_str(head);
    out.extend(std::iter::repeat_n('0', whole - head.len()));
    out.push('.');
    out.push_str(if tail.is_empty() { "0" } else { tail });
}

/// A decimal with all its fractional digits and no exponent.
pub(crate) fn push_decimal(out: &mut String, unscaled: i128, scale: i8) {
    if unscaled < 0 {
        out.push('-');
    }
    let digits = unscaled.unsigned_abs().to_string();
    if scale <= 0 {
        out.push_str(&digits);
        if unscaled != 0 {
            out.extend(std::iter::repeat_n('0', usize::from(scale.unsigned_abs())));
        }
        return;
    }
    let scale = usize::from(scale.unsigned_abs());
    if digits.len() <= scale {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - digits.len()));
        out.push_str(&digits);
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(value: f64) -> String {
        let mut out = String::new();
        push_double(&mut out, value);
        out
    }

    #[test]
    fn doubles_print_as_javas() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (88.88, "88.88"),
            (-7.5, "-7.5"),
            (0.001, "0.001"),
            (0.0123, "0.0123"),
            (0.000999, "9.99E-4"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (123_456_789.125, "1.23456789125E8"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157E308"),
        ] {
            assert_eq!(double(value), text);
        }
    }

    #[test]
    fn decimals_print_plain() {
        for (unscaled, scale, text) in [
            (1, 0, "1"),
            (-98_765_432_109_876_543_210, 2, "-987654321098765432.10"),
            (5, 3, "0.005"),
            (-5, 1, "-0.5"),
            (0, 2, "0.00"),
            (12, -2, "1200"),
        ] {
            let mut out = String::new();
            push_decimal(&mut out, unscaled, scale);
            assert_eq!(out, text);
        }
    }

    proptest::proptest! {
        #[test]
        fn every_double_reads_back(bits: u64) {
            let value = f64::from_bits(bits);
            let back: f64 = double(value).parse().expect("a number");
            proptest::prop_assert!(back.to_bits() == bits || value.is_nan());
        }
    }
}
