//! How a TABLE_MAP says that a column is stored: type byte and metadata, made into one enum.

use crate::decode::{cursor::Cursor, error::Fault};

/// The log's column types.
pub(super) mod code {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// How a column's cells are stored in row images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// A number of 1, 2, 3, 4 or 8 bytes; the sign is in the optional metadata.
    Integer(u8),
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// Packed.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// Big-endian.
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// One byte.
    Year,
    /// Three bytes.
    Date,
    /// Three bytes, a decimal number.
    OldTime,
    /// Eight bytes, a decimal number.
    OldDatetime,
    /// Four bytes.
    OldTimestamp,
    /// Packed, with this many fractional digits.
    Time(u8),
    /// Packed, with this many fractional digits.
    Datetime(u8),
    /// Packed, with this many fractional digits.
    Timestamp(u8),
    /// CHAR, BINARY and MariaDB's fixed binary types, of at most this many bytes.
    Char(u16),
    /// VARCHAR and VARBINARY, of at most this many bytes.
    VarChar(u16),
    /// TEXT and BLOB, with a length of this many bytes.
    Blob(u8),
    /// MariaDB's COMPRESSED VARCHAR, of at most this many bytes.
    DeflatedVarChar(u16),
    /// MariaDB's COMPRESSED TEXT and BLOB.
    DeflatedBlob(u8),
    /// A number of this many bytes.
    Enum(u8),
    /// Bits in this many bytes.
    Set(u8),
    /// Binary JSON, with a length of this many bytes.
    Json(u8),
    /// SRID and WKB, with a length of this many bytes.
    Geometry(u8),
    /// Floats, with a length of this many bytes.
    Vector(u8),
}

impl Storage {
    /// Reads one column's metadata.
    pub(super) fn read(ty: u8, metadata: &mut Cursor<'_>) -> Result<Self, Fault> {
        let prefix = |bytes: u8| match bytes {
            1..=4 => Ok(bytes),
            _ => Err(Fault::new(format!("a length of {bytes} bytes"))),
        };
        let digits = |digits: u8| match digits {
            0..=6 => Ok(digits),
            _ => Err(Fault::new(format!("{digits} fractional digits"))),
        };
        Ok(match ty {
            code::TINY => Storage::Integer(1),
            code::SHORT => Storage::Integer(2),
            code::INT24 => Storage::Integer(3),
            code::LONG => Storage::Integer(4),
            code::LONGLONG => Storage::Integer(8),
            code::FLOAT => sized(metadata, 4, Storage::Float)?,
            code::DOUBLE => sized(metadata, 8, Storage::Double)?,
            code::NEWDECIMAL => decimal(metadata)?,
            code::BIT => bit(metadata)?,
            code::YEAR => Storage::Year,
            code::DATE | code::NEWDATE => Storage::Date,
            code::TIME => Storage::OldTime,
            code::DATETIME => Storage::OldDatetime,
            code::TIMESTAMP => Storage::OldTimestamp,
            code::TIME2 => Storage::Time(digits(metadata.u8()?)?),
            code::DATETIME2 => Storage::Datetime(digits(metadata.u8()?)?),
            code::TIMESTAMP2 => Storage::Timestamp(digits(metadata.u8()?)?),
            code::VARCHAR | code::VAR_STRING => Storage::VarChar(metadata.u16()?),
            code::VARCHAR_COMPRESSED => Storage::DeflatedVarChar(metadata.u16()?),
            code::BLOB => Storage::Blob(prefix(metadata.u8()?)?),
            code::BLOB_COMPRESSED => Storage::DeflatedBlob(prefix(metadata.u8()?)?),
            code::JSON => Storage::Json(prefix(metadata.u8()?)?),
            code::GEOMETRY => Storage::Geometry(prefix(metadata.u8()?)?),
            code::VECTOR => Storage::Vector(prefix(metadata.u8()?)?),
            code::STRING | code::ENUM | code::SET => string(metadata)?,
            other => return Err(Fault::new(format!("column type {other} is not known"))),
        })
    }
}

fn sized(metadata: &mut Cursor<'_>, expected: u8, storage: Storage) -> Result<Storage, Fault> {
    match metadata.u8()? {
        size if size == expected => Ok(storage),
        size => Err(Fault::new(format!("a floating point number of {size} bytes"))),
    }
}

fn decimal(metadata: &mut Cursor<'_>) -> Result<Storage, Fault> {
    let (precision, scale) = (metadata.u8()?, metadata.u8()?);
    if precision == 0 || precision > 65 || scale > precision {
        return Err(Fault::new(format!("DECIMAL({precision},{scale})")));
    }
    Ok(Storage::Decimal { precision, scale })
}

fn bit(metadata: &mut Cursor<'_>) -> Result<Storage, Fault> {
    let (spare, whole) = (metadata.u8()?, metadata.u8()?);
    let bits = u32::from(whole) * 8 + u32::from(spare);
    if bits == 0 || bits > 64 || spare > 7 {
        return Err(Fault::new(format!("BIT({bits})")));
    }
    Ok(Storage::Bit { bits: bits as u8 })
}

/// CHAR, ENUM and SET share one type; the real one is in the metadata, with two bits of a CHAR's length folded in.
fn string(metadata: &mut Cursor<'_>) -> Result<Storage, Fault> {
    let (real, low) = (metadata.u8()?, metadata.u8()?);
    match real {
        code::ENUM if matches!(low, 1 | 2) => Ok(Storage::Enum(low)),
        code::SET if (1..=8).contains(&low) => Ok(Storage::Set(low)),
        code::ENUM | code::SET => Err(Fault::new(format!("ENUM or SET of {low} bytes"))),
        _ if real | 0x30 == code::STRING => {
            Ok(Storage::Char(u16::from(low) | u16::from(!real & 0x30) << 4))
        }
        other => Err(Fault::new(format!("string of type {other} is not known"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(ty: u8, metadata: &[u8]) -> Result<Storage, Fault> {
        Storage::read(ty, &mut Cursor::new(metadata))
    }

    #[test]
    fn the_length_of_a_char_is_spread_over_two_bytes() {
        assert_eq!(read(code::STRING, &[0xFE, 40]), Ok(Storage::Char(40)));
        assert_eq!(read(code::STRING, &[0xEE, 0xFC]), Ok(Storage::Char(0x1FC)));
        assert_eq!(read(code::STRING, &[0xCE, 0xFC]), Ok(Storage::Char(0x3FC)));
        assert_eq!(read(code::STRING, &[code::ENUM, 2]), Ok(Storage::Enum(2)));
        assert_eq!(read(code::STRING, &[code::SET, 8]), Ok(Storage::Set(8)));
    }

    #[test]
    fn impossible_metadata_is_refused() {
        for (ty, metadata) in [
            (code::FLOAT, &[8][..]),
            (code::NEWDECIMAL, &[66, 0]),
            (code::NEWDECIMAL, &[5, 6]),
            (code::BIT, &[0, 0]),
            (code::BIT, &[1, 8]),
            (code::DATETIME2, &[7]),
            (code::BLOB, &[5]),
            (code::STRING, &[code::SET, 9]),
            (code::STRING, &[3, 1]),
            (code::VARCHAR, &[1]),
            (20, &[]),
        ] {
            assert!(read(ty, metadata).is_err(), "{ty} {metadata:?}");
        }
    }
}
