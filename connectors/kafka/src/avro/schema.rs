//! Avro schemas of a table's rows, keys and envelopes, and the Arrow schemas of the same shape. Dates, times and decimals
//! are Avro's logical types, so that any reader of Avro knows them.

use std::{collections::HashSet, sync::Arc};

use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use cdc_api::{Column, DefaultValue, Error, LogicalType, Result, TableSchema};
use serde_json::{Value, json};

use crate::json::{Bits, Cells, Decimals, Style, Times};

/// Avro's names are letters, digits and `_`: what else a name has becomes `_`.
pub(super) struct Names {
    namespace: String,
    columns: Vec<String>,
}

fn avro_name(name: &str) -> String {
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let text: String = name.chars().map(word).collect();
    if text.chars().next().is_none_or(|first| first.is_ascii_digit()) {
        format!("_{text}")
    } else {
        text
    }
}

impl Names {
    /// # Errors
    /// `Data` when two columns have one name in Avro.
    pub(super) fn new(table: &TableSchema, pipeline: &str) -> Result<Names> {
        let parts = std::iter::once(pipeline).chain(table.id().parts());
        let namespace = parts.map(avro_name).collect::<Vec<_>>().join(".");
        let columns: Vec<String> =
            table.columns().iter().map(|column| avro_name(&column.name)).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = columns.iter().find(|name| !seen.insert(name.as_str())) {
            let id = table.id();
            return Err(Error::data(
                id.clone(),
                format!("two columns of table \"{id}\" are both `{twice}` in Avro"),
            )
            .detail("Avro's names have letters, digits and `_` only")
            .hint("rename one of them with a transform's projection, or use value.format `debezium-json`"));
        }
        Ok(Names { namespace, columns })
    }

    /// The full name of a record of the table.
    pub(super) fn of(&self, record: &str) -> String {
        format!("{}.{record}", self.namespace)
    }
}

fn avro_type(logical: &LogicalType) -> Value {
    use LogicalType as L;
    match logical {
        L::Boolean => json!("boolean"),
        L::TinyInt | L::SmallInt | L::Int => json!("int"),
        L::BigInt => json!("long"),
        L::Float => json!("float"),
        L::Double => json!("double"),
        L::Decimal { precision, scale } => {
            json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale})
        }
        L::Date => json!({"type": "int", "logicalType": "date"}),
        L::Time(0..=6) => json!({"type": "long", "logicalType": "time-micros"}),
        L::Timestamp(0..=6) => json!({"type": "long", "logicalType": "local-timestamp-micros"}),
        L::TimestampLtz(0..=6) => json!({"type": "long", "logicalType": "timestamp-micros"}),
        L::Timestamp(_) => json!({"type": "long", "logicalType": "local-timestamp-nanos"}),
        L::TimestampLtz(_) => json!({"type": "long", "logicalType": "timestamp-nanos"}),
        // What Avro has no type for is text.
        L::Time(_) | L::TimestampTz(_) | L::Map(..) | L::Row(_) => json!("string"),
        L::Char(_) | L::VarChar(_) | L::String | L::Variant => json!("string"),
        L::Binary(_) | L::VarBinary(_) | L::Bytes => json!("bytes"),
        L::Array(element) => {
            json!({"type": "array", "items": ["null", avro_type(element)]})
        }
    }
}

/// Types that are carried as the text of their JSON form.
fn is_text(logical: &LogicalType) -> bool {
    use LogicalType as L;
    matches!(logical, L::Time(7..) | L::TimestampTz(_) | L::Map(..) | L::Row(_))
}

fn arrow_type(logical: &LogicalType) -> DataType {
    if is_text(logical) { DataType::Utf8 } else { logical.arrow() }
}

/// The array that is encoded for a column.
pub(super) fn carried(logical: &LogicalType, array: &ArrayRef) -> Result<ArrayRef> {
    if !is_text(logical) {
        return Ok(Arc::clone(array));
    }
    let style = Style {
        decimals: Decimals::Number,
        times: Times::Iso,
        quoted: false,
        flink: false,
        sets_joined: false,
        bits: Bits::BigEndian,
    };
    let cells = Cells::bind(logical, "", array.as_ref(), style)?;
    let text = (0..array.len()).map(|at| {
        if cells.is_null(at) {
            return None;
        }
        let mut out = Vec::new();
        cells.push(&mut out, at);
        // A JSON string is its content; an object is its text.
        Some(
            serde_json::from_slice::<String>(&out)
                .unwrap_or_else(|_| String::from_utf8_lossy(&out).into_owned()),
        )
    });
    Ok(Arc::new(text.collect::<StringArray>()))
}

/// Rows that are not what their schema says.
pub(super) fn misfit(error: ArrowError) -> Error {
    Error::internal("rows do not fit their Avro schema").detail(error.to_string())
}

fn field_json(column: &Column, name: &str) -> Value {
    let ty = avro_type(&column.logical);
    let mut field = json!({"name": name});
    if column.nullable {
        field["type"] = json!(["null", ty]);
        field["default"] = Value::Null;
    } else {
        // A column that is added without nulls needs one, or no reader could fill it in for older rows.
        if let Some(default) = default(column) {
            field["default"] = default;
        }
        field["type"] = ty;
    }
    if let Some(comment) = &column.comment {
        field["doc"] = json!(comment);
    }
    field
}

/// A constant default of a type whose JSON form is plain.
fn default(column: &Column) -> Option<Value> {
    let Some(DefaultValue::Literal(text)) = &column.default else { return None };
    use LogicalType as L;
    match &column.logical {
        L::TinyInt | L::SmallInt | L::Int => text.parse::<i32>().ok().map(Value::from),
        L::BigInt => text.parse::<i64>().ok().map(Value::from),
        L::Char(_) | L::VarChar(_) | L::String => Some(json!(text)),
        _ => None,
    }
}

/// The schema of a row.
pub(super) fn row(table: &TableSchema, names: &Names) -> String {
    row_json(table, names).to_string()
}

fn row_json(table: &TableSchema, names: &Names) -> Value {
    let fields = table.columns().iter().zip(&names.columns);
    let fields: Vec<Value> = fields.map(|(column, name)| field_json(column, name)).collect();
    json!({"type": "record", "name": "Value", "namespace": names.namespace, "fields": fields})
}

/// The schema of a key.
pub(super) fn key(table: &TableSchema, names: &Names) -> String {
    let fields: Vec<Value> =
        key_columns(table, names).map(|(column, name)| field_json(column, name)).collect();
    json!({"type": "record", "name": "Key", "namespace": names.namespace, "fields": fields})
        .to_string()
}

fn key_columns<'a>(
    table: &'a TableSchema,
    names: &'a Names,
) -> impl Iterator<Item = (&'a Column, &'a str)> {
    table
        .primary_key()
        .iter()
        .filter_map(|&at| Some((table.columns().get(at)?, names.columns.get(at)?.as_str())))
}

/// The schema of an envelope; without the row's own when that is a schema of the registry.
pub(super) fn envelope(table: &TableSchema, names: &Names, whole: bool) -> String {
    let value = names.of("Value");
    let before = if whole { row_json(table, names) } else { json!(value) };
    let optional =
        |name: &str, ty: &str| json!({"name": name, "type": ["null", ty], "default": null});
    let source = json!({
        "type": "record", "name": "Source", "namespace": names.namespace,
        "fields": [
            {"name": "version", "type": "string"},
            {"name": "connector", "type": "string"},
            {"name": "name", "type": "string"},
            {"name": "ts_ms", "type": "long"},
            {"name": "snapshot", "type": "string"},
            {"name": "db", "type": "string"},
            optional("sequence", "string"),
            optional("table", "string"),
            {"name": "server_id", "type": "long"},
            optional("gtid", "string"),
            {"name": "file", "type": "string"},
            {"name": "pos", "type": "long"},
            {"name": "row", "type": "int"},
        ]
    });
    json!({
        "type": "record", "name": "Envelope", "namespace": names.namespace,
        "fields": [
            {"name": "before", "type": ["null", before], "default": null},
            {"name": "after", "type": ["null", value], "default": null},
            {"name": "source", "type": source},
            {"name": "op", "type": "string"},
            optional("ts_ms", "long"),
        ]
    })
    .to_string()
}

fn arrow_field(column: &Column, name: &str) -> Field {
    Field::new(name, arrow_type(&column.logical), column.nullable)
}

/// The Arrow form of a key.
pub(super) fn key_arrow(table: &TableSchema, names: &Names) -> SchemaRef {
    let fields = key_columns(table, names).map(|(column, name)| arrow_field(column, name));
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// The Arrow form of an envelope.
pub(super) fn envelope_arrow(table: &TableSchema, names: &Names) -> SchemaRef {
    let row = table.columns().iter().zip(&names.columns);
    let row: Fields = row.map(|(column, name)| arrow_field(column, name)).collect();
    let source = Fields::from(vec![
        Field::new("version", DataType::Utf8, false),
        Field::new("connector", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, false),
        Field::new("ts_ms", DataType::Int64, false),
        Field::new("snapshot", DataType::Utf8, false),
        Field::new("db", DataType::Utf8, false),
        Field::new("sequence", DataType::Utf8, true),
        Field::new("table", DataType::Utf8, true),
        Field::new("server_id", DataType::Int64, false),
        Field::new("gtid", DataType::Utf8, true),
        Field::new("file", DataType::Utf8, false),
        Field::new("pos", DataType::Int64, false),
        Field::new("row", DataType::Int32, false),
    ]);
    Arc::new(Schema::new(vec![
        Field::new("before", DataType::Struct(row.clone()), true),
        Field::new("after", DataType::Struct(row), true),
        Field::new("source", DataType::Struct(source), false),
        Field::new("op", DataType::Utf8, false),
        Field::new("ts_ms", DataType::Int64, true),
    ]))
}
