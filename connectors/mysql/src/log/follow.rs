//! Follows definitions: what a statement in the log means to the tables that are captured (correctness §6).
//!
//! In: statements, in the log's order, and TABLE_MAPs that contradict what is known. Out: changes of tables, each with the
//! version that is in force behind it. Where the statement itself does not tell, the definition is read from the server:
//! then it holds from the log's end of that moment on, nothing of the table is decoded before, and its rows are copied
//! anew (a new incarnation).

use std::{collections::HashMap, sync::Arc};

use cdc_api::{Error, ErrorKind, Result, TableId};
use cdc_incremental::TableKey;

use super::server::log_end;
use crate::{
    metadata,
    position::{Gtids, LogPosition},
    snapshot::prove_passed,
    source::{Binder, CapturedTable, Catalog, Definition, Session, TableChange, Weigher},
    wire::Connection,
};

/// A table whose definition is read so often in a row without a row in between is stopped.
const READINGS_MAX: u32 = 5;

/// A statement that defines tables, out of the log.
#[derive(Debug, Clone)]
pub(crate) struct Redefinition {
    /// The tables that it names.
    pub(crate) names: Vec<TableId>,
    /// The statement's beginning, to be shown.
    pub(crate) shown: String,
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
    pub(crate) session: Session,
    binder: Binder,
    connection: Option<Connection>,
    /// How often a table's definition was read since it was last sure.
    readings: HashMap<TableId, u32>,
}

impl Follower {
    pub(crate) fn new(session: Session, binder: Binder) -> Self {
        Follower { session, binder, connection: None, readings: HashMap::new() }
    }

    pub(crate) fn binder(&self) -> &Binder {
        &self.binder
    }

    /// Whether a table of this name is captured when there is one.
    pub(crate) fn captures(&self, id: &TableId) -> Result<bool> {
        self.binder.config().tables.is_match(id)
    }

    /// What a statement means.
    pub(crate) async fn statement(
        &mut self,
        redefinition: &Redefinition,
        catalog: &Catalog,
        weigher: &mut Weigher,
        place: &Place<'_>,
    ) -> Result<Vec<TableChange>> {
        let mut changes = Vec::new();
        for id in &redefinition.names {
            let known = catalog.find_id(id).cloned();
            if known.is_some() || self.captures(id)? {
                let why = format!("`{}` at {}", redefinition.shown, place.position);
                changes.extend(self.read_anew(id, known, weigher, place, &why).await?);
            }
        }
        Ok(changes)
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
        let change = self.read_anew(&id, Some(table), weigher, place, &why).await?;
        Ok(change.into_iter().collect())
    }

    /// Reads a table's definition from the server, since the log does not tell it.
    pub(crate) async fn read_anew(
        &mut self,
        id: &TableId,
        known: Option<Arc<CapturedTable>>,
        weigher: &mut Weigher,
        place: &Place<'_>,
        why: &str,
    ) -> Result<Option<TableChange>> {
        let readings = self.readings.entry(id.clone()).or_default();
        *readings += 1;
        if *readings > READINGS_MAX
            && let Some(table) = known
        {
            return Ok(Some(TableChange::Stop {
                id: id.clone(),
                table: Some(table),
                reason: format!("its definition cannot be told: {why}"),
                remedy: "report the statement; then copy the table anew with an empty checkpoint storage and an empty \
                         target"
                    .into(),
            }));
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.session.connect_for_rows().await?.0,
        };
        let change = self.read_with(&mut connection, id, known, weigher, place, why).await;
        if change.is_ok() {
            self.connection = Some(connection);
        }
        change
    }

    async fn read_with(
        &mut self,
        connection: &mut Connection,
        id: &TableId,
        known: Option<Arc<CapturedTable>>,
        weigher: &mut Weigher,
        place: &Place<'_>,
        why: &str,
    ) -> Result<Option<TableChange>> {
        prove_passed(connection, place.gtids, id).await?;
        let found = metadata::table(connection, id).await?;
        // Read after the definition: what is not visible yet stands behind it, or is met on the way to it.
        let valid_from = log_end(connection).await?;
        let Some(meta) = found.filter(|_| self.captures(id).unwrap_or(false)) else {
            // Its DROP or RENAME is still to come, or was this statement.
            return Ok(known.map(TableChange::Drop));
        };
        let version = known.as_ref().map_or(1, |known| known.schema().version() + 1);
        let definition = Definition::first(meta, version);
        self.begin(connection, definition, known, Some(valid_from), weigher, why).await.map(Some)
    }

    /// A new incarnation.
    async fn begin(
        &mut self,
        connection: &mut Connection,
        definition: Definition,
        replaces: Option<Arc<CapturedTable>>,
        valid_from: Option<LogPosition>,
        weigher: &mut Weigher,
        why: &str,
    ) -> Result<TableChange> {
        let id = definition.meta.id.clone();
        let key = self.binder.next_key()?;
        let table = match self.bind(connection, key, definition).await {
            Ok(table) => Arc::new(table.valid_from(valid_from)),
            Err(error) => return refused(id, replaces, error),
        };
        let cuts =
            self.binder.first_cuts(connection, &self.session, weigher, &table).await.or_else(
                // The table is not what it was a moment ago: it is read in one piece.
                |error| if error.is_transient() { Err(error) } else { Ok(Vec::new()) },
            )?;
        Ok(TableChange::Begin { table, replaces, born: false, cuts, why: why.to_owned() })
    }

    async fn bind(
        &mut self,
        connection: &mut Connection,
        key: TableKey,
        definition: Definition,
    ) -> Result<CapturedTable> {
        let columns = self.binder.chunk_key(&definition.meta)?;
        self.binder.bind(connection, key, definition, columns).await
    }
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
