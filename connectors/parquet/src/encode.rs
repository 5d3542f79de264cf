//! One Parquet file being encoded. Rows come as whole row groups, and each group is encoded column by column: only one
//! column's encoder and compressor are alive at a time (a zstd compressor alone holds about a megabyte), so what an open
//! file keeps between groups is its footer. The encodings are chosen once, from the first rows.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray};
use arrow_schema::DataType;
use cdc_api::{Error, Result};
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_writer::{ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::{Compression, Encoding},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::SerializedFileWriter,
    },
    schema::types::ColumnPath,
};

use crate::columns::{Layout, SEQ, TS_MS};

/// A page's uncompressed size: what a reader holds at once.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Beyond this a dictionary is given up for the rest of the row group.
const DICTIONARY_BYTES_MAX: usize = 256 << 10;
/// So many values of a column are looked at to choose its encoding.
const SAMPLE_ROWS: usize = 1_024;
/// A dictionary is worth its hashing when at most one in so many sampled values is new.
const SAMPLE_REPEATS_MIN: usize = 4;
/// Statistics keep the beginning of long values only.
const STATISTICS_BYTES_MAX: usize = 64;

/// A file whose row groups are appended one after another; its bytes are taken away as they come.
pub(crate) struct FileEncoder {
    layout: Arc<Layout>,
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    rows: u64,
}

impl FileEncoder {
    /// A new file. The encodings are chosen by looking at `first`, the rows of its first group.
    pub(crate) fn new(
        layout: Arc<Layout>,
        compression: Compression,
        first: &[RecordBatch],
    ) -> Result<Self> {
        let properties = properties(&layout, compression, first);
        let opened = ArrowWriter::try_new(Vec::new(), Arc::clone(&layout.file), Some(properties))
            .and_then(ArrowWriter::into_serialized_writer);
        let (file, factory) = opened.map_err(|error| {
            let message = format!("table \"{}\" cannot stand in a Parquet file", layout.table);
            Error::data(layout.table.clone(), message).caused_by(error)
        })?;
        Ok(FileEncoder { layout, file, factory, rows: 0 })
    }

    /// Encodes the batches as one row group.
    pub(crate) fn row_group(&mut self, batches: &[RecordBatch]) -> Result<()> {
        self.try_row_group(batches).map_err(|error| self.failure(error))?;
        self.rows += batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>();
        Ok(())
    }

    fn try_row_group(&mut self, batches: &[RecordBatch]) -> Result<(), ParquetError> {
        let index = self.file.flushed_row_groups().len();
        let mut writers = self.factory.create_column_writers(index)?.into_iter();
        let mut group = self.file.next_row_group()?;
        for (at, field) in self.layout.file.fields().iter().enumerate() {
            let leaves = batches
                .iter()
                .map(|batch| compute_leaves(field, batch.column(at)))
                .collect::<Result<Vec<Vec<ArrowLeafColumn>>, ParquetError>>()?;
            for leaf in 0..leaves.first().map_or(0, Vec::len) {
                let mut writer = writers.next().ok_or_else(|| {
                    ParquetError::General(format!("column {} has no writer", field.name()))
                })?;
                for batch_leaves in &leaves {
                    writer.write(&batch_leaves[leaf])?;
                }
                writer.close()?.append_to_row_group(&mut group)?;
            }
        }
        group.close()?;
        Ok(())
    }

    /// The bytes that came since the last call.
    pub(crate) fn take_bytes(&mut self) -> Result<Vec<u8>> {
        self.file.flush().map_err(|error| self.failure(error.into()))?;
        Ok(std::mem::take(self.file.inner_mut()))
    }

    /// Writes the footer; the last bytes, and how many rows the file has.
    pub(crate) fn finish(mut self) -> Result<(Vec<u8>, u64)> {
        self.file.finish().map_err(|error| self.failure(error))?;
        Ok((std::mem::take(self.file.inner_mut()), self.rows))
    }

    /// Bytes so far, those taken away included.
    pub(crate) fn bytes_written(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// How many row groups there are; the footer grows with each.
    pub(crate) fn row_groups(&self) -> usize {
        self.file.flushed_row_groups().len()
    }

    fn failure(&self, error: ParquetError) -> Error {
        Error::internal(format!("rows of table \"{}\" could not be encoded", self.layout.table))
            .caused_by(error)
    }
}

fn properties(
    layout: &Layout,
    compression: Compression,
    first: &[RecordBatch],
) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_compression(compression)
        .set_created_by(concat!("cdc-cli ", env!("CARGO_PKG_VERSION")).into())
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        // Pages are cut by bytes alone: a compressor works best on big ones.
        .set_data_page_row_count_limit(usize::MAX)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        // Row groups are cut by the writer.
        .set_max_row_group_row_count(None)
        .set_key_value_metadata(Some(vec![
            KeyValue::new("cdc.table".into(), layout.table.to_string()),
            KeyValue::new(
                "cdc.primary-key".into(),
                serde_json::Value::from(layout.primary_key.clone()).to_string(),
            ),
        ]));
    for (at, field) in layout.file.fields().iter().enumerate() {
        if field.data_type().is_nested() {
            continue;
        }
        let path = ColumnPath::new(vec![field.name().clone()]);
        let is_ours = [SEQ, TS_MS].contains(&field.name().as_str());
        if !is_ours && repeats(first.iter().map(|batch| batch.column(at))) {
            continue;
        }
        builder = builder.set_column_dictionary_enabled(path.clone(), false);
        if is_stored_as_integer(field.data_type()) {
            // Half the bytes of plain integers, and less for the compressor to do.
            builder = builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
        }
    }
    builder.build()
}

fn is_stored_as_integer(data_type: &DataType) -> bool {
    data_type.is_signed_integer()
        || matches!(data_type, DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(_, _))
}

/// Whether a column's values come again often enough for a dictionary, judged by a sample of its first rows.
fn repeats<'a>(arrays: impl Iterator<Item = &'a ArrayRef>) -> bool {
    let hasher = RandomState::new();
    let mut seen: HashSet<u64> = HashSet::new();
    let mut looked = 0;
    for array in arrays {
        let Some(hash_of) = hash_of(array, &hasher) else { return true };
        for row in (0..array.len()).filter(|row| array.is_valid(*row)) {
            if looked == SAMPLE_ROWS {
                return seen.len() * SAMPLE_REPEATS_MIN <= looked;
            }
            seen.insert(hash_of(row));
            looked += 1;
        }
    }
    seen.len() * SAMPLE_REPEATS_MIN <= looked
}

/// Hashes single values; none for types whose encoding is not a matter of their values.
fn hash_of<'a>(
    array: &'a ArrayRef,
    hasher: &'a RandomState,
) -> Option<Box<dyn Fn(usize) -> u64 + 'a>> {
    match array.data_type() {
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            Some(Box::new(move |row| hasher.hash_one(values.value(row))))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Some(Box::new(move |row| hasher.hash_one(values.value(row))))
        }
        other => {
            let width = other.primitive_width()?;
            let data = array.to_data();
            let values = data.buffers().first()?.clone();
            let start = data.offset() * width;
            Some(Box::new(move |row| {
                let from = start + row * width;
                hasher.hash_one(values.as_slice().get(from..from + width))
            }))
        }
    }
}
