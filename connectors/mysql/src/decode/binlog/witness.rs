//! The TABLE_MAP as the second witness of a table's shape (correctness §6): does it describe the table that we know?

use std::fmt;

use super::{storage::Storage, table_map::TableMap};
use crate::{
    metadata::{ColumnMeta, TableMeta},
    types::{CharsetLookup, Kind},
};

/// How the log contradicts what we know of a table: it has changed, or it is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The column's position, where it is about one.
    pub column: Option<usize>,
    /// The contradiction, as a sentence fragment.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.column {
            Some(column) => write!(f, "column {column}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Mismatch {}

impl TableMap {
    /// Compares with a table's description: the number of columns and their types always; names, signs, charsets and the
    /// number of members as far as the log tells them.
    ///
    /// # Errors
    /// The first contradiction.
    pub fn check(&self, table: &TableMeta, charsets: &dyn CharsetLookup) -> Result<(), Mismatch> {
        if self.columns.len() != table.columns.len() {
            let what = format!(
                "the log has {} columns, the table {}",
                self.columns.len(),
                table.columns.len()
            );
            return Err(Mismatch { column: None, what });
        }
        for (at, meta) in table.columns.iter().enumerate() {
            self.check_column(at, meta).map_err(|what| Mismatch { column: Some(at), what })?;
        }
        self.check_charsets(table, charsets)
    }

    fn check_charsets(
        &self,
        table: &TableMeta,
        charsets: &dyn CharsetLookup,
    ) -> Result<(), Mismatch> {
        let plain = check_collations(&self.optional.collations, table, charsets);
        plain.or_else(|_| check_collations(&self.optional.collations_with_shapes, table, charsets))
    }

    fn check_column(&self, at: usize, meta: &ColumnMeta) -> Result<(), String> {
        let kind = Kind::of(meta)?;
        if let Some(name) = self.optional.names.get(at).filter(|name| **name != meta.name) {
            return Err(format!("the log calls it `{name}`, the table `{}`", meta.name));
        }
        let Some(column) = self.columns.get(at) else { return Err("it is not in the log".into()) };
        if !fits(&kind, column.storage) {
            return Err(format!("the log has {:?} for `{}`", column.storage, meta.column_type));
        }
        let unsigned = self.optional.unsigned.get(at).copied().flatten();
        if let (Kind::Integer { unsigned, .. }, Some(logged)) = (&kind, unsigned)
            && *unsigned != logged
        {
            let sign = if logged { "unsigned" } else { "signed" };
            return Err(format!("the log has it {sign}, the table `{}`", meta.column_type));
        }
        let members = self.optional.members.get(at).and_then(Option::as_ref);
        if let (Kind::Enum { members } | Kind::Set { members }, Some(logged)) = (&kind, members)
            && members.len() != logged.len()
        {
            return Err(format!(
                "the log has {} members, the table {}",
                logged.len(),
                members.len()
            ));
        }
        Ok(())
    }
}

/// Whether the charsets are those that these collations, one a column as far as they were told, belong to.
fn check_collations(
    collations: &[Option<u64>],
    table: &TableMeta,
    charsets: &dyn CharsetLookup,
) -> Result<(), Mismatch> {
    for (at, (meta, collation)) in table.columns.iter().zip(collations).enumerate() {
        if let (Some(charset), Some(collation)) = (meta.charset.as_deref(), *collation)
            && let Some(logged) = charsets.charset_of_collation(collation)
            && !same_charset(charset, logged)
        {
            let what = format!("the log has it in {logged}, the table in {charset}");
            return Err(Mismatch { column: Some(at), what });
        }
    }
    Ok(())
}

/// `utf8` is what `utf8mb3` was called.
fn same_charset(one: &str, other: &str) -> bool {
    let canonical = |name: &str| {
        if name.eq_ignore_ascii_case("utf8") { "utf8mb3" } else { name }.to_ascii_lowercase()
    };
    canonical(one) == canonical(other)
}

/// Whether a column of this kind is stored so.
pub(super) fn fits(kind: &Kind, storage: Storage) -> bool {
    match (kind, storage) {
        (Kind::Integer { bytes, .. }, Storage::Integer(stored)) => *bytes == stored,
        (Kind::Float { .. }, Storage::Float)
        | (Kind::Double, Storage::Double)
        | (Kind::Year, Storage::Year)
        | (Kind::Date, Storage::Date)
        | (Kind::Json, Storage::Json(_))
        | (Kind::Geometry, Storage::Geometry(_)) => true,
        (
            Kind::Decimal { precision, scale },
            Storage::Decimal { precision: stored_precision, scale: stored_scale },
        ) => *precision == stored_precision && *scale == stored_scale,
        (Kind::Bit { bits }, Storage::Bit { bits: stored }) => *bits == stored,
        (Kind::Time { fraction }, Storage::Time(stored))
        | (Kind::Datetime { fraction }, Storage::Datetime(stored))
        | (Kind::Timestamp { fraction }, Storage::Timestamp(stored)) => *fraction == stored,
        // MariaDB's own format with fractions has the same type byte and another width; it is refused.
        (Kind::Time { fraction }, Storage::OldTime)
        | (Kind::Datetime { fraction }, Storage::OldDatetime)
        | (Kind::Timestamp { fraction }, Storage::OldTimestamp) => *fraction == 0,
        (Kind::Char { length }, Storage::Char(bytes)) => fits_text(*length, bytes),
        (Kind::VarChar { length }, Storage::VarChar(bytes)) => fits_text(*length, bytes),
        // One byte more than the text needs: the header.
        (Kind::VarChar { .. } | Kind::VarBinary { .. }, Storage::DeflatedVarChar(_)) => true,
        (Kind::Binary { length }, Storage::Char(bytes)) => *length == u32::from(bytes),
        (Kind::VarBinary { length }, Storage::VarChar(bytes)) => *length == u32::from(bytes),
        (
            Kind::Text { prefix } | Kind::Blob { prefix },
            Storage::Blob(stored) | Storage::DeflatedBlob(stored),
        ) => *prefix == stored,
        (Kind::Enum { members }, Storage::Enum(bytes)) => {
            bytes == if members.len() < 256 { 1 } else { 2 }
        }
        (Kind::Set { members }, Storage::Set(bytes)) => {
            let needed = members.len().div_ceil(8);
            usize::from(bytes) == if needed > 4 { 8 } else { needed }
        }
        (Kind::Vector, Storage::Vector(_) | Storage::VarChar(_)) => true,
        (Kind::Uuid | Kind::Inet6, Storage::Char(bytes)) => bytes == 16,
        (Kind::Inet4, Storage::Char(bytes)) => bytes == 4,
        _ => false,
    }
}

/// A character takes one to four bytes.
fn fits_text(length: u32, bytes: u16) -> bool {
    let bytes = u32::from(bytes);
    bytes >= length && bytes <= length.saturating_mul(4)
}
