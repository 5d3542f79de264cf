//! Avro with Confluent's framing: Debezium's envelope as a record, keys as a record of the key's columns. Schemas come from
//! `schema`, their numbers from the registry; the bytes are arrow-avro's.

mod envelope;
mod schema;

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use arrow_array::RecordBatch;
use arrow_avro::{
    schema::{FingerprintStrategy, SCHEMA_METADATA_KEY},
    writer::{EncodedRows, Encoder, WriterBuilder, format::AvroSoeFormat},
};
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use cdc_api::{ChangeBatch, Error, Result, TableSchema};

use crate::{
    config::{Format, KeyFormat, Settings},
    encode::{AvroPlans, Origin},
    registry::{Registry, Subject},
    topic::Topic,
};
pub(crate) use envelope::AvroValue;

/// Encoded rows, each with its five bytes of framing.
pub(crate) struct AvroRows(EncodedRows);

impl AvroRows {
    /// The bytes of one row.
    pub(crate) fn row(&self, at: usize) -> Result<Bytes> {
        self.0.row(at).map_err(|error| {
            Error::internal("a row was not encoded as Avro").detail(error.to_string())
        })
    }
}

/// Encoders of one registered schema; as many as encode side by side.
struct Encoders {
    schema: Schema,
    id: u32,
    idle: Mutex<Vec<Encoder>>,
}

impl Encoders {
    fn new(arrow: SchemaRef, json: &str, id: u32) -> Result<Encoders> {
        let mut schema = Schema::clone(&arrow);
        schema.metadata.insert(SCHEMA_METADATA_KEY.to_owned(), json.to_owned());
        let encoders = Encoders { schema, id, idle: Mutex::default() };
        // What arrow-avro cannot encode is known ahead of the first row.
        let first = encoders.make()?;
        encoders.give(first);
        Ok(encoders)
    }

    fn make(&self) -> Result<Encoder> {
        WriterBuilder::new(self.schema.clone())
            .with_fingerprint_strategy(FingerprintStrategy::Id(self.id))
            .build_encoder::<AvroSoeFormat>()
            .map_err(|error| {
                Error::internal("an Avro schema does not fit its columns").detail(error.to_string())
            })
    }

    fn give(&self, encoder: Encoder) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(encoder);
    }

    fn encode(&self, rows: &RecordBatch) -> Result<AvroRows> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut encoder = match idle {
            Some(encoder) => encoder,
            None => self.make()?,
        };
        encoder.encode(rows).map_err(|error| {
            Error::internal("rows cannot be encoded as Avro").detail(error.to_string())
        })?;
        let rows = encoder.flush();
        self.give(encoder);
        Ok(AvroRows(rows))
    }
}

/// How a table's keys are encoded.
pub(crate) struct AvroKey {
    encoders: Encoders,
    columns: Vec<usize>,
    arrow: SchemaRef,
}

impl AvroKey {
    /// The keys of a range of rows.
    pub(crate) fn encode(&self, batch: &ChangeBatch, range: Range<usize>) -> Result<AvroRows> {
        let columns = self.columns.iter().map(|&at| {
            let column = batch.schema.columns().get(at).zip(batch.rows.columns().get(at));
            let (column, array) =
                column.ok_or_else(|| Error::internal("a key column of a row is missing"))?;
            schema::carried(&column.logical, &array.slice(range.start, range.len()))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rows =
            RecordBatch::try_new(Arc::clone(&self.arrow), columns).map_err(schema::misfit)?;
        self.encoders.encode(&rows)
    }
}

/// Registers what a table's records need.
///
/// # Errors
/// What the registry says, with the remedy.
pub(crate) async fn register(
    registry: &Registry,
    table: &TableSchema,
    topic: &Topic,
    settings: &Settings,
    origin: &Origin,
) -> Result<AvroPlans> {
    let names = schema::Names::new(table, &origin.pipeline)?;
    let mut plans = AvroPlans::default();
    if settings.key_format == KeyFormat::Avro && !table.primary_key().is_empty() {
        let json = schema::key(table, &names);
        let subject = settings.subject(&topic.name, "key", &names.of("Key"));
        let id = registry.id(&subject, &json, &[]).await?;
        let arrow = schema::key_arrow(table, &names);
        plans.key = Some(AvroKey {
            encoders: Encoders::new(Arc::clone(&arrow), &json, id)?,
            columns: table.primary_key().to_vec(),
            arrow,
        });
    }
    if settings.value_format == Format::Avro {
        let whole = schema::envelope(table, &names, true);
        let subject = settings.subject(&topic.name, "value", &names.of("Envelope"));
        let id = if settings.avro_references {
            let row = Subject { name: names.of("Value"), schema: schema::row(table, &names) };
            let version = registry.version(&row).await?;
            let refers = schema::envelope(table, &names, false);
            registry.id(&subject, &refers, &[(row.name, version)]).await?
        } else {
            registry.id(&subject, &whole, &[]).await?
        };
        let arrow = schema::envelope_arrow(table, &names);
        let encoders = Encoders::new(Arc::clone(&arrow), &whole, id)?;
        plans.value = Some(AvroValue::new(encoders, arrow, origin.clone()));
    }
    Ok(plans)
}
