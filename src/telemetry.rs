//! What the outside sees of a running pipeline: one status that the engine keeps, shown as progress bars, log lines
//! and metrics.

pub(crate) mod metrics;
mod progress;
mod status;

pub(crate) use progress::{Display, show};
pub(crate) use status::{Status, StatusCell};
