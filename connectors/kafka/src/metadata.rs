//! The applier: a table's topic is there before its first row, and changes of tables go to their own topic when one is
//! named. A log cannot be altered or emptied, so a change of columns needs nothing else.

use std::sync::Arc;

use async_trait::async_trait;
use cdc_api::{Applied, MetadataApplier, Result, SchemaChange, TableSchema};
use serde_json::{Value, json};

use crate::{
    encode::{Origin, jdbc_type},
    session::Session,
};

/// The one applier of a run.
pub(crate) struct KafkaApplier {
    session: Arc<Session>,
    origin: Origin,
}

impl KafkaApplier {
    pub(crate) fn new(session: Arc<Session>, origin: Origin) -> KafkaApplier {
        KafkaApplier { session, origin }
    }

    async fn publish(&self, change: &SchemaChange) -> Result<()> {
        let Some(name) = self.session.settings.schema_topic.clone() else { return Ok(()) };
        self.session.topic(&name).await?;
        let database = change.table().schema.as_deref().unwrap_or_default();
        let key = json!({ "databaseName": database }).to_string();
        let value = message(change, &self.origin).to_string();
        if self.session.is_transactional() {
            self.session.opened().await;
        }
        self.session
            .blocking(move |session| {
                session.send_one(&name, Some(0), Some(key.as_bytes()), Some(value.as_bytes()))
            })
            .await
    }
}

#[async_trait]
impl MetadataApplier for KafkaApplier {
    async fn apply(&mut self, change: &SchemaChange) -> Result<Applied> {
        if change.after().is_some() {
            let name = self.session.settings.topics.of(change.table())?;
            self.session.topic(&name).await?;
        }
        self.publish(change).await?;
        Ok(Applied::Done)
    }
}

/// A change in the form of Debezium's schema change topic.
fn message(change: &SchemaChange, origin: &Origin) -> Value {
    let id = change.table();
    let (kind, schema) = match change {
        SchemaChange::Create(schema) => ("CREATE", Some(schema)),
        SchemaChange::Alter { after, .. } => ("ALTER", Some(after)),
        SchemaChange::Truncate(schema) => ("TRUNCATE", Some(schema)),
        SchemaChange::Recreate { after, .. } => ("CREATE", Some(after)),
        SchemaChange::Drop(_) => ("DROP", None),
    };
    let quoted: Vec<String> = id.parts().map(|part| format!("\"{part}\"")).collect();
    json!({
        "source": {
            "version": env!("CARGO_PKG_VERSION"),
            "connector": origin.connector,
            "name": origin.pipeline,
            "db": id.schema,
            "table": id.table,
        },
        "ts_ms": crate::writer::now_ms(),
        "databaseName": id.schema,
        "ddl": null,
        "tableChanges": [{
            "type": kind,
            "id": quoted.join("."),
            "table": schema.map(|schema| table(schema)),
        }],
    })
}

fn table(schema: &TableSchema) -> Value {
    let columns = schema.columns().iter().enumerate().map(|(at, column)| {
        let kind = column.source_type.split(['(', ' ']).next().unwrap_or_default();
        json!({
            "name": column.name,
            "jdbcType": jdbc_type(&column.logical),
            "typeName": kind.to_ascii_uppercase(),
            "typeExpression": column.source_type,
            "position": at + 1,
            "optional": column.nullable,
            "generated": column.generated,
            "comment": column.comment,
        })
    });
    json!({
        "primaryKeyColumnNames": schema.primary_key_names().collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
        "comment": schema.comment(),
    })
}
