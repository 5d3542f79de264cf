//! Dates and times as text: `2000-12-31`, `19:43:17.125`, and both joined by a blank or a `T`. Fractions are as long as
//! they need be, as Flink prints them.

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

fn push_two(out: &mut Vec<u8>, value: u32) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// `2000-12-31` for a day counted from 1970-01-01.
pub(crate) fn push_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    if (0..=9999).contains(&year) {
        push_two(out, year as u32 / 100);
        push_two(out, year as u32 % 100);
    } else {
        // ISO 8601 wants a sign where a year has more or fewer than four digits.
        out.push(if year < 0 { b'-' } else { b'+' });
        let digits = format!("{:04}", year.unsigned_abs());
        out.extend_from_slice(digits.as_bytes());
    }
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
}

/// `19:43:17` and as much of a fraction as is not zero.
pub(crate) fn push_time(out: &mut Vec<u8>, nanos_of_day: i64) {
    let nanos = nanos_of_day.rem_euclid(NANOS_PER_SECOND) as u32;
    let seconds = nanos_of_day.div_euclid(NANOS_PER_SECOND).rem_euclid(SECONDS_PER_DAY) as u32;
    push_two(out, seconds / 3600);
    out.push(b':');
    push_two(out, seconds / 60 % 60);
    out.push(b':');
    push_two(out, seconds % 60);
    push_fraction(out, nanos);
}

fn push_fraction(out: &mut Vec<u8>, nanos: u32) {
    if nanos == 0 {
        return;
    }
    out.push(b'.');
    let mut rest = nanos;
    let mut unit = 100_000_000;
    while rest > 0 {
        out.push(b'0' + (rest / unit) as u8);
        rest %= unit;
        unit /= 10;
    }
}

/// Date and time of `count` units since the epoch, with `between` between them.
pub(crate) fn push_timestamp(out: &mut Vec<u8>, count: i64, units_per_second: i64, between: u8) {
    let (seconds, part) = (count.div_euclid(units_per_second), count.rem_euclid(units_per_second));
    push_date(out, seconds.div_euclid(SECONDS_PER_DAY));
    out.push(between);
    let nanos = part * (NANOS_PER_SECOND / units_per_second);
    push_time(out, seconds.rem_euclid(SECONDS_PER_DAY) * NANOS_PER_SECOND + nanos);
}

/// `+08:00`, or `Z`.
pub(crate) fn push_offset(out: &mut Vec<u8>, offset_minutes: i16) {
    if offset_minutes == 0 {
        return out.push(b'Z');
    }
    out.push(if offset_minutes < 0 { b'-' } else { b'+' });
    let minutes = u32::from(offset_minutes.unsigned_abs());
    push_two(out, minutes / 60);
    out.push(b':');
    push_two(out, minutes % 60);
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are taken to begin in
/// March, so that the leap day is a year's last.
fn civil(days: i64) -> (i64, u32, u32) {
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
    (year_of_era + era * 400 + i64::from(month <= 2), month as u32, day as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timestamp(micros: i64) -> String {
        let mut out = Vec::new();
        push_timestamp(&mut out, micros, 1_000_000, b' ');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn timestamps_print_with_the_fraction_they_need() {
        assert_eq!(timestamp(0), "1970-01-01 00:00:00");
        assert_eq!(timestamp(-1), "1969-12-31 23:59:59.999999");
        assert_eq!(timestamp(1_709_208_000_500_000), "2024-02-29 12:00:00.5");
        assert_eq!(timestamp(253_402_300_799_000_100), "9999-12-31 23:59:59.0001");
        assert_eq!(timestamp(253_402_300_800_000_000), "+10000-01-01 00:00:00");
        assert_eq!(timestamp(-62_135_596_800_000_000), "0001-01-01 00:00:00");
        // The ends of what 64 bits can hold are printed too, whatever they mean.
        timestamp(i64::MAX);
        timestamp(i64::MIN);
    }

    #[test]
    fn times_and_offsets() {
        let mut out = Vec::new();
        push_time(&mut out, 19 * 3_600_000_000_000);
        out.push(b' ');
        push_time(&mut out, 71_000_000_001);
        out.push(b' ');
        push_offset(&mut out, -90);
        assert_eq!(out, b"19:00:00 00:01:11.000000001 -01:30");
    }
}
