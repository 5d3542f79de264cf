//! The client/server protocol of MySQL and MariaDB, as far as a source needs it: connect, ask, stream rows, stream the
//! binlog.
//!
//! Built for reading much: bytes go from the socket into one large buffer, and rows or events are handed out as slices
//! of it, many per await, without a copy. Nothing here knows a type, a table or a position.

pub mod binlog;
pub mod connection;
pub mod error;
pub mod options;
pub mod query;
pub mod statement;

mod auth;
mod channel;
mod handshake;
mod packets;
mod payload;
mod tls;

pub use binlog::{BinlogNext, BinlogPackets, BinlogRequest, BinlogStart};
pub use connection::Connection;
pub use error::WireError;
pub use options::{ConnectOptions, TlsMode, TlsOptions};
pub(crate) use payload::Payload;
pub use query::{ColumnDef, Row, Rows};
pub use statement::{RowPackets, RowStream, Statement};

#[cfg(test)]
mod tests;

/// What the fuzz targets run.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed {
    pub(crate) use super::{handshake::Greeting, packets::PacketReader, payload::server_error};
}
