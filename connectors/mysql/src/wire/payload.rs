//! Checked reading of one packet's payload, and writing of the protocol's integers and strings.

use super::error::WireError;

/// What is left of a payload. Every read checks its bounds: the bytes are a server's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Payload<'a>(pub(crate) &'a [u8]);

impl<'a> Payload<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        match self.0.split_at_checked(count) {
            Some((head, rest)) => {
                self.0 = rest;
                Ok(head)
            }
            None => Err(WireError::protocol("a packet ends early")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self.0.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.0 = rest;
                Ok(*head)
            }
            None => Err(WireError::protocol("a packet ends early")),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }
    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }
    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A length-encoded integer; none for the NULL mark of text rows.
    pub(crate) fn lenenc(&mut self) -> Result<Option<u64>, WireError> {
        Ok(Some(match self.u8()? {
            small @ 0..=0xFA => u64::from(small),
            0xFB => return Ok(None),
            0xFC => u64::from(self.u16()?),
            0xFD => {
                let [a, b, c] = self.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            0xFE => u64::from_le_bytes(self.array()?),
            0xFF => return Err(WireError::protocol("a length starts with 0xFF")),
        }))
    }

    /// A length-encoded string; none for NULL.
    pub(crate) fn string(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.lenenc()? {
            None => Ok(None),
            Some(length) => {
                let length = usize::try_from(length)
                    .map_err(|_| WireError::protocol("a string is longer than memory"))?;
                self.bytes(length).map(Some)
            }
        }
    }

    /// Up to a zero byte, or to the end when there is none.
    pub(crate) fn until_zero(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        let (head, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        head
    }
}

/// Appends a length-encoded integer.
pub(crate) fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xFA => out.push(bytes[0]),
        0xFB..=0xFFFF => {
            out.push(0xFC);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xFF_FFFF => {
            out.push(0xFD);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xFE);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a length-encoded string.
pub(crate) fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    put_lenenc(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Reads the server's error packet, first byte 0xFF included.
pub(crate) fn server_error(packet: &[u8]) -> WireError {
    let mut rest = Payload(packet.get(1..).unwrap_or_default());
    let Ok(code) = rest.u16() else {
        return WireError::protocol("an error packet ends early");
    };
    // Before the handshake is done the SQL state is left out.
    let sqlstate = match rest.0.first_chunk::<6>() {
        Some([b'#', state @ ..]) => {
            rest.0 = &rest.0[6..];
            String::from_utf8_lossy(state).into_owned()
        }
        _ => "HY000".to_owned(),
    };
    WireError::Server { code, sqlstate, message: String::from_utf8_lossy(rest.0).into_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_read_back(value: u64, text: Vec<u8>) {
            let mut out = Vec::new();
            put_lenenc(&mut out, value);
            put_string(&mut out, &text);
            let mut payload = Payload(&out);
            prop_assert_eq!(payload.lenenc().unwrap(), Some(value));
            prop_assert_eq!(payload.string().unwrap(), Some(text.as_slice()));
            prop_assert!(payload.0.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut payload = Payload(&bytes);
            while payload.string().is_ok() && !payload.0.is_empty() {}
            server_error(&bytes);
        }
    }

    #[test]
    fn an_error_packet_is_read_with_and_without_sql_state() {
        let text = server_error(b"\xFF\x15\x04#28000Access denied").to_string();
        assert_eq!(text, "database server error 1045 (28000): Access denied");
        let text = server_error(b"\xFF\x10\x04Too many connections").to_string();
        assert_eq!(text, "database server error 1040 (HY000): Too many connections");
    }
}
