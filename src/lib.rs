//! cdc-cli: copies databases into streams and lakehouses, first all that is there, then every change.
//!
//! A folder per stage of a row's way, joined by the compose step; ARCHITECTURE.md has the map.

pub mod checkpoint;
pub mod cli;
pub mod compose;
pub mod definition;
pub mod registry;
pub mod route;

mod commit;
mod flow;
mod ingest;
mod runtime;
mod schema;
mod sink;
mod telemetry;
