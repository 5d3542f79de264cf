//! Names of the metrics, and the one place that sets them. Every metric has the label `pipeline`.

use metrics::{counter, gauge};

use super::Status;

const ROWS_COPIED: &str = "cdc_snapshot_rows_total";
const CHANGES: &str = "cdc_change_rows_total";
const RESTARTS: &str = "cdc_restarts_total";
const TABLES: &str = "cdc_tables";
const TABLES_DONE: &str = "cdc_tables_copied";
const TABLES_QUARANTINED: &str = "cdc_tables_quarantined";
const LAG_SECONDS: &str = "cdc_source_lag_seconds";
const CHECKPOINT: &str = "cdc_checkpoint_id";

/// Copies a status into the metrics registry.
pub(crate) fn publish(pipeline: &str, status: &Status, lag_seconds: f64) {
    let label = [("pipeline", pipeline.to_owned())];
    counter!(ROWS_COPIED, &label).absolute(status.rows_copied);
    counter!(CHANGES, &label).absolute(status.changes);
    counter!(RESTARTS, &label).absolute(status.restarts);
    gauge!(TABLES, &label).set(status.source.tables as f64);
    gauge!(TABLES_DONE, &label).set(status.source.tables_done as f64);
    gauge!(TABLES_QUARANTINED, &label).set(status.source.quarantined.len() as f64);
    gauge!(LAG_SECONDS, &label).set(lag_seconds);
    if let Some((checkpoint, _)) = status.committed {
        gauge!(CHECKPOINT, &label).set(checkpoint as f64);
    }
}
