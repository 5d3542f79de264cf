//! Changes of tables: what happens to one, the single column changes between two versions, and the words by which
//! pipeline files select them. A change always travels ahead of the first row that needs it.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Column, TableId, TableSchema};

/// What happens to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaChange {
    /// The table is there from now on and begins empty; its rows follow. To a sink: "at least this".
    Create(Arc<TableSchema>),
    /// Columns, key, comment or options changed. Columns are the same where their [`Column::id`]s are equal.
    Alter {
        /// As it was.
        before: Arc<TableSchema>,
        /// As it is from now on.
        after: Arc<TableSchema>,
    },
    /// All rows are gone (TRUNCATE); the schema stays.
    Truncate(Arc<TableSchema>),
    /// A new incarnation (correctness §6): all rows so far are void, and what follows is the table's content from its
    /// first row. The sink's table is emptied and has the new schema. Column ids of the two do not compare.
    Recreate {
        /// As it was.
        before: Arc<TableSchema>,
        /// As it is from now on.
        after: Arc<TableSchema>,
    },
    /// The table is gone.
    Drop(Arc<TableSchema>),
}

impl SchemaChange {
    /// The table it is about.
    pub fn table(&self) -> &TableId {
        match self {
            SchemaChange::Create(schema)
            | SchemaChange::Truncate(schema)
            | SchemaChange::Drop(schema)
            | SchemaChange::Alter { after: schema, .. }
            | SchemaChange::Recreate { after: schema, .. } => schema.id(),
        }
    }

    /// The schema behind it; none after a drop.
    pub fn after(&self) -> Option<&Arc<TableSchema>> {
        match self {
            SchemaChange::Create(schema)
            | SchemaChange::Truncate(schema)
            | SchemaChange::Alter { after: schema, .. }
            | SchemaChange::Recreate { after: schema, .. } => Some(schema),
            SchemaChange::Drop(_) => None,
        }
    }
}

/// Where an added or moved column stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnPosition {
    /// Ahead of all others.
    First,
    /// Right behind the column with this name.
    After(String),
    /// Behind all others.
    Last,
}

/// One step of an [`SchemaChange::Alter`], in terms of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnChange {
    /// A column that was not there.
    Add {
        /// As it is.
        column: Column,
        /// Where it stands among those that are there by then.
        position: ColumnPosition,
    },
    /// A column is gone.
    Drop {
        /// Its name.
        name: String,
    },
    /// The same column under another name.
    Rename {
        /// Its name so far.
        from: String,
        /// Its name from now on.
        to: String,
    },
    /// Another logical type or nullability; under the name that it has by then.
    AlterType {
        /// As it was.
        before: Column,
        /// As it is.
        after: Column,
    },
}

/// The steps from one version of a table to the next, in an order in which they can be applied one by one: drops,
/// renames, types, then additions in column order. Moves of columns, comments and defaults are no steps.
pub fn column_changes(before: &TableSchema, after: &TableSchema) -> Vec<ColumnChange> {
    let old: HashMap<u32, &Column> =
        before.columns().iter().map(|column| (column.id, column)).collect();
    let new: HashMap<u32, &Column> =
        after.columns().iter().map(|column| (column.id, column)).collect();
    let mut changes = Vec::new();
    for column in before.columns().iter().filter(|column| !new.contains_key(&column.id)) {
        changes.push(ColumnChange::Drop { name: column.name.clone() });
    }
    for column in after.columns() {
        if let Some(was) = old.get(&column.id).filter(|was| was.name != column.name) {
            changes.push(ColumnChange::Rename { from: was.name.clone(), to: column.name.clone() });
        }
    }
    for column in after.columns() {
        if let Some(was) = old.get(&column.id)
            && (was.logical != column.logical || was.nullable != column.nullable)
        {
            let before = Column { name: column.name.clone(), ..(*was).clone() };
            changes.push(ColumnChange::AlterType { before, after: column.clone() });
        }
    }
    // A column behind which only added ones stand is added last.
    let last_kept = after.columns().iter().rposition(|column| old.contains_key(&column.id));
    for (at, column) in after.columns().iter().enumerate() {
        if old.contains_key(&column.id) {
            continue;
        }
        let position = match at.checked_sub(1).and_then(|ahead| after.columns().get(ahead)) {
            _ if last_kept.is_none_or(|last| at > last) => ColumnPosition::Last,
            None => ColumnPosition::First,
            Some(ahead) => ColumnPosition::After(ahead.name.clone()),
        };
        changes.push(ColumnChange::Add { column: column.clone(), position });
    }
    changes
}

/// A kind of schema change, as `include.schema.changes` and `exclude.schema.changes` name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaChangeKind {
    /// `add.column`
    AddColumn,
    /// `alter.column.type`
    AlterColumnType,
    /// `create.table`
    CreateTable,
    /// `drop.column`
    DropColumn,
    /// `drop.table`
    DropTable,
    /// `rename.column`
    RenameColumn,
    /// `truncate.table`
    TruncateTable,
    /// `alter.table.comment`
    AlterTableComment,
}

impl SchemaChangeKind {
    /// All kinds with their words.
    pub const ALL: [(&'static str, SchemaChangeKind); 8] = [
        ("add.column", SchemaChangeKind::AddColumn),
        ("alter.column.type", SchemaChangeKind::AlterColumnType),
        ("alter.table.comment", SchemaChangeKind::AlterTableComment),
        ("create.table", SchemaChangeKind::CreateTable),
        ("drop.column", SchemaChangeKind::DropColumn),
        ("drop.table", SchemaChangeKind::DropTable),
        ("rename.column", SchemaChangeKind::RenameColumn),
        ("truncate.table", SchemaChangeKind::TruncateTable),
    ];

    /// Words that stand for several kinds.
    pub const FAMILIES: [&'static str; 9] =
        ["add", "all", "alter", "column", "create", "drop", "rename", "table", "truncate"];

    /// The kinds a word of the file stands for; empty when it is unknown.
    pub fn of(word: &str) -> Vec<SchemaChangeKind> {
        let word = word.trim().to_ascii_lowercase();
        let stands = |name: &str| {
            name == word
                || word == "all"
                || (Self::FAMILIES.contains(&word.as_str())
                    && name.split('.').any(|part| part == word))
        };
        Self::ALL.iter().filter(|(name, _)| stands(name)).map(|(_, kind)| *kind).collect()
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogicalType;

    fn table(columns: &[(u32, &str, LogicalType)]) -> TableSchema {
        let column = |(id, name, logical): &(u32, &str, LogicalType)| Column {
            id: *id,
            name: (*name).to_owned(),
            logical: logical.clone(),
            nullable: true,
            comment: None,
            default: None,
            generated: false,
            source_type: String::new(),
        };
        let columns = columns.iter().map(column).collect();
        TableSchema::new(TableId::new("shop", "t"), 1, columns, Vec::new()).unwrap()
    }

    #[test]
    fn steps_are_told_by_column_ids() {
        use LogicalType::{BigInt, Int};
        let before = table(&[(0, "a", Int), (1, "b", Int), (2, "c", Int)]);
        let after =
            table(&[(5, "x", Int), (0, "a", BigInt), (4, "y", Int), (2, "d", Int), (3, "z", Int)]);
        let steps: Vec<String> = column_changes(&before, &after)
            .into_iter()
            .map(|change| match change {
                ColumnChange::Add { column, position } => format!("+{} {position:?}", column.name),
                ColumnChange::Drop { name } => format!("-{name}"),
                ColumnChange::Rename { from, to } => format!("{from}>{to}"),
                ColumnChange::AlterType { before, after } => {
                    format!("{} {}>{}", after.name, before.logical, after.logical)
                }
            })
            .collect();
        assert_eq!(steps, ["-b", "c>d", "a INT>BIGINT", "+x First", "+y After(\"a\")", "+z Last"]);
        assert!(column_changes(&before, &before).is_empty());
    }

    #[test]
    fn families_stand_for_their_kinds() {
        use SchemaChangeKind::{
            AddColumn, AlterColumnType, AlterTableComment, DropColumn, DropTable,
        };
        assert_eq!(SchemaChangeKind::of("drop"), [DropColumn, DropTable]);
        assert_eq!(SchemaChangeKind::of("ADD"), [AddColumn]);
        assert_eq!(SchemaChangeKind::of("alter"), [AlterColumnType, AlterTableComment]);
        assert_eq!(SchemaChangeKind::of("table").len(), 4);
        assert_eq!(SchemaChangeKind::of("column").len(), 4);
        assert_eq!(SchemaChangeKind::of("all").len(), 8);
        assert_eq!(SchemaChangeKind::of("type"), []);
        assert_eq!(SchemaChangeKind::of("drop.table"), [DropTable]);
        assert_eq!(AlterTableComment.word(), "alter.table.comment");
    }
}
