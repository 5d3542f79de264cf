//! From a checked pipeline file to a running pipeline.

use cdc_api::{Error, Result};

use crate::definition::PipelineSpec;

/// How a run shows itself.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// A person looks at stderr: bars and a live line instead of log lines.
    pub terminal: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// All is committed.
    Complete,
    /// All is committed but the tables that were quarantined.
    Incomplete,
}

/// Runs a pipeline to its end or until it is told to stop.
///
/// # Errors
/// What ended it.
pub async fn run(spec: PipelineSpec, options: RunOptions) -> Result<RunOutcome> {
    let _ = (spec, options);
    Err(Error::internal("the engine is not part of this build"))
}

/// Says what a run would do.
///
/// # Errors
/// What could not be asked.
pub async fn plan(spec: PipelineSpec) -> Result<String> {
    let _ = spec;
    Err(Error::internal("the engine is not part of this build"))
}
