//! Words of the SQL text with their places.

use super::{Fault, Span};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A bare word: keyword, function or column.
    Word(String),
    /// A quoted identifier.
    Quoted(String),
    Number(String),
    Text(String),
    Symbol(&'static str),
    End,
}

const SYMBOLS: [&str; 24] = [
    "||", "<>", "<=", ">=", "!=", "(", ")", "[", "]", ",", ".", "+", "-", "*", "/", "%", "=", "<",
    ">", ";", "\\", ":", "{", "}",
];

/// Splits the whole text; the last token is `End`.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Span)>, Fault> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        let token = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '-' if text[at..].starts_with("--") => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                continue;
            }
            '\'' => {
                let (value, end) = quoted(text, at, '\'')?;
                at = end;
                Token::Text(value)
            }
            '`' | '"' => {
                let (value, end) = quoted(text, at, c)?;
                at = end;
                Token::Quoted(value)
            }
            c if c.is_ascii_digit() => {
                at = number(bytes, at);
                Token::Number(text[start..at].to_owned())
            }
            '.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                at = number(bytes, at);
                Token::Number(text[start..at].to_owned())
            }
            c if c.is_alphabetic() || c == '_' || c == '$' => {
                let rest = &text[at..];
                at += rest
                    .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .unwrap_or(rest.len());
                Token::Word(text[start..at].to_owned())
            }
            _ => match SYMBOLS.iter().find(|symbol| text[at..].starts_with(**symbol)) {
                Some(symbol) => {
                    at += symbol.len();
                    Token::Symbol(symbol)
                }
                None => {
                    let span = Span { start, end: start + c.len_utf8() };
                    return Err(Fault::new(
                        span,
                        format!("the character \"{c}\" has no meaning in SQL"),
                    ));
                }
            },
        };
        tokens.push((token, Span { start, end: at }));
    }
    tokens.push((Token::End, Span { start: text.len(), end: text.len() }));
    Ok(tokens)
}

/// A quoted text from its opening quote; a doubled quote stands for one.
fn quoted(text: &str, start: usize, quote: char) -> Result<(String, usize), Fault> {
    let mut value = String::new();
    let mut chars = text[start + 1..].char_indices().peekable();
    while let Some((offset, c)) = chars.next() {
        if c != quote {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == quote) {
            value.push(quote);
            chars.next();
        } else {
            return Ok((value, start + 1 + offset + 1));
        }
    }
    let span = Span { start, end: text.len() };
    Err(Fault::new(span, format!("the quote {quote} is never closed"))
        .hint(format!("close it with {quote}; inside a text write {quote}{quote}")))
}

fn number(bytes: &[u8], mut at: usize) -> usize {
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    at = digits(at);
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        if bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
            at = digits(at + 1 + sign);
        }
    }
    at
}
