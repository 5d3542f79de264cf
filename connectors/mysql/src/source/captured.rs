//! The tables that a run captures: for each its schema, codec and key order, and two flags that the log's decoder may
//! look at ahead of the reader. The decoder and the reader have a catalog each, which change at the same places of the
//! log: a row is decoded with the version in force at its position (correctness §6).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use cdc_api::{NulledColumn, TableId, TableSchema};
use cdc_incremental::TableKey;

use crate::{
    ddl::Definition, keys::KeyCodec, metadata::TableMeta, position::LogPosition, types::TableCodec,
};

/// One captured table, bound to one schema version. A new incarnation of it has another key; the versions of one
/// incarnation share their flags.
#[derive(Debug)]
pub(crate) struct CapturedTable {
    /// Its name in the snapshot machine and in the [`Catalog`].
    pub(crate) key: TableKey,
    pub(crate) meta: TableMeta,
    pub(crate) codec: TableCodec,
    pub(crate) keys: KeyCodec,
    /// Positions of the columns that chunks are cut by and rows are known by.
    pub(crate) key_columns: Vec<usize>,
    /// Those, and the columns of the key that sinks know rows by: an update that changes one of them leaves as delete
    /// and insert (correctness §3).
    pub(crate) identity_columns: Vec<usize>,
    /// What its definitions to come are told from.
    pub(crate) definition: Arc<Definition>,
    /// The definition was read from the server and holds from here on; before, none is known and no row is decoded.
    valid_from: Option<LogPosition>,
    /// Per column, how many values a policy made null (correctness §7.1).
    nulled: Vec<AtomicU64>,
    flags: Arc<Flags>,
}

#[derive(Debug, Default)]
struct Flags {
    /// Wholly Done: rows pass without a look at their keys. Set by the reader; a decoder that sees it late only
    /// computes keys that nobody asks for.
    done: AtomicBool,
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
        let mut identity_columns = key_columns.clone();
        let sink_key = codec.schema().primary_key();
        identity_columns.extend(sink_key.iter().filter(|at| !key_columns.contains(at)));
        CapturedTable {
            key,
            definition: Arc::new(Definition::new(meta.clone(), None, Vec::new())),
            meta,
            codec,
            keys,
            key_columns,
            identity_columns,
            valid_from: None,
            nulled,
            flags: Arc::default(),
        }
    }

    /// With all that is known of the definition.
    #[must_use]
    pub(crate) fn defined_as(mut self, definition: Arc<Definition>) -> Self {
        self.definition = definition;
        self
    }

    /// The definition holds from this position on only.
    #[must_use]
    pub(crate) fn valid_from(mut self, position: Option<LogPosition>) -> Self {
        self.valid_from = position;
        self
    }

    /// The next version of a table: what was copied of it, or that it stopped, holds for both.
    #[must_use]
    pub(crate) fn succeeding(mut self, before: &CapturedTable) -> Self {
        self.flags = Arc::clone(&before.flags);
        self
    }

    /// Whether the definition is known to hold at this position.
    pub(crate) fn is_valid_at(&self, position: &LogPosition) -> bool {
        self.valid_from.as_ref().is_none_or(|from| from <= position)
    }

    pub(crate) fn id(&self) -> &TableId {
        &self.meta.id
    }

    pub(crate) fn schema(&self) -> &Arc<TableSchema> {
        self.codec.schema()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.flags.done.load(Ordering::Acquire)
    }

    pub(crate) fn set_done(&self) {
        self.flags.done.store(true, Ordering::Release);
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
        self.flags.stopped.load(Ordering::Acquire)
    }

    pub(crate) fn stop(&self) {
        self.flags.stopped.store(true, Ordering::Release);
    }
}

/// All captured tables, each in its version of now, by key and by name.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    tables: BTreeMap<TableKey, Arc<CapturedTable>>,
    /// `database\0table`, folded as the server folds names.
    by_name: HashMap<Vec<u8>, TableKey>,
    folds_case: bool,
}

impl Catalog {
    /// `folds_case`: the server's lower_case_table_names is not 0.
    pub(crate) fn new(tables: Vec<Arc<CapturedTable>>, folds_case: bool) -> Self {
        let mut catalog = Catalog { tables: BTreeMap::new(), by_name: HashMap::new(), folds_case };
        for table in tables {
            catalog.put(table);
        }
        catalog
    }

    /// A new table, or a new version of one.
    pub(crate) fn put(&mut self, table: Arc<CapturedTable>) {
        self.by_name.insert(self.name_of(table.id()), table.key);
        self.tables.insert(table.key, table);
    }

    /// Takes a table out. Its name may belong to another by then.
    pub(crate) fn remove(&mut self, key: TableKey) -> Option<Arc<CapturedTable>> {
        let table = self.tables.remove(&key)?;
        let name = self.name_of(table.id());
        if self.by_name.get(&name) == Some(&key) {
            self.by_name.remove(&name);
        }
        Some(table)
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<CapturedTable>> {
        self.tables.values()
    }

    pub(crate) fn get(&self, key: TableKey) -> Option<&Arc<CapturedTable>> {
        self.tables.get(&key)
    }

    /// By the names in the log.
    pub(crate) fn find(&self, database: &[u8], table: &[u8]) -> Option<&Arc<CapturedTable>> {
        self.tables.get(self.by_name.get(&self.folded(database, table))?)
    }

    /// By its id.
    pub(crate) fn find_id(&self, id: &TableId) -> Option<&Arc<CapturedTable>> {
        self.find(id.schema.as_deref().unwrap_or_default().as_bytes(), id.table.as_bytes())
    }

    /// All tables of a database.
    pub(crate) fn of_database(&self, database: &str) -> impl Iterator<Item = &Arc<CapturedTable>> {
        self.tables().filter(move |table| {
            let own = table.id().schema.as_deref().unwrap_or_default();
            if self.folds_case { own.eq_ignore_ascii_case(database) } else { own == database }
        })
    }

    fn name_of(&self, id: &TableId) -> Vec<u8> {
        self.folded(id.schema.as_deref().unwrap_or_default().as_bytes(), id.table.as_bytes())
    }

    fn folded(&self, database: &[u8], table: &[u8]) -> Vec<u8> {
        let mut name = [database, &[0], table].concat();
        if self.folds_case {
            name = String::from_utf8_lossy(&name).to_lowercase().into_bytes();
        }
        name
    }
}
