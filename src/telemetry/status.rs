//! The numbers of a running pipeline, written by `ingest`, read by the display. One lock, held for a copy.

use std::sync::{Arc, Mutex, PoisonError};

use cdc_api::{CheckpointId, SourceProgress};

/// The pipeline as of now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Status {
    /// The source's own numbers.
    pub(crate) source: SourceProgress,
    /// Rows handed to the sink since this process started: snapshot rows.
    pub(crate) rows_copied: u64,
    /// Rows handed to the sink since this process started: changes from the log.
    pub(crate) changes: u64,
    /// The last committed checkpoint, and when (microseconds since the epoch).
    pub(crate) committed: Option<(CheckpointId, i64)>,
    /// Changes of sink tables that were applied since this process started.
    pub(crate) schema_changes: u64,
    /// Changes that the sink could not make (TRY_EVOLVE).
    pub(crate) schema_changes_unsupported: u64,
    /// Bytes of rows that wait while their sink table changes.
    pub(crate) held_bytes: usize,
    /// How often the engine started again after a transient failure.
    pub(crate) restarts: u64,
}

/// A shared cell of the status.
#[derive(Debug, Clone, Default)]
pub(crate) struct StatusCell(Arc<Mutex<Status>>);

impl StatusCell {
    /// A copy of the status.
    pub(crate) fn get(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes it.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
