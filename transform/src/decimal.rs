//! Exact decimals: digits and a scale, rounded half away from zero.

/// 10 to the power `n`, when it fits.
pub(crate) fn pow10(n: u32) -> Option<i128> {
    10i128.checked_pow(n)
}

/// The same number with another scale, rounded half up; none when it does not fit.
pub(crate) fn rescale(value: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        value.checked_mul(pow10(u32::from(to - from))?)
    } else {
        match pow10(u32::from(from - to)) {
            Some(by) => Some(div_round(value, by)),
            None => Some(0),
        }
    }
}

/// `a / b` rounded half away from zero; `b` is not 0.
pub(crate) fn div_round(a: i128, b: i128) -> i128 {
    let (quotient, rest) = (a / b, a % b);
    if rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs() {
        quotient + if (a < 0) == (b < 0) { 1 } else { -1 }
    } else {
        quotient
    }
}

/// Rounded down (floor) or up (ceiling) to a whole number.
pub(crate) fn whole(value: i128, scale: u8, up: bool) -> i128 {
    let Some(by) = pow10(u32::from(scale)) else { return 0 };
    let down = value.div_euclid(by);
    if up && value.rem_euclid(by) != 0 { down + 1 } else { down }
}

/// Reads plain or scientific notation.
pub(crate) fn parse(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut value = 0i128;
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    if scale < 0 {
        value = value.checked_mul(pow10(scale.unsigned_abs())?)?;
        scale = 0;
    }
    while scale > 38 {
        value = div_round(value, 10);
        scale -= 1;
        if value == 0 {
            scale = 0;
        }
    }
    Some((if negative { -value } else { value }, scale as u8))
}

/// The plain text.
pub(crate) fn format(value: i128, scale: u8) -> String {
    let digits = value.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// The nearest double.
pub(crate) fn to_double(value: i128, scale: u8) -> f64 {
    // Through the text: correctly rounded at every scale.
    format(value, scale).parse().unwrap_or(f64::NAN)
}

/// The order of two decimals of any scales.
pub(crate) fn compare(a: i128, s: u8, b: i128, t: u8) -> std::cmp::Ordering {
    let scale = s.max(t);
    match (rescale(a, s, scale), rescale(b, t, scale)) {
        (Some(a), Some(b)) => a.cmp(&b),
        // At most one side overflows the common scale, and then it is the one further from zero.
        (None, _) => 0i128.cmp(&-a.signum()),
        (_, None) => 0i128.cmp(&b.signum()),
    }
}
