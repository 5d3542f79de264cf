//! The one ordered stream of the source: the log reader and the chunk readers joined by the snapshot machine. This is the
//! point where log rows are dropped, kept or passed on: "the reader" of correctness §2.

mod binding;
mod captured;
mod change;
mod mysql_source;
mod open;
mod provider;
mod questions;
mod range_rows;
mod session;
mod state;
mod weigher;
mod xa_gate;

pub(crate) use binding::Binder;
pub(crate) use captured::{CapturedTable, Catalog};
pub(crate) use change::TableChange;
pub(crate) use questions::Questions;
pub(crate) use session::Session;
pub(crate) use weigher::Weigher;

pub use provider::provider;
