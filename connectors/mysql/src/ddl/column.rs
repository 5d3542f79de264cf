//! The grammar of a column: its type and its attributes.

use super::{
    Fault, Session,
    create::{charset_name, charset_option},
    cursor::Cursor,
    lexer::Kind,
    mode,
    statement::{ColumnSpec, DefaultSpec, TypeSpec},
};
use crate::types::Flavor;

/// `name type attributes`.
pub(super) fn column(cursor: &mut Cursor<'_>, session: &Session) -> Result<ColumnSpec, Fault> {
    let name = cursor.column_name()?;
    definition(cursor, session, name)
}

/// `type attributes`.
pub(super) fn definition(
    cursor: &mut Cursor<'_>,
    session: &Session,
    name: String,
) -> Result<ColumnSpec, Fault> {
    let ty = type_spec(cursor, session)?;
    let mut column = ColumnSpec { name, ty, ..ColumnSpec::default() };
    if column.ty.serial {
        (column.nullable, column.auto_increment, column.unique) = (Some(false), true, true);
    }
    while attribute(cursor, &mut column)? {}
    Ok(column)
}

const NOW: [&str; 4] = ["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"];

/// The types that are spelled as they are printed, or under another name.
fn canonical(word: &str) -> Option<&'static str> {
    Some(match word {
        "TINYINT" | "INT1" => "tinyint",
        "SMALLINT" | "INT2" => "smallint",
        "MEDIUMINT" | "INT3" | "MIDDLEINT" => "mediumint",
        "INT" | "INTEGER" | "INT4" => "int",
        "BIGINT" | "INT8" => "bigint",
        "DECIMAL" | "DEC" | "NUMERIC" | "FIXED" | "NUMBER" => "decimal",
        "FLOAT" | "FLOAT4" => "float",
        "DOUBLE" | "FLOAT8" => "double",
        "REAL" => "real",
        "BIT" => "bit",
        "BOOL" | "BOOLEAN" => "bool",
        "DATE" => "date",
        "TIME" => "time",
        "DATETIME" => "datetime",
        "TIMESTAMP" => "timestamp",
        "YEAR" => "year",
        "CHAR" | "CHARACTER" => "char",
        "VARCHAR" | "VARCHARACTER" => "varchar",
        "NCHAR" => "nchar",
        "NVARCHAR" => "nvarchar",
        "BINARY" => "binary",
        "VARBINARY" => "varbinary",
        "TINYTEXT" => "tinytext",
        "TEXT" => "text",
        "MEDIUMTEXT" => "mediumtext",
        "LONGTEXT" => "longtext",
        "TINYBLOB" => "tinyblob",
        "BLOB" => "blob",
        "MEDIUMBLOB" => "mediumblob",
        "LONGBLOB" => "longblob",
        "ENUM" => "enum",
        "SET" => "set",
        "JSON" => "json",
        "GEOMETRY" => "geometry",
        "POINT" => "point",
        "LINESTRING" => "linestring",
        "POLYGON" => "polygon",
        "MULTIPOINT" => "multipoint",
        "MULTILINESTRING" => "multilinestring",
        "MULTIPOLYGON" => "multipolygon",
        "GEOMETRYCOLLECTION" | "GEOMCOLLECTION" => "geometrycollection",
        "VECTOR" => "vector",
        "UUID" => "uuid",
        "INET4" => "inet4",
        "INET6" => "inet6",
        "SERIAL" => "serial",
        "LONG" => "long",
        "NATIONAL" => "national",
        _ => return None,
    })
}

fn type_spec(cursor: &mut Cursor<'_>, session: &Session) -> Result<TypeSpec, Fault> {
    let at = cursor.mark();
    let Some(Kind::Word(word)) = cursor.next() else {
        cursor.back_to(at);
        return cursor.fault("a type is missing");
    };
    let Some(name) = canonical(&word.to_ascii_uppercase()) else {
        cursor.back_to(at);
        return cursor.fault(format!("type `{word}` is not known"));
    };
    if session.dialect.flavor == Flavor::MariaDb && session.has_mode(mode::ORACLE) {
        cursor.back_to(at);
        return cursor.fault("types of sql_mode ORACLE are not read");
    }
    let mut ty = TypeSpec { name: name.to_owned(), ..TypeSpec::default() };
    let national = |ty: &mut TypeSpec| ty.text.charset = Some("utf8mb3".into());
    match name {
        "bool" => (ty.name, ty.arguments) = ("tinyint".into(), vec![1]),
        "serial" => (ty.name, ty.unsigned, ty.serial) = ("bigint".into(), true, true),
        "long" => {
            ty.name = "mediumtext".into();
            if cursor.take("VARBINARY") {
                ty.name = "mediumblob".into();
            } else if !cursor.take_any(&["VARCHAR", "VARCHARACTER"])
                && cursor.take_any(&["CHAR", "CHARACTER"])
            {
                cursor.take("VARYING");
            }
        }
        "national" => {
            national(&mut ty);
            let varying = cursor.take_any(&["VARCHAR", "VARCHARACTER"]);
            if !varying && !cursor.take_any(&["CHAR", "CHARACTER"]) {
                return cursor.fault("CHAR is missing");
            }
            let varying = cursor.take("VARYING") || varying;
            ty.name = if varying { "varchar" } else { "char" }.into();
        }
        "nchar" => {
            national(&mut ty);
            let varying = cursor.take("VARYING") || cursor.take_any(&["VARCHAR", "VARCHARACTER"]);
            ty.name = if varying { "varchar" } else { "char" }.into();
        }
        "nvarchar" => {
            national(&mut ty);
            ty.name = "varchar".into();
        }
        "char" if cursor.take("VARYING") => ty.name = "varchar".into(),
        "double" => {
            cursor.take("PRECISION");
        }
        "real" => {
            let float = session.has_mode(mode::REAL_AS_FLOAT);
            ty.name = if float { "float" } else { "double" }.into();
        }
        "json" if session.dialect.flavor == Flavor::MariaDb => {
            (ty.name, ty.json_alias) = ("longtext".into(), true);
        }
        _ => {}
    }
    if matches!(name, "enum" | "set") {
        cursor.expect_symbol(b'(')?;
        loop {
            ty.members.push(member(cursor)?);
            if cursor.symbol(b')') {
                break;
            }
            if !cursor.symbol(b',') {
                return cursor.fault("`,` is missing between members");
            }
        }
    } else if cursor.symbol(b'(') {
        loop {
            ty.arguments.push(cursor.number()?);
            if cursor.symbol(b')') {
                break;
            }
            if !cursor.symbol(b',') || ty.arguments.len() > 2 {
                return cursor.fault("`)` is missing");
            }
        }
    }
    while type_attribute(cursor, &mut ty)? {}
    Ok(ty)
}

fn member(cursor: &mut Cursor<'_>) -> Result<String, Fault> {
    if let Some(Kind::Bits(bytes)) = cursor.peek() {
        let Ok(text) = String::from_utf8(bytes.clone()) else {
            return cursor.fault("a member is not UTF-8");
        };
        cursor.next();
        return Ok(text);
    }
    cursor.text(true)
}

/// What belongs to the type: sign, charset and their like.
fn type_attribute(cursor: &mut Cursor<'_>, ty: &mut TypeSpec) -> Result<bool, Fault> {
    if cursor.take("UNSIGNED") {
        ty.unsigned = true;
    } else if cursor.take("ZEROFILL") {
        (ty.zerofill, ty.unsigned) = (true, true);
    } else if cursor.take("SIGNED") {
    } else if cursor.take("ASCII") {
        ty.text.charset = Some("latin1".into());
    } else if cursor.take("UNICODE") {
        ty.text.charset = Some("ucs2".into());
    } else if cursor.take("BYTE") {
        ty.text.charset = Some("binary".into());
    } else if cursor.take("BINARY") {
        ty.text.binary = true;
    } else {
        // `DEFAULT` begins a default here, never a charset.
        return Ok(!cursor.is_word("DEFAULT") && charset_option(cursor, &mut ty.text)?);
    }
    Ok(true)
}

fn attribute(cursor: &mut Cursor<'_>, column: &mut ColumnSpec) -> Result<bool, Fault> {
    if cursor.take_all(&["NOT", "NULL"]) {
        column.nullable = Some(false);
    } else if cursor.take("NULL") {
        column.nullable = Some(true);
    } else if cursor.take_all(&["SERIAL", "DEFAULT", "VALUE"]) {
        (column.nullable, column.auto_increment, column.unique) = (Some(false), true, true);
    } else if cursor.take("DEFAULT") {
        column.default = Some(default(cursor)?);
    } else if cursor.take_all(&["ON", "UPDATE"]) {
        if !cursor.take_any(&NOW) {
            return cursor.fault("CURRENT_TIMESTAMP is missing");
        }
        column.on_update_now = Some(fraction(cursor)?);
    } else if cursor.take("AUTO_INCREMENT") {
        column.auto_increment = true;
    } else if cursor.take("UNIQUE") {
        cursor.take_any(&["KEY", "INDEX"]);
        column.unique = true;
    } else if cursor.take_all(&["PRIMARY", "KEY"]) || cursor.take("KEY") {
        column.primary = true;
    } else if cursor.take("COMMENT") {
        column.comment = cursor.text(false)?;
    } else if cursor.take("COLLATE") {
        column.ty.text.collation = Some(charset_name(cursor)?);
    } else if cursor.take_all(&["GENERATED", "ALWAYS", "AS"]) || cursor.take("AS") {
        generated(cursor, column)?;
    } else if cursor.take("INVISIBLE") {
        column.invisible = true;
    } else if cursor.take("VISIBLE") {
        column.invisible = false;
    } else if cursor.take("REFERENCES") {
        references(cursor)?;
    } else if cursor.is_word("CONSTRAINT") || cursor.is_word("CHECK") {
        check(cursor)?;
    } else if cursor.take_all(&["WITHOUT", "SYSTEM", "VERSIONING"])
        || cursor.take_all(&["WITH", "SYSTEM", "VERSIONING"])
    {
        // It says something in a table with versions only, and such tables are refused.
    } else if cursor.is_word("NOT") && cursor.is_word_at(1, "SECONDARY") {
        return cursor.fault("a column NOT SECONDARY is read from the server");
    } else if cursor.take_any(&["COLUMN_FORMAT", "STORAGE", "SRID"]) {
        cursor.next();
    } else if cursor.take_any(&["ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"]) {
        cursor.symbol(b'=');
        cursor.text(false)?;
    } else if cursor.take("COMPRESSED") {
        if cursor.symbol(b'=') {
            cursor.identifier()?;
        }
        column.ty.text.binary |= false;
        return cursor.fault("COMPRESSED columns are read from the server");
    } else if cursor.is_any_word(&["FIRST", "AFTER"]) {
        return Ok(false);
    } else if matches!(cursor.peek(), Some(Kind::Word(_) | Kind::Quoted(_)))
        && cursor.ahead(1) == Some(&Kind::Symbol(b'='))
    {
        // Options of a storage engine.
        cursor.next();
        cursor.next();
        cursor.next();
    } else {
        return type_attribute(cursor, &mut column.ty);
    }
    Ok(true)
}

fn generated(cursor: &mut Cursor<'_>, column: &mut ColumnSpec) -> Result<(), Fault> {
    if cursor.take("ROW") {
        if !cursor.take_any(&["START", "END"]) {
            return cursor.fault("START or END is missing");
        }
        column.row_bound = true;
        return Ok(());
    }
    let expression = cursor.group()?;
    let stored = cursor.take_any(&["STORED", "PERSISTENT"]);
    if !stored {
        cursor.take("VIRTUAL");
    }
    column.generated = Some((expression, stored));
    Ok(())
}

fn references(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.name()?;
    if cursor.is_symbol(b'(') {
        cursor.group()?;
    }
    loop {
        if cursor.take("MATCH") {
            cursor.identifier()?;
        } else if cursor.take_all(&["ON", "DELETE"]) || cursor.take_all(&["ON", "UPDATE"]) {
            if !cursor.take_any(&["CASCADE", "RESTRICT"])
                && !cursor.take_all(&["SET", "NULL"])
                && !cursor.take_all(&["SET", "DEFAULT"])
                && !cursor.take_all(&["NO", "ACTION"])
            {
                return cursor.fault("this action is not understood");
            }
        } else {
            return Ok(());
        }
    }
}

fn check(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    if cursor.take("CONSTRAINT") && !cursor.is_word("CHECK") {
        cursor.identifier()?;
    }
    cursor.expect("CHECK")?;
    cursor.group()?;
    if !cursor.take_all(&["NOT", "ENFORCED"]) {
        cursor.take("ENFORCED");
    }
    Ok(())
}

/// `(n)`, `()` or nothing.
fn fraction(cursor: &mut Cursor<'_>) -> Result<u64, Fault> {
    if !cursor.symbol(b'(') {
        return Ok(0);
    }
    if cursor.symbol(b')') {
        return Ok(0);
    }
    let digits = cursor.number()?;
    cursor.expect_symbol(b')')?;
    Ok(digits)
}

/// What stands behind DEFAULT.
pub(super) fn default(cursor: &mut Cursor<'_>) -> Result<DefaultSpec, Fault> {
    if cursor.is_symbol(b'(') {
        let inner = cursor.group()?;
        let bare = inner.trim().to_ascii_uppercase();
        // MariaDB logs CURRENT_TIMESTAMP as it was sent, sometimes in parentheses.
        return Ok(match bare.as_str() {
            "NULL" => DefaultSpec::Null,
            _ => DefaultSpec::Expression(inner),
        });
    }
    if cursor.take("NULL") {
        return Ok(DefaultSpec::Null);
    }
    if cursor.take("TRUE") {
        return Ok(DefaultSpec::Number("1".into()));
    }
    if cursor.take("FALSE") {
        return Ok(DefaultSpec::Number("0".into()));
    }
    let mark = cursor.mark();
    if cursor.is_any_word(&NOW) {
        cursor.next();
        return Ok(DefaultSpec::Now(fraction(cursor)?));
    }
    if cursor.is_any_word(&["DATE", "TIME", "TIMESTAMP"])
        && matches!(cursor.ahead(1), Some(Kind::Text(_)))
    {
        cursor.next();
        return Ok(DefaultSpec::Text(cursor.text(true)?));
    }
    let negative = cursor.symbol(b'-');
    if !negative {
        cursor.symbol(b'+');
    }
    match cursor.peek().cloned() {
        Some(Kind::Number(number)) => {
            cursor.next();
            Ok(DefaultSpec::Number(if negative { format!("-{number}") } else { number }))
        }
        Some(Kind::Bits(bytes)) => {
            cursor.next();
            Ok(DefaultSpec::Bits(bytes))
        }
        Some(Kind::Text(_)) => Ok(DefaultSpec::Text(cursor.text(true)?)),
        Some(Kind::Word(word))
            if word.starts_with('_') && matches!(cursor.ahead(1), Some(Kind::Text(_))) =>
        {
            Ok(DefaultSpec::Text(cursor.text(true)?))
        }
        Some(Kind::Word(_) | Kind::Quoted(_)) => {
            // A function without parentheses around it (MariaDB), or NEXT VALUE FOR a sequence.
            if cursor.take_all(&["NEXT", "VALUE", "FOR"]) {
                cursor.name()?;
            } else {
                cursor.name()?;
                if cursor.is_symbol(b'(') {
                    cursor.group()?;
                }
            }
            Ok(DefaultSpec::Expression(cursor.raw_since(mark)))
        }
        _ => cursor.fault("this default is not understood"),
    }
}
