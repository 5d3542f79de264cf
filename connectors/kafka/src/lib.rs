//! The `kafka` sink: every change as a record, in the formats that consumers of change data know, at least or exactly
//! once.
//!
//! The way of a row: a routed batch is cut into chunks, which threads of the runtime's pool encode side by side
//! (`encode`, over `json` and `avro`); one task takes them in order (`sequence`) and hands them to the one producer
//! (`session`). With exactly-once all rows of a checkpoint and its marker are one transaction (`committer`, `marker`).
//! Topics are made and schema changes published by `metadata`, over `cluster`.
//!
//! **Invariants**: order is kept per key, since there is one producer, one order of chunks and one partition per key.
//! Rows of checkpoint N+1 enter a transaction only after N is committed. No marker, no checkpoint (correctness §5).

mod avro;
mod client;
mod cluster;
mod committer;
mod config;
mod encode;
mod failure;
mod json;
mod marker;
mod metadata;
mod registry;
mod sequence;
mod session;
mod sink;
mod topic;
mod writer;

use cdc_api::{EventSinkProvider, OptionFault, Options};

pub use config::SPEC;

/// The sink that a pipeline file's `sink:` block describes.
///
/// # Errors
/// Every fault that can be seen without a connection.
pub fn provider(options: &Options) -> Result<Box<dyn EventSinkProvider>, Vec<OptionFault>> {
    Ok(Box::new(sink::KafkaSink::new(config::Settings::read(options)?)))
}

#[cfg(test)]
mod tests;
