//! The Kafka sink on a real broker: first the connector alone, through its traits, then the whole daemon; read back by
//! programs that were not written here.

mod avro;
mod cluster;
mod daemon;
mod failures;
mod formats;
mod golden;
mod readers;
mod recovery;
mod rows;
mod security;
mod shapes;
mod topics;
mod types;
