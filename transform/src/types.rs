//! The rules of types: what two types have in common, how wide a decimal result is.

use cdc_api::LogicalType as L;

/// How many digits a decimal result may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecimalMode {
    /// At most 19 digits: Flink CDC's default.
    #[default]
    UpTo19,
    /// At most 38 digits.
    UpTo38,
}

impl DecimalMode {
    pub(crate) fn max(self) -> i32 {
        match self {
            DecimalMode::UpTo19 => 19,
            DecimalMode::UpTo38 => 38,
        }
    }
}

pub(crate) fn is_text(ty: &L) -> bool {
    matches!(ty, L::Char(_) | L::VarChar(_) | L::String)
}

pub(crate) fn is_bytes(ty: &L) -> bool {
    matches!(ty, L::Binary(_) | L::VarBinary(_) | L::Bytes)
}

pub(crate) fn is_integer(ty: &L) -> bool {
    matches!(ty, L::TinyInt | L::SmallInt | L::Int | L::BigInt)
}

pub(crate) fn is_number(ty: &L) -> bool {
    is_integer(ty) || matches!(ty, L::Float | L::Double | L::Decimal { .. })
}

pub(crate) fn is_time(ty: &L) -> bool {
    matches!(ty, L::Date | L::Time(_) | L::Timestamp(_) | L::TimestampLtz(_) | L::TimestampTz(_))
}

/// The decimal that holds every value of an integer type.
fn as_decimal(ty: &L) -> Option<(i32, i32)> {
    Some(match ty {
        L::TinyInt => (3, 0),
        L::SmallInt => (5, 0),
        L::Int => (10, 0),
        L::BigInt => (19, 0),
        L::Decimal { precision, scale } => (i32::from(*precision), i32::from(*scale)),
        _ => return None,
    })
}

fn decimal(precision: i32, scale: i32, mode: DecimalMode) -> L {
    let precision = precision.clamp(1, mode.max());
    L::Decimal { precision: precision as u8, scale: scale.clamp(0, precision) as u8 }
}

/// A decimal type as the mode admits it.
pub(crate) fn capped(ty: &L, mode: DecimalMode) -> L {
    match ty {
        L::Decimal { precision, scale } => decimal(i32::from(*precision), i32::from(*scale), mode),
        other => other.clone(),
    }
}

/// The type that both can be read as without loss of range, or none.
pub(crate) fn common(a: &L, b: &L, mode: DecimalMode) -> Option<L> {
    if a == b {
        return Some(a.clone());
    }
    if is_text(a) && is_text(b) {
        return Some(L::String);
    }
    if is_bytes(a) && is_bytes(b) {
        return Some(L::Bytes);
    }
    if is_number(a) && is_number(b) {
        return Some(common_number(a, b, mode));
    }
    Some(match (a, b) {
        (L::Timestamp(p), L::Timestamp(q)) => L::Timestamp(*p.max(q)),
        (L::TimestampLtz(p), L::TimestampLtz(q)) => L::TimestampLtz(*p.max(q)),
        (L::TimestampTz(p), L::TimestampTz(q)) => L::TimestampTz(*p.max(q)),
        (L::Date, L::Timestamp(p)) | (L::Timestamp(p), L::Date) => L::Timestamp(*p),
        (L::Time(p), L::Time(q)) => L::Time(*p.max(q)),
        (L::Array(x), L::Array(y)) => L::Array(Box::new(common(x, y, mode)?)),
        (L::Map(k, v), L::Map(l, w)) => {
            L::Map(Box::new(common(k, l, mode)?), Box::new(common(v, w, mode)?))
        }
        _ => return None,
    })
}

fn common_number(a: &L, b: &L, mode: DecimalMode) -> L {
    if matches!((a, b), (L::Double, _) | (_, L::Double)) {
        return L::Double;
    }
    match (a, b) {
        (L::Float, other) | (other, L::Float) => {
            return if matches!(other, L::Decimal { .. }) { L::Double } else { L::Float };
        }
        _ => {}
    }
    if let (false, false) = (matches!(a, L::Decimal { .. }), matches!(b, L::Decimal { .. })) {
        let rank = |ty: &L| {
            [L::TinyInt, L::SmallInt, L::Int, L::BigInt].iter().position(|known| known == ty)
        };
        return if rank(a) >= rank(b) { a.clone() } else { b.clone() };
    }
    let ((p, s), (q, t)) = (as_decimal(a).unwrap_or((38, 0)), as_decimal(b).unwrap_or((38, 0)));
    let scale = s.max(t);
    decimal((p - s).max(q - t) + scale, scale, mode)
}

/// Arithmetic on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

/// The type of an arithmetic result, or none when one side is no number.
pub(crate) fn arith(op: Arith, a: &L, b: &L, mode: DecimalMode) -> Option<L> {
    if !is_number(a) || !is_number(b) {
        return None;
    }
    let wide = common_number(a, b, mode);
    if !matches!(wide, L::Decimal { .. }) {
        return Some(wide);
    }
    let ((p, s), (q, t)) = (as_decimal(a)?, as_decimal(b)?);
    let max = mode.max();
    Some(match op {
        Arith::Add | Arith::Sub => {
            let scale = s.max(t);
            decimal((p - s).max(q - t) + scale + 1, scale, mode)
        }
        Arith::Mul => decimal(p + q, (s + t).min(max), mode),
        Arith::Div => {
            let whole = (p - s + t).min(max);
            let scale = (s + q + 1).max(6).min(max - whole);
            decimal(whole + scale, scale, mode)
        }
        Arith::Mod => {
            let scale = s.max(t);
            decimal((p - s).min(q - t) + scale, scale, mode)
        }
    })
}

/// The type a computed column has for the sink: texts without a length, timestamps with at most milliseconds
/// (the width of Flink CDC's SQL layer; the values keep their digits).
pub(crate) fn computed(ty: &L) -> L {
    match ty {
        L::Char(_) | L::VarChar(_) => L::String,
        L::Timestamp(p) => L::Timestamp((*p).min(3)),
        L::TimestampLtz(p) => L::TimestampLtz((*p).min(3)),
        L::TimestampTz(p) => L::TimestampTz((*p).min(3)),
        other => other.clone(),
    }
}
