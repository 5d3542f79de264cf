//! The test harness: real servers, the real `cdc-cli` binary, and an independent reader of both ends.
//!
//! Comes in: a running machine with the scripts of `integration/servers/`, or servers named by `CDC_TEST_MYSQL_URL`,
//! `CDC_TEST_MARIADB_URL` and `CDC_TEST_KAFKA_URL`. Goes out: what tests are written with:
//!
//! - [`Server`]: a MySQL or MariaDB server, shared by a test binary or private with its own options;
//! - [`Daemon`] and [`PipelineFolder`]: the real binary with a pipeline file in a folder of its own;
//! - [`arrow_text`]: one Arrow cell as text;
//! - [`LakeTable`] and [`table_content`]: what the sink wrote and what the database holds, as comparable text;
//! - [`Workload`]: seeded concurrent writers; [`Proxy`]: a network that damages what passes.
//!
//! Nothing here uses the code under test: SQL goes through another client, Parquet through the plain reader.
//! Nothing here sleeps for a fixed time: [`wait_until`] waits for a state.

mod content;
mod daemon;
mod failure;
mod instance;
mod lake;
mod proxy;
mod random;
mod render;
mod server;
mod sql;
mod wait;
mod workload;

pub use content::{TableContent, assert_same, table_content, wait_until_content, wait_until_same};
pub use daemon::{Daemon, Exit, PipelineFolder, binary, run_to_end};
pub use failure::{Failure, Outcome};
pub use instance::{Instance, tls_folder};
pub use lake::{LakeRow, LakeTable};
pub use proxy::Proxy;
pub use random::Random;
pub use render::arrow_text;
pub use server::{Server, ServerKind};
pub use sql::Sql;
pub use wait::wait_until;
pub use workload::{Mix, Workload, WorkloadPlan, WorkloadReport};
