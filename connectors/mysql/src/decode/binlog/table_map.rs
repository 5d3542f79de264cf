//! The TABLE_MAP event: which table the following row events are of, and how its columns are stored.

use super::{metadata::OptionalMetadata, storage::Storage};
use crate::decode::{DecodeError, cursor::Cursor, error::Fault};

/// The server allows 4096.
const COLUMNS_MAX: u64 = 4096;

/// One column of a TABLE_MAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapColumn {
    /// The type byte, for messages.
    pub code: u8,
    /// How its cells are stored.
    pub storage: Storage,
    /// Whether it may be null.
    pub nullable: bool,
}

/// A parsed TABLE_MAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMap {
    /// The number that row events name the table by; it restarts with the server, so it identifies nothing for long.
    pub table_id: u64,
    /// Event flags.
    pub flags: u16,
    /// The database.
    pub database: String,
    /// The table.
    pub table: String,
    /// The columns in order.
    pub columns: Vec<MapColumn>,
    /// What `binlog_row_metadata` adds.
    pub optional: OptionalMetadata,
}

impl TableMap {
    /// Parses an event body.
    ///
    /// # Errors
    /// When the body is no TABLE_MAP.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        Self::read(&mut cursor)
            .map_err(|fault| DecodeError::new(format!("TABLE_MAP: {fault}"), cursor.at()))
    }

    /// Reads only the table's number, database and name, to decide whether the rest is worth parsing.
    ///
    /// # Errors
    /// When the body is no TABLE_MAP.
    pub fn names(body: &[u8]) -> Result<(u64, &str, &str), DecodeError> {
        let mut cursor = Cursor::new(body);
        Self::head(&mut cursor)
            .map(|(id, _, database, table)| (id, database, table))
            .map_err(|fault| DecodeError::new(format!("TABLE_MAP: {fault}"), cursor.at()))
    }

    /// The part of the body that stays the same as long as the table does: all behind the table's number. Plans are kept
    /// by it (correctness §4).
    pub fn identity(body: &[u8]) -> &[u8] {
        body.get(6..).unwrap_or_default()
    }

    fn head<'a>(cursor: &mut Cursor<'a>) -> Result<(u64, u16, &'a str, &'a str), Fault> {
        let table_id = cursor.uint_le(6)?;
        let flags = cursor.u16()?;
        Ok((table_id, flags, name(cursor)?, name(cursor)?))
    }

    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Fault> {
        let (table_id, flags, database, table) = Self::head(cursor)?;
        let (database, table) = (database.to_owned(), table.to_owned());
        let count = cursor.lenenc()?;
        if count == 0 || count > COLUMNS_MAX {
            return Err(Fault::new(format!("{count} columns")));
        }
        let count = count as usize;
        let types = cursor.take(count)?;
        let mut metadata = Cursor::new(cursor.lenenc_bytes()?);
        let nullable = cursor.take(count.div_ceil(8))?;
        let mut columns = Vec::with_capacity(count);
        for (at, &code) in types.iter().enumerate() {
            let storage = Storage::read(code, &mut metadata)
                .map_err(|fault| Fault::new(format!("column {at}: {fault}")))?;
            let nullable = nullable.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            columns.push(MapColumn { code, storage, nullable });
        }
        if !metadata.is_empty() {
            return Err(Fault::new("column metadata has bytes left over"));
        }
        let optional = OptionalMetadata::read(cursor, &columns)?;
        Ok(TableMap { table_id, flags, database, table, columns, optional })
    }
}

/// A length, the name, and a zero byte.
fn name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, Fault> {
    let length = usize::from(cursor.u8()?);
    let name = cursor.take(length)?;
    cursor.u8()?;
    std::str::from_utf8(name).map_err(|_| Fault::new("a name is not UTF-8"))
}
