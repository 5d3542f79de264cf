//! The logical types of the value model (correctness §7.1) and their Arrow carriers.

use std::{fmt, sync::Arc};

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

/// A column's type as users and sinks see it: Flink CDC's type system. Displays in Flink's notation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogicalType {
    /// True or false.
    Boolean,
    /// 8 bits, signed.
    TinyInt,
    /// 16 bits, signed.
    SmallInt,
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    BigInt,
    /// IEEE 754 single.
    Float,
    /// IEEE 754 double.
    Double,
    /// Exact decimal, precision at most 38.
    Decimal {
        /// Digits in all, 1 to 38.
        precision: u8,
        /// Digits behind the point, 0 to precision.
        scale: u8,
    },
    /// Days since the epoch.
    Date,
    /// Time of day with `0..=9` fractional digits.
    Time(u8),
    /// Date and time without a zone.
    Timestamp(u8),
    /// An instant, shown in the session's zone.
    TimestampLtz(u8),
    /// An instant with the offset it was written in.
    TimestampTz(u8),
    /// Fixed number of characters.
    Char(u32),
    /// At most this many characters.
    VarChar(u32),
    /// Text of any length.
    String,
    /// Fixed number of bytes.
    Binary(u32),
    /// At most this many bytes.
    VarBinary(u32),
    /// Bytes of any length.
    Bytes,
    /// A list.
    Array(Box<LogicalType>),
    /// Key to value.
    Map(Box<LogicalType>, Box<LogicalType>),
    /// Named fields.
    Row(Vec<(String, LogicalType)>),
    /// Semi-structured text.
    Variant,
}

impl LogicalType {
    /// The Arrow type that carries this type: plain arrays only, times in microseconds (nanoseconds above 6 digits).
    pub fn arrow(&self) -> DataType {
        use LogicalType as L;
        match self {
            L::Boolean => DataType::Boolean,
            L::TinyInt => DataType::Int8,
            L::SmallInt => DataType::Int16,
            L::Int => DataType::Int32,
            L::BigInt => DataType::Int64,
            L::Float => DataType::Float32,
            L::Double => DataType::Float64,
            L::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            L::Date => DataType::Date32,
            L::Time(p) => DataType::Time64(unit(*p)),
            L::Timestamp(p) => DataType::Timestamp(unit(*p), None),
            L::TimestampLtz(p) => DataType::Timestamp(unit(*p), Some(Arc::from("UTC"))),
            L::TimestampTz(_) => DataType::Struct(Fields::from(vec![
                Field::new(
                    "ts",
                    DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC"))),
                    false,
                ),
                Field::new("offset_minutes", DataType::Int16, false),
            ])),
            L::Char(_) | L::VarChar(_) | L::String | L::Variant => DataType::Utf8,
            L::Binary(_) | L::VarBinary(_) | L::Bytes => DataType::Binary,
            L::Array(element) => {
                DataType::List(Arc::new(Field::new("item", element.arrow(), true)))
            }
            L::Map(key, value) => {
                let entries = Fields::from(vec![
                    Field::new("key", key.arrow(), false),
                    Field::new("value", value.arrow(), true),
                ]);
                DataType::Map(
                    Arc::new(Field::new("entries", DataType::Struct(entries), false)),
                    false,
                )
            }
            L::Row(fields) => DataType::Struct(
                fields.iter().map(|(name, ty)| Field::new(name, ty.arrow(), true)).collect(),
            ),
        }
    }
}

fn unit(precision: u8) -> TimeUnit {
    if precision > 6 { TimeUnit::Nanosecond } else { TimeUnit::Microsecond }
}

impl fmt::Display for LogicalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use LogicalType as L;
        match self {
            L::Boolean => f.write_str("BOOLEAN"),
            L::TinyInt => f.write_str("TINYINT"),
            L::SmallInt => f.write_str("SMALLINT"),
            L::Int => f.write_str("INT"),
            L::BigInt => f.write_str("BIGINT"),
            L::Float => f.write_str("FLOAT"),
            L::Double => f.write_str("DOUBLE"),
            L::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            L::Date => f.write_str("DATE"),
            L::Time(p) => write!(f, "TIME({p})"),
            L::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            L::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            L::TimestampTz(p) => write!(f, "TIMESTAMP({p}) WITH TIME ZONE"),
            L::Char(n) => write!(f, "CHAR({n})"),
            L::VarChar(n) => write!(f, "VARCHAR({n})"),
            L::String => f.write_str("STRING"),
            L::Binary(n) => write!(f, "BINARY({n})"),
            L::VarBinary(n) => write!(f, "VARBINARY({n})"),
            L::Bytes => f.write_str("BYTES"),
            L::Array(element) => write!(f, "ARRAY<{element}>"),
            L::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            L::Row(fields) => {
                f.write_str("ROW<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "`{name}` {ty}")?;
                }
                f.write_str(">")
            }
            L::Variant => f.write_str("VARIANT"),
        }
    }
}
