//! Schemas on their way to the sink: each source table's schema under the name it is routed to, made once per version.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::Arc,
};

use cdc_api::{Error, Result, TableId, TableSchema};

use super::RouteTable;

/// Routes one run's tables.
pub(crate) struct Router {
    routes: RouteTable,
    tables: HashMap<TableId, Routed>,
    /// Which source table feeds a sink table: one, until merging is supported.
    feeds: HashMap<TableId, TableId>,
    /// What the last checkpoint says of each source table.
    known: BTreeMap<String, String>,
}

struct Routed {
    source: Arc<TableSchema>,
    sinks: Vec<Arc<TableSchema>>,
}

impl Router {
    /// `known`: the fingerprints of the checkpoint that the run goes on from, by source table.
    pub(crate) fn new(routes: RouteTable, known: BTreeMap<String, String>) -> Self {
        Router { routes, tables: HashMap::new(), feeds: HashMap::new(), known }
    }

    /// Takes a table's schema, new or changed, and gives it under its sink names.
    ///
    /// # Errors
    /// `Config` for a merge or a copy, `Operator` when the checkpoint was written to another sink table or schema.
    pub(crate) fn learn(&mut self, source: &Arc<TableSchema>) -> Result<&[Arc<TableSchema>]> {
        let id = source.id();
        let sinks = self.routes.sink_tables(id)?;
        if sinks.len() > 1 {
            return Err(Error::config(format!("table \"{id}\" goes to several sink tables"))
                .hint("copying a table twice is not supported yet; use `route-mode: FIRST_MATCH` or narrower patterns"));
        }
        for sink in &sinks {
            if let Some(other) = self.feeds.insert(sink.clone(), id.clone())
                && other != *id
            {
                return Err(Error::config(format!(
                    "tables \"{other}\" and \"{id}\" both go to sink table \"{sink}\""
                ))
                .hint("merging tables is not supported yet; give each its own sink table"));
            }
        }
        let sinks: Vec<_> = sinks.into_iter().map(|sink| Arc::new(source.with_id(sink))).collect();
        let now = fingerprint(&sinks);
        if let Some(before) = self.known.get(&id.to_string())
            && *before != now
        {
            return Err(Error::operator(format!("table \"{id}\" does not fit its checkpoint any more"))
                .detail(format!("the checkpoint was written to {before}; the pipeline file now gives {now}"))
                .hint("undo the change of the pipeline file, or start with an empty checkpoint storage and an empty target"));
        }
        let routed = Routed { source: Arc::clone(source), sinks };
        self.tables.insert(id.clone(), routed);
        Ok(&self.tables[id].sinks)
    }

    /// The sink schemas of a batch's table.
    pub(crate) fn route(&self, source: &Arc<TableSchema>) -> Result<&[Arc<TableSchema>]> {
        match self.tables.get(source.id()) {
            Some(routed) if Arc::ptr_eq(&routed.source, source) => Ok(&routed.sinks),
            _ => Err(Error::internal(format!(
                "rows of table \"{}\" came ahead of their schema",
                source.id()
            ))),
        }
    }

    /// What a checkpoint keeps of each table: its sink's name and schema.
    pub(crate) fn fingerprints(&self) -> BTreeMap<String, String> {
        let now =
            self.tables.iter().map(|(id, routed)| (id.to_string(), fingerprint(&routed.sinks)));
        // Tables that the run has not met (excluded for now) keep what is known of them.
        self.known.clone().into_iter().chain(now).collect()
    }
}

/// Names, columns with types, and key, readable in an error.
fn fingerprint(sinks: &[Arc<TableSchema>]) -> String {
    let mut text = String::new();
    for schema in sinks {
        let _ = write!(text, "{} (", schema.id());
        for column in schema.columns() {
            let null = if column.nullable { "" } else { " NOT NULL" };
            let _ = write!(text, "`{}` {}{null}, ", column.name, column.logical);
        }
        let key: Vec<&str> = schema.primary_key_names().collect();
        let _ = write!(text, "key {})", key.join(", "));
    }
    text
}
