//! A column plan: one instruction per column of a TABLE_MAP, compiled once per table version.

use std::sync::Arc;

use super::{storage::Storage, table_map::TableMap, witness::fits};
use crate::{
    decode::{
        DecodeError, KeyCell,
        batch::{cells_of, walk_cells},
        bulk::Shape,
        cursor::Cursor,
        decimal::Layout,
        step::{Extent, Step},
        temporal::fraction_bytes,
    },
    types::{ColumnCodec, Kind, TableCodec},
};

/// How row images of one table version become rows of a batch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BinlogPlan {
    pub(in crate::decode) codecs: Arc<[ColumnCodec]>,
    pub(in crate::decode) steps: Arc<[Step]>,
    /// For many rows at once.
    pub(in crate::decode) shape: Option<Arc<Shape>>,
}

impl BinlogPlan {
    /// Binds a TABLE_MAP to the codec of the table that it describes.
    ///
    /// # Errors
    /// When they do not fit: see [`TableMap::check`], which says so in the table's terms.
    pub fn compile(codec: &TableCodec, map: &TableMap) -> Result<Self, DecodeError> {
        if codec.columns().len() != map.columns.len() {
            let what = format!(
                "the log has {} columns, the table {}",
                map.columns.len(),
                codec.columns().len()
            );
            return Err(DecodeError::new(what, 0));
        }
        let steps = codec
            .columns()
            .iter()
            .zip(&map.columns)
            .enumerate()
            .map(|(at, (codec, column))| {
                step(codec, column.storage).ok_or_else(|| DecodeError {
                    what: format!(
                        "the log has {:?} for a column that is {}",
                        column.storage,
                        codec.logical()
                    )
                    .into(),
                    column: Some(at),
                    offset: 0,
                })
            })
            .collect::<Result<Arc<[Step]>, DecodeError>>()?;
        let shape = Shape::of(&steps, codec.columns()).map(Arc::new);
        Ok(BinlogPlan { codecs: Arc::clone(codec.columns()), steps, shape })
    }

    /// How many columns an image has.
    pub fn columns(&self) -> usize {
        self.steps.len()
    }

    #[inline]
    pub(in crate::decode) fn null_bytes(&self) -> usize {
        self.steps.len().div_ceil(8)
    }

    fn open<'a>(&self, image: &'a [u8]) -> Result<(&'a [u8], Cursor<'a>), DecodeError> {
        let mut cursor = Cursor::new(image);
        let nulls = cursor.take(self.null_bytes()).map_err(|fault| DecodeError::of(fault, 0))?;
        Ok((nulls, cursor))
    }

    /// How many bytes the image at the start of `image` takes, without decoding it.
    ///
    /// # Errors
    /// When the bytes are no such image.
    pub fn skip_image(&self, image: &[u8]) -> Result<usize, DecodeError> {
        let (nulls, mut cursor) = self.open(image)?;
        walk_cells(&self.steps, nulls, 0, &mut cursor, |_, _| {})?;
        Ok(cursor.at())
    }

    /// The stored cells of these columns, in the order asked for, without decoding the image. `cells` is overwritten.
    ///
    /// # Errors
    /// When the bytes are no such image.
    pub fn key_cells<'a>(
        &self,
        image: &'a [u8],
        key_columns: &[usize],
        cells: &mut Vec<KeyCell<'a>>,
    ) -> Result<(), DecodeError> {
        let (nulls, mut cursor) = self.open(image)?;
        cells_of(&self.steps, nulls, 0, &mut cursor, key_columns, cells)
    }
}

/// The instruction for a column that is stored so; none when it cannot be.
fn step(codec: &ColumnCodec, storage: Storage) -> Option<Step> {
    let kind = codec.kind();
    if !fits(kind, storage) {
        return None;
    }
    Some(match storage {
        Storage::Integer(bytes) => integer(codec, bytes)?,
        Storage::Float if matches!(kind, Kind::Float { scaled: true }) => Step::F32Wide,
        Storage::Float => Step::F32,
        Storage::Double => Step::F64,
        Storage::Decimal { precision, scale } => {
            let layout = Layout::new(precision, scale);
            if precision <= 38 { Step::Decimal(layout) } else { Step::DecimalWide(layout) }
        }
        Storage::Bit { bits: 1 } => Step::BitTruth(Extent::Fixed(1)),
        Storage::Bit { bits } => {
            let bytes = bits.div_ceil(8);
            Step::Bits { extent: Extent::Fixed(bytes), bytes }
        }
        Storage::Year => Step::YearByte,
        Storage::Date => Step::Date,
        Storage::OldTime => Step::OldTime,
        Storage::OldDatetime => Step::OldDatetime,
        Storage::OldTimestamp => Step::OldTimestamp,
        Storage::Time(digits) => Step::Time(fraction_bytes(digits)),
        Storage::Datetime(digits) => Step::Datetime(fraction_bytes(digits)),
        Storage::Timestamp(digits) => Step::Timestamp(fraction_bytes(digits)),
        Storage::Char(bytes) | Storage::VarChar(bytes) => bytes_step(codec, of_length(bytes)),
        Storage::Blob(prefix) => bytes_step(codec, Extent::of_prefix(prefix)?),
        Storage::DeflatedVarChar(bytes) => Step::Deflated { extent: of_length(bytes) },
        Storage::DeflatedBlob(prefix) => Step::Deflated { extent: Extent::of_prefix(prefix)? },
        Storage::Enum(bytes) => Step::Enum(bytes),
        Storage::Set(bytes) => Step::Set(bytes),
        Storage::Json(prefix) => Step::Jsonb(Extent::of_prefix(prefix)?),
        Storage::Geometry(prefix) => Step::Geometry(Extent::of_prefix(prefix)?),
        Storage::Vector(prefix) => Step::Vector(Extent::of_prefix(prefix)?),
    })
}

/// A string's length takes one byte as long as its longest value's does.
fn of_length(bytes_max: u16) -> Extent {
    if bytes_max > 255 { Extent::Two } else { Extent::One }
}

fn bytes_step(codec: &ColumnCodec, extent: Extent) -> Step {
    match *codec.kind() {
        Kind::Binary { length } => Step::Padded { extent, length },
        Kind::VarBinary { .. } | Kind::Blob { .. } => Step::Bytes(extent),
        Kind::Uuid => Step::Uuid(extent),
        Kind::Inet4 => Step::Inet4(extent),
        Kind::Inet6 => Step::Inet6(extent),
        Kind::Vector => Step::Vector(extent),
        _ => Step::text(codec, extent),
    }
}

fn integer(codec: &ColumnCodec, bytes: u8) -> Option<Step> {
    let Kind::Integer { unsigned, .. } = *codec.kind() else { return None };
    Some(match (bytes, unsigned) {
        (1, false) if *codec.logical() == cdc_api::LogicalType::Boolean => Step::Truth,
        (1, false) => Step::I8,
        (1, true) => Step::U8,
        (2, false) => Step::I16,
        (2, true) => Step::U16,
        (3, false) => Step::I24,
        (3, true) => Step::U24,
        (4, false) => Step::I32,
        (4, true) => Step::U32,
        (8, false) => Step::I64,
        (8, true) => Step::U64,
        _ => return None,
    })
}
