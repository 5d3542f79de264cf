//! Recovery from a sink that knows itself what was committed (`Recovery::CommittedUpTo`, correctness §5): its word is
//! what its readers see, whatever the store recorded. The run goes on from that checkpoint, the newest or the one before.

use cdc_api::{CheckpointId, Committer, Error, Result};

use crate::checkpoint::{Checkpoint, CheckpointStore, Last};

/// The checkpoint to go on from.
///
/// # Errors
/// `Operator` when store and sink do not belong together: one of them was reset, or set back.
pub(super) async fn checkpoint(
    store: &CheckpointStore,
    last: &Last,
    committer: &mut dyn Committer,
) -> Result<Checkpoint> {
    let newest = &last.checkpoint;
    let committed = committer.highest_checkpoint().await?;
    match committed {
        Some(id) if id == newest.id => {
            if !last.committed {
                store.committed(id).await?;
            }
            Ok(newest.clone())
        }
        Some(id) if id < newest.id && !last.committed => {
            tracing::info!(
                prepared = newest.id,
                committed = id,
                "the last checkpoint was prepared and never committed: going on from the one before"
            );
            store.find(id).await?.ok_or_else(|| apart(newest.id, committed))
        }
        // Nothing of this pipeline was ever committed: it is checkpoint 0 that was cut off, and it has no rows.
        None if !last.committed && newest.next_seq <= 1 => {
            committer.commit(newest.id, &[]).await?;
            store.committed(newest.id).await?;
            Ok(newest.clone())
        }
        _ => Err(apart(newest.id, committed)),
    }
}

fn apart(stored: CheckpointId, committed: Option<CheckpointId>) -> Error {
    let sink = committed.map_or("none".to_owned(), |id| format!("checkpoint {id}"));
    Error::operator("the checkpoints stored and the sink's record of them do not belong together")
        .detail(format!("stored: checkpoint {stored}; committed in the sink: {sink}"))
        .hint("bring back the checkpoint storage, or the sink's markers, of one and the same time; or start anew with an empty `checkpoint.storage` and an empty target")
}
