//! The sink as the pipeline file describes it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cdc_api::{
    BeforeImages, Committer, Error, EventSinkProvider, MetadataApplier, Partitioning, Recovery,
    Result, SinkCapabilities, SinkContext, SinkWriter,
};

use crate::{
    committer::KafkaCommitter,
    config::{Guarantee, Settings},
    encode::Origin,
    metadata::KafkaApplier,
    registry::Registry,
    session::{BatchLimit, Session, Transactions},
    writer::{KafkaWriter, no_session},
};

const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(3);

/// The `kafka` sink of one pipeline file.
pub(crate) struct KafkaSink {
    settings: Arc<Settings>,
    /// The producer of the run that goes on; its committer made it.
    session: Mutex<Option<Arc<Session>>>,
    batches: Arc<BatchLimit>,
}

impl KafkaSink {
    pub(crate) fn new(settings: Settings) -> Self {
        KafkaSink {
            settings: Arc::new(settings),
            session: Mutex::new(None),
            batches: Arc::default(),
        }
    }

    fn current(&self) -> Result<Arc<Session>> {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().map(Arc::clone).ok_or_else(no_session)
    }

    /// Ends the run before, if there was one, and makes a producer for this.
    async fn begin(&self, transactions: Option<Transactions>) -> Result<Arc<Session>> {
        let before = {
            let mut current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            current.take()
        };
        let (settings, batches) = (Arc::clone(&self.settings), Arc::clone(&self.batches));
        let session = tokio::task::spawn_blocking(move || {
            if let Some(before) = before {
                before.end();
                drop(before);
            }
            Session::new(&settings, &batches, transactions.as_ref()).map(Arc::new)
        })
        .await
        .map_err(|error| {
            Error::internal("making a Kafka producer was cut off").caused_by(error)
        })??;
        let mut current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(&session));
        Ok(session)
    }
}

fn origin(context: &SinkContext) -> Origin {
    Origin { pipeline: context.pipeline.clone(), connector: context.source.clone() }
}

#[async_trait]
impl EventSinkProvider for KafkaSink {
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            before_images: BeforeImages::All,
            // Consumers know no sequence numbers: what is written first is older. Encoding is parallel all the same.
            partitioning: Partitioning::Single,
            recovery: match self.settings.guarantee {
                Guarantee::AtLeastOnce => Recovery::AtLeastOnce,
                Guarantee::ExactlyOnce => Recovery::CommittedUpTo,
            },
            checkpoint_interval: CHECKPOINT_INTERVAL,
        }
    }

    fn fingerprint(&self) -> String {
        let settings = &self.settings;
        let markers = match settings.guarantee {
            Guarantee::AtLeastOnce => "at-least-once".to_owned(),
            Guarantee::ExactlyOnce => format!("exactly-once by {}", settings.marker_topic),
        };
        format!("kafka {} {markers}", settings.properties.bootstrap())
    }

    async fn preflight(&self) -> Result<()> {
        let settings = Arc::clone(&self.settings);
        tokio::task::spawn_blocking(move || Session::probe(&settings)?.reach())
            .await
            .map_err(|error| Error::internal("asking Kafka was cut off").caused_by(error))??;
        if let Some(registry) = &self.settings.registry {
            Registry::new(registry)?.reach().await?;
        }
        Ok(())
    }

    async fn writer(&self, context: &SinkContext, _index: usize) -> Result<Box<dyn SinkWriter>> {
        let registry = self.settings.registry.as_ref().map(Registry::new).transpose()?;
        let writer = KafkaWriter::new(self.current()?, origin(context), registry.map(Arc::new));
        Ok(Box::new(writer))
    }

    async fn committer(&self, context: &SinkContext) -> Result<Box<dyn Committer>> {
        if self.settings.guarantee == Guarantee::AtLeastOnce {
            self.begin(None).await?.set_open(true);
            return Ok(Box::new(KafkaCommitter::AtLeastOnce));
        }
        let interval = context.checkpoint_interval;
        let timeout = self.settings.transaction_timeout(interval);
        if timeout < interval * 2 {
            return Err(Error::config(format!(
                "a Kafka transaction would time out ahead of its commit: {} s, with a checkpoint every {} s",
                timeout.as_secs(),
                interval.as_secs()
            ))
            .hint("raise properties.transaction.timeout.ms to at least twice checkpoint.interval (brokers allow transaction.max.timeout.ms, 15 minutes by default), or take checkpoints more often"));
        }
        let id = format!("{}{}", self.settings.transactional_id_prefix, context.pipeline_uuid);
        let session = self.begin(Some(Transactions { id, timeout })).await?;
        let uuid = &context.pipeline_uuid;
        Ok(Box::new(KafkaCommitter::exactly_once(session, uuid, timeout).await?))
    }

    async fn applier(&self, context: &SinkContext) -> Result<Box<dyn MetadataApplier>> {
        Ok(Box::new(KafkaApplier::new(self.current()?, origin(context))))
    }
}
