//! What travels between the stages: the one thing that joins them.

use std::sync::Arc;

use cdc_api::{ChangeBatch, CheckpointId, Committable, Result, TableSchema};
use tokio::sync::oneshot;

/// What a writer's task gets, in order.
pub(crate) enum ToWriter {
    /// The schema that a table's next batches have.
    Schema(Arc<TableSchema>),
    /// Rows.
    Rows(ChangeBatch),
    /// The barrier of a checkpoint: make everything before it durable and answer with what to commit.
    Flush {
        /// Whose barrier it is.
        checkpoint: CheckpointId,
        /// Where the answer goes.
        staged: oneshot::Sender<Vec<Committable>>,
    },
    /// The run is over; answer with a line for the user.
    Close(oneshot::Sender<Result<Option<String>>>),
}
