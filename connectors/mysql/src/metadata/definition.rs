//! What `ddl` needs of tables besides their description: collations and all indexes.

use std::collections::{BTreeMap, HashMap};

use super::{
    discover::{TABLES_PER_STATEMENT, literal},
    server::flavor_of,
    table::TableMeta,
};
use crate::{
    ddl::{Definition, Index, IndexPart},
    types::Flavor,
    wire::{Connection, WireError},
};

/// Completes descriptions to definitions that can be tracked, in the same order.
///
/// # Errors
/// The connection's.
pub async fn definitions(
    connection: &mut Connection,
    tables: Vec<TableMeta>,
) -> Result<Vec<Definition>, WireError> {
    let flavor = flavor_of(connection.server_version());
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in &tables {
        let database = table.id.schema.as_deref().unwrap_or_default();
        names.entry(database.to_owned()).or_default().push(table.id.table.to_string());
    }
    let mut collations: HashMap<(String, String), String> = HashMap::new();
    let mut indexes: HashMap<(String, String), Vec<Index>> = HashMap::new();
    for (database, names) in names {
        for names in names.chunks(TABLES_PER_STATEMENT) {
            let list: Vec<String> = names.iter().map(|name| literal(name)).collect();
            let list = list.join(", ");
            let of = format!("TABLE_SCHEMA = {} AND TABLE_NAME IN ({list})", literal(&database));
            let rows = connection
                .query(&format!(
                    "SELECT TABLE_NAME, TABLE_COLLATION FROM information_schema.TABLES WHERE {of}"
                ))
                .await?;
            for row in rows.iter() {
                if let (Some(table), Some(collation)) = (row.text_at(0), row.text_at(1)) {
                    collations.insert((database.clone(), table), collation);
                }
            }
            let rows = connection
                .query(&format!(
                    "SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE \
                     FROM information_schema.STATISTICS WHERE {of} \
                     ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
                ))
                .await?;
            for row in rows.iter() {
                let (Some(table), Some(name)) = (row.text_at(0), row.text_at(1)) else { continue };
                let indexes = indexes.entry((database.clone(), table)).or_default();
                if indexes.last().is_none_or(|index| index.name != name) {
                    indexes.push(Index {
                        name,
                        unique: row.at(2) == Some(b"0"),
                        parts: Vec::new(),
                        hash: flavor == Flavor::MariaDb && row.at(5) == Some(b"HASH"),
                    });
                }
                if let Some(index) = indexes.last_mut() {
                    let prefix = row.number("SUB_PART");
                    index.parts.push(IndexPart { column: row.text_at(3), prefix });
                }
            }
        }
    }
    let define = |table: TableMeta| {
        let database = table.id.schema.as_deref().unwrap_or_default().to_owned();
        let key = (database, table.id.table.to_string());
        Definition::new(table, collations.remove(&key), indexes.remove(&key).unwrap_or_default())
    };
    Ok(tables.into_iter().map(define).collect())
}

/// Each database's default collation.
///
/// # Errors
/// The connection's.
pub async fn database_collations(
    connection: &mut Connection,
) -> Result<Vec<(String, String)>, WireError> {
    let rows = connection
        .query("SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA")
        .await?;
    Ok(rows.iter().filter_map(|row| Some((row.text_at(0)?, row.text_at(1)?))).collect())
}
