//! A place in a statement's tokens, and the steps that every part of the grammar takes.

use super::{
    Fault, Session,
    lexer::{Kind, Lexer, Token},
};

/// Parentheses within parentheses.
const NESTING_MAX: usize = 200;

/// A table's name as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) database: Option<String>,
    pub(super) table: String,
}

/// Walks over the tokens of one statement.
pub(super) struct Cursor<'a> {
    text: &'a [u8],
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], session: &Session) -> Result<Self, Fault> {
        let lexer = Lexer::new(
            text,
            session.dialect,
            session.has_mode(super::mode::ANSI_QUOTES),
            !session.has_mode(super::mode::NO_BACKSLASH_ESCAPES),
        );
        Ok(Cursor { text, tokens: lexer.all()?, at: 0 })
    }

    pub(super) fn peek(&self) -> Option<&Kind> {
        self.ahead(0)
    }

    pub(super) fn ahead(&self, by: usize) -> Option<&Kind> {
        self.tokens.get(self.at + by).map(|token| &token.kind)
    }

    pub(super) fn next(&mut self) -> Option<Kind> {
        let kind = self.tokens.get(self.at)?.kind.clone();
        self.at += 1;
        Some(kind)
    }

    pub(super) fn is_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Offset of the present token.
    pub(super) fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |token| token.from)
    }

    /// Where it stands, to come back to.
    pub(super) fn mark(&self) -> usize {
        self.at
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.at = mark;
    }

    /// A fault here.
    pub(super) fn fault<T>(&self, reason: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.offset(), reason))
    }

    pub(super) fn is_word_at(&self, by: usize, word: &str) -> bool {
        matches!(self.ahead(by), Some(Kind::Word(next)) if next.eq_ignore_ascii_case(word))
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    pub(super) fn is_any_word(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word(word))
    }

    pub(super) fn take(&mut self, word: &str) -> bool {
        let there = self.is_word(word);
        self.at += usize::from(there);
        there
    }

    pub(super) fn take_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.take(word))
    }

    /// Takes all of these words, or none.
    pub(super) fn take_all(&mut self, words: &[&str]) -> bool {
        let there = words.iter().enumerate().all(|(by, word)| self.is_word_at(by, word));
        if there {
            self.at += words.len();
        }
        there
    }

    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.peek() == Some(&Kind::Symbol(symbol))
    }

    pub(super) fn symbol(&mut self, symbol: u8) -> bool {
        let there = self.is_symbol(symbol);
        self.at += usize::from(there);
        there
    }

    pub(super) fn expect_symbol(&mut self, symbol: u8) -> Result<(), Fault> {
        if self.symbol(symbol) {
            return Ok(());
        }
        self.fault(format!("`{}` is missing", char::from(symbol)))
    }

    pub(super) fn expect(&mut self, word: &str) -> Result<(), Fault> {
        if self.take(word) {
            return Ok(());
        }
        self.fault(format!("{word} is missing"))
    }

    /// A name; one that was not UTF-8 is a fault, since it cannot be told which it is.
    pub(super) fn identifier(&mut self) -> Result<String, Fault> {
        let Some(token) = self.tokens.get(self.at) else { return self.fault("a name is missing") };
        let (Kind::Word(name) | Kind::Quoted(name)) = &token.kind else {
            return self.fault("a name is missing");
        };
        if token.lossy {
            return self.fault("a name is not UTF-8");
        }
        let name = name.clone();
        self.at += 1;
        Ok(name)
    }

    /// `table`, `database.table` or `.table`.
    pub(super) fn name(&mut self) -> Result<Name, Fault> {
        if self.symbol(b'.') {
            return Ok(Name { database: None, table: self.identifier()? });
        }
        let first = self.identifier()?;
        if self.symbol(b'.') {
            let table = self.identifier()?;
            return Ok(Name { database: Some(first), table });
        }
        Ok(Name { database: None, table: first })
    }

    /// The column's name in `[[database.]table.]column`.
    pub(super) fn column_name(&mut self) -> Result<String, Fault> {
        let mut name = self.identifier()?;
        while self.symbol(b'.') {
            name = self.identifier()?;
        }
        Ok(name)
    }

    /// A string, with the pieces behind it; introducers are left out. `exact`: bytes that are not UTF-8 are a fault.
    pub(super) fn text(&mut self, exact: bool) -> Result<String, Fault> {
        if matches!(self.peek(), Some(Kind::Word(word)) if word.starts_with('_')) {
            self.at += 1;
        }
        let mut whole: Option<String> = None;
        while let Some(Token { kind: Kind::Text(piece), lossy, .. }) = self.tokens.get(self.at) {
            if *lossy && exact {
                return self.fault("a string is not UTF-8");
            }
            whole.get_or_insert_default().push_str(piece);
            self.at += 1;
        }
        match whole {
            Some(text) => Ok(text),
            None => self.fault("a string is missing"),
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        if let Some(Kind::Number(text)) = self.peek()
            && let Ok(number) = text.parse()
        {
            self.at += 1;
            return Ok(number);
        }
        self.fault("a number is missing")
    }

    /// Skips `( … )` and gives what stood inside.
    pub(super) fn group(&mut self) -> Result<String, Fault> {
        let from = self.offset() + 1;
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(Kind::Symbol(b'(')) => depth += 1,
                Some(Kind::Symbol(b')')) => {
                    if depth <= 1 {
                        let to = self.offset();
                        self.at += 1;
                        let inner = self.text.get(from..to).unwrap_or_default();
                        return Ok(String::from_utf8_lossy(inner).trim().to_owned());
                    }
                    depth -= 1;
                }
                None => return self.fault("`)` is missing"),
                Some(_) if depth == 0 => return self.fault("`(` is missing"),
                Some(_) => {}
            }
            if depth > NESTING_MAX {
                return self.fault("parentheses are nested too deep");
            }
            self.at += 1;
        }
    }

    /// The text from a mark up to here.
    pub(super) fn raw_since(&self, mark: usize) -> String {
        let from = self.tokens.get(mark).map_or(0, |token| token.from);
        let last = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        let to = last.map_or(from, |token| token.to);
        String::from_utf8_lossy(self.text.get(from..to).unwrap_or_default()).into_owned()
    }

    /// Skips to the comma, closing parenthesis or end of this item.
    pub(super) fn skip_item(&mut self) -> Result<(), Fault> {
        loop {
            match self.peek() {
                None | Some(Kind::Symbol(b',' | b')')) => return Ok(()),
                Some(Kind::Symbol(b'(')) => {
                    self.group()?;
                }
                Some(_) => self.at += 1,
            }
        }
    }
}
