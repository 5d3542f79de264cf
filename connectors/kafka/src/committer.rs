//! Ends transactions. With exactly-once a checkpoint is committed when its marker is: rows and marker are one transaction.
//! Without, rows were visible when they were flushed, and there is nothing to do.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use cdc_api::{CheckpointId, Committable, Committer, Error, Result};

use crate::{marker::Markers, session::Session};

/// The one committer of a run.
pub(crate) enum KafkaCommitter {
    AtLeastOnce,
    ExactlyOnce {
        session: Arc<Session>,
        markers: Markers,
        /// The last checkpoint that was committed when the run began, or since.
        last: Option<CheckpointId>,
        /// The time after which the broker itself ends a transaction.
        timeout: Duration,
    },
}

impl KafkaCommitter {
    /// Takes the pipeline's transactional id over and asks what was committed under it.
    pub(crate) async fn exactly_once(
        session: Arc<Session>,
        uuid: &str,
        timeout: Duration,
    ) -> Result<KafkaCommitter> {
        let markers = Markers::open(&session, uuid).await?;
        let reader = markers.clone();
        let last = session
            .blocking(move |session| {
                let deadline = Instant::now() + timeout;
                session.init_transactions(deadline)?;
                let last = reader.last(session, &session.settings, deadline)?;
                session.begin_transaction()?;
                Ok(last)
            })
            .await?;
        session.set_open(true);
        Ok(KafkaCommitter::ExactlyOnce { session, markers, last, timeout })
    }
}

#[async_trait]
impl Committer for KafkaCommitter {
    async fn commit(&mut self, checkpoint: CheckpointId, _staged: &[Committable]) -> Result<()> {
        let KafkaCommitter::ExactlyOnce { session, markers, last, timeout } = self else {
            return Ok(());
        };
        if last.is_some_and(|last| last >= checkpoint) {
            return Err(Error::internal(format!(
                "checkpoint {checkpoint} was to be committed behind checkpoint {last:?}"
            )));
        }
        session.set_open(false);
        let (markers, timeout) = (markers.clone(), *timeout);
        session
            .blocking(move |session| {
                markers.put(session, checkpoint)?;
                session.commit_transaction(Instant::now() + timeout)?;
                session.begin_transaction()
            })
            .await?;
        *last = Some(checkpoint);
        session.set_open(true);
        Ok(())
    }

    async fn clean_up(&mut self) -> Result<()> {
        // `init_transactions` ended what a crash left open.
        Ok(())
    }

    async fn highest_checkpoint(&mut self) -> Result<Option<CheckpointId>> {
        Ok(match self {
            KafkaCommitter::AtLeastOnce => None,
            KafkaCommitter::ExactlyOnce { last, .. } => *last,
        })
    }
}
