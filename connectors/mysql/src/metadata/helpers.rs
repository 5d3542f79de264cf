//! Which tables are helpers of an online schema change that is under way, by the signatures of its tool. A table that only
//! has such a name is a table.

use std::{collections::HashSet, sync::Arc};

use cdc_api::TableId;

use crate::{
    ddl::{OnlineTool, TRIGGER_PREFIX, bases_of},
    wire::{Connection, WireError},
};

/// The helpers among these tables. pt-online-schema-change is known by its triggers, which only an account with the privilege
/// TRIGGER sees.
///
/// # Errors
/// The connection's.
pub(crate) async fn helpers(
    connection: &mut Connection,
    tables: &HashSet<TableId>,
) -> Result<HashSet<TableId>, WireError> {
    let mut found = HashSet::new();
    let mut watched: Option<HashSet<TableId>> = None;
    for id in tables {
        let database: Arc<str> = id.schema.clone().unwrap_or_default();
        let beside = |name: &str| TableId::new(Arc::clone(&database), name);
        for (tool, base) in bases_of(&id.table) {
            if !tables.contains(&beside(&base)) {
                continue;
            }
            let is_helper = match tool {
                OnlineTool::GhOst if id.table.ends_with("_del") => {
                    tables.contains(&beside(&format!("_{base}_ghc")))
                }
                OnlineTool::GhOst => true,
                OnlineTool::PtOsc if id.table.ends_with("_old") => false,
                OnlineTool::PtOsc => {
                    let watched = match &mut watched {
                        Some(known) => known,
                        None => watched.insert(watched_tables(connection).await?),
                    };
                    watched.contains(&beside(&base))
                }
            };
            if is_helper {
                found.insert(id.clone());
            }
        }
    }
    Ok(found)
}

/// The tables that pt-online-schema-change has its triggers on.
async fn watched_tables(connection: &mut Connection) -> Result<HashSet<TableId>, WireError> {
    let rows = connection
        .query(&format!(
            "SELECT DISTINCT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS \
             WHERE LEFT(TRIGGER_NAME, {}) = '{TRIGGER_PREFIX}'",
            TRIGGER_PREFIX.len()
        ))
        .await?;
    let table = |database: Option<String>, name: Option<String>| {
        Some(TableId::new(database?.as_str(), name?.as_str()))
    };
    Ok(rows.iter().filter_map(|row| table(row.text_at(0), row.text_at(1))).collect())
}
