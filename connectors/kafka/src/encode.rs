//! From a chunk of a table's changes to Kafka records: key and value bytes in one buffer.
//!
//! In: a [`ChangeBatch`] and a range of its rows. Out: [`Encoded`]. A [`TablePlan`] holds what is the same for all rows of
//! one schema version, most of it as finished bytes; it is shared by the encoding threads and never changes.

mod canal;
mod changes;
mod connect;
mod debezium;
mod key;
mod row;

use std::{ops::Range, sync::Arc};

use cdc_api::{ChangeBatch, Error, Result, TableSchema};
use rdkafka::message::OwnedHeaders;

use crate::{
    avro::{AvroKey, AvroValue},
    config::{Format, Settings},
    json::Cells,
    topic::Topic,
};
pub(crate) use canal::jdbc_type;
pub(crate) use changes::{Change, Changes, pair_end};
use key::KeyPlan;
use row::RowPlan;

/// What all tables' encoders know of the pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The pipeline's name, Debezium's `source.name`.
    pub(crate) pipeline: String,
    /// The source connector's name.
    pub(crate) connector: String,
}

/// What the encoding of one table's rows needs; of one schema version.
pub(crate) struct TablePlan {
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) topic: Arc<Topic>,
    pub(crate) headers: Option<OwnedHeaders>,
    key: KeyPlan,
    value: ValuePlan,
    /// A null value follows each delete, so that compaction removes the key.
    tombstones: bool,
}

enum ValuePlan {
    Debezium(debezium::DebeziumPlan),
    Canal(canal::CanalPlan),
    Row(RowPlan),
    Avro(AvroValue),
}

/// What the registry gave for a table in the Avro formats.
#[derive(Default)]
pub(crate) struct AvroPlans {
    pub(crate) key: Option<AvroKey>,
    pub(crate) value: Option<AvroValue>,
}

/// Records in order, ready to be produced.
pub(crate) struct Encoded {
    pub(crate) plan: Arc<TablePlan>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Record>,
}

/// One record: where its key and its value stand in the bytes. No value is a tombstone.
pub(crate) struct Record {
    pub(crate) key: Option<Range<usize>>,
    pub(crate) value: Option<Range<usize>>,
}

impl TablePlan {
    /// Prepares a table.
    ///
    /// # Errors
    /// `Internal` when the Avro parts are missing that the settings ask for.
    pub(crate) fn new(
        schema: Arc<TableSchema>,
        topic: Arc<Topic>,
        settings: &Settings,
        origin: &Origin,
        avro: AvroPlans,
    ) -> Result<TablePlan> {
        let missing = || Error::internal("an Avro schema was not registered ahead of its table");
        let value = match settings.value_format {
            Format::DebeziumJson => {
                ValuePlan::Debezium(debezium::DebeziumPlan::new(&schema, settings, origin))
            }
            Format::CanalJson => ValuePlan::Canal(canal::CanalPlan::new(&schema, settings)),
            Format::Json => ValuePlan::Row(RowPlan::new(&schema, settings.value_style(), false)),
            Format::Avro => ValuePlan::Avro(avro.value.ok_or_else(missing)?),
        };
        let key = KeyPlan::new(&schema, settings, avro.key)?;
        Ok(TablePlan {
            headers: settings.headers_of(schema.id()),
            tombstones: settings.tombstones && settings.value_format != Format::Json,
            schema,
            topic,
            key,
            value,
        })
    }

    /// Encodes the rows of `range`, which splits no update, into `bytes`.
    ///
    /// # Errors
    /// `Data` for a delete that the format cannot express, `Internal` when rows do not fit the schema.
    pub(crate) fn encode(
        self: &Arc<Self>,
        batch: &ChangeBatch,
        range: Range<usize>,
        now_ms: i64,
        mut bytes: Vec<u8>,
    ) -> Result<Encoded> {
        let mut records = Vec::with_capacity(range.len());
        bytes.clear();
        let keys = self.key.bind(batch, range.clone())?;
        let mut put = |bytes: &mut Vec<u8>,
                       change: &Change<'_>,
                       write: &mut dyn FnMut(&mut Vec<u8>) -> Result<bool>|
         -> Result<()> {
            let start = bytes.len();
            let key = keys.push(bytes, change.row())?.then_some(start..bytes.len());
            let start = bytes.len();
            let value = write(bytes)?.then_some(start..bytes.len());
            if value.is_none() && key.is_none() {
                return Err(self.no_way_to_delete());
            }
            let tombstone = self.tombstones && matches!(change, Change::Delete { .. });
            let after = tombstone.then(|| Record { key: key.clone(), value: None });
            records.push(Record { key, value });
            records.extend(after.filter(|record| record.key.is_some()));
            Ok(())
        };
        let changes = Changes::of(batch, range.clone());
        match &self.value {
            ValuePlan::Debezium(plan) => {
                let cells = self.bind(batch, plan.style())?;
                for change in changes {
                    let change = change?;
                    put(&mut bytes, &change, &mut |out| {
                        plan.push(out, &change, &cells, now_ms);
                        Ok(true)
                    })?;
                }
            }
            ValuePlan::Canal(plan) => {
                let cells = self.bind(batch, plan.style())?;
                for change in changes {
                    let change = change?;
                    put(&mut bytes, &change, &mut |out| {
                        plan.push(out, &change, &cells, now_ms);
                        Ok(true)
                    })?;
                }
            }
            ValuePlan::Row(plan) => {
                let cells = self.bind(batch, plan.style())?;
                for change in changes {
                    let change = change?;
                    put(&mut bytes, &change, &mut |out| {
                        let Some(after) = change.after() else { return Ok(false) };
                        plan.push(out, &cells, after);
                        Ok(true)
                    })?;
                }
            }
            ValuePlan::Avro(plan) => {
                let encoded = plan.encode(batch, range, now_ms)?;
                for (index, change) in changes.enumerate() {
                    put(&mut bytes, &change?, &mut |out| {
                        out.extend_from_slice(&encoded.row(index)?);
                        Ok(true)
                    })?;
                }
            }
        }
        Ok(Encoded { plan: Arc::clone(self), bytes, records })
    }

    fn bind<'a>(
        &'a self,
        batch: &'a ChangeBatch,
        style: crate::json::Style,
    ) -> Result<Vec<Cells<'a>>> {
        let columns = self.schema.columns().iter();
        if columns.len() != batch.rows.num_columns() {
            return Err(Error::internal(format!(
                "rows of table \"{}\" have other columns than its schema",
                self.schema.id()
            )));
        }
        columns
            .zip(batch.rows.columns())
            .map(|(column, array)| {
                Cells::bind(&column.logical, &column.source_type, array.as_ref(), style)
            })
            .collect()
    }

    fn no_way_to_delete(&self) -> Error {
        let id = self.schema.id();
        Error::data(id.clone(), format!("a deleted row of table \"{id}\" cannot be written"))
            .detail("value.format `json` has only the row itself: a delete is a null value under the row's key, and the table has no key")
            .hint("use value.format `debezium-json`, or give the table a primary key")
    }
}
