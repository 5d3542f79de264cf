//! The sink through its traits, on a temporary folder and on a store in memory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type,
};
use cdc_api::{
    ChangeBatch, Column, Committable, EventSinkProvider, LogicalType, Op, Ops, Ordinals,
    SinkContext, SinkWriter, TableId, TableSchema, TxnId, TxnSpan,
};
use parquet::{arrow::arrow_reader::ParquetRecordBatchReaderBuilder, basic::Compression};

use crate::{
    settings::Settings,
    sink::{ParquetSink, Shared, Totals},
    target::Target,
    writer::ParquetWriter,
};

mod files;
mod local;
mod objects;
mod options;

const UUID: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-2222-4333-8444-555555555555";

fn context(uuid: &str) -> SinkContext {
    SinkContext {
        pipeline_uuid: uuid.into(),
        next_checkpoint: 1,
        pipeline: "test".into(),
        source: "mysql".into(),
        checkpoint_interval: std::time::Duration::from_secs(3),
        writers: 1,
        memory_bytes_max: 64 << 20,
    }
}

fn settings(target: Target) -> Settings {
    Settings { target, file_bytes_max: 128 << 20, compression: Compression::SNAPPY }
}

fn folder_target(root: &Path) -> Target {
    Target::Folder(Arc::from(root))
}

fn column(name: &str, logical: LogicalType, nullable: bool) -> Column {
    Column {
        id: 0,
        name: name.into(),
        logical,
        nullable,
        comment: None,
        default: None,
        generated: false,
        source_type: String::new(),
    }
}

fn schema(table: &str) -> Arc<TableSchema> {
    let columns =
        vec![column("id", LogicalType::BigInt, false), column("name", LogicalType::String, true)];
    Arc::new(TableSchema::new(TableId::new("shop", table), 1, columns, vec![0]).unwrap())
}

/// Rows `ids` of a table, numbered from `first_seq` on, committed at 5 s.
fn batch(table: &str, ids: &[i64], ops: Ops, first_seq: u64) -> ChangeBatch {
    let names: StringArray = ids.iter().map(|id| Some(format!("name {id}"))).collect();
    of_columns(
        schema(table),
        vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(names)],
        ops,
        first_seq,
    )
}

fn of_columns(
    schema: Arc<TableSchema>,
    columns: Vec<ArrayRef>,
    ops: Ops,
    first_seq: u64,
) -> ChangeBatch {
    let txn = TxnSpan {
        first_ordinal: 0,
        id: TxnId::None,
        file: "binlog.1".into(),
        pos: 4,
        commit_ts_us: 5_000_999,
    };
    ChangeBatch {
        rows: RecordBatch::try_new(Arc::clone(schema.arrow()), columns).unwrap(),
        schema,
        ops,
        ordinals: Ordinals::From(0),
        first_seq,
        txns: Arc::new([txn]),
    }
}

fn shared(settings: Settings) -> Arc<Shared> {
    Arc::new(Shared { settings, totals: Totals::default() })
}

/// Writes batches and flushes them as one checkpoint.
async fn staged(
    sink: &dyn EventSinkProvider,
    uuid: &str,
    checkpoint: u64,
    batches: Vec<ChangeBatch>,
) -> Vec<Committable> {
    let mut writer = sink.writer(&context(uuid), 0).await.unwrap();
    for batch in batches {
        writer.schema(&Arc::clone(&batch.schema)).await.unwrap();
        writer.write(batch).await.unwrap();
    }
    writer.flush(checkpoint).await.unwrap()
}

/// The files that a plain `*.parquet` matches in a folder, by name.
fn visible(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            !name.starts_with('.') && name.ends_with(".parquet")
        })
        .collect();
    paths.sort();
    paths
}

/// The hidden files of a folder.
fn hidden(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.'))
        .count()
}

fn read(file: impl parquet::file::reader::ChunkReader + 'static) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.map(|batch| batch.unwrap()).collect()
}

fn read_path(path: &Path) -> Vec<RecordBatch> {
    read(std::fs::File::open(path).unwrap())
}

fn longs(batches: &[RecordBatch], column: &str) -> Vec<i64> {
    let of = |batch: &RecordBatch| {
        batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(of).collect()
}

fn words(batches: &[RecordBatch], column: &str) -> Vec<String> {
    let mut words = Vec::new();
    for batch in batches {
        let array = batch.column_by_name(column).unwrap().as_string::<i32>();
        words.extend((0..array.len()).map(|row| array.value(row).to_owned()));
    }
    words
}
