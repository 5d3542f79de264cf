//! `CAST` and `TRY_CAST`.
//!
//! As Flink CDC has it: a text that is no number becomes NULL, a small integer keeps the low bits of a large one, a
//! decimal that its type cannot hold becomes NULL; a text that is no date or timestamp is an error.

use cdc_api::LogicalType as L;

use crate::{
    calendar as c, decimal, format as f,
    node::Env,
    text, types as t,
    value::{Moment, NANOS, Value},
};

/// Whether there is a cast at all.
pub(crate) fn possible(from: &L, to: &L) -> bool {
    if from == to || t::is_text(to) {
        return true;
    }
    let texts = t::is_text(from) || *from == L::Variant;
    match to {
        L::Boolean => t::is_number(from) || texts || *from == L::Boolean,
        L::TinyInt
        | L::SmallInt
        | L::Int
        | L::BigInt
        | L::Float
        | L::Double
        | L::Decimal { .. } => t::is_number(from) || texts || *from == L::Boolean,
        L::Date => texts || matches!(from, L::Date | L::Timestamp(_) | L::TimestampLtz(_)),
        L::Time(_) => texts || matches!(from, L::Time(_) | L::Timestamp(_) | L::TimestampLtz(_)),
        L::Timestamp(_) => texts || (t::is_time(from) && !matches!(from, L::Time(_))),
        L::TimestampLtz(_) => texts || (t::is_time(from) && !matches!(from, L::Time(_))),
        L::Bytes | L::Binary(_) | L::VarBinary(_) => t::is_text(from) || t::is_bytes(from),
        L::Array(to) => matches!(from, L::Array(from) if possible(from, to)),
        L::Map(k, v) => matches!(from, L::Map(l, w) if possible(l, k) && possible(w, v)),
        _ => false,
    }
}

/// One value in another type.
pub(crate) fn cast<'a>(env: &Env, value: &Value<'a>, to: &L) -> Result<Value<'a>, String> {
    use Value as V;
    if value.is_null() {
        return Ok(V::Null);
    }
    Ok(match to {
        L::Char(_) | L::VarChar(_) | L::String => match value {
            V::Text(_) => value.clone(),
            other => V::text(text::display(other)),
        },
        L::Boolean => match value {
            V::Bool(v) => V::Bool(*v),
            // Of the texts only the word counts; TRY_CAST knows more of them.
            V::Text(text) => V::Bool(text.trim().eq_ignore_ascii_case("true")),
            other => V::Bool(crate::compare::number(other).is_some_and(|v| v != 0.0)),
        },
        L::TinyInt => integer(value, i8::MIN.into(), i8::MAX.into())
            .map_or(V::Null, |v| V::Int((v as i8).into())),
        L::SmallInt => integer(value, i16::MIN.into(), i16::MAX.into())
            .map_or(V::Null, |v| V::Int((v as i16).into())),
        L::Int => integer(value, i32::MIN.into(), i32::MAX.into())
            .map_or(V::Null, |v| V::Int((v as i32).into())),
        L::BigInt => integer(value, i64::MIN, i64::MAX).map_or(V::Null, V::Int),
        L::Float => match value {
            V::Float(v) => V::Float(*v),
            V::Text(text) => {
                java_number(text).and_then(|text| text.parse().ok()).map_or(V::Null, V::Float)
            }
            V::Decimal(v, s) => decimal::format(*v, *s).parse().map_or(V::Null, V::Float),
            V::Bool(v) => V::Float(f32::from(u8::from(*v))),
            other => crate::compare::number(other).map_or(V::Null, |v| V::Float(v as f32)),
        },
        L::Double => match value {
            V::Text(text) => {
                java_number(text).and_then(|text| text.parse().ok()).map_or(V::Null, V::Double)
            }
            V::Bool(v) => V::Double(f64::from(u8::from(*v))),
            other => crate::compare::number(other).map_or(V::Null, V::Double),
        },
        L::Decimal { precision, scale } => {
            let read = match value {
                V::Int(v) => Some((i128::from(*v), 0)),
                V::Decimal(v, s) => Some((*v, *s)),
                V::Text(text) => decimal::parse(text),
                V::Float(v) => decimal::parse(&v.to_string()),
                V::Double(v) => decimal::parse(&v.to_string()),
                V::Bool(v) => Some((i128::from(*v), 0)),
                _ => None,
            };
            let limit = decimal::pow10(u32::from(*precision)).unwrap_or(i128::MAX);
            read.and_then(|(v, s)| decimal::rescale(v, s, *scale))
                .filter(|v| v.unsigned_abs() < limit.unsigned_abs())
                .map_or(V::Null, |v| V::Decimal(v, *scale))
        }
        L::Date => match value {
            V::Date(v) => V::Date(*v),
            V::Timestamp(at) => V::Date(days(*at)),
            V::Instant(at) => V::Date(days(c::local(*at, env.zone).ok_or_else(range)?)),
            V::Text(text) => V::Date(c::days(
                f::parse_date(text)
                    .or_else(|| f::parse_iso(text).map(|at| at.date()))
                    .ok_or_else(|| format!("the text '{text}' is not a date like 2024-12-31"))?,
            )),
            _ => V::Null,
        },
        L::Time(_) => match value {
            V::Time(v) => V::Time(*v),
            V::Timestamp(at) => V::Time(time_of(*at)),
            V::Instant(at) => V::Time(time_of(c::local(*at, env.zone).ok_or_else(range)?)),
            V::Text(text) => {
                let time = f::parse_time(text)
                    .ok_or_else(|| format!("the text '{text}' is not a time like 21:48:25"))?;
                let day = chrono::NaiveDate::default().and_time(time);
                V::Time(time_of(c::moment(day)))
            }
            _ => V::Null,
        },
        L::Timestamp(_) => match value {
            V::Timestamp(at) => V::Timestamp(*at),
            V::Date(days) => V::Timestamp(midnight(*days)),
            V::Instant(at) | V::Zoned(at, _) => {
                V::Timestamp(c::local(*at, env.zone).ok_or_else(range)?)
            }
            V::Text(text) => V::Timestamp(timestamp(text, env.zone)?),
            _ => V::Null,
        },
        L::TimestampLtz(_) => match value {
            V::Instant(at) | V::Zoned(at, _) => V::Instant(*at),
            V::Timestamp(at) => V::Instant(c::instant(*at, env.zone).ok_or_else(range)?),
            V::Date(days) => V::Instant(c::instant(midnight(*days), env.zone).ok_or_else(range)?),
            V::Text(text) => {
                V::Instant(c::instant(timestamp(text, env.zone)?, env.zone).ok_or_else(range)?)
            }
            _ => V::Null,
        },
        L::Bytes | L::Binary(_) | L::VarBinary(_) => match value {
            V::Text(text) => V::Bytes(text.clone().into_owned().into_bytes().into()),
            other => other.clone(),
        },
        L::Array(element) => match value {
            V::List(items) => V::List(
                items.iter().map(|item| cast(env, item, element)).collect::<Result<_, _>>()?,
            ),
            _ => V::Null,
        },
        L::Map(key, item) => match value {
            V::Map(entries) => V::Map(
                entries
                    .iter()
                    .map(|(k, v)| Ok::<_, String>((cast(env, k, key)?, cast(env, v, item)?)))
                    .collect::<Result<_, _>>()?,
            ),
            _ => V::Null,
        },
        _ => value.clone(),
    })
}

/// Towards zero. A decimal keeps its low bits; any other number beyond the type's range goes the way of a Java double:
/// saturated at 32 bits (64 for BIGINT), of which the smaller types then keep their low bits.
fn integer(value: &Value<'_>, low: i64, high: i64) -> Option<i64> {
    let saturated = |v: f64| if high == i64::MAX { v as i64 } else { i64::from(v as i32) };
    let exact = |v: i128| match i64::try_from(v) {
        Ok(v) if (low..=high).contains(&v) => v,
        _ => saturated(v as f64),
    };
    Some(match value {
        Value::Int(v) => exact((*v).into()),
        Value::Bool(v) => i64::from(*v),
        Value::Float(v) => saturated((*v).into()),
        Value::Double(v) => saturated(*v),
        Value::Decimal(v, s) => (v / decimal::pow10((*s).into())?) as i64,
        Value::Text(text) => {
            let (v, s) = decimal::parse(text)?;
            exact(v / decimal::pow10(s.into())?)
        }
        _ => return None,
    })
}

/// `TRY_CAST`: as `CAST`, but a text must be exactly what the type prints, and nothing fails.
pub(crate) fn try_cast<'a>(env: &Env, value: &Value<'a>, to: &L) -> Value<'a> {
    if let Value::Text(text) = value {
        let text = text.trim();
        match to {
            L::Boolean => {
                return match text.to_ascii_lowercase().as_str() {
                    "t" | "true" | "y" | "yes" | "1" => Value::Bool(true),
                    "f" | "false" | "n" | "no" | "0" => Value::Bool(false),
                    _ => Value::Null,
                };
            }
            L::TinyInt => return text.parse::<i8>().map_or(Value::Null, |v| Value::Int(v.into())),
            L::SmallInt => {
                return text.parse::<i16>().map_or(Value::Null, |v| Value::Int(v.into()));
            }
            L::Int => return text.parse::<i32>().map_or(Value::Null, |v| Value::Int(v.into())),
            L::BigInt => return text.parse::<i64>().map_or(Value::Null, Value::Int),
            _ => {}
        }
    }
    cast(env, value, to).unwrap_or(Value::Null)
}

/// Only plain numbers: Rust's parser also knows `inf` and `nan`.
fn java_number(text: &str) -> Option<&str> {
    let text = text.trim();
    decimal_like(text).then_some(text)
}

fn decimal_like(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'))
}

/// An ISO text; with a trailing `Z` it is an instant and shown in `zone`.
fn timestamp(text: &str, zone: chrono_tz::Tz) -> Result<Moment, String> {
    let wrong = || format!("the text '{text}' is not a timestamp like 2024-12-31T21:48:25");
    let (plain, utc) =
        text.trim().strip_suffix('Z').map_or((text.trim(), false), |plain| (plain, true));
    // With an offset the text's own clock counts.
    let clock = plain.split_once('[').map_or(plain, |(clock, _)| clock);
    let clock = match clock.len().checked_sub(6).and_then(|at| clock.split_at_checked(at)) {
        Some((clock, offset)) if clock.contains('T') && is_offset(offset) => clock,
        _ => plain,
    };
    let at = f::parse_iso(clock).map(c::moment).ok_or_else(wrong)?;
    if utc { c::local(at, zone).ok_or_else(range) } else { Ok(at) }
}

/// `+08:00`
fn is_offset(text: &str) -> bool {
    matches!(text.as_bytes(), [b'+' | b'-', h, g, b':', m, n]
        if [h, g, m, n].iter().all(|digit| digit.is_ascii_digit()))
}

pub(crate) fn midnight(days: i32) -> Moment {
    Moment { secs: i64::from(days) * c::DAY, nanos: 0 }
}

pub(crate) fn days(at: Moment) -> i32 {
    at.secs.div_euclid(c::DAY).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

fn time_of(at: Moment) -> i64 {
    at.secs.rem_euclid(c::DAY) * NANOS + i64::from(at.nanos)
}

fn range() -> String {
    "the timestamp is out of range".to_owned()
}
