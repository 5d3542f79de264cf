//! The main job on real servers: all rows, then every change, into Parquet; startup modes, keys of every kind, tables that
//! must stop by name, and resumes that must be refused.

use std::time::Duration;

use cdc_integration::{
    Daemon, Exit, LakeTable, Outcome, PipelineFolder, Server, ServerKind, Workload, WorkloadPlan,
    assert_same, table_content, wait_until, wait_until_same,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// A pipeline of all tables of a database into a lake of its own.
fn pipeline(
    server: &Server,
    database: &str,
    more: &str,
) -> Outcome<(PipelineFolder, std::path::PathBuf)> {
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!(r"{database}.\.*"));
    let text = format!("{source}{more}{}", folder.parquet_yaml("200ms"));
    let file = folder.write("pipeline.yaml", &text)?;
    Ok((folder, file))
}

/// Runs a pipeline that ends by itself.
async fn run_pipeline(file: &std::path::Path) -> Outcome<Exit> {
    Daemon::run(file)?.wait(DEADLINE).await
}

async fn same(
    server: &Server,
    folder: &PipelineFolder,
    database: &str,
    tables: &[&str],
) -> Outcome {
    wait_until_same(server, &folder.lake(), database, tables, DEADLINE).await
}

/// The lake now, without waiting: for runs that have ended.
async fn same_now(
    server: &Server,
    folder: &PipelineFolder,
    database: &str,
    tables: &[&str],
) -> Outcome {
    for table in tables {
        let expected = table_content(server, database, table).await?;
        let lake = LakeTable::read(&folder.lake().join(database).join(table))?;
        assert_same(table, &expected, &lake.current(&expected.key)?)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_changes_of_concurrent_writers_arrive() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("copy").await?;
        let plan = WorkloadPlan {
            tables: 3,
            rows: 5000,
            key_space: 10_000,
            ..WorkloadPlan::new(11, &database)
        };
        plan.create(server).await?;
        let writers = Workload::start(server, &plan).await?;
        let (folder, file) = pipeline(server, &database, "")?;
        let daemon = Daemon::run(&file)?;
        wait_until("the first files", DEADLINE, async || {
            Ok(LakeTable::read(&folder.lake().join(&database).join("w0"))
                .is_ok_and(|lake| lake.rows.len() > 100))
        })
        .await?;
        let before = writers.committed();
        wait_until("more transactions", DEADLINE, async || Ok(writers.committed() > before + 500))
            .await?;
        writers.stop().await?;
        let tables = plan.table_names();
        let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
        same(server, &folder, &database, &tables).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
        same_now(server, &folder, &database, &tables).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_mode_ends_with_one_cut_and_code_0() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("snap").await?;
        let mut sql = server.connect().await?;
        sql.run_all(&[
            &format!("CREATE TABLE {database}.empty (id INT PRIMARY KEY)"),
            &format!("CREATE TABLE {database}.one (id INT PRIMARY KEY, v TEXT)"),
            &format!("INSERT INTO {database}.one VALUES (1, 'é'), (-5, NULL)"),
        ])
        .await?;
        let (folder, file) = pipeline(server, &database, "  scan.startup.mode: snapshot\n")?;
        run_pipeline(&file).await?.expect_code(0)?;
        same_now(server, &folder, &database, &["one"]).await?;
        // Again: nothing is left to do, and nothing is doubled.
        run_pipeline(&file).await?.expect_code(0)?;
        let lake = LakeTable::read(&folder.lake().join(&database).join("one"))?;
        assert_eq!(lake.rows.len(), 2);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_offset_brings_only_what_comes() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("latest").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, v INT)")).await?;
        sql.run(&format!("INSERT INTO {database}.t VALUES (1, 1), (2, 2)")).await?;
        let (folder, file) = pipeline(server, &database, "  scan.startup.mode: latest-offset\n")?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        sql.run(&format!("UPDATE {database}.t SET v = 7 WHERE id = 2")).await?;
        sql.run(&format!("INSERT INTO {database}.t VALUES (3, 3)")).await?;
        let table = folder.lake().join(&database).join("t");
        wait_until("two changes", DEADLINE, async || {
            Ok(LakeTable::read(&table).is_ok_and(|lake| lake.rows.len() == 2))
        })
        .await?;
        let ops: String = LakeTable::read(&table)?.rows.iter().map(|row| row.op).collect();
        assert_eq!(ops, "uc");
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Keys of every kind, each in a table of its own, changed while they are copied.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind() -> Outcome {
    const KEYS: [(&str, &str, &str); 11] = [
        ("k_int", "INT", "n"),
        ("k_ubig", "BIGINT UNSIGNED", "18446744073709551615 - n"),
        ("k_dec", "DECIMAL(20,3)", "n * 1.5 - 700"),
        ("k_text", "VARCHAR(40)", "CONCAT(CHAR(65 + n % 26 USING utf8mb4), REPEAT('é', n % 5), n)"),
        (
            "k_bin_text",
            "VARCHAR(40) COLLATE utf8mb4_bin",
            "CONCAT(CHAR(65 + n % 58 USING utf8mb4), ' ', n)",
        ),
        (
            "k_latin",
            "VARCHAR(40) CHARACTER SET latin1",
            "CONCAT(CHAR(97 + n % 26 USING latin1), n)",
        ),
        ("k_bytes", "VARBINARY(16)", "UNHEX(LPAD(HEX(n * 7919), 8, '0'))"),
        ("k_uuid", "BINARY(16)", "UNHEX(LPAD(HEX(n * 104729), 32, 'AB'))"),
        ("k_date", "DATE", "DATE('1990-01-01') + INTERVAL n DAY"),
        ("k_time", "DATETIME(3)", "TIMESTAMP('2001-01-01 00:00:00.123') + INTERVAL n * 61 SECOND"),
        ("k_enum", "SMALLINT", "n - 500"),
    ];
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("keys").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("CREATE TABLE {database}.numbers (n INT PRIMARY KEY)")).await?;
        let numbers: Vec<String> = (1..=1000).map(|n| format!("({n})")).collect();
        sql.run(&format!("INSERT INTO {database}.numbers VALUES {}", numbers.join(","))).await?;
        for (table, ty, expression) in KEYS {
            sql.run(&format!(
                "CREATE TABLE {database}.{table} (k {ty} NOT NULL PRIMARY KEY, v INT NOT NULL)"
            ))
            .await?;
            sql.run(&format!(
                "INSERT INTO {database}.{table} SELECT {expression}, n FROM {database}.numbers"
            ))
            .await?;
        }
        sql.run(&format!(
            "CREATE TABLE {database}.k_pair (a VARCHAR(20) NOT NULL, b INT NOT NULL, v INT, PRIMARY KEY (a, b))"
        ))
        .await?;
        sql.run(&format!(
            "INSERT INTO {database}.k_pair SELECT CONCAT('g', n % 7), n, n FROM {database}.numbers"
        ))
        .await?;
        // Small chunks, so that ranges are many and changes fall into all their states.
        let (folder, file) =
            pipeline(server, &database, "  scan.incremental.snapshot.chunk.size: 37\n")?;
        let daemon = Daemon::run(&file)?;
        let mut tables: Vec<&str> = KEYS.iter().map(|(table, ..)| *table).collect();
        tables.push("k_pair");
        for round in 0..6 {
            for table in &tables {
                sql.run(&format!(
                    "UPDATE {database}.{table} SET v = v + 1000 WHERE v % 7 = {round}"
                ))
                .await?;
                sql.run(&format!("DELETE FROM {database}.{table} WHERE v % 31 = {round}")).await?;
            }
        }
        // To the server 'a' and 'A' may be one key, to a sink they are two (correctness §3).
        sql.run(&format!("UPDATE {database}.k_text SET k = UPPER(k) WHERE v % 3 = 0")).await?;
        sql.run(&format!("UPDATE {database}.k_text SET k = LOWER(k) WHERE v % 5 = 0")).await?;
        same(server, &folder, &database, &tables).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wide_and_a_skewed_table() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("shape").await?;
        let mut sql = server.connect().await?;
        let columns: Vec<String> = (0..299).map(|n| format!("c{n} INT")).collect();
        sql.run(&format!(
            "CREATE TABLE {database}.wide (id INT PRIMARY KEY, {})",
            columns.join(", ")
        ))
        .await?;
        let row: Vec<String> = (0..299).map(|n| n.to_string()).collect();
        for id in 0..20 {
            sql.run(&format!("INSERT INTO {database}.wide VALUES ({id}, {})", row.join(",")))
                .await?;
        }
        sql.run(&format!("CREATE TABLE {database}.skewed (id BIGINT PRIMARY KEY, v INT)")).await?;
        let dense: Vec<String> = (0..2000).map(|n| format!("({n}, {n})")).collect();
        sql.run(&format!("INSERT INTO {database}.skewed VALUES {}", dense.join(","))).await?;
        sql.run(&format!(
            "INSERT INTO {database}.skewed VALUES (9223372036854775807, 1), (-9223372036854775808, 2), (4000000000000, 3)"
        ))
        .await?;
        let (folder, file) =
            pipeline(server, &database, "  scan.incremental.snapshot.chunk.size: 100\n")?;
        let daemon = Daemon::run(&file)?;
        sql.run(&format!("UPDATE {database}.wide SET c298 = id")).await?;
        same(server, &folder, &database, &["wide", "skewed"]).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// What is not followed yet stops its table by name; the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_go_on_stop_by_name() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("stop").await?;
        let mut sql = server.connect().await?;
        for table in ["good", "unkeyed", "altered", "statement", "xa", "indexed"] {
            sql.run(&format!("CREATE TABLE {database}.{table} (id INT PRIMARY KEY, v INT)"))
                .await?;
            sql.run(&format!("INSERT INTO {database}.{table} VALUES (1, 1)")).await?;
        }
        sql.run(&format!("CREATE TABLE {database}.keyless (v INT)")).await?;
        sql.run(&format!("CREATE TABLE {database}.heap (id INT PRIMARY KEY) ENGINE=MyISAM"))
            .await?;
        let (folder, file) = pipeline(server, &database, "")?;
        let mut daemon = Daemon::run(&file)?;
        let stopped =
            |table: &str| format!("table quarantined, the others go on table={database}.{table}");
        daemon.wait_for_log(&stopped("keyless"), DEADLINE).await?;
        daemon.wait_for_log(&stopped("heap"), DEADLINE).await?;
        same(server, &folder, &database, &["good", "altered", "indexed"]).await?;

        sql.run(&format!("ALTER TABLE {database}.indexed ADD INDEX (v)")).await?;
        sql.run(&format!("ALTER TABLE {database}.altered ADD c INT")).await?;
        sql.run(&format!("ALTER TABLE {database}.unkeyed DROP PRIMARY KEY")).await?;
        daemon.wait_for_log(&stopped("unkeyed"), DEADLINE).await?;
        sql.run_all(&[
            "SET binlog_format = STATEMENT",
            &format!("UPDATE {database}.statement SET v = 2"),
            "SET binlog_format = ROW",
        ])
        .await?;
        daemon.wait_for_log(&stopped("statement"), DEADLINE).await?;
        sql.run_all(&[
            "XA START 'x'",
            &format!("UPDATE {database}.xa SET v = 2"),
            "XA END 'x'",
            "XA PREPARE 'x'",
            "XA COMMIT 'x'",
        ])
        .await?;
        daemon.wait_for_log(&stopped("xa"), DEADLINE).await?;
        sql.run(&format!("INSERT INTO {database}.good VALUES (2, 2)")).await?;
        sql.run(&format!("INSERT INTO {database}.indexed VALUES (2, 2)")).await?;
        sql.run(&format!("INSERT INTO {database}.altered VALUES (2, 2, 2)")).await?;
        same(server, &folder, &database, &["good", "altered", "indexed"]).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;

        // A snapshot that leaves a table out says so with its exit code.
        let (_folder, file) = pipeline(server, &database, "  scan.startup.mode: snapshot\n")?;
        run_pipeline(&file).await?.expect_code(1)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_that_cannot_be_right_are_refused() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::start(kind, &[]).await?;
        let mut sql = server.connect().await?;
        sql.run("CREATE DATABASE d").await?;
        sql.run("CREATE TABLE d.t (id INT PRIMARY KEY)").await?;
        sql.run("INSERT INTO d.t VALUES (1)").await?;
        let (folder, file) = pipeline(&server, "d", "")?;
        let daemon = Daemon::run(&file)?;
        same(&server, &folder, "d", &["t"]).await?;
        // A second daemon on the same state is refused.
        let second = run_pipeline(&file).await?.expect_code(1)?;
        assert!(second.stderr.contains("process"), "{}", second.stderr);
        daemon.stop(DEADLINE).await?.expect_code(0)?;

        // The log goes on and is purged behind the checkpoint.
        sql.run("INSERT INTO d.t VALUES (2)").await?;
        sql.run("FLUSH BINARY LOGS").await?;
        let logs = sql.rows("SHOW BINARY LOGS").await?;
        let last = logs.last().and_then(|row| row[0].clone()).unwrap_or_default();
        // MariaDB keeps a file that an ended stream still holds, until it notices.
        wait_until("the log to be purged", DEADLINE, async || {
            sql.run(&format!("PURGE BINARY LOGS TO '{last}'")).await?;
            Ok(sql.rows("SHOW BINARY LOGS").await?.len() == 1)
        })
        .await?;
        let refused = run_pipeline(&file).await?.expect_code(1)?;
        assert!(refused.stderr.contains("purged"), "{}", refused.stderr);
        assert!(refused.stderr.contains("hint:"), "{}", refused.stderr);

        // Another server with the same tables.
        let other = Server::start(kind, &[]).await?;
        let mut sql = other.connect().await?;
        sql.run("CREATE DATABASE d").await?;
        sql.run("CREATE TABLE d.t (id INT PRIMARY KEY)").await?;
        let text = std::fs::read_to_string(&file)?;
        let moved =
            text.replace(&format!("port: {}", server.port()), &format!("port: {}", other.port()));
        std::fs::write(&file, moved)?;
        let refused = run_pipeline(&file).await?.expect_code(1)?;
        assert!(refused.stderr.contains("does not fit this server"), "{}", refused.stderr);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_is_met_again() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::start(kind, &["--sync-binlog=1"]).await?;
        let mut sql = server.connect().await?;
        sql.run("CREATE DATABASE d").await?;
        sql.run("CREATE TABLE d.t (id INT PRIMARY KEY)").await?;
        sql.run("INSERT INTO d.t VALUES (1)").await?;
        let (folder, file) = pipeline(&server, "d", "")?;
        let daemon = Daemon::run(&file)?;
        same(&server, &folder, "d", &["t"]).await?;
        for id in 2..5 {
            server.kill().await?;
            server.restart(&["--sync-binlog=1"]).await?;
            let mut sql = server.connect().await?;
            sql.run(&format!("INSERT INTO d.t VALUES ({id})")).await?;
            same(&server, &folder, "d", &["t"]).await?;
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// The connection breaks in the middle of everything: what was decoded and not sent on comes again, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_under_load_is_met_again() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::start(kind, &["--sync-binlog=1"]).await?;
        let database = server.new_database("load").await?;
        let plan = WorkloadPlan { rows: 500, ..WorkloadPlan::new(9, &database) };
        plan.create(&server).await?;
        let (folder, file) = pipeline(&server, &database, "")?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        for _ in 0..4 {
            let writers = Workload::start(&server, &plan).await?;
            wait_until("some transactions", DEADLINE, async || Ok(writers.committed() > 300))
                .await?;
            server.kill().await?;
            // The writers die with the server.
            drop(writers.stop().await);
            server.restart(&["--sync-binlog=1"]).await?;
        }
        let compared = same(&server, &folder, &database, &["w0", "w1"]).await;
        compared.map_err(|error| daemon.explain(&error))?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Without GTIDs nothing proves visibility: chunks are read FOR SHARE.
#[tokio::test(flavor = "multi_thread")]
async fn without_gtids_rows_are_read_with_locks() -> Outcome {
    let server =
        Server::start(ServerKind::Mysql, &["--gtid-mode=OFF", "--enforce-gtid-consistency=OFF"])
            .await?;
    let mut sql = server.connect().await?;
    sql.run("CREATE DATABASE d").await?;
    let plan = WorkloadPlan { rows: 3000, key_space: 6000, ..WorkloadPlan::new(5, "d") };
    plan.create(&server).await?;
    let writers = Workload::start(&server, &plan).await?;
    let (folder, file) = pipeline(&server, "d", "  scan.incremental.snapshot.chunk.size: 200\n")?;
    let mut daemon = Daemon::run(&file)?;
    daemon.wait_for_log("streaming", DEADLINE).await?;
    writers.stop().await?;
    same(&server, &folder, "d", &["w0", "w1"]).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_is_noticed_and_nothing_is_lost() -> Outcome {
    for kind in ServerKind::ALL {
        // Its own server: a stopped one would hold up the other tests.
        let server = Server::start(kind, &[]).await?;
        let database = server.new_database("silent").await?;
        let mut sql = server.connect().await?;
        sql.run_all(&[
            &format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, v TEXT)"),
            &format!("INSERT INTO {database}.t VALUES (1, 'before')"),
        ])
        .await?;
        let (folder, file) = pipeline(&server, &database, "  heartbeat.interval: 1s\n")?;
        let mut daemon = Daemon::run(&file)?;
        same(&server, &folder, &database, &["t"]).await?;
        server.pause().await?;
        let noticed = daemon.wait_for_log("the log's connection broke", DEADLINE).await;
        server.resume().await?;
        noticed?;
        sql.run(&format!("INSERT INTO {database}.t VALUES (2, 'after')")).await?;
        same(&server, &folder, &database, &["t"]).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_offset_passes_every_change_from_the_first_event_on() -> Outcome {
    const ROWS: usize = 200;
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        for round in 0..3 {
            let database = server.new_database("latest").await?;
            let mut sql = server.connect().await?;
            sql.run_all(&[
                &format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)"),
                &format!("INSERT INTO {database}.t VALUES (-1)"),
            ])
            .await?;
            let folder = PipelineFolder::new()?;
            let source = server.source_yaml(&format!(r"{database}.\.*"));
            let mode = "  scan.startup.mode: latest-offset\nsink:\n  type: values\n";
            let file = folder.write("pipeline.yaml", &format!("{source}{mode}"))?;
            let daemon = Daemon::run(&file)?;
            let count =
                |text: &str| daemon.stdout().iter().filter(|line| line.contains(text)).count();
            wait_until("the table", DEADLINE, async || Ok(count("CreateTableEvent") == 1)).await?;
            // The stream has begun: what is committed from now on belongs to it.
            for id in 0..ROWS {
                sql.run(&format!("INSERT INTO {database}.t VALUES ({id})")).await?;
            }
            let arrived = wait_until("all rows", DEADLINE, async || Ok(count("op=INSERT") >= ROWS));
            if arrived.await.is_err() {
                panic!("round {round}: {} of {ROWS} rows came", count("op=INSERT"));
            }
            daemon.stop(DEADLINE).await?.expect_code(0)?;
        }
    }
    Ok(())
}
