//! From a column as it is declared to the column as `information_schema` shows it.

use super::{
    Session, collation, literal,
    statement::{ColumnSpec, DefaultSpec, TypeSpec},
};
use crate::{
    metadata::ColumnMeta,
    types::{Flavor, spell_members},
};

/// Digits, decimals and widths of numbers; the servers allow no more.
const NUMBER_WIDTH_MAX: u64 = 255;

/// Describes a column. `base` is the table's collation; `first_timestamp`: no other TIMESTAMP stands before it.
///
/// # Errors
/// What is not known, as a sentence fragment.
pub(super) fn described(
    spec: &ColumnSpec,
    base: Option<&str>,
    session: &Session,
    first_timestamp: bool,
) -> Result<ColumnMeta, String> {
    let flavor = session.dialect.flavor;
    let mut column = typed(&spec.ty, base, session)
        .map_err(|reason| format!("column `{}`: {reason}", spec.name))?;
    column.name.clone_from(&spec.name);
    column.comment.clone_from(&spec.comment);
    let implicit_timestamp =
        column.data_type == "timestamp" && !session.explicit_defaults_for_timestamp;
    let never_null = spec.auto_increment || spec.ty.serial || spec.row_bound;
    column.nullable =
        !never_null && spec.nullable.unwrap_or(!implicit_timestamp || spec.generated.is_some());

    let mut on_update = spec.on_update_now;
    let mut default = spec.default.clone();
    if implicit_timestamp
        && spec.nullable != Some(true)
        && spec.generated.is_none()
        && default.is_none()
    {
        let digits = u64::from(column.fraction.unwrap_or(0));
        if first_timestamp && on_update.is_none() {
            (default, on_update) = (Some(DefaultSpec::Now(digits)), Some(digits));
        } else {
            default = Some(DefaultSpec::Text("0".into()));
        }
    }
    let mut extra: Vec<String> = Vec::new();
    if spec.auto_increment {
        extra.push("auto_increment".into());
    }
    if let Some(digits) = on_update {
        extra.push(format!("on update {}", literal::now(digits, flavor == Flavor::MariaDb)));
    }
    if let Some((expression, stored)) = &spec.generated {
        column.generated.clone_from(expression);
        extra.push(if *stored { "STORED GENERATED" } else { "VIRTUAL GENERATED" }.into());
    }
    if spec.row_bound {
        extra.push("STORED GENERATED".into());
    }
    if spec.invisible {
        extra.push("INVISIBLE".into());
    }
    column.extra = extra.join(separator(flavor));
    match &default {
        Some(default) => set_default(&mut column, default, flavor),
        None if !spec.auto_increment => column.default = literal::none(&column, flavor),
        None => {}
    }
    Ok(column)
}

fn separator(flavor: Flavor) -> &'static str {
    if flavor == Flavor::MariaDb { ", " } else { " " }
}

/// Gives a column another default.
pub(super) fn set_default(column: &mut ColumnMeta, default: &DefaultSpec, flavor: Flavor) {
    column.default = literal::printed(default, column, flavor);
    if flavor == Flavor::MySql {
        let rest = column.extra.replacen("DEFAULT_GENERATED", "", 1);
        let generated = matches!(default, DefaultSpec::Now(_) | DefaultSpec::Expression(_));
        let mark = if generated { "DEFAULT_GENERATED " } else { "" };
        column.extra = format!("{mark}{}", rest.trim()).trim().to_owned();
    }
}

/// Takes a column's default away; MariaDB writes the NULL that is left. Of a default that was the present time MySQL keeps
/// the mark, for good, and MariaDB takes an ON UPDATE beside it along.
pub(super) fn drop_default(column: &mut ColumnMeta, flavor: Flavor) {
    let was_now = column
        .default
        .as_deref()
        .is_some_and(|text| text.to_ascii_lowercase().starts_with("current_timestamp"));
    let had_none = column.default.is_none();
    let is_null = flavor == Flavor::MariaDb && column.nullable;
    column.default = is_null.then(|| "NULL".to_owned());
    match (flavor, was_now) {
        (Flavor::MariaDb, true) => {
            let separator = separator(flavor);
            let words = column.extra.split(separator).filter(|word| !word.starts_with("on update"));
            column.extra = words.collect::<Vec<_>>().join(separator);
        }
        (Flavor::MySql, true) => {}
        (Flavor::MySql, false) if had_none => {}
        (_, false) => {
            column.extra = column.extra.replacen("DEFAULT_GENERATED", "", 1).trim().to_owned();
        }
    }
}

/// Shows or hides a column.
pub(super) fn set_visible(column: &mut ColumnMeta, visible: bool, flavor: Flavor) {
    let separator = separator(flavor);
    let mut words: Vec<&str> = if flavor == Flavor::MariaDb {
        column.extra.split(", ").collect()
    } else {
        column.extra.split(' ').collect()
    };
    words.retain(|word| !word.is_empty() && *word != "INVISIBLE");
    if !visible {
        words.push("INVISIBLE");
    }
    column.extra = words.join(separator);
}

/// A column of a primary key.
pub(super) fn set_not_null(column: &mut ColumnMeta) {
    column.nullable = false;
    if column.default.as_deref() == Some("NULL") {
        column.default = None;
    }
}

/// The type alone; name, default and the rest are empty.
fn typed(ty: &TypeSpec, base: Option<&str>, session: &Session) -> Result<ColumnMeta, String> {
    let mut column = ColumnMeta {
        name: String::new(),
        data_type: ty.name.clone(),
        column_type: ty.name.clone(),
        length: None,
        precision: None,
        scale: None,
        fraction: None,
        charset: None,
        collation: None,
        nullable: true,
        default: None,
        extra: String::new(),
        generated: String::new(),
        comment: String::new(),
    };
    let first = ty.arguments.first().copied();
    let is_numeric = matches!(
        ty.name.as_str(),
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float" | "double"
    );
    // Defaults are padded to these widths, so a number that no server accepts must not get so far.
    if is_numeric && ty.arguments.iter().any(|argument| *argument > NUMBER_WIDTH_MAX) {
        return Err(format!("{:?} is no width of {}", ty.arguments, ty.name));
    }
    match ty.name.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => {
            integer(&mut column, ty, session);
        }
        "decimal" => {
            let precision = first.filter(|precision| *precision > 0).unwrap_or(10);
            let scale = ty.arguments.get(1).copied().unwrap_or(0);
            column.column_type = format!("decimal({precision},{scale})");
            (column.precision, column.scale) = (narrow(precision), narrow(scale));
            sign(&mut column, ty);
        }
        "float" | "double" => floating(&mut column, ty),
        "bit" => {
            let bits = first.filter(|bits| *bits > 0).unwrap_or(1);
            column.column_type = format!("bit({bits})");
            column.precision = narrow(bits);
        }
        "year" if !hides_widths(session) => column.column_type = "year(4)".into(),
        "year" => {}
        "time" | "datetime" | "timestamp" => {
            let digits = first.unwrap_or(0);
            if digits > 0 {
                column.column_type = format!("{}({digits})", ty.name);
            }
            column.fraction = u8::try_from(digits).ok();
        }
        "binary" | "varbinary" => binary(&mut column, ty.name == "binary", first.unwrap_or(1)),
        "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            let name = match first.filter(|_| ty.name == "blob") {
                Some(bytes) => sized(bytes),
                None => prefix_of(&ty.name),
            };
            blob(&mut column, name, None);
        }
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            text(&mut column, ty, base, session)?;
        }
        "geometrycollection" if session.dialect.flavor == Flavor::MySql => {
            let name =
                if session.dialect.version >= (8, 0, 0) { "geomcollection" } else { &ty.name };
            (column.data_type, column.column_type) = (name.into(), name.into());
        }
        "vector" => {
            let dimensions = first.unwrap_or(2048);
            column.column_type = format!("vector({dimensions})");
            column.length = Some(dimensions.saturating_mul(4));
        }
        _ => {}
    }
    Ok(column)
}

fn narrow(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}

/// Since 8.0.19 MySQL shows no display widths but where they mean something.
fn hides_widths(session: &Session) -> bool {
    session.dialect.flavor == Flavor::MySql && session.dialect.version >= (8, 0, 19)
}

fn integer(column: &mut ColumnMeta, ty: &TypeSpec, session: &Session) {
    let maria = session.dialect.flavor == Flavor::MariaDb;
    let (precision, signed, unsigned) = match ty.name.as_str() {
        "tinyint" => (3, 4, 3),
        "smallint" => (5, 6, 5),
        "mediumint" if maria && ty.unsigned => (8, 9, 8),
        "mediumint" => (7, 9, 8),
        "int" => (10, 11, 10),
        _ if ty.unsigned => (20, 20, 20),
        _ => (19, 20, 20),
    };
    (column.precision, column.scale) = (Some(precision), Some(0));
    let width = match ty.arguments.first().copied() {
        Some(width) if width > 0 || !ty.zerofill => width,
        _ => {
            if ty.unsigned {
                unsigned
            } else {
                signed
            }
        }
    };
    let boolean = ty.name == "tinyint" && width == 1 && !ty.unsigned;
    if !hides_widths(session) || ty.zerofill || boolean {
        column.column_type = format!("{}({width})", ty.name);
    }
    sign(column, ty);
}

fn sign(column: &mut ColumnMeta, ty: &TypeSpec) {
    if ty.unsigned {
        column.column_type.push_str(" unsigned");
    }
    if ty.zerofill {
        column.column_type.push_str(" zerofill");
    }
}

fn floating(column: &mut ColumnMeta, ty: &TypeSpec) {
    let mut name = ty.name.as_str();
    match ty.arguments[..] {
        [precision, scale] => {
            column.column_type = format!("{name}({precision},{scale})");
            (column.precision, column.scale) = (narrow(precision), narrow(scale));
        }
        [precision] if name == "float" && precision > 24 => name = "double",
        _ => {}
    }
    if ty.arguments.len() < 2 {
        column.column_type = name.into();
        column.precision = Some(if name == "float" { 12 } else { 22 });
    }
    column.data_type = name.into();
    sign(column, ty);
}

/// `tiny`, nothing, `medium`, `long`: what stands before TEXT or BLOB to hold so many bytes.
fn sized(bytes: u64) -> &'static str {
    match bytes {
        0..=255 => "tiny",
        256..=65_535 => "",
        65_536..=16_777_215 => "medium",
        _ => "long",
    }
}

fn prefix_of(name: &str) -> &'static str {
    match name.get(..4) {
        Some("tiny") => "tiny",
        Some("medi") => "medium",
        Some("long") => "long",
        _ => "",
    }
}

fn bytes_of(prefix: &str) -> u64 {
    match prefix {
        "tiny" => 255,
        "" => 65_535,
        "medium" => 16_777_215,
        _ => 4_294_967_295,
    }
}

fn binary(column: &mut ColumnMeta, fixed: bool, length: u64) {
    if length > if fixed { 255 } else { 65_535 } {
        // Outside the strict modes it becomes a BLOB.
        return blob(column, sized(length), None);
    }
    column.data_type = if fixed { "binary" } else { "varbinary" }.into();
    column.column_type = format!("{}({length})", column.data_type);
    column.length = Some(length);
}

/// TEXT with a collation, BLOB without.
fn blob(column: &mut ColumnMeta, prefix: &str, charset: Option<&str>) {
    let base = if charset.is_some() { "text" } else { "blob" };
    column.data_type = format!("{prefix}{base}");
    column.column_type.clone_from(&column.data_type);
    let narrowest = charset.and_then(collation::widths).map_or(1, |widths| widths.0);
    column.length = Some(bytes_of(prefix) / narrowest);
}

fn text(
    column: &mut ColumnMeta,
    ty: &TypeSpec,
    base: Option<&str>,
    session: &Session,
) -> Result<(), String> {
    let mut spec = ty.text.clone();
    if ty.json_alias && spec == super::statement::TextSpec::default() {
        spec.collation = Some("utf8mb4_bin".into());
    }
    let collation = collation::resolve(&spec, base, session).ok_or_else(|| {
        format!(
            "its collation cannot be told ({:?} in a table of {base:?})",
            spec.collation.or(spec.charset)
        )
    })?;
    let charset = collation::charset_of(&collation).ok_or("its charset is not known")?;
    let widest = collation::widths(charset).map_or(4, |widths| widths.1);
    let first = ty.arguments.first().copied();
    let is_list = matches!(ty.name.as_str(), "enum" | "set");
    let is_blob = charset == "binary" && !is_list;
    let as_text = (!is_blob).then_some(charset);
    match ty.name.as_str() {
        "char" | "varchar" => {
            let length = first.unwrap_or(1);
            let fixed = ty.name == "char";
            if is_blob {
                binary(column, fixed, length);
            } else if fixed && length > 255 || length.saturating_mul(widest) > 65_535 {
                blob(column, sized(length.saturating_mul(widest)), as_text);
            } else {
                column.column_type = format!("{}({length})", ty.name);
                column.length = Some(length);
            }
        }
        "enum" | "set" => {
            // Blanks at a member's end do not count.
            let trims = charset != "binary";
            let members: Vec<String> =
                ty.members
                    .iter()
                    .map(|member| {
                        if trims { member.trim_end_matches(' ').to_owned() } else { member.clone() }
                    })
                    .collect();
            let lengths = members.iter().map(|member| member.chars().count() as u64);
            column.length = Some(if ty.name == "enum" {
                lengths.max().unwrap_or(0)
            } else {
                lengths.sum::<u64>() + (members.len() as u64).saturating_sub(1)
            });
            column.column_type = spell_members(&ty.name, &members);
        }
        "text" => {
            let prefix = first.map_or("", |length| sized(length.saturating_mul(widest)));
            blob(column, prefix, as_text);
        }
        name => blob(column, prefix_of(name), as_text),
    }
    // MySQL prints none for members in binary.
    let is_shown = charset != "binary" || session.dialect.flavor == Flavor::MariaDb;
    if !is_blob && is_shown {
        column.charset = Some(collation::printed(charset, session));
        column.collation = Some(collation::printed(&collation, session));
    }
    Ok(())
}

/// CONVERT TO CHARACTER SET: a text column in another collation, with room for as many characters.
pub(super) fn converted(column: &mut ColumnMeta, to: &str, session: &Session) {
    let Some(old) = column.charset.clone() else { return };
    let Some(charset) = collation::charset_of(to) else { return };
    let widest = |charset: &str| collation::widths(charset).map_or(4, |widths| widths.1);
    let is_list = matches!(column.data_type.as_str(), "enum" | "set");
    if column.data_type.ends_with("text") {
        let bytes = bytes_of(prefix_of(&column.data_type));
        let characters = bytes / widest(&old);
        let needed = characters.saturating_mul(widest(charset));
        let prefix = if charset == "binary" { prefix_of(&column.data_type) } else { sized(needed) };
        let as_text = (charset != "binary").then_some(charset);
        blob(column, prefix, as_text);
    } else if charset == "binary" && !is_list {
        let fixed = column.data_type == "char";
        let length = column.length.unwrap_or(1);
        binary(column, fixed, length);
    } else if !is_list && column.length.unwrap_or(0).saturating_mul(widest(charset)) > 65_535 {
        let needed = column.length.unwrap_or(0).saturating_mul(widest(charset));
        blob(column, sized(needed), Some(charset));
    }
    let keeps_charset = is_list && session.dialect.flavor == Flavor::MariaDb;
    if charset == "binary" && !keeps_charset {
        (column.charset, column.collation) = (None, None);
    } else {
        column.charset = Some(collation::printed(charset, session));
        column.collation = Some(collation::printed(to, session));
    }
}
