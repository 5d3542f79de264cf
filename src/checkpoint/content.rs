//! What a checkpoint says.

use std::collections::BTreeMap;

use cdc_api::{CheckpointId, Committable, QuarantinedTable, SchemaChange, SourceState};
use serde::{Deserialize, Serialize};

/// What a checkpoint was written for; a pipeline file that differs is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprints {
    /// The source's.
    pub source: String,
    /// The sink's.
    pub sink: String,
    /// Sink name and schema by source table: the sink's tables known so far.
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
    /// A change that comes right behind this cut and has to be applied first on restart (correctness §6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_schema_change: Option<SchemaChange>,
    /// The sequence number of the next row.
    pub next_seq: u64,
    /// What the sink's writers staged, for the commit and for its repetition.
    pub committables: Vec<Committable>,
    /// What it was written for.
    pub fingerprints: Fingerprints,
}

impl Checkpoint {
    /// A checkpoint without a pending schema change.
    pub fn new(
        pipeline_uuid: String,
        id: CheckpointId,
        source_state: SourceState,
        quarantined: Vec<QuarantinedTable>,
        next_seq: u64,
        committables: Vec<Committable>,
        fingerprints: Fingerprints,
    ) -> Self {
        Checkpoint {
            pipeline_uuid,
            id,
            source_state,
            quarantined,
            pending_schema_change: None,
            next_seq,
            committables,
            fingerprints,
        }
    }
}
