//! Bounded inflating of what MariaDB deflates in its log: whole events and COMPRESSED columns.

use flate2::{Decompress, FlushDecompress, Status};

use super::{cursor::Cursor, error::Fault};

/// Deflate cannot shrink more than this; a bigger claim is a lie.
const RATIO_MAX: usize = 1032;

/// No value and no event is longer: `max_allowed_packet` cannot be set higher.
const BYTES_MAX: usize = 1 << 30;
/// Room is made in steps, so that it grows with what really comes and not with what was announced.
const ROOM_BYTES_MIN: usize = 64 << 10;

/// Appends exactly `length` inflated bytes to `out`.
fn inflate(
    inflater: &mut Decompress,
    zlib_header: bool,
    deflated: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    if length > BYTES_MAX || length > deflated.len().saturating_mul(RATIO_MAX).saturating_add(64) {
        return Err(Fault::new(format!(
            "{} compressed bytes claim to hold {length} bytes",
            deflated.len()
        )));
    }
    inflater.reset(zlib_header);
    let start = out.len();
    let other_length = || Fault::new("a compressed value has another length than it says");
    let mut rest = deflated;
    loop {
        let produced = out.len() - start;
        // A byte more than is claimed, so that a stream which holds more is noticed.
        let Some(missing) = (length + 1).checked_sub(produced) else { return Err(other_length()) };
        out.reserve(missing.min(produced.max(ROOM_BYTES_MIN)));
        let read_before = inflater.total_in();
        let status = inflater
            .decompress_vec(rest, out, FlushDecompress::None)
            .map_err(|_| Fault::new("a compressed value is no zlib stream"))?;
        let read = usize::try_from(inflater.total_in() - read_before).unwrap_or(usize::MAX);
        rest = rest.get(read..).unwrap_or_default();
        if status == Status::StreamEnd {
            return if out.len() - start == length { Ok(()) } else { Err(other_length()) };
        }
        if read == 0 && out.len() - start == produced {
            return Err(Fault::new("a compressed value does not end where it says"));
        }
    }
}

/// Appends the payload of a compressed MariaDB event: a header byte (0x80, algorithm in bits 4–6, bytes of the length in
/// the lower three), the length big-endian, a zlib stream. `bytes_max` bounds the result.
pub(super) fn inflate_event_payload(
    payload: &[u8],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut cursor = Cursor::new(payload);
    let header = cursor.u8()?;
    if header & 0xF0 != 0x80 {
        return Err(Fault::new(format!("compressed event with header byte 0x{header:02X}")));
    }
    let width = usize::from(header & 7);
    if !(1..=4).contains(&width) {
        return Err(Fault::new("a compressed event has an impossible length"));
    }
    let length = cursor.uint_be(width)? as usize;
    if length > bytes_max {
        return Err(Fault::new(format!(
            "a compressed event claims {length} bytes, more than the {bytes_max} allowed"
        )));
    }
    inflate(&mut Decompress::new(true), true, cursor.rest(), length, out)
}

/// Appends one cell of a COMPRESSED column: a header byte (method in the upper half: 0 stored, 8 zlib; bit 3: no zlib
/// header; lower three: bytes of the length), the length big-endian, the stream. An empty cell has no header.
pub(super) fn inflate_cell(
    cell: &[u8],
    inflater: &mut Option<Box<Decompress>>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let Some((&header, rest)) = cell.split_first() else { return Ok(()) };
    match header >> 4 {
        0 => {
            out.extend_from_slice(rest);
            Ok(())
        }
        8 => {
            let mut cursor = Cursor::new(rest);
            let length = cursor.uint_be(usize::from(header & 7))?;
            let length = usize::try_from(length).map_err(|_| Fault::cut_off())?;
            let inflater = inflater.get_or_insert_with(|| Box::new(Decompress::new(true)));
            inflate(inflater, header & 8 == 0, cursor.rest(), length, out)
        }
        other => Err(Fault::new(format!("compression method {other} of a COMPRESSED column"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn event(claim: u16, bytes: &[u8]) -> Vec<u8> {
        let mut payload = vec![0x82];
        payload.extend(claim.to_be_bytes());
        payload.extend(deflated(bytes));
        payload
    }

    #[test]
    fn events_inflate_to_what_they_claim() {
        let bytes = [7; 1000];
        let mut out = vec![1];
        inflate_event_payload(&event(1000, &bytes), 1 << 20, &mut out).unwrap();
        assert_eq!((out[0], &out[1..]), (1, &bytes[..]));
    }

    #[test]
    fn lies_about_the_length_are_refused() {
        let bytes = [7; 1000];
        for claim in [0, 1, 999, 1001, 60_000] {
            let refused = inflate_event_payload(&event(claim, &bytes), 1 << 20, &mut Vec::new());
            assert!(refused.is_err(), "{claim}");
        }
        assert!(inflate_event_payload(&event(1000, &bytes), 999, &mut Vec::new()).is_err());
        let bomb = [0x84, 0xFF, 0xFF, 0xFF, 0xFF, 0x78, 0x9C];
        assert!(inflate_event_payload(&bomb, usize::MAX, &mut Vec::new()).is_err());
    }

    /// As much as deflate can claim from few bytes: nothing is made room for before it comes.
    #[test]
    fn what_a_cell_announces_is_not_allocated() {
        let mut cell = vec![0x84, 0x03, 0xFF, 0xFF, 0xFF];
        cell.extend(deflated(&vec![1; 70_000]));
        cell.resize(1 << 20, 0);
        let mut out = Vec::new();
        assert!(inflate_cell(&cell, &mut None, &mut out).is_err());
        assert!(out.capacity() < 1 << 20, "{}", out.capacity());
        // More than any value may have, whatever the ratio.
        let absurd = [&[0x85, 1, 0, 0, 0, 0][..], &vec![0; 5 << 20]].concat();
        assert!(inflate_cell(&absurd, &mut None, &mut Vec::new()).is_err());
        for end in 0..40 {
            assert!(
                inflate_cell(
                    &[&[0x82, 3, 232][..], &deflated(&[5; 1000])[..end.min(10)]].concat(),
                    &mut None,
                    &mut Vec::new()
                )
                .is_err()
            );
        }
    }

    #[test]
    fn cells_are_stored_or_deflated() {
        let mut inflater = None;
        let mut out = Vec::new();
        inflate_cell(b"", &mut inflater, &mut out).unwrap();
        inflate_cell(b"\0abc", &mut inflater, &mut out).unwrap();
        let mut cell = vec![0x81, 200];
        cell.extend(deflated(&[b'x'; 200]));
        inflate_cell(&cell, &mut inflater, &mut out).unwrap();
        assert_eq!(out.len(), 203);
        assert!(inflate_cell(&[0x70, 1], &mut inflater, &mut out).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = inflate_event_payload(&bytes, 1 << 16, &mut Vec::new());
            let _ = inflate_cell(&bytes, &mut None, &mut Vec::new());
        }
    }
}
