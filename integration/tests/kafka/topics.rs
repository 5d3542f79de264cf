//! Topics: their names, how they are made, which partition a record goes to, its headers, and the topic of schema changes.

use std::{sync::Arc, time::Duration};

use cdc_api::{ChangeBatch, ErrorKind, Op, SchemaChange, TableId, TableSchema};
use cdc_integration::{Daemon, Outcome, PipelineFolder, Server, ServerKind, wait_until};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewPartitions, ResourceSpecifier},
    client::DefaultClientContext,
    config::FromClientConfig,
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    formats::write,
    readers::{self, Registry},
    rows::{UUID, column, context, sink, small, small_table},
};

const DEADLINE: Duration = Duration::from_secs(60);

fn admin(cluster: &Cluster) -> Outcome<AdminClient<DefaultClientContext>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    Ok(AdminClient::from_config(&config)?)
}

/// Some rows of a small table, keys 0, 1, 2, …
fn rows(schema: &Arc<TableSchema>, count: i32) -> ChangeBatch {
    let rows: Vec<(Op, i32, &str)> = (0..count).map(|id| (Op::Insert, id, "x")).collect();
    small(schema, &rows, 1)
}

/// A table without a key.
fn keyless(name: &str) -> Arc<TableSchema> {
    let keyed = small_table(name);
    let columns = keyed.columns().to_vec();
    Arc::new(TableSchema::new(keyed.id().clone(), 1, columns, Vec::new()).expect("a schema"))
}

/// A missing topic is made as asked; one that is there stays as it is; what the cluster cannot do is told in words.
#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_as_asked() -> Outcome {
    let cluster = Cluster::shared().await?;
    let topic = cluster.name("made");
    let schema = small_table("orders");
    let options = [
        ("topic", topic.as_str()),
        ("topic.partitions", "4"),
        ("topic.replication-factor", "1"),
        ("topic.config.cleanup.policy", "compact"),
        ("topic.config.max.message.bytes", "2000000"),
    ];
    write(&*sink(cluster, &options), vec![rows(&schema, 3)]).await?;
    assert_eq!(cluster.partitions(&topic).await?, 4);
    let asked = [ResourceSpecifier::Topic(&topic)];
    let described = admin(cluster)?.describe_configs(&asked, &AdminOptions::new()).await?;
    let config =
        described[0].as_ref().map_err(|code| cdc_integration::Failure::new(code.to_string()))?;
    let value = |name: &str| config.get(name).and_then(|entry| entry.value.clone());
    assert_eq!(value("cleanup.policy").as_deref(), Some("compact"));
    assert_eq!(value("max.message.bytes").as_deref(), Some("2000000"));

    // Other wishes change nothing about a topic that is there.
    let options = [("topic", topic.as_str()), ("topic.partitions", "9"), ("topic.create", "false")];
    write(&*sink(cluster, &options), vec![rows(&schema, 3)]).await?;
    assert_eq!(cluster.partitions(&topic).await?, 4);

    let missing = cluster.name("missing");
    for (option, value, hint) in [
        ("topic.create", "false", "topic.create: true"),
        ("topic.replication-factor", "3", "topic.replication-factor"),
        ("topic.config.cleanup.policy", "never", "topic.config"),
    ] {
        let sink = sink(cluster, &[("topic", missing.as_str()), (option, value)]);
        let context = context(UUID);
        let _committer = sink.committer(&context).await?;
        let mut applier = sink.applier(&context).await?;
        let refused = applier.apply(&SchemaChange::Create(Arc::clone(&schema))).await;
        let refused = refused.expect_err("a topic that cannot be there");
        assert_eq!(refused.kind(), &ErrorKind::Operator, "{refused}");
        assert!(refused.hint_text().is_some_and(|text| text.contains(hint)), "{refused:?}");
        assert!(refused.to_string().contains(&missing), "{refused}");
        assert_eq!(cluster.partitions(&missing).await?, 0);
    }
    Ok(())
}

/// The partition of a key is the one that Kafka's Java clients (by kafka-python's copy of their hash) would choose, in
/// every format of keys; without keys a table has one partition; `all-to-zero` is what it says.
#[tokio::test(flavor = "multi_thread")]
async fn keys_go_where_java_clients_put_them() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let url = registry.url();
    let schema = small_table("orders");
    for format in ["json", "csv", "avro"] {
        let topic = cluster.name("places");
        let options = [
            ("topic", topic.as_str()),
            ("topic.partitions", "7"),
            ("key.format", format),
            ("avro.schema-registry.url", &url),
        ];
        // Each key twice.
        write(&*sink(cluster, &options), vec![rows(&schema, 150), rows(&schema, 150)]).await?;
        let found = readers::python(cluster, "places", &topic, &[]).await?;
        assert_eq!(found.len(), 300);
        for read in &found {
            assert_eq!(read.value["expected"], read.partition, "{format} {}", read.key);
        }
        for partition in 0..7 {
            assert!(found.iter().any(|read| read.partition == partition), "{format} {partition}");
        }
    }
    let topic = cluster.name("places");
    let options = [("topic", topic.as_str()), ("topic.partitions", "7")];
    write(&*sink(cluster, &options), vec![rows(&keyless("log"), 50)]).await?;
    let found = readers::python(cluster, "places", &topic, &[]).await?;
    assert_eq!(found.len(), 50);
    assert!(found.iter().all(|read| read.key.is_null() && read.partition == found[0].partition));

    let topic = cluster.name("places");
    let zero = [options[1], ("topic", topic.as_str()), ("partition.strategy", "all-to-zero")];
    write(&*sink(cluster, &zero), vec![rows(&schema, 50)]).await?;
    let found = readers::python(cluster, "places", &topic, &[]).await?;
    assert_eq!(found.len(), 50);
    assert!(found.iter().all(|read| read.partition == 0));
    Ok(())
}

/// A topic that gets more partitions while the sink writes: keys are spread over all of them as soon as the client has
/// learned of it, each key's records stay in order within a partition, a table without a key stays where it is, and
/// nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_grows_while_it_is_written() -> Outcome {
    const OLD: i64 = 2;
    const NEW: i64 = 5;
    let cluster = Cluster::shared().await?;
    let (topic, log) = (cluster.name("grows"), cluster.name("grows-log"));
    let mapping = format!("shop.orders:{topic};shop.log:{log}");
    let options = [
        ("sink.tableId-to-topic.mapping", mapping.as_str()),
        ("topic.partitions", "2"),
        ("properties.topic.metadata.refresh.interval.ms", "200"),
    ];
    let sink = sink(cluster, &options);
    let context = context(UUID);
    let _committer = sink.committer(&context).await?;
    let mut writer = sink.writer(&context, 0).await?;
    let (orders, log_table) = (small_table("orders"), keyless("log"));
    let mut round = 0;
    let mut write_round = async || {
        round += 1;
        let name = round.to_string();
        let rows: Vec<(Op, i32, &str)> = (0..50).map(|id| (Op::Insert, id, &*name)).collect();
        writer.write(small(&orders, &rows, round * 100)).await?;
        writer.write(small(&log_table, &rows, round * 100 + 50)).await?;
        writer.flush(round).await?;
        Outcome::Ok(round)
    };
    write_round().await?;
    let admin = admin(cluster)?;
    let asked = [NewPartitions::new(&topic, 5), NewPartitions::new(&log, 5)];
    for answer in admin.create_partitions(&asked, &AdminOptions::new()).await? {
        answer
            .map_err(|(topic, code)| cdc_integration::Failure::new(format!("{topic}: {code}")))?;
    }
    wait_until("a record in a new partition", DEADLINE, async || {
        write_round().await?;
        let records = cluster.committed(&topic).await?;
        Ok(records.iter().any(|record| i64::from(record.partition) >= OLD))
    })
    .await?;
    let last = write_round().await?;

    let found = readers::python(cluster, "json", &topic, &[]).await?;
    assert_eq!(found.len() as u64, last * 50);
    let places = readers::python(cluster, "places", &topic, &[]).await?;
    for id in 0..50 {
        let key = json!({"id": id.to_string()});
        let mine: Vec<_> = found.iter().filter(|read| read.key == key).collect();
        let round_of = |value: &Value| -> u64 {
            value["after"]["name"].as_str().and_then(|name| name.parse().ok()).unwrap_or(0)
        };
        for partition in 0..NEW {
            let rounds: Vec<u64> = mine
                .iter()
                .filter(|read| read.partition == partition)
                .map(|read| round_of(&read.value))
                .collect();
            assert!(rounds.is_sorted(), "{key} in {partition}: {rounds:?}");
        }
        // By now a key is where the hash over all partitions puts it.
        let newest =
            mine.iter().max_by_key(|read| round_of(&read.value)).map(|read| read.partition);
        let expected = places
            .iter()
            .find(|place| place.key == format!("{{\"id\":{id}}}"))
            .and_then(|place| place.value["expected"].as_i64());
        assert_eq!(newest, expected, "{key}");
    }
    let found = readers::python(cluster, "places", &log, &[]).await?;
    assert_eq!(found.len() as u64, last * 50);
    assert!(found.iter().all(|read| read.partition == found[0].partition));
    Ok(())
}

/// The whole daemon: a topic for each table, a pattern's topic, headers, tombstones and keys as kcat sees them, and every
/// change of a table in the topic of schema changes, in Debezium's form.
#[tokio::test(flavor = "multi_thread")]
async fn kcat_sees_topics_headers_and_schema_changes() -> Outcome {
    let cluster = Cluster::shared().await?;
    let server = Server::shared(ServerKind::Mysql).await?;
    let database = server.new_database("kafkatopics").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run_all(&[
        "CREATE TABLE orders (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL)",
        "CREATE TABLE item_1 (id INT PRIMARY KEY, price DECIMAL(10,2))",
        "CREATE TABLE item_2 (id INT PRIMARY KEY, price DECIMAL(10,2))",
        "INSERT INTO orders VALUES (1, 'ann')",
        "INSERT INTO item_1 VALUES (1, 1.50)",
        "INSERT INTO item_2 VALUES (2, 2.50)",
    ])
    .await?;
    let (items, changes) = (cluster.name("items"), cluster.name("changes"));
    let folder = PipelineFolder::new()?;
    let text = format!(
        "{}  include-comments.enabled: true\nsink:\n  type: kafka\n  properties.bootstrap.servers: {}\n  tombstones.enabled: true\n  \
         sink.tableId-to-topic.mapping: '{database}.item_\\d:{items}'\n  schema-changes.topic: {changes}\n  \
         sink.add-tableId-to-header-enabled: true\n  sink.custom-header: 'region:eu;zone:a:b'\npipeline:\n  \
         name: shop\n  checkpoint.interval: 200ms\n  schema.change.behavior: EVOLVE\n",
        server.source_yaml(&format!("{database}.\\.*")),
        cluster.bootstrap()
    );
    let mut daemon = Daemon::run(&folder.write("pipeline.yaml", &text)?)?;
    let orders = format!("{database}.orders");
    let has = async |topic: &str, count: usize| {
        let there = cluster.partitions(topic).await? > 0;
        Outcome::Ok(there && cluster.committed(topic).await?.len() >= count)
    };
    wait_until("the rows that were there", DEADLINE, async || {
        Ok(has(&orders, 1).await? && has(&items, 2).await?)
    })
    .await?;
    sql.run_all(&[
        "ALTER TABLE orders ADD COLUMN note TEXT COMMENT 'what \"they\" say'",
        "UPDATE orders SET note = 'hi'",
        "DELETE FROM orders",
    ])
    .await?;
    wait_until("the tombstone", DEADLINE, async || has(&orders, 4).await).await?;
    sql.run_all(&["TRUNCATE TABLE item_1", "DROP TABLE item_2"]).await?;
    wait_until("the schema changes", DEADLINE, async || has(&changes, 6).await).await.map_err(
        |error| cdc_integration::Failure::new(format!("{error}\n{}", daemon.log().join("\n"))),
    )?;
    daemon.wait_for_log("schema change applied", DEADLINE).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;

    let records = readers::kcat(cluster, &orders).await?;
    assert_eq!(records.len(), 4, "{records:?}");
    for record in &records {
        assert_eq!(record["key"], "{\"id\":1}");
        assert_eq!(
            record["headers"],
            json!([
                "namespace",
                "",
                "schemaName",
                database,
                "tableName",
                "orders",
                "region",
                "eu",
                "zone",
                "a:b"
            ])
        );
    }
    let payload = |at: usize| -> Outcome<Value> {
        Ok(serde_json::from_str(records[at]["payload"].as_str().unwrap_or_default())?)
    };
    assert_eq!(payload(0)?["op"], "r");
    assert_eq!(payload(1)?["after"], json!({"id": 1, "name": "ann", "note": "hi"}));
    assert_eq!(payload(2)?["op"], "d");
    assert_eq!(records[3]["payload"], Value::Null, "a tombstone");
    let tables: Vec<Value> = readers::kcat(cluster, &items)
        .await?
        .iter()
        .map(|record| record["headers"][5].clone())
        .collect();
    assert!(tables.contains(&json!("item_1")) && tables.contains(&json!("item_2")), "{tables:?}");

    check_schema_changes(&database, &readers::kcat(cluster, &changes).await?)
}

fn check_schema_changes(database: &str, records: &[Value]) -> Outcome {
    let mut told: Vec<(String, String, Value)> = Vec::new();
    for record in records {
        assert_eq!(record["key"], json!({ "databaseName": database }).to_string());
        let value: Value = serde_json::from_str(record["payload"].as_str().unwrap_or_default())?;
        let members: Vec<&String> =
            value.as_object().into_iter().flat_map(|map| map.keys()).collect();
        assert_eq!(members, ["databaseName", "ddl", "source", "tableChanges", "ts_ms"]);
        assert_eq!(value["databaseName"], database);
        assert_eq!(value["source"]["name"], "shop");
        assert_eq!(value["source"]["db"], database);
        let change = &value["tableChanges"][0];
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        told.push((text("id"), text("type"), change["table"].clone()));
    }
    let of = |table: &str| -> Vec<&(String, String, Value)> {
        let id = format!("\"{database}\".\"{table}\"");
        told.iter().filter(|(found, ..)| *found == id).collect()
    };
    let kinds =
        |table: &str| of(table).iter().map(|(_, kind, _)| kind.as_str()).collect::<Vec<_>>();
    assert_eq!(kinds("orders"), ["CREATE", "ALTER"]);
    assert_eq!(kinds("item_1"), ["CREATE", "TRUNCATE"]);
    assert_eq!(kinds("item_2"), ["CREATE", "DROP"]);
    assert_eq!(of("item_2")[1].2, Value::Null);
    let altered = &of("orders")[1].2;
    assert_eq!(altered["primaryKeyColumnNames"], json!(["id"]));
    let column = |name: &str, jdbc: i32, kind: &str, expression: &str, position: i32| {
        json!({
            "name": name, "jdbcType": jdbc, "typeName": kind, "typeExpression": expression, "position": position,
            "optional": name == "note", "generated": false,
            "comment": if name == "note" { json!("what \"they\" say") } else { Value::Null },
        })
    };
    assert_eq!(
        altered["columns"],
        json!([
            column("id", 4, "INT", "int", 1),
            column("name", 12, "VARCHAR", "varchar(20)", 2),
            column("note", 12, "TEXT", "text", 3),
        ])
    );
    Ok(())
}

/// A name that no topic can have is told, with the way out.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_name_no_topic_can_have() -> Outcome {
    let cluster = Cluster::shared().await?;
    let sink = sink(cluster, &[]);
    let context = context(UUID);
    let _committer = sink.committer(&context).await?;
    let mut applier = sink.applier(&context).await?;
    let columns = vec![column(0, "id", cdc_api::LogicalType::Int, "int")];
    let schema = TableSchema::new(TableId::new("shop", "größe"), 1, columns, vec![0])?;
    let refused = applier.apply(&SchemaChange::Create(Arc::new(schema))).await;
    let refused = refused.expect_err("Kafka knows no such name");
    assert!(refused.hint_text().is_some_and(|hint| hint.contains("mapping")), "{refused:?}");
    Ok(())
}
