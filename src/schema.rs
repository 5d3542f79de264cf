//! Schemas on their way to the sink: which source tables feed which sink table, what each sink table looks like by now, how
//! rows are brought to that, and who waits while a sink table changes (correctness §6).
//!
//! `registry` knows the tables, `derive` says what a change of a source table means to a sink table, `widen` finds the
//! type that two columns share, `coerce` brings rows to a sink's schema, `pause` holds rows back while a change is applied.

mod coerce;
mod derive;
mod merge;
mod pause;
#[cfg(test)]
mod pause_sim;
mod registry;
#[cfg(test)]
mod registry_tests;
mod widen;

pub(crate) use merge::by_seq;
pub(crate) use pause::{ChangeSet, Next, Pause};
pub(crate) use registry::{Registry, RegistryState, Rules, SinkChange};
