//! Reads the tables that a filter selects: names first, then columns and keys of whole databases at a time.

use std::collections::{BTreeMap, HashMap};

use cdc_api::{QuarantinedTable, TableId};

use super::{
    members,
    server::flavor_of,
    table::{ColumnMeta, TableMeta},
};
use crate::{
    config::TableFilter,
    types::Flavor,
    wire::{Connection, Row, Rows, WireError},
};

/// Databases that are the server's own.
const SYSTEM_DATABASES: &str = "'mysql', 'information_schema', 'performance_schema', 'sys'";
/// How many tables one statement asks for.
pub(super) const TABLES_PER_STATEMENT: usize = 500;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// Tables that can be described, in the order of their names.
    pub tables: Vec<TableMeta>,
    /// Tables that are selected and cannot be captured, by their kind.
    pub refused: Vec<QuarantinedTable>,
}

/// Reads all selected base tables; views and the server's own databases are left out.
///
/// # Errors
/// The connection's; `Config` when a pattern with look-around ran out of steps.
pub async fn discover(
    connection: &mut Connection,
    filter: &TableFilter,
) -> cdc_api::Result<Discovery> {
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES \
         WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
         AND TABLE_SCHEMA NOT IN ({SYSTEM_DATABASES})"
    );
    let names = connection.query(&sql).await?;
    let mut selected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut found = Discovery::default();
    for row in names.iter() {
        let (Some(database), Some(name)) = (row.text_at(0), row.text_at(1)) else { continue };
        let id = TableId::new(database.as_str(), name.as_str());
        if !filter.is_match(&id)? {
            continue;
        }
        if row.at(2) == Some(b"SYSTEM VERSIONED") {
            found.refused.push(versioned(id));
        } else {
            selected.entry(database).or_default().push(name);
        }
    }
    for (database, mut names) in selected {
        names.sort_unstable();
        for names in names.chunks(TABLES_PER_STATEMENT) {
            for mut table in describe(connection, &database, names).await? {
                match members::complete(connection, &mut table).await? {
                    None => found.tables.push(table),
                    Some(refused) => found.refused.push(refused),
                }
            }
        }
    }
    found.tables.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

/// Reads one table; none when there is no such base table, or it is one that [`discover`] refuses.
///
/// # Errors
/// The connection's.
pub async fn table(
    connection: &mut Connection,
    id: &TableId,
) -> Result<Option<TableMeta>, WireError> {
    let Some(database) = id.schema.as_deref() else { return Ok(None) };
    let Some(mut table) = describe(connection, database, &[id.table.to_string()]).await?.pop()
    else {
        return Ok(None);
    };
    let refused = members::complete(connection, &mut table).await?;
    Ok(refused.is_none().then_some(table))
}

fn versioned(table: TableId) -> QuarantinedTable {
    QuarantinedTable {
        reason: format!("table \"{table}\" is system-versioned, which is not supported yet"),
        remedy: format!(
            "ALTER TABLE {} DROP SYSTEM VERSIONING, or list it in tables.exclude",
            quoted(&table)
        ),
        table,
    }
}

/// A table's name in backticks.
pub(crate) fn quoted(table: &TableId) -> String {
    let part = |name: &str| format!("`{}`", name.replace('`', "``"));
    match &table.schema {
        Some(database) => format!("{}.{}", part(database), part(&table.table)),
        None => part(&table.table),
    }
}

/// A string literal. Right under every sql_mode, since names with a backslash are written in hexadecimal.
pub(super) fn literal(text: &str) -> String {
    if text.contains('\\') {
        let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
        format!("CONVERT(0x{digits} USING utf8mb4)")
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Describes these tables of one database; the order is the names'.
async fn describe(
    connection: &mut Connection,
    database: &str,
    names: &[String],
) -> Result<Vec<TableMeta>, WireError> {
    let list: Vec<String> = names.iter().map(|name| literal(name)).collect();
    let of =
        format!("TABLE_SCHEMA = {} AND TABLE_NAME IN ({})", literal(database), list.join(", "));
    let tables = connection
        .query(&format!(
            "SELECT TABLE_NAME, ENGINE, TABLE_ROWS, TABLE_COMMENT FROM information_schema.TABLES \
             WHERE {of} AND TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_NAME"
        ))
        .await?;
    let columns = connection
        .query(&format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH, \
             NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, CHARACTER_SET_NAME, \
             COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, GENERATION_EXPRESSION, \
             COLUMN_COMMENT FROM information_schema.COLUMNS WHERE {of} \
             ORDER BY TABLE_NAME, ORDINAL_POSITION"
        ))
        .await?;
    let keys = connection
        .query(&format!(
            "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART, INDEX_TYPE \
             FROM information_schema.STATISTICS WHERE {of} AND NON_UNIQUE = 0 \
             ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"
        ))
        .await?;
    let flavor = flavor_of(connection.server_version());
    Ok(assemble(database, flavor, &tables, &columns, &keys))
}

/// Puts the three answers together. A table that vanished between them is left out.
fn assemble(
    database: &str,
    flavor: Flavor,
    tables: &Rows,
    columns: &Rows,
    keys: &Rows,
) -> Vec<TableMeta> {
    let mut columns_of: HashMap<String, Vec<ColumnMeta>> = HashMap::new();
    for row in columns.iter() {
        if let Some((table, column)) = column(row) {
            columns_of.entry(table).or_default().push(column);
        }
    }
    let mut keys_of: HashMap<String, Vec<Key>> = HashMap::new();
    for row in keys.iter() {
        let (Some(table), Some(name)) = (row.text("TABLE_NAME"), row.text("INDEX_NAME")) else {
            continue;
        };
        let keys = keys_of.entry(table).or_default();
        if keys.last().is_none_or(|key| key.name != name) {
            keys.push(Key { name, columns: Vec::new(), usable: true });
        }
        if let Some(key) = keys.last_mut() {
            key.add(row, flavor);
        }
    }
    let describe = |row: Row<'_>| {
        let name = row.text("TABLE_NAME")?;
        let columns = columns_of.remove(&name)?;
        let (primary_key, unique_keys) =
            Key::positions(keys_of.remove(&name).unwrap_or_default(), &columns);
        Some(TableMeta {
            id: TableId::new(database, name),
            columns,
            primary_key,
            unique_keys,
            engine: row.text("ENGINE").unwrap_or_default(),
            rows_estimated: row.number("TABLE_ROWS"),
            comment: row.text("TABLE_COMMENT").unwrap_or_default(),
        })
    };
    tables.iter().filter_map(describe).collect()
}

fn column(row: Row<'_>) -> Option<(String, ColumnMeta)> {
    let text = |name| row.text(name).unwrap_or_default();
    let column = ColumnMeta {
        name: row.text("COLUMN_NAME")?,
        data_type: text("DATA_TYPE").to_ascii_lowercase(),
        column_type: text("COLUMN_TYPE"),
        length: row.number("CHARACTER_MAXIMUM_LENGTH"),
        precision: row.number("NUMERIC_PRECISION"),
        scale: row.number("NUMERIC_SCALE"),
        fraction: row.number("DATETIME_PRECISION"),
        charset: row.text("CHARACTER_SET_NAME"),
        collation: row.text("COLLATION_NAME"),
        nullable: row.get("IS_NULLABLE") == Some(b"YES"),
        default: row.text("COLUMN_DEFAULT"),
        extra: text("EXTRA"),
        generated: text("GENERATION_EXPRESSION"),
        comment: text("COLUMN_COMMENT"),
    };
    Some((row.text("TABLE_NAME")?, column))
}

/// A unique key as it is read.
struct Key {
    name: String,
    columns: Vec<String>,
    /// No prefix, no functional part, ordered.
    usable: bool,
}

impl Key {
    fn add(&mut self, row: Row<'_>, flavor: Flavor) {
        // MariaDB's unique keys on long columns are hashes, by which no range can be read.
        let hash = flavor == Flavor::MariaDb && row.get("INDEX_TYPE") == Some(b"HASH");
        match row.text("COLUMN_NAME") {
            Some(column) if row.get("SUB_PART").is_none() && !hash => self.columns.push(column),
            // A functional part has no column.
            _ => self.usable = false,
        }
    }

    /// Primary key and usable unique keys as column positions. Positions of the primary key do not depend on prefixes:
    /// with one it is no key at all to us.
    fn positions(keys: Vec<Key>, columns: &[ColumnMeta]) -> (Vec<usize>, Vec<Vec<usize>>) {
        let (mut primary, mut unique) = (Vec::new(), Vec::new());
        for key in keys.into_iter().filter(|key| key.usable) {
            let positions: Option<Vec<usize>> = key
                .columns
                .iter()
                .map(|name| columns.iter().position(|column| column.name == *name))
                .collect();
            let Some(positions) = positions else { continue };
            if key.name == "PRIMARY" {
                primary = positions;
            } else if positions.iter().filter_map(|&at| columns.get(at)).all(serves_as_key) {
                unique.push(positions);
            }
        }
        (primary, unique)
    }
}

/// Whether a column may be part of a unique key that stands in for a primary key.
fn serves_as_key(column: &ColumnMeta) -> bool {
    !column.nullable && !column.extra.to_ascii_uppercase().contains("VIRTUAL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[(&str, &str, &str)]) -> Rows {
        let header = ["TABLE_NAME", "COLUMN_NAME", "DATA_TYPE", "IS_NULLABLE", "EXTRA"];
        let rows = names.iter().map(|&(name, nullable, extra)| {
            vec![Some("t"), Some(name), Some("INT"), Some(nullable), Some(extra)]
        });
        Rows::from_values(&header, rows)
    }

    fn keys(parts: &[(&str, Option<&str>, Option<&str>, &str)]) -> Rows {
        let header = ["TABLE_NAME", "INDEX_NAME", "COLUMN_NAME", "SUB_PART", "INDEX_TYPE"];
        let rows = parts.iter().map(|&(index, column, prefix, kind)| {
            vec![Some("t"), Some(index), column, prefix, Some(kind)]
        });
        Rows::from_values(&header, rows)
    }

    fn check(keys: &Rows, flavor: Flavor) -> (Vec<usize>, Vec<Vec<usize>>) {
        let header = ["TABLE_NAME", "ENGINE", "TABLE_ROWS", "TABLE_COMMENT"];
        let tables = Rows::from_values(&header, [vec![Some("t"), Some("InnoDB"), Some("12")]]);
        let columns = columns(&[
            ("a", "NO", ""),
            ("b", "NO", "auto_increment"),
            ("c", "YES", ""),
            ("v", "NO", "VIRTUAL GENERATED"),
        ]);
        let mut found = assemble("shop", flavor, &tables, &columns, keys);
        let table = found.pop().unwrap();
        assert_eq!((table.id.to_string().as_str(), table.rows_estimated), ("shop.t", Some(12)));
        assert_eq!((table.columns[0].data_type.as_str(), table.columns[2].nullable), ("int", true));
        (table.primary_key, table.unique_keys)
    }

    #[test]
    fn keys_are_positions_in_key_order() {
        let found =
            keys(&[("PRIMARY", Some("b"), None, "BTREE"), ("PRIMARY", Some("a"), None, "BTREE")]);
        assert_eq!(check(&found, Flavor::MySql), (vec![1, 0], vec![]));
    }

    #[test]
    fn keys_with_prefix_function_null_virtual_or_hash_do_not_serve() {
        let found = keys(&[
            ("fun", Some("a"), None, "BTREE"),
            ("fun", None, None, "BTREE"),
            ("good", Some("a"), None, "BTREE"),
            ("hash", Some("b"), None, "HASH"),
            ("null", Some("c"), None, "BTREE"),
            ("prefix", Some("b"), Some("3"), "BTREE"),
            ("virtual", Some("v"), None, "BTREE"),
        ]);
        assert_eq!(check(&found, Flavor::MariaDb), (vec![], vec![vec![0]]));
        let prefix = keys(&[("PRIMARY", Some("a"), Some("10"), "BTREE")]);
        assert_eq!(check(&prefix, Flavor::MySql), (vec![], vec![]));
    }

    #[test]
    fn names_are_quoted_whatever_they_hold() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "CONVERT(0x615C62 USING utf8mb4)");
        assert_eq!(quoted(&TableId::new("a`b", "c")), "`a``b`.`c`");
    }
}
