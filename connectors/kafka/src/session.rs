//! One run's producer, shared by writer, committer and applier: sending with back-pressure, waiting until all is
//! delivered, and the transaction, where there is one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use cdc_api::{Error, Result};
use rdkafka::{
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::sync::watch;

use crate::{
    client::Context,
    cluster,
    config::{PartitionStrategy, Settings},
    encode::{Encoded, TablePlan},
    failure,
    topic::{Topic, partition_of},
};

/// What librdkafka may hold, unless the file says otherwise: enough for a second at full speed.
const QUEUE_KBYTES: &str = "32768";
const QUEUE_MESSAGES: &str = "500000";
/// The pause between two looks at a full queue.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);
const FLUSH_STEP: Duration = Duration::from_millis(100);
/// The time a transaction's call may take before it is asked again.
const TRANSACTION_STEP: Duration = Duration::from_secs(10);

/// The producer of one run.
pub(crate) struct Session {
    pub(crate) settings: Arc<Settings>,
    producer: ThreadedProducer<Context>,
    transactional: bool,
    /// Whether rows may be produced: between a flush and its commit they may not.
    open: watch::Sender<bool>,
    /// Nobody waits for this run any more.
    ended: AtomicBool,
    topics: Mutex<HashMap<String, Arc<Topic>>>,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// How a session's producer takes part in transactions.
pub(crate) struct Transactions {
    pub(crate) id: String,
    pub(crate) timeout: Duration,
}

impl Session {
    /// Makes the producer. Connects in the background.
    pub(crate) fn new(
        settings: &Arc<Settings>,
        transactions: Option<&Transactions>,
    ) -> Result<Session> {
        let mut config = settings.properties.client();
        let mut default = |name: &str, value: &str| {
            if !settings.properties.has(name) {
                config.set(name, value);
            }
        };
        default("queue.buffering.max.kbytes", QUEUE_KBYTES);
        default("queue.buffering.max.messages", QUEUE_MESSAGES);
        config.set("enable.idempotence", "true");
        config.set("partitioner", "murmur2_random");
        config.set("allow.auto.create.topics", "false");
        // Successes are known by the queue being empty.
        config.set("delivery.report.only.error", "true");
        if let Some(transactions) = transactions {
            config.set("transactional.id", &transactions.id);
            config.set("transaction.timeout.ms", transactions.timeout.as_millis().to_string());
        }
        let producer = ThreadedProducer::from_config_and_context(&config, Context::default())
            .map_err(|error| {
                Error::config("the Kafka producer cannot be made").detail(error.to_string())
            })?;
        Ok(Session {
            settings: Arc::clone(settings),
            producer,
            transactional: transactions.is_some(),
            open: watch::Sender::new(false),
            ended: AtomicBool::new(false),
            topics: Mutex::default(),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// A producer that only asks.
    pub(crate) fn probe(settings: &Arc<Settings>) -> Result<Session> {
        Session::new(settings, None)
    }

    /// Whether this run writes in transactions.
    pub(crate) fn is_transactional(&self) -> bool {
        self.transactional
    }

    /// Nobody waits for this run any more: whoever waits in it gives up.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether the cluster can be reached. Blocks.
    pub(crate) fn reach(&self) -> Result<()> {
        cluster::reach(self.producer.client(), &self.settings.properties.bootstrap())
    }

    /// A topic, made if it is missing.
    pub(crate) async fn topic(self: &Arc<Self>, name: &str) -> Result<Arc<Topic>> {
        let creation = self.settings.creation.clone();
        self.topic_as(name, &creation).await
    }

    /// The same with other settings for one that is missing.
    pub(crate) async fn topic_as(
        self: &Arc<Self>,
        name: &str,
        creation: &crate::config::TopicCreation,
    ) -> Result<Arc<Topic>> {
        if let Some(topic) = self.known().get(name) {
            return Ok(Arc::clone(topic));
        }
        let mut found = self.find(name).await?;
        if found.is_none() {
            if !creation.enabled {
                return Err(cluster::missing(name));
            }
            cluster::create(&self.settings.properties, name, creation).await?;
            // The answer comes when the topic is made, which brokers learn of one by one.
            let deadline = Instant::now() + cluster::ANSWER_TIMEOUT;
            while found.is_none() {
                if Instant::now() > deadline {
                    return Err(Error::transient(format!(
                        "topic \"{name}\" was created and is not there"
                    )));
                }
                found = self.find(name).await?;
                if found.is_none() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        let topic = Arc::new(found.ok_or_else(|| cluster::missing(name))?);
        self.known().insert(name.to_owned(), Arc::clone(&topic));
        Ok(topic)
    }

    async fn find(self: &Arc<Self>, name: &str) -> Result<Option<Topic>> {
        let name = name.to_owned();
        self.blocking(move |session| cluster::find(session.producer.client(), &name)).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a call that blocks.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Session) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let session = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&session))
            .await
            .map_err(|error| Error::internal("a call to Kafka was cut off").caused_by(error))?
    }

    /// Waits until rows may be produced.
    pub(crate) async fn opened(&self) {
        // The sender lives as long as `self`.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Lets rows through, or holds them back.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Hands a chunk's records to the producer; waits while its queue is full. Blocks.
    pub(crate) fn produce(&self, encoded: &Encoded) -> Result<()> {
        let plan = &encoded.plan;
        let mut bytes = 0;
        for record in &encoded.records {
            let slice = |range: &std::ops::Range<usize>| encoded.bytes.get(range.clone());
            let key = record.key.as_ref().and_then(slice);
            let value = record.value.as_ref().and_then(slice);
            bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
            let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&plan.topic.name);
            next.key = key;
            next.payload = value;
            next.partition = self.partition(plan, key.is_some());
            next.headers = plan.headers.clone();
            self.send(next).map_err(|error| self.unsent(&error, plan, bytes))?;
        }
        self.records.fetch_add(encoded.records.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        match self.producer.context().undelivered() {
            Some((code, topic)) => Err(undelivered(code, &topic)),
            None => Ok(()),
        }
    }

    /// Where a record goes; none leaves it to librdkafka's murmur2.
    fn partition(&self, plan: &TablePlan, has_key: bool) -> Option<i32> {
        match self.settings.partitioning {
            PartitionStrategy::AllToZero => Some(0),
            PartitionStrategy::HashByKey if has_key => None,
            // Rows without a key stay in order: all of a table in one partition.
            PartitionStrategy::HashByKey => {
                let name = plan.schema.id().to_string();
                Some(partition_of(name.as_bytes(), plan.topic.partitions))
            }
        }
    }

    /// Sends one record of our own (a marker, a schema change). Blocks while the queue is full.
    pub(crate) fn send_one(
        &self,
        topic: &str,
        partition: Option<i32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<()> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        (record.key, record.payload, record.partition) = (key, value, partition);
        self.send(record).map_err(|error| {
            let message = format!("a record for topic \"{topic}\" cannot be sent");
            failure::of(message, &error, self.producer.context())
        })
    }

    fn send(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), KafkaError> {
        let mut next = record;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if self.ended.load(Ordering::Acquire)
                        || self.producer.context().undelivered().is_some()
                    {
                        return Err(KafkaError::Canceled);
                    }
                    std::thread::sleep(QUEUE_FULL_PAUSE);
                    next = back;
                }
                Err((error, _)) => return Err(error),
            }
        }
    }

    fn unsent(&self, error: &KafkaError, plan: &TablePlan, bytes: usize) -> Error {
        if let Some((code, topic)) = self.producer.context().undelivered() {
            return undelivered(code, &topic);
        }
        let id = plan.schema.id();
        if error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge) {
            return Error::data(id.clone(), format!("a row of table \"{id}\" is too large for Kafka"))
                .detail(format!("its record has up to {bytes} bytes, more than the producer's message.max.bytes"))
                .hint("raise properties.max.request.size, message.max.bytes of the broker and max.message.bytes of the topic");
        }
        let message =
            format!("rows of table \"{id}\" cannot be sent to topic \"{}\"", plan.topic.name);
        failure::of(message, error, self.producer.context())
    }

    /// Waits until everything sent is on the brokers. Blocks as long as they do not answer, at most until the records'
    /// own time is up (`delivery.timeout.ms`).
    pub(crate) fn flush(&self) -> Result<()> {
        loop {
            let flushed = self.producer.flush(FLUSH_STEP);
            if let Some((code, topic)) = self.producer.context().undelivered() {
                return Err(undelivered(code, &topic));
            }
            match flushed {
                Ok(()) => return Ok(()),
                Err(KafkaError::Flush(Code::OperationTimedOut)) => {}
                Err(error) => {
                    let message = "records cannot be delivered to Kafka";
                    return Err(failure::of(message, &error, self.producer.context()));
                }
            }
            if self.ended.load(Ordering::Acquire) {
                return Err(Error::transient("the run ended before all was delivered"));
            }
        }
    }

    /// Becomes the one producer of this transactional id: ends what an earlier one left open, and fences it. Blocks.
    pub(crate) fn init_transactions(&self, deadline: Instant) -> Result<()> {
        self.transaction(deadline, "the Kafka producer cannot take up its transactional id", || {
            self.producer.init_transactions(TRANSACTION_STEP)
        })
    }

    /// Begins a transaction; nothing is sent.
    pub(crate) fn begin_transaction(&self) -> Result<()> {
        self.producer.begin_transaction().map_err(|error| {
            failure::of("a Kafka transaction cannot begin", &error, self.producer.context())
        })
    }

    /// Ends the transaction. Its outcome is unknown after an error; the next session asks for it. Blocks.
    pub(crate) fn commit_transaction(&self, deadline: Instant) -> Result<()> {
        self.transaction(deadline, "a Kafka transaction cannot be committed", || {
            self.producer.commit_transaction(TRANSACTION_STEP)
        })
    }

    /// A call that librdkafka wants repeated while its error is retriable: that goes on with the same call.
    fn transaction(
        &self,
        deadline: Instant,
        doing: &str,
        call: impl Fn() -> Result<(), KafkaError>,
    ) -> Result<()> {
        loop {
            let error = match call() {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let retriable =
                matches!(&error, KafkaError::Transaction(inner) if inner.is_retriable());
            if retriable && Instant::now() < deadline && !self.ended.load(Ordering::Acquire) {
                continue;
            }
            if let Some((code, topic)) = self.producer.context().undelivered() {
                return Err(undelivered(code, &topic));
            }
            return Err(failure::of(doing, &error, self.producer.context()));
        }
    }
}

/// What is still queued goes nowhere: either it is on the brokers by now, or the run failed and begins again.
impl Drop for Session {
    fn drop(&mut self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}

fn undelivered(code: Code, topic: &str) -> Error {
    failure::of_code(format!("records for topic \"{topic}\" were not delivered"), code)
}
