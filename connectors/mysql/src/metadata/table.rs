//! A captured table as the server's `information_schema` describes it: the raw facts that types, decoders and keys
//! are made from. Serialised into checkpoints, so fields are only ever added.

use serde::{Deserialize, Serialize};

use cdc_api::TableId;

/// One row of `information_schema.columns`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMeta {
    /// Name as spelled by the server.
    pub name: String,
    /// `DATA_TYPE`, lower case: `bigint`, `varchar`, `geometry`, `uuid`.
    pub data_type: String,
    /// `COLUMN_TYPE`: `bigint(20) unsigned`, `enum('a','b')`.
    pub column_type: String,
    /// `CHARACTER_MAXIMUM_LENGTH`: characters, or bytes for binary strings.
    pub length: Option<u64>,
    /// `NUMERIC_PRECISION`.
    pub precision: Option<u32>,
    /// `NUMERIC_SCALE`.
    pub scale: Option<u32>,
    /// `DATETIME_PRECISION`.
    pub fraction: Option<u8>,
    /// `CHARACTER_SET_NAME`; none for what is not text.
    pub charset: Option<String>,
    /// `COLLATION_NAME`.
    pub collation: Option<String>,
    /// `IS_NULLABLE`.
    pub nullable: bool,
    /// `COLUMN_DEFAULT` as printed by the server.
    pub default: Option<String>,
    /// `EXTRA`: `auto_increment`, `INVISIBLE`, `VIRTUAL GENERATED`, `DEFAULT_GENERATED` …
    pub extra: String,
    /// `GENERATION_EXPRESSION`, empty when there is none.
    pub generated: String,
    /// `COLUMN_COMMENT`.
    pub comment: String,
}

/// One captured table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableMeta {
    /// (database, table).
    pub id: TableId,
    /// All columns in their order, invisible ones too.
    pub columns: Vec<ColumnMeta>,
    /// Positions of the primary key's columns in key order; empty when there is none.
    pub primary_key: Vec<usize>,
    /// Positions of the columns of each unique key that could serve as key: all NOT NULL, no prefix, no functional part.
    pub unique_keys: Vec<Vec<usize>>,
    /// `ENGINE`.
    pub engine: String,
    /// `TABLE_ROWS`, an estimate.
    pub rows_estimated: Option<u64>,
    /// `TABLE_COMMENT`.
    pub comment: String,
}
