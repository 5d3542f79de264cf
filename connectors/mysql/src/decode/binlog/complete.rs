//! Update events whose after images hold only what changed, made into whole images: JSON columns as changes
//! (PARTIAL_UPDATE_ROWS), and columns left out because they are as they were (FULL_NODUP, or NOBLOB without a key). The
//! before images must be whole; the result is what the event would have held with `binlog_row_image = FULL` alone.
//!
//! An after image of a PARTIAL_UPDATE_ROWS event begins with its options (bit 0: there are changes), and then with one bit
//! for each JSON column of the table.

use super::{
    plan::BinlogPlan,
    rows::{Bitmap, RowsEvent},
};
use crate::decode::{
    DecodeError,
    cursor::Cursor,
    error::Fault,
    jsonb,
    step::{Extent, Step},
};

/// The images of an event, whole.
#[derive(Debug)]
pub struct Completed {
    /// Before and after images, one behind the other, of all rows ahead of one that could not be completed.
    pub images: Vec<u8>,
    /// Why a row could not be completed, and its images as they came.
    pub failed: Option<(DecodeError, Box<[u8]>)>,
}

/// The options of an after image.
const HAS_JSON_CHANGES: u64 = 1;

/// One column of a before image.
#[derive(Clone, Copy)]
struct Cell<'a> {
    /// With its length; none for NULL.
    stored: Option<&'a [u8]>,
    /// Without.
    content: &'a [u8],
}

impl RowsEvent<'_> {
    /// Completes the images of an update of which [`RowsEvent::ensure_complete`] says that it can be done. No image becomes
    /// longer than a small multiple of its row's bytes.
    pub fn completed(&self, plan: &BinlogPlan) -> Completed {
        let mut completed = Completed { images: Vec::new(), failed: None };
        let mut rest = Cursor::new(self.rows());
        while !rest.is_empty() {
            let start = rest;
            let whole_until = completed.images.len();
            let row = Row { event: self, plan, before: Vec::with_capacity(plan.columns()) };
            if let Err(error) = row.complete(&mut rest, &mut completed.images) {
                completed.images.truncate(whole_until);
                completed.failed = Some((error, start.rest().into()));
                break;
            }
        }
        completed
    }
}

struct Row<'e, 'p> {
    event: &'e RowsEvent<'e>,
    plan: &'p BinlogPlan,
    before: Vec<Cell<'e>>,
}

impl<'e> Row<'e, '_> {
    /// Appends both images of the next row.
    fn complete(mut self, rest: &mut Cursor<'e>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let whole = *rest;
        self.read_before(rest)?;
        let before_bytes = rest.at() - whole.at();
        let at = rest.at();
        let before = whole.rest().get(..before_bytes);
        out.extend_from_slice(before.ok_or_else(|| DecodeError::of(Fault::cut_off(), at))?);
        self.after(rest, out)
    }

    fn read_before(&mut self, rest: &mut Cursor<'e>) -> Result<(), DecodeError> {
        let at = rest.at();
        let nulls =
            rest.take(self.plan.null_bytes()).map_err(|fault| DecodeError::of(fault, at))?;
        for (column, step) in self.plan.steps.iter().enumerate() {
            let cell = if Bitmap(nulls).has(column) {
                Cell { stored: None, content: &[] }
            } else {
                let at = rest.at();
                stored_cell(step, rest)
                    .map_err(|fault| DecodeError::of_column(fault, column, at))?
            };
            self.before.push(cell);
        }
        Ok(())
    }

    /// Reads the after image and appends it with all its columns.
    fn after(&self, rest: &mut Cursor<'e>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let at = rest.at();
        let present = self.event.after_columns();
        let (partial, nulls) = self.after_head(rest).map_err(|fault| DecodeError::of(fault, at))?;
        let nulls_at = out.len();
        out.resize(nulls_at + self.plan.null_bytes(), 0);
        let (mut nth_present, mut nth_json) = (0, 0);
        for (column, (step, before)) in self.plan.steps.iter().zip(&self.before).enumerate() {
            let is_json = matches!(step, Step::Jsonb(_));
            let is_partial = is_json && partial.is_some_and(|bits| bits.has(nth_json));
            nth_json += usize::from(is_json);
            let at = rest.at();
            let is_null = if !present.has(column) {
                out.extend_from_slice(before.stored.unwrap_or_default());
                before.stored.is_none()
            } else {
                let is_null = nulls.has(nth_present);
                nth_present += 1;
                if !is_null {
                    self.after_cell(step, *before, is_partial, rest, out)
                        .map_err(|fault| DecodeError::of_column(fault, column, at))?;
                }
                is_null
            };
            if is_null && let Some(byte) = out.get_mut(nulls_at + column / 8) {
                *byte |= 1 << (column % 8);
            }
        }
        Ok(())
    }

    /// The bits of JSON columns that hold changes, if any does, and the bits of columns that are null.
    fn after_head(&self, rest: &mut Cursor<'e>) -> Result<(Option<Bitmap<'e>>, Bitmap<'e>), Fault> {
        let mut partial = None;
        if self.event.is_partial() {
            let options = rest.lenenc()?;
            if options & !HAS_JSON_CHANGES != 0 {
                return Err(Fault::new(format!("a partial update has the options {options:#x}")));
            }
            if options & HAS_JSON_CHANGES != 0 {
                let is_json = |step: &&Step| matches!(step, Step::Jsonb(_));
                let columns = self.plan.steps.iter().filter(is_json).count();
                partial = Some(Bitmap(rest.take(columns.div_ceil(8))?));
            }
        }
        let present = self.event.after_columns();
        let count = (0..self.plan.columns()).filter(|&column| present.has(column)).count();
        Ok((partial, Bitmap(rest.take(count.div_ceil(8))?)))
    }

    fn after_cell(
        &self,
        step: &Step,
        before: Cell<'e>,
        is_partial: bool,
        rest: &mut Cursor<'e>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if !is_partial {
            out.extend_from_slice(stored_cell(step, rest)?.stored.unwrap_or_default());
            return Ok(());
        }
        let Step::Jsonb(extent) = *step else { return Err(Fault::wrong_builder()) };
        let length = rest.u32()? as usize;
        let diffs = rest.take(length)?;
        if before.stored.is_none() {
            return Err(Fault::new("a partial JSON update of NULL"));
        }
        let width = match extent {
            Extent::One => 1,
            Extent::Two => 2,
            Extent::Three => 3,
            Extent::Four => 4,
            Extent::Fixed(_) | Extent::Lenenc => return Err(Fault::wrong_builder()),
        };
        let start = out.len();
        out.resize(start + width, 0);
        jsonb::apply(before.content, diffs, out)?;
        let length = (out.len() - start - width) as u64;
        if length >> (8 * width) != 0 {
            return Err(Fault::new("a JSON document is longer than its column"));
        }
        for (byte, value) in out.iter_mut().skip(start).take(width).zip(length.to_le_bytes()) {
            *byte = value;
        }
        Ok(())
    }
}

fn stored_cell<'e>(step: &Step, rest: &mut Cursor<'e>) -> Result<Cell<'e>, Fault> {
    let start = *rest;
    let content = step.cell(rest)?;
    Ok(Cell { stored: start.rest().get(..rest.at() - start.at()), content })
}
