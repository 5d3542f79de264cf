//! A stream of binlog events through the whole decoder of the log: framing, checksums, transactions, compression.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use cdc_api::{BeforeImages, Op};
use cdc_incremental::TableKey;

use super::shape;
use crate::{
    charset::Charsets,
    decode::binlog::{TableMap, inflate_query, inflate_rows},
    keys::KeyCodec,
    log::fuzzed::{Event, EventError, LogDecoder, Payload, payload_head},
    position::LogPosition,
    source::{CapturedTable, Catalog},
};

const HEADER_LEN: usize = 19;
const TABLE_MAP: u8 = 19;
const FORMAT_DESCRIPTION: u8 = 15;
const TRANSACTION_PAYLOAD: u8 = 40;
/// What an event may inflate to here.
const INFLATED_BYTES_MAX: usize = 1 << 20;

/// A choice byte (bit 3: with checksums, which are made right), then events as they stand in a file. The first table map
/// names the captured table.
pub fn log_events(bytes: &[u8]) {
    let Some((&choice, stream)) = bytes.split_first() else { return };
    let checksum = choice & 8 != 0;
    let events = split(stream, checksum);
    let Some(table) = captured(&events) else { return };
    let together = run(&table, choice, &events, checksum, false);
    let apart = run(&table, choice, &events, checksum, true);
    assert!(
        together == apart,
        "rows depend on how they are cut into frames: {together:?} {apart:?}"
    );
    if !checksum && choice & 16 != 0 {
        let packed = pack(&events);
        let inside = run(&table, choice, &packed, false, false);
        let is_same = inside.rows == together.rows && inside.ops == together.ops;
        assert!(
            is_same || inside.error.is_some() || together.error.is_some(),
            "rows depend on compression"
        );
    }
}

/// Cuts a stream by the sizes that the events' headers give; what has no sound size is one last event.
fn split(stream: &[u8], checksum: bool) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let size = rest
            .get(9..13)
            .and_then(|raw| raw.first_chunk())
            .map_or(0, |raw| u32::from_le_bytes(*raw));
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let size = if size < HEADER_LEN { rest.len() } else { size.min(rest.len()) };
        let (event, behind) = rest.split_at(size);
        let mut event = event.to_vec();
        if checksum && let Some((body, crc)) = event.split_last_chunk_mut::<4>() {
            *crc = crc32fast::hash(body).to_le_bytes();
        }
        events.push(event);
        rest = behind;
    }
    events
}

/// The table that the first table map describes.
fn captured(events: &[Vec<u8>]) -> Option<TableMap> {
    let maps = events.iter().filter(|event| event.get(4) == Some(&TABLE_MAP));
    maps.filter_map(|event| TableMap::parse(event.get(HEADER_LEN..)?).ok()).next()
}

/// What came of a run.
#[derive(Debug, PartialEq, Default)]
struct Outcome {
    rows: Option<RecordBatch>,
    ops: Vec<Op>,
    error: Option<String>,
    end: String,
}

fn run(map: &TableMap, choice: u8, events: &[Vec<u8>], checksum: bool, apart: bool) -> Outcome {
    let mut outcome = Outcome::default();
    let Some((meta, codec)) = shape::table(map, choice) else { return outcome };
    let Ok(keys) = KeyCodec::new(&meta, &[0], codec.flavor()) else { return outcome };
    let table = CapturedTable::new(TableKey(0), meta, codec, keys, vec![0]);
    if choice & 32 != 0 {
        table.set_done();
    }
    let catalog = Catalog::new(vec![Arc::new(table)], choice & 64 != 0);
    let start = LogPosition::new("binlog.000001", 4).expect("the name ends in a number");
    let before = if choice & 128 == 0 { BeforeImages::All } else { BeforeImages::Deletes };
    let mut decoder = LogDecoder::new(Arc::new(catalog), Arc::new(Charsets::new()), before, start);
    let mut batches = Vec::new();
    let mut collect = |decoder: &mut LogDecoder, outcome: &mut Outcome| {
        let frame = decoder.take_frame().expect("rows that were taken can be finished");
        for batch in frame.batches {
            assert_eq!(batch.rows.num_rows(), batch.ops.len());
            assert_eq!(batch.rows.num_rows(), batch.ordinals.len());
            assert!(batch.keys.is_none_or(|keys| keys.len() == batch.ops.len()));
            assert!(batch.ordinals.iter().is_sorted_by(|a, b| a < b));
            assert!(batch.ordinals.last().is_none_or(|last| *last < frame.ordinals));
            outcome.ops.extend(batch.ops);
            batches.push(batch.rows);
        }
    };
    for event in std::iter::once(&format_description(checksum)).chain(events) {
        let mut step = decoder.event(event);
        while step.is_ok() && decoder.is_inside_event() {
            step = decoder.go_on();
        }
        if let Err(refused) = step {
            outcome.error = Some(format!("{refused:?}"));
            break;
        }
        if apart && decoder.at_boundary() {
            collect(&mut decoder, &mut outcome);
        }
    }
    // Also inside a transaction: the rows ahead of damage are the same either way.
    collect(&mut decoder, &mut outcome);
    outcome.end = decoder.position().to_string();
    outcome.rows = batches
        .first()
        .map(|first| concat_batches(&first.schema(), &batches).expect("batches of one schema"));
    outcome
}

/// The first event of a file: all that is read of it is whether events have checksums.
fn format_description(checksum: bool) -> Vec<u8> {
    event(FORMAT_DESCRIPTION, &[&[0; 57][..], &[u8::from(checksum)], &[0; 4]].concat(), checksum)
}

/// An event; with `checksum` the last four bytes of `body` make room for it.
fn event(kind: u8, body: &[u8], checksum: bool) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    bytes[4] = kind;
    bytes[9..13].copy_from_slice(&((HEADER_LEN + body.len()) as u32).to_le_bytes());
    bytes.extend_from_slice(body);
    if checksum && let Some((body, crc)) = bytes.split_last_chunk_mut::<4>() {
        *crc = crc32fast::hash(body).to_le_bytes();
    }
    bytes
}

/// The events between two that begin or end transactions, compressed as the server does it.
fn pack(events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    const INSIDE: [u8; 8] = [TABLE_MAP, 23, 24, 25, 30, 31, 32, 39];
    let mut packed = Vec::new();
    let mut plain: Vec<u8> = Vec::new();
    let is_inside = |event: &Vec<u8>| event.get(4).is_some_and(|kind| INSIDE.contains(kind));
    for event in events {
        if is_inside(event) {
            plain.extend_from_slice(event);
            continue;
        }
        if !plain.is_empty() {
            packed.push(payload(&std::mem::take(&mut plain)));
        }
        packed.push(event.clone());
    }
    if !plain.is_empty() {
        packed.push(payload(&plain));
    }
    packed
}

fn payload(plain: &[u8]) -> Vec<u8> {
    let compressed = zstd::bulk::compress(plain, 1).expect("zstd compresses any bytes");
    let mut body = Vec::new();
    for (field, number) in [(2, 0), (1, compressed.len()), (3, plain.len())] {
        body.extend_from_slice(&[field, 9, 254]);
        body.extend_from_slice(&(number as u64).to_le_bytes());
    }
    body.push(0);
    body.extend_from_slice(&compressed);
    event(TRANSACTION_PAYLOAD, &body, false)
}

/// A choice byte and the body of an event that is compressed one way or another.
pub fn compressed(bytes: &[u8]) {
    let Some((&choice, body)) = bytes.split_first() else { return };
    let bounded =
        |inflated: &[u8], head: usize| assert!(inflated.len() <= INFLATED_BYTES_MAX.max(head));
    match choice {
        0 => drop(payload_events(body)),
        // The plain events of a payload, so that the fuzzer need not invent zstd.
        1 => {
            let packed = payload(body);
            let whole = payload_events(&packed[HEADER_LEN..]);
            assert!(whole.is_err() || whole.is_ok_and(|count| count > 0 || body.is_empty()));
        }
        2 => {
            if let Ok(plain) = inflate_query(body, INFLATED_BYTES_MAX) {
                bounded(&plain, body.len());
            }
        }
        kind => {
            if let Ok(plain) = inflate_rows(kind, body, INFLATED_BYTES_MAX) {
                bounded(&plain, body.len());
            }
        }
    }
}

fn payload_events(body: &[u8]) -> Result<usize, EventError> {
    let head = payload_head(body)?;
    let mut payload = Payload::open(body, head, INFLATED_BYTES_MAX)?;
    let mut count = 0;
    while let Some(bytes) = payload.next()? {
        assert!(bytes.len() <= INFLATED_BYTES_MAX);
        Event::parse(bytes, false)?;
        count += 1;
    }
    Ok(count)
}
