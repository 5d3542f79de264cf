//! A table's definition as it is tracked: what `information_schema` says of it, and what a later statement needs besides.

use serde::{Deserialize, Serialize};

use crate::{
    metadata::{ColumnMeta, TableMeta},
    types::{Flavor, Kind},
};

/// One part of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// The column; none for an expression.
    pub column: Option<String>,
    /// Only so many characters (bytes) of it.
    pub prefix: Option<u64>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name; `PRIMARY` for the primary key.
    pub name: String,
    /// Whether no two rows are alike in it.
    pub unique: bool,
    /// Its parts in order.
    pub parts: Vec<IndexPart>,
    /// MariaDB: unique by a hash, by which no range can be read.
    pub hash: bool,
}

/// One version of one table. Serialised into checkpoints, so fields are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// As `metadata::discover` reads it. `generated` and defaults that are expressions have the text of the statement,
    /// which the server prints in its own way.
    pub meta: TableMeta,
    /// Per column its id: stable over renames and moves as long as the rows are the same.
    pub ids: Vec<u32>,
    /// The next column's.
    pub next_id: u32,
    /// The table's collation, which columns without one of their own get; none when not known.
    pub collation: Option<String>,
    /// All indexes.
    pub indexes: Vec<Index>,
    /// WITH SYSTEM VERSIONING (MariaDB), which `discover` refuses.
    #[serde(default)]
    pub versioned: bool,
}

impl Definition {
    /// As read from the server; column ids are the positions.
    pub fn new(meta: TableMeta, collation: Option<String>, indexes: Vec<Index>) -> Self {
        let count = meta.columns.len() as u32;
        Definition {
            meta,
            ids: (0..count).collect(),
            next_id: count,
            collation,
            indexes,
            versioned: false,
        }
    }

    /// The column's position by its name, as the server compares them.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.meta.columns.iter().position(|column| same_name(&column.name, name))
    }

    /// Takes the ids of another definition's columns by name; the rest get ids of their own.
    pub(super) fn adopt_ids(&mut self, of: &Definition) {
        self.next_id = of.next_id;
        let ids = self.meta.columns.iter().map(|column| {
            let found = of.position(&column.name).and_then(|at| of.ids.get(at).copied());
            found.unwrap_or_else(|| {
                self.next_id += 1;
                self.next_id - 1
            })
        });
        self.ids = ids.collect();
    }

    /// Makes indexes and columns agree: key columns are NOT NULL, whole-column prefixes are none, keys are positions.
    pub(super) fn settle(&mut self, flavor: Flavor) {
        let Definition { meta, indexes, .. } = self;
        for index in indexes.iter_mut() {
            for part in &mut index.parts {
                let Some(column) = part.column.as_deref().and_then(|name| find(meta, name)) else {
                    continue;
                };
                // Spelled as the column is.
                part.column = Some(column.name.clone());
                if part.prefix.is_some_and(|prefix| covers(column, prefix)) {
                    part.prefix = None;
                }
            }
            index.hash = flavor == Flavor::MariaDb && index.unique && is_hash(index, meta);
            if index.name == PRIMARY {
                for part in &index.parts {
                    let Some(name) = part.column.as_deref() else { continue };
                    if let Some(column) =
                        meta.columns.iter_mut().find(|column| same_name(&column.name, name))
                    {
                        super::typing::set_not_null(column);
                    }
                }
            }
        }
        meta.primary_key.clear();
        meta.unique_keys.clear();
        let mut sorted: Vec<&Index> = indexes.iter().filter(|index| index.unique).collect();
        sorted.sort_by_key(|index| index.name.to_lowercase());
        for index in sorted {
            let usable = !index.hash && index.parts.iter().all(|part| part.prefix.is_none());
            let positions: Option<Vec<usize>> = index
                .parts
                .iter()
                .map(|part| {
                    let name = part.column.as_deref()?;
                    meta.columns.iter().position(|column| same_name(&column.name, name))
                })
                .collect();
            let Some(positions) = positions.filter(|_| usable) else { continue };
            if index.name == PRIMARY {
                meta.primary_key = positions;
            } else if positions
                .iter()
                .filter_map(|&at| meta.columns.get(at))
                .all(|column| !column.nullable && !is_virtual(column))
            {
                meta.unique_keys.push(positions);
            }
        }
    }
}

/// The name of every primary key.
pub(super) const PRIMARY: &str = "PRIMARY";

/// Names of columns and indexes are the same whatever their case.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

fn find<'a>(meta: &'a TableMeta, name: &str) -> Option<&'a ColumnMeta> {
    meta.columns.iter().find(|column| same_name(&column.name, name))
}

fn is_virtual(column: &ColumnMeta) -> bool {
    column.extra.to_ascii_uppercase().contains("VIRTUAL")
}

/// Whether a prefix is the whole column.
fn covers(column: &ColumnMeta, prefix: u64) -> bool {
    match Kind::of(column) {
        Ok(Kind::Char { length } | Kind::VarChar { length })
        | Ok(Kind::Binary { length } | Kind::VarBinary { length }) => prefix >= u64::from(length),
        Ok(Kind::Text { .. } | Kind::Blob { .. } | Kind::Geometry) => false,
        _ => true,
    }
}

/// MariaDB: a unique key too long for a tree, or on a BLOB without prefix.
fn is_hash(index: &Index, meta: &TableMeta) -> bool {
    const KEY_BYTES_MAX: u64 = 3072;
    let mut bytes = 0u64;
    for part in &index.parts {
        let Some(column) = part.column.as_deref().and_then(|name| find(meta, name)) else {
            continue;
        };
        let widest = column
            .charset
            .as_deref()
            .and_then(super::collation::widths)
            .map_or(1, |widths| widths.1);
        let long = matches!(Kind::of(column), Ok(Kind::Text { .. } | Kind::Blob { .. }));
        if long && part.prefix.is_none() {
            return true;
        }
        bytes += part.prefix.or(column.length).unwrap_or(8).saturating_mul(widest);
    }
    bytes > KEY_BYTES_MAX
}
