//! A key as SQL literals, and the statement that lets the server compare such keys.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::KeyCodec;

/// The values of a key's columns as the server's literals, in key order. Fewer values than the key has columns stand for
/// all keys that begin so: as a bound they lie at or below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyLiteral {
    values: Arc<[String]>,
}

impl KeyLiteral {
    pub(super) fn new(values: Vec<String>) -> Self {
        KeyLiteral { values: values.into() }
    }

    /// One literal for each column, from the first on.
    pub fn values(&self) -> &[String] {
        &self.values
    }
}

impl fmt::Display for KeyLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<String> = self.values.iter().map(|value| cut(value)).collect();
        write!(f, "({})", values.join(", "))
    }
}

/// As much of a literal as a message shows.
pub(super) fn cut(literal: &str) -> String {
    const SHOWN_CHARS: usize = 120;
    match literal.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", literal.get(..end).unwrap_or_default()),
        None => literal.to_owned(),
    }
}

/// The statement that lets the server compare each pair: one row with one column for each pair, -1, 0 or 1 for less, equal
/// or greater (correctness §3: our order of bounds is checked against the server's, and keys are placed by asking it when
/// the two differ). None when no column of the key is worth asking for: numbers and times compare natively.
pub fn compare_query<'a>(
    codec: &KeyCodec,
    pairs: impl IntoIterator<Item = (&'a KeyLiteral, &'a KeyLiteral)>,
) -> Option<String> {
    if !codec.components().iter().any(|component| component.is_checked()) {
        return None;
    }
    let compared: Vec<String> = pairs
        .into_iter()
        .map(|(left, right)| {
            let mut case = String::from("CASE");
            for (a, b) in left.values().iter().zip(right.values()).filter(|(a, b)| a != b) {
                case.push_str(&format!(" WHEN {a} < {b} THEN -1 WHEN {a} > {b} THEN 1"));
            }
            if case.len() == 4 { "0".to_owned() } else { case + " ELSE 0 END" }
        })
        .collect();
    (!compared.is_empty()).then(|| format!("SELECT {}", compared.join(", ")))
}
