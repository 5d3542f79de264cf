//! Dates and times: from their stored and printed forms to days and microseconds since the epoch.

use super::error::Fault;

/// A date and time of day as the server stores it, perhaps a date that no calendar has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Civil {
    pub(crate) year: u32,
    pub(crate) month: u32,
    pub(crate) day: u32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) micro: u32,
}

impl Civil {
    /// Days since the epoch; none for zero, partial and impossible dates.
    #[inline]
    pub(crate) fn days(&self) -> Option<i32> {
        if self.month == 0 || self.month > 12 || self.day == 0 || self.year > 9999 {
            return None;
        }
        if self.day > 28 && self.day > days_in_month(self.year, self.month) {
            return None;
        }
        // Counts from 1 March, so that the leap day is a year's last.
        let year = (if self.month <= 2 { self.year as i32 - 1 } else { self.year as i32 }) + 400;
        let month = (self.month + 9) % 12;
        let day_of_year = ((153 * month + 2) / 5 + self.day - 1) as i32;
        Some(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468 - 146_097)
    }

    /// Microseconds since the epoch; none when there is no such day.
    ///
    /// # Errors
    /// When the time of day is impossible, which no sql_mode allows.
    #[inline]
    pub(crate) fn micros(&self) -> Result<Option<i64>, Fault> {
        if self.hour > 23 || self.minute > 59 || self.second > 59 || self.micro > 999_999 {
            return Err(Fault::new("a date has an impossible time of day"));
        }
        let seconds = i64::from(self.hour * 3600 + self.minute * 60 + self.second);
        Ok(self
            .days()
            .map(|days| (i64::from(days) * 86_400 + seconds) * 1_000_000 + i64::from(self.micro)))
    }

    /// DATE of the log: day in 5 bits, month in 4, year in 15.
    #[inline]
    pub(crate) fn of_packed_date(packed: u32) -> Self {
        Civil { year: packed >> 9, month: packed >> 5 & 15, day: packed & 31, ..Civil::default() }
    }

    /// The five whole bytes of DATETIME2, big-endian.
    #[inline]
    pub(crate) fn of_packed(packed: u64, micro: u32) -> Result<Self, Fault> {
        // The sign bit is inverted; there are no negative dates.
        let value = packed
            .checked_sub(0x80_0000_0000)
            .ok_or_else(|| Fault::new("a DATETIME is negative"))?;
        let (date, time) = ((value >> 17) as u32, (value & 0x1_FFFF) as u32);
        let (year_month, day) = (date >> 5, date & 31);
        Ok(Civil {
            year: year_month / 13,
            month: year_month % 13,
            day,
            hour: time >> 12,
            minute: time >> 6 & 63,
            second: time & 63,
            micro,
        })
    }

    /// DATETIME before MySQL 5.6: the decimal number YYYYMMDDhhmmss.
    pub(crate) fn of_decimal(number: u64) -> Result<Self, Fault> {
        let date = u32::try_from(number / 1_000_000)
            .map_err(|_| Fault::new("a DATETIME is out of range"))?;
        let time = (number % 1_000_000) as u32;
        Ok(Civil {
            year: date / 10_000,
            month: date / 100 % 100,
            day: date % 100,
            hour: time / 10_000,
            minute: time / 100 % 100,
            second: time % 100,
            micro: 0,
        })
    }
}

/// The years of most dates, whose months' first days are looked up instead of worked out.
const YEAR_FIRST: u32 = 1900;
const YEARS: u32 = 256;

/// By year and month as DATETIME packs them (13 a year, of which the first is month 0): the days from 1900-01-01 to the
/// month's first, and in the low five bits how many the month has.
static MONTHS: [u32; (YEARS * 13) as usize] = {
    let mut months = [0; (YEARS * 13) as usize];
    let (mut at, mut days) = (0, 0);
    while at < YEARS * 13 {
        if at % 13 != 0 {
            let count = days_in_month(YEAR_FIRST + at / 13, at % 13);
            months[at as usize] = days << 5 | count;
            days += count;
        }
        at += 1;
    }
    months
};

/// Days from the epoch to 1900-01-01.
const FIRST_DAY: i64 = -25_567;

/// The sign of a difference, which is a flag of what a value must not be below.
const SIGN: u64 = 1 << 63;

/// What stands at one bit above `bits` of a number's low bits is changed when this is added and they are not below `below`.
const fn carry(bits: u32, below: u64) -> u64 {
    (1 << bits) - below
}

/// Bits of 0 to 3 bytes of fraction, two digits each, and what the fraction stays below.
#[inline(always)]
const fn fraction_bits(fraction: u8) -> (u32, u64) {
    match fraction {
        0 => (0, 1),
        1 => (8, 100),
        2 => (16, 10_000),
        _ => (24, 1_000_000),
    }
}

/// The flags of [`datetime_flagged`] that no value has: carries out of fraction, seconds, minutes and hours.
pub(super) const fn datetime_flags(fraction: u8) -> u64 {
    let (bits, _) = fraction_bits(fraction);
    SIGN | (1 << 17 | 1 << 12 | 1 << 6 | 1) << bits
}

/// A DATETIME as one big-endian number, with this many bytes of fraction, in microseconds, and flags: it is none when one
/// of [`datetime_flags`] is among them.
#[inline(always)]
pub(super) fn datetime_flagged(packed: u64, fraction: u8) -> (i64, u64) {
    const OF_TIME: u64 = carry(5, 24) << 12 | carry(6, 60) << 6 | carry(6, 60);
    let (bits, below) = fraction_bits(fraction);
    // The sign bit is inverted. Without it, or with bits beyond, the year is too large.
    let date = packed >> (17 + bits) ^ 1 << 22;
    let month = (date >> 5).wrapping_sub(u64::from(YEAR_FIRST * 13));
    let Some(&month) = usize::try_from(month).ok().and_then(|month| MONTHS.get(month)) else {
        return odd_datetime(packed, fraction);
    };
    let (month, day) = (i64::from(month), (date & 31) as i64);
    let time = packed & ((1 << (17 + bits)) - 1);
    // All four at once: no carry comes from below the first that is too large.
    let carries = time.wrapping_add(OF_TIME << bits | carry(bits, below)) ^ time;
    let no_day = (((month & 31) - day) | (day - 1)) as u64 & SIGN;
    // hours << 12 | minutes << 6 | seconds, less what is too much of them.
    let whole = (time >> bits) as i64;
    let seconds = whole - 4 * (whole >> 6) - 240 * (whole >> 12);
    let days = (month >> 5) + day + (FIRST_DAY - 1);
    let micro = (time & ((1 << bits) - 1)) * (1_000_000 / below);
    (days * 86_400_000_000 + seconds * 1_000_000 + micro as i64, carries | no_day)
}

/// One of another century than most, or none.
#[cold]
#[inline(never)]
fn odd_datetime(packed: u64, fraction: u8) -> (i64, u64) {
    let (whole, micro) = split_fraction(packed, fraction);
    let civil = u32::try_from(micro).ok().and_then(|micro| Civil::of_packed(whole, micro).ok());
    let micros =
        civil.filter(|civil| civil.micro < 1_000_000).and_then(|civil| civil.micros().ok());
    micros.flatten().map_or((0, SIGN), |micros| (micros, 0))
}

/// A DATETIME as one big-endian number, with this many bytes of fraction, in microseconds; none when it is no date or time.
#[inline(always)]
pub(super) fn plain_datetime(packed: u64, fraction: u8) -> Option<i64> {
    let (micros, flags) = datetime_flagged(packed, fraction);
    (flags & datetime_flags(fraction) == 0).then_some(micros)
}

/// The flags of [`date_flagged`] that no value has.
pub(super) const DATE_FLAGS: u64 = SIGN;

/// A DATE as three bytes have it, in days from the epoch, and flags as [`datetime_flagged`] has them.
#[inline(always)]
pub(super) fn date_flagged(packed: u32) -> (i32, u64) {
    let (year, month, day) = (packed >> 9, packed >> 5 & 15, packed & 31);
    let at = (year * 13 + month).wrapping_sub(YEAR_FIRST * 13);
    let Some(&found) = MONTHS.get(at as usize) else { return odd_date(packed) };
    let (found, day) = (i64::from(found), i64::from(day));
    let flags = ((found & 31) - day) | (day - 1) | (12 - i64::from(month));
    (((found >> 5) + day + (FIRST_DAY - 1)) as i32, flags as u64)
}

#[cold]
#[inline(never)]
fn odd_date(packed: u32) -> (i32, u64) {
    Civil::of_packed_date(packed).days().map_or((0, SIGN), |days| (days, 0))
}

/// The flags of [`timestamp_flagged`] that no value has.
pub(super) const fn timestamp_flags(fraction: u8) -> u64 {
    let (bits, _) = fraction_bits(fraction);
    if bits == 0 { SIGN } else { SIGN | 1 << bits }
}

/// A TIMESTAMP as one big-endian number, with this many bytes of fraction, in microseconds, and flags as
/// [`datetime_flagged`] has them. 0 is the zero date, which is none.
#[inline(always)]
pub(super) fn timestamp_flagged(packed: u64, fraction: u8) -> (i64, u64) {
    let (bits, below) = fraction_bits(fraction);
    let seconds = (packed >> bits) as i64;
    if bits == 0 {
        return (seconds * 1_000_000, (seconds - 1) as u64);
    }
    let stored = packed & ((1 << bits) - 1);
    let flags = stored.wrapping_add(carry(bits, below)) | (seconds - 1) as u64 & SIGN;
    (seconds * 1_000_000 + (stored * (1_000_000 / below)) as i64, flags)
}

/// A TIMESTAMP as one big-endian number, with this many bytes of fraction, in microseconds; none for 0, the zero date, and
/// for an impossible fraction.
#[inline(always)]
pub(super) fn plain_timestamp(packed: u64, fraction: u8) -> Option<i64> {
    let (micros, flags) = timestamp_flagged(packed, fraction);
    (flags & timestamp_flags(fraction) == 0).then_some(micros)
}

/// What is ahead of 0 to 3 bytes of fraction (two digits each), and the fraction in microseconds.
#[inline(always)]
fn split_fraction(packed: u64, fraction: u8) -> (u64, u64) {
    let factor = match fraction {
        0 => return (packed, 0),
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    let bits = 8 * u32::from(fraction.min(3));
    (packed >> bits, (packed & ((1 << bits) - 1)) * factor)
}

const fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Microseconds from a stored fraction of 0 to 3 bytes (two digits each), and the factor it needs.
#[inline]
pub(crate) fn fraction_micros(stored: u64, bytes: usize) -> Result<u32, Fault> {
    let factor = match bytes {
        0 => return Ok(0),
        1 => 10_000,
        2 => 100,
        _ => 1,
    };
    match u32::try_from(stored).ok().and_then(|stored| stored.checked_mul(factor)) {
        Some(micro) if micro <= 999_999 => Ok(micro),
        _ => Err(Fault::new("a fraction of a second is out of range")),
    }
}

/// Bytes of the fraction of a temporal with this many fractional digits.
pub(crate) fn fraction_bytes(digits: u8) -> u8 {
    digits.div_ceil(2)
}

/// TIME2 as one big-endian number of 3 + `bytes` bytes: an offset binary whose low part is the fraction.
pub(crate) fn micros_of_packed_time(packed: u64, bytes: usize) -> Result<i64, Fault> {
    let shift = 8 * bytes as u32;
    let offset = 0x80_0000i64 << shift;
    let signed = i64::try_from(packed).map_err(|_| Fault::cut_off())? - offset;
    let magnitude = signed.unsigned_abs();
    let time = (magnitude >> shift) as u32;
    let micro = fraction_micros(magnitude & ((1 << shift) - 1), bytes)?;
    micros_of_time(signed < 0, time >> 12, time >> 6 & 63, time & 63, micro)
}

/// TIME before MySQL 5.6: the signed decimal number hhmmss.
pub(crate) fn micros_of_decimal_time(number: i32) -> Result<i64, Fault> {
    let magnitude = number.unsigned_abs();
    micros_of_time(number < 0, magnitude / 10_000, magnitude / 100 % 100, magnitude % 100, 0)
}

/// Signed microseconds; hours may be beyond one day.
pub(crate) fn micros_of_time(
    negative: bool,
    hours: u32,
    minute: u32,
    second: u32,
    micro: u32,
) -> Result<i64, Fault> {
    if hours > 838 || minute > 59 || second > 59 || micro > 999_999 {
        return Err(Fault::new("a TIME is out of range"));
    }
    let seconds = i64::from(hours) * 3600 + i64::from(minute * 60 + second);
    let micros = seconds * 1_000_000 + i64::from(micro);
    Ok(if negative { -micros } else { micros })
}

/// Appends a TIME as the server prints it with this many fractional digits.
pub(crate) fn write_time(micros: i64, digits: u8, out: &mut Vec<u8>) {
    if micros < 0 {
        out.push(b'-');
    }
    let magnitude = micros.unsigned_abs();
    let seconds = magnitude / 1_000_000;
    write_number(seconds / 3600, 2, out);
    out.push(b':');
    write_number(seconds / 60 % 60, 2, out);
    out.push(b':');
    write_number(seconds % 60, 2, out);
    write_fraction((magnitude % 1_000_000) as u32, digits, out);
}

/// Appends the point and this many digits; nothing for none.
pub(crate) fn write_fraction(micro: u32, digits: u8, out: &mut Vec<u8>) {
    if digits > 0 {
        out.push(b'.');
        let digits = u32::from(digits.min(6));
        write_number(u64::from(micro) / 10u64.pow(6 - digits), digits as usize, out);
    }
}

/// Appends a number with at least this many digits.
pub(crate) fn write_number(number: u64, digits: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut at = text.len();
    let mut rest = number;
    while rest > 0 {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&text[at.min(text.len() - digits.min(text.len()))..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(year: u32, month: u32, day: u32) -> Civil {
        Civil { year, month, day, ..Civil::default() }
    }

    #[test]
    fn days_count_from_the_epoch() {
        assert_eq!(date(1970, 1, 1).days(), Some(0));
        assert_eq!(date(1969, 12, 31).days(), Some(-1));
        assert_eq!(date(2000, 2, 29).days(), Some(11_016));
        assert_eq!(date(9999, 12, 31).days(), Some(2_932_896));
        assert_eq!(date(0, 1, 1).days(), Some(-719_528));
        assert_eq!(date(1000, 1, 1).days(), Some(-354_285));
    }

    #[test]
    fn what_no_calendar_has_is_none() {
        for (year, month, day) in
            [(0, 0, 0), (2020, 0, 1), (2020, 1, 0), (2021, 2, 29), (1900, 2, 29), (2020, 4, 31)]
        {
            assert_eq!(date(year, month, day).days(), None);
        }
        assert!(Civil { hour: 24, ..date(2020, 1, 1) }.micros().is_err());
    }

    #[test]
    fn days_follow_one_another() {
        let mut expected = date(0, 1, 1).days().unwrap();
        for year in 0..=9999 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(date(year, month, day).days(), Some(expected));
                    expected += 1;
                }
            }
        }
    }

    #[test]
    fn plain_dates_are_those_of_the_calendar() {
        let packed = |year: u64, month: u64, day: u64, time: u64| {
            0x80_0000_0000 | ((year * 13 + month) << 5 | day) << 17 | time
        };
        let last = 23 << 12 | 59 << 6 | 59;
        for year in 1890..=2160 {
            for (month, day) in (0..13).flat_map(|month| (0..32).map(move |day| (month, day))) {
                let stored = packed(year, month, day, last) << 24 | 999_999;
                let civil = Civil::of_packed(stored >> 24, 999_999).unwrap();
                let expected = civil.micros().unwrap();
                assert_eq!(plain_datetime(stored, 3), expected, "{year}-{month}-{day}");
                assert_eq!(plain_datetime(stored ^ 1 << 63, 3), None);
                let date = (year << 9 | month << 5 | day) as u32;
                let (days, flags) = date_flagged(date);
                let days = (flags & DATE_FLAGS == 0).then_some(days);
                assert_eq!(days, Civil::of_packed_date(date).days(), "{year}-{month}-{day}");
            }
        }
        let plain = |time| plain_datetime(packed(2024, 2, 29, time), 0);
        assert_eq!(plain(0), Some(1_709_164_800_000_000));
        for time in [24 << 12, 31 << 12, 60 << 6, 60, 63] {
            assert_eq!(plain(time), None, "{time:#x}");
        }
        let fraction = |stored| plain_datetime(packed(2024, 2, 29, 0) << 8 | stored, 1);
        assert_eq!((fraction(99), fraction(100)), (Some(1_709_164_800_990_000), None));
        assert_eq!((plain_timestamp(0, 0), plain_timestamp(9, 2)), (None, None));
        assert_eq!(plain_timestamp(1 << 16 | 9_999, 2), Some(1_999_900));
        assert_eq!(plain_timestamp(1 << 16 | 10_000, 2), None);
    }

    #[test]
    fn packed_times_of_the_manual() {
        // TIME2: 0x800000 is zero; -00:00:00.01 in a TIME(2) is one below it.
        assert_eq!(micros_of_packed_time(0x80_0000, 0), Ok(0));
        assert_eq!(micros_of_packed_time(0x7FFF_FFFF, 1), Ok(-10_000));
        assert_eq!(micros_of_packed_time(0x8000_0001, 1), Ok(10_000));
        assert_eq!(
            micros_of_packed_time(0x80_0000 + (838 << 12 | 59 << 6 | 59), 0),
            Ok(3_020_399_000_000)
        );
        assert_eq!(micros_of_decimal_time(-8_385_959), Ok(-3_020_399_000_000));
    }

    #[test]
    fn times_are_printed_as_the_server_does() {
        let print = |micros, digits| {
            let mut out = Vec::new();
            write_time(micros, digits, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(print(3_020_399_000_000, 0), "838:59:59");
        assert_eq!(print(-3_723_500_000, 3), "-01:02:03.500");
        assert_eq!(print(0, 6), "00:00:00.000000");
    }

    #[test]
    fn each_part_of_a_time_is_held_against_its_limit() {
        let date = 0x80_0000_0000u64 | ((2024 * 13 + 2) << 5 | 29) << 17;
        for time in 0..1u64 << 17 {
            for (fraction, bytes) in [(0, 0), (98, 1), (9_999, 2), (10_000, 2), (1 << 24, 3)] {
                let fraction = if fraction == 1 << 24 { time % (1 << 24) } else { fraction };
                let packed = (date | time) << (8 * bytes) | fraction;
                let micro = fraction_micros(fraction, bytes);
                let civil = micro.and_then(|micro| Civil::of_packed(date | time, micro));
                let expected = civil.and_then(|civil| civil.micros()).ok().flatten();
                assert_eq!(plain_datetime(packed, bytes as u8), expected, "{time:#x} {fraction}");
            }
        }
    }

    proptest! {
        #[test]
        fn random_numbers_never_panic(packed: u64, number: i32, bytes in 0usize..=3) {
            let _ = Civil::of_packed(packed, 0).and_then(|civil| civil.micros());
            let _ = Civil::of_packed_date(packed as u32).days();
            let _ = Civil::of_decimal(packed).and_then(|civil| civil.micros());
            let _ = micros_of_packed_time(packed & ((1 << (24 + 8 * bytes)) - 1), bytes);
            let _ = micros_of_packed_time(packed, bytes);
            let _ = micros_of_decimal_time(number);
        }
    }
}
