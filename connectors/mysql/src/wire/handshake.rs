//! The greeting of the server and our answer to it.

use mysql_common::constants::CapabilityFlags;

use super::{
    error::WireError,
    payload::{Payload, put_lenenc, put_string, server_error},
};

/// utf8mb4_general_ci, known to every server from 5.5 on: what statements and metadata are written in.
const UTF8MB4: u8 = 45;

/// What the server says first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) capabilities: CapabilityFlags,
    /// What passwords are scrambled with, without the zero byte at its end.
    pub(crate) nonce: Vec<u8>,
    pub(crate) plugin: Vec<u8>,
}

impl Greeting {
    /// Reads protocol version 10, the only one since MySQL 3.21.
    pub(crate) fn parse(packet: &[u8]) -> Result<Greeting, WireError> {
        let mut rest = Payload(packet);
        match rest.u8()? {
            10 => {}
            0xFF => return Err(server_error(packet)),
            other => {
                return Err(WireError::protocol(format!(
                    "the greeting has version {other}, not 10: is this a MySQL server?"
                )));
            }
        }
        let version = String::from_utf8_lossy(rest.until_zero()).into_owned();
        // The connection's number.
        rest.u32()?;
        let mut nonce = rest.bytes(8)?.to_vec();
        rest.u8()?;
        let low = rest.u16()?;
        rest.u8()?;
        rest.u16()?;
        let high = rest.u16()?;
        let nonce_length = rest.u8()?;
        rest.bytes(10)?;
        let capabilities =
            CapabilityFlags::from_bits_truncate(u32::from(low) | (u32::from(high) << 16));
        if !capabilities.contains(
            CapabilityFlags::CLIENT_PROTOCOL_41 | CapabilityFlags::CLIENT_SECURE_CONNECTION,
        ) {
            return Err(WireError::protocol("the server is older than MySQL 4.1"));
        }
        let tail = usize::from(nonce_length).saturating_sub(8).max(13);
        nonce.extend_from_slice(rest.bytes(tail.min(rest.0.len()))?);
        if nonce.last() == Some(&0) {
            nonce.pop();
        }
        let plugin = if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
            rest.until_zero().to_vec()
        } else {
            b"mysql_native_password".to_vec()
        };
        Ok(Greeting { version, capabilities, nonce, plugin })
    }

    /// What both sides can do and we want.
    pub(crate) fn agreed(&self, tls: bool) -> CapabilityFlags {
        let mut wanted = CapabilityFlags::CLIENT_LONG_PASSWORD
            | CapabilityFlags::CLIENT_LONG_FLAG
            | CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_TRANSACTIONS
            | CapabilityFlags::CLIENT_SECURE_CONNECTION
            | CapabilityFlags::CLIENT_PLUGIN_AUTH
            | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA
            | CapabilityFlags::CLIENT_CONNECT_ATTRS
            | CapabilityFlags::CLIENT_DEPRECATE_EOF;
        if tls {
            wanted |= CapabilityFlags::CLIENT_SSL;
        }
        // Old MariaDB servers leave the first flag out and mean something else by that.
        (self.capabilities & wanted) | CapabilityFlags::CLIENT_LONG_PASSWORD
    }
}

/// The head of our answer; alone it asks for TLS.
pub(crate) fn response_head(capabilities: CapabilityFlags) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(&capabilities.bits().to_le_bytes());
    out.extend_from_slice(&(1u32 << 30).to_le_bytes());
    out.push(UTF8MB4);
    out.extend_from_slice(&[0; 23]);
    out
}

/// Our whole answer: who we are, the first proof of the password, connection attributes.
pub(crate) fn response(
    capabilities: CapabilityFlags,
    user: &str,
    proof: &[u8],
    plugin: &[u8],
    attributes: &[(String, String)],
) -> Result<Vec<u8>, WireError> {
    if user.contains('\0') {
        return Err(WireError::Auth("the user's name has a zero byte".into()));
    }
    let mut out = response_head(capabilities);
    out.extend_from_slice(user.as_bytes());
    out.push(0);
    if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA) {
        put_string(&mut out, proof);
    } else {
        let length = u8::try_from(proof.len())
            .map_err(|_| WireError::Auth("the server is too old for its own plugin".into()))?;
        out.push(length);
        out.extend_from_slice(proof);
    }
    if capabilities.contains(CapabilityFlags::CLIENT_PLUGIN_AUTH) {
        out.extend_from_slice(plugin);
        out.push(0);
    }
    if capabilities.contains(CapabilityFlags::CLIENT_CONNECT_ATTRS) {
        let mut pairs = Vec::new();
        for (name, value) in attributes {
            put_string(&mut pairs, name.as_bytes());
            put_string(&mut pairs, value.as_bytes());
        }
        put_lenenc(&mut out, pairs.len() as u64);
        out.extend_from_slice(&pairs);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MySQL 8 sends it: 20 bytes of nonce in two parts and caching_sha2_password.
    fn greeting() -> Vec<u8> {
        let mut out = b"\x0A8.4.3\0".to_vec();
        out.extend_from_slice(&77u32.to_le_bytes());
        out.extend_from_slice(b"ABCDEFGH\0");
        out.extend_from_slice(&[0xFF, 0xFF, 0xFF, 0x02, 0x00, 0xFF, 0xDF, 21]);
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(b"IJKLMNOPQRST\0caching_sha2_password\0");
        out
    }

    #[test]
    fn a_greeting_is_read() {
        let got = Greeting::parse(&greeting()).unwrap();
        assert_eq!(got.version, "8.4.3");
        assert_eq!(got.nonce, b"ABCDEFGHIJKLMNOPQRST");
        assert_eq!(got.plugin, b"caching_sha2_password");
        assert!(got.agreed(true).contains(CapabilityFlags::CLIENT_SSL));
        assert!(!got.agreed(false).contains(CapabilityFlags::CLIENT_SSL));
        assert!(!got.agreed(false).contains(CapabilityFlags::CLIENT_LOCAL_FILES));
    }

    #[test]
    fn a_cut_greeting_is_an_error_and_no_panic() {
        let whole = greeting();
        for end in 0..whole.len() - 35 {
            assert!(Greeting::parse(&whole[..end]).is_err(), "{end}");
        }
        assert!(matches!(
            Greeting::parse(b"\xFF\x69\x04Host is blocked"),
            Err(WireError::Server { code: 1129, .. })
        ));
        let error = Greeting::parse(b"SSH-2.0-OpenSSH").unwrap_err().to_string();
        assert!(error.contains("is this a MySQL server?"), "{error}");
    }

    #[test]
    fn our_answer_has_the_parts_that_were_agreed() {
        let flags = CapabilityFlags::CLIENT_PROTOCOL_41
            | CapabilityFlags::CLIENT_PLUGIN_AUTH
            | CapabilityFlags::CLIENT_CONNECT_ATTRS
            | CapabilityFlags::CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA;
        let attributes = [("program_name".to_owned(), "cdc-cli".to_owned())];
        let out = response(flags, "cdc", b"xyz", b"plug", &attributes).unwrap();
        assert_eq!(out[32..], *b"cdc\0\x03xyzplug\0\x15\x0Cprogram_name\x07cdc-cli");
        assert!(response(flags, "c\0dc", b"", b"plug", &[]).is_err());
    }
}
