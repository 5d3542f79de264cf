//! Row events of the log: TABLE_MAP into a [`TableMap`], that and the table's codec into a [`BinlogPlan`], row events into
//! images that [`super::BatchBuilder`] takes.
//!
//! In: event bodies, without their 19-byte header and their checksum. A TABLE_MAP is also the second witness of a table's
//! shape ([`TableMap::check`], correctness §6).

mod complete;
mod compressed;
mod metadata;
mod plan;
mod rows;
mod storage;
mod table_map;
mod witness;

pub use complete::Completed;
pub use compressed::{inflate_query, inflate_rows};
pub use metadata::OptionalMetadata;
pub use plan::BinlogPlan;
pub use rows::{Half, Images, RowsEvent, RowsKind};
pub use storage::Storage;
pub use table_map::{MapColumn, TableMap};
pub use witness::Mismatch;
