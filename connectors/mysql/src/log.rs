//! The binlog: its bytes as events, events as transactions, transactions as frames of row batches.
//!
//! `event` and `payload` read bytes, `statement` reads what statements mean to tables, `decoder` is the state machine over
//! both, `rows` appends row events to `frame`s, `reader` is the task that keeps the connection, `server` asks the server
//! about its log; `replay` decodes a recorded log without a server.

mod decoder;
mod event;
mod fault;
mod follow;
mod frame;
mod held;
mod payload;
mod reader;
mod replay;
mod rows;
mod server;
mod statement;

pub(crate) use decoder::StopScope;
pub(crate) use fault::Readings;
pub(crate) use follow::Follower;
pub(crate) use frame::{LogBatch, LogFrame, RowKeys, select};
pub(crate) use reader::{LogItem, LogReader};
pub use replay::{LogReplay, Replayed, events};
pub(crate) use server::{before_all, check_resumable, log_end, start_position};

/// What the fuzz targets run.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed {
    pub(crate) use super::{
        decoder::LogDecoder,
        event::{Event, EventError, payload_head},
        payload::Payload,
    };
}
