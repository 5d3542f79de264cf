//! The writers of the sink: one task each behind a bounded channel, and how batches are spread over them.

mod writers;

pub(crate) use writers::{Failure, Staged, Writers};
