//! Rows of a binary-protocol result set (COM_STMT_EXECUTE), through the same converters as the log's rows.
//!
//! A row packet is a zero byte, a null bitmap whose first two bits are unused, and the cells that are not null.

use std::sync::Arc;

use super::{
    batch::{KeyCell, cells_of},
    cursor::Cursor,
    error::DecodeError,
    step::{Extent, Step},
};
use crate::types::{ColumnCodec, Kind, TableCodec};

/// Column types of the protocol, as far as MySQL's values arrive in them.
mod protocol {
    pub(super) const DECIMAL: u8 = 0;
    pub(super) const TINY: u8 = 1;
    pub(super) const SHORT: u8 = 2;
    pub(super) const LONG: u8 = 3;
    pub(super) const FLOAT: u8 = 4;
    pub(super) const DOUBLE: u8 = 5;
    pub(super) const TIMESTAMP: u8 = 7;
    pub(super) const LONGLONG: u8 = 8;
    pub(super) const INT24: u8 = 9;
    pub(super) const DATE: u8 = 10;
    pub(super) const TIME: u8 = 11;
    pub(super) const DATETIME: u8 = 12;
    pub(super) const YEAR: u8 = 13;
    pub(super) const NEWDATE: u8 = 14;
    pub(super) const VARCHAR: u8 = 15;
    pub(super) const BIT: u8 = 16;
    pub(super) const VECTOR: u8 = 242;
    pub(super) const JSON: u8 = 245;
    pub(super) const NEWDECIMAL: u8 = 246;
    /// TINY_BLOB to GEOMETRY: everything that is bytes behind a length.
    pub(super) const BYTES_FIRST: u8 = 249;
}

/// A column of a result set as its definition packet describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultColumn {
    /// The protocol's column type.
    pub ty: u8,
    /// Column flags.
    pub flags: u16,
    /// The collation of the column's bytes.
    pub charset: u16,
    /// Digits behind the point.
    pub decimals: u8,
}

impl ResultColumn {
    /// The flag of unsigned numbers.
    pub const UNSIGNED: u16 = 0x20;

    fn is_unsigned(&self) -> bool {
        self.flags & Self::UNSIGNED != 0
    }
    fn is_bytes(&self) -> bool {
        self.ty >= protocol::BYTES_FIRST
            || matches!(self.ty, protocol::VARCHAR | protocol::JSON | protocol::VECTOR)
    }
}

/// How the rows of one result set become rows of a batch. Compiled once per prepared statement.
#[derive(Debug, Clone)]
pub struct ResultPlan {
    pub(super) codecs: Arc<[ColumnCodec]>,
    pub(super) steps: Arc<[Step]>,
    /// Columns of the result behind the table's own; they are passed over.
    pub(super) extra_columns: usize,
}

impl ResultPlan {
    pub(super) const NULL_BIT_OFFSET: usize = 2;

    /// Binds the result's columns, which are the table's columns in order, each fetched by
    /// [`crate::types::select_expression`]; columns behind them are passed over.
    ///
    /// # Errors
    /// When a column does not come in a form that its type can be read from: the table has changed since.
    pub fn compile(codec: &TableCodec, columns: &[ResultColumn]) -> Result<Self, DecodeError> {
        if columns.len() < codec.columns().len() {
            let what = format!(
                "the result has {} columns, the table {}",
                columns.len(),
                codec.columns().len()
            );
            return Err(DecodeError::new(what, 0));
        }
        let steps = codec
            .columns()
            .iter()
            .zip(columns)
            .enumerate()
            .map(|(at, (codec, column))| {
                step(codec, column).ok_or_else(|| {
                    let what = format!(
                        "the result has type {}{} for a column that is {}",
                        column.ty,
                        if column.is_unsigned() { " unsigned" } else { "" },
                        codec.logical()
                    );
                    DecodeError { what: what.into(), column: Some(at), offset: 0 }
                })
            })
            .collect::<Result<Arc<[Step]>, DecodeError>>()?;
        let extra_columns = columns.len() - steps.len();
        Ok(ResultPlan { codecs: Arc::clone(codec.columns()), steps, extra_columns })
    }

    /// Reads a row packet's first byte and its null bitmap.
    #[inline]
    pub(super) fn header<'a>(&self, cursor: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
        let at = cursor.at();
        let bitmap = (self.steps.len() + self.extra_columns + Self::NULL_BIT_OFFSET).div_ceil(8);
        match cursor.u8() {
            Ok(0) => cursor.take(bitmap).map_err(|fault| DecodeError::of(fault, at)),
            Ok(_) => Err(DecodeError::new("the packet is no row", at)),
            Err(fault) => Err(DecodeError::of(fault, at)),
        }
    }

    /// The stored cells of these columns, in the order asked for, without decoding the row. `cells` is overwritten.
    ///
    /// # Errors
    /// When the packet is no such row.
    pub fn key_cells<'a>(
        &self,
        packet: &'a [u8],
        key_columns: &[usize],
        cells: &mut Vec<KeyCell<'a>>,
    ) -> Result<(), DecodeError> {
        let mut cursor = Cursor::new(packet);
        let nulls = self.header(&mut cursor)?;
        cells_of(&self.steps, nulls, Self::NULL_BIT_OFFSET, &mut cursor, key_columns, cells)
    }
}

/// The instruction for a column that comes as `column`; none when it cannot be read from that.
fn step(codec: &ColumnCodec, column: &ResultColumn) -> Option<Step> {
    use protocol as p;
    let bytes = column.is_bytes();
    let lenenc = Extent::Lenenc;
    Some(match (codec.kind(), column.ty) {
        (&Kind::Integer { bytes, unsigned }, ty) if unsigned == column.is_unsigned() => {
            integer(codec, bytes, ty)?
        }
        (Kind::Year, p::YEAR | p::SHORT) => Step::YearNumber,
        (Kind::Float { scaled: false }, p::FLOAT) => Step::F32,
        (Kind::Float { scaled: true }, p::FLOAT) => Step::F32Wide,
        (Kind::Double, p::DOUBLE) => Step::F64,
        (&Kind::Decimal { precision, scale }, p::NEWDECIMAL | p::DECIMAL) => {
            if precision <= 38 {
                Step::DecimalText { precision, scale }
            } else {
                Step::DecimalWideText { scale }
            }
        }
        (Kind::Bit { bits: 1 }, p::BIT) => Step::BitTruth(lenenc),
        (&Kind::Bit { bits }, p::BIT) => Step::Bits { extent: lenenc, bytes: bits.div_ceil(8) },
        (Kind::Date, p::DATE | p::NEWDATE) => Step::ResultDate,
        (Kind::Datetime { .. }, p::DATETIME) | (Kind::Timestamp { .. }, p::TIMESTAMP) => {
            Step::ResultDatetime
        }
        (Kind::Time { .. }, p::TIME) => Step::ResultTime,
        (Kind::Char { .. } | Kind::VarChar { .. } | Kind::Text { .. }, _) if bytes => {
            Step::text(codec, lenenc)
        }
        (&Kind::Binary { length }, _) if bytes => Step::Padded { extent: lenenc, length },
        (Kind::VarBinary { .. } | Kind::Blob { .. }, _) if bytes => Step::Bytes(lenenc),
        (Kind::Enum { .. }, p::LONGLONG) => Step::Enum(8),
        (Kind::Enum { .. }, p::LONG) => Step::Enum(4),
        (Kind::Set { .. }, p::LONGLONG) => Step::Set(8),
        (Kind::Set { .. }, p::LONG) => Step::Set(4),
        (Kind::Json | Kind::Uuid | Kind::Inet4 | Kind::Inet6, _) if bytes => Step::Utf8(lenenc),
        (Kind::Geometry, _) if bytes => Step::Geometry(lenenc),
        (Kind::Vector, _) if bytes => Step::Vector(lenenc),
        _ => return None,
    })
}

fn integer(codec: &ColumnCodec, bytes: u8, ty: u8) -> Option<Step> {
    use protocol as p;
    let Kind::Integer { unsigned, .. } = *codec.kind() else { return None };
    Some(match (bytes, ty, unsigned) {
        (1, p::TINY, false) if *codec.logical() == cdc_api::LogicalType::Boolean => Step::Truth,
        (1, p::TINY, false) => Step::I8,
        (1, p::TINY, true) => Step::U8,
        (2, p::SHORT, false) => Step::I16,
        (2, p::SHORT, true) => Step::U16,
        // A MEDIUMINT takes four bytes here, and never more than 24 bits of them.
        (3, p::INT24 | p::LONG, _) => Step::I32,
        (4, p::LONG, false) => Step::I32,
        (4, p::LONG, true) => Step::U32,
        (8, p::LONGLONG, false) => Step::I64,
        (8, p::LONGLONG, true) => Step::U64,
        _ => return None,
    })
}
