//! Transforms on the way from a real server into the lake: projection, filter with rows that come and go by an update, and
//! a column that appears while it runs.

use std::time::Duration;

use cdc_integration::{Daemon, LakeTable, Outcome, PipelineFolder, Server, ServerKind, wait_until};

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
