//! One run's producer, shared by writer, committer and applier: sending with back-pressure, waiting until all is
//! delivered, and the transaction, where there is one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use cdc_api::{Error, Result, TableId};
use rdkafka::{
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use tokio::sync::watch;

use crate::{
    client::{Context, Undelivered},
    cluster,
    config::{PartitionStrategy, Settings},
    encode::{Encoded, TablePlan},
    failure,
    topic::{Topic, partition_of},
};

/// What librdkafka may hold, unless the file says otherwise. What it holds beside the bytes of records is as much again; with
/// 32 MiB a drain took 60 MiB more memory and was no faster.
const QUEUE_KBYTES: usize = 8192;
const QUEUE_MESSAGES: &str = "500000";
/// How long a record waits for others, unless the file says otherwise. Behind a busy broker batches grow by themselves.
const LINGER_MS: &str = "1";
/// The pause between two looks at a full queue.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);
/// A batch of records, in bytes, unless the file or a topic says otherwise: librdkafka's own.
const BATCH_BYTES: usize = 1_000_000;
/// What a batch has beside its records, and some.
const BATCH_HEADER_BYTES: usize = 256;
/// By how much a batch becomes smaller when a topic refuses it and does not say what it takes.
const BATCH_DIVISOR: usize = 8;
/// Between two looks at whether all was delivered: no delivery report wakes who waits, since successes make none. A step of
/// 100 ms made each transaction 180 ms longer.
const FLUSH_STEP: Duration = Duration::from_millis(2);
/// The same when it takes longer than [`FLUSH_PATIENCE`].
const FLUSH_STEP_LONG: Duration = Duration::from_millis(50);
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);
/// The time a transaction's call may take before it is asked again.
const TRANSACTION_STEP: Duration = Duration::from_secs(10);

/// A record on its way; it carries its table's number.
type Record<'a> = BaseRecord<'a, [u8], [u8], usize>;

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
    /// The tables whose rows were produced, by the numbers that delivery reports name them by.
    tables: Mutex<HashMap<TableId, usize>>,
    batches: Arc<BatchLimit>,
    /// The largest batch of this session, in bytes. A larger record travels alone.
    batch_bytes_max: usize,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// How large a batch may be, in bytes, as far as topics have refused larger ones. Outlives a session: a producer's batch
/// is of one size for all its topics.
#[derive(Debug, Default)]
pub(crate) struct BatchLimit(AtomicUsize);

impl BatchLimit {
    fn get(&self) -> Option<usize> {
        Some(self.0.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }
    fn set(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }
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
        batches: &Arc<BatchLimit>,
        transactions: Option<&Transactions>,
    ) -> Result<Session> {
        let mut config = settings.properties.client();
        let mut default = |name: &str, value: &str| {
            if !settings.properties.has(name) {
                config.set(name, value);
            }
        };
        // A record that the queue could never hold would be tried for ever.
        let record_kbytes = settings.properties.record_bytes_max() / 1024;
        let queue_kbytes = QUEUE_KBYTES.max(record_kbytes.saturating_mul(2));
        default("queue.buffering.max.kbytes", &queue_kbytes.to_string());
        default("queue.buffering.max.messages", QUEUE_MESSAGES);
        default("linger.ms", LINGER_MS);
        let asked = settings.properties.number("batch.size").unwrap_or(BATCH_BYTES);
        let batch_bytes_max = batches.get().map_or(asked, |limit| limit.min(asked));
        config.set("batch.size", batch_bytes_max.to_string());
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
            tables: Mutex::default(),
            batches: Arc::clone(batches),
            batch_bytes_max,
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// A producer that only asks.
    pub(crate) fn probe(settings: &Arc<Settings>) -> Result<Session> {
        Session::new(settings, &Arc::default(), None)
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
        let table = self.number_of(plan.schema.id());
        let mut bytes = 0;
        for record in &encoded.records {
            let slice = |range: &std::ops::Range<usize>| encoded.bytes.get(range.clone());
            let key = record.key.as_ref().and_then(slice);
            let value = record.value.as_ref().and_then(slice);
            bytes += key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
            let mut next = Record::with_opaque_to(&plan.topic.name, table);
            next.key = key;
            next.payload = value;
            next.partition = self.partition(plan, key.is_some());
            next.headers = plan.headers.clone();
            self.send(next).map_err(|error| self.unsent(&error, plan, bytes))?;
        }
        self.records.fetch_add(encoded.records.len() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.trouble().map_or(Ok(()), Err)
    }

    /// What a table's records carry, so that a delivery report can name it.
    fn number_of(&self, table: &TableId) -> usize {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = tables.get(table) {
            return *number;
        }
        let number = tables.len() + 1;
        tables.insert(table.clone(), number);
        number
    }

    /// Why nothing more can come of this session: the producer is done for, or a record was not delivered. Blocks.
    fn trouble(&self) -> Option<Error> {
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            return Some(failure::because("the Kafka producer cannot go on", code, reason));
        }
        self.producer.context().undelivered().map(|record| self.undelivered(&record))
    }

    fn undelivered(&self, record: &Undelivered) -> Error {
        let table = {
            let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            let found = tables.iter().find(|(_, number)| **number == record.table);
            found.map(|(table, _)| table.clone())
        };
        match table {
            Some(table) if record.code == Code::MessageSizeTooLarge => {
                self.too_large(&table, record)
            }
            _ => {
                let message = format!("records for topic \"{}\" were not delivered", record.topic);
                let waits = self.transactional && record.code == Code::MessageTimedOut;
                match waits.then(|| self.missing_topic()).flatten() {
                    Some(words) => failure::because(message, Code::UnknownTopicOrPartition, words),
                    None => failure::of_code(message, record.code),
                }
            }
        }
    }

    /// A topic takes no batch of this size. Either it is one record, which is the end of its table, or the next session
    /// makes smaller ones.
    fn too_large(&self, table: &TableId, record: &Undelivered) -> Error {
        let topic = &record.topic;
        let reading = cluster::setting(&self.settings.properties, topic, "max.message.bytes");
        let limit = tokio::runtime::Handle::current().block_on(reading);
        let limit: Option<usize> = limit.and_then(|text| text.parse().ok());
        let known = limit.map_or("less".to_owned(), |bytes| format!("at most {bytes} in a batch"));
        let largest = limit.map_or(self.batch_bytes_max / BATCH_DIVISOR, |limit| {
            limit.saturating_sub(limit / 16 + BATCH_HEADER_BYTES)
        });
        if record.bytes + BATCH_HEADER_BYTES >= self.batch_bytes_max
            || largest >= self.batch_bytes_max
        {
            let key = record.key.as_deref().map_or("no key".into(), String::from_utf8_lossy);
            return Error::data(
                table.clone(),
                format!("a row of table \"{table}\" is too large for topic \"{topic}\""),
            )
            .detail(format!(
                "key {key}: its record has {} bytes, and the topic takes {known}",
                record.bytes
            ))
            .hint(failure::TOO_LARGE);
        }
        self.batches.set(largest.max(1));
        Error::transient(format!(
            "topic \"{topic}\" does not take batches of records as large as they are"
        ))
        .detail(format!("up to {} bytes, and the topic takes {known}", self.batch_bytes_max))
        .hint("raise max.message.bytes of the topic, or lower properties.batch.size")
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
        let mut record = Record::with_opaque_to(topic, 0);
        (record.key, record.payload, record.partition) = (key, value, partition);
        self.send(record).map_err(|error| {
            let message = format!("a record for topic \"{topic}\" cannot be sent");
            self.failed(message, &error)
        })
    }

    fn send(&self, record: Record<'_>) -> Result<(), KafkaError> {
        let mut next = record;
        loop {
            match self.producer.send(next) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if self.ended.load(Ordering::Acquire)
                        || self.producer.client().fatal_error().is_some()
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
        let id = plan.schema.id();
        if error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge) {
            return Error::data(
                id.clone(),
                format!("a row of table \"{id}\" is too large for Kafka"),
            )
            .detail(format!(
                "its record has up to {bytes} bytes, more than the producer's message.max.bytes"
            ))
            .hint(failure::TOO_LARGE);
        }
        self.failed(
            format!("rows of table \"{id}\" cannot be sent to topic \"{}\"", plan.topic.name),
            error,
        )
    }

    /// The error of a call, or what went wrong before and made the call fail.
    fn failed(&self, message: impl Into<String>, error: &KafkaError) -> Error {
        if let Some(error) = self.trouble() {
            return error;
        }
        let context = self.producer.context();
        // A transaction that is broken answers most calls by its state; to begin another is refused with the reason.
        let behind = match error.rdkafka_error_code() {
            Some(Code::State) if self.transactional => self.producer.begin_transaction().err(),
            _ => None,
        };
        match behind.as_ref().unwrap_or(error) {
            KafkaError::Transaction(reason) if reason.txn_requires_abort() => {
                let is_gone = reason.code() == Code::UnknownTopicOrPartition;
                let missing = || is_gone.then(|| self.missing_topic()).flatten();
                let words = context.partition_error().or_else(missing);
                let words = words.unwrap_or_else(|| reason.string());
                failure::because(message, reason.code(), words)
            }
            error => failure::of(message, error, context),
        }
    }

    /// The topic that is gone and made a transaction fail: librdkafka names another when that comes first in the broker's
    /// answer, or was waiting for it. Blocks.
    fn missing_topic(&self) -> Option<String> {
        let names: Vec<String> = self.known().keys().cloned().collect();
        for name in names {
            match cluster::find(self.producer.client(), &name) {
                Ok(Some(_)) => {}
                Ok(None) => return Some(format!("topic \"{name}\" is not there")),
                // Nobody can be asked.
                Err(_) => return None,
            }
        }
        None
    }

    /// Waits until everything sent is on the brokers. Blocks as long as they do not answer, at most until the records'
    /// own time is up (`delivery.timeout.ms`).
    pub(crate) fn flush(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let is_quick = begun.elapsed() < FLUSH_PATIENCE;
            let flushed = self.producer.flush(if is_quick { FLUSH_STEP } else { FLUSH_STEP_LONG });
            if let Some(error) = self.trouble() {
                return Err(error);
            }
            match flushed {
                Ok(()) => return Ok(()),
                Err(KafkaError::Flush(Code::OperationTimedOut)) => {}
                Err(error) => {
                    return Err(self.failed("records cannot be delivered to Kafka", &error));
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
        self.producer
            .begin_transaction()
            .map_err(|error| self.failed("a Kafka transaction cannot begin", &error))
    }

    /// Ends the transaction. Its outcome is unknown after an error; the next session asks for it. Blocks.
    pub(crate) fn commit_transaction(&self, deadline: Instant) -> Result<()> {
        // Otherwise the client library waits, in steps of 100 ms.
        self.flush()?;
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
            return Err(self.failed(doing, &error));
        }
    }
}

/// What is still queued goes nowhere: either it is on the brokers by now, or the run failed and begins again.
impl Drop for Session {
    fn drop(&mut self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
    }
}
