//! `transform --sample`: rows from a JSON file through the rules, without a database.

use std::{fmt::Write as _, path::Path, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow_cast::{
    CastOptions, cast_with_options,
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::DataType;
use cdc_api::{
    ChangeBatch, Column, Error, LogicalType, Op, Ops, Ordinals, Result, TableId, TableSchema,
    TxnId, TxnSpan,
};
use serde_json::Value;

use crate::{compose::Planned, definition::PipelineSpec, transform};

const HINT: &str = r#"write {"table": "db.t", "columns": {"id": "BIGINT NOT NULL", "name": "STRING"}, "primary-key": ["id"], "rows": [{"id": 1, "name": "a"}]}"#;

/// The rows of the file behind the rule of their table, one a line.
pub(super) fn text(spec: &PipelineSpec, file: &Path) -> Result<Planned> {
    let wrong = |what: String| {
        Error::operator(format!("\"{}\" is no sample of rows", file.display()))
            .detail(what)
            .hint(HINT)
    };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let sample: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let schema = Arc::new(schema(&sample).map_err(&wrong)?);
    let rows = sample
        .get("rows")
        .and_then(Value::as_array)
        .ok_or_else(|| wrong("it has no list `rows`".into()))?;
    let batch = batch(&schema, rows).map_err(&wrong)?;
    let program = transform::compile(&spec.transform, &schema)?;
    let warnings = spec.transform.warnings(program.as_slice())?;
    let batch = match program {
        Some(program) => program.eval(batch)?,
        None => Some(batch),
    };
    let mut out = String::new();
    let Some(batch) = batch else { return Ok(Planned { text: out, warnings }) };
    let options = FormatOptions::default().with_null("NULL");
    let columns =
        batch.rows.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns =
        columns.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(error.to_string()))?;
    for row in 0..batch.len() {
        let cells = columns
            .iter()
            .zip(batch.schema.columns())
            .map(|(cells, column)| format!("{}={}", column.name, cells.value(row)));
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join(", "));
    }
    Ok(Planned { text: out, warnings })
}

fn schema(sample: &Value) -> Result<TableSchema, String> {
    let table = sample.get("table").and_then(Value::as_str).ok_or("it has no `table`")?;
    let id = TableId::parse(table).map_err(|error| error.to_string())?;
    let listed = sample.get("columns").and_then(Value::as_object).ok_or("it has no `columns`")?;
    let mut columns = Vec::new();
    for (name, ty) in listed {
        let ty = ty.as_str().ok_or_else(|| format!("the type of `{name}` is no text"))?;
        let upper = ty.to_ascii_uppercase();
        let logical = upper.trim().trim_end_matches("NOT NULL").trim();
        columns.push(Column {
            id: columns.len() as u32,
            name: name.clone(),
            logical: logical_of(logical).ok_or_else(|| {
                format!("`{name}` has the type \"{ty}\", which a sample cannot have")
            })?,
            nullable: !upper.trim().ends_with("NOT NULL"),
            comment: None,
            default: None,
            generated: false,
            source_type: ty.to_owned(),
        });
    }
    let mut key = Vec::new();
    for name in sample.get("primary-key").and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap_or_default();
        let at = columns.iter().position(|column: &Column| column.name == name);
        key.push(at.ok_or_else(|| format!("the key's column `{name}` is not among `columns`"))?);
    }
    TableSchema::new(id, 1, columns, key).map_err(|error| error.to_string())
}

/// The types whose values JSON can spell.
fn logical_of(text: &str) -> Option<LogicalType> {
    use LogicalType as L;
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end_matches(')')),
        None => (text, ""),
    };
    let number = |at: usize| arguments.split(',').nth(at)?.trim().parse::<u32>().ok();
    Some(match name {
        "BOOLEAN" => L::Boolean,
        "TINYINT" => L::TinyInt,
        "SMALLINT" => L::SmallInt,
        "INT" | "INTEGER" => L::Int,
        "BIGINT" => L::BigInt,
        "FLOAT" => L::Float,
        "DOUBLE" => L::Double,
        "DECIMAL" => L::Decimal {
            precision: u8::try_from(number(0)?).ok().filter(|digits| (1..=38).contains(digits))?,
            scale: u8::try_from(number(1).unwrap_or(0)).ok()?,
        },
        "DATE" => L::Date,
        "TIME" => L::Time(u8::try_from(number(0).unwrap_or(0)).ok()?),
        "TIMESTAMP" => L::Timestamp(u8::try_from(number(0).unwrap_or(6)).ok()?),
        "TIMESTAMP_LTZ" => L::TimestampLtz(u8::try_from(number(0).unwrap_or(6)).ok()?),
        "CHAR" => L::Char(number(0)?),
        "VARCHAR" => L::VarChar(number(0)?),
        "STRING" => L::String,
        _ => return None,
    })
}

fn batch(schema: &Arc<TableSchema>, rows: &[Value]) -> Result<ChangeBatch, String> {
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for column in schema.columns() {
        let cells: StringArray = rows
            .iter()
            .map(|row| match row.get(&column.name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            })
            .collect();
        let ty = column.logical.arrow();
        arrays.push(match &ty {
            DataType::Utf8 => Arc::new(cells),
            _ if rows.is_empty() => new_null_array(&ty, 0),
            _ => {
                let options = CastOptions { safe: false, format_options: FormatOptions::default() };
                cast_with_options(&cells, &ty, &options)
                    .map_err(|error| format!("`{}`: {error}", column.name))?
            }
        });
    }
    let rows = RecordBatch::try_new(Arc::clone(schema.arrow()), arrays)
        .map_err(|error| error.to_string())?;
    let span = TxnSpan {
        first_ordinal: 0,
        id: TxnId::None,
        file: "sample".into(),
        pos: 0,
        commit_ts_us: 0,
    };
    Ok(ChangeBatch {
        schema: Arc::clone(schema),
        rows,
        ops: Ops::All(Op::Insert),
        ordinals: Ordinals::From(0),
        first_seq: 1,
        txns: Arc::from([span]),
    })
}
