//! The Kafka sink on a real broker: first the connector alone, through its traits, then the whole daemon.

mod cluster;
mod daemon;
mod failures;
mod formats;
mod recovery;
mod rows;
mod security;
