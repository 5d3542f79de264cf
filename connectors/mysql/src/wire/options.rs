//! What a connection is made from.

use std::{fmt, path::PathBuf, time::Duration};

/// How far TLS is asked for and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsMode {
    /// Never.
    Disabled,
    /// When the server offers it; the certificate is not checked.
    #[default]
    Preferred,
    /// Always; the certificate is not checked.
    Required,
    /// Always; the certificate must come from a trusted authority.
    VerifyCa,
    /// Always; the certificate must also name the host.
    VerifyFull,
}

impl TlsMode {
    /// Whether the server proves who it is.
    pub fn verifies(self) -> bool {
        matches!(self, TlsMode::VerifyCa | TlsMode::VerifyFull)
    }
}

/// TLS settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// How far.
    pub mode: TlsMode,
    /// PEM file of the trusted authorities; the system's when absent.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub cert: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub key: Option<PathBuf>,
}

/// Everything a connection needs. `Debug` never prints the password.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account name.
    pub user: String,
    /// Its password; empty for none.
    pub password: String,
    /// For name resolution, TCP, TLS and login together.
    pub connect_timeout: Duration,
    /// Silence after which a peer is taken for dead while an answer is due; none waits for ever.
    pub read_timeout: Option<Duration>,
    /// TLS.
    pub tls: TlsOptions,
    /// Shown by the server's `session_connect_attrs`: program_name and the like.
    pub attributes: Vec<(String, String)>,
    /// First TCP keepalive probe after this much silence; probes follow at a third of it.
    pub keepalive: Duration,
    /// The largest packet that is accepted, bytes; the protocol's own limit is 1 GiB.
    pub packet_bytes_max: usize,
}

impl ConnectOptions {
    /// Options for a server with the usual time-outs and TLS as preferred.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        password: impl Into<String>,
    ) -> Self {
        ConnectOptions {
            host: host.into(),
            port,
            user: user.into(),
            password: password.into(),
            connect_timeout: Duration::from_secs(30),
            read_timeout: None,
            tls: TlsOptions::default(),
            attributes: vec![("program_name".into(), "cdc-cli".into())],
            keepalive: Duration::from_secs(15),
            packet_bytes_max: 1 << 30,
        }
    }

    /// `host:port`, for messages.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("address", &self.address())
            .field("user", &self.user)
            .field("password", &"***")
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .field("read_timeout", &self.read_timeout)
            .finish_non_exhaustive()
    }
}
