//! From a table's description to a table that can be captured: schema, codec, key order and charsets, for one version.
//! At a start for all tables, and again whenever the log changes one.

use std::sync::Arc;

use cdc_api::{Error, Result, TableSchema};
use cdc_incremental::{Bound, TableKey};

use super::{CapturedTable, Questions, Session, Weigher};
use crate::{
    charset::{Charset, Charsets, load_queries},
    config::{MySqlConfig, StartupMode},
    ddl::Definition,
    keys::{KeyCodec, KeyLiteral},
    metadata::{self, ServerInfo, TableMeta},
    snapshot::first_cuts,
    types::{self, TableCodec},
    wire::Connection,
};

/// A table is first cut into so many segments per reader, so that a skewed one still ends evenly.
const SEGMENTS_PER_READER: usize = 4;

/// Binds tables one by one, and gives each incarnation its key. The server is asked only for what is not known yet, mostly
/// nothing: the log goes on without a round trip.
pub(crate) struct Binder {
    config: Arc<MySqlConfig>,
    info: ServerInfo,
    questions: Questions,
    charsets: Arc<Charsets>,
    readers: usize,
    key_next: u32,
}

impl Binder {
    /// `readers`: how many chunk readers a table's first cuts are for.
    pub(crate) fn new(
        config: Arc<MySqlConfig>,
        info: ServerInfo,
        session: Session,
        readers: usize,
    ) -> Self {
        let questions = Questions::new(session);
        Binder { config, info, questions, charsets: Arc::default(), readers, key_next: 0 }
    }

    /// What the binder asks by.
    pub(crate) fn questions(&mut self) -> &mut Questions {
        &mut self.questions
    }

    pub(crate) fn info(&self) -> &ServerInfo {
        &self.info
    }

    pub(crate) fn config(&self) -> &MySqlConfig {
        &self.config
    }

    /// The charsets of all tables bound so far.
    pub(crate) fn charsets(&self) -> &Arc<Charsets> {
        &self.charsets
    }

    /// The key of a new incarnation.
    pub(crate) fn next_key(&mut self) -> Result<TableKey> {
        let key = TableKey(self.key_next);
        self.key_next = self
            .key_next
            .checked_add(1)
            .ok_or_else(|| Error::internal("more than 2^32 tables were captured"))?;
        Ok(key)
    }

    /// The columns that chunks are cut by: the user's choice where it can serve, else the key of the rows
    /// (correctness §3). A table that cannot be captured is refused by name.
    pub(crate) fn chunk_key(&self, meta: &TableMeta) -> Result<Vec<usize>> {
        chunk_key(&self.config, meta)
    }

    /// Binds a definition.
    ///
    /// # Errors
    /// `Data` for a table that cannot be captured; the connection's.
    pub(crate) async fn bind(
        &mut self,
        key: TableKey,
        definition: Arc<Definition>,
        version: u32,
        key_columns: Vec<usize>,
    ) -> Result<CapturedTable> {
        let meta = definition.meta.clone();
        let flavor = self.info.flavor;
        if !self.has_charsets(&meta) {
            let mut connection = self.questions.ask().await?;
            self.load_charsets(&mut connection, &meta).await?;
            self.questions.answered(connection);
        }
        let mut keys = key_codec(&meta, &key_columns, flavor)?;
        if let Some(probe) = keys.probe_query() {
            let mut connection = self.questions.ask().await?;
            let rows = connection.query(&probe).await?;
            self.questions.answered(connection);
            let row = rows.first();
            let cells: Vec<Option<&[u8]>> =
                (0..rows.names().len()).map(|at| row.and_then(|row| row.at(at))).collect();
            keys.learn(&cells).map_err(|error| Error::data(meta.id.clone(), error.to_string()))?;
        }
        let options = &self.config.types;
        let schema = types::table_schema(&meta, flavor, options, version, self.config.comments)?;
        let schema = with_ids(&schema, &definition.ids)?;
        let codec =
            TableCodec::new(&meta, Arc::new(schema), &self.config.types, flavor, &*self.charsets)?;
        let table = CapturedTable::new(key, meta, codec, keys, key_columns);
        Ok(table.defined_as(definition))
    }

    /// Where to cut a table that is to be copied, so that several readers can work on it.
    pub(crate) async fn first_cuts(
        &mut self,
        weigher: &mut Weigher,
        table: &CapturedTable,
    ) -> Result<Vec<Bound<KeyLiteral>>> {
        if self.config.startup == StartupMode::LatestOffset || self.readers < 2 {
            return Ok(Vec::new());
        }
        let segments = self.readers * SEGMENTS_PER_READER;
        let mut connection = self.questions.ask().await?;
        match first_cuts(&mut connection, weigher, table, segments).await {
            Ok(cuts) => {
                self.questions.answered(connection);
                Ok(cuts)
            }
            // The table is another by now, as the log will say: until then it is one piece.
            Err(error) if !error.is_transient() => {
                tracing::debug!(table = %table.id(), error = %error, "a table is not cut");
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the charsets that a table's texts need are there.
    fn has_charsets(&self, meta: &TableMeta) -> bool {
        self.charsets.has_collations() && charsets_of(meta).all(|name| self.charsets.has(name))
    }

    /// Loads the charsets that a table's texts need and that are not there yet.
    async fn load_charsets(&mut self, connection: &mut Connection, meta: &TableMeta) -> Result<()> {
        let mut charsets = Charsets::clone(&self.charsets);
        if !charsets.has_collations() {
            load_collations(connection, &self.info, &mut charsets).await;
        }
        for name in charsets_of(meta) {
            load_charset(connection, name, &mut charsets).await?;
        }
        self.charsets = Arc::new(charsets);
        Ok(())
    }
}

fn charsets_of(meta: &TableMeta) -> impl Iterator<Item = &str> {
    meta.columns.iter().filter_map(|column| column.charset.as_deref())
}

/// The columns with the ids that they have in this incarnation.
fn with_ids(schema: &TableSchema, ids: &[u32]) -> Result<TableSchema> {
    let mut columns = schema.columns().to_vec();
    for (column, id) in columns.iter_mut().zip(ids) {
        column.id = *id;
    }
    schema.with_columns(columns, schema.primary_key().to_vec(), schema.partition_keys().to_vec())
}

/// The server's collations with their numbers, as the log names charsets.
async fn load_collations(connection: &mut Connection, info: &ServerInfo, charsets: &mut Charsets) {
    for query in Charsets::collation_queries(info.flavor) {
        let Ok(rows) = connection.query(query).await else { continue };
        charsets.set_collations(rows.iter().filter_map(|row| {
            let id = row.text_at(0)?.parse().ok()?;
            Some((id, row.text_at(1)?))
        }));
        return;
    }
}

/// The server's own table of a charset that is no Unicode.
async fn load_charset(
    connection: &mut Connection,
    name: &str,
    charsets: &mut Charsets,
) -> Result<()> {
    if charsets.has(name) {
        return Ok(());
    }
    let mut rows = Vec::new();
    let queries = load_queries(name).map_err(|error| Error::internal(error.to_string()))?;
    for query in queries {
        let result = connection.query(&query).await?;
        rows.extend(result.iter().filter_map(|row| row.at(0).map(<[u8]>::to_vec)));
    }
    let charset = Charset::from_results(name, rows).map_err(|error| {
        Error::operator("a character set cannot be read").detail(error.to_string())
    })?;
    charsets.insert(name, charset);
    Ok(())
}

pub(crate) fn key_codec(
    meta: &TableMeta,
    columns: &[usize],
    flavor: types::Flavor,
) -> Result<KeyCodec> {
    KeyCodec::new(meta, columns, flavor).map_err(|refused| {
        Error::data(meta.id.clone(), refused.to_string())
            .hint("give the table a primary key of integers, decimals, text, bytes, UUIDs or times")
    })
}

/// See [`Binder::chunk_key`].
pub(crate) fn chunk_key(config: &MySqlConfig, meta: &TableMeta) -> Result<Vec<usize>> {
    if let Some((reason, remedy)) = metadata::refusal(meta) {
        return Err(Error::data(meta.id.clone(), reason)
            .hint(format!("{remedy}, or leave the table out with `tables.exclude`")));
    }
    let own = types::key_columns(meta);
    let Some(name) = config.chunk_keys.column(&meta.id)? else { return Ok(own.to_vec()) };
    let chosen = meta.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let is_unique =
        |at: usize| meta.primary_key == [at] || meta.unique_keys.iter().any(|key| *key == [at]);
    match chosen {
        Some(at) if !meta.columns[at].nullable && is_unique(at) => Ok(vec![at]),
        _ => {
            tracing::info!(
                table = %meta.id,
                column = name,
                "the chunk key column is not a NOT NULL unique key of its own; the table's key is used"
            );
            Ok(own.to_vec())
        }
    }
}
