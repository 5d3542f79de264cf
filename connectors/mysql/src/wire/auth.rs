//! Logging in: what each authentication plugin wants to see.
//!
//! In: the server's nonce and questions. Out: proofs of the password. The password itself leaves only inside TLS or
//! encrypted with the server's RSA key.

use mysql_common::{crypto, scramble};

use super::{channel::Channel, error::WireError, options::ConnectOptions, payload::Payload};

/// The plugins that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plugin {
    NativePassword,
    CachingSha2,
    Sha256,
    Ed25519,
}

impl Plugin {
    fn named(name: &[u8]) -> Option<Plugin> {
        Some(match name {
            b"mysql_native_password" => Plugin::NativePassword,
            b"caching_sha2_password" => Plugin::CachingSha2,
            b"sha256_password" => Plugin::Sha256,
            b"client_ed25519" => Plugin::Ed25519,
            _ => return None,
        })
    }

    fn name(self) -> &'static [u8] {
        match self {
            Plugin::NativePassword => b"mysql_native_password",
            Plugin::CachingSha2 => b"caching_sha2_password",
            Plugin::Sha256 => b"sha256_password",
            Plugin::Ed25519 => b"client_ed25519",
        }
    }

    /// The first proof. An empty password has an empty one.
    fn proof(self, password: &str, nonce: &[u8], encrypted: bool) -> Vec<u8> {
        let password = password.as_bytes();
        match self {
            Plugin::NativePassword => scramble::scramble_native(nonce, password)
                .map(|proof| proof.to_vec())
                .unwrap_or_default(),
            Plugin::CachingSha2 => scramble::scramble_sha256(nonce, password)
                .map(|proof| proof.to_vec())
                .unwrap_or_default(),
            Plugin::Sha256 if password.is_empty() => vec![0],
            Plugin::Sha256 if encrypted => [password, b"\0"].concat(),
            // Asks for the server's RSA key.
            Plugin::Sha256 => vec![1],
            Plugin::Ed25519 => scramble::create_response_for_ed25519(password, nonce).to_vec(),
        }
    }
}

/// The plugin to begin with and its first proof, to be sent with our answer to the greeting.
pub(crate) struct Login<'a> {
    options: &'a ConnectOptions,
    plugin: Plugin,
    nonce: Vec<u8>,
}

impl<'a> Login<'a> {
    /// Begins with the server's default plugin; with an unknown one the server switches to the account's own.
    pub(crate) fn new(options: &'a ConnectOptions, plugin: &[u8], nonce: Vec<u8>) -> Self {
        let plugin = Plugin::named(plugin).unwrap_or(Plugin::NativePassword);
        Login { options, plugin, nonce }
    }

    pub(crate) fn plugin_name(&self) -> &'static [u8] {
        self.plugin.name()
    }

    pub(crate) fn first_proof(&self, encrypted: bool) -> Vec<u8> {
        self.plugin.proof(&self.options.password, &self.nonce, encrypted)
    }

    /// Answers the server's questions until it lets us in.
    pub(crate) async fn finish(mut self, channel: &mut Channel) -> Result<(), WireError> {
        // A well-behaved server asks three times at most.
        for _ in 0..8 {
            let packet = channel.packet().await?.to_vec();
            match packet.split_first() {
                Some((0x00, _)) => return Ok(()),
                Some((0xFE, rest)) => self.switch(channel, rest).await?,
                Some((0x01, more)) => self.more(channel, more).await?,
                _ => return Err(WireError::protocol("an unknown packet during login")),
            }
        }
        Err(WireError::Auth("the server keeps asking".into()))
    }

    async fn switch(&mut self, channel: &mut Channel, request: &[u8]) -> Result<(), WireError> {
        let mut rest = Payload(request);
        let name = rest.until_zero();
        self.plugin = Plugin::named(name).ok_or_else(|| {
            let name = if name.is_empty() { b"mysql_old_password" } else { name };
            WireError::Auth(format!(
                "the account uses the plugin {}, which is not supported",
                String::from_utf8_lossy(name)
            ))
        })?;
        self.nonce = rest.0.strip_suffix(b"\0").unwrap_or(rest.0).to_vec();
        let proof = self.first_proof(channel.is_encrypted());
        channel.reply(&proof).await
    }

    async fn more(&mut self, channel: &mut Channel, more: &[u8]) -> Result<(), WireError> {
        match (self.plugin, more) {
            // The server knew the password from an earlier login; OK follows.
            (Plugin::CachingSha2, [3]) => Ok(()),
            (Plugin::CachingSha2, [4]) if channel.is_encrypted() => {
                let clear = [self.options.password.as_bytes(), b"\0"].concat();
                channel.reply(&clear).await
            }
            // Asks for the server's RSA key; it comes as another packet of this kind.
            (Plugin::CachingSha2, [4]) => channel.reply(&[2]).await,
            (Plugin::CachingSha2 | Plugin::Sha256, key) if key.starts_with(b"-----BEGIN") => {
                let sealed = seal(&self.options.password, &self.nonce, key)?;
                channel.reply(&sealed).await
            }
            _ => Err(WireError::protocol("an unknown question during login")),
        }
    }
}

/// The password, masked with the nonce and encrypted with the server's RSA key.
fn seal(password: &str, nonce: &[u8], key: &[u8]) -> Result<Vec<u8>, WireError> {
    if nonce.is_empty() {
        return Err(WireError::protocol("the server gave no nonce"));
    }
    let masked: Vec<u8> = password
        .bytes()
        .chain([0])
        .zip(nonce.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    // The library panics on a key that it cannot read and on a password that is too long for the key.
    std::panic::catch_unwind(|| crypto::encrypt(&masked, key)).map_err(|_| {
        WireError::Auth("the server's RSA key is broken or too short for the password".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_have_the_length_their_plugin_wants_and_none_for_no_password() {
        let nonce = b"ABCDEFGHIJKLMNOPQRST";
        assert_eq!(Plugin::NativePassword.proof("secret", nonce, false).len(), 20);
        assert_eq!(Plugin::CachingSha2.proof("secret", nonce, false).len(), 32);
        assert_eq!(Plugin::CachingSha2.proof("", nonce, false), b"");
        assert_eq!(Plugin::Ed25519.proof("secret", nonce, false).len(), 64);
        assert_eq!(Plugin::Sha256.proof("secret", nonce, true), b"secret\0");
        assert_eq!(Plugin::Sha256.proof("secret", nonce, false), [1]);
    }

    #[test]
    fn a_broken_key_is_an_error() {
        let key = b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n";
        assert!(matches!(seal("secret", b"nonce", key), Err(WireError::Auth(_))));
        assert!(matches!(seal("secret", b"", key), Err(WireError::Protocol(_))));
    }
}
