//! Every column type of the value model with its edges, from MySQL and MariaDB through the whole daemon into each format,
//! and read back by programs that were not written here: what they decode is what was inserted.

use std::time::Duration;

use cdc_integration::{Daemon, Failure, Outcome, PipelineFolder, Server, ServerKind, wait_until};
use serde_json::{Map, Value, json};

use crate::{
    cluster::Cluster,
    readers::{self, Read, Registry},
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A column, and its values at both ends: as SQL, and as the readers print them.
struct Kind {
    name: &'static str,
    ddl: &'static str,
    low: (&'static str, &'static str),
    high: (&'static str, &'static str),
}

const fn kind(
    name: &'static str,
    ddl: &'static str,
    low: (&'static str, &'static str),
    high: (&'static str, &'static str),
) -> Kind {
    Kind { name, ddl, low, high }
}

/// What both servers have.
const KINDS: [Kind; 41] = [
    kind("c_bool", "TINYINT(1)", ("0", "0"), ("1", "1")),
    kind("c_bit1", "BIT(1)", ("b'0'", "0"), ("b'1'", "1")),
    kind("c_bit10", "BIT(10)", ("b'0000000001'", "0001"), ("b'1100000001'", "0301")),
    kind(
        "c_bit64",
        "BIT(64)",
        ("x'0123456789ABCDEF'", "0123456789ABCDEF"),
        ("x'FFFFFFFFFFFFFFFE'", "FFFFFFFFFFFFFFFE"),
    ),
    kind("c_tiny", "TINYINT", ("-128", "-128"), ("127", "127")),
    kind("c_utiny", "TINYINT UNSIGNED", ("0", "0"), ("255", "255")),
    kind("c_small", "SMALLINT", ("-32768", "-32768"), ("32767", "32767")),
    kind("c_usmall", "SMALLINT UNSIGNED", ("0", "0"), ("65535", "65535")),
    kind("c_medium", "MEDIUMINT", ("-8388608", "-8388608"), ("8388607", "8388607")),
    kind("c_int", "INT", ("-2147483648", "-2147483648"), ("2147483647", "2147483647")),
    kind("c_uint", "INT UNSIGNED", ("0", "0"), ("4294967295", "4294967295")),
    kind(
        "c_big",
        "BIGINT",
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775807", "9223372036854775807"),
    ),
    kind("c_ubig", "BIGINT UNSIGNED", ("0", "0"), ("18446744073709551615", "18446744073709551615")),
    kind("c_year", "YEAR", ("1901", "1901"), ("2155", "2155")),
    kind("c_dec", "DECIMAL(10,2)", ("-99999999.99", "-99999999.99"), ("0.10", "0.10")),
    kind("c_dec0", "DECIMAL(5,0)", ("-1", "-1"), ("128", "128")),
    kind(
        "c_dec38",
        "DECIMAL(38,10)",
        ("-9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999"),
        ("9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999999"),
    ),
    kind(
        "c_dec65",
        "DECIMAL(65,30)",
        (
            "-12345678901234567890123456789012345.000000000000000000000000000001",
            "-12345678901234567890123456789012345.000000000000000000000000000001",
        ),
        ("0", "0.000000000000000000000000000000"),
    ),
    kind("c_float", "FLOAT", ("-0.25", "-0.25"), ("3.4028234e38", "3.4028234663852886e38")),
    kind(
        "c_double",
        "DOUBLE",
        ("-1.7976931348623157e308", "-1.7976931348623157e308"),
        ("0.1", "0.1"),
    ),
    kind("c_date", "DATE", ("'1000-01-01'", "1000-01-01"), ("'9999-12-31'", "9999-12-31")),
    kind("c_time0", "TIME", ("'00:00:00'", "00:00:00.000000"), ("'23:59:59'", "23:59:59.000000")),
    kind(
        "c_time6",
        "TIME(6)",
        ("'00:00:00.000001'", "00:00:00.000001"),
        ("'23:59:59.999999'", "23:59:59.999999"),
    ),
    kind(
        "c_dt0",
        "DATETIME",
        ("'1000-01-01 00:00:00'", "1000-01-01T00:00:00.000000"),
        ("'9999-12-31 23:59:59'", "9999-12-31T23:59:59.000000"),
    ),
    kind(
        "c_dt3",
        "DATETIME(3)",
        ("'1969-12-31 23:59:59.999'", "1969-12-31T23:59:59.999000"),
        ("'2024-02-29 12:00:00.500'", "2024-02-29T12:00:00.500000"),
    ),
    kind(
        "c_dt6",
        "DATETIME(6)",
        ("'1000-01-01 00:00:00.000001'", "1000-01-01T00:00:00.000001"),
        ("'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999"),
    ),
    kind(
        "c_ts0",
        "TIMESTAMP",
        ("'1970-01-01 00:00:01'", "1970-01-01T00:00:01.000000"),
        ("'2038-01-19 03:14:07'", "2038-01-19T03:14:07.000000"),
    ),
    kind(
        "c_ts6",
        "TIMESTAMP(6)",
        ("'1970-01-01 00:00:01.000001'", "1970-01-01T00:00:01.000001"),
        ("'2038-01-19 03:14:07.999999'", "2038-01-19T03:14:07.999999"),
    ),
    kind("c_char", "CHAR(5)", ("''", ""), ("'ä€😀'", "ä€😀")),
    kind(
        "c_varchar",
        "VARCHAR(20)",
        ("'a \"q\" \\\\ b'", "a \"q\" \\ b"),
        ("'\\n\\t\u{1}'", "\n\t\u{1}"),
    ),
    kind("c_latin", "VARCHAR(20) CHARACTER SET latin1", ("'é€'", "é€"), ("''", "")),
    kind("c_text", "TEXT", ("'\u{2028}</script>'", "\u{2028}</script>"), ("'0'", "0")),
    kind("c_bin", "BINARY(4)", ("x'01'", "01000000"), ("x'FFFFFFFF'", "FFFFFFFF")),
    kind("c_varbin", "VARBINARY(4)", ("x''", ""), ("x'00FF00'", "00FF00")),
    kind("c_blob", "BLOB", ("x'80'", "80"), ("x'FBFFFE'", "FBFFFE")),
    kind(
        "c_json",
        "JSON",
        ("'{\"a\": [1, 2.5, \"x\"]}'", "{\"a\": [1, 2.5, \"x\"]}"),
        ("'null'", "null"),
    ),
    kind("c_enum", "ENUM('a','b''c','d,e')", ("'a'", "a"), ("'b''c'", "b'c")),
    kind("c_set", "SET('x','y','z')", ("''", ""), ("'x,z'", "x,z")),
    kind(
        "c_point",
        "POINT",
        ("ST_GeomFromText('POINT(1 2)')", "{\"coordinates\":[1,2],\"type\":\"Point\",\"srid\":0}"),
        (
            "ST_GeomFromText('POINT(-1 0)')",
            "{\"coordinates\":[-1,0],\"type\":\"Point\",\"srid\":0}",
        ),
    ),
    kind("c_words", "VARCHAR(9) COMMENT 'it''s \"one\"'", ("'null'", "null"), ("'{}'", "{}")),
    kind("c_last", "INT", ("1", "1"), ("2", "2")),
];

/// What one of the two has.
fn own(server: ServerKind) -> Vec<Kind> {
    match server {
        ServerKind::Mysql => vec![kind(
            "c_vector",
            "VECTOR(2)",
            ("STRING_TO_VECTOR('[1.5,-2.25]')", "[1.5,-2.25]"),
            ("STRING_TO_VECTOR('[0.5,1.0]')", "[0.5,1.0]"),
        )],
        ServerKind::Mariadb => vec![
            kind(
                "c_uuid",
                "UUID",
                ("'123e4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"),
                ("'ffffffff-ffff-ffff-ffff-ffffffffffff'", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            ),
            kind(
                "c_inet6",
                "INET6",
                ("'::1'", "::1"),
                ("'2001:db8::ff00:42:8329'", "2001:db8::ff00:42:8329"),
            ),
        ],
    }
}

/// Which end of the types a row holds.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Low,
    High,
    Null,
}

impl End {
    fn of(self, kind: &Kind) -> Option<(&'static str, &'static str)> {
        match self {
            End::Low => Some(kind.low),
            End::High => Some(kind.high),
            End::Null => None,
        }
    }
}

/// Keys of the rows. The second needs care in CSV.
const KEYS: [(&str, i32); 4] = [("plain", 1), ("a,\"b\"", -2), ("", 3), ("ä", 4)];

/// A row as the readers print it.
fn row(kinds: &[Kind], at: usize, end: End, added: Option<&str>) -> Value {
    let mut row = Map::new();
    row.insert("n".into(), json!(KEYS[at].1.to_string()));
    row.insert("k".into(), json!(KEYS[at].0));
    for kind in kinds {
        row.insert(kind.name.into(), end.of(kind).map_or(Value::Null, |(_, text)| json!(text)));
    }
    if let Some(added) = added {
        row.insert("c_added".into(), json!(added));
    }
    Value::Object(row)
}

fn insert(kinds: &[Kind], at: usize, end: End) -> String {
    let cells = kinds.iter().map(|kind| end.of(kind).map_or("NULL", |(sql, _)| sql));
    let cells: Vec<&str> = cells.collect();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let (k, n) = KEYS[at];
    format!("INSERT INTO t (n, k, {}) VALUES ({n}, '{k}', {})", names.join(", "), cells.join(", "))
}

/// Whether a cell is as expected; floats in any spelling.
fn is_same(name: &str, expected: &Value, found: &Value) -> bool {
    match (expected.as_str(), found.as_str()) {
        (Some(a), Some(b)) if matches!(name, "c_float" | "c_double") => {
            let number = |text: &str| text.parse::<f64>().ok();
            number(a).is_some() && number(a) == number(b)
        }
        _ => expected == found,
    }
}

fn check_row(what: &str, expected: &Value, found: &Value) -> Outcome {
    let (Some(expected), Some(found)) = (expected.as_object(), found.as_object()) else {
        return match expected == found {
            true => Ok(()),
            false => Err(Failure::new(format!("{what}: expected {expected}, found {found}"))),
        };
    };
    let mut faults = Vec::new();
    for (name, cell) in expected {
        let other = found.get(name).unwrap_or(&Value::Null);
        if !found.contains_key(name) || !is_same(name, cell, other) {
            faults.push(format!("{name}: expected {cell}, found {other}"));
        }
    }
    faults.extend(found.keys().filter(|name| !expected.contains_key(*name)).cloned());
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("{what}\n{}", faults.join("\n"))))
    }
}

/// The changes of one key as they must come: operation, before, after. No operation is a tombstone.
type Change = (Option<&'static str>, Value, Value);

fn expected(kinds: &[Kind]) -> Vec<Vec<Change>> {
    let row = |at, end, added| row(kinds, at, end, added);
    let none = || Value::Null;
    vec![
        vec![
            (Some("r"), none(), row(0, End::Low, None)),
            (Some("u"), row(0, End::Low, None), row(0, End::High, None)),
            (Some("u"), row(0, End::High, Some("7")), row(0, End::Null, Some("8"))),
        ],
        vec![
            (Some("r"), none(), row(1, End::High, None)),
            (Some("d"), row(1, End::High, None), none()),
            (None, none(), none()),
        ],
        vec![(Some("r"), none(), row(2, End::Null, None))],
        vec![(Some("c"), none(), row(3, End::Low, Some("7")))],
    ]
}

/// Compares what a reader found with what was done to the table. `images` says whether it sees envelopes or rows alone,
/// `reads` whether it tells a row that was read from one that was inserted.
fn check(
    format: &str,
    kinds: &[Kind],
    found: &[Read],
    key: impl Fn(usize) -> Value,
    images: bool,
    reads: bool,
) -> Outcome {
    for (at, changes) in expected(kinds).into_iter().enumerate() {
        let key = key(at);
        let mine: Vec<&Read> = found.iter().filter(|read| read.key == key).collect();
        // A row alone tells a delete by its tombstone.
        let changes: Vec<Change> =
            changes.into_iter().filter(|(op, ..)| images || *op != Some("d")).collect();
        if mine.len() != changes.len() {
            return Err(Failure::new(format!(
                "{format}: {} records of {key}: {mine:?}",
                mine.len()
            )));
        }
        for (read, (op, before, after)) in mine.into_iter().zip(changes) {
            let what = format!("{format}, {key}, {op:?}");
            match op {
                None => check_row(&what, &Value::Null, &read.value)?,
                Some(_) if !images => check_row(&what, &after, &read.value)?,
                Some(op) => {
                    let op = if op == "r" && !reads { "c" } else { op };
                    check_row(&what, &json!(op), &read.value["op"])?;
                    check_row(&format!("{what} before"), &before, &read.value["before"])?;
                    check_row(&format!("{what} after"), &after, &read.value["after"])?;
                }
            }
        }
    }
    let count =
        expected(kinds).iter().flatten().filter(|(op, ..)| images || *op != Some("d")).count();
    if found.len() == count {
        Ok(())
    } else {
        Err(Failure::new(format!("{format}: {} records", found.len())))
    }
}

struct Pipeline {
    topic: String,
    daemon: Daemon,
    _folder: PipelineFolder,
}

fn start(
    server: &Server,
    cluster: &Cluster,
    database: &str,
    format: &str,
    options: &str,
) -> Outcome<Pipeline> {
    let topic = cluster.name(&format!("types-{format}"));
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!("{database}.t"));
    let text = format!(
        "{source}sink:\n  type: kafka\n  properties.bootstrap.servers: {}\n  topic: {topic}\n  topic.partitions: 3\n  \
         tombstones.enabled: true\n{options}pipeline:\n  name: types\n  checkpoint.interval: 200ms\n  \
         schema.change.behavior: EVOLVE\n",
        cluster.bootstrap()
    );
    let daemon = Daemon::run(&folder.write("pipeline.yaml", &text)?)?;
    Ok(Pipeline { topic, daemon, _folder: folder })
}

async fn every_type_in_every_format(kind: ServerKind) -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let server = Server::shared(kind).await?;
    let database = server.new_database("kafkatypes").await?;
    let mut kinds: Vec<Kind> = KINDS.into_iter().collect();
    kinds.extend(own(kind));
    let mut sql = server.connect().await?;
    sql.run_all(&[&format!("USE `{database}`"), "SET NAMES utf8mb4", "SET time_zone = '+00:00'"])
        .await?;
    let columns: Vec<String> =
        kinds.iter().map(|kind| format!("{} {} NULL", kind.name, kind.ddl)).collect();
    // The key's columns are in another order than the table's.
    sql.run(&format!(
        "CREATE TABLE t (n INT NOT NULL, k VARCHAR(20) NOT NULL, {}, PRIMARY KEY (k, n)) CHARACTER SET utf8mb4",
        columns.join(", ")
    ))
    .await?;
    for (at, end) in [(0, End::Low), (1, End::High), (2, End::Null)] {
        sql.run(&insert(&kinds, at, end)).await?;
    }
    let avro = format!(
        "  value.format: avro\n  key.format: avro\n  avro.schema-registry.url: {}\n",
        registry.url()
    );
    let start = |format: &str, options: &str| start(server, cluster, &database, format, options);
    let debezium = start(
        "debezium",
        "  debezium-json.include-schema.enabled: true\n  key.include-schema.enabled: true\n",
    )?;
    let canal = start("canal", "  value.format: canal-json\n  key.format: csv\n")?;
    let json = start("json", "  value.format: json\n")?;
    let avro = start("avro", &avro)?;
    let pipelines = [&debezium, &canal, &json, &avro];
    for pipeline in pipelines {
        wait_for(cluster, pipeline, 3).await?;
    }
    let set = |end: End| {
        let cells = kinds
            .iter()
            .map(|kind| format!("{} = {}", kind.name, end.of(kind).map_or("NULL", |(sql, _)| sql)));
        cells.collect::<Vec<_>>().join(", ")
    };
    sql.run(&format!("UPDATE t SET {} WHERE n = 1", set(End::High))).await?;
    sql.run("DELETE FROM t WHERE n = -2").await?;
    sql.run("ALTER TABLE t ADD COLUMN c_added BIGINT NOT NULL DEFAULT 7").await?;
    sql.run(&insert(&kinds, 3, End::Low)).await?;
    sql.run(&format!("UPDATE t SET {}, c_added = 8 WHERE n = 1", set(End::Null))).await?;
    let records = expected(&kinds).iter().flatten().count();
    for pipeline in pipelines {
        let count = if pipeline.topic == json.topic { records - 1 } else { records };
        wait_for(cluster, pipeline, count).await?;
    }

    let objects = |at: usize| json!({"k": KEYS[at].0, "n": KEYS[at].1.to_string()});
    let fields = |at: usize| json!([KEYS[at].0, KEYS[at].1.to_string()]);
    let found = readers::connect(cluster, &debezium.topic).await?;
    check_connect(&found, kind)?;
    check("debezium-json", &kinds, &found, objects, true, true)?;
    let found = readers::python(cluster, "canal", &canal.topic, &[]).await?;
    check("canal-json", &kinds, &found, fields, true, false)?;
    let found = readers::python(cluster, "json", &json.topic, &[]).await?;
    check("json", &kinds, &found, objects, false, false)?;
    let url = registry.url();
    let found = readers::python(cluster, "avro", &avro.topic, &[&url]).await?;
    check("avro", &kinds, &found, objects, true, true)?;
    check_avro(cluster, registry, &avro.topic, &found).await?;
    for pipeline in [debezium, canal, json, avro] {
        pipeline.daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

async fn wait_for(cluster: &Cluster, pipeline: &Pipeline, count: usize) -> Outcome {
    let waited = wait_until("the records", DEADLINE, async || {
        // The topic is made by the daemon.
        let there = cluster.partitions(&pipeline.topic).await? > 0;
        Ok(there && cluster.committed(&pipeline.topic).await?.len() >= count)
    });
    waited.await.map_err(|error| {
        let log = pipeline.daemon.log();
        Failure::new(format!("{}: {error}\n{}", pipeline.topic, log.join("\n")))
    })
}

/// The row that Debezium's transformation takes out, and the types it finds.
fn check_connect(found: &[Read], server: ServerKind) -> Outcome {
    // MariaDB's JSON is a text.
    let json = if server == ServerKind::Mysql { "io.debezium.data.Json" } else { "string" };
    for read in found.iter().filter(|read| !read.value.is_null()) {
        check_row("extracted", &read.value["after"], &read.value["extracted"])?;
        assert_eq!(read.value["source"]["connector"], "mysql");
        // Where Kafka's own Java producer would put it.
        assert_eq!(read.value["place"], read.partition, "{}", read.key);
        let types = &read.value["types"];
        for (column, ty) in [
            ("c_bool", "boolean"),
            ("c_bit10", "io.debezium.data.Bits {length=10}"),
            ("c_tiny", "int16"),
            ("c_uint", "int64"),
            (
                "c_ubig",
                "org.apache.kafka.connect.data.Decimal {connect.decimal.precision=20, scale=0}",
            ),
            ("c_year", "io.debezium.time.Year"),
            (
                "c_dec",
                "org.apache.kafka.connect.data.Decimal {connect.decimal.precision=10, scale=2}",
            ),
            ("c_dec65", "string"),
            ("c_float", "float32"),
            ("c_date", "io.debezium.time.Date"),
            ("c_time6", "io.debezium.time.MicroTime"),
            ("c_dt3", "io.debezium.time.Timestamp"),
            ("c_dt6", "io.debezium.time.MicroTimestamp"),
            ("c_ts6", "io.debezium.time.ZonedTimestamp"),
            ("c_blob", "bytes"),
            ("c_json", json),
            ("c_enum", "io.debezium.data.Enum {allowed=a,b'c,d,e}"),
            ("c_set", "io.debezium.data.EnumSet {allowed=x,y,z}"),
        ] {
            assert_eq!(types[column], ty, "{column}");
        }
    }
    Ok(())
}

/// Two versions in one subject, and the newest reads what the oldest wrote.
async fn check_avro(
    cluster: &Cluster,
    registry: &Registry,
    topic: &str,
    by_writer: &[Read],
) -> Outcome {
    let versions = registry.versions(&format!("{topic}-value")).await?;
    assert_eq!(versions.len(), 2, "{versions:?}");
    assert!(!versions[0].to_string().contains("c_added"));
    assert!(versions[1].to_string().contains("c_added"));
    assert_eq!(registry.versions(&format!("{topic}-key")).await?.len(), 1);
    let url = registry.url();
    let by_newest = readers::python(cluster, "avro-latest", topic, &[&url]).await?;
    assert_eq!(by_newest.len(), by_writer.len());
    for (newest, writer) in by_newest.iter().zip(by_writer) {
        for image in ["before", "after"] {
            let mut expected = writer.value[image].clone();
            if let Some(row) = expected.as_object_mut() {
                // The column's default fills it in where it was not yet.
                row.entry("c_added").or_insert_with(|| json!("7"));
            }
            check_row("by the newest schema", &expected, &newest.value[image])?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_mysql_is_read_by_others() -> Outcome {
    every_type_in_every_format(ServerKind::Mysql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_mariadb_is_read_by_others() -> Outcome {
    every_type_in_every_format(ServerKind::Mariadb).await
}
