//! Events in Flink CDC's notation, from Arrow alone: it shares no code with what it checks.

use arrow_array::{Array, cast::AsArray, types as a};
use arrow_schema::{DataType, TimeUnit};
use cdc_api::{ChangeBatch, DefaultValue, LogicalType as L, Op, TableSchema};

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `CreateTableEvent{..}`.
pub(crate) fn create(schema: &TableSchema) -> String {
    let columns = schema.columns().iter().map(|column| {
        let mut text = format!("`{}` {}", column.name, column.logical);
        if !column.nullable {
            text.push_str(" NOT NULL");
        }
        if let Some(comment) = &column.comment {
            text.push_str(&format!(" {}", quoted(comment)));
        }
        if let Some(DefaultValue::Literal(default) | DefaultValue::Expression(default)) =
            &column.default
        {
            text.push_str(&format!(" {}", quoted(default)));
        }
        text
    });
    let names = |at: &[usize]| {
        at.iter().map(|at| schema.columns()[*at].name.clone()).collect::<Vec<_>>().join(";")
    };
    let mut keys = format!("primaryKeys={}", names(schema.primary_key()));
    if !schema.partition_keys().is_empty() {
        keys.push_str(&format!(", partitionKeys={}", names(schema.partition_keys())));
    }
    let options = schema
        .options()
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join(", ");
    let options = if options.is_empty() { options } else { format!("{{{options}}}") };
    let columns = columns.collect::<Vec<_>>().join(",");
    format!(
        "CreateTableEvent{{tableId={}, schema=columns={{{columns}}}, {keys}, options=({options})}}",
        schema.id()
    )
}

/// `DataChangeEvent{..}` of every change.
pub(crate) fn changes(batch: &ChangeBatch) -> Vec<String> {
    let row = |at: usize| {
        let columns = batch.rows.columns().iter().zip(batch.schema.columns());
        columns
            .map(|(array, column)| value(array.as_ref(), &column.logical, at))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let event = |before: &str, after: &str, op: &str| {
        let id = batch.schema.id();
        format!(
            "DataChangeEvent{{tableId={id}, before=[{before}], after=[{after}], op={op}, meta=()}}"
        )
    };
    (0..batch.len())
        .filter_map(|at| match batch.ops.at(at) {
            Op::Read | Op::Insert => Some(event("", &row(at), "INSERT")),
            Op::UpdateBefore => None,
            Op::UpdateAfter => Some(event(&row(at - 1), &row(at), "UPDATE")),
            Op::Delete => Some(event(&row(at), "", "DELETE")),
        })
        .collect()
}

/// One value.
pub(crate) fn value(array: &dyn Array, ty: &L, at: usize) -> String {
    if array.is_null(at) {
        return "null".to_owned();
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(at).to_string(),
        DataType::Int8 => array.as_primitive::<a::Int8Type>().value(at).to_string(),
        DataType::Int16 => array.as_primitive::<a::Int16Type>().value(at).to_string(),
        DataType::Int32 => array.as_primitive::<a::Int32Type>().value(at).to_string(),
        DataType::Int64 => array.as_primitive::<a::Int64Type>().value(at).to_string(),
        DataType::Float32 => format!("{:?}", array.as_primitive::<a::Float32Type>().value(at)),
        DataType::Float64 => format!("{:?}", array.as_primitive::<a::Float64Type>().value(at)),
        DataType::Decimal128(..) => array.as_primitive::<a::Decimal128Type>().value_as_string(at),
        DataType::Utf8 => array.as_string::<i32>().value(at).to_owned(),
        DataType::Binary => base64(array.as_binary::<i32>().value(at)),
        DataType::Date32 => {
            array.as_primitive::<a::Date32Type>().value_as_date(at).expect("a date").to_string()
        }
        DataType::Time64(unit) => {
            let units = match unit {
                TimeUnit::Nanosecond => array.as_primitive::<a::Time64NanosecondType>().value(at),
                _ => array.as_primitive::<a::Time64MicrosecondType>().value(at) * 1000,
            };
            trimmed(&stamp(units)[11..])
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            trimmed(&stamp(array.as_primitive::<a::TimestampNanosecondType>().value(at)))
        }
        DataType::Timestamp(..) => {
            trimmed(&stamp(array.as_primitive::<a::TimestampMicrosecondType>().value(at) * 1000))
        }
        DataType::List(_) => {
            let L::Array(element) = ty else { panic!("a list that is no array") };
            let items = array.as_list::<i32>().value(at);
            let items = (0..items.len()).map(|at| value(items.as_ref(), element, at));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(..) => {
            let L::Map(key, item) = ty else { panic!("a map that is no map") };
            let entries = array.as_map().value(at);
            let entry = |at| {
                format!(
                    "{} -> {}",
                    value(entries.column(0), key, at),
                    value(entries.column(1), item, at)
                )
            };
            format!("{{{}}}", (0..entries.len()).map(entry).collect::<Vec<_>>().join(", "))
        }
        DataType::Struct(_) => {
            let row = array.as_struct();
            match ty {
                L::Row(fields) => {
                    let field = |(column, (name, ty)): (&arrow_array::ArrayRef, &(String, L))| {
                        format!("{name}: {ty} -> {}", value(column.as_ref(), ty, at))
                    };
                    let fields = row.columns().iter().zip(fields).map(field);
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
                }
                _ => {
                    let minutes = row.column(1).as_primitive::<a::Int16Type>().value(at);
                    let nanos =
                        row.column(0).as_primitive::<a::TimestampNanosecondType>().value(at);
                    let sign = if minutes < 0 { '-' } else { '+' };
                    let local = trimmed(&stamp(nanos + i64::from(minutes) * 60_000_000_000));
                    format!("{local}{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
                }
            }
        }
        other => panic!("the printer does not know {other}"),
    }
}

fn stamp(nanos: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(nanos).format("%Y-%m-%dT%H:%M:%S%.9f").to_string()
}

/// Without the fraction's zeroes in threes, as Java prints it.
fn trimmed(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains('.') && text.ends_with("000") {
        text.truncate(text.len() - 3);
    }
    let text = text.trim_end_matches('.');
    // Java leaves whole minutes without their seconds.
    if text.contains('.') {
        text.to_owned()
    } else {
        text.strip_suffix(":00").unwrap_or(text).to_owned()
    }
}

fn base64(bytes: &[u8]) -> String {
    let alphabet: Vec<char> =
        ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut out = String::new();
    for six in bits.as_bytes().chunks(6) {
        let six = format!("{:0<6}", String::from_utf8_lossy(six));
        out.push(alphabet[usize::from_str_radix(&six, 2).expect("bits")]);
    }
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// Maps print in no particular order: their entries sorted.
pub(crate) fn sorted_maps(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut at = 0;
    pieces(&chars, &mut at, None).join(", ")
}

/// The pieces between commas up to the closing bracket.
fn pieces(chars: &[char], at: &mut usize, close: Option<char>) -> Vec<String> {
    let mut pieces = vec![String::new()];
    while let Some(&c) = chars.get(*at) {
        *at += 1;
        if Some(c) == close {
            break;
        }
        if c == ',' && chars.get(*at) == Some(&' ') {
            *at += 1;
            pieces.push(String::new());
            continue;
        }
        let last = pieces.len() - 1;
        let end = match c {
            '{' => '}',
            '[' => ']',
            '(' => ')',
            _ => {
                pieces[last].push(c);
                continue;
            }
        };
        let mut inner = self::pieces(chars, at, Some(end));
        if c == '{' && inner.iter().all(|piece| piece.contains(" -> ")) {
            inner.sort();
        }
        pieces[last].push_str(&format!("{c}{}{end}", inner.join(", ")));
    }
    pieces
}
