//! The value model of the MySQL source (correctness §7.1): from a column as the server describes it to the logical type
//! that sinks see, and the codec that both decoders share.
//!
//! In: `metadata::TableMeta` and the user's [`TypeOptions`]. Out: a [`cdc_api::TableSchema`], a [`TableCodec`], and the
//! expression by which a SELECT fetches each column. Nothing here touches row bytes; that is `decode`.

mod charset;
mod codec;
mod kind;
mod logical;
mod members;
mod options;
mod schema;
mod select;

pub use charset::{Charset, CharsetLookup};
pub use codec::{ColumnCodec, TableCodec};
pub use kind::Kind;
pub use logical::logical;
pub(crate) use members::{parse_members, spell_members};
pub use options::{
    Flavor, GeometryAs, TemporalInvalid, TextUndecodable, TimeAs, TimeOutOfRange, TypeOptions,
};
pub use schema::{key_columns, table_schema};
pub use select::{quote_identifier, select_expression};

#[cfg(test)]
pub(crate) use schema::tests as schema_tests;
