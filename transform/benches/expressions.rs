//! What one row of an expression costs: over whole columns, and row by row for comparison.
//!
//! `cargo bench -p cdc-transform --bench expressions`: criterion's `thrpt` is rows per second.

use std::{hint::black_box, sync::Arc};

use arrow_array::{
    ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use cdc_api::{
    ChangeBatch, Column, LogicalType as L, Op, Ops, Ordinals, TableId, TableSchema, TxnId, TxnSpan,
};
use cdc_transform::{Context, Rule, RuleText};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: usize = 8192;

const EXPRESSIONS: [(&str, &str); 17] = [
    ("upper", "UPPER(status)"),
    ("char_length", "CHAR_LENGTH(note)"),
    ("trim", "TRIM(note)"),
    ("substr", "SUBSTR(note, 2, 4)"),
    ("concat", "status || '-' || id"),
    ("cast_int_to_text", "CAST(id AS STRING)"),
    ("cast_text_to_int", "CAST(digits AS BIGINT)"),
    ("cast_to_double", "CAST(id AS DOUBLE)"),
    ("decimal_product", "total * 1.19"),
    ("date_format", "DATE_FORMAT(at, 'yyyy-MM-dd')"),
    ("date_format_seconds", "DATE_FORMAT(at, 'yyyy-MM-dd HH:mm:ss')"),
    ("case", "CASE WHEN id > 100 THEN status WHEN id > 50 THEN note ELSE 'none' END"),
    ("if", "IF(note IS NULL, status, note)"),
    ("coalesce", "COALESCE(note, status)"),
    ("is_null", "note IS NULL"),
    ("and_or_not", "NOT (id > 100 AND status = 'paid') OR note IS NULL"),
    ("like", "note LIKE 'note.*7$'"),
];

fn table() -> Arc<TableSchema> {
    let types = [
        ("id", L::BigInt),
        ("status", L::VarChar(16)),
        ("note", L::VarChar(100)),
        ("digits", L::VarChar(20)),
        ("total", L::Decimal { precision: 12, scale: 2 }),
        ("at", L::Timestamp(6)),
    ];
    let columns = types.into_iter().enumerate().map(|(at, (name, logical))| Column {
        id: at as u32,
        name: name.to_owned(),
        source_type: logical.to_string(),
        logical,
        nullable: name == "note",
        comment: None,
        default: None,
        generated: false,
    });
    let id = TableId::new("shop", "orders");
    Arc::new(TableSchema::new(id, 1, columns.collect(), vec![0]).expect("a table"))
}

fn batch() -> ChangeBatch {
    let numbers = || 0..ROWS as i64;
    let states = ["new", "paid", "sent", "returned"];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(numbers().map(|n| n % 200))),
        Arc::new(StringArray::from_iter_values(numbers().map(|n| states[n as usize % 4]))),
        Arc::new(
            numbers().map(|n| (n % 3 > 0).then(|| format!("note {n}"))).collect::<StringArray>(),
        ),
        Arc::new(StringArray::from_iter_values(numbers().map(|n| (n * 7919).to_string()))),
        Arc::new(
            Decimal128Array::from_iter_values(numbers().map(|n| i128::from(n) * 37))
                .with_precision_and_scale(12, 2)
                .expect("decimals"),
        ),
        Arc::new(TimestampMicrosecondArray::from_iter_values(
            numbers().map(|n| 1_704_067_200_000_000 + n * 1_234_567_891),
        )),
    ];
    let schema = table();
    ChangeBatch {
        rows: RecordBatch::try_new(Arc::clone(schema.arrow()), columns).expect("rows"),
        schema,
        ops: Ops::All(Op::Read),
        ordinals: Ordinals::From(0),
        first_seq: 1,
        txns: Arc::from([TxnSpan {
            first_ordinal: 0,
            id: TxnId::None,
            file: "bench".into(),
            pos: 0,
            commit_ts_us: 0,
        }]),
    }
}

fn expressions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expressions");
    group.throughput(Throughput::Elements(ROWS as u64)).sample_size(20);
    let rows = batch();
    for (name, expression) in EXPRESSIONS {
        for (way, row_by_row) in [("columns", false), ("rows", true)] {
            let text = RuleText {
                projection: Some(format!("id, {expression} AS out")),
                ..RuleText::default()
            };
            let context = Context { row_by_row, ..Context::default() };
            let program = Rule::compile(&text, &context, &table()).expect("a rule");
            group.bench_function(format!("{name}/{way}"), |bencher| {
                bencher.iter(|| program.eval(black_box(rows.clone())));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, expressions);
criterion_main!(benches);
