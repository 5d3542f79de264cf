//! How the columns of one schema version become Arrow: the part of a decoding plan that both decoders share.

use std::sync::Arc;

use cdc_api::{Error, LogicalType, Result, TableSchema};

use super::{
    Charset, CharsetLookup, Flavor, GeometryAs, Kind, TemporalInvalid, TextUndecodable, TimeAs,
    TimeOutOfRange, TypeOptions,
};
use crate::metadata::{ColumnMeta, TableMeta};

/// One column: what is stored, what it becomes, and what is done with values that do not fit.
#[derive(Debug)]
pub struct ColumnCodec {
    pub(crate) kind: Kind,
    pub(crate) logical: LogicalType,
    pub(crate) nullable: bool,
    /// Whether the table may have nulls in it; in others a policy makes them.
    pub(crate) stores_null: bool,
    pub(crate) charset: Option<Arc<dyn Charset>>,
    pub(crate) options: TypeOptions,
}

impl ColumnCodec {
    /// What the column stores.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }
    /// What it is downstream.
    pub fn logical(&self) -> &LogicalType {
        &self.logical
    }
    /// Whether a zero or partial date becomes null here. A key column is never nullable, so there it is an error.
    pub(crate) fn nulls_invalid_temporal(&self) -> bool {
        self.nullable && self.options.temporal_invalid == TemporalInvalid::Null
    }
    pub(crate) fn nulls_long_time(&self) -> bool {
        self.nullable && self.options.time_out_of_range == TimeOutOfRange::Null
    }
    pub(crate) fn replaces_undecodable(&self) -> bool {
        self.options.text_undecodable == TextUndecodable::Replace
    }
    pub(crate) fn time_as(&self) -> TimeAs {
        self.options.time_as
    }
    pub(crate) fn geometry_as(&self) -> GeometryAs {
        self.options.geometry_as
    }
}

/// All columns of one schema version. Cheap to clone; plans and builders made from one codec fit each other, and only they.
#[derive(Debug, Clone)]
pub struct TableCodec {
    schema: Arc<TableSchema>,
    flavor: Flavor,
    columns: Arc<[ColumnCodec]>,
}

impl TableCodec {
    /// Binds a table's description to the schema made from it.
    ///
    /// # Errors
    /// `Data` when a column cannot be captured or its charset is not known, `Internal` when the schema is not of this table.
    pub fn new(
        table: &TableMeta,
        schema: Arc<TableSchema>,
        options: &TypeOptions,
        flavor: Flavor,
        charsets: &dyn CharsetLookup,
    ) -> Result<Self> {
        if schema.columns().len() != table.columns.len() {
            return Err(Error::internal(format!(
                "schema of table \"{}\" has {} columns, the table {}",
                table.id,
                schema.columns().len(),
                table.columns.len()
            )));
        }
        let columns = table
            .columns
            .iter()
            .zip(schema.columns())
            .enumerate()
            .map(|(at, (meta, column))| {
                let in_key = schema.primary_key().contains(&at);
                let kind = Kind::of(meta).and_then(|kind| {
                    let charset = charset_of(meta, &kind, charsets)?;
                    Ok((kind, charset))
                });
                let (kind, charset) = kind.map_err(|reason| {
                    let message = format!(
                        "column `{}` of table \"{}\" cannot be captured",
                        meta.name, table.id
                    );
                    Error::data(table.id.clone(), message).detail(reason)
                })?;
                let expected = super::logical::logical_of(&kind, meta, in_key, options);
                if expected != column.logical {
                    return Err(Error::internal(format!(
                        "column `{}` of table \"{}\" is {} in the schema and {expected} in the table",
                        meta.name, table.id, column.logical
                    )));
                }
                Ok(ColumnCodec {
                    kind,
                    logical: expected,
                    nullable: column.nullable,
                    stores_null: column.nullable && meta.nullable,
                    charset,
                    options: *options,
                })
            })
            .collect::<Result<Arc<[ColumnCodec]>>>()?;
        Ok(TableCodec { schema, flavor, columns })
    }

    /// The schema of the batches.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }
    /// The server's flavor.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }
    /// The columns in order.
    pub fn columns(&self) -> &Arc<[ColumnCodec]> {
        &self.columns
    }
}

fn charset_of(
    meta: &ColumnMeta,
    kind: &Kind,
    charsets: &dyn CharsetLookup,
) -> Result<Option<Arc<dyn Charset>>, String> {
    if !kind.is_text() {
        return Ok(None);
    }
    let name = meta.charset.as_deref().ok_or("the server names no charset for it")?;
    charsets
        .charset(&name.to_ascii_lowercase())
        .map(Some)
        .ok_or_else(|| format!("charset `{name}` is not known"))
}
