//! Compressed transactions (`binlog_transaction_compression`): the events inside a TRANSACTION_PAYLOAD, one at a
//! time out of a bounded zstd stream. The declared sizes are only trusted as upper bounds.

use std::io::Read;

use super::event::{EventError, HEADER_LEN, PayloadHead};

const ALGORITHM_ZSTD: u64 = 0;
const ALGORITHM_NONE: u64 = 255;

/// The events of one payload.
pub(crate) struct Payload<'a> {
    reader: Box<dyn Read + Send + 'a>,
    /// Bytes that may still come.
    left: u64,
    event: Vec<u8>,
    event_bytes_max: usize,
}

impl<'a> Payload<'a> {
    /// Opens the payload that `head` found in `body`. An event longer than `event_bytes_max` is an error.
    pub(crate) fn open(
        body: &'a [u8],
        head: PayloadHead,
        event_bytes_max: usize,
    ) -> Result<Payload<'a>, EventError> {
        let bytes = body
            .get(head.begin..head.begin + head.size)
            .ok_or(EventError::Truncated("a transaction payload"))?;
        let (reader, left): (Box<dyn Read + Send + 'a>, u64) = match head.algorithm {
            ALGORITHM_ZSTD => {
                let reader = zstd::stream::read::Decoder::with_buffer(bytes)
                    .map_err(|error| EventError::Malformed(format!("zstd: {error}")))?;
                (Box::new(reader), head.uncompressed_size)
            }
            ALGORITHM_NONE => (Box::new(bytes), bytes.len() as u64),
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
        self.event.resize(HEADER_LEN, 0);
        self.take(0)?;
        let size =
            self.event[9..13].first_chunk().map_or(0, |raw| u32::from_le_bytes(*raw)) as usize;
        if size < HEADER_LEN || size > self.event_bytes_max {
            return Err(EventError::Malformed(format!(
                "an event inside a transaction payload says that it has {size} bytes"
            )));
        }
        if (size - HEADER_LEN) as u64 > self.left {
            return Err(EventError::Truncated("a transaction payload"));
        }
        self.event.resize(size, 0);
        self.take(HEADER_LEN)?;
        Ok(Some(&self.event))
    }

    /// Fills `event[from..]`.
    fn take(&mut self, from: usize) -> Result<(), EventError> {
        let wanted = (self.event.len() - from) as u64;
        self.left =
            self.left.checked_sub(wanted).ok_or(EventError::Truncated("a transaction payload"))?;
        self.reader.read_exact(&mut self.event[from..]).map_err(|error| {
            EventError::Malformed(format!("a transaction payload does not decompress: {error}"))
        })
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
}
