//! One column of a key: whether it can be one, how its cells are read, how its values sort and how they are spelled.

use super::{
    Form,
    collation::TextOrder,
    decimal::DecimalType,
    network::{Address, Network},
    order::{put_padded, put_plain},
    temporal::{
        Civil, big_endian, datetime_of_log, time_of_log, time_of_result, timestamp_of_civil,
        timestamp_of_log,
    },
    value::{Value, hex_literal, literal, put_float, put_signed},
};
use crate::{
    metadata::ColumnMeta,
    types::{Kind, quote_identifier},
};

/// A text column: its charset and collation, and how it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextType {
    pub(super) charset: String,
    pub(super) collation: String,
    pub(super) order: TextOrder,
    /// CHAR: trailing spaces are never stored.
    is_fixed: bool,
    /// Characters at most.
    pub(super) length: u32,
}

impl TextType {
    /// The text as a literal that compares by the column's collation.
    pub(super) fn literal(&self, text: &[u8]) -> String {
        let TextType { charset, collation, .. } = self;
        format!("_{charset} {} COLLATE {collation}", hex_literal(text, 0))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyType {
    Signed,
    Unsigned,
    Float,
    Double,
    Decimal(DecimalType),
    Bit,
    Year,
    Date,
    Time {
        fraction: u8,
    },
    Datetime {
        fraction: u8,
    },
    Timestamp {
        fraction: u8,
    },
    /// With its length.
    Binary(usize),
    VarBinary,
    Text(TextType),
    Network(Network),
}

/// A key column.
#[derive(Debug, Clone)]
pub(super) struct Component {
    /// Its position in the table.
    pub(super) column: usize,
    pub(super) name: String,
    pub(super) quoted: String,
    pub(super) ty: KeyType,
}

impl Component {
    /// # Errors
    /// Why the column cannot be part of a key.
    pub(super) fn new(column: usize, meta: &ColumnMeta) -> Result<Self, String> {
        if meta.nullable {
            return Err("it may be NULL".into());
        }
        let ty = match Kind::of(meta)? {
            Kind::Integer { unsigned: false, .. } => KeyType::Signed,
            Kind::Integer { unsigned: true, .. } | Kind::Enum { .. } | Kind::Set { .. } => {
                KeyType::Unsigned
            }
            Kind::Float { .. } => KeyType::Float,
            Kind::Double => KeyType::Double,
            Kind::Decimal { precision, scale } => KeyType::Decimal(
                DecimalType::new(precision, scale).ok_or("its precision is out of range")?,
            ),
            Kind::Bit { .. } => KeyType::Bit,
            Kind::Year => KeyType::Year,
            Kind::Date => KeyType::Date,
            Kind::Time { fraction } => KeyType::Time { fraction },
            Kind::Datetime { fraction } => KeyType::Datetime { fraction },
            Kind::Timestamp { fraction } => KeyType::Timestamp { fraction },
            Kind::Binary { length } => KeyType::Binary(usize::try_from(length).unwrap_or(0)),
            Kind::VarBinary { .. } => KeyType::VarBinary,
            Kind::Char { length } => KeyType::Text(text_type(meta, true, length)?),
            Kind::VarChar { length } => KeyType::Text(text_type(meta, false, length)?),
            Kind::Uuid => KeyType::Network(Network::Uuid),
            Kind::Inet4 => KeyType::Network(Network::Inet4),
            Kind::Inet6 => KeyType::Network(Network::Inet6),
            Kind::Text { .. } | Kind::Blob { .. } => {
                return Err(format!("{} can only be indexed by a prefix", meta.column_type));
            }
            Kind::Json | Kind::Geometry | Kind::Vector => {
                return Err(format!("{} has no order", meta.column_type));
            }
        };
        let quoted = quote_identifier(&meta.name);
        Ok(Component { column, name: meta.name.clone(), quoted, ty })
    }

    /// Whether only the server knows how its values sort.
    pub(super) fn text_to_weigh(&self) -> Option<&TextType> {
        match &self.ty {
            KeyType::Text(text) if !matches!(text.order, TextOrder::Bytes { .. }) => Some(text),
            _ => None,
        }
    }

    /// Whether the server's comparison is worth checking against ours: text, and types of its plugins.
    pub(super) fn is_checked(&self) -> bool {
        matches!(self.ty, KeyType::Text(_) | KeyType::Network(_))
    }

    /// Reads a cell; none when it is no value of this type.
    #[inline]
    pub(super) fn read<'a>(&self, cell: &'a [u8], form: Form) -> Option<Value<'a>> {
        Some(match (&self.ty, form) {
            (KeyType::Signed, _) => Value::Signed(signed(cell)?),
            (KeyType::Unsigned, _) | (KeyType::Year, Form::Result) => {
                Value::Unsigned(unsigned(cell)?)
            }
            (KeyType::Year, Form::Log) => match *cell {
                [0] => Value::Unsigned(0),
                [since_1900] => Value::Unsigned(1900 + u64::from(since_1900)),
                _ => return None,
            },
            (KeyType::Float, _) => {
                Value::Float(f64::from(f32::from_le_bytes(cell.try_into().ok()?)))
            }
            (KeyType::Double, _) => Value::Float(f64::from_le_bytes(cell.try_into().ok()?)),
            (KeyType::Decimal(ty), Form::Log) => Value::Decimal(ty.read_packed(cell)?),
            (KeyType::Decimal(ty), Form::Result) => Value::Decimal(ty.read_text(cell)?),
            (KeyType::Bit, _) => Value::Unsigned(big_endian(cell)?),
            (KeyType::Date, Form::Log) => match cell.len() {
                3 => Value::Date(unsigned(cell)?),
                _ => return None,
            },
            (KeyType::Date, Form::Result) => {
                let date = Civil::of_result(cell)?;
                Value::Date(date.year << 9 | date.month << 5 | date.day)
            }
            (KeyType::Time { fraction }, Form::Log) => Value::Time(time_of_log(cell, *fraction)?),
            (KeyType::Time { .. }, Form::Result) => Value::Time(time_of_result(cell)?),
            (KeyType::Datetime { fraction }, Form::Log) => {
                Value::Datetime(datetime_of_log(cell, *fraction)?)
            }
            (KeyType::Datetime { .. }, Form::Result) => {
                Value::Datetime(Civil::of_result(cell)?.pack())
            }
            (KeyType::Timestamp { fraction }, Form::Log) => {
                Value::Timestamp(timestamp_of_log(cell, *fraction)?)
            }
            (KeyType::Timestamp { .. }, Form::Result) => {
                Value::Timestamp(timestamp_of_civil(&Civil::of_result(cell)?)?)
            }
            (KeyType::Binary(length), _) => {
                let value = without_trailing(cell, 0);
                (value.len() <= *length).then_some(Value::Bytes(value))?
            }
            (KeyType::VarBinary, _) => Value::Bytes(cell),
            (KeyType::Text(text), _) if text.is_fixed && !is_wide(&text.charset) => {
                Value::Text(without_trailing(cell, b' '))
            }
            (KeyType::Text(_), _) => Value::Text(cell),
            (KeyType::Network(network), Form::Log) => Value::Address(network.read_stored(cell)?),
            (KeyType::Network(network), Form::Result) => Value::Address(network.read_text(cell)?),
        })
    }

    /// Appends the sortable bytes of a value that [`Component::read`] gave and that needs no weight.
    #[inline]
    pub(super) fn put_key(&self, value: &Value<'_>, out: &mut Vec<u8>) {
        match (value, &self.ty) {
            (Value::Signed(value), _) | (Value::Time(value), _) => put_signed(*value, out),
            (Value::Unsigned(value), _)
            | (Value::Datetime(value), _)
            | (Value::Timestamp(value), _)
            | (Value::Date(value), _) => out.extend_from_slice(&value.to_be_bytes()),
            (Value::Float(value), _) => put_float(*value, out),
            (Value::Decimal(value), _) => out.extend_from_slice(value.as_bytes()),
            (Value::Address(address), KeyType::Network(network)) => network.put_key(address, out),
            (Value::Text(text), KeyType::Text(TextType { order, .. })) => match order {
                TextOrder::Bytes { pads: true } => put_padded(text, b" ", out),
                _ => put_plain(text, out),
            },
            // BINARY values of one column differ before their trailing zeros, and zero is the least byte.
            (Value::Bytes(bytes) | Value::Text(bytes), _) => put_plain(bytes, out),
            (Value::Address(Address(bytes)), _) => out.extend_from_slice(bytes),
        }
    }

    /// The value as a message shows it: plain text as it is, all else as the server's literal.
    pub(super) fn shown(&self, value: &Value<'_>) -> String {
        match (value, &self.ty) {
            (Value::Text(text), KeyType::Text(ty)) if !is_wide(&ty.charset) => {
                let plain =
                    |byte: &u8| matches!(byte, b' '..=b'~' if !matches!(byte, b'\'' | b'\\'));
                match std::str::from_utf8(text) {
                    Ok(shown) if text.iter().all(plain) => format!("'{shown}'"),
                    _ => self.literal(value),
                }
            }
            _ => self.literal(value),
        }
    }

    /// The value in SQL, so that comparing the column with it uses the column's collation and index.
    pub(super) fn literal(&self, value: &Value<'_>) -> String {
        match (value, &self.ty) {
            (Value::Decimal(value), KeyType::Decimal(ty)) => ty.text(value),
            (Value::Address(address), KeyType::Network(network)) => network.literal(address),
            (Value::Text(text), KeyType::Text(ty)) => ty.literal(text),
            (Value::Bytes(bytes), KeyType::Binary(length)) => {
                hex_literal(bytes, length.saturating_sub(bytes.len()))
            }
            (Value::Bytes(bytes) | Value::Text(bytes), _) => hex_literal(bytes, 0),
            _ => literal(value).unwrap_or_default(),
        }
    }
}

fn text_type(meta: &ColumnMeta, is_fixed: bool, length: u32) -> Result<TextType, String> {
    let charset = meta.charset.as_deref().ok_or("its charset is not known")?;
    let collation = meta.collation.as_deref().ok_or("its collation is not known")?;
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if !is_name(charset) || !is_name(collation) {
        return Err(format!("its collation {collation:?} has an unknown form"));
    }
    let (charset, collation) = (charset.to_ascii_lowercase(), collation.to_ascii_lowercase());
    let order = TextOrder::of(&charset, &collation);
    Ok(TextType { charset, collation, order, is_fixed, length })
}

/// Charsets in which a space is more than the byte 0x20.
pub(super) fn is_wide(charset: &str) -> bool {
    matches!(charset, "ucs2" | "utf16" | "utf16le" | "utf32")
}

fn without_trailing(bytes: &[u8], filler: u8) -> &[u8] {
    let length = bytes.iter().rposition(|&byte| byte != filler).map_or(0, |last| last + 1);
    bytes.get(..length).unwrap_or_default()
}

/// Little-endian, of up to eight bytes: servers widen integers differently in results.
fn unsigned(cell: &[u8]) -> Option<u64> {
    if cell.is_empty() || cell.len() > 8 {
        return None;
    }
    Some(cell.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

fn signed(cell: &[u8]) -> Option<i64> {
    let unused_bits = 64 - 8 * u32::try_from(cell.len()).ok()?.min(8);
    Some((unsigned(cell)? << unused_bits).cast_signed() >> unused_bits)
}
