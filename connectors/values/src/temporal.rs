//! Dates and times as Java's `LocalDate`, `LocalTime`, `LocalDateTime` and offsets print: seconds are left out when they
//! and their fraction are zero, a fraction has 3, 6 or 9 digits, whichever is the shortest that loses nothing.

use std::fmt::Write;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// `2000-12-31`.
pub(crate) fn push_date(out: &mut String, days: i64) {
    let (year, month, day) = civil(days);
    // Writing to a String cannot fail.
    let _ = match year {
        0..=9999 => write!(out, "{year:04}"),
        10_000.. => write!(out, "+{year}"),
        _ => write!(out, "-{:04}", year.unsigned_abs()),
    };
    let _ = write!(out, "-{month:02}-{day:02}");
}

/// `19:43`, `19:43:17`, `19:43:17.125`.
pub(crate) fn push_time(out: &mut String, nanos_of_day: i64) {
    let nanos = nanos_of_day.rem_euclid(NANOS_PER_SECOND as i64);
    let seconds = nanos_of_day.div_euclid(NANOS_PER_SECOND as i64);
    let _ = write!(out, "{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 == 0 && nanos == 0 {
        return;
    }
    let _ = write!(out, ":{:02}", seconds % 60);
    if nanos == 0 {
        return;
    }
    let _ = if nanos % 1_000_000 == 0 {
        write!(out, ".{:03}", nanos / 1_000_000)
    } else if nanos % 1_000 == 0 {
        write!(out, ".{:06}", nanos / 1_000)
    } else {
        write!(out, ".{nanos:09}")
    };
}

/// `1970-01-02T10:17:36.789123456` for `count` units since the epoch.
pub(crate) fn push_timestamp(out: &mut String, count: i64, nanos_per_unit: i64) {
    push_instant(out, i128::from(count) * i128::from(nanos_per_unit));
}

/// The same with the offset it was written in: `…+08:00`, `…Z`.
pub(crate) fn push_with_offset(out: &mut String, nanos_utc: i64, offset_minutes: i16) {
    let offset = i128::from(offset_minutes) * 60 * NANOS_PER_SECOND;
    push_instant(out, i128::from(nanos_utc) + offset);
    if offset_minutes == 0 {
        return out.push('Z');
    }
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let minutes = offset_minutes.unsigned_abs();
    let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
}

fn push_instant(out: &mut String, nanos: i128) {
    let nanos_per_day = i128::from(SECONDS_PER_DAY) * NANOS_PER_SECOND;
    // Both fit: the count of 64-bit units spans fewer than 2⁶³ days, and the rest is less than a day.
    push_date(out, nanos.div_euclid(nanos_per_day) as i64);
    out.push('T');
    push_time(out, nanos.rem_euclid(nanos_per_day) as i64);
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are taken to begin in
/// March, so that the leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097;
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(DAYS_PER_ERA);
    let day_of_era = from_march_0000.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(micros: i64) -> String {
        let mut out = String::new();
        push_timestamp(&mut out, micros, 1_000);
        out
    }

    #[test]
    fn timestamps_print_as_javas() {
        assert_eq!(timestamp(0), "1970-01-01T00:00");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999");
        assert_eq!(timestamp(1_736_107_199_000_000), "2025-01-05T19:59:59");
        assert_eq!(timestamp(1_709_208_000_500_000), "2024-02-29T12:00:00.500");
        assert_eq!(timestamp(253_402_300_799_999_999), "9999-12-31T23:59:59.999999");
        assert_eq!(timestamp(253_402_300_800_000_000), "+10000-01-01T00:00");
        assert_eq!(timestamp(-62_135_596_800_000_000), "0001-01-01T00:00");
    }

    #[test]
    fn times_and_offsets_print_as_javas() {
        let mut out = String::new();
        push_time(&mut out, 19 * 3_600_000_000_000);
        out.push(' ');
        push_time(&mut out, 71_000_000_001);
        out.push(' ');
        push_with_offset(&mut out, 123_456_789_123_456, 8 * 60);
        out.push(' ');
        push_with_offset(&mut out, 0, -90);
        assert_eq!(
            out,
            "19:00 00:01:11.000000001 1970-01-02T18:17:36.789123456+08:00 1969-12-31T22:30-01:30"
        );
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut before = civil(-800_000);
        for day in -799_999..800_000 {
            let now = civil(day);
            let (year, month) = (before.0, before.1);
            let next_month = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            assert!(now == (year, month, before.2 + 1) || now == next_month, "{before:?} {now:?}");
            assert!(now.2 <= 31 && (now.1 != 2 || now.2 <= 29));
            before = now;
        }
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
    }
}
