//! Flink CDC's own test, whole: its table, its rows and its changes in MySQL, the daemon under the compatibility switch,
//! and the bytes that Flink CDC's file says.

use std::time::Duration;

use cdc_integration::{Daemon, Outcome, PipelineFolder, Server, ServerKind, wait_until};

use crate::{
    cluster::{Cluster, Record},
    formats::golden,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// The statements of a file.
fn statements(text: &str) -> Vec<String> {
    let without_comments: Vec<&str> =
        text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code)).collect();
    let statements = without_comments.join("\n");
    statements
        .split(';')
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn flink_cdcs_own_test_gives_its_own_bytes() -> Outcome {
    let files = ["mysql_inventory.sql", "inventory_changes.sql", "debezium-json.txt"].map(golden);
    let [Some(rows), Some(changes), Some(expected)] = files else {
        eprintln!(
            "no folder shared/compat above this one: Flink CDC's own files were not compared"
        );
        return Ok(());
    };
    let cluster = Cluster::shared().await?;
    let server = Server::shared(ServerKind::Mysql).await?;
    let database = server.new_database("mysql_inventory").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    for statement in statements(&std::fs::read_to_string(rows)?) {
        sql.run(&statement).await?;
    }
    let topic = cluster.name("golden-daemon");
    let folder = PipelineFolder::new()?;
    let text = format!(
        "{}sink:\n  type: kafka\n  properties.bootstrap.servers: {}\n  topic: {topic}\n  compatibility: flink-cdc\n  \
         partition.strategy: all-to-zero\npipeline:\n  checkpoint.interval: 200ms\n  schema.change.behavior: EVOLVE\n",
        server.source_yaml(&format!("{database}.\\.*")),
        cluster.bootstrap()
    );
    let daemon = Daemon::run(&folder.write("pipeline.yaml", &text)?)?;
    let has = async |count: usize| {
        let there = cluster.partitions(&topic).await? > 0;
        Outcome::Ok(there && cluster.committed(&topic).await?.len() >= count)
    };
    wait_until("the 13 rows", DEADLINE, async || has(13).await).await?;
    for statement in statements(&std::fs::read_to_string(changes)?) {
        sql.run(&statement).await?;
    }
    wait_until("all 20 values", DEADLINE, async || has(20).await).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;

    let records = cluster.committed(&topic).await?;
    let text = std::fs::read_to_string(expected)?.replace("$databaseName", &database);
    let mut expected: Vec<&str> = text.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(expected.len(), 20, "the file has 20 values");
    // What follows the copied rows has one order, since all is in one partition.
    let values: Vec<String> = records.iter().map(Record::text).collect();
    assert_eq!(values[13..], expected[13..]);
    let mut found: Vec<&str> = values.iter().map(String::as_str).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    // Flink CDC's key: the table's name ahead of the key's columns.
    let last = records.last().and_then(|record| record.key.clone());
    assert_eq!(last, Some(format!("{{\"TableId\":\"{database}.products\",\"id\":111}}")));
    Ok(())
}
