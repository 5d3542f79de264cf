//! Character sets: from stored bytes to UTF-8 exactly as the server converts them (correctness §7.1). Unicode encodings
//! are decoded here; every other charset by the server's own table, fetched from it once ([`load_queries`], [`Charsets`]).

mod table;
mod unicode;

use std::{collections::HashMap, sync::Arc};

use crate::types::{self, CharsetLookup, Flavor};
use table::Table;
pub use table::load_queries;

/// A server's answer from which no charset can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// The name is not one that a server gives.
    #[error("charset name \"{0}\" has an unknown form")]
    Name(String),
    /// A row of the table is not `sequence=text` in hexadecimal.
    #[error("the server's table of charset {charset} has an invalid row \"{row}\"")]
    Row {
        /// The charset.
        charset: String,
        /// The row.
        row: String,
    },
    /// The table lacks printable ASCII positions, so rows are missing.
    #[error("the server's table of charset {0} is incomplete")]
    Incomplete(String),
}

/// One character set.
#[derive(Debug, Clone)]
pub enum Charset {
    /// utf8mb4; and ascii, whose bytes the server copies; and `binary`, whose bytes are text only if they are UTF-8.
    Utf8,
    /// utf8mb3: without what needs four bytes.
    Utf8Mb3,
    /// utf16: big-endian.
    Utf16,
    /// utf16le.
    Utf16Le,
    /// ucs2: big-endian, without pairs.
    Ucs2,
    /// utf32: big-endian.
    Utf32,
    /// All others.
    Table(Table),
}

impl Charset {
    /// The charset if it needs no table.
    pub fn native(name: &str) -> Option<Charset> {
        Some(match name {
            "utf8mb4" | "ascii" | "binary" => Charset::Utf8,
            "utf8mb3" | "utf8" => Charset::Utf8Mb3,
            "utf16" => Charset::Utf16,
            "utf16le" => Charset::Utf16Le,
            "ucs2" => Charset::Ucs2,
            "utf32" => Charset::Utf32,
            _ => return None,
        })
    }

    /// The charset made of the rows that the statements of [`load_queries`] gave: the one cell of each row, NULLs left out.
    ///
    /// # Errors
    /// When a row has another form, or too many are missing.
    pub fn from_results<R: AsRef<[u8]>>(
        name: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Charset, CharsetError> {
        match Charset::native(name) {
            Some(native) => Ok(native),
            None => Table::from_rows(name, rows).map(Charset::Table),
        }
    }

    /// Appends `bytes` as UTF-8 to `out`.
    ///
    /// # Errors
    /// The offset of the first byte that is no text; all before it has been appended, nothing after it.
    pub fn decode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
        match self {
            Charset::Utf8 => unicode::utf8(bytes, out),
            Charset::Utf8Mb3 => unicode::utf8mb3(bytes, out),
            Charset::Utf16 => unicode::utf16(bytes, u16::from_be_bytes, out),
            Charset::Utf16Le => unicode::utf16(bytes, u16::from_le_bytes, out),
            Charset::Ucs2 => unicode::ucs2(bytes, out),
            Charset::Utf32 => unicode::utf32(bytes, out),
            Charset::Table(table) => table.decode_into(bytes, out),
        }
    }
}

impl types::Charset for Charset {
    fn is_utf8(&self) -> bool {
        matches!(self, Charset::Utf8 | Charset::Utf8Mb3)
    }

    fn decode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
        Charset::decode_into(self, bytes, out)
    }
}

/// The charsets of one server that were needed so far.
#[derive(Debug, Clone, Default)]
pub struct Charsets {
    by_name: HashMap<String, Arc<Charset>>,
    by_collation: HashMap<u64, String>,
}

impl Charsets {
    /// The ones that need no table.
    pub fn new() -> Self {
        let names =
            ["utf8mb4", "binary", "utf8mb3", "utf8", "ascii", "utf16", "utf16le", "ucs2", "utf32"];
        let natives = names
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), Arc::new(Charset::native(name)?))));
        Charsets { by_name: natives.collect(), by_collation: HashMap::new() }
    }

    /// Whether the charset is there, or its table has to be fetched first ([`load_queries`]).
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Adds a charset that was fetched.
    pub fn insert(&mut self, name: impl Into<String>, charset: Charset) {
        self.by_name.insert(name.into(), Arc::new(charset));
    }

    /// The statements that list the collations, in order of preference: the first that the server knows gives rows
    /// (id, charset name) for [`Charsets::set_collations`]. MariaDB's newer collations belong to several charsets and have
    /// an id for each in another view than the old ones.
    pub fn collation_queries(flavor: Flavor) -> &'static [&'static str] {
        const COLLATIONS: &str = "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS \
             WHERE ID IS NOT NULL AND CHARACTER_SET_NAME IS NOT NULL";
        const APPLICABILITY: &str = "SELECT ID, CHARACTER_SET_NAME \
             FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY WHERE ID IS NOT NULL";
        match flavor {
            Flavor::MySql => &[COLLATIONS],
            Flavor::MariaDb => &[APPLICABILITY, COLLATIONS],
        }
    }

    /// Whether the server's collations are known.
    pub(crate) fn has_collations(&self) -> bool {
        !self.by_collation.is_empty()
    }

    /// Takes the server's collations.
    pub fn set_collations(&mut self, rows: impl IntoIterator<Item = (u64, String)>) {
        self.by_collation = rows.into_iter().collect();
    }
}

impl CharsetLookup for Charsets {
    fn charset(&self, name: &str) -> Option<Arc<dyn types::Charset>> {
        let charset = self.by_name.get(name)?;
        Some(Arc::clone(charset) as Arc<dyn types::Charset>)
    }

    fn charset_of_collation(&self, collation_id: u64) -> Option<&str> {
        self.by_collation.get(&collation_id).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn natives_are_there_and_others_have_to_be_fetched() {
        let mut charsets = Charsets::new();
        assert!(charsets.has("utf8mb4") && !charsets.has("latin1"));
        assert!(CharsetLookup::charset(&charsets, "utf8mb3").unwrap().is_utf8());
        charsets.insert("latin1", Charset::Utf8);
        charsets.set_collations([(8, "latin1".to_owned())]);
        assert_eq!(charsets.charset_of_collation(8), Some("latin1"));
        assert!(charsets.charset("latin1").is_some() && charsets.charset("gbk").is_none());
    }
}
