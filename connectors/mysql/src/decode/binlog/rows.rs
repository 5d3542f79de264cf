//! WRITE, UPDATE and DELETE ROWS events: their headers, and the row images behind them.

use super::plan::BinlogPlan;
use crate::decode::{DecodeError, cursor::Cursor, error::Fault};

mod code {
    pub(super) const WRITE_V1: u8 = 23;
    pub(super) const UPDATE_V1: u8 = 24;
    pub(super) const DELETE_V1: u8 = 25;
    pub(super) const WRITE: u8 = 30;
    pub(super) const UPDATE: u8 = 31;
    pub(super) const DELETE: u8 = 32;
    pub(super) const PARTIAL_UPDATE: u8 = 39;
    /// MariaDB's compressed events, three of version 1 and three of version 2.
    pub(super) const WRITE_COMPRESSED_V1: u8 = 166;
    pub(super) const UPDATE_COMPRESSED_V1: u8 = 167;
    pub(super) const DELETE_COMPRESSED_V1: u8 = 168;
    pub(super) const WRITE_COMPRESSED: u8 = 169;
    pub(super) const UPDATE_COMPRESSED: u8 = 170;
    pub(super) const DELETE_COMPRESSED: u8 = 171;
}

/// What a row event does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowsKind {
    /// Inserts rows: one image each, after.
    Write,
    /// Updates rows: two images each, before and after.
    Update,
    /// Deletes rows: one image each, before.
    Delete,
}

/// Which image of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// The row before an update or delete.
    Before,
    /// The row after an insert or update.
    After,
}

impl RowsKind {
    /// What an event of this type does, and whether its images are compressed; none when it is no row event that we
    /// decode.
    pub fn of(event_type: u8) -> Option<(Self, bool)> {
        Some(match event_type {
            code::WRITE | code::WRITE_V1 => (RowsKind::Write, false),
            code::UPDATE | code::UPDATE_V1 | code::PARTIAL_UPDATE => (RowsKind::Update, false),
            code::DELETE | code::DELETE_V1 => (RowsKind::Delete, false),
            code::WRITE_COMPRESSED | code::WRITE_COMPRESSED_V1 => (RowsKind::Write, true),
            code::UPDATE_COMPRESSED | code::UPDATE_COMPRESSED_V1 => (RowsKind::Update, true),
            code::DELETE_COMPRESSED | code::DELETE_COMPRESSED_V1 => (RowsKind::Delete, true),
            _ => return None,
        })
    }
}

/// Whether events of this type have the second version's extra data.
fn has_extra_data(event_type: u8) -> bool {
    matches!(
        event_type,
        code::WRITE..=code::DELETE
            | code::PARTIAL_UPDATE
            | code::WRITE_COMPRESSED..=code::DELETE_COMPRESSED
    )
}

/// One bit a column, lowest first; a bit beyond the end is not set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bitmap<'a>(pub(super) &'a [u8]);

impl Bitmap<'_> {
    pub(super) fn has(&self, at: usize) -> bool {
        self.0.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
    }

    /// Whether all of the first `count` are there: asked of every event, so by words.
    fn is_full(&self, count: usize) -> bool {
        let Some((whole, rest)) = self.0.split_at_checked(count / 8) else { return false };
        let (words, bytes) = whole.as_chunks::<8>();
        let last = (1u8 << (count % 8)) - 1;
        words.iter().all(|word| *word == [0xFF; 8])
            && bytes.iter().all(|byte| *byte == 0xFF)
            && (last == 0 || rest.first().is_some_and(|byte| byte & last == last))
    }
}

/// A row event's header, and its images as they are.
#[derive(Debug, Clone, Copy)]
pub struct RowsEvent<'a> {
    /// What it does.
    pub kind: RowsKind,
    /// The table, by the number of its last TABLE_MAP.
    pub table_id: u64,
    /// Event flags.
    pub flags: u16,
    columns: usize,
    is_partial: bool,
    /// Which columns the images have: before (or only), after.
    present: [&'a [u8]; 2],
    images: &'a [u8],
}

impl<'a> RowsEvent<'a> {
    /// Set on the last event of a statement.
    pub const STATEMENT_END: u16 = 1;

    /// Parses an event body; compressed ones go through [`super::inflate_rows`] first.
    ///
    /// # Errors
    /// When the body is no row event.
    pub fn parse(event_type: u8, body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        let event = Self::header(event_type, &mut cursor)
            .map_err(|fault| DecodeError::new(format!("row event: {fault}"), cursor.at()))?;
        Ok(RowsEvent { images: cursor.rest(), ..event })
    }

    /// Reads all before the images.
    pub(super) fn header(event_type: u8, cursor: &mut Cursor<'a>) -> Result<Self, Fault> {
        let (kind, _) = RowsKind::of(event_type)
            .ok_or_else(|| Fault::new(format!("event type {event_type} is no row event")))?;
        let table_id = cursor.uint_le(6)?;
        let flags = cursor.u16()?;
        if has_extra_data(event_type) {
            // The length counts its own two bytes.
            let length = usize::from(cursor.u16()?);
            cursor.take(length.checked_sub(2).ok_or_else(Fault::cut_off)?)?;
        }
        let columns = usize::try_from(cursor.lenenc()?).map_err(|_| Fault::cut_off())?;
        let first = cursor.take(columns.div_ceil(8))?;
        let second = match kind {
            RowsKind::Update => cursor.take(columns.div_ceil(8))?,
            RowsKind::Write | RowsKind::Delete => first,
        };
        let present = [first, second];
        let is_partial = event_type == code::PARTIAL_UPDATE;
        Ok(RowsEvent { kind, table_id, flags, columns, is_partial, present, images: &[] })
    }

    /// All images, one behind the other.
    pub fn rows(&self) -> &'a [u8] {
        self.images
    }

    /// Whether every image has every column of the plan; if not, [`RowsEvent::completed`] makes them so.
    ///
    /// # Errors
    /// Naming the first column that is missing and cannot be known: the image of an insert, a delete or an update's old
    /// row is not whole (`binlog_row_image` is not FULL).
    pub fn ensure_complete(&self, plan: &BinlogPlan) -> Result<bool, DecodeError> {
        if self.columns != plan.columns() {
            let what =
                format!("the row event has {} columns, its table {}", self.columns, plan.columns());
            return Err(DecodeError::new(what, 0));
        }
        let [first, second] = self.present.map(Bitmap);
        if first.is_full(self.columns) && second.is_full(self.columns) {
            return Ok(!self.is_partial);
        }
        if let Some(missing) = (0..self.columns).find(|&column| !first.has(column)) {
            return Err(DecodeError {
                what: "the row image lacks it: binlog_row_image was not FULL".into(),
                column: Some(missing),
                offset: 0,
            });
        }
        Ok(!self.is_partial && (0..self.columns).all(|column| second.has(column)))
    }

    /// Which columns the after images have.
    pub(super) fn after_columns(&self) -> Bitmap<'a> {
        let [_, second] = self.present;
        Bitmap(second)
    }

    /// Whether JSON columns of after images may hold changes.
    pub(super) fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Which images a row has, in order.
    pub fn halves(&self) -> &'static [Half] {
        match self.kind {
            RowsKind::Write => &[Half::After],
            RowsKind::Update => &[Half::Before, Half::After],
            RowsKind::Delete => &[Half::Before],
        }
    }

    /// Walks the images one by one without decoding them. Whoever decodes all of them need not: the length of an image is
    /// what [`crate::decode::BatchBuilder::append_image`] returns.
    ///
    /// # Errors
    /// As [`RowsEvent::ensure_complete`], and when the images have to be completed first.
    pub fn images<'p>(&self, plan: &'p BinlogPlan) -> Result<Images<'a, 'p>, DecodeError> {
        if !self.ensure_complete(plan)? {
            return Err(DecodeError::new("the after images are not whole", 0));
        }
        Ok(Images { plan, halves: self.halves(), nth: 0, rest: self.images })
    }
}

/// The images of a row event, each as (half, bytes). After an error it ends.
#[derive(Debug)]
pub struct Images<'a, 'p> {
    plan: &'p BinlogPlan,
    halves: &'static [Half],
    nth: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Images<'a, '_> {
    type Item = Result<(Half, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let half = *self.halves.get(self.nth % self.halves.len())?;
        if self.rest.is_empty() {
            if self.nth.is_multiple_of(self.halves.len()) {
                return None;
            }
            self.nth = 0;
            return Some(Err(DecodeError::new("the row event ends before an after image", 0)));
        }
        match self.plan.skip_image(self.rest) {
            Ok(taken) => {
                let (image, rest) = self.rest.split_at_checked(taken)?;
                self.rest = rest;
                self.nth += 1;
                Some(Ok((half, image)))
            }
            Err(error) => {
                (self.rest, self.nth) = (&[], 0);
                Some(Err(error))
            }
        }
    }
}
