//! How long one core takes to write a nine-column orders table as Parquet: `cargo run --release -p cdc-parquet --example
//! orders -- [rows] [compression] [folder]`. Prints seconds, rows a second and the files' size.

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Instant};

use arrow_array::{
    ArrayRef, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use cdc_api::{
    ChangeBatch, Column, LogicalType as L, Op, Ops, Options, Ordinals, SinkContext, TableId,
    TableSchema, TxnId, TxnSpan,
};

const BATCH_ROWS: usize = 16_384;
const STATES: [&str; 5] = ["new", "paid", "packed", "shipped", "returned"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let rows: usize = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let compression = arguments.next().unwrap_or_else(|| "zstd".into());
    let scratch = tempfile::tempdir()?;
    let path = arguments.next().unwrap_or_else(|| scratch.path().display().to_string());
    let values = BTreeMap::from([("path".into(), path), ("compression".into(), compression)]);
    let sink = cdc_parquet::provider(&Options::new(&cdc_parquet::SPEC, values))
        .map_err(|faults| format!("{faults:?}"))?;
    let context = SinkContext {
        source: "mysql".into(),
        checkpoint_interval: std::time::Duration::from_secs(60),
        pipeline_uuid: "00000000-0000-4000-8000-000000000000".into(),
        next_checkpoint: 1,
        pipeline: "orders".into(),
        writers: 1,
        memory_bytes_max: 64 << 20,
    };
    let batches = batches(rows)?;
    let mut writer = sink.writer(&context, 0).await?;
    let started = Instant::now();
    for batch in batches {
        writer.write(batch).await?;
    }
    let staged = writer.flush(1).await?;
    let seconds = started.elapsed().as_secs_f64();
    sink.committer(&context).await?.commit(1, &staged).await?;
    let summary = writer.close().await?.unwrap_or_default();
    eprintln!("{seconds:.3} s, {:.0} rows/s, {summary}", rows as f64 / seconds);
    Ok(())
}

fn schema() -> cdc_api::Result<TableSchema> {
    let columns = [
        ("id", L::BigInt),
        ("customer_id", L::Int),
        ("product_id", L::Int),
        ("quantity", L::Int),
        ("price", L::Decimal { precision: 10, scale: 2 }),
        ("state", L::VarChar(16)),
        ("created_at", L::Timestamp(0)),
        ("updated_at", L::TimestampLtz(6)),
        ("note", L::VarChar(120)),
    ];
    let columns = columns.into_iter().enumerate().map(|(at, (name, logical))| Column {
        id: at as u32,
        name: name.into(),
        logical,
        nullable: at > 0,
        comment: None,
        default: None,
        generated: false,
        source_type: String::new(),
    });
    TableSchema::new(TableId::new("shop", "orders"), 1, columns.collect(), vec![0])
}

/// Rows like a shop's: rising ids and times, skewed customers, few states, short notes of changing words.
fn batches(rows: usize) -> Result<Vec<ChangeBatch>, Box<dyn Error>> {
    let schema = Arc::new(schema()?);
    let mut noise = 88_172_645_463_325_252_u64;
    let mut draw = move |below: u64| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise % below
    };
    let txn = TxnSpan {
        first_ordinal: 0,
        id: TxnId::None,
        file: "binlog.000001".into(),
        pos: 4,
        commit_ts_us: 1_700_000_000_000_000,
    };
    let txns: Arc<[TxnSpan]> = Arc::new([txn]);
    let mut batches = Vec::new();
    for first in (0..rows).step_by(BATCH_ROWS) {
        let ids = first..rows.min(first + BATCH_ROWS);
        let mut ints =
            |below: u64| -> Vec<i32> { ids.clone().map(|_| draw(below) as i32).collect() };
        let (customers, products, quantities) = (ints(200_000), ints(5_000), ints(9));
        let (cents, states) = (ints(1_000_000), ints(STATES.len() as u64));
        let (words, later) = (ints(1 << 30), ints(86_400_000));
        let created = |id: usize| 1_600_000_000_000_000 + id as i64 * 1_000_000;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(ids.clone().map(|id| id as i64))),
            Arc::new(Int32Array::from(customers)),
            Arc::new(Int32Array::from(products)),
            Arc::new(Int32Array::from(quantities)),
            Arc::new(
                Decimal128Array::from_iter_values(cents.iter().map(|cents| i128::from(*cents)))
                    .with_precision_and_scale(10, 2)?,
            ),
            Arc::new(StringArray::from_iter_values(
                states.iter().map(|state| STATES[*state as usize]),
            )),
            Arc::new(TimestampMicrosecondArray::from_iter_values(ids.clone().map(created))),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(
                    ids.clone()
                        .zip(later)
                        .map(|(id, later)| created(id) + i64::from(later) * 1_000),
                )
                .with_timezone("UTC"),
            ),
            Arc::new(StringArray::from_iter_values(
                words.iter().map(|word| format!("leave at door {} call {:08x}", word % 97, word)),
            )),
        ];
        batches.push(ChangeBatch {
            rows: RecordBatch::try_new(Arc::clone(schema.arrow()), columns)?,
            schema: Arc::clone(&schema),
            ops: Ops::All(Op::Read),
            ordinals: Ordinals::From(0),
            first_seq: 1 + first as u64,
            txns: Arc::clone(&txns),
        });
    }
    Ok(batches)
}
