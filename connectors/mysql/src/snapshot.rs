//! Chunk readers: tasks that read ranges by SELECT, each on its own connection, once the server has proven that all the
//! log reader has passed is visible (correctness §2).

mod cells;
mod chunk;
mod first_cut;
mod proof;
mod reader;
mod readers;

pub(crate) use chunk::{ChunkDone, ChunkJob, ChunkOutcome, ChunkRows};
pub(crate) use first_cut::first_cuts;
pub(crate) use proof::{Proof, prove_passed};
use reader::ChunkReader;
pub(crate) use readers::ChunkReaders;
