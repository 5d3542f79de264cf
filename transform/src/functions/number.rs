//! Numbers: `ABS`, `CEIL`, `FLOOR`, `ROUND`, `UUID`.

use cdc_api::LogicalType as L;

use crate::{
    decimal,
    node::{Bad, Built, Cx, Function, Kernel, Node, Param, strict},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "ABS", params: &[Param::Number], required: 1, variadic: false, build: abs },
    Function { name: "CEIL", params: &[Param::Number], required: 1, variadic: false, build: ceil },
    Function {
        name: "CEILING",
        params: &[Param::Number],
        required: 1,
        variadic: false,
        build: ceil,
    },
    Function {
        name: "FLOOR",
        params: &[Param::Number],
        required: 1,
        variadic: false,
        build: floor,
    },
    Function {
        name: "ROUND",
        params: &[Param::Number, Param::Integer],
        required: 1,
        variadic: false,
        build: round,
    },
    Function {
        name: "MOD",
        params: &[Param::Number, Param::Number],
        required: 2,
        variadic: false,
        build: modulo,
    },
    Function { name: "UUID", params: &[], required: 0, variadic: false, build: uuid },
];

fn abs(args: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(args[0].ty.clone(), |_, args| {
        Ok(match &args[0] {
            Value::Int(v) => {
                Value::Int(v.checked_abs().ok_or("the absolute value does not fit a BIGINT")?)
            }
            Value::Float(v) => Value::Float(v.abs()),
            Value::Double(v) => Value::Double(v.abs()),
            Value::Decimal(v, s) => Value::Decimal(v.abs(), *s),
            _ => Value::Null,
        })
    })
}

fn ceil(args: &[Node], _: Cx) -> Result<Built, Bad> {
    whole(args, true)
}

fn floor(args: &[Node], _: Cx) -> Result<Built, Bad> {
    whole(args, false)
}

fn whole(args: &[Node], up: bool) -> Result<Built, Bad> {
    let ty = match &args[0].ty {
        L::Decimal { precision, .. } => L::Decimal { precision: *precision, scale: 0 },
        other => other.clone(),
    };
    strict(ty, move |_, args| {
        Ok(match &args[0] {
            Value::Float(v) => Value::Float(if up { v.ceil() } else { v.floor() }),
            Value::Double(v) => Value::Double(if up { v.ceil() } else { v.floor() }),
            Value::Decimal(v, s) => Value::Decimal(decimal::whole(*v, *s, up), 0),
            other => other.clone(),
        })
    })
}

fn round(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let ty = match (&args[0].ty, args.get(1).map(Node::as_int)) {
        (L::Decimal { precision, scale }, digits) => {
            let digits = digits.map_or(Some(0), |digits| digits);
            // A number of digits that is only known at run time keeps the scale.
            let scale =
                digits.map_or(i64::from(*scale), |digits| i64::from(*scale).min(digits.max(0)));
            L::Decimal { precision: *precision, scale: scale as u8 }
        }
        (other, _) => other.clone(),
    };
    strict(ty, |_, args| {
        let digits = match args.get(1) {
            Some(Value::Int(digits)) => (*digits).clamp(-40, 40) as i32,
            _ => 0,
        };
        Ok(match &args[0] {
            Value::Int(v) if digits < 0 => {
                let rounded = rounded((*v).into(), 0, digits);
                Value::Int(
                    i64::try_from(rounded.0)
                        .map_err(|_| "the rounded number does not fit its type")?,
                )
            }
            Value::Float(v) => Value::Float(float((*v).into(), &v.to_string(), digits) as f32),
            Value::Double(v) => Value::Double(float(*v, &v.to_string(), digits)),
            Value::Decimal(v, s) => {
                let (v, s) = rounded(*v, *s, digits);
                Value::Decimal(v, s)
            }
            other => other.clone(),
        })
    })
}

/// Rounds digits away, half up; with negative `digits` those before the point.
fn rounded(value: i128, scale: u8, digits: i32) -> (i128, u8) {
    if digits >= i32::from(scale) {
        return (value, scale);
    }
    let cut = (i32::from(scale) - digits).unsigned_abs();
    let Some(by) = decimal::pow10(cut) else { return (0, 0) };
    let value = decimal::div_round(value, by);
    match u8::try_from(digits) {
        Ok(scale) => (value, scale),
        Err(_) => (value.saturating_mul(decimal::pow10(digits.unsigned_abs()).unwrap_or(0)), 0),
    }
}

/// Rounds the shortest decimal text of a double, so that 2.675 becomes 2.68 as people expect.
fn float(value: f64, text: &str, digits: i32) -> f64 {
    match decimal::parse(text) {
        Some((v, s)) => {
            let (v, s) = rounded(v, s, digits);
            decimal::to_double(v, s)
        }
        None => value,
    }
}

fn modulo(args: &[Node], cx: Cx) -> Result<Built, Bad> {
    let op = crate::types::Arith::Mod;
    let ty = crate::types::arith(op, &args[0].ty, &args[1].ty, cx.mode)
        .ok_or_else(|| Bad::arg(0, "MOD takes two numbers"))?;
    let result = ty.clone();
    strict(ty, move |_, args| crate::arith::apply(op, &args[0], &args[1], &result))
}

fn uuid(_: &[Node], _: Cx) -> Result<Built, Bad> {
    let kernel = Kernel::new(|_, _| Ok(Value::text(uuid::Uuid::new_v4().to_string())));
    Ok(Built { ty: L::String, strict: false, volatile: true, kernel, columns: None })
}
