//! Every charset of both servers: all sequences of one and two bytes, and the longer ones of the charsets that have them,
//! are decoded as the server converts them, and what it cannot convert is refused.

use std::collections::BTreeMap;

use cdc_integration::{Outcome, Server, ServerKind, Sql};
use cdc_mysql::charset::{Charset, load_queries};

/// The sequences of these lengths of a charset, as ranges of each of their bytes.
fn ranges(charset: &str) -> Vec<Vec<(u32, u32)>> {
    if width(charset) > 1 {
        // Only whole characters: a server fills bytes up to one before it converts them.
        return match charset {
            "utf32" => vec![
                vec![(0, 0), (0, 0x11), (0xd8, 0xdf), (0, 255)],
                vec![(0, 0), (0, 0), (0, 255), (0, 255)],
            ],
            "utf16" => {
                vec![vec![(0, 255), (0, 255)], vec![(0xd7, 0xe0), (0, 3), (0xd8, 0xe0), (0, 7)]]
            }
            "utf16le" => {
                vec![vec![(0, 255), (0, 255)], vec![(0, 3), (0xd7, 0xe0), (0, 7), (0xd8, 0xe0)]]
            }
            _ => vec![vec![(0, 255), (0, 255)]],
        };
    }
    let mut ranges = vec![vec![(0, 255)]];
    // Of more bytes beyond ASCII, which neither server lets into a column, MySQL copies what is UTF-8.
    let last = if charset == "ascii" { 127 } else { 255 };
    ranges.push(vec![(0, last), (0, last)]);
    match charset {
        "ujis" | "eucjpms" => ranges.push(vec![(0x8e, 0x90), (0xa0, 0xff), (0x9f, 0xff)]),
        "gb18030" => {
            ranges.push(vec![(0x81, 0x84), (0x30, 0x39), (0x81, 0xfe), (0x30, 0x39)]);
            // The ends and a sample of what lies beyond the BMP.
            ranges.push(vec![(0x90, 0x91), (0x30, 0x39), (0x81, 0x83), (0x30, 0x39)]);
            ranges.push(vec![(0xe3, 0xe3), (0x30, 0x33), (0x98, 0x9b), (0x30, 0x39)]);
        }
        "utf8mb3" | "utf8mb4" => ranges.push(vec![(0xe0, 0xe3), (0x7f, 0xc0), (0x7f, 0xc0)]),
        _ => {}
    }
    ranges
}

/// What the server makes of each sequence; None: no text.
async fn converted(
    sql: &mut Sql,
    charset: &str,
    ranges: &[(u32, u32)],
) -> Outcome<BTreeMap<Vec<u8>, Option<String>>> {
    let bytes: Vec<String> = (0..ranges.len()).map(|i| format!("b{i}.n")).collect();
    let tables: Vec<String> = ranges
        .iter()
        .enumerate()
        .map(|(i, (first, last))| {
            format!("(SELECT n FROM bytes WHERE n BETWEEN {first} AND {last}) b{i}")
        })
        .collect();
    // A letter behind: some servers drop an incomplete end, and then it is not at the end.
    let behind = if width(charset) == 1 { ", 120" } else { "" };
    let rows = sql
        .rows(&format!(
            "SELECT HEX(s), HEX(CONVERT(CONVERT(s USING {charset}) USING utf8mb4)) \
             FROM (SELECT CHAR({}{behind}) s FROM {}) x",
            bytes.join(", "),
            tables.join(" JOIN ")
        ))
        .await?;
    let mut known = BTreeMap::new();
    for row in rows {
        let [Some(sequence), text] = &row[..] else { continue };
        let mut sequence = unhex(sequence);
        // The server puts a question mark where it finds no text, and this corpus has no other but the real ones.
        let text = text.as_deref().and_then(|text| String::from_utf8(unhex(text)).ok());
        let marks = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'?').count();
        let text = text.filter(|text| marks(text.as_bytes()) == real_marks(charset, &sequence));
        let text = match text {
            Some(mut text) if !behind.is_empty() => (text.pop() == Some('x')).then_some(text),
            text => text,
        };
        if !behind.is_empty() {
            sequence.pop();
        }
        known.insert(sequence, text);
    }
    Ok(known)
}

/// The least bytes of a character.
fn width(charset: &str) -> usize {
    match charset {
        "ucs2" | "utf16" | "utf16le" => 2,
        "utf32" => 4,
        _ => 1,
    }
}

/// How many question marks a sequence really holds.
fn real_marks(charset: &str, sequence: &[u8]) -> usize {
    let number = |unit: &[u8]| match charset {
        "utf16le" => unit.iter().rev().fold(0u32, |n, &byte| n << 8 | u32::from(byte)),
        _ => unit.iter().fold(0u32, |n, &byte| n << 8 | u32::from(byte)),
    };
    sequence.chunks(width(charset)).filter(|unit| number(unit) == 0x3f).count()
}

fn unhex(digits: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_default();
    (0..digits.len() / 2).map(|i| pair(i * 2)).collect()
}

async fn load(sql: &mut Sql, name: &str) -> Outcome<Charset> {
    let mut rows = Vec::new();
    for query in load_queries(name)? {
        rows.extend(sql.rows(&query).await?.into_iter().filter_map(|row| row.into_iter().next()?));
    }
    Ok(Charset::from_results(name, rows)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sequence_is_decoded_as_the_server_converts_it() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut sql = server.connect().await?;
        sql.run("CREATE DATABASE IF NOT EXISTS charset_test").await?;
        sql.run("USE charset_test").await?;
        sql.run("CREATE OR REPLACE VIEW digits AS SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 \
                 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9 UNION SELECT 10 \
                 UNION SELECT 11 UNION SELECT 12 UNION SELECT 13 UNION SELECT 14 UNION SELECT 15")
            .await?;
        sql.run("CREATE TABLE IF NOT EXISTS bytes (n INT PRIMARY KEY)").await?;
        sql.run("REPLACE INTO bytes SELECT a.n * 16 + b.n FROM digits a JOIN digits b").await?;
        let names = sql
            .rows("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS ORDER BY 1")
            .await?;
        for name in names.into_iter().filter_map(|row| row.into_iter().next()?) {
            if name != "binary" {
                check_charset(kind, &mut sql, &name).await?;
            }
        }
    }
    Ok(())
}

async fn check_charset(kind: ServerKind, sql: &mut Sql, name: &str) -> Outcome {
    let charset = load(sql, name).await?;
    let mut differences = Vec::new();
    let mut texts = 0;
    for ranges in ranges(name) {
        for (sequence, expected) in converted(sql, name, &ranges).await? {
            let mut out = Vec::new();
            let decoded = charset
                .decode_into(&sequence, &mut out)
                .ok()
                .map(|()| String::from_utf8_lossy(&out).into_owned());
            texts += usize::from(decoded.is_some());
            if decoded != expected {
                differences.push((sequence, expected, decoded));
            }
        }
    }
    let shown: Vec<_> = differences.iter().take(20).collect();
    assert!(
        differences.is_empty(),
        "{} {name}: {} of the server's conversions differ (bytes, server, ours): {shown:02x?}",
        kind.name(),
        differences.len()
    );
    assert!(texts > 90, "{} {name}: only {texts} texts", kind.name());
    Ok(())
}
