//! The grammar of ALTER TABLE's clauses.

use super::{
    Fault, Session, column, create,
    cursor::Cursor,
    lexer::Kind,
    parse::wait,
    statement::{Clause, Place, TableOptions, TextSpec},
};

pub(super) fn clauses(cursor: &mut Cursor<'_>, session: &Session) -> Result<Vec<Clause>, Fault> {
    let mut clauses = Vec::new();
    wait(cursor)?;
    while !cursor.is_end() {
        if cursor.symbol(b',') {
            continue;
        }
        clause(cursor, session, &mut clauses)?;
        if !cursor.is_end()
            && !cursor.is_symbol(b',')
            // Table options and partition clauses may follow without a comma.
            && !matches!(clauses.last(), Some(Clause::Options(_) | Clause::Nothing))
            && !cursor.is_any_word(&["PARTITION", "REMOVE"])
        {
            return cursor.fault("this is not understood in ALTER TABLE");
        }
    }
    Ok(clauses)
}

fn clause(
    cursor: &mut Cursor<'_>,
    session: &Session,
    clauses: &mut Vec<Clause>,
) -> Result<(), Fault> {
    if cursor.take("ADD") {
        return add(cursor, session, clauses);
    }
    let clause = if cursor.take("DROP") {
        drop_clause(cursor)?
    } else if cursor.take("CHANGE") {
        cursor.take("COLUMN");
        let if_exists = cursor.take_all(&["IF", "EXISTS"]);
        let from = cursor.column_name()?;
        let column = column::column(cursor, session)?;
        Clause::Change { from, column, place: place(cursor)?, if_exists }
    } else if cursor.take("MODIFY") {
        cursor.take("COLUMN");
        let if_exists = cursor.take_all(&["IF", "EXISTS"]);
        let from = cursor.column_name()?;
        let column = column::definition(cursor, session, from.clone())?;
        Clause::Change { from, column, place: place(cursor)?, if_exists }
    } else if cursor.take("ALTER") {
        alter(cursor)?
    } else if cursor.take("RENAME") {
        rename(cursor)?
    } else if cursor.take_all(&["CONVERT", "TO"]) {
        let mut text = TextSpec::default();
        if !create::charset_option(cursor, &mut text)? {
            return cursor.fault("CHARACTER SET is missing");
        }
        if cursor.is_word("COLLATE") {
            create::charset_option(cursor, &mut text)?;
        }
        Clause::Convert(text)
    } else if cursor.take_all(&["CONVERT", "PARTITION"]) {
        cursor.identifier()?;
        cursor.expect("TO")?;
        cursor.expect("TABLE")?;
        let table = cursor.name()?;
        skip_validation(cursor);
        Clause::ConvertPartition(table)
    } else if cursor.take_all(&["CONVERT", "TABLE"]) {
        let table = cursor.name()?;
        cursor.expect("TO")?;
        skip_rest(cursor)?;
        Clause::ConvertTable(table)
    } else if cursor.take_all(&["TRUNCATE", "PARTITION"]) {
        skip_rest(cursor)?;
        Clause::EmptyPartitions
    } else if cursor.take_all(&["EXCHANGE", "PARTITION"]) {
        cursor.identifier()?;
        cursor.expect("WITH")?;
        cursor.expect("TABLE")?;
        let table = cursor.name()?;
        skip_validation(cursor);
        Clause::Exchange(table)
    } else if cursor.is_any_word(&["IMPORT", "DISCARD"]) {
        let import = cursor.take("IMPORT");
        skip_rest(cursor)?;
        if import { Clause::Import } else { Clause::EmptyPartitions }
    } else if cursor.take("PARTITION")
        || cursor.take_any(&["COALESCE", "REORGANIZE", "ANALYZE", "CHECK", "OPTIMIZE"])
        || cursor.take_any(&["REBUILD", "REPAIR", "REMOVE", "SECONDARY_LOAD", "SECONDARY_UNLOAD"])
    {
        skip_rest(cursor)?;
        Clause::Nothing
    } else if cursor.take_all(&["ORDER", "BY"]) {
        // Nothing else may follow it.
        skip_rest(cursor)?;
        Clause::Nothing
    } else if cursor.take_any(&["ALGORITHM", "LOCK"]) {
        cursor.symbol(b'=');
        cursor.identifier()?;
        Clause::Nothing
    } else if cursor.take("FORCE")
        || cursor.take_all(&["WITH", "VALIDATION"])
        || cursor.take_all(&["WITHOUT", "VALIDATION"])
        || cursor.take_all(&["ENABLE", "KEYS"])
        || cursor.take_all(&["DISABLE", "KEYS"])
        || cursor.take_any(&["NOWAIT", "ONLINE"])
    {
        Clause::Nothing
    } else {
        let mut options = TableOptions::default();
        if !create::table_option(cursor, &mut options)? {
            return cursor.fault("this clause of ALTER TABLE is not understood");
        }
        Clause::Options(options)
    };
    clauses.push(clause);
    Ok(())
}

fn skip_validation(cursor: &mut Cursor<'_>) {
    if !cursor.take_all(&["WITH", "VALIDATION"]) {
        cursor.take_all(&["WITHOUT", "VALIDATION"]);
    }
}

fn skip_rest(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    while !cursor.is_end() {
        if cursor.is_symbol(b'(') {
            cursor.group()?;
        } else {
            cursor.next();
        }
    }
    Ok(())
}

fn add(cursor: &mut Cursor<'_>, session: &Session, clauses: &mut Vec<Clause>) -> Result<(), Fault> {
    if create::is_index(cursor) {
        clauses.push(create::index(cursor)?.map_or(Clause::Nothing, Clause::AddIndex));
        return Ok(());
    }
    if cursor.take_all(&["SYSTEM", "VERSIONING"]) {
        clauses.push(Clause::SystemVersioning(true));
        return Ok(());
    }
    if cursor.is_word("PERIOD") && cursor.is_word_at(1, "FOR") {
        cursor.skip_item()?;
        clauses.push(Clause::Nothing);
        return Ok(());
    }
    let is_partition = cursor.is_word("PARTITION")
        && (["PARTITIONS", "IF", "NO_WRITE_TO_BINLOG", "LOCAL"]
            .iter()
            .any(|word| cursor.is_word_at(1, word))
            || cursor.ahead(1) == Some(&Kind::Symbol(b'(')));
    if is_partition {
        skip_rest(cursor)?;
        clauses.push(Clause::Nothing);
        return Ok(());
    }
    cursor.take("COLUMN");
    let if_not_exists = cursor.take_all(&["IF", "NOT", "EXISTS"]);
    if !cursor.symbol(b'(') {
        let column = column::column(cursor, session)?;
        clauses.push(Clause::Add { column, place: place(cursor)?, if_not_exists });
        return Ok(());
    }
    loop {
        if create::is_index(cursor) {
            clauses.extend(create::index(cursor)?.map(Clause::AddIndex));
        } else {
            let column = column::column(cursor, session)?;
            clauses.push(Clause::Add { column, place: None, if_not_exists });
        }
        if cursor.symbol(b')') {
            return Ok(());
        }
        if !cursor.symbol(b',') {
            return cursor.fault("this is not understood in a column's definition");
        }
    }
}

fn place(cursor: &mut Cursor<'_>) -> Result<Option<Place>, Fault> {
    if cursor.take("FIRST") {
        return Ok(Some(Place::First));
    }
    if cursor.take("AFTER") {
        return Ok(Some(Place::After(cursor.column_name()?)));
    }
    Ok(None)
}

fn drop_clause(cursor: &mut Cursor<'_>) -> Result<Clause, Fault> {
    if cursor.take_all(&["PRIMARY", "KEY"]) {
        return Ok(Clause::DropPrimary);
    }
    if cursor.take_any(&["INDEX", "KEY", "CONSTRAINT"]) {
        cursor.take_all(&["IF", "EXISTS"]);
        let name = cursor.identifier()?;
        let primary = name.eq_ignore_ascii_case("PRIMARY");
        return Ok(if primary { Clause::DropPrimary } else { Clause::DropIndex(name) });
    }
    if cursor.take_all(&["FOREIGN", "KEY"]) || cursor.take("CHECK") {
        cursor.take_all(&["IF", "EXISTS"]);
        cursor.identifier()?;
        return Ok(Clause::Nothing);
    }
    if cursor.take_all(&["SYSTEM", "VERSIONING"]) {
        return Ok(Clause::SystemVersioning(false));
    }
    if cursor.take_all(&["PERIOD", "FOR"]) {
        cursor.identifier()?;
        return Ok(Clause::Nothing);
    }
    if cursor.is_word("PARTITION")
        && matches!(cursor.ahead(1), Some(Kind::Word(_) | Kind::Quoted(_)))
    {
        skip_rest(cursor)?;
        return Ok(Clause::EmptyPartitions);
    }
    cursor.take("COLUMN");
    let if_exists = cursor.take_all(&["IF", "EXISTS"]);
    let name = cursor.column_name()?;
    cursor.take_any(&["RESTRICT", "CASCADE"]);
    Ok(Clause::DropColumn(name, if_exists))
}

fn alter(cursor: &mut Cursor<'_>) -> Result<Clause, Fault> {
    if cursor.take_any(&["INDEX", "KEY", "CHECK", "CONSTRAINT"]) {
        cursor.skip_item()?;
        return Ok(Clause::Nothing);
    }
    cursor.take("COLUMN");
    let if_exists = cursor.take_all(&["IF", "EXISTS"]);
    let column = cursor.column_name()?;
    if cursor.take_all(&["SET", "DEFAULT"]) {
        let default = column::default(cursor)?;
        return Ok(Clause::SetDefault { column, default, if_exists });
    }
    if cursor.take_all(&["DROP", "DEFAULT"]) {
        return Ok(Clause::DropDefault(column, if_exists));
    }
    if cursor.take_all(&["SET", "VISIBLE"]) {
        return Ok(Clause::SetVisible(column, true));
    }
    if cursor.take_all(&["SET", "INVISIBLE"]) {
        return Ok(Clause::SetVisible(column, false));
    }
    cursor.fault("this is not understood behind ALTER COLUMN")
}

fn rename(cursor: &mut Cursor<'_>) -> Result<Clause, Fault> {
    if cursor.take("COLUMN") {
        let if_exists = cursor.take_all(&["IF", "EXISTS"]);
        let from = cursor.column_name()?;
        cursor.expect("TO")?;
        return Ok(Clause::RenameColumn { from, to: cursor.column_name()?, if_exists });
    }
    if cursor.take_any(&["INDEX", "KEY"]) {
        cursor.take_all(&["IF", "EXISTS"]);
        let from = cursor.identifier()?;
        cursor.expect("TO")?;
        return Ok(Clause::RenameIndex(from, cursor.identifier()?));
    }
    if !cursor.take_any(&["TO", "AS"]) {
        cursor.symbol(b'=');
    }
    Ok(Clause::Rename(cursor.name()?))
}
