//! Avro and a real schema registry: subjects, versions, references, logins, TLS, what is refused, and a registry that is
//! away. Confluent's own deserializer reads what is written.

use std::{sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Int64Array, StringArray};
use cdc_api::{
    ChangeBatch, Error, ErrorKind, EventSinkProvider, LogicalType as L, Op, TableSchema,
};
use cdc_integration::{
    Daemon, Failure, Outcome, PipelineFolder, Server, ServerKind, tls_folder, wait_until,
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    readers::{self, Read, Registry},
    rows::{UUID, changes, column, context, sink, small, small_table, table},
};

const DEADLINE: Duration = Duration::from_secs(60);
/// `reader:reader-secret`
const LOGIN: &str = "Basic cmVhZGVyOnJlYWRlci1zZWNyZXQ=";

/// Writes batches one behind the other, each announced first.
async fn write(sink: &dyn EventSinkProvider, batches: Vec<ChangeBatch>) -> Result<(), Error> {
    let context = context(UUID);
    let mut committer = sink.committer(&context).await?;
    let mut writer = sink.writer(&context, 0).await?;
    for batch in batches {
        writer.schema(&batch.schema).await?;
        writer.write(batch).await?;
    }
    let staged = writer.flush(1).await?;
    committer.commit(1, &staged).await?;
    writer.close().await?;
    Ok(())
}

/// The options of an Avro sink, and more.
fn avro<'a>(
    cluster: &Cluster,
    topic: &'a str,
    url: &'a str,
    more: &[(&'a str, &'a str)],
) -> Box<dyn EventSinkProvider> {
    let mut options = vec![
        ("topic", topic),
        ("value.format", "avro"),
        ("key.format", "avro"),
        ("avro.schema-registry.url", url),
    ];
    options.extend(more);
    sink(cluster, &options)
}

/// A small table whose key became a BIGINT and which has one more column.
fn grown(name: &str) -> Arc<TableSchema> {
    let columns = vec![
        column(0, "id", L::BigInt, "bigint"),
        column(1, "name", L::String, "text"),
        column(2, "note", L::VarChar(9), "varchar(9)"),
    ];
    table(name, columns)
}

fn grown_rows(schema: &Arc<TableSchema>, id: i64) -> ChangeBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![id])),
        Arc::new(StringArray::from(vec![Some("big")])),
        Arc::new(StringArray::from(vec![Some("new")])),
    ];
    changes(schema, vec![Op::Insert], columns, 9)
}

fn afters(found: &[Read]) -> Vec<Value> {
    found.iter().map(|read| read.value["after"].clone()).collect()
}

/// A widened key and an added column are a second version of both subjects; who reads takes each record by its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_grows_is_a_second_version() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    for references in ["false", "true"] {
        let topic = cluster.name("versions");
        // The record's name is its subject under `references`: a table of its own.
        let name = format!("grows_{references}");
        let (first, second) = (small_table(&name), grown(&name));
        let url = registry.url();
        let sink = avro(cluster, &topic, &url, &[("avro.references.enabled", references)]);
        let rows =
            [(Op::Insert, 1, "one"), (Op::UpdateBefore, 1, "one"), (Op::UpdateAfter, 1, "1")];
        write(
            &*sink,
            vec![
                small(&first, &rows, 1),
                grown_rows(&second, 5_000_000_000),
                small(&first, &[], 10),
            ],
        )
        .await?;

        let found = readers::python(cluster, "avro", &topic, &[&url]).await?;
        assert_eq!(
            afters(&found),
            [
                json!({"id": "1", "name": "one"}),
                json!({"id": "1", "name": "1"}),
                json!({"id": "5000000000", "name": "big", "note": "new"}),
            ],
            "references {references}"
        );
        assert_eq!(found[1].value["before"], json!({"id": "1", "name": "one"}));
        assert_eq!(found[2].key, json!({"id": "5000000000"}));
        assert_eq!(found[0].value["source"]["gtid"], "abababab-abab-abab-abab-abababababab:7");
        let newest = readers::python(cluster, "avro-latest", &topic, &[&url]).await?;
        assert_eq!(newest[0].value["after"], json!({"id": "1", "name": "one", "note": null}));

        for (part, count) in [("value", 2), ("key", 2)] {
            let versions = registry.versions(&format!("{topic}-{part}")).await?;
            assert_eq!(versions.len(), count, "{part}: {versions:?}");
        }
        let row = registry.versions(&format!("test.shop.{name}.Value")).await;
        let path = format!("/subjects/{topic}-value/versions/2");
        let refers = registry.ask("GET", &path, "").await?["references"].take();
        if references == "true" {
            assert_eq!(row?.len(), 2);
            assert_eq!(refers[0]["subject"], format!("test.shop.{name}.Value"));
            assert_eq!(refers[0]["version"], 2);
        } else {
            assert!(refers.as_array().is_none_or(Vec::is_empty), "{refers}");
        }
    }
    Ok(())
}

/// Tables that share a topic have subjects of their own by their records' names; under the topic's name the registry
/// refuses the second, and the error says what helps.
#[tokio::test(flavor = "multi_thread")]
async fn subjects_have_the_names_that_are_asked_for() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let url = registry.url();
    // No reader takes the one for the other: an INT and a VARCHAR under the same name.
    let both = |prefix: &str| {
        let columns = vec![column(0, "id", L::VarChar(9), "varchar(9)")];
        let (a, b) = (small_table(&format!("{prefix}_a")), table(&format!("{prefix}_b"), columns));
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["two"]));
        vec![small(&a, &[(Op::Insert, 1, "one")], 1), changes(&b, vec![Op::Insert], vec![ids], 2)]
    };
    for strategy in ["record", "topic-record"] {
        let topic = cluster.name("subjects");
        let table = strategy.replace('-', "_");
        let options = [("avro.subject.strategy", strategy)];
        write(&*avro(cluster, &topic, &url, &options), both(&table)).await?;
        let found = readers::python(cluster, "avro", &topic, &[&url]).await?;
        assert_eq!(found.len(), 2);
        let prefix = if strategy == "record" { String::new() } else { format!("{topic}-") };
        for subject in ["a.Key", "a.Envelope", "b.Key", "b.Envelope"] {
            let subject = format!("{prefix}test.shop.{table}_{subject}");
            assert_eq!(registry.versions(&subject).await?.len(), 1, "{subject}");
        }
    }
    let topic = cluster.name("subjects");
    let refused = write(&*avro(cluster, &topic, &url, &[]), both("shared")).await;
    let refused = refused.expect_err("the two are not compatible");
    assert_eq!(refused.kind(), &ErrorKind::Operator, "{refused}");
    let hint = refused.hint_text().unwrap_or_default();
    assert!(hint.contains("avro.subject.strategy"), "{hint}");
    Ok(())
}

/// Where schemas may not be registered they are looked up: a missing one is refused in words, one that is there is used.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_looked_up_where_they_may_not_be_registered() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let (topic, url) = (cluster.name("lookup"), registry.url());
    let schema = small_table("lookup");
    let rows = |id| vec![small(&schema, &[(Op::Insert, id, "one")], 1)];
    let asks = [("avro.auto-register", "false")];
    let refused = write(&*avro(cluster, &topic, &url, &asks), rows(1)).await;
    let refused = refused.expect_err("nobody registered it");
    assert_eq!(refused.kind(), &ErrorKind::Operator, "{refused}");
    assert!(refused.hint_text().is_some_and(|hint| hint.contains("avro.auto-register")));
    write(&*avro(cluster, &topic, &url, &[]), rows(1)).await?;
    write(&*avro(cluster, &topic, &url, &asks), rows(2)).await?;
    let found = readers::python(cluster, "avro", &topic, &[&url]).await?;
    assert_eq!(found.len(), 2);
    assert_eq!(registry.versions(&format!("{topic}-value")).await?.len(), 1);
    Ok(())
}

/// A registry behind a login, and one behind TLS: the right words open it, wrong ones are told ahead of any row.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_logged_in_to() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let gate = registry.gate(Some(LOGIN)).await?;
    let (topic, url) = (cluster.name("login"), gate.url());
    let login = |password| {
        [("avro.schema-registry.username", "reader"), ("avro.schema-registry.password", password)]
    };
    for options in [&login("wrong")[..], &[]] {
        let refused = avro(cluster, &topic, &url, options).preflight().await;
        let refused = refused.expect_err("the gate is closed for those");
        assert_eq!(refused.kind(), &ErrorKind::Operator, "{refused}");
        let hint = refused.hint_text().unwrap_or_default();
        assert!(hint.contains("avro.schema-registry.username"), "{hint}");
    }
    let sink = avro(cluster, &topic, &url, &login("reader-secret"));
    sink.preflight().await?;
    write(&*sink, vec![small(&small_table("login"), &[(Op::Insert, 1, "one")], 1)]).await?;
    let found = readers::python(cluster, "avro", &topic, &[&url, "reader:reader-secret"]).await?;
    assert_eq!(afters(&found), [json!({"id": "1", "name": "one"})]);

    let (gate, token) =
        (registry.gate(Some("Bearer t0ken")).await?, "avro.schema-registry.bearer-token");
    avro(cluster, &topic, &gate.url(), &[(token, "t0ken")]).preflight().await?;
    assert!(avro(cluster, &topic, &gate.url(), &[(token, "other")]).preflight().await.is_err());

    let tls = tls_folder()?;
    let file = |name: &str| tls.join(name).display().to_string();
    let (topic, url) = (cluster.name("tls"), registry.tls_url());
    let (other, ours) = (file("other-ca.pem"), file("ca.pem"));
    let refused = avro(cluster, &topic, &url, &[("avro.schema-registry.ssl.ca.location", &other)]);
    let refused = refused.preflight().await.expect_err("an authority that signed nothing");
    assert!(refused.detail_text().is_some_and(|text| text.contains("certificate")), "{refused:?}");
    let sink = avro(cluster, &topic, &url, &[("avro.schema-registry.ssl.ca.location", &ours)]);
    sink.preflight().await?;
    write(&*sink, vec![small(&small_table("tls"), &[(Op::Insert, 1, "one")], 1)]).await?;
    let found = readers::python(cluster, "avro", &topic, &[&registry.url()]).await?;
    assert_eq!(afters(&found), [json!({"id": "1", "name": "one"})]);
    Ok(())
}

/// The registry is away just when a table changes: the daemon waits for it, and then each change is there, once, in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_holds_the_rows_back() -> Outcome {
    let (cluster, registry) = (Cluster::shared().await?, Registry::shared().await?);
    let gate = registry.gate(None).await?;
    let server = Server::shared(ServerKind::Mysql).await?;
    let database = server.new_database("kafkaavro").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)").await?;
    sql.run("INSERT INTO t VALUES (1, 0)").await?;
    let topic = cluster.name("away");
    let folder = PipelineFolder::new()?;
    let text = format!(
        "{}sink:\n  type: kafka\n  properties.bootstrap.servers: {}\n  topic: {topic}\n  value.format: avro\n  \
         avro.schema-registry.url: {}\n  sink.delivery-guarantee: exactly-once\npipeline:\n  \
         checkpoint.interval: 200ms\n  schema.change.behavior: EVOLVE\n",
        server.source_yaml(&format!("{database}.t")),
        cluster.bootstrap(),
        gate.url()
    );
    let mut daemon = Daemon::run(&folder.write("pipeline.yaml", &text)?)?;
    let count = async || {
        Ok::<_, Failure>(match cluster.partitions(&topic).await? {
            0 => 0,
            _ => cluster.committed(&topic).await?.len(),
        })
    };
    wait_until("the row that was there", DEADLINE, async || Ok(count().await? == 1)).await?;
    gate.set_open(false);
    sql.run("UPDATE t SET v = 1 WHERE id = 1").await?;
    sql.run("ALTER TABLE t MODIFY v BIGINT NOT NULL").await?;
    sql.run("UPDATE t SET v = 5000000000 WHERE id = 1").await?;
    let line = daemon.wait_for_log("schema registry", DEADLINE).await?;
    assert!(line.contains("cannot be asked"), "{line}");
    sql.run("UPDATE t SET v = v + 1 WHERE id = 1").await?;
    gate.set_open(true);
    wait_until("the rest", DEADLINE, async || Ok(count().await? == 4)).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;

    let found = readers::python(cluster, "avro-value", &topic, &[&registry.url()]).await?;
    let values: Vec<&Value> = found.iter().map(|read| &read.value["after"]["v"]).collect();
    assert_eq!(values, ["0", "1", "5000000000", "5000000001"]);
    assert_eq!(registry.versions(&format!("{topic}-value")).await?.len(), 2);
    Ok(())
}
