//! Names of the metrics, and the one place that sets them. Every metric has the label `pipeline`.

use metrics::{counter, gauge};

use super::Status;

const ROWS_COPIED: &str = "cdc_snapshot_rows_total";
const CHANGES: &str = "cdc_change_rows_total";
const RESTARTS: &str = "cdc_restarts_total";
const SCHEMA_CHANGES: &str = "cdc_schema_changes_total";
const SCHEMA_CHANGES_UNSUPPORTED: &str = "cdc_schema_changes_unsupported_total";
const HELD_BYTES: &str = "cdc_held_bytes";
const TABLES: &str = "cdc_tables";
const TABLES_DONE: &str = "cdc_tables_copied";
const TABLES_QUARANTINED: &str = "cdc_tables_quarantined";
const LAG_SECONDS: &str = "cdc_source_lag_seconds";
/// Also has the labels `table` and `column`.
const VALUES_NULLED: &str = "cdc_values_nulled_total";
const CHECKPOINT: &str = "cdc_checkpoint_id";

/// Copies a status into the metrics registry.
pub(crate) fn publish(pipeline: &str, status: &Status, lag_seconds: f64) {
    let label = [("pipeline", pipeline.to_owned())];
    counter!(ROWS_COPIED, &label).absolute(status.rows_copied);
    counter!(CHANGES, &label).absolute(status.changes);
    counter!(RESTARTS, &label).absolute(status.restarts);
    counter!(SCHEMA_CHANGES, &label).absolute(status.schema_changes);
    counter!(SCHEMA_CHANGES_UNSUPPORTED, &label).absolute(status.schema_changes_unsupported);
    gauge!(HELD_BYTES, &label).set(status.held_bytes as f64);
    gauge!(TABLES, &label).set(status.source.tables as f64);
    gauge!(TABLES_DONE, &label).set(status.source.tables_done as f64);
    gauge!(TABLES_QUARANTINED, &label).set(status.source.quarantined.len() as f64);
    gauge!(LAG_SECONDS, &label).set(lag_seconds);
    for nulled in &status.source.nulled {
        let labels = [
            ("pipeline", pipeline.to_owned()),
            ("table", nulled.table.to_string()),
            ("column", nulled.column.clone()),
        ];
        counter!(VALUES_NULLED, &labels).absolute(nulled.values);
    }
    if let Some((checkpoint, _)) = status.committed {
        gauge!(CHECKPOINT, &label).set(checkpoint as f64);
    }
}

#[cfg(test)]
mod tests {
    use cdc_api::{NulledColumn, TableId};
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    #[test]
    fn values_made_null_are_counted_by_table_and_column() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let mut status = Status::default();
        status.source.nulled = vec![NulledColumn {
            table: TableId::new("shop", "orders"),
            column: "paid_at".to_owned(),
            values: 3,
        }];
        metrics::with_local_recorder(&recorder, || {
            publish("p", &status, 0.0);
            status.source.nulled[0].values = 5;
            publish("p", &status, 0.0);
        });
        let expected =
            r#"cdc_values_nulled_total{pipeline="p",table="shop.orders",column="paid_at"} 5"#;
        assert!(handle.render().contains(expected), "{}", handle.render());
    }
}
