//! What stands in the files: every type reads back equal, and rows spread over row groups and files by size and budget.

use arrow_array::{
    BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray,
    builder::{
        Float32Builder, Int32Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
    },
};
use arrow_schema::DataType;
use cdc_api::LogicalType as L;
use parquet::{
    arrow::arrow_reader::ArrowReaderMetadata, basic::LogicalType as P,
    file::metadata::ParquetMetaData,
};

use super::*;

fn decimals(precision: u8, scale: i8, values: [Option<i128>; 3]) -> ArrayRef {
    let array = Decimal128Array::from(values.to_vec());
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

fn structs(logical: &L, columns: Vec<ArrayRef>) -> ArrayRef {
    let DataType::Struct(fields) = logical.arrow() else { panic!("{logical} is no struct") };
    Arc::new(StructArray::new(fields, columns, None))
}

/// Three rows of every type of the value model (correctness §7.1); most have a null.
fn every_type() -> Vec<(&'static str, L, ArrayRef)> {
    let mut set = ListBuilder::new(StringBuilder::new());
    set.append_value([Some("a"), Some("b")]);
    set.append_value(Vec::<Option<&str>>::new());
    set.append_null();
    let mut vector = ListBuilder::new(Float32Builder::new());
    for _ in 0..3 {
        vector.append_value([Some(0.5), Some(-1.25)]);
    }
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), Int32Builder::new());
    for row in 0..3 {
        map.keys().append_value("k");
        map.values().append_value(row);
        map.append(row != 1).unwrap();
    }
    let micros = TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_700_000_000_123_456)]);
    let nanos = TimestampNanosecondArray::from(vec![1, -1, 0]);
    let row = L::Row(vec![("name".into(), L::String), ("length".into(), L::Int)]);
    let row_columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec![Some("x"), None, Some("y")])),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
    ];
    let tz = L::TimestampTz(9);
    let tz_columns: Vec<ArrayRef> = vec![
        Arc::new(nanos.clone().with_timezone("UTC")),
        Arc::new(Int16Array::from(vec![60, 0, -90])),
    ];
    let decimal = |precision, scale| L::Decimal { precision, scale };
    vec![
        ("id", L::BigInt, Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX]))),
        ("bool", L::Boolean, Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("tiny", L::TinyInt, Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)]))),
        ("small", L::SmallInt, Arc::new(Int16Array::from(vec![-1, 0, 1]))),
        ("int", L::Int, Arc::new(Int32Array::from(vec![i32::MIN, 0, i32::MAX]))),
        ("float", L::Float, Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::MAX)]))),
        ("double", L::Double, Arc::new(Float64Array::from(vec![f64::MIN_POSITIVE, 0.1, -1e300]))),
        ("decimal9", decimal(9, 2), decimals(9, 2, [Some(-999_999_999), None, Some(1)])),
        ("decimal18", decimal(18, 0), decimals(18, 0, [Some(1), Some(-2), None])),
        ("decimal38", decimal(38, 10), decimals(38, 10, [Some(10_i128.pow(37)), None, Some(-1)])),
        ("date", L::Date, Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)]))),
        ("time", L::Time(6), Arc::new(Time64MicrosecondArray::from(vec![0, 1, 86_399_999_999]))),
        ("ts", L::Timestamp(6), Arc::new(micros.clone())),
        ("ts9", L::Timestamp(9), Arc::new(nanos)),
        ("ltz", L::TimestampLtz(3), Arc::new(micros.with_timezone("UTC"))),
        ("tz", tz.clone(), structs(&tz, tz_columns)),
        ("text", L::VarChar(9), Arc::new(StringArray::from(vec![Some("größe"), None, Some("")]))),
        (
            "bytes",
            L::Bytes,
            Arc::new(BinaryArray::from(vec![Some([0_u8, 255].as_slice()), None, Some(b"")])),
        ),
        ("set", L::Array(Box::new(L::String)), Arc::new(set.finish())),
        ("vector", L::Array(Box::new(L::Float)), Arc::new(vector.finish())),
        ("map", L::Map(Box::new(L::String), Box::new(L::Int)), Arc::new(map.finish())),
        ("row", row.clone(), structs(&row, row_columns)),
    ]
}

async fn one_file(root: &Path, batches: Vec<ChangeBatch>) -> PathBuf {
    let sink = ParquetSink::new(settings(folder_target(root)));
    let files = staged(&sink, UUID, 1, batches).await;
    sink.committer(&context(UUID)).await.unwrap().commit(1, &files).await.unwrap();
    let paths = visible(&root.join("shop/t"));
    assert_eq!(paths.len(), 1);
    paths[0].clone()
}

fn metadata(path: &Path) -> Arc<ParquetMetaData> {
    let file = std::fs::File::open(path).unwrap();
    Arc::clone(ArrowReaderMetadata::load(&file, Default::default()).unwrap().metadata())
}

#[tokio::test]
async fn every_type_reads_back_equal() {
    let lake = tempfile::tempdir().unwrap();
    let (mut columns, mut arrays) = (Vec::new(), Vec::new());
    for (name, logical, array) in every_type() {
        columns.push(column(name, logical, array.is_nullable()));
        arrays.push(array);
    }
    let schema =
        Arc::new(TableSchema::new(TableId::new("shop", "t"), 1, columns, vec![0]).unwrap());
    let written = of_columns(Arc::clone(&schema), arrays, Ops::All(Op::Read), 1);
    let path = one_file(lake.path(), vec![written.clone()]).await;
    let back = read_path(&path);
    assert_eq!(back.len(), 1);
    let of_table = back[0].project(&(0..schema.columns().len()).collect::<Vec<_>>()).unwrap();
    assert_eq!(of_table.schema().fields(), schema.arrow().fields());
    assert_eq!(of_table.columns(), written.rows.columns());
    let names: Vec<String> =
        back[0].schema().fields().iter().rev().take(3).map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_ts_ms", "_seq", "_op"]);
}

#[tokio::test]
async fn other_readers_find_types_nullability_and_statistics() {
    let lake = tempfile::tempdir().unwrap();
    let (mut columns, mut arrays) = (Vec::new(), Vec::new());
    for (name, logical, array) in every_type() {
        columns.push(column(name, logical, array.is_nullable()));
        arrays.push(array);
    }
    let schema =
        Arc::new(TableSchema::new(TableId::new("shop", "t"), 1, columns, vec![0]).unwrap());
    let path = one_file(lake.path(), vec![of_columns(schema, arrays, Ops::All(Op::Read), 1)]).await;
    let metadata = metadata(&path);
    let described = metadata.file_metadata().schema_descr();
    let root = described.root_schema();
    let field = |name: &str| {
        Arc::clone(root.get_fields().iter().find(|field| field.name() == name).unwrap())
    };
    let is_utc = |name: &str| match field(name).get_basic_info().logical_type_ref() {
        Some(P::Timestamp { is_adjusted_to_u_t_c, .. }) => *is_adjusted_to_u_t_c,
        other => panic!("{name} is {other:?}"),
    };
    assert!(is_utc("ltz"));
    assert!(!is_utc("ts"));
    assert!(field("text").is_optional());
    assert!(!field("id").is_optional());
    assert!(!field("_op").is_optional());
    let id = metadata.row_group(0).column(0).statistics().unwrap();
    assert_eq!((id.null_count_opt(), id.min_is_exact()), (Some(0), true));
    let pairs = metadata.file_metadata().key_value_metadata().unwrap();
    let value =
        |key: &str| pairs.iter().find(|pair| pair.key == key).unwrap().value.clone().unwrap();
    assert_eq!(value("cdc.table"), "shop.t");
    assert_eq!(value("cdc.primary-key"), "[\"id\"]");
}

#[tokio::test]
async fn a_file_is_closed_at_its_size_and_nothing_is_lost() {
    let lake = tempfile::tempdir().unwrap();
    let mut settings = settings(folder_target(lake.path()));
    settings.file_bytes_max = 64 << 10;
    let sink = ParquetSink::new(settings);
    let mut small = context(UUID);
    small.memory_bytes_max = 2 << 20;
    let mut writer = sink.writer(&small, 0).await.unwrap();
    let mut count = 0;
    for _ in 0..40 {
        let ids: Vec<i64> = (count..count + 5_000).collect();
        writer.write(batch("t", &ids, Ops::All(Op::Read), count as u64)).await.unwrap();
        count += 5_000;
    }
    let files = writer.flush(1).await.unwrap();
    assert!(files.len() > 3, "{} files", files.len());
    sink.committer(&context(UUID)).await.unwrap().commit(1, &files).await.unwrap();
    let paths = visible(&lake.path().join("shop/t"));
    assert_eq!(paths.len(), files.len());
    // Names sort in the order of the rows.
    let seqs: Vec<i64> = paths.iter().flat_map(|path| longs(&read_path(path), "_seq")).collect();
    assert!(seqs.into_iter().eq(0..count));
    let line = writer.close().await.unwrap().unwrap();
    assert!(
        line.starts_with(&format!("parquet: {count} rows in {} files, ", files.len())),
        "{line}"
    );
}

#[tokio::test]
async fn a_thousand_tables_stay_within_the_budget() {
    let lake = tempfile::tempdir().unwrap();
    let mut small = context(UUID);
    small.memory_bytes_max = 2 << 20;
    let sink = ParquetSink::new(settings(folder_target(lake.path())));
    let mut writer = sink.writer(&small, 0).await.unwrap();
    let tables: Vec<String> = (0..1_000).map(|table| format!("t{table}")).collect();
    for round in 0..3 {
        for table in &tables {
            writer
                .write(batch(table, &[round, 7], Ops::All(Op::Insert), 2 * round as u64))
                .await
                .unwrap();
        }
    }
    let files = writer.flush(1).await.unwrap();
    assert_eq!(files.len(), 1_000);
    sink.committer(&small).await.unwrap().commit(1, &files).await.unwrap();
    for table in &tables {
        let paths = visible(&lake.path().join("shop").join(table));
        assert_eq!(paths.len(), 1, "{table}");
        assert_eq!(longs(&read_path(&paths[0]), "_seq"), [0, 1, 2, 3, 4, 5]);
    }
}

#[tokio::test]
async fn rows_of_a_changed_schema_go_into_another_file() {
    let lake = tempfile::tempdir().unwrap();
    let sink = ParquetSink::new(settings(folder_target(lake.path())));
    let mut writer = sink.writer(&context(UUID), 0).await.unwrap();
    writer.write(batch("t", &[1], Ops::All(Op::Insert), 1)).await.unwrap();
    let columns = vec![
        column("id", LogicalType::BigInt, false),
        column("name", LogicalType::String, true),
        column("age", LogicalType::Int, true),
    ];
    let wider = Arc::new(TableSchema::new(TableId::new("shop", "t"), 2, columns, vec![0]).unwrap());
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![2])),
        Arc::new(StringArray::from(vec!["b"])),
        Arc::new(Int32Array::from(vec![Some(30)])),
    ];
    writer.schema(&wider).await.unwrap();
    writer.write(of_columns(wider, arrays, Ops::All(Op::Insert), 2)).await.unwrap();
    let files = writer.flush(1).await.unwrap();
    sink.committer(&context(UUID)).await.unwrap().commit(1, &files).await.unwrap();
    let widths: Vec<usize> = visible(&lake.path().join("shop/t"))
        .iter()
        .map(|path| read_path(path)[0].num_columns())
        .collect();
    assert_eq!(widths, [5, 6]);
}

#[tokio::test]
async fn many_small_batches_become_one_row_group() {
    let lake = tempfile::tempdir().unwrap();
    let batches = (0..500).map(|id| batch("t", &[id], Ops::All(Op::Insert), id as u64)).collect();
    let path = one_file(lake.path(), batches).await;
    assert_eq!(metadata(&path).num_row_groups(), 1);
    assert!(longs(&read_path(&path), "id").into_iter().eq(0..500));
}
