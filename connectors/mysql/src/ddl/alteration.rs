//! Builds definitions: from CREATE TABLE's body, and from ALTER TABLE's clauses on top of the definition so far. Columns
//! are ordered as the servers order them: all clauses speak of the columns as they were, then additions and moves follow
//! in the statement's order.

use std::collections::HashSet;

use cdc_api::TableId;

use super::{
    Definition, Index, IndexPart, Session, collation,
    definition::{PRIMARY, same_name},
    statement::{Clause, ColumnSpec, IndexKind, IndexSpec, Place, TableOptions, TextSpec},
    typing,
};
use crate::{
    metadata::{ColumnMeta, TableMeta},
    types::{Flavor, Kind},
};

/// Columns of one table; the servers allow fewer.
const COLUMNS_MAX: usize = 8192;

/// The definition of CREATE TABLE. `base`: the database's collation.
pub(super) fn defined(
    id: TableId,
    columns: &[ColumnSpec],
    indexes: &[IndexSpec],
    options: &TableOptions,
    base: Option<&str>,
    session: &Session,
) -> Result<Definition, String> {
    let collation = if options.text == TextSpec::default() {
        base.map(str::to_owned)
    } else {
        Some(resolve_table(&options.text, base, session)?)
    };
    let meta = TableMeta {
        id,
        columns: Vec::new(),
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        engine: options.engine.clone().unwrap_or_else(|| "InnoDB".into()),
        rows_estimated: None,
        comment: options.comment.clone().unwrap_or_default(),
    };
    let mut table = Definition::new(meta, collation, Vec::new());
    table.versioned = options.versioned;
    if columns.len() > COLUMNS_MAX {
        return Err("it has too many columns".into());
    }
    for spec in columns {
        let column = describe(&table, spec, session)?;
        if table.position(&spec.name).is_some() {
            return Err(format!("column `{}` is defined twice", spec.name));
        }
        table.meta.columns.push(column);
        table.ids.push(table.next_id);
        table.next_id += 1;
    }
    for spec in columns {
        inline_indexes(&mut table, spec)?;
    }
    for index in indexes {
        add_index(&mut table, index)?;
    }
    table.settle(session.dialect.flavor);
    Ok(table)
}

fn resolve_table(text: &TextSpec, base: Option<&str>, session: &Session) -> Result<String, String> {
    if text.charset.as_deref() == Some("default") {
        return base
            .map(str::to_owned)
            .ok_or_else(|| "its database's collation is not known".into());
    }
    collation::resolve(text, base, session)
        .ok_or_else(|| format!("its collation cannot be told ({text:?})"))
}

fn describe(
    table: &Definition,
    spec: &ColumnSpec,
    session: &Session,
) -> Result<ColumnMeta, String> {
    let first = !table.meta.columns.iter().any(|column| column.data_type == "timestamp");
    typing::described(spec, table.collation.as_deref(), session, first)
}

fn inline_indexes(table: &mut Definition, spec: &ColumnSpec) -> Result<(), String> {
    let index = |kind| IndexSpec {
        name: None,
        kind,
        parts: vec![(Some(spec.name.clone()), None)],
        if_not_exists: false,
        or_replace: false,
    };
    if spec.primary {
        add_index(table, &index(IndexKind::Primary))?;
    }
    if spec.unique {
        add_index(table, &index(IndexKind::Unique))?;
    }
    Ok(())
}

fn add_index(table: &mut Definition, spec: &IndexSpec) -> Result<(), String> {
    for (column, _) in &spec.parts {
        if let Some(column) = column
            && table.position(column).is_none()
        {
            return Err(format!("an index is on column `{column}`, which is not known"));
        }
    }
    let has = |table: &Definition, name: &str| {
        table.indexes.iter().any(|index| same_name(&index.name, name))
    };
    let name = match (&spec.kind, &spec.name) {
        (IndexKind::Primary, _) => PRIMARY.to_owned(),
        (_, Some(name)) => name.clone(),
        (_, None) => {
            let first = spec.parts.first().and_then(|part| part.0.as_deref());
            let base = match first {
                Some(column) if same_name(column, PRIMARY) => "PRIMARY_2".to_owned(),
                Some(column) => {
                    let at = table.position(column).unwrap_or_default();
                    table.meta.columns.get(at).map_or(String::new(), |found| found.name.clone())
                }
                None => "functional_index".to_owned(),
            };
            let numbered = |number: usize| format!("{base}_{number}");
            match has(table, &base) {
                false => base.clone(),
                true => (2..1000)
                    .map(numbered)
                    .find(|name| !has(table, name))
                    .ok_or("it has too many indexes")?,
            }
        }
    };
    if has(table, &name) {
        if spec.if_not_exists {
            return Ok(());
        }
        if spec.or_replace {
            table.indexes.retain(|index| !same_name(&index.name, &name));
        }
    }
    let parts = spec
        .parts
        .iter()
        .map(|(column, prefix)| IndexPart { column: column.clone(), prefix: *prefix });
    table.indexes.push(Index {
        name,
        unique: spec.kind != IndexKind::Other,
        parts: parts.collect(),
        hash: false,
    });
    Ok(())
}

/// A column in the list that is being made.
struct Slot {
    id: u32,
    column: ColumnMeta,
}

/// The definition behind ALTER TABLE. Clauses that are about rows or other tables are the tracker's.
pub(super) fn altered(
    before: &Definition,
    clauses: &[Clause],
    database: Option<&str>,
    session: &Session,
) -> Result<Definition, String> {
    let flavor = session.dialect.flavor;
    if let Some(name) = named_again(clauses) {
        return Err(format!(
            "column `{name}` is added and also changed or dropped by one statement"
        ));
    }
    let mut table = before.clone();
    let converted = table_clauses(&mut table, clauses, database, session)?;
    let defines = |clause: &Clause| matches!(clause, Clause::Add { .. } | Clause::Change { .. });
    if converted.is_some() && clauses.iter().any(defines) {
        return Err(
            "servers differ in what CONVERT TO does to columns of the same statement".into()
        );
    }

    let mut slots: Vec<Slot> = Vec::new();
    let mut used: HashSet<usize> = HashSet::new();
    let mut renames: Vec<(String, String)> = Vec::new();
    let mut dropped: Vec<String> = Vec::new();
    for (column, &id) in before.meta.columns.iter().zip(&before.ids) {
        let mut slot = Slot { id, column: column.clone() };
        let (mut keeps, mut waits) = (true, false);
        let (mut redefined, mut defaulted) = (false, false);
        for (nth, clause) in clauses.iter().enumerate() {
            let is_this = |name: &str| same_name(name, &column.name);
            match clause {
                Clause::DropColumn(name, _) if is_this(name) => keeps = false,
                Clause::Change { from, column: spec, place, .. } if is_this(from) => {
                    used.insert(nth);
                    slot.column = describe_in(&table, before, spec, &column.name, session)?;
                    if flavor == Flavor::MySql && keeps_part(before, column, &slot.column) {
                        return Err(format!(
                            "column `{}` is indexed and was ENUM or SET: its index may keep a part of it",
                            column.name
                        ));
                    }
                    redefined = true;
                    waits = place.is_some();
                    if spec.name != column.name {
                        renames.push((column.name.clone(), spec.name.clone()));
                    }
                }
                Clause::RenameColumn { from, to, .. } if is_this(from) => {
                    used.insert(nth);
                    slot.column.name.clone_from(to);
                    renames.push((column.name.clone(), to.clone()));
                }
                Clause::SetDefault { column: name, default, .. } if is_this(name) => {
                    used.insert(nth);
                    defaulted = true;
                    typing::set_default(&mut slot.column, default, flavor);
                }
                Clause::DropDefault(name, _) if is_this(name) => {
                    used.insert(nth);
                    defaulted = true;
                    typing::drop_default(&mut slot.column, flavor);
                }
                Clause::SetVisible(name, visible) if is_this(name) => {
                    used.insert(nth);
                    typing::set_visible(&mut slot.column, *visible, flavor);
                }
                _ => {}
            }
        }
        if redefined && defaulted {
            return Err(format!(
                "column `{}` is redefined, and its default changed besides",
                column.name
            ));
        }
        if !keeps {
            dropped.push(column.name.clone());
        } else if !waits {
            if let Some(collation) = converted.as_deref().filter(|_| !redefined) {
                typing::converted(&mut slot.column, collation, session);
            }
            slots.push(slot);
        }
    }
    for (nth, clause) in clauses.iter().enumerate() {
        let found = used.contains(&nth);
        match clause {
            Clause::Add { column: spec, place, if_not_exists } => {
                let exists = slots.iter().any(|slot| same_name(&slot.column.name, &spec.name));
                if exists && *if_not_exists {
                    continue;
                }
                if exists {
                    return Err(format!("column `{}` is there already", spec.name));
                }
                let column = describe(&table, spec, session)?;
                let id = table.next_id;
                table.next_id += 1;
                put(&mut slots, Slot { id, column }, place.as_ref())?;
            }
            Clause::Change { from, column: spec, place: Some(place), .. } if found => {
                let at = before.position(from).ok_or("a column vanished")?;
                let id = *before.ids.get(at).ok_or("a column has no id")?;
                let name = &before.meta.columns[at].name;
                let column = describe_in(&table, before, spec, name, session)?;
                put(&mut slots, Slot { id, column }, Some(place))?;
            }
            Clause::Change { from, if_exists, .. }
            | Clause::RenameColumn { from, if_exists, .. }
                if !found && !if_exists =>
            {
                return Err(format!("column `{from}` is not known"));
            }
            Clause::DropColumn(name, false) if !dropped.iter().any(|one| same_name(one, name)) => {
                return Err(format!("column `{name}` is not known"));
            }
            Clause::SetDefault { column, if_exists: false, .. }
            | Clause::DropDefault(column, false)
                if !found =>
            {
                // One that the same statement renames may be meant, and servers differ in what becomes of it.
                return Err(format!("column `{column}` is not known"));
            }
            _ => {}
        }
    }
    if slots.len() > COLUMNS_MAX {
        return Err("it has too many columns".into());
    }
    (table.ids, table.meta.columns) = slots.into_iter().map(|slot| (slot.id, slot.column)).unzip();
    indexes(&mut table, clauses, &dropped, &renames)?;
    table.settle(flavor);
    Ok(table)
}

/// A column that a statement adds although another clause names it too: servers differ in what that does to indexes.
fn named_again(clauses: &[Clause]) -> Option<&str> {
    clauses.iter().enumerate().find_map(|(nth, clause)| {
        let Clause::Add { column: added, .. } = clause else { return None };
        let is_named = clauses.iter().enumerate().any(|(other, clause)| {
            other != nth
                && match clause {
                    Clause::Add { column, .. } => same_name(&column.name, &added.name),
                    Clause::DropColumn(name, _)
                    | Clause::DropDefault(name, _)
                    | Clause::SetVisible(name, _) => same_name(name, &added.name),
                    Clause::SetDefault { column, .. } => same_name(column, &added.name),
                    Clause::Change { from, column, .. } => {
                        same_name(from, &added.name) || same_name(&column.name, &added.name)
                    }
                    Clause::RenameColumn { from, to, .. } => {
                        same_name(from, &added.name) || same_name(to, &added.name)
                    }
                    _ => false,
                }
        });
        is_named.then_some(added.name.as_str())
    })
}

/// MySQL takes the width of an ENUM or SET in an index for the prefix of the text that it becomes, when it is at least one
/// character.
fn keeps_part(before: &Definition, was: &ColumnMeta, column: &ColumnMeta) -> bool {
    let bytes = match Kind::of(was) {
        Ok(Kind::Enum { members }) => 1 + u64::from(members.len() > 255),
        Ok(Kind::Set { members }) => members.len().div_ceil(8) as u64,
        _ => return false,
    };
    let widest = was.charset.as_deref().and_then(collation::widths).map_or(1, |widths| widths.1);
    let is_indexed = before
        .indexes
        .iter()
        .flat_map(|index| &index.parts)
        .any(|part| part.column.as_deref().is_some_and(|name| same_name(name, &was.name)));
    let is_text = matches!(
        Kind::of(column),
        Ok(Kind::Char { .. } | Kind::VarChar { .. } | Kind::Binary { .. } | Kind::VarBinary { .. })
    );
    is_indexed && is_text && bytes >= widest
}

/// A column that is redefined: whether it is the first TIMESTAMP is asked of the columns before it.
fn describe_in(
    table: &Definition,
    before: &Definition,
    spec: &ColumnSpec,
    old_name: &str,
    session: &Session,
) -> Result<ColumnMeta, String> {
    let at = before.position(old_name).unwrap_or_default();
    let first = !before.meta.columns.iter().take(at).any(|column| column.data_type == "timestamp");
    typing::described(spec, table.collation.as_deref(), session, first)
}

fn put(slots: &mut Vec<Slot>, slot: Slot, place: Option<&Place>) -> Result<(), String> {
    let at = match place {
        None => slots.len(),
        Some(Place::First) => 0,
        Some(Place::After(name)) => {
            let found = slots.iter().position(|other| same_name(&other.column.name, name));
            found.ok_or_else(|| format!("column `{name}` is not known"))? + 1
        }
    };
    slots.insert(at, slot);
    Ok(())
}

/// Options of the table; gives the collation that all columns are converted to, if they are.
fn table_clauses(
    table: &mut Definition,
    clauses: &[Clause],
    database: Option<&str>,
    session: &Session,
) -> Result<Option<String>, String> {
    let mut converted = None;
    for clause in clauses {
        match clause {
            Clause::Options(options) => {
                if options.text != TextSpec::default() {
                    // The charset and the collation may be options of their own, in any order.
                    let base = match options.text.charset.as_deref() {
                        Some("default") => database.map(str::to_owned),
                        _ => table.collation.clone(),
                    };
                    let charset_only = options.text.collation.is_none();
                    let new = resolve_table(&options.text, base.as_deref().or(database), session)?;
                    let agrees = converted.is_none()
                        && charset_only
                        && clauses.iter().any(|other| {
                            matches!(other, Clause::Options(TableOptions { text, .. })
                            if text.collation.is_some() && text.charset.is_none())
                        });
                    if !agrees || table.collation.is_none() {
                        table.collation = Some(new);
                    }
                }
                if let Some(comment) = &options.comment {
                    table.meta.comment.clone_from(comment);
                }
                if let Some(engine) = &options.engine {
                    table.meta.engine.clone_from(engine);
                }
            }
            Clause::Convert(text) => {
                let new = if text.charset.as_deref() == Some("default") {
                    let text = TextSpec { charset: None, ..text.clone() };
                    collation::resolve(&text, database, session)
                        .ok_or("its database's collation is not known")?
                } else {
                    resolve_table(text, table.collation.as_deref(), session)?
                };
                table.collation = Some(new.clone());
                converted = Some(new);
            }
            Clause::SystemVersioning(on) => table.versioned = *on,
            _ => {}
        }
    }
    Ok(converted)
}

fn indexes(
    table: &mut Definition,
    clauses: &[Clause],
    dropped: &[String],
    renames: &[(String, String)],
) -> Result<(), String> {
    for clause in clauses {
        match clause {
            Clause::DropPrimary => table.indexes.retain(|index| index.name != PRIMARY),
            Clause::DropIndex(name) => {
                table.indexes.retain(|index| !same_name(&index.name, name));
            }
            _ => {}
        }
    }
    for index in &mut table.indexes {
        index.parts.retain(|part| {
            let column = part.column.as_deref();
            !column.is_some_and(|column| dropped.iter().any(|name| same_name(name, column)))
        });
        for part in &mut index.parts {
            let Some(column) = part.column.as_deref() else { continue };
            if let Some((_, to)) = renames.iter().find(|(from, _)| same_name(from, column)) {
                part.column = Some(to.clone());
            }
        }
    }
    table.indexes.retain(|index| !index.parts.is_empty());
    for clause in clauses {
        if let Clause::RenameIndex(from, to) = clause
            && let Some(index) = table.indexes.iter_mut().find(|index| same_name(&index.name, from))
        {
            index.name.clone_from(to);
        }
    }
    for clause in clauses {
        match clause {
            Clause::AddIndex(index) => add_index(table, index)?,
            Clause::Add { column, .. } | Clause::Change { column, .. }
                if table.position(&column.name).is_some() =>
            {
                inline_indexes(table, column)?;
            }
            _ => {}
        }
    }
    Ok(())
}
