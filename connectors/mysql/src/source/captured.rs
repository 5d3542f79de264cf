//! The tables that a run captures: for each its schema, codec and key order, and two flags that the log's decoder may
//! look at ahead of the reader.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use cdc_api::{NulledColumn, TableId, TableSchema};
use cdc_incremental::TableKey;

use crate::{keys::KeyCodec, metadata::TableMeta, types::TableCodec};

/// One captured table, bound to one schema version.
#[derive(Debug)]
pub(crate) struct CapturedTable {
    /// Its place in the [`Catalog`] and its name in the snapshot machine.
    pub(crate) key: TableKey,
    pub(crate) meta: TableMeta,
    pub(crate) codec: TableCodec,
    pub(crate) keys: KeyCodec,
    /// Positions of the columns that chunks are cut by and rows are known by.
    pub(crate) key_columns: Vec<usize>,
    /// Those, and the columns of the key that sinks know rows by: an update that changes one of them leaves as delete
    /// and insert (correctness §3).
    pub(crate) identity_columns: Vec<usize>,
    /// Wholly Done: rows pass without a look at their keys. Set by the reader; a decoder that sees it late only
    /// computes keys that nobody asks for.
    done: AtomicBool,
    /// Per column, how many values a policy made null (correctness §7.1).
    nulled: Vec<AtomicU64>,
    /// Quarantined: nothing of it is decoded any more.
    stopped: AtomicBool,
}

impl CapturedTable {
    pub(crate) fn new(
        key: TableKey,
        meta: TableMeta,
        codec: TableCodec,
        keys: KeyCodec,
        key_columns: Vec<usize>,
    ) -> Self {
        let nulled = meta.columns.iter().map(|_| AtomicU64::new(0)).collect();
        let (done, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        let mut identity_columns = key_columns.clone();
        let sink_key = codec.schema().primary_key();
        identity_columns.extend(sink_key.iter().filter(|at| !key_columns.contains(at)));
        CapturedTable {
            nulled,
            key,
            meta,
            codec,
            keys,
            key_columns,
            identity_columns,
            done,
            stopped,
        }
    }

    pub(crate) fn id(&self) -> &TableId {
        &self.meta.id
    }

    pub(crate) fn schema(&self) -> &Arc<TableSchema> {
        self.codec.schema()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    pub(crate) fn set_done(&self) {
        self.done.store(true, Ordering::Release);
    }

    /// Counts values that a policy made null, and names each column once.
    pub(crate) fn note_nulled(&self, nulled: Vec<(usize, u64)>) {
        for (column, count) in nulled {
            let Some(counter) = self.nulled.get(column) else { continue };
            if counter.fetch_add(count, Ordering::Relaxed) == 0 {
                tracing::warn!(
                    table = %self.id(),
                    column = %self.meta.columns[column].name,
                    "values that are no date or time (such as 0000-00-00) become null; `temporal.invalid: error` and \
                     `time.out-of-range: error` stop the table instead"
                );
            }
        }
    }

    /// The columns in which values were made null.
    pub(crate) fn nulled(&self) -> impl Iterator<Item = NulledColumn> {
        self.meta.columns.iter().zip(&self.nulled).filter_map(|(column, values)| {
            let values = values.load(Ordering::Relaxed);
            (values > 0).then(|| NulledColumn {
                table: self.id().clone(),
                column: column.name.clone(),
                values,
            })
        })
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }
}

/// All captured tables of a run, by key and by name.
#[derive(Debug)]
pub(crate) struct Catalog {
    tables: Vec<Arc<CapturedTable>>,
    /// `database\0table`, folded as the server folds names.
    by_name: HashMap<Vec<u8>, usize>,
    folds_case: bool,
}

impl Catalog {
    /// `tables[i].key` is `TableKey(i)`; `folds_case`: the server's lower_case_table_names is not 0.
    pub(crate) fn new(tables: Vec<Arc<CapturedTable>>, folds_case: bool) -> Self {
        let mut catalog = Catalog { tables, by_name: HashMap::new(), folds_case };
        for (at, table) in catalog.tables.iter().enumerate() {
            let database = table.id().schema.as_deref().unwrap_or_default();
            let name = catalog.folded(database.as_bytes(), table.id().table.as_bytes());
            catalog.by_name.insert(name, at);
        }
        catalog
    }

    pub(crate) fn tables(&self) -> &[Arc<CapturedTable>] {
        &self.tables
    }

    pub(crate) fn get(&self, key: TableKey) -> &Arc<CapturedTable> {
        &self.tables[key.0 as usize]
    }

    /// By the names in the log.
    pub(crate) fn find(&self, database: &[u8], table: &[u8]) -> Option<&Arc<CapturedTable>> {
        let at = *self.by_name.get(&self.folded(database, table))?;
        self.tables.get(at)
    }

    /// All tables of a database.
    pub(crate) fn of_database(&self, database: &str) -> impl Iterator<Item = &Arc<CapturedTable>> {
        self.tables.iter().filter(move |table| {
            let own = table.id().schema.as_deref().unwrap_or_default();
            if self.folds_case { own.eq_ignore_ascii_case(database) } else { own == database }
        })
    }

    fn folded(&self, database: &[u8], table: &[u8]) -> Vec<u8> {
        let mut name = [database, &[0], table].concat();
        if self.folds_case {
            name = String::from_utf8_lossy(&name).to_lowercase().into_bytes();
        }
        name
    }
}
