//! Table maps, row events, JSON documents and result rows through plans and batch builders.

use std::sync::LazyLock;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;

use super::{piece, shape};
use crate::{
    decode::{
        BatchBuilder, DecodeError, KeyCell,
        binlog::{BinlogPlan, RowsEvent, RowsKind, TableMap, inflate_rows},
        bulk,
        result::{ResultColumn, ResultPlan},
    },
    keys::{Form, KeyCodec},
    metadata::TableMeta,
    types::TableCodec,
};

/// What a compressed event may inflate to here.
const INFLATED_BYTES_MAX: usize = 1 << 20;

/// One TABLE_MAP body: parsed, checked against a table that fits, and compiled.
pub fn table_map(bytes: &[u8]) {
    let names = TableMap::names(bytes)
        .map(|(id, database, table)| (id, database.to_owned(), table.to_owned()));
    let Ok(map) = TableMap::parse(bytes) else { return };
    assert_eq!(names, Ok((map.table_id, map.database.clone(), map.table.clone())));
    for choice in [0, 7] {
        bind(&map, choice);
    }
}

/// The plan of a table that a TABLE_MAP fits; none where it fits none.
fn bind(map: &TableMap, choice: u8) -> Option<(TableMeta, TableCodec, BinlogPlan)> {
    let (meta, codec) = shape::table(map, choice)?;
    map.check(&meta, &crate::charset::Charsets::new()).ok()?;
    let plan = BinlogPlan::compile(&codec, map).expect("a table map that fits its table compiles");
    Some((meta, codec, plan))
}

/// A choice byte, a TABLE_MAP body behind its length, an event type, and a row event's body.
pub fn row_events(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let Some((map, rest)) = piece(rest) else { return };
    let Some((&kind, body)) = rest.split_first() else { return };
    let Ok(map) = TableMap::parse(map) else { return };
    let Some((meta, codec, plan)) = bind(&map, choice) else { return };
    let inflated;
    let body = match RowsKind::of(kind) {
        Some((_, true)) => match inflate_rows(kind, body, INFLATED_BYTES_MAX) {
            Ok(plain) => {
                inflated = plain;
                &inflated[..]
            }
            Err(_) => return,
        },
        _ => body,
    };
    let Ok(event) = RowsEvent::parse(kind, body) else { return };
    decode_event(&meta, &codec, &plan, &event);
}

/// Decodes an event's images into one batch, into one batch each, and column by column: the same rows must come, and the
/// walk over the images must agree.
fn decode_event(
    meta: &TableMeta,
    codec: &TableCodec,
    plan: &BinlogPlan,
    event: &RowsEvent<'_>,
) -> Option<RecordBatch> {
    if !event.ensure_complete(plan).ok()? {
        return decode_completed(meta, codec, plan, event);
    }
    let keys = KeyCodec::new(meta, &[0], codec.flavor()).ok();
    let walked: Vec<usize> = event
        .images(plan)
        .ok()?
        .map_while(|image| image.ok().map(|(_, bytes)| bytes.len()))
        .collect();
    let mut whole =
        BatchBuilder::new(codec, 4).expect("every type of the value model has a builder");
    let mut singles = Vec::new();
    let mut rest = event.rows();
    while !rest.is_empty() {
        let mut single = BatchBuilder::new(codec, 1).expect("as above");
        let taken = whole.append_image(plan, rest);
        assert_eq!(taken, single.append_image(plan, rest), "a row decodes the same alone");
        let Ok(taken) = taken else { break };
        assert_eq!(walked.get(singles.len()), Some(&taken), "the walk sees the same images");
        cells(plan, &rest[..taken], keys.as_ref());
        singles.push(single.finish().expect("a row that was taken can be finished"));
        if taken == 0 {
            break;
        }
        rest = &rest[taken..];
    }
    let nulled = whole.take_nulled();
    let batch = whole.finish().expect("rows that were taken can be finished");
    compare(&batch, &singles);
    let mut builder = BatchBuilder::new(codec, 4).expect("as above");
    // A second time into the buffers of the first.
    for _ in 0..2 {
        builder.make_room();
        append_together(&mut builder, plan, event.rows());
        assert_eq!(nulled, builder.take_nulled(), "as many values are made null");
        let together = builder.finish().expect("as above");
        assert!(together == batch, "rows column by column differ from rows one by one");
    }
    Some(batch)
}

/// The images as the log's reader takes them: many together as long as that goes, then one by one.
fn append_together(builder: &mut BatchBuilder, plan: &BinlogPlan, images: &[u8]) {
    let mut rest = images;
    while !rest.is_empty() {
        let (rows, bytes) = builder.append_images(plan, rest, 0, &[], bulk::ROWS_MIN);
        let taken = match rows {
            0 => builder.append_image(plan, rest).unwrap_or(0),
            _ => bytes,
        };
        if taken == 0 {
            break;
        }
        rest = &rest[taken..];
    }
}

/// The completed images are those of an update that was logged whole, and decode or fail as such.
fn decode_completed(
    meta: &TableMeta,
    codec: &TableCodec,
    plan: &BinlogPlan,
    event: &RowsEvent<'_>,
) -> Option<RecordBatch> {
    const UPDATE: u8 = 31;
    let completed = event.completed(plan);
    let bitmap = vec![0xFF; plan.columns().div_ceil(8)];
    let mut body = vec![0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xFC];
    body.extend_from_slice(&(plan.columns() as u16).to_le_bytes());
    body.extend([&bitmap[..], &bitmap, &completed.images].concat());
    let whole =
        RowsEvent::parse(UPDATE, &body).expect("the event around the images is well-formed");
    let images = whole.images(plan).expect("all columns are there");
    assert!(
        images.map(|image| image.expect("completed images are images").1.len()).sum::<usize>()
            == completed.images.len()
    );
    assert!(
        completed.images.len() <= 16 * event.rows().len() + 1024,
        "completed images are bounded"
    );
    decode_event(meta, codec, plan, &whole)
}

fn compare(batch: &RecordBatch, singles: &[RecordBatch]) {
    assert_eq!(batch.num_rows(), singles.len());
    if !singles.is_empty() {
        let joined = concat_batches(&batch.schema(), singles).expect("batches of one schema");
        assert!(joined == *batch, "rows one by one differ from rows together");
    }
}

fn cells(plan: &BinlogPlan, image: &[u8], keys: Option<&KeyCodec>) {
    let all: Vec<usize> = (0..plan.columns()).collect();
    let mut found: Vec<KeyCell<'_>> = Vec::new();
    plan.key_cells(image, &all, &mut found).expect("an image that was taken has cells");
    if let Some(keys) = keys {
        let first = || found.first().map(|cell| cell.bytes);
        let _ = keys.encode(first(), Form::Log, &mut Vec::new());
        let _ = keys.literal(first(), Form::Log);
    }
}

/// The TABLE_MAP body of a table `d.t` with a key and one JSON column.
const JSON_MAP: [u8; 20] = [1, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 2, 3, 245, 1, 4, 0b10];

static JSON_TABLE: LazyLock<(TableMeta, TableCodec, BinlogPlan)> = LazyLock::new(|| {
    let map = TableMap::parse(&JSON_MAP).expect("the table map is well-formed");
    bind(&map, 0).expect("the table map has a table")
});

/// A stored JSON document.
pub fn json(bytes: &[u8]) {
    let (meta, codec, plan) = &*JSON_TABLE;
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11, 0, 7, 0, 0, 0];
    body.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    body.extend_from_slice(bytes);
    let event = RowsEvent::parse(30, &body).expect("the event around the document is well-formed");
    decode_event(meta, codec, plan, &event);
}

/// A stored JSON document behind its length, and the changes that a partial update makes to it.
pub fn json_diff(bytes: &[u8]) {
    let Some((document, diffs)) = piece(bytes) else { return };
    let (meta, codec, plan) = &*JSON_TABLE;
    let mut body = vec![1, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 0b11, 0b11];
    body.extend_from_slice(&[0, 7, 0, 0, 0]);
    body.extend_from_slice(&(document.len() as u32).to_le_bytes());
    body.extend_from_slice(document);
    body.extend_from_slice(&[1, 1, 0, 7, 0, 0, 0]);
    body.extend_from_slice(&(diffs.len() as u32).to_le_bytes());
    body.extend_from_slice(diffs);
    if let Ok(event) = RowsEvent::parse(39, &body) {
        decode_event(meta, codec, plan, &event);
    }
}

/// A choice byte, a TABLE_MAP body behind its length, and row packets of a result set behind theirs.
pub fn result_rows(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let Some((map, mut rest)) = piece(rest) else { return };
    let Ok(map) = TableMap::parse(map) else { return };
    let Some((meta, codec)) = shape::table(&map, choice) else { return };
    let columns: Vec<ResultColumn> =
        codec.columns().iter().map(|column| shape::result_column(column.kind())).collect();
    let plan = ResultPlan::compile(&codec, &columns).expect("the result's columns fit the table");
    let keys = KeyCodec::new(&meta, &[0], codec.flavor()).ok();
    let mut whole =
        BatchBuilder::new(&codec, 4).expect("every type of the value model has a builder");
    let mut singles = Vec::new();
    while let Some((packet, more)) = piece(rest) {
        rest = more;
        let mut single = BatchBuilder::new(&codec, 1).expect("as above");
        let taken: Result<(), DecodeError> = whole.append_row(&plan, packet);
        assert_eq!(taken, single.append_row(&plan, packet), "a row decodes the same alone");
        if taken.is_err() {
            continue;
        }
        let mut found = Vec::new();
        plan.key_cells(packet, &[0], &mut found).expect("a row that was taken has cells");
        if let Some(keys) = &keys {
            let first = || found.first().map(|cell: &KeyCell<'_>| cell.bytes);
            let _ = keys.encode(first(), Form::Result, &mut Vec::new());
            let _ = keys.literal(first(), Form::Result);
        }
        singles.push(single.finish().expect("a row that was taken can be finished"));
    }
    compare(&whole.finish().expect("rows that were taken can be finished"), &singles);
}
