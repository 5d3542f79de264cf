//! `+ - * / %` on two numbers, in the type of their result.

use cdc_api::LogicalType as L;

use crate::{compare, decimal, types::Arith, value::Value};

/// Computes in the result's type. Integers that overflow and a division by zero are errors of the row; a decimal that
/// its type cannot hold is NULL.
pub(crate) fn apply<'a>(
    op: Arith,
    a: &Value<'_>,
    b: &Value<'_>,
    ty: &L,
) -> Result<Value<'a>, String> {
    if a.is_null() || b.is_null() {
        return Ok(Value::Null);
    }
    match ty {
        L::Double => double(op, compare::number(a), compare::number(b)).map(Value::Double),
        L::Float => {
            let single = |value: &Value<'_>| compare::number(value).map(|v| v as f32);
            let (Some(a), Some(b)) = (single(a), single(b)) else { return Ok(Value::Null) };
            Ok(Value::Float(match op {
                Arith::Add => a + b,
                Arith::Sub => a - b,
                Arith::Mul => a * b,
                Arith::Div => a / b,
                Arith::Mod => a % b,
            }))
        }
        L::Decimal { precision, scale } => exact(op, a, b, *precision, *scale),
        _ => integer(op, a, b, ty),
    }
}

fn double(op: Arith, a: Option<f64>, b: Option<f64>) -> Result<f64, String> {
    let (Some(a), Some(b)) = (a, b) else { return Err("a number is expected".to_owned()) };
    Ok(match op {
        Arith::Add => a + b,
        Arith::Sub => a - b,
        Arith::Mul => a * b,
        Arith::Div => a / b,
        Arith::Mod => a % b,
    })
}

fn integer<'a>(op: Arith, a: &Value<'_>, b: &Value<'_>, ty: &L) -> Result<Value<'a>, String> {
    let (Value::Int(a), Value::Int(b)) = (a, b) else {
        return Err("an integer is expected".to_owned());
    };
    let (a, b) = (*a, *b);
    let (result, sign) = match op {
        Arith::Add => (a.checked_add(b), '+'),
        Arith::Sub => (a.checked_sub(b), '-'),
        Arith::Mul => (a.checked_mul(b), '*'),
        Arith::Div | Arith::Mod if b == 0 => return Err(format!("division of {a} by zero")),
        Arith::Div => (a.checked_div(b), '/'),
        Arith::Mod => (Some(a.wrapping_rem(b)), '%'),
    };
    let (low, high) = match ty {
        L::TinyInt => (i8::MIN.into(), i8::MAX.into()),
        L::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        L::Int => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    };
    result
        .filter(|result| (low..=high).contains(result))
        .map(Value::Int)
        .ok_or_else(|| format!("{a} {sign} {b} does not fit {ty}"))
}

fn parts(value: &Value<'_>) -> Option<(i128, u8)> {
    match value {
        Value::Int(v) => Some(((*v).into(), 0)),
        Value::Decimal(v, s) => Some((*v, *s)),
        _ => None,
    }
}

fn exact<'a>(
    op: Arith,
    a: &Value<'_>,
    b: &Value<'_>,
    precision: u8,
    scale: u8,
) -> Result<Value<'a>, String> {
    let (Some((a, s)), Some((b, t))) = (parts(a), parts(b)) else { return Ok(Value::Null) };
    let common = s.max(t);
    let both = || Some((decimal::rescale(a, s, common)?, decimal::rescale(b, t, common)?));
    let result = match op {
        Arith::Add => both().and_then(|(a, b)| decimal::rescale(a.checked_add(b)?, common, scale)),
        Arith::Sub => both().and_then(|(a, b)| decimal::rescale(a.checked_sub(b)?, common, scale)),
        Arith::Mul => {
            a.checked_mul(b).and_then(|v| decimal::rescale(v, s.saturating_add(t), scale))
        }
        Arith::Div | Arith::Mod if b == 0 => {
            return Err(format!("division of {} by zero", decimal::format(a, s)));
        }
        Arith::Mod => both().and_then(|(a, b)| decimal::rescale(a.checked_rem(b)?, common, scale)),
        // a / 10^s divided by b / 10^t, with `scale` digits.
        Arith::Div => {
            let shift = i32::from(scale) + i32::from(t) - i32::from(s);
            let power = decimal::pow10(shift.unsigned_abs());
            power.and_then(|power| {
                if shift >= 0 {
                    Some(decimal::div_round(a.checked_mul(power)?, b))
                } else {
                    Some(decimal::div_round(a, b.checked_mul(power)?))
                }
            })
        }
    };
    let limit = decimal::pow10(precision.into()).unwrap_or(i128::MAX);
    Ok(result
        .filter(|v| v.unsigned_abs() < limit.unsigned_abs())
        .map_or(Value::Null, |v| Value::Decimal(v, scale)))
}
