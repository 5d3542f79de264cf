//! What is wrong with a pipeline file, and what is accepted but has no effect.

use std::ops::Range;

/// One fault, with its place and its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the definition, e.g. `route[1].sink-table`; empty for the file as a whole.
    pub path: String,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// Bytes of the file to underline; none when the file could not be read at all.
    pub span: Option<Range<usize>>,
    /// A second place that belongs to it, with what it is.
    pub also: Option<Box<(Range<usize>, &'static str)>>,
}

impl Fault {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Fault { path: path.into(), message: message.into(), hint: None, span: None, also: None }
    }
    pub(super) fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    pub(super) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
    pub(super) fn also(mut self, span: Range<usize>, what: &'static str) -> Self {
        self.also = Some(Box::new((span, what)));
        self
    }
}

/// Something that the file says and that is accepted without effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where in the definition.
    pub path: String,
    /// Line of the file, from 1.
    pub line: usize,
    /// What is so; lower case, no full stop.
    pub message: String,
}

const BEGINNING_BYTES_MIN: usize = 4;
const ENDING_BYTES_MAX: usize = 5;

/// The key of `known` that was probably meant.
pub(super) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-', ' '], ".");
    let written = plain(written);
    let distance_max = (written.chars().count() / 3).clamp(1, 4);
    let distance = |known: &str| {
        let known = plain(known);
        let is_beginning = written.len() >= BEGINNING_BYTES_MIN
            && (known.starts_with(&written) || written.starts_with(&known));
        // `host` for `hostname`: a few letters too few or too many at the end.
        match known.len().abs_diff(written.len()) {
            difference if is_beginning && difference <= ENDING_BYTES_MAX => 1,
            _ => strsim::osa_distance(&written, &known),
        }
    };
    known
        .into_iter()
        // A key that stands for many, such as `debezium.*`, is nothing to propose.
        .filter(|known| !known.ends_with('*'))
        .map(|known| (distance(known), known))
        .filter(|(distance, _)| *distance <= distance_max)
        .min()
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_proposed_and_far_ones_are_not() {
        let known = ["sink-table", "source-table", "replace-symbol", "debezium.*"];
        assert_eq!(did_you_mean("sink-tabel", known), Some("sink-table"));
        assert_eq!(did_you_mean("sink_table", known), Some("sink-table"));
        assert_eq!(did_you_mean("SinkTable", known), Some("sink-table"));
        assert_eq!(did_you_mean("source", known), None);
        assert_eq!(did_you_mean("host", ["hostname", "port"]), Some("hostname"));
        assert_eq!(did_you_mean("banana", known), None);
        assert_eq!(did_you_mean("debezium", known), None);
    }
}
