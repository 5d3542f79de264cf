//! Keys: from the stored cells of a row's key columns to bytes that sort as the server sorts, and to SQL literals that
//! say the same to the server (correctness §3).
//!
//! In: the table's description and key cells, in the log's form or in a result's. Out: key bytes for the snapshot
//! machine, literals for its bounds, and the statements that read a chunk, cut a table, and ask the server how its
//! collations weigh a text. Nothing here talks to a server.

mod chunk;
mod codec;
mod collation;
mod component;
mod decimal;
mod first_cut;
mod literal;
mod network;
mod order;
mod temporal;
#[cfg(test)]
mod tests;
mod value;
mod weight;

pub use chunk::{ChunkQuery, RowLock};
pub use codec::{Encoded, KeyCodec};
pub use first_cut::{FirstCut, Probe};
pub use literal::{KeyLiteral, compare_query};
pub use weight::{PendingKey, Weight, WeightRequest};

/// Which form a key cell has. Both forms of one value give the same key bytes and the same literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A cell of a row image in the log: integers, FLOAT, DOUBLE, DATE, ENUM and SET little-endian in their width, YEAR
    /// as one byte, DECIMAL packed, TIME2/DATETIME2/TIMESTAMP2 packed big-endian, BIT big-endian, text and bytes without
    /// their length.
    Log,
    /// A cell of a binary-protocol row, without its length: [`KeyCodec::select_expressions`] says how it is selected.
    Result,
}

/// Why a column cannot be part of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column \"{column}\" cannot be part of the chunk key: {reason}")]
pub struct KeyRefused {
    /// The column's name; empty when the key has no column at all.
    pub column: String,
    /// The reason.
    pub reason: String,
}

/// A row whose key cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key column holds NULL.
    #[error("key column \"{0}\" is NULL")]
    Null(String),
    /// A cell has a length or a content that its type cannot have.
    #[error("key column \"{column}\" holds {length} bytes that are no value of its type")]
    Malformed {
        /// The column's name.
        column: String,
        /// The cell's length.
        length: usize,
    },
    /// There are fewer cells than key columns.
    #[error("a key of {expected} columns came with {found} cells")]
    CellCount {
        /// Key columns.
        expected: usize,
        /// Cells that came.
        found: usize,
    },
    /// The server gave no weight, or one of a form that its collation cannot have.
    #[error("the server's weight of a text in key column \"{0}\" cannot be read")]
    Weight(String),
    /// [`KeyCodec::learn`] has not been called, though [`KeyCodec::probe_query`] asked for it.
    #[error("the collation of key column \"{0}\" has not been probed")]
    NotProbed(String),
}
