//! One instruction of a compiled column plan: how a cell is stored, and what it becomes. Both plans are lists of these.

use flate2::Decompress;

use super::{
    batch::ColumnState,
    builder::{ColumnBuilder, Var},
    cursor::Cursor,
    decimal,
    decimal::Layout,
    error::Fault,
    geometry, inflate, jsonb, network, temporal,
    temporal::Civil,
    text,
};
use crate::types::{ColumnCodec, GeometryAs, Kind, TimeAs};

/// Where a cell of bytes ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Always this many bytes.
    Fixed(u8),
    /// Behind a length of one byte.
    One,
    /// Behind a length of two bytes.
    Two,
    /// Behind a length of three bytes.
    Three,
    /// Behind a length of four bytes.
    Four,
    /// Behind the protocol's length-encoded integer.
    Lenenc,
}

impl Extent {
    /// The extent with a length of 1 to 4 bytes.
    pub(crate) fn of_prefix(bytes: u8) -> Option<Self> {
        Some(match bytes {
            1 => Extent::One,
            2 => Extent::Two,
            3 => Extent::Three,
            4 => Extent::Four,
            _ => return None,
        })
    }

    #[inline(always)]
    fn cell<'a>(self, cursor: &mut Cursor<'a>) -> Result<&'a [u8], Fault> {
        let length = match self {
            Extent::Fixed(length) => usize::from(length),
            Extent::One => usize::from(cursor.u8()?),
            Extent::Two => usize::from(cursor.u16()?),
            Extent::Three => cursor.u24()? as usize,
            Extent::Four => cursor.u32()? as usize,
            Extent::Lenenc => return cursor.lenenc_bytes(),
        };
        cursor.take(length)
    }

    /// The cell, and the 16 bytes that begin with it where there are so many: a short cell is copied by one load of them.
    #[inline(always)]
    fn cell_with_head<'a>(
        self,
        cursor: &mut Cursor<'a>,
    ) -> Result<(&'a [u8], Option<&'a [u8; 16]>), Fault> {
        let all = cursor.rest();
        let cell = self.cell(cursor)?;
        let begin = all.len() - cursor.rest().len() - cell.len();
        Ok((cell, all.get(begin..).and_then(<[u8]>::first_chunk)))
    }
}

/// One column's instruction. Names say what is stored; what it becomes follows, where it is not the obvious.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// TINYINT(1) read as BOOLEAN.
    Truth,
    I8,
    U8,
    I16,
    U16,
    I24,
    U24,
    I32,
    U32,
    I64,
    /// Becomes DECIMAL(20,0).
    U64,
    /// YEAR of the log: years since 1900, 0 for the year 0000.
    YearByte,
    /// YEAR of a result: the year itself.
    YearNumber,
    F32,
    /// FLOAT(p,s), which becomes DOUBLE.
    F32Wide,
    F64,
    Decimal(Layout),
    /// More than 38 digits, which become text.
    DecimalWide(Layout),
    /// Printed, as results have it.
    DecimalText {
        precision: u8,
        scale: u8,
    },
    DecimalWideText {
        scale: u8,
    },
    BitTruth(Extent),
    Bits {
        extent: Extent,
        bytes: u8,
    },
    Date,
    OldDatetime,
    OldTimestamp,
    OldTime,
    /// DATETIME, TIMESTAMP and TIME since MySQL 5.6, with this many bytes of fraction.
    Datetime(u8),
    Timestamp(u8),
    Time(u8),
    /// The binary protocol's dates and times.
    ResultDate,
    /// Also TIMESTAMP: the session's time_zone is +00:00.
    ResultDatetime,
    ResultTime,
    /// Text that is UTF-8 as stored.
    Utf8(Extent),
    /// Text of another charset.
    Coded(Extent),
    Bytes(Extent),
    /// BINARY(n): the log strips trailing zero bytes.
    Padded {
        extent: Extent,
        length: u32,
    },
    /// A COMPRESSED column of MariaDB.
    Deflated {
        extent: Extent,
    },
    /// The member's number, little-endian in this many bytes.
    Enum(u8),
    /// The members' bits, little-endian in this many bytes.
    Set(u8),
    Jsonb(Extent),
    Geometry(Extent),
    Vector(Extent),
    Uuid(Extent),
    Inet4(Extent),
    Inet6(Extent),
}

impl Step {
    /// Text of the column's charset.
    pub(super) fn text(codec: &ColumnCodec, extent: Extent) -> Self {
        match &codec.charset {
            Some(charset) if charset.is_utf8() => Step::Utf8(extent),
            _ => Step::Coded(extent),
        }
    }

    /// How many bytes a cell takes that is not null, or where its end is told. (Results have cells of other kinds.)
    pub(crate) fn stored_bytes(&self) -> Result<u32, Extent> {
        use Step as S;
        let bytes = match *self {
            S::Truth | S::I8 | S::U8 | S::YearByte => 1,
            S::I16 | S::U16 | S::YearNumber => 2,
            S::I24 | S::U24 | S::Date | S::OldTime => 3,
            S::I32 | S::U32 | S::F32 | S::F32Wide | S::OldTimestamp => 4,
            S::I64 | S::U64 | S::F64 | S::OldDatetime => 8,
            S::Decimal(layout) | S::DecimalWide(layout) => layout.bytes(),
            S::Datetime(fraction) => 5 + usize::from(fraction),
            S::Timestamp(fraction) => 4 + usize::from(fraction),
            S::Time(fraction) => 3 + usize::from(fraction),
            S::Enum(bytes) | S::Set(bytes) => usize::from(bytes),
            S::ResultDate | S::ResultDatetime | S::ResultTime => return Err(Extent::One),
            S::DecimalText { .. } | S::DecimalWideText { .. } => return Err(Extent::Lenenc),
            S::BitTruth(extent)
            | S::Bits { extent, .. }
            | S::Utf8(extent)
            | S::Coded(extent)
            | S::Bytes(extent)
            | S::Padded { extent, .. }
            | S::Deflated { extent }
            | S::Jsonb(extent)
            | S::Geometry(extent)
            | S::Vector(extent)
            | S::Uuid(extent)
            | S::Inet4(extent)
            | S::Inet6(extent) => match extent {
                Extent::Fixed(bytes) => usize::from(bytes),
                told => return Err(told),
            },
        };
        Ok(bytes as u32)
    }

    /// The stored bytes of the next cell.
    #[inline]
    pub(crate) fn cell<'a>(&self, cursor: &mut Cursor<'a>) -> Result<&'a [u8], Fault> {
        use Step as S;
        match *self {
            S::Truth | S::I8 | S::U8 | S::YearByte => cursor.take(1),
            S::I16 | S::U16 | S::YearNumber => cursor.take(2),
            S::I24 | S::U24 | S::Date | S::OldTime => cursor.take(3),
            S::I32 | S::U32 | S::F32 | S::F32Wide | S::OldTimestamp => cursor.take(4),
            S::I64 | S::U64 | S::F64 | S::OldDatetime => cursor.take(8),
            S::Decimal(layout) | S::DecimalWide(layout) => cursor.take(layout.bytes()),
            S::Datetime(fraction) => cursor.take(5 + usize::from(fraction)),
            S::Timestamp(fraction) => cursor.take(4 + usize::from(fraction)),
            S::Time(fraction) => cursor.take(3 + usize::from(fraction)),
            S::ResultDate | S::ResultDatetime | S::ResultTime => Extent::One.cell(cursor),
            S::DecimalText { .. } | S::DecimalWideText { .. } => Extent::Lenenc.cell(cursor),
            S::Enum(bytes) | S::Set(bytes) => cursor.take(usize::from(bytes)),
            S::BitTruth(extent)
            | S::Bits { extent, .. }
            | S::Utf8(extent)
            | S::Coded(extent)
            | S::Bytes(extent)
            | S::Padded { extent, .. }
            | S::Deflated { extent }
            | S::Jsonb(extent)
            | S::Geometry(extent)
            | S::Vector(extent)
            | S::Uuid(extent)
            | S::Inet4(extent)
            | S::Inet6(extent) => extent.cell(cursor),
        }
    }

    /// Decodes the next cell and appends it. Plain numbers stand here, a few instructions each inside the caller's loop; the
    /// rest is in [`Step::append_more`].
    #[inline(always)]
    pub(super) fn append(
        &self,
        cursor: &mut Cursor<'_>,
        column: &mut ColumnState,
        codec: &ColumnCodec,
    ) -> Result<(), Fault> {
        use Step as S;
        let builder = &mut column.builder;
        match *self {
            S::Truth => push_truth(cursor.u8()?, builder)?,
            S::I8 => builder.i8()?.push(cursor.u8()? as i8),
            S::U8 => builder.i16()?.push(i16::from(cursor.u8()?)),
            S::I16 => builder.i16()?.push(cursor.u16()? as i16),
            S::U16 => builder.i32()?.push(i32::from(cursor.u16()?)),
            S::I24 => builder.i32()?.push(cursor.i24()?),
            S::U24 => builder.i32()?.push(cursor.u24()? as i32),
            S::I32 => builder.i32()?.push(cursor.u32()? as i32),
            S::U32 => builder.i64()?.push(i64::from(cursor.u32()?)),
            S::I64 => builder.i64()?.push(cursor.u64()? as i64),
            S::U64 => builder.decimal()?.push(i128::from(cursor.u64()?)),
            S::F32 => builder.f32()?.push(f32::from_bits(cursor.u32()?)),
            S::F64 => builder.f64()?.push(f64::from_bits(cursor.u64()?)),
            S::Utf8(extent) => {
                let (cell, head) = extent.cell_with_head(cursor)?;
                return text::push_short_utf8(cell, head, builder.utf8()?, codec);
            }
            S::Bytes(extent) => return builder.binary()?.push(extent.cell(cursor)?),
            S::Decimal(layout) => {
                builder.decimal()?.push(layout.read_unscaled(cursor)?);
            }
            S::Date => {
                let civil = Civil::of_packed_date(cursor.u24()?);
                return push_date(civil, column, codec);
            }
            S::Datetime(fraction) => {
                let stored = cursor.uint_be(5 + usize::from(fraction))?;
                if let Some(micros) = temporal::plain_datetime(stored, fraction) {
                    builder.timestamp()?.push(micros);
                    return Ok(());
                }
                let (packed, micro) = whole_and_fraction(stored, fraction)?;
                return push_datetime(Civil::of_packed(packed, micro)?, column, codec);
            }
            S::Timestamp(fraction) => {
                let stored = cursor.uint_be(4 + usize::from(fraction))?;
                if let Some(micros) = temporal::plain_timestamp(stored, fraction) {
                    builder.timestamp()?.push(micros);
                    return Ok(());
                }
                let (seconds, micro) = whole_and_fraction(stored, fraction)?;
                return push_timestamp(seconds as u32, micro, column, codec);
            }
            _ => {
                let cell = self.cell(cursor)?;
                return self.convert(cell, column, codec);
            }
        }
        Ok(())
    }

    /// Appends a cell of the rarer kinds.
    #[inline(never)]
    fn convert(
        &self,
        cell: &[u8],
        column: &mut ColumnState,
        codec: &ColumnCodec,
    ) -> Result<(), Fault> {
        use Step as S;
        let builder = &mut column.builder;
        let mut cursor = Cursor::new(cell);
        match *self {
            S::BitTruth(_) => push_bit_truth(cell, builder)?,
            S::Bits { bytes, .. } if cell.len() == usize::from(bytes) => {
                return builder.binary()?.push(cell);
            }
            S::Bits { .. } => return Err(Fault::new("a BIT has another width than its column")),
            S::YearByte => builder.i32()?.push(match cursor.u8()? {
                0 => 0,
                year => 1900 + i32::from(year),
            }),
            S::YearNumber => builder.i32()?.push(i32::from(cursor.u16()?)),
            S::F32Wide => builder.f64()?.push(f64::from(f32::from_bits(cursor.u32()?))),
            S::DecimalWide(layout) => {
                let var = builder.utf8()?;
                layout.write_text(cell, var.value())?;
                return var.end_value();
            }
            S::DecimalText { precision, scale } => {
                builder.decimal()?.push(decimal::unscaled_of_text(cell, precision, scale)?);
            }
            S::DecimalWideText { scale } => {
                let var = builder.utf8()?;
                decimal::write_canonical_text(cell, scale, var.value())?;
                return var.end_value();
            }
            S::OldDatetime => {
                return push_datetime(Civil::of_decimal(cursor.u64()?)?, column, codec);
            }
            S::OldTimestamp => return push_timestamp(cursor.u32()?, 0, column, codec),
            S::OldTime => {
                let micros = temporal::micros_of_decimal_time(cursor.i24()?)?;
                return push_time(micros, column, codec);
            }
            S::Time(fraction) => {
                let packed = cursor.uint_be(3 + usize::from(fraction))?;
                let micros = temporal::micros_of_packed_time(packed, usize::from(fraction))?;
                return push_time(micros, column, codec);
            }
            S::ResultDate => return push_date(result_civil(cell)?, column, codec),
            S::ResultDatetime => return push_datetime(result_civil(cell)?, column, codec),
            S::ResultTime => return push_time(result_time(cell)?, column, codec),
            S::Coded(_) => return text::push_coded(cell, builder.utf8()?, codec),
            S::Padded { length, .. } => {
                return push_padded(cell, length as usize, builder.binary()?);
            }
            S::Deflated { .. } => return push_deflated(cell, column, codec),
            S::Enum(_) => return push_enum(cursor.uint_le(cell.len())?, builder.utf8()?, codec),
            S::Set(_) => return push_set(cursor.uint_le(cell.len())?, builder, codec),
            S::Jsonb(_) => {
                let var = builder.utf8()?;
                jsonb::write_text(cell, var.value())?;
                return var.end_value();
            }
            S::Geometry(_) => return push_geometry(cell, builder, codec),
            S::Vector(_) => return push_vector(cell, builder),
            S::Uuid(_) => return push_network(cell, network::write_uuid, builder),
            S::Inet4(_) => return push_network(cell, network::write_inet4, builder),
            S::Inet6(_) => return push_network(cell, network::write_inet6, builder),
            // The kinds that `append` and `append_more` decode themselves.
            _ => return Err(Fault::wrong_builder()),
        }
        Ok(())
    }
}

/// What is ahead of 0 to 3 bytes of fraction, and the fraction in microseconds.
fn whole_and_fraction(stored: u64, fraction: u8) -> Result<(u64, u32), Fault> {
    let fraction = usize::from(fraction.min(3));
    let bits = 8 * fraction;
    let micro = temporal::fraction_micros(stored & ((1 << bits) - 1), fraction)?;
    Ok((stored >> bits, micro))
}

#[inline(always)]
fn push_truth(value: u8, builder: &mut ColumnBuilder) -> Result<(), Fault> {
    if value > 1 {
        return Err(no_truth(value));
    }
    builder.bits()?.push(value == 1);
    Ok(())
}

#[cold]
fn no_truth(value: u8) -> Fault {
    Fault::new(format!(
        "value {} in a TINYINT(1) that is read as BOOLEAN; `treat-tinyint1-as-boolean.enabled: false` reads it as \
         TINYINT",
        value as i8
    ))
}

fn push_bit_truth(cell: &[u8], builder: &mut ColumnBuilder) -> Result<(), Fault> {
    match cell {
        [0] => builder.bits()?.push(false),
        [1] => builder.bits()?.push(true),
        _ => return Err(Fault::new("a BIT(1) is neither 0 nor 1")),
    }
    Ok(())
}

/// The value that no calendar has: null where the policy says so.
#[cold]
fn push_invalid(civil: Civil, column: &mut ColumnState, codec: &ColumnCodec) -> Result<(), Fault> {
    if codec.nulls_invalid_temporal() {
        column.builder.push_null();
        column.nulled += 1;
        return Ok(());
    }
    Err(Fault::new(format!(
        "{:04}-{:02}-{:02} is no date; `temporal.invalid: null` makes such values null, but never in a key",
        civil.year, civil.month, civil.day
    )))
}

#[inline]
fn push_date(civil: Civil, column: &mut ColumnState, codec: &ColumnCodec) -> Result<(), Fault> {
    match civil.days() {
        Some(days) => {
            column.builder.date()?.push(days);
            Ok(())
        }
        None => push_invalid(civil, column, codec),
    }
}

#[inline(always)]
fn push_datetime(civil: Civil, column: &mut ColumnState, codec: &ColumnCodec) -> Result<(), Fault> {
    match civil.micros()? {
        Some(micros) => {
            column.builder.timestamp()?.push(micros);
            Ok(())
        }
        None => push_invalid(civil, column, codec),
    }
}

/// A TIMESTAMP as the log has it: seconds since the epoch; 0 is the zero date.
#[inline]
fn push_timestamp(
    seconds: u32,
    micro: u32,
    column: &mut ColumnState,
    codec: &ColumnCodec,
) -> Result<(), Fault> {
    if seconds == 0 {
        return push_invalid(Civil::default(), column, codec);
    }
    column.builder.timestamp()?.push(i64::from(seconds) * 1_000_000 + i64::from(micro));
    Ok(())
}

fn push_time(micros: i64, column: &mut ColumnState, codec: &ColumnCodec) -> Result<(), Fault> {
    const DAY_US: i64 = 86_400_000_000;
    match codec.time_as() {
        TimeAs::Micros => column.builder.i64()?.push(micros),
        TimeAs::String => {
            let Kind::Time { fraction } = codec.kind else { return Err(Fault::wrong_builder()) };
            let var = column.builder.utf8()?;
            temporal::write_time(micros, fraction, var.value());
            return var.end_value();
        }
        TimeAs::Time if (0..DAY_US).contains(&micros) => column.builder.time()?.push(micros),
        TimeAs::Time if codec.nulls_long_time() => {
            column.builder.push_null();
            column.nulled += 1;
        }
        TimeAs::Time => {
            let mut text = Vec::new();
            temporal::write_time(micros, 0, &mut text);
            return Err(Fault::new(format!(
                "TIME {} is no time of day; `time.out-of-range: null` makes it null, `time.as: string` or `micros` keeps it",
                String::from_utf8_lossy(&text)
            )));
        }
    }
    Ok(())
}

/// The binary protocol leaves out what is zero: 0, 4, 7 or 11 bytes.
fn result_civil(cell: &[u8]) -> Result<Civil, Fault> {
    if !matches!(cell.len(), 0 | 4 | 7 | 11) {
        return Err(Fault::new(format!("a date of {} bytes", cell.len())));
    }
    let mut civil = Civil::default();
    let mut cursor = Cursor::new(cell);
    if cell.len() >= 4 {
        civil.year = u32::from(cursor.u16()?);
        civil.month = u32::from(cursor.u8()?);
        civil.day = u32::from(cursor.u8()?);
    }
    if cell.len() >= 7 {
        civil.hour = u32::from(cursor.u8()?);
        civil.minute = u32::from(cursor.u8()?);
        civil.second = u32::from(cursor.u8()?);
    }
    if cell.len() >= 11 {
        civil.micro = cursor.u32()?;
    }
    Ok(civil)
}

/// The binary protocol's TIME: 0, 8 or 12 bytes.
fn result_time(cell: &[u8]) -> Result<i64, Fault> {
    if cell.is_empty() {
        return Ok(0);
    }
    if !matches!(cell.len(), 8 | 12) {
        return Err(Fault::new(format!("a TIME of {} bytes", cell.len())));
    }
    let mut cursor = Cursor::new(cell);
    let negative = cursor.u8()? != 0;
    let days = cursor.u32()?;
    let (hour, minute, second) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let micro = if cell.len() == 12 { cursor.u32()? } else { 0 };
    let hours = days.saturating_mul(24).saturating_add(u32::from(hour));
    temporal::micros_of_time(negative, hours, u32::from(minute), u32::from(second), micro)
}

fn push_padded(cell: &[u8], length: usize, var: &mut Var) -> Result<(), Fault> {
    let missing = length
        .checked_sub(cell.len())
        .ok_or_else(|| Fault::new("a BINARY is longer than its column"))?;
    let value = var.value();
    value.extend_from_slice(cell);
    value.extend(std::iter::repeat_n(0, missing));
    var.end_value()
}

fn push_deflated(cell: &[u8], column: &mut ColumnState, codec: &ColumnCodec) -> Result<(), Fault> {
    let ColumnState { builder, inflater, .. } = column;
    if let ColumnBuilder::Binary(var) = builder {
        inflate::inflate_cell(cell, inflater, var.value())?;
        return var.end_value();
    }
    let mut plain = Vec::new();
    inflate::inflate_cell(cell, inflater, &mut plain)?;
    text::push_coded(&plain, builder.utf8()?, codec)
}

fn push_enum(index: u64, var: &mut Var, codec: &ColumnCodec) -> Result<(), Fault> {
    let Kind::Enum { members } = &codec.kind else { return Err(Fault::wrong_builder()) };
    // 0 is the empty string that the server stores for an invalid value.
    let Some(at) = index.checked_sub(1) else { return var.push(b"") };
    match usize::try_from(at).ok().and_then(|at| members.get(at)) {
        Some(member) => var.push(member.as_bytes()),
        None => Err(Fault::new(format!("ENUM index {index} of {} members", members.len()))),
    }
}

fn push_set(bits: u64, builder: &mut ColumnBuilder, codec: &ColumnCodec) -> Result<(), Fault> {
    let Kind::Set { members } = &codec.kind else { return Err(Fault::wrong_builder()) };
    if members.len() < 64 && bits >> members.len() != 0 {
        return Err(Fault::new(format!("SET bits {bits:#b} of {} members", members.len())));
    }
    let chosen = members.iter().enumerate().filter(|(at, _)| bits >> (at & 63) & 1 == 1);
    if let ColumnBuilder::Texts(lists) = builder {
        for (_, member) in chosen {
            lists.items.push(member.as_bytes())?;
        }
        return lists.end_list();
    }
    let var = builder.utf8()?;
    for (nth, (_, member)) in chosen.enumerate() {
        if nth > 0 {
            var.value().push(b',');
        }
        var.value().extend_from_slice(member.as_bytes());
    }
    var.end_value()
}

fn push_geometry(
    cell: &[u8],
    builder: &mut ColumnBuilder,
    codec: &ColumnCodec,
) -> Result<(), Fault> {
    match codec.geometry_as() {
        GeometryAs::Json => {
            let var = builder.utf8()?;
            geometry::write_json(cell, var.value())?;
            var.end_value()
        }
        GeometryAs::Wkb => builder.binary()?.push(geometry::split(cell)?.1),
    }
}

fn push_vector(cell: &[u8], builder: &mut ColumnBuilder) -> Result<(), Fault> {
    let lists = builder.floats()?;
    let (floats, rest) = cell.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Fault::new("a VECTOR is no whole number of floats"));
    }
    floats.iter().for_each(|bytes| lists.items.push(f32::from_le_bytes(*bytes)));
    lists.end_list()
}

fn push_network<const N: usize>(
    cell: &[u8],
    write: fn([u8; N], &mut Vec<u8>),
    builder: &mut ColumnBuilder,
) -> Result<(), Fault> {
    let var = builder.utf8()?;
    write(network::padded(cell)?, var.value());
    var.end_value()
}

/// What a column keeps between rows to inflate COMPRESSED cells.
pub(super) type Inflater = Option<Box<Decompress>>;
