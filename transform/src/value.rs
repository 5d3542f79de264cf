//! One value at a time: read out of Arrow columns without copying texts, and built into them.

use std::{borrow::Cow, sync::Arc};

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray, MapArray, StringArray,
    StructArray, Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampNanosecondArray,
    builder::{BinaryBuilder, BooleanBuilder, PrimitiveBuilder, StringBuilder},
    cast::AsArray,
    types::{
        Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
        TimestampNanosecondType,
    },
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use cdc_api::LogicalType as L;

/// A point on the time line or of a calendar: seconds since the epoch and nanoseconds within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) secs: i64,
    pub(crate) nanos: u32,
}

pub(crate) const NANOS: i64 = 1_000_000_000;

impl Moment {
    pub(crate) fn of(units: i64, per_second: i64) -> Self {
        let nanos = units.rem_euclid(per_second) * (NANOS / per_second);
        Moment { secs: units.div_euclid(per_second), nanos: nanos as u32 }
    }
    /// In units of `per_second`, rounded down.
    pub(crate) fn units(self, per_second: i64) -> Option<i64> {
        let part = i64::from(self.nanos) / (NANOS / per_second);
        // Near the lower end the product alone would overflow although the sum does not.
        if self.secs < 0 && part > 0 {
            return (self.secs + 1).checked_mul(per_second)?.checked_add(part - per_second);
        }
        self.secs.checked_mul(per_second)?.checked_add(part)
    }
}

/// A value; its type is known from the plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f32),
    Double(f64),
    Decimal(i128, u8),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Date(i32),
    /// Nanoseconds since midnight.
    Time(i64),
    Timestamp(Moment),
    /// An instant.
    Instant(Moment),
    /// An instant and the minutes of its offset.
    Zoned(Moment, i16),
    List(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
    Row(Vec<Value<'a>>),
}

impl<'a> Value<'a> {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
    pub(crate) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Value::Text(text.into())
    }
    pub(crate) fn owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(v) => Value::Bool(v),
            Value::Int(v) => Value::Int(v),
            Value::Float(v) => Value::Float(v),
            Value::Double(v) => Value::Double(v),
            Value::Decimal(v, s) => Value::Decimal(v, s),
            Value::Text(v) => Value::Text(Cow::Owned(v.into_owned())),
            Value::Bytes(v) => Value::Bytes(Cow::Owned(v.into_owned())),
            Value::Date(v) => Value::Date(v),
            Value::Time(v) => Value::Time(v),
            Value::Timestamp(v) => Value::Timestamp(v),
            Value::Instant(v) => Value::Instant(v),
            Value::Zoned(v, o) => Value::Zoned(v, o),
            Value::List(v) => Value::List(v.into_iter().map(Value::owned).collect()),
            Value::Map(v) => {
                Value::Map(v.into_iter().map(|(k, v)| (k.owned(), v.owned())).collect())
            }
            Value::Row(v) => Value::Row(v.into_iter().map(Value::owned).collect()),
        }
    }
}

/// Reads one column.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    Const(&'a Value<'static>),
    Bool(&'a BooleanArray),
    I8(&'a Int8Array),
    I16(&'a Int16Array),
    I32(&'a Int32Array),
    I64(&'a Int64Array),
    F32(&'a Float32Array),
    F64(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a Date32Array),
    TimeMicros(&'a Time64MicrosecondArray),
    TimeNanos(&'a Time64NanosecondArray),
    Micros(&'a TimestampMicrosecondArray, bool),
    Nanos(&'a TimestampNanosecondArray, bool),
    Zoned(&'a StructArray, &'a TimestampNanosecondArray, &'a Int16Array),
    List(&'a ListArray, Box<Reader<'a>>),
    Map(&'a MapArray, Box<Reader<'a>>, Box<Reader<'a>>),
    Row(&'a StructArray, Vec<Reader<'a>>),
    None,
}

impl<'a> Reader<'a> {
    /// A reader of `array`; a carrier that the value model does not have reads as NULL.
    pub(crate) fn new(array: &'a dyn Array, ty: &L) -> Reader<'a> {
        match array.data_type() {
            DataType::Boolean => Reader::Bool(array.as_boolean()),
            DataType::Int8 => Reader::I8(array.as_primitive()),
            DataType::Int16 => Reader::I16(array.as_primitive()),
            DataType::Int32 => Reader::I32(array.as_primitive()),
            DataType::Int64 => Reader::I64(array.as_primitive()),
            DataType::Float32 => Reader::F32(array.as_primitive()),
            DataType::Float64 => Reader::F64(array.as_primitive()),
            DataType::Decimal128(_, scale) => {
                Reader::Decimal(array.as_primitive(), (*scale).max(0) as u8)
            }
            DataType::Utf8 => Reader::Text(array.as_string()),
            DataType::Binary => Reader::Bytes(array.as_binary()),
            DataType::Date32 => Reader::Date(array.as_primitive()),
            DataType::Time64(TimeUnit::Microsecond) => Reader::TimeMicros(array.as_primitive()),
            DataType::Time64(TimeUnit::Nanosecond) => Reader::TimeNanos(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Reader::Micros(array.as_primitive(), zone.is_some())
            }
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                Reader::Nanos(array.as_primitive(), zone.is_some())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let element = if let L::Array(element) = ty { element } else { ty };
                Reader::List(list, Box::new(Reader::new(list.values().as_ref(), element)))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (key, value) =
                    if let L::Map(key, value) = ty { (&**key, &**value) } else { (ty, ty) };
                let keys = Box::new(Reader::new(map.keys().as_ref(), key));
                Reader::Map(map, keys, Box::new(Reader::new(map.values().as_ref(), value)))
            }
            DataType::Struct(_) => {
                let rows = array.as_struct();
                if let (L::TimestampTz(_), [at, offset]) = (ty, rows.columns()) {
                    return match (at.as_primitive_opt(), offset.as_primitive_opt()) {
                        (Some(at), Some(offset)) => Reader::Zoned(rows, at, offset),
                        _ => Reader::None,
                    };
                }
                let types: &[(String, L)] = if let L::Row(fields) = ty { fields } else { &[] };
                let readers = rows
                    .columns()
                    .iter()
                    .zip(types)
                    .map(|(column, (_, ty))| Reader::new(column.as_ref(), ty));
                Reader::Row(rows, readers.collect())
            }
            _ => Reader::None,
        }
    }

    /// The value of row `at`.
    pub(crate) fn get(&self, at: usize) -> Value<'a> {
        macro_rules! read {
            ($array:expr, $value:expr) => {
                if $array.is_null(at) { Value::Null } else { $value }
            };
        }
        let moment = |ltz: &bool, moment| {
            if *ltz { Value::Instant(moment) } else { Value::Timestamp(moment) }
        };
        match self {
            Reader::Const(value) => borrowed(value),
            Reader::Bool(a) => read!(a, Value::Bool(a.value(at))),
            Reader::I8(a) => read!(a, Value::Int(a.value(at).into())),
            Reader::I16(a) => read!(a, Value::Int(a.value(at).into())),
            Reader::I32(a) => read!(a, Value::Int(a.value(at).into())),
            Reader::I64(a) => read!(a, Value::Int(a.value(at))),
            Reader::F32(a) => read!(a, Value::Float(a.value(at))),
            Reader::F64(a) => read!(a, Value::Double(a.value(at))),
            Reader::Decimal(a, scale) => read!(a, Value::Decimal(a.value(at), *scale)),
            Reader::Text(a) => read!(a, Value::Text(Cow::Borrowed(a.value(at)))),
            Reader::Bytes(a) => read!(a, Value::Bytes(Cow::Borrowed(a.value(at)))),
            Reader::Date(a) => read!(a, Value::Date(a.value(at))),
            Reader::TimeMicros(a) => read!(a, Value::Time(a.value(at).saturating_mul(1000))),
            Reader::TimeNanos(a) => read!(a, Value::Time(a.value(at))),
            Reader::Micros(a, ltz) => read!(a, moment(ltz, Moment::of(a.value(at), 1_000_000))),
            Reader::Nanos(a, ltz) => read!(a, moment(ltz, Moment::of(a.value(at), NANOS))),
            Reader::Zoned(rows, a, offset) => {
                read!(rows, Value::Zoned(Moment::of(a.value(at), NANOS), offset.value(at)))
            }
            Reader::List(a, items) => {
                read!(a, Value::List(range(a.value_offsets(), at).map(|i| items.get(i)).collect()))
            }
            Reader::Map(a, keys, values) => read!(
                a,
                Value::Map(
                    range(a.value_offsets(), at).map(|i| (keys.get(i), values.get(i))).collect()
                )
            ),
            Reader::Row(a, fields) => {
                read!(a, Value::Row(fields.iter().map(|field| field.get(at)).collect()))
            }
            Reader::None => Value::Null,
        }
    }
}

fn range(offsets: &[i32], at: usize) -> std::ops::Range<usize> {
    offsets[at] as usize..offsets[at + 1] as usize
}

fn borrowed<'a>(value: &'a Value<'static>) -> Value<'a> {
    match value {
        Value::Text(text) => Value::Text(Cow::Borrowed(text.as_ref())),
        Value::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes.as_ref())),
        other => other.clone(),
    }
}

/// Builds one column.
pub(crate) enum Writer {
    Bool(BooleanBuilder),
    I8(PrimitiveBuilder<Int8Type>),
    I16(PrimitiveBuilder<Int16Type>),
    I32(PrimitiveBuilder<Int32Type>),
    I64(PrimitiveBuilder<Int64Type>),
    F32(PrimitiveBuilder<Float32Type>),
    F64(PrimitiveBuilder<Float64Type>),
    Decimal(PrimitiveBuilder<Decimal128Type>, u8, i128),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(PrimitiveBuilder<Date32Type>),
    TimeMicros(PrimitiveBuilder<Time64MicrosecondType>),
    TimeNanos(PrimitiveBuilder<Time64NanosecondType>),
    Micros(PrimitiveBuilder<TimestampMicrosecondType>),
    Nanos(PrimitiveBuilder<TimestampNanosecondType>),
    Nested(L, bool, Vec<Value<'static>>),
}

impl Writer {
    /// A writer of columns of `ty`; `wide` carries every timestamp in nanoseconds.
    pub(crate) fn new(ty: &L, rows: usize, wide: bool) -> Self {
        let zone = |ltz: bool| ltz.then(|| Arc::<str>::from("UTC"));
        match ty {
            L::Boolean => Writer::Bool(BooleanBuilder::with_capacity(rows)),
            L::TinyInt => Writer::I8(PrimitiveBuilder::with_capacity(rows)),
            L::SmallInt => Writer::I16(PrimitiveBuilder::with_capacity(rows)),
            L::Int => Writer::I32(PrimitiveBuilder::with_capacity(rows)),
            L::BigInt => Writer::I64(PrimitiveBuilder::with_capacity(rows)),
            L::Float => Writer::F32(PrimitiveBuilder::with_capacity(rows)),
            L::Double => Writer::F64(PrimitiveBuilder::with_capacity(rows)),
            L::Decimal { precision, scale } => Writer::Decimal(
                PrimitiveBuilder::with_capacity(rows)
                    .with_data_type(DataType::Decimal128(*precision, *scale as i8)),
                *scale,
                10i128.pow(u32::from(*precision).min(38)),
            ),
            L::Date => Writer::Date(PrimitiveBuilder::with_capacity(rows)),
            L::Time(p) if *p > 6 || wide => {
                Writer::TimeNanos(PrimitiveBuilder::with_capacity(rows))
            }
            L::Time(_) => Writer::TimeMicros(PrimitiveBuilder::with_capacity(rows)),
            L::Timestamp(p) | L::TimestampLtz(p) => {
                let ltz = zone(matches!(ty, L::TimestampLtz(_)));
                if *p > 6 || wide {
                    let ty = DataType::Timestamp(TimeUnit::Nanosecond, ltz);
                    Writer::Nanos(PrimitiveBuilder::with_capacity(rows).with_data_type(ty))
                } else {
                    let ty = DataType::Timestamp(TimeUnit::Microsecond, ltz);
                    Writer::Micros(PrimitiveBuilder::with_capacity(rows).with_data_type(ty))
                }
            }
            L::Char(_) | L::VarChar(_) | L::String | L::Variant => {
                Writer::Text(StringBuilder::with_capacity(rows, rows.saturating_mul(16)))
            }
            L::Binary(_) | L::VarBinary(_) | L::Bytes => {
                Writer::Bytes(BinaryBuilder::with_capacity(rows, rows.saturating_mul(16)))
            }
            L::TimestampTz(_) | L::Array(_) | L::Map(..) | L::Row(_) => {
                Writer::Nested(ty.clone(), wide, Vec::with_capacity(rows))
            }
        }
    }

    /// Appends a value; one of another type than the writer's is an error of the plan.
    pub(crate) fn push(&mut self, value: Value<'_>) -> Result<(), String> {
        let moment_of = |value: Value<'_>, per_second: i64| match value {
            Value::Null => Ok(None),
            Value::Timestamp(moment) | Value::Instant(moment) => moment
                .units(per_second)
                .map(Some)
                .ok_or_else(|| "the timestamp is out of range".to_owned()),
            other => Err(mismatch(&other)),
        };
        macro_rules! int {
            ($builder:expr, $ty:ty) => {
                match value {
                    Value::Null => $builder.append_null(),
                    Value::Int(v) => $builder.append_value(
                        <$ty>::try_from(v)
                            .map_err(|_| format!("the number {v} does not fit its type"))?,
                    ),
                    other => return Err(mismatch(&other)),
                }
            };
        }
        macro_rules! plain {
            ($builder:expr, $($variant:ident)|+) => {
                match value {
                    Value::Null => $builder.append_null(),
                    $(Value::$variant(v) => $builder.append_value(v.into()),)+
                    other => return Err(mismatch(&other)),
                }
            };
        }
        match self {
            Writer::Bool(b) => plain!(b, Bool),
            Writer::I8(b) => int!(b, i8),
            Writer::I16(b) => int!(b, i16),
            Writer::I32(b) => int!(b, i32),
            Writer::I64(b) => plain!(b, Int),
            Writer::F32(b) => plain!(b, Float),
            Writer::F64(b) => plain!(b, Double | Float),
            Writer::Decimal(b, scale, limit) => match value {
                Value::Null => b.append_null(),
                Value::Decimal(v, s) => match crate::decimal::rescale(v, s, *scale) {
                    // A result that its type cannot hold is NULL, as Flink CDC's decimals have it.
                    Some(v) if v.abs() < *limit => b.append_value(v),
                    _ => b.append_null(),
                },
                other => return Err(mismatch(&other)),
            },
            Writer::Text(b) => match value {
                Value::Null => b.append_null(),
                Value::Text(v) => b.append_value(v),
                other => return Err(mismatch(&other)),
            },
            Writer::Bytes(b) => match value {
                Value::Null => b.append_null(),
                Value::Bytes(v) => b.append_value(v),
                other => return Err(mismatch(&other)),
            },
            Writer::Date(b) => plain!(b, Date),
            Writer::TimeMicros(b) => match value {
                Value::Null => b.append_null(),
                Value::Time(v) => b.append_value(v / 1000),
                other => return Err(mismatch(&other)),
            },
            Writer::TimeNanos(b) => plain!(b, Time),
            Writer::Micros(b) => b.append_option(moment_of(value, 1_000_000)?),
            Writer::Nanos(b) => b.append_option(moment_of(value, NANOS)?),
            Writer::Nested(_, _, values) => values.push(value.owned()),
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<ArrayRef, String> {
        Ok(match self {
            Writer::Bool(mut b) => Arc::new(b.finish()),
            Writer::I8(mut b) => Arc::new(b.finish()),
            Writer::I16(mut b) => Arc::new(b.finish()),
            Writer::I32(mut b) => Arc::new(b.finish()),
            Writer::I64(mut b) => Arc::new(b.finish()),
            Writer::F32(mut b) => Arc::new(b.finish()),
            Writer::F64(mut b) => Arc::new(b.finish()),
            Writer::Decimal(mut b, ..) => Arc::new(b.finish()),
            Writer::Text(mut b) => Arc::new(b.finish()),
            Writer::Bytes(mut b) => Arc::new(b.finish()),
            Writer::Date(mut b) => Arc::new(b.finish()),
            Writer::TimeMicros(mut b) => Arc::new(b.finish()),
            Writer::TimeNanos(mut b) => Arc::new(b.finish()),
            Writer::Micros(mut b) => Arc::new(b.finish()),
            Writer::Nanos(mut b) => Arc::new(b.finish()),
            Writer::Nested(ty, wide, values) => nested(&ty, wide, values)?,
        })
    }
}

fn mismatch(value: &Value<'_>) -> String {
    format!("a value {value:?} came where the plan has another type")
}

/// A whole column of values.
pub(crate) fn column<'v>(
    ty: &L,
    wide: bool,
    values: impl ExactSizeIterator<Item = Value<'v>>,
) -> Result<ArrayRef, String> {
    let mut writer = Writer::new(ty, values.len(), wide);
    for value in values {
        writer.push(value)?;
    }
    writer.finish()
}

fn nested(ty: &L, wide: bool, values: Vec<Value<'static>>) -> Result<ArrayRef, String> {
    let present = NullBuffer::from_iter(values.iter().map(|value| !value.is_null()));
    let nulls = (present.null_count() > 0).then_some(present);
    let offsets = |lengths: &mut dyn Iterator<Item = usize>| {
        let mut at = 0usize;
        let mut offsets = vec![0i32];
        for length in lengths {
            at += length;
            offsets.push(
                i32::try_from(at).map_err(|_| "the lists of one batch are too long".to_owned())?,
            );
        }
        Ok::<_, String>(OffsetBuffer::new(offsets.into()))
    };
    match ty {
        L::Array(element) => {
            let lists = offsets(
                &mut values.iter().map(|v| if let Value::List(v) = v { v.len() } else { 0 }),
            )?;
            let items: Vec<Value<'static>> = values
                .into_iter()
                .flat_map(|v| if let Value::List(v) = v { v } else { Vec::new() })
                .collect();
            let items = column(element, wide, items.into_iter())?;
            let field = Arc::new(Field::new("item", items.data_type().clone(), true));
            ListArray::try_new(field, lists, items, nulls)
                .map(|a| Arc::new(a) as ArrayRef)
                .map_err(|e| e.to_string())
        }
        L::Map(key, value) => {
            let lists = offsets(
                &mut values.iter().map(|v| if let Value::Map(v) = v { v.len() } else { 0 }),
            )?;
            let (keys, items): (Vec<_>, Vec<_>) = values
                .into_iter()
                .flat_map(|v| if let Value::Map(v) = v { v } else { Vec::new() })
                .unzip();
            if keys.iter().any(Value::is_null) {
                return Err("a map has a NULL key".to_owned());
            }
            let (keys, items) =
                (column(key, wide, keys.into_iter())?, column(value, wide, items.into_iter())?);
            let fields = Fields::from(vec![
                Field::new("key", keys.data_type().clone(), false),
                Field::new("value", items.data_type().clone(), true),
            ]);
            let field = Arc::new(Field::new("entries", DataType::Struct(fields.clone()), false));
            let entries =
                StructArray::try_new(fields, vec![keys, items], None).map_err(|e| e.to_string())?;
            MapArray::try_new(field, lists, entries, nulls, false)
                .map(|a| Arc::new(a) as ArrayRef)
                .map_err(|e| e.to_string())
        }
        L::Row(types) => {
            let mut columns: Vec<Vec<Value<'static>>> =
                types.iter().map(|_| Vec::with_capacity(values.len())).collect();
            for value in values {
                let mut fields =
                    if let Value::Row(fields) = value { fields } else { Vec::new() }.into_iter();
                for column in &mut columns {
                    column.push(fields.next().unwrap_or(Value::Null));
                }
            }
            let mut arrays = Vec::with_capacity(types.len());
            let mut fields = Vec::with_capacity(types.len());
            for ((name, ty), values) in types.iter().zip(columns) {
                let array = column(ty, wide, values.into_iter())?;
                fields.push(Field::new(name, array.data_type().clone(), true));
                arrays.push(array);
            }
            StructArray::try_new(fields.into(), arrays, nulls)
                .map(|a| Arc::new(a) as ArrayRef)
                .map_err(|e| e.to_string())
        }
        L::TimestampTz(_) => {
            let DataType::Struct(fields) = ty.arrow() else {
                return Err("no carrier for this type".to_owned());
            };
            let (mut at, mut minutes) =
                (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
            for value in &values {
                let (moment, offset) = match value {
                    Value::Zoned(moment, offset) => (*moment, *offset),
                    _ => (Moment { secs: 0, nanos: 0 }, 0),
                };
                at.push(moment.units(NANOS).ok_or("the timestamp is out of range")?);
                minutes.push(offset);
            }
            let at = TimestampNanosecondArray::from(at).with_timezone("UTC");
            let arrays: Vec<ArrayRef> = vec![Arc::new(at), Arc::new(Int16Array::from(minutes))];
            StructArray::try_new(fields, arrays, nulls)
                .map(|a| Arc::new(a) as ArrayRef)
                .map_err(|e| e.to_string())
        }
        _ => Err("no carrier for this type".to_owned()),
    }
}
