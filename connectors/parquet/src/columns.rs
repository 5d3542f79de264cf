//! The columns of a table's files: the table's own, then `_op`, `_seq` and `_ts_ms`. In: a [`ChangeBatch`]. Out: the same
//! rows as one record batch of the file's schema, without the images before updates.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use cdc_api::{ChangeBatch, Error, Op, Ops, Result, TableId, TableSchema};

/// What happened to the row: `r` read by the snapshot, `c` inserted, `u` updated, `d` deleted.
pub(crate) const OP: &str = "_op";
/// The row's place in the source's order, rising through the pipeline's whole life.
pub(crate) const SEQ: &str = "_seq";
/// When it was committed, milliseconds since the epoch.
pub(crate) const TS_MS: &str = "_ts_ms";

/// How a table's rows stand in its files.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The table as the sink calls it.
    pub(crate) table: TableId,
    /// The folder of its generation below the lake's.
    pub(crate) folder: String,
    /// The schema its batches come with.
    pub(crate) source: SchemaRef,
    /// The files' schema.
    pub(crate) file: SchemaRef,
    /// The key's column names.
    pub(crate) primary_key: Vec<String>,
}

impl Layout {
    /// The layout of a table.
    ///
    /// # Errors
    /// `Data` when the table has a column named as one of ours, or none at all.
    pub(crate) fn new(schema: &TableSchema) -> Result<Self> {
        let table = schema.id().clone();
        let ours = [OP, SEQ, TS_MS];
        if let Some(taken) =
            schema.columns().iter().find(|column| ours.contains(&column.name.as_str()))
        {
            let message = format!("table \"{table}\" has a column named `{}`", taken.name);
            return Err(Error::data(table, message)
                .detail("the parquet sink adds columns _op, _seq and _ts_ms to each table")
                .hint("rename the column, or leave the table out with tables.exclude"));
        }
        let mut fields: Vec<Arc<Field>> = schema.arrow().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(OP, DataType::Utf8, false)));
        fields.push(Arc::new(Field::new(SEQ, DataType::Int64, false)));
        fields.push(Arc::new(Field::new(TS_MS, DataType::Int64, false)));
        Ok(Layout {
            folder: crate::names::generation_folder(&table, schema.generation()),
            table,
            source: Arc::clone(schema.arrow()),
            file: Arc::new(Schema::new(fields)),
            primary_key: schema.primary_key_names().map(str::to_owned).collect(),
        })
    }

    /// Whether rows of this schema may stand in the same file.
    pub(crate) fn is_of(&self, schema: &TableSchema) -> bool {
        (Arc::ptr_eq(&self.source, schema.arrow()) || self.source == *schema.arrow())
            && self.folder == crate::names::generation_folder(schema.id(), schema.generation())
    }

    /// The rows of a batch as they stand in a file; images before updates are left out.
    ///
    /// # Errors
    /// `Internal` when the batch does not have this layout's columns.
    pub(crate) fn rows(&self, batch: &ChangeBatch) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = batch.rows.columns().to_vec();
        columns.push(Arc::new(op_column(batch)?));
        columns.push(Arc::new(seq_column(batch)));
        columns.push(Arc::new(ts_column(batch)));
        let rows = RecordBatch::try_new(Arc::clone(&self.file), columns).map_err(|error| {
            Error::internal(format!("a batch of table \"{}\" is not of its schema", self.table))
                .caused_by(error)
        })?;
        let Some(kept) = kept_rows(&batch.ops, batch.len()) else { return Ok(rows) };
        filter_record_batch(&rows, &kept).map_err(|error| {
            Error::internal(format!("rows of table \"{}\" could not be chosen", self.table))
                .caused_by(error)
        })
    }
}

fn letter(op: Op) -> u8 {
    match op {
        Op::Read => b'r',
        Op::Insert => b'c',
        Op::UpdateBefore | Op::UpdateAfter => b'u',
        Op::Delete => b'd',
    }
}

fn op_column(batch: &ChangeBatch) -> Result<StringArray> {
    let count = batch.len();
    let letters: Vec<u8> = match &batch.ops {
        Ops::All(op) => vec![letter(*op); count],
        Ops::Each(ops) => ops.iter().map(|op| letter(*op)).collect(),
    };
    let too_many = |error| {
        Error::internal(format!("a batch of {count} rows is not of one size")).caused_by(error)
    };
    let ends: Vec<i32> = (0..=i32::try_from(count).unwrap_or(i32::MAX)).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    StringArray::try_new(offsets, Buffer::from_vec(letters), None).map_err(too_many)
}

fn seq_column(batch: &ChangeBatch) -> Int64Array {
    // Counted from 1 by the engine: 2⁶³ is never reached.
    (0..batch.len()).map(|row| batch.seq(row) as i64).collect::<Vec<i64>>().into()
}

fn ts_column(batch: &ChangeBatch) -> Int64Array {
    batch.txn_of_rows().map(|txn| txn.commit_ts_us.div_euclid(1_000)).collect::<Vec<i64>>().into()
}

/// Which rows stay; none when all do.
fn kept_rows(ops: &Ops, count: usize) -> Option<BooleanArray> {
    let keeps = |op: &Op| *op != Op::UpdateBefore;
    match ops {
        Ops::All(op) if keeps(op) => None,
        Ops::All(_) => Some(BooleanArray::from(vec![false; count])),
        Ops::Each(ops) if ops.iter().all(keeps) => None,
        Ops::Each(ops) => Some(ops.iter().map(|op| Some(keeps(op))).collect()),
    }
}
