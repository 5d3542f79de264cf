//! Regular expressions (the syntax of the `regex` crate: Java's without look-around and back references).

use cdc_api::LogicalType as L;
use regex::Regex;

use crate::{
    compare::regex,
    node::{Bad, Built, Cx, Function, Node, Param, strict},
    value::Value,
};

use Param::{Integer, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "REGEXP_REPLACE",
        params: &[Text, Text, Text],
        required: 3,
        variadic: false,
        build: replace,
    },
    Function {
        name: "REGEXP_EXTRACT",
        params: &[Text, Text, Integer],
        required: 2,
        variadic: false,
        build: extract,
    },
    Function {
        name: "REGEXP_EXTRACT_ALL",
        params: &[Text, Text, Integer],
        required: 2,
        variadic: false,
        build: extract_all,
    },
    Function {
        name: "REGEXP_COUNT",
        params: &[Text, Text],
        required: 2,
        variadic: false,
        build: count,
    },
    Function {
        name: "REGEXP_INSTR",
        params: &[Text, Text],
        required: 2,
        variadic: false,
        build: instr,
    },
    Function {
        name: "REGEXP_SUBSTR",
        params: &[Text, Text],
        required: 2,
        variadic: false,
        build: substr,
    },
    Function {
        name: "REGEXP",
        params: &[Text, Text],
        required: 2,
        variadic: false,
        build: matches,
    },
];

fn str_of<'v>(args: &'v [Value<'_>], at: usize) -> &'v str {
    if let Some(Value::Text(text)) = args.get(at) { text } else { "" }
}

/// A call whose second argument is a regular expression: compiled now, and refused if it is none, when it is constant.
/// One that a row brings makes the result NULL if it is none, and fails if only Java could use it.
fn build<F>(args: &[Node], ty: L, f: F) -> Result<Built, Bad>
where
    F: for<'a> Fn(&Regex, &[Value<'a>]) -> Result<Value<'a>, String> + Send + Sync + 'static,
{
    let fixed = match args.get(1).and_then(Node::as_text) {
        Some(pattern) => Some(regex(pattern).map_err(|message| Bad::arg(1, message))?),
        None => None,
    };
    strict(ty, move |_, args| match &fixed {
        Some(fixed) => f(fixed, args),
        None => match regex(str_of(args, 1)) {
            Ok(regex) => f(&regex, args),
            Err(message) if message.contains("not supported") || message.contains("limit") => {
                Err(message)
            }
            Err(_) => Ok(Value::Null),
        },
    })
}

/// The replacement is taken as it stands: `$1` is no group.
fn replace(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::String, |regex, args| {
        let (text, new) = (str_of(args, 0), str_of(args, 2));
        // Counting first costs a second search: only where the result might be large.
        if text.len().saturating_add(1).saturating_mul(new.len()) > 1 << 20 {
            let matches = regex.find_iter(text).count();
            super::strings::within(text.len().saturating_add(matches.saturating_mul(new.len())))?;
        }
        Ok(Value::text(regex.replace_all(text, regex::NoExpand(new)).into_owned()))
    })
}

fn group(args: &[Value<'_>], default: usize) -> usize {
    match args.get(2) {
        Some(Value::Int(n)) => usize::try_from(*n).unwrap_or(usize::MAX),
        _ => default,
    }
}

fn extract(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::String, |regex, args| {
        let found = regex
            .captures(str_of(args, 0))
            .and_then(|groups| groups.get(group(args, 0)).map(|m| m.as_str().to_owned()));
        Ok(found.map_or(Value::Null, Value::text))
    })
}

fn extract_all(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::Array(Box::new(L::String)), |regex, args| {
        let index = group(args, 1);
        if index >= regex.captures_len() {
            return Ok(Value::Null);
        }
        let found = regex.captures_iter(str_of(args, 0));
        let found = found.map(|groups| {
            groups.get(index).map_or(Value::Null, |m| Value::text(m.as_str().to_owned()))
        });
        Ok(Value::List(found.collect()))
    })
}

fn count(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::Int, |regex, args| {
        Ok(Value::Int(regex.find_iter(str_of(args, 0)).count() as i64))
    })
}

fn instr(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::Int, |regex, args| {
        let text = str_of(args, 0);
        Ok(Value::Int(regex.find(text).map_or(0, |m| text[..m.start()].chars().count() as i64 + 1)))
    })
}

fn substr(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::String, |regex, args| {
        Ok(regex.find(str_of(args, 0)).map_or(Value::Null, |m| Value::text(m.as_str().to_owned())))
    })
}

fn matches(args: &[Node], _: Cx) -> Result<Built, Bad> {
    build(args, L::Boolean, |regex, args| Ok(Value::Bool(regex.is_match(str_of(args, 0)))))
}
