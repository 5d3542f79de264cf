//! The printed form against Flink CDC's own (the rows of its transform conformance cases), and the counting mode.

use std::sync::Mutex;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int64Array, RecordBatch, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder},
    cast::AsArray,
};
use arrow_schema::DataType;
use cdc_api::{Column, LogicalType as L, Op, Ops, Ordinals, TxnId, TxnSpan};

use super::*;

#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn context() -> SinkContext {
    SinkContext {
        pipeline_uuid: "u".into(),
        next_checkpoint: 1,
        pipeline: "p".into(),
        source: "mysql".into(),
        checkpoint_interval: std::time::Duration::from_secs(3),
        writers: 2,
        memory_bytes_max: 1 << 20,
    }
}

fn column(at: usize, name: &str, logical: L) -> Column {
    Column {
        id: at as u32,
        name: name.into(),
        logical,
        nullable: at > 0,
        comment: None,
        default: None,
        generated: false,
        source_type: String::new(),
    }
}

fn batch(columns: Vec<(&str, L, ArrayRef)>, ops: Ops) -> ChangeBatch {
    let mut described = Vec::new();
    let mut arrays = Vec::new();
    for (at, (name, logical, array)) in columns.into_iter().enumerate() {
        described.push(column(at, name, logical));
        arrays.push(array);
    }
    let id = TableId::new("db", "t");
    let schema = Arc::new(TableSchema::new(id, 1, described, vec![0]).unwrap());
    let rows = RecordBatch::try_new(Arc::clone(schema.arrow()), arrays).unwrap();
    let txn =
        TxnSpan { first_ordinal: 0, id: TxnId::None, file: "f".into(), pos: 4, commit_ts_us: 0 };
    ChangeBatch {
        schema,
        rows,
        ops,
        ordinals: Ordinals::From(0),
        first_seq: 1,
        txns: Arc::new([txn]),
    }
}

async fn printed(batches: Vec<ChangeBatch>) -> String {
    let screen = Screen::default();
    let sink = ValuesSink::to(true, Arc::new(Mutex::new(screen.clone())));
    let mut writer = sink.writer(&context(), 0).await.unwrap();
    for batch in batches {
        writer.schema(&Arc::clone(&batch.schema)).await.unwrap();
        writer.write(batch).await.unwrap();
    }
    assert!(writer.flush(1).await.unwrap().is_empty());
    assert_eq!(writer.close().await.unwrap(), None);
    let bytes = screen.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn changes_print_as_flink_cdc_prints_them() {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 1, 2]));
    let names: ArrayRef =
        Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("b"), Some("b"), None]));
    let ops = vec![Op::Read, Op::UpdateBefore, Op::UpdateAfter, Op::Delete, Op::Insert];
    let text = printed(vec![batch(
        vec![("id", L::BigInt, ids), ("name", L::VarChar(17), names)],
        Ops::Each(ops),
    )])
    .await;
    assert_eq!(
        text,
        "CreateTableEvent{tableId=db.t, schema=columns={`id` BIGINT NOT NULL,`name` VARCHAR(17)}, primaryKeys=id, options=()}\n\
         DataChangeEvent{tableId=db.t, before=[], after=[1, a], op=INSERT, meta=()}\n\
         DataChangeEvent{tableId=db.t, before=[1, a], after=[1, b], op=UPDATE, meta=()}\n\
         DataChangeEvent{tableId=db.t, before=[1, b], after=[], op=DELETE, meta=()}\n\
         DataChangeEvent{tableId=db.t, before=[], after=[2, null], op=INSERT, meta=()}\n"
    );
}

fn schema(generation: u32, version: u32, columns: Vec<Column>) -> Arc<TableSchema> {
    let schema = TableSchema::new(TableId::new("db", "t"), version, columns, vec![0]).unwrap();
    Arc::new(schema.with_generation(generation))
}

fn named(id: u32, name: &str, logical: L) -> Column {
    Column { id, ..column(id as usize, name, logical) }
}

/// What the screen has since the last look.
fn look(screen: &Screen) -> Vec<String> {
    let bytes = std::mem::take(&mut *screen.0.lock().unwrap());
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn changes_of_tables_print_as_flink_cdc_prints_them() {
    let screen = Screen::default();
    let sink = ValuesSink::to(true, Arc::new(Mutex::new(screen.clone())));
    let mut applier = sink.applier(&context()).await.unwrap();
    let mut writer = sink.writer(&context(), 0).await.unwrap();
    let first =
        schema(0, 1, vec![named(0, "id", L::Int), named(1, "a", L::Int), named(2, "b", L::Int)]);
    applier.apply(&SchemaChange::Create(Arc::clone(&first))).await.unwrap();
    assert!(look(&screen).is_empty());
    writer.schema(&first).await.unwrap();
    writer.schema(&first).await.unwrap();
    assert_eq!(look(&screen).len(), 1);

    // Drops, renames, types, additions; each at its place.
    let mut strict = named(5, "x", L::VarChar(17));
    strict.nullable = false;
    let columns = vec![
        named(4, "new", L::Date),
        named(0, "id", L::BigInt),
        strict,
        named(2, "c", L::Double),
        named(6, "z", L::Boolean),
    ];
    let second = schema(0, 2, columns.clone());
    let change = SchemaChange::Alter { before: Arc::clone(&first), after: Arc::clone(&second) };
    applier.apply(&change).await.unwrap();
    assert!(look(&screen).is_empty(), "rows of before may be on their way to the writer");
    writer.schema(&second).await.unwrap();
    assert_eq!(
        look(&screen),
        [
            "DropColumnEvent{tableId=db.t, droppedColumnNames=[a]}",
            "RenameColumnEvent{tableId=db.t, nameMapping={b=c}}",
            "AlterColumnTypeEvent{tableId=db.t, typeMapping={id=BIGINT NOT NULL}, oldTypeMapping={id=INT NOT NULL}}",
            "AlterColumnTypeEvent{tableId=db.t, typeMapping={c=DOUBLE}, oldTypeMapping={c=INT}}",
            "AddColumnEvent{tableId=db.t, addedColumns=[ColumnWithPosition{column=`new` DATE, position=FIRST, existedColumnName=null}]}",
            "AddColumnEvent{tableId=db.t, addedColumns=[ColumnWithPosition{column=`x` VARCHAR(17) NOT NULL, position=AFTER, existedColumnName=id}]}",
            "AddColumnEvent{tableId=db.t, addedColumns=[ColumnWithPosition{column=`z` BOOLEAN, position=LAST, existedColumnName=null}]}",
        ]
    );

    // Emptied: the same columns under the next generation.
    let third = schema(1, 3, columns.clone());
    applier.apply(&SchemaChange::Truncate(Arc::clone(&third))).await.unwrap();
    writer.schema(&third).await.unwrap();
    assert_eq!(look(&screen), ["TruncateTableEvent{tableId=db.t}"]);

    // A new incarnation has no column of the old.
    let fourth = schema(2, 4, vec![named(7, "id", L::Int)]);
    let change = SchemaChange::Recreate { before: third, after: Arc::clone(&fourth) };
    applier.apply(&change).await.unwrap();
    writer.schema(&fourth).await.unwrap();
    let created =
        "CreateTableEvent{tableId=db.t, schema=columns={`id` INT}, primaryKeys=id, options=()}";
    assert_eq!(look(&screen), ["DropTableEvent{tableId=db.t}", created]);

    // Only a version: nothing to tell. A comment: its event.
    let fifth = schema(2, 5, vec![named(7, "id", L::Int)]);
    writer.schema(&fifth).await.unwrap();
    let sixth = Arc::new(TableSchema::clone(&fifth).with_comment(Some("it's".into())));
    writer.schema(&sixth).await.unwrap();
    assert_eq!(look(&screen), ["AlterTableCommentEvent{tableId=db.t, comment='it's'}"]);

    // Dropped, and another table in its place.
    applier.apply(&SchemaChange::Drop(Arc::clone(&sixth))).await.unwrap();
    assert_eq!(look(&screen), ["DropTableEvent{tableId=db.t}"]);
    let seventh = schema(3, 7, vec![named(8, "id", L::Int)]);
    let change = SchemaChange::Recreate { before: sixth, after: Arc::clone(&seventh) };
    applier.apply(&change).await.unwrap();
    writer.schema(&seventh).await.unwrap();
    assert_eq!(look(&screen), [created]);
}

/// A change that a checkpoint carried is applied ahead of everything else, and its table is told from before it on.
#[tokio::test]
async fn a_change_that_a_crash_left_pending_is_printed_once() {
    let screen = Screen::default();
    let sink = ValuesSink::to(true, Arc::new(Mutex::new(screen.clone())));
    let before = schema(0, 1, vec![named(0, "id", L::Int)]);
    let after = schema(0, 2, vec![named(0, "id", L::Int), named(1, "a", L::Int)]);
    let emptied = schema(1, 3, vec![named(0, "id", L::Int), named(1, "a", L::Int)]);
    let alter = SchemaChange::Alter { before, after: Arc::clone(&after) };
    let added = "AddColumnEvent{tableId=db.t, addedColumns=[ColumnWithPosition{column=`a` INT, position=LAST, existedColumnName=null}]}";
    // Each run tells it again: the sink is at-least-once.
    for _ in 0..2 {
        let mut applier = sink.applier(&context()).await.unwrap();
        applier.apply(&alter).await.unwrap();
        let mut writer = sink.writer(&context(), 0).await.unwrap();
        writer.schema(&after).await.unwrap();
        let lines = look(&screen);
        assert!(
            lines[0]
                .starts_with("CreateTableEvent{tableId=db.t, schema=columns={`id` INT NOT NULL},")
        );
        assert_eq!(lines[1..], [added]);
        writer.schema(&emptied).await.unwrap();
        assert_eq!(look(&screen), ["TruncateTableEvent{tableId=db.t}"]);
    }
    let mut applier = sink.applier(&context()).await.unwrap();
    applier.apply(&SchemaChange::Truncate(Arc::clone(&emptied))).await.unwrap();
    let lines = look(&screen);
    assert!(lines[0].starts_with("CreateTableEvent{") && lines.len() == 2, "{lines:?}");
    assert_eq!(lines[1], "TruncateTableEvent{tableId=db.t}");
    applier.apply(&SchemaChange::Drop(emptied)).await.unwrap();
    assert_eq!(look(&screen), ["DropTableEvent{tableId=db.t}"]);
}

fn nested() -> Vec<(&'static str, L, ArrayRef)> {
    let mut numbers = ListBuilder::new(Int32Builder::new());
    numbers.append_value([Some(1), None, Some(13)]);
    let mut words = MapBuilder::new(
        Some(arrow_array::builder::MapFieldNames {
            entry: "entries".into(),
            key: "key".into(),
            value: "value".into(),
        }),
        Int32Builder::new(),
        StringBuilder::new(),
    );
    for (key, word) in [(1, "one"), (2, "two")] {
        words.keys().append_value(key);
        words.values().append_value(word);
    }
    words.append(true).unwrap();
    let row = L::Row(vec![("name".into(), L::String), ("length".into(), L::SmallInt)]);
    let DataType::Struct(fields) = row.arrow() else { panic!("a row is a struct") };
    let alice = StructArray::new(
        fields,
        vec![Arc::new(StringArray::from(vec!["Alice"])), Arc::new(Int16Array::from(vec![5]))],
        None,
    );
    let map = words.finish();
    let L::Map(key, value) = L::Map(Box::new(L::Int), Box::new(L::String)) else { unreachable!() };
    vec![
        ("list", L::Array(Box::new(L::Int)), Arc::new(numbers.finish())),
        ("map", L::Map(key, value), Arc::new(map)),
        ("row", row, Arc::new(alice)),
    ]
}

#[tokio::test]
async fn each_type_prints_as_flink_cdc_prints_it() {
    let tz = L::TimestampTz(9);
    let DataType::Struct(tz_fields) = tz.arrow() else { panic!("an offset time is a struct") };
    let zoned = StructArray::new(
        tz_fields,
        vec![
            Arc::new(TimestampNanosecondArray::from(vec![94_656_789_123_456]).with_timezone("UTC")),
            Arc::new(Int16Array::from(vec![480])),
        ],
        None,
    );
    let decimal = Decimal128Array::from(vec![12_345_678_901_234_567_890])
        .with_precision_and_scale(20, 2)
        .unwrap();
    let mut columns: Vec<(&str, L, ArrayRef)> = vec![
        ("id", L::TinyInt, Arc::new(Int8Array::from(vec![-1]))),
        ("bool", L::Boolean, Arc::new(BooleanArray::from(vec![true]))),
        ("float", L::Float, Arc::new(Float32Array::from(vec![7.7]))),
        ("double", L::Double, Arc::new(Float64Array::from(vec![-88.88]))),
        ("decimal", L::Decimal { precision: 20, scale: 2 }, Arc::new(decimal)),
        ("bytes", L::Bytes, Arc::new(BinaryArray::from(vec![b"Lorem ipsum".as_slice()]))),
        ("date", L::Date, Arc::new(Date32Array::from(vec![11_322]))),
        ("time", L::Time(0), Arc::new(Time64MicrosecondArray::from(vec![70_997_000_000]))),
        ("ts", L::Timestamp(6), Arc::new(TimestampMicrosecondArray::from(vec![123_456_789_123]))),
        (
            "ltz",
            L::TimestampLtz(9),
            Arc::new(
                TimestampNanosecondArray::from(vec![123_456_789_123_456]).with_timezone("UTC"),
            ),
        ),
        ("tz", tz, Arc::new(zoned)),
    ];
    columns.extend(nested());
    let text = printed(vec![batch(columns, Ops::All(Op::Insert))]).await;
    let line = text.lines().nth(1).unwrap();
    assert_eq!(
        line,
        "DataChangeEvent{tableId=db.t, before=[], after=[-1, true, 7.7, -88.88, 123456789012345678.90, \
         TG9yZW0gaXBzdW0=, 2000-12-31, 19:43:17, 1970-01-02T10:17:36.789123, 1970-01-02T10:17:36.789123456, \
         1970-01-02T10:17:36.789123456+08:00, [1, null, 13], {1 -> one, 2 -> two}, \
         {name: STRING -> Alice, length: SMALLINT -> 5}], op=INSERT, meta=()}"
    );
}

#[test]
fn comments_defaults_and_keys_stand_in_a_creation() {
    let mut id = column(0, "i`d", L::BigInt);
    id.comment = Some("Let's Tweet".into());
    let mut at = column(1, "at", L::Timestamp(0));
    at.default = Some(cdc_api::DefaultValue::Expression("CURRENT_TIMESTAMP(6)".into()));
    let mut uuid = column(2, "uuid", L::Char(36));
    uuid.default = Some(cdc_api::DefaultValue::Expression("uuid()".into()));
    let mut flag = column(3, "flag", L::Boolean);
    flag.comment = Some("George".into());
    flag.default = Some(cdc_api::DefaultValue::Literal("false".into()));
    let schema = TableSchema::new(TableId::new("db", "t"), 1, vec![id, at, uuid, flag], vec![0, 2])
        .unwrap()
        .with_comment(Some("orders".into()));
    let mut text = String::new();
    push_create(&mut text, &schema);
    assert_eq!(
        text,
        "CreateTableEvent{tableId=db.t, schema=columns={`i``d` BIGINT NOT NULL 'Let''s Tweet',\
         `at` TIMESTAMP(0) '1970-01-01 00:00:00',`uuid` CHAR(36),`flag` BOOLEAN 'George' 'false'}, \
         primaryKeys=i`d;uuid, comment=orders, options=()}\n"
    );
}

#[tokio::test]
async fn a_big_batch_prints_every_row_once() {
    let count = 60_000;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    let text = printed(vec![batch(vec![("id", L::BigInt, ids)], Ops::All(Op::Read))]).await;
    assert_eq!(text.lines().count() as i64, count + 1);
    assert!(text.len() > 2 * TEXT_BYTES_MAX);
    assert!(text.lines().last().unwrap().contains("after=[59999]"));
}

#[tokio::test]
async fn a_closed_stdout_is_the_operators_to_mend() {
    let sink = ValuesSink::to(true, Arc::new(Mutex::new(Closed)));
    let mut writer = sink.writer(&context(), 0).await.unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = batch(vec![("id", L::BigInt, ids)], Ops::All(Op::Read));
    let error = writer.write(batch).await.unwrap_err();
    assert_eq!(*error.kind(), cdc_api::ErrorKind::Operator);
    assert_eq!(error.message(), "stdout was closed by its reader");
    assert!(error.hint_text().unwrap().contains("print.enabled: false"));
}

#[tokio::test]
async fn counting_says_its_sum_once() {
    let sink = ValuesSink::to(false, Arc::new(Mutex::new(Closed)));
    let mut first = sink.writer(&context(), 0).await.unwrap();
    let mut second = sink.writer(&context(), 1).await.unwrap();
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = batch(vec![("id", L::BigInt, ids)], Ops::All(Op::Read));
    let bytes = batch.bytes();
    assert_eq!(batch.rows.column(0).as_primitive::<arrow_array::types::Int64Type>().len(), 3);
    first.write(batch.clone()).await.unwrap();
    second.write(batch).await.unwrap();
    assert_eq!(first.close().await.unwrap(), None);
    let line = second.close().await.unwrap();
    assert_eq!(line, Some(format!("values: 6 rows, {} Arrow bytes", 2 * bytes)));
}

#[test]
fn printing_wants_all_images_in_one_writer_and_counting_does_not() {
    let printing = ValuesSink::new(true).capabilities();
    assert_eq!(printing.before_images, BeforeImages::All);
    assert_eq!(printing.partitioning, Partitioning::Single);
    let counting = ValuesSink::new(false).capabilities();
    assert_eq!(counting.before_images, BeforeImages::Deletes);
    assert_eq!(counting.partitioning, Partitioning::ByTable);
}
