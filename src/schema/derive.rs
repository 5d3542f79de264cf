//! What a change of a source table means to its sink table, by the pipeline's behaviour (reference: flink-cdc.md §2.7, as
//! Flink CDC's code has it; docs/schema-evolution.md lists the decisions). Names and columns only, no state.

use std::collections::BTreeSet;

use cdc_api::{
    Column, ColumnChange, ColumnPosition, SchemaChangeKind, TableSchema, column_changes,
};

use super::widen::{holds, widen};
use crate::definition::{SchemaChangeBehavior, SchemaChangeFilter};

/// `schema.change.behavior` with the sink's lists.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) behavior: SchemaChangeBehavior,
    pub(crate) filter: SchemaChangeFilter,
}

impl Rules {
    /// Whether changes of this kind reach the sink.
    pub(super) fn allow(&self, kind: SchemaChangeKind) -> bool {
        use SchemaChangeKind::{CreateTable, DropTable, TruncateTable};
        if self.behavior == SchemaChangeBehavior::Ignore {
            return kind == CreateTable;
        }
        let included = self.filter.include.as_ref().is_none_or(|kinds| kinds.contains(&kind));
        let excluded = match &self.filter.exclude {
            Some(kinds) => kinds.contains(&kind),
            // LENIENT empties and drops nothing unless the file says so.
            None => {
                self.behavior == SchemaChangeBehavior::Lenient
                    && matches!(kind, DropTable | TruncateTable)
            }
        };
        included && !excluded
    }
}

/// Columns of a sink table, and the id of its next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) columns: Vec<Column>,
    pub(super) next_id: u32,
}

/// A sink table's columns behind a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    pub(super) columns: Columns,
    pub(super) comment: Option<String>,
    /// Kinds that reach the sink, by their words.
    pub(super) applied: BTreeSet<&'static str>,
    /// Kinds that the behaviour or the lists keep from it.
    pub(super) ignored: BTreeSet<&'static str>,
    /// Everything that the sink held before fits the new columns as it is: no row need be out before.
    pub(super) is_additive: bool,
}

impl Columns {
    /// A new table's, with ids of its own.
    pub(super) fn of(schema: &TableSchema) -> Columns {
        let columns: Vec<Column> = (0..)
            .zip(schema.columns())
            .map(|(id, column)| Column { id, ..column.clone() })
            .collect();
        let next_id = columns.len() as u32;
        Columns { columns, next_id }
    }

    fn find(&mut self, name: &str) -> Option<&mut Column> {
        self.columns.iter_mut().find(|column| column.name == name)
    }

    fn add(&mut self, column: &Column, at: usize) {
        let column = Column { id: self.next_id, ..column.clone() };
        self.next_id += 1;
        self.columns.insert(at.min(self.columns.len()), column);
    }
}

/// One source table feeds the sink table: its change is the sink's, as far as the rules let it.
pub(super) fn alter(
    sink: &TableSchema,
    next_id: u32,
    before: &TableSchema,
    after: &TableSchema,
    rules: &Rules,
) -> Derived {
    let mut derived = Derived {
        columns: Columns { columns: sink.columns().to_vec(), next_id },
        comment: sink.comment().map(str::to_owned),
        applied: BTreeSet::new(),
        ignored: BTreeSet::new(),
        is_additive: true,
    };
    for change in column_changes(before, after) {
        let kind = kind_of(&change);
        if rules.allow(kind) {
            derived.applied.insert(kind.word());
            match rules.behavior {
                SchemaChangeBehavior::Lenient => lenient(&mut derived, &change),
                _ => exact(&mut derived, &change),
            }
        } else {
            derived.ignored.insert(kind.word());
        }
    }
    if before.comment() != after.comment() {
        let kind = SchemaChangeKind::AlterTableComment;
        if rules.allow(kind) {
            derived.comment = after.comment().map(str::to_owned);
            derived.applied.insert(kind.word());
        } else {
            derived.ignored.insert(kind.word());
        }
    }
    relax(&mut derived.columns, after);
    derived
}

fn kind_of(change: &ColumnChange) -> SchemaChangeKind {
    match change {
        ColumnChange::Add { .. } => SchemaChangeKind::AddColumn,
        ColumnChange::Drop { .. } => SchemaChangeKind::DropColumn,
        ColumnChange::Rename { .. } => SchemaChangeKind::RenameColumn,
        ColumnChange::AlterType { .. } => SchemaChangeKind::AlterColumnType,
    }
}

/// EVOLVE and TRY_EVOLVE: as it is.
fn exact(derived: &mut Derived, change: &ColumnChange) {
    let columns = &mut derived.columns;
    match change {
        ColumnChange::Add { column, position } => {
            derived.is_additive &= column.nullable;
            if let Some(known) = columns.find(&column.name) {
                // It stayed in the sink when it was dropped at the source.
                derived.is_additive &= holds(&column.logical, &known.logical);
                retype(known, column);
                return;
            }
            let at = match position {
                ColumnPosition::First => 0,
                ColumnPosition::Last => columns.columns.len(),
                ColumnPosition::After(name) => columns
                    .columns
                    .iter()
                    .position(|column| column.name == *name)
                    .map_or(columns.columns.len(), |at| at + 1),
            };
            columns.add(column, at);
        }
        ColumnChange::Drop { name } => {
            derived.is_additive = false;
            columns.columns.retain(|column| column.name != *name);
        }
        ColumnChange::Rename { from, to } => {
            derived.is_additive = false;
            // A column of the new name is one that was dropped at the source and not here.
            if columns.find(from).is_some() {
                columns.columns.retain(|column| column.name != *to);
            }
            if let Some(column) = columns.find(from) {
                column.name.clone_from(to);
            }
        }
        ColumnChange::AlterType { after, .. } => {
            if let Some(column) = columns.find(&after.name) {
                derived.is_additive &=
                    holds(&after.logical, &column.logical) && (after.nullable || !column.nullable);
                retype(column, after);
            }
        }
    }
}

/// LENIENT: nothing that a reader of the sink relies on goes away.
fn lenient(derived: &mut Derived, change: &ColumnChange) {
    let columns = &mut derived.columns;
    match change {
        ColumnChange::Add { column, .. } => add_nullable(derived, column),
        ColumnChange::Drop { name } => {
            if let Some(column) = columns.find(name) {
                column.nullable = true;
            }
        }
        ColumnChange::Rename { from, to } => {
            let Some(column) = columns.find(from) else { return };
            column.nullable = true;
            let renamed = Column { name: to.clone(), ..column.clone() };
            add_nullable(derived, &renamed);
        }
        ColumnChange::AlterType { after, .. } => {
            if let Some(column) = columns.find(&after.name) {
                derived.is_additive &= holds(&after.logical, &column.logical);
                let nullable = column.nullable || after.nullable;
                retype(column, after);
                column.nullable = nullable;
            }
        }
    }
}

fn add_nullable(derived: &mut Derived, column: &Column) {
    let columns = &mut derived.columns;
    match columns.find(&column.name) {
        Some(known) => {
            derived.is_additive &= holds(&column.logical, &known.logical);
            retype(known, column);
            known.nullable = true;
        }
        None => {
            let end = columns.columns.len();
            columns.add(&Column { nullable: true, ..column.clone() }, end);
        }
    }
}

fn retype(column: &mut Column, like: &Column) {
    *column = Column { id: column.id, name: column.name.clone(), ..like.clone() };
}

/// Columns that rows of the source do not fill, or fill with nulls, may be null.
fn relax(columns: &mut Columns, source: &TableSchema) {
    for column in &mut columns.columns {
        let filled = source.columns().iter().find(|source| source.name == column.name);
        column.nullable |= filled.is_none_or(|source| source.nullable);
    }
}

/// Several source tables feed the sink table: it only ever gets wider (reference §6.3).
pub(super) fn merge(sink: &TableSchema, next_id: u32, source: &TableSchema) -> Derived {
    let mut derived = Derived {
        columns: Columns { columns: sink.columns().to_vec(), next_id },
        comment: sink.comment().map(str::to_owned),
        applied: BTreeSet::new(),
        ignored: BTreeSet::new(),
        is_additive: true,
    };
    let columns = &mut derived.columns;
    for column in source.columns() {
        match columns.find(&column.name) {
            None => {
                let end = columns.columns.len();
                columns.add(&Column { nullable: true, ..column.clone() }, end);
                derived.applied.insert(SchemaChangeKind::AddColumn.word());
            }
            Some(known) => {
                let wide = widen(&known.logical, &column.logical);
                if wide != known.logical || (column.nullable && !known.nullable) {
                    derived.is_additive &= holds(&wide, &known.logical);
                    derived.applied.insert(SchemaChangeKind::AlterColumnType.word());
                }
                known.logical = wide;
                known.nullable |= column.nullable;
            }
        }
    }
    relax(columns, source);
    derived
}
