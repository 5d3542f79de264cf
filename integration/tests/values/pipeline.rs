//! End to end: the matrix through `cdc-cli run` into Parquet. Each table's rows are copied by the snapshot, then inserted
//! once more; what the log brought of a row is what the snapshot brought of it, column by column, and what SELECT says.

use std::collections::BTreeMap;
use std::time::Duration;

use cdc_integration::{
    Daemon, Failure, LakeTable, Outcome, PipelineFolder, Server, ServerKind, arrow_text, wait_until,
};
use cdc_mysql::types::TypeOptions;

use crate::{
    differential::{Settings, tables, write},
    is_wide,
    reading::Reader,
    seed, server,
    table::{Table, quoted},
};

const DEADLINE: Duration = Duration::from_secs(120);
/// Ids of the rows that are inserted again.
const AGAIN: i64 = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_rows_and_changes_are_the_same_in_parquet() -> Outcome {
    for kind in ServerKind::ALL {
        let settings = match (kind, is_wide()) {
            (_, true) => Settings::all(kind),
            (ServerKind::Mysql, false) => vec![Settings::new("MINIMAL", true, true)],
            (ServerKind::Mariadb, false) => vec![Settings::new("NO_LOG", true, false)],
        };
        for settings in settings {
            let seed = seed()?;
            let server = server(kind).await?;
            let mut tables = tables(kind, is_wide(), seed);
            tables.retain(|table| table.options == TypeOptions::default());
            copied(&server, settings, &tables).await.map_err(|error| {
                Failure::new(format!("CDC_TEST_SEED={seed} {settings:?}: {error}"))
            })?;
        }
    }
    Ok(())
}

async fn copied(server: &Server, settings: Settings, tables: &[Table]) -> Outcome {
    let written = write(server, settings, tables).await?;
    let database = &written.database;
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!(r"{database}.\.*"));
    let file =
        folder.write("pipeline.yaml", &format!("{source}{}", folder.parquet_yaml("500ms")))?;
    let mut daemon = Daemon::run(&file)?;
    daemon.wait_for_log("streaming", DEADLINE).await?;

    let mut sql = server.connect().await?;
    settings.apply(&mut sql, server.kind()).await?;
    sql.run("SET SESSION sql_mode = '', time_zone = '+00:00'").await?;
    for table in tables {
        let names: Vec<String> = table.written().map(|column| quoted(&column.name)).collect();
        let (name, names) = (format!("`{database}`.`{}`", table.name), names.join(", "));
        sql.run(&format!(
            "INSERT INTO {name} (id, changed, {names}) SELECT id + {AGAIN}, changed, {names} FROM {name} ORDER BY id"
        ))
        .await?;
    }
    let mut reader = Reader::connect(server).await?;
    for table in tables {
        let lake = folder.lake().join(database).join(&table.name);
        let waited = wait_until(&format!("all rows of {}", table.name), DEADLINE, async || {
            Ok(LakeTable::read(&lake)?.rows.len() == 2 * table.len())
        })
        .await;
        if let Err(error) = waited {
            return Err(Failure::new(format!("{error}\n{}", daemon.log().join("\n"))));
        }
        let bound = reader.bind(database, &table.name, &table.options).await?;
        let selected = reader.select(&bound).await?;
        compare(table, &LakeTable::read(&lake)?, &selected)?;
    }
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    sql.run(&format!("DROP DATABASE `{database}`")).await
}

fn compare(table: &Table, lake: &LakeTable, selected: &arrow_array::RecordBatch) -> Outcome {
    let id_at = lake
        .columns
        .iter()
        .position(|name| name == "id")
        .ok_or_else(|| Failure::new("the lake has no ids"))?;
    let mut rows: [BTreeMap<i64, &[Option<String>]>; 2] = Default::default();
    for row in &lake.rows {
        let id: i64 = row.cells[id_at].as_deref().unwrap_or_default().parse()?;
        let (phase, expected) = if id < AGAIN { (0, 'r') } else { (1, 'c') };
        if row.op != expected {
            return Err(Failure::new(format!("{} row {id} came as {}", table.name, row.op)));
        }
        rows[phase].insert(id % AGAIN, &row.cells);
    }
    let [copied, streamed] = &rows;
    if copied.len() != table.len() || !copied.keys().eq(streamed.keys()) {
        return Err(Failure::new(format!("{}: rows of the two phases differ", table.name)));
    }
    for (at, name) in lake.columns.iter().enumerate().filter(|(at, _)| *at != id_at) {
        let column = table.columns.iter().find(|column| column.name == *name);
        let array = selected
            .column_by_name(name)
            .ok_or_else(|| Failure::new(format!("the lake has a column {name}")))?;
        // Generated values follow from the id, and a SET with the members '' and 'é' becomes one with 'é' alone when the
        // server copies it through its text.
        let same_again = column
            .is_none_or(|column| !column.is_generated && !column.definition.starts_with("set("));
        for (row, id) in copied.keys().enumerate() {
            let (first, again) = (&copied[id][at], &streamed[id][at]);
            let now = [arrow_text(array, row)?, arrow_text(array, table.len() + row)?];
            if same_again && first != again || [first, again] != [&now[0], &now[1]] {
                let definition = column.map_or("", |column| &column.definition);
                return Err(Failure::new(format!(
                    "{}.{name} ({definition}) row {id}: the snapshot has {first:?}, the change {again:?}, SELECT {now:?}",
                    table.name
                )));
            }
        }
    }
    Ok(())
}
