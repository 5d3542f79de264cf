//! Tables and their changes as a source would give them, and the sink made from a file's options.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use cdc_api::{
    ChangeBatch, Column, EventSinkProvider, LogicalType, Op, Ops, Options, Ordinals, SinkContext,
    TableId, TableSchema, TxnId, TxnSpan,
};

use crate::cluster::Cluster;

pub(crate) const UUID: &str = "11111111-2222-4333-8444-555555555555";

/// The sink that these options describe.
pub(crate) fn sink(cluster: &Cluster, options: &[(&str, &str)]) -> Box<dyn EventSinkProvider> {
    let mut values: BTreeMap<String, String> =
        options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    values
        .entry("properties.bootstrap.servers".to_owned())
        .or_insert_with(|| cluster.bootstrap().to_owned());
    cdc_kafka::provider(&Options::new(&cdc_kafka::SPEC, values)).expect("options without a fault")
}

pub(crate) fn context(uuid: &str) -> SinkContext {
    SinkContext {
        pipeline_uuid: uuid.to_owned(),
        pipeline: "test".to_owned(),
        source: "mysql".to_owned(),
        checkpoint_interval: Duration::from_secs(3),
        next_checkpoint: 1,
        writers: 1,
        memory_bytes_max: 64 << 20,
    }
}

pub(crate) fn column(id: u32, name: &str, logical: LogicalType, source_type: &str) -> Column {
    Column {
        id,
        name: name.to_owned(),
        logical,
        nullable: name != "id",
        comment: None,
        default: None,
        generated: false,
        source_type: source_type.to_owned(),
    }
}

/// A table whose first column is its key.
pub(crate) fn table(name: &str, columns: Vec<Column>) -> Arc<TableSchema> {
    Arc::new(TableSchema::new(TableId::new("shop", name), 1, columns, vec![0]).expect("a schema"))
}

/// `id INT, name VARCHAR(255)`.
pub(crate) fn small_table(name: &str) -> Arc<TableSchema> {
    let columns = vec![
        column(0, "id", LogicalType::Int, "int"),
        column(1, "name", LogicalType::VarChar(255), "varchar(255)"),
    ];
    table(name, columns)
}

/// Changes of any table, numbered from `first_seq` on.
pub(crate) fn changes(
    schema: &Arc<TableSchema>,
    ops: Vec<Op>,
    columns: Vec<ArrayRef>,
    first_seq: u64,
) -> ChangeBatch {
    let txn = TxnSpan {
        first_ordinal: 0,
        id: TxnId::Gtid { source: [0xab; 16], tag: None, number: 7 },
        file: "binlog.000001".into(),
        pos: 1234,
        commit_ts_us: 1_700_000_000_123_456,
    };
    ChangeBatch {
        rows: RecordBatch::try_new(Arc::clone(schema.arrow()), columns).expect("rows that fit"),
        schema: Arc::clone(schema),
        ops: Ops::Each(ops),
        ordinals: Ordinals::From(0),
        first_seq,
        txns: Arc::new([txn]),
    }
}

/// Changes of a [`small_table`].
pub(crate) fn small(
    schema: &Arc<TableSchema>,
    rows: &[(Op, i32, &str)],
    first_seq: u64,
) -> ChangeBatch {
    let ids: Int32Array = rows.iter().map(|row| row.1).collect();
    let names: StringArray = rows.iter().map(|row| Some(row.2)).collect();
    let ops = rows.iter().map(|row| row.0).collect();
    changes(schema, ops, vec![Arc::new(ids), Arc::new(names)], first_seq)
}
