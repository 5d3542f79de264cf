//! Routes on real servers: shards merged into one table while their rows move and their columns differ, one table copied to
//! several, and what the behaviours let through.

use std::time::Duration;

use cdc_integration::{
    Daemon, Failure, LakeTable, Outcome, PipelineFolder, Server, ServerKind, TableContent,
    table_content, wait_until, wait_until_content,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn pipeline(
    server: &Server,
    database: &str,
    routes: &str,
    engine: &str,
) -> Outcome<(PipelineFolder, std::path::PathBuf)> {
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!(r"{database}.\.*"));
    let sink = folder.parquet_yaml("200ms");
    let file = folder.write("pipeline.yaml", &format!("{source}{sink}{engine}{routes}"))?;
    Ok((folder, file))
}

/// The rows of several tables as one, under these columns.
async fn together(
    server: &Server,
    database: &str,
    tables: &[&str],
    columns: &[&str],
) -> Outcome<TableContent> {
    let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
    let mut all: Option<TableContent> = None;
    for table in tables {
        let content = table_content(server, database, table).await?.with_columns(&columns);
        match &mut all {
            None => all = Some(content),
            Some(all) => all.rows.extend(content.rows),
        }
    }
    all.ok_or_else(|| Failure::new("no tables"))
}

async fn wait_until_merged(expected: &TableContent, folder: &std::path::Path) -> Outcome {
    wait_until_content("the merged table", expected, DEADLINE, async || {
        Ok(LakeTable::read(folder)?.current(&expected.key)?.with_columns(&expected.columns))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_merged_and_only_get_wider() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("shards").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        sql.run_all(&[
            "CREATE TABLE s0 (id INT PRIMARY KEY, v INT, note VARCHAR(10))",
            "CREATE TABLE s1 (id INT PRIMARY KEY, v BIGINT, more DECIMAL(6,2))",
            "INSERT INTO s0 VALUES (1, 10, 'a'), (2, 20, 'b')",
            "INSERT INTO s1 VALUES (1001, 5000000000, 1.5), (1002, 7, NULL)",
        ])
        .await?;
        let routes = format!(
            "route:\n  - source-table: '{database}.s[0-9]+'\n    sink-table: {database}.all_of_them\n"
        );
        let evolve = "  schema.change.behavior: EVOLVE\n";
        let (folder, file) = pipeline(server, &database, &routes, evolve)?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        let merged = folder.lake().join(&database).join("all_of_them");
        // A row moves between shards, each time in one transaction, and changes on its way.
        for round in 0..20 {
            let (from, to) = if round % 2 == 0 { ("s0", "s1") } else { ("s1", "s0") };
            sql.run_all(&[
                "BEGIN",
                &format!("DELETE FROM {from} WHERE id = 1"),
                &format!("INSERT INTO {to} (id, v) VALUES (1, {round})"),
                "COMMIT",
            ])
            .await?;
        }
        let columns = ["id", "v", "note", "more"];
        let expected = together(server, &database, &["s0", "s1"], &columns).await?;
        wait_until_merged(&expected, &merged).await?;

        // A shard that comes later, with another column; one that widens; one that goes and takes nothing with it.
        sql.run_all(&[
            "CREATE TABLE s2 (id INT PRIMARY KEY, v INT, extra DATE)",
            "INSERT INTO s2 VALUES (2001, 1, '2020-02-29')",
            "ALTER TABLE s0 MODIFY v BIGINT, ADD COLUMN extra DATE",
            "INSERT INTO s0 VALUES (3, 6000000000, 'c', '2021-01-01')",
        ])
        .await?;
        let columns = ["id", "v", "note", "more", "extra"];
        let expected = together(server, &database, &["s0", "s1", "s2"], &columns).await?;
        wait_until_merged(&expected, &merged).await?;
        sql.run_all(&[
            "DROP TABLE s2",
            "TRUNCATE TABLE s1",
            "INSERT INTO s0 (id, v) VALUES (4, 4)",
        ])
        .await?;
        let mut expected = expected;
        let fourth = together(server, &database, &["s0"], &columns).await?;
        expected.rows.extend(fourth.rows);
        wait_until_merged(&expected, &merged).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_goes_to_several() -> Outcome {
    for kind in ServerKind::ALL {
        goes_to_several(kind).await?;
    }
    Ok(())
}

async fn goes_to_several(kind: ServerKind) -> Outcome {
    let server = Server::shared(kind).await?;
    let database = server.new_database("copies").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run_all(&[
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
        "INSERT INTO t VALUES (1, 1), (2, 2)",
    ])
    .await?;
    let routes = format!(
        "route:\n  - source-table: {database}.t\n    sink-table: {database}.left\n  - source-table: {database}.(t)\n    sink-table: {database}.right_$1\n"
    );
    let (folder, file) = pipeline(server, &database, &routes, "")?;
    let mut daemon = Daemon::run(&file)?;
    daemon.wait_for_log("streaming", DEADLINE).await?;
    sql.run_all(&[
        "ALTER TABLE t ADD COLUMN w INT",
        "INSERT INTO t VALUES (3, 3, 3)",
        "DELETE FROM t WHERE id = 1",
    ])
    .await?;
    let expected = table_content(server, &database, "t").await?;
    for table in ["left", "right_t"] {
        wait_until_merged(&expected, &folder.lake().join(&database).join(table)).await?;
    }
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    Ok(())
}

/// What reaches the lake's newest file under a behaviour: its columns after an addition, a drop and a rename.
async fn columns_under(kind: ServerKind, behaviour: &str, code: i32) -> Outcome<Vec<String>> {
    let server = Server::shared(kind).await?;
    let database = server.new_database("behaviour").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run_all(&[
        "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, b INT)",
        "INSERT INTO t VALUES (1, 1, 1)",
    ])
    .await?;
    let engine = format!("  schema.change.behavior: {behaviour}\n");
    let (folder, file) = pipeline(server, &database, "", &engine)?;
    let mut daemon = Daemon::run(&file)?;
    daemon.wait_for_log("streaming", DEADLINE).await?;
    sql.run_all(&[
        "ALTER TABLE t ADD COLUMN c INT FIRST, DROP COLUMN a, RENAME COLUMN b TO d",
        "INSERT INTO t (id, c, d) VALUES (2, 3, 4)",
    ])
    .await?;
    if code != 0 {
        daemon.wait(DEADLINE).await?.expect_code(code)?;
        return Ok(Vec::new());
    }
    let lake = folder.lake().join(&database).join("t");
    wait_until("the second row", DEADLINE, async || {
        Ok(LakeTable::read(&lake)?.rows.iter().any(|row| row.cells.contains(&Some("2".into()))))
    })
    .await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    let table = LakeTable::read(&lake)?;
    let last = table.rows.last().map_or(0, |row| row.seq);
    for file in &table.files {
        let one = LakeTable::read_file(file)?;
        if one.rows.iter().any(|row| row.seq == last) {
            return Ok(one.columns);
        }
    }
    Err(Failure::new("no file has the last row"))
}

#[tokio::test(flavor = "multi_thread")]
async fn behaviours_let_through_what_they_say() -> Outcome {
    for kind in ServerKind::ALL {
        assert_eq!(columns_under(kind, "EVOLVE", 0).await?, ["c", "id", "d"]);
        assert_eq!(columns_under(kind, "TRY_EVOLVE", 0).await?, ["c", "id", "d"]);
        assert_eq!(columns_under(kind, "LENIENT", 0).await?, ["id", "a", "b", "d", "c"]);
        assert_eq!(columns_under(kind, "IGNORE", 0).await?, ["id", "a", "b"]);
        assert!(columns_under(kind, "EXCEPTION", 1).await?.is_empty());
    }
    Ok(())
}

/// A value that its sink table cannot hold stops its table by name, and the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_stops_its_table() -> Outcome {
    for kind in ServerKind::ALL {
        does_not_fit(kind).await?;
    }
    Ok(())
}

async fn does_not_fit(kind: ServerKind) -> Outcome {
    let server = Server::shared(kind).await?;
    let database = server.new_database("unfit").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run_all(&[
        "CREATE TABLE t (id INT PRIMARY KEY, v SMALLINT)",
        "CREATE TABLE good (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1, 1)",
    ])
    .await?;
    let (folder, file) = pipeline(server, &database, "", "  schema.change.behavior: IGNORE\n")?;
    let mut daemon = Daemon::run(&file)?;
    daemon.wait_for_log("streaming", DEADLINE).await?;
    sql.run_all(&["ALTER TABLE t MODIFY v INT", "INSERT INTO t VALUES (2, 2)"]).await?;
    let lake = folder.lake().join(&database).join("t");
    wait_until("the second row", DEADLINE, async || Ok(LakeTable::read(&lake)?.rows.len() == 2))
        .await?;
    // One statement, one batch: what stands ahead of the value still goes.
    sql.run_all(&[
        "INSERT INTO t VALUES (3, 3), (4, 4), (5, 70000), (6, 6)",
        "INSERT INTO good VALUES (1)",
    ])
    .await?;
    let stopped = format!("table quarantined, the others go on table={database}.t");
    let line = daemon.wait_for_log(&stopped, DEADLINE).await?;
    assert!(line.contains("`id` = 5"), "{line}");
    let expected = table_content(server, &database, "good").await?;
    wait_until_merged(&expected, &folder.lake().join(&database).join("good")).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    assert_eq!(LakeTable::read(&lake)?.rows.len(), 4);
    Ok(())
}

/// Names by a replace symbol and by groups; every rule that matches, or the first alone.
#[tokio::test(flavor = "multi_thread")]
async fn rules_name_their_sink_tables() -> Outcome {
    // Of the tables `alpha` and `beta`.
    const MODES: [(&str, &[&str], &[&str]); 2] = [
        (
            "ALL_MATCH",
            &["ods/ods_alpha_x", "ods/g_alpha", "dwd/alpha"],
            &["ods/ods_beta_x", "ods/g_beta"],
        ),
        ("FIRST_MATCH", &["ods/ods_alpha_x"], &["ods/ods_beta_x"]),
    ];
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        for (mode, of_alpha, of_beta) in MODES {
            let database = server.new_database("named").await?;
            let mut sql = server.connect().await?;
            sql.run(&format!("USE `{database}`")).await?;
            for table in ["alpha", "beta"] {
                sql.run(&format!("CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(9))"))
                    .await?;
                sql.run(&format!("INSERT INTO {table} VALUES (1, '{table}')")).await?;
            }
            let routes = format!(
                "route:\n  - source-table: {database}.\\.*\n    sink-table: ods.ods_<>_x\n    replace-symbol: <>\n  \
                 - source-table: {database}.(\\.*)\n    sink-table: ods.g_$1\n  \
                 - source-table: {database}.alpha\n    sink-table: dwd.alpha\n"
            );
            let engine = format!("  route-mode: {mode}\n");
            let (folder, file) = pipeline(server, &database, &routes, &engine)?;
            let mut daemon = Daemon::run(&file)?;
            daemon.wait_for_log("streaming", DEADLINE).await?;
            for table in ["alpha", "beta"] {
                sql.run(&format!("INSERT INTO {table} VALUES (2, 'later')")).await?;
            }
            for (table, sinks) in [("alpha", of_alpha), ("beta", of_beta)] {
                let expected = table_content(server, &database, table).await?;
                for sink in sinks {
                    wait_until_merged(&expected, &folder.lake().join(sink)).await?;
                }
            }
            daemon.stop(DEADLINE).await?.expect_code(0)?;
            let mut found = Vec::new();
            for schema in std::fs::read_dir(folder.lake())? {
                let schema = schema?.path();
                for table in std::fs::read_dir(&schema)? {
                    let table = table?.path();
                    found.push(table.strip_prefix(folder.lake())?.display().to_string());
                }
            }
            found.sort();
            let mut expected: Vec<&str> = of_alpha.iter().chain(of_beta).copied().collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "{} {mode}", kind.name());
        }
    }
    Ok(())
}

/// Merged columns get as wide as a type can: what even that does not hold stops its shard, and the other shards go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_widened_stops_its_shard() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("narrow").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        sql.run_all(&[
            "CREATE TABLE s0 (id INT PRIMARY KEY, d DECIMAL(38,0))",
            "CREATE TABLE s1 (id INT PRIMARY KEY, d DECIMAL(20,10))",
            "INSERT INTO s0 VALUES (1, 99999999999999999999999999999999999999)",
            "INSERT INTO s1 VALUES (101, 7)",
        ])
        .await?;
        let routes = format!(
            "route:\n  - source-table: '{database}.s[0-9]+'\n    sink-table: {database}.merged\n"
        );
        let (folder, file) = pipeline(server, &database, &routes, "")?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        sql.run_all(&["INSERT INTO s1 VALUES (102, 8), (103, 0.5), (104, 9)"]).await?;
        let stopped = format!("table quarantined, the others go on table={database}.s1");
        let line = daemon.wait_for_log(&stopped, DEADLINE).await?;
        assert!(line.contains("`id` = 103"), "{line}");
        sql.run_all(&["INSERT INTO s0 VALUES (2, 2)", "INSERT INTO s1 VALUES (105, 5)"]).await?;
        let lake = folder.lake().join(&database).join("merged");
        let ids = || -> Outcome<Vec<String>> {
            let table = LakeTable::read(&lake)?;
            let at = table.columns.iter().position(|name| name == "id");
            let at = at.ok_or_else(|| Failure::new("no column id"))?;
            let mut ids: Vec<String> =
                table.rows.iter().filter_map(|row| row.cells.get(at).cloned().flatten()).collect();
            ids.sort();
            Ok(ids)
        };
        wait_until("the other shard's row", DEADLINE, async || Ok(ids()?.contains(&"2".into())))
            .await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
        assert_eq!(ids()?, ["1", "101", "102", "2"]);
    }
    Ok(())
}
