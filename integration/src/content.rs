//! What a table holds, as text, and how two such contents differ.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::render::sql_text;
use crate::{Failure, LakeTable, Outcome, Server, wait_until};

/// A row in the order of [`TableContent::columns`]; NULL is None.
pub(crate) type Cells = Vec<Option<String>>;

/// The current rows of a table by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableContent {
    /// The columns in the order of the table.
    pub columns: Vec<String>,
    /// The columns that tell rows apart.
    pub key: Vec<String>,
    /// Rows by the values of the key.
    pub rows: BTreeMap<Vec<Option<String>>, Vec<Option<String>>>,
}

impl TableContent {
    /// The same rows with these columns only, in this order; one that is not there holds NULLs. For a lake that keeps the
    /// columns of earlier schemas.
    pub fn with_columns(&self, columns: &[String]) -> TableContent {
        let places: Vec<Option<usize>> = columns
            .iter()
            .map(|name| self.columns.iter().position(|column| column == name))
            .collect();
        let pick = |row: &Cells| -> Cells {
            places.iter().map(|place| place.and_then(|at| row.get(at).cloned().flatten())).collect()
        };
        let rows = self.rows.iter().map(|(key, row)| (key.clone(), pick(row))).collect();
        TableContent { columns: columns.to_vec(), key: self.key.clone(), rows }
    }
}

const DIFFERENCES_SHOWN_MAX: usize = 10;

/// Fails with the first differences unless both hold the same columns and rows.
pub fn assert_same(what: &str, expected: &TableContent, actual: &TableContent) -> Outcome {
    if expected.columns != actual.columns {
        return Err(Failure::new(format!(
            "{what}: columns differ\n  expected: {:?}\n  actual:   {:?}",
            expected.columns, actual.columns
        )));
    }
    let mut differences = Vec::new();
    for (key, row) in &expected.rows {
        match actual.rows.get(key) {
            None => differences.push(format!("lost    {}", row_text(&expected.columns, row))),
            Some(other) if other != row => differences.push(format!(
                "differs {}\n    but is {}",
                row_text(&expected.columns, row),
                row_text(&expected.columns, other)
            )),
            Some(_) => {}
        }
    }
    for (key, row) in &actual.rows {
        if !expected.rows.contains_key(key) {
            differences.push(format!("extra   {}", row_text(&expected.columns, row)));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let mut text = format!(
        "{what}: {} differences between {} expected and {} actual rows",
        differences.len(),
        expected.rows.len(),
        actual.rows.len()
    );
    for difference in differences.iter().take(DIFFERENCES_SHOWN_MAX) {
        write!(text, "\n  {difference}")?;
    }
    Err(Failure::new(text))
}

pub(crate) fn row_text(columns: &[String], row: &[Option<String>]) -> String {
    let cells = columns.iter().zip(row).map(|(column, cell)| match cell {
        Some(text) => format!("{column}={text}"),
        None => format!("{column} is null"),
    });
    cells.collect::<Vec<_>>().join(" ")
}

/// Reads a table from the server with the independent client, keyed by its primary key.
pub async fn table_content(server: &Server, database: &str, table: &str) -> Outcome<TableContent> {
    let mut sql = server.connect().await?;
    sql.run("SET time_zone = '+00:00'").await?;
    let place = format!("TABLE_SCHEMA = '{database}' AND TABLE_NAME = '{table}'");
    let described = sql
        .rows(&format!(
            "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE FROM information_schema.COLUMNS WHERE {place} ORDER BY ORDINAL_POSITION"
        ))
        .await?;
    let described: Vec<Vec<String>> =
        described.into_iter().map(|row| row.into_iter().flatten().collect()).collect();
    let columns: Vec<String> = described.iter().filter_map(|row| row.first().cloned()).collect();
    let key = sql
        .rows(&format!(
            "SELECT COLUMN_NAME FROM information_schema.STATISTICS WHERE {place} AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"
        ))
        .await?;
    let key: Vec<String> = key.into_iter().flatten().flatten().collect();
    if columns.is_empty() || key.is_empty() {
        return Err(Failure::new(format!(
            "{database}.{table} does not exist or has no primary key"
        )));
    }

    let names = columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let values = sql.exact_rows(&format!("SELECT {names} FROM `{database}`.`{table}`")).await?;
    let mut rows = BTreeMap::new();
    for row in values {
        let mut cells = Cells::with_capacity(row.len());
        for (value, column) in row.into_iter().zip(&described) {
            let [name, data_type, column_type] = column.as_slice() else {
                return Err(Failure::new(format!(
                    "{database}.{table}: incomplete column {column:?}"
                )));
            };
            let cell = sql_text(value, data_type, column_type)
                .map_err(|error| Failure::new(format!("{database}.{table}.{name}: {error}")))?;
            cells.push(cell);
        }
        rows.insert(pick(&columns, &key, &cells)?, cells);
    }
    Ok(TableContent { columns, key, rows })
}

/// The cells of the key columns.
pub(crate) fn pick(
    columns: &[String],
    key: &[String],
    cells: &[Option<String>],
) -> Outcome<Vec<Option<String>>> {
    let one = |name: &String| {
        let place = columns.iter().position(|column| column == name);
        let cell = place.and_then(|place| cells.get(place));
        cell.cloned().ok_or_else(|| Failure::new(format!("no column {name} among {columns:?}")))
    };
    key.iter().map(one).collect()
}

/// Waits until every table of the lake, replayed, equals the database's, and checks each history. The writers must be
/// at rest. After the deadline the failure shows how the first unequal table differs.
pub async fn wait_until_same(
    server: &Server,
    lake: &Path,
    database: &str,
    tables: &[&str],
    deadline: Duration,
) -> Outcome {
    for table in tables {
        let expected = table_content(server, database, table).await?;
        let folder = lake.join(database).join(table);
        let read = async || LakeTable::read(&folder)?.current(&expected.key);
        wait_until_content(&format!("{database}.{table}"), &expected, deadline, read).await?;
    }
    Ok(())
}

/// Waits until what is read equals what is expected. An error of the reading ends the waiting at once; after the deadline
/// the failure shows how the two differed last.
pub async fn wait_until_content(
    what: &str,
    expected: &TableContent,
    deadline: Duration,
    mut read: impl AsyncFnMut() -> Outcome<TableContent>,
) -> Outcome {
    let mut difference = Failure::new("nothing was read");
    let waited =
        wait_until(what, deadline, async || match assert_same(what, expected, &read().await?) {
            Ok(()) => Ok(true),
            Err(found) => {
                difference = found;
                Ok(false)
            }
        })
        .await;
    waited.map_err(|waited| Failure::new(format!("{waited}\n{difference}")))
}
