//! Transforms on the way from a real server into the lake: projection, filter with rows that come and go by an update, and
//! a column that appears while it runs.

use std::time::Duration;

use cdc_integration::{
    Daemon, Failure, LakeTable, Outcome, PipelineFolder, Server, ServerKind, run_to_end, wait_until,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// The table as it is now, by id, as `columns=values`.
fn now(lake: &LakeTable) -> Outcome<Vec<String>> {
    let current = lake.current(&["id".to_owned()])?;
    let show = |row: &Vec<Option<String>>| {
        let cells = current.columns.iter().zip(row);
        let cells =
            cells.map(|(name, cell)| format!("{name}={}", cell.as_deref().unwrap_or("NULL")));
        cells.collect::<Vec<_>>().join(" ")
    };
    Ok(current.rows.values().map(show).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_projected_and_filtered_on_both_images() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("transform").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        sql.run_all(&[
            "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), amount INT NOT NULL)",
            "INSERT INTO t VALUES (1, 'ann', 5), (2, 'bob', 50), (3, NULL, 70)",
        ])
        .await?;
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!("{database}.t"));
        let text = format!(
            "{source}{}  schema.change.behavior: EVOLVE\ntransform:\n  - source-table: {database}.t\n    \
             projection: '*, UPPER(name) AS loud, amount * 2 AS twice'\n    filter: amount > 10\n",
            folder.parquet_yaml("200ms")
        );
        let file = folder.write("pipeline.yaml", &text)?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        // One comes in by an update, one goes out by one, one is never there.
        sql.run_all(&[
            "UPDATE t SET amount = 11 WHERE id = 1",
            "UPDATE t SET amount = 1 WHERE id = 2",
            "INSERT INTO t VALUES (4, 'dan', 3)",
            "ALTER TABLE t ADD COLUMN note VARCHAR(10) DEFAULT 'n'",
            "INSERT INTO t VALUES (5, 'eve', 20, 'new')",
        ])
        .await?;
        let table = folder.lake().join(&database).join("t");
        let expected = [
            "id=1 name=ann amount=11 loud=ANN twice=22 note=NULL",
            "id=3 name=NULL amount=70 loud=NULL twice=140 note=NULL",
            "id=5 name=eve amount=20 loud=EVE twice=40 note=new",
        ];
        let mut found = Vec::new();
        let waited = wait_until("the transformed rows", DEADLINE, async || {
            let mut lake = LakeTable::read(&table)?;
            // In one order, whichever file came first.
            let order = ["id", "name", "amount", "loud", "twice", "note"];
            let places: Vec<_> = order
                .iter()
                .map(|name| lake.columns.iter().position(|column| column == name))
                .collect();
            for row in &mut lake.rows {
                row.cells =
                    places.iter().map(|at| at.and_then(|at| row.cells[at].clone())).collect();
            }
            lake.columns = order.iter().map(|&name| name.to_owned()).collect();
            found = now(&lake)?;
            Ok(found == expected)
        })
        .await;
        assert!(waited.is_ok(), "{}: {found:#?}", kind.name());
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// A command that ends well; gives what it said on both outputs.
async fn ends_well(arguments: &[&str]) -> Outcome<(String, String)> {
    let exit = run_to_end(arguments, DEADLINE).await?.expect_code(0)?;
    Ok((exit.stdout, exit.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hardly_meant_is_told_by_every_command_that_knows_the_tables() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("doubt").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("CREATE TABLE `{database}`.t (id BIGINT PRIMARY KEY, name VARCHAR(20))"))
            .await?;
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!("{database}.t"));
        let text = format!(
            "{source}{}transform:\n  - source-table: {database}.t\n    filter: >-\n      id = 5\n      \
             OR name LIKE 'a%'\n",
            folder.parquet_yaml("200ms")
        );
        let file = folder.write("pipeline.yaml", &text)?;
        let file = file.to_str().ok_or_else(|| Failure::new("the path is no text"))?;
        for arguments in [
            vec!["validate", file, "--connect"],
            vec!["plan", file],
            vec!["transform", file, "--explain"],
        ] {
            let (_, said) = ends_well(&arguments).await?;
            for part in [
                "transform[0].filter: BIGINT is never equal to INT",
                "hint: = looks at the type too: CAST the INT AS BIGINT",
                "transform[0].filter: % has no meaning in LIKE without ESCAPE",
                "^^^^",
                "has 2 doubtful places",
            ] {
                assert!(said.contains(part), "{arguments:?}: \"{part}\" is missing in\n{said}");
            }
        }
        // Without a connection only what the text alone says.
        let (_, said) = ends_well(&["validate", file]).await?;
        assert!(said.contains("has 1 doubtful place"), "{said}");
    }
    Ok(())
}

/// Every field of a rule and every metadata column, as the `values` sink prints tables and rows.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_of_a_rule_counts() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("fields").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        sql.run_all(&[
            "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), day DATE)",
            "CREATE TABLE other (id INT PRIMARY KEY, name VARCHAR(20))",
            "CREATE TABLE plain (id INT PRIMARY KEY)",
            "INSERT INTO t VALUES (1, 'ann', '2024-05-17')",
            "INSERT INTO other VALUES (1, 'bob')",
            "INSERT INTO plain VALUES (1)",
        ])
        .await?;
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!(r"{database}.\.*"));
        let text = format!(
            "{source}  metadata.list: op_ts,table_name,database_name,row_kind\nsink:\n  type: values\n\
             transform:\n  - source-table: {database}.t\n    projection: |\n      id AS number, day,\n      \
             UPPER(name) AS name,\n      __schema_name__ || '.' || __table_name__ AS origin,\n      \
             __data_event_type__ AS kind,\n      IFNULL(__namespace_name__, 'none') AS space,\n      \
             op_ts > 0 AS is_change, table_name || '/' || database_name || '/' || row_kind AS listed\n    \
             primary-keys: number, day\n    partition-keys: day\n    table-options: a=1,2;b = x\n    \
             table-options.delimiter: ;\n    converter-after-transform: soft_delete\n    \
             description: all of it\n  - source-table: '{database}.(t|other)'\n    \
             projection: id, 'second' AS rule\n"
        );
        let file = folder.write("pipeline.yaml", &text)?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        sql.run_all(&["UPDATE t SET name = 'eve' WHERE id = 1", "DELETE FROM t WHERE id = 1"])
            .await?;
        let row = |name: &str, kind: &str, change: bool| {
            format!(
                "[1, 2024-05-17, {name}, {database}.t, {kind}, none, {change}, t/{database}/{kind}]"
            )
        };
        let expected = [
            format!("tableId={database}.t, "),
            "`number` INT NOT NULL".to_owned(),
            "`day` DATE NOT NULL".to_owned(),
            "primaryKeys=number;day, partitionKeys=day, options=({a=1,2, b=x})".to_owned(),
            format!("before=[], after={}, op=INSERT", row("ANN", "+I", false)),
            format!(
                "before={}, after={}, op=UPDATE",
                row("ANN", "-U", true),
                row("EVE", "+U", true)
            ),
            // The deletion is an insertion of its last image, and still says what it was.
            format!("before=[], after={}, op=INSERT", row("EVE", "-D", true)),
            format!("tableId={database}.other, before=[], after=[1, second], op=INSERT"),
            format!("tableId={database}.plain, before=[], after=[1], op=INSERT"),
        ];
        let missing = |printed: &[String]| {
            let printed = printed.join("\n");
            expected.iter().filter(|part| !printed.contains(*part)).cloned().collect::<Vec<_>>()
        };
        let waited = wait_until("the printed rows", DEADLINE, async || {
            Ok(missing(&daemon.stdout()).is_empty())
        })
        .await;
        let printed = daemon.stdout();
        assert!(waited.is_ok(), "{}: {:#?} in\n{printed:#?}", kind.name(), missing(&printed));
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Changes of a table behind a rule that names its columns: what the rule does not read is not seen, types of what it
/// reads are.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_without_a_star_swallows_columns() -> Outcome {
    let server = Server::shared(ServerKind::Mysql).await?;
    let database = server.new_database("swallow").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("USE `{database}`")).await?;
    sql.run_all(&[
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)",
        "INSERT INTO t VALUES (1, 1, 1)",
    ])
    .await?;
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!("{database}.t"));
    let text = format!(
        "{source}sink:\n  type: values\npipeline:\n  schema.change.behavior: EVOLVE\ntransform:\n  \
         - source-table: {database}.t\n    projection: id, a, a * 2 AS twice\n"
    );
    let file = folder.write("pipeline.yaml", &text)?;
    let mut daemon = Daemon::run(&file)?;
    daemon.wait_for_log("streaming", DEADLINE).await?;
    sql.run_all(&[
        "ALTER TABLE t ADD COLUMN c INT",
        "INSERT INTO t VALUES (2, 2, 2, 2)",
        "ALTER TABLE t DROP COLUMN b",
        "INSERT INTO t VALUES (3, 3, 3)",
        "ALTER TABLE t MODIFY a BIGINT",
        "INSERT INTO t VALUES (4, 3000000000, 4)",
    ])
    .await?;
    let waited = wait_until("the last row", DEADLINE, async || {
        Ok(daemon.stdout().iter().any(|line| line.contains("after=[4, 3000000000, 6000000000]")))
    })
    .await;
    let printed = daemon.stdout();
    assert!(waited.is_ok(), "{printed:#?}");
    for part in ["after=[2, 2, 4]", "after=[3, 3, 6]"] {
        assert!(printed.iter().any(|line| line.contains(part)), "{part}: {printed:#?}");
    }
    // Of the three changes only the type of what the rule reads is seen, and of what it computes of it.
    let tables: Vec<&str> = printed
        .iter()
        .map(String::as_str)
        .filter(|line| line.contains("Event{") && !line.starts_with("DataChangeEvent"))
        .collect();
    let [created, changes @ ..] = &tables[..] else { panic!("{printed:#?}") };
    assert!(created.contains("{`id` INT NOT NULL,`a` INT,`twice` INT}"), "{created}");
    let id = format!("tableId={database}.t");
    let expected = ["a", "twice"].map(|name| {
        format!(
            "AlterColumnTypeEvent{{{id}, typeMapping={{{name}=BIGINT}}, oldTypeMapping={{{name}=INT}}}}"
        )
    });
    assert_eq!(changes, expected);
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    Ok(())
}

/// A row that cannot be computed goes the way of the error policy, with its table, column, key and position.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_fails_follows_the_error_policy() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        for policy in ["quarantine", "stop"] {
            let database = server.new_database("fails").await?;
            let mut sql = server.connect().await?;
            sql.run(&format!("USE `{database}`")).await?;
            sql.run_all(&[
                "CREATE TABLE t (id INT PRIMARY KEY, amount INT)",
                "CREATE TABLE good (id INT PRIMARY KEY)",
                "INSERT INTO t VALUES (1, 5)",
            ])
            .await?;
            let folder = PipelineFolder::new()?;
            let source = server.source_yaml(&format!(r"{database}.\.*"));
            let text = format!(
                "{source}sink:\n  type: values\npipeline:\n  table.on-error: {policy}\ntransform:\n  \
                 - source-table: {database}.t\n    projection: id, 100 / amount AS share\n"
            );
            let file = folder.write("pipeline.yaml", &text)?;
            let mut daemon = Daemon::run(&file)?;
            daemon.wait_for_log("streaming", DEADLINE).await?;
            sql.run_all(&["INSERT INTO t VALUES (7, 0)", "INSERT INTO good VALUES (1)"]).await?;
            let said = if policy == "stop" {
                daemon.wait(DEADLINE).await?.expect_code(1)?.stderr
            } else {
                let stopped = format!("table quarantined, the others go on table={database}.t");
                let line = daemon.wait_for_log(&stopped, DEADLINE).await?;
                wait_until("the row of the other table", DEADLINE, async || {
                    let good = format!("tableId={database}.good, before=[], after=[1]");
                    Ok(daemon.stdout().iter().any(|line| line.contains(&good)))
                })
                .await?;
                daemon.stop(DEADLINE).await?.expect_code(0)?;
                line
            };
            let parts =
                ["column \"share\"", "division of 100 by zero", "id=7", ", at ", "TRY_CAST"];
            for part in parts {
                assert!(said.contains(part), "{policy}: \"{part}\" is missing in\n{said}");
            }
        }
    }
    Ok(())
}
