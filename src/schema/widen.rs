//! The type that holds the values of two: what a column of a merged table becomes (reference: flink-cdc.md §6.3).

use cdc_api::LogicalType;

/// The most digits of a decimal.
const DIGITS_MAX: u8 = 38;

/// The narrowest type that holds every value of both, by Flink CDC's rules.
pub(super) fn widen(a: &LogicalType, b: &LogicalType) -> LogicalType {
    use LogicalType as L;
    if a == b {
        return a.clone();
    }
    if let (L::Decimal { .. }, L::Decimal { .. }) = (a, b) {
        return decimals(a, b).unwrap_or(L::String);
    }
    if let Some(decimal) = decimal_and_integer(a, b).or_else(|| decimal_and_integer(b, a)) {
        return decimal;
    }
    if let (Some(x), Some(y)) = (temporal_rank(a), temporal_rank(b)) {
        return temporal(a, x, b, y);
    }
    wider(a).into_iter().find(|ty| *b == *ty || wider(b).contains(ty)).unwrap_or(L::String)
}

/// Whether a column of type `to` holds every value of one of type `from`.
pub(super) fn holds(to: &LogicalType, from: &LogicalType) -> bool {
    use LogicalType as L;
    let texts = |to: &L, from: &L| match (to, from) {
        (L::VarChar(to), L::Char(from) | L::VarChar(from)) => to >= from,
        (L::VarBinary(to), L::Binary(from) | L::VarBinary(from)) => to >= from,
        (L::Bytes, L::Binary(_) | L::VarBinary(_)) => true,
        (L::String, L::Char(_) | L::VarChar(_)) => true,
        _ => false,
    };
    to == from || texts(to, from) || (*to != L::String && widen(from, to) == *to)
}

/// Itself and what is wider, in the order in which a common type is looked for.
fn wider(ty: &LogicalType) -> Vec<LogicalType> {
    use LogicalType as L;
    let decimal = |digits| L::Decimal { precision: digits, scale: 0 };
    let mut types = vec![ty.clone()];
    types.extend(match ty {
        L::TinyInt => {
            vec![L::SmallInt, L::Int, L::BigInt, decimal(19), L::Float, L::Double]
        }
        L::SmallInt => vec![L::Int, L::BigInt, decimal(19), L::Float, L::Double],
        L::Int => vec![L::BigInt, decimal(19), L::Double],
        L::BigInt => vec![decimal(19), L::Double],
        L::Float => vec![L::Double],
        _ => Vec::new(),
    });
    types
}

fn decimals(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    let (
        LogicalType::Decimal { precision: pa, scale: sa },
        LogicalType::Decimal { precision: pb, scale: sb },
    ) = (a, b)
    else {
        return None;
    };
    let whole = (pa - sa).max(pb - sb);
    let scale = (*sa).max(*sb);
    // What does not fit is taken from the digits behind the point.
    let scale = scale.min(DIGITS_MAX.saturating_sub(whole));
    Some(LogicalType::Decimal { precision: whole + scale, scale })
}

fn decimal_and_integer(a: &LogicalType, b: &LogicalType) -> Option<LogicalType> {
    let LogicalType::Decimal { precision, scale } = a else { return None };
    let digits = match b {
        LogicalType::TinyInt => 3,
        LogicalType::SmallInt => 5,
        LogicalType::Int => 10,
        LogicalType::BigInt => 19,
        _ => return None,
    };
    let whole = (precision - scale).max(digits);
    let scale = (*scale).min(DIGITS_MAX.saturating_sub(whole));
    Some(LogicalType::Decimal { precision: whole + scale, scale })
}

/// Date below timestamps without, with a common and with an own zone; and the digits.
fn temporal_rank(ty: &LogicalType) -> Option<(u8, u8)> {
    match ty {
        LogicalType::Date => Some((0, 0)),
        LogicalType::Timestamp(digits) => Some((1, *digits)),
        LogicalType::TimestampLtz(digits) => Some((2, *digits)),
        LogicalType::TimestampTz(digits) => Some((3, *digits)),
        _ => None,
    }
}

fn temporal(a: &LogicalType, x: (u8, u8), b: &LogicalType, y: (u8, u8)) -> LogicalType {
    let is_date = |ty: &LogicalType| *ty == LogicalType::Date;
    // A date beside a timestamp makes the finest one.
    let digits = if is_date(a) || is_date(b) { 9 } else { x.1.max(y.1) };
    match x.0.max(y.0) {
        1 => LogicalType::Timestamp(digits),
        2 => LogicalType::TimestampLtz(digits),
        _ => LogicalType::TimestampTz(digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LogicalType as L;

    fn decimal(precision: u8, scale: u8) -> L {
        L::Decimal { precision, scale }
    }

    #[track_caller]
    fn check(a: L, b: L, expected: L) {
        assert_eq!(widen(&a, &b), expected, "{a} and {b}");
    }

    #[test]
    fn numbers_widen_to_the_first_common_type() {
        check(L::TinyInt, L::BigInt, L::BigInt);
        check(L::Int, L::SmallInt, L::Int);
        check(L::SmallInt, L::Float, L::Float);
        check(L::Int, L::Float, L::Double);
        check(L::BigInt, L::Double, L::Double);
        check(L::Float, L::Double, L::Double);
        check(L::Int, L::String, L::String);
        check(L::Boolean, L::Int, L::String);
    }

    #[test]
    fn decimals_keep_the_digits_before_the_point() {
        check(decimal(10, 2), decimal(8, 4), decimal(12, 4));
        check(decimal(38, 0), decimal(20, 10), decimal(38, 0));
        check(decimal(10, 2), L::BigInt, decimal(21, 2));
        check(L::TinyInt, decimal(10, 2), decimal(10, 2));
        check(decimal(10, 2), L::Double, L::String);
    }

    #[test]
    fn times_and_texts() {
        check(L::Timestamp(3), L::Timestamp(6), L::Timestamp(6));
        check(L::Date, L::Timestamp(3), L::Timestamp(9));
        check(L::Timestamp(3), L::TimestampLtz(0), L::TimestampLtz(3));
        check(L::Time(0), L::Timestamp(0), L::String);
        check(L::VarChar(10), L::VarChar(20), L::String);
        check(L::Binary(3), L::String, L::String);
    }

    #[test]
    fn a_wider_type_holds_a_narrower_one() {
        assert!(holds(&L::BigInt, &L::Int) && !holds(&L::Int, &L::BigInt));
        assert!(holds(&L::VarChar(20), &L::VarChar(10)) && !holds(&L::VarChar(5), &L::VarChar(9)));
        assert!(holds(&decimal(12, 2), &decimal(10, 2)) && !holds(&L::String, &L::Int));
        assert!(holds(&L::String, &L::VarChar(3)) && !holds(&L::Float, &L::Int));
    }
}
