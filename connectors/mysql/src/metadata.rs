//! What the server says of itself and its tables.

pub mod table;

pub use table::{ColumnMeta, TableMeta};
