//! Avro with Confluent's framing.

use std::ops::Range;

use arrow_avro::writer::EncodedRows;
use bytes::Bytes;
use cdc_api::{ChangeBatch, Error, Result, TableSchema};

use crate::{
    config::Settings,
    encode::{AvroPlans, Origin},
    registry::Registry,
    topic::Topic,
};

/// Encoded rows.
pub(crate) struct AvroRows(EncodedRows);

impl AvroRows {
    pub(crate) fn row(&self, at: usize) -> Result<Bytes> {
        self.0.row(at).map_err(|error| {
            Error::internal("a row was not encoded as Avro").detail(error.to_string())
        })
    }
}

pub(crate) struct AvroKey;
impl AvroKey {
    pub(crate) fn encode(&self, _batch: &ChangeBatch, _range: Range<usize>) -> Result<AvroRows> {
        Err(Error::internal("avro"))
    }
}
pub(crate) struct AvroValue;
impl AvroValue {
    pub(crate) fn encode(&self, _batch: &ChangeBatch, _range: Range<usize>, _now_ms: i64) -> Result<AvroRows> {
        Err(Error::internal("avro"))
    }
}

pub(crate) async fn register(
    _registry: &Registry,
    _schema: &TableSchema,
    _topic: &Topic,
    _settings: &Settings,
    _origin: &Origin,
) -> Result<AvroPlans> {
    Ok(AvroPlans::default())
}
