//! MySQL's GTID sets: source UUID → tag → intervals of transaction numbers, with gaps. Read from and printed as the
//! server's text, and encoded as COM_BINLOG_DUMP_GTID and PREVIOUS_GTIDS events carry them.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::PositionError;

/// The highest transaction number of a server is 2^63 - 2, and interval ends are exclusive on the wire.
const NUMBER_MAX: u64 = i64::MAX as u64 - 1;

/// A tag has at most 32 characters.
const TAG_LENGTH_MAX: usize = 32;

/// In a tagged encoding the format stands in the highest and in the lowest byte of the count.
const TAGGED_FORMAT: u64 = 1;

/// A set of transactions. Sets compare, and contain each other, by their members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GtidSet {
    // No entry is empty: an entry is made with its first number.
    sources: BTreeMap<[u8; 16], BTreeMap<String, Intervals>>,
}

/// Inclusive, ascending, neither touching nor overlapping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    /// The position of the first interval that ends at or after `number`.
    fn index_of(&self, number: u64) -> usize {
        self.0.partition_point(|&(_, end)| end < number)
    }

    fn contains(&self, start: u64, end: u64) -> bool {
        self.0
            .get(self.index_of(start))
            .is_some_and(|&(held_start, held_end)| held_start <= start && end <= held_end)
    }

    fn add(&mut self, start: u64, end: u64) {
        // Nearly always the number after the last one.
        if let Some(last) = self.0.last_mut()
            && last.1.checked_add(1) == Some(start)
        {
            last.1 = end;
            return;
        }
        let first = self.index_of(start.saturating_sub(1));
        let behind = self.0.partition_point(|&(held, _)| held <= end.saturating_add(1));
        let mut merged = (start, end);
        if first < behind
            && let (Some(low), Some(high)) = (self.0.get(first), self.0.get(behind - 1))
        {
            merged = (start.min(low.0), end.max(high.1));
        }
        self.0.splice(first..behind.max(first), [merged]);
    }
}

impl GtidSet {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds one transaction; the untagged ones have the tag `""`.
    ///
    /// # Errors
    /// When no server gives this number.
    pub fn add(&mut self, uuid: &[u8; 16], tag: &str, number: u64) -> Result<(), PositionError> {
        self.add_interval(uuid, tag, number, number)
    }

    /// Adds the transactions from `start` to `end`.
    pub(crate) fn add_interval(
        &mut self,
        uuid: &[u8; 16],
        tag: &str,
        start: u64,
        end: u64,
    ) -> Result<(), PositionError> {
        if start == 0 || start > end {
            return Err(PositionError::GtidNumber(start));
        }
        if end > NUMBER_MAX {
            return Err(PositionError::GtidNumber(end));
        }
        let tags = self.sources.entry(*uuid).or_default();
        match tags.get_mut(tag) {
            Some(intervals) => intervals.add(start, end),
            None => {
                tags.insert(tag.to_owned(), Intervals(vec![(start, end)]));
            }
        }
        Ok(())
    }

    /// Whether the transaction is in it.
    pub fn contains(&self, uuid: &[u8; 16], tag: &str, number: u64) -> bool {
        self.intervals(uuid, tag).is_some_and(|intervals| intervals.contains(number, number))
    }

    /// Whether every transaction of `other` is in it.
    pub fn contains_set(&self, other: &GtidSet) -> bool {
        other.entries().all(|(uuid, tag, theirs)| {
            self.intervals(uuid, tag)
                .is_some_and(|ours| theirs.0.iter().all(|&(start, end)| ours.contains(start, end)))
        })
    }

    /// Adds every transaction of `other`.
    pub fn union(&mut self, other: &GtidSet) {
        for (uuid, tag, theirs) in other.entries() {
            let ours = self.sources.entry(*uuid).or_default().entry(tag.to_owned()).or_default();
            for &(start, end) in &theirs.0 {
                ours.add(start, end);
            }
        }
    }

    fn intervals(&self, uuid: &[u8; 16], tag: &str) -> Option<&Intervals> {
        self.sources.get(uuid)?.get(tag)
    }

    fn entries(&self) -> impl Iterator<Item = (&[u8; 16], &str, &Intervals)> {
        self.sources.iter().flat_map(|(uuid, tags)| {
            tags.iter().map(move |(tag, intervals)| (uuid, tag.as_str(), intervals))
        })
    }

    /// The binary form: the plain one, which every server reads, unless there are tags.
    pub fn encode(&self) -> Vec<u8> {
        let is_tagged = self.entries().any(|(_, tag, _)| !tag.is_empty());
        let count = self.entries().count() as u64;
        let header =
            if is_tagged { (TAGGED_FORMAT << 56) | (count << 8) | TAGGED_FORMAT } else { count };
        let mut out = header.to_le_bytes().to_vec();
        for (uuid, tag, intervals) in self.entries() {
            out.extend_from_slice(uuid);
            if is_tagged {
                // The server's variable-length integer: up to 127, one byte holds twice the value.
                let length = u8::try_from(tag.len() * 2)
                    .expect("a tag is checked to have at most 32 characters");
                out.push(length);
                out.extend_from_slice(tag.as_bytes());
            }
            out.extend_from_slice(&(intervals.0.len() as u64).to_le_bytes());
            for &(start, end) in &intervals.0 {
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&(end + 1).to_le_bytes());
            }
        }
        out
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// When it breaks off, goes on, or holds numbers that are out of order.
    pub fn decode(bytes: &[u8]) -> Result<Self, PositionError> {
        let mut reader = Reader { bytes, at: 0 };
        let header = reader.u64()?;
        let (is_tagged, count) = match header >> 56 {
            0 => (false, header),
            TAGGED_FORMAT => (true, (header >> 8) & 0xffff_ffff_ffff),
            _ => return Err(PositionError::GtidEncoding(0)),
        };
        let mut set = GtidSet::default();
        for _ in 0..count {
            let uuid = reader.array::<16>()?;
            let tag = if is_tagged { reader.tag()? } else { "" };
            for _ in 0..reader.u64()? {
                let at = reader.at;
                let (start, behind) = (reader.u64()?, reader.u64()?);
                let end = behind.checked_sub(1).ok_or(PositionError::GtidEncoding(at))?;
                set.add_interval(&uuid, tag, start, end)
                    .map_err(|_| PositionError::GtidEncoding(at))?;
            }
        }
        if reader.at == bytes.len() { Ok(set) } else { Err(PositionError::GtidEncoding(reader.at)) }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], PositionError> {
        let end = self.at.checked_add(length);
        let taken = end
            .and_then(|end| self.bytes.get(self.at..end))
            .ok_or(PositionError::GtidEncoding(self.at))?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PositionError> {
        let at = self.at;
        self.take(N)?.try_into().map_err(|_| PositionError::GtidEncoding(at))
    }

    fn u64(&mut self) -> Result<u64, PositionError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn tag(&mut self) -> Result<&'a str, PositionError> {
        let at = self.at;
        let [length] = self.array()?;
        let tag = std::str::from_utf8(self.take(usize::from(length / 2))?);
        match tag {
            Ok(tag) if length % 2 == 0 && (tag.is_empty() || is_tag(tag)) => Ok(tag),
            _ => Err(PositionError::GtidEncoding(at)),
        }
    }
}

fn is_tag(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= TAG_LENGTH_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Reads a UUID as the server prints it, `3e11fa47-71ca-11e1-9e33-c80aa9429562`; the hyphens may be missing.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let is_hyphenated = bytes.len() == 36 && [8, 13, 18, 23].iter().all(|&at| bytes[at] == b'-');
    if !is_hyphenated && bytes.len() != 32 {
        return None;
    }
    let mut digits = bytes
        .iter()
        .enumerate()
        .filter(|(at, _)| !is_hyphenated || ![8, 13, 18, 23].contains(at))
        .map(|(_, &byte)| char::from(byte).to_digit(16));
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = u8::try_from(digits.next()?? * 16 + digits.next()??).ok()?;
    }
    Some(uuid)
}

/// Prints a UUID as the server does.
pub fn format_uuid(uuid: &[u8; 16], out: &mut impl fmt::Write) -> fmt::Result {
    for (i, byte) in uuid.iter().enumerate() {
        let hyphen = if [4, 6, 8, 10].contains(&i) { "-" } else { "" };
        write!(out, "{hyphen}{byte:02x}")?;
    }
    Ok(())
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (uuid, tags)) in self.sources.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            format_uuid(uuid, f)?;
            for (tag, intervals) in tags {
                if !tag.is_empty() {
                    write!(f, ":{tag}")?;
                }
                for &(start, end) in &intervals.0 {
                    if start == end { write!(f, ":{start}") } else { write!(f, ":{start}-{end}") }?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for GtidSet {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut set = GtidSet::default();
        for source in text.split(',').map(str::trim).filter(|source| !source.is_empty()) {
            set.add_source(source).ok_or_else(|| PositionError::GtidSet(source.to_owned()))?;
        }
        Ok(set)
    }
}

impl GtidSet {
    /// Adds `uuid[:tag]:interval…[:tag:interval…]`.
    fn add_source(&mut self, text: &str) -> Option<()> {
        let mut parts = text.split(':').map(str::trim);
        let uuid = parse_uuid(parts.next()?)?;
        let mut tag = String::new();
        let mut has_interval = false;
        for part in parts {
            if part.starts_with(|first: char| first.is_ascii_digit()) {
                let (start, end) = part.split_once('-').unwrap_or((part, part));
                let (start, end) = (parse_number(start)?, parse_number(end)?);
                self.add_interval(&uuid, &tag, start, end).ok()?;
                has_interval = true;
            } else {
                tag = part.to_ascii_lowercase();
                has_interval = false;
                if !is_tag(&tag) {
                    return None;
                }
            }
        }
        has_interval.then_some(())
    }
}

fn parse_number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.starts_with('+') { None } else { text.parse().ok() }
}

impl TryFrom<String> for GtidSet {
    type Error = PositionError;

    fn try_from(text: String) -> Result<Self, PositionError> {
        text.parse()
    }
}

impl From<GtidSet> for String {
    fn from(set: GtidSet) -> Self {
        set.to_string()
    }
}

#[cfg(test)]
#[path = "gtid_set_tests.rs"]
mod tests;
