//! Table patterns: Flink CDC's two dialects, which must be kept apart (reference: flink-cdc.md §2.1).
//!
//! [`Selectors`] is the dialect of a source's `tables` and of a transform's `source-table`: rules between commas, each
//! split at its unescaped dots into one to three parts that match the parts of a [`TableId`], in any case. [`RoutePattern`] is the
//! dialect of a route's `source-table`: one regular expression over the whole name, case-sensitive, with groups. In both an
//! unescaped `.` separates and `\.` is the regular expression's dot.
//!
//! Both run on `regex`, which is linear; what it refuses and Java knows (`(?!tmp_)`, `\1`) runs on `fancy-regex` with a
//! limit of steps. A [`PatternError`] says at which byte of the user's text it is, so that a caret can stand there.

use std::fmt;

use crate::{Error, OptionFault, Result, TableId};

/// Steps after which a backtracking pattern gives up on one name.
const BACKTRACK_STEPS_MAX: usize = 100_000;
/// A compiled pattern's size; a pattern of nested counts could otherwise take gigabytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// The longest pattern text, so that no later bound is needed.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// What is wrong with a pattern, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    /// Byte offset in the text that was parsed.
    pub offset: usize,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl PatternError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        PatternError { offset, message: message.into(), hint: None }
    }
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same as a fault of an option, for a connector that reads the pattern from `key`.
    pub fn into_fault(self, key: &str) -> OptionFault {
        let fault = OptionFault::new(key, self.message).at(self.offset);
        match self.hint {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at character {})", self.message, self.offset + 1)
    }
}

impl std::error::Error for PatternError {}

/// Rules of the Selectors dialect. A table is selected when one rule matches it.
#[derive(Debug, Clone)]
pub struct Selectors {
    rules: Vec<Selector>,
}

impl Selectors {
    /// Reads comma-separated rules. Empty rules (a comma at the end) are skipped.
    ///
    /// # Errors
    /// The first fault with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        check_length(text)?;
        let mut rules = Vec::new();
        for rule in split(&characters(text), ',') {
            let rule = trim(rule);
            if !rule.is_empty() {
                rules.push(Selector::parse(rule)?);
            }
        }
        if rules.is_empty() {
            return Err(PatternError::new(0, "no table pattern is given")
                .hint(r"write database.table, or `\.*` in place of a name for all"));
        }
        Ok(Selectors { rules })
    }

    /// Whether a rule matches the table.
    ///
    /// # Errors
    /// `Config` when a pattern with look-around or back-references ran out of steps on this name.
    pub fn is_match(&self, table: &TableId) -> Result<bool> {
        for rule in &self.rules {
            if rule.is_match(table)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rules in order, so that a source can name the one that matches nothing.
    pub fn rules(&self) -> &[Selector] {
        &self.rules
    }
}

/// One rule: one to three parts.
#[derive(Debug, Clone)]
pub struct Selector {
    text: String,
    offset: usize,
    parts: Vec<Regex>,
}

impl Selector {
    fn parse(rule: &[Character]) -> Result<Self, PatternError> {
        let offset = rule.first().map_or(0, |first| first.at);
        let mut parts = Vec::new();
        for part in split(rule, '.') {
            if parts.len() == 3 {
                let at = part.first().map_or(offset, |first| first.at);
                return Err(PatternError::new(at, "a table name has at most three parts").hint(
                    r"an unescaped `.` separates database and table; write `\.` for any character",
                ));
            }
            parts.push(Self::part(part, rule)?);
        }
        Ok(Selector { text: rule.iter().map(|c| c.char).collect(), offset, parts })
    }

    fn part(part: &[Character], rule: &[Character]) -> Result<Regex, PatternError> {
        let Some(first) = part.first() else {
            let at = rule.first().map_or(0, |first| first.at);
            return Err(PatternError::new(at, "the table pattern has an empty part")
                .hint(r"write database.table, or `\.*` in place of a name for all"));
        };
        if !first.escaped && matches!(first.char, '*' | '+' | '?') {
            return Err(PatternError::new(
                first.at,
                format!("nothing to repeat before `{}`", first.char),
            )
            .hint(format!(
                r"an unescaped `.` separates database and table; for any name write `\.{}`",
                first.char
            )));
        }
        let mut source = Mapped::default();
        let mut rest = part.iter().peekable();
        while let Some(c) = rest.next() {
            // Outside these two escapes the backslash is the regular expression's own.
            let dropped = c.char == '\\'
                && !c.escaped
                && rest.peek().is_some_and(|next| matches!(next.char, '.' | ','));
            if !dropped {
                source.push(c.char, c.at);
            }
        }
        Regex::new(&source, true)
    }

    /// Whether this rule matches: parts the name lacks are ignored, a part the rule lacks never matches.
    ///
    /// # Errors
    /// As [`Selectors::is_match`].
    pub fn is_match(&self, table: &TableId) -> Result<bool> {
        let names: Vec<&str> = table.parts().collect();
        let Some(skipped) = self.parts.len().checked_sub(names.len()) else { return Ok(false) };
        for (part, name) in self.parts.iter().skip(skipped).zip(names) {
            if !part.is_match(name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The rule as written, without the blanks around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the rule begins in the whole text, bytes.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many parts it has; a rule with fewer parts than the source's names never matches.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }
}

/// A pattern of the route dialect: matched in full and case-sensitively against the printed name, with groups.
#[derive(Debug, Clone)]
pub struct RoutePattern {
    regex: Regex,
}

impl RoutePattern {
    /// Reads the pattern. A comma is an alternative; blanks around it are dropped.
    ///
    /// # Errors
    /// The first fault with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        check_length(text)?;
        let characters = characters(text);
        let text = trim(&characters);
        if text.is_empty() {
            return Err(PatternError::new(0, "no table pattern is given")
                .hint(r"write database.table, or `\.*` in place of a name for all"));
        }
        let mut source = Mapped::default();
        let mut rest = text;
        while let [c, tail @ ..] = rest {
            rest = tail;
            match (c.char, c.escaped, tail.first().map(|next| next.char)) {
                (' ' | '\t' | '\n' | '\r', false, _) if borders_comma(source.last(), tail) => {}
                (',', false, _) if !c.within_count => source.push('|', c.at),
                ('.', false, _) => {
                    source.push('\\', c.at);
                    source.push('.', c.at);
                }
                ('\\', false, Some('.')) => {}
                _ => source.push(c.char, c.at),
            }
        }
        Ok(RoutePattern { regex: Regex::new(&source, false)? })
    }

    /// Whether the whole name matches.
    ///
    /// # Errors
    /// `Config` when a pattern with look-around or back-references ran out of steps on this name.
    pub fn is_match(&self, table: &TableId) -> Result<bool> {
        self.regex.is_match(&table.to_string())
    }

    /// The groups of a match: number 0 is the whole name, an absent group is empty text. None without a match.
    ///
    /// # Errors
    /// As [`RoutePattern::is_match`].
    pub fn groups(&self, table: &TableId) -> Result<Option<Vec<String>>> {
        self.regex.groups(&table.to_string())
    }

    /// How many groups the pattern has, the whole name not counted.
    pub fn group_count(&self) -> usize {
        self.regex.group_count()
    }
}

/// Whether a blank stands beside a comma, other blanks between them aside. `before` is what was written last.
fn borders_comma(before: Option<char>, after: &[Character]) -> bool {
    before == Some('|')
        || after
            .iter()
            .find(|c| !c.char.is_whitespace())
            .is_some_and(|c| c.char == ',' && !c.escaped && !c.within_count)
}

fn check_length(text: &str) -> Result<(), PatternError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the table pattern is longer than {} KiB", TEXT_BYTES_MAX >> 10);
        return Err(PatternError::new(0, message));
    }
    Ok(())
}

/// A character of a pattern with what its surroundings make of it.
#[derive(Debug, Clone, Copy)]
struct Character {
    char: char,
    /// Byte offset in the user's text.
    at: usize,
    /// A backslash stands before it.
    escaped: bool,
    /// Inside `[…]`.
    within_class: bool,
    /// Inside `{…}` of digits and a comma: Flink CDC would cut `{1,3}` at its comma and then fail.
    within_count: bool,
}

fn characters(text: &str) -> Vec<Character> {
    let (mut escaped, mut within_class, mut count_end) = (false, false, 0);
    let mut out = Vec::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => {}
            '[' => within_class = true,
            ']' => within_class = false,
            '{' if !within_class => count_end = at + count_length(&text[at..]),
            _ => {}
        }
        let within_count = at < count_end;
        out.push(Character { char, at, escaped, within_class, within_count });
        escaped = char == '\\' && !escaped;
    }
    out
}

/// The length of a count such as `{1,3}` at the start of `text`; 0 when there is none.
fn count_length(text: &str) -> usize {
    let Some(end) = text.find('}') else { return 0 };
    let inside = &text.as_bytes()[1..end];
    let digits = inside.iter().all(|byte| byte.is_ascii_digit() || *byte == b',');
    if digits && inside.first().is_some_and(u8::is_ascii_digit) { end + 1 } else { 0 }
}

/// Splits at the separator where it is unescaped and outside classes and counts.
fn split(text: &[Character], separator: char) -> impl Iterator<Item = &[Character]> {
    text.split(move |c| c.char == separator && !c.escaped && !c.within_class && !c.within_count)
}

fn trim(mut text: &[Character]) -> &[Character] {
    while let [first, rest @ ..] = text
        && first.char.is_whitespace()
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && last.char.is_whitespace()
    {
        text = rest;
    }
    text
}

/// A regular expression's text, with the place in the user's text that each of its bytes comes from.
#[derive(Default)]
struct Mapped {
    text: String,
    places: Vec<usize>,
}

impl Mapped {
    fn push(&mut self, char: char, at: usize) {
        self.text.push(char);
        self.places.resize(self.text.len(), at);
    }
    fn last(&self) -> Option<char> {
        self.text.chars().next_back()
    }
    fn place(&self, offset: usize) -> usize {
        self.places.get(offset).or(self.places.last()).copied().unwrap_or(0)
    }
}

/// One of the two engines, anchored at both ends.
#[derive(Debug, Clone)]
enum Regex {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

impl Regex {
    fn new(source: &Mapped, any_case: bool) -> Result<Self, PatternError> {
        let anchored = format!(r"\A(?:{})\z", source.text);
        // Parsed alone first: a stray `)` must not close our own group, and the error must carry its place.
        let Err(syntax) = regex_syntax::ast::parse::Parser::new().parse(&source.text) else {
            return regex::RegexBuilder::new(&anchored)
                .case_insensitive(any_case)
                .size_limit(COMPILED_BYTES_MAX)
                .build()
                .map(Regex::Linear)
                .map_err(|error| too_big_or_wrong(source, &error));
        };
        let fancy = |text: &str| {
            fancy_regex::RegexBuilder::new(text)
                .case_insensitive(any_case)
                .backtrack_limit(BACKTRACK_STEPS_MAX)
                .delegate_size_limit(COMPILED_BYTES_MAX)
                .max_prog_size(COMPILED_BYTES_MAX / 16)
                .build()
        };
        match fancy(&source.text).and_then(|_| fancy(&anchored)) {
            Ok(regex) => Ok(Regex::Backtracking(regex)),
            Err(fancy_regex::Error::ParseError(at, error)) if needs_backtracking(&syntax) => {
                Err(PatternError::new(source.place(at), lower_case(&error.to_string())))
            }
            Err(error) if needs_backtracking(&syntax) => {
                Err(PatternError::new(source.place(0), lower_case(&error.to_string())))
            }
            Err(_) => {
                let at = source.place(syntax.span().start.offset);
                Err(PatternError::new(at, lower_case(&syntax.kind().to_string())))
            }
        }
    }

    fn is_match(&self, text: &str) -> Result<bool> {
        match self {
            Regex::Linear(regex) => Ok(regex.is_match(text)),
            Regex::Backtracking(regex) => {
                regex.is_match(text).map_err(|error| out_of_steps(regex, text, error))
            }
        }
    }

    fn groups(&self, text: &str) -> Result<Option<Vec<String>>> {
        let owned = |group: Option<&str>| group.unwrap_or_default().to_owned();
        match self {
            Regex::Linear(regex) => Ok(regex.captures(text).map(|captures| {
                captures.iter().map(|group| owned(group.map(|m| m.as_str()))).collect()
            })),
            Regex::Backtracking(regex) => {
                let captures =
                    regex.captures(text).map_err(|error| out_of_steps(regex, text, error))?;
                Ok(captures.map(|captures| {
                    captures.iter().map(|group| owned(group.map(|m| m.as_str()))).collect()
                }))
            }
        }
    }

    fn group_count(&self) -> usize {
        match self {
            Regex::Linear(regex) => regex.captures_len(),
            Regex::Backtracking(regex) => regex.captures_len(),
        }
        .saturating_sub(1)
    }
}

fn needs_backtracking(error: &regex_syntax::ast::Error) -> bool {
    use regex_syntax::ast::ErrorKind::{UnsupportedBackreference, UnsupportedLookAround};
    matches!(error.kind(), UnsupportedBackreference | UnsupportedLookAround)
}

fn too_big_or_wrong(source: &Mapped, error: &regex::Error) -> PatternError {
    let at = source.place(0);
    match error {
        regex::Error::CompiledTooBig(_) => {
            PatternError::new(at, "the table pattern is too big when compiled")
                .hint("use smaller counts in braces")
        }
        // What parses and still does not compile is a class that Unicode does not know; its text ends with the reason.
        other => {
            let text = other.to_string();
            let reason = text.rsplit("error: ").next().unwrap_or(&text).trim();
            PatternError::new(at, lower_case(reason))
        }
    }
}

fn out_of_steps(regex: &fancy_regex::Regex, text: &str, error: fancy_regex::Error) -> Error {
    Error::config(format!("table pattern \"{regex}\" took too many steps on \"{text}\""))
        .hint("write the pattern without nested repetitions, look-around or back-references")
        .caused_by(error)
}

/// The engines' texts begin with a capital; ours do not.
fn lower_case(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> TableId {
        TableId::parse(name).expect("a test names a table")
    }

    #[track_caller]
    fn selects(pattern: &str, yes: &[&str], no: &[&str]) {
        let selectors = Selectors::parse(pattern).expect(pattern);
        for name in yes {
            assert!(selectors.is_match(&table(name)).unwrap(), "{pattern} should select {name}");
        }
        for name in no {
            assert!(!selectors.is_match(&table(name)).unwrap(), "{pattern} must not select {name}");
        }
    }

    #[track_caller]
    fn routes(pattern: &str, yes: &[&str], no: &[&str]) {
        let route = RoutePattern::parse(pattern).expect(pattern);
        for name in yes {
            assert!(route.is_match(&table(name)).unwrap(), "{pattern} should match {name}");
        }
        for name in no {
            assert!(!route.is_match(&table(name)).unwrap(), "{pattern} must not match {name}");
        }
    }

    #[test]
    fn selectors_know_the_idioms_of_flink_cdc() {
        selects(
            r"app_db.\.*",
            &["app_db.orders", "APP_DB.Orders"],
            &["app_db2.orders", "shop.orders"],
        );
        selects(r"\.*.\.*", &["a.b", "shop.orders", "orders"], &["a.b.c"]);
        selects(r"db\..\.*", &["db1.x", "dbx.orders"], &["db.orders", "db12.orders"]);
        selects(r"db[1-2].[app|web]order_\.*", &["db1.aorder_1", "db2.|order_"], &["db3.aorder_1"]);
        selects(r"shop.(a|b)", &["shop.a", "shop.b"], &["shop.c", "shop.ab"]);
        selects(" shop.a ,\n shop.b, ", &["shop.a", "shop.b"], &["shop.c"]);
        selects("shop.order", &["shop.order"], &["shop.orders", "shop.xorder"]);
    }

    #[test]
    fn selectors_count_parts() {
        selects("orders", &["orders"], &["shop.orders", "a.b.orders"]);
        selects("db.public.t", &["public.t", "db.public.t", "t"], &["private.t", "x.public.t"]);
        selects("public.t", &["public.t", "t"], &["db.public.t"]);
    }

    #[test]
    fn counts_and_classes_keep_their_commas_and_dots() {
        selects("shop.o{1,3},shop.x", &["shop.oo", "shop.x"], &["shop.oooo"]);
        selects(r"shop.o{1\,3}", &["shop.ooo"], &["shop.oooo"]);
        selects("shop.[a,.]x", &["shop.ax", "shop.,x"], &["shop.bx"]);
        routes("shop.o{1,3}", &["shop.oo"], &["shop.oooo"]);
    }

    #[test]
    fn java_users_write_look_around() {
        selects(r"shop.(?!tmp_)\.*", &["shop.orders"], &["shop.tmp_1", "shop.TMP_2"]);
        routes(r"shop.(?!tmp_)\.*", &["shop.orders", "shop.TMP_2"], &["shop.tmp_1"]);
        routes(r"(\w+).\1", &["a.a"], &["a.b"]);
    }

    #[test]
    fn a_route_is_one_case_sensitive_expression() {
        routes(r"shop.\.*", &["shop.orders"], &["SHOP.orders", "shopxorders", "xshop.orders"]);
        routes("shop.a , shop.b", &["shop.a", "shop.b"], &["shop.c", "shop.a "]);
        routes(r"\.*.\.*", &["a.b", "a.b.c"], &["a"]);
        // Unlike the selectors, the route of a three-part name does not match two parts.
        routes("db.public.t", &["db.public.t"], &["public.t"]);
        routes("shop.(a,b)", &["shop.a", "shop.b"], &["shop.ab"]);
    }

    #[test]
    fn route_groups_are_numbered() {
        let route = RoutePattern::parse(r"(\.*)_db.(\.*)(_x)?").unwrap();
        assert_eq!(route.group_count(), 3);
        let groups = route.groups(&table("app_db.orders")).unwrap();
        assert_eq!(groups.unwrap(), ["app_db.orders", "app", "orders", ""]);
        assert_eq!(route.groups(&table("shop.orders")).unwrap(), None);
    }

    #[track_caller]
    fn fails(pattern: &str, offset: usize, message: &str) {
        let error = Selectors::parse(pattern).expect_err(pattern);
        assert_eq!((error.offset, error.message.as_str()), (offset, message), "{pattern}");
    }

    #[test]
    fn errors_point_into_the_users_text() {
        fails("", 0, "no table pattern is given");
        fails(" , ,", 0, "no table pattern is given");
        fails("shop.a,shop.b(c", 13, "unclosed group");
        fails(r"shop.\.*,shop.[a", 14, "unclosed character class");
        fails("shop.*", 5, "nothing to repeat before `*`");
        fails("a.b.c.d", 6, "a table name has at most three parts");
        fails("shop.", 0, "the table pattern has an empty part");
        fails("shop.a)|(?:b", 6, "unopened group");
        fails("schön.[z-a]", 8, "invalid character class range, the start must be <= the end");
        fails("shop.a{1000}{1000}", 5, "the table pattern is too big when compiled");
        let error = RoutePattern::parse(r"shop.\.*(").unwrap_err();
        assert_eq!(error.offset, 8);
    }

    #[test]
    fn a_backtracking_pattern_gives_up() {
        let selectors = Selectors::parse(r"shop.(?:(a|aa)\1?)+b").unwrap();
        let name = TableId::new("shop", "a".repeat(60) + "bc");
        let error = selectors.is_match(&name).unwrap_err();
        assert!(error.message().contains("too many steps"), "{error}");
    }
}
