//! Debezium's envelope: before, after, where it comes from, what happened. Or, under the compatibility switch, what Flink
//! CDC writes under that name.

use cdc_api::{TableSchema, TxnId};

use super::{Change, Origin, connect, row::RowPlan};
use crate::{
    config::{Compatibility, Settings},
    json::{Cells, Style, push_integer, push_string},
};

/// What is the same in all messages of a table.
pub(crate) struct DebeziumPlan {
    row: RowPlan,
    /// `{"schema":…,"payload":`, or nothing.
    schema: Vec<u8>,
    source: Source,
    skips_nulls: bool,
}

enum Source {
    /// Flink CDC's, whole.
    Flink(Vec<u8>),
    /// Debezium's, in the pieces between what differs from change to change.
    Debezium {
        /// To the name of the pipeline.
        head: Vec<u8>,
        /// Database and what follows it.
        db: Vec<u8>,
        /// Table and what follows it.
        table: Vec<u8>,
    },
}

impl DebeziumPlan {
    pub(crate) fn new(schema: &TableSchema, settings: &Settings, origin: &Origin) -> DebeziumPlan {
        let id = schema.id();
        let db = id.schema.as_deref().unwrap_or_default();
        let flink = settings.compatibility == Compatibility::FlinkCdc;
        let source = if flink {
            let mut whole = b"\"source\":{\"db\":".to_vec();
            match id.schema.as_deref() {
                Some(db) => push_string(&mut whole, db),
                None => whole.extend_from_slice(b"null"),
            }
            whole.extend_from_slice(b",\"table\":");
            push_string(&mut whole, &id.table);
            whole.push(b'}');
            Source::Flink(whole)
        } else {
            let mut head = b"\"source\":{\"version\":".to_vec();
            push_string(&mut head, env!("CARGO_PKG_VERSION"));
            head.extend_from_slice(b",\"connector\":");
            push_string(&mut head, &origin.connector);
            head.extend_from_slice(b",\"name\":");
            push_string(&mut head, &origin.pipeline);
            head.extend_from_slice(b",\"ts_ms\":");
            let mut db_part = b",\"db\":".to_vec();
            push_string(&mut db_part, db);
            db_part.extend_from_slice(b",\"sequence\":\"[\\\"");
            let mut table = b"\\\"]\",\"table\":".to_vec();
            push_string(&mut table, &id.table);
            table.extend_from_slice(b",\"server_id\":");
            Source::Debezium { head, db: db_part, table }
        };
        let mut prefix = Vec::new();
        if settings.include_schema {
            prefix.extend_from_slice(b"{\"schema\":");
            prefix.extend_from_slice(connect::envelope(schema, settings, origin).as_bytes());
            prefix.extend_from_slice(b",\"payload\":");
        }
        DebeziumPlan {
            row: RowPlan::new(schema, settings.value_style(), settings.ignore_null_fields),
            schema: prefix,
            source,
            skips_nulls: settings.ignore_null_fields && flink,
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
        out.extend_from_slice(&self.schema);
        out.push(b'{');
        for (name, row) in [("\"before\":", change.before()), ("\"after\":", change.after())] {
            if row.is_none() && self.skips_nulls {
                continue;
            }
            out.extend_from_slice(name.as_bytes());
            match row {
                Some(row) => self.row.push(out, cells, row),
                None => out.extend_from_slice(b"null"),
            }
            out.push(b',');
        }
        let op = match change {
            Change::Put { read: true, .. } if matches!(self.source, Source::Debezium { .. }) => {
                b'r'
            }
            Change::Put { .. } => b'c',
            Change::Update { .. } => b'u',
            Change::Delete { .. } => b'd',
        };
        match &self.source {
            Source::Flink(source) => {
                out.extend_from_slice(&[b'"', b'o', b'p', b'"', b':', b'"', op, b'"', b',']);
                out.extend_from_slice(source);
            }
            Source::Debezium { head, db, table } => {
                push_source(out, change, [head, db, table]);
                out.extend_from_slice(b"},\"transaction\":null,\"op\":\"");
                out.push(op);
                out.extend_from_slice(b"\",\"ts_ms\":");
                push_integer(out, now_ms);
            }
        }
        out.push(b'}');
        if !self.schema.is_empty() {
            out.push(b'}');
        }
    }
}

fn push_source(out: &mut Vec<u8>, change: &Change<'_>, [head, db, table]: [&Vec<u8>; 3]) {
    let at = change.at();
    out.extend_from_slice(head);
    push_integer(out, at.txn.commit_ts_us.div_euclid(1000));
    let read = matches!(change, Change::Put { read: true, .. });
    out.extend_from_slice(b",\"snapshot\":\"");
    out.extend_from_slice(if read { b"true\"" } else { b"false\"" });
    out.extend_from_slice(db);
    push_integer(out, at.seq);
    out.extend_from_slice(table);
    match &at.txn.id {
        TxnId::Domain { server, .. } => push_integer(out, *server),
        _ => out.push(b'0'),
    }
    out.extend_from_slice(b",\"gtid\":");
    push_gtid(out, &at.txn.id);
    out.extend_from_slice(b",\"file\":");
    push_string(out, &at.txn.file);
    out.extend_from_slice(b",\"pos\":");
    push_integer(out, at.txn.pos);
    out.extend_from_slice(b",\"row\":");
    push_integer(out, at.row_in_txn);
    out.extend_from_slice(b",\"thread\":null,\"query\":null");
}

/// A transaction's identity as a JSON string; written by hand, since each row has one.
fn push_gtid(out: &mut Vec<u8>, id: &TxnId) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match id {
        TxnId::None => out.extend_from_slice(b"null"),
        TxnId::Gtid { source, tag: None, number } => {
            out.push(b'"');
            for (i, byte) in source.iter().enumerate() {
                if matches!(i, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            out.push(b':');
            push_integer(out, *number);
            out.push(b'"');
        }
        other => push_string(out, &other.to_string()),
    }
}
