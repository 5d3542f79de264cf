//! The optional metadata at the end of a TABLE_MAP: what `binlog_row_metadata` MINIMAL (signedness, charsets) and FULL
//! (names, members, key, visibility) tell. MariaDB's NO_LOG tells nothing.

use super::{storage::Storage, table_map::MapColumn};
use crate::decode::{cursor::Cursor, error::Fault};

mod field {
    pub(super) const SIGNEDNESS: u8 = 1;
    pub(super) const DEFAULT_CHARSET: u8 = 2;
    pub(super) const COLUMN_CHARSET: u8 = 3;
    pub(super) const COLUMN_NAME: u8 = 4;
    pub(super) const SET_MEMBERS: u8 = 5;
    pub(super) const ENUM_MEMBERS: u8 = 6;
    pub(super) const GEOMETRY_TYPE: u8 = 7;
    pub(super) const PRIMARY_KEY: u8 = 8;
    pub(super) const PRIMARY_KEY_WITH_PREFIX: u8 = 9;
    pub(super) const MEMBERS_DEFAULT_CHARSET: u8 = 10;
    pub(super) const MEMBERS_COLUMN_CHARSET: u8 = 11;
    pub(super) const VISIBILITY: u8 = 12;
    pub(super) const VECTOR_DIMENSIONS: u8 = 13;
}

/// What the optional metadata tells; every list is as long as the columns, or empty when it was not told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OptionalMetadata {
    /// For numbers, whether they are unsigned.
    pub unsigned: Vec<Option<bool>>,
    /// For text, ENUM and SET (and binary strings, whose collation is 63), the collation.
    pub collations: Vec<Option<u64>>,
    /// Column names.
    pub names: Vec<String>,
    /// Members of ENUM and SET columns, in the column's own charset.
    pub members: Vec<Option<Vec<Vec<u8>>>>,
    /// Kinds of spatial columns.
    pub geometry_types: Vec<Option<u64>>,
    /// The primary key: column position and prefix length in characters, 0 for the whole column.
    pub primary_key: Vec<(usize, u64)>,
    /// Whether a column is visible to `SELECT *`.
    pub visible: Vec<bool>,
    /// Dimensions of VECTOR columns.
    pub vector_dimensions: Vec<Option<u64>>,
}

impl OptionalMetadata {
    pub(super) fn read(cursor: &mut Cursor<'_>, columns: &[MapColumn]) -> Result<Self, Fault> {
        let mut metadata = OptionalMetadata::default();
        while !cursor.is_empty() {
            let ty = cursor.u8()?;
            let mut value = Cursor::new(cursor.lenenc_bytes()?);
            metadata.field(ty, &mut value, columns)?;
        }
        Ok(metadata)
    }

    fn field(
        &mut self,
        ty: u8,
        value: &mut Cursor<'_>,
        columns: &[MapColumn],
    ) -> Result<(), Fault> {
        match ty {
            field::SIGNEDNESS => self.unsigned = bits_of(value, columns, is_number)?,
            field::DEFAULT_CHARSET => self.default_collation(value, columns, is_text)?,
            field::COLUMN_CHARSET => self.column_collations(value, columns, is_text)?,
            field::MEMBERS_DEFAULT_CHARSET => self.default_collation(value, columns, is_members)?,
            field::MEMBERS_COLUMN_CHARSET => self.column_collations(value, columns, is_members)?,
            field::COLUMN_NAME => self.names = names(value, columns)?,
            field::SET_MEMBERS => {
                self.column_members(value, columns, |storage| matches!(storage, Storage::Set(_)))?;
            }
            field::ENUM_MEMBERS => {
                self.column_members(value, columns, |storage| matches!(storage, Storage::Enum(_)))?;
            }
            field::GEOMETRY_TYPE => {
                self.geometry_types =
                    numbers_of(value, columns, |storage| matches!(storage, Storage::Geometry(_)))?;
            }
            field::VECTOR_DIMENSIONS => {
                self.vector_dimensions =
                    numbers_of(value, columns, |storage| matches!(storage, Storage::Vector(_)))?;
            }
            field::PRIMARY_KEY => {
                while !value.is_empty() {
                    self.primary_key.push((position(value, columns.len())?, 0));
                }
            }
            field::PRIMARY_KEY_WITH_PREFIX => {
                while !value.is_empty() {
                    let column = position(value, columns.len())?;
                    self.primary_key.push((column, value.lenenc()?));
                }
            }
            field::VISIBILITY => {
                let visible = bits_of(value, columns, |_| true)?;
                self.visible = visible.into_iter().map(|visible| visible == Some(true)).collect();
            }
            // A later server may tell more than we ask for.
            _ => {}
        }
        Ok(())
    }

    /// The collation of most columns, then (position among the columns of this sort, collation) of the others.
    fn default_collation(
        &mut self,
        value: &mut Cursor<'_>,
        columns: &[MapColumn],
        of_sort: fn(Storage) -> bool,
    ) -> Result<(), Fault> {
        let default = value.lenenc()?;
        let sorted = positions(columns, of_sort);
        self.collations.resize(columns.len(), None);
        for &at in &sorted {
            self.set_collation(at, default);
        }
        while !value.is_empty() {
            let nth = position(value, sorted.len())?;
            let collation = value.lenenc()?;
            if let Some(&at) = sorted.get(nth) {
                self.set_collation(at, collation);
            }
        }
        Ok(())
    }

    /// One collation for each column of this sort.
    fn column_collations(
        &mut self,
        value: &mut Cursor<'_>,
        columns: &[MapColumn],
        of_sort: fn(Storage) -> bool,
    ) -> Result<(), Fault> {
        self.collations.resize(columns.len(), None);
        for at in positions(columns, of_sort) {
            let collation = value.lenenc()?;
            self.set_collation(at, collation);
        }
        Ok(())
    }

    fn set_collation(&mut self, at: usize, collation: u64) {
        if let Some(slot) = self.collations.get_mut(at) {
            *slot = Some(collation);
        }
    }

    fn column_members(
        &mut self,
        value: &mut Cursor<'_>,
        columns: &[MapColumn],
        of_sort: fn(Storage) -> bool,
    ) -> Result<(), Fault> {
        self.members.resize(columns.len(), None);
        for at in positions(columns, of_sort) {
            let count = value.lenenc()?;
            let mut members = Vec::new();
            // Each member takes a byte at least, so a false count ends in a fault.
            for _ in 0..count {
                members.push(value.lenenc_bytes()?.to_vec());
            }
            if let Some(slot) = self.members.get_mut(at) {
                *slot = Some(members);
            }
        }
        Ok(())
    }
}

/// YEAR counts too: it is an unsigned number to the server.
fn is_number(storage: Storage) -> bool {
    matches!(
        storage,
        Storage::Integer(_)
            | Storage::Float
            | Storage::Double
            | Storage::Decimal { .. }
            | Storage::Year
    )
}

fn is_text(storage: Storage) -> bool {
    matches!(
        storage,
        Storage::Char(_)
            | Storage::VarChar(_)
            | Storage::Blob(_)
            | Storage::DeflatedVarChar(_)
            | Storage::DeflatedBlob(_)
    )
}

fn is_members(storage: Storage) -> bool {
    matches!(storage, Storage::Enum(_) | Storage::Set(_))
}

fn positions(columns: &[MapColumn], of_sort: fn(Storage) -> bool) -> Vec<usize> {
    let of_sort = |(at, column): (usize, &MapColumn)| of_sort(column.storage).then_some(at);
    columns.iter().enumerate().filter_map(of_sort).collect()
}

/// One bit for each column of this sort, highest bit first.
fn bits_of(
    value: &mut Cursor<'_>,
    columns: &[MapColumn],
    of_sort: fn(Storage) -> bool,
) -> Result<Vec<Option<bool>>, Fault> {
    let sorted = positions(columns, of_sort);
    let bytes = value.take(sorted.len().div_ceil(8))?;
    let mut bits = vec![None; columns.len()];
    for (nth, at) in sorted.into_iter().enumerate() {
        let bit = bytes.get(nth / 8).is_some_and(|byte| byte << (nth % 8) & 0x80 != 0);
        if let Some(slot) = bits.get_mut(at) {
            *slot = Some(bit);
        }
    }
    Ok(bits)
}

fn numbers_of(
    value: &mut Cursor<'_>,
    columns: &[MapColumn],
    of_sort: fn(Storage) -> bool,
) -> Result<Vec<Option<u64>>, Fault> {
    let mut numbers = vec![None; columns.len()];
    for at in positions(columns, of_sort) {
        let number = value.lenenc()?;
        if let Some(slot) = numbers.get_mut(at) {
            *slot = Some(number);
        }
    }
    Ok(numbers)
}

fn names(value: &mut Cursor<'_>, columns: &[MapColumn]) -> Result<Vec<String>, Fault> {
    columns
        .iter()
        .map(|_| {
            let name = value.lenenc_bytes()?;
            String::from_utf8(name.to_vec()).map_err(|_| Fault::new("a name is not UTF-8"))
        })
        .collect()
}

fn position(value: &mut Cursor<'_>, count: usize) -> Result<usize, Fault> {
    match usize::try_from(value.lenenc()?) {
        Ok(at) if at < count => Ok(at),
        _ => Err(Fault::new("metadata names a column that is not there")),
    }
}
