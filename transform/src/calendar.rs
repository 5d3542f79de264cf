//! Moments as calendar fields and back, in zones.

use chrono::{
    DateTime, Datelike, LocalResult, Months, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone,
    Timelike,
};
use chrono_tz::Tz;

use crate::value::{Moment, NANOS};

pub(crate) const DAY: i64 = 86_400;

/// The calendar fields of a timestamp without a zone.
pub(crate) fn naive(moment: Moment) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(moment.secs, moment.nanos).map(|at| at.naive_utc())
}

/// The timestamp of calendar fields.
pub(crate) fn moment(at: NaiveDateTime) -> Moment {
    let utc = at.and_utc();
    Moment { secs: utc.timestamp(), nanos: utc.timestamp_subsec_nanos().min(999_999_999) }
}

/// What a clock in `zone` shows at an instant, as a timestamp without a zone.
pub(crate) fn local(instant: Moment, zone: Tz) -> Option<Moment> {
    let at = naive(instant)?;
    Some(Moment {
        secs: instant.secs + i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc()),
        ..instant
    })
}

/// The instant at which a clock in `zone` shows this. In the hour that a zone repeats the first passing counts; a time
/// that a zone leaves out is read with the offset before the gap, as Java does.
pub(crate) fn instant(local: Moment, zone: Tz) -> Option<Moment> {
    let at = naive(local)?;
    let offset = match zone.offset_from_local_datetime(&at) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset.fix(),
        LocalResult::None => match zone.offset_from_local_datetime(&(at - TimeDelta::days(1))) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset.fix(),
            LocalResult::None => return None,
        },
    };
    Some(Moment { secs: local.secs - i64::from(offset.local_minus_utc()), ..local })
}

/// Days since the epoch of a calendar day.
pub(crate) fn days(date: NaiveDate) -> i32 {
    date.signed_duration_since(NaiveDate::default()).num_days() as i32
}

/// The calendar day.
pub(crate) fn date(days: i32) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::days(days.into()))
}

/// A moment some months later; the day shrinks to the month's last.
pub(crate) fn add_months(at: Moment, months: i64) -> Option<Moment> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let at = naive(at)?;
    (if months < 0 { at.checked_sub_months(count) } else { at.checked_add_months(count) })
        .map(moment)
}

/// A moment some nanoseconds later.
pub(crate) fn add_nanos(at: Moment, nanos: i128) -> Option<Moment> {
    let all = i128::from(at.secs) * i128::from(NANOS) + i128::from(at.nanos) + nanos;
    let secs = i64::try_from(all.div_euclid(i128::from(NANOS))).ok()?;
    Some(Moment { secs, nanos: all.rem_euclid(i128::from(NANOS)) as u32 })
}

/// One calendar field by its SQL name; none when the name is no field.
pub(crate) fn field(at: NaiveDateTime, unit: &str) -> Option<i64> {
    let year = i64::from(at.year());
    Some(match unit {
        "YEAR" => year,
        "QUARTER" => i64::from(at.month0() / 3 + 1),
        "MONTH" => at.month().into(),
        "WEEK" => at.iso_week().week().into(),
        "ISOYEAR" => at.iso_week().year().into(),
        "DAY" | "DAYOFMONTH" => at.day().into(),
        "DOY" | "DAYOFYEAR" => at.ordinal().into(),
        "DOW" | "DAYOFWEEK" => at.weekday().number_from_sunday().into(),
        "ISODOW" => at.weekday().number_from_monday().into(),
        "HOUR" => at.hour().into(),
        "MINUTE" => at.minute().into(),
        "SECOND" => at.second().into(),
        "MILLISECOND" => i64::from(at.second()) * 1_000 + i64::from(at.nanosecond() / 1_000_000),
        "MICROSECOND" => i64::from(at.second()) * 1_000_000 + i64::from(at.nanosecond() / 1_000),
        "NANOSECOND" => i64::from(at.second()) * NANOS + i64::from(at.nanosecond()),
        "EPOCH" => at.and_utc().timestamp(),
        "DECADE" => year.div_euclid(10),
        "CENTURY" => (year + 99).div_euclid(100),
        "MILLENNIUM" => (year + 999).div_euclid(1000),
        _ => return None,
    })
}

/// How a unit of time counts: months, or nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Months(i64),
    Nanos(i64),
}

pub(crate) const UNITS: &str =
    "YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND";

/// A unit by its name, `SQL_TSI_` or not.
pub(crate) fn unit(name: &str) -> Option<Unit> {
    let name = name.trim().to_ascii_uppercase();
    let name = name.strip_prefix("SQL_TSI_").unwrap_or(&name);
    Some(match name.strip_suffix('S').unwrap_or(name) {
        "YEAR" => Unit::Months(12),
        "QUARTER" => Unit::Months(3),
        "MONTH" => Unit::Months(1),
        "WEEK" => Unit::Nanos(7 * DAY * NANOS),
        "DAY" => Unit::Nanos(DAY * NANOS),
        "HOUR" => Unit::Nanos(3600 * NANOS),
        "MINUTE" => Unit::Nanos(60 * NANOS),
        "SECOND" => Unit::Nanos(NANOS),
        "MILLISECOND" => Unit::Nanos(1_000_000),
        "MICROSECOND" => Unit::Nanos(1_000),
        _ => return None,
    })
}

/// Whole units from `a` to `b`, cut towards zero.
pub(crate) fn difference(unit: Unit, a: Moment, b: Moment) -> Option<i64> {
    match unit {
        Unit::Nanos(by) => {
            let nanos = (i128::from(b.secs) - i128::from(a.secs)) * i128::from(NANOS)
                + i128::from(b.nanos)
                - i128::from(a.nanos);
            i64::try_from(nanos / i128::from(by)).ok()
        }
        Unit::Months(by) => {
            let (x, y) = (naive(a)?, naive(b)?);
            let month = |at: NaiveDateTime| i64::from(at.year()) * 12 + i64::from(at.month0());
            let mut months = month(y) - month(x);
            let rest = |at: NaiveDateTime| (at.day(), at.time());
            if months > 0 && rest(y) < rest(x) {
                months -= 1;
            } else if months < 0 && rest(y) > rest(x) {
                months += 1;
            }
            Some(months / by)
        }
    }
}
