//! Row events that wait for others of their statement: nothing of what they say is lost, late or at another place.

use cdc_api::Op;

use super::super::tests::{decoder_of, event, format_description, gtid};
use super::super::*;
use crate::decode::bulk;

/// The TABLE_MAP body of `d.t (id INT PRIMARY KEY, v TINYINT(1))` with the table id 7.
const MAP: [u8; 19] = [7, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 3, 1, 0, 0b10];
const MORE: u8 = 0;
const LAST: u8 = 1;

/// A decoder inside a transaction, whose table is copied or is being copied.
fn inside(done: bool) -> LogDecoder {
    let mut decoder = decoder_of("tinyint(1)");
    if done {
        decoder.catalog.tables().for_each(|table| table.set_done());
    }
    for bytes in [format_description(), gtid(800), event(kind::TABLE_MAP, 900, &MAP)] {
        assert!(matches!(decoder.event(&bytes), Ok(Step::Go)));
    }
    decoder
}

/// The images of rows with these ids and values.
fn images(rows: &[(u8, u8)]) -> Vec<u8> {
    rows.iter().flat_map(|&(id, value)| [0, id, 0, 0, 0, value]).collect()
}

fn rows(kind: u8, end: u32, flags: u8, images: &[u8]) -> Vec<u8> {
    let body = [&[7, 0, 0, 0, 0, 0, flags, 0, 2, 0, 2, 0b11], images].concat();
    event(kind, end, &body)
}

/// Takes events; what they ask for, in order.
fn take(decoder: &mut LogDecoder, events: &[Vec<u8>]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for bytes in events {
        let mut step = decoder.event(bytes).unwrap();
        loop {
            if let Step::Notice(notice) = step {
                notices.push(notice);
            }
            if !decoder.is_inside_event() {
                break;
            }
            step = decoder.go_on().unwrap();
        }
    }
    notices
}

fn ids(frame: &LogFrame) -> Vec<i32> {
    let Some(batch) = frame.batches.first() else { return Vec::new() };
    let column = batch.rows.column(0);
    arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int32Type>(column)
        .values()
        .to_vec()
}

#[track_caller]
fn assert_stops_at(notice: &Notice, place: &str, key: &str) {
    let Notice::Stop { tables, reason, .. } = notice else { panic!("{notice:?}") };
    assert_eq!(tables[0].id().to_string(), "d.t");
    for text in [place, key] {
        assert!(reason.contains(text), "\"{text}\" is missing in: {reason}");
    }
}

#[test]
fn a_statement_of_several_events_has_all_its_rows_in_order() {
    for done in [true, false] {
        let mut decoder = inside(done);
        let first: Vec<(u8, u8)> = (1..=70).map(|id| (id, 1)).collect();
        let notices = take(
            &mut decoder,
            &[
                rows(kind::WRITE_ROWS, 1000, MORE, &images(&first)),
                event(kind::TABLE_MAP, 1050, &MAP),
                rows(kind::WRITE_ROWS, 1100, MORE, &images(&[(71, 0)])),
                rows(kind::DELETE_ROWS, 1200, MORE, &images(&[(1, 1), (2, 1)])),
                rows(kind::DELETE_ROWS, 1300, LAST, &images(&[(3, 1), (4, 1)])),
                rows(kind::WRITE_ROWS, 1400, LAST, &images(&[(1, 0)])),
                event(kind::XID, 1500, &[0; 8]),
            ],
        );
        assert!(notices.is_empty(), "{notices:?}");
        let frame = decoder.take_frame().unwrap();
        let expected: Vec<i32> = (1..=71).chain([1, 2, 3, 4, 1]).collect();
        assert_eq!(ids(&frame), expected);
        let batch = &frame.batches[0];
        assert_eq!(batch.ordinals, (0..76).collect::<Vec<_>>());
        let ops = [vec![Op::Insert; 71], vec![Op::Delete; 4], vec![Op::Insert]].concat();
        assert_eq!(batch.ops, ops);
        assert_eq!(batch.keys.as_ref().map(|keys| keys.len()), (!done).then_some(76));
        assert_eq!((frame.txns.len(), frame.boundary), (1, true));
    }
}

/// Events of `ROWS_EACH` rows of one statement; the row `at` has a value that cannot be decoded.
fn long_statement(events: usize, at: Option<usize>) -> (Vec<Vec<u8>>, Vec<i32>) {
    let all: Vec<(u8, u8)> = (0..events * ROWS_EACH)
        .map(|row| ((row % 251) as u8, if at == Some(row) { 2 } else { 1 }))
        .collect();
    let ids = all.iter().map(|&(id, _)| i32::from(id)).collect();
    let events = all.chunks(ROWS_EACH).enumerate().map(|(nth, chunk)| {
        let flags = if nth + 1 == events { LAST } else { MORE };
        rows(kind::WRITE_ROWS, 1000 + 100 * nth as u32, flags, &images(chunk))
    });
    (events.collect(), ids)
}

const ROWS_EACH: usize = 1000;

#[test]
fn a_long_statement_is_decoded_while_it_comes() {
    let (events, expected) = long_statement(60, None);
    let mut decoder = inside(true);
    let mut undecoded_max = 0;
    for (nth, bytes) in events.iter().enumerate() {
        assert!(take(&mut decoder, std::slice::from_ref(bytes)).is_empty());
        let decoded = decoder.frame.ordinals() as usize;
        let came = (nth + 1) * ROWS_EACH;
        assert!(decoded == came || decoded.is_multiple_of(bulk::ROWS_MAX), "{decoded} of {came}");
        undecoded_max = undecoded_max.max(came - decoded);
    }
    // 128 KiB and an event more, at six bytes a row.
    assert!((20_000..24_000).contains(&undecoded_max), "{undecoded_max}");
    let frame = decoder.take_frame().unwrap();
    assert_eq!(ids(&frame), expected);
    assert_eq!(frame.batches[0].ordinals, (0..60_000).collect::<Vec<_>>());
}

#[test]
fn a_fault_in_a_long_statement_stands_at_its_own_event() {
    for row in [0, 1, 63, 64, 21_999, 22_000, 22_015, 22_016, 40_000, 59_999] {
        let (events, expected) = long_statement(60, Some(row));
        let mut decoder = inside(true);
        let mut events = events.iter().map(|bytes| take(&mut decoder, std::slice::from_ref(bytes)));
        let notices = events.find(|notices| !notices.is_empty()).unwrap_or_default();
        assert_eq!(notices.len(), 1, "row {row}: {notices:?}");
        let place = format!("binlog.000003:{}", 1000 + 100 * (row / ROWS_EACH));
        assert_stops_at(&notices[0], &place, &format!("`id` = {}", row % 251));
        assert_eq!(ids(&decoder.take_frame().unwrap()), expected[..row], "row {row}");
    }
}

#[test]
fn a_frame_that_ends_inside_a_statement_has_what_was_read() {
    let mut decoder = inside(true);
    let four = images(&[(1, 1), (2, 1), (3, 1), (4, 1)]);
    assert!(take(&mut decoder, &[rows(kind::WRITE_ROWS, 1000, MORE, &four)]).is_empty());
    let frame = decoder.take_frame().unwrap();
    assert_eq!((ids(&frame), frame.boundary), (vec![1, 2, 3, 4], false));
    take(
        &mut decoder,
        &[rows(kind::WRITE_ROWS, 1100, LAST, &images(&[(5, 1)])), event(kind::XID, 1200, &[0; 8])],
    );
    let frame = decoder.take_frame().unwrap();
    assert_eq!((ids(&frame), frame.boundary), (vec![5], true));
}

#[test]
fn a_fault_stands_at_its_own_event_and_the_rows_before_it_stay() {
    for done in [true, false] {
        let mut decoder = inside(done);
        let notices = take(
            &mut decoder,
            &[
                rows(kind::WRITE_ROWS, 1000, MORE, &images(&[(1, 1), (2, 1), (3, 0)])),
                rows(kind::WRITE_ROWS, 1100, MORE, &images(&[(4, 1), (5, 2), (6, 1)])),
                rows(kind::WRITE_ROWS, 1200, LAST, &images(&[(7, 1)])),
            ],
        );
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_stops_at(&notices[0], "binlog.000003:1100", "`id` = 5");
        assert_eq!(ids(&decoder.take_frame().unwrap()), [1, 2, 3, 4]);
    }
}

#[test]
fn an_image_never_goes_on_in_the_next_event() {
    let whole = images(&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1)]);
    for cut in 19..24 {
        let mut decoder = inside(true);
        let notices = take(
            &mut decoder,
            &[
                rows(kind::WRITE_ROWS, 1000, MORE, &whole[..cut]),
                rows(kind::WRITE_ROWS, 1100, LAST, &whole[cut..]),
            ],
        );
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_stops_at(&notices[0], "binlog.000003:1000", "the bytes end inside a value");
        assert_eq!(ids(&decoder.take_frame().unwrap()), [1, 2, 3]);
    }
}

#[test]
fn a_fault_is_told_also_when_the_statement_does_not_end() {
    let bad = || rows(kind::WRITE_ROWS, 1000, MORE, &images(&[(1, 1), (2, 1), (3, 1), (4, 9)]));
    // Another event comes instead.
    let mut decoder = inside(true);
    let notices = take(&mut decoder, &[bad(), event(kind::XID, 1100, &[0; 8])]);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_stops_at(&notices[0], "binlog.000003:1000", "`id` = 4");
    let frame = decoder.take_frame().unwrap();
    assert_eq!((ids(&frame), frame.boundary), (vec![1, 2, 3], true));
    // A frame is taken.
    let mut decoder = inside(true);
    assert!(take(&mut decoder, &[bad()]).is_empty());
    assert_eq!(ids(&decoder.take_frame().unwrap()), [1, 2, 3]);
    assert!(decoder.is_inside_event());
    let Ok(Step::Notice(notice)) = decoder.go_on() else { panic!("the notice is missing") };
    assert_stops_at(&notice, "binlog.000003:1000", "`id` = 4");
    assert!(!decoder.is_inside_event());
}
