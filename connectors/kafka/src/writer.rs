//! The writer: cuts batches into chunks and starts their encoding, in order.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use cdc_api::{
    ChangeBatch, CheckpointId, Committable, Error, Result, SinkWriter, TableId, TableSchema,
};

use crate::{
    avro,
    encode::{AvroPlans, Origin, TablePlan, pair_end},
    registry::Registry,
    sequence::Sequence,
    session::Session,
};

/// A chunk has about this much Arrow memory: its JSON is two to eight times that.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNK_ROWS_MAX: usize = 4096;

/// The one writer of a run.
pub(crate) struct KafkaWriter {
    session: Arc<Session>,
    sequence: Sequence,
    origin: Origin,
    registry: Option<Arc<Registry>>,
    plans: HashMap<TableId, Arc<TablePlan>>,
}

impl KafkaWriter {
    pub(crate) fn new(
        session: Arc<Session>,
        origin: Origin,
        registry: Option<Arc<Registry>>,
    ) -> KafkaWriter {
        let sequence = Sequence::start(Arc::clone(&session));
        KafkaWriter { session, sequence, origin, registry, plans: HashMap::new() }
    }

    /// The plan for exactly this schema.
    async fn plan(&mut self, schema: &Arc<TableSchema>) -> Result<Arc<TablePlan>> {
        if let Some(plan) = self.plans.get(schema.id())
            && (Arc::ptr_eq(&plan.schema, schema) || plan.schema == *schema)
        {
            return Ok(Arc::clone(plan));
        }
        let settings = Arc::clone(&self.session.settings);
        let topic = self.session.topic(&settings.topics.of(schema.id())?).await?;
        let avro = match &self.registry {
            Some(registry) => {
                avro::register(registry, schema, &topic, &settings, &self.origin).await?
            }
            None => AvroPlans::default(),
        };
        let plan = TablePlan::new(Arc::clone(schema), topic, &settings, &self.origin, avro)?;
        let plan = Arc::new(plan);
        self.plans.insert(schema.id().clone(), Arc::clone(&plan));
        Ok(plan)
    }
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        self.session.end();
    }
}

#[async_trait]
impl SinkWriter for KafkaWriter {
    async fn schema(&mut self, schema: &Arc<TableSchema>) -> Result<()> {
        self.plan(schema).await.map(|_| ())
    }

    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let plan = self.plan(&batch.schema).await?;
        let row_bytes = (batch.bytes() / batch.len()).max(1);
        let rows = (CHUNK_BYTES / row_bytes).clamp(1, CHUNK_ROWS_MAX);
        let batch = Arc::new(batch);
        let mut from = 0;
        while from < batch.len() {
            let to = pair_end(&batch, (from + rows).min(batch.len()));
            let room = self.sequence.room().await?;
            let (plan, batch) = (Arc::clone(&plan), Arc::clone(&batch));
            let buffer = self.sequence.buffer();
            room.put(tokio::task::spawn_blocking(move || {
                plan.encode(&batch, from..to, now_ms(), buffer)
            }));
            from = to;
        }
        Ok(())
    }

    async fn flush(&mut self, _checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        self.sequence.flush().await?;
        Ok(Vec::new())
    }

    async fn close(&mut self) -> Result<Option<String>> {
        let records = self.session.records.load(Ordering::Relaxed);
        let bytes = self.session.bytes.load(Ordering::Relaxed);
        Ok((records > 0).then(|| format!("kafka: {records} records, {bytes} bytes")))
    }
}

/// Milliseconds since the epoch, for the time that a record says it was made at.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// A run that begins ahead of its committer has no producer.
pub(crate) fn no_session() -> Error {
    Error::internal("the Kafka sink was asked for a writer ahead of its committer")
}
