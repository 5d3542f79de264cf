//! The path of a change in a JSON document, as the server prints it: `$`, then `.name`, `."any \"name\""`, `[3]` or
//! `[last-3]`. There are no wildcards: a change has one place.

use std::{borrow::Cow, fmt};

use super::DEPTH_MAX;
use crate::decode::error::Fault;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leg<'a> {
    /// A member of an object.
    Member(Cow<'a, [u8]>),
    /// An element of an array, from its start or its end.
    Element { index: u64, from_end: bool },
}

impl Leg<'_> {
    /// The place of an element in an array of this length; none when it is not in it.
    pub(super) fn element_of(index: u64, from_end: bool, length: usize) -> Option<usize> {
        let index = usize::try_from(index).ok().filter(|index| *index < length)?;
        Some(if from_end { length - 1 - index } else { index })
    }
}

/// A path in the words of the bytes that it came in.
pub(super) struct Shown<'a>(pub(super) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARS: usize = 120;
        let text = String::from_utf8_lossy(self.0);
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        let more = if text.chars().nth(SHOWN_CHARS).is_some() { "…" } else { "" };
        write!(f, "{shown}{more}")
    }
}

/// Reads a path of at least one leg.
pub(super) fn parse(path: &[u8]) -> Result<Vec<Leg<'_>>, Fault> {
    let malformed = || Fault::new(format!("JSON path {}", Shown(path)));
    let mut rest = path.strip_prefix(b"$").ok_or_else(malformed)?;
    let mut legs = Vec::new();
    while let Some((&first, behind)) = rest.split_first() {
        if legs.len() >= DEPTH_MAX {
            return Err(Fault::new(format!("a JSON path has more than {DEPTH_MAX} legs")));
        }
        let (leg, behind) = match first {
            b'.' => member(behind),
            b'[' => element(behind),
            _ => None,
        }
        .ok_or_else(malformed)?;
        legs.push(leg);
        rest = behind;
    }
    if legs.is_empty() { Err(malformed()) } else { Ok(legs) }
}

fn member(rest: &[u8]) -> Option<(Leg<'_>, &[u8])> {
    if rest.first() != Some(&b'"') {
        let end = rest.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        return (!name.is_empty()).then_some((Leg::Member(Cow::Borrowed(name)), behind));
    }
    let mut escaped = false;
    let end = rest.iter().skip(1).position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })?;
    let (quoted, behind) = rest.split_at_checked(end + 2)?;
    let name: String = serde_json::from_slice(quoted).ok()?;
    Some((Leg::Member(Cow::Owned(name.into_bytes())), behind))
}

fn element(rest: &[u8]) -> Option<(Leg<'_>, &[u8])> {
    let end = rest.iter().position(|&byte| byte == b']')?;
    let (inside, behind) = rest.split_at(end);
    let behind = behind.get(1..)?;
    let (digits, from_end) = match inside.strip_prefix(b"last") {
        Some(b"") => (&b"0"[..], true),
        Some(offset) => (offset.strip_prefix(b"-")?, true),
        None => (inside, false),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let index = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((Leg::Element { index, from_end }, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_server_prints_them() {
        let member = |name: &str| Leg::Member(Cow::Owned(name.as_bytes().to_vec()));
        let element = |index, from_end| Leg::Element { index, from_end };
        for (path, legs) in [
            ("$.a", vec![member("a")]),
            ("$[0].b[12]", vec![element(0, false), member("b"), element(12, false)]),
            (r#"$."a.b\"[0]"[last-2]"#, vec![member("a.b\"[0]"), element(2, true)]),
            (r#"$.é."\\"."""#, vec![member("é"), member("\\"), member("")]),
            ("$[last]", vec![element(0, true)]),
            (r#"$."\u0001""#, vec![member("\u{1}")]),
        ] {
            assert_eq!(parse(path.as_bytes()), Ok(legs), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            "", "$", "a", "$.", "$[", "$[]", "$[-1]", "$[x]", "$[last-]", "$.a[1", "$.\"a", "$ .a",
            "$[*]",
        ] {
            assert!(parse(path.as_bytes()).is_err(), "{path}");
        }
        assert!(parse(&[b"$".to_vec(), b"[0]".repeat(DEPTH_MAX)].concat()).is_ok());
        assert!(parse(&[b"$".to_vec(), b"[0]".repeat(DEPTH_MAX + 1)].concat()).is_err());
    }

    #[test]
    fn elements_count_from_either_end() {
        assert_eq!(Leg::element_of(2, false, 3), Some(2));
        assert_eq!(Leg::element_of(3, false, 3), None);
        assert_eq!(Leg::element_of(0, true, 3), Some(2));
        assert_eq!(Leg::element_of(0, true, 0), None);
        assert_eq!(Leg::element_of(u64::MAX, false, 3), None);
    }
}
