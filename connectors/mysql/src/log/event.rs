//! Binlog events as bytes: the header, the checksum, and the bodies of the events that frame transactions.
//! Row events and table maps are `decode`'s. Every read is checked: these bytes come from outside.
//!
//! Facts: MySQL's and MariaDB's replication protocol documentation (event header v4, 19 bytes).

use std::sync::Arc;

/// Length of an event header (v4).
pub(crate) const HEADER_LEN: usize = 19;
/// Length of the CRC32 behind an event.
pub(crate) const CHECKSUM_LEN: usize = 4;

/// Set on events that the server made up for this connection: they have no place in the file.
pub(crate) const FLAG_ARTIFICIAL: u16 = 0x20;
/// Set on events that a reader may skip when it does not know them.
pub(crate) const FLAG_IGNORABLE: u16 = 0x80;

/// Event type codes.
pub(crate) mod kind {
    pub(crate) const QUERY: u8 = 2;
    pub(crate) const STOP: u8 = 3;
    pub(crate) const ROTATE: u8 = 4;
    pub(crate) const INTVAR: u8 = 5;
    pub(crate) const RAND: u8 = 13;
    pub(crate) const USER_VAR: u8 = 14;
    pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
    pub(crate) const XID: u8 = 16;
    pub(crate) const BEGIN_LOAD_QUERY: u8 = 17;
    pub(crate) const EXECUTE_LOAD_QUERY: u8 = 18;
    pub(crate) const TABLE_MAP: u8 = 19;
    pub(crate) const WRITE_ROWS_V1: u8 = 23;
    pub(crate) const UPDATE_ROWS_V1: u8 = 24;
    pub(crate) const DELETE_ROWS_V1: u8 = 25;
    pub(crate) const INCIDENT: u8 = 26;
    pub(crate) const HEARTBEAT: u8 = 27;
    pub(crate) const IGNORABLE: u8 = 28;
    pub(crate) const ROWS_QUERY: u8 = 29;
    pub(crate) const WRITE_ROWS: u8 = 30;
    pub(crate) const UPDATE_ROWS: u8 = 31;
    pub(crate) const DELETE_ROWS: u8 = 32;
    pub(crate) const GTID: u8 = 33;
    pub(crate) const ANONYMOUS_GTID: u8 = 34;
    pub(crate) const PREVIOUS_GTIDS: u8 = 35;
    pub(crate) const TRANSACTION_CONTEXT: u8 = 36;
    pub(crate) const VIEW_CHANGE: u8 = 37;
    pub(crate) const XA_PREPARE: u8 = 38;
    pub(crate) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(crate) const TRANSACTION_PAYLOAD: u8 = 40;
    pub(crate) const HEARTBEAT_V2: u8 = 41;
    pub(crate) const GTID_TAGGED: u8 = 42;
    pub(crate) const MARIA_ANNOTATE_ROWS: u8 = 160;
    pub(crate) const MARIA_CHECKPOINT: u8 = 161;
    pub(crate) const MARIA_GTID: u8 = 162;
    pub(crate) const MARIA_GTID_LIST: u8 = 163;
    pub(crate) const MARIA_START_ENCRYPTION: u8 = 164;
    pub(crate) const MARIA_QUERY_COMPRESSED: u8 = 165;
    pub(crate) const MARIA_WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub(crate) const MARIA_UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    pub(crate) const MARIA_DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    pub(crate) const MARIA_WRITE_ROWS_COMPRESSED: u8 = 169;
    pub(crate) const MARIA_UPDATE_ROWS_COMPRESSED: u8 = 170;
    pub(crate) const MARIA_DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// What is wrong with an event's bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EventError {
    #[error("the event is cut off in {0}")]
    Truncated(&'static str),
    #[error("the event's CRC32 does not match its bytes")]
    Checksum,
    #[error("{0}")]
    Malformed(String),
}

/// An event's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Seconds since the epoch.
    pub(crate) timestamp_s: u32,
    pub(crate) kind: u8,
    /// The server it was first logged on.
    pub(crate) server_id: u32,
    /// Position behind the event, its low 32 bits; 0 for some artificial events.
    pub(crate) end: u32,
    pub(crate) flags: u16,
}

/// One event: its header, and its body without checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    pub(crate) header: Header,
    pub(crate) body: &'a [u8],
    /// All bytes as they stand in the log.
    pub(crate) len: usize,
}

impl<'a> Event<'a> {
    /// Reads an event from its bytes; with `checksum` the last four are its CRC32, which is verified.
    pub(crate) fn parse(bytes: &'a [u8], checksum: bool) -> Result<Event<'a>, EventError> {
        let header = bytes.get(..HEADER_LEN).ok_or(EventError::Truncated("its header"))?;
        let size = u32_at(header, 9) as usize;
        if size != bytes.len() {
            return Err(EventError::Malformed(format!(
                "the event says that it has {size} bytes, and came with {}",
                bytes.len()
            )));
        }
        let parsed = Header {
            timestamp_s: u32_at(header, 0),
            kind: header[4],
            server_id: u32_at(header, 5),
            end: u32_at(header, 13),
            flags: u16::from_le_bytes([header[17], header[18]]),
        };
        let end = if checksum {
            let end = bytes
                .len()
                .checked_sub(CHECKSUM_LEN)
                .filter(|end| *end >= HEADER_LEN)
                .ok_or(EventError::Truncated("its checksum"))?;
            if crc32fast::hash(&bytes[..end]) != u32_at(bytes, end) {
                return Err(EventError::Checksum);
            }
            end
        } else {
            bytes.len()
        };
        Ok(Event { header: parsed, body: &bytes[HEADER_LEN..end], len: size })
    }

    /// Whether the server made it up for this connection.
    pub(crate) fn is_artificial(&self) -> bool {
        self.header.flags & FLAG_ARTIFICIAL != 0 || self.header.end == 0
    }
}

/// Whether the bytes of an event end in a CRC32 that fits them. Used for the artificial rotate event, which comes
/// ahead of the format description that would tell.
pub(crate) fn has_checksum(bytes: &[u8]) -> bool {
    bytes.len().checked_sub(CHECKSUM_LEN).is_some_and(|end| {
        end >= HEADER_LEN && crc32fast::hash(&bytes[..end]) == u32_at(bytes, end)
    })
}

/// Whether the log that a format description opens has checksums: its last five bytes are the algorithm and, for
/// servers that know checksums at all (all we accept), always a CRC32.
pub(crate) fn format_has_checksums(bytes: &[u8]) -> Result<bool, EventError> {
    let at = bytes
        .len()
        .checked_sub(CHECKSUM_LEN + 1)
        .filter(|at| *at >= HEADER_LEN)
        .ok_or(EventError::Truncated("a format description"))?;
    match bytes[at] {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(EventError::Malformed(format!("unknown checksum algorithm {other}"))),
    }
}

/// ROTATE: the next file and where it begins.
pub(crate) fn rotate(body: &[u8]) -> Result<(u64, Arc<str>), EventError> {
    let position = body.first_chunk::<8>().ok_or(EventError::Truncated("a rotate event"))?;
    let name = std::str::from_utf8(&body[8..])
        .map_err(|_| EventError::Malformed("a log file's name is not UTF-8".into()))?;
    Ok((u64::from_le_bytes(*position), name.trim_end_matches('\0').into()))
}

/// The GTID at the head of a MySQL transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GtidBody {
    pub(crate) source: [u8; 16],
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) number: u64,
    /// Microseconds since the epoch at which this server committed it; 0 when it does not say (before 8.0.1).
    pub(crate) commit_ts_us: u64,
}

/// GTID and ANONYMOUS_GTID: flags, UUID, number, then from 5.7 on logical clock and from 8.0 on commit times.
pub(crate) fn gtid(body: &[u8]) -> Result<GtidBody, EventError> {
    const LOGICAL_CLOCK: u8 = 2;
    let fixed = body.get(..25).ok_or(EventError::Truncated("a GTID event"))?;
    let mut source = [0; 16];
    source.copy_from_slice(&fixed[1..17]);
    let number = u64_at(fixed, 17);
    let mut commit_ts_us = 0;
    if body.get(25) == Some(&LOGICAL_CLOCK)
        && let Some(time) = body.get(42..49)
    {
        let mut raw = [0; 8];
        raw[..7].copy_from_slice(time);
        commit_ts_us = u64::from_le_bytes(raw) & !(1 << 55);
    }
    Ok(GtidBody { source, tag: None, number, commit_ts_us })
}

/// GTID_TAGGED (8.3 on): MySQL's serialisation format, fields by rising number.
pub(crate) fn gtid_tagged(body: &[u8]) -> Result<GtidBody, EventError> {
    let mut at = Varlen(body);
    let _version = at.unsigned()?;
    let _size = at.unsigned()?;
    let _last_needed_field = at.unsigned()?;
    let mut gtid = GtidBody { source: [0; 16], tag: None, number: 0, commit_ts_us: 0 };
    while !at.0.is_empty() {
        match at.unsigned()? {
            0 => drop(at.unsigned()?),
            1 => {
                for byte in &mut gtid.source {
                    *byte = u8::try_from(at.unsigned()?)
                        .map_err(|_| EventError::Malformed("a UUID byte is above 255".into()))?;
                }
            }
            2 => gtid.number = at.signed()?,
            3 => gtid.tag = Some(at.text()?).filter(|tag| !tag.is_empty()),
            4 | 5 => drop(at.signed()?),
            6 => {
                gtid.commit_ts_us = at.unsigned()?;
                break;
            }
            _ => break,
        }
    }
    if gtid.number == 0 {
        return Err(EventError::Malformed("a tagged GTID has no number".into()));
    }
    Ok(gtid)
}

/// MySQL's variable-length integers: as many low one-bits as there are more bytes.
struct Varlen<'a>(&'a [u8]);

impl Varlen<'_> {
    fn unsigned(&mut self) -> Result<u64, EventError> {
        const CUT: EventError = EventError::Truncated("a tagged GTID event");
        let first = *self.0.first().ok_or(CUT)?;
        let len = first.trailing_ones() as usize + 1;
        let bytes = self.0.get(..len).ok_or(CUT)?;
        self.0 = &self.0[len..];
        let mut raw = [0; 8];
        if len == 9 {
            raw.copy_from_slice(&bytes[1..]);
            return Ok(u64::from_le_bytes(raw));
        }
        raw[..len].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(raw) >> len)
    }

    /// A number that must not be negative.
    fn signed(&mut self) -> Result<u64, EventError> {
        let raw = self.unsigned()?;
        if raw & 1 == 1 {
            return Err(EventError::Malformed("a tagged GTID has a negative number".into()));
        }
        Ok(raw >> 1)
    }

    fn text(&mut self) -> Result<Arc<str>, EventError> {
        let len = usize::try_from(self.unsigned()?).unwrap_or(usize::MAX);
        let bytes = self.0.get(..len).ok_or(EventError::Truncated("a GTID's tag"))?;
        self.0 = &self.0[len..];
        let text = std::str::from_utf8(bytes)
            .map_err(|_| EventError::Malformed("a GTID's tag is not UTF-8".into()))?;
        Ok(text.into())
    }
}

/// The GTID at the head of a MariaDB transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MariaGtidBody {
    pub(crate) sequence: u64,
    pub(crate) domain: u32,
    /// One event follows and no COMMIT: DDL.
    pub(crate) standalone: bool,
}

/// MARIA_GTID: it also stands for BEGIN. The server's id is in the header, at byte 5.
pub(crate) fn maria_gtid(body: &[u8]) -> Result<MariaGtidBody, EventError> {
    const STANDALONE: u8 = 1;
    let fixed = body.get(..13).ok_or(EventError::Truncated("a MariaDB GTID event"))?;
    Ok(MariaGtidBody {
        sequence: u64_at(fixed, 0),
        domain: u32_at(fixed, 8),
        standalone: fixed[12] & STANDALONE != 0,
    })
}

/// A statement in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    /// The session's current database.
    pub(crate) database: &'a [u8],
    /// Its text, in the session's character set (identifiers of captured tables are compared as UTF-8).
    pub(crate) text: &'a [u8],
    /// Whether `"` quotes identifiers (sql_mode ANSI_QUOTES).
    pub(crate) ansi_quotes: bool,
    /// The status variables: the session's settings, as far as they matter to the statement.
    pub(crate) status: &'a [u8],
}

/// QUERY: 13 fixed bytes, status variables, database, NUL, text.
pub(crate) fn query(body: &[u8]) -> Result<Query<'_>, EventError> {
    query_behind(body, 0)
}

/// EXECUTE_LOAD_QUERY: as QUERY, with 13 more bytes (file id and the like) behind the fixed ones.
pub(crate) fn query_of_load(body: &[u8]) -> Result<Query<'_>, EventError> {
    query_behind(body, 13)
}

fn query_behind(body: &[u8], more: usize) -> Result<Query<'_>, EventError> {
    const CUT: EventError = EventError::Truncated("a query event");
    let fixed = body.get(..13).ok_or(CUT)?;
    let database_len = usize::from(fixed[8]);
    let status_len = usize::from(u16::from_le_bytes([fixed[11], fixed[12]]));
    let status_at = 13 + more;
    let status = body.get(status_at..status_at + status_len).ok_or(CUT)?;
    let database_at = status_at + status_len;
    let database = body.get(database_at..database_at + database_len).ok_or(CUT)?;
    let text = body.get(database_at + database_len + 1..).ok_or(CUT)?;
    Ok(Query { database, text, ansi_quotes: ansi_quotes(status), status })
}

/// Reads the sql_mode out of the status variables: code 1, behind at most code 0 (flags2, 4 bytes), both come first.
fn ansi_quotes(status: &[u8]) -> bool {
    const MODE_ANSI_QUOTES: u64 = 4;
    let rest = match status.first() {
        Some(0) => status.get(5..).unwrap_or_default(),
        _ => status,
    };
    match rest {
        [1, mode @ ..] if mode.len() >= 8 => u64_at(mode, 0) & MODE_ANSI_QUOTES != 0,
        _ => false,
    }
}

/// XA_PREPARE: whether it is a one-phase commit.
pub(crate) fn xa_prepare_is_one_phase(body: &[u8]) -> Result<bool, EventError> {
    body.first().map(|flag| *flag != 0).ok_or(EventError::Truncated("an XA PREPARE event"))
}

/// HEARTBEAT: the file it speaks of (the position is the header's).
pub(crate) fn heartbeat(body: &[u8]) -> Result<&str, EventError> {
    std::str::from_utf8(body)
        .map(|name| name.trim_end_matches('\0'))
        .map_err(|_| EventError::Malformed("a heartbeat's file name is not UTF-8".into()))
}

/// HEARTBEAT_V2: file name and 64-bit position as tagged fields.
pub(crate) fn heartbeat_v2(body: &[u8]) -> Result<(Option<&str>, Option<u64>), EventError> {
    const CUT: EventError = EventError::Truncated("a heartbeat event");
    let (mut file, mut position) = (None, None);
    let mut rest = body;
    while let Some((&field, tail)) = rest.split_first() {
        if field == 0 {
            break;
        }
        let (len, used) = length_encoded(tail).ok_or(CUT)?;
        let value = tail.get(used..).and_then(|tail| tail.get(..len)).ok_or(CUT)?;
        match field {
            1 => file = Some(heartbeat(value)?),
            2 => position = length_encoded(value).map(|(value, _)| value as u64),
            _ => {}
        }
        rest = &tail[used + len..];
    }
    Ok((file, position))
}

/// What a compressed transaction's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PayloadHead {
    /// Where in the body the payload begins.
    pub(crate) begin: usize,
    pub(crate) size: usize,
    pub(crate) uncompressed_size: u64,
    /// 0 zstd, 255 none.
    pub(crate) algorithm: u64,
}

/// TRANSACTION_PAYLOAD: tagged length-encoded fields (1 size, 2 algorithm, 3 uncompressed size, 0 end), then the payload.
pub(crate) fn payload_head(body: &[u8]) -> Result<PayloadHead, EventError> {
    const CUT: EventError = EventError::Truncated("a transaction payload event");
    let mut head = PayloadHead { begin: 0, size: 0, uncompressed_size: 0, algorithm: 255 };
    let mut rest = body;
    loop {
        let (field, used) = length_encoded(rest).ok_or(CUT)?;
        rest = &rest[used..];
        if field == 0 {
            break;
        }
        let (len, used) = length_encoded(rest).ok_or(CUT)?;
        let value = rest.get(used..).and_then(|tail| tail.get(..len)).ok_or(CUT)?;
        let (number, _) = length_encoded(value).ok_or(CUT)?;
        match field {
            1 => head.size = number,
            2 => head.algorithm = number as u64,
            3 => head.uncompressed_size = number as u64,
            _ => {}
        }
        rest = &rest[used + len..];
    }
    head.begin = body.len() - rest.len();
    if rest.len() < head.size {
        return Err(CUT);
    }
    Ok(head)
}

/// MySQL's length-encoded integer and how many bytes it took.
fn length_encoded(bytes: &[u8]) -> Option<(usize, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let len = match first {
        0..=250 => return Some((usize::from(first), 1)),
        252 => 2,
        253 => 3,
        254 => 8,
        _ => return None,
    };
    let mut raw = [0; 8];
    raw[..len].copy_from_slice(rest.get(..len)?);
    Some((usize::try_from(u64::from_le_bytes(raw)).ok()?, 1 + len))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|tail| tail.first_chunk()).map_or(0, |raw| u32::from_le_bytes(*raw))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|tail| tail.first_chunk()).map_or(0, |raw| u64::from_le_bytes(*raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u8, body: &[u8], checksum: bool) -> Vec<u8> {
        let size = HEADER_LEN + body.len() + if checksum { CHECKSUM_LEN } else { 0 };
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4] = kind;
        bytes[9..13].copy_from_slice(&(size as u32).to_le_bytes());
        bytes[13..17].copy_from_slice(&77_u32.to_le_bytes());
        bytes.extend_from_slice(body);
        if checksum {
            bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_checksum_is_verified_and_cut_off() {
        let mut bytes = event(kind::XID, &[1; 8], true);
        assert_eq!(Event::parse(&bytes, true).unwrap().body, &[1; 8]);
        assert!(has_checksum(&bytes));
        bytes[20] ^= 1;
        assert_eq!(Event::parse(&bytes, true).unwrap_err(), EventError::Checksum);
        assert_eq!(
            Event::parse(&bytes[..10], true).unwrap_err(),
            EventError::Truncated("its header")
        );
    }

    #[test]
    fn a_tagged_gtid_is_read() {
        // version 2, size, last field, then: flags=1, uuid, gno=5, tag "ab", clocks, time=1000.
        let mut body = vec![2 << 1, 0, 0, 0, 1 << 1, 1 << 1];
        body.extend((0..16_u8).map(|byte| byte << 1));
        body.extend([2 << 1, (5 << 1) << 1, 3 << 1, 2 << 1, b'a', b'b']);
        body.extend([4 << 1, 0, 5 << 1, 0, 6 << 1]);
        body.extend(((1000_u16 << 2) | 1).to_le_bytes());
        let gtid = gtid_tagged(&body).unwrap();
        assert_eq!(gtid.source[3], 3);
        assert_eq!((gtid.number, gtid.tag.as_deref(), gtid.commit_ts_us), (5, Some("ab"), 1000));
        for len in 0..body.len() - 2 {
            let _ = gtid_tagged(&body[..len]);
        }
    }

    #[test]
    fn a_query_event_gives_database_text_and_quoting() {
        let mut body = vec![0; 13];
        body[8] = 2;
        body[11] = 14;
        body.extend([0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0]);
        body.extend(b"db\0DROP TABLE t");
        let query = query(&body).unwrap();
        assert_eq!((query.database, query.text), (&b"db"[..], &b"DROP TABLE t"[..]));
        assert!(query.ansi_quotes);
    }

    #[test]
    fn a_payload_head_is_bounded_by_its_body() {
        let body = [2, 1, 0, 3, 1, 200, 1, 1, 3, 0, 9, 9, 9];
        let head = payload_head(&body).unwrap();
        assert_eq!(
            (head.size, head.algorithm, head.uncompressed_size, head.begin),
            (3, 0, 200, 10)
        );
        assert!(payload_head(&body[..12]).is_err());
    }
}
