//! The grammar of whole statements: which it is and what it is about. CREATE TABLE's body is in `create`, ALTER TABLE's
//! clauses are in `alter`.

use super::{
    Fault, Session, alter, create,
    cursor::{Cursor, Name},
    statement::{Clause, Statement, TextSpec},
};

/// A statement that could not be read: why, and the tables it is about as far as that was read.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) fault: Fault,
    /// None: it may be any table.
    pub(super) tables: Option<Vec<Name>>,
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Unread { fault, tables: None }
    }
}

/// Reads a statement that [`super::classify`] let through.
pub(super) fn parse(session: &Session, text: &[u8]) -> Result<Statement, Unread> {
    let mut cursor = Cursor::new(text, session)?;
    let cursor = &mut cursor;
    if cursor.take_all(&["SET", "STATEMENT"]) {
        while !cursor.is_end() && !cursor.take("FOR") {
            cursor.next();
        }
    }
    if cursor.take("CREATE") {
        return created(cursor, session);
    }
    if cursor.take("ALTER") {
        return altered(cursor, session);
    }
    if cursor.take("DROP") {
        return dropped(cursor);
    }
    if cursor.take("RENAME") {
        return Ok(renamed(cursor)?);
    }
    if cursor.take("TRUNCATE") {
        cursor.take("TABLE");
        return Ok(Statement::Truncate(cursor.name()?));
    }
    Ok(Statement::Nothing)
}

/// The name of a table; what fails behind it is about that table.
fn about(
    cursor: &mut Cursor<'_>,
    read: impl FnOnce(&mut Cursor<'_>, Name) -> Result<Statement, Fault>,
) -> Result<Statement, Unread> {
    let table = cursor.name()?;
    read(cursor, table.clone()).map_err(|fault| Unread { fault, tables: Some(vec![table]) })
}

fn created(cursor: &mut Cursor<'_>, session: &Session) -> Result<Statement, Unread> {
    let or_replace = cursor.take_all(&["OR", "REPLACE"]);
    if cursor.is_word("TEMPORARY") {
        return Ok(Statement::Nothing);
    }
    if cursor.take("TABLE") {
        let if_not_exists = cursor.take_all(&["IF", "NOT", "EXISTS"]);
        return about(cursor, |cursor, table| {
            create::create(cursor, session, table, or_replace, if_not_exists)
        });
    }
    if cursor.take_any(&["DATABASE", "SCHEMA"]) {
        cursor.take_all(&["IF", "NOT", "EXISTS"]);
        let name = cursor.identifier()?;
        return Ok(Statement::SetDatabase {
            name: Some(name),
            charset: database_charset(cursor)?,
            create: true,
        });
    }
    let mark = cursor.mark();
    cursor.take_any(&["ONLINE", "OFFLINE"]);
    let unique = cursor.take("UNIQUE");
    cursor.take_any(&["FULLTEXT", "SPATIAL", "VECTOR"]);
    if !cursor.take("INDEX") {
        cursor.back_to(mark);
        return Ok(Statement::Nothing);
    }
    let mut index = create::index_head(cursor, unique)?;
    index.or_replace = or_replace;
    cursor.expect("ON")?;
    about(cursor, |cursor, table| {
        index.parts = create::index_parts(cursor)?;
        Ok(Statement::Alter { table, ignore: false, clauses: vec![Clause::AddIndex(index)] })
    })
}

fn altered(cursor: &mut Cursor<'_>, session: &Session) -> Result<Statement, Unread> {
    if cursor.take_any(&["DATABASE", "SCHEMA"]) {
        let options =
            ["DEFAULT", "CHARACTER", "CHARSET", "COLLATE", "READ", "ENCRYPTION", "COMMENT"];
        let name = if cursor.is_any_word(&options) { None } else { Some(cursor.identifier()?) };
        return Ok(Statement::SetDatabase {
            name,
            charset: database_charset(cursor)?,
            create: false,
        });
    }
    let mut ignore = false;
    loop {
        if cursor.take_any(&["ONLINE", "OFFLINE"]) {
        } else if cursor.take("IGNORE") {
            ignore = true;
        } else {
            break;
        }
    }
    if !cursor.take("TABLE") {
        return Ok(Statement::Nothing);
    }
    cursor.take_all(&["IF", "EXISTS"]);
    about(cursor, |cursor, table| {
        let clauses = alter::clauses(cursor, session)?;
        Ok(Statement::Alter { table, ignore, clauses })
    })
}

fn dropped(cursor: &mut Cursor<'_>) -> Result<Statement, Unread> {
    if cursor.take_any(&["DATABASE", "SCHEMA"]) {
        cursor.take_all(&["IF", "EXISTS"]);
        return Ok(Statement::DropDatabase(cursor.identifier()?));
    }
    cursor.take_any(&["ONLINE", "OFFLINE"]);
    if cursor.take("INDEX") {
        cursor.take_all(&["IF", "EXISTS"]);
        let index = cursor.identifier()?;
        cursor.expect("ON")?;
        let table = cursor.name()?;
        let clause = if index.eq_ignore_ascii_case("PRIMARY") {
            Clause::DropPrimary
        } else {
            Clause::DropIndex(index)
        };
        return Ok(Statement::Alter { table, ignore: false, clauses: vec![clause] });
    }
    if !cursor.take_any(&["TABLE", "TABLES"]) {
        return Ok(Statement::Nothing);
    }
    cursor.take_all(&["IF", "EXISTS"]);
    let mut names = vec![cursor.name()?];
    while cursor.symbol(b',') {
        names.push(cursor.name()?);
    }
    Ok(Statement::Drop(names))
}

fn renamed(cursor: &mut Cursor<'_>) -> Result<Statement, Fault> {
    if !cursor.take_any(&["TABLE", "TABLES"]) {
        return Ok(Statement::Nothing);
    }
    let mut pairs = Vec::new();
    loop {
        cursor.take_all(&["IF", "EXISTS"]);
        let from = cursor.name()?;
        wait(cursor)?;
        cursor.expect("TO")?;
        pairs.push((from, cursor.name()?));
        if !cursor.symbol(b',') {
            return Ok(Statement::Rename(pairs));
        }
    }
}

/// MariaDB's `WAIT n` and `NOWAIT`.
pub(super) fn wait(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if cursor.take("WAIT") {
        cursor.number()?;
    } else {
        cursor.take("NOWAIT");
    }
    Ok(())
}

/// CHARACTER SET and COLLATE among a database's options.
fn database_charset(cursor: &mut Cursor<'_>) -> Result<TextSpec, Fault> {
    let mut text = TextSpec::default();
    while !cursor.is_end() {
        if !create::charset_option(cursor, &mut text)? {
            cursor.next();
        }
    }
    Ok(text)
}
