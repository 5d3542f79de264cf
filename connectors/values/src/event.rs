//! Events as Flink CDC prints them: one line for a table's creation and for each step of its changes, one for each row.

use std::{collections::HashSet, fmt::Write};

use cdc_api::{
    ChangeBatch, Column, ColumnChange, ColumnPosition, DefaultValue, Op, Result, TableId,
    TableSchema, column_changes,
};

use crate::value::push_value;

/// `CreateTableEvent{tableId=…, schema=columns={…}, primaryKeys=…, options=()}` and a line end.
pub(crate) fn push_create(out: &mut String, schema: &TableSchema) {
    let columns: Vec<String> = schema.columns().iter().map(column).collect();
    let keys: Vec<&str> = schema.primary_key_names().collect();
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "CreateTableEvent{{tableId={}, schema=columns={{{}}}, primaryKeys={}",
        schema.id(),
        columns.join(","),
        keys.join(";")
    );
    if !schema.partition_keys().is_empty() {
        let names: Vec<&str> =
            schema.partition_keys().iter().map(|&at| &*schema.columns()[at].name).collect();
        let _ = write!(out, ", partitionKeys={}", names.join(";"));
    }
    if let Some(comment) = schema.comment().filter(|comment| !comment.trim().is_empty()) {
        let _ = write!(out, ", comment={comment}");
    }
    out.push_str(", options=(");
    if !schema.options().is_empty() {
        let options: Vec<String> =
            schema.options().iter().map(|(key, value)| format!("{key}={value}")).collect();
        let _ = write!(out, "{{{}}}", options.join(", "));
    }
    out.push_str(")}\n");
}

/// What brings a table from one schema to the next: an emptied table is truncated, or, where no column is the same any
/// more, dropped and created; columns change in steps that can be applied one by one. Nothing where only defaults,
/// comments of columns or versions differ, for which Flink CDC has no event.
pub(crate) fn push_changes(out: &mut String, before: &TableSchema, after: &TableSchema) {
    let id = after.id();
    if before.generation() != after.generation() {
        let old: HashSet<u32> = before.columns().iter().map(|column| column.id).collect();
        if !after.columns().iter().any(|column| old.contains(&column.id)) {
            push_drop(out, id);
            return push_create(out, after);
        }
        push_truncate(out, id);
    }
    for change in column_changes(before, after) {
        push_column_change(out, id, &change);
    }
    if before.comment() != after.comment() {
        let comment = after.comment().unwrap_or_default();
        let _ = writeln!(out, "AlterTableCommentEvent{{tableId={id}, comment='{comment}'}}");
    }
}

/// `TruncateTableEvent{tableId=…}`.
pub(crate) fn push_truncate(out: &mut String, id: &TableId) {
    let _ = writeln!(out, "TruncateTableEvent{{tableId={id}}}");
}

/// `DropTableEvent{tableId=…}`.
pub(crate) fn push_drop(out: &mut String, id: &TableId) {
    let _ = writeln!(out, "DropTableEvent{{tableId={id}}}");
}

fn push_column_change(out: &mut String, id: &TableId, change: &ColumnChange) {
    let _ = match change {
        ColumnChange::Add { column: added, position } => {
            let (place, ahead) = match position {
                ColumnPosition::First => ("FIRST", "null"),
                ColumnPosition::After(name) => ("AFTER", name.as_str()),
                ColumnPosition::Last => ("LAST", "null"),
            };
            writeln!(
                out,
                "AddColumnEvent{{tableId={id}, addedColumns=[ColumnWithPosition{{column={}, position={place}, \
                 existedColumnName={ahead}}}]}}",
                column(added)
            )
        }
        ColumnChange::Drop { name } => {
            writeln!(out, "DropColumnEvent{{tableId={id}, droppedColumnNames=[{name}]}}")
        }
        ColumnChange::Rename { from, to } => {
            writeln!(out, "RenameColumnEvent{{tableId={id}, nameMapping={{{from}={to}}}}}")
        }
        ColumnChange::AlterType { before, after } => writeln!(
            out,
            "AlterColumnTypeEvent{{tableId={id}, typeMapping={{{name}={}}}, oldTypeMapping={{{name}={}}}}}",
            column_type(after),
            column_type(before),
            name = after.name,
        ),
    };
}

fn column_type(column: &Column) -> String {
    format!("{}{}", column.logical, if column.nullable { "" } else { " NOT NULL" })
}

fn column(column: &Column) -> String {
    let mut text = format!("`{}` {}", column.name.replace('`', "``"), column_type(column));
    if let Some(comment) = &column.comment {
        let _ = write!(text, " '{}'", comment.replace('\'', "''"));
    }
    if let Some(default) = column.default.as_ref().and_then(printed_default) {
        let _ = write!(text, " '{default}'");
    }
    text
}

/// Flink CDC shows the present time as the epoch, and no other expression.
fn printed_default(default: &DefaultValue) -> Option<&str> {
    match default {
        DefaultValue::Literal(text) => Some(text),
        DefaultValue::Expression(text) => {
            let start = text.get(..17).unwrap_or(text);
            start.eq_ignore_ascii_case("CURRENT_TIMESTAMP").then_some("1970-01-01 00:00:00")
        }
    }
}

/// Walks a batch's events in order: each is the row before (where there is one), the row after and the word for it.
pub(crate) struct Changes<'a> {
    batch: &'a ChangeBatch,
    at: usize,
}

impl<'a> Changes<'a> {
    pub(crate) fn of(batch: &'a ChangeBatch) -> Self {
        Changes { batch, at: 0 }
    }

    /// Appends the next event as a line; false when there is none left.
    pub(crate) fn push_next(&mut self, out: &mut String) -> Result<bool> {
        if self.at >= self.batch.len() {
            return Ok(false);
        }
        let row = self.at;
        self.at += 1;
        let (before, after, word) = match self.batch.ops.at(row) {
            Op::Read | Op::Insert => (None, Some(row), "INSERT"),
            Op::Delete => (Some(row), None, "DELETE"),
            Op::UpdateAfter => (None, Some(row), "UPDATE"),
            // The two halves of an update are neighbours, never split over batches.
            Op::UpdateBefore => {
                self.at += 1;
                (Some(row), Some(row + 1), "UPDATE")
            }
        };
        let _ = write!(out, "DataChangeEvent{{tableId={}, before=", self.batch.schema.id());
        self.push_row(out, before)?;
        out.push_str(", after=");
        self.push_row(out, after)?;
        let _ = writeln!(out, ", op={word}, meta=()}}");
        Ok(true)
    }

    fn push_row(&self, out: &mut String, row: Option<usize>) -> Result<()> {
        out.push('[');
        if let Some(row) = row {
            let columns = self.batch.schema.columns().iter().zip(self.batch.rows.columns());
            for (i, (column, array)) in columns.enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                push_value(out, &column.logical, array, row)?;
            }
        }
        out.push(']');
        Ok(())
    }
}
