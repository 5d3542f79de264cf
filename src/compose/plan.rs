//! `cdc-cli plan`: what a run would do, table by table, without reading a row.

use std::{collections::BTreeMap, fmt::Write as _};

use cdc_api::{Result, TableId, TablePlan};

use crate::{
    definition::{PipelineSpec, Report},
    registry,
    route::RouteTable,
    transform,
};

/// What a run would do.
#[derive(Debug)]
pub struct Planned {
    /// For the user to read.
    pub text: String,
    /// What in the transforms is right but hardly meant.
    pub warnings: Option<Report>,
}

/// Says what a run would do.
///
/// # Errors
/// What could not be asked.
pub async fn plan(spec: PipelineSpec) -> Result<Planned> {
    let source = registry::source(&spec.source).map_err(super::fault)?;
    let tables = source.plan().await?;
    let routes = RouteTable::new(spec.route.clone(), spec.pipeline.route_mode);
    let mut sinks: BTreeMap<TableId, Vec<TableId>> = BTreeMap::new();
    for table in &tables {
        let id = table.schema.id();
        sinks.insert(id.clone(), routes.sink_tables(id)?);
    }
    let mut text = String::new();
    let refused = tables.iter().filter(|table| table.refused.is_some()).count();
    let rows: u64 = tables.iter().filter_map(|table| table.rows_estimated).sum();
    let _ = writeln!(
        text,
        "{} tables, about {rows} rows{}",
        tables.len() - refused,
        if refused > 0 { format!("; {refused} cannot be captured") } else { String::new() }
    );
    let proofs: std::collections::BTreeSet<&str> = tables
        .iter()
        .filter(|table| table.refused.is_none())
        .map(|table| table.proof.as_str())
        .collect();
    for proof in proofs {
        let _ = writeln!(text, "visibility is proven by {proof}");
    }
    let mut programs = Vec::new();
    for table in &tables {
        describe(&mut text, table, &sinks);
        if table.refused.is_none()
            && let Some(program) = transform::compile(&spec.transform, &table.schema)?
        {
            transformed(&mut text, &program);
            programs.push(program);
        }
    }
    Ok(Planned { text, warnings: spec.transform.warnings(&programs)? })
}

/// `cdc-cli transform --explain`: what the transforms make of each table, without reading a row.
///
/// # Errors
/// What could not be asked, or a rule that does not fit its table.
pub async fn explain(spec: PipelineSpec) -> Result<Planned> {
    let source = registry::source(&spec.source).map_err(super::fault)?;
    let mut text = String::new();
    let mut programs = Vec::new();
    for table in source.plan().await?.iter().filter(|table| table.refused.is_none()) {
        let _ = writeln!(text, "{}", table.schema.id());
        match transform::compile(&spec.transform, &table.schema)? {
            Some(program) => {
                transformed(&mut text, &program);
                programs.push(program);
            }
            None => text.push_str("  no rule: rows pass as they are\n"),
        }
    }
    Ok(Planned { text, warnings: spec.transform.warnings(&programs)? })
}

fn transformed(text: &mut String, program: &cdc_transform::Program) {
    text.push_str("  transformed into\n");
    for line in program.explain().lines() {
        let _ = writeln!(text, "    {line}");
    }
}

fn describe(text: &mut String, table: &TablePlan, sinks: &BTreeMap<TableId, Vec<TableId>>) {
    let id = table.schema.id();
    let _ = match &table.refused {
        Some(reason) => writeln!(text, "\n{id}  NOT CAPTURED: {reason}"),
        None => {
            let rows = table.rows_estimated.map_or_else(|| "?".into(), |rows| rows.to_string());
            let sinks = sinks.get(id).map(Vec::as_slice).unwrap_or_default();
            let sink = sinks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            writeln!(
                text,
                "\n{id} -> {sink}  ~{rows} rows, chunk key ({})",
                table.chunk_key.join(", ")
            )
        }
    };
    let width = table.schema.columns().iter().map(|column| column.name.chars().count()).max();
    for column in table.schema.columns() {
        let null = if column.nullable { "" } else { " NOT NULL" };
        let _ = writeln!(
            text,
            "  {:width$}  {}{null}  <- {}",
            column.name,
            column.logical,
            column.source_type,
            width = width.unwrap_or(0)
        );
    }
    let key: Vec<&str> = table.schema.primary_key_names().collect();
    if !key.is_empty() {
        let _ = writeln!(text, "  primary key ({})", key.join(", "));
    }
}
