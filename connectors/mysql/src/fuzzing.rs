//! The entry points of the fuzz targets (`connectors/mysql/fuzz`): bytes as a server, a broken file or a broken network
//! could send them, through the same code that the daemon runs.
//!
//! In: any bytes. Out: nothing; a fault in the bytes must end in an error, and a panic, a hang or an unbounded allocation is
//! a finding. Where two ways lead to the same rows (one batch or many, one frame or many, compressed or plain) they are
//! compared. Compiled for tests, which replay the corpus, and with the feature `fuzzing`; the daemon has none of it.

mod ddl;
mod log_stream;
mod packets;
mod rows;
mod shape;
#[cfg(test)]
mod tests;

pub use ddl::ddl;
pub use log_stream::{compressed, log_events};
pub use packets::packets;
pub use rows::{json, json_diff, result_rows, row_events, table_map};

/// A target: what it is called, and what it runs on each input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets; the corpus has a folder of each name.
pub const TARGETS: [Target; 9] = [
    ("compressed", compressed),
    ("ddl", ddl),
    ("json", json),
    ("json_diff", json_diff),
    ("log_events", log_events),
    ("packets", packets),
    ("result_rows", result_rows),
    ("row_events", row_events),
    ("table_map", table_map),
];

/// Splits off a piece behind its length in two little-endian bytes; a length beyond the end takes what is there.
fn piece(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    Some(rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len())))
}
