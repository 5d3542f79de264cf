//! What stands in the topics, format by format.

use std::{path::Path, sync::Arc};

use arrow_array::{ArrayRef, Float32Array, Int32Array, StringArray};
use cdc_api::{ChangeBatch, EventSinkProvider, LogicalType as L, Op, SchemaChange, TableSchema};
use cdc_integration::Outcome;

use crate::{
    cluster::Cluster,
    rows::{UUID, changes, column, context, sink, small, small_table},
};

/// Writes batches and flushes them as checkpoint 1.
pub(crate) async fn write(sink: &dyn EventSinkProvider, batches: Vec<ChangeBatch>) -> Outcome {
    let context = context(UUID);
    let mut committer = sink.committer(&context).await?;
    let mut applier = sink.applier(&context).await?;
    let mut writer = sink.writer(&context, 0).await?;
    let mut before: Option<Arc<TableSchema>> = None;
    for batch in batches {
        let schema = Arc::clone(&batch.schema);
        let change = match before.replace(Arc::clone(&schema)) {
            Some(before) if before.id() == schema.id() => {
                SchemaChange::Alter { before, after: Arc::clone(&schema) }
            }
            _ => SchemaChange::Create(Arc::clone(&schema)),
        };
        applier.apply(&change).await?;
        writer.schema(&schema).await?;
        writer.write(batch).await?;
    }
    let staged = writer.flush(1).await?;
    committer.commit(1, &staged).await?;
    writer.close().await?;
    Ok(())
}

fn ints(values: &[Option<i32>]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}
fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}
fn floats(values: &[f32]) -> ArrayRef {
    Arc::new(Float32Array::from(values.to_vec()))
}

/// Flink CDC's own file, where the folder with such data lies above this one.
pub(crate) fn golden(name: &str) -> Option<std::path::PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("CDC_SHARED").map(std::path::PathBuf::from);
    let above = here.ancestors().map(|folder| folder.join("shared"));
    let folders = given.into_iter().chain(above);
    folders
        .map(|shared| shared.join("compat/flink-cdc-kafka").join(name))
        .find(|path| path.is_file())
}

/// The rows of Flink CDC's own test, with the ALTER in their middle, give its bytes under the compatibility switch.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::approx_constant, reason = "the golden file has this weight")]
async fn the_compatibility_switch_gives_flink_cdcs_bytes() -> Outcome {
    let cluster = Cluster::shared().await?;
    let topic = cluster.name("golden");
    let sink = sink(cluster, &[("compatibility", "flink-cdc"), ("topic", &topic)]);
    let customers = crate::rows::table(
        "customers",
        vec![
            column(0, "id", L::Int, "int"),
            column(1, "name", L::VarChar(255), "varchar(255)"),
            column(2, "address", L::VarChar(1024), "varchar(1024)"),
            column(3, "phone_number", L::VarChar(512), "varchar(512)"),
        ],
    );
    let product_columns = vec![
        column(0, "id", L::Int, "int"),
        column(1, "name", L::VarChar(255), "varchar(255)"),
        column(2, "description", L::VarChar(512), "varchar(512)"),
        column(3, "weight", L::Float, "float"),
        column(4, "enum_c", L::String, "enum('red','white')"),
        column(5, "json_c", L::String, "json"),
        column(6, "point_c", L::String, "point"),
    ];
    let mut altered_columns = product_columns.clone();
    altered_columns.push(column(7, "new_col", L::Int, "int"));
    let products = crate::rows::table("products", product_columns);
    let altered = crate::rows::table("products", altered_columns);

    let users = [Some("user_1"), Some("user_2"), Some("user_3"), Some("user_4")];
    let customer_rows = changes(
        &customers,
        vec![Op::Read; 4],
        vec![
            ints(&[Some(101), Some(102), Some(103), Some(104)]),
            texts(&users),
            texts(&[Some("Shanghai"); 4]),
            texts(&[Some("123567891234"); 4]),
        ],
        1,
    );
    let point = |n: i32| format!("{{\"coordinates\":[{n},{n}],\"type\":\"Point\",\"srid\":0}}");
    let points: Vec<String> = (1..=5).map(point).collect();
    let mut point_cells: Vec<Option<&str>> = points.iter().map(|p| Some(p.as_str())).collect();
    point_cells.extend([None; 4]);
    let read = changes(
        &products,
        vec![Op::Read; 9],
        vec![
            ints(&(101..=109).map(Some).collect::<Vec<_>>()),
            texts(&[
                Some("scooter"),
                Some("car battery"),
                Some("12-pack drill bits"),
                Some("hammer"),
                Some("hammer"),
                Some("hammer"),
                Some("rocks"),
                Some("jacket"),
                Some("spare tire"),
            ]),
            texts(&[
                Some("Small 2-wheel scooter"),
                Some("12V car battery"),
                Some("12-pack of drill bits with sizes ranging from #40 to #3"),
                Some("12oz carpenter's hammer"),
                Some("14oz carpenter's hammer"),
                Some("16oz carpenter's hammer"),
                Some("box of assorted rocks"),
                Some("water resistent black wind breaker"),
                Some("24 inch spare tire"),
            ]),
            floats(&[3.14, 8.1, 0.8, 0.75, 0.875, 1.0, 5.3, 0.1, 22.2]),
            texts(&[
                Some("red"),
                Some("white"),
                Some("red"),
                Some("white"),
                Some("red"),
                None,
                None,
                None,
                None,
            ]),
            texts(&[
                Some("{\"key1\": \"value1\"}"),
                Some("{\"key2\": \"value2\"}"),
                Some("{\"key3\": \"value3\"}"),
                Some("{\"key4\": \"value4\"}"),
                Some("{\"k1\": \"v1\", \"k2\": \"v2\"}"),
                None,
                None,
                None,
                None,
            ]),
            texts(&point_cells),
        ],
        5,
    );
    let updated = changes(
        &products,
        vec![Op::UpdateBefore, Op::UpdateAfter, Op::UpdateBefore, Op::UpdateAfter],
        vec![
            ints(&[Some(106), Some(106), Some(107), Some(107)]),
            texts(&[Some("hammer"), Some("hammer"), Some("rocks"), Some("rocks")]),
            texts(&[
                Some("16oz carpenter's hammer"),
                Some("18oz carpenter hammer"),
                Some("box of assorted rocks"),
                Some("box of assorted rocks"),
            ]),
            floats(&[1.0, 1.0, 5.3, 5.1]),
            texts(&[None; 4]),
            texts(&[None; 4]),
            texts(&[None; 4]),
        ],
        14,
    );
    use Op::{Delete, Insert, UpdateAfter, UpdateBefore};
    let ops = vec![Insert, Insert, UpdateBefore, UpdateAfter, UpdateBefore, UpdateAfter, Delete];
    let jacket = "water resistent white wind breaker";
    let scooter = "Big 2-wheel scooter ";
    let later = changes(
        &altered,
        ops,
        vec![
            ints(&[110, 111, 110, 110, 111, 111, 111].map(Some)),
            texts(
                &["jacket", "scooter", "jacket", "jacket", "scooter", "scooter", "scooter"]
                    .map(Some),
            ),
            texts(&[
                Some(jacket),
                Some(scooter),
                Some(jacket),
                Some("new water resistent white wind breaker"),
                Some(scooter),
                Some(scooter),
                Some(scooter),
            ]),
            floats(&[0.2, 5.18, 0.2, 0.5, 5.18, 5.17, 5.17]),
            texts(&[None; 7]),
            texts(&[None; 7]),
            texts(&[None; 7]),
            ints(&[Some(1); 7]),
        ],
        18,
    );
    write(&*sink, vec![customer_rows, read, updated, later]).await?;

    let mut found: Vec<String> =
        cluster.committed(&topic).await?.iter().map(crate::cluster::Record::text).collect();
    found.sort();
    assert_eq!(found.len(), 20);
    // Flink CDC's form, which its own file says to the byte: four members and no time.
    for value in &found {
        let json: serde_json::Value = serde_json::from_str(value)?;
        let members: Vec<&str> =
            json.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
        assert_eq!(members, ["after", "before", "op", "source"], "{value}");
        assert!(value.starts_with("{\"before\":"), "{value}");
    }
    let Some(file) = golden("debezium-json.txt") else {
        eprintln!(
            "no folder shared/compat above this one: the bytes of Flink CDC's own file were not compared"
        );
        return Ok(());
    };
    let text = std::fs::read_to_string(file)?;
    let mut expected: Vec<String> = text
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| line.replace("$databaseName", "shop"))
        .collect();
    assert_eq!(expected.len(), 20, "the golden file has 20 values");
    expected.sort();
    assert_eq!(found, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_is_debeziums() -> Outcome {
    let cluster = Cluster::shared().await?;
    let topic = cluster.name("envelope");
    let options = [
        ("topic", topic.as_str()),
        ("tombstones.enabled", "true"),
        ("sink.add-tableId-to-header-enabled", "true"),
        ("sink.custom-header", "region:eu;zone:a"),
        ("topic.partitions", "3"),
    ];
    let schema = small_table("orders");
    let rows = [
        (Op::Read, 1, "ann"),
        (Op::Insert, 2, "bob \"b\"\n"),
        (Op::UpdateBefore, 1, "ann"),
        (Op::UpdateAfter, 1, "änn"),
        (Op::Delete, 2, "bob"),
    ];
    write(&*sink(cluster, &options), vec![small(&schema, &rows, 40)]).await?;

    assert_eq!(cluster.partitions(&topic).await?, 3);
    let records = cluster.committed(&topic).await?;
    let of = |id: i32| {
        let key = format!("{{\"id\":{id}}}");
        records.iter().filter(|record| record.key.as_deref() == Some(&*key)).collect::<Vec<_>>()
    };
    let (first, second) = (of(1), of(2));
    assert_eq!((first.len(), second.len(), records.len()), (2, 3, 5));
    assert!(first.iter().all(|record| record.partition == first[0].partition));
    let read = first[0].json();
    assert_eq!(read["op"], "r");
    assert_eq!(read["before"], serde_json::Value::Null);
    assert_eq!(read["after"], serde_json::json!({"id": 1, "name": "ann"}));
    let update = first[1].json();
    assert_eq!(update["op"], "u");
    assert_eq!(update["before"]["name"], "ann");
    assert_eq!(update["after"]["name"], "änn");
    let source = &update["source"];
    for (field, value) in [
        ("connector", "mysql"),
        ("name", "test"),
        ("db", "shop"),
        ("table", "orders"),
        ("snapshot", "false"),
        ("file", "binlog.000001"),
        ("gtid", "abababab-abab-abab-abab-abababababab:7"),
        ("sequence", "[\"43\"]"),
    ] {
        assert_eq!(source[field], value, "{field}");
    }
    assert_eq!(source["ts_ms"], 1_700_000_000_123_i64);
    assert_eq!(source["pos"], 1234);
    assert!(update["ts_ms"].as_i64().is_some_and(|ts| ts > 1_700_000_000_123));
    assert_eq!(second[0].json()["after"]["name"], "bob \"b\"\n");
    assert_eq!(second[1].json()["op"], "d");
    assert_eq!(second[1].json()["after"], serde_json::Value::Null);
    assert_eq!(second[2].value, None, "a tombstone follows the delete");
    let headers: Vec<(&str, &str)> =
        first[0].headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(
        headers,
        [
            ("namespace", ""),
            ("schemaName", "shop"),
            ("tableName", "orders"),
            ("region", "eu"),
            ("zone", "a")
        ]
    );
    Ok(())
}
