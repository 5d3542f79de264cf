//! Whole databases: tables that come, go and come again while the pipeline runs or stands, and what it prints of them.

use cdc_integration::{
    Daemon, Outcome, PipelineFolder, Server, ServerKind, table_content, wait_until,
};

use crate::{
    EVOLVE,
    pipeline::{DEADLINE, Pipeline},
};

/// A table that the pipeline file names only from the next start on is copied while the others stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_a_changed_file_is_added_at_the_next_start() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut pipeline = Pipeline::new(server, "added", "", EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        sql.run("CREATE TABLE a (id INT PRIMARY KEY)").await?;
        sql.run("CREATE TABLE b (id INT PRIMARY KEY, v INT)").await?;
        sql.run("INSERT INTO a VALUES (1), (2)").await?;
        sql.run("INSERT INTO b VALUES (1, 1), (2, 2)").await?;
        let whole = std::fs::read_to_string(&pipeline.file)?;
        let exclude = format!("  tables.exclude: {}.b\nsink:", pipeline.database);
        pipeline.folder.write("pipeline.yaml", &whole.replace("sink:", &exclude))?;
        let daemon = Daemon::run(&pipeline.file)?;
        pipeline.settle(server).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
        assert!(pipeline.table("b")?.rows.is_empty());
        sql.run("INSERT INTO b VALUES (3, 3)").await?;
        pipeline.folder.write("pipeline.yaml", &whole)?;
        let daemon = Daemon::run(&pipeline.file)?;
        let b = async || {
            let expected = table_content(server, &pipeline.database, "b").await?;
            let actual = pipeline.table("b")?.current(&expected.key)?;
            Ok(expected.rows == actual.rows)
        };
        wait_until("the added table", DEADLINE, b).await?;
        sql.run("UPDATE b SET v = v + 1").await?;
        sql.run("INSERT INTO a VALUES (3)").await?;
        pipeline.settle(server).await?;
        pipeline.check(server, "a").await?;
        pipeline.check(server, "b").await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// `tables: db.\.*`: what comes is picked up with its rows, also what came, went and came again while nobody looked.
#[tokio::test(flavor = "multi_thread")]
async fn tables_come_and_go_while_it_runs_and_while_it_stands() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut pipeline = Pipeline::new(server, "comes", "", EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        sql.run_all(&["CREATE TABLE a (id INT PRIMARY KEY, v INT)", "INSERT INTO a VALUES (1, 1)"])
            .await?;
        let mut daemon = Daemon::run(&pipeline.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        for round in 0..3 {
            // While it runs: in one go, so that rows follow on the creation's heels.
            sql.run_all(&[
                "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
                "INSERT INTO b VALUES (1, 1), (2, 2)",
                "UPDATE b SET v = 9 WHERE id = 2",
            ])
            .await?;
            pipeline.settle(server).await?;
            pipeline.check(server, "b").await?;
            sql.run_all(&[
                "DROP TABLE b",
                "CREATE TABLE b (other VARCHAR(9) PRIMARY KEY, w DATE)",
                "INSERT INTO b VALUES ('x', '2020-02-29')",
            ])
            .await?;
            pipeline.settle(server).await?;
            pipeline.check(server, "b").await?;
            // While it stands; killed at times.
            if round == 1 {
                daemon.kill()?;
            } else {
                daemon.stop(DEADLINE).await?.expect_code(0)?;
            }
            sql.run_all(&[
                "DROP TABLE b",
                "CREATE TABLE c (id INT PRIMARY KEY, v INT)",
                "INSERT INTO c VALUES (1, 1), (2, 2)",
                "DELETE FROM c WHERE id = 1",
                "DROP TABLE a",
                "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
                "INSERT INTO a VALUES (7, 7)",
                "CREATE TABLE gone (id INT PRIMARY KEY)",
                "INSERT INTO gone VALUES (1)",
                "DROP TABLE gone",
            ])
            .await?;
            daemon = Daemon::run(&pipeline.file)?;
            pipeline.settle(server).await?;
            pipeline.check(server, "a").await?;
            pipeline.check(server, "c").await?;
            sql.run_all(&["DROP TABLE c", "INSERT INTO a VALUES (8, 8)"]).await?;
            pipeline.settle(server).await?;
            pipeline.check(server, "a").await?;
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// What `values` prints of a table's life, against a real server: Flink CDC's events, each ahead of the first row that has
/// it, and nothing twice without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn values_prints_what_happens_to_tables() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("printed").await?;
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!(r"{database}.\.*"));
        let text = format!(
            "{source}sink:\n  type: values\n\
             pipeline:\n  checkpoint.interval: 200ms\n  schema.change.behavior: EVOLVE\n"
        );
        let file = folder.write("pipeline.yaml", &text)?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        sql.run_all(&[
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(5))",
            "INSERT INTO t VALUES (1, 1, 'x')",
        ])
        .await?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        sql.run_all(&[
            "ALTER TABLE t ADD COLUMN c DATE FIRST, ADD COLUMN d BIGINT",
            "INSERT INTO t VALUES (NULL, 2, 2, 'y', 5)",
            "ALTER TABLE t MODIFY a BIGINT",
            "INSERT INTO t (id, a) VALUES (3, 5000000000)",
            "ALTER TABLE t RENAME COLUMN b TO e",
            "ALTER TABLE t DROP COLUMN c",
            "INSERT INTO t VALUES (4, 4, 'z', NULL)",
            "TRUNCATE TABLE t",
            "INSERT INTO t VALUES (5, 5, NULL, NULL)",
            "DROP TABLE t",
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "INSERT INTO t VALUES (6)",
            "DROP TABLE t",
        ])
        .await?;
        let expected = [
            "CreateTableEvent{tableId=T, schema=columns={`id` INT NOT NULL,`a` INT,`b` VARCHAR(5)}, primaryKeys=id, options=()}",
            "DataChangeEvent{tableId=T, before=[], after=[1, 1, x], op=INSERT, meta=()}",
            "AddColumnEvent{tableId=T, addedColumns=[ColumnWithPosition{column=`c` DATE, position=FIRST, existedColumnName=null}]}",
            "AddColumnEvent{tableId=T, addedColumns=[ColumnWithPosition{column=`d` BIGINT, position=LAST, existedColumnName=null}]}",
            "DataChangeEvent{tableId=T, before=[], after=[null, 2, 2, y, 5], op=INSERT, meta=()}",
            "AlterColumnTypeEvent{tableId=T, typeMapping={a=BIGINT}, oldTypeMapping={a=INT}}",
            "DataChangeEvent{tableId=T, before=[], after=[null, 3, 5000000000, null, null], op=INSERT, meta=()}",
            "RenameColumnEvent{tableId=T, nameMapping={b=e}}",
            "DropColumnEvent{tableId=T, droppedColumnNames=[c]}",
            "DataChangeEvent{tableId=T, before=[], after=[4, 4, z, null], op=INSERT, meta=()}",
            "TruncateTableEvent{tableId=T}",
            "DataChangeEvent{tableId=T, before=[], after=[5, 5, null, null], op=INSERT, meta=()}",
            "DropTableEvent{tableId=T}",
            "CreateTableEvent{tableId=T, schema=columns={`id` INT NOT NULL}, primaryKeys=id, options=()}",
            "DataChangeEvent{tableId=T, before=[], after=[6], op=INSERT, meta=()}",
            "DropTableEvent{tableId=T}",
        ];
        let printed = |daemon: &Daemon| -> Vec<String> {
            let name = format!("tableId={database}.t");
            daemon.stdout().iter().map(|line| line.replace(&name, "tableId=T")).collect()
        };
        let mut lines = Vec::new();
        // Whatever was printed is shown when it is not what is expected.
        let waited = wait_until("all events", DEADLINE, async || {
            lines = printed(&daemon);
            Ok(lines.len() >= expected.len())
        })
        .await;
        assert_eq!(lines, expected, "{}", kind.name());
        waited?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}
