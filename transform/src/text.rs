//! Values as texts, as `CAST(.. AS STRING)` and `||` show them.

use crate::{decimal, format, value::Value};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Any value as a text; NULL as the word `null`.
pub(crate) fn display(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(v) => v.to_string(),
        Value::Int(v) => v.to_string(),
        Value::Float(v) => java_float(&format!("{v:e}"), f64::from(*v)),
        Value::Double(v) => java_float(&format!("{v:e}"), *v),
        Value::Decimal(v, scale) => decimal::format(*v, *scale),
        Value::Text(v) => v.clone().into_owned(),
        Value::Bytes(v) => to_base64(v),
        Value::Date(v) => crate::calendar::date(*v)
            .map_or_else(|| "out of range".to_owned(), |date| date.to_string()),
        Value::Time(v) => format::iso_time(*v),
        Value::Timestamp(at) | Value::Instant(at) => format::iso(*at),
        Value::Zoned(at, minutes) => {
            let local = crate::value::Moment { secs: at.secs + i64::from(*minutes) * 60, ..*at };
            let offset = if *minutes == 0 {
                "Z".to_owned()
            } else {
                let sign = if *minutes < 0 { '-' } else { '+' };
                format!(
                    "{sign}{:02}:{:02}",
                    minutes.unsigned_abs() / 60,
                    minutes.unsigned_abs() % 60
                )
            };
            format!("{}{offset}", format::iso(local))
        }
        Value::List(items) => list("[", items.iter().map(display), "]"),
        Value::Map(entries) => {
            list("{", entries.iter().map(|(k, v)| format!("{} -> {}", display(k), display(v))), "}")
        }
        Value::Row(fields) => list("(", fields.iter().map(display), ")"),
    }
}

fn list(open: &str, items: impl Iterator<Item = String>, close: &str) -> String {
    format!("{open}{}{close}", items.collect::<Vec<_>>().join(", "))
}

/// Java's notation of a floating number from its shortest digits (`1.5e3`): plain between 10^-3 and 10^7.
fn java_float(shortest: &str, value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if value == 0.0 {
        return format!("{sign}0.0");
    }
    if !(-3..7).contains(&exponent) {
        let (head, tail) = digits.split_at(1);
        let tail = if tail.is_empty() { "0" } else { tail };
        return format!("{sign}{head}.{tail}E{exponent}");
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let point = exponent as usize + 1;
    let digits = format!("{digits:0<point$}");
    let (whole, fraction) = digits.split_at(point);
    format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
}

/// Base64 with padding.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let six = (word >> (18 - 6 * i) & 63) as usize;
            out.push(if i <= chunk.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    out
}

/// Reads Base64; none when it is none.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let bytes = text.trim().as_bytes();
    let bytes = bytes.strip_suffix(b"==").or_else(|| bytes.strip_suffix(b"=")).unwrap_or(bytes);
    if bytes.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3 + 2);
    for chunk in bytes.chunks(4) {
        let mut word = 0u32;
        for (i, b) in chunk.iter().enumerate() {
            word |= (ALPHABET.iter().position(|known| known == b)? as u32) << (18 - 6 * i);
        }
        out.extend_from_slice(&word.to_be_bytes()[1..chunk.len()]);
    }
    Some(out)
}
