//! Rows of a source table under its sink table's schema: columns by name, missing ones null, narrower types widened. A value
//! that does not fit is an error that names it, never a silent null.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, RecordBatch, StringArray, builder::StringBuilder, new_null_array,
};
use arrow_cast::{
    CastOptions, cast_with_options,
    display::{ArrayFormatter, FormatOptions},
};
use arrow_schema::{DataType, SchemaRef};
use cdc_api::{ChangeBatch, Error, LogicalType, Result, TableSchema};

use super::widen::widen;

/// How one column of the sink is made.
#[derive(Debug, Clone)]
enum Source {
    /// It is this column.
    Same(usize),
    /// This column, widened.
    Cast { at: usize, from: LogicalType, to: LogicalType },
    /// The source has none.
    Missing(DataType),
}

/// How rows of one schema become rows of another; none of its steps when both are the same.
#[derive(Debug, Clone)]
pub(super) struct Coercion {
    columns: Vec<Source>,
    is_identity: bool,
    schema: SchemaRef,
}

impl Coercion {
    /// # Errors
    /// `Data` when a value of the source's type has no form in the sink's.
    pub(super) fn plan(from: &TableSchema, to: &TableSchema) -> Result<Coercion> {
        let mut columns = Vec::with_capacity(to.columns().len());
        for column in to.columns() {
            let found = from.columns().iter().position(|source| source.name == column.name);
            let Some((at, source)) = found.and_then(|at| Some((at, from.columns().get(at)?)))
            else {
                columns.push(Source::Missing(column.logical.arrow()));
                continue;
            };
            if source.logical.arrow() == column.logical.arrow() {
                columns.push(Source::Same(at));
                continue;
            }
            if !is_castable(&source.logical, &column.logical) {
                return Err(Error::data(
                    from.id().clone(),
                    format!(
                        "column `{}` of table \"{}\" does not fit sink table \"{}\"",
                        column.name,
                        from.id(),
                        to.id()
                    ),
                )
                .detail(format!("it is {}, the sink has {}", source.logical, column.logical))
                .hint("let the sink follow type changes (`schema.change.behavior: EVOLVE` or LENIENT), or change the type back"));
            }
            columns.push(Source::Cast {
                at,
                from: source.logical.clone(),
                to: column.logical.clone(),
            });
        }
        let is_identity = from.columns().len() == columns.len()
            && columns
                .iter()
                .enumerate()
                .all(|(at, source)| matches!(source, Source::Same(same) if *same == at));
        Ok(Coercion { columns, is_identity, schema: Arc::clone(to.arrow()) })
    }

    /// The batch's rows in the sink's schema.
    ///
    /// # Errors
    /// `Data` for a value that does not fit.
    pub(super) fn apply(&self, batch: &ChangeBatch, to: &TableSchema) -> Result<RecordBatch> {
        if self.is_identity && batch.rows.schema_ref() == &self.schema {
            return Ok(batch.rows.clone());
        }
        let rows = batch.rows.num_rows();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (source, column) in self.columns.iter().zip(to.columns()) {
            columns.push(match source {
                Source::Same(at) => Arc::clone(batch.rows.column(*at)),
                Source::Missing(ty) => new_null_array(ty, rows),
                Source::Cast { at, from, to } => cast(batch.rows.column(*at), from, to)
                    .map_err(|row| unfit(batch, &column.name, from, to, row))?,
            });
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| {
            Error::data(
                batch.schema.id().clone(),
                format!(
                    "rows of table \"{}\" do not fit sink table \"{}\"",
                    batch.schema.id(),
                    to.id()
                ),
            )
            .detail(error.to_string())
            .hint(
                "let the sink follow schema changes (`schema.change.behavior: EVOLVE` or LENIENT)",
            )
        })
    }
}

#[cold]
fn unfit(
    batch: &ChangeBatch,
    column: &str,
    from: &LogicalType,
    to: &LogicalType,
    row: usize,
) -> Error {
    let id = batch.schema.id();
    let key: Vec<String> = batch
        .schema
        .primary_key()
        .iter()
        .filter_map(|&at| {
            let formatter =
                ArrayFormatter::try_new(batch.rows.column(at), &FormatOptions::default()).ok()?;
            let name = &batch.schema.columns().get(at)?.name;
            Some(format!("`{name}` = {}", formatter.value(row)))
        })
        .collect();
    let place = batch.txn_of_rows().nth(row).map(|txn| format!(" at {}:{}", txn.file, txn.pos));
    Error::data(id.clone(), format!("a value of column `{column}` of table \"{id}\" does not fit its sink"))
        .detail(format!(
            "{from} into {to}, the row with {}{}",
            key.join(", "),
            place.unwrap_or_default()
        ))
        .hint("widen the sink's column, route the table to a sink table of its own, or leave it out with `tables.exclude`")
}

/// Whether values of one type have a form in the other at all; single values may still not fit.
fn is_castable(from: &LogicalType, to: &LogicalType) -> bool {
    use LogicalType as L;
    let is_number = |ty: &L| {
        matches!(
            ty,
            L::TinyInt
                | L::SmallInt
                | L::Int
                | L::BigInt
                | L::Float
                | L::Double
                | L::Decimal { .. }
        )
    };
    let is_text = |ty: &L| ty.arrow() == DataType::Utf8;
    let is_time = |ty: &L| matches!(ty, L::Date | L::Timestamp(_) | L::TimestampLtz(_));
    is_text(to)
        || (is_number(from) && is_number(to))
        || (is_time(from) && is_time(to))
        || matches!((from, to), (L::Time(_), L::Time(_)))
        || matches!((from, to), (L::Boolean, to) if is_number(to))
}

/// The column in another type, or the first row whose value does not fit.
fn cast(array: &ArrayRef, from: &LogicalType, to: &LogicalType) -> Result<ArrayRef, usize> {
    if to.arrow() == DataType::Utf8 {
        return text(array, from);
    }
    // What does not fit becomes null and is found by that.
    let options = CastOptions { safe: true, format_options: FormatOptions::default() };
    let cast = cast_with_options(array, &to.arrow(), &options).map_err(|_| 0_usize)?;
    if cast.null_count() > array.null_count() {
        let lost = (0..array.len()).find(|&row| array.is_valid(row) && cast.is_null(row));
        return Err(lost.unwrap_or(0));
    }
    match changed(array, &cast, from, to) {
        Some(row) => Err(row),
        None => Ok(cast),
    }
}

/// The first row whose value the cast made another one: rounded, cut off, without its time of day. By reading it back; what
/// is wider by the rules of merging (BIGINT into DOUBLE among them) is right by them.
fn changed(
    array: &ArrayRef,
    cast: &ArrayRef,
    from: &LogicalType,
    to: &LogicalType,
) -> Option<usize> {
    use LogicalType::Decimal;
    let is_wider = match (from, to) {
        (Decimal { scale, .. }, Decimal { scale: after, .. }) => after >= scale,
        _ => widen(from, to) == *to,
    };
    if is_wider {
        return None;
    }
    let options = CastOptions { safe: true, format_options: FormatOptions::default() };
    let Ok(back) = cast_with_options(cast, array.data_type(), &options) else { return Some(0) };
    if back.as_ref() == array.as_ref() {
        return None;
    }
    (0..array.len()).find(|&row| array.slice(row, 1).as_ref() != back.slice(row, 1).as_ref())
}

/// Numbers plain, dates and times as `2026-01-31 12:00:00.5`, bytes in base64, lists as JSON.
fn text(array: &ArrayRef, from: &LogicalType) -> Result<ArrayRef, usize> {
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 8);
    if let Some(bytes) = array.as_any().downcast_ref::<BinaryArray>() {
        for value in bytes {
            builder.append_option(value.map(base64));
        }
        return Ok(Arc::new(builder.finish()));
    }
    if let Some(same) = array.as_any().downcast_ref::<StringArray>() {
        return Ok(Arc::new(same.clone()));
    }
    let is_zoned = matches!(from, LogicalType::TimestampLtz(_) | LogicalType::TimestampTz(_));
    let pattern = if is_zoned { "%Y-%m-%d %H:%M:%S%.fZ" } else { "%Y-%m-%d %H:%M:%S%.f" };
    let format = FormatOptions::default()
        .with_timestamp_format(Some(pattern))
        .with_timestamp_tz_format(Some(pattern))
        .with_time_format(Some("%H:%M:%S%.f"));
    let formatter = ArrayFormatter::try_new(array, &format).map_err(|_| 0_usize)?;
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
        } else {
            builder.append_value(formatter.value(row).try_to_string().map_err(|_| row)?);
        }
    }
    Ok(Arc::new(builder.finish()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = (group >> (18 - 6 * digit)) & 63;
                text.push(char::from(DIGITS[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int32Array, cast::AsArray, types::Int64Type};
    use cdc_api::{Column, Op, Ops, Ordinals, TableId, TxnId, TxnSpan};

    use super::*;
    use LogicalType as L;

    fn schema(columns: &[(&str, L)]) -> Arc<TableSchema> {
        let column = |(id, (name, logical)): (u32, &(&str, L))| Column {
            id,
            name: (*name).to_owned(),
            logical: logical.clone(),
            nullable: true,
            comment: None,
            default: None,
            generated: false,
            source_type: String::new(),
        };
        let columns = (0..).zip(columns).map(column).collect();
        Arc::new(TableSchema::new(TableId::new("d", "t"), 1, columns, vec![0]).unwrap())
    }

    fn coerced(ty: L, array: ArrayRef, to: L) -> Result<ArrayRef> {
        let (from, to) = (schema(&[("c", ty)]), schema(&[("c", to)]));
        let batch = ChangeBatch {
            rows: RecordBatch::try_new(Arc::clone(from.arrow()), vec![array]).unwrap(),
            schema: Arc::clone(&from),
            ops: Ops::All(Op::Insert),
            ordinals: Ordinals::From(0),
            first_seq: 0,
            txns: Arc::from([TxnSpan {
                first_ordinal: 0,
                id: TxnId::None,
                file: "binlog.000001".into(),
                pos: 99,
                commit_ts_us: 0,
            }]),
        };
        let rows = Coercion::plan(&from, &to)?.apply(&batch, &to)?;
        Ok(Arc::clone(rows.column(0)))
    }

    #[test]
    fn values_widen_and_what_does_not_fit_is_named() {
        let ints = || Arc::new(Int32Array::from(vec![Some(1), None, Some(70_000)])) as ArrayRef;
        let wide = coerced(L::Int, ints(), L::BigInt).unwrap();
        assert_eq!(wide.as_primitive::<Int64Type>().value(2), 70_000);
        assert!(wide.is_null(1));
        let text = coerced(L::Int, ints(), L::String).unwrap();
        assert_eq!(text.as_string::<i32>().value(2), "70000");
        let error = coerced(L::Int, ints(), L::SmallInt).unwrap_err().to_string();
        assert!(error.contains("`c` = 70000 at binlog.000001:99"), "{error}");
        let error = coerced(L::Int, ints(), L::Date).unwrap_err().to_string();
        assert!(error.contains("it is INT, the sink has DATE"), "{error}");
    }

    #[test]
    fn a_value_that_a_cast_would_change_is_named() {
        let row_of = |ty: L, array: ArrayRef, to: L| {
            let error = coerced(ty, array, to).unwrap_err().to_string();
            let row = error.split("`c` = ").nth(1).and_then(|rest| rest.split(" at ").next());
            row.unwrap_or(&error).to_owned()
        };
        let doubles = || Arc::new(arrow_array::Float64Array::from(vec![2.0, 1.5])) as ArrayRef;
        assert_eq!(row_of(L::Double, doubles(), L::Int), "1.5");
        assert!(coerced(L::Double, doubles().slice(0, 1), L::Int).is_ok());
        let tenths = Arc::new(arrow_array::Float64Array::from(vec![0.5, 0.1]));
        assert_eq!(row_of(L::Double, tenths, L::Float), "0.1");
        let decimals = arrow_array::Decimal128Array::from(vec![100, 125])
            .with_precision_and_scale(5, 2)
            .unwrap();
        let (five, four) =
            (L::Decimal { precision: 5, scale: 2 }, L::Decimal { precision: 5, scale: 1 });
        assert_eq!(row_of(five, Arc::new(decimals), four), "1.25");
        let noons = arrow_array::TimestampMicrosecondArray::from(vec![0, 43_200_000_000]);
        assert_eq!(row_of(L::Timestamp(0), Arc::new(noons), L::Date), "1970-01-01T12:00:00");
        // Wider by the rules of merging, though not all digits are kept.
        let long = Arc::new(arrow_array::Int64Array::from(vec![i64::MAX]));
        assert!(coerced(L::BigInt, long, L::Double).is_ok());
    }

    #[test]
    fn texts_of_times_and_bytes() {
        let times = arrow_array::TimestampMicrosecondArray::from(vec![1_500_000]);
        let text = coerced(L::Timestamp(6), Arc::new(times), L::String).unwrap();
        assert_eq!(text.as_string::<i32>().value(0), "1970-01-01 00:00:01.500");
        for (bytes, expected) in [(&b"a"[..], "YQ=="), (b"ab", "YWI="), (b"abc", "YWJj"), (b"", "")]
        {
            assert_eq!(base64(bytes), expected);
        }
    }

    #[test]
    fn missing_columns_are_null_and_others_go() {
        let (from, to) =
            (schema(&[("a", L::Int), ("b", L::Int)]), schema(&[("z", L::String), ("b", L::Int)]));
        let plan = Coercion::plan(&from, &to).unwrap();
        assert!(matches!(plan.columns[..], [Source::Missing(_), Source::Same(1)]));
        assert!(Coercion::plan(&from, &from).unwrap().is_identity);
    }
}
