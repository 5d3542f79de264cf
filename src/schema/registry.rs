//! The tables on both sides: which source tables there are, which sink tables they feed, and what each sink table looks
//! like by now. In: what happens to source tables. Out: what is to be done to sink tables, and rows under their schemas.
//! Pure; kept in every checkpoint.

use std::{collections::BTreeMap, sync::Arc};

use cdc_api::{ChangeBatch, Error, Result, SchemaChange, SchemaChangeKind, TableId, TableSchema};
use serde::{Deserialize, Serialize};

pub(crate) use super::derive::Rules;
use super::{
    coerce::Coercion,
    derive::{self, Columns, Derived},
};
use crate::{definition::SchemaChangeBehavior, route::RouteTable};

/// What a checkpoint keeps of the tables.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryState {
    sources: Vec<SourceState>,
    sinks: Vec<SinkState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceState {
    schema: Arc<TableSchema>,
    sinks: Vec<TableId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SinkState {
    schema: Arc<TableSchema>,
    next_column_id: u32,
}

/// Something to be done to a sink table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SinkChange {
    /// In the sink's names.
    pub(crate) change: SchemaChange,
    /// Rows that are on their way need not be committed before.
    pub(crate) is_additive: bool,
    /// The target itself is not touched: only the rows look different.
    pub(crate) is_quiet: bool,
    /// The kinds of changes in it, for the log.
    pub(crate) kinds: Vec<&'static str>,
}

struct Source {
    schema: Arc<TableSchema>,
    sinks: Vec<TableId>,
    /// How its rows become the sinks' rows, one a sink.
    coercions: Vec<Arc<Coercion>>,
    /// Whether its rows come. A table that the file does not name any more keeps its place in the sink.
    is_live: bool,
}

struct Sink {
    schema: Arc<TableSchema>,
    next_column_id: u32,
}

/// All tables of a pipeline.
pub(crate) struct Registry {
    routes: RouteTable,
    rules: Rules,
    sources: BTreeMap<TableId, Source>,
    sinks: BTreeMap<TableId, Sink>,
}

impl Registry {
    /// `state`: of the checkpoint that the run goes on from.
    pub(crate) fn new(routes: RouteTable, rules: Rules, state: RegistryState) -> Self {
        let sinks = state.sinks.into_iter().map(|sink| {
            let SinkState { schema, next_column_id } = sink;
            (schema.id().clone(), Sink { schema, next_column_id })
        });
        let sources = state.sources.into_iter().map(|source| {
            let SourceState { schema, sinks } = source;
            let source = Source {
                schema: Arc::clone(&schema),
                sinks,
                coercions: Vec::new(),
                is_live: false,
            };
            (schema.id().clone(), source)
        });
        Registry { routes, rules, sources: sources.collect(), sinks: sinks.collect() }
    }

    /// For a checkpoint.
    pub(crate) fn state(&self) -> RegistryState {
        RegistryState {
            sources: self
                .sources
                .values()
                .map(|source| SourceState {
                    schema: Arc::clone(&source.schema),
                    sinks: source.sinks.clone(),
                })
                .collect(),
            sinks: self
                .sinks
                .values()
                .map(|sink| SinkState {
                    schema: Arc::clone(&sink.schema),
                    next_column_id: sink.next_column_id,
                })
                .collect(),
        }
    }

    /// A table goes on as the checkpoint has it.
    ///
    /// # Errors
    /// `Operator` when the pipeline file now routes it elsewhere.
    pub(crate) fn resumed(&mut self, schema: &Arc<TableSchema>) -> Result<Vec<SinkChange>> {
        let id = schema.id();
        let sinks = self.routes.sink_tables(id)?;
        let Some(source) = self.sources.get_mut(id) else {
            // Its rows are in the source's state; only its creation was not told yet.
            return self.create(schema);
        };
        if source.sinks != sinks {
            let names = |ids: &[TableId]| {
                ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", ")
            };
            return Err(Error::operator(format!("table \"{id}\" does not fit its checkpoint any more"))
                .detail(format!(
                    "the checkpoint was written to {}; the pipeline file now gives {}",
                    names(&source.sinks),
                    names(&sinks)
                ))
                .hint("undo the change of the pipeline file, or start with an empty checkpoint storage and an empty target"));
        }
        source.is_live = true;
        let before = Arc::clone(&source.schema);
        if *before == **schema {
            self.settle(id)?;
            return Ok(Vec::new());
        }
        self.alter(&before, schema)
    }

    /// What happens to a source table, in terms of the sink tables that it feeds.
    ///
    /// # Errors
    /// `Operator` under EXCEPTION; `Config` when a route makes no name; `Data` when its rows have no form in a sink table.
    pub(crate) fn change(&mut self, change: &SchemaChange) -> Result<Vec<SinkChange>> {
        let is_create = matches!(change, SchemaChange::Create(_));
        if self.rules.behavior == SchemaChangeBehavior::Exception && !is_create {
            return Err(Error::operator(format!("table \"{}\" changed", change.table()))
                .detail(format!("{} under `schema.change.behavior: EXCEPTION`", describe(change)))
                .hint("change the sink by hand, then start with another behaviour"));
        }
        match change {
            SchemaChange::Create(schema) => self.create(schema),
            SchemaChange::Alter { before, after } => self.alter(before, after),
            SchemaChange::Recreate { after, .. } => self.recreate(after),
            SchemaChange::Truncate(schema) => self.truncate(schema),
            SchemaChange::Drop(schema) => self.drop_table(schema),
        }
    }

    /// The sink cannot make this change. Under TRY_EVOLVE its rows stay as they were; returns the schema that they have.
    ///
    /// # Errors
    /// `Operator` under the other behaviours; `Data` when rows of the new schema have no form in the old one.
    pub(crate) fn reject(
        &mut self,
        change: &SchemaChange,
        why: &str,
    ) -> Result<Option<Arc<TableSchema>>> {
        let id = change.table().clone();
        if self.rules.behavior != SchemaChangeBehavior::TryEvolve {
            return Err(Error::operator(format!("sink table \"{id}\" cannot follow: {}", describe(change)))
                .detail(why.to_owned())
                .hint("keep such changes from the sink with `exclude.schema.changes`, or live with its old schema by \
                       `schema.change.behavior: TRY_EVOLVE`"));
        }
        tracing::warn!(table = %id, why, "the sink cannot follow; rows are brought to its old schema");
        let (SchemaChange::Alter { before, .. }, Some(sink)) = (change, self.sinks.get_mut(&id))
        else {
            return Ok(None);
        };
        // Columns that rows do not fill any more may be null, but for those of the key.
        let mut columns = before.columns().to_vec();
        for (at, column) in columns.iter_mut().enumerate() {
            column.nullable |= !before.primary_key().contains(&at);
        }
        let (key, partitions) = (before.primary_key().to_vec(), before.partition_keys().to_vec());
        let schema =
            before.with_columns(columns, key, partitions)?.with_version(sink.schema.version() + 1);
        sink.schema = Arc::new(schema);
        let schema = Arc::clone(&sink.schema);
        self.settle_feeders(&id)?;
        Ok(Some(schema))
    }

    /// The schema that rows of a sink table have.
    pub(crate) fn sink_schema(&self, id: &TableId) -> Option<&Arc<TableSchema>> {
        self.sinks.get(id).map(|sink| &sink.schema)
    }

    /// The schemas of the sink tables that a source table feeds.
    pub(crate) fn sinks_of_source(&self, id: &TableId) -> Vec<Arc<TableSchema>> {
        let sinks = self.sources.get(id).map(|source| source.sinks.as_slice()).unwrap_or_default();
        sinks.iter().filter_map(|sink| self.sink_schema(sink).cloned()).collect()
    }

    /// A batch under the names and schemas of its sink tables.
    ///
    /// # Errors
    /// `Data` for a value that does not fit; `Internal` for rows ahead of their schema.
    pub(crate) fn route(&self, batch: ChangeBatch) -> Result<Vec<ChangeBatch>> {
        let id = batch.schema.id();
        let source = self
            .sources
            .get(id)
            .filter(|source| source.is_live && same_rows(&source.schema, &batch.schema))
            .ok_or_else(|| {
                Error::internal(format!("rows of table \"{id}\" came ahead of their schema"))
            })?;
        let mut routed = Vec::with_capacity(source.sinks.len());
        for (sink, coercion) in source.sinks.iter().zip(&source.coercions) {
            let schema = &self.sink(sink)?.schema;
            let rows = coercion.apply(&batch, schema)?;
            routed.push(ChangeBatch { schema: Arc::clone(schema), rows, ..batch.clone() });
        }
        Ok(routed)
    }

    /// Whether several source tables feed a sink table, or have fed it: its rows have to be merged by their order, and
    /// what happens to one of them as a whole is not the sink table's fate.
    pub(crate) fn is_merged(&self, sink: &TableId) -> bool {
        self.sources.values().filter(|source| source.sinks.contains(sink)).count() > 1
    }

    /// The source tables whose rows go to a sink table.
    pub(crate) fn feeders(&self, sink: &TableId) -> Vec<TableId> {
        let feeds = |source: &&Source| source.is_live && source.sinks.contains(sink);
        self.sources.values().filter(feeds).map(|source| source.schema.id().clone()).collect()
    }

    fn sink(&self, id: &TableId) -> Result<&Sink> {
        self.sinks
            .get(id)
            .ok_or_else(|| Error::internal(format!("sink table \"{id}\" has no schema")))
    }

    fn create(&mut self, schema: &Arc<TableSchema>) -> Result<Vec<SinkChange>> {
        let id = schema.id().clone();
        let sinks = self.routes.sink_tables(&id)?;
        self.sources.insert(
            id.clone(),
            Source {
                schema: Arc::clone(schema),
                sinks: sinks.clone(),
                coercions: Vec::new(),
                is_live: true,
            },
        );
        let mut changes = Vec::new();
        for sink in sinks {
            changes.extend(match self.sinks.contains_key(&sink) {
                false => Some(self.create_sink(&sink, schema)?),
                true if self.is_merged(&sink) => self.widen_sink(&sink, schema)?,
                // This pipeline wrote to it before: those rows are void.
                true => Some(self.begin_sink_anew(&sink, schema)?),
            });
        }
        self.settle(&id)?;
        Ok(changes)
    }

    fn create_sink(&mut self, sink: &TableId, schema: &TableSchema) -> Result<SinkChange> {
        let columns = Columns::of(schema);
        let after = Arc::new(
            schema
                .with_columns(
                    columns.columns,
                    schema.primary_key().to_vec(),
                    schema.partition_keys().to_vec(),
                )?
                .with_id(sink.clone())
                .with_version(1),
        );
        let next_column_id = columns.next_id;
        self.sinks.insert(sink.clone(), Sink { schema: Arc::clone(&after), next_column_id });
        Ok(SinkChange {
            change: SchemaChange::Create(after),
            is_additive: true,
            is_quiet: false,
            kinds: vec![SchemaChangeKind::CreateTable.word()],
        })
    }

    fn begin_sink_anew(&mut self, sink: &TableId, schema: &TableSchema) -> Result<SinkChange> {
        let known = self.sink(sink)?;
        let before = Arc::clone(&known.schema);
        // Ids go on: a column of the new incarnation is none of the old.
        let mut columns = Columns::of(schema);
        for column in &mut columns.columns {
            column.id += known.next_column_id;
        }
        let next_column_id = columns.next_id + known.next_column_id;
        let after = schema
            .with_columns(
                columns.columns,
                schema.primary_key().to_vec(),
                schema.partition_keys().to_vec(),
            )?
            .with_id(sink.clone())
            .with_version(before.version() + 1)
            .with_generation(before.generation() + 1);
        let after = Arc::new(after);
        self.sinks.insert(sink.clone(), Sink { schema: Arc::clone(&after), next_column_id });
        tracing::info!(table = %sink, "the sink table is emptied: its source table begins anew");
        Ok(SinkChange {
            change: SchemaChange::Recreate { before: Arc::clone(&before), after },
            is_additive: false,
            is_quiet: false,
            kinds: vec!["recreate"],
        })
    }

    fn widen_sink(&mut self, sink: &TableId, schema: &TableSchema) -> Result<Option<SinkChange>> {
        let known = self.sink(sink)?;
        let derived = derive::merge(&known.schema, known.next_column_id, schema);
        let key = key_names(&known.schema);
        self.take(sink, derived, &key)
    }

    fn alter(
        &mut self,
        before: &Arc<TableSchema>,
        after: &Arc<TableSchema>,
    ) -> Result<Vec<SinkChange>> {
        let id = after.id().clone();
        let Some(source) = self.sources.get_mut(&id) else {
            return Err(Error::internal(format!("table \"{id}\" changed and is not known")));
        };
        source.schema = Arc::clone(after);
        let mut changes = Vec::new();
        for sink in source.sinks.clone() {
            if self.is_merged(&sink) {
                changes.extend(self.widen_sink(&sink, after)?);
                continue;
            }
            let known = self.sink(&sink)?;
            let derived =
                derive::alter(&known.schema, known.next_column_id, before, after, &self.rules);
            let key = key_names(after);
            changes.extend(self.take(&sink, derived, &key)?);
        }
        self.settle(&id)?;
        Ok(changes)
    }

    /// Gives a sink table its derived columns; none when nothing is different.
    fn take(
        &mut self,
        sink: &TableId,
        derived: Derived,
        key: &[String],
    ) -> Result<Option<SinkChange>> {
        let known = self.sink(sink)?;
        let before = Arc::clone(&known.schema);
        let Derived { columns, comment, applied, ignored, is_additive } = derived;
        for kind in &ignored {
            tracing::info!(table = %sink, change = kind, "schema change kept from the sink");
        }
        let positions = |names: &[String]| -> Vec<usize> {
            names
                .iter()
                .filter_map(|name| columns.columns.iter().position(|column| column.name == *name))
                .collect()
        };
        let mut primary_key = positions(key);
        if primary_key.len() != key.len() {
            // A key column that the sink does not have: the key stays as it was.
            primary_key = positions(&key_names(&before));
        }
        let partitions: Vec<String> =
            before.partition_keys().iter().map(|&at| before.columns()[at].name.clone()).collect();
        let partition_keys = positions(&partitions);
        let Columns { columns, next_id } = columns;
        let after =
            before.with_columns(columns, primary_key, partition_keys)?.with_comment(comment);
        if after == *before {
            return Ok(None);
        }
        let same_key = after.primary_key_names().eq(before.primary_key_names());
        let after = Arc::new(after.with_version(before.version() + 1));
        self.sinks
            .insert(sink.clone(), Sink { schema: Arc::clone(&after), next_column_id: next_id });
        self.settle_feeders(sink)?;
        Ok(Some(SinkChange {
            change: SchemaChange::Alter { before: Arc::clone(&before), after },
            is_additive: is_additive && same_key,
            is_quiet: applied.is_empty() && same_key,
            kinds: applied.into_iter().collect(),
        }))
    }

    fn recreate(&mut self, schema: &Arc<TableSchema>) -> Result<Vec<SinkChange>> {
        let id = schema.id().clone();
        let Some(source) = self.sources.get_mut(&id) else { return self.create(schema) };
        source.schema = Arc::clone(schema);
        source.is_live = true;
        let mut changes = Vec::new();
        for sink in source.sinks.clone() {
            if self.is_merged(&sink) {
                tracing::warn!(
                    table = %id,
                    sink = %sink,
                    "the table begins anew; the sink table is fed by others too and is not emptied: rows that are gone at \
                     the source stay in it, the others come again as inserts"
                );
                changes.extend(self.widen_sink(&sink, schema)?);
            } else {
                changes.push(self.begin_sink_anew(&sink, schema)?);
            }
        }
        self.settle(&id)?;
        Ok(changes)
    }

    fn truncate(&mut self, schema: &Arc<TableSchema>) -> Result<Vec<SinkChange>> {
        let kind = SchemaChangeKind::TruncateTable;
        let mut changes = Vec::new();
        for sink in self.sinks_of(schema.id(), kind) {
            let Some(known) = self.sinks.get_mut(&sink) else { continue };
            let before = Arc::clone(&known.schema);
            let after = TableSchema::clone(&before)
                .with_version(before.version() + 1)
                .with_generation(before.generation() + 1);
            known.schema = Arc::new(after);
            changes.push(SinkChange {
                change: SchemaChange::Truncate(Arc::clone(&known.schema)),
                is_additive: false,
                is_quiet: false,
                kinds: vec![kind.word()],
            });
        }
        self.settle(schema.id())?;
        Ok(changes)
    }

    fn drop_table(&mut self, schema: &Arc<TableSchema>) -> Result<Vec<SinkChange>> {
        let kind = SchemaChangeKind::DropTable;
        let mut changes = Vec::new();
        for sink in self.sinks_of(schema.id(), kind) {
            let known = self.sink(&sink)?;
            changes.push(SinkChange {
                change: SchemaChange::Drop(Arc::clone(&known.schema)),
                is_additive: false,
                is_quiet: false,
                kinds: vec![kind.word()],
            });
        }
        // Its sink tables stay known, so that a table that takes its name begins them anew.
        if let Some(source) = self.sources.get_mut(schema.id()) {
            source.is_live = false;
        }
        Ok(changes)
    }

    /// The sink tables that a change of this kind reaches: none that others feed too (correctness §6, "Many into one").
    fn sinks_of(&self, id: &TableId, kind: SchemaChangeKind) -> Vec<TableId> {
        let Some(source) = self.sources.get(id) else { return Vec::new() };
        let mut reached = Vec::new();
        for sink in &source.sinks {
            if self.is_merged(sink) {
                tracing::warn!(
                    table = %id,
                    sink = %sink,
                    change = kind.word(),
                    "the change does not reach the sink table, which other tables feed too: its rows of this table stay"
                );
            } else if self.rules.allow(kind) {
                reached.push(sink.clone());
            } else {
                tracing::info!(table = %sink, change = kind.word(), "schema change kept from the sink");
            }
        }
        reached
    }

    /// Makes the coercions of a source table anew.
    fn settle(&mut self, id: &TableId) -> Result<()> {
        let Some(source) = self.sources.get(id).filter(|source| source.is_live) else {
            return Ok(());
        };
        let mut coercions = Vec::with_capacity(source.sinks.len());
        for sink in &source.sinks {
            coercions.push(Arc::new(Coercion::plan(&source.schema, &self.sink(sink)?.schema)?));
        }
        if let Some(source) = self.sources.get_mut(id) {
            source.coercions = coercions;
        }
        Ok(())
    }

    /// Rows that were routed ahead of a change, which the sink may have refused, as the sink's table takes them now.
    ///
    /// # Errors
    /// `Data` for a value that does not fit.
    pub(crate) fn fitted(&self, batch: ChangeBatch) -> Result<ChangeBatch> {
        let schema = &self.sink(batch.schema.id())?.schema;
        if same_rows(schema, &batch.schema) {
            return Ok(batch);
        }
        let rows = Coercion::plan(&batch.schema, schema)?.apply(&batch, schema)?;
        Ok(ChangeBatch { schema: Arc::clone(schema), rows, ..batch })
    }

    fn settle_feeders(&mut self, sink: &TableId) -> Result<()> {
        self.feeders(sink).iter().try_for_each(|id| self.settle(id))
    }
}

fn key_names(schema: &TableSchema) -> Vec<String> {
    schema.primary_key_names().map(str::to_owned).collect()
}

/// Whether rows of both look alike: comments and defaults aside.
fn same_rows(known: &Arc<TableSchema>, batch: &Arc<TableSchema>) -> bool {
    Arc::ptr_eq(known, batch) || known.arrow() == batch.arrow()
}

/// A change in words.
fn describe(change: &SchemaChange) -> &'static str {
    match change {
        SchemaChange::Create(_) => "it was created",
        SchemaChange::Alter { .. } => "its columns were altered",
        SchemaChange::Truncate(_) => "it was truncated",
        SchemaChange::Recreate { .. } => "it was replaced by another",
        SchemaChange::Drop(_) => "it was dropped",
    }
}
