//! Follows definitions: what a statement in the log means to the tables that are captured (correctness §6).
//!
//! In: statements, in the log's order, and TABLE_MAPs that contradict what is known. Out: changes of tables, each with the
//! version that is in force behind it. Where the statement itself does not tell, the definition is read from the server:
//! then it holds from the log's end of that moment on, nothing of the table is decoded before, and its rows are copied
//! anew (a new incarnation).

use std::{collections::HashMap, sync::Arc};

use cdc_api::{Error, ErrorKind, Result, TableId};
use cdc_incremental::TableKey;

use super::{event::Query, server::log_end};
use crate::{
    ddl::{self, Alteration, Definition, Effect, Tracker},
    metadata,
    position::{Gtids, LogPosition},
    snapshot::prove_passed,
    source::{Binder, CapturedTable, Catalog, TableChange, Weigher},
};

/// A table whose definition the log contradicts more often is stopped.
const CONTRADICTIONS_MAX: u32 = 3;

/// A statement that defines tables or databases, out of the log.
#[derive(Debug, Clone)]
pub(crate) struct Redefinition {
    /// The tables that it names, as far as they matter.
    names: Vec<TableId>,
    database: Vec<u8>,
    status: Vec<u8>,
    text: Vec<u8>,
    /// The statement's beginning, to be shown.
    shown: String,
}

impl Redefinition {
    pub(crate) fn of(query: &Query<'_>, names: Vec<TableId>, shown: String) -> Self {
        Redefinition {
            names,
            database: query.database.to_vec(),
            status: query.status.to_vec(),
            text: query.text.to_vec(),
            shown,
        }
    }
}

/// Where the log stands when a statement is followed.
pub(crate) struct Place<'p> {
    /// Behind the statement, or behind the last transaction when it is inside one.
    pub(crate) position: &'p LogPosition,
    /// All that was passed, the statement with it.
    pub(crate) gtids: &'p Gtids,
}

/// Keeps the definitions of a run's tables up with the log.
pub(crate) struct Follower {
    binder: Binder,
    tracker: Tracker,
    /// How often the log contradicted a table's definition.
    contradictions: HashMap<TableId, u32>,
}

impl Follower {
    /// `collations`: the databases' defaults.
    pub(crate) fn new(binder: Binder, catalog: &Catalog, collations: &[(String, String)]) -> Self {
        let mut tracker = Tracker::new(ddl::Session::of_server(binder.info()))
            .following_online_changes(binder.config().online_changes);
        for (database, collation) in collations {
            tracker.put_database(database, collation);
        }
        for table in catalog.tables() {
            tracker.put(Definition::clone(&table.definition));
        }
        Follower { binder, tracker, contradictions: HashMap::new() }
    }

    pub(crate) fn binder(&self) -> &Binder {
        &self.binder
    }

    /// Whether a table of this name is captured when there is one.
    fn captures(&self, id: &TableId) -> Result<bool> {
        self.binder.config().tables.is_match(id)
    }

    /// What a statement means.
    pub(crate) async fn statement(
        &mut self,
        statement: &Redefinition,
        catalog: &Catalog,
        weigher: &mut Weigher,
        place: &Place<'_>,
    ) -> Result<Vec<TableChange>> {
        let why = format!("`{}` at {}", statement.shown, place.position);
        for id in &statement.names {
            // Asked for its error: a pattern that ran out of steps.
            self.captures(id)?;
        }
        let mut view = catalog.clone();
        // Of a table whose definition holds only further on, what it is here is not known.
        let is_ahead = |id: &TableId| {
            catalog.find_id(id).is_some_and(|table| !table.is_valid_at(place.position))
        };
        let (effects, mut doubtful) = if statement.names.iter().any(is_ahead) {
            (Vec::new(), statement.names.clone())
        } else {
            let session = self.tracker.base().of_statement(&statement.database, &statement.status);
            let filter = &self.binder.config().tables;
            let captures = |id: &TableId| {
                catalog.find_id(id).is_some() || filter.is_match(id).unwrap_or(false)
            };
            let outcome = self.tracker.apply(&session, &statement.text, &captures);
            let mut doubtful = Vec::new();
            for doubt in outcome.doubts {
                tracing::info!(
                    why,
                    reason = doubt.reason,
                    "a statement does not tell all: asking the server"
                );
                doubtful.extend(
                    doubt.tables.unwrap_or_else(|| {
                        catalog.tables().map(|table| table.id().clone()).collect()
                    }),
                );
            }
            (outcome.effects, doubtful)
        };
        let mut changes = Vec::new();
        for effect in effects {
            for change in self.effect(effect, &view, weigher, place, &why).await? {
                change.apply(&mut view);
                changes.push(change);
            }
        }
        doubtful.dedup();
        for id in doubtful {
            let known = view.find_id(&id).cloned();
            if known.is_none() && !self.captures(&id)? {
                continue;
            }
            if let Some(change) = self.read_anew(&id, known, weigher, place, &why).await? {
                change.apply(&mut view);
                changes.push(change);
            }
        }
        Ok(changes)
    }

    /// What the tracker told of one table.
    async fn effect(
        &mut self,
        effect: Effect,
        view: &Catalog,
        weigher: &mut Weigher,
        place: &Place<'_>,
        why: &str,
    ) -> Result<Vec<TableChange>> {
        let known = |id: &TableId| view.find_id(id).cloned();
        let begins = |table: &Arc<Definition>, born: bool| Beginning {
            definition: Arc::clone(table),
            replaces: known(&table.meta.id),
            born,
            valid_from: None,
        };
        let mut changes = Vec::new();
        match effect {
            Effect::Created { table, .. } => {
                changes.push(self.begin(begins(&table, true), weigher, place, why).await?);
            }
            Effect::Replaced { after, .. } => {
                changes.push(self.begin(begins(&after, false), weigher, place, why).await?);
            }
            Effect::Renamed { from, table } => {
                changes.extend(known(&from).map(TableChange::Drop));
                if self.captures(&table.meta.id)? {
                    changes.push(self.begin(begins(&table, false), weigher, place, why).await?);
                }
            }
            Effect::Truncated(table) => {
                changes.extend(known(&table.meta.id).map(TableChange::Truncate));
            }
            Effect::Dropped(table) => {
                changes.extend(known(&table.meta.id).map(TableChange::Drop));
            }
            Effect::Altered(alteration) => {
                let before = known(&alteration.after.meta.id);
                match before {
                    // It stopped, and is released only by a new incarnation, which this is when values changed.
                    Some(before)
                        if before.is_stopped()
                            && (alteration.values.is_empty() || !self.binder.config().recopies) => {
                    }
                    Some(before) if self.keeps_rows(&before, &alteration)? => {
                        changes.push(self.alter(before, &alteration.after).await?);
                    }
                    _ => {
                        let why = match alteration.values.first() {
                            Some(value) => format!(
                                "{why}, which changes values without row events ({value:?})"
                            ),
                            None => why.to_owned(),
                        };
                        let beginning = begins(&alteration.after, false);
                        changes.push(self.begin(beginning, weigher, place, &why).await?);
                    }
                }
            }
        }
        Ok(changes)
    }

    /// Whether what was copied of a table, and is in the sink, stays right (correctness §6).
    fn keeps_rows(&self, before: &CapturedTable, change: &Alteration) -> Result<bool> {
        if !change.values.is_empty() && self.binder.config().recopies {
            return Ok(false);
        }
        if before.is_done() {
            return Ok(true);
        }
        let Ok(columns) = self.binder.chunk_key(&change.after.meta) else { return Ok(true) };
        let ids = |columns: &[usize], definition: &Definition| -> Vec<Option<u32>> {
            columns.iter().map(|&at| definition.ids.get(at).copied()).collect()
        };
        Ok(!change.key_changed
            && ids(&columns, &change.after) == ids(&before.key_columns, &before.definition))
    }

    /// The same rows under another definition.
    async fn alter(
        &mut self,
        before: Arc<CapturedTable>,
        after: &Arc<Definition>,
    ) -> Result<TableChange> {
        let version = before.schema().version() + 1;
        match self.bind(before.key, Arc::clone(after), version).await {
            Ok(table) => {
                let table = Arc::new(table.succeeding(&before));
                Ok(TableChange::Alter { before, table })
            }
            Err(error) => refused(before.id().clone(), Some(before), error),
        }
    }

    /// Tables were emptied without row events.
    pub(crate) async fn truncated(
        &mut self,
        tables: Vec<Arc<CapturedTable>>,
        shown: &str,
        weigher: &mut Weigher,
        place: &Place<'_>,
    ) -> Result<Vec<TableChange>> {
        let mut changes = Vec::new();
        for table in tables {
            // Of what has no definition here nothing is read yet, and nothing is told.
            if table.is_valid_at(place.position) {
                changes.push(TableChange::Truncate(table));
            } else {
                let (id, why) = (table.id().clone(), format!("`{shown}` at {}", place.position));
                changes.extend(self.read_anew(&id, Some(table), weigher, place, &why).await?);
            }
        }
        Ok(changes)
    }

    /// The log's second witness (correctness §6) contradicts the first.
    pub(crate) async fn contradicted(
        &mut self,
        table: Arc<CapturedTable>,
        what: &str,
        weigher: &mut Weigher,
        place: &Place<'_>,
    ) -> Result<Vec<TableChange>> {
        let why = format!("its rows before {} contradict its definition: {what}", place.position);
        let id = table.id().clone();
        let count = self.contradictions.entry(id.clone()).or_default();
        *count += 1;
        if *count > CONTRADICTIONS_MAX {
            return Ok(vec![TableChange::Stop {
                id,
                table: Some(table),
                reason: why,
                remedy: "report it with the table's definition and the server's version; then copy the table anew with \
                         an empty checkpoint storage and an empty target"
                    .into(),
            }]);
        }
        let change = self.read_anew(&id, Some(table), weigher, place, &why).await?;
        Ok(change.into_iter().collect())
    }

    /// Reads a table's definition from the server, since the log does not tell it.
    async fn read_anew(
        &mut self,
        id: &TableId,
        known: Option<Arc<CapturedTable>>,
        weigher: &mut Weigher,
        place: &Place<'_>,
        why: &str,
    ) -> Result<Option<TableChange>> {
        let mut connection = self.binder.questions().ask().await?;
        prove_passed(&mut connection, place.gtids, id).await?;
        let found = match metadata::table(&mut connection, id).await? {
            Some(meta) if self.captures(id)? => {
                metadata::definitions(&mut connection, vec![meta]).await?.pop()
            }
            _ => None,
        };
        // Read after the definition: what is not visible yet stands behind it, or is met on the way to it.
        let valid_from = log_end(&mut connection).await?;
        self.binder.questions().answered(connection);
        let Some(definition) = found else {
            // Its DROP or RENAME is still to come, or was this statement.
            self.tracker.remove(id);
            return Ok(known.map(TableChange::Drop));
        };
        self.tracker.put(definition.clone());
        let beginning = Beginning {
            definition: Arc::new(definition),
            replaces: known,
            born: false,
            valid_from: Some(valid_from),
        };
        self.begin(beginning, weigher, place, why).await.map(Some)
    }

    /// A new incarnation.
    async fn begin(
        &mut self,
        beginning: Beginning,
        weigher: &mut Weigher,
        place: &Place<'_>,
        why: &str,
    ) -> Result<TableChange> {
        let Beginning { definition, replaces, born, valid_from } = beginning;
        let id = definition.meta.id.clone();
        let version = replaces.as_ref().map_or(1, |known| known.schema().version() + 1);
        let key = self.binder.next_key()?;
        let table = match self.bind(key, definition, version).await {
            Ok(table) => Arc::new(table.valid_from(valid_from)),
            Err(error) => return refused(id, replaces, error),
        };
        let cuts = if born {
            Vec::new()
        } else {
            let mut connection = self.binder.questions().ask().await?;
            prove_passed(&mut connection, place.gtids, &id).await?;
            self.binder.questions().answered(connection);
            self.binder.first_cuts(weigher, &table).await?
        };
        Ok(TableChange::Begin { table, replaces, born, cuts, why: why.to_owned() })
    }

    /// A definition as a table that can be captured.
    async fn bind(
        &mut self,
        key: TableKey,
        definition: Arc<Definition>,
        version: u32,
    ) -> Result<CapturedTable> {
        let columns = self.binder.chunk_key(&definition.meta)?;
        self.binder.bind(key, definition, version, columns).await
    }
}

/// What begins.
struct Beginning {
    definition: Arc<Definition>,
    replaces: Option<Arc<CapturedTable>>,
    born: bool,
    valid_from: Option<LogPosition>,
}

/// A table that cannot be captured stops; one that was not captured yet is reported.
fn refused(id: TableId, replaces: Option<Arc<CapturedTable>>, error: Error) -> Result<TableChange> {
    if !matches!(error.kind(), ErrorKind::Data { .. }) {
        return Err(error);
    }
    let remedy = error
        .hint_text()
        .unwrap_or("leave the table out with `tables.exclude`, or mend what the reason names")
        .to_owned();
    Ok(TableChange::Stop { id, table: replaces, reason: error.to_string(), remedy })
}
