//! What the server says of itself and its tables.
//!
//! In: a connection. Out: [`ServerInfo`], the captured tables as [`TableMeta`], and what preflight finds. Only metadata
//! is read here, never a row.

pub mod definition;
pub mod discover;
pub mod preflight;
pub mod server;
pub mod session;
pub mod table;

mod grants;
mod helpers;
mod members;
mod tables_check;

pub use definition::{database_collations, definitions};
pub use discover::{Discovery, discover, table};
pub(crate) use helpers::helpers;
pub use preflight::preflight;
pub use server::ServerInfo;
pub use session::session_sql;
pub use table::{ColumnMeta, TableMeta};
pub use tables_check::refusal;
