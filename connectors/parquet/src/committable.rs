//! What a writer staged: one closed file, as the checkpoint keeps it. Paths are relative to the lake, so that a lake may
//! be reached by another way later.

use cdc_api::{Committable, Error, Result};
use serde::{Deserialize, Serialize};

/// A whole, durable, invisible file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum StagedFile {
    /// A hidden file of a local folder, to be renamed.
    Local {
        /// The table's folder.
        folder: String,
        /// Its hidden name there.
        staged: String,
        /// The name it gets.
        name: String,
        /// Its size.
        bytes: u64,
        /// Its rows.
        rows: u64,
    },
    /// An upload, to be completed.
    Object {
        /// The table's folder.
        folder: String,
        /// The object's name there.
        name: String,
        /// The upload's id.
        upload: String,
        /// Its parts' ids in order.
        parts: Vec<String>,
        /// Its size.
        bytes: u64,
        /// Its rows.
        rows: u64,
    },
}

impl StagedFile {
    /// The form the engine keeps.
    pub(crate) fn pack(&self) -> Result<Committable> {
        serde_json::to_value(self).map(Committable).map_err(|error| {
            Error::internal("a staged file cannot be written down").caused_by(error)
        })
    }

    /// Reads the form the engine kept.
    pub(crate) fn unpack(committable: &Committable) -> Result<Self> {
        Self::deserialize(&committable.0).map_err(|error| {
            Error::operator("the checkpoint names a staged file that cannot be read")
                .hint("was the state written by a newer cdc-cli? start that version")
                .caused_by(error)
        })
    }

    /// Its size and its rows.
    pub(crate) fn size(&self) -> (u64, u64) {
        match self {
            StagedFile::Local { bytes, rows, .. } | StagedFile::Object { bytes, rows, .. } => {
                (*bytes, *rows)
            }
        }
    }
}
