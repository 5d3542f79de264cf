//! A broker for tests, and what stands in its topics as a plain consumer reads it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cdc_integration::{Failure, Instance, Outcome};
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    config::FromClientConfig,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode as Code},
    message::Headers,
};
use tokio::sync::OnceCell;

const ANSWER: Duration = Duration::from_secs(30);

/// A broker, private or the one of the whole test binary.
pub(crate) struct Cluster {
    instance: Option<Instance>,
    bootstrap: String,
}

/// A record as consumers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) partition: i32,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Record {
    /// The value as text; nothing for a tombstone.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }
    /// The value as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.value.as_deref().unwrap_or_default()).expect("a JSON value")
    }
}

impl Cluster {
    /// The broker that this test binary's tests share, or the one that `CDC_TEST_KAFKA_URL` names.
    pub(crate) async fn shared() -> Outcome<&'static Cluster> {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || match std::env::var("CDC_TEST_KAFKA_URL") {
                Ok(bootstrap) => Ok(Cluster { instance: None, bootstrap }),
                Err(_) => Cluster::start(&[]).await,
            })
            .await
    }

    /// A broker of one's own, with options (`key=value`).
    pub(crate) async fn start(options: &[&str]) -> Outcome<Cluster> {
        let instance = Instance::start("kafka", options).await?;
        Ok(Cluster { bootstrap: instance.url().to_owned(), instance: Some(instance) })
    }

    /// Where it listens without TLS and logins.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The private instance behind it, if there is one.
    pub(crate) fn instance(&self) -> Outcome<&Instance> {
        let given = || Failure::new("the broker given by CDC_TEST_KAFKA_URL is not ours to touch");
        self.instance.as_ref().ok_or_else(given)
    }

    /// A topic name that no other test has.
    pub(crate) fn name(&self, prefix: &str) -> String {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        format!("{prefix}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// All committed records of a topic, partition by partition.
    pub(crate) async fn committed(&self, topic: &str) -> Outcome<Vec<Record>> {
        self.read(topic, "read_committed").await
    }

    /// All records, also of open and aborted transactions.
    pub(crate) async fn uncommitted(&self, topic: &str) -> Outcome<Vec<Record>> {
        self.read(topic, "read_uncommitted").await
    }

    async fn read(&self, topic: &str, isolation: &str) -> Outcome<Vec<Record>> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "cdc-test-reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", isolation);
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || read_to_end(&config, &topic)).await?
    }

    /// The partitions of a topic; none when it is not there.
    pub(crate) async fn partitions(&self, topic: &str) -> Outcome<usize> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("group.id", "cdc-test-reader");
        let topic = topic.to_owned();
        tokio::task::spawn_blocking(move || {
            let consumer = BaseConsumer::from_config(&config)?;
            let metadata = consumer.fetch_metadata(Some(&topic), ANSWER)?;
            Ok(metadata.topics().iter().map(|topic| topic.partitions().len()).sum())
        })
        .await?
    }
}

/// Reads to the end, or to where it was when the reading began: a topic may grow faster than that.
fn read_to_end(config: &ClientConfig, topic: &str) -> Outcome<Vec<Record>> {
    let consumer = BaseConsumer::from_config(config)?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let mut places = TopicPartitionList::new();
    // By partition, the offset behind the last record to come.
    let mut open: BTreeMap<i32, i64> = BTreeMap::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        places.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
        open.insert(partition.id(), end_of(&consumer, topic, partition.id())?);
    }
    consumer.assign(&places)?;
    let mut records: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    let mut answered = Instant::now();
    while !open.is_empty() {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => {
                answered = Instant::now();
                let Some(end) = open.get(&message.partition()).copied() else { continue };
                if message.offset() + 1 >= end {
                    open.remove(&message.partition());
                }
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers = message.headers().map_or_else(Vec::new, |headers| {
                    let pairs = headers.iter().map(|header| {
                        (header.key.to_owned(), text(header.value.unwrap_or_default()))
                    });
                    pairs.collect()
                });
                records.entry(message.partition()).or_default().push(Record {
                    partition: message.partition(),
                    key: message.key().map(text),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers,
                });
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            // The client comes back to a broker that went away by itself.
            Some(Err(KafkaError::MessageConsumption(
                Code::AllBrokersDown | Code::BrokerTransportFailure,
            ))) if answered.elapsed() < ANSWER => {}
            Some(Err(error)) => return Err(error.into()),
            None => return Err(Failure::new(format!("topic {topic} has no end"))),
        }
    }
    Ok(records.into_values().flatten().collect())
}

/// Where a partition ends. A broker that has just started does not know that it leads it.
fn end_of(consumer: &BaseConsumer, topic: &str, partition: i32) -> Outcome<i64> {
    let deadline = Instant::now() + ANSWER;
    loop {
        match consumer.fetch_watermarks(topic, partition, ANSWER) {
            Ok((_, end)) => return Ok(end),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
