//! MariaDB's UUID, INET4 and INET6: stored bytes into the text that the server prints.

use std::fmt::Write;

use super::error::Fault;

/// The log strips trailing zero bytes of these types, as of BINARY: puts them back.
pub(crate) fn padded<const N: usize>(cell: &[u8]) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    bytes
        .get_mut(..cell.len())
        .ok_or_else(|| Fault::new("a value is longer than its type"))?
        .copy_from_slice(cell);
    Ok(bytes)
}

/// Appends a UUID in its canonical form. The server stores versions 1 to 5 with their segments in reverse, so that
/// values of one node sort together, and later versions as they are; the stored bytes tell which.
pub(crate) fn write_uuid(stored: [u8; 16], out: &mut Vec<u8>) {
    let is_swapped = stored[6] & stored[8].wrapping_neg() & 0x80 != 0;
    let order: [usize; 16] = if is_swapped {
        [12, 13, 14, 15, 10, 11, 8, 9, 6, 7, 0, 1, 2, 3, 4, 5]
    } else {
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    };
    for (at, &from) in order.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        let byte = stored[from];
        out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
}

/// Appends `1.2.3.4`.
pub(crate) fn write_inet4(stored: [u8; 4], out: &mut Vec<u8>) {
    let [a, b, c, d] = stored;
    write_to(out, format_args!("{a}.{b}.{c}.{d}"));
}

/// Appends an IPv6 address as the server does: the first longest run of zero words becomes `::`, also a run of one, and
/// the tail of an IPv4-mapped or IPv4-compatible address is dotted.
pub(crate) fn write_inet6(stored: [u8; 16], out: &mut Vec<u8>) {
    let words: [u16; 8] =
        std::array::from_fn(|at| u16::from_be_bytes([stored[2 * at], stored[2 * at + 1]]));
    let (gap, gap_length) = longest_zero_run(&words);
    let mut at = 0;
    while at < 8 {
        if gap_length > 0 && at == gap {
            out.extend_from_slice(if at == 0 { b"::" } else { b":" });
            at += gap_length;
            continue;
        }
        let is_v4 = gap == 0 && (gap_length == 6 || gap_length == 5 && words[5] == 0xFFFF);
        if at == 6 && is_v4 {
            return write_inet4([stored[12], stored[13], stored[14], stored[15]], out);
        }
        write_to(out, format_args!("{:x}", words[at]));
        if at < 7 {
            out.push(b':');
        }
        at += 1;
    }
}

fn longest_zero_run(words: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut best_length) = (0, 0);
    let mut length = 0;
    for (at, &word) in words.iter().enumerate() {
        length = if word == 0 { length + 1 } else { 0 };
        if length > best_length {
            (best, best_length) = (at + 1 - length, length);
        }
    }
    (best, best_length)
}

fn write_to(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    struct Bytes<'a>(&'a mut Vec<u8>);
    impl Write for Bytes<'_> {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    Bytes(out).write_fmt(arguments).expect("writing to a vector does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn uuids_are_put_back_in_order() {
        let swapped = [
            0x44, 0x66, 0x55, 0x44, 0x00, 0x00, 0xA7, 0x16, 0x41, 0xD4, 0xE2, 0x9B, 0x55, 0x0E,
            0x84, 0x00,
        ];
        assert_eq!(text(|out| write_uuid(swapped, out)), "550e8400-e29b-41d4-a716-446655440000");
        let v7: [u8; 16] = std::array::from_fn(|at| match at {
            6 => 0x70,
            8 => 0x90,
            other => other as u8,
        });
        assert_eq!(text(|out| write_uuid(v7, out)), "00010203-0405-7007-9009-0a0b0c0d0e0f");
    }

    #[test]
    fn addresses_are_printed_as_the_server_does() {
        let check = |address: &str, expected: &str| {
            let stored = address.parse::<std::net::Ipv6Addr>().unwrap().octets();
            assert_eq!(text(|out| write_inet6(stored, out)), expected);
        };
        check("::", "::");
        check("::1", "::1");
        check("::1:0:1", "::1:0:1");
        check("1::", "1::");
        check("2001:db8::1:0:0:1", "2001:db8::1:0:0:1");
        check("1:0:3:4:5:6:7:8", "1::3:4:5:6:7:8");
        check("::ffff:1.2.3.4", "::ffff:1.2.3.4");
        check("::1.2.3.4", "::1.2.3.4");
        assert_eq!(text(|out| write_inet4([127, 0, 0, 1], out)), "127.0.0.1");
    }

    #[test]
    fn stripped_zeros_come_back() {
        assert_eq!(padded::<4>(&[10]), Ok([10, 0, 0, 0]));
        assert!(padded::<4>(&[0; 5]).is_err());
    }
}
