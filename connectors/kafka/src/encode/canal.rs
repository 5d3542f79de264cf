//! Canal's flat messages: the row as an array of one, what changed in it, and the columns' types by name. Or, under the
//! compatibility switch, what Flink CDC writes under that name.

use cdc_api::{LogicalType, TableSchema};

use super::{Change, row::RowPlan};
use crate::{
    config::{Compatibility, Settings},
    json::{Cells, Style, push_integer, push_string},
};

/// What is the same in all messages of a table.
pub(crate) struct CanalPlan {
    row: RowPlan,
    flink: bool,
    skips_nulls: bool,
    /// `"database":…,"table":…` and, in Canal's own form, the columns' types.
    table: Vec<u8>,
    /// `"pkNames":[…]`.
    keys: Vec<u8>,
}

impl CanalPlan {
    pub(crate) fn new(schema: &TableSchema, settings: &Settings) -> CanalPlan {
        let flink = settings.compatibility == Compatibility::FlinkCdc;
        let mut keys = b"\"pkNames\":".to_vec();
        let names: Vec<&str> = schema.primary_key_names().collect();
        if names.is_empty() && !flink {
            keys.extend_from_slice(b"null");
        } else {
            push_list(&mut keys, &names);
        }
        let mut table = b"\"database\":".to_vec();
        push_string(&mut table, schema.id().schema.as_deref().unwrap_or_default());
        table.extend_from_slice(b",\"table\":");
        push_string(&mut table, &schema.id().table);
        if !flink {
            table.extend_from_slice(b",\"isDdl\":false,\"sql\":\"\",\"mysqlType\":");
            push_types(&mut table, schema, |out, column| push_string(out, &column.source_type));
            table.extend_from_slice(b",\"sqlType\":");
            push_types(&mut table, schema, |out, column| {
                push_integer(out, jdbc_type(&column.logical))
            });
        }
        CanalPlan {
            row: RowPlan::new(schema, settings.value_style(), settings.ignore_null_fields),
            flink,
            skips_nulls: settings.ignore_null_fields && flink,
            table,
            keys,
        }
    }

    pub(crate) fn style(&self) -> Style {
        self.row.style()
    }

    /// Appends a message.
    pub(crate) fn push(
        &self,
        out: &mut Vec<u8>,
        change: &Change<'_>,
        cells: &[Cells<'_>],
        now_ms: i64,
    ) {
        out.push(b'{');
        match change {
            Change::Update { before, .. } if self.flink => {
                out.extend_from_slice(b"\"old\":[");
                self.row.push(out, cells, *before);
                out.extend_from_slice(b"],");
            }
            Change::Update { before, after, .. } => {
                // Canal names only the columns whose value changed.
                out.extend_from_slice(b"\"old\":[");
                self.row.push_if(out, cells, *before, |cells| !cells.same(*before, *after));
                out.extend_from_slice(b"],");
            }
            _ if self.skips_nulls => {}
            _ => out.extend_from_slice(b"\"old\":null,"),
        }
        out.extend_from_slice(b"\"data\":[");
        self.row.push(out, cells, change.row());
        out.extend_from_slice(match change {
            Change::Put { .. } => b"],\"type\":\"INSERT\",",
            Change::Update { .. } => b"],\"type\":\"UPDATE\",",
            Change::Delete { .. } => b"],\"type\":\"DELETE\",",
        });
        out.extend_from_slice(&self.table);
        out.push(b',');
        out.extend_from_slice(&self.keys);
        if !self.flink {
            out.extend_from_slice(b",\"es\":");
            push_integer(out, change.at().txn.commit_ts_us.div_euclid(1000));
            out.extend_from_slice(b",\"ts\":");
            push_integer(out, now_ms);
            out.extend_from_slice(b",\"id\":");
            push_integer(out, change.at().seq);
        }
        out.push(b'}');
    }
}

fn push_list(out: &mut Vec<u8>, names: &[&str]) {
    out.push(b'[');
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_string(out, name);
    }
    out.push(b']');
}

fn push_types(
    out: &mut Vec<u8>,
    schema: &TableSchema,
    push: impl Fn(&mut Vec<u8>, &cdc_api::Column),
) {
    out.push(b'{');
    for (i, column) in schema.columns().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_string(out, &column.name);
        out.push(b':');
        push(out, column);
    }
    out.push(b'}');
}

/// The constants of `java.sql.Types`.
pub(crate) fn jdbc_type(logical: &LogicalType) -> i32 {
    use LogicalType as L;
    match logical {
        L::Boolean => -7,
        L::TinyInt => -6,
        L::SmallInt => 5,
        L::Int => 4,
        L::BigInt => -5,
        L::Float => 7,
        L::Double => 8,
        L::Decimal { .. } => 3,
        L::Date => 91,
        L::Time(_) => 92,
        L::Timestamp(_) | L::TimestampLtz(_) => 93,
        L::TimestampTz(_) => 2014,
        L::Char(_) => 1,
        L::VarChar(_) | L::String | L::Variant => 12,
        L::Binary(_) => -2,
        L::VarBinary(_) => -3,
        L::Bytes => 2004,
        L::Array(_) => 2003,
        L::Map(..) | L::Row(_) => 2002,
    }
}
