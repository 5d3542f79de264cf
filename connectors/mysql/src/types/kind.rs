//! What a column stores, read from the server's description of it. Both decoders and the logical types start here.

use std::sync::Arc;

use super::members::parse_members;
use crate::metadata::ColumnMeta;

/// What a column stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// TINYINT to BIGINT.
    Integer {
        /// Stored width: 1, 2, 3, 4 or 8.
        bytes: u8,
        /// UNSIGNED or ZEROFILL.
        unsigned: bool,
    },
    /// FLOAT.
    Float {
        /// Declared as FLOAT(p,s), which Flink CDC widens to DOUBLE.
        scaled: bool,
    },
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal {
        /// Digits in all, at most 65.
        precision: u8,
        /// Digits behind the point, at most 38.
        scale: u8,
    },
    /// BIT(n).
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME(p).
    Time {
        /// Fractional digits.
        fraction: u8,
    },
    /// DATETIME(p).
    Datetime {
        /// Fractional digits.
        fraction: u8,
    },
    /// TIMESTAMP(p).
    Timestamp {
        /// Fractional digits.
        fraction: u8,
    },
    /// CHAR(n).
    Char {
        /// Characters.
        length: u32,
    },
    /// VARCHAR(n).
    VarChar {
        /// Characters at most.
        length: u32,
    },
    /// TINYTEXT to LONGTEXT; MariaDB's JSON too.
    Text {
        /// Bytes of its length prefix.
        prefix: u8,
    },
    /// BINARY(n).
    Binary {
        /// Bytes.
        length: u32,
    },
    /// VARBINARY(n).
    VarBinary {
        /// Bytes at most.
        length: u32,
    },
    /// TINYBLOB to LONGBLOB.
    Blob {
        /// Bytes of its length prefix.
        prefix: u8,
    },
    /// ENUM.
    Enum {
        /// Its members in order; index 1 is the first.
        members: Arc<[Box<str>]>,
    },
    /// SET.
    Set {
        /// Its members in order; bit 0 is the first.
        members: Arc<[Box<str>]>,
    },
    /// MySQL's binary JSON.
    Json,
    /// All spatial types.
    Geometry,
    /// VECTOR.
    Vector,
    /// MariaDB's UUID.
    Uuid,
    /// MariaDB's INET4.
    Inet4,
    /// MariaDB's INET6.
    Inet6,
}

impl Kind {
    /// Reads a column's description.
    ///
    /// # Errors
    /// Why the column cannot be captured, as a sentence fragment.
    pub fn of(column: &ColumnMeta) -> Result<Kind, String> {
        let spelled = column.column_type.to_ascii_lowercase();
        let unsigned = spelled.contains("unsigned") || spelled.contains("zerofill");
        let fraction = column.fraction.unwrap_or(0);
        if fraction > 6 {
            return Err(format!("`{}` has {fraction} fractional digits", column.column_type));
        }
        if fraction > 0 && spelled.contains("mariadb-5.3") {
            return Err(format!(
                "`{}` has the format of MariaDB 5.3, whose width its log does not tell; `ALTER TABLE … FORCE` with \
                 mysql56_temporal_format = ON gives it the present one",
                column.column_type
            ));
        }
        let integer = |bytes| Ok(Kind::Integer { bytes, unsigned });
        match column.data_type.to_ascii_lowercase().as_str() {
            "tinyint" => integer(1),
            "smallint" => integer(2),
            "mediumint" => integer(3),
            "int" | "integer" => integer(4),
            "bigint" => integer(8),
            "float" => {
                Ok(Kind::Float { scaled: spelled.starts_with("float(") && spelled.contains(',') })
            }
            "double" | "real" => Ok(Kind::Double),
            "decimal" | "numeric" | "fixed" => decimal(column),
            "bit" => bit(column),
            "year" => Ok(Kind::Year),
            "date" => Ok(Kind::Date),
            "time" => Ok(Kind::Time { fraction }),
            "datetime" => Ok(Kind::Datetime { fraction }),
            "timestamp" => Ok(Kind::Timestamp { fraction }),
            "char" => Ok(Kind::Char { length: length(column)? }),
            "varchar" => Ok(Kind::VarChar { length: length(column)? }),
            "tinytext" => Ok(Kind::Text { prefix: 1 }),
            "text" => Ok(Kind::Text { prefix: 2 }),
            "mediumtext" => Ok(Kind::Text { prefix: 3 }),
            "longtext" => Ok(Kind::Text { prefix: 4 }),
            "binary" => Ok(Kind::Binary { length: length(column)? }),
            "varbinary" => Ok(Kind::VarBinary { length: length(column)? }),
            "tinyblob" => Ok(Kind::Blob { prefix: 1 }),
            "blob" => Ok(Kind::Blob { prefix: 2 }),
            "mediumblob" => Ok(Kind::Blob { prefix: 3 }),
            "longblob" => Ok(Kind::Blob { prefix: 4 }),
            "enum" => Ok(Kind::Enum { members: members(column)? }),
            "set" => Ok(Kind::Set { members: members(column)? }),
            "json" => Ok(Kind::Json),
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geometrycollection" | "geomcollection" => Ok(Kind::Geometry),
            "vector" => Ok(Kind::Vector),
            "uuid" => Ok(Kind::Uuid),
            "inet4" => Ok(Kind::Inet4),
            "inet6" => Ok(Kind::Inet6),
            _ => Err(format!("type `{}` is not known", column.column_type)),
        }
    }

    /// Whether its cells are text in the column's charset.
    pub fn is_text(&self) -> bool {
        matches!(self, Kind::Char { .. } | Kind::VarChar { .. } | Kind::Text { .. })
    }
}

/// The numbers in the first parentheses of a type: `decimal(10,2) unsigned` gives 10 and 2.
fn arguments(spelled: &str) -> (Option<u32>, Option<u32>) {
    let inner = spelled
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or("", |(inner, _)| inner);
    let mut numbers = inner.split(',').map(|number| number.trim().parse().ok());
    (numbers.next().flatten(), numbers.next().flatten())
}

fn decimal(column: &ColumnMeta) -> Result<Kind, String> {
    let (spelled_precision, spelled_scale) = arguments(&column.column_type);
    let precision = column.precision.or(spelled_precision).unwrap_or(10);
    let scale = column.scale.or(spelled_scale).unwrap_or(0);
    if !(1..=65).contains(&precision) || scale > precision || scale > 38 {
        return Err(format!("DECIMAL({precision},{scale}) is out of range"));
    }
    Ok(Kind::Decimal { precision: precision as u8, scale: scale as u8 })
}

fn bit(column: &ColumnMeta) -> Result<Kind, String> {
    let bits = arguments(&column.column_type).0.or(column.precision).unwrap_or(1);
    if !(1..=64).contains(&bits) {
        return Err(format!("BIT({bits}) is out of range"));
    }
    Ok(Kind::Bit { bits: bits as u8 })
}

fn length(column: &ColumnMeta) -> Result<u32, String> {
    let length = column.length.or(arguments(&column.column_type).0.map(u64::from)).unwrap_or(1);
    u32::try_from(length).map_err(|_| format!("length {length} is out of range"))
}

fn members(column: &ColumnMeta) -> Result<Arc<[Box<str>]>, String> {
    parse_members(&column.column_type)
        .ok_or_else(|| format!("the members of `{}` cannot be read", column.column_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::schema::tests::column;

    #[test]
    fn integers_have_width_and_sign() {
        for (spelled, bytes, unsigned) in [
            ("tinyint(4)", 1, false),
            ("smallint unsigned", 2, true),
            ("mediumint(8) unsigned zerofill", 3, true),
            ("int", 4, false),
            ("bigint(20) unsigned", 8, true),
        ] {
            assert_eq!(Kind::of(&column("c", spelled)), Ok(Kind::Integer { bytes, unsigned }));
        }
    }

    #[test]
    fn arguments_are_read_from_the_spelled_type() {
        assert_eq!(
            Kind::of(&column("c", "decimal(65,30) unsigned")),
            Ok(Kind::Decimal { precision: 65, scale: 30 })
        );
        assert_eq!(Kind::of(&column("c", "bit(64)")), Ok(Kind::Bit { bits: 64 }));
        assert_eq!(Kind::of(&column("c", "float(7,3)")), Ok(Kind::Float { scaled: true }));
        assert_eq!(Kind::of(&column("c", "float unsigned")), Ok(Kind::Float { scaled: false }));
    }

    #[test]
    fn mariadbs_old_fractions_are_refused() {
        assert!(Kind::of(&column("c", "time /* mariadb-5.3 */")).is_ok());
        let reason = Kind::of(&column("c", "time(3) /* mariadb-5.3 */")).unwrap_err();
        assert!(reason.contains("mysql56_temporal_format"), "{reason}");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let reason = Kind::of(&column("c", "hyperlog(3)")).unwrap_err();
        assert!(reason.contains("hyperlog(3)"), "{reason}");
    }
}
