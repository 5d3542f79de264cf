//! Support of the case runner: the input table, the reader of case files, the printer of events.

pub(crate) mod print;
pub(crate) mod table;
pub(crate) mod yaml;
