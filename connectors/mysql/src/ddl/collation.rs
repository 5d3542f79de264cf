//! Character sets and collations by name: defaults, widths, and what CHARACTER SET and COLLATE add up to.

use mysql_common::collations::{Collation, CollationId};

use super::{Session, statement::TextSpec};
use crate::types::Flavor;

/// Charset, default collation, bytes of the shortest and of the longest character.
const CHARSETS: [(&str, &str, u64, u64); 41] = [
    ("armscii8", "armscii8_general_ci", 1, 1),
    ("ascii", "ascii_general_ci", 1, 1),
    ("big5", "big5_chinese_ci", 1, 2),
    ("binary", "binary", 1, 1),
    ("cp1250", "cp1250_general_ci", 1, 1),
    ("cp1251", "cp1251_general_ci", 1, 1),
    ("cp1256", "cp1256_general_ci", 1, 1),
    ("cp1257", "cp1257_general_ci", 1, 1),
    ("cp850", "cp850_general_ci", 1, 1),
    ("cp852", "cp852_general_ci", 1, 1),
    ("cp866", "cp866_general_ci", 1, 1),
    ("cp932", "cp932_japanese_ci", 1, 2),
    ("dec8", "dec8_swedish_ci", 1, 1),
    ("eucjpms", "eucjpms_japanese_ci", 1, 3),
    ("euckr", "euckr_korean_ci", 1, 2),
    ("gb18030", "gb18030_chinese_ci", 1, 4),
    ("gb2312", "gb2312_chinese_ci", 1, 2),
    ("gbk", "gbk_chinese_ci", 1, 2),
    ("geostd8", "geostd8_general_ci", 1, 1),
    ("greek", "greek_general_ci", 1, 1),
    ("hebrew", "hebrew_general_ci", 1, 1),
    ("hp8", "hp8_english_ci", 1, 1),
    ("keybcs2", "keybcs2_general_ci", 1, 1),
    ("koi8r", "koi8r_general_ci", 1, 1),
    ("koi8u", "koi8u_general_ci", 1, 1),
    ("latin1", "latin1_swedish_ci", 1, 1),
    ("latin2", "latin2_general_ci", 1, 1),
    ("latin5", "latin5_turkish_ci", 1, 1),
    ("latin7", "latin7_general_ci", 1, 1),
    ("macce", "macce_general_ci", 1, 1),
    ("macroman", "macroman_general_ci", 1, 1),
    ("sjis", "sjis_japanese_ci", 1, 2),
    ("swe7", "swe7_swedish_ci", 1, 1),
    ("tis620", "tis620_thai_ci", 1, 1),
    ("ucs2", "ucs2_general_ci", 2, 2),
    ("ujis", "ujis_japanese_ci", 1, 3),
    ("utf16", "utf16_general_ci", 2, 4),
    ("utf16le", "utf16le_general_ci", 2, 4),
    ("utf32", "utf32_general_ci", 4, 4),
    ("utf8mb3", "utf8mb3_general_ci", 1, 3),
    ("utf8mb4", "utf8mb4_general_ci", 1, 4),
];

fn known(charset: &str) -> Option<&'static (&'static str, &'static str, u64, u64)> {
    let charset = if charset == "utf8" { "utf8mb3" } else { charset };
    CHARSETS.iter().find(|known| known.0 == charset)
}

/// Bytes of the shortest and the longest character.
pub(super) fn widths(charset: &str) -> Option<(u64, u64)> {
    known(charset).map(|known| (known.2, known.3))
}

/// The charset that a collation belongs to.
pub(super) fn charset_of(collation: &str) -> Option<&'static str> {
    let name = collation.split('_').next().unwrap_or_default();
    known(name).map(|known| known.0)
}

/// The name of a collation by its number.
pub(super) fn by_number(number: u16) -> Option<String> {
    let collation = Collation::resolve(CollationId::from(number));
    (collation.id() != CollationId::UNKNOWN_COLLATION_ID).then(|| {
        let name = collation.collation().to_ascii_lowercase();
        name.strip_prefix("utf8_").map_or(name.clone(), |rest| format!("utf8mb3_{rest}"))
    })
}

/// The default collation of a charset in this session.
pub(super) fn default_of(charset: &str, session: &Session) -> Option<String> {
    let known = known(charset)?;
    if known.0 == "utf8mb4" {
        if let Some(collation) = &session.utf8mb4_collation {
            return Some(collation.clone());
        }
        if session.dialect.flavor == Flavor::MySql && session.dialect.version >= (8, 0, 0) {
            return Some("utf8mb4_0900_ai_ci".into());
        }
    }
    Some(known.1.into())
}

/// What a column or table gets: its own words, on top of what it is in. None: a name that is not known, or `base` is
/// needed and not known.
pub(super) fn resolve(text: &TextSpec, base: Option<&str>, session: &Session) -> Option<String> {
    let named = match text.charset.as_deref() {
        Some("default") => return None,
        Some(charset) => Some(known(charset)?.0),
        None => None,
    };
    if let Some(collation) = text.collation.as_deref().filter(|name| *name != "default") {
        if let Some(rest) = collation.strip_prefix("utf8_") {
            return Some(format!("utf8mb3_{rest}"));
        }
        if charset_of(collation).is_some() {
            return Some(collation.to_owned());
        }
        // MariaDB's collations that go with several charsets.
        let charset = named.or_else(|| charset_of(base?))?;
        return collation.starts_with("uca1400").then(|| format!("{charset}_{collation}"));
    }
    if text.binary {
        let charset = named.or_else(|| charset_of(base?))?;
        return Some(if charset == "binary" { "binary".into() } else { format!("{charset}_bin") });
    }
    match named {
        Some(charset) => default_of(charset, session),
        None => base.map(str::to_owned),
    }
}

/// The name of a charset or collation as this server prints it: `utf8mb3` was `utf8` once.
pub(super) fn printed(name: &str, session: &Session) -> String {
    let old = match session.dialect.flavor {
        Flavor::MySql => session.dialect.version < (8, 0, 30),
        Flavor::MariaDb => session.dialect.version < (10, 6, 0),
    };
    match name.strip_prefix("utf8mb3").filter(|_| old) {
        Some(rest) => format!("utf8{rest}"),
        None => name.to_owned(),
    }
}

/// Whether all text of the one charset is text of the other, so that a conversion changes no character.
pub(super) fn holds(wide: &str, narrow: &str) -> bool {
    if wide == narrow {
        return true;
    }
    if wide == "binary" || narrow == "binary" {
        return false;
    }
    match wide {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => true,
        "utf8mb3" | "ucs2" => matches!(narrow, "ascii" | "latin1" | "utf8mb3" | "ucs2" | "utf8"),
        _ => narrow == "ascii" && known(wide).is_some_and(|known| known.2 == 1),
    }
}
