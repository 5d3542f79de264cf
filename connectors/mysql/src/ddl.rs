//! Definitions of tables, followed through the log's DDL (design §5): a tolerant parser of MySQL's and MariaDB's
//! statements, and a tracker of the tables that they are about. Pure: no I/O, and the same input gives the same output.
//!
//! How it is called:
//!
//! 1. [`Session::of_server`] once; [`Tracker::new`] with it; [`Tracker::put_database`] for each database
//!    (`information_schema.SCHEMATA`) and [`Tracker::put`] for each captured table, as
//!    `metadata::definitions` reads them or as a checkpoint kept them.
//! 2. For each QUERY event [`Session::of_statement`] with its database and status variables, then [`classify`]: cheap, and
//!    most statements end there.
//! 3. For the others [`Tracker::apply`]. Its [`Outcome`] has the [`Effect`]s on captured tables in their order, and the
//!    [`Doubt`]s: tables that must be read from the server again and [`Tracker::put`], or be quarantined.
//!
//! Helper tables of gh-ost and pt-online-schema-change beside a captured table are tracked without effects; their swap is
//! one [`Effect::Altered`] of the real table. A name alone makes no helper where people give such names too (`_t_new`,
//! `_t_old`, `_t_del`): the tool's signature must have been seen.

mod alter;
mod alteration;
mod classify;
mod collation;
mod column;
mod create;
mod cursor;
mod definition;
mod effect;
mod lexer;
mod literal;
mod online;
mod parse;
mod session;
mod statement;
#[cfg(test)]
mod tests;
mod tracker;
mod typing;

use cdc_api::TableId;

pub use classify::{Interest, classify};
pub use definition::{Definition, Index, IndexPart};
pub use effect::{Added, Alteration, Effect, Fill, ValueChange};
pub(crate) use online::TRIGGER_PREFIX;
pub use online::{OnlineTool, bases_of, is_helper_of};
use session::mode;
pub use session::{Dialect, Session};
pub use tracker::{Captures, Tracker};

/// What a statement did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To captured tables, in the statement's order.
    pub effects: Vec<Effect>,
    /// What could not be told.
    pub doubts: Vec<Doubt>,
}

/// A statement, or a part of one, that could not be told; never a guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The captured tables that it may concern, whose definitions are forgotten; none: any table.
    pub tables: Option<Vec<TableId>>,
    /// Where in the statement reading ended, in bytes, when it was not understood.
    pub at: Option<usize>,
    /// Why, as a sentence fragment.
    pub reason: String,
}

/// Where a statement is not understood, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    at: usize,
    reason: String,
}

impl Fault {
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Fault { at, reason: reason.into() }
    }
}
