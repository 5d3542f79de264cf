//! `validate`: a summary of a checked file, and with `--connect` what server and target say of it.

use std::fmt::Write as _;

use cdc_api::{Error, OptionFault, Result, Severity};
use cdc_transform::Program;

use crate::{definition::PipelineSpec, registry, route::RouteTable};

/// What connecting found.
pub(super) struct Connected {
    pub(super) text: String,
    /// Whether the pipeline may run.
    pub(super) is_ok: bool,
    /// What the transforms become for the tables that were found.
    pub(super) programs: Vec<Program>,
}

pub(super) fn summary(spec: &PipelineSpec) -> String {
    let routes = match spec.route.len() {
        0 => "no route".to_owned(),
        1 => "1 route".to_owned(),
        count => format!("{count} routes"),
    };
    let (file, source, sink) = (spec.file.display(), &spec.source.connector, &spec.sink.connector);
    format!("{file} is valid: {source} to {sink}, {routes}\n")
}

/// Asks server and target. What is found goes into the text; an error means that one of them could not be asked.
pub(super) async fn connect(spec: &PipelineSpec) -> Result<Connected> {
    let source = registry::source(&spec.source).map_err(|faults| unchecked(&faults))?;
    let sink = registry::sink(&spec.sink).map_err(|faults| unchecked(&faults))?;
    let mut text = String::new();
    let preflight = source.preflight().await?;
    line(&mut text, format_args!("source: {}", preflight.server));
    for finding in &preflight.findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        line(&mut text, format_args!("  {severity}: {}", finding.message));
        for remedy in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
            line(&mut text, format_args!("    {remedy}"));
        }
    }
    let mut is_ok = preflight.is_ok();
    let mut programs = Vec::new();
    if is_ok {
        is_ok = tables(spec, &*source, &mut text, &mut programs).await?;
    }
    sink.preflight().await?;
    line(&mut text, format_args!("sink: {} can be written", spec.sink.connector));
    Ok(Connected { text, is_ok, programs })
}

/// Counts the tables, and checks that each has its sink tables and fits its transform.
async fn tables(
    spec: &PipelineSpec,
    source: &dyn cdc_api::EventSourceProvider,
    text: &mut String,
    programs: &mut Vec<Program>,
) -> Result<bool> {
    let plans = source.plan().await?;
    let (refused, captured): (Vec<_>, Vec<_>) =
        plans.iter().partition(|plan| plan.refused.is_some());
    let ids: Vec<_> = captured.iter().map(|plan| plan.schema.id().clone()).collect();
    let routes = RouteTable::new(spec.route.clone(), spec.pipeline.route_mode);
    for id in &ids {
        routes.sink_tables(id)?;
    }
    line(text, format_args!("  {} tables to capture", ids.len()));
    for plan in &captured {
        programs.extend(crate::transform::compile(&spec.transform, &plan.schema)?);
    }
    for plan in &refused {
        let why = plan.refused.as_deref().unwrap_or_default();
        line(
            text,
            format_args!("  warning: table \"{}\" will not be captured: {why}", plan.schema.id()),
        );
    }
    if ids.is_empty() {
        line(text, format_args!("  error: no table matches `tables`"));
    }
    Ok(!ids.is_empty())
}

/// Writing into a text cannot fail.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(arguments);
    text.push('\n');
}

/// The file's reader has asked the connector before.
fn unchecked(faults: &[OptionFault]) -> Error {
    let messages: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect();
    Error::internal("a connector refuses options that were checked").detail(messages.join("; "))
}
