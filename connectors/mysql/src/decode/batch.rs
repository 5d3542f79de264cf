//! Rows of one table version on their way to a record batch.

use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::DataType;
use cdc_api::TableSchema;

use super::{
    binlog::BinlogPlan,
    builder::{ColumnBuilder, Expected, Lending, Lent},
    bulk,
    cursor::Cursor,
    error::{DecodeError, Fault},
    result::ResultPlan,
    step::{Inflater, Step},
};
use crate::types::{ColumnCodec, TableCodec};

/// The stored bytes of one key column of one row. From the log: integers, FLOAT, DOUBLE, YEAR, DATE, ENUM and SET
/// little-endian in their width, DECIMAL packed, TIME/DATETIME/TIMESTAMP packed big-endian, BIT big-endian, text and bytes
/// without their length (CHAR without trailing spaces, BINARY without trailing 0x00). From a result set: the cell of the
/// binary protocol without its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCell<'a> {
    /// The column's position in the table.
    pub column: usize,
    /// The bytes; none for NULL.
    pub bytes: Option<&'a [u8]>,
}

#[derive(Debug)]
pub(super) struct ColumnState {
    pub(super) builder: ColumnBuilder,
    /// How many values a policy made null since the last [`BatchBuilder::take_nulled`].
    pub(super) nulled: u64,
    pub(super) inflater: Inflater,
}

/// Builds record batches of one table version from images of the log and rows of results alike. After a failed append it
/// is as it was before: nothing of the failed row remains, the caller may go on or finish what is there.
#[derive(Debug)]
pub struct BatchBuilder {
    schema: Arc<TableSchema>,
    codecs: Arc<[ColumnCodec]>,
    columns: Vec<ColumnState>,
    rows: usize,
    /// Bytes of one row in fixed-width buffers, and all row bytes that were appended: [`BatchBuilder::bytes`].
    row_width_bytes: usize,
    appended_bytes: usize,
    found: bulk::Found,
    rows_expected: Expected,
    /// Buffers of the batches before, and room for those of the next.
    lent: Lent,
    lending: Lending,
}

impl BatchBuilder {
    /// A builder with room for `capacity` rows.
    ///
    /// # Errors
    /// When a column's type is not one of the value model.
    pub fn new(codec: &TableCodec, capacity: usize) -> Result<Self, DecodeError> {
        let fields = codec.schema().arrow().fields();
        let mut columns = Vec::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            let builder = ColumnBuilder::of(field.data_type(), capacity).ok_or_else(|| {
                let mut error = DecodeError::new("internal: the type has no builder", 0);
                error.column = Some(at);
                error
            })?;
            columns.push(ColumnState { builder, nulled: 0, inflater: None });
        }
        Ok(BatchBuilder {
            schema: Arc::clone(codec.schema()),
            codecs: Arc::clone(codec.columns()),
            columns,
            rows: 0,
            row_width_bytes: fields.iter().map(|field| width_bytes(field.data_type())).sum(),
            appended_bytes: 0,
            found: bulk::Found::default(),
            rows_expected: Expected::default(),
            lent: Lent::default(),
            lending: Lending::default(),
        })
    }

    /// Whether it builds rows of this table version.
    pub fn is_of(&self, codec: &TableCodec) -> bool {
        Arc::ptr_eq(&self.codecs, codec.columns())
    }

    /// The schema of its batches.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// Rows appended so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// About the bytes that its buffers hold, for budgets; costs nothing to ask.
    pub fn bytes(&self) -> usize {
        self.rows * self.row_width_bytes + self.appended_bytes
    }

    /// How many rows the next batch may have, by those before; 0 for the first.
    pub(crate) fn rows_expected(&self) -> usize {
        self.rows_expected.count()
    }

    /// Gets room for as many rows as the batches before had: that of one that nobody needs any more, if there is one. To be
    /// called between batches; without it the room grows with the rows.
    pub fn make_room(&mut self) {
        if self.rows > 0 {
            return;
        }
        let mut returned = self.lent.take_back();
        let rows = self.rows_expected.count();
        self.columns.iter_mut().for_each(|column| column.builder.make_room(rows, &mut returned));
        self.lending = Lending::in_place_of(returned);
    }

    /// Appends the row image at the start of `image` and says how many bytes it took.
    ///
    /// # Errors
    /// When the bytes are no such image, or a value breaks its policy. The builder is then as before the call.
    pub fn append_image(&mut self, plan: &BinlogPlan, image: &[u8]) -> Result<usize, DecodeError> {
        if !Arc::ptr_eq(&plan.codecs, &self.codecs) {
            return Err(DecodeError::new("internal: the plan is of another table version", 0));
        }
        let mut cursor = Cursor::new(image);
        let nulls =
            cursor.take(plan.null_bytes()).map_err(|fault| DecodeError::of(fault, cursor.at()))?;
        self.append(&plan.steps, nulls, 0, &mut cursor)
    }

    /// Appends some of the row images that begin at `at`, which stand one behind the other, and says how many, and where the next
    /// begins; none when they are fewer than `rows_min`. One has to end at each of `ends`. This is quicker than one by one, and
    /// takes none where a row has a fault: [`BatchBuilder::append_image`] goes on from there.
    pub fn append_images(
        &mut self,
        plan: &BinlogPlan,
        images: &[u8],
        at: usize,
        ends: &[usize],
        rows_min: usize,
    ) -> (usize, usize) {
        let Some(shape) = &plan.shape else { return (0, at) };
        if !Arc::ptr_eq(&plan.codecs, &self.codecs) {
            return (0, at);
        }
        let images = bulk::Images { bytes: images, at, ends };
        let (columns, found) = (&mut self.columns, &mut self.found);
        match bulk::append(plan, shape, columns, self.rows, found, images, rows_min) {
            Ok((rows, end)) if rows > 0 => {
                self.rows += rows;
                self.appended_bytes += end - at;
                (rows, end)
            }
            Ok(_) => (0, at),
            Err(_) => {
                self.cut_back();
                (0, at)
            }
        }
    }

    /// Appends one row packet of a binary-protocol result set.
    ///
    /// # Errors
    /// As [`BatchBuilder::append_image`].
    pub fn append_row(&mut self, plan: &ResultPlan, packet: &[u8]) -> Result<(), DecodeError> {
        if !Arc::ptr_eq(&plan.codecs, &self.codecs) {
            return Err(DecodeError::new("internal: the plan is of another table version", 0));
        }
        let mut cursor = Cursor::new(packet);
        let nulls = plan.header(&mut cursor)?;
        let taken = self.append(&plan.steps, nulls, ResultPlan::NULL_BIT_OFFSET, &mut cursor)?;
        if taken != packet.len() && plan.extra_columns == 0 {
            self.rows -= 1;
            self.cut_back();
            return Err(DecodeError::new("bytes are left over behind the last column", taken));
        }
        Ok(())
    }

    #[inline]
    fn append(
        &mut self,
        steps: &[Step],
        nulls: &[u8],
        null_bit_offset: usize,
        cursor: &mut Cursor<'_>,
    ) -> Result<usize, DecodeError> {
        let (columns, codecs) = (&mut self.columns, &self.codecs);
        let done = if has_null(nulls, null_bit_offset, steps.len()) {
            append_cells::<true>(columns, codecs, steps, nulls, null_bit_offset, cursor)
        } else {
            append_cells::<false>(columns, codecs, steps, nulls, null_bit_offset, cursor)
        };
        match done {
            Ok(()) => {
                self.rows += 1;
                self.appended_bytes += cursor.at();
                Ok(cursor.at())
            }
            Err(error) => {
                self.cut_back();
                Err(error)
            }
        }
    }

    #[cold]
    fn cut_back(&mut self) {
        let rows = self.rows;
        self.columns.iter_mut().for_each(|column| column.builder.truncate(rows));
    }

    /// Per column, how many values a policy made null since this was last asked: (position, count), zeros left out.
    pub fn take_nulled(&mut self) -> Vec<(usize, u64)> {
        self.columns
            .iter_mut()
            .enumerate()
            .map(|(at, column)| (at, std::mem::take(&mut column.nulled)))
            .filter(|&(_, count)| count > 0)
            .collect()
    }

    /// Takes the rows as a batch; the builder is empty again, and has no room: see [`BatchBuilder::make_room`].
    ///
    /// # Errors
    /// When a charset's tables gave something that is not UTF-8: nothing of the batch can be used then.
    pub fn finish(&mut self) -> Result<RecordBatch, DecodeError> {
        let arrow = Arc::clone(self.schema.arrow());
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows_expected.note(self.rows);
        self.rows = 0;
        self.appended_bytes = 0;
        let mut lending = std::mem::take(&mut self.lending);
        let mut arrays = Vec::with_capacity(self.columns.len());
        let mut failed = None;
        for (at, (column, field)) in self.columns.iter_mut().zip(arrow.fields()).enumerate() {
            match column.builder.finish(field.data_type(), &mut lending) {
                Ok(array) => arrays.push(array),
                // The other columns are emptied all the same.
                Err(error) => failed = failed.or(Some((at, error))),
            }
        }
        if let Some((at, error)) = failed {
            let mut failed = DecodeError::new(format!("internal: {error}"), 0);
            failed.column = Some(at);
            return Err(failed);
        }
        self.lent.lend(lending);
        RecordBatch::try_new_with_options(arrow, arrays, &options)
            .map_err(|error| DecodeError::new(format!("internal: {error}"), 0))
    }
}

/// Whether the bitmap marks any of the columns. The bits behind the last column mean nothing: MySQL leaves them set.
#[inline]
fn has_null(nulls: &[u8], null_bit_offset: usize, columns: usize) -> bool {
    let bits = columns + null_bit_offset;
    let (whole, rest) = nulls.split_at(nulls.len().min(bits / 8));
    let tail = rest.first().is_some_and(|byte| byte & ((1u8 << (bits % 8)) - 1) != 0);
    // A bitmap that is too short counts as full of nulls.
    tail || whole.iter().any(|&byte| byte != 0) || nulls.len() * 8 < bits
}

#[inline]
fn is_null(nulls: &[u8], bit: usize) -> bool {
    nulls.get(bit >> 3).is_none_or(|byte| byte >> (bit & 7) & 1 == 1)
}

/// The inner loop of both decoders: one step per column. Compiled without a look at the bitmap for rows that have no null.
#[inline]
fn append_cells<const NULLS: bool>(
    columns: &mut [ColumnState],
    codecs: &[ColumnCodec],
    steps: &[Step],
    nulls: &[u8],
    null_bit_offset: usize,
    row: &mut Cursor<'_>,
) -> Result<(), DecodeError> {
    let mut cursor = *row;
    let count = steps.len();
    let (Some(columns), Some(codecs)) = (columns.get_mut(..count), codecs.get(..count)) else {
        return Err(DecodeError::new("internal: the plan has more columns than the table", 0));
    };
    for at in 0..count {
        let (step, column, codec) = (&steps[at], &mut columns[at], &codecs[at]);
        if NULLS && is_null(nulls, at + null_bit_offset) {
            append_null(column, codec)
                .map_err(|fault| DecodeError::of_column(fault, at, cursor.at()))?;
            continue;
        }
        let start = cursor.at();
        if let Err(fault) = step.append(&mut cursor, column, codec) {
            return Err(DecodeError::of_column(fault, at, start));
        }
    }
    *row = cursor;
    Ok(())
}

#[inline]
fn append_null(column: &mut ColumnState, codec: &ColumnCodec) -> Result<(), Fault> {
    if !codec.nullable {
        return Err(Fault::new("NULL in a column that is NOT NULL"));
    }
    column.builder.push_null();
    Ok(())
}

/// Walks a row without decoding it; `key_cells` and `skip_image` of both plans are made of it.
pub(super) fn walk_cells<'a>(
    steps: &[Step],
    nulls: &[u8],
    null_bit_offset: usize,
    cursor: &mut Cursor<'a>,
    mut seen: impl FnMut(usize, Option<&'a [u8]>),
) -> Result<(), DecodeError> {
    for (at, step) in steps.iter().enumerate() {
        if is_null(nulls, at + null_bit_offset) {
            seen(at, None);
            continue;
        }
        let start = cursor.at();
        let cell = step.cell(cursor).map_err(|fault| DecodeError::of_column(fault, at, start))?;
        seen(at, Some(cell));
    }
    Ok(())
}

/// The stored cells of some columns, in the order asked for; reads no further than the last of them.
pub(super) fn cells_of<'a>(
    steps: &[Step],
    nulls: &[u8],
    null_bit_offset: usize,
    cursor: &mut Cursor<'a>,
    key_columns: &[usize],
    cells: &mut Vec<KeyCell<'a>>,
) -> Result<(), DecodeError> {
    cells.clear();
    cells.extend(key_columns.iter().map(|&column| KeyCell { column, bytes: None }));
    let Some(&last) = key_columns.iter().max() else { return Ok(()) };
    let steps = steps
        .get(..=last)
        .ok_or_else(|| DecodeError::new("internal: a key names no column", cursor.at()))?;
    walk_cells(steps, nulls, null_bit_offset, cursor, |at, bytes| {
        for cell in cells.iter_mut().filter(|cell| cell.column == at) {
            cell.bytes = bytes;
        }
    })
}

fn width_bytes(ty: &DataType) -> usize {
    match ty {
        DataType::Boolean => 1,
        DataType::Decimal128(..) => 16,
        DataType::Utf8 | DataType::Binary | DataType::List(_) => 4,
        other => other.primitive_width().unwrap_or(8),
    }
}
