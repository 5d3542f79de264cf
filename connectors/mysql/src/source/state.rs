//! The source's part of a checkpoint: position, Done intervals, the tables as they were captured, and those that stopped.

use cdc_api::{Error, QuarantinedTable, Result, SourceState};
use cdc_incremental::Interval;
use serde::{Deserialize, Serialize};

use crate::{
    ddl::{Definition, Index},
    keys::KeyLiteral,
    metadata::TableMeta,
    position::SourcePosition,
};

/// Counts up when a field changes its meaning; newer versions read older ones.
const FORMAT: u32 = 2;

/// What a run needs to go on (correctness §2 "Crash", §4).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) position: SourcePosition,
    pub(crate) tables: Vec<TableState>,
    #[serde(default)]
    pub(crate) quarantined: Vec<QuarantinedTable>,
}

/// One captured table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TableState {
    /// As it was when the position was taken: rows behind the position are decoded with it.
    pub(crate) meta: TableMeta,
    /// What its definitions to come are told from, beside `meta`; format 1 had none.
    #[serde(default)]
    pub(crate) known: Option<Known>,
    /// Its schema's version.
    #[serde(default = "first_version")]
    pub(crate) version: u32,
    /// The columns it is cut by.
    pub(crate) key_columns: Vec<usize>,
    /// What is copied.
    pub(crate) done: Vec<Interval<KeyLiteral>>,
}

fn first_version() -> u32 {
    1
}

/// The parts of a [`Definition`] that are not in its description.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Known {
    column_ids: Vec<u32>,
    column_id_next: u32,
    collation: Option<String>,
    indexes: Vec<Index>,
    #[serde(default)]
    versioned: bool,
}

impl Known {
    pub(crate) fn of(definition: &Definition) -> Self {
        Known {
            column_ids: definition.ids.clone(),
            column_id_next: definition.next_id,
            collation: definition.collation.clone(),
            indexes: definition.indexes.clone(),
            versioned: definition.versioned,
        }
    }
}

impl TableState {
    /// As it was captured; none when only its description is known.
    pub(crate) fn definition(&self) -> Option<Definition> {
        let known = self.known.clone()?;
        Some(Definition {
            meta: self.meta.clone(),
            ids: known.column_ids,
            next_id: known.column_id_next,
            collation: known.collation,
            indexes: known.indexes,
            versioned: known.versioned,
        })
    }
}

impl State {
    pub(crate) fn new(
        position: SourcePosition,
        tables: Vec<TableState>,
        quarantined: Vec<QuarantinedTable>,
    ) -> Self {
        State { format: FORMAT, position, tables, quarantined }
    }

    pub(crate) fn to_json(&self) -> Result<SourceState> {
        serde_json::to_value(self).map_err(|error| {
            Error::internal("the source's state cannot be written").caused_by(error)
        })
    }

    pub(crate) fn from_json(state: &SourceState) -> Result<Self> {
        let state: State = State::deserialize(state).map_err(|error| {
            Error::operator("the checkpoint's source state cannot be read")
                .hint("restore the checkpoint storage from a copy, or start anew with an empty one and an empty target")
                .caused_by(error)
        })?;
        if state.format > FORMAT {
            return Err(Error::operator(format!(
                "the checkpoint's source state has format {}, this cdc-cli reads up to {FORMAT}",
                state.format
            ))
            .hint("run the version of cdc-cli that wrote it, or a newer one"));
        }
        Ok(state)
    }
}
