//! The Unicode encodings of the server. Each function appends what is text and returns the offset where text ends.

fn push(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

pub(super) fn utf8(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    match std::str::from_utf8(bytes) {
        Ok(_) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        Err(error) => {
            let at = error.valid_up_to();
            out.extend_from_slice(bytes.get(..at).unwrap_or_default());
            Err(at)
        }
    }
}

pub(super) fn utf8mb3(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    match bytes.iter().position(|&byte| byte >= 0xf0) {
        None => utf8(bytes, out),
        Some(at) => {
            utf8(bytes.get(..at).unwrap_or_default(), out)?;
            Err(at)
        }
    }
}

pub(super) fn utf16(
    bytes: &[u8],
    unit: fn([u8; 2]) -> u16,
    out: &mut Vec<u8>,
) -> Result<(), usize> {
    let (units, rest) = bytes.as_chunks::<2>();
    let mut at = 0;
    for character in char::decode_utf16(units.iter().map(|&bytes| unit(bytes))) {
        let character = character.map_err(|_| at)?;
        push(character, out);
        at += character.len_utf16() * 2;
    }
    if rest.is_empty() { Ok(()) } else { Err(at) }
}

pub(super) fn ucs2(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let (units, rest) = bytes.as_chunks::<2>();
    for (i, &unit) in units.iter().enumerate() {
        let code = u32::from(u16::from_be_bytes(unit));
        push(char::from_u32(code).ok_or(i * 2)?, out);
    }
    if rest.is_empty() { Ok(()) } else { Err(units.len() * 2) }
}

pub(super) fn utf32(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
    let (units, rest) = bytes.as_chunks::<4>();
    for (i, &unit) in units.iter().enumerate() {
        push(char::from_u32(u32::from_be_bytes(unit)).ok_or(i * 4)?, out);
    }
    if rest.is_empty() { Ok(()) } else { Err(units.len() * 4) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::charset::Charset;

    fn check(charset: &Charset, bytes: &[u8], text: &str, end: Result<(), usize>) {
        let mut out = Vec::new();
        assert_eq!(charset.decode_into(bytes, &mut out), end, "{charset:?} {bytes:x?}");
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn text_ends_where_the_first_bad_byte_is() {
        check(&Charset::Utf8, "aé😀".as_bytes(), "aé😀", Ok(()));
        check(&Charset::Utf8, b"a\xff", "a", Err(1));
        check(&Charset::Utf8Mb3, "aé😀".as_bytes(), "aé", Err(3));
        check(&Charset::Utf8Mb3, b"\xe9a\xf0", "", Err(0));
        check(&Charset::Utf16, &[0, 97, 0xd8, 0x3d, 0xde, 0], "a😀", Ok(()));
        check(&Charset::Utf16, &[0, 97, 0xde, 0, 0, 98], "a", Err(2));
        check(&Charset::Utf16, &[0, 97, 0xd8, 0x3d], "a", Err(2));
        check(&Charset::Utf16Le, &[97, 0, 98], "a", Err(2));
        check(&Charset::Ucs2, &[0, 97, 0xd8, 0x3d, 0xde, 0], "a", Err(2));
        check(&Charset::Utf32, &[0, 1, 0xf6, 0, 0, 0x11, 0, 0], "😀", Err(4));
    }

    proptest! {
        #[test]
        fn every_encoding_is_read_back(text in any::<String>()) {
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let wide: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
            check(&Charset::Utf16, &big, &text, Ok(()));
            check(&Charset::Utf16Le, &little, &text, Ok(()));
            check(&Charset::Utf32, &wide, &text, Ok(()));
        }
    }
}
