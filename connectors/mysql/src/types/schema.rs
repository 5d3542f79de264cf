//! A table's schema as sinks see it.

use cdc_api::{Column, DefaultValue, Error, LogicalType, Result, TableSchema};

use super::{Flavor, Kind, TemporalInvalid, TimeOutOfRange, TypeOptions, logical::logical_of};
use crate::metadata::{ColumnMeta, TableMeta};

/// The columns that identify a row downstream: the primary key, else the first unique key that has no nullable, prefix
/// or functional part (InnoDB clusters by the same choice). Empty when there is none.
pub fn key_columns(table: &TableMeta) -> &[usize] {
    if table.primary_key.is_empty() {
        table.unique_keys.first().map_or(&[], Vec::as_slice)
    } else {
        &table.primary_key
    }
}

/// The schema of a table. Column ids are the columns' positions; whoever knows an earlier version of the same
/// incarnation puts the older ids in.
///
/// # Errors
/// `Data` naming the column that cannot be captured, and why.
pub fn table_schema(
    table: &TableMeta,
    flavor: Flavor,
    options: &TypeOptions,
    version: u32,
    include_comments: bool,
) -> Result<TableSchema> {
    let key = key_columns(table);
    let mut columns = Vec::with_capacity(table.columns.len());
    for (at, meta) in table.columns.iter().enumerate() {
        let kind = Kind::of(meta).map_err(|reason| {
            let message =
                format!("column `{}` of table \"{}\" cannot be captured", meta.name, table.id);
            Error::data(table.id.clone(), message).detail(reason)
        })?;
        let in_key = key.contains(&at);
        let logical = logical_of(&kind, meta, in_key, options);
        columns.push(Column {
            id: at as u32,
            name: meta.name.clone(),
            nullable: meta.nullable || (!in_key && may_become_null(&logical, options)),
            logical,
            comment: include_comments
                .then(|| meta.comment.clone())
                .filter(|comment| !comment.is_empty()),
            default: default_value(meta, flavor),
            generated: is_generated(meta),
            source_type: meta.column_type.clone(),
        });
    }
    let schema = TableSchema::new(table.id.clone(), version, columns, key.to_vec())?;
    let comment =
        include_comments.then(|| table.comment.clone()).filter(|comment| !comment.is_empty());
    Ok(schema.with_comment(comment))
}

/// Whether a policy turns values of this type into null.
fn may_become_null(logical: &LogicalType, options: &TypeOptions) -> bool {
    match logical {
        LogicalType::Date | LogicalType::Timestamp(_) | LogicalType::TimestampLtz(_) => {
            options.temporal_invalid == TemporalInvalid::Null
        }
        LogicalType::Time(_) => options.time_out_of_range == TimeOutOfRange::Null,
        _ => false,
    }
}

fn is_generated(meta: &ColumnMeta) -> bool {
    // `DEFAULT_GENERATED` marks a default that is an expression, not a generated column.
    !meta.generated.is_empty()
        || meta.extra.split_whitespace().collect::<Vec<_>>().windows(2).any(|words| {
            matches!(words, [kind, generated] if generated.eq_ignore_ascii_case("generated")
                && ["virtual", "stored", "persistent"].contains(&&*kind.to_ascii_lowercase()))
        })
}

fn default_value(meta: &ColumnMeta, flavor: Flavor) -> Option<DefaultValue> {
    let text = meta.default.as_deref()?;
    match flavor {
        Flavor::MySql => {
            let extra = meta.extra.to_ascii_uppercase();
            // Before 8.0.13 CURRENT_TIMESTAMP was the only expression, and unmarked.
            let bare_now =
                matches!(Kind::of(meta), Ok(Kind::Datetime { .. } | Kind::Timestamp { .. }))
                    && text.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP");
            if extra.contains("DEFAULT_GENERATED") || bare_now {
                Some(DefaultValue::Expression(text.to_owned()))
            } else {
                Some(DefaultValue::Literal(text.to_owned()))
            }
        }
        Flavor::MariaDb => mariadb_default(text),
    }
}

/// MariaDB prints defaults as SQL: quoted strings, bare numbers, `NULL` for none, anything else an expression.
fn mariadb_default(text: &str) -> Option<DefaultValue> {
    if text.eq_ignore_ascii_case("null") {
        return None;
    }
    if let Some(inner) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(DefaultValue::Literal(unquote(inner)));
    }
    if text.parse::<f64>().is_ok() {
        Some(DefaultValue::Literal(text.to_owned()))
    } else {
        Some(DefaultValue::Expression(text.to_owned()))
    }
}

fn unquote(inner: &str) -> String {
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars().peekable();
    while let Some(character) = chars.next() {
        match character {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                text.push('\'');
            }
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use cdc_api::TableId;

    use super::*;

    /// A column as `information_schema` describes it, from its spelled type; text is utf8mb4.
    pub(crate) fn column(name: &str, spelled: &str) -> ColumnMeta {
        let data_type: String =
            spelled.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let inner = spelled.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
        let first = inner.and_then(|(inner, _)| inner.split(',').next()?.parse::<u64>().ok());
        let is_text = matches!(
            data_type.as_str(),
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set"
        );
        let has_length = matches!(data_type.as_str(), "char" | "varchar" | "binary" | "varbinary");
        let has_fraction = matches!(data_type.as_str(), "time" | "datetime" | "timestamp");
        ColumnMeta {
            name: name.to_owned(),
            column_type: spelled.to_owned(),
            length: first.filter(|_| has_length),
            precision: None,
            scale: None,
            fraction: has_fraction.then(|| first.unwrap_or(0) as u8),
            charset: is_text.then(|| "utf8mb4".to_owned()),
            collation: is_text.then(|| "utf8mb4_0900_ai_ci".to_owned()),
            nullable: true,
            default: None,
            extra: String::new(),
            generated: String::new(),
            comment: String::new(),
            data_type,
        }
    }

    /// A table `d.t` of such columns, without a key.
    pub(crate) fn table(columns: &[(&str, &str)]) -> TableMeta {
        TableMeta {
            id: TableId::new("d", "t"),
            columns: columns.iter().map(|(name, spelled)| column(name, spelled)).collect(),
            primary_key: Vec::new(),
            unique_keys: Vec::new(),
            engine: "InnoDB".to_owned(),
            rows_estimated: None,
            comment: String::new(),
        }
    }

    #[test]
    fn zero_dates_make_columns_nullable_but_not_keys() {
        let mut meta = table(&[("d", "date"), ("e", "datetime"), ("s", "set('a')"), ("t", "time")]);
        meta.columns.iter_mut().for_each(|column| column.nullable = false);
        meta.primary_key = vec![2, 0];
        let options = TypeOptions::default();
        let schema = table_schema(&meta, Flavor::MySql, &options, 1, false).unwrap();
        insta::assert_snapshot!(
            format!("{schema:?}"),
            @"d.t v1 (`d` DATE NOT NULL, `e` TIMESTAMP(0), `s` STRING NOT NULL, `t` TIME(0) NOT NULL)"
        );
        assert_eq!(schema.primary_key(), [2, 0]);
    }

    #[test]
    fn defaults_are_literals_or_expressions() {
        let literal = |text: &str| Some(DefaultValue::Literal(text.to_owned()));
        let expression = |text: &str| Some(DefaultValue::Expression(text.to_owned()));
        let mut meta = column("c", "varchar(9)");
        meta.default = Some("NULL".to_owned());
        assert_eq!(default_value(&meta, Flavor::MySql), literal("NULL"));
        assert_eq!(default_value(&meta, Flavor::MariaDb), None);
        meta.default = Some("'it''s'".to_owned());
        assert_eq!(default_value(&meta, Flavor::MariaDb), literal("it's"));
        meta.default = Some("uuid()".to_owned());
        assert_eq!(default_value(&meta, Flavor::MariaDb), expression("uuid()"));
        assert_eq!(default_value(&meta, Flavor::MySql), literal("uuid()"));
        meta.extra = "DEFAULT_GENERATED".to_owned();
        assert_eq!(default_value(&meta, Flavor::MySql), expression("uuid()"));
        assert!(!is_generated(&meta));
        meta.extra = "VIRTUAL GENERATED INVISIBLE".to_owned();
        assert!(is_generated(&meta));
    }

    #[test]
    fn a_unique_key_stands_in_for_a_missing_primary_key() {
        let mut meta = table(&[("a", "int"), ("b", "int")]);
        assert!(key_columns(&meta).is_empty());
        meta.unique_keys = vec![vec![1], vec![0]];
        assert_eq!(key_columns(&meta), [1]);
        meta.primary_key = vec![0];
        assert_eq!(key_columns(&meta), [0]);
    }
}
