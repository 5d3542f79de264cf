//! Packets out of a byte stream, and into one.
//!
//! In: bytes as they come from the socket. Out: payloads as slices of the one buffer. A payload of 16 MiB or more comes
//! as several packets and is joined in place. Sequence numbers are checked, sizes are bounded.

use super::error::WireError;

/// A packet's largest payload; a longer one goes on in the next packet.
const PAYLOAD_MAX: usize = 0xFF_FFFF;
const HEADER: usize = 4;
/// What the buffer holds when nothing large passes.
const BUFFER: usize = 256 << 10;
/// Below this much free space at its end the buffer is moved up or grown.
const ROOM_MIN: usize = 32 << 10;

/// The receiving end.
#[derive(Debug)]
pub(crate) struct PacketReader {
    buffer: Vec<u8>,
    /// Everything before it has been handed out, and stays valid until the next [`PacketReader::make_room`].
    start: usize,
    /// The number the next packet must have.
    sequence: u8,
    bytes_max: usize,
}

/// What stands at the front of the buffer.
enum Front {
    /// A payload that is wholly here: where its last packet ends, its size, the sequence number behind it.
    Whole { end: usize, payload: usize, sequence: u8 },
    /// Not yet: the bytes, counted from `start`, that are needed at least.
    Partial { needed: usize },
}

/// Several payloads in a row.
#[derive(Debug, Clone)]
pub(crate) struct Run<'a> {
    bytes: &'a [u8],
    count: usize,
    /// Whether `bytes` is one payload without its header, because it was joined from several packets.
    joined: bool,
}

impl<'a> Iterator for Run<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.count = self.count.checked_sub(1)?;
        if self.joined {
            return Some(std::mem::take(&mut self.bytes));
        }
        // The run was measured when it was taken, so header and payload are there.
        let (header, rest) = self.bytes.split_first_chunk::<HEADER>()?;
        let (payload, rest) = rest.split_at_checked(length(*header))?;
        self.bytes = rest;
        Some(payload)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Run<'_> {}

#[inline]
fn length([a, b, c, _]: [u8; HEADER]) -> usize {
    u32::from_le_bytes([a, b, c, 0]) as usize
}

impl PacketReader {
    pub(crate) fn new(bytes_max: usize) -> Self {
        PacketReader { buffer: Vec::new(), start: 0, sequence: 0, bytes_max }
    }

    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The number the next packet, sent or received, must have.
    pub(crate) fn sequence(&self) -> u8 {
        self.sequence
    }

    pub(crate) fn set_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// Whether all bytes have been handed out.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// Where the socket puts more bytes: appended to the vector, which has room. Slices handed out before end here.
    pub(crate) fn make_room(&mut self) -> &mut Vec<u8> {
        let held = self.buffer.len() - self.start;
        if held == 0 {
            self.buffer.clear();
            self.start = 0;
            if self.buffer.capacity() > 4 * BUFFER {
                // A huge packet passed; idle connections do not keep its memory.
                self.buffer = Vec::new();
            }
        }
        // A header's claim grows the buffer by 16 MiB at most beyond what really came.
        let needed = match self.front() {
            Ok(Front::Partial { needed }) => needed,
            _ => 0,
        };
        let wanted = needed.max(held + ROOM_MIN).max(BUFFER);
        if self.buffer.capacity() - self.start < wanted && self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.capacity() < wanted {
            self.buffer.reserve(wanted - self.buffer.len());
        }
        &mut self.buffer
    }

    /// The next payload, when it is wholly here.
    pub(crate) fn next_packet(&mut self) -> Result<Option<&[u8]>, WireError> {
        match self.front()? {
            Front::Partial { .. } => Ok(None),
            Front::Whole { end, payload, sequence } => {
                let from = self.start + HEADER;
                self.join(end);
                self.start = end;
                self.sequence = sequence;
                Ok(Some(&self.buffer[from..from + payload]))
            }
        }
    }

    /// The payload that [`PacketReader::next_packet`] would give, without taking it. A joined one cannot be seen.
    pub(crate) fn peek(&self) -> Result<Option<Peek>, WireError> {
        Ok(match self.front()? {
            Front::Partial { .. } => None,
            Front::Whole { payload, .. } => {
                let first = self.buffer.get(self.start + HEADER).filter(|_| payload > 0);
                Some(Peek { first: first.copied(), payload })
            }
        })
    }

    /// All payloads now here up to the first that `is_row` declines; it is asked with first byte and size.
    pub(crate) fn take_run(&mut self, is_row: impl Fn(Peek) -> bool) -> Result<Run<'_>, WireError> {
        let from = self.start;
        let mut count = 0;
        while let Some((header, rest)) =
            self.buffer.get(self.start..).and_then(|bytes| bytes.split_first_chunk::<HEADER>())
        {
            let payload = length(*header);
            if payload == PAYLOAD_MAX || rest.len() < payload || header[3] != self.sequence {
                break;
            }
            if !is_row(Peek { first: rest.first().copied().filter(|_| payload > 0), payload }) {
                break;
            }
            self.start += HEADER + payload;
            self.sequence = self.sequence.wrapping_add(1);
            count += 1;
        }
        if count > 0 {
            return Ok(Run { bytes: &self.buffer[from..self.start], count, joined: false });
        }
        // The front is none, not whole, not a row, or huge: the slow way tells, and reports a wrong sequence number.
        match self.peek()? {
            Some(peek) if is_row(peek) => {
                let bytes = self.next_packet()?.unwrap_or_default();
                Ok(Run { bytes, count: 1, joined: true })
            }
            _ => Ok(Run { bytes: &[], count: 0, joined: false }),
        }
    }

    fn front(&self) -> Result<Front, WireError> {
        let (mut at, mut payload, mut sequence) = (self.start, 0, self.sequence);
        loop {
            let rest = self.buffer.get(at..).unwrap_or_default();
            let Some((header, rest)) = rest.split_first_chunk::<HEADER>() else {
                return Ok(Front::Partial { needed: at + HEADER - self.start });
            };
            let part = length(*header);
            payload += part;
            if payload > self.bytes_max {
                return Err(WireError::protocol(format!(
                    "a packet is larger than {} bytes",
                    self.bytes_max
                )));
            }
            at += HEADER + part;
            if header[3] != sequence {
                // A server that shuts down or loses patience sends its error out of order. Behind an empty payload stands
                // the next header.
                match rest.first().filter(|_| part > 0) {
                    Some(0xFF) => sequence = header[3],
                    None if part > 0 => {
                        return Ok(Front::Partial { needed: at - self.start });
                    }
                    _ => {
                        return Err(WireError::protocol(format!(
                            "packet {} came where {sequence} was due",
                            header[3]
                        )));
                    }
                }
            }
            sequence = sequence.wrapping_add(1);
            if at > self.buffer.len() {
                return Ok(Front::Partial { needed: at - self.start });
            }
            if part < PAYLOAD_MAX {
                return Ok(Front::Whole { end: at, payload, sequence });
            }
        }
    }

    /// Moves the parts of a payload together behind the first one's header; `end` is where the last ends.
    fn join(&mut self, end: usize) {
        let mut to = self.start + HEADER + PAYLOAD_MAX;
        let mut at = to;
        while at < end {
            let Some(header) = self.buffer.get(at..).and_then(|rest| rest.first_chunk::<HEADER>())
            else {
                return;
            };
            let part = length(*header);
            self.buffer.copy_within(at + HEADER..at + HEADER + part, to);
            to += part;
            at += HEADER + part;
        }
    }
}

/// What can be known of a payload without taking it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peek {
    /// Its first byte; none when it is empty.
    pub(crate) first: Option<u8>,
    /// Its size.
    pub(crate) payload: usize,
}

impl Peek {
    /// Whether this ends a result: EOF, or OK in its place. A row may start with 0xFE too, but only with a first value
    /// of 16 MiB or more.
    #[inline]
    pub(crate) fn is_end(self) -> bool {
        self.first == Some(0xFE) && self.payload < PAYLOAD_MAX
    }

    /// Whether this is an error; no row starts so.
    #[inline]
    pub(crate) fn is_error(self) -> bool {
        self.first == Some(0xFF)
    }
}

/// Appends a payload as packets from this sequence number on; returns the number behind them.
pub(crate) fn put_packets(out: &mut Vec<u8>, payload: &[u8], mut sequence: u8) -> u8 {
    let mut rest = payload;
    loop {
        let (part, tail) = rest.split_at(rest.len().min(PAYLOAD_MAX));
        let [a, b, c, ..] = (part.len() as u32).to_le_bytes();
        out.extend_from_slice(&[a, b, c, sequence]);
        out.extend_from_slice(part);
        sequence = sequence.wrapping_add(1);
        rest = tail;
        if part.len() < PAYLOAD_MAX {
            return sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut sequence = 0;
        for payload in payloads {
            sequence = put_packets(&mut out, payload, sequence);
        }
        out
    }

    fn is_row(peek: Peek) -> bool {
        !peek.is_end() && !peek.is_error()
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in_however_the_bytes_arrive(
            payloads in prop::collection::vec(prop::collection::vec(0u8..0xF0, 0..300), 0..600),
            pieces in prop::collection::vec(1usize..5000, 1..20),
            by_run: bool,
        ) {
            let bytes = stream(&payloads);
            let mut reader = PacketReader::new(1 << 20);
            let mut got: Vec<Vec<u8>> = Vec::new();
            let (mut at, mut piece) = (0, pieces.iter().cycle());
            while at < bytes.len() {
                let end = bytes.len().min(at + piece.next().unwrap());
                let room = reader.make_room();
                prop_assert!(room.capacity() > room.len());
                room.extend_from_slice(&bytes[at..end]);
                at = end;
                if by_run {
                    got.extend(reader.take_run(is_row).unwrap().map(<[u8]>::to_vec));
                } else {
                    while let Some(packet) = reader.next_packet().unwrap() {
                        got.push(packet.to_vec());
                    }
                }
            }
            prop_assert_eq!(got, payloads);
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic_or_hoard(bytes: Vec<u8>) {
            let mut reader = PacketReader::new(1 << 20);
            reader.make_room().extend_from_slice(&bytes);
            while let Ok(Some(_)) = reader.next_packet() {}
            prop_assert!(reader.make_room().capacity() <= (2 << 20) + BUFFER);
        }
    }

    #[test]
    fn huge_payloads_are_joined_and_their_memory_is_given_back() {
        for size in [PAYLOAD_MAX, PAYLOAD_MAX + 1, 2 * PAYLOAD_MAX, 2 * PAYLOAD_MAX + 77] {
            let huge: Vec<u8> = (0..size).map(|i| (i / 7) as u8 & 0x7F).collect();
            let payloads = [b"before".to_vec(), huge, b"behind".to_vec()];
            let mut reader = PacketReader::new(1 << 30);
            let mut got = Vec::new();
            for piece in stream(&payloads).chunks(5 << 20) {
                reader.make_room().extend_from_slice(piece);
                loop {
                    let run = reader.take_run(is_row).unwrap();
                    if run.len() == 0 {
                        break;
                    }
                    got.extend(run.map(<[u8]>::to_vec));
                }
            }
            assert!(got == payloads, "payload of {size} bytes");
            assert!(reader.make_room().capacity() <= 4 * BUFFER);
        }
    }

    #[test]
    fn a_wrong_sequence_number_is_reported_but_an_error_out_of_order_is_passed_on() {
        let mut reader = PacketReader::new(1 << 20);
        reader.make_room().extend_from_slice(&[1, 0, 0, 7, 0x00]);
        assert!(matches!(reader.next_packet(), Err(WireError::Protocol(_))));
        // What stands behind an empty packet is not its first byte.
        let mut reader = PacketReader::new(1 << 20);
        reader.make_room().extend_from_slice(&[0, 0, 0, 8, 0xFF, 0, 0, 0]);
        assert!(matches!(reader.next_packet(), Err(WireError::Protocol(_))));
        let mut reader = PacketReader::new(1 << 20);
        reader.set_sequence(1);
        reader.make_room().extend_from_slice(&[3, 0, 0, 0, 0xFF, 0xBF, 0x0F]);
        assert_eq!(reader.next_packet().unwrap(), Some(&[0xFF, 0xBF, 0x0F][..]));
    }

    #[test]
    fn a_packet_over_the_limit_is_refused_before_it_is_read() {
        let mut reader = PacketReader::new(1000);
        reader.make_room().extend_from_slice(&[0xE9, 0x03, 0, 0]);
        assert!(matches!(reader.next_packet(), Err(WireError::Protocol(_))));
    }

    #[test]
    fn a_run_stops_before_the_end_and_before_an_error() {
        for last in [0xFE, 0xFF] {
            let bytes = stream(&[vec![0, 1], vec![0, 2], vec![last, 0, 0, 2, 0]]);
            let mut reader = PacketReader::new(1 << 20);
            reader.make_room().extend_from_slice(&bytes);
            assert_eq!(reader.take_run(is_row).unwrap().len(), 2);
            assert_eq!(reader.take_run(is_row).unwrap().len(), 0);
            assert_eq!(reader.next_packet().unwrap().map(|packet| packet[0]), Some(last));
        }
    }
}
