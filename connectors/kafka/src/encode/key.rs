//! A record's key: the key columns of its row, as JSON, CSV or Avro. A table without a key has records without one.

use std::ops::Range;

use cdc_api::{ChangeBatch, Error, Result, TableSchema};

use super::connect;
use crate::{
    avro::{AvroKey, AvroRows},
    config::{Compatibility, KeyFormat, Settings},
    json::{Cells, Style, push_string},
};

/// How a table's keys are written.
pub(crate) struct KeyPlan {
    form: Form,
    /// Positions of the key's columns in key order.
    columns: Vec<usize>,
    style: Style,
}

enum Form {
    /// No key.
    None,
    Json {
        head: Vec<u8>,
        /// `"a":` for each, behind a comma where one is needed.
        names: Vec<Vec<u8>>,
        tail: &'static [u8],
    },
    Csv {
        head: Vec<u8>,
        flink: bool,
    },
    Avro(AvroKey),
}

impl KeyPlan {
    pub(crate) fn new(
        schema: &TableSchema,
        settings: &Settings,
        avro: Option<AvroKey>,
    ) -> Result<KeyPlan> {
        let flink = settings.compatibility == Compatibility::FlinkCdc;
        let columns = schema.primary_key().to_vec();
        let style = settings.key_style();
        let id = schema.id().to_string();
        // Flink CDC writes a key for each record, if need be of the table's name alone.
        if columns.is_empty() && !flink {
            return Ok(KeyPlan { form: Form::None, columns, style });
        }
        let form = match settings.key_format {
            KeyFormat::Json => {
                let mut head = Vec::new();
                if settings.key_include_schema {
                    head.extend_from_slice(b"{\"schema\":");
                    head.extend_from_slice(connect::key(schema, settings).as_bytes());
                    head.extend_from_slice(b",\"payload\":");
                }
                head.push(b'{');
                if flink {
                    head.extend_from_slice(b"\"TableId\":");
                    push_string(&mut head, &id);
                }
                let names = schema.primary_key_names().enumerate().map(|(i, name)| {
                    let mut text = if i > 0 || flink { vec![b','] } else { Vec::new() };
                    push_string(&mut text, name);
                    text.push(b':');
                    text
                });
                let tail: &[u8] = if settings.key_include_schema { b"}}" } else { b"}" };
                Form::Json { names: names.collect(), head, tail }
            }
            KeyFormat::Csv => {
                let mut head = Vec::new();
                if flink {
                    push_csv(&mut head, id.as_bytes(), true);
                }
                Form::Csv { head, flink }
            }
            KeyFormat::Avro => Form::Avro(avro.ok_or_else(|| {
                Error::internal("an Avro key schema was not registered ahead of its table")
            })?),
        };
        Ok(KeyPlan { form, columns, style })
    }

    /// Binds the key's columns of a chunk.
    pub(crate) fn bind<'a>(
        &'a self,
        batch: &'a ChangeBatch,
        range: Range<usize>,
    ) -> Result<Keys<'a>> {
        let mut cells = Vec::new();
        let mut avro = None;
        match &self.form {
            Form::None => {}
            Form::Avro(plan) => avro = Some((range.start, plan.encode(batch, range)?)),
            Form::Json { .. } | Form::Csv { .. } => {
                for &at in &self.columns {
                    let column = batch.schema.columns().get(at).zip(batch.rows.columns().get(at));
                    let (column, array) = column.ok_or_else(|| {
                        Error::internal(format!("a key column of {} is missing", batch.schema.id()))
                    })?;
                    cells.push(Cells::bind(
                        &column.logical,
                        &column.source_type,
                        array.as_ref(),
                        self.style,
                    )?);
                }
            }
        }
        Ok(Keys { plan: self, cells, avro })
    }
}

/// The keys of a chunk.
pub(crate) struct Keys<'a> {
    plan: &'a KeyPlan,
    cells: Vec<Cells<'a>>,
    avro: Option<(usize, AvroRows)>,
}

impl Keys<'_> {
    /// Appends the key of a row; false when the table has none.
    pub(crate) fn push(&self, out: &mut Vec<u8>, row: usize) -> Result<bool> {
        match &self.plan.form {
            Form::None => return Ok(false),
            Form::Json { head, names, tail } => {
                out.extend_from_slice(head);
                for (name, cells) in names.iter().zip(&self.cells) {
                    out.extend_from_slice(name);
                    cells.push(out, row);
                }
                out.extend_from_slice(tail);
            }
            Form::Csv { head, flink } => {
                out.extend_from_slice(head);
                let mut field = Vec::new();
                for (i, cells) in self.cells.iter().enumerate() {
                    if i > 0 || !head.is_empty() {
                        out.push(b',');
                    }
                    field.clear();
                    cells.push(&mut field, row);
                    // A string's JSON form is undone; all others are the same in CSV.
                    match serde_json::from_slice::<String>(&field) {
                        Ok(text) if field.first() == Some(&b'"') => {
                            push_csv(out, text.as_bytes(), *flink);
                        }
                        _ => out.extend_from_slice(&field),
                    }
                }
            }
            Form::Avro(_) => {
                let (first, rows) = self
                    .avro
                    .as_ref()
                    .ok_or_else(|| Error::internal("Avro keys were not encoded"))?;
                out.extend_from_slice(&rows.row(row - first)?);
            }
        }
        Ok(true)
    }
}

/// Appends a CSV field, between quotes where it needs them. Flink's writer does not look closely: a long text, or one with
/// any character below `-`, gets quotes.
fn push_csv(out: &mut Vec<u8>, field: &[u8], flink: bool) {
    const UNQUOTED_BYTES_MAX: usize = 24;
    let needs = if flink {
        field.len() > UNQUOTED_BYTES_MAX || field.iter().any(|byte| *byte < b'-')
    } else {
        field.is_empty() || field.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
    };
    if !needs {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for &byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
