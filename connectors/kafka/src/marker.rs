//! Checkpoint markers: `{uuid, checkpoint}` as the last record of each transaction, in a compacted topic of one partition.
//! What the topic says, read committed, is what consumers see of this pipeline.
//!
//! A reader of committed records stops at the first open transaction, of whatever pipeline. So a start first commits a
//! record of its own: once that one comes, every marker before it was either shown or never happened.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use cdc_api::{CheckpointId, Error, Result};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::RDKafkaErrorCode as Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    client::Context,
    cluster,
    config::{Settings, TopicCreation},
    failure,
    session::Session,
};

/// The longest that another pipeline's open transaction may hold us up: what brokers allow by default, and some.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(960);
const POLL: Duration = Duration::from_millis(200);
const NEWS_EVERY: Duration = Duration::from_secs(10);

impl ConsumerContext for Context {}

#[derive(Serialize, Deserialize)]
struct Marker {
    checkpoint: CheckpointId,
}

/// The markers of one pipeline.
#[derive(Clone)]
pub(crate) struct Markers {
    topic: String,
    uuid: String,
}

impl Markers {
    /// Makes the topic if it is missing.
    pub(crate) async fn open(session: &Arc<Session>, uuid: &str) -> Result<Markers> {
        let name = session.settings.marker_topic.clone();
        let creation = TopicCreation {
            enabled: true,
            partitions: Some(1),
            replication: session.settings.creation.replication,
            // Small and young segments, so that compaction keeps what a start has to read short.
            config: [
                ("cleanup.policy", "compact"),
                ("segment.bytes", "16777216"),
                ("segment.ms", "600000"),
                ("min.cleanable.dirty.ratio", "0.1"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec(),
        };
        let topic = session.topic_as(&name, &creation).await?;
        if topic.partitions != 1 {
            return Err(Error::operator(format!(
                "topic \"{name}\" has {} partitions, and checkpoint markers need one",
                topic.partitions
            ))
            .hint("set sink.marker-topic to a topic of one partition with cleanup.policy=compact, or to a name that is free"));
        }
        let policy = cluster::setting(&session.settings.properties, &name, "cleanup.policy").await;
        if policy.as_ref().is_some_and(|policy| policy != "compact") {
            return Err(Error::operator(format!("topic \"{name}\" does not keep checkpoint markers"))
                .detail(format!("its cleanup.policy is {}", policy.unwrap_or_default()))
                .hint("set cleanup.policy=compact on the topic, or sink.marker-topic to a name that is free"));
        }
        Ok(Markers { topic: name, uuid: uuid.to_owned() })
    }

    /// Adds the marker of a checkpoint to the open transaction. Blocks.
    pub(crate) fn put(&self, session: &Session, checkpoint: CheckpointId) -> Result<()> {
        let value = format!("{{\"checkpoint\":{checkpoint}}}");
        session.send_one(&self.topic, Some(0), Some(self.uuid.as_bytes()), Some(value.as_bytes()))
    }

    /// The last checkpoint that was committed. Called behind `init_transactions`, which ended what was open. Blocks.
    pub(crate) fn last(
        &self,
        session: &Session,
        settings: &Settings,
        deadline: Instant,
    ) -> Result<Option<CheckpointId>> {
        let probe_key = format!("{}/start", self.uuid);
        let probe = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |time| time.as_nanos())
            .to_string();
        session.begin_transaction()?;
        session.send_one(
            &self.topic,
            Some(0),
            Some(probe_key.as_bytes()),
            Some(probe.as_bytes()),
        )?;
        session.commit_transaction(deadline)?;

        let consumer = self.consumer(settings)?;
        let mut last = None;
        let give_up = Instant::now() + OTHERS_TIMEOUT;
        let mut news = Instant::now() + NEWS_EVERY;
        loop {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let (key, value) = (message.key(), message.payload().unwrap_or_default());
                    if key == Some(probe_key.as_bytes()) && value == probe.as_bytes() {
                        return Ok(last);
                    }
                    if key == Some(self.uuid.as_bytes()) {
                        last = Some(self.read(value)?);
                    }
                }
                // The client asks for its group by itself; nothing here belongs to one.
                Some(Err(error))
                    if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) =>
                {
                    tracing::debug!(error = %error, "reading checkpoint markers");
                }
                Some(Err(error)) => {
                    let message = format!("topic \"{}\" cannot be read", self.topic);
                    let is_forbidden =
                        error.rdkafka_error_code() == Some(Code::TopicAuthorizationFailed);
                    let error = failure::of(message, &error, consumer.context());
                    if is_forbidden {
                        return Err(error.hint("allow the user Read on the topic"));
                    }
                    if !error.is_transient() {
                        return Err(error);
                    }
                    tracing::warn!(error = %error, "reading checkpoint markers");
                }
                None => {}
            }
            if Instant::now() > give_up {
                return Err(Error::transient(format!(
                    "the end of topic \"{}\" cannot be reached",
                    self.topic
                ))
                .detail("an open transaction stands before it"));
            }
            if Instant::now() > news {
                news = Instant::now() + NEWS_EVERY;
                tracing::info!(
                    topic = self.topic,
                    "waiting for another pipeline's open transaction to end"
                );
            }
        }
    }

    fn read(&self, value: &[u8]) -> Result<CheckpointId> {
        serde_json::from_slice::<Marker>(value).map(|marker| marker.checkpoint).map_err(|error| {
            Error::operator(format!("topic \"{}\" has a record that is no marker", self.topic))
                .detail(format!("under the key {}", self.uuid))
                .hint("let nobody else write to the topic; set sink.marker-topic to a topic of this program's own")
                .caused_by(error)
        })
    }

    fn consumer(&self, settings: &Settings) -> Result<BaseConsumer<Context>> {
        let failed = |error| {
            let message = format!("topic \"{}\" cannot be read", self.topic);
            failure::of(message, &error, &Context::default())
        };
        let mut config = settings.properties.consumer();
        config
            .set("group.id", format!("{}{}", settings.transactional_id_prefix, self.uuid))
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest");
        let consumer: BaseConsumer<Context> =
            BaseConsumer::from_config_and_context(&config, Context::default()).map_err(failed)?;
        // librdkafka asks again after half a second when it knows no leader as it is told what to read.
        cluster::find(consumer.client(), &self.topic)?;
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, 0, Offset::Beginning).map_err(failed)?;
        consumer.assign(&place).map_err(failed)?;
        Ok(consumer)
    }
}
