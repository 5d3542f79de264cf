//! What can go wrong on a connection, and who has to act on it.

use std::{io, time::Duration};

use cdc_api::Error;

/// A failure of one connection. All but [`WireError::Server`] leave the connection unusable.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The server could not be reached.
    #[error("cannot connect to database server {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection broke.
    #[error("connection to the database server broke")]
    Io(#[from] io::Error),
    /// The server answered with an error.
    #[error("database server error {code} ({sqlstate}): {message}")]
    Server {
        /// The server's error number.
        code: u16,
        /// Five characters.
        sqlstate: String,
        /// The server's text.
        message: String,
    },
    /// The server sent what the protocol does not allow, or the connection was used out of order.
    #[error("database protocol violated: {0}")]
    Protocol(String),
    /// The server asks for a way of logging in that is not to be had.
    #[error("cannot log in: {0}")]
    Auth(String),
    /// The TLS set-up failed.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// Nothing came for too long: the peer is taken for dead.
    #[error("the database server was silent for {} while {during}", seconds(.after))]
    Timeout {
        /// What was waited for.
        during: &'static str,
        /// For how long.
        after: Duration,
    },
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// Server errors that go away by themselves: too many connections, shutdown, killed or idle connections, lock waits and
/// deadlocks, offline mode.
const TRANSIENT_CODES: [u16; 21] = [
    1040, 1041, 1042, 1053, 1077, 1078, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1205,
    1213, 1927, 3032, 3169, 4031,
];

impl WireError {
    /// A violation of the protocol.
    pub(crate) fn protocol(what: impl Into<String>) -> Self {
        WireError::Protocol(what.into())
    }

    /// The server's error number, when the server answered.
    pub fn code(&self) -> Option<u16> {
        match self {
            WireError::Server { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same thing may succeed on a new connection without anybody acting.
    pub fn is_transient(&self) -> bool {
        match self {
            WireError::Connect { .. } | WireError::Io(_) | WireError::Timeout { .. } => true,
            WireError::Server { code, .. } => {
                TRANSIENT_CODES.contains(code) || self.is_server_id_taken()
            }
            WireError::Protocol(_) | WireError::Auth(_) | WireError::Tls(_) => false,
        }
    }

    /// Whether the server ended our binlog stream because another reader came with the same server id.
    pub fn is_server_id_taken(&self) -> bool {
        match self {
            WireError::Server { code: 1236, message, .. } => {
                message.contains("same server_uuid") || message.contains("same server_id")
            }
            _ => false,
        }
    }

    /// Whether a row lock was refused, waited for too long or ended in a deadlock (FOR SHARE reads, correctness §2).
    pub fn is_lock_conflict(&self) -> bool {
        matches!(self.code(), Some(1205 | 1213 | 3572))
    }
}

impl From<WireError> for Error {
    fn from(error: WireError) -> Error {
        let base = |kind: fn(String) -> Error| kind(error.to_string());
        match &error {
            WireError::Connect { source, .. } => Error::transient(error.to_string())
                .detail(source.to_string())
                .hint("check `hostname` and `port`, and that the server is up and reachable from here"),
            WireError::Io(source) => base(Error::transient).detail(source.to_string()),
            WireError::Timeout { .. } => base(Error::transient),
            WireError::Server { .. } if error.is_transient() => base(Error::transient),
            WireError::Server { code, .. } => match hint_for(*code) {
                Some(hint) => base(Error::operator).hint(hint),
                None => base(Error::operator),
            },
            WireError::Protocol(_) => base(Error::internal),
            WireError::Auth(_) => base(Error::operator)
                .hint("give the user a password of one of the plugins caching_sha2_password, mysql_native_password, sha256_password or (MariaDB) ed25519"),
            WireError::Tls(_) => base(Error::operator)
                .hint("check `tls.mode`, `tls.ca`, `tls.cert` and `tls.key`; `tls.mode: disabled` connects without TLS"),
        }
    }
}

/// What to do about an error that a person must mend.
fn hint_for(code: u16) -> Option<&'static str> {
    Some(match code {
        1044 | 1142 | 1143 | 1227 | 1370 => {
            "the user lacks a grant; `cdc-cli validate --connect` names each missing one with its SQL"
        }
        1045 | 1698 => "check `username` and `password`, and the host part of the user's account",
        1049 => "check the database's name; the user may also lack the right to see it",
        1129 => "the server blocks this host after failed connections: FLUSH HOSTS",
        1130 => "the server has no account for this host: CREATE USER 'name'@'%' …",
        1236 => "the server cannot give the log from where it is needed; it may have been purged",
        1820 | 1862 => "the password has expired: ALTER USER … IDENTIFIED BY …",
        3159 => "the server wants encrypted connections: tls.mode: required",
        3118 | 4151 => "the account is locked: ALTER USER … ACCOUNT UNLOCK",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use cdc_api::ErrorKind;

    use super::*;

    fn server(code: u16, message: &str) -> WireError {
        WireError::Server { code, sqlstate: "HY000".into(), message: message.into() }
    }

    #[test]
    fn shutdown_and_deadlock_are_retried_and_a_wrong_password_is_not() {
        assert!(server(1053, "Server shutdown in progress").is_transient());
        assert!(server(1213, "Deadlock found").is_transient());
        assert!(server(1213, "Deadlock found").is_lock_conflict());
        let error = Error::from(server(1045, "Access denied for user 'cdc'@'localhost'"));
        assert_eq!(error.kind(), &ErrorKind::Operator);
        assert!(error.hint_text().is_some_and(|hint| hint.contains("`password`")));
    }

    #[test]
    fn a_server_id_that_is_taken_is_told_from_a_purged_log() {
        let taken =
            "A slave with the same server_uuid/server_id as this slave has connected to the master";
        assert!(server(1236, taken).is_server_id_taken());
        assert!(server(1236, taken).is_transient());
        assert!(!server(1236, "Could not find first log file name").is_transient());
    }

    #[test]
    fn a_refused_connection_names_the_server() {
        let source = io::Error::from(io::ErrorKind::ConnectionRefused);
        let error = Error::from(WireError::Connect { address: "db:3306".into(), source });
        assert!(error.is_transient());
        assert!(error.message().contains("db:3306"));
    }
}
