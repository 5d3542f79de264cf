//! Temporal key cells in both forms. Values are packed integers that sort as the server does, so zero and partial dates,
//! which no calendar has, keep their place.

/// A date and time of day; `time` is below 24 h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Civil {
    pub(super) year: u64,
    pub(super) month: u64,
    pub(super) day: u64,
    pub(super) hour: u64,
    pub(super) minute: u64,
    pub(super) second: u64,
    pub(super) micros: u64,
}

impl Civil {
    /// The struct of the binary protocol: 0, 4, 7 or 11 bytes.
    pub(super) fn of_result(cell: &[u8]) -> Option<Civil> {
        let &[year_low, year_high, month, day, ref time @ ..] = cell else {
            return cell.is_empty().then(Civil::default);
        };
        let year = u64::from(u16::from_le_bytes([year_low, year_high]));
        let mut civil = Civil { year, month: month.into(), day: day.into(), ..Civil::default() };
        if let &[hour, minute, second, ref micros @ ..] = time {
            civil.hour = hour.into();
            civil.minute = minute.into();
            civil.second = second.into();
            civil.micros = micros_of_result(micros)?;
        } else if !time.is_empty() {
            return None;
        }
        let is_valid = year <= 9999
            && month <= 12
            && day <= 31
            && civil.hour <= 23
            && is_time_of_hour(civil.minute, civil.second, civil.micros);
        is_valid.then_some(civil)
    }

    /// Year, month, day, hour, minute, second and microseconds in one sortable integer.
    pub(super) fn pack(&self) -> u64 {
        let date = (self.year * 13 + self.month) << 5 | self.day;
        let time = self.hour << 12 | self.minute << 6 | self.second;
        (date << 17 | time) << 24 | self.micros
    }

    pub(super) fn unpack(packed: u64) -> Civil {
        let (time, date) = (packed >> 24 & 0x1_ffff, packed >> 41);
        let year_month = date >> 5;
        Civil {
            year: year_month / 13,
            month: year_month % 13,
            day: date & 31,
            hour: time >> 12,
            minute: time >> 6 & 63,
            second: time & 63,
            micros: packed & 0xff_ffff,
        }
    }

    /// A DATE as the log packs it.
    pub(super) fn of_date(packed: u64) -> Civil {
        Civil { year: packed >> 9, month: packed >> 5 & 15, day: packed & 31, ..Civil::default() }
    }

    /// Seconds since 1970; none for what no calendar has.
    pub(super) fn epoch_seconds(&self) -> Option<i64> {
        if !(1..=12).contains(&self.month) || self.day == 0 {
            return None;
        }
        let year = i64::try_from(self.year).ok()? - i64::from(self.month <= 2);
        let month = i64::try_from((self.month + 9) % 12).ok()?;
        let day = i64::try_from(self.day).ok()? - 1;
        // Years begin in March here, so that the leap day is the last of its year.
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + (153 * month + 2) / 5
            + day
            - 719_468;
        let time = i64::try_from(self.hour * 3600 + self.minute * 60 + self.second).ok()?;
        Some(days * 86_400 + time)
    }

    pub(super) fn of_epoch(seconds: i64, micros: u64) -> Civil {
        let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400).unsigned_abs());
        let days = days + 719_468;
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Civil {
            year: u64::try_from(year).unwrap_or(0),
            month: month.unsigned_abs(),
            day: day.unsigned_abs(),
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            micros,
        }
    }

    pub(super) fn date_text(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    pub(super) fn text(&self) -> String {
        let date = self.date_text();
        let Civil { hour, minute, second, micros, .. } = self;
        format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}")
    }
}

/// Big-endian, of up to eight bytes.
pub(super) fn big_endian(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// The bytes behind a packed value of `whole` bytes: its fraction in microseconds, and how many a unit in its last place is.
fn fraction(cell: &[u8], whole: usize, digits: u8) -> Option<(u64, u64)> {
    let bytes = cell.get(whole..)?;
    let width = usize::from(digits.div_ceil(2));
    let unit = [1_000_000, 10_000, 100, 1].get(width).copied()?;
    if bytes.len() != width { None } else { Some((big_endian(bytes)?, unit)) }
}

/// DATETIME2 of the log, as [`Civil::pack`] packs.
pub(super) fn datetime_of_log(cell: &[u8], digits: u8) -> Option<u64> {
    let (value, unit) = fraction(cell, 5, digits)?;
    let micros = value * unit;
    // The sign bit is inverted; there are no negative dates.
    let whole = big_endian(cell.get(..5)?)?.checked_sub(1 << 39)?;
    (micros <= 999_999).then_some(whole << 24 | micros)
}

/// TIMESTAMP2 of the log: seconds above, microseconds in the lower 24 bits.
pub(super) fn timestamp_of_log(cell: &[u8], digits: u8) -> Option<u64> {
    let (value, unit) = fraction(cell, 4, digits)?;
    let micros = value * unit;
    (micros <= 999_999).then_some(big_endian(cell.get(..4)?)? << 24 | micros)
}

/// A TIMESTAMP of a session in UTC, as [`timestamp_of_log`] packs. The zero timestamp is second 0.
pub(super) fn timestamp_of_civil(civil: &Civil) -> Option<u64> {
    if *civil == Civil::default() {
        return Some(0);
    }
    let seconds = u32::try_from(civil.epoch_seconds()?).ok()?;
    Some(u64::from(seconds) << 24 | civil.micros)
}

/// TIME2 of the log, in microseconds.
pub(super) fn time_of_log(cell: &[u8], digits: u8) -> Option<i64> {
    let (value, unit) = fraction(cell, 3, digits)?;
    let width = u32::from(digits.div_ceil(2)) * 8;
    // One big-endian number, its sign bit inverted: below zero the fraction borrows from the whole.
    let whole = i64::try_from(big_endian(cell.get(..3)?)?).ok()? - 0x80_0000;
    let packed = (whole << width) + i64::try_from(value).ok()?;
    let magnitude = packed.unsigned_abs();
    let (whole, value) = (magnitude >> width, magnitude & ((1 << width) - 1));
    let seconds = (whole >> 12) * 3600 + (whole >> 6 & 63) * 60 + (whole & 63);
    let micros = i64::try_from(seconds * 1_000_000 + value * unit).ok()?;
    Some(if packed < 0 { -micros } else { micros })
}

/// The struct of the binary protocol: 0, 8 or 12 bytes; in microseconds.
pub(super) fn time_of_result(cell: &[u8]) -> Option<i64> {
    let &[sign, d0, d1, d2, d3, hour, minute, second, ref micros @ ..] = cell else {
        return cell.is_empty().then_some(0);
    };
    let micros = micros_of_result(micros)?;
    let hours = u64::from(u32::from_le_bytes([d0, d1, d2, d3])) * 24 + u64::from(hour);
    let (minute, second) = (u64::from(minute), u64::from(second));
    if sign > 1 || hours > 838 || !is_time_of_hour(minute, second, micros) {
        return None;
    }
    let value = (hours * 3600 + minute * 60 + second) * 1_000_000 + micros;
    let value = i64::try_from(value).ok()?;
    Some(if sign == 1 { -value } else { value })
}

/// The fraction of a second at the end of the binary protocol's structs; it may be missing.
fn micros_of_result(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return Some(0);
    }
    Some(u64::from(u32::from_le_bytes(bytes.try_into().ok()?)))
}

fn is_time_of_hour(minute: u64, second: u64, micros: u64) -> bool {
    minute <= 59 && second <= 59 && micros <= 999_999
}

/// Prints a TIME.
pub(super) fn time_text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let magnitude = micros.unsigned_abs();
    let (seconds, micros) = (magnitude / 1_000_000, magnitude % 1_000_000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{sign}{hours:02}:{minutes:02}:{:02}.{micros:06}", seconds % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_of_the_log_are_read() {
        // -00:00:00.50 in TIME(2), -838:59:59 in TIME(0), 10:11:12.345678 in TIME(6), as a server stored them.
        assert_eq!(time_of_log(&[0x7f, 0xff, 0xff, 0xce], 2), Some(-500_000));
        assert_eq!(time_text(time_of_log(&[0x4b, 0x91, 0x05], 0).unwrap()), "-838:59:59.000000");
        let packed = [0x80, 0xa2, 0xcc, 0x05, 0x46, 0x4e];
        assert_eq!(time_text(time_of_log(&packed, 6).unwrap()), "10:11:12.345678");
        assert_eq!(time_of_log(&[0x80, 0, 0], 2), None);
    }

    #[test]
    fn zero_and_partial_dates_have_a_place() {
        let zero = Civil::of_result(&[]).unwrap();
        let partial = Civil::of_result(&[0xe4, 0x07, 2, 0]).unwrap();
        let whole = Civil::of_result(&[0xe4, 0x07, 2, 1]).unwrap();
        assert!(zero.pack() < partial.pack() && partial.pack() < whole.pack());
        assert_eq!(partial.text(), "2020-02-00 00:00:00.000000");
        assert_eq!(Civil::of_result(&[0xe4, 0x07, 13, 1, 0, 0, 0]), None);
        assert_eq!(Civil::of_result(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn civil_and_epoch_agree(seconds in -62_135_596_800i64..253_402_300_800, micros in 0u64..1_000_000) {
            let civil = Civil::of_epoch(seconds, micros);
            prop_assert_eq!(civil.epoch_seconds(), Some(seconds));
            prop_assert_eq!(Civil::unpack(civil.pack()), civil);
        }

        #[test]
        fn packed_datetimes_sort(a in 0i64..4_000_000_000, b in 0i64..4_000_000_000) {
            prop_assert_eq!(Civil::of_epoch(a, 0).pack().cmp(&Civil::of_epoch(b, 0).pack()), a.cmp(&b));
        }
    }
}
