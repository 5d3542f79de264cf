//! The table `foo.bar.baz` that every case works on, and its two rows.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    Time64MicrosecondArray, Time64NanosecondArray, TimestampNanosecondArray,
    builder::{Int32Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder},
};
use arrow_schema::{DataType, Field, Schema};
use cdc_api::{
    ChangeBatch, Column, DefaultValue, LogicalType as L, Op, Ops, Ordinals, TableId, TableSchema,
    TxnId, TxnSpan,
};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

fn columns() -> Vec<(&'static str, L)> {
    let text_list = || Box::new(L::Array(Box::new(L::String)));
    vec![
        ("id_", L::BigInt),
        ("bool_", L::Boolean),
        ("tinyint_", L::TinyInt),
        ("smallint_", L::SmallInt),
        ("int_", L::Int),
        ("bigint_", L::BigInt),
        ("float_", L::Float),
        ("double_", L::Double),
        ("decimal_10_0_", L::Decimal { precision: 10, scale: 0 }),
        ("decimal_20_2_", L::Decimal { precision: 20, scale: 2 }),
        ("char_", L::Char(140)),
        ("varchar_", L::VarChar(140)),
        ("string_", L::String),
        ("binary_", L::Binary(640)),
        ("varbinary_", L::VarBinary(640)),
        ("bytes_", L::Bytes),
        ("timestamp_0_", L::Timestamp(0)),
        ("timestamp_6_", L::Timestamp(6)),
        ("timestamp_9_", L::Timestamp(9)),
        ("timestamp_tz_0_", L::TimestampTz(0)),
        ("timestamp_tz_6_", L::TimestampTz(6)),
        ("timestamp_tz_9_", L::TimestampTz(9)),
        ("timestamp_ltz_0_", L::TimestampLtz(0)),
        ("timestamp_ltz_6_", L::TimestampLtz(6)),
        ("timestamp_ltz_9_", L::TimestampLtz(9)),
        ("date_", L::Date),
        ("time_0_", L::Time(0)),
        ("time_6_", L::Time(6)),
        ("time_9_", L::Time(9)),
        ("array_int_", L::Array(Box::new(L::Int))),
        ("array_string_", L::Array(Box::new(L::String))),
        ("map_int_string_", L::Map(Box::new(L::Int), Box::new(L::String))),
        ("map_string_array_string_", L::Map(Box::new(L::String), text_list())),
        ("complex_row_", L::Row(vec![("name".into(), L::String), ("length".into(), L::Int)])),
        ("variant_", L::Variant),
    ]
}

/// The values, one row a column of this table; lists with blanks between their items, keys before a colon.
const ROWS: [[&str; 35]; 2] = [
    [
        "1",
        "true",
        "2",
        "3",
        "4",
        "5",
        "7.7",
        "88.88",
        "1234567890",
        "12345678901234567890",
        "Alice",
        "Zorro",
        "From A to Z is Lie",
        "Lorem ipsum",
        "dolor sit amet",
        "amet consectetuer",
        "1970-01-02T10:17:36.789123456",
        "1970-01-03T17:09:27.891234561",
        "1970-01-05T00:01:18.912345612",
        "480 1970-01-02T10:17:36.789123456",
        "60 1970-01-03T17:09:27.891234561",
        "-240 1970-01-05T00:01:18.912345612",
        "1970-01-02T10:17:36.789123456",
        "1970-01-03T17:09:27.891234561",
        "1970-01-05T00:01:18.912345612",
        "2000-12-31",
        "19:43:17",
        "21:45:03",
        "03:59:59",
        "1 1 2 3 5 8 13",
        "one one two three five",
        "1:one 2:two 3:three",
        "two:TWO one:ONE three:THREE",
        "Alice 5",
        r#"{"array":[1,2,{"kk":1.123}],"k":1,"object":{"k":"hello"}}"#,
    ],
    [
        "-1",
        "false",
        "-2",
        "-3",
        "-4",
        "-5",
        "-7.7",
        "-88.88",
        "-9876543210",
        "-98765432109876543210",
        "爱丽丝",
        "疯帽子",
        "天地玄黄宇宙洪荒",
        "一二三四五",
        "六七八九十",
        "吾輩は猫である",
        "1970-01-09T08:57:36.789723456",
        "1970-01-10T15:49:27.891834561",
        "1970-01-11T22:41:18.912945612",
        "480 1970-01-09T08:57:36.789723456",
        "60 1970-01-10T15:49:27.891834561",
        "-240 1970-01-11T22:41:18.912945612",
        "1970-01-09T08:57:36.789723456",
        "1970-01-10T15:49:27.891834561",
        "1970-01-11T22:41:18.912945612",
        "2001-01-01",
        "12:34:45",
        "23:45:07",
        "02:30:05",
        "2 3 5 7 11 13 17 19",
        "二 san 五 qi 十一",
        "1:yi 2:er 3:san",
        "二:ER 三:SAN 一:YI",
        "Derrida 7",
        r#"[{"k":1},"hello",{"k":2}]"#,
    ],
];

/// The table's schema.
pub(crate) fn schema() -> Arc<TableSchema> {
    let columns = columns().into_iter().enumerate().map(|(at, (name, logical))| {
        let (comment, default) = match name {
            "id_" => (Some("Identifier"), None),
            "bool_" => (Some("George"), Some("false")),
            "char_" => (Some("Let's Tweet"), Some("...")),
            _ => (None, None),
        };
        Column {
            id: at as u32 + 1,
            name: name.to_owned(),
            source_type: logical.to_string(),
            logical,
            nullable: name != "id_",
            comment: comment.map(str::to_owned),
            default: default.map(|text| DefaultValue::Literal(text.to_owned())),
            generated: false,
        }
    });
    let id =
        TableId { namespace: Some("foo".into()), schema: Some("bar".into()), table: "baz".into() };
    Arc::new(TableSchema::new(id, 1, columns.collect(), Vec::new()).expect("the table"))
}

fn nanos(text: &str) -> i64 {
    let at: NaiveDateTime = text.parse().expect("a timestamp");
    at.and_utc().timestamp_nanos_opt().expect("within range")
}

fn array(ty: &L, values: &[Option<&str>]) -> ArrayRef {
    fn all<T>(values: &[Option<&str>], f: impl Fn(&str) -> T) -> Vec<Option<T>> {
        values.iter().map(|value| value.map(&f)).collect()
    }
    fn parsed<T: std::str::FromStr>(text: &str) -> T {
        text.parse().unwrap_or_else(|_| panic!("{text} is no value of the input table"))
    }
    let clock = |text: &str| {
        let time: NaiveTime = parsed(text);
        i64::from(chrono::Timelike::num_seconds_from_midnight(&time)) * 1_000_000
    };
    match ty {
        L::BigInt => Arc::new(Int64Array::from(all(values, parsed::<i64>))),
        L::Int => Arc::new(Int32Array::from(all(values, parsed::<i32>))),
        L::SmallInt => Arc::new(Int16Array::from(all(values, parsed::<i16>))),
        L::TinyInt => Arc::new(Int8Array::from(all(values, parsed::<i8>))),
        L::Boolean => Arc::new(BooleanArray::from(all(values, parsed::<bool>))),
        L::Float => Arc::new(Float32Array::from(all(values, parsed::<f32>))),
        L::Double => Arc::new(Float64Array::from(all(values, parsed::<f64>))),
        L::Decimal { precision, scale } => Arc::new(
            Decimal128Array::from(all(values, parsed::<i128>))
                .with_precision_and_scale(*precision, *scale as i8)
                .expect("a decimal"),
        ),
        L::Char(_) | L::VarChar(_) | L::String | L::Variant => {
            Arc::new(StringArray::from(values.to_vec()))
        }
        L::Binary(_) | L::VarBinary(_) | L::Bytes => Arc::new(BinaryArray::from(
            values.iter().map(|value| value.map(str::as_bytes)).collect::<Vec<_>>(),
        )),
        // Every digit of the case files, whatever the type says: see `Context::wide_timestamps`.
        L::Timestamp(_) => Arc::new(TimestampNanosecondArray::from(all(values, nanos))),
        L::TimestampLtz(_) => {
            Arc::new(TimestampNanosecondArray::from(all(values, nanos)).with_timezone("UTC"))
        }
        L::TimestampTz(_) => {
            let parts = |value: Option<&str>| {
                let (minutes, at) = value?.split_once(' ')?;
                let minutes: i16 = parsed(minutes);
                Some((nanos(at) - i64::from(minutes) * 60_000_000_000, minutes))
            };
            let parts: Vec<Option<(i64, i16)>> = values.iter().map(|value| parts(*value)).collect();
            let DataType::Struct(fields) = ty.arrow() else { unreachable!("a struct carries it") };
            let at = parts.iter().map(|part| part.map_or(0, |part| part.0)).collect::<Vec<_>>();
            let minutes =
                parts.iter().map(|part| part.map_or(0, |part| part.1)).collect::<Vec<_>>();
            let children: Vec<ArrayRef> = vec![
                Arc::new(TimestampNanosecondArray::from(at).with_timezone("UTC")),
                Arc::new(Int16Array::from(minutes)),
            ];
            let nulls = parts.iter().map(Option::is_some).collect::<Vec<bool>>().into();
            Arc::new(StructArray::new(fields, children, Some(nulls)))
        }
        L::Date => {
            let days = |text: &str| {
                parsed::<NaiveDate>(text).signed_duration_since(NaiveDate::default()).num_days()
                    as i32
            };
            Arc::new(Date32Array::from(all(values, days)))
        }
        L::Time(p) if *p > 6 => {
            Arc::new(Time64NanosecondArray::from(all(values, |text| clock(text) * 1000)))
        }
        L::Time(_) => Arc::new(Time64MicrosecondArray::from(all(values, clock))),
        L::Array(element) if **element == L::Int => {
            let mut list = ListBuilder::new(Int32Builder::new());
            for value in values {
                list.append_option(value.map(|text| {
                    text.split(' ').map(|item| Some(parsed::<i32>(item))).collect::<Vec<_>>()
                }));
            }
            Arc::new(list.finish())
        }
        L::Array(_) => {
            let mut list = ListBuilder::new(StringBuilder::new());
            for value in values {
                list.append_option(value.map(|text| text.split(' ').map(Some).collect::<Vec<_>>()));
            }
            Arc::new(list.finish())
        }
        L::Map(key, _) => {
            let names = Some(MapFieldNames {
                entry: "entries".into(),
                key: "key".into(),
                value: "value".into(),
            });
            let pairs = |value: &Option<&'static str>| {
                value.map(|text| {
                    text.split(' ')
                        .map(|pair| pair.split_once(':').expect("a pair"))
                        .collect::<Vec<_>>()
                })
            };
            let values: Vec<Option<&'static str>> = values
                .iter()
                .map(|value| value.map(|text| &*Box::leak(text.to_owned().into_boxed_str())))
                .collect();
            if **key == L::Int {
                let mut map = MapBuilder::new(names, Int32Builder::new(), StringBuilder::new());
                for value in &values {
                    for (key, value) in pairs(value).unwrap_or_default() {
                        map.keys().append_value(parsed(key));
                        map.values().append_value(value);
                    }
                    map.append(value.is_some()).expect("as many keys as values");
                }
                Arc::new(map.finish())
            } else {
                let mut map = MapBuilder::new(
                    names,
                    StringBuilder::new(),
                    ListBuilder::new(StringBuilder::new()),
                );
                for value in &values {
                    for (key, value) in pairs(value).unwrap_or_default() {
                        map.keys().append_value(key);
                        map.values().append_value(value.chars().map(|c| Some(c.to_string())));
                    }
                    map.append(value.is_some()).expect("as many keys as values");
                }
                Arc::new(map.finish())
            }
        }
        L::Row(_) => {
            let DataType::Struct(fields) = ty.arrow() else { unreachable!("a struct carries it") };
            let parts: Vec<Option<(&str, &str)>> =
                values.iter().map(|value| value.and_then(|text| text.split_once(' '))).collect();
            let names = StringArray::from(
                parts.iter().map(|part| part.map(|part| part.0)).collect::<Vec<_>>(),
            );
            let lengths = Int32Array::from(
                parts.iter().map(|part| part.map(|part| parsed::<i32>(part.1))).collect::<Vec<_>>(),
            );
            let nulls = parts.iter().map(Option::is_some).collect::<Vec<bool>>().into();
            Arc::new(StructArray::new(
                fields,
                vec![Arc::new(names), Arc::new(lengths)],
                Some(nulls),
            ))
        }
    }
}

/// Insert row 1, update it to row 2, delete row 2, and, unless `non_null`, insert and delete the row of NULLs.
pub(crate) fn batch(schema: &Arc<TableSchema>, non_null: bool) -> ChangeBatch {
    let mut order = vec![0, 0, 1, 1];
    let mut ops = vec![Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete];
    if !non_null {
        order.extend([2, 2]);
        ops.extend([Op::Insert, Op::Delete]);
    }
    let mut arrays = Vec::new();
    let mut fields = Vec::new();
    for (at, column) in schema.columns().iter().enumerate() {
        let value = |row: &usize| match ROWS.get(*row) {
            Some(row) => Some(row[at]),
            None => (at == 0).then_some("0"),
        };
        let array = array(&column.logical, &order.iter().map(value).collect::<Vec<_>>());
        fields.push(Field::new(&column.name, array.data_type().clone(), column.nullable));
        arrays.push(array);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("the input rows");
    let txn = TxnSpan {
        first_ordinal: 0,
        id: TxnId::None,
        file: "binlog.000001".into(),
        pos: 4,
        commit_ts_us: 1_000,
    };
    ChangeBatch {
        schema: Arc::clone(schema),
        rows,
        ops: Ops::Each(ops),
        ordinals: Ordinals::From(0),
        first_seq: 1,
        txns: Arc::from([txn]),
    }
}
