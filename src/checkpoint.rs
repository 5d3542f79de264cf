//! Checkpoints and the store that keeps them (correctness §5): one object each, created and never changed, in a local
//! folder that one process holds.
//!
//! A checkpoint N is stored as *prepared* before the sink commits it, and recorded as *committed* after; N−1 stays until
//! then. What cannot be read is never skipped: an older checkpoint would repeat or lose what the sink has committed since.

mod content;
mod format;
mod lock;
mod store;

pub use content::{Checkpoint, Fingerprints};
pub use store::{CheckpointStore, Last};
