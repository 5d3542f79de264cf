//! The pre-filter: whether a statement is one that the grammar is for. Reads a statement's first words only.

use super::{
    Session,
    lexer::{Kind, Lexer},
};

/// What a statement may be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Nothing that changes a table's definition or empties it; or temporary tables.
    Nothing,
    /// CREATE, ALTER, DROP, RENAME, TRUNCATE TABLE; CREATE and DROP INDEX; CREATE TRIGGER, by which an online schema change
    /// is known.
    Table,
    /// CREATE, ALTER, DROP DATABASE.
    Database,
}

/// Words behind a verb that stand ahead of the object's kind.
const BEFORE_KIND: [&str; 9] =
    ["OR", "REPLACE", "ONLINE", "OFFLINE", "IGNORE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"];
/// Tokens of `DEFINER = user@host` and what it is of.
const DEFINER_TOKENS_MAX: usize = 8;
/// Words of `SET STATEMENT … FOR` that are read until its statement begins.
const SET_TOKENS_MAX: usize = 4096;

/// Looks at the first words.
pub fn classify(session: &Session, text: &[u8]) -> Interest {
    let lead = text.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0);
    if !matches!(
        lead,
        Some(
            b'c' | b'C'
                | b'a'
                | b'A'
                | b'd'
                | b'D'
                | b'r'
                | b'R'
                | b't'
                | b'T'
                | b's'
                | b'S'
                | b'/'
                | b'-'
                | b'#'
        )
    ) {
        return Interest::Nothing;
    }
    let mut lexer = Lexer::new(
        text,
        session.dialect,
        session.has_mode(super::mode::ANSI_QUOTES),
        !session.has_mode(super::mode::NO_BACKSLASH_ESCAPES),
    );
    let mut word = || match lexer.token() {
        Ok(Some(token)) => Some(match token.kind {
            Kind::Word(word) => word.to_ascii_uppercase(),
            _ => String::new(),
        }),
        _ => None,
    };
    let mut verb = word().unwrap_or_default();
    if verb == "SET" && word().is_some_and(|second| second == "STATEMENT") {
        for _ in 0..SET_TOKENS_MAX {
            if word().is_none_or(|next| next == "FOR") {
                break;
            }
        }
        verb = word().unwrap_or_default();
    }
    if verb == "TRUNCATE" {
        return Interest::Table;
    }
    if !matches!(verb.as_str(), "CREATE" | "ALTER" | "DROP" | "RENAME") {
        return Interest::Nothing;
    }
    for _ in 0..BEFORE_KIND.len() {
        match word().unwrap_or_default().as_str() {
            "TABLE" | "TABLES" => return Interest::Table,
            "INDEX" if verb == "CREATE" || verb == "DROP" => return Interest::Table,
            "DATABASE" | "SCHEMA" => return Interest::Database,
            "TRIGGER" if verb == "CREATE" => return Interest::Table,
            "DEFINER" if verb == "CREATE" => {
                let is_trigger =
                    (0..DEFINER_TOKENS_MAX).any(|_| word().is_some_and(|word| word == "TRIGGER"));
                return if is_trigger { Interest::Table } else { Interest::Nothing };
            }
            other if BEFORE_KIND.contains(&other) => {}
            _ => break,
        }
    }
    Interest::Nothing
}
