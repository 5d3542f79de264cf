//! A place in a server's log: file and offset, ordered as the server writes them.

use std::{cmp::Ordering, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::PositionError;

/// File and offset. Two positions compare by file number and offset: the base name is one server's setting, and
/// positions of two servers are never compared.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct LogPosition {
    file: Arc<str>,
    file_number: u64,
    offset: u64,
}

impl LogPosition {
    /// The position `offset` in `file`, for example `binlog.000012`. Offsets are u64: `end_log_pos` in an event wraps
    /// at 4 GiB, so its reader has to count on.
    ///
    /// # Errors
    /// When the name does not end in a dot and a number.
    pub fn new(file: impl Into<Arc<str>>, offset: u64) -> Result<Self, PositionError> {
        let file = file.into();
        let file_number =
            number_of(&file).ok_or_else(|| PositionError::FileName(file.to_string()))?;
        Ok(LogPosition { file, file_number, offset })
    }

    /// The file's name.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// The number at the end of the file's name.
    pub fn file_number(&self) -> u64 {
        self.file_number
    }

    /// Bytes from the start of the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Another place in the same file.
    #[must_use]
    pub fn at(&self, offset: u64) -> Self {
        LogPosition { file: Arc::clone(&self.file), file_number: self.file_number, offset }
    }
}

fn number_of(file: &str) -> Option<u64> {
    let (base, digits) = file.rsplit_once('.')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if base.is_empty() || !is_number { None } else { digits.parse().ok() }
}

impl PartialEq for LogPosition {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for LogPosition {}

impl PartialOrd for LogPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LogPosition {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.file_number, self.offset).cmp(&(other.file_number, other.offset))
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)
    }
}

impl fmt::Debug for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    file: Arc<str>,
    offset: u64,
}

impl TryFrom<Stored> for LogPosition {
    type Error = PositionError;

    fn try_from(stored: Stored) -> Result<Self, PositionError> {
        LogPosition::new(stored.file, stored.offset)
    }
}

impl From<LogPosition> for Stored {
    fn from(position: LogPosition) -> Self {
        Stored { file: position.file, offset: position.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, offset: u64) -> LogPosition {
        LogPosition::new(file, offset).unwrap()
    }

    #[test]
    fn files_compare_by_number_not_by_text() {
        assert!(at("binlog.999999", 9) < at("binlog.1000000", 4));
        assert!(at("binlog.000002", 4) > at("binlog.000001", u64::from(u32::MAX) + 1));
        assert_eq!(at("a.b.000007", 4).file_number(), 7);
        assert_eq!(at("binlog.000001", 4).at(120), at("binlog.000001", 120));
    }

    #[test]
    fn names_without_a_number_are_refused() {
        for name in [
            "",
            "binlog",
            "binlog.",
            ".000001",
            "binlog.+1",
            "binlog.index",
            "b.99999999999999999999",
        ] {
            assert_eq!(LogPosition::new(name, 4), Err(PositionError::FileName(name.into())));
        }
    }
}
