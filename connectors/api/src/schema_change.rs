//! A change of one table's schema. It always travels ahead of the first row that needs it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{TableId, TableSchema};

/// What happens to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemaChange {
    /// The table is there from now on (also the first time the pipeline meets it).
    Create(Arc<TableSchema>),
}

impl SchemaChange {
    /// The table it is about.
    pub fn table(&self) -> &TableId {
        match self {
            SchemaChange::Create(schema) => schema.id(),
        }
    }
}
