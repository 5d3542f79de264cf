//! Tables: their names and their schemas, one version each.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow_schema::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::{Error, LogicalType, Result};

/// The field metadata key that carries a column's logical type in Flink's notation.
pub const FIELD_TYPE_KEY: &str = "cdc.type";

/// A table's name: one to three parts, as Flink CDC has them. MySQL: (database, table).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableId {
    /// The outermost part (catalog), where a source has three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Arc<str>>,
    /// The database or schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Arc<str>>,
    /// The table itself.
    pub table: Arc<str>,
}

impl TableId {
    /// A two-part name: (database, table).
    pub fn new(schema: impl Into<Arc<str>>, table: impl Into<Arc<str>>) -> Self {
        TableId { namespace: None, schema: Some(schema.into()), table: table.into() }
    }

    /// Splits at dots into one to three parts.
    ///
    /// # Errors
    /// `Config` when a part is empty or there are more than three.
    pub fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('.').collect();
        if parts.iter().any(|part| part.trim().is_empty()) {
            return Err(Error::config(format!("table name \"{text}\" has an empty part")));
        }
        match parts[..] {
            [table] => Ok(TableId { namespace: None, schema: None, table: table.into() }),
            [schema, table] => Ok(TableId::new(schema, table)),
            [namespace, schema, table] => Ok(TableId {
                namespace: Some(namespace.into()),
                schema: Some(schema.into()),
                table: table.into(),
            }),
            _ => Err(Error::config(format!("table name \"{text}\" has more than three parts"))),
        }
    }

    /// The parts that are there, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [self.namespace.as_deref(), self.schema.as_deref(), Some(&*self.table)]
            .into_iter()
            .flatten()
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(part)?;
        }
        Ok(())
    }
}

/// A column's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultValue {
    /// A constant, as the server prints it.
    Literal(String),
    /// An expression that the server evaluates (`CURRENT_TIMESTAMP`, `uuid()`).
    Expression(String),
}

/// One column of one schema version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Stable over renames within one incarnation of the table.
    pub id: u32,
    /// Its name as the server spells it.
    pub name: String,
    /// What sinks see.
    pub logical: LogicalType,
    /// Whether null may occur downstream (a zero date is null, so this may be wider than the server's).
    pub nullable: bool,
    /// The comment, when the source is asked to include comments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The default, where the server has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<DefaultValue>,
    /// Whether the server computes it.
    #[serde(default)]
    pub generated: bool,
    /// The type as the source spells it, e.g. `bigint(20) unsigned`.
    pub source_type: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    id: TableId,
    version: u32,
    columns: Vec<Column>,
    primary_key: Vec<usize>,
    #[serde(default)]
    partition_keys: Vec<usize>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    generation: u32,
}

/// One version of a table's schema, with the Arrow schema its batches have.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct TableSchema {
    record: Record,
    arrow: SchemaRef,
}

impl TableSchema {
    /// A schema; `primary_key` holds column positions.
    ///
    /// # Errors
    /// `Internal` when a key names a column that is not there or two columns share a name.
    pub fn new(
        id: TableId,
        version: u32,
        columns: Vec<Column>,
        primary_key: Vec<usize>,
    ) -> Result<Self> {
        Self::from_record(Record {
            id,
            version,
            columns,
            primary_key,
            partition_keys: Vec::new(),
            options: BTreeMap::new(),
            comment: None,
            generation: 0,
        })
    }

    fn from_record(record: Record) -> Result<Self> {
        let count = record.columns.len();
        if record.primary_key.iter().chain(&record.partition_keys).any(|&at| at >= count) {
            return Err(Error::internal(format!(
                "a key of table \"{}\" names no column",
                record.id
            )));
        }
        let mut names: Vec<&str> =
            record.columns.iter().map(|column| column.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::internal(format!(
                "table \"{}\" has two columns named \"{}\"",
                record.id, pair[0]
            )));
        }
        let fields: Vec<Field> = record.columns.iter().map(field).collect();
        Ok(TableSchema { arrow: Arc::new(Schema::new(fields)), record })
    }

    /// The same columns under another table name (routing).
    #[must_use]
    pub fn with_id(&self, id: TableId) -> Self {
        let mut other = self.clone();
        other.record.id = id;
        other
    }

    /// The same table as another version.
    #[must_use]
    pub fn with_version(mut self, version: u32) -> Self {
        self.record.version = version;
        self
    }

    /// With other columns, key and partition columns (positions).
    ///
    /// # Errors
    /// As [`TableSchema::new`].
    pub fn with_columns(
        &self,
        columns: Vec<Column>,
        primary_key: Vec<usize>,
        partition_keys: Vec<usize>,
    ) -> Result<Self> {
        let mut record = self.record.clone();
        (record.columns, record.primary_key, record.partition_keys) =
            (columns, primary_key, partition_keys);
        Self::from_record(record)
    }

    /// With options for the sink's table.
    #[must_use]
    pub fn with_options(mut self, options: BTreeMap<String, String>) -> Self {
        self.record.options = options;
        self
    }

    /// With the number of times that the sink's table was emptied.
    #[must_use]
    pub fn with_generation(mut self, generation: u32) -> Self {
        self.record.generation = generation;
        self
    }

    /// With a table comment.
    #[must_use]
    pub fn with_comment(mut self, comment: Option<String>) -> Self {
        self.record.comment = comment;
        self
    }

    /// The table's name.
    pub fn id(&self) -> &TableId {
        &self.record.id
    }
    /// Counts up with each change of the table.
    pub fn version(&self) -> u32 {
        self.record.version
    }
    /// The columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.record.columns
    }
    /// Positions of the key's columns in key order; empty when the table has none.
    pub fn primary_key(&self) -> &[usize] {
        &self.record.primary_key
    }
    /// Positions of the partition columns.
    pub fn partition_keys(&self) -> &[usize] {
        &self.record.partition_keys
    }
    /// Options for the sink's table.
    pub fn options(&self) -> &BTreeMap<String, String> {
        &self.record.options
    }
    /// How often the sink's table was emptied since the pipeline began: counted by the engine, 0 in a source's schemas.
    /// Rows of different generations never belong together.
    pub fn generation(&self) -> u32 {
        self.record.generation
    }
    /// The table's comment.
    pub fn comment(&self) -> Option<&str> {
        self.record.comment.as_deref()
    }
    /// The Arrow schema of its batches; each field's metadata has the logical type under [`FIELD_TYPE_KEY`].
    pub fn arrow(&self) -> &SchemaRef {
        &self.arrow
    }
    /// Names of the key's columns in key order.
    pub fn primary_key_names(&self) -> impl Iterator<Item = &str> {
        self.record.primary_key.iter().map(|&at| self.record.columns[at].name.as_str())
    }
}

fn field(column: &Column) -> Field {
    let metadata = [(FIELD_TYPE_KEY.to_owned(), column.logical.to_string())];
    Field::new(&column.name, column.logical.arrow(), column.nullable).with_metadata(metadata.into())
}

impl fmt::Debug for TableSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{} (", self.record.id, self.record.version)?;
        for (i, column) in self.record.columns.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            let null = if column.nullable { "" } else { " NOT NULL" };
            write!(f, "{comma}`{}` {}{null}", column.name, column.logical)?;
        }
        f.write_str(")")
    }
}

/// Equal when all but the derived Arrow schema is equal.
impl PartialEq for TableSchema {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.record, &other.record);
        a.id == b.id
            && a.version == b.version
            && a.columns == b.columns
            && a.primary_key == b.primary_key
            && a.partition_keys == b.partition_keys
            && a.options == b.options
            && a.comment == b.comment
            && a.generation == b.generation
    }
}
impl Eq for TableSchema {}

impl TryFrom<Record> for TableSchema {
    type Error = Error;
    fn try_from(record: Record) -> Result<Self> {
        Self::from_record(record)
    }
}

impl From<TableSchema> for Record {
    fn from(schema: TableSchema) -> Record {
        schema.record
    }
}
