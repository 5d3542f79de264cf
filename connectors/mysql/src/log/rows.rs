//! Row events into the open batches of a frame: which image becomes which operation, and which rows need their keys.

use std::sync::Arc;

use cdc_api::{BeforeImages, Op, TableSchema};

use super::{
    event::EventError,
    frame::{FrameBuilder, OpenBatch},
    held::Held,
};
use crate::{
    decode::{
        DecodeError, KeyCell,
        binlog::{BinlogPlan, RowsEvent, RowsKind},
        bulk,
    },
    keys::Form,
    position::LogPosition,
    source::CapturedTable,
};

/// The table id at the head of row events and table maps.
pub(crate) fn table_id(body: &[u8]) -> Result<u64, EventError> {
    let bytes = body.get(..6).ok_or(EventError::Truncated("a table id"))?;
    let mut raw = [0; 8];
    raw[..6].copy_from_slice(bytes);
    Ok(u64::from_le_bytes(raw))
}

/// Whether a row event is its statement's last, by the flags behind the table id.
pub(crate) fn ends_statement(body: &[u8]) -> bool {
    body.get(6).is_some_and(|flags| u16::from(*flags) & RowsEvent::STATEMENT_END != 0)
}

/// Database and table of a TABLE_MAP, without reading the rest of it.
pub(crate) fn map_names(body: &[u8]) -> Result<(&[u8], &[u8]), EventError> {
    const CUT: EventError = EventError::Truncated("a table map");
    let rest = body.get(8..).ok_or(CUT)?;
    let (&len, rest) = rest.split_first().ok_or(CUT)?;
    let database = rest.get(..usize::from(len)).ok_or(CUT)?;
    let rest = rest.get(usize::from(len) + 1..).ok_or(CUT)?;
    let (&len, rest) = rest.split_first().ok_or(CUT)?;
    let table = rest.get(..usize::from(len)).ok_or(CUT)?;
    Ok((database, table))
}

/// Appends a row event's images. On an error the rows before the failed one stay.
pub(crate) fn append(
    frame: &mut FrameBuilder,
    table: &Arc<CapturedTable>,
    plan: &BinlogPlan,
    event_type: u8,
    body: &[u8],
    before: BeforeImages,
) -> Result<(), RowError> {
    let event = RowsEvent::parse(event_type, body)?;
    let is_whole = event.ensure_complete(plan).map_err(RowError::Incomplete)?;
    let completed = (!is_whole).then(|| event.completed(plan));
    let images = completed.as_ref().map_or(event.rows(), |completed| &completed.images);
    let images = Images { bytes: images, ends: &[] };
    let failed = append_images(frame, table, plan, event.kind, images, before)?;
    let mut failed = failed.map(|(_, error)| error);
    let incomplete = completed.as_ref().and_then(|completed| completed.failed.as_ref());
    if let (None, Some((error, row))) = (&failed, incomplete) {
        // Its old row stands first and is whole, the new one is what could not be completed.
        let error = RowError::from(error.clone());
        failed = Some(error.of_row(table, plan, RowsKind::Delete, row));
        frame.cut_row(frame.ordinals());
    }
    failed.map_or(Ok(()), Err)
}

/// Appends the images of held events. On an error the rows before the failed one stay; with it, where the decoder stood at
/// the failed row's event.
pub(crate) fn append_held(
    frame: &mut FrameBuilder,
    held: &Held,
    before: BeforeImages,
) -> Result<(), (Option<LogPosition>, RowError)> {
    let images = Images { bytes: &held.images, ends: &held.ends };
    match append_images(frame, &held.table, &held.plan, held.kind, images, before) {
        Ok(None) => Ok(()),
        Ok(Some((at, error))) => Err((held.place(at).cloned(), error)),
        Err(error) => Err((held.place(0).cloned(), error)),
    }
}

/// Appends the first of the held images, as many as make the largest runs of rows that are decoded together, and says how
/// many bytes they take. A row that has a fault, and those behind it, are left.
pub(crate) fn append_whole_runs(
    frame: &mut FrameBuilder,
    held: &Held,
    before: BeforeImages,
) -> Result<usize, DecodeError> {
    let images = Images { bytes: &held.images, ends: &held.ends };
    let mut ordinal = frame.ordinals();
    let batch = frame.batch(&held.table)?;
    let mut appender = Appender::new(batch, &held.plan, before);
    let taken = appender.many(images, held.kind, &mut ordinal, bulk::ROWS_MAX);
    frame.advance_ordinals(ordinal - frame.ordinals());
    Ok(taken)
}

/// Images one behind the other, and where one event's end and the next one's begin.
#[derive(Clone, Copy)]
struct Images<'e> {
    bytes: &'e [u8],
    ends: &'e [usize],
}

impl<'e> Images<'e> {
    /// What is left of one event's images from here.
    fn of_event(&self, at: usize) -> &'e [u8] {
        let next = self.ends.partition_point(|&end| end <= at);
        let end = self.ends.get(next).copied().unwrap_or(self.bytes.len());
        self.bytes.get(at..end).unwrap_or_default()
    }
}

/// Appends images; a row that fails is cut out, and comes back with its place among the images.
fn append_images(
    frame: &mut FrameBuilder,
    table: &Arc<CapturedTable>,
    plan: &BinlogPlan,
    kind: RowsKind,
    images: Images<'_>,
    before: BeforeImages,
) -> Result<Option<(usize, RowError)>, RowError> {
    let mut ordinal = frame.ordinals();
    let batch = frame.batch(table)?;
    let mut appender = Appender::new(batch, plan, before);
    let done = appender.all(images, kind, &mut ordinal);
    let count = ordinal - frame.ordinals();
    frame.advance_ordinals(count);
    Ok(done.err().map(|(at, error)| {
        frame.cut_row(ordinal);
        (at, error.of_row(table, plan, kind, images.of_event(at)))
    }))
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Incomplete(DecodeError),
    #[error(transparent)]
    Key(#[from] crate::keys::KeyError),
    #[error("a row image has no bytes")]
    NoBytes,
    #[error("{error} (the row with {key})")]
    OfRow { error: Box<RowError>, key: String },
}

impl RowError {
    /// With the key of the row at the start of `images`; of an update, the row as it is now. Nothing is added when the key
    /// cannot be reached either.
    #[cold]
    fn of_row(
        self,
        table: &CapturedTable,
        plan: &BinlogPlan,
        kind: RowsKind,
        images: &[u8],
    ) -> RowError {
        let now = match kind {
            RowsKind::Update => {
                plan.skip_image(images).ok().and_then(|length| images.get(length..))
            }
            RowsKind::Write | RowsKind::Delete => Some(images),
        };
        let mut cells = Vec::new();
        match now.map(|image| plan.key_cells(image, &table.key_columns, &mut cells)) {
            Some(Ok(())) => RowError::OfRow {
                key: table.keys.describe(cells.iter().map(|cell| cell.bytes), Form::Log),
                error: Box::new(self),
            },
            _ => self,
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            RowError::Incomplete(_) => {
                "a session may set binlog_row_image itself: let every session that writes to the table keep it at FULL, \
                 then copy the table anew with an empty checkpoint storage and an empty target"
            }
            RowError::OfRow { error, .. } => error.remedy(),
            _ => {
                "see the option that the message names, or report it; then copy the table anew with an empty checkpoint \
                 storage and an empty target"
            }
        }
    }

    /// In words, with the column's name and the row's key.
    pub(crate) fn describe(&self, schema: &TableSchema) -> String {
        match self {
            RowError::Decode(error) | RowError::Incomplete(error) => error.describe(schema),
            RowError::OfRow { error, key } => {
                format!("{} (the row with {key})", error.describe(schema))
            }
            other => other.to_string(),
        }
    }
}

struct Appender<'f, 'e> {
    batch: &'f mut OpenBatch,
    plan: &'f BinlogPlan,
    before: BeforeImages,
    /// Key cells of the images at hand; kept for their room.
    old: Vec<KeyCell<'e>>,
    new: Vec<KeyCell<'e>>,
}

impl<'f, 'e> Appender<'f, 'e> {
    fn new(batch: &'f mut OpenBatch, plan: &'f BinlogPlan, before: BeforeImages) -> Self {
        Appender { batch, plan, before, old: Vec::new(), new: Vec::new() }
    }

    /// All images; with an error, where its row begins.
    fn all(
        &mut self,
        images: Images<'e>,
        kind: RowsKind,
        ordinal: &mut u32,
    ) -> Result<(), (usize, RowError)> {
        let mut at = self.many(images, kind, ordinal, bulk::ROWS_MIN);
        while at < images.bytes.len() {
            let rest = images.of_event(at);
            let done = match kind {
                RowsKind::Write => self.one(rest, Op::Insert, ordinal),
                RowsKind::Delete => self.one(rest, Op::Delete, ordinal),
                RowsKind::Update => self.update(rest, ordinal),
            };
            match done {
                // A row without a byte would never end.
                Ok(0) => return Err((at, RowError::NoBytes)),
                Ok(taken) => at += taken,
                Err(error) => return Err((at, error)),
            }
        }
        Ok(())
    }

    /// As many of the images as can be decoded together, at least `rows_min` at a time; returns where the rest begins.
    fn many(
        &mut self,
        images: Images<'e>,
        kind: RowsKind,
        ordinal: &mut u32,
        rows_min: usize,
    ) -> usize {
        let op = match kind {
            RowsKind::Write => Op::Insert,
            RowsKind::Delete => Op::Delete,
            RowsKind::Update => return 0,
        };
        let mut at = 0;
        if self.batch.keys.is_some() {
            return at;
        }
        loop {
            let builder = &mut self.batch.builder;
            let Images { bytes, ends } = images;
            let (rows, end) = builder.append_images(self.plan, bytes, at, ends, rows_min);
            if rows == 0 {
                return at;
            }
            // At most 64.
            let next = *ordinal + rows as u32;
            self.batch.ops.extend(std::iter::repeat_n(op, rows));
            self.batch.ordinals.extend(*ordinal..next);
            (*ordinal, at) = (next, end);
        }
    }

    /// One image; returns its length. `ordinal` moves on only when the row is wholly in.
    fn one(&mut self, image: &'e [u8], op: Op, ordinal: &mut u32) -> Result<usize, RowError> {
        let taken = self.batch.builder.append_image(self.plan, image)?;
        self.batch.ops.push(op);
        self.batch.ordinals.push(*ordinal);
        if let Some(keys) = &mut self.batch.keys {
            let table = &self.batch.table;
            self.plan.key_cells(image, &table.key_columns, &mut self.old)?;
            keys.push(&table.keys, self.old.iter().map(|cell| cell.bytes), Form::Log)?;
        }
        *ordinal += 1;
        Ok(taken)
    }

    /// Two images. An update whose key's stored bytes change leaves as delete and insert (correctness §3).
    fn update(&mut self, images: &'e [u8], ordinal: &mut u32) -> Result<usize, RowError> {
        let length = self.plan.skip_image(images)?;
        let after = images.get(length..).unwrap_or_default();
        let columns = &self.batch.table.identity_columns;
        self.plan.key_cells(images, columns, &mut self.old)?;
        self.plan.key_cells(after, columns, &mut self.new)?;
        let same_key = self.old.iter().zip(&self.new).all(|(old, new)| old.bytes == new.bytes);
        let start = *ordinal;
        let result = if same_key {
            let before = match self.before {
                BeforeImages::All => self.one(images, Op::UpdateBefore, ordinal).map(drop),
                BeforeImages::Deletes => Ok(()),
            };
            before.and_then(|()| self.one(after, Op::UpdateAfter, ordinal))
        } else {
            self.one(images, Op::Delete, ordinal).and_then(|_| self.one(after, Op::Insert, ordinal))
        };
        if result.is_err() {
            // Half an update is none.
            *ordinal = start;
        }
        Ok(length + result?)
    }
}
