//! The order of two values, and patterns of texts.

use std::cmp::Ordering;

use cdc_api::LogicalType as L;
use regex::{Regex, RegexBuilder};

use crate::{decimal, types as t, value::Value};

/// Whether values of both types have an order between them.
pub(crate) fn comparable(a: &L, b: &L) -> bool {
    let zoned = |ty: &L| matches!(ty, L::TimestampLtz(_) | L::TimestampTz(_));
    t::is_number(a) && t::is_number(b)
        || t::is_text(a) && t::is_text(b)
        || t::is_bytes(a) && t::is_bytes(b)
        || zoned(a) && zoned(b)
        || match (a, b) {
            (L::Boolean, L::Boolean) | (L::Date, L::Date) | (L::Variant, L::Variant) => true,
            (L::Time(_), L::Time(_)) => true,
            (L::Timestamp(_) | L::Date, L::Timestamp(_) | L::Date) => true,
            (L::Array(x), L::Array(y)) => comparable(x, y),
            (L::Map(k, v), L::Map(l, w)) => comparable(k, l) && comparable(v, w),
            (L::Row(x), L::Row(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|((_, x), (_, y))| comparable(x, y))
            }
            _ => false,
        }
}

/// Whether `=` may find two values of these types equal: Flink CDC compares the boxed values, so that an INT never
/// equals a BIGINT.
pub(crate) fn same_box(a: &L, b: &L) -> bool {
    if t::is_number(a) && t::is_number(b) {
        matches!((a, b), (L::Decimal { .. }, L::Decimal { .. })) || a == b
    } else {
        comparable(a, b)
    }
}

/// The order of two values; none when a side is NULL (or not a number).
pub(crate) fn order(a: &Value<'_>, b: &Value<'_>) -> Option<Ordering> {
    use Value as V;
    Some(match (a, b) {
        (V::Null, _) | (_, V::Null) => return None,
        (V::Bool(a), V::Bool(b)) => a.cmp(b),
        (V::Int(a), V::Int(b)) => a.cmp(b),
        (V::Decimal(a, s), V::Decimal(b, t)) => decimal::compare(*a, *s, *b, *t),
        (V::Int(a), V::Decimal(b, t)) => decimal::compare((*a).into(), 0, *b, *t),
        (V::Decimal(a, s), V::Int(b)) => decimal::compare(*a, *s, (*b).into(), 0),
        (V::Float(a), V::Float(b)) => return a.partial_cmp(b),
        (V::Text(a), V::Text(b)) => a.cmp(b),
        (V::Bytes(a), V::Bytes(b)) => a.cmp(b),
        (V::Date(a), V::Date(b)) => a.cmp(b),
        (V::Time(a), V::Time(b)) => a.cmp(b),
        (V::Timestamp(a), V::Timestamp(b)) | (V::Instant(a), V::Instant(b)) => a.cmp(b),
        (V::Zoned(a, _), V::Zoned(b, _))
        | (V::Zoned(a, _), V::Instant(b))
        | (V::Instant(a), V::Zoned(b, _)) => a.cmp(b),
        (V::Date(a), V::Timestamp(b)) => midnight(*a).cmp(b),
        (V::Timestamp(a), V::Date(b)) => a.cmp(&midnight(*b)),
        (V::List(a), V::List(b)) | (V::Row(a), V::Row(b)) => {
            for (a, b) in a.iter().zip(b) {
                match order(a, b) {
                    Some(Ordering::Equal) => {}
                    other => return other,
                }
            }
            a.len().cmp(&b.len())
        }
        (V::Map(a), V::Map(b)) => {
            let within =
                |(k, v): &(V<'_>, V<'_>)| b.iter().any(|(l, w)| equal(k, l) && equal(v, w));
            if a.len() == b.len() && a.iter().all(within) { Ordering::Equal } else { return None }
        }
        (a, b) => return number(a)?.partial_cmp(&number(b)?),
    })
}

fn midnight(days: i32) -> crate::value::Moment {
    crate::value::Moment { secs: i64::from(days) * crate::calendar::DAY, nanos: 0 }
}

/// Both there and the same.
pub(crate) fn equal(a: &Value<'_>, b: &Value<'_>) -> bool {
    order(a, b) == Some(Ordering::Equal)
}

/// A number of any kind as a double.
pub(crate) fn number(value: &Value<'_>) -> Option<f64> {
    Some(match value {
        Value::Int(v) => *v as f64,
        Value::Float(v) => f64::from(*v),
        Value::Double(v) => *v,
        Value::Decimal(v, s) => decimal::to_double(*v, *s),
        _ => return None,
    })
}

/// Compiles a regular expression, bounded in size.
pub(crate) fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(1 << 22).build().map_err(|error| {
        let reason = error.to_string();
        let reason =
            reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("'{pattern}' is not a regular expression that can be used here: {reason}")
    })
}

/// A SQL LIKE pattern as a regular expression over the whole text.
pub(crate) fn like(pattern: &str, escape: Option<char>) -> Result<Regex, String> {
    let mut out = String::from("(?s)^(?:");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
                None => {
                    return Err(format!("the pattern '{pattern}' ends with its escape character"));
                }
            },
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push_str(")$");
    regex(&out)
}

/// A SQL SIMILAR TO pattern as a regular expression over the whole text.
pub(crate) fn similar(pattern: &str, escape: Option<char>) -> Result<Regex, String> {
    let mut out = String::from("(?s)^(?:");
    let mut class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(next) => out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4]))),
                None => {
                    return Err(format!("the pattern '{pattern}' ends with its escape character"));
                }
            },
            '[' | ']' => {
                class = c == '[';
                out.push(c);
            }
            c if class => out.push(c),
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '|' | '*' | '+' | '?' | '(' | ')' | '{' | '}' => out.push(c),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push_str(")$");
    regex(&out)
}
