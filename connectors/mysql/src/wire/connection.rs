//! One connection, from the TCP handshake to the last command.
//!
//! Commands run one after another. A command that is cancelled or a result that is not read to its end leaves the
//! connection unusable: every later call answers with a protocol error, and the caller connects anew.

use std::time::Duration;

use mysql_common::constants::CapabilityFlags;
use tokio::time::timeout;

use super::{
    auth::Login,
    channel::Channel,
    error::WireError,
    handshake::{self, Greeting},
    options::{ConnectOptions, TlsMode},
    tls,
};

/// What a packet may have before the server knows us and we know the server.
const GREETING_BYTES_MAX: usize = 64 << 10;

/// Command codes of the protocol.
pub(crate) mod command {
    pub(crate) const QUIT: u8 = 0x01;
    pub(crate) const QUERY: u8 = 0x03;
    pub(crate) const PING: u8 = 0x0E;
    pub(crate) const BINLOG_DUMP: u8 = 0x12;
    pub(crate) const REGISTER_SLAVE: u8 = 0x15;
    pub(crate) const STMT_PREPARE: u8 = 0x16;
    pub(crate) const STMT_EXECUTE: u8 = 0x17;
    pub(crate) const STMT_CLOSE: u8 = 0x19;
    pub(crate) const BINLOG_DUMP_GTID: u8 = 0x1E;
}

/// A connection that is logged in.
pub struct Connection {
    pub(crate) channel: Channel,
    pub(crate) capabilities: CapabilityFlags,
    /// Whether an answer is being read; stays set when its reading was given up.
    pub(crate) busy: bool,
    version: String,
    verified: bool,
}

impl Connection {
    /// Connects and logs in, within `connect_timeout`.
    ///
    /// # Errors
    /// `Connect` when the server cannot be reached, `Tls`, `Auth`, `Server` (access denied and the like), `Timeout`.
    pub async fn connect(options: &ConnectOptions) -> Result<Connection, WireError> {
        let after = options.connect_timeout;
        match timeout(after, Box::pin(Self::login(options))).await {
            Ok(done) => done,
            Err(_) => {
                let source = std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no answer within {after:?}"),
                );
                Err(WireError::Connect { address: options.address(), source })
            }
        }
    }

    async fn login(options: &ConnectOptions) -> Result<Connection, WireError> {
        let mut channel = Channel::open(options, GREETING_BYTES_MAX).await?;
        let greeting = Greeting::parse(channel.packet().await?)?;
        let offered = greeting.capabilities.contains(CapabilityFlags::CLIENT_SSL);
        let mode = options.tls.mode;
        if !offered && !matches!(mode, TlsMode::Disabled | TlsMode::Preferred) {
            return Err(WireError::Tls("the server does not offer TLS".into()));
        }
        let encrypt = offered && mode != TlsMode::Disabled;
        let capabilities = greeting.agreed(encrypt);
        if encrypt {
            let connector = tls::connector(&options.tls)?;
            let name = tls::server_name(&options.host, mode)?;
            channel.reply(&handshake::response_head(capabilities)).await?;
            channel = channel.encrypt(&connector, name).await?;
        }
        let login = Login::new(options, &greeting.plugin, greeting.nonce.clone());
        let answer = handshake::response(
            capabilities,
            &options.user,
            &login.first_proof(encrypt),
            login.plugin_name(),
            &options.attributes,
        )?;
        channel.reply(&answer).await?;
        login.finish(&mut channel).await?;
        channel.reader.set_bytes_max(options.packet_bytes_max);
        channel.set_read_timeout(options.read_timeout);
        Ok(Connection {
            channel,
            capabilities,
            busy: false,
            version: greeting.version,
            verified: encrypt && mode.verifies(),
        })
    }

    /// The server's version as it greets, e.g. `9.7.0` or `5.5.5-10.11.6-MariaDB-log`.
    pub fn server_version(&self) -> &str {
        &self.version
    }

    /// Whether the bytes travel in TLS.
    pub fn is_encrypted(&self) -> bool {
        self.channel.is_encrypted()
    }

    /// Whether the server has proven who it is.
    pub fn tls_verified(&self) -> bool {
        self.verified
    }

    /// Silence after which the peer is taken for dead while an answer is due.
    pub fn set_read_timeout(&mut self, limit: Option<Duration>) {
        self.channel.set_read_timeout(limit);
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// As for any command.
    pub async fn ping(&mut self) -> Result<(), WireError> {
        self.begin(command::PING, &[]).await?;
        self.channel.packet().await?;
        self.busy = false;
        Ok(())
    }

    /// Says goodbye; the server frees the session at once.
    pub async fn quit(mut self) {
        // The connection ends either way.
        let _ = self.channel.command(command::QUIT, &[]).await;
    }

    /// Sends a command whose answer the caller reads; until it clears `busy` the connection takes no other.
    pub(crate) async fn begin(&mut self, code: u8, body: &[u8]) -> Result<(), WireError> {
        if self.busy {
            return Err(WireError::protocol(
                "an earlier answer on this connection was not read to its end",
            ));
        }
        self.busy = true;
        self.channel.command(code, body).await
    }

    /// The first packet of an answer. After an error the server is ready for the next command.
    pub(crate) async fn answer(&mut self) -> Result<&[u8], WireError> {
        match self.channel.packet().await {
            Ok(packet) => Ok(packet),
            Err(error) => {
                self.busy = !matches!(error, WireError::Server { .. });
                Err(error)
            }
        }
    }
}
