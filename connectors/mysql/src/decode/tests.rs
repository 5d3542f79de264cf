//! Both decoders on recorded bytes: the same two rows as MySQL 9.7 and MariaDB 10.11 sent them, by result set and by log,
//! and on all bytes near them.
//!
//! A corpus file has the table's columns, the result's columns (type, flags, decimals), its row packets, the TABLE_MAP
//! (`binlog_row_metadata = FULL`), and a WRITE and an UPDATE event, each without header and checksum.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use proptest::prelude::*;

use super::{
    BatchBuilder, DecodeError,
    binlog::{BinlogPlan, Half, RowsEvent, RowsKind, TableMap},
    result::{ResultColumn, ResultPlan},
};
use crate::{
    metadata::TableMeta,
    types::{
        Charset, CharsetLookup, Flavor, TableCodec, TypeOptions, schema_tests::table, table_schema,
    },
};

#[derive(Debug)]
struct Utf8;
impl Charset for Utf8 {
    fn is_utf8(&self) -> bool {
        true
    }
    fn decode_into(&self, _: &[u8], _: &mut Vec<u8>) -> Result<(), usize> {
        Err(0)
    }
}

/// ASCII with 0xFF undecodable and every other high byte an `é`.
#[derive(Debug)]
struct Toy;
impl Charset for Toy {
    fn is_utf8(&self) -> bool {
        false
    }
    fn decode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize> {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                0..=0x7F => out.push(byte),
                0xFF => return Err(at),
                _ => out.extend("é".bytes()),
            }
        }
        Ok(())
    }
}

struct Charsets;
impl CharsetLookup for Charsets {
    fn charset(&self, name: &str) -> Option<Arc<dyn Charset>> {
        match name {
            "utf8mb4" => Some(Arc::new(Utf8)),
            "toy" => Some(Arc::new(Toy)),
            _ => None,
        }
    }
    fn charset_of_collation(&self, collation_id: u64) -> Option<&str> {
        match collation_id {
            45 | 255 => Some("utf8mb4"),
            8 => Some("latin1"),
            _ => None,
        }
    }
}

pub(super) fn codec(meta: &TableMeta, flavor: Flavor, options: &TypeOptions) -> TableCodec {
    let schema = Arc::new(table_schema(meta, flavor, options, 1, false).unwrap());
    TableCodec::new(meta, schema, options, flavor, &Charsets).unwrap()
}

pub(super) struct Corpus {
    meta: TableMeta,
    flavor: Flavor,
    result: Vec<ResultColumn>,
    rows: Vec<Vec<u8>>,
    pub(super) map: Vec<u8>,
    pub(super) events: Vec<(u8, Vec<u8>)>,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(super) fn corpus(flavor: Flavor) -> Corpus {
    let text = match flavor {
        Flavor::MySql => include_str!("corpus/mysql.txt"),
        Flavor::MariaDb => include_str!("corpus/mariadb.txt"),
    };
    let mut columns = Vec::new();
    let mut corpus = Corpus {
        meta: table(&[]),
        flavor,
        result: Vec::new(),
        rows: Vec::new(),
        map: Vec::new(),
        events: Vec::new(),
    };
    for line in text.lines() {
        let (kind, rest) = line.split_once(' ').unwrap();
        match kind {
            "column" => columns.push(rest.split_once(' ').unwrap()),
            "result" => {
                let numbers: Vec<u16> = rest.split(' ').map(|text| text.parse().unwrap()).collect();
                corpus.result.push(ResultColumn {
                    ty: numbers[0] as u8,
                    flags: numbers[1],
                    charset: 63,
                    decimals: numbers[2] as u8,
                });
            }
            "row" => corpus.rows.push(unhex(rest)),
            "map" => corpus.map = unhex(rest),
            "event" => {
                let (ty, bytes) = rest.split_once(' ').unwrap();
                corpus.events.push((ty.parse().unwrap(), unhex(bytes)));
            }
            other => panic!("corpus line of kind {other}"),
        }
    }
    corpus.meta = table(&columns);
    corpus.meta.columns[0].nullable = false;
    corpus.meta.primary_key = vec![0];
    corpus
}

impl Corpus {
    pub(super) fn codec(&self) -> TableCodec {
        codec(&self.meta, self.flavor, &TypeOptions::default())
    }

    fn read_result(&self, codec: &TableCodec) -> Result<RecordBatch, DecodeError> {
        let plan = ResultPlan::compile(codec, &self.result)?;
        let mut builder = BatchBuilder::new(codec, 8)?;
        for row in &self.rows {
            builder.append_row(&plan, row)?;
        }
        builder.finish()
    }

    /// All images of the first event.
    fn read_log(&self, codec: &TableCodec) -> Result<RecordBatch, DecodeError> {
        let plan = BinlogPlan::compile(codec, &TableMap::parse(&self.map)?)?;
        let (ty, body) = &self.events[0];
        let event = RowsEvent::parse(*ty, body)?;
        assert!(event.ensure_complete(&plan)?);
        let mut builder = BatchBuilder::new(codec, 8)?;
        let mut rest = event.rows();
        while !rest.is_empty() {
            let taken = builder.append_image(&plan, rest)?;
            rest = &rest[taken..];
        }
        builder.finish()
    }
}

/// One line a column: `name: value | value`.
fn print(batch: &RecordBatch) -> String {
    let mut text = String::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let values: Vec<String> = (0..batch.num_rows())
            .map(|row| {
                let debug = format!("{:?}", array.slice(row, 1));
                let inner: String =
                    debug.split_once('[').unwrap().1.split('\n').map(str::trim).collect();
                inner.trim_end_matches(']').trim_end_matches(',').to_owned()
            })
            .collect();
        text.push_str(&format!("{}: {}\n", field.name(), values.join(" | ")));
    }
    text
}

#[test]
fn result_and_log_agree_on_both_servers() {
    let mut printed = Vec::new();
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let corpus = corpus(flavor);
        let codec = corpus.codec();
        TableMap::parse(&corpus.map).unwrap().check(&corpus.meta, &Charsets).unwrap();
        let read = corpus.read_result(&codec).unwrap();
        assert_eq!(read, corpus.read_log(&codec).unwrap());
        assert_eq!(&read.schema(), codec.schema().arrow());
        printed.push(print(&read));
    }
    assert_eq!(printed[0], printed[1]);
    insta::assert_snapshot!(printed[0], @r#"
    id: 1 | 2
    i8: -1 | null
    u8: 200 | null
    i16: -300 | null
    u16: 60000 | null
    i24: -70000 | null
    u24: 16000000 | null
    u32: 4000000000 | null
    i64: -5000000000 | null
    u64: 18446744073709551615 | null
    ok: true | null
    bit1: true | null
    bit9: [1, 1] | null
    yr: 2024 | 0
    f: 0.1 | null
    fs: 1.5 | null
    d: -2.25 | null
    dec1: -1234 | null
    dec2: "-1.500000000000000000000000000000" | null
    dt: 2024-02-29 | null
    ti: 12:34:56.780 | 00:00:00
    dti: 2024-02-29T12:34:56.789 | null
    ts: 2024-02-29T12:34:56.789012 (Unknown Time Zone 'UTC') | null
    ch: "aé" | ""
    vc: "v" | ""
    tx: "é😀" | null
    bi: [1, 0, 0, 0] | [0, 0, 0, 0]
    vb: [0, 255] | []
    bl: [222, 173, 190, 239] | null
    en: "y" | ""
    se: StringArray["a","c",] | StringArray[]
    ge: "{\"coordinates\":[1,2.5],\"type\":\"Point\",\"srid\":0}" | null
    "#);
}

#[test]
fn updates_have_two_images_and_keys_can_be_read_from_them() {
    let corpus = corpus(Flavor::MySql);
    let plan =
        BinlogPlan::compile(&corpus.codec(), &TableMap::parse(&corpus.map).unwrap()).unwrap();
    let (ty, body) = &corpus.events[1];
    let event = RowsEvent::parse(*ty, body).unwrap();
    assert_eq!(event.kind, RowsKind::Update);
    let images: Vec<_> = event.images(&plan).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        images.iter().map(|(half, _)| *half).collect::<Vec<_>>(),
        [Half::Before, Half::After]
    );
    let mut cells = Vec::new();
    let keys: Vec<u32> = images
        .iter()
        .map(|(_, image)| {
            plan.key_cells(image, &[0], &mut cells).unwrap();
            u32::from_le_bytes(cells[0].bytes.unwrap().try_into().unwrap())
        })
        .collect();
    assert_eq!(keys, [2, 3]);

    let result = ResultPlan::compile(&corpus.codec(), &corpus.result).unwrap();
    result.key_cells(&corpus.rows[0], &[23, 1, 0], &mut cells).unwrap();
    let bytes: Vec<_> = cells.iter().map(|cell| cell.bytes.unwrap()).collect();
    assert_eq!(bytes, ["aé".as_bytes(), &[0xFF], &[1, 0, 0, 0]]);
    result.key_cells(&corpus.rows[1], &[1], &mut cells).unwrap();
    assert_eq!(cells[0].bytes, None);
    assert!(result.key_cells(&corpus.rows[0], &[99], &mut cells).is_err());
}

#[test]
fn a_failed_row_leaves_nothing_behind() {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let corpus = corpus(flavor);
        let codec = corpus.codec();
        let plan = BinlogPlan::compile(&codec, &TableMap::parse(&corpus.map).unwrap()).unwrap();
        let (ty, body) = &corpus.events[0];
        let images = RowsEvent::parse(*ty, body).unwrap().rows();
        let first = plan.skip_image(images).unwrap();
        let mut builder = BatchBuilder::new(&codec, 8).unwrap();
        for cut in 0..first {
            assert!(builder.append_image(&plan, &images[..cut]).is_err(), "cut at {cut}");
            assert_eq!(builder.append_image(&plan, images), Ok(first));
            assert_eq!(builder.len(), cut + 1);
        }
        let result = ResultPlan::compile(&codec, &corpus.result).unwrap();
        let packet = &corpus.rows[0];
        for cut in 0..packet.len() {
            assert!(builder.append_row(&result, &packet[..cut]).is_err(), "cut at {cut}");
        }
        assert!(builder.append_row(&result, &[packet.as_slice(), &[0]].concat()).is_err());
        builder.append_row(&result, packet).unwrap();
        let batch = builder.finish().unwrap();
        assert_eq!(batch.num_rows(), first + 1);
        for row in 1..batch.num_rows() {
            assert_eq!(batch.slice(row, 1), batch.slice(0, 1));
        }
        assert!(builder.is_empty());
        assert_eq!(builder.finish().unwrap().num_rows(), 0);
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_an_error_or_a_value() {
    for flavor in [Flavor::MySql, Flavor::MariaDb] {
        let mut corpus = corpus(flavor);
        let codec = corpus.codec();
        for cut in 0..corpus.map.len() {
            let _ = TableMap::parse(&corpus.map[..cut]);
        }
        for at in 0..corpus.map.len() * 8 {
            corpus.map[at / 8] ^= 1 << (at % 8);
            let _ = corpus.read_log(&codec);
            corpus.map[at / 8] ^= 1 << (at % 8);
        }
        for at in 0..corpus.events[0].1.len() * 8 {
            corpus.events[0].1[at / 8] ^= 1 << (at % 8);
            let _ = corpus.read_log(&codec);
            corpus.events[0].1[at / 8] ^= 1 << (at % 8);
        }
        for at in 0..corpus.rows[0].len() * 8 {
            corpus.rows[0][at / 8] ^= 1 << (at % 8);
            let _ = corpus.read_result(&codec);
            corpus.rows[0][at / 8] ^= 1 << (at % 8);
        }
    }
}

#[test]
fn the_witness_names_what_differs() {
    let corpus = corpus(Flavor::MySql);
    let map = TableMap::parse(&corpus.map).unwrap();
    assert_eq!((&*map.database, &*map.table), ("dt", "corpus"));
    assert_eq!(TableMap::names(&corpus.map).unwrap(), (map.table_id, "dt", "corpus"));
    assert_eq!(map.optional.primary_key, [(0, 0)]);
    assert_eq!(map.optional.members[29], Some(vec![b"x".to_vec(), b"y".to_vec()]));
    let check = |change: &dyn Fn(&mut TableMeta), expected: &str| {
        let mut meta = corpus.meta.clone();
        change(&mut meta);
        let mismatch = map.check(&meta, &Charsets).unwrap_err().to_string();
        assert!(mismatch.contains(expected), "{mismatch}");
    };
    check(&|meta| drop(meta.columns.pop()), "the log has 32 columns, the table 31");
    check(
        &|meta| meta.columns[1].name = "z".into(),
        "column 1: the log calls it `i8`, the table `z`",
    );
    check(&|meta| meta.columns[2].column_type = "tinyint".into(), "unsigned, the table `tinyint`");
    check(&|meta| meta.columns[3].data_type = "int".into(), "Integer(2)");
    check(&|meta| meta.columns[24].charset = Some("latin1".into()), "utf8mb4, the table in latin1");
    check(&|meta| meta.columns[29].column_type = "enum('x')".into(), "2 members, the table 1");
}

#[test]
fn images_that_lack_columns_are_refused_by_name() {
    let corpus = corpus(Flavor::MySql);
    let plan =
        BinlogPlan::compile(&corpus.codec(), &TableMap::parse(&corpus.map).unwrap()).unwrap();
    let mut body = corpus.events[0].1.clone();
    // Behind table id, flags, extra data and column count: which columns are present.
    body[11] ^= 0b100;
    let refused = RowsEvent::parse(30, &body).unwrap().ensure_complete(&plan).unwrap_err();
    assert_eq!(refused.column, Some(2));
    assert!(refused.to_string().contains("binlog_row_image was not FULL"), "{refused}");
    assert!(RowsEvent::parse(2, &body).is_err());
}

/// A table of one column and its key, in the log.
fn one_column(spelled: &str, options: &TypeOptions, in_key: bool) -> (TableMeta, TableCodec) {
    let mut meta = table(&[("c", spelled)]);
    meta.columns[0].nullable = false;
    if spelled.contains("char") {
        meta.columns[0].charset = Some("toy".to_owned());
    }
    if in_key {
        meta.primary_key = vec![0];
    }
    let codec = codec(&meta, Flavor::MySql, options);
    (meta, codec)
}

/// Appends one cell of a one-column table whose TABLE_MAP has this type and metadata.
fn append_cell(
    codec: &TableCodec,
    ty: u8,
    metadata: &[u8],
    cell: &[u8],
) -> Result<(RecordBatch, Vec<(usize, u64)>), DecodeError> {
    let mut map = vec![1, 0, 0, 0, 0, 0, 0, 0, 1, b'd', 0, 1, b't', 0, 1, ty, metadata.len() as u8];
    map.extend(metadata);
    map.push(0);
    let plan = BinlogPlan::compile(codec, &TableMap::parse(&map)?)?;
    let mut builder = BatchBuilder::new(codec, 1)?;
    builder.append_image(&plan, &[&[0], cell].concat())?;
    let nulled = builder.take_nulled();
    Ok((builder.finish()?, nulled))
}

#[test]
fn a_zero_date_is_null_and_counted_but_never_in_a_key() {
    let options = TypeOptions::default();
    let (_, outside) = one_column("date", &options, false);
    let (batch, nulled) = append_cell(&outside, 10, &[], &[0, 0, 0]).unwrap();
    assert!(batch.column(0).is_null(0));
    assert_eq!(nulled, [(0, 1)]);
    let (_, inside) = one_column("date", &options, true);
    let refused = append_cell(&inside, 10, &[], &[0, 0, 0]).unwrap_err();
    assert!(refused.to_string().contains("temporal.invalid"), "{refused}");
    let strict = TypeOptions { temporal_invalid: crate::types::TemporalInvalid::Error, ..options };
    let (_, outside) = one_column("date", &strict, false);
    assert!(append_cell(&outside, 10, &[], &[0, 0, 0]).is_err());
}

#[test]
fn a_boolean_is_0_or_1_and_null_is_for_nullable_columns() {
    let (meta, codec) = one_column("tinyint(1)", &TypeOptions::default(), false);
    assert!(append_cell(&codec, 1, &[], &[1]).is_ok());
    let refused = append_cell(&codec, 1, &[], &[2]).unwrap_err();
    let schema = table_schema(&meta, Flavor::MySql, &TypeOptions::default(), 1, false).unwrap();
    insta::assert_snapshot!(
        refused.into_error(&schema, "binlog.000001:4"),
        @"column `c` of table \"d.t\" cannot be decoded: value 2 in a TINYINT(1) that is read as BOOLEAN; `treat-tinyint1-as-boolean.enabled: false` reads it as TINYINT (byte 1 of the row data, binlog.000001:4)"
    );
    let plan = BinlogPlan::compile(
        &codec,
        &TableMap::parse(&[1, 0, 0, 0, 0, 0, 0, 0, 1, b'd', 0, 1, b't', 0, 1, 1, 0, 0]).unwrap(),
    )
    .unwrap();
    let refused = BatchBuilder::new(&codec, 1).unwrap().append_image(&plan, &[1]).unwrap_err();
    assert!(refused.to_string().contains("NOT NULL"), "{refused}");
}

#[test]
fn undecodable_text_is_an_error_or_replaced() {
    let error = TypeOptions::default();
    let replace = TypeOptions { text_undecodable: crate::types::TextUndecodable::Replace, ..error };
    let metadata = 40u16.to_le_bytes();
    let cell = [4, b'a', 0xFF, 0x80, 0xFF];
    let (_, strict) = one_column("varchar(10)", &error, false);
    assert!(append_cell(&strict, 15, &metadata, &cell).is_err());
    let (_, lenient) = one_column("varchar(10)", &replace, false);
    let (batch, _) = append_cell(&lenient, 15, &metadata, &cell).unwrap();
    assert_eq!(print(&batch), "c: \"a\u{FFFD}é\u{FFFD}\"\n");
}

#[test]
fn numbers_of_members_are_checked() {
    let options = TypeOptions::default();
    let (_, member) = one_column("enum('x','y')", &options, false);
    assert!(append_cell(&member, 254, &[247, 1], &[2]).is_ok());
    assert!(append_cell(&member, 254, &[247, 1], &[3]).is_err());
    let (_, members) = one_column("set('x','y')", &options, false);
    assert_eq!(
        print(&append_cell(&members, 254, &[248, 1], &[3]).unwrap().0),
        "c: StringArray[\"x\",\"y\",]\n"
    );
    assert!(append_cell(&members, 254, &[248, 1], &[4]).is_err());
    let (_, key) = one_column("set('x','y')", &options, true);
    assert_eq!(print(&append_cell(&key, 254, &[248, 1], &[3]).unwrap().0), "c: \"x,y\"\n");
}

#[test]
fn a_plan_fits_only_its_own_builder() {
    let corpus = corpus(Flavor::MySql);
    let plan =
        BinlogPlan::compile(&corpus.codec(), &TableMap::parse(&corpus.map).unwrap()).unwrap();
    let mut other = BatchBuilder::new(&corpus.codec(), 1).unwrap();
    let images = RowsEvent::parse(30, &corpus.events[0].1).unwrap().rows();
    assert!(other.append_image(&plan, images).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ty in 20u8..=40,
    ) {
        let corpus = corpus(Flavor::MariaDb);
        let codec = corpus.codec();
        let _ = TableMap::parse(&bytes);
        let _ = super::binlog::inflate_rows(ty, &bytes, 1 << 16);
        let _ = super::binlog::inflate_query(&bytes, 1 << 16);
        let plan = BinlogPlan::compile(&codec, &TableMap::parse(&corpus.map).unwrap()).unwrap();
        if let Ok(event) = RowsEvent::parse(ty, &bytes)
            && let Ok(images) = event.images(&plan)
        {
            images.for_each(drop);
        }
        let mut builder = BatchBuilder::new(&codec, 1).unwrap();
        let _ = builder.append_image(&plan, &bytes);
        // All columns present, none null: the cells themselves are random.
        let _ = builder.append_image(&plan, &[&[0; 4], &bytes[..]].concat());
        let result = ResultPlan::compile(&codec, &corpus.result).unwrap();
        let _ = builder.append_row(&result, &[&[0; 6], &bytes[..]].concat());
        prop_assert!(builder.finish().is_ok());
    }

    #[test]
    fn a_row_that_was_torn_never_panics(
        at in 0usize..400,
        bytes in proptest::collection::vec(any::<u8>(), 1..8),
    ) {
        let mut corpus = corpus(Flavor::MySql);
        let codec = corpus.codec();
        for torn in [&mut corpus.events[0].1, &mut corpus.rows[0], &mut corpus.map] {
            let length = torn.len();
            for (nth, byte) in bytes.iter().enumerate() {
                torn[(at + nth) % length] = *byte;
            }
        }
        let _ = corpus.read_log(&codec);
        let _ = corpus.read_result(&codec);
    }
}
