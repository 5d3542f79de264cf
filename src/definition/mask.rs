//! Secrets out of sight: which parts of a file's text are never printed, and the text without them.
//!
//! In: the file's text and the spans of values known to be secret. Out: a [`Masked`] text with the same lines, and
//! the map from places in the one to places in the other.

use std::ops::Range;

use cdc_api::options::{names_a_secret, secret_word};

use super::tree::{Node, Substitution, Value};

const MASK: &str = "***";
/// The secrets of one file: where they stand, and what they are.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    pub(super) spans: Vec<Range<usize>>,
    texts: Vec<String>,
}

/// Shorter texts occur everywhere; taking them out would only garble messages.
const REDACTED_CHARS_MIN: usize = 4;

impl Secrets {
    /// All values under a key that names a secret, and all that came from a secret's variable or file.
    pub(super) fn gather(&mut self, node: &Node) {
        match &node.value {
            Value::Null | Value::Unresolved => {}
            Value::Scalar(scalar) => {
                if scalar.substitution == Substitution::Secret {
                    self.texts.push(scalar.text.clone());
                }
            }
            Value::Sequence(items) => items.iter().for_each(|item| self.gather(item)),
            Value::Mapping(entries) => {
                for entry in entries {
                    if names_a_secret(&entry.key) {
                        self.conceal(&entry.value);
                    } else {
                        self.gather(&entry.value);
                    }
                }
            }
        }
    }

    /// Marks a whole value as secret, at both its places when it is an alias.
    pub(super) fn conceal(&mut self, node: &Node) {
        self.spans.push(node.span.clone());
        self.spans.extend(node.anchored_at.clone());
        match &node.value {
            Value::Null | Value::Unresolved => {}
            Value::Scalar(scalar) => self.texts.push(scalar.text.clone()),
            Value::Sequence(items) => items.iter().for_each(|item| self.conceal(item)),
            Value::Mapping(entries) => entries.iter().for_each(|entry| self.conceal(&entry.value)),
        }
    }

    /// A message without the secrets' texts: the last guard, for messages that others wrote.
    pub(super) fn redact(&self, message: &str) -> String {
        let long = self.texts.iter().filter(|text| text.chars().count() >= REDACTED_CHARS_MIN);
        long.fold(message.to_owned(), |message, text| message.replace(text.as_str(), MASK))
    }
}

/// What must not be shown of a text that is no YAML, or not yet: judged line by line.
pub(super) fn secrets_of_lines(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    // Indentation of a secret key whose value may go on in deeper lines.
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indentation = line.len() - line.trim_start().len();
        let blank = line.trim().is_empty();
        if below.is_some_and(|secret| blank || indentation > secret) {
            spans.push(start..start + line.len());
        } else {
            below = None;
            if let Some(at) = value_of_secret(line) {
                spans.push(start + at..start + line.len());
                below = Some(indentation);
            }
        }
        start += line.len();
    }
    spans
}

/// Where the value begins on a line with a secret's key.
fn value_of_secret(line: &str) -> Option<usize> {
    let word = secret_word(line)?;
    let colon = word + line.get(word..)?.find([':', '='])?;
    Some(colon + 1)
}

/// Passwords inside of addresses: `scheme://user:password@host`.
pub(super) fn secrets_of_addresses(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let rest = text.get(start..).unwrap_or_default();
        let end =
            rest.find(|c: char| c.is_whitespace() || "/'\"".contains(c)).unwrap_or(rest.len());
        let authority = rest.get(..end).unwrap_or_default();
        if let Some(host) = authority.rfind('@')
            && let Some(colon) = authority.get(..host).and_then(|user| user.find(':'))
        {
            spans.push(start + colon + 1..start + host);
        }
    }
    spans
}

/// A text in which secrets are `***`.
#[derive(Debug, Clone)]
pub(super) struct Masked {
    pub(super) text: String,
    /// Pieces that were replaced: place in the file, place here.
    pieces: Vec<(Range<usize>, Range<usize>)>,
}

impl Masked {
    /// Masks the spans, line by line so that line numbers stay. A value that is only `${…}` holds no secret itself.
    pub(super) fn new(text: &str, mut spans: Vec<Range<usize>>) -> Self {
        spans.retain(|span| text.get(span.clone()).is_some_and(|part| !is_reference(part)));
        spans.sort_by_key(|span| (span.start, span.end));
        let mut masked = Masked { text: String::with_capacity(text.len()), pieces: Vec::new() };
        let mut copied = 0;
        for span in spans {
            let mut start = span.start.max(copied);
            for line in text.get(start..span.end).unwrap_or_default().split_inclusive('\n') {
                let content = line.trim();
                let from = start + (line.len() - line.trim_start().len());
                start += line.len();
                if content.is_empty() {
                    continue;
                }
                masked.text.push_str(text.get(copied..from).unwrap_or_default());
                let here = masked.text.len();
                masked.text.push_str(MASK);
                copied = from + content.len();
                masked.pieces.push((from..copied, here..masked.text.len()));
            }
        }
        masked.text.push_str(text.get(copied..).unwrap_or_default());
        masked
    }

    /// The place of a span of the file in this text; what begins or ends inside a secret covers all of its mask.
    pub(super) fn span(&self, span: &Range<usize>) -> Range<usize> {
        let start = self.place(span.start, false);
        start..self.place(span.end, true).max(start)
    }

    fn place(&self, offset: usize, is_end: bool) -> usize {
        let mut shift = 0_isize;
        for (file, here) in &self.pieces {
            if offset <= file.start {
                break;
            }
            if offset < file.end {
                return if is_end { here.end } else { here.start };
            }
            shift = here.end as isize - file.end as isize;
        }
        offset.saturating_add_signed(shift).min(self.text.len())
    }
}

fn is_reference(part: &str) -> bool {
    let inside =
        part.trim_matches(['"', '\'']).strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inside.is_some_and(|inside| !inside.contains(":-") && !inside.contains(['$', '}']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_text_keeps_lines_and_places() {
        let text = "password: hunter2\nport: 1\nkey: |\n  a\n  bb\nend: x\n";
        let at = |part: &str| {
            let start = text.find(part).unwrap();
            start..start + part.len()
        };
        let masked = Masked::new(text, vec![at("hunter2"), at("a\n  bb")]);
        let expected = "password: ***\nport: 1\nkey: |\n  ***\n  ***\nend: x\n";
        assert_eq!(masked.text, expected);
        assert_eq!(&masked.text[masked.span(&at("port"))], "port");
        assert_eq!(&masked.text[masked.span(&at("end"))], "end");
        assert_eq!(&masked.text[masked.span(&at("unter"))], "***");
    }

    #[test]
    fn references_are_shown() {
        let text = "${DB_PASSWORD} ${PW:-hunter2}";
        assert_eq!(Masked::new(text, vec![0..14, 15..29]).text, "${DB_PASSWORD} ***");
    }

    #[test]
    fn lines_of_broken_yaml_are_masked_by_their_words() {
        let text = "a: [\npassword: x: y\nclient_secret: |\n  deep\n\n  deeper\nport: 1\n{token: t, b: c}\n";
        let masked = Masked::new(text, secrets_of_lines(text));
        let expected =
            "a: [\npassword: ***\nclient_secret: ***\n  ***\n\n  ***\nport: 1\n{token: ***\n";
        assert_eq!(masked.text, expected);
    }

    #[test]
    fn passwords_in_addresses_are_masked() {
        let text = "url: jdbc:mysql://root:hunter2@db:3306/x\npath: s3://bucket/a:b@c\n";
        let masked = Masked::new(text, secrets_of_addresses(text));
        assert_eq!(masked.text, "url: jdbc:mysql://root:***@db:3306/x\npath: s3://bucket/a:b@c\n");
    }
}
