//! The logical type of a column (correctness §7.1, Flink CDC's `MySqlTypeUtils`).

use cdc_api::LogicalType;

use super::{GeometryAs, Kind, TimeAs, TypeOptions};
use crate::metadata::ColumnMeta;

/// The logical type of a column that is in no key.
///
/// # Errors
/// Why the column cannot be captured, as a sentence fragment.
pub fn logical(column: &ColumnMeta, options: &TypeOptions) -> Result<LogicalType, String> {
    Ok(logical_of(&Kind::of(column)?, column, false, options))
}

/// The same for a column whose kind has been read; a SET in a key is text, since lists cannot be keys.
pub(super) fn logical_of(
    kind: &Kind,
    column: &ColumnMeta,
    in_key: bool,
    options: &TypeOptions,
) -> LogicalType {
    use LogicalType as L;
    match *kind {
        Kind::Integer { bytes: 1, unsigned: false } if is_boolean(column, options) => L::Boolean,
        Kind::Integer { bytes, unsigned } => match (bytes, unsigned) {
            (1, false) => L::TinyInt,
            (1, true) | (2, false) => L::SmallInt,
            (2, true) | (3, _) | (4, false) => L::Int,
            (4, true) | (_, false) => L::BigInt,
            (_, true) => L::Decimal { precision: 20, scale: 0 },
        },
        Kind::Float { scaled: false } => L::Float,
        Kind::Float { scaled: true } | Kind::Double => L::Double,
        Kind::Decimal { precision, scale } if precision <= 38 => L::Decimal { precision, scale },
        Kind::Decimal { .. } => L::String,
        Kind::Bit { bits: 1 } => L::Boolean,
        Kind::Bit { bits } => L::Binary(u32::from(bits).div_ceil(8)),
        Kind::Year => L::Int,
        Kind::Date => L::Date,
        Kind::Time { fraction } => match options.time_as {
            TimeAs::Time => L::Time(fraction),
            TimeAs::String => L::String,
            TimeAs::Micros => L::BigInt,
        },
        Kind::Datetime { fraction } => L::Timestamp(fraction),
        Kind::Timestamp { fraction } => L::TimestampLtz(fraction),
        Kind::Char { length } => L::Char(length),
        Kind::VarChar { length: 0 } => L::String,
        Kind::VarChar { length } => L::VarChar(length),
        Kind::Binary { length } => L::Binary(length),
        Kind::VarBinary { length } => L::VarBinary(length),
        Kind::Blob { .. } => L::Bytes,
        Kind::Text { .. } | Kind::Enum { .. } | Kind::Json => L::String,
        Kind::Uuid | Kind::Inet4 | Kind::Inet6 => L::String,
        Kind::Set { .. } if in_key => L::String,
        Kind::Set { .. } => L::Array(Box::new(L::String)),
        Kind::Geometry => match options.geometry_as {
            GeometryAs::Json => L::String,
            GeometryAs::Wkb => L::Bytes,
        },
        Kind::Vector => L::Array(Box::new(L::Float)),
    }
}

/// The server keeps the display width of TINYINT(1), and only of a signed one, as the mark of BOOLEAN.
fn is_boolean(column: &ColumnMeta, options: &TypeOptions) -> bool {
    options.tinyint1_as_boolean && column.column_type.eq_ignore_ascii_case("tinyint(1)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::schema::tests::column;

    fn check(spelled: &str, expected: &str) {
        let ty = logical(&column("c", spelled), &TypeOptions::default()).unwrap();
        assert_eq!(ty.to_string(), expected, "{spelled}");
    }

    #[test]
    fn types_are_those_of_flink_cdc() {
        check("tinyint(1)", "BOOLEAN");
        check("tinyint(4)", "TINYINT");
        check("tinyint(1) unsigned", "SMALLINT");
        check("smallint", "SMALLINT");
        check("smallint unsigned", "INT");
        check("mediumint unsigned", "INT");
        check("year", "INT");
        check("int(10) unsigned zerofill", "BIGINT");
        check("bigint", "BIGINT");
        check("bigint unsigned", "DECIMAL(20, 0)");
        check("float", "FLOAT");
        check("float(7,4)", "DOUBLE");
        check("decimal(38,30)", "DECIMAL(38, 30)");
        check("decimal(39,30)", "STRING");
        check("bit(1)", "BOOLEAN");
        check("bit(9)", "BINARY(2)");
        check("datetime(3)", "TIMESTAMP(3)");
        check("timestamp", "TIMESTAMP_LTZ(0)");
        check("char(0)", "CHAR(0)");
        check("varchar(20)", "VARCHAR(20)");
        check("longtext", "STRING");
        check("binary(3)", "BINARY(3)");
        check("longblob", "BYTES");
        check("enum('a')", "STRING");
        check("set('a')", "ARRAY<STRING>");
        check("geomcollection", "STRING");
        check("vector(3)", "ARRAY<FLOAT>");
        check("inet6", "STRING");
    }
}
