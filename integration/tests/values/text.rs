//! Text columns of the matrix: every kind of text type in every character set.

use cdc_integration::{Random, ServerKind};

use crate::{matrix::Column, rendering::Rendering};

/// A character set and letters that it has beside ASCII.
const CHARSETS: [(&str, &str); 22] = [
    ("utf8mb4", "éЖ漢字😀𝒜한ไא\u{FFFD}\u{FFFF}"),
    ("utf8mb3", "éЖ漢字한ไא\u{FFFD}"),
    ("latin1", "éÿ€ßÀ"),
    ("ascii", "~{}"),
    ("gbk", "汉字中文€"),
    ("sjis", "漢字カナあｱ"),
    ("ucs2", "éЖ漢字한"),
    ("utf16", "éЖ漢😀𝒜"),
    ("utf16le", "éЖ漢😀𝒜"),
    ("utf32", "éЖ漢😀𝒜"),
    ("big5", "漢字中文"),
    ("ujis", "漢字カナあ丂"),
    ("euckr", "한국어漢"),
    ("cp1251", "ЖяёЁ№"),
    ("gb2312", "汉字中文"),
    ("koi8r", "Жяё─"),
    ("latin2", "łőžŁ"),
    ("greek", "αΩώ"),
    ("hebrew", "שלום"),
    ("tis620", "ไทย"),
    ("cp932", "漢字①㈱カ"),
    ("gb18030", "汉字😀ḿ㒢"),
];
/// The ones that every run has time for.
const ALWAYS: [&str; 14] = [
    "utf8mb4", "latin1", "gbk", "sjis", "ucs2", "utf16", "utf16le", "utf32", "big5", "ujis",
    "euckr", "cp1251", "utf8mb3", "gb18030",
];

/// A text as an expression: hexadecimal, so that no sql_mode and no connection charset changes it.
pub(crate) fn literal(text: &str) -> String {
    let digits: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
    format!("CONVERT(x'{digits}' USING utf8mb4)")
}

/// A random text of at most this many characters.
pub(crate) fn random_text(random: &mut Random, letters: &[char], length_max: u64) -> String {
    const ODD: [char; 10] = ['\0', '\n', '\r', '\t', '\\', '\'', '"', ' ', '\u{1A}', '%'];
    let length = random.below(length_max + 1);
    (0..length)
        .map(|_| match random.below(8) {
            0 => ODD[random.below(10) as usize],
            1..=3 => char::from(b' ' + random.below(95) as u8),
            _ => letters[random.below(letters.len() as u64) as usize],
        })
        .collect()
}

pub(crate) fn columns(kind: ServerKind, wide: bool) -> Vec<Column> {
    let mut all = Vec::new();
    for (charset, letters) in CHARSETS {
        if !wide && !ALWAYS.contains(&charset)
            || kind == ServerKind::Mariadb && charset == "gb18030"
        {
            continue;
        }
        let letters: Vec<char> = letters.chars().collect();
        for (ty, length, longest) in [
            ("char(1)", 1, 1),
            ("char(20)", 20, 20),
            ("char(255)", 255, 255),
            ("varchar(10)", 10, 10),
            ("varchar(63)", 63, 63),
            ("varchar(300)", 300, 300),
            ("tinytext", 60, 63),
            ("text", 60, 16_383),
            ("mediumtext", 60, 20_000),
            ("longtext", 60, 33_000),
        ] {
            // The long ones once: the length is what is different about them.
            let longest = if charset == "utf8mb4" || wide { longest } else { longest.min(300) };
            let whole = |text: &str| literal(text);
            let letter = letters.first().copied().unwrap_or('x');
            let edges = vec![
                "''".to_owned(),
                "' '".to_owned(),
                whole("a "),
                whole(" \0"),
                whole("é😀"),
                format!("REPEAT({}, {longest})", whole(&letter.to_string())),
                format!("REPEAT('x', {longest})"),
            ];
            let letters = letters.clone();
            let draw = move |random: &mut Random| literal(&random_text(random, &letters, length));
            let definition = format!("{ty} character set {charset}");
            all.push(Column::new(definition, Rendering::Text, &[], draw).with_edges(edges));
        }
    }
    all
}
