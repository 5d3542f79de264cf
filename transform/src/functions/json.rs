//! Variants: JSON kept as its compact text.

use std::{collections::BTreeMap, fmt};

use cdc_api::LogicalType as L;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use crate::{
    node::{Bad, Built, Function, Param, strict},
    value::Value,
};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "PARSE_JSON",
        params: &[Param::Text, Param::Boolean],
        required: 1,
        variadic: false,
        build: |_, _| parse_json(false),
    },
    Function {
        name: "TRY_PARSE_JSON",
        params: &[Param::Text, Param::Boolean],
        required: 1,
        variadic: false,
        build: |_, _| parse_json(true),
    },
];

fn parse_json(lenient: bool) -> Result<Built, Bad> {
    strict(L::Variant, move |_, args| {
        let Value::Text(text) = &args[0] else { return Ok(Value::Null) };
        if text.is_empty() {
            return Ok(Value::Null);
        }
        let duplicates = matches!(args.get(1), Some(Value::Bool(true)));
        match parse(text, duplicates) {
            Ok(json) => Ok(Value::text(json.to_string())),
            Err(_) if lenient => Ok(Value::Null),
            Err(error) => Err(format!("the text '{}' is not JSON: {error}", shortened(text))),
        }
    })
}

fn shortened(text: &str) -> String {
    if text.chars().count() > 80 {
        format!("{}..", text.chars().take(80).collect::<String>())
    } else {
        text.to_owned()
    }
}

/// Reads JSON; an object with a key twice is refused unless allowed, and then the last counts.
pub(crate) fn parse(text: &str, duplicates: bool) -> Result<Json, String> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let json =
        Tree { duplicates }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    deserializer.end().map_err(|error| error.to_string())?;
    Ok(json)
}

/// `variant['key']` and `variant[1]`: NULL where there is no such member.
pub(crate) fn subscript<'a>(variant: &str, index: &Value<'_>) -> Result<Value<'a>, String> {
    let json = parse(variant, true).map_err(|error| format!("the variant is not JSON: {error}"))?;
    let member = match (json, index) {
        (Json::Object(mut members), Value::Text(key)) => members.remove(key.as_ref()),
        (Json::Array(mut items), Value::Int(at)) => {
            let at = at.checked_sub(1).and_then(|at| usize::try_from(at).ok());
            at.filter(|at| *at < items.len()).map(|at| items.swap_remove(at))
        }
        _ => None,
    };
    Ok(member.map_or(Value::Null, |member| Value::text(member.to_string())))
}

#[derive(Clone, Copy)]
struct Tree {
    duplicates: bool,
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Json;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_bool<E>(self, v: bool) -> Result<Json, E> {
        Ok(Json::Bool(v))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_u64<E>(self, v: u64) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_f64<E>(self, v: f64) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_str<E>(self, v: &str) -> Result<Json, E> {
        Ok(v.into())
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if members.contains_key(&key) && !self.duplicates {
                return Err(de::Error::custom(format!("the key \"{key}\" occurs twice")));
            }
            members.insert(key, value);
        }
        Ok(Json::Object(members.into_iter().collect()))
    }
}
