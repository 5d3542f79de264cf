//! What the readers of all blocks share: collecting faults and notices, and placing them.

use std::ops::Range;

use cdc_api::{
    OptionClass, OptionSpec, OptionType,
    options::{check_value, names_a_secret},
};
use saphyr_parser::ScalarStyle;

use super::{
    fault::{Fault, Notice, did_you_mean},
    mask::Secrets,
    tree::{Entry, Node, Scalar, Substitution, Value},
};

/// The state of reading one file.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) faults: Vec<Fault>,
    pub(super) notices: Vec<Notice>,
    pub(super) secrets: Secrets,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Reader { text, faults: Vec::new(), notices: Vec::new(), secrets: Secrets::default() }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn notice(&mut self, path: &str, span: &Range<usize>, message: impl Into<String>) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.notices.push(Notice { path: path.to_owned(), line, message: message.into() });
    }

    /// The entries of a block; anything else is a fault.
    pub(super) fn block<'n>(&mut self, path: &str, entry: &'n Entry) -> Option<&'n [Entry]> {
        if let Value::Mapping(entries) = &entry.value.value {
            return Some(entries);
        }
        let message = format!("expected a block of keys, found {}", entry.value.describe());
        self.fault(Fault::new(path, message).at(self.value_span(entry)));
        None
    }

    /// The items of a list; nothing behind the key is an empty one, anything else a fault.
    pub(super) fn list<'n>(&mut self, path: &str, entry: &'n Entry) -> Option<&'n [Node]> {
        match &entry.value.value {
            Value::Sequence(items) => Some(items),
            Value::Null => Some(&[]),
            _ => {
                let message = format!("expected a list, found {}", entry.value.describe());
                let fault = Fault::new(path, message).at(self.value_span(entry));
                self.fault(fault.hint("begin each item with `- `"));
                None
            }
        }
    }

    /// The scalar behind a key; anything else is a fault, or was one already.
    pub(super) fn scalar<'n>(&mut self, path: &str, entry: &'n Entry) -> Option<&'n Scalar> {
        let fault = match &entry.value.value {
            Value::Scalar(scalar) => return Some(scalar),
            Value::Unresolved => return None,
            Value::Null => Fault::new(path, "has no value")
                .hint("remove the key, or write \"\" for an empty text"),
            Value::Sequence(_) => Fault::new(path, "expected a text, found a list")
                .hint("write one text with commas between its parts"),
            Value::Mapping(entries) => {
                let below = entries.first().map_or("...", |entry| entry.key.as_str());
                Fault::new(path, "expected a text, found a block of keys")
                    .hint(format!("options are not nested: write `{}.{below}: ...`", entry.key))
            }
        };
        self.fault(fault.at(self.value_span(entry)));
        None
    }

    /// Whether an unknown key of the block was probably meant for `key`: then its own fault says all.
    pub(super) fn is_meant<'k>(
        entries: &[Entry],
        key: &str,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) -> bool {
        let unknown =
            entries.iter().filter(|entry| !known.clone().into_iter().any(|key| key == entry.key));
        let mut meant = unknown.filter_map(|entry| did_you_mean(&entry.key, known.clone()));
        meant.any(|proposal| proposal == key)
    }

    /// A key that nobody knows.
    pub(super) fn unknown_key<'k>(
        &mut self,
        path: &str,
        entry: &Entry,
        known: impl IntoIterator<Item = &'k str>,
        otherwise: impl Into<String>,
    ) {
        let proposal = did_you_mean(&entry.key, known);
        // What was meant for a secret's key is a secret too, however the key is spelled.
        if proposal.is_some_and(names_a_secret) {
            self.secrets.conceal(&entry.value);
        }
        let fault = Fault::new(path, "unknown key").at(entry.key_span.clone());
        self.fault(match proposal {
            Some(key) => fault.hint(format!("did you mean `{key}`?")),
            None => fault.hint(otherwise),
        });
    }

    /// Checks one option against its declaration and gives its text. None: it has no text, or one that is refused;
    /// either is reported.
    pub(super) fn option<'n>(
        &mut self,
        path: &str,
        entry: &'n Entry,
        spec: &OptionSpec,
    ) -> Option<&'n str> {
        if spec.ty == OptionType::Secret {
            self.secrets.conceal(&entry.value);
        }
        if let OptionClass::Refused(why) = spec.class {
            self.fault(Fault::new(path, format!("is refused: {why}")).at(entry.key_span.clone()));
            return None;
        }
        // A word that YAML takes for nothing: `temporal.invalid: null` means what it says.
        if let (Value::Null, OptionType::OneOf(words)) = (&entry.value.value, &spec.ty)
            && let Some(word) = words.iter().find(|word| **word == "null")
            && self.text.get(self.value_span(entry)) == Some(*word)
        {
            return Some(word);
        }
        let scalar = self.scalar(path, entry)?;
        if let OptionClass::NoEffect(why) = spec.class {
            self.notice(path, &entry.key_span, format!("has no effect: {why}"));
            return Some(&scalar.text);
        }
        let Err(fault) = check_value(spec, &entry.key, &scalar.text) else {
            return Some(&scalar.text);
        };
        if scalar.substitution == Substitution::Secret {
            let message = format!("what the reference stands for is not of type {}", spec.ty);
            self.fault(Fault::new(path, message).at(self.value_span(entry)));
            return None;
        }
        let hint = match (fault.hint, spec.ty) {
            (None, OptionType::OneOf(words)) => did_you_mean(&scalar.text, words.iter().copied())
                .map(|word| format!("did you mean `{word}`?")),
            (hint, _) => hint,
        };
        let span = match fault.offset {
            Some(offset) => self.place(&entry.value, scalar, offset),
            None => self.value_span(entry),
        };
        self.fault(Fault::new(path, fault.message).at(span).maybe_hint(hint));
        None
    }

    /// What to underline for a value: its first line, or its key when there is nothing.
    pub(super) fn value_span(&self, entry: &Entry) -> Range<usize> {
        if entry.value.span.is_empty() {
            return entry.key_span.clone();
        }
        // A block of keys begins below: its key says more than its first line.
        if matches!(entry.value.value, Value::Mapping(_) | Value::Sequence(_))
            && self.lines_between(entry.key_span.end, entry.value.span.start)
        {
            return entry.key_span.clone();
        }
        self.first_line(entry.value.span.clone())
    }

    fn lines_between(&self, start: usize, end: usize) -> bool {
        self.text.get(start..end).is_some_and(|between| between.contains('\n'))
    }

    pub(super) fn first_line(&self, span: Range<usize>) -> Range<usize> {
        let part = self.text.get(span.clone()).unwrap_or_default();
        let length = part.find(['\n', '\r']).unwrap_or(part.len());
        span.start..span.start + length
    }

    /// The character at `offset` of a scalar's text as a place in the file; the whole value where the two cannot be
    /// laid side by side.
    pub(super) fn place(&self, node: &Node, scalar: &Scalar, offset: usize) -> Range<usize> {
        let mut places = self.places(node, scalar);
        if offset < places.len() { places.swap_remove(offset) } else { self.whole(node) }
    }

    /// These bytes of a scalar's text, at least the first of them, as a place in the file.
    pub(super) fn span(&self, node: &Node, scalar: &Scalar, at: Range<usize>) -> Range<usize> {
        let places = self.places(node, scalar);
        let place = |offset: usize| places.get(offset).cloned().unwrap_or_else(|| self.whole(node));
        let (first, last) = (place(at.start), place(at.end.saturating_sub(1).max(at.start)));
        first.start..last.end.max(first.end)
    }

    /// Where each byte of a scalar's text, and its end, stands in the file.
    pub(super) fn places(&self, node: &Node, scalar: &Scalar) -> Vec<Range<usize>> {
        let span = node.anchored_at.clone().unwrap_or_else(|| node.span.clone());
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let is_written = scalar.substitution == Substitution::None && !scalar.text.is_empty();
        match is_written.then(|| side_by_side(raw, &scalar.text, scalar.style)).flatten() {
            Some(places) => places
                .into_iter()
                .map(|place| span.start + place.start..span.start + place.end)
                .collect(),
            None => vec![self.whole(node); scalar.text.len() + 1],
        }
    }

    fn whole(&self, node: &Node) -> Range<usize> {
        self.first_line(node.span.clone())
    }
}

/// Per byte of a scalar's text, and for its end, the bytes of `raw` that it was written as; none where the text holds
/// something that cannot be found in `raw`.
fn side_by_side(raw: &str, text: &str, style: ScalarStyle) -> Option<Vec<Range<usize>>> {
    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let mut at = match style {
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        // `|-` or `>` and what may stand behind it, where the parser counts that line in.
        _ if is_block && raw.starts_with(['|', '>']) && !text.starts_with(['|', '>']) => {
            raw.find('\n').unwrap_or(raw.len())
        }
        _ => 0,
    };
    let blank = |text: &str| text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let mut places = Vec::with_capacity(text.len() + 1);
    let mut read = 0;
    while read < text.len() {
        let (rest, wanted) = (raw.get(at..)?, text.get(read..)?);
        // A line break with the blanks around it is a blank, a line break, or nothing of the text.
        let gap = blank(rest);
        if rest.get(..gap)?.contains('\n') || (is_block && gap == rest.len()) {
            let width = blank(wanted);
            if gap + width == 0 {
                return None;
            }
            places.resize(places.len() + width, at..at);
            (at, read) = (at + gap, read + width);
            continue;
        }
        if style == ScalarStyle::DoubleQuoted && rest.starts_with("\\\n") {
            at += 1 + blank(rest.get(1..)?);
            continue;
        }
        let (length, width) = step(rest, style)?;
        if length == width && rest.get(..length)? != wanted.get(..width)? {
            return None;
        }
        places.resize(places.len() + width, at..at + length);
        (at, read) = (at + length, read + width);
    }
    // An error at the end of the text stands behind its last character.
    let end = if is_block { raw.get(..at)?.trim_end().len() } else { at };
    places.push(end..end);
    Some(places)
}

/// One character of a scalar as written: its bytes in the file and in the text.
fn step(raw: &str, style: ScalarStyle) -> Option<(usize, usize)> {
    let mut chars = raw.chars();
    let first = chars.next()?;
    match (style, first, chars.next()) {
        (ScalarStyle::SingleQuoted, '\'', Some('\'')) => Some((2, 1)),
        (ScalarStyle::SingleQuoted, '\'', _) | (ScalarStyle::DoubleQuoted, '"', _) => None,
        // Numeric escapes are rare enough to underline the whole value for them.
        (ScalarStyle::DoubleQuoted, '\\', Some('x' | 'u' | 'U' | 'N' | '_' | 'L' | 'P')) => None,
        (ScalarStyle::DoubleQuoted, '\\', Some(second)) => Some((1 + second.len_utf8(), 1)),
        _ => Some((first.len_utf8(), first.len_utf8())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is underlined for each occurrence of `word` in the scalar behind `k:`.
    fn underlined<'t>(file: &'t str, word: &str) -> Vec<(usize, &'t str)> {
        let root =
            super::super::tree::parse(file, &mut Vec::new()).expect("YAML").expect("a document");
        let Value::Mapping(entries) = &root.value else { panic!("a block of keys") };
        let entry = entries.iter().find(|entry| entry.key == "k").expect("the key k");
        let Value::Scalar(scalar) = &entry.value.value else { panic!("a scalar") };
        let places = Reader::new(file).places(&entry.value, scalar);
        assert_eq!(places.len(), scalar.text.len() + 1);
        let found = scalar.text.match_indices(word).map(|(at, _)| {
            let span = places[at].start..places[at + word.len() - 1].end;
            (file[..span.start].matches('\n').count() + 1, &file[span])
        });
        found.collect()
    }

    #[test]
    fn words_of_any_kind_of_scalar_are_found_in_the_file() {
        let files = [
            "k: id, bad, bad\n",
            "k: 'it''s, bad, bad'\n",
            "k: \"\\\"é\\\", bad, bad\"\n",
            "k: |\n  id,\n  bad,\n\n    bad\n",
            "k: |-\n    id,\n    bad, bad\nj: 1\n",
            "k: | # a remark\n  id,\n\n  bad, bad\n",
            "k: >\n  id,\n  bad,\n  é, bad\n",
            "k: >-\r\n  id,\r\n\r\n  bad,\r\n    more,\r\n  bad\r\n",
            "k: |2\n   id,\n  bad, bad\n",
            "k: id,\n  bad,\n\n  bad\n",
            "k: 'id,\n  bad,\n  it''s bad'\n",
            "k: \"id,\n  bad, \\\n  \\tbad\"\n",
            "j: &a |\n  id,\n  bad, bad\nk: *a\n",
        ];
        for file in files {
            let lines: Vec<usize> = file
                .lines()
                .enumerate()
                .flat_map(|(at, line)| line.matches("bad").map(move |_| at + 1).collect::<Vec<_>>())
                .collect();
            let found = underlined(file, "bad");
            let (on, words): (Vec<usize>, Vec<&str>) = found.into_iter().unzip();
            assert_eq!((words, on), (vec!["bad", "bad"], lines), "{file}");
        }
    }

    #[test]
    fn the_end_of_a_text_stands_behind_its_last_character() {
        for file in ["k: a +\n", "k: 'a +'\n", "k: |\n  a\n  +\n\nj: 1\n", "k: >-\n  a\n  +\n"] {
            let root = super::super::tree::parse(file, &mut Vec::new()).unwrap().unwrap();
            let Value::Mapping(entries) = &root.value else { panic!("a block of keys") };
            let Value::Scalar(scalar) = &entries[0].value.value else { panic!("a scalar") };
            let places = Reader::new(file).places(&entries[0].value, scalar);
            let end = file.find('+').unwrap() + 1;
            assert_eq!(places.last(), Some(&(end..end)), "{file}");
        }
    }
}
