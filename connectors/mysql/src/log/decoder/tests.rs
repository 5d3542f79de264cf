//! Every kind of damage that an event can have: an error that names the place, never a panic and never silence.

use cdc_api::TableId;
use cdc_incremental::TableKey;

use super::*;
use crate::{
    keys::KeyCodec,
    log::fault::Readings,
    types::{Flavor, TableCodec, TypeOptions, schema_tests, table_schema},
};

/// The TABLE_MAP body of `d.t (id INT PRIMARY KEY, v INT)` with the table id 7.
const MAP: [u8; 19] = [7, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 3, 3, 0, 0b10];

fn decoder() -> LogDecoder {
    decoder_of("int")
}

/// The same with another type of `v`.
pub(super) fn decoder_of(v: &str) -> LogDecoder {
    let mut meta = schema_tests::table(&[("id", "int"), ("v", v)]);
    meta.id = TableId::new("d", "t");
    meta.columns[0].nullable = false;
    meta.primary_key = vec![0];
    let options = TypeOptions::default();
    let schema = Arc::new(table_schema(&meta, Flavor::MySql, &options, 1, false).unwrap());
    let codec = TableCodec::new(&meta, schema, &options, Flavor::MySql, &Charsets::new()).unwrap();
    let keys = KeyCodec::new(&meta, &[0], Flavor::MySql).unwrap();
    let table = CapturedTable::new(TableKey(0), meta, codec, keys, vec![0]);
    let catalog = Arc::new(Catalog::new(vec![Arc::new(table)], false));
    let start = LogPosition::new("binlog.000003", 4).unwrap();
    LogDecoder::new(catalog, Arc::new(Charsets::new()), BeforeImages::All, start)
}

/// An event with its CRC32, which ends at `end` in the file.
pub(super) fn event(kind: u8, end: u32, body: &[u8]) -> Vec<u8> {
    let size = event::HEADER_LEN + body.len() + event::CHECKSUM_LEN;
    let mut bytes = vec![0; event::HEADER_LEN];
    bytes[4] = kind;
    bytes[9..13].copy_from_slice(&(size as u32).to_le_bytes());
    bytes[13..17].copy_from_slice(&end.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

pub(super) fn format_description() -> Vec<u8> {
    let mut body = vec![0; 58];
    body[57] = 1;
    event(kind::FORMAT_DESCRIPTION, 100, &body)
}

pub(super) fn gtid(end: u32) -> Vec<u8> {
    let mut body = vec![0; 25];
    body[17] = 1;
    event(kind::GTID, end, &body)
}

/// A decoder behind `binlog.000003:900`, inside a transaction with the table's map.
fn inside() -> LogDecoder {
    let mut decoder = decoder();
    for bytes in [format_description(), gtid(800), event(kind::TABLE_MAP, 900, &MAP)] {
        assert!(matches!(decoder.event(&bytes), Ok(Step::Go)));
    }
    decoder
}

/// What the last of these events is refused with, in words.
fn refused(decoder: &mut LogDecoder, bytes: &[u8]) -> String {
    let mut step = decoder.event(bytes);
    while step.is_ok() && decoder.is_inside_event() {
        step = decoder.go_on();
    }
    let refused = step.expect_err("the event must be refused");
    Readings::default().judge(refused, decoder.position()).to_string()
}

#[track_caller]
fn check(decoder: &mut LogDecoder, bytes: &[u8], texts: &[&str]) {
    let error = refused(decoder, bytes);
    for text in texts {
        assert!(error.contains(text), "\"{text}\" is missing in: {error}");
    }
}

const INSERT: [u8; 21] = [7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11, 0, 1, 0, 0, 0, 9, 0, 0, 0];

#[test]
fn one_flipped_bit_is_found_wherever_it_is() {
    let whole = event(kind::WRITE_ROWS, 1000, &INSERT);
    assert!(inside().event(&whole).is_ok());
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let expected = if (9..13).contains(&at) { "bytes, and came with" } else { "CRC32" };
        check(&mut inside(), &bytes, &["damaged at binlog.000003:900", expected]);
    }
}

#[test]
fn an_event_that_is_cut_off_is_found() {
    let whole = event(kind::WRITE_ROWS, 1000, &INSERT);
    for end in 0..whole.len() {
        check(&mut inside(), &whole[..end], &["damaged at binlog.000003:900"]);
    }
    // Cut off before it was given its length and checksum.
    for end in 0..INSERT.len() {
        let mut decoder = inside();
        let step = decoder.event(&event(kind::WRITE_ROWS, 1000, &INSERT[..end]));
        match step {
            // Without an image there is no row to lack; a cut image stops its table.
            Ok(Step::Go) => assert_eq!(end, 12),
            Ok(Step::Notice(Notice::Stop { tables, reason, .. })) => {
                assert_eq!(tables[0].id().to_string(), "d.t");
                assert!(reason.contains("binlog.000003:1000"), "{reason}");
            }
            Err(Refused::Damaged { .. }) => assert!(end < 6),
            other => panic!("{end}: {other:?}"),
        }
    }
}

#[test]
fn an_unknown_event_is_named_unless_it_says_that_it_may_be_skipped() {
    let unknown = event(99, 1000, &[1, 2, 3]);
    check(&mut inside(), &unknown, &["unknown type 99", "at binlog.000003:1000"]);
    let mut skipped = unknown;
    skipped[17] = event::FLAG_IGNORABLE as u8;
    let end = skipped.len() - event::CHECKSUM_LEN;
    let crc = crc32fast::hash(&skipped[..end]);
    skipped[end..].copy_from_slice(&crc.to_le_bytes());
    assert!(matches!(inside().event(&skipped), Ok(Step::Go)));
}

#[test]
fn rows_that_nothing_announced_are_refused() {
    let mut other = INSERT;
    other[0] = 8;
    check(
        &mut inside(),
        &event(kind::WRITE_ROWS, 1000, &other),
        &["table id 8", "binlog.000003:1000"],
    );
    let mut decoder = inside();
    assert!(decoder.event(&event(kind::XID, 950, &[0; 8])).is_ok());
    check(
        &mut decoder,
        &event(kind::WRITE_ROWS, 1000, &INSERT),
        &["outside of a transaction", "binlog.000003:1000"],
    );
}

#[test]
fn absurd_lengths_are_refused() {
    let huge = [254, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    let heartbeat = [&[1][..], &huge].concat();
    let payload = [&[2][..], &huge].concat();
    let bodies: [(u8, Vec<u8>); 7] = [
        (kind::HEARTBEAT_V2, heartbeat),
        (kind::TRANSACTION_PAYLOAD, payload),
        (kind::GTID_TAGGED, vec![0xFF; 5]),
        (kind::GTID, vec![0; 24]),
        (kind::ROTATE, vec![0; 7]),
        (kind::QUERY, [&[0; 11][..], &[0xFF, 0xFF, 0]].concat()),
        (kind::TABLE_MAP, [&MAP[..14], &huge].concat()),
    ];
    for (kind, body) in bodies {
        check(
            &mut inside(),
            &event(kind, 1000, &body),
            &["damaged at binlog.000003:", &format!("event type {kind}")],
        );
    }
    // A position at the end of 64 bits does not overflow what comes behind it.
    let mut rotate = vec![0xFF; 8];
    rotate.extend_from_slice(b"binlog.000004");
    let mut decoder = decoder();
    assert!(decoder.event(&event(kind::ROTATE, 0, &rotate)).is_ok());
    assert!(decoder.event(&gtid(7)).is_ok());
    assert_eq!(decoder.position().offset(), u64::MAX);
}

/// A transaction that announces more than it holds, one that holds more than it announces, and one that is no zstd.
#[test]
fn compressed_transactions_that_lie_are_refused() {
    let inner = |size: u32| {
        let mut bytes = vec![0; event::HEADER_LEN + 8];
        bytes[4] = kind::XID;
        bytes[9..13].copy_from_slice(&size.to_le_bytes());
        bytes
    };
    let payload = |plain: &[u8], announced: u64| {
        let packed = zstd::bulk::compress(plain, 1).unwrap();
        let mut body = vec![1, 9, 254];
        body.extend_from_slice(&(packed.len() as u64).to_le_bytes());
        body.extend_from_slice(&[2, 1, 0, 3, 9, 254]);
        body.extend_from_slice(&announced.to_le_bytes());
        body.push(0);
        body.extend_from_slice(&packed);
        body
    };
    let honest = payload(&inner(27), 27);
    assert!(inside().event(&event(kind::TRANSACTION_PAYLOAD, 1000, &honest)).is_ok());
    let mut torn = honest.clone();
    torn.truncate(honest.len() - 3);
    for (body, text) in [
        (payload(&inner(27), 54), "transaction payload"),
        (payload(&inner(27), 20), "transaction payload"),
        (payload(&inner(1 << 29), u64::MAX), "transaction payload"),
        (payload(&inner(u32::MAX), u64::MAX), "4294967295 bytes"),
        (payload(&inner(3), 27), "3 bytes"),
        (torn, "transaction payload"),
    ] {
        check(
            &mut inside(),
            &event(kind::TRANSACTION_PAYLOAD, 1000, &body),
            &["damaged at binlog.000003:1000", text],
        );
    }
}

#[test]
fn compressed_events_of_mariadb_that_lie_are_refused() {
    let bomb = [0x84, 0x0F, 0xFF, 0xFF, 0xFF, 0x78, 0x9C, 0, 0];
    let rows = [&INSERT[..12], &bomb].concat();
    let query = [&[0; 13][..], &[0], &bomb].concat();
    for (kind, body) in
        [(kind::MARIA_WRITE_ROWS_COMPRESSED, rows), (kind::MARIA_QUERY_COMPRESSED, query)]
    {
        check(
            &mut inside(),
            &event(kind, 1000, &body),
            &["damaged at binlog.000003:1000", "claim to hold 268435455 bytes"],
        );
    }
}

#[test]
fn rows_without_all_columns_stop_their_table_by_name() {
    let mut minimal = INSERT;
    minimal[11] = 0b01;
    let step = inside().event(&event(kind::WRITE_ROWS, 1000, &minimal));
    let Ok(Step::Notice(Notice::Stop { tables, reason, remedy, scope })) = step else {
        panic!("{step:?}");
    };
    assert_eq!((tables[0].id().to_string().as_str(), scope), ("d.t", StopScope::OnceRead));
    assert!(reason.contains("binlog.000003:1000") && reason.contains("column `v`"), "{reason}");
    assert!(reason.contains("binlog_row_image was not FULL"), "{reason}");
    assert!(remedy.contains("FULL"), "{remedy}");
}

/// A column that an update's new row leaves out is as it was (FULL_NODUP).
#[test]
fn columns_that_only_the_new_row_lacks_are_completed_from_the_old_one() {
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11, 0b10];
    body.extend_from_slice(&[0, 1, 0, 0, 0, 5, 0, 0, 0]);
    body.extend_from_slice(&[0, 6, 0, 0, 0]);
    body.extend_from_slice(&[0b10, 2, 0, 0, 0]);
    body.extend_from_slice(&[1]);
    let mut decoder = inside();
    assert!(matches!(decoder.event(&event(kind::UPDATE_ROWS, 1000, &body)), Ok(Step::Go)));
    assert!(decoder.event(&event(kind::XID, 1100, &[0; 8])).is_ok());
    let frame = decoder.take_frame().unwrap();
    let rows = &frame.batches[0].rows;
    let column = |at: usize| {
        let column = rows.column(at);
        arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int32Type>(column)
            .iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(column(0), [Some(1), Some(1), Some(2), Some(2)]);
    assert_eq!(column(1), [Some(5), Some(6), None, None]);
    // The other way round nothing tells what the old row was.
    body[11..13].copy_from_slice(&[0b01, 0b11]);
    let step = inside().event(&event(kind::UPDATE_ROWS, 1000, &body));
    assert!(matches!(step, Ok(Step::Notice(Notice::Stop { .. }))), "{step:?}");
}

/// A change that has no place in the document: the table stops with its name, the row's key, the column and the position.
#[test]
fn a_partial_update_that_does_not_fit_names_the_row() {
    let mut map = MAP.to_vec();
    map.splice(15.., [3, 245, 1, 4, 0b10]);
    let mut body = vec![7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11, 0b11];
    // The old row (1, []), and a new one that replaces what is not there.
    body.extend_from_slice(&[0, 1, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 4, 0]);
    let change = [0, 4, b'$', b'[', b'0', b']', 2, 4, 1];
    body.extend_from_slice(&[1, 1, 0, 1, 0, 0, 0, change.len() as u8, 0, 0, 0]);
    body.extend_from_slice(&change);
    let mut decoder = decoder_of("json");
    for bytes in [format_description(), gtid(800), event(kind::TABLE_MAP, 900, &map)] {
        assert!(matches!(decoder.event(&bytes), Ok(Step::Go)));
    }
    let step = decoder.event(&event(kind::PARTIAL_UPDATE_ROWS, 1000, &body));
    let Ok(Step::Notice(Notice::Stop { tables, reason, .. })) = step else { panic!("{step:?}") };
    assert_eq!(tables[0].id().to_string(), "d.t");
    for text in ["binlog.000003:1000", "column `v`", "Replace at $[0] has no place", "`id` = 1"] {
        assert!(reason.contains(text), "\"{text}\" is missing in: {reason}");
    }
}
