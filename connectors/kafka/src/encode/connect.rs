//! The schema that a message carries under `include-schema`, in the form of Kafka Connect's JSON converter. Its types are
//! those of the values written, so that the converter (and with it Debezium's consumers) decodes them; under the
//! compatibility switch it is Flink CDC's, whose types its values do not have.

use cdc_api::{Column, DefaultValue, LogicalType, TableSchema};

use super::Origin;
use crate::{
    config::{Compatibility, Settings},
    json::{Bits, Decimals, Style, bits_of, is_set, push_string},
};

/// A type: Connect's word, with what follows it.
struct Type {
    word: &'static str,
    /// `"items":…`, `"fields":…` of nested types, with a comma ahead.
    inner: String,
    name: Option<String>,
    /// Values are strings.
    parameters: Vec<(&'static str, String)>,
}

impl Type {
    fn plain(word: &'static str) -> Type {
        Type { word, inner: String::new(), name: None, parameters: Vec::new() }
    }
    fn named(word: &'static str, name: &str) -> Type {
        Type { name: Some(name.to_owned()), ..Type::plain(word) }
    }
    fn with(mut self, key: &'static str, value: impl ToString) -> Type {
        self.parameters.push((key, value.to_string()));
        self
    }

    /// The schema as JSON; `field` names it inside a struct.
    fn json(&self, optional: bool, doc: Option<&str>, field: Option<&str>) -> String {
        let mut text =
            format!("{{\"type\":\"{}\"{},\"optional\":{optional}", self.word, self.inner);
        if let Some(name) = &self.name {
            text.push_str(",\"name\":");
            text.push_str(&quoted(name));
            if self.word != "struct" {
                text.push_str(",\"version\":1");
            }
        }
        if let Some(doc) = doc {
            text.push_str(",\"doc\":");
            text.push_str(&quoted(doc));
        }
        if !self.parameters.is_empty() {
            let pairs = self.parameters.iter().map(|(k, v)| format!("\"{k}\":{}", quoted(v)));
            text.push_str(&format!(",\"parameters\":{{{}}}", pairs.collect::<Vec<_>>().join(",")));
        }
        if let Some(field) = field {
            text.push_str(",\"field\":");
            text.push_str(&quoted(field));
        }
        text.push('}');
        text
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    push_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

fn structure(fields: Vec<String>, name: Option<String>) -> Type {
    let inner = format!(",\"fields\":[{}]", fields.join(","));
    Type { word: "struct", inner, name, parameters: Vec::new() }
}

/// `<pipeline>.<db>.<table>`, which Debezium's schema names begin with.
fn prefix(schema: &TableSchema, pipeline: &str) -> String {
    format!("{pipeline}.{}", schema.id())
}

/// The schema of a table's envelopes.
pub(super) fn envelope(schema: &TableSchema, settings: &Settings, origin: &Origin) -> String {
    let flink = settings.compatibility == Compatibility::FlinkCdc;
    let style = settings.value_style();
    let name =
        |suffix: &str| (!flink).then(|| format!("{}.{suffix}", prefix(schema, &origin.pipeline)));
    let columns = || {
        let columns = schema.columns().iter();
        columns.map(|column| column_json(column, style, flink)).collect::<Vec<_>>()
    };
    let row = structure(columns(), name("Value"));
    let mut fields =
        vec![row.json(true, None, Some("before")), row.json(true, None, Some("after"))];
    if !flink {
        fields.push(source().json(false, None, Some("source")));
        fields.push(transaction().json(true, None, Some("transaction")));
        fields.push(Type::plain("string").json(false, None, Some("op")));
        fields.push(Type::plain("int64").json(true, None, Some("ts_ms")));
    }
    structure(fields, name("Envelope")).json(false, None, None)
}

/// The schema of a table's keys.
pub(super) fn key(schema: &TableSchema, settings: &Settings) -> String {
    let columns = schema.primary_key().iter().filter_map(|&at| schema.columns().get(at));
    let style = settings.key_style();
    let flink = settings.compatibility == Compatibility::FlinkCdc;
    let mut fields = Vec::new();
    if flink {
        fields.push(Type::plain("string").json(false, None, Some("TableId")));
    }
    fields.extend(columns.map(|column| column_json(column, style, false)));
    structure(fields, Some(format!("{}.Key", schema.id()))).json(false, None, None)
}

fn source() -> Type {
    let field = |word: &'static str, optional: bool, name: &str| {
        Type::plain(word).json(optional, None, Some(name))
    };
    let snapshot = Type::named("string", "io.debezium.data.Enum")
        .with("allowed", "true,last,false,incremental");
    let fields = vec![
        field("string", false, "version"),
        field("string", false, "connector"),
        field("string", false, "name"),
        field("int64", false, "ts_ms"),
        snapshot.json(true, None, Some("snapshot")),
        field("string", false, "db"),
        field("string", true, "sequence"),
        field("string", true, "table"),
        field("int64", false, "server_id"),
        field("string", true, "gtid"),
        field("string", false, "file"),
        field("int64", false, "pos"),
        field("int32", false, "row"),
        field("int64", true, "thread"),
        field("string", true, "query"),
    ];
    structure(fields, Some("io.debezium.connector.mysql.Source".into()))
}

fn transaction() -> Type {
    let field = |word: &'static str, name: &str| Type::plain(word).json(false, None, Some(name));
    let fields = vec![
        field("string", "id"),
        field("int64", "total_order"),
        field("int64", "data_collection_order"),
    ];
    structure(fields, Some("event.block".into()))
}

fn column_json(column: &Column, style: Style, flink: bool) -> String {
    let ty = if flink { flink_type(&column.logical) } else { column_type(column, style) };
    // A default makes the converter put it in place of null, so it is only told where there is no null.
    let default = (!column.nullable && !flink).then(|| default_json(column, style)).flatten();
    let text = ty.json(column.nullable || flink, column.comment.as_deref(), Some(&column.name));
    match default {
        Some(default) => {
            text.replacen(",\"field\":", &format!(",\"default\":{default},\"field\":"), 1)
        }
        None => text,
    }
}

/// A constant default of a type whose JSON form is plain.
fn default_json(column: &Column, style: Style) -> Option<String> {
    let Some(DefaultValue::Literal(text)) = &column.default else { return None };
    use LogicalType as L;
    match &column.logical {
        L::TinyInt | L::SmallInt | L::Int | L::BigInt => {
            text.parse::<i64>().ok().map(|value| value.to_string())
        }
        L::Char(_) | L::VarChar(_) | L::String if !style.flink => Some(quoted(text)),
        _ => None,
    }
}

fn column_type(column: &Column, style: Style) -> Type {
    let source = column.source_type.to_ascii_lowercase();
    let words = || words_of(&column.source_type).join(",");
    if let (LogicalType::Binary(_), Some(length)) = (&column.logical, bits_of(&source)) {
        return Type::named("bytes", "io.debezium.data.Bits").with("length", length);
    }
    match &column.logical {
        LogicalType::Int if source.starts_with("year") => {
            Type::named("int32", "io.debezium.time.Year")
        }
        LogicalType::String if source.starts_with("json") => {
            Type::named("string", "io.debezium.data.Json")
        }
        LogicalType::String if source.starts_with("enum") => {
            Type::named("string", "io.debezium.data.Enum").with("allowed", words())
        }
        LogicalType::Array(_) if is_set(&source) && style.sets_joined => {
            Type::named("string", "io.debezium.data.EnumSet").with("allowed", words())
        }
        logical => logical_type(logical, style),
    }
}

/// The words of `enum('a','b''c')`.
fn words_of(source_type: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut letters = source_type.chars().peekable();
    while let Some(letter) = letters.next() {
        match (&mut word, letter) {
            (None, '\'') => word = Some(String::new()),
            (None, ')') if !words.is_empty() => break,
            (None, _) => {}
            (Some(text), '\'') if letters.peek() == Some(&'\'') => {
                letters.next();
                text.push('\'');
            }
            (Some(_), '\'') => words.extend(word.take()),
            (Some(text), letter) => text.push(letter),
        }
    }
    words
}

fn logical_type(logical: &LogicalType, style: Style) -> Type {
    use LogicalType as L;
    match logical {
        L::Boolean => Type::plain("boolean"),
        // MySQL's TINYINT is Debezium's int16.
        L::TinyInt | L::SmallInt => Type::plain("int16"),
        L::Int => Type::plain("int32"),
        L::BigInt => Type::plain("int64"),
        L::Float => Type::plain("float"),
        L::Double => Type::plain("double"),
        L::Decimal { precision, scale } => match style.decimals {
            Decimals::Bytes => Type::named("bytes", "org.apache.kafka.connect.data.Decimal")
                .with("scale", scale)
                .with("connect.decimal.precision", precision),
            Decimals::Text => Type::plain("string"),
            _ => Type::plain("double"),
        },
        L::Date => Type::named("int32", "io.debezium.time.Date"),
        L::Time(0..=6) => Type::named("int64", "io.debezium.time.MicroTime"),
        L::Time(_) => Type::named("int64", "io.debezium.time.NanoTime"),
        L::Timestamp(0..=3) => Type::named("int64", "io.debezium.time.Timestamp"),
        L::Timestamp(4..=6) => Type::named("int64", "io.debezium.time.MicroTimestamp"),
        L::Timestamp(_) => Type::named("int64", "io.debezium.time.NanoTimestamp"),
        L::TimestampLtz(_) | L::TimestampTz(_) => {
            Type::named("string", "io.debezium.time.ZonedTimestamp")
        }
        L::Char(_) | L::VarChar(_) | L::String | L::Variant => Type::plain("string"),
        L::Binary(_) | L::VarBinary(_) | L::Bytes => Type::plain("bytes"),
        L::Array(element) => Type {
            inner: format!(",\"items\":{}", logical_type(element, style).json(true, None, None)),
            ..Type::plain("array")
        },
        // Keys of a JSON object are strings, whatever they are in the table.
        L::Map(_, value) => Type {
            inner: format!(
                ",\"keys\":{},\"values\":{}",
                Type::plain("string").json(false, None, None),
                logical_type(value, style).json(true, None, None)
            ),
            ..Type::plain("map")
        },
        L::Row(fields) => {
            let fields = fields
                .iter()
                .map(|(name, ty)| logical_type(ty, style).json(true, None, Some(name)));
            structure(fields.collect(), None)
        }
    }
}

/// What Flink CDC declares.
fn flink_type(logical: &LogicalType) -> Type {
    use LogicalType as L;
    let bits = |length: u32| Type::named("bytes", "io.debezium.data.Bits").with("length", length);
    match logical {
        L::Decimal { precision, scale } => {
            Type::named("bytes", "org.apache.kafka.connect.data.Decimal")
                .with("scale", scale)
                .with("connect.decimal.precision", precision)
        }
        L::Binary(length) | L::VarBinary(length) => bits(*length),
        L::Bytes => bits(i32::MAX as u32),
        L::Array(element) => Type {
            inner: format!(",\"items\":{}", flink_type(element).json(true, None, None)),
            ..Type::plain("array")
        },
        other => {
            let style = Style {
                decimals: Decimals::Bytes,
                times: crate::json::Times::Debezium,
                quoted: false,
                flink: false,
                sets_joined: false,
                bits: Bits::LittleEndian,
            };
            logical_type(other, style)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_with_their_quotes() {
        assert_eq!(words_of("enum('a','b''c','d,e)','')"), ["a", "b'c", "d,e)", ""]);
        assert_eq!(words_of("SET('x') CHARACTER SET latin1 COMMENT 'y'"), ["x"]);
        assert!(words_of("int(11)").is_empty());
    }
}
