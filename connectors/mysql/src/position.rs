//! Where in a server's log the source stands: file and offset, the set of transactions seen, and whose log it is.
//! Text of the server comes in, and goes out again into statements, the dump request and checkpoints (correctness §4).

pub mod gtid_set;
pub mod log_position;
pub mod maria_gtid;

use serde::{Deserialize, Serialize};

pub use gtid_set::GtidSet;
pub use log_position::LogPosition;
pub use maria_gtid::{MariaGtid, MariaGtidPosition};

/// A text or an encoding of a position that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// A log file's name does not end in a number.
    #[error("log file name \"{0}\" does not end in a number")]
    FileName(String),
    /// A GTID set's text breaks off or holds something else.
    #[error("GTID set has an invalid part \"{0}\"")]
    GtidSet(String),
    /// A transaction number outside 1..2^63-1.
    #[error("GTID number {0} is out of range")]
    GtidNumber(u64),
    /// A GTID set's binary form breaks off or contradicts itself.
    #[error("GTID set encoding is malformed at byte {0}")]
    GtidEncoding(usize),
    /// A MariaDB GTID is not `domain-server-sequence`.
    #[error("MariaDB GTID \"{0}\" is not domain-server-sequence")]
    MariaGtid(String),
    /// Two GTIDs of one domain in a MariaDB position.
    #[error("MariaDB GTID position names domain {0} twice")]
    MariaDomainTwice(u32),
}

/// Whose log it is: positions of two servers are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ServerIdentity {
    /// MySQL draws a UUID for each data folder.
    MySql {
        /// `@@server_uuid`.
        server_uuid: String,
    },
    /// MariaDB has none, so the server id and the address stand for it.
    MariaDb {
        /// `@@server_id`.
        server_id: u32,
        /// The host that we connected to.
        host: String,
        /// Its port.
        port: u16,
    },
}

impl std::fmt::Display for ServerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServerIdentity::MySql { server_uuid } => write!(f, "server {server_uuid}"),
            ServerIdentity::MariaDb { server_id, host, port } => {
                write!(f, "server {server_id} at {host}:{port}")
            }
        }
    }
}

/// The transactions that lie behind a position.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "set", rename_all = "snake_case")]
pub enum Gtids {
    /// The server logs without GTIDs: only file and offset are known.
    #[default]
    None,
    /// MySQL with gtid_mode=ON.
    MySql(GtidSet),
    /// MariaDB.
    MariaDb(MariaGtidPosition),
}

/// A position as a checkpoint stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// File and offset in the log of `server`.
    pub log: LogPosition,
    /// The accumulated transactions.
    #[serde(default)]
    pub gtids: Gtids,
    /// The server that `log` belongs to.
    pub server: ServerIdentity,
}

impl SourcePosition {
    /// Whether both positions were taken from one server, so that file and offset compare.
    pub fn is_same_server(&self, other: &SourcePosition) -> bool {
        self.server == other.server
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(position: SourcePosition, json: &str) {
        assert_eq!(serde_json::to_string(&position).unwrap(), json);
        assert_eq!(serde_json::from_str::<SourcePosition>(json).unwrap(), position);
    }

    #[test]
    fn positions_are_stored_as_readable_text() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        check(
            SourcePosition {
                log: LogPosition::new("binlog.000012", 4).unwrap(),
                gtids: Gtids::MySql(format!("{uuid}:1-5:7").parse().unwrap()),
                server: ServerIdentity::MySql { server_uuid: uuid.into() },
            },
            r#"{"log":{"file":"binlog.000012","offset":4},"gtids":{"kind":"my_sql","set":"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7"},"server":{"kind":"my_sql","server_uuid":"3e11fa47-71ca-11e1-9e33-c80aa9429562"}}"#,
        );
        check(
            SourcePosition {
                log: LogPosition::new("m.000001", 5_000_000_000).unwrap(),
                gtids: Gtids::MariaDb("0-1-100,1-2-5".parse().unwrap()),
                server: ServerIdentity::MariaDb { server_id: 1, host: "db".into(), port: 3306 },
            },
            r#"{"log":{"file":"m.000001","offset":5000000000},"gtids":{"kind":"maria_db","set":"0-1-100,1-2-5"},"server":{"kind":"maria_db","server_id":1,"host":"db","port":3306}}"#,
        );
    }
}
