//! Simulation of the machine against a model database (correctness §8). A seed draws a plan (which
//! server, which sink, how fast everyone is) and then a schedule; the oracle watches every step:
//! - a completed range is exactly the source as of the boundary at which the reader stands;
//! - each checkpoint of the sink that rolls back is one consistent cut of everything Done;
//! - that sink never gets a present key inserted or an absent one changed;
//! - in the end the copy equals the source, and the end comes.
//!
//! `CDC_SIM_SEED=n` runs one seed alone (`CDC_SIM_CRASH_AT=step` with a single crash there),
//! `CDC_SIM_SEEDS=n` so many of them.

mod chunk;
mod coverage;
mod database;
mod invariants;
mod mistakes;
mod pipeline;
mod rng;
mod schedules;
mod sink;
mod slip;
mod world;
