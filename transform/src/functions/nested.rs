//! Arrays and maps.

use cdc_api::LogicalType as L;

use crate::{
    compare,
    node::{Bad, Built, Cx, Function, Node, Param, lenient, strict},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "CARDINALITY",
        params: &[Param::Any],
        required: 1,
        variadic: false,
        build: cardinality,
    },
    Function {
        name: "ELEMENT",
        params: &[Param::Array],
        required: 1,
        variadic: false,
        build: element,
    },
    Function {
        name: "ARRAY_CONTAINS",
        params: &[Param::Array, Param::Any],
        required: 2,
        variadic: false,
        build: contains,
    },
    Function {
        name: "ARRAY_POSITION",
        params: &[Param::Array, Param::Any],
        required: 2,
        variadic: false,
        build: position,
    },
];

fn cardinality(args: &[Node], _: Cx) -> Result<Built, Bad> {
    if !matches!(args[0].ty, L::Array(_) | L::Map(..)) && !args[0].is_null() {
        return Err(Bad::arg(
            0,
            format!("CARDINALITY takes an ARRAY or a MAP, not {}", args[0].ty),
        ));
    }
    strict(L::Int, |_, args| {
        Ok(match &args[0] {
            Value::List(items) => Value::Int(items.len() as i64),
            Value::Map(entries) => Value::Int(entries.len() as i64),
            _ => Value::Null,
        })
    })
}

fn element_type(node: &Node) -> L {
    if let L::Array(element) = &node.ty { (**element).clone() } else { L::String }
}

fn element(args: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(element_type(&args[0]), |_, args| match &args[0] {
        Value::List(items) if items.len() > 1 => {
            Err("the array has more than one element".to_owned())
        }
        Value::List(items) => Ok(items.first().cloned().unwrap_or(Value::Null)),
        _ => Ok(Value::Null),
    })
}

fn check(args: &[Node]) -> Result<(), Bad> {
    let element = element_type(&args[0]);
    if args[0].is_null() || args[1].is_null() || compare::comparable(&element, &args[1].ty) {
        return Ok(());
    }
    Err(Bad::arg(1, format!("a {} cannot be an element of {}", args[1].ty, args[0].ty)))
}

fn find(items: &[Value<'_>], wanted: &Value<'_>) -> Option<usize> {
    items.iter().position(|item| {
        if wanted.is_null() { item.is_null() } else { compare::equal(item, wanted) }
    })
}

fn contains(args: &[Node], _: Cx) -> Result<Built, Bad> {
    check(args)?;
    lenient(L::Boolean, |_, args| {
        Ok(if let Value::List(items) = &args[0] {
            Value::Bool(find(items, &args[1]).is_some())
        } else {
            Value::Null
        })
    })
}

fn position(args: &[Node], _: Cx) -> Result<Built, Bad> {
    check(args)?;
    strict(L::Int, |_, args| {
        let Value::List(items) = &args[0] else { return Ok(Value::Null) };
        Ok(Value::Int(find(items, &args[1]).map_or(0, |at| at as i64 + 1)))
    })
}
