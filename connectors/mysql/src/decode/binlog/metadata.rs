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
    /// The same if spatial columns count as text, as they do to MariaDB and not to MySQL. Which server wrote the event
    /// is not in it; where one count does not come out even, both are the other.
    pub collations_with_shapes: Vec<Option<u64>>,
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
            field::DEFAULT_CHARSET => self.text_collations(value, columns, default_collation)?,
            field::COLUMN_CHARSET => self.text_collations(value, columns, column_collations)?,
            field::MEMBERS_DEFAULT_CHARSET => {
                self.member_collations(value, columns, default_collation)?;
            }
            field::MEMBERS_COLUMN_CHARSET => {
                self.member_collations(value, columns, column_collations)?;
            }
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

    /// Of text columns, counted in both ways.
    fn text_collations(
        &mut self,
        value: &mut Cursor<'_>,
        columns: &[MapColumn],
        read: ReadCollations,
    ) -> Result<(), Fault> {
        let plain = whole(*value, &positions(columns, is_text), read);
        let with_shapes = whole(*value, &positions(columns, is_text_or_shape), read);
        let (plain, with_shapes) = match (plain, with_shapes) {
            (Ok(plain), Ok(with_shapes)) => (plain, with_shapes),
            (Ok(told), Err(_)) | (Err(_), Ok(told)) => (told.clone(), told),
            (Err(fault), Err(_)) => return Err(fault),
        };
        set_collations(&mut self.collations, columns, &plain);
        set_collations(&mut self.collations_with_shapes, columns, &with_shapes);
        Ok(())
    }

    fn member_collations(
        &mut self,
        value: &mut Cursor<'_>,
        columns: &[MapColumn],
        read: ReadCollations,
    ) -> Result<(), Fault> {
        let told = whole(*value, &positions(columns, is_members), read)?;
        set_collations(&mut self.collations, columns, &told);
        set_collations(&mut self.collations_with_shapes, columns, &told);
        Ok(())
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

/// Reads (column, collation) for the columns at these positions.
type ReadCollations = fn(&mut Cursor<'_>, &[usize]) -> Result<Vec<(usize, u64)>, Fault>;

/// The collation of most columns, then (position among the columns of this sort, collation) of the others.
fn default_collation(value: &mut Cursor<'_>, sorted: &[usize]) -> Result<Vec<(usize, u64)>, Fault> {
    let default = value.lenenc()?;
    let mut told: Vec<(usize, u64)> = sorted.iter().map(|&at| (at, default)).collect();
    while !value.is_empty() {
        let nth = position(value, sorted.len())?;
        let collation = value.lenenc()?;
        if let Some(slot) = told.get_mut(nth) {
            slot.1 = collation;
        }
    }
    Ok(told)
}

/// One collation for each column of this sort.
fn column_collations(value: &mut Cursor<'_>, sorted: &[usize]) -> Result<Vec<(usize, u64)>, Fault> {
    sorted.iter().map(|&at| Ok((at, value.lenenc()?))).collect()
}

/// Reads a field to its end.
fn whole(
    mut value: Cursor<'_>,
    sorted: &[usize],
    read: ReadCollations,
) -> Result<Vec<(usize, u64)>, Fault> {
    let told = read(&mut value, sorted)?;
    if value.is_empty() {
        Ok(told)
    } else {
        Err(Fault::new("metadata has more collations than columns"))
    }
}

fn set_collations(collations: &mut Vec<Option<u64>>, columns: &[MapColumn], told: &[(usize, u64)]) {
    collations.resize(columns.len(), None);
    for &(at, collation) in told {
        if let Some(slot) = collations.get_mut(at) {
            *slot = Some(collation);
        }
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
            | Storage::Vector(_)
    )
}

fn is_text_or_shape(storage: Storage) -> bool {
    is_text(storage) || matches!(storage, Storage::Geometry(_))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &[u8]) -> Result<OptionalMetadata, Fault> {
        let column = |storage| MapColumn { code: 0, storage, nullable: true };
        let columns =
            [Storage::VarChar(4), Storage::Geometry(4), Storage::VarChar(4), Storage::Vector(4)];
        OptionalMetadata::read(&mut Cursor::new(field), &columns.map(column))
    }

    #[test]
    fn spatial_columns_count_as_text_to_one_server_only() {
        // All 45, but the second text 8; a vector is a text to the one server that has it so.
        let told = read(&[field::DEFAULT_CHARSET, 3, 45, 1, 8]).unwrap();
        assert_eq!(told.collations, [Some(45), None, Some(8), Some(45)]);
        assert_eq!(told.collations_with_shapes, [Some(45), Some(8), Some(45), Some(45)]);
        // One count alone comes out even.
        let told = read(&[field::COLUMN_CHARSET, 4, 45, 63, 8, 63]).unwrap();
        assert_eq!(told.collations, [Some(45), Some(63), Some(8), Some(63)]);
        assert_eq!(told.collations_with_shapes, told.collations);
        let told = read(&[field::COLUMN_CHARSET, 3, 45, 8, 63]).unwrap();
        assert_eq!(told.collations_with_shapes, [Some(45), None, Some(8), Some(63)]);
        assert!(read(&[field::COLUMN_CHARSET, 1, 45]).is_err());
        assert!(read(&[field::COLUMN_CHARSET, 5, 45, 1, 1, 1, 1]).is_err());
    }
}
