//! JSON values as expressions that make MySQL store every kind of scalar that its binary JSON has.

use cdc_integration::Random;

use crate::text;

/// Kinds of scalars, numbers where their text changes its form, and nesting.
pub(crate) const EDGES: &[&str] = &[
    "CAST('null' AS JSON)",
    "JSON_ARRAY(TRUE, FALSE, NULL, CAST('true' AS JSON), CAST('[]' AS JSON), CAST('{}' AS JSON))",
    "JSON_ARRAY(0, -1, 32767, -32768, 32768, 65535, 65536, 2147483647, -2147483648, 2147483648, 4294967295, 9223372036854775807, -9223372036854775807, 18446744073709551615)",
    "JSON_ARRAY(0e0, -0e0, 1e0, 0.1e0, 1e14, 1e15, 1e16, 1e17, 123456789.125e0, 1e-4, 1e-5, 1e-15, 1e-16, 5e-324, 1.7976931348623157e308, 1e100, 3.5e20)",
    "JSON_ARRAY(CAST(1.5 AS DECIMAL(10,3)), CAST(-0.5 AS DECIMAL(65,30)), CAST('99999999999999999999999999999999999999999999999999999999999999999' AS DECIMAL(65,0)))",
    "JSON_ARRAY(DATE'2020-01-02', TIME'-01:02:03.4', TIME'838:59:59', TIMESTAMP'2020-01-02 03:04:05.6', CAST('9999-12-31 23:59:59.999999' AS DATETIME(6)), CAST(2020 AS YEAR))",
    "JSON_ARRAY(x'', x'FF00', CAST('abc' AS BINARY), b'101', b'1', CAST(REPEAT('y', 200) AS BINARY))",
    "JSON_OBJECT('p', ST_GeomFromText('POINT(1 2.5)'), 'g', ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'))",
    "JSON_OBJECT('', 1, 'a', 2, 'bb', JSON_OBJECT('long', JSON_ARRAY(1, JSON_ARRAY(), 2)), 'B', 3)",
    "JSON_ARRAY('', 'a', CONVERT(x'0A0D090822275C2F001F7F' USING utf8mb4), CONVERT(x'C3A9F09F9880E280A8' USING utf8mb4))",
    "CAST('[[[[[[[[[[[[]]]]]]]]]]]]' AS JSON)",
    "CAST('1.0' AS JSON)",
    "CAST('-0.0' AS JSON)",
    "CAST('\"\"' AS JSON)",
    "CAST('[1e2, 1.50, 12345678901234567890123, -9223372036854775808]' AS JSON)",
];

/// Values that the large format is needed for, and lengths of one to three bytes.
pub(crate) const LARGE: &[&str] = &[
    "JSON_OBJECT('long', REPEAT('x', 70000), 'k', JSON_ARRAY(1, 2, 3, 100000, 4294967295, 1.5e0, NULL))",
    "JSON_ARRAY(REPEAT('a', 127), REPEAT('b', 128), REPEAT('c', 16383), REPEAT('d', 16384), REPEAT('e', 50000))",
    "JSON_OBJECT(REPEAT('k', 300), 1, 'e', '', REPEAT('z', 127), REPEAT('y', 128))",
    "JSON_ARRAY(CAST(REPEAT('y', 70000) AS BINARY), TRUE)",
];

/// A random document. A bare text would be parsed as one.
pub(crate) fn document(random: &mut Random) -> String {
    format!("JSON_ARRAY({})", value(random, 0))
}

/// A random value; deeper ones are smaller.
fn value(random: &mut Random, depth: u32) -> String {
    let items = |random: &mut Random| random.below(5 - u64::from(depth.min(4)));
    match random.below(if depth < 4 { 16 } else { 12 }) {
        0 => "NULL".to_owned(),
        1 => if random.chance(50) { "TRUE" } else { "FALSE" }.to_owned(),
        2 => {
            let bits = 1 + random.below(64) as u32;
            (random.bits() >> (64 - bits)).to_string()
        }
        3 => format!("-{}", random.bits() >> (1 + random.below(62))),
        4 => loop {
            let double = f64::from_bits(random.bits());
            if double.is_finite() {
                break format!("{double:e}");
            }
        },
        // Numbers whose shortest digits are near the border of two forms.
        5 => format!(
            "{}e0 / {}e0",
            random.bits() >> (11 + random.below(40)),
            1u64 << random.below(40)
        ),
        6 => format!("CAST({}.{} AS DECIMAL(40,15))", random.bits() >> 20, random.bits() >> 20),
        7 | 8 => {
            let letters: Vec<char> = "éЖ漢😀𝒜\u{7f}\u{2028}".chars().collect();
            text::literal(&text::random_text(random, &letters, 300))
        }
        9 => format!(
            "CAST('{:04}-{:02}-{:02} {:02}:00:00.{:06}' AS DATETIME(6))",
            1 + random.below(9998),
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(1_000_000)
        ),
        10 => format!(
            "CAST('{}{}:59:00.{:06}' AS TIME(6))",
            ["", "-"][random.below(2) as usize],
            random.below(838),
            random.below(1_000_000)
        ),
        11 => format!("CAST({} AS BINARY)", text::literal(&"b".repeat(random.below(90) as usize))),
        12 | 13 => {
            let count = items(random);
            let values: Vec<String> = (0..count).map(|_| value(random, depth + 1)).collect();
            format!("JSON_ARRAY({})", values.join(", "))
        }
        _ => {
            let count = items(random);
            let pairs: Vec<String> = (0..count)
                .map(|_| {
                    let key = text::random_text(random, &['é', '😀'], 12);
                    format!("{}, {}", text::literal(&key), value(random, depth + 1))
                })
                .collect();
            format!("JSON_OBJECT({})", pairs.join(", "))
        }
    }
}
