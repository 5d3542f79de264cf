//! The grammar of CREATE TABLE behind its name: elements, indexes, table options, partitions, and the query behind it.

use super::{
    Fault, Session, column,
    cursor::{Cursor, Name},
    lexer::Kind,
    statement::{Body, Create, IndexKind, IndexSpec, Statement, TableOptions, TextSpec},
};

pub(super) fn create(
    cursor: &mut Cursor<'_>,
    session: &Session,
    table: Name,
    or_replace: bool,
    if_not_exists: bool,
) -> Result<Statement, Fault> {
    let mut options = TableOptions::default();
    let like = cursor.take("LIKE")
        || cursor.is_symbol(b'(') && cursor.is_word_at(1, "LIKE") && cursor.symbol(b'(') && {
            cursor.take("LIKE")
        };
    let body = if like {
        Body::Like(cursor.name()?)
    } else {
        let mut body = Body::Select;
        if cursor.is_symbol(b'(') && !is_query(cursor, 1) {
            cursor.symbol(b'(');
            body = elements(cursor, session)?;
        }
        match table_options(cursor, &mut options)? {
            Behind::Nothing => {}
            Behind::Query => body = Body::Select,
        }
        body
    };
    let create = Create { table, or_replace, if_not_exists, body, options };
    Ok(Statement::Create(Box::new(create)))
}

fn is_query(cursor: &Cursor<'_>, by: usize) -> bool {
    ["SELECT", "WITH", "TABLE", "VALUES"].iter().any(|word| cursor.is_word_at(by, word))
        || cursor.ahead(by) == Some(&Kind::Symbol(b'('))
}

fn elements(cursor: &mut Cursor<'_>, session: &Session) -> Result<Body, Fault> {
    let (mut columns, mut indexes, mut versioned) = (Vec::new(), Vec::new(), false);
    loop {
        if is_index(cursor) {
            indexes.extend(index(cursor)?);
        } else if cursor.is_word("PERIOD") && cursor.is_word_at(1, "FOR") {
            versioned |= cursor.is_word_at(2, "SYSTEM_TIME");
            cursor.skip_item()?;
        } else {
            columns.push(column::column(cursor, session)?);
        }
        if cursor.symbol(b')') {
            return Ok(Body::Define { columns, indexes, versioned });
        }
        if !cursor.symbol(b',') {
            return cursor.fault("this is not understood in a column's definition");
        }
    }
}

/// Whether an index, constraint or check begins here.
pub(super) fn is_index(cursor: &Cursor<'_>) -> bool {
    cursor.is_any_word(&[
        "PRIMARY",
        "UNIQUE",
        "INDEX",
        "KEY",
        "FULLTEXT",
        "SPATIAL",
        "CONSTRAINT",
        "FOREIGN",
        "CHECK",
    ]) || cursor.is_word("VECTOR") && (cursor.is_word_at(1, "INDEX") || cursor.is_word_at(1, "KEY"))
}

/// An index; none for a check.
pub(super) fn index(cursor: &mut Cursor<'_>) -> Result<Option<IndexSpec>, Fault> {
    let mut symbol = None;
    if cursor.take("CONSTRAINT") {
        cursor.take_all(&["IF", "NOT", "EXISTS"]);
        if !cursor.is_any_word(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
            symbol = Some(cursor.identifier()?);
        }
    }
    if cursor.take("CHECK") {
        cursor.skip_item()?;
        return Ok(None);
    }
    let mut kind = IndexKind::Other;
    let foreign = cursor.take_all(&["FOREIGN", "KEY"]);
    if !foreign {
        if cursor.take_all(&["PRIMARY", "KEY"]) {
            kind = IndexKind::Primary;
        } else if cursor.take("UNIQUE") {
            kind = IndexKind::Unique;
        } else {
            cursor.take_any(&["FULLTEXT", "SPATIAL", "VECTOR"]);
        }
        cursor.take_any(&["INDEX", "KEY"]);
    }
    let mut spec = index_head(cursor, kind == IndexKind::Unique)?;
    spec.kind = kind;
    spec.parts = index_parts(cursor)?;
    if kind != IndexKind::Primary {
        // A foreign key's index is named by its constraint first.
        spec.name = if foreign { symbol.or(spec.name) } else { spec.name.or(symbol) };
    }
    Ok(Some(spec))
}

/// `[IF NOT EXISTS] [name] [USING type]`.
pub(super) fn index_head(cursor: &mut Cursor<'_>, unique: bool) -> Result<IndexSpec, Fault> {
    let if_not_exists = cursor.take_all(&["IF", "NOT", "EXISTS"]);
    let name = match cursor.peek() {
        Some(Kind::Word(_) | Kind::Quoted(_)) if !cursor.is_any_word(&["USING", "TYPE"]) => {
            Some(cursor.identifier()?)
        }
        _ => None,
    };
    if cursor.take_any(&["USING", "TYPE"]) {
        cursor.identifier()?;
    }
    let kind = if unique { IndexKind::Unique } else { IndexKind::Other };
    Ok(IndexSpec { name, kind, parts: Vec::new(), if_not_exists, or_replace: false })
}

/// A part of an index: its column, none for an expression, and its prefix.
pub(super) type Part = (Option<String>, Option<u64>);

/// `(part, …)` and the options behind.
pub(super) fn index_parts(cursor: &mut Cursor<'_>) -> Result<Vec<Part>, Fault> {
    let mut parts = Vec::new();
    cursor.expect_symbol(b'(')?;
    loop {
        if cursor.is_symbol(b'(') {
            cursor.group()?;
            parts.push((None, None));
        } else {
            let column = cursor.identifier()?;
            let mut prefix = None;
            if cursor.symbol(b'(') {
                prefix = Some(cursor.number()?);
                cursor.expect_symbol(b')')?;
            }
            if cursor.is_word("WITHOUT") && cursor.is_word_at(1, "OVERLAPS") {
                return cursor.fault("a key over a period is read from the server");
            }
            parts.push((Some(column), prefix));
        }
        cursor.take_any(&["ASC", "DESC"]);
        if cursor.symbol(b')') {
            break;
        }
        if !cursor.symbol(b',') {
            return cursor.fault("this is not understood in an index");
        }
    }
    cursor.skip_item()?;
    Ok(parts)
}

/// What stands behind a table's options.
enum Behind {
    Nothing,
    Query,
}

fn table_options(cursor: &mut Cursor<'_>, options: &mut TableOptions) -> Result<Behind, Fault> {
    while !cursor.is_end() {
        if cursor.symbol(b',') {
            continue;
        }
        // MySQL's own form of CREATE TABLE … SELECT: the columns are all there, the rows follow, and so may more options.
        if cursor.take_all(&["START", "TRANSACTION"]) {
            continue;
        }
        if cursor.is_any_word(&["AS", "SELECT", "IGNORE", "REPLACE", "VALUES", "TABLE"])
            || cursor.is_word("WITH") && !cursor.is_word_at(1, "SYSTEM")
            || cursor.is_symbol(b'(')
        {
            return Ok(Behind::Query);
        }
        if cursor.take("PARTITION") {
            let ends = |cursor: &Cursor<'_>| {
                cursor.is_end()
                    || cursor.is_any_word(&["AS", "SELECT", "IGNORE", "REPLACE"])
                    || (cursor.is_word("START") && cursor.is_word_at(1, "TRANSACTION"))
            };
            while !ends(cursor) {
                if cursor.is_symbol(b'(') {
                    cursor.group()?;
                } else {
                    cursor.next();
                }
            }
            continue;
        }
        if !table_option(cursor, options)? {
            return cursor.fault("this table option is not understood");
        }
    }
    Ok(Behind::Nothing)
}

/// One option of a table, if one begins here.
pub(super) fn table_option(
    cursor: &mut Cursor<'_>,
    options: &mut TableOptions,
) -> Result<bool, Fault> {
    if charset_option(cursor, &mut options.text)? {
        return Ok(true);
    }
    if cursor.take_all(&["WITH", "SYSTEM", "VERSIONING"]) {
        options.versioned = true;
        return Ok(true);
    }
    if cursor.take("COMMENT") {
        cursor.symbol(b'=');
        options.comment = Some(cursor.text(false)?);
        return Ok(true);
    }
    if cursor.take_any(&["ENGINE", "TYPE"]) {
        cursor.symbol(b'=');
        options.engine = Some(match cursor.peek() {
            Some(Kind::Text(_)) => cursor.text(true)?,
            _ => cursor.identifier()?,
        });
        return Ok(true);
    }
    if cursor.take("UNION") {
        cursor.symbol(b'=');
        cursor.group()?;
        return Ok(true);
    }
    if cursor.take_all(&["DATA", "DIRECTORY"]) || cursor.take_all(&["INDEX", "DIRECTORY"]) {
        cursor.symbol(b'=');
        cursor.text(false)?;
        return Ok(true);
    }
    if cursor.take("TABLESPACE") {
        cursor.symbol(b'=');
        cursor.identifier()?;
        return Ok(true);
    }
    if cursor.take("STORAGE") {
        cursor.symbol(b'=');
        cursor.identifier()?;
        return Ok(true);
    }
    if cursor.take_all(&["START", "TRANSACTION"]) {
        return Ok(true);
    }
    // Any other: `name [=] value`.
    let mark = cursor.mark();
    if matches!(cursor.next(), Some(Kind::Word(_) | Kind::Quoted(_))) {
        let equals = cursor.symbol(b'=');
        if matches!(cursor.peek(), Some(Kind::Number(_) | Kind::Text(_)))
            || equals && matches!(cursor.peek(), Some(Kind::Word(_) | Kind::Quoted(_)))
            || matches!(cursor.peek(), Some(Kind::Word(word)) if is_value(word))
        {
            cursor.next();
            return Ok(true);
        }
    }
    cursor.back_to(mark);
    Ok(false)
}

/// Values of options that may stand without `=`.
fn is_value(word: &str) -> bool {
    [
        "DEFAULT",
        "DYNAMIC",
        "COMPACT",
        "COMPRESSED",
        "REDUNDANT",
        "FIXED",
        "NO",
        "FIRST",
        "LAST",
        "PAGE",
    ]
    .iter()
    .any(|value| value.eq_ignore_ascii_case(word))
}

/// `[DEFAULT] CHARACTER SET [=] x`, `[DEFAULT] COLLATE [=] x`, if one begins here.
pub(super) fn charset_option(cursor: &mut Cursor<'_>, text: &mut TextSpec) -> Result<bool, Fault> {
    let mark = cursor.mark();
    cursor.take("DEFAULT");
    if cursor.take("CHARSET")
        || cursor.take_all(&["CHARACTER", "SET"])
        || cursor.take_all(&["CHAR", "SET"])
    {
        cursor.symbol(b'=');
        text.charset = Some(charset_name(cursor)?);
        return Ok(true);
    }
    if cursor.take("COLLATE") {
        cursor.symbol(b'=');
        text.collation = Some(charset_name(cursor)?);
        return Ok(true);
    }
    cursor.back_to(mark);
    Ok(false)
}

/// A charset's or collation's name, lower case; it may be quoted as a string.
pub(super) fn charset_name(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
    let name = match cursor.peek() {
        Some(Kind::Text(_)) => cursor.text(true)?,
        _ => cursor.identifier()?,
    };
    Ok(name.to_ascii_lowercase())
}
