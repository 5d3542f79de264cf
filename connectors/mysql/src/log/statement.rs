//! What a statement in the log means to captured tables: transaction control, definitions, truncation, rows changed
//! without row events. A tolerant scanner, not a grammar: it reads tokens and knows the shapes that matter
//! (correctness §4 last point, §6 "The grammar knows"); everything else touches nothing.

use cdc_api::TableId;

use super::event::Query;
use crate::ddl::TRIGGER_PREFIX;

/// What a statement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    Begin,
    Commit,
    Rollback,
    /// SAVEPOINT and the like: nothing begins or ends.
    Inside,
    XaStart,
    XaEnd,
    XaPrepare,
    XaCommit,
    XaRollback,
    /// It changes no table.
    Nothing,
    /// Tables are created, altered, renamed or dropped.
    Defines(Vec<Name>),
    /// A table is emptied without row events.
    Truncates(Name),
    /// A whole database goes.
    DropsDatabase(String),
    /// A database's defaults for new tables.
    DefinesDatabase,
    /// Rows change without row events (STATEMENT or MIXED format); these names occur.
    Writes(Vec<Name>),
    /// Rows may change anywhere: a stored function in STATEMENT format.
    MayWriteAnything,
}

/// A table's name as written, with its database where one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) database: Option<String>,
    pub(crate) table: String,
}

impl Name {
    /// The table that it means in a session whose database is `current`.
    pub(crate) fn id(&self, current: &[u8]) -> TableId {
        let current = || String::from_utf8_lossy(current).into_owned();
        let database = self.database.clone().unwrap_or_else(current);
        TableId::new(database, self.table.as_str())
    }
}

/// Reads a QUERY event's statement.
pub(crate) fn read(query: &Query<'_>) -> Statement {
    // The usual ones first, without a scan.
    match query.text {
        b"BEGIN" => return Statement::Begin,
        b"COMMIT" => return Statement::Commit,
        b"ROLLBACK" => return Statement::Rollback,
        _ => {}
    }
    let mut tokens =
        Tokens { text: query.text, at: 0, ansi_quotes: query.ansi_quotes, in_hint: false };
    let Some(Token::Word(first)) = tokens.next() else { return Statement::Nothing };
    match first.to_ascii_uppercase().as_str() {
        "BEGIN" => Statement::Begin,
        "COMMIT" => Statement::Commit,
        "START" => Statement::Begin,
        "ROLLBACK" if tokens.peek_word("TO") || tokens.peek_word("WORK") => Statement::Inside,
        "ROLLBACK" => Statement::Rollback,
        "SAVEPOINT" | "RELEASE" => Statement::Inside,
        "XA" => xa(&mut tokens),
        // MariaDB: settings for one statement.
        "SET" if tokens.skip_word("STATEMENT") => {
            while tokens.next().is_some_and(|token| !token.is_word("FOR")) {}
            match tokens.next() {
                Some(Token::Word(verb)) => {
                    defines(&verb, &mut tokens).unwrap_or(Statement::Nothing)
                }
                _ => Statement::Nothing,
            }
        }
        "INSERT" | "REPLACE" | "UPDATE" | "DELETE" | "LOAD" | "WITH" => {
            Statement::Writes(tokens.all_names())
        }
        "SELECT" | "DO" | "CALL" => Statement::MayWriteAnything,
        verb => defines(verb, &mut tokens).unwrap_or(Statement::Nothing),
    }
}

/// A statement that defines or empties; none when this verb begins none.
fn defines(verb: &str, tokens: &mut Tokens<'_>) -> Option<Statement> {
    match verb.to_ascii_uppercase().as_str() {
        "ALTER" => Some(alter(tokens)),
        "CREATE" => Some(create(tokens)),
        "DROP" => Some(drop_objects(tokens)),
        "RENAME" => Some(rename(tokens)),
        "TRUNCATE" => {
            tokens.skip_word("TABLE");
            Some(tokens.name().map_or(Statement::Nothing, Statement::Truncates))
        }
        _ => None,
    }
}

fn xa(tokens: &mut Tokens<'_>) -> Statement {
    let Some(Token::Word(verb)) = tokens.next() else { return Statement::Nothing };
    match verb.to_ascii_uppercase().as_str() {
        "START" | "BEGIN" => Statement::XaStart,
        "END" => Statement::XaEnd,
        "PREPARE" => Statement::XaPrepare,
        "COMMIT" => Statement::XaCommit,
        "ROLLBACK" => Statement::XaRollback,
        _ => Statement::Nothing,
    }
}

fn alter(tokens: &mut Tokens<'_>) -> Statement {
    tokens.skip_word("ONLINE");
    tokens.skip_word("IGNORE");
    if tokens.skip_word("DATABASE") || tokens.skip_word("SCHEMA") {
        return Statement::DefinesDatabase;
    }
    if !tokens.skip_word("TABLE") {
        return Statement::Nothing;
    }
    tokens.skip_words(&["IF", "EXISTS"]);
    let Some(table) = tokens.name() else { return Statement::Nothing };
    let mut names = vec![table];
    // RENAME [TO|AS] other, EXCHANGE PARTITION p WITH TABLE other: the other one is touched too.
    while let Some(token) = tokens.next() {
        let Token::Word(word) = token else { continue };
        let is_other = match word.to_ascii_uppercase().as_str() {
            "RENAME"
                if tokens.peek_word("COLUMN")
                    || tokens.peek_word("INDEX")
                    || tokens.peek_word("KEY") =>
            {
                false
            }
            "RENAME" => {
                let _ = tokens.skip_word("TO") || tokens.skip_word("AS");
                true
            }
            "WITH" => tokens.skip_word("TABLE"),
            _ => false,
        };
        if is_other {
            names.extend(tokens.name());
        }
    }
    Statement::Defines(names)
}

fn create(tokens: &mut Tokens<'_>) -> Statement {
    tokens.skip_words(&["OR", "REPLACE"]);
    if tokens.peek_word("TEMPORARY") {
        return Statement::Nothing;
    }
    if tokens.skip_word("DATABASE") || tokens.skip_word("SCHEMA") {
        return Statement::DefinesDatabase;
    }
    if tokens.skip_word("TABLE") {
        tokens.skip_words(&["IF", "NOT", "EXISTS"]);
        return Statement::Defines(tokens.name().into_iter().collect());
    }
    if tokens.peek_word("DEFINER") {
        let is_other = |token: &Token| !token.is_word("TRIGGER");
        while tokens.clone().next().is_some_and(|token| is_other(&token)) {
            tokens.next();
        }
    }
    if tokens.skip_word("TRIGGER") {
        tokens.skip_words(&["IF", "NOT", "EXISTS"]);
        // Only those by which an online schema change is known.
        return match tokens.name() {
            Some(name) if name.table.starts_with(TRIGGER_PREFIX) => on_table(tokens),
            _ => Statement::Nothing,
        };
    }
    let is_index =
        ["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"].iter().any(|word| tokens.skip_word(word));
    if tokens.skip_word("INDEX") || is_index { on_table(tokens) } else { Statement::Nothing }
}

fn drop_objects(tokens: &mut Tokens<'_>) -> Statement {
    if tokens.skip_word("DATABASE") || tokens.skip_word("SCHEMA") {
        tokens.skip_words(&["IF", "EXISTS"]);
        return match tokens.name() {
            Some(name) => Statement::DropsDatabase(name.table),
            None => Statement::Nothing,
        };
    }
    if tokens.skip_word("INDEX") {
        return on_table(tokens);
    }
    if tokens.skip_word("TEMPORARY") || !(tokens.skip_word("TABLE") || tokens.skip_word("TABLES")) {
        return Statement::Nothing;
    }
    tokens.skip_words(&["IF", "EXISTS"]);
    let mut names = Vec::new();
    while let Some(name) = tokens.name() {
        names.push(name);
        if !tokens.skip_symbol(b',') {
            break;
        }
    }
    Statement::Defines(names)
}

fn rename(tokens: &mut Tokens<'_>) -> Statement {
    if !(tokens.skip_word("TABLE") || tokens.skip_word("TABLES")) {
        return Statement::Nothing;
    }
    let mut names = Vec::new();
    loop {
        tokens.skip_words(&["IF", "EXISTS"]);
        let Some(from) = tokens.name() else { break };
        names.push(from);
        tokens.skip_word("TO");
        names.extend(tokens.name());
        if !tokens.skip_symbol(b',') {
            break;
        }
    }
    Statement::Defines(names)
}

/// `… INDEX name [USING …] ON table`.
fn on_table(tokens: &mut Tokens<'_>) -> Statement {
    while let Some(token) = tokens.next() {
        if matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("ON")) {
            return Statement::Defines(tokens.name().into_iter().collect());
        }
    }
    Statement::Nothing
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// An unquoted word: keyword or identifier.
    Word(String),
    /// A quoted identifier.
    Quoted(String),
    /// A string literal; its text does not matter.
    Literal,
    Symbol(u8),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(found) if found.eq_ignore_ascii_case(word))
    }
}

/// A scanner over the statement's bytes; comments are skipped, executable comments are read.
#[derive(Clone)]
struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    ansi_quotes: bool,
    /// Inside `/*! … */`, whose end is then no symbol.
    in_hint: bool,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        loop {
            let rest = self.text.get(self.at..)?;
            let first = *rest.first()?;
            match first {
                b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c | 0 => self.at += 1,
                b'#' => self.skip_line(),
                b'-' if rest.starts_with(b"--")
                    && rest.get(2).is_none_or(|c| c.is_ascii_whitespace()) =>
                {
                    self.skip_line();
                }
                b'/' if rest.starts_with(b"/*!") || rest.starts_with(b"/*M!") => {
                    self.at += if rest[2] == b'M' { 4 } else { 3 };
                    while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
                        self.at += 1;
                    }
                    self.in_hint = true;
                }
                b'/' if rest.starts_with(b"/*") => {
                    let end = rest.windows(2).skip(2).position(|pair| pair == b"*/");
                    self.at += end.map_or(rest.len(), |end| end + 4);
                }
                b'*' if self.in_hint && rest.starts_with(b"*/") => {
                    self.in_hint = false;
                    self.at += 2;
                }
                b'`' => return Some(Token::Quoted(self.quoted(b'`'))),
                b'"' if self.ansi_quotes => return Some(Token::Quoted(self.quoted(b'"'))),
                b'\'' | b'"' => {
                    self.skip_literal(first);
                    return Some(Token::Literal);
                }
                _ if is_word(first) => {
                    let end = rest.iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len());
                    self.at += end;
                    return Some(Token::Word(String::from_utf8_lossy(&rest[..end]).into_owned()));
                }
                _ => {
                    self.at += 1;
                    return Some(Token::Symbol(first));
                }
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
    }

    /// A quoted identifier; a doubled quote is one.
    fn quoted(&mut self, quote: u8) -> String {
        let mut bytes = Vec::new();
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            if byte == quote {
                if self.text.get(self.at) != Some(&quote) {
                    break;
                }
                self.at += 1;
            }
            bytes.push(byte);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn skip_literal(&mut self, quote: u8) {
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                _ if byte == quote => {
                    if self.text.get(self.at) != Some(&quote) {
                        break;
                    }
                    self.at += 1;
                }
                _ => {}
            }
        }
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.clone().next(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word))
    }

    fn skip_word(&mut self, word: &str) -> bool {
        let there = self.peek_word(word);
        if there {
            self.next();
        }
        there
    }

    /// Skips these words if they come in this order.
    fn skip_words(&mut self, words: &[&str]) {
        for word in words {
            if !self.skip_word(word) {
                return;
            }
        }
    }

    fn skip_symbol(&mut self, symbol: u8) -> bool {
        let there = self.clone().next() == Some(Token::Symbol(symbol));
        if there {
            self.next();
        }
        there
    }

    /// `table` or `database.table`.
    fn name(&mut self) -> Option<Name> {
        let first = self.identifier()?;
        if self.skip_symbol(b'.') {
            let table = self.identifier()?;
            return Some(Name { database: Some(first), table });
        }
        Some(Name { database: None, table: first })
    }

    fn identifier(&mut self) -> Option<String> {
        match self.clone().next()? {
            Token::Word(word) | Token::Quoted(word) => {
                self.next();
                Some(word)
            }
            Token::Literal | Token::Symbol(_) => None,
        }
    }

    /// Every name in the rest of the statement.
    fn all_names(&mut self) -> Vec<Name> {
        let mut names = Vec::new();
        loop {
            match self.name() {
                Some(name) => names.push(name),
                None => {
                    if self.next().is_none() {
                        return names;
                    }
                }
            }
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: Statement) {
        let query =
            Query { database: b"shop", text: text.as_bytes(), ansi_quotes: false, status: b"" };
        assert_eq!(read(&query), want, "{text}");
    }

    fn defines(names: &[&str]) -> Statement {
        Statement::Defines(names.iter().map(|text| name(text)).collect())
    }

    fn name(text: &str) -> Name {
        match text.split_once('.') {
            Some((database, table)) => {
                Name { database: Some(database.into()), table: table.into() }
            }
            None => Name { database: None, table: text.into() },
        }
    }

    #[test]
    fn transaction_control() {
        check("BEGIN", Statement::Begin);
        check("begin", Statement::Begin);
        check("COMMIT /* done */", Statement::Commit);
        check("ROLLBACK", Statement::Rollback);
        check("ROLLBACK TO `a`", Statement::Inside);
        check("SAVEPOINT `a`", Statement::Inside);
        check("XA START X'61',X'',1", Statement::XaStart);
        check("XA COMMIT X'61',X'',1", Statement::XaCommit);
    }

    #[test]
    fn definitions_name_their_tables() {
        check("ALTER TABLE t ADD c INT", defines(&["t"]));
        check("ALTER ONLINE TABLE IF EXISTS `a`.`b``c` DROP x", defines(&["a.b`c"]));
        check("ALTER TABLE a.t RENAME TO b.u", defines(&["a.t", "b.u"]));
        check("ALTER TABLE t RENAME COLUMN a TO b", defines(&["t"]));
        check("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u", defines(&["t", "u"]));
        check("/* x */ CREATE TABLE IF NOT EXISTS t (a INT)", defines(&["t"]));
        check("CREATE /*!50100 TABLE */ t (a INT)", defines(&["t"]));
        check("CREATE TEMPORARY TABLE t (a INT)", Statement::Nothing);
        check("CREATE UNIQUE INDEX i USING BTREE ON s.t (a)", defines(&["s.t"]));
        check("DROP TABLE IF EXISTS `a` , b.c /* generated by server */", defines(&["a", "b.c"]));
        check("DROP DATABASE IF EXISTS shop", Statement::DropsDatabase("shop".into()));
        check("RENAME TABLE a TO b, s.c TO s.d", defines(&["a", "b", "s.c", "s.d"]));
        check("TRUNCATE TABLE t", Statement::Truncates(name("t")));
        check("truncate s.t", Statement::Truncates(name("s.t")));
        check("DROP INDEX i ON t", defines(&["t"]));
        check("SET STATEMENT a = 1, b = 'x' FOR ALTER TABLE t ADD c INT", defines(&["t"]));
        check("SET @a = 1", Statement::Nothing);
        let trigger =
            "TRIGGER `pt_osc_s_t_del` AFTER DELETE ON s.t FOR EACH ROW DELETE FROM s._t_new";
        check(&format!("CREATE DEFINER=`a`@`%` {trigger}"), defines(&["s.t"]));
        check(&format!("CREATE {trigger}"), defines(&["s.t"]));
        check(
            "CREATE TRIGGER mine AFTER DELETE ON t FOR EACH ROW DELETE FROM u",
            Statement::Nothing,
        );
        check("CREATE DEFINER=a@b VIEW v AS SELECT 1", Statement::Nothing);
    }

    #[test]
    fn rows_changed_by_statements_and_statements_without_effect() {
        check(
            "INSERT INTO t VALUES ('DROP TABLE x')",
            Statement::Writes(vec![name("INTO"), name("t"), name("VALUES")]),
        );
        check("CREATE USER a@b", Statement::Nothing);
        check("GRANT SELECT ON a.* TO b", Statement::Nothing);
        check("SELECT f(1)", Statement::MayWriteAnything);
        check("", Statement::Nothing);
        check("-- only a comment", Statement::Nothing);
    }

    #[test]
    fn ansi_quotes_make_identifiers() {
        let query =
            Query { database: b"", text: b"DROP TABLE \"a\"\"b\"", ansi_quotes: true, status: b"" };
        assert_eq!(read(&query), defines(&["a\"b"]));
    }
}
