//! The whole daemon from MySQL and MariaDB into the broker: killed again and again, altered on its way; a consumer that
//! reads committed records sees each change once and in order, which the images before and after prove key by key.

use std::{collections::HashMap, time::Duration};

use cdc_integration::{Daemon, Failure, Outcome, PipelineFolder, Server, ServerKind, wait_until};
use serde_json::Value;

use crate::cluster::{Cluster, Record};

const DEADLINE: Duration = Duration::from_secs(90);
const KEYS: u64 = 60;

/// Follows every key through its records: each begins where the one before ended.
pub(crate) fn replay(records: &[Record]) -> Outcome<HashMap<u64, Value>> {
    let mut rows: HashMap<u64, Value> = HashMap::new();
    for record in records {
        let value = record.json();
        let (before, after) = (&value["before"], &value["after"]);
        let id = [before, after].iter().find_map(|image| image["id"].as_u64());
        let id = id.ok_or_else(|| Failure::new(format!("no key in {value}")))?;
        let now = rows.get(&id);
        let is_next = match value["op"].as_str() {
            Some("r" | "c") => now.is_none(),
            // A column that was added meanwhile is not in the image that is known.
            Some("u" | "d") => now.is_some_and(|now| now["v"] == before["v"]),
            _ => false,
        };
        if !is_next {
            return Err(Failure::new(format!("{value} follows {now:?}")));
        }
        match after {
            Value::Null => rows.remove(&id),
            after => rows.insert(id, after.clone()),
        };
    }
    Ok(rows)
}

async fn kill_and_compare(kind: ServerKind) -> Outcome {
    let cluster = Cluster::shared().await?;
    let server = Server::start(kind, &[]).await?;
    let database = server.new_database("kafka").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run("CREATE TABLE t (id INT PRIMARY KEY, v BIGINT NOT NULL)").await?;
    let rows: Vec<String> = (0..KEYS / 2).map(|id| format!("({id}, 0)")).collect();
    sql.run(&format!("INSERT INTO t VALUES {}", rows.join(", "))).await?;
    let topic = cluster.name("daemon");
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!("{database}.t"));
    let text = format!(
        "{source}  scan.incremental.snapshot.chunk.size: 7\nsink:\n  type: kafka\n  properties.bootstrap.servers: {}\n  \
         topic: {topic}\n  topic.partitions: 3\n  sink.delivery-guarantee: exactly-once\npipeline:\n  \
         checkpoint.interval: 200ms\n  schema.change.behavior: EVOLVE\n",
        cluster.bootstrap()
    );
    let file = folder.write("pipeline.yaml", &text)?;
    let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), file.as_os_str()];
    // Two rows that change on and on, each statement with values of its own, while the daemon comes and goes.
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writer = server.connect().await?;
    let table = format!("`{database}`.t");
    let writing = tokio::spawn(async move {
        let mut number = 1_u64;
        while !*stopped.borrow() {
            let id = number % KEYS;
            let statement = match number % 11 {
                0 => format!("DELETE FROM {table} WHERE id = {id}"),
                _ => format!(
                    "INSERT INTO {table} (id, v) VALUES ({id}, {number}) ON DUPLICATE KEY UPDATE v = {number}"
                ),
            };
            writer.run(&statement).await?;
            number += 1;
        }
        Outcome::Ok(number)
    });
    for round in 0..6 {
        let log = ("RUST_LOG", "info,cdc_cli=debug");
        // Every third never commits what it prepared.
        let (point, environment) = match round % 3 {
            0 => ("prepared", &[log][..]),
            1 => ("held between prepared and committed", &[log, ("CDC_TEST_HOLD_COMMIT", "1")][..]),
            _ => ("committed", &[log][..]),
        };
        let mut daemon = Daemon::start(&arguments, environment)?;
        daemon.wait_for_log(point, DEADLINE).await?;
        if round == 2 {
            sql.run("ALTER TABLE t ADD COLUMN w INT").await?;
            daemon.wait_for_log("schema change applied", DEADLINE).await?;
        }
        daemon.kill()?;
    }
    stop.send_replace(true);
    let written = writing.await??;
    sql.run(&format!("REPLACE INTO t (id, v) VALUES (1000, {written})")).await?;
    let daemon = Daemon::run(&file)?;
    wait_until("the last row", DEADLINE, async || {
        let records = cluster.committed(&topic).await?;
        Ok(records.iter().any(|record| record.json()["after"]["id"] == 1000))
    })
    .await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    let found = replay(&cluster.committed(&topic).await?)?;
    let expected = sql.rows("SELECT id, v FROM t").await?;
    assert_eq!(found.len(), expected.len(), "rows after {written} statements");
    for row in expected {
        let [Some(id), Some(v)] = &row[..] else { continue };
        assert_eq!(found[&id.parse()?]["v"].to_string(), *v, "row {id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_leave_each_change_once_from_mysql() -> Outcome {
    kill_and_compare(ServerKind::Mysql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_leave_each_change_once_from_mariadb() -> Outcome {
    kill_and_compare(ServerKind::Mariadb).await
}
