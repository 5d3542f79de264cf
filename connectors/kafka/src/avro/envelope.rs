//! Changes as a batch of envelopes: before and after picked out of the rows, and the columns of where they come from.

use std::{ops::Range, sync::Arc};

use arrow_array::{
    ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, UInt32Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Fields, SchemaRef};
use arrow_select::take::take;
use cdc_api::{ChangeBatch, Error, Result, TxnId};

use super::{AvroRows, Encoders, schema};
use crate::encode::{Change, Changes, Origin};

/// How a table's envelopes are encoded.
pub(crate) struct AvroValue {
    encoders: Encoders,
    arrow: SchemaRef,
    origin: Origin,
}

/// What the envelopes of a chunk have beside their rows.
#[derive(Default)]
struct Columns {
    before: Vec<Option<u32>>,
    after: Vec<Option<u32>>,
    op: Vec<&'static str>,
    source_ts: Vec<i64>,
    snapshot: Vec<&'static str>,
    sequence: Vec<String>,
    server: Vec<i64>,
    gtid: Vec<Option<String>>,
    file: Vec<Arc<str>>,
    pos: Vec<i64>,
    row: Vec<i32>,
}

impl Columns {
    fn take(&mut self, change: &Change<'_>) {
        let place = |row: Option<usize>| row.and_then(|row| u32::try_from(row).ok());
        let (at, read) = (change.at(), matches!(change, Change::Put { read: true, .. }));
        self.before.push(place(change.before()));
        self.after.push(place(change.after()));
        self.op.push(match change {
            Change::Put { read: true, .. } => "r",
            Change::Put { .. } => "c",
            Change::Update { .. } => "u",
            Change::Delete { .. } => "d",
        });
        self.source_ts.push(at.txn.commit_ts_us.div_euclid(1000));
        self.snapshot.push(if read { "true" } else { "false" });
        self.sequence.push(format!("[\"{}\"]", at.seq));
        self.server.push(match &at.txn.id {
            TxnId::Domain { server, .. } => i64::from(*server),
            _ => 0,
        });
        self.gtid.push(match &at.txn.id {
            TxnId::None => None,
            id => Some(id.to_string()),
        });
        self.file.push(Arc::clone(&at.txn.file));
        self.pos.push(i64::try_from(at.txn.pos).unwrap_or(i64::MAX));
        self.row.push(i32::try_from(at.row_in_txn).unwrap_or(i32::MAX));
    }
}

impl AvroValue {
    pub(super) fn new(encoders: Encoders, arrow: SchemaRef, origin: Origin) -> AvroValue {
        AvroValue { encoders, arrow, origin }
    }

    /// One envelope for each change of a range.
    pub(crate) fn encode(
        &self,
        batch: &ChangeBatch,
        range: Range<usize>,
        now_ms: i64,
    ) -> Result<AvroRows> {
        let mut columns = Columns::default();
        for change in Changes::of(batch, range) {
            columns.take(&change?);
        }
        let envelopes = self.envelopes(batch, columns, now_ms)?;
        self.encoders.encode(&envelopes)
    }

    fn envelopes(&self, batch: &ChangeBatch, columns: Columns, now_ms: i64) -> Result<RecordBatch> {
        let count = columns.op.len();
        let source = self.source(batch, &columns)?;
        let all = vec![
            self.images(batch, columns.before, 0)?,
            self.images(batch, columns.after, 1)?,
            source,
            Arc::new(StringArray::from(columns.op)) as ArrayRef,
            Arc::new(Int64Array::from(vec![now_ms; count])),
        ];
        RecordBatch::try_new(Arc::clone(&self.arrow), all).map_err(schema::misfit)
    }

    fn fields(&self, at: usize) -> Result<Fields> {
        match self.arrow.field(at).data_type() {
            DataType::Struct(fields) => Ok(fields.clone()),
            _ => Err(Error::internal("an envelope has no rows")),
        }
    }

    fn images(
        &self,
        batch: &ChangeBatch,
        rows: Vec<Option<u32>>,
        field: usize,
    ) -> Result<ArrayRef> {
        let there: NullBuffer = rows.iter().map(Option::is_some).collect();
        let fields = self.fields(field)?;
        let rows = UInt32Array::from(rows);
        let columns =
            batch.schema.columns().iter().zip(batch.rows.columns()).map(|(column, array)| {
                let picked = take(array.as_ref(), &rows, None).map_err(schema::misfit)?;
                schema::carried(&column.logical, &picked)
            });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let images = StructArray::try_new(fields, columns, Some(there)).map_err(schema::misfit)?;
        Ok(Arc::new(images))
    }

    fn source(&self, batch: &ChangeBatch, columns: &Columns) -> Result<ArrayRef> {
        let count = columns.op.len();
        let same = |text: &str| Arc::new(StringArray::from(vec![text; count])) as ArrayRef;
        let id = batch.schema.id();
        let arrays: Vec<ArrayRef> = vec![
            same(env!("CARGO_PKG_VERSION")),
            same(&self.origin.connector),
            same(&self.origin.pipeline),
            Arc::new(Int64Array::from(columns.source_ts.clone())),
            Arc::new(StringArray::from(columns.snapshot.clone())),
            same(id.schema.as_deref().unwrap_or_default()),
            Arc::new(StringArray::from_iter_values(&columns.sequence)),
            same(&id.table),
            Arc::new(Int64Array::from(columns.server.clone())),
            Arc::new(StringArray::from_iter(columns.gtid.iter())),
            Arc::new(StringArray::from_iter_values(&columns.file)),
            Arc::new(Int64Array::from(columns.pos.clone())),
            Arc::new(Int32Array::from(columns.row.clone())),
        ];
        let source = StructArray::try_new(self.fields(2)?, arrays, None).map_err(schema::misfit)?;
        Ok(Arc::new(source))
    }
}
