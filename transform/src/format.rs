//! Date patterns in the letters of Java's formatters: `yyyy-MM-dd HH:mm:ss.SSS`.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike, Weekday};

use crate::value::Moment;

/// A pattern, taken apart once.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(char, usize),
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const KNOWN: &str = "GyuMLdDEeaHkKhmsSnwWQzZXxV";

impl Pattern {
    /// Reads a pattern; names the letter it does not know.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let literal = |parts: &mut Vec<Part>, c: char| match parts.last_mut() {
            Some(Part::Literal(text)) => text.push(c),
            _ => parts.push(Part::Literal(c.to_string())),
        };
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                if chars.peek() == Some(&'\'') {
                    chars.next();
                    literal(&mut parts, '\'');
                    continue;
                }
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            literal(&mut parts, '\'');
                        }
                        Some('\'') => break,
                        Some(c) => literal(&mut parts, c),
                        None => {
                            return Err(format!(
                                "the quote in the date pattern '{text}' is never closed"
                            ));
                        }
                    }
                }
            } else if c.is_ascii_alphabetic() {
                if !KNOWN.contains(c) {
                    return Err(format!(
                        "the letter {c} has no meaning in the date pattern '{text}'"
                    ));
                }
                let mut count = 1;
                while chars.peek() == Some(&c) {
                    chars.next();
                    count += 1;
                }
                parts.push(Part::Field(c, count));
            } else {
                literal(&mut parts, c);
            }
        }
        Ok(Pattern { parts })
    }

    /// Whether it shows the zone.
    pub(crate) fn shows_zone(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field('z' | 'V' | 'X' | 'x' | 'Z', _)))
    }

    /// Writes calendar fields; `zone` is a name and an offset in seconds for the zone letters.
    pub(crate) fn write(&self, out: &mut String, at: NaiveDateTime, zone: (&str, i32)) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Field(letter, count) => field(out, at, zone, *letter, *count),
            }
        }
    }

    /// Reads a text; `whole` refuses anything behind what the pattern covers.
    pub(crate) fn parse(&self, text: &str, whole: bool) -> Option<(NaiveDateTime, Option<i32>)> {
        let mut read = Read { text, at: 0, year: 1970, month: 1, day: 1, ..Read::default() };
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => read.literal(literal)?,
                Part::Field(letter, count) => {
                    // Digits that touch the next field must not run into it.
                    let adjacent = matches!(self.parts.get(index + 1), Some(Part::Field(..)));
                    read.field(*letter, *count, adjacent)?;
                }
            }
        }
        if whole && read.at != text.len() {
            return None;
        }
        read.finish()
    }
}

fn field(
    out: &mut String,
    at: NaiveDateTime,
    (zone, offset): (&str, i32),
    letter: char,
    count: usize,
) {
    use std::fmt::Write;
    let mut number = |n: i64, width: usize| match (n, width) {
        // The usual two digits without the machinery of `write!`.
        (0..=99, 2) => {
            out.push(char::from(b'0' + (n / 10) as u8));
            out.push(char::from(b'0' + (n % 10) as u8));
        }
        (1000..=9999, 4) => {
            for by in [1000, 100, 10, 1] {
                out.push(char::from(b'0' + (n / by % 10) as u8));
            }
        }
        _ => {
            let _ = write!(out, "{n:0width$}");
        }
    };
    match letter {
        'y' | 'u' if count == 2 => number(i64::from(at.year().rem_euclid(100)), 2),
        'y' | 'u' => number(at.year().into(), count),
        'M' | 'L' if count >= 4 => out.push_str(MONTHS[at.month0() as usize]),
        'M' | 'L' if count == 3 => out.push_str(&MONTHS[at.month0() as usize][..3]),
        'M' | 'L' => number(at.month().into(), count),
        'd' => number(at.day().into(), count),
        'D' => number(at.ordinal().into(), count),
        'E' | 'e' => {
            let name = DAYS[at.weekday().num_days_from_monday() as usize];
            out.push_str(if count >= 4 { name } else { &name[..3] });
        }
        'a' => out.push_str(if at.hour() < 12 { "AM" } else { "PM" }),
        'H' => number(at.hour().into(), count),
        'k' => number(if at.hour() == 0 { 24 } else { at.hour().into() }, count),
        'K' => number((at.hour() % 12).into(), count),
        'h' => number(at.hour12().1.into(), count),
        'm' => number(at.minute().into(), count),
        's' => number(at.second().into(), count),
        'S' => {
            let mut by = 100_000_000;
            for _ in 0..count.min(9) {
                out.push(char::from(b'0' + (at.nanosecond() / by % 10) as u8));
                by /= 10;
            }
            out.extend(std::iter::repeat_n('0', count.saturating_sub(9)));
        }
        'n' => number(at.nanosecond().into(), count),
        'w' => number(at.iso_week().week().into(), count),
        'W' => {
            let first = at.date().with_day(1).map_or(Weekday::Mon, |first| first.weekday());
            number(i64::from((at.day0() + first.num_days_from_sunday()) / 7 + 1), count);
        }
        'Q' => number(i64::from(at.month0() / 3 + 1), count),
        'G' => out.push_str(if at.year() > 0 { "AD" } else { "BC" }),
        'z' | 'V' => out.push_str(zone),
        'X' if offset == 0 => out.push('Z'),
        _ => {
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
            let colon = if letter != 'Z' && count >= 3 { ":" } else { "" };
            let _ = write!(out, "{sign}{hours:02}");
            if letter == 'Z' || count >= 2 {
                let _ = write!(out, "{colon}{minutes:02}");
            }
        }
    }
}

#[derive(Default)]
struct Read<'t> {
    text: &'t str,
    at: usize,
    year: i32,
    month: u32,
    day: u32,
    ordinal: Option<u32>,
    hour: u32,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanos: u32,
    offset: Option<i32>,
}

impl Read<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }
    fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest().starts_with(literal).then_some(())?;
        self.at += literal.len();
        Some(())
    }
    fn digits(&mut self, count: usize, adjacent: bool) -> Option<&str> {
        let limit = if adjacent { count } else { 19 };
        let length = self.rest().bytes().take(limit).take_while(u8::is_ascii_digit).count();
        let start = self.at;
        self.at += length;
        self.text.get(start..self.at).filter(|digits| !digits.is_empty())
    }
    fn number(&mut self, count: usize, adjacent: bool) -> Option<u32> {
        self.digits(count, adjacent)?.parse().ok()
    }
    fn word(&mut self, words: &[&str]) -> Option<u32> {
        let rest = self.rest();
        let starts =
            |word: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
        let found = words.iter().enumerate().find_map(|(index, word)| {
            [*word, &word[..3.min(word.len())]]
                .into_iter()
                .find(|word| starts(word))
                .map(|word| (index, word.len()))
        });
        let (index, length) = found?;
        self.at += length;
        Some(index as u32)
    }
    fn field(&mut self, letter: char, count: usize, adjacent: bool) -> Option<()> {
        match letter {
            'y' | 'u' => {
                let digits = self.digits(count, adjacent)?;
                let (length, year): (usize, i32) = (digits.len(), digits.parse().ok()?);
                self.year = if count == 2 && length == 2 {
                    if year < 70 { 2000 + year } else { 1900 + year }
                } else {
                    year
                };
            }
            'M' | 'L' if count >= 3 => self.month = self.word(&MONTHS)? + 1,
            'M' | 'L' => self.month = self.number(count, adjacent)?,
            'd' => self.day = self.number(count, adjacent)?,
            'D' => self.ordinal = Some(self.number(count, adjacent)?),
            'E' | 'e' => {
                self.word(&DAYS)?;
            }
            'a' => self.afternoon = Some(self.word(&["AM", "PM"])? == 1),
            'H' | 'K' => self.hour = self.number(count, adjacent)?,
            'k' => self.hour = self.number(count, adjacent)? % 24,
            'h' => self.hour = self.number(count, adjacent)? % 12,
            'm' => self.minute = self.number(count, adjacent)?,
            's' => self.second = self.number(count, adjacent)?,
            'S' => {
                let digits = self.digits(count, adjacent)?;
                let digits = digits.get(..9).unwrap_or(digits);
                self.nanos = format!("{digits:0<9}").parse().ok()?;
            }
            'Z' | 'X' | 'x' => self.offset = Some(self.zone()?),
            _ => return None,
        }
        Some(())
    }
    fn zone(&mut self) -> Option<i32> {
        let sign = match self.rest().chars().next()? {
            'Z' => {
                self.at += 1;
                return Some(0);
            }
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        self.at += 1;
        let hours = self.number(2, true)? as i32;
        if self.rest().starts_with(':') {
            self.at += 1;
        }
        let minutes = self.number(2, true).unwrap_or(0) as i32;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
    fn finish(self) -> Option<(NaiveDateTime, Option<i32>)> {
        let hour = match self.afternoon {
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
            None => self.hour,
        };
        let date = match self.ordinal {
            Some(ordinal) => NaiveDate::from_yo_opt(self.year, ordinal)?,
            None => NaiveDate::from_ymd_opt(self.year, self.month, self.day)?,
        };
        Some((date.and_hms_nano_opt(hour, self.minute, self.second, self.nanos)?, self.offset))
    }
}

/// ISO text as Java prints a `LocalDateTime`: seconds and fraction only when there are any, the fraction in threes.
pub(crate) fn iso(at: Moment) -> String {
    let Some(time) = crate::calendar::naive(at) else { return "out of range".to_owned() };
    format!("{}T{}", time.date(), clock(time.second(), at.nanos, time.hour(), time.minute()))
}

fn clock(second: u32, nanos: u32, hour: u32, minute: u32) -> String {
    let mut text = format!("{hour:02}:{minute:02}");
    if second > 0 || nanos > 0 {
        text.push_str(&format!(":{second:02}"));
    }
    if nanos > 0 {
        let digits = format!("{nanos:09}");
        let cut = if nanos.is_multiple_of(1_000_000) {
            3
        } else if nanos.is_multiple_of(1_000) {
            6
        } else {
            9
        };
        text.push_str(&format!(".{}", &digits[..cut]));
    }
    text
}

/// A time of day from nanoseconds since midnight.
pub(crate) fn iso_time(nanos: i64) -> String {
    let (seconds, nanos) =
        (nanos.div_euclid(crate::value::NANOS), nanos.rem_euclid(crate::value::NANOS));
    let part = |by: i64, modulo: i64| (seconds / by % modulo) as u32;
    clock(part(1, 60), nanos as u32, part(3600, 24), part(60, 60))
}

/// Reads ISO date and time: `2019-12-31T21:48:25.5`, a blank for the T and a date alone are fine.
pub(crate) fn parse_iso(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    let (date, time) = match text.find(['T', ' ']) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, "00:00"),
    };
    Some(parse_date(date)?.and_time(parse_time(time)?))
}

/// Reads `2019-12-31`.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.trim().splitn(3, '-');
    let mut next = |width: usize| {
        parts.next().filter(|p| p.len() <= width && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let (year, month, day) =
        (next(9)?.parse().ok()?, next(2)?.parse().ok()?, next(2)?.parse().ok()?);
    NaiveDate::from_ymd_opt(year, month, day)
}

/// Reads `21:48`, `21:48:25`, `21:48:25.123`.
pub(crate) fn parse_time(text: &str) -> Option<chrono::NaiveTime> {
    let (clock, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<u32> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute, second) = match parts[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    chrono::NaiveTime::from_hms_nano_opt(
        hour,
        minute,
        second,
        format!("{fraction:0<9}").parse().ok()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &str) -> String {
        let at = parse_iso("2024-03-05T21:07:09.123456789").expect("a time");
        let mut out = String::new();
        Pattern::new(pattern).expect(pattern).write(&mut out, at, ("Asia/Kolkata", 19_800));
        out
    }

    #[test]
    fn letters_show_their_fields() {
        for (pattern, text) in [
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2024-03-05T21:07:09.123"),
            ("yy/M/d h:mm a", "24/3/5 9:07 PM"),
            ("EEE, EEEE d MMM MMMM", "Tue, Tuesday 5 Mar March"),
            ("D w Q", "65 10 1"),
            ("SSSSSSSSS''S", "123456789'1"),
            ("Z XXX X z", "+0530 +05:30 +05 Asia/Kolkata"),
        ] {
            assert_eq!(shown(pattern), text, "{pattern}");
        }
        assert!(Pattern::new("yyyy-bb").is_err());
        assert!(Pattern::new("'open").is_err());
    }

    #[test]
    fn texts_are_read_by_the_same_letters() {
        let read = |pattern: &str, text: &str| {
            let (at, offset) = Pattern::new(pattern).expect(pattern).parse(text, true)?;
            Some((iso(crate::calendar::moment(at)), offset))
        };
        let some = |text: &str, offset| Some((text.to_owned(), offset));
        assert_eq!(read("yyyyMMddHHmmss", "20240305210709"), some("2024-03-05T21:07:09", None));
        assert_eq!(read("d MMM yyyy h:mm a", "5 Mar 2024 9:07 PM"), some("2024-03-05T21:07", None));
        assert_eq!(
            read("yyyy-MM-dd HH:mmXXX", "2024-03-05 21:07-04:00"),
            some("2024-03-05T21:07", Some(-14_400))
        );
        assert_eq!(read("yy", "99"), some("1999-01-01T00:00", None));
        for (pattern, text) in [
            ("yyyy-MM-dd", "2024-13-01"),
            ("yyyy-MM-dd", "2024-02-30"),
            ("yyyy-MM-dd", "2024-02-03 "),
            ("yyyy-MM-dd", "天-地-玄"),
            ("MMM", "é"),
            ("yyyy", "99999999999999999999"),
        ] {
            assert_eq!(read(pattern, text), None, "{text}");
        }
    }
}
