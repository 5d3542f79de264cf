//! What a checkpoint says.

use std::collections::BTreeMap;

use cdc_api::{CheckpointId, Committable, QuarantinedTable, SchemaChange, SourceState};
use serde::{Deserialize, Serialize};

use crate::schema::RegistryState;

/// What a checkpoint was written for; a pipeline file that differs is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// The source's.
    pub source: String,
    /// The sink's.
    pub sink: String,
    /// Format 1 had the sink's tables here, as texts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tables: BTreeMap<String, String>,
}

/// One consistent cut: everything that a run needs to go on. A field that an older version does not know makes it refuse
/// the file, so that nothing is left out unseen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Drawn at the first checkpoint; part of every commit's identity.
    pub pipeline_uuid: String,
    /// Rises through the pipeline's whole life and is never reused for other content.
    pub id: CheckpointId,
    /// The source's position, its Done intervals and the schemas at that position.
    pub source_state: SourceState,
    /// Tables that stopped, with where and why.
    pub quarantined: Vec<QuarantinedTable>,
    /// The tables of both sides; format 1 had none.
    #[serde(default)]
    pub tables: RegistryState,
    /// Changes of sink tables right behind this cut, which have to be applied first on restart (correctness §6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_schema_changes: Vec<SchemaChange>,
    /// The sequence number of the next row.
    pub next_seq: u64,
    /// What the sink's writers staged, for the commit and for its repetition.
    pub committables: Vec<Committable>,
    /// What it was written for.
    pub fingerprints: Fingerprints,
}
