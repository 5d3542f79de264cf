//! A charset by the server's own table: which byte sequences are characters, and which. The server is asked to convert
//! every sequence that could be one; what it cannot convert is no character here either.

use super::CharsetError;

/// No character.
const NONE: u32 = u32::MAX;
/// Set in an entry that is the number of the block for the next byte. No code point has it.
const BLOCK: u32 = 1 << 31;

/// Lead bytes asked for in one statement, which has at most 191 rows for each.
const LEADS_PER_STATEMENT: u32 = 42;

/// gb18030 has, beside one and two bytes, four-byte sequences counted in base 10 and 126.
const FOUR_BYTE_CHARSET: &str = "gb18030";
/// From this number on the four-byte sequences are the code points from U+10000 on, in order.
const FIRST_SUPPLEMENTARY: u32 = 189_000;

/// Decodes one charset.
#[derive(Debug, Clone)]
pub struct Table {
    /// A trie over the bytes of a sequence; the first block is its root.
    blocks: Vec<[u32; 256]>,
    /// Four-byte sequences: (number, code point) where a run of both begins, and the number behind its end.
    runs: Vec<Run>,
    /// Whether the bytes below 0x80 are ASCII, so that they are copied.
    is_ascii: bool,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    number: u32,
    end: u32,
    code: u32,
}

/// The statements that fetch the table of a charset, none when it needs none. Each row has one cell: the sequence and what
/// it is in UTF-8, in hexadecimal, or NULL. The session's charsets do not matter.
///
/// # Errors
/// When the name is none that a server gives.
pub fn load_queries(charset: &str) -> Result<Vec<String>, CharsetError> {
    if super::Charset::native(charset).is_some() {
        return Ok(Vec::new());
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if charset.is_empty() || !charset.bytes().all(is_name) {
        return Err(CharsetError::Name(charset.to_owned()));
    }
    let mut queries = vec![query(charset, &[(0, 255)])];
    let multi_byte =
        ["big5", "gb2312", "gbk", FOUR_BYTE_CHARSET, "sjis", "cp932", "ujis", "eucjpms", "euckr"];
    if multi_byte.contains(&charset) {
        for lead in (0x81..=0xfe).step_by(LEADS_PER_STATEMENT as usize) {
            let last = (lead + LEADS_PER_STATEMENT - 1).min(0xfe);
            queries.push(query(charset, &[(lead, last), (0x40, 0xfe)]));
        }
    }
    if matches!(charset, "ujis" | "eucjpms") {
        queries.push(query(charset, &[(0x8f, 0x8f), (0xa1, 0xfe), (0xa1, 0xfe)]));
    }
    if charset == FOUR_BYTE_CHARSET {
        for lead in 0x81..=0x84 {
            queries.push(query(charset, &[(lead, lead), (48, 57), (0x81, 0xfe), (48, 57)]));
        }
    }
    Ok(queries)
}

/// Converts every sequence of bytes in these ranges.
fn query(charset: &str, ranges: &[(u32, u32)]) -> String {
    let digits: Vec<String> = (0..16).map(|digit| format!("SELECT {digit} AS n")).collect();
    let digits = digits.join(" UNION ALL ");
    let tables: Vec<String> = (0..ranges.len())
        .map(|i| {
            format!(
                "(SELECT a.n * 16 + b.n AS n FROM ({digits}) AS a CROSS JOIN ({digits}) AS b) AS b{i}"
            )
        })
        .collect();
    let bytes: Vec<String> = (0..ranges.len()).map(|i| format!("b{i}.n")).collect();
    let conditions: Vec<String> = ranges
        .iter()
        .enumerate()
        .map(|(i, (first, last))| format!("b{i}.n BETWEEN {first} AND {last}"))
        .collect();
    format!(
        "SELECT CONCAT(HEX(s), '=', HEX(CONVERT(CONVERT(s USING {charset}) USING utf8mb4))) AS r \
         FROM (SELECT CHAR({}) AS s FROM {} WHERE {}) AS sequences",
        bytes.join(", "),
        tables.join(" CROSS JOIN "),
        conditions.join(" AND ")
    )
}

/// One character of the server's table.
struct Row {
    sequence: [u8; 4],
    length: usize,
    code: u32,
}

impl Row {
    fn bytes(&self) -> &[u8] {
        self.sequence.get(..self.length).unwrap_or_default()
    }

    /// Outer none: the row is malformed. Inner none: the sequence is no character.
    fn parse(row: &[u8]) -> Option<Option<Row>> {
        let at = row.iter().position(|&byte| byte == b'=')?;
        let (mut sequence, mut text) = ([0; 4], [0; 16]);
        let length = unhex(row.get(..at)?, &mut sequence)?;
        let converted = row.get(at + 1..)?;
        if converted.len() > 2 * text.len() {
            return Some(None);
        }
        let text_length = unhex(converted, &mut text)?;
        let text = std::str::from_utf8(text.get(..text_length)?).ok()?;
        let mut characters = text.chars();
        // What it cannot convert, the server replaces by question marks, or by several characters when the bytes do not
        // belong together. A real question mark is one byte.
        let is_one = |&character: &char| character != '?' || sequence.starts_with(b"?");
        let (first, second) = (characters.next().filter(is_one), characters.next());
        Some(match (first, second) {
            (Some(character), None) => Some(Row { sequence, length, code: character.into() }),
            _ => None,
        })
    }
}

fn unhex(digits: &[u8], out: &mut [u8]) -> Option<usize> {
    let (pairs, rest) = digits.as_chunks::<2>();
    for (&[high, low], byte) in pairs.iter().zip(out.iter_mut()) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    (rest.is_empty() && pairs.len() <= out.len()).then_some(pairs.len())
}

/// The number of a four-byte sequence of gb18030.
fn number_of(sequence: [u8; 4]) -> Option<u32> {
    let digit = |byte: u8, first: u8, count: u32| {
        byte.checked_sub(first).map(u32::from).filter(|&digit| digit < count)
    };
    let [a, b, c, d] = sequence;
    let high = digit(a, 0x81, 126)? * 10 + digit(b, 0x30, 10)?;
    Some((high * 126 + digit(c, 0x81, 126)?) * 10 + digit(d, 0x30, 10)?)
}

impl Table {
    pub(super) fn from_rows<R: AsRef<[u8]>>(
        charset: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Result<Table, CharsetError> {
        let mut characters = Vec::new();
        for row in rows {
            let row = row.as_ref();
            let parsed = Row::parse(row).ok_or_else(|| CharsetError::Row {
                charset: charset.to_owned(),
                row: String::from_utf8_lossy(row).into_owned(),
            })?;
            characters.extend(parsed);
        }
        // Shorter ones first: a byte that is a character by itself never begins a longer sequence, whatever a server
        // makes of such a sequence.
        characters.sort_by_key(|row| (row.length, row.sequence));
        let mut table = Table { blocks: vec![[NONE; 256]], runs: Vec::new(), is_ascii: false };
        for row in &characters {
            match number_of(row.sequence) {
                Some(number) if row.length == 4 => table.add_to_runs(number, row.code),
                _ => table.add(row.bytes(), row.code),
            }
        }
        let Some(root) = table.blocks.first() else {
            return Err(CharsetError::Incomplete(charset.to_owned()));
        };
        if root.iter().skip(0x20).take(0x5f).any(|&entry| entry == NONE) {
            return Err(CharsetError::Incomplete(charset.to_owned()));
        }
        table.is_ascii = root.iter().take(0x80).zip(0..).all(|(&entry, byte)| entry == byte);
        Ok(table)
    }

    fn add(&mut self, sequence: &[u8], code: u32) {
        let Some((last, leads)) = sequence.split_last() else { return };
        let mut block = 0;
        for &lead in leads {
            let next = self.blocks.len();
            let Some(entry) = self.entry(block, lead) else { return };
            if *entry == NONE {
                // There are at most 2^16 blocks: one for each pair of leading bytes.
                *entry = BLOCK | u32::try_from(next).unwrap_or(0);
                self.blocks.push([NONE; 256]);
                block = next;
            } else if *entry & BLOCK != 0 {
                block = (*entry & !BLOCK) as usize;
            } else {
                return;
            }
        }
        if let Some(entry) = self.entry(block, *last)
            && *entry == NONE
        {
            *entry = code;
        }
    }

    fn entry(&mut self, block: usize, byte: u8) -> Option<&mut u32> {
        self.blocks.get_mut(block)?.get_mut(usize::from(byte))
    }

    fn add_to_runs(&mut self, number: u32, code: u32) {
        match self.runs.last_mut() {
            Some(run) if run.end == number && run.code + (run.end - run.number) == code => {
                run.end += 1;
            }
            _ => self.runs.push(Run { number, end: number + 1, code }),
        }
    }

    /// The code point of a four-byte sequence.
    fn four_bytes(&self, sequence: [u8; 4]) -> Option<u32> {
        let number = number_of(sequence)?;
        if let Some(supplementary) = number.checked_sub(FIRST_SUPPLEMENTARY) {
            return Some(0x1_0000 + supplementary);
        }
        let behind = self.runs.partition_point(|run| run.number <= number);
        let run = self.runs.get(behind.checked_sub(1)?)?;
        (number < run.end).then_some(run.code + (number - run.number))
    }

    pub(super) fn decode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if self.is_ascii {
                let ascii = rest.iter().take_while(|byte| byte.is_ascii()).count();
                if ascii > 0 {
                    out.extend_from_slice(rest.get(..ascii).unwrap_or_default());
                    at += ascii;
                    continue;
                }
            }
            let (code, length) = self.next(rest).ok_or(at)?;
            let character = char::from_u32(code).ok_or(at)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += length;
        }
        Ok(())
    }

    /// The first character and the length of its sequence.
    fn next(&self, bytes: &[u8]) -> Option<(u32, usize)> {
        let mut block = 0;
        for (i, &byte) in bytes.iter().enumerate().take(3) {
            let entry = *self.blocks.get(block)?.get(usize::from(byte))?;
            if entry == NONE {
                break;
            }
            if entry & BLOCK == 0 {
                return Some((entry, i + 1));
            }
            block = (entry & !BLOCK) as usize;
        }
        if self.runs.is_empty() {
            return None;
        }
        let sequence = bytes.get(..4)?.try_into().ok()?;
        self.four_bytes(sequence).map(|code| (code, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// ASCII, and what is given beside it.
    fn table(rows: &[(&[u8], &str)]) -> Table {
        let ascii = (0..0x80u8).map(|byte| format!("{0:02X}={0:02X}", byte));
        let rows = rows
            .iter()
            .map(|(sequence, text)| format!("{}={}", hex(sequence), hex(text.as_bytes())));
        Table::from_rows("test", ascii.chain(rows)).unwrap()
    }

    fn check(table: &Table, bytes: &[u8], text: &str, end: Result<(), usize>) {
        let mut out = Vec::new();
        assert_eq!(table.decode_into(bytes, &mut out), end, "{bytes:x?}");
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }

    #[test]
    fn sequences_of_one_to_three_bytes_are_characters() {
        let table = table(&[(b"\xb1", "ｱ"), (b"\x81\x40", "丂"), (b"\x8f\xa1\xa2", "三")]);
        check(&table, b"a\xb1\x81\x40@\x8f\xa1\xa2", "aｱ丂@三", Ok(()));
        check(&table, b"a\x81", "a", Err(1));
        check(&table, b"\x81\x41", "", Err(0));
        check(&table, b"\x8f\xa1", "", Err(0));
        check(&table, b"ok\xff", "ok", Err(2));
    }

    #[test]
    fn what_the_server_cannot_convert_is_no_character() {
        let table = table(&[
            (b"\x81\x40", "?"),
            (b"\x81\x41", "?A"),
            (b"\xb1", "ｱ"),
            // A server that cuts an incomplete end off seems to know this pair.
            (b"\xb1\x81", "ｱ"),
        ]);
        check(&table, b"?", "?", Ok(()));
        check(&table, b"\x81\x40", "", Err(0));
        check(&table, b"\x81\x41", "", Err(0));
        check(&table, b"\xb1\x81", "ｱ", Err(1));
    }

    #[test]
    fn four_byte_sequences_are_counted() {
        let table = table(&[
            (b"\x81\x30\x81\x30", "\u{80}"),
            (b"\x81\x30\x81\x31", "\u{81}"),
            (b"\x81\x30\x81\x33", "\u{99}"),
        ]);
        assert_eq!(table.runs.len(), 2);
        check(&table, b"\x81\x30\x81\x31\x81\x30\x81\x33", "\u{81}\u{99}", Ok(()));
        check(&table, b"\x81\x30\x81\x32", "", Err(0));
        check(&table, b"\x90\x30\x81\x30\xe3\x32\x9a\x35", "\u{10000}\u{10ffff}", Ok(()));
        check(&table, b"\xe3\x32\x9a\x36", "", Err(0));
        check(&table, b"\x81\x30\x81", "", Err(0));
    }

    #[test]
    fn charsets_that_are_not_ascii_are_not_copied() {
        let rows = (0..0x80u8).map(|byte| match byte {
            b'[' => "5B=C384".to_owned(),
            _ => format!("{byte:02X}={byte:02X}"),
        });
        check(&Table::from_rows("swe7", rows).unwrap(), b"a[b", "aÄb", Ok(()));
    }

    #[test]
    fn answers_of_another_form_are_refused() {
        assert!(matches!(Table::from_rows("x", ["41"]), Err(CharsetError::Row { .. })));
        assert!(matches!(Table::from_rows("x", ["4=41"]), Err(CharsetError::Row { .. })));
        assert!(matches!(Table::from_rows("x", ["41=41"]), Err(CharsetError::Incomplete(_))));
        assert!(load_queries("latin1; DROP").is_err());
        assert_eq!(load_queries("utf8mb4"), Ok(vec![]));
        assert_eq!(load_queries("latin1").unwrap().len(), 1);
        assert_eq!(load_queries("gb18030").unwrap().len(), 1 + 3 + 4);
    }
}
