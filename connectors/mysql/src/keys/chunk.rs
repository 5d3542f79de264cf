//! The SELECT that reads a part of a table in key order (correctness §2, §3).

use super::{KeyCodec, KeyLiteral};
use crate::types::{Flavor, quote_identifier};

/// Whether the rows are read with a shared lock, for servers that cannot prove what is visible (correctness §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowLock {
    /// None.
    #[default]
    None,
    /// A shared lock; a row that somebody else holds is an error at once.
    Refuse,
    /// A shared lock, waited for.
    Wait,
}

impl RowLock {
    fn clause(self, flavor: Flavor) -> &'static str {
        match (self, flavor) {
            (RowLock::None, _) => "",
            (RowLock::Refuse, Flavor::MySql) => " FOR SHARE NOWAIT",
            (RowLock::Refuse, Flavor::MariaDb) => " LOCK IN SHARE MODE NOWAIT",
            (RowLock::Wait, Flavor::MySql) => " FOR SHARE",
            (RowLock::Wait, Flavor::MariaDb) => " LOCK IN SHARE MODE",
        }
    }
}

/// One chunk: the rows with `low < key <= high`, in key order.
#[derive(Debug, Clone, Copy)]
pub struct ChunkQuery<'a> {
    /// The key.
    pub codec: &'a KeyCodec,
    /// What is selected of each row.
    pub expressions: &'a [String],
    /// The exclusive lower end; none is unbounded.
    pub low: Option<&'a KeyLiteral>,
    /// The inclusive upper end; none is unbounded.
    pub high: Option<&'a KeyLiteral>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Whether rows are locked.
    pub lock: RowLock,
}

impl ChunkQuery<'_> {
    /// The statement.
    pub fn sql(&self) -> String {
        let codec = self.codec;
        let mut conditions = Vec::new();
        if let Some(low) = self.low {
            conditions.push(beyond(codec, low, ">", ">"));
        }
        if let Some(high) = self.high {
            conditions.push(beyond(codec, high, "<", "<="));
        }
        let mut sql = format!("SELECT {} FROM {}", self.expressions.join(", "), source(codec));
        if !conditions.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&conditions.join(" AND "));
        }
        sql.push_str(&order_by(codec, ""));
        if let Some(limit) = self.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        sql.push_str(self.lock.clause(codec.flavor()));
        sql
    }
}

/// The table, and its primary key as index: else a short chunk of a table with a covering secondary index may be read by
/// that one and sorted. The other keys have no name here, and the optimiser finds them.
pub(super) fn source(codec: &KeyCodec) -> String {
    let name: Vec<String> = codec.table().parts().map(quote_identifier).collect();
    let hint = if codec.is_primary() { " FORCE INDEX (PRIMARY)" } else { "" };
    format!("{}{hint}", name.join("."))
}

/// Qualified by the table, so that no select expression's name is meant.
pub(super) fn order_by(codec: &KeyCodec, direction: &str) -> String {
    let table = quote_identifier(&codec.table().table);
    let columns: Vec<String> = codec
        .components()
        .iter()
        .map(|component| format!("{table}.{}{direction}", component.quoted))
        .collect();
    format!(" ORDER BY {}", columns.join(", "))
}

/// `a > x OR (a = x AND b > y)`: row constructors are not optimised to ranges. `last` compares the last column, so that
/// a bound may be inclusive.
fn beyond(codec: &KeyCodec, bound: &KeyLiteral, strict: &str, last: &str) -> String {
    let pairs: Vec<(&str, &str)> = codec
        .components()
        .iter()
        .zip(bound.values())
        .map(|(component, value)| (component.quoted.as_str(), value.as_str()))
        .collect();
    let alternatives: Vec<String> = pairs
        .iter()
        .enumerate()
        .map(|(i, (column, value))| {
            let operator = if i + 1 == pairs.len() { last } else { strict };
            let mut terms: Vec<String> =
                pairs.iter().take(i).map(|(column, value)| format!("{column} = {value}")).collect();
            terms.push(format!("{column} {operator} {value}"));
            terms.join(" AND ")
        })
        .collect();
    match alternatives.as_slice() {
        [only] => only.clone(),
        _ => format!("(({}))", alternatives.join(") OR (")),
    }
}
