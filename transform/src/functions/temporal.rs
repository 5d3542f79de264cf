//! Dates and times.
//!
//! `TIMESTAMP_LTZ` shows the pipeline's zone in `EXTRACT`, `DATE_FORMAT` and `CAST`; `TO_DATE` of it and its text are
//! in UTC, as the cases of Flink CDC have it.

use cdc_api::LogicalType as L;
use chrono::{NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use crate::{
    calendar::{self as c, Unit},
    cast::{days, midnight},
    columns::{self, Columns},
    format::{self, Pattern},
    node::{Bad, Built, Cx, Env, Function, Kernel, Node, Param, strict},
    types as t,
    value::{Moment, NANOS, Value},
};

use Param::{Any, Integer, Temporal, Text};

const fn function(
    name: &'static str,
    params: &'static [Param],
    required: usize,
    build: fn(&[Node], Cx) -> Result<Built, Bad>,
) -> Function {
    Function { name, params, required, variadic: false, build }
}

pub(super) const FUNCTIONS: &[Function] = &[
    function("LOCALTIME", &[], 0, |_, _| now(L::Time(0))),
    function("CURRENT_TIME", &[], 0, |_, _| now(L::Time(0))),
    function("LOCALTIMESTAMP", &[], 0, |_, _| now(L::Timestamp(3))),
    function("CURRENT_TIMESTAMP", &[], 0, |_, _| now(L::TimestampLtz(3))),
    function("NOW", &[], 0, |_, _| now(L::TimestampLtz(3))),
    function("CURRENT_DATE", &[], 0, |_, _| now(L::Date)),
    function("EXTRACT", &[Text, Temporal], 2, extract),
    function("YEAR", &[Temporal], 1, |args, _| part(args, "YEAR")),
    function("QUARTER", &[Temporal], 1, |args, _| part(args, "QUARTER")),
    function("MONTH", &[Temporal], 1, |args, _| part(args, "MONTH")),
    function("WEEK", &[Temporal], 1, |args, _| part(args, "WEEK")),
    function("DAYOFYEAR", &[Temporal], 1, |args, _| part(args, "DOY")),
    function("DAYOFMONTH", &[Temporal], 1, |args, _| part(args, "DAY")),
    function("DAYOFWEEK", &[Temporal], 1, |args, _| part(args, "DOW")),
    function("HOUR", &[Temporal], 1, |args, _| part(args, "HOUR")),
    function("MINUTE", &[Temporal], 1, |args, _| part(args, "MINUTE")),
    function("SECOND", &[Temporal], 1, |args, _| part(args, "SECOND")),
    function("DATE_FORMAT", &[Any, Text], 2, date_format),
    function("DATE_FORMAT_TZ", &[Temporal, Text, Text], 2, date_format_tz),
    function("TIMESTAMPADD", &[Text, Integer, Temporal], 3, timestamp_add),
    function("TIMESTAMPDIFF", &[Text, Temporal, Temporal], 3, timestamp_diff),
    function("TIMESTAMP_DIFF", &[Text, Temporal, Temporal], 3, timestamp_diff),
    function("TO_DATE", &[Any, Text], 1, to_date),
    function("TO_TIMESTAMP", &[Text, Text], 1, to_timestamp),
    function("TO_TIMESTAMP_LTZ", &[Any, Any, Text], 1, to_timestamp_ltz),
    function("FROM_UNIXTIME", &[Integer, Text], 1, from_unixtime),
    function("UNIX_TIMESTAMP", &[Text, Text], 0, unix_timestamp),
    function("DATE_ADD", &[Any, Integer], 2, date_add),
];

const SECONDS: &str = "yyyy-MM-dd HH:mm:ss";
const MILLIS: &str = "yyyy-MM-dd HH:mm:ss.SSS";

fn range() -> String {
    "the timestamp is out of range".to_owned()
}

fn text_of<'v>(args: &'v [Value<'_>], at: usize) -> Option<&'v str> {
    if let Some(Value::Text(text)) = args.get(at) { Some(text) } else { None }
}

/// A time value as what a clock shows; an instant in `zone`.
fn shown(value: &Value<'_>, zone: Tz) -> Option<Moment> {
    match value {
        Value::Date(days) => Some(midnight(*days)),
        Value::Time(nanos) => Some(Moment::of(*nanos, NANOS)),
        Value::Timestamp(at) => Some(*at),
        Value::Instant(at) => c::local(*at, zone),
        Value::Zoned(at, minutes) => {
            c::add_nanos(*at, i128::from(*minutes) * 60 * i128::from(NANOS))
        }
        _ => None,
    }
}

fn now(ty: L) -> Result<Built, Bad> {
    let wanted = ty.clone();
    let kernel = Kernel::new(move |env: &Env, _| {
        let millis = Moment { nanos: env.now.nanos / 1_000_000 * 1_000_000, ..env.now };
        let local = c::local(millis, env.zone).ok_or_else(range)?;
        Ok(match wanted {
            L::Date => Value::Date(days(local)),
            L::Time(_) => Value::Time(local.secs.rem_euclid(c::DAY) * NANOS),
            L::Timestamp(_) => Value::Timestamp(local),
            _ => Value::Instant(millis),
        })
    });
    Ok(Built { ty, strict: false, volatile: false, kernel, columns: None })
}

fn extract(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let unit = args[0].as_text().unwrap_or("").to_ascii_uppercase();
    if c::field(NaiveDateTime::default(), &unit).is_none() {
        return Err(Bad::arg(0, format!("{unit} is no part of a date or time")).hint(
            "YEAR, QUARTER, MONTH, WEEK, DAY, DOY, DOW, HOUR, MINUTE, SECOND, MILLISECOND, EPOCH",
        ));
    }
    strict(L::BigInt, move |env, args| field(&args[1], &unit, env.zone))
}

fn part(_: &[Node], unit: &'static str) -> Result<Built, Bad> {
    strict(L::BigInt, move |env, args| field(&args[0], unit, env.zone))
}

fn field<'a>(value: &Value<'_>, unit: &str, zone: Tz) -> Result<Value<'a>, String> {
    let at = shown(value, zone).and_then(c::naive).ok_or_else(range)?;
    Ok(c::field(at, unit).map_or(Value::Null, Value::Int))
}

/// The pattern at an argument, read now when it is constant.
fn fixed_pattern(args: &[Node], at: usize, default: &str) -> Result<Option<Pattern>, Bad> {
    let text = match args.get(at) {
        None => Some(default),
        Some(node) => node.as_text(),
    };
    text.map(|text| Pattern::new(text).map_err(|message| Bad::arg(at, message))).transpose()
}

fn with_pattern<T>(
    fixed: Option<&Pattern>,
    args: &[Value<'_>],
    at: usize,
    f: impl FnOnce(&Pattern) -> T,
) -> Result<T, String> {
    match fixed {
        Some(pattern) => Ok(f(pattern)),
        None => Ok(f(&Pattern::new(text_of(args, at).unwrap_or(""))?)),
    }
}

fn zone_of(name: &str) -> Result<Tz, String> {
    let name = name.trim();
    match name {
        "Z" | "GMT" => Ok(Tz::UTC),
        _ => name
            .parse()
            .map_err(|_| format!("'{name}' is not a time zone; use a name like Asia/Shanghai")),
    }
}

fn offset_at(zone: Tz, instant: Moment) -> i32 {
    c::naive(instant).map_or(0, |at| zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
}

/// The shown fields of a value as a text.
fn formatted(pattern: &Pattern, value: &Value<'_>, zone: Tz) -> Result<String, String> {
    let mut out = String::with_capacity(32);
    write_formatted(&mut out, pattern, value, zone)?;
    Ok(out)
}

fn write_formatted(
    out: &mut String,
    pattern: &Pattern,
    value: &Value<'_>,
    zone: Tz,
) -> Result<(), String> {
    let at = shown(value, zone).and_then(c::naive).ok_or_else(range)?;
    let offset = match value {
        _ if !pattern.shows_zone() => 0,
        Value::Instant(at) => offset_at(zone, *at),
        Value::Zoned(_, minutes) => i32::from(*minutes) * 60,
        _ => offset_at(zone, c::instant(c::moment(at), zone).ok_or_else(range)?),
    };
    pattern.write(out, at, (zone.name(), offset));
    Ok(())
}

fn date_format(args: &[Node], _: Cx) -> Result<Built, Bad> {
    if !args[0].is_null() && !t::is_time(&args[0].ty) && !t::is_text(&args[0].ty) {
        return Err(Bad::arg(0, format!("DATE_FORMAT takes a date or time, not {}", args[0].ty)));
    }
    let fixed = fixed_pattern(args, 1, SECONDS)?;
    let columns = match &fixed {
        Some(pattern) if t::is_time(&args[0].ty) => Some(formats(&args[0].ty, pattern)),
        _ => None,
    };
    let built = strict(L::String, move |env, args| {
        let parsed;
        let value = match &args[0] {
            Value::Text(text) => {
                let at = format::parse_iso(text);
                let at = at.ok_or_else(|| {
                    format!("the text '{text}' is not a timestamp like 2024-12-31 21:48:25")
                })?;
                parsed = Value::Timestamp(c::moment(at));
                &parsed
            }
            other => other,
        };
        with_pattern(fixed.as_ref(), args, 1, |pattern| formatted(pattern, value, env.zone))?
            .map(Value::text)
    })?;
    Ok(Built { columns, ..built })
}

/// `DATE_FORMAT` over whole columns.
fn formats(ty: &L, pattern: &Pattern) -> Columns {
    let (ty, pattern) = (ty.clone(), pattern.clone());
    Columns::partial(move |env, cols, _| {
        let mut text = String::new();
        columns::shown(cols.first()?, &ty, |out, value| {
            text.clear();
            write_formatted(&mut text, &pattern, value, env.zone).ok()?;
            out.extend_from_slice(text.as_bytes());
            Some(())
        })
    })
}

fn date_format_tz(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let zone_at = args.len() - 1;
    let zone = match args[zone_at].as_text() {
        Some(name) => Some(zone_of(name).map_err(|message| Bad::arg(zone_at, message))?),
        None => None,
    };
    let fixed = if args.len() == 3 {
        fixed_pattern(args, 1, SECONDS)?
    } else {
        fixed_pattern(&[], 0, SECONDS)?
    };
    strict(L::String, move |_, args| {
        let zone = match zone {
            Some(zone) => zone,
            None => zone_of(text_of(args, zone_at).unwrap_or(""))?,
        };
        with_pattern(fixed.as_ref(), args, 1, |pattern| formatted(pattern, &args[0], zone))?
            .map(Value::text)
    })
}

fn unit_of(args: &[Node]) -> Result<Unit, Bad> {
    let name = args[0].as_text().unwrap_or("");
    c::unit(name).ok_or_else(|| {
        Bad::arg(0, format!("'{name}' is no unit of time")).hint(format!("units: {}", c::UNITS))
    })
}

/// The type of a time plus an interval: as wide as Flink CDC's SQL layer counts.
pub(crate) fn sum_type(ty: &L, days_only: bool) -> L {
    match ty {
        L::Date if days_only => L::Date,
        L::Date => L::Timestamp(3),
        L::Timestamp(p) => L::Timestamp((*p).min(3)),
        L::TimestampLtz(p) => L::TimestampLtz((*p).min(3)),
        L::TimestampTz(p) => L::TimestampTz((*p).min(3)),
        other => other.clone(),
    }
}

/// A time some months and nanoseconds later, in whole milliseconds.
pub(crate) fn later<'a>(
    env: &Env,
    value: &Value<'_>,
    months: i64,
    nanos: i128,
    ty: &L,
) -> Result<Value<'a>, String> {
    let cut = |at: Moment| Moment { nanos: at.nanos / 1_000_000 * 1_000_000, ..at };
    let step = |at: Moment| {
        let at = if months == 0 { Some(at) } else { c::add_months(at, months) };
        at.and_then(|at| c::add_nanos(at, nanos)).map(cut)
    };
    let moved = match value {
        Value::Date(days) => step(midnight(*days)).map(Value::Timestamp),
        Value::Timestamp(at) => step(*at).map(Value::Timestamp),
        // Months are counted on the zone's calendar, hours on the time line.
        Value::Instant(at) if months != 0 => c::local(*at, env.zone)
            .and_then(step)
            .and_then(|at| c::instant(at, env.zone))
            .map(Value::Instant),
        Value::Instant(at) => step(*at).map(Value::Instant),
        Value::Zoned(at, offset) => step(*at).map(|at| Value::Zoned(at, *offset)),
        Value::Time(time) => step(Moment::of(*time, NANOS))
            .map(|at| Value::Time(at.secs.rem_euclid(c::DAY) * NANOS + i64::from(at.nanos))),
        _ => Some(Value::Null),
    };
    match (moved, ty) {
        (Some(Value::Timestamp(at)), L::Date) => Ok(Value::Date(days(at))),
        (Some(value), _) => Ok(value),
        (None, _) => Err(range()),
    }
}

fn timestamp_add(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let unit = unit_of(args)?;
    let days_only =
        matches!(unit, Unit::Months(_)) || matches!(unit, Unit::Nanos(n) if n >= c::DAY * NANOS);
    let ty = sum_type(&args[2].ty, days_only);
    let result = ty.clone();
    strict(ty, move |env, args| {
        let Value::Int(count) = args[1] else { return Ok(Value::Null) };
        match unit {
            Unit::Months(by) => {
                later(env, &args[2], count.checked_mul(by).ok_or_else(range)?, 0, &result)
            }
            Unit::Nanos(by) => later(env, &args[2], 0, i128::from(count) * i128::from(by), &result),
        }
    })
}

fn timestamp_diff(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let unit = unit_of(args)?;
    strict(L::Int, move |env, args| {
        let (Some(a), Some(b)) = (shown(&args[1], env.zone), shown(&args[2], env.zone)) else {
            return Ok(Value::Null);
        };
        let difference = c::difference(unit, a, b).and_then(|n| i32::try_from(n).ok());
        difference
            .map(|n| Value::Int(n.into()))
            .ok_or_else(|| "the difference does not fit an INT".to_owned())
    })
}

fn to_date(args: &[Node], _: Cx) -> Result<Built, Bad> {
    if !args[0].is_null()
        && !t::is_text(&args[0].ty)
        && !matches!(args[0].ty, L::Date | L::Timestamp(_) | L::TimestampLtz(_))
    {
        return Err(Bad::arg(
            0,
            format!("TO_DATE takes a STRING or a timestamp, not {}", args[0].ty),
        ));
    }
    let fixed = fixed_pattern(args, 1, "yyyy-MM-dd")?;
    strict(L::Date, move |_, args| match &args[0] {
        Value::Text(text) => with_pattern(fixed.as_ref(), args, 1, |pattern| {
            pattern.parse(text, true).map_or(Value::Null, |(at, _)| Value::Date(c::days(at.date())))
        }),
        Value::Date(days) => Ok(Value::Date(*days)),
        Value::Timestamp(at) | Value::Instant(at) => Ok(Value::Date(days(*at))),
        _ => Ok(Value::Null),
    })
}

/// Reads a text by a pattern, in the zone that the text names or else in `zone`.
fn parsed(pattern: &Pattern, text: &str, zone: Option<Tz>) -> Result<Moment, String> {
    let (at, offset) = pattern
        .parse(text, false)
        .ok_or_else(|| format!("the text '{text}' does not match the date pattern"))?;
    let at = c::moment(at);
    match (zone, offset) {
        (Some(_), Some(offset)) => Ok(Moment { secs: at.secs - i64::from(offset), ..at }),
        (Some(zone), None) => c::instant(at, zone).ok_or_else(range),
        (None, _) => Ok(at),
    }
}

fn to_timestamp(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let fixed = fixed_pattern(args, 1, SECONDS)?;
    strict(L::Timestamp(3), move |_, args| {
        let Some(text) = text_of(args, 0) else { return Ok(Value::Null) };
        with_pattern(fixed.as_ref(), args, 1, |pattern| parsed(pattern, text, None))?
            .map(Value::Timestamp)
    })
}

fn to_timestamp_ltz(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let ty = L::TimestampLtz(3);
    if t::is_number(&args[0].ty) && !args[0].is_null() {
        if let Some(precision) = args.get(1) {
            match precision.as_int() {
                Some(0 | 3) => {}
                _ => {
                    return Err(Bad::arg(
                        1,
                        "the precision of TO_TIMESTAMP_LTZ is 0 (seconds) or 3 (milliseconds)",
                    ));
                }
            }
        }
        return strict(ty, |_, args| {
            let per_second = if matches!(args.get(1), Some(Value::Int(0))) { 1 } else { 1000 };
            let Some(number) = crate::compare::number(&args[0]) else { return Ok(Value::Null) };
            let number = if let Value::Int(number) = args[0] { number } else { number as i64 };
            Ok(Value::Instant(Moment::of(number, per_second)))
        });
    }
    if !t::is_text(&args[0].ty) {
        return Err(Bad::arg(
            0,
            format!("TO_TIMESTAMP_LTZ takes a number or a STRING, not {}", args[0].ty),
        ));
    }
    if let Some(pattern) = args.get(1).filter(|pattern| !Param::Text.takes(pattern)) {
        return Err(Bad::arg(1, format!("the pattern is a STRING, not {}", pattern.ty)));
    }
    let fixed = fixed_pattern(args, 1, MILLIS)?;
    let zone = match args.get(2).and_then(Node::as_text) {
        Some(name) => Some(zone_of(name).map_err(|message| Bad::arg(2, message))?),
        None => None,
    };
    strict(ty, move |_, args| {
        let Some(text) = text_of(args, 0) else { return Ok(Value::Null) };
        let zone = match (zone, text_of(args, 2)) {
            (Some(zone), _) => zone,
            (None, Some(name)) => zone_of(name)?,
            (None, None) => Tz::UTC,
        };
        with_pattern(fixed.as_ref(), args, 1, |pattern| parsed(pattern, text, Some(zone)))?
            .map(Value::Instant)
    })
}

fn from_unixtime(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let fixed = fixed_pattern(args, 1, SECONDS)?;
    strict(L::String, move |env, args| {
        let Value::Int(secs) = args[0] else { return Ok(Value::Null) };
        let at = Value::Instant(Moment { secs, nanos: 0 });
        with_pattern(fixed.as_ref(), args, 1, |pattern| formatted(pattern, &at, env.zone))?
            .map(Value::text)
    })
}

fn unix_timestamp(args: &[Node], _: Cx) -> Result<Built, Bad> {
    if args.is_empty() {
        let kernel = Kernel::new(|env: &Env, _| Ok(Value::Int(env.now.secs)));
        return Ok(Built { ty: L::BigInt, strict: false, volatile: false, kernel, columns: None });
    }
    let fixed = fixed_pattern(args, 1, SECONDS)?;
    strict(L::BigInt, move |env, args| {
        let Some(text) = text_of(args, 0) else { return Ok(Value::Null) };
        let at = with_pattern(fixed.as_ref(), args, 1, |pattern| {
            parsed(pattern, text, Some(env.zone))
        })??;
        Ok(Value::Int(at.secs))
    })
}

/// The day some days later, as a text `2024-12-31`.
fn date_add(args: &[Node], _: Cx) -> Result<Built, Bad> {
    if !args[0].is_null()
        && !t::is_text(&args[0].ty)
        && !matches!(args[0].ty, L::Date | L::Timestamp(_) | L::TimestampLtz(_))
    {
        return Err(Bad::arg(0, format!("DATE_ADD takes a date, not {}", args[0].ty)));
    }
    strict(L::String, |env, args| {
        let Value::Int(count) = args[1] else { return Ok(Value::Null) };
        let Value::Date(start) = crate::cast::cast(env, &args[0], &L::Date)? else {
            return Ok(Value::Null);
        };
        let sum = i64::from(start)
            .checked_add(count)
            .and_then(|sum| i32::try_from(sum).ok())
            .and_then(c::date);
        sum.map(|date| Value::text(date.to_string()))
            .ok_or_else(|| "the date is out of range".to_owned())
    })
}
