//! The source as a pipeline file describes it: preflight, plan and open.

use std::sync::Arc;

use async_trait::async_trait;
use cdc_api::{
    ErrorKind, EventSource, EventSourceProvider, OptionFault, Options, Preflight, Result,
    SourceContext, TablePlan, TableSchema,
};

use super::{
    binding,
    open::{self, Server},
};
use crate::{
    config::{MySqlConfig, StartupMode},
    metadata::{self, TableMeta},
    snapshot::Proof,
    types,
};

/// Makes the source from the options of a `source:` block.
///
/// # Errors
/// All faults of the options.
pub fn provider(options: &Options) -> Result<Box<dyn EventSourceProvider>, Vec<OptionFault>> {
    Ok(Box::new(MySqlProvider { config: MySqlConfig::from_options(options)? }))
}

struct MySqlProvider {
    config: MySqlConfig,
}

#[async_trait]
impl EventSourceProvider for MySqlProvider {
    async fn preflight(&self) -> Result<Preflight> {
        let mut connection = open::connect(&self.config).await?;
        let server = Server::meet(&self.config, &mut connection, "").await?;
        let findings = metadata::preflight(&mut connection, &self.config, &server.info).await?;
        let preflight = Preflight { server: server.info.summary(), findings };
        connection.quit().await;
        Ok(preflight)
    }

    async fn plan(&self) -> Result<Vec<TablePlan>> {
        let mut connection = open::connect(&self.config).await?;
        let server = Server::meet(&self.config, &mut connection, "").await?;
        let asks_xa = super::xa_gate::prepared(&mut connection).await?.is_some();
        let proof = Proof::of(&server.info, asks_xa);
        let found = metadata::discover(&mut connection, &self.config.tables).await?;
        connection.quit().await;
        let mut plans = Vec::with_capacity(found.tables.len() + found.refused.len());
        for meta in found.tables {
            plans.push(self.plan_table(&server, proof, meta)?);
        }
        for refused in found.refused {
            plans.push(TablePlan {
                schema: Arc::new(TableSchema::new(refused.table, 1, Vec::new(), Vec::new())?),
                rows_estimated: None,
                chunk_key: Vec::new(),
                proof: String::new(),
                refused: Some(format!("{}; {}", refused.reason, refused.remedy)),
            });
        }
        Ok(plans)
    }

    fn fingerprint(&self) -> String {
        // Which server it is shows in its log; a changed address of the same server is fine. What changes rows is not.
        format!("mysql {:?}", self.config.types)
    }

    fn passes_schema_changes(&self) -> bool {
        self.config.schema_changes
    }

    fn is_bounded(&self) -> bool {
        self.config.startup == StartupMode::Snapshot
    }

    async fn open(&self, context: SourceContext) -> Result<Box<dyn EventSource>> {
        // Boxed: opening holds many things across its awaits.
        Ok(Box::new(Box::pin(open::open(&self.config, context)).await?))
    }
}

impl MySqlProvider {
    fn plan_table(&self, server: &Server, proof: Proof, meta: TableMeta) -> Result<TablePlan> {
        let flavor = server.info.flavor;
        let planned = self.schema(&meta, flavor).and_then(|schema| {
            let key = binding::chunk_key(&self.config, &meta)?;
            binding::key_codec(&meta, &key, flavor)?;
            Ok((schema, key))
        });
        let rows_estimated = meta.rows_estimated;
        match planned {
            Ok((schema, key)) => Ok(TablePlan {
                schema,
                rows_estimated,
                chunk_key: key.iter().map(|&at| meta.columns[at].name.clone()).collect(),
                proof: proof.describe().to_owned(),
                refused: None,
            }),
            Err(error) if matches!(error.kind(), ErrorKind::Data { .. }) => {
                let refused = match error.hint_text() {
                    Some(hint) => format!("{error}; {hint}"),
                    None => error.to_string(),
                };
                let schema = match self.schema(&meta, flavor) {
                    Ok(schema) => schema,
                    Err(_) => {
                        Arc::new(TableSchema::new(meta.id.clone(), 1, Vec::new(), Vec::new())?)
                    }
                };
                Ok(TablePlan {
                    schema,
                    rows_estimated,
                    chunk_key: Vec::new(),
                    proof: String::new(),
                    refused: Some(refused),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn schema(&self, meta: &TableMeta, flavor: types::Flavor) -> Result<Arc<TableSchema>> {
        types::table_schema(meta, flavor, &self.config.types, 1, self.config.comments).map(Arc::new)
    }
}
