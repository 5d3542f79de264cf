//! Support of the case runner: the input table, the reader of case files, the printer of events.

pub mod print;
pub mod table;
pub mod yaml;
