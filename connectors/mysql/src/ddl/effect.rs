//! What a statement does to tables that are kept, and what an alteration means to rows that are there already.

use std::{collections::HashMap, sync::Arc};

use cdc_api::TableId;

use super::{Definition, OnlineTool, collation};
use crate::{
    metadata::ColumnMeta,
    types::{Flavor, Kind, key_columns},
};

/// What happens to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The table begins empty; its rows follow in the log.
    Created {
        /// As it is.
        table: Arc<Definition>,
        /// What was there under its name and is gone by that (CREATE OR REPLACE).
        replaced: Option<Arc<Definition>>,
    },
    /// Another definition.
    Altered(Box<Alteration>),
    /// Another name; `table` has it already.
    Renamed {
        /// The name so far.
        from: TableId,
        /// As it is.
        table: Arc<Definition>,
    },
    /// Another table took the name in an online schema change, and its rows have another key: a new incarnation.
    Replaced {
        /// As it was.
        before: Arc<Definition>,
        /// What has its name now.
        after: Arc<Definition>,
    },
    /// All rows are gone.
    Truncated(Arc<Definition>),
    /// The table is gone.
    Dropped(Arc<Definition>),
}

/// A change of a table's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alteration {
    /// As it was.
    pub before: Arc<Definition>,
    /// As it is; columns are the same where their ids are equal.
    pub after: Arc<Definition>,
    /// The columns, types or collations of the key that rows are known by changed (a new name is none).
    pub key_changed: bool,
    /// Per column that is new, what rows that are there already have in it.
    pub added: Vec<Added>,
    /// Why stored values are others than what the row events so far say; empty when they are not. A type that holds all
    /// values of the former one is no reason.
    pub values: Vec<ValueChange>,
    /// The tool that did it, when it was an online schema change.
    pub online: Option<OnlineTool>,
}

impl Alteration {
    /// Whether only what sinks need not know changed: indexes, defaults, comments, order.
    pub fn keeps_columns(&self) -> bool {
        let (before, after) = (&self.before, &self.after);
        let by_id: HashMap<u32, &ColumnMeta> =
            before.ids.iter().copied().zip(&before.meta.columns).collect();
        before.ids.len() == after.ids.len()
            && after.ids.iter().zip(&after.meta.columns).all(|(id, column)| {
                by_id.get(id).is_some_and(|was| {
                    was.name == column.name
                        && was.column_type == column.column_type
                        && was.nullable == column.nullable
                        && was.charset == column.charset
                })
            })
    }
}

/// A column that was added, and its value in older rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub id: u32,
    /// The value.
    pub fill: Fill,
}

/// What older rows have in a new column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// NULL.
    Null,
    /// The column's default, a constant.
    Default,
    /// NOT NULL without default: the type's zero.
    Zero,
    /// What the server computes; it is among [`Alteration::values`] too.
    Computed,
}

/// Stored values changed without row events (correctness §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueChange {
    /// A type that does not hold all values of the former one, by column id.
    Type(u32),
    /// A charset that does not hold all text of the former one.
    Charset(u32),
    /// NULL became the type's zero (outside the strict modes).
    Null(u32),
    /// A new column is computed: an expression as default, AUTO_INCREMENT, generated.
    Computed(u32),
    /// ALTER IGNORE drops rows.
    Ignore,
    /// DROP or TRUNCATE PARTITION, DISCARD TABLESPACE.
    Emptied,
    /// EXCHANGE PARTITION, CONVERT PARTITION or TABLE, with this table.
    Exchanged(TableId),
    /// IMPORT TABLESPACE.
    Imported,
}

/// Compares two definitions of the same rows. `strict`: a NULL in a column that becomes NOT NULL is an error.
pub(super) fn compare(
    before: &Arc<Definition>,
    after: &Arc<Definition>,
    strict: bool,
    flavor: Flavor,
) -> Alteration {
    let old: HashMap<u32, &ColumnMeta> =
        before.ids.iter().copied().zip(&before.meta.columns).collect();
    let (mut added, mut values) = (Vec::new(), Vec::new());
    for (&id, column) in after.ids.iter().zip(&after.meta.columns) {
        match old.get(&id) {
            None => {
                let fill = fill(column, flavor);
                if fill == Fill::Computed {
                    values.push(ValueChange::Computed(id));
                }
                added.push(Added { id, fill });
            }
            Some(was) => {
                if was.generated != column.generated {
                    values.push(ValueChange::Computed(id));
                } else if !widens(was, column) {
                    values.push(ValueChange::Type(id));
                } else if !holds_text(was, column) {
                    values.push(ValueChange::Charset(id));
                } else if was.nullable && !column.nullable && !strict {
                    values.push(ValueChange::Null(id));
                }
            }
        }
    }
    Alteration {
        before: Arc::clone(before),
        after: Arc::clone(after),
        key_changed: key(before) != key(after),
        added,
        values,
        online: None,
    }
}

/// What makes two keys the same: columns by id, types and collations.
fn key(table: &Definition) -> Vec<(Option<u32>, &str, Option<&str>)> {
    let column = |&at: &usize| {
        let column = table.meta.columns.get(at)?;
        let id = table.ids.get(at).copied();
        Some((id, column.column_type.as_str(), column.collation.as_deref()))
    };
    key_columns(&table.meta).iter().filter_map(column).collect()
}

/// The ids of a key's columns.
pub(super) fn key_ids(table: &Definition) -> Vec<Option<u32>> {
    key(table).into_iter().map(|part| part.0).collect()
}

fn fill(column: &ColumnMeta, flavor: Flavor) -> Fill {
    let extra = column.extra.to_ascii_lowercase();
    let default = column.default.as_deref();
    let expression = match flavor {
        Flavor::MySql => extra.contains("default_generated"),
        Flavor::MariaDb => default.is_some_and(|text| !is_maria_constant(text)),
    };
    if extra.contains("auto_increment")
        || extra.contains(" generated")
        || expression
        || !column.generated.is_empty()
    {
        return Fill::Computed;
    }
    match default {
        Some("NULL") | None if column.nullable => Fill::Null,
        None => Fill::Zero,
        Some(_) => Fill::Default,
    }
}

/// MySQL marks the defaults that are expressions. MariaDB does not, but prints constants as one number, one literal in
/// quotes or NULL, and nothing else so. What only looks like an expression is called computed, which is no harm.
fn is_maria_constant(text: &str) -> bool {
    let quoted = |text: &str| {
        let inner = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
        // A quote within is doubled; a single one is the end of a literal with more behind it.
        inner.is_some_and(|inner| !inner.replace("''", "").contains('\''))
    };
    let number = text.parse::<f64>().is_ok_and(f64::is_finite);
    text == "NULL" || number || quoted(text) || text.strip_prefix('b').is_some_and(quoted)
}

fn holds_text(was: &ColumnMeta, column: &ColumnMeta) -> bool {
    match (was.charset.as_deref(), column.charset.as_deref()) {
        (Some(narrow), Some(wide)) => collation::holds(wide, narrow),
        (None, None) => true,
        _ => false,
    }
}

/// Whether the new type holds every value of the old one, as the same value.
fn widens(was: &ColumnMeta, column: &ColumnMeta) -> bool {
    use Kind::{
        Binary, Bit, Blob, Char, Datetime, Decimal, Double, Enum, Float, Integer, Set, Text, Time,
        Timestamp, VarBinary, VarChar,
    };
    if was.column_type == column.column_type && was.data_type == column.data_type {
        return true;
    }
    let (Ok(old), Ok(new)) = (Kind::of(was), Kind::of(column)) else { return false };
    if old == new {
        return true;
    }
    let text_bytes = |column: &ColumnMeta| column.length.unwrap_or(0);
    match (old, new) {
        (Integer { bytes: a, unsigned: x }, Integer { bytes: b, unsigned: y }) => {
            x == y && b >= a || x && !y && b > a
        }
        (Integer { bytes, .. }, Decimal { precision, scale }) => {
            let digits = [3, 5, 8, 10, 20][usize::from(match bytes {
                1..=4 => bytes - 1,
                _ => 4,
            })];
            u32::from(precision - scale) >= digits
        }
        (Decimal { precision: a, scale: s }, Decimal { precision: b, scale: t }) => {
            t >= s && b - t >= a - s
        }
        (Float { .. }, Double) => !was.column_type.contains(','),
        (Float { .. }, Float { .. }) => !column.column_type.contains(','),
        (Bit { bits: a }, Bit { bits: b }) => b >= a,
        (Time { fraction: a }, Time { fraction: b })
        | (Datetime { fraction: a }, Datetime { fraction: b })
        | (Timestamp { fraction: a }, Timestamp { fraction: b }) => b >= a,
        (
            Char { length: a } | VarChar { length: a },
            Char { length: b } | VarChar { length: b },
        ) => {
            // CHAR drops the blanks that VARCHAR keeps.
            let trims = matches!(Kind::of(column), Ok(Char { .. }))
                && !matches!(Kind::of(was), Ok(Char { .. }));
            b >= a && !trims
        }
        (Char { .. } | VarChar { .. }, Text { .. }) => {
            let widest = column.charset.as_deref().and_then(collation::widths);
            let widest = widest.map_or(4, |widths| widths.1);
            text_bytes(column) >= text_bytes(was).saturating_mul(widest)
        }
        // CONVERT TO makes room for as many characters as the type could hold.
        (Text { prefix: a }, Text { prefix: b }) | (Blob { prefix: a }, Blob { prefix: b }) => {
            b >= a
        }
        (Binary { length: a } | VarBinary { length: a }, VarBinary { length: b }) => b >= a,
        (Binary { length: a } | VarBinary { length: a }, Blob { .. }) => {
            text_bytes(column) >= u64::from(a)
        }
        (Enum { members: a }, Enum { members: b }) | (Set { members: a }, Set { members: b }) => {
            b.starts_with(&a)
        }
        _ => false,
    }
}
