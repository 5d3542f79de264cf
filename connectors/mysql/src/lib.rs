//! The MySQL and MariaDB source: rows by parallel SELECTs, changes from the binlog, as one stream (correctness §2).
//!
//! The way of a row through the folders: `wire` (bytes of the connection) → `log` (binlog events, transactions,
//! positions) or `snapshot` (chunk SELECTs) → `decode` (row images into Arrow, by plans made in `types`) → `source`
//! (the one ordered stream). `metadata` reads what the server says of its tables; `keys` orders rows as the server does;
//! `charset` turns stored bytes into UTF-8 by the server's own tables.

pub mod charset;
pub mod config;
pub mod ddl;
pub mod decode;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod keys;
pub mod metadata;
pub mod position;
pub mod types;
pub mod wire;

mod log;
mod snapshot;
mod source;

/// A recorded log, decoded without a server.
pub mod replay {
    pub use crate::log::{LogReplay, Replayed, events};
}

pub use config::SPEC;
pub use source::provider;
