//! What the log may hold beyond plain whole rows, and what may happen to it on the way: partial JSON updates, sessions that
//! log incomplete rows, a network that damages events.

use std::{collections::BTreeMap, time::Duration};

use cdc_integration::{
    Daemon, Failure, LakeTable, Outcome, PipelineFolder, Proxy, Random, Server, ServerKind, Sql,
    wait_until, wait_until_same,
};

const DEADLINE: Duration = Duration::from_secs(60);
const JSON_ROWS: u64 = 40;
const JSON_UPDATES: u64 = 500;

fn pipeline(folder: &PipelineFolder, source: &str) -> Outcome<std::path::PathBuf> {
    folder.write("pipeline.yaml", &format!("{source}{}", folder.parquet_yaml("200ms")))
}

/// Members' names, plain and such that a path has to quote them.
const NAMES: [&str; 9] = ["a", "b", "list", "in", "b c", "é", "x.y", "q\"q", ""];

fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from.get(random.below(from.len() as u64) as usize).copied().unwrap_or_default()
}

/// A JSON text; long strings among it, so that a change takes fewer bytes than the document.
fn document(random: &mut Random, depth: u32) -> String {
    let deeper = depth < 4 && random.chance(if depth < 2 { 85 } else { 40 });
    if !deeper {
        return match random.below(9) {
            0 => "null".to_owned(),
            1 => "true".to_owned(),
            2 => random.below(100).to_string(),
            3 => format!("-{}", random.below(1 << 33)),
            4 => (random.bits() | 1 << 63).to_string(),
            5 => format!("{}.{}", random.below(1000), random.below(1000)),
            6 => format!("\"{}\"", "long ".repeat(random.below(60) as usize)),
            7 => "\"é\\n\\u0001 \\\"quoted\\\" 😀\"".to_owned(),
            _ => format!("\"{:x}\"", random.bits()),
        };
    }
    let count = random.below(6);
    if random.chance(50) {
        let items: Vec<String> = (0..count).map(|_| document(random, depth + 1)).collect();
        return format!("[{}]", items.join(", "));
    }
    let mut members = BTreeMap::new();
    for _ in 0..count {
        members.insert(pick(random, &NAMES), document(random, depth + 1));
    }
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("\"{}\": {value}", name.replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", members.join(", "))
}

/// A path that many documents have.
fn path(random: &mut Random) -> String {
    let mut path = "$".to_owned();
    for _ in 0..=random.below(3) {
        if random.chance(45) {
            let place = pick(random, &["0", "1", "2", "3", "9", "last", "last-1"]);
            path.push_str(&format!("[{place}]"));
        } else {
            let name = pick(random, &NAMES).replace('"', "\\\"");
            path.push_str(&format!(".\"{name}\""));
        }
    }
    path
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Some functions around a column, so that its update may be logged as changes.
fn changed(random: &mut Random, column: &str) -> String {
    let mut sql = column.to_owned();
    for _ in 0..=random.below(2) {
        let function = pick(random, &["JSON_SET", "JSON_SET", "JSON_REPLACE", "JSON_REMOVE"]);
        let mut arguments = Vec::new();
        for _ in 0..=random.below(2) {
            arguments.push(quoted(&path(random)));
            if function != "JSON_REMOVE" {
                arguments.push(match random.below(6) {
                    0 => "CAST('2024-02-29 01:02:03.000004' AS DATETIME(6))".to_owned(),
                    1 => "CAST(-12.50 AS DECIMAL(20,2))".to_owned(),
                    2 => "NULL".to_owned(),
                    3 => "REPEAT('y', 70000)".to_owned(),
                    _ => format!("CAST({} AS JSON)", quoted(&document(random, 3))),
                });
            }
        }
        sql = format!("{function}({sql}, {})", arguments.join(", "));
    }
    sql
}

async fn rows(sql: &mut Sql, database: &str, ids: &str) -> Outcome<Vec<Vec<Option<String>>>> {
    let columns = "id, CAST(a AS CHAR), n, CAST(b AS CHAR), CAST(c AS CHAR)";
    sql.rows(&format!("SELECT {columns} FROM {database}.t WHERE id IN ({ids}) ORDER BY id")).await
}

/// Random updates; every row version that the log brings equals what SELECT showed right after it was written.
#[tokio::test(flavor = "multi_thread")]
async fn partial_json_updates_are_what_select_shows() -> Outcome {
    for seed in [1, 20_26] {
        partial_json(seed).await.map_err(|error| Failure::new(format!("seed {seed}: {error}")))?;
    }
    Ok(())
}

async fn partial_json(seed: u64) -> Outcome {
    let options = ["--binlog-row-value-options=PARTIAL_JSON", "--max-allowed-packet=64M"];
    let server = Server::start(ServerKind::Mysql, &options).await?;
    let database = server.new_database("partial").await?;
    let mut random = Random::new(seed);
    let mut sql = server.connect().await?;
    sql.run(&format!(
        "CREATE TABLE {database}.t (id INT PRIMARY KEY, a JSON, n INT, b JSON, c JSON NOT NULL)"
    ))
    .await?;
    for id in 0..JSON_ROWS {
        let [a, b, c] = [0; 3].map(|_| quoted(&document(&mut random, 0)));
        let a = if random.chance(10) { "NULL".to_owned() } else { a };
        sql.run(&format!("INSERT INTO {database}.t VALUES ({id}, {a}, 0, {b}, {c})")).await?;
    }
    let folder = PipelineFolder::new()?;
    let file = pipeline(&folder, &server.source_yaml(&format!(r"{database}.\.*")))?;
    let daemon = Daemon::run(&file)?;
    wait_until_same(&server, &folder.lake(), &database, &["t"], DEADLINE).await?;

    let mut expected = Vec::new();
    for _ in 0..JSON_UPDATES {
        let id = random.below(JSON_ROWS);
        let ids = if random.chance(20) { format!("{id}, {}", id + 1) } else { id.to_string() };
        let mut assignments = vec!["n = n + 1".to_owned()];
        for column in ["a", "b", "c"] {
            match random.below(10) {
                0..5 => assignments.push(format!("{column} = {}", changed(&mut random, column))),
                5 => {
                    let whole = quoted(&document(&mut random, 0));
                    assignments.push(format!("{column} = {whole}"));
                }
                _ => {}
            }
        }
        let assignments = assignments.join(", ");
        let update = format!("UPDATE {database}.t SET {assignments} WHERE id IN ({ids})");
        sql.run(&update).await?;
        for row in rows(&mut sql, &database, &ids).await? {
            expected.push((row, update.clone()));
        }
    }
    wait_until_same(&server, &folder.lake(), &database, &["t"], DEADLINE).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;

    let lake = LakeTable::read(&folder.lake().join(&database).join("t"))?;
    let updates = lake.rows.iter().filter(|row| row.op == 'u');
    for (row, (expected, update)) in updates.zip(&expected) {
        if row.cells != *expected {
            return Err(Failure::new(format!(
                "after {update}\n  expected {expected:?}\n  but is   {:?}",
                row.cells
            )));
        }
    }
    assert_eq!(lake.rows.iter().filter(|row| row.op == 'u').count(), expected.len());
    let partial = count_events(&mut sql, "Update_rows_partial").await?;
    assert!(partial > JSON_UPDATES / 2, "only {partial} updates were logged in part");
    Ok(())
}

async fn count_events(sql: &mut Sql, kind: &str) -> Outcome<u64> {
    let mut count = 0;
    for log in sql.rows("SHOW BINARY LOGS").await? {
        let Some(Some(name)) = log.first() else { continue };
        let events = sql.rows(&format!("SHOW BINLOG EVENTS IN '{name}'")).await?;
        let is_kind = |row: &&Vec<Option<String>>| row.iter().flatten().any(|cell| cell == kind);
        count += events.iter().filter(is_kind).count() as u64;
    }
    Ok(count)
}

/// The global setting is FULL, and sessions set their own: what they log incompletely stops that table by name, what is
/// complete all the same goes on, and so do the other tables.
#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_log_incomplete_rows_stop_that_table_alone() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("image").await?;
        let mut sql = server.connect().await?;
        let tables = ["good", "updated", "deleted", "inserted", "blobs", "plain"];
        for table in tables {
            sql.run_all(&[
                &format!("CREATE TABLE {database}.{table} (id INT PRIMARY KEY, v INT DEFAULT 7, w VARCHAR(10))"),
                &format!("INSERT INTO {database}.{table} VALUES (1, 1, 'a'), (2, 2, 'b')"),
            ])
            .await?;
        }
        sql.run(&format!("ALTER TABLE {database}.blobs ADD COLUMN t TEXT")).await?;
        let folder = PipelineFolder::new()?;
        let file = pipeline(&folder, &server.source_yaml(&format!(r"{database}.\.*")))?;
        let mut daemon = Daemon::run(&file)?;
        wait_until_same(server, &folder.lake(), &database, &tables, DEADLINE).await?;

        let mut minimal = server.connect().await?;
        minimal.run("SET SESSION binlog_row_image = MINIMAL").await?;
        let mut noblob = server.connect().await?;
        noblob.run("SET SESSION binlog_row_image = NOBLOB").await?;
        // All columns are in the image although the session is not at FULL.
        minimal.run(&format!("INSERT INTO {database}.good VALUES (3, 3, 'c')")).await?;
        noblob
            .run_all(&[
                &format!("UPDATE {database}.plain SET w = 'z' WHERE id = 1"),
                &format!("DELETE FROM {database}.plain WHERE id = 2"),
                &format!("INSERT INTO {database}.plain (id) VALUES (9)"),
            ])
            .await?;
        wait_until_same(server, &folder.lake(), &database, &["good", "plain"], DEADLINE).await?;

        minimal.run(&format!("UPDATE {database}.updated SET v = 5 WHERE id = 1")).await?;
        minimal.run(&format!("DELETE FROM {database}.deleted WHERE id = 1")).await?;
        minimal.run(&format!("INSERT INTO {database}.inserted (id) VALUES (5)")).await?;
        noblob.run(&format!("UPDATE {database}.blobs SET v = 5 WHERE id = 1")).await?;
        for table in ["updated", "deleted", "inserted", "blobs"] {
            let line = daemon
                .wait_for_log(&format!("the others go on table={database}.{table}"), DEADLINE)
                .await?;
            for text in ["binlog_row_image", "lacks it", "keep it at FULL"] {
                assert!(line.contains(text), "\"{text}\" is missing in {line}");
            }
        }
        sql.run(&format!("UPDATE {database}.good SET v = 6")).await?;
        noblob.run(&format!("UPDATE {database}.plain SET v = 6")).await?;
        wait_until_same(server, &folder.lake(), &database, &["good", "plain"], DEADLINE).await?;
        // Nothing of what could not be known was made up.
        for table in ["updated", "deleted", "inserted", "blobs"] {
            let lake = LakeTable::read(&folder.lake().join(&database).join(table))?;
            assert_eq!(lake.rows.len(), 2, "{table}");
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// A bit that flips on the way is found by the checksum, the event is read again, and nothing is lost; damage that stays
/// ends the run with file and position.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_event_is_named_and_read_again() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("flip").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, v VARCHAR(100))")).await?;
        sql.run(&format!("INSERT INTO {database}.t VALUES (1, 'before')")).await?;
        let proxy = Proxy::start(server).await?;
        let direct = format!("port: {}", server.port());
        // In plain, or no marker would be seen on the wire; and with TLS its own checksums would find the damage.
        let source = server
            .source_yaml(&format!(r"{database}.\.*"))
            .replace(&direct, &format!("port: {}", proxy.port()))
            + "  tls.mode: disabled\n";
        let folder = PipelineFolder::new()?;
        let file = pipeline(&folder, &source)?;
        let mut daemon = Daemon::run(&file)?;
        let same =
            async || wait_until_same(server, &folder.lake(), &database, &["t"], DEADLINE).await;
        same().await?;

        proxy.damage("Zonce", 1);
        for (id, text) in [(2, "ahead"), (3, "Zonce"), (4, "behind")] {
            sql.run(&format!("INSERT INTO {database}.t VALUES ({id}, '{text}')")).await?;
        }
        let line = daemon.wait_for_log("the binlog is damaged at", DEADLINE).await?;
        assert!(line.contains("CRC32 does not match") && line.contains(".0000"), "{line}");
        same().await?;
        assert_eq!(proxy.damaged(), 1);

        proxy.damage("Zalways", u32::MAX);
        sql.run(&format!("INSERT INTO {database}.t VALUES (5, 'Zalways')")).await?;
        wait_until("three readings", DEADLINE, async || Ok(proxy.damaged() >= 3)).await?;
        let exit = daemon.wait(DEADLINE).await?.expect_code(1)?;
        for text in ["the binlog is damaged at", "CRC32", "3 times in a row", "hint:"] {
            assert!(exit.stderr.contains(text), "\"{text}\" is missing in\n{}", exit.stderr);
        }
        assert_eq!(proxy.damaged(), 3);

        proxy.damage("Znever", 0);
        let daemon = Daemon::run(&file)?;
        same().await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}
