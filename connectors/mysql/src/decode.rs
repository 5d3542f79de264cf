//! Row bytes into Arrow: one value model, two decoders (correctness §7).
//!
//! In: row images of the log (`binlog`) or rows of a binary-protocol result set (`result`), and a plan compiled once per
//! table version. Out: [`BatchBuilder`]'s record batches. Both plans are lists of the same [`step`]s, run by one
//! interpreter on one set of converters, so that a value is the same Arrow value whichever way it came.
//! Bytes are input: every read is checked, and a fault is a [`DecodeError`], never a panic.

pub mod binlog;
pub mod result;

mod batch;
mod builder;
pub(crate) mod bulk;
mod cursor;
mod decimal;
mod error;
mod geometry;
mod inflate;
mod jsonb;
mod network;
mod step;
mod temporal;
#[cfg(test)]
mod tests;
mod text;

pub use batch::{BatchBuilder, KeyCell};
pub use error::DecodeError;
