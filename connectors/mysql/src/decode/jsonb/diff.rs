//! Partial updates of JSON documents (`binlog_row_value_options = PARTIAL_JSON`): the changes that an after image holds in
//! place of a document, applied to the document of the before image.
//!
//! A change is an operation (0 replace, 1 insert, 2 remove), a path behind its length, and but for a removal a document
//! behind its length; changes follow one another and each sees what the earlier ones did.

use std::borrow::Cow;

use super::{
    path::{self, Leg, Shown},
    tree::{Node, key_order},
};
use crate::decode::{cursor::Cursor, error::Fault};

/// Containers are written in the large format, which takes less than twice the small one's bytes.
const GROWTH_MAX: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Replace,
    Insert,
    Remove,
}

/// Appends the document that `stored` becomes by `diffs`.
///
/// # Errors
/// When the bytes are no changes, or a change has no place in the document: the before image is not what it was made for.
pub(crate) fn apply(stored: &[u8], diffs: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = stored.len().saturating_add(diffs.len());
    let mut members_left = bytes / 3 + 1;
    let mut document = Node::document(stored)?;
    let mut rest = Cursor::new(diffs);
    let mut nth = 0;
    while !rest.is_empty() {
        nth += 1;
        one(&mut document, &mut rest, &mut members_left).map_err(|fault| {
            Fault::new(format!("change {nth} of a partial JSON update: {fault}"))
        })?;
    }
    document.write(bytes.saturating_mul(GROWTH_MAX).saturating_add(64), out)
}

/// Reads and applies the next change.
fn one<'a>(
    document: &mut Node<'a>,
    rest: &mut Cursor<'a>,
    members_left: &mut usize,
) -> Result<(), Fault> {
    let operation = match rest.u8()? {
        0 => Operation::Replace,
        1 => Operation::Insert,
        2 => Operation::Remove,
        other => return Err(Fault::new(format!("operation {other}"))),
    };
    let path = rest.lenenc_bytes()?;
    let legs = path::parse(path)?;
    let value = match operation {
        Operation::Remove => None,
        Operation::Replace | Operation::Insert => Some(Node::document(rest.lenenc_bytes()?)?),
    };
    let no_place =
        || Fault::new(format!("{operation:?} at {} has no place in the document", Shown(path)));
    let (last, above) = legs.split_last().ok_or_else(no_place)?;
    let mut parent = document;
    for leg in above {
        parent.open(members_left)?;
        parent = child(parent, leg).ok_or_else(no_place)?;
    }
    parent.open(members_left)?;
    let done = match (operation, value) {
        (Operation::Replace, Some(value)) => child(parent, last).map(|old| *old = value),
        (Operation::Insert, Some(value)) => insert(parent, last, value),
        _ => remove(parent, last),
    };
    done.ok_or_else(no_place)
}

fn child<'n, 'a>(parent: &'n mut Node<'a>, leg: &Leg<'_>) -> Option<&'n mut Node<'a>> {
    match (parent, leg) {
        (Node::Object(members), Leg::Member(key)) => {
            let at = members.binary_search_by(|(other, _)| key_order(other, key)).ok()?;
            members.get_mut(at).map(|(_, value)| value)
        }
        (Node::Array(elements), Leg::Element { index, from_end }) => {
            let at = Leg::element_of(*index, *from_end, elements.len())?;
            elements.get_mut(at)
        }
        _ => None,
    }
}

/// A new member, or an element ahead of the one at this place; a place behind the end is the end.
fn insert<'a>(parent: &mut Node<'a>, leg: &Leg<'a>, value: Node<'a>) -> Option<()> {
    match (parent, leg) {
        (Node::Object(members), Leg::Member(key)) => {
            let at = members.binary_search_by(|(other, _)| key_order(other, key)).err()?;
            members.insert(at, (Cow::clone(key), value));
        }
        (Node::Array(elements), Leg::Element { index, from_end }) => {
            let behind = if *from_end { 0 } else { elements.len() };
            let at = Leg::element_of(*index, *from_end, elements.len()).unwrap_or(behind);
            elements.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(parent: &mut Node<'_>, leg: &Leg<'_>) -> Option<()> {
    match (parent, leg) {
        (Node::Object(members), Leg::Member(key)) => {
            let at = members.binary_search_by(|(other, _)| key_order(other, key)).ok()?;
            members.remove(at);
        }
        (Node::Array(elements), Leg::Element { index, from_end }) => {
            elements.remove(Leg::element_of(*index, *from_end, elements.len())?);
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{
        super::{kind, write_text},
        *,
    };

    /// A document as the server stores it, containers small or large.
    fn stored(value: &Value, large: bool) -> Vec<u8> {
        let (ty, bytes) = typed(value, large);
        [&[ty][..], &bytes].concat()
    }

    fn typed(value: &Value, large: bool) -> (u8, Vec<u8>) {
        match value {
            Value::Null => (kind::LITERAL, vec![0]),
            Value::Bool(is_true) => (kind::LITERAL, vec![if *is_true { 1 } else { 2 }]),
            Value::Number(number) => match number.as_i64() {
                Some(small) if i16::try_from(small).is_ok() => {
                    (kind::INT16, (small as i16).to_le_bytes().to_vec())
                }
                Some(number) if i32::try_from(number).is_ok() => {
                    (kind::INT32, (number as i32).to_le_bytes().to_vec())
                }
                Some(number) => (kind::INT64, number.to_le_bytes().to_vec()),
                None => (kind::DOUBLE, number.as_f64().unwrap().to_le_bytes().to_vec()),
            },
            Value::String(text) => {
                assert!(text.len() < 128);
                (kind::STRING, [&[text.len() as u8], text.as_bytes()].concat())
            }
            Value::Array(elements) => {
                let elements: Vec<_> = elements.iter().map(|value| (None, value)).collect();
                let ty = if large { kind::LARGE_ARRAY } else { kind::SMALL_ARRAY };
                (ty, container(&elements, large))
            }
            Value::Object(members) => {
                let mut members: Vec<_> =
                    members.iter().map(|(key, value)| (Some(key.as_bytes()), value)).collect();
                members.sort_by(|(a, _), (b, _)| key_order(a.unwrap(), b.unwrap()));
                let ty = if large { kind::LARGE_OBJECT } else { kind::SMALL_OBJECT };
                (ty, container(&members, large))
            }
        }
    }

    fn container(members: &[(Option<&[u8]>, &Value)], large: bool) -> Vec<u8> {
        let width = if large { 4 } else { 2 };
        let put = |out: &mut Vec<u8>, number: usize| {
            out.extend_from_slice(&(number as u32).to_le_bytes()[..width]);
        };
        let keyed = members.iter().filter(|(key, _)| key.is_some()).count();
        let head = 2 * width + keyed * (width + 2) + members.len() * (width + 1);
        let (mut keys, mut entries, mut tail) = (Vec::new(), Vec::new(), Vec::new());
        for key in members.iter().filter_map(|(key, _)| *key) {
            put(&mut keys, head + tail.len());
            keys.extend_from_slice(&(key.len() as u16).to_le_bytes());
            tail.extend_from_slice(key);
        }
        for (_, value) in members {
            let (ty, bytes) = typed(value, large);
            entries.push(ty);
            let is_inlined =
                matches!(ty, kind::LITERAL | kind::INT16) || large && matches!(ty, kind::INT32);
            if is_inlined {
                entries.extend(bytes.iter().copied().chain([0; 4]).take(width));
            } else {
                put(&mut entries, head + tail.len());
                tail.extend_from_slice(&bytes);
            }
        }
        let mut out = Vec::new();
        put(&mut out, members.len());
        put(&mut out, head + tail.len());
        [out, keys, entries, tail].concat()
    }

    fn change(operation: u8, path: &str, value: Option<&Value>) -> Vec<u8> {
        let mut bytes = vec![operation, path.len() as u8];
        bytes.extend_from_slice(path.as_bytes());
        if let Some(value) = value {
            let value = stored(value, false);
            bytes.push(0xFC);
            bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
            bytes.extend_from_slice(&value);
        }
        bytes
    }

    fn text(stored: &[u8]) -> String {
        let mut out = Vec::new();
        write_text(stored, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn applied(document: &Value, changes: &[Vec<u8>]) -> Result<String, String> {
        let mut results = [false, true].map(|large| {
            let mut out = vec![7];
            apply(&stored(document, large), &changes.concat(), &mut out)
                .map(|()| text(&out[1..]))
                .map_err(|fault| fault.to_string())
        });
        assert_eq!(results[0], results[1], "small and large containers differ");
        std::mem::replace(&mut results[0], Ok(String::new()))
    }

    #[test]
    fn each_operation_at_each_kind_of_place() {
        let document = json!({"a": 1, "list": [1, 70000, "three"], "in": {"b": null}});
        for (operation, path, value, expected) in [
            (
                0,
                "$.a",
                Some(json!("x")),
                r#"{"a": "x", "in": {"b": null}, "list": [1, 70000, "three"]}"#,
            ),
            (
                0,
                "$.list[2]",
                Some(json!([])),
                r#"{"a": 1, "in": {"b": null}, "list": [1, 70000, []]}"#,
            ),
            (
                0,
                "$.list[last]",
                Some(json!(3)),
                r#"{"a": 1, "in": {"b": null}, "list": [1, 70000, 3]}"#,
            ),
            (
                1,
                "$.list[0]",
                Some(json!(0)),
                r#"{"a": 1, "in": {"b": null}, "list": [0, 1, 70000, "three"]}"#,
            ),
            (
                1,
                "$.list[9]",
                Some(json!(9)),
                r#"{"a": 1, "in": {"b": null}, "list": [1, 70000, "three", 9]}"#,
            ),
            (
                1,
                "$.in.a",
                Some(json!(-1)),
                r#"{"a": 1, "in": {"a": -1, "b": null}, "list": [1, 70000, "three"]}"#,
            ),
            (
                1,
                "$.in.\"\"",
                Some(json!(2)),
                r#"{"a": 1, "in": {"": 2, "b": null}, "list": [1, 70000, "three"]}"#,
            ),
            (
                1,
                "$.Z",
                Some(json!(5e10)),
                r#"{"Z": 50000000000.0, "a": 1, "in": {"b": null}, "list": [1, 70000, "three"]}"#,
            ),
            (2, "$.list[last-2]", None, r#"{"a": 1, "in": {"b": null}, "list": [70000, "three"]}"#),
            (2, "$.in.b", None, r#"{"a": 1, "in": {}, "list": [1, 70000, "three"]}"#),
        ] {
            let changes = [change(operation, path, value.as_ref())];
            assert_eq!(applied(&document, &changes).as_deref(), Ok(expected), "{operation} {path}");
        }
    }

    #[test]
    fn a_change_sees_the_earlier_ones() {
        let new = json!({"x": [1]});
        let changes = [
            change(1, "$[1]", Some(&new)),
            change(1, "$[1].x[0]", Some(&json!(0))),
            change(2, "$[0]", None),
            change(0, "$[0].x[1]", Some(&json!("one"))),
        ];
        assert_eq!(applied(&json!([true]), &changes).as_deref(), Ok(r#"[{"x": [0, "one"]}]"#));
    }

    #[test]
    fn a_change_without_a_place_is_an_error_that_names_it() {
        let document = json!({"a": [1], "s": "text"});
        for (operation, path, value) in [
            (0, "$.b", Some(json!(1))),
            (0, "$.a[1]", Some(json!(1))),
            (0, "$.a.b", Some(json!(1))),
            (0, "$.s[0]", Some(json!(1))),
            (1, "$.a", Some(json!(1))),
            (1, "$[0]", Some(json!(1))),
            (1, "$.s.x", Some(json!(1))),
            (2, "$.a[1]", None),
            (2, "$.x.y", None),
        ] {
            let changes =
                [change(0, "$.s", Some(&json!("t"))), change(operation, path, value.as_ref())];
            let refused = applied(&document, &changes).unwrap_err();
            let named = refused.contains("change 2") && refused.contains(path);
            assert!(named && refused.contains("no place"), "{refused}");
        }
        assert!(apply(&[], &change(2, "$.a", None), &mut Vec::new()).is_err());
    }

    #[test]
    fn what_is_no_change_is_refused_wherever_it_is_cut() {
        let document = stored(&json!([1, 2]), false);
        let whole = change(0, "$[1]", Some(&json!("x")));
        assert!(apply(&document, &whole, &mut Vec::new()).is_ok());
        for end in 1..whole.len() {
            assert!(apply(&document, &whole[..end], &mut Vec::new()).is_err(), "cut at {end}");
        }
        assert!(apply(&document, &[3, 4, b'$', b'[', b'1', b']'], &mut Vec::new()).is_err());
    }

    /// Every member of an array is the same large array: taken apart, or written out, it would grow without end.
    #[test]
    fn documents_that_overlap_themselves_do_not_grow() {
        let mut body = vec![kind::SMALL_ARRAY];
        let count = 5000u16;
        let head = 4 + count * 3;
        body.extend_from_slice(&count.to_le_bytes());
        body.extend_from_slice(&(head + 12).to_le_bytes());
        for _ in 0..count {
            body.push(kind::STRING);
            body.extend_from_slice(&4u16.to_le_bytes());
        }
        // At offset 4 the entries themselves read as a string of thousands of bytes.
        body[5] = 0x8C;
        body[6] = 0x27;
        body.extend_from_slice(&[0; 12]);
        let mut out = Vec::new();
        let refused = apply(&body, &change(2, "$[0]", None), &mut out).unwrap_err().to_string();
        assert!(refused.contains("overlaps"), "{refused}");
        assert!(out.len() <= 8 * body.len());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-40000i32..80000).prop_map(Value::from),
            "[a-zé\"\\\\]{0,9}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("[a-z.\"é]{0,4}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Every place in a document, as a path and a JSON pointer.
    fn places(value: &Value, path: &str, pointer: &str, out: &mut Vec<(String, String)>) {
        let below: Vec<(String, String, &Value)> = match value {
            Value::Array(elements) => elements
                .iter()
                .enumerate()
                .map(|(at, value)| (format!("{path}[{at}]"), format!("{pointer}/{at}"), value))
                .collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| {
                    let path = format!("{path}.{}", serde_json::to_string(key).unwrap());
                    (path, format!("{pointer}/{key}"), value)
                })
                .collect(),
            _ => Vec::new(),
        };
        for (path, pointer, value) in below {
            places(value, &path, &pointer, out);
            out.push((path, pointer));
        }
    }

    proptest! {
        #[test]
        fn replacing_is_what_it_is_in_any_document(
            mut document in any_json(),
            new in any_json(),
            nth in any::<prop::sample::Index>(),
        ) {
            let mut all = Vec::new();
            places(&document, "$", "", &mut all);
            prop_assume!(!all.is_empty());
            let (path, pointer) = nth.get(&all).clone();
            prop_assume!(path.len() < 250);
            let changed = applied(&document, &[change(0, &path, Some(&new))]);
            *document.pointer_mut(&pointer).unwrap() = new;
            prop_assert_eq!(changed, Ok(text(&stored(&document, true))));
        }

        #[test]
        fn random_bytes_never_panic(
            document in proptest::collection::vec(prop_oneof![0u8..16, any::<u8>()], 0..60),
            diffs in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>(), Just(b'['), Just(b'$')], 0..60),
        ) {
            let _ = apply(&document, &diffs, &mut Vec::new());
        }
    }
}
