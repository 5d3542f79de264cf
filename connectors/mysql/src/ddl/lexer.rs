//! Bytes of a statement into tokens. Comments vanish; an executable comment is opened or skipped by the server's flavour
//! and version. Bytes that are not UTF-8 are kept apart: a token that had some says so.

use super::{Dialect, Fault};
use crate::types::Flavor;

/// Tokens of one statement.
const TOKENS_MAX: usize = 400_000;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An unquoted word: keyword or identifier.
    Word(String),
    /// A quoted identifier.
    Quoted(String),
    /// A string literal, unescaped.
    Text(String),
    /// `x'…'`, `0x…`, `b'…'`, `0b…` as bytes.
    Bits(Vec<u8>),
    /// A number without sign, as written.
    Number(String),
    Symbol(u8),
}

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Offset of its first byte and of the one behind it.
    pub(super) from: usize,
    pub(super) to: usize,
    /// It had bytes that are not UTF-8, which were replaced.
    pub(super) lossy: bool,
}

/// The scanner; an iterator that can be stopped early, so that classifying a statement reads its first words only.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
    ansi_quotes: bool,
    backslash: bool,
    /// Inside an executable comment that was opened, whose end is then no symbol.
    in_hint: bool,
    /// The last token was a word or name: a dot behind it separates names and begins no number.
    behind_name: bool,
    behind_dot: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(
        text: &'a [u8],
        dialect: Dialect,
        ansi_quotes: bool,
        backslash: bool,
    ) -> Self {
        Lexer {
            text,
            at: 0,
            dialect,
            ansi_quotes,
            backslash,
            in_hint: false,
            behind_name: false,
            behind_dot: false,
        }
    }

    /// All tokens to the end or to a semicolon.
    pub(super) fn all(mut self) -> Result<Vec<Token>, Fault> {
        let mut tokens = Vec::new();
        while let Some(token) = self.token()? {
            if token.kind == Kind::Symbol(b';') {
                break;
            }
            if tokens.len() == TOKENS_MAX {
                return Err(Fault::new(token.from, "the statement is too long"));
            }
            tokens.push(token);
        }
        Ok(tokens)
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// The next token; none at the end.
    pub(super) fn token(&mut self) -> Result<Option<Token>, Fault> {
        loop {
            let Some(first) = self.byte(0) else { return Ok(None) };
            let rest = self.text.get(self.at..).unwrap_or_default();
            match first {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0 => self.at += 1,
                b'#' => self.skip_line(),
                b'-' if rest.starts_with(b"--")
                    && self.byte(2).is_none_or(|c| c.is_ascii_whitespace() || c < 0x20) =>
                {
                    self.skip_line();
                }
                b'/' if rest.starts_with(b"/*") => self.comment(),
                b'*' if self.in_hint && rest.starts_with(b"*/") => {
                    self.in_hint = false;
                    self.at += 2;
                }
                _ => break,
            }
        }
        let from = self.at;
        let (kind, lossy) = self.kind()?;
        self.behind_name = matches!(kind, Kind::Word(_) | Kind::Quoted(_));
        self.behind_dot = kind == Kind::Symbol(b'.');
        Ok(Some(Token { kind, from, to: self.at, lossy }))
    }

    fn skip_line(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    }

    /// Skips a comment, or opens an executable one.
    fn comment(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let marker = if rest.starts_with(b"/*!") {
            3
        } else if rest.starts_with(b"/*M!") && self.dialect.flavor == Flavor::MariaDb {
            4
        } else {
            self.skip_comment();
            return;
        };
        let digits = rest.iter().skip(marker).take(6).take_while(|b| b.is_ascii_digit()).count();
        // Fewer than five digits are no version.
        let digits = if digits < 5 { 0 } else { digits };
        let number = rest
            .get(marker..marker + digits)
            .unwrap_or_default()
            .iter()
            .fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
        if self.dialect.executes(number, marker == 4) {
            self.at += marker + digits;
            self.in_hint = true;
        } else {
            self.skip_comment();
        }
    }

    /// Skips to the end of a comment; one that is skipped may hold others.
    fn skip_comment(&mut self) {
        let nests = self.byte(2) == Some(b'!') || self.byte(3) == Some(b'!');
        let mut depth = 0u32;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            if rest.starts_with(b"/*") && (depth == 0 || nests) {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return;
                }
            } else {
                self.at += 1;
            }
        }
    }

    fn kind(&mut self) -> Result<(Kind, bool), Fault> {
        let first = self.byte(0).unwrap_or_default();
        match first {
            b'`' => {
                let (text, lossy) = self.quoted(b'`', false)?;
                Ok((Kind::Quoted(text), lossy))
            }
            b'"' if self.ansi_quotes => {
                let (text, lossy) = self.quoted(b'"', false)?;
                Ok((Kind::Quoted(text), lossy))
            }
            b'\'' | b'"' => {
                let (text, lossy) = self.quoted(first, self.backslash)?;
                Ok((Kind::Text(text), lossy))
            }
            b'.' if !self.behind_name && self.byte(1).is_some_and(|c| c.is_ascii_digit()) => {
                Ok((self.number(), false))
            }
            _ if is_word(first) => self.word(),
            _ => {
                self.at += 1;
                Ok((Kind::Symbol(first), false))
            }
        }
    }

    fn word(&mut self) -> Result<(Kind, bool), Fault> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default();
        let digits = word.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits > 0 && !self.behind_dot {
            let all = digits == word.len();
            let exponent = matches!(word.get(digits), Some(b'e' | b'E'))
                && (word.len() == digits + 1 && matches!(rest.get(end), Some(b'+' | b'-'))
                    || word.len() > digits + 1
                        && word.iter().skip(digits + 1).all(u8::is_ascii_digit));
            if all || exponent {
                return Ok((self.number(), false));
            }
            if let Some(hex) = word.strip_prefix(b"0x").filter(|hex| is_all(hex, 16)) {
                let kind = Kind::Bits(from_digits(hex, 4));
                self.at += end;
                return Ok((kind, false));
            }
            if let Some(bits) = word.strip_prefix(b"0b").filter(|bits| is_all(bits, 2)) {
                let kind = Kind::Bits(from_digits(bits, 1));
                self.at += end;
                return Ok((kind, false));
            }
        }
        if let ([letter], Some(b'\'')) = (word, rest.get(end)) {
            match letter.to_ascii_lowercase() {
                b'n' => {
                    self.at += 1;
                    let (text, lossy) = self.quoted(b'\'', self.backslash)?;
                    return Ok((Kind::Text(text), lossy));
                }
                bits @ (b'x' | b'b') => {
                    self.at += 1;
                    let at = self.at;
                    let (digits, _) = self.quoted(b'\'', false)?;
                    let (radix, width) = if bits == b'x' { (16, 4) } else { (2, 1) };
                    if !is_all(digits.as_bytes(), radix) && !digits.is_empty() {
                        return Err(Fault::new(at, "a bit literal has other digits"));
                    }
                    return Ok((Kind::Bits(from_digits(digits.as_bytes(), width)), false));
                }
                _ => {}
            }
        }
        let lossy = std::str::from_utf8(word).is_err();
        let text = String::from_utf8_lossy(word).into_owned();
        self.at += end;
        Ok((Kind::Word(text), lossy))
    }

    /// Digits, a point, digits, an exponent.
    fn number(&mut self) -> Kind {
        let from = self.at;
        let skip_digits = |at: &mut usize| {
            while self.text.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
        };
        let mut at = self.at;
        skip_digits(&mut at);
        if self.text.get(at) == Some(&b'.') {
            at += 1;
            skip_digits(&mut at);
        }
        if matches!(self.text.get(at), Some(b'e' | b'E')) {
            let mut end = at + 1;
            if matches!(self.text.get(end), Some(b'+' | b'-')) {
                end += 1;
            }
            if self.text.get(end).is_some_and(u8::is_ascii_digit) {
                skip_digits(&mut end);
                at = end;
            }
        }
        self.at = at;
        Kind::Number(String::from_utf8_lossy(self.text.get(from..at).unwrap_or_default()).into())
    }

    /// A quoted piece; a doubled quote is one.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Result<(String, bool), Fault> {
        let from = self.at;
        let mut bytes = Vec::new();
        self.at += 1;
        loop {
            let Some(byte) = self.byte(0) else {
                return Err(Fault::new(from, "a quote is not closed"));
            };
            self.at += 1;
            if byte == quote {
                if self.byte(0) != Some(quote) {
                    break;
                }
                self.at += 1;
                bytes.push(quote);
            } else if byte == b'\\' && backslash {
                let Some(escaped) = self.byte(0) else { continue };
                self.at += 1;
                match escaped {
                    b'n' => bytes.push(b'\n'),
                    b'r' => bytes.push(b'\r'),
                    b't' => bytes.push(b'\t'),
                    b'b' => bytes.push(8),
                    b'0' => bytes.push(0),
                    b'Z' => bytes.push(26),
                    b'%' | b'_' => bytes.extend([b'\\', escaped]),
                    other => bytes.push(other),
                }
            } else {
                bytes.push(byte);
            }
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok((text, false)),
            Err(error) => Ok((String::from_utf8_lossy(error.as_bytes()).into_owned(), true)),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn is_all(digits: &[u8], radix: u32) -> bool {
    !digits.is_empty() && digits.iter().all(|digit| char::from(*digit).is_digit(radix))
}

/// Digits of so many bits as bytes, aligned to the right.
fn from_digits(digits: &[u8], width: usize) -> Vec<u8> {
    let per_byte = 8 / width;
    let head = digits.len() % per_byte;
    let value = |chunk: &[u8]| {
        chunk.iter().fold(0u8, |byte, digit| {
            (byte << width) | char::from(*digit).to_digit(16).unwrap_or_default() as u8
        })
    };
    let (first, rest) = digits.split_at(head);
    let first = (!first.is_empty()).then(|| value(first));
    first.into_iter().chain(rest.chunks(per_byte).map(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, dialect: Dialect) -> Vec<Kind> {
        let tokens = Lexer::new(text.as_bytes(), dialect, false, true).all().unwrap();
        tokens.into_iter().map(|token| token.kind).collect()
    }

    fn check(text: &str, want: &[Kind]) {
        let mysql = Dialect { flavor: Flavor::MySql, version: (9, 7, 0) };
        assert_eq!(words(text, mysql), want, "{text}");
    }

    fn word(text: &str) -> Kind {
        Kind::Word(text.to_owned())
    }

    #[test]
    fn literals_and_names() {
        check("1abc", &[word("1abc")]);
        check("t.1", &[word("t"), Kind::Symbol(b'.'), word("1")]);
        check("1.50 .5 1e5 2E-3", &["1.50", ".5", "1e5", "2E-3"].map(|n| Kind::Number(n.into())));
        check(
            "x'0aF' 0b101 N'é'",
            &[Kind::Bits(vec![0, 0xaf]), Kind::Bits(vec![5]), Kind::Text("é".into())],
        );
        check(r"'a''b\'\n\%'", &[Kind::Text("a'b'\n\\%".into())]);
        check("`a``b` -- x\n# y\n/* /* */ z;tail", &[Kind::Quoted("a`b".into()), word("z")]);
    }

    #[test]
    fn executable_comments_depend_on_the_server() {
        let text = "a /*!50100 b */ /*!99999 c /* d */ e */ /*M!100100 f */ /*! g */";
        let mysql = Dialect { flavor: Flavor::MySql, version: (9, 7, 0) };
        let maria = Dialect { flavor: Flavor::MariaDb, version: (10, 11, 19) };
        assert_eq!(words(text, mysql), ["a", "b", "g"].map(word));
        assert_eq!(words(text, maria), ["a", "b", "f", "g"].map(word));
    }
}
