//! Random rows of all kinds that have a loop of their own, in narrow and wide tables.

use arrow_array::Array;
use proptest::prelude::*;

use super::*;

/// A column: how it is spelled, its type byte, its metadata.
type Column = (&'static str, u8, &'static [u8]);

const COLUMNS: [Column; 31] = [
    ("tinyint(1)", 1, &[]),
    ("tinyint", 1, &[]),
    ("tinyint unsigned", 1, &[]),
    ("smallint", 2, &[]),
    ("smallint unsigned", 2, &[]),
    ("mediumint", 9, &[]),
    ("mediumint unsigned", 9, &[]),
    ("int", 3, &[]),
    ("int unsigned", 3, &[]),
    ("bigint", 8, &[]),
    ("bigint unsigned", 8, &[]),
    ("float", 4, &[4]),
    ("double", 5, &[8]),
    ("varchar(60)", 15, &[240, 0]),
    ("varchar(200)", 15, &[0x20, 3]),
    ("text", 252, &[2]),
    ("varbinary(50)", 15, &[50, 0]),
    ("mediumblob", 252, &[3]),
    ("longblob", 252, &[4]),
    ("decimal(12,2)", 246, &[12, 2]),
    ("decimal(18,0)", 246, &[18, 0]),
    ("decimal(4,4)", 246, &[4, 4]),
    ("decimal(9,1)", 246, &[9, 1]),
    ("decimal(30,3)", 246, &[30, 3]),
    ("date", 10, &[]),
    ("datetime", 18, &[0]),
    ("datetime(2)", 18, &[2]),
    ("datetime(6)", 18, &[6]),
    ("timestamp", 17, &[0]),
    ("timestamp(4)", 17, &[4]),
    ("timestamp(6)", 17, &[6]),
];

/// A sequence of numbers that follows from its seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 16) % limit
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

fn table_of(columns: &[Column], are_nullable: bool) -> (TableCodec, BinlogPlan) {
    let names: Vec<_> = (0..columns.len()).map(|at| format!("c{at}")).collect();
    let spelled: Vec<_> =
        names.iter().zip(columns).map(|(name, column)| (&**name, column.0)).collect();
    let mut meta = table(&spelled);
    meta.columns.iter_mut().for_each(|column| column.nullable = are_nullable);
    let codec = codec(&meta, Flavor::MySql, &TypeOptions::default());
    let mut map = vec![1, 0, 0, 0, 0, 0, 0, 0, 1, b'd', 0, 1, b't', 0, columns.len() as u8];
    map.extend(columns.iter().map(|column| column.1));
    let metadata: Vec<u8> = columns.iter().flat_map(|column| column.2).copied().collect();
    assert!(columns.len() < 251 && metadata.len() < 251);
    map.push(metadata.len() as u8);
    map.extend(metadata);
    map.extend(vec![0xFF; columns.len().div_ceil(8)]);
    let plan = BinlogPlan::compile(&codec, &TableMap::parse(&map).unwrap()).unwrap();
    (codec, plan)
}

/// A value's stored bytes; one in `odd` has any bytes at all.
fn cell(column: &Column, numbers: &mut Numbers, odd: u64) -> Vec<u8> {
    let is_odd = numbers.below(odd) == 0;
    match column.1 {
        1 if column.0 == "tinyint(1)" => vec![if is_odd { 2 } else { numbers.below(2) as u8 }],
        1 => numbers.bytes(1),
        2 => numbers.bytes(2),
        9 => numbers.bytes(3),
        3 => numbers.bytes(4),
        8 => numbers.bytes(8),
        // Numbers that are equal to themselves.
        4 => (numbers.below(1000) as f32).to_le_bytes().to_vec(),
        5 => (numbers.below(1000) as f64).to_le_bytes().to_vec(),
        15 | 252 => text(column, numbers, is_odd),
        246 => decimal(column.2[0], column.2[1], numbers, is_odd),
        10 if is_odd => numbers.bytes(3),
        10 => {
            let (year, month, day) = date(numbers);
            (year << 9 | month << 5 | day).to_le_bytes()[..3].to_vec()
        }
        18 => datetime(column.2[0], numbers, is_odd),
        _ => {
            let mut bytes = (numbers.next() as u32 | 1).to_be_bytes().to_vec();
            bytes.extend(fraction(column.2[0], numbers, is_odd));
            bytes
        }
    }
}

/// A day of any month, mostly in the years that are looked up.
fn date(numbers: &mut Numbers) -> (u64, u64, u64) {
    let year = match numbers.below(20) {
        0 => numbers.below(10_000),
        _ => 1890 + numbers.below(280),
    };
    (year, 1 + numbers.below(12), 1 + numbers.below(28))
}

fn datetime(digits: u8, numbers: &mut Numbers, is_odd: bool) -> Vec<u8> {
    let (year, month, day) = date(numbers);
    let limits = if is_odd { (32, 64, 64) } else { (24, 60, 60) };
    let (hour, minute, second) =
        (numbers.below(limits.0), numbers.below(limits.1), numbers.below(limits.2));
    let packed =
        0x80_0000_0000 | ((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second;
    let mut bytes = packed.to_be_bytes()[3..].to_vec();
    bytes.extend(fraction(digits, numbers, is_odd));
    bytes
}

fn fraction(digits: u8, numbers: &mut Numbers, is_odd: bool) -> Vec<u8> {
    let bytes = usize::from(digits.div_ceil(2));
    let limit = if is_odd { 1 << (8 * bytes) } else { 100u64.pow(bytes as u32) };
    numbers.below(limit).to_be_bytes()[8 - bytes..].to_vec()
}

fn decimal(precision: u8, scale: u8, numbers: &mut Numbers, is_odd: bool) -> Vec<u8> {
    const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let whole = precision - scale;
    let mut digits = vec![whole % 9];
    digits.extend(vec![9; usize::from(whole / 9 + scale / 9)]);
    digits.push(scale % 9);
    let mut packed = Vec::new();
    for digits in digits {
        let bytes = BYTES[usize::from(digits)];
        let value = match numbers.below(4) {
            0 => 10u64.pow(digits.into()) - 1,
            _ => numbers.below(10u64.pow(digits.into())),
        };
        packed.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
    }
    if is_odd {
        packed = numbers.bytes(packed.len());
    }
    if numbers.below(2) == 0 {
        packed.iter_mut().for_each(|byte| *byte = !*byte);
    }
    packed[0] ^= 0x80;
    packed
}

fn text(column: &Column, numbers: &mut Numbers, is_odd: bool) -> Vec<u8> {
    let longest = if numbers.below(4) == 0 { 49 } else { 17 };
    let length = numbers.below(longest) as usize;
    let mut text: String = (0..length).map(|_| (b'a' + numbers.below(26) as u8) as char).collect();
    if numbers.below(9) == 0 && length < 40 {
        text.push_str("é😀");
    }
    let mut bytes = text.into_bytes();
    if is_odd {
        bytes.extend(numbers.bytes(1));
    }
    let prefix = match column {
        ("varchar(200)", ..) => 2,
        (_, 252, metadata) => usize::from(metadata[0]),
        _ => 1,
    };
    [&(bytes.len() as u32).to_le_bytes()[..prefix], &bytes].concat()
}

/// Images of so many rows, of which so many in a hundred cells are null.
fn images(columns: &[Column], rows: usize, nulls: u64, odd: u64, numbers: &mut Numbers) -> Vec<u8> {
    let mut images = Vec::new();
    for _ in 0..rows {
        let are_null: Vec<bool> = columns.iter().map(|_| numbers.below(100) < nulls).collect();
        // The bits behind the last column are set, as the server leaves them.
        images.extend(are_null.chunks(8).map(|bits| {
            let at = |at: usize| bits.get(at).copied().unwrap_or(true);
            (0..8).fold(0, |byte, nth| byte | u8::from(at(nth)) << nth)
        }));
        for (column, _) in columns.iter().zip(are_null).filter(|(_, is_null)| !is_null) {
            images.extend(cell(column, numbers, odd));
        }
    }
    images
}

#[test]
fn a_null_where_the_table_has_none_is_one_all_the_same() {
    // A policy makes the date nullable, not the number.
    let (codec, plan) = table_of(&[COLUMNS[24], COLUMNS[7]], false);
    let mut rows = [0xFC, 0x21, 0xD0, 0x0F, 7, 0, 0, 0].repeat(10);
    rows.extend([0xFD, 7, 0, 0, 0]);
    let (batch, nulled, fault, _) = assert_same(&codec, &plan, &rows);
    assert_eq!((batch.num_rows(), nulled, fault), (11, vec![], None));
    assert!(batch.column(0).is_null(10) && batch.column(0).null_count() == 1);
    rows.extend([0xFE, 0x21, 0xD0, 0x0F]);
    let (batch, _, fault, _) = assert_same(&codec, &plan, &rows);
    assert_eq!(batch.num_rows(), 11);
    assert!(fault.unwrap().to_string().contains("NOT NULL"));
}

#[test]
fn nulls_leave_nothing_of_other_rows_behind() {
    let (codec, plan) = table_of(&[COLUMNS[7], COLUMNS[0], COLUMNS[13]], true);
    let mut rows = Vec::new();
    for at in 0..64u8 {
        match at % 2 {
            0 => rows.extend([0xF8, 9, 9, 9, 9, 1, 1, b'x']),
            _ => rows.push(0xFF),
        }
    }
    let (batch, ..) = assert_same(&codec, &plan, &rows);
    let numbers = batch.column(0).to_data();
    assert_eq!(numbers.buffers()[0].typed_data::<i32>(), [0x0909_0909, 0].repeat(32));
    let truths = batch.column(1).to_data();
    assert_eq!(truths.buffers()[0].as_slice()[..8], [0x55; 8]);
    let texts = batch.column(2).to_data();
    assert_eq!(texts.buffers()[1].as_slice(), [b'x'; 32]);
}

proptest! {
    #[test]
    fn rows_of_all_kinds_are_the_same_either_way(
        seed in 1u64..,
        rows in 1usize..200,
        nulls in prop_oneof![Just(0u64), Just(1), Just(30), Just(97), Just(100)],
        odd in prop_oneof![Just(1u64 << 40), Just(5000), Just(100)],
        are_nullable in proptest::bool::weighted(0.8),
        times in 1usize..5,
        first in 0usize..31,
        count in 1usize..=31,
        cut in prop_oneof![Just(0usize), 1usize..60],
    ) {
        let columns: Vec<Column> =
            COLUMNS.iter().cycle().skip(first).take(count * times).copied().collect();
        let (codec, plan) = table_of(&columns, are_nullable);
        let mut numbers = Numbers(seed);
        let nulls = if are_nullable { nulls } else { 0 };
        let images = images(&columns, rows, nulls, odd, &mut numbers);
        let end = images.len().saturating_sub(cut);
        assert_same(&codec, &plan, &images[..end]);
    }
}
