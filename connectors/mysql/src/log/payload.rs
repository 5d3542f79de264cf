//! Compressed transactions (`binlog_transaction_compression`): the events inside a TRANSACTION_PAYLOAD, one at a
//! time out of a bounded zstd stream. The declared sizes are only trusted as upper bounds.

use std::io::{Cursor, Read};

use super::event::{EventError, HEADER_LEN, PayloadHead};

const ALGORITHM_ZSTD: u64 = 0;
const ALGORITHM_NONE: u64 = 255;

/// The events of one payload. It has its own copy of the compressed bytes, so that a frame may leave in the middle of a
/// transaction that is much larger than they are.
pub(crate) struct Payload {
    reader: Box<dyn Read + Send>,
    /// Bytes that may still come.
    left: u64,
    event: Vec<u8>,
    event_bytes_max: usize,
}

impl Payload {
    /// Opens the payload that `head` found in `body`. An event longer than `event_bytes_max` is an error.
    pub(crate) fn open(
        body: &[u8],
        head: PayloadHead,
        event_bytes_max: usize,
    ) -> Result<Payload, EventError> {
        let bytes = body
            .get(head.begin..)
            .and_then(|rest| rest.get(..head.size))
            .ok_or(EventError::Truncated("a transaction payload"))?
            .to_vec();
        let left = bytes.len() as u64;
        let (reader, left): (Box<dyn Read + Send>, u64) = match head.algorithm {
            ALGORITHM_ZSTD => {
                let reader = zstd::stream::read::Decoder::with_buffer(Cursor::new(bytes))
                    .map_err(|error| EventError::Malformed(format!("zstd: {error}")))?;
                (Box::new(reader), head.uncompressed_size)
            }
            ALGORITHM_NONE => (Box::new(Cursor::new(bytes)), left),
            other => {
                return Err(EventError::Malformed(format!(
                    "unknown compression algorithm {other} of a transaction payload"
                )));
            }
        };
        Ok(Payload { reader, left, event: Vec::new(), event_bytes_max })
    }

    /// The next event's bytes (no checksum: the payload event has one for all); none behind the last.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, EventError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.event.clear();
        self.take(HEADER_LEN)?;
        let size = self
            .event
            .get(9..13)
            .and_then(|raw| raw.first_chunk())
            .map_or(0, |raw| u32::from_le_bytes(*raw)) as usize;
        let Some(rest) = size.checked_sub(HEADER_LEN).filter(|_| size <= self.event_bytes_max)
        else {
            return Err(EventError::Malformed(format!(
                "an event inside a transaction payload says that it has {size} bytes"
            )));
        };
        self.take(rest)?;
        Ok(Some(&self.event))
    }

    /// Appends so many bytes to `event`. The room grows with what really comes, not with what was announced.
    fn take(&mut self, count: usize) -> Result<(), EventError> {
        const CUT: EventError = EventError::Truncated("a transaction payload");
        self.left = self.left.checked_sub(count as u64).ok_or(CUT)?;
        let read = (&mut self.reader).take(count as u64).read_to_end(&mut self.event);
        let read = read.map_err(|error| {
            EventError::Malformed(format!("a transaction payload does not decompress: {error}"))
        })?;
        if read == count { Ok(()) } else { Err(CUT) }
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inner_event(size: usize) -> Vec<u8> {
        let mut bytes = vec![7; size];
        bytes[9..13].copy_from_slice(&(size as u32).to_le_bytes());
        bytes
    }

    #[test]
    fn events_come_one_at_a_time_and_lies_about_sizes_are_errors() {
        let mut plain = inner_event(30);
        plain.extend(inner_event(25));
        let packed = zstd::bulk::compress(&plain, 3).unwrap();
        let head = PayloadHead {
            begin: 0,
            size: packed.len(),
            uncompressed_size: plain.len() as u64,
            algorithm: 0,
        };
        let mut payload = Payload::open(&packed, head, 1 << 20).unwrap();
        assert_eq!(payload.next().unwrap().unwrap().len(), 30);
        assert_eq!(payload.next().unwrap().unwrap().len(), 25);
        assert!(payload.next().unwrap().is_none());

        let short = PayloadHead { uncompressed_size: 40, ..head };
        let mut payload = Payload::open(&packed, short, 1 << 20).unwrap();
        assert!(payload.next().unwrap().is_some());
        assert!(payload.next().is_err());

        let mut payload = Payload::open(&packed, head, 26).unwrap();
        assert!(payload.next().is_err());
    }

    /// An event that announces 900 MiB and ends after a few bytes: an error, and no 900 MiB.
    #[test]
    fn what_an_event_announces_is_not_allocated() {
        let mut plain = inner_event(40);
        plain[9..13].copy_from_slice(&(900u32 << 20).to_le_bytes());
        let packed = zstd::bulk::compress(&plain, 3).unwrap();
        let head =
            PayloadHead { begin: 0, size: packed.len(), uncompressed_size: u64::MAX, algorithm: 0 };
        let mut payload = Payload::open(&packed, head, 1 << 30).unwrap();
        assert_eq!(payload.next().unwrap_err(), EventError::Truncated("a transaction payload"));
        assert!(payload.event.capacity() < 1 << 20);
    }

    #[test]
    fn a_payload_that_lies_about_itself_is_refused() {
        let head = PayloadHead { begin: 0, size: 4, uncompressed_size: 40, algorithm: 0 };
        for wrong in [
            PayloadHead { begin: usize::MAX, ..head },
            PayloadHead { size: usize::MAX, ..head },
            PayloadHead { begin: 3, ..head },
            PayloadHead { algorithm: 7, ..head },
        ] {
            assert!(Payload::open(&[1, 2, 3, 4], wrong, 1 << 20).is_err(), "{wrong:?}");
        }
        // No zstd stream at all, and one that was damaged on the way.
        assert!(Payload::open(&[1, 2, 3, 4], head, 1 << 20).unwrap().next().is_err());
        let mut packed = zstd::bulk::compress(&inner_event(300), 3).unwrap();
        let at = packed.len() - 2;
        packed.truncate(at);
        let head = PayloadHead { size: at, uncompressed_size: 300, ..head };
        assert!(Payload::open(&packed, head, 1 << 20).unwrap().next().is_err());
    }
}
