//! The YAML text as a tree in which every scalar is text and everything knows its place in the file.
//!
//! In: the file's text. Out: a [`Node`], or what stopped the parser. Aliases are resolved here, and size, depth and the
//! expansion of aliases are limited, so that nothing later needs to care. Faults that do not hinder reading on
//! (a key written twice, a tag) are collected. Values are not interpreted: that is the option's business.

use std::{collections::BTreeMap, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::fault::Fault;

/// The longest file; a pipeline file has some hundred lines.
pub(super) const FILE_BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 32;
const NODES_MAX: usize = 50_000;
/// What aliases may add; more than this is an alias bomb, not a pipeline.
const ALIAS_NODES_MAX: usize = 5_000;

/// One value of the file.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Where it stands, bytes; of an alias, where the alias stands.
    pub(super) span: Range<usize>,
    /// Of an alias: where the text really is.
    pub(super) anchored_at: Option<Range<usize>>,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Nothing behind the key, `~` or `null`.
    Null,
    /// A scalar whose `${…}` could not be resolved: its fault is reported, and nothing else is said of it.
    Unresolved,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// Text as YAML means it: quotes and escapes resolved.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) style: ScalarStyle,
    /// What `${…}` made of it.
    pub(super) substitution: Substitution,
}

/// Whether a scalar's text stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Substitution {
    /// It is as written.
    None,
    /// Text from the environment is in it.
    Plain,
    /// Text that looks like a secret is in it, so it is never printed.
    Secret,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    /// What the user would call it.
    pub(super) fn describe(&self) -> &'static str {
        match self.value {
            Value::Null | Value::Unresolved => "nothing",
            Value::Scalar(_) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a block of keys",
        }
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Unresolved | Value::Scalar(_) => 0,
            Value::Sequence(items) => items.iter().map(Node::count).sum(),
            Value::Mapping(entries) => entries.iter().map(|entry| 1 + entry.value.count()).sum(),
        }
    }
}

/// Reads the first document. `Ok(None)` is a file without one.
///
/// # Errors
/// What stopped the parser; `faults` keeps what did not.
pub(super) fn parse(text: &str, faults: &mut Vec<Fault>) -> Result<Option<Node>, Fault> {
    let places = Places::new(text);
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::new(text, &places, faults);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| scan_fault(&error, &places, text))?;
        if matches!(event, Event::StreamEnd) {
            break;
        }
        builder.take(event, span)?;
    }
    Ok(builder.root)
}

/// Character numbers, as the parser counts, to byte offsets.
struct Places {
    bytes: Option<Vec<usize>>,
    end: usize,
}

impl Places {
    fn new(text: &str) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Places { bytes, end: text.len() }
    }
    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.end),
            None => character.min(self.end),
        }
    }
}

/// A collection that is still open.
enum Open {
    Sequence {
        anchor: usize,
        span: Range<usize>,
        items: Vec<Node>,
    },
    Mapping {
        anchor: usize,
        span: Range<usize>,
        entries: Vec<Entry>,
        key: Option<(String, Range<usize>)>,
    },
}

struct Builder<'a> {
    text: &'a str,
    places: &'a Places,
    faults: &'a mut Vec<Fault>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    alias_nodes: usize,
    documents: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let anchor = match &event {
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _) => *anchor,
            _ => 0,
        };
        let span = self.span(span, anchor);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Fault::new("", "the file has more than one document")
                        .at(span)
                        .hint("keep one pipeline per file and remove the `---` between them"));
                }
            }
            Event::Scalar(text, style, _, tag) => {
                if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
                    self.tag_fault(&tag.to_string(), &span);
                }
                let value = match (style, text.as_ref()) {
                    (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
                    _ => Value::Scalar(Scalar {
                        text: text.into_owned(),
                        style,
                        substitution: Substitution::None,
                    }),
                };
                self.add(Node { span, anchored_at: None, value }, anchor)?;
            }
            Event::Alias(anchor) => self.add_alias(anchor, span)?,
            Event::SequenceStart(_, tag) => {
                if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
                    self.tag_fault(&tag.to_string(), &span);
                }
                self.push(Open::Sequence { anchor, span, items: Vec::new() })?;
            }
            Event::MappingStart(_, tag) => {
                if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
                    self.tag_fault(&tag.to_string(), &span);
                }
                self.push(Open::Mapping { anchor, span, entries: Vec::new(), key: None })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span.end)?,
            Event::DocumentEnd | Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
        }
        Ok(())
    }

    /// The bytes of an event, without blanks at the end and without the anchor before it.
    fn span(&self, span: Span, anchor: usize) -> Range<usize> {
        let mut start = self.places.byte(span.start.index());
        let end = self.places.byte(span.end.index()).max(start);
        let mut part = self.text.get(start..end).unwrap_or_default().trim_end();
        if anchor > 0
            && part.starts_with('&')
            && let Some(blank) = part.find(char::is_whitespace)
        {
            let value = part.get(blank..).unwrap_or_default().trim_start();
            start += part.len() - value.len();
            part = value;
        }
        start..start + part.len()
    }

    fn push(&mut self, open: Open) -> Result<(), Fault> {
        if self.open.len() == DEPTH_MAX {
            let (Open::Sequence { span, .. } | Open::Mapping { span, .. }) = open;
            let message = format!("the file nests deeper than {DEPTH_MAX} levels");
            return Err(Fault::new("", message).at(span));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Fault> {
        let (anchor, span, value) = match self.open.pop() {
            Some(Open::Sequence { anchor, span, items }) => (anchor, span, Value::Sequence(items)),
            Some(Open::Mapping { anchor, span, entries, .. }) => {
                (anchor, span, Value::Mapping(entries))
            }
            None => return Ok(()),
        };
        let end = end.max(span.end);
        let length = self.text.get(span.start..end).unwrap_or_default().trim_end().len();
        let span = span.start..span.start + length;
        self.add(Node { span, anchored_at: None, value }, anchor)
    }

    fn add_alias(&mut self, anchor: usize, span: Range<usize>) -> Result<(), Fault> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(Fault::new("", "an alias stands inside of what it names").at(span));
        };
        self.alias_nodes = self.alias_nodes.saturating_add(target.count());
        if self.alias_nodes > ALIAS_NODES_MAX {
            let message = format!("aliases expand to more than {ALIAS_NODES_MAX} values");
            return Err(Fault::new("", message).at(span).hint("write the values out"));
        }
        let mut node = target.clone();
        node.anchored_at = Some(node.anchored_at.unwrap_or(node.span));
        node.span = span;
        self.add(node, 0)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let message = format!("the file has more than {NODES_MAX} values");
            return Err(Fault::new("", message).at(node.span));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                Some((key, key_span)) => {
                    let first = entries.iter().find(|entry| entry.key == key);
                    if let Some(first) = first {
                        let message = format!("key `{key}` is written twice in one block");
                        self.faults.push(
                            Fault::new("", message)
                                .at(key_span)
                                .also(first.key_span.clone(), "first written here"),
                        );
                    } else {
                        entries.push(Entry { key, key_span, value: node });
                    }
                }
                None => match node.value {
                    Value::Scalar(scalar) => *key = Some((scalar.text, node.span)),
                    _ => {
                        return Err(Fault::new("", "a key must be a plain word").at(node.span));
                    }
                },
            },
        }
        Ok(())
    }

    fn tag_fault(&mut self, tag: &str, span: &Range<usize>) {
        let fault = Fault::new("", format!("tag `{tag}` means nothing here"));
        self.faults.push(fault.at(span.clone()).hint("remove the tag, or quote the value"));
    }
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, places: &'a Places, faults: &'a mut Vec<Fault>) -> Self {
        Builder {
            text,
            places,
            faults,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            alias_nodes: 0,
            documents: 0,
            root: None,
        }
    }
}

/// The parser's own words, with what usually helps.
fn scan_fault(error: &ScanError, places: &Places, text: &str) -> Fault {
    let at = places.byte(error.marker().index());
    let info = error.info();
    let here = text.get(at..).unwrap_or_default();
    let hint = if info.contains("unknown anchor") || here.starts_with('*') {
        Some("a value that begins with `*` must be in quotes")
    } else if here.starts_with(['@', '`', '%', '&', '!', '|', '>']) {
        Some("a value that begins with this character must be in quotes")
    } else if info.contains("tabs") {
        Some("indent with blanks, never with tabs")
    } else if info.contains("mapping values are not allowed") {
        Some("put a value that contains `: ` in quotes, and check the indentation")
    } else if info.contains("quoted") || info.contains("unexpected end of stream") {
        Some("look for a quote or a bracket that is not closed")
    } else if info.contains("escape") {
        Some(r"in double quotes a backslash is doubled; single quotes leave it as it is: '\.*'")
    } else {
        None
    };
    // The end of the file has no character to underline.
    let at = at.min(text.trim_end().len());
    let end = text.get(at..).and_then(|rest| rest.chars().next()).map_or(at, |c| at + c.len_utf8());
    let fault = Fault::new("", format!("not valid YAML: {info}")).at(at..end);
    match hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Node, Vec<Fault>) {
        let mut faults = Vec::new();
        let root = parse(text, &mut faults).expect("valid YAML").expect("a document");
        (root, faults)
    }

    fn entries(node: &Node) -> &[Entry] {
        match &node.value {
            Value::Mapping(entries) => entries,
            other => panic!("not a mapping: {other:?}"),
        }
    }

    #[test]
    fn every_scalar_is_text_with_its_place() {
        let text = "ä: 0x1F # c\r\nb: 'it''s'\r\nc: yes\nd: |\n  one\n  two\n";
        let (root, faults) = read(text);
        assert!(faults.is_empty());
        let seen: Vec<(&str, &str, &str)> = entries(&root)
            .iter()
            .map(|entry| match &entry.value.value {
                Value::Scalar(scalar) => (
                    &text[entry.key_span.clone()],
                    scalar.text.as_str(),
                    &text[entry.value.span.clone()],
                ),
                other => panic!("not a scalar: {other:?}"),
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("ä", "0x1F", "0x1F"),
                ("b", "it's", "'it''s'"),
                ("c", "yes", "yes"),
                ("d", "one\ntwo\n", "one\n  two"),
            ]
        );
    }

    #[test]
    fn aliases_are_copies_that_know_both_places() {
        let text = "a: &x {k: v}\nb: *x\n";
        let (root, _) = read(text);
        let alias = &entries(&root)[1].value;
        assert_eq!(&text[alias.span.clone()], "*x");
        assert_eq!(&text[alias.anchored_at.clone().unwrap()], "{k: v}");
        assert_eq!(entries(alias)[0].key, "k");
    }

    #[test]
    fn a_key_written_twice_is_a_fault_and_the_first_counts() {
        let (root, faults) = read("a: 1\nb: 2\na: 3\n");
        assert_eq!(entries(&root).len(), 2);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].message.contains("`a` is written twice"));
    }

    #[track_caller]
    fn stops(text: &str, message: &str) {
        let fault = parse(text, &mut Vec::new()).expect_err("the parser stops");
        assert!(fault.message.contains(message), "{}", fault.message);
    }

    #[test]
    fn limits_hold() {
        stops(&"[".repeat(100), "nests deeper");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let item = format!("*a{}, ", level - 1).repeat(10);
            bomb += &format!("a{level}: &a{level} [{item}]\n");
        }
        stops(&bomb, "aliases expand");
        stops("a: &a [*a]", "inside of what it names");
        stops("a: 1\n---\nb: 2\n", "more than one document");
        stops(&format!("[{}]", "a,".repeat(NODES_MAX)), "more than 50000 values");
        assert!(parse("# nothing\n", &mut Vec::new()).unwrap().is_none());
    }
}
