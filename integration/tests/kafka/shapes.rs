//! The types that only other sources and transforms make (correctness §7.1, last row), in each format.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, Int16Array, Int32Array, MapArray, StringArray, StructArray,
    Time64NanosecondArray, TimestampNanosecondArray,
    builder::{Decimal128Builder, ListBuilder},
};
use arrow_schema::{DataType, Field};
use cdc_api::{ChangeBatch, LogicalType as L, Op};
use cdc_integration::Outcome;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    formats::write,
    readers::{self, Registry},
    rows::{changes, column, sink, table},
};

/// 2024-02-29 12:00:00.123456789
const NANOS: i64 = 1_709_208_000_123_456_789;

fn decimal() -> L {
    L::Decimal { precision: 5, scale: 2 }
}

fn decimals(values: &[Option<i128>]) -> ArrayRef {
    let array = Decimal128Array::from(values.to_vec());
    Arc::new(array.with_precision_and_scale(5, 2).expect("digits that fit"))
}

/// A map with these entries in its only row.
fn map(ty: &L, keys: ArrayRef, values: ArrayRef) -> ArrayRef {
    let DataType::Map(entries, _) = ty.arrow() else { panic!("a map is a map in Arrow") };
    let DataType::Struct(fields) = entries.data_type() else { panic!("entries are structs") };
    let count = i32::try_from(keys.len()).expect("few entries");
    let structs = StructArray::new(fields.clone(), vec![keys, values], None);
    let offsets = arrow_buffer::OffsetBuffer::new(vec![0, count].into());
    Arc::new(MapArray::new(entries, offsets, structs, None, false))
}

fn row(ty: &L, columns: Vec<ArrayRef>) -> ArrayRef {
    let DataType::Struct(fields) = ty.arrow() else { panic!("a row is a struct in Arrow") };
    Arc::new(StructArray::new(fields, columns, None))
}

fn batch() -> ChangeBatch {
    let by_name = L::Map(Box::new(L::String), Box::new(L::Int));
    let by_number = L::Map(Box::new(L::Int), Box::new(decimal()));
    let nested = L::Row(vec![("a".into(), L::Int), ("b".into(), decimal())]);
    let zoned = L::TimestampTz(9);
    let list = L::Array(Box::new(decimal()));
    let DataType::List(item) = list.arrow() else { panic!("an array is a list in Arrow") };
    let mut lists =
        ListBuilder::new(Decimal128Builder::new().with_data_type(item.data_type().clone()))
            .with_field(Arc::new(Field::clone(&item)));
    lists.append_value([Some(150), None]);
    let columns: Vec<(&str, L, ArrayRef)> = vec![
        ("id", L::Int, Arc::new(Int32Array::from(vec![1]))),
        ("time9", L::Time(9), Arc::new(Time64NanosecondArray::from(vec![45_296_123_456_789]))),
        ("ts9", L::Timestamp(9), Arc::new(TimestampNanosecondArray::from(vec![NANOS]))),
        (
            "ltz9",
            L::TimestampLtz(9),
            Arc::new(TimestampNanosecondArray::from(vec![NANOS]).with_timezone("UTC")),
        ),
        (
            "tz",
            zoned.clone(),
            row(
                &zoned,
                vec![
                    Arc::new(TimestampNanosecondArray::from(vec![NANOS]).with_timezone("UTC")),
                    Arc::new(Int16Array::from(vec![-90])),
                ],
            ),
        ),
        (
            "by_name",
            by_name.clone(),
            map(
                &by_name,
                Arc::new(StringArray::from(vec!["a", "b"])),
                Arc::new(Int32Array::from(vec![Some(1), None])),
            ),
        ),
        (
            "by_number",
            by_number.clone(),
            map(&by_number, Arc::new(Int32Array::from(vec![7])), decimals(&[Some(150)])),
        ),
        (
            "nested",
            nested.clone(),
            row(&nested, vec![Arc::new(Int32Array::from(vec![1])), decimals(&[Some(-5)])]),
        ),
        ("list", list, Arc::new(lists.finish())),
        ("variant", L::Variant, Arc::new(StringArray::from(vec!["{\"x\":[1]}"]))),
    ];
    let described = columns.iter().enumerate().map(|(at, (name, ty, _))| {
        column(u32::try_from(at).expect("few columns"), name, ty.clone(), "")
    });
    let schema = table("shapes", described.collect());
    changes(&schema, vec![Op::Insert], columns.into_iter().map(|(.., array)| array).collect(), 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_transforms_are_read_by_others() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let url = registry.url();
    let [debezium, canal, json, avro] = ["debezium", "canal", "json", "avro"]
        .map(|format| cluster.name(&format!("shapes-{format}")));
    for (topic, options) in [
        (
            &debezium,
            vec![
                ("debezium-json.include-schema.enabled", "true"),
                ("key.include-schema.enabled", "true"),
            ],
        ),
        (&canal, vec![("value.format", "canal-json")]),
        (&json, vec![("value.format", "json")]),
        (&avro, vec![("value.format", "avro"), ("avro.schema-registry.url", &url)]),
    ] {
        let mut options = options;
        options.push(("topic", topic));
        write(&*sink(cluster, &options), vec![batch()]).await?;
    }

    let found = readers::connect(cluster, &debezium).await?;
    assert_eq!(
        found[0].value["after"],
        json!({
            "id": "1", "time9": "12:34:56.123456789", "ts9": "2024-02-29T12:00:00.123456",
            "ltz9": "2024-02-29T12:00:00.123456", "tz": "2024-02-29T12:00:00.123456", "by_name": "{a=1, b=null}",
            "by_number": "{7=1.50}", "nested": "{a=1, b=-0.05}", "list": "[1.50,null]", "variant": "{\"x\":[1]}",
        })
    );

    let found = readers::python(cluster, "avro-value", &avro, &[&url]).await?;
    assert_eq!(
        found[0].value["after"],
        json!({
            "id": "1", "time9": "12:34:56.123456789", "ts9": NANOS.to_string(), "ltz9": NANOS.to_string(),
            "tz": "2024-02-29T10:30:00.123456789-01:30", "by_name": "{\"a\":1,\"b\":null}",
            "by_number": "{\"7\":1.50}", "nested": "{\"a\":1,\"b\":-0.05}", "list": "[1.50,None]",
            "variant": "{\"x\":[1]}",
        })
    );

    // As plain JSON what is nested is nested; in a flat message it is a string.
    let records = cluster.committed(&json).await?;
    assert!(
        records[0].text().contains(
            "\"by_number\":{\"7\":1.50},\"nested\":{\"a\":1,\"b\":-0.05},\"list\":[1.50,null]"
        ),
        "{}",
        records[0].text()
    );
    let message = cluster.committed(&canal).await?[0].json();
    let data = message["data"][0].as_object().cloned().unwrap_or_default();
    assert!(data.values().all(Value::is_string), "{data:?}");
    assert_eq!(data["by_name"], "{\"a\":1,\"b\":null}");
    assert_eq!(data["list"], "[\"1.50\",null]");
    assert_eq!(data["tz"], "2024-02-29 10:30:00.123456789-01:30");
    Ok(())
}
