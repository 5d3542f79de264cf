//! The definitions of tables as the log has them, brought forward statement by statement.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cdc_api::TableId;

use super::{
    Alteration, Definition, Doubt, Effect, Outcome, Session, ValueChange, alteration, collation,
    cursor::Name,
    effect,
    online::{OnlineTool, bases_of, is_by_gh_ost, is_helper_of, swap, watched},
    parse::{Unread, parse},
    session::mode,
    statement::{Body, Clause, Create, Statement},
};

/// Says whether a table of this name is captured.
pub type Captures<'a> = &'a dyn Fn(&TableId) -> bool;

/// (database, table), folded as the server compares names.
type Key = (String, String);

/// The definitions that are known, and the databases' collations.
#[derive(Debug, Clone)]
pub struct Tracker {
    base: Session,
    databases: BTreeMap<String, String>,
    tables: BTreeMap<Key, Arc<Definition>>,
    /// Tables whose definition got lost; they are in doubt until they are put again.
    lost: BTreeSet<Key>,
    /// Whether online schema changes are followed.
    online: bool,
    /// Tables that are known to be helpers of one: the tool's signature was seen.
    helpers: BTreeSet<Key>,
}

impl Tracker {
    /// Without tables. `base`: the server's settings.
    pub fn new(base: Session) -> Self {
        Tracker {
            base,
            databases: BTreeMap::new(),
            tables: BTreeMap::new(),
            lost: BTreeSet::new(),
            online: true,
            helpers: BTreeSet::new(),
        }
    }

    /// Whether the swaps of gh-ost and pt-online-schema-change count as alterations (they do unless said otherwise), or
    /// their tables are as any other.
    #[must_use]
    pub fn following_online_changes(mut self, online: bool) -> Self {
        self.online = online;
        self
    }

    /// The server's settings.
    pub fn base(&self) -> &Session {
        &self.base
    }

    /// The default collation of a database (`information_schema.SCHEMATA`).
    pub fn put_database(&mut self, name: &str, collation: &str) {
        self.databases.insert(self.base.folded(name), collation.to_owned());
    }

    /// A definition, read from the server or a checkpoint, in place of what was known.
    pub fn put(&mut self, table: Definition) {
        let key = self.key(&table.meta.id);
        self.lost.remove(&key);
        self.tables.insert(key, Arc::new(table));
    }

    /// Forgets a table, as when it is no longer captured.
    pub fn remove(&mut self, id: &TableId) -> Option<Arc<Definition>> {
        let key = self.key(id);
        self.lost.remove(&key);
        self.tables.remove(&key)
    }

    /// What is known of a table.
    pub fn get(&self, id: &TableId) -> Option<&Arc<Definition>> {
        self.tables.get(&self.key(id))
    }

    /// All definitions.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.tables.values()
    }

    /// Applies a statement that ran under these settings. Never fails: what cannot be told is a [`Doubt`] about the
    /// tables that it may concern, whose definitions are forgotten until they are [`put`](Tracker::put) again.
    pub fn apply(&mut self, session: &Session, text: &[u8], captures: Captures<'_>) -> Outcome {
        let by_gh_ost = self.online && is_by_gh_ost(text);
        let outcome = Outcome::default();
        let mut run = Run { tracker: self, session, captures, by_gh_ost, outcome };
        if let Some(table) = watched(session, text) {
            run.watched(&table);
            return run.outcome;
        }
        match parse(session, text) {
            Ok(statement) => run.statement(statement),
            Err(Unread { fault, tables }) => {
                let ids = tables.map(|names| names.iter().map(|name| run.id(name)).collect());
                run.doubt(ids, Some(fault.at), fault.reason);
            }
        }
        run.outcome
    }

    fn key(&self, id: &TableId) -> Key {
        let database = id.schema.as_deref().unwrap_or_default();
        (self.base.folded(database), self.base.folded(&id.table))
    }
}

/// One statement's way through the tracker.
struct Run<'a> {
    tracker: &'a mut Tracker,
    session: &'a Session,
    captures: Captures<'a>,
    /// gh-ost sent it.
    by_gh_ost: bool,
    outcome: Outcome,
}

impl Run<'_> {
    fn statement(&mut self, statement: Statement) {
        match statement {
            Statement::Nothing => {}
            Statement::Create(create) => self.create(&create),
            Statement::Alter { table, ignore, clauses } => self.alter(&table, ignore, &clauses),
            Statement::Drop(names) => {
                for name in names {
                    let id = self.id(&name);
                    self.dropped(&id);
                }
            }
            Statement::Rename(pairs) => self.rename(&pairs),
            Statement::Truncate(name) => {
                let id = self.id(&name);
                match self.tracker.get(&id).cloned() {
                    Some(table) => self.effect(&id, Effect::Truncated(table)),
                    None => {
                        self.doubt_if_kept(&id, "it is truncated, and its definition is not known")
                    }
                }
            }
            Statement::SetDatabase { name, charset, create } => {
                let name = name.unwrap_or_else(|| self.session.database.clone());
                let name = self.session.folded(&name);
                let base = if create {
                    self.session.server_collation.clone()
                } else {
                    self.tracker.databases.get(&name).cloned()
                };
                let known = create && self.tracker.databases.contains_key(&name);
                match collation::resolve(&charset, base.as_deref(), self.session) {
                    // IF NOT EXISTS leaves one that is there.
                    _ if known => {}
                    Some(collation) => {
                        self.tracker.databases.insert(name, collation);
                    }
                    None => {
                        self.tracker.databases.remove(&name);
                    }
                }
            }
            Statement::DropDatabase(name) => {
                let name = self.session.folded(&name);
                let tables: Vec<TableId> = self
                    .tracker
                    .tables
                    .iter()
                    .filter(|(key, _)| key.0 == name)
                    .map(|(_, table)| table.meta.id.clone())
                    .collect();
                for id in tables {
                    self.dropped(&id);
                }
                self.tracker.databases.remove(&name);
                self.tracker.lost.retain(|key| key.0 != name);
                self.tracker.helpers.retain(|key| key.0 != name);
            }
        }
    }

    fn id(&self, name: &Name) -> TableId {
        let lower = self.session.lower_case_table_names == 1;
        let spelled = |name: &str| if lower { name.to_lowercase() } else { name.to_owned() };
        let database = name.database.as_deref().unwrap_or(&self.session.database);
        TableId::new(spelled(database), spelled(&name.table))
    }

    /// The base table that is captured and that this, by its name, may be a helper of.
    fn helped(&self, id: &TableId) -> Option<TableId> {
        let database = id.schema.as_deref().unwrap_or_default();
        let bases = if self.tracker.online { bases_of(&id.table) } else { Vec::new() };
        let mut bases = bases.into_iter().map(|(_, base)| TableId::new(database, base));
        bases.find(|base| (self.captures)(base))
    }

    /// Whether this is known to be a helper.
    fn is_helper(&self, id: &TableId) -> bool {
        self.tracker.helpers.contains(&self.tracker.key(id))
    }

    /// Whether a table that is made now is a helper: gh-ost's by their names, which nobody else gives, but for the one that
    /// only holds the name of the table to be left behind. pt-online-schema-change is known by its triggers, which come next.
    fn is_made_by_tool(&self, id: &TableId) -> bool {
        self.helped(id).is_some()
            && (id.table.ends_with("_gho")
                || id.table.ends_with("_ghc")
                || id.table.ends_with("_del") && self.by_gh_ost)
    }

    /// pt-online-schema-change watches a table: what it made beside it is a helper, and still without rows.
    fn watched(&mut self, name: &Name) {
        let base = self.id(name);
        if !self.tracker.online || !(self.captures)(&base) {
            return;
        }
        let made = |id: &TableId| {
            id.schema == base.schema
                && id.table.ends_with("_new")
                && is_helper_of(&id.table, &base.table) == Some(OnlineTool::PtOsc)
        };
        let tables = self.tracker.tables.values().filter(|table| made(&table.meta.id));
        for table in tables.cloned().collect::<Vec<_>>() {
            let id = &table.meta.id;
            self.effect(id, Effect::Dropped(Arc::clone(&table)));
            let key = self.tracker.key(id);
            self.tracker.helpers.insert(key);
        }
    }

    fn is_kept(&self, id: &TableId) -> bool {
        (self.captures)(id) || self.helped(id).is_some()
    }

    /// Reports what happens to a captured table; helpers are only tracked.
    fn effect(&mut self, id: &TableId, effect: Effect) {
        if (self.captures)(id) && !self.is_helper(id) {
            self.outcome.effects.push(effect);
        }
    }

    fn put(&mut self, table: Arc<Definition>) {
        let key = self.tracker.key(&table.meta.id);
        self.tracker.lost.remove(&key);
        if self.is_kept(&table.meta.id) {
            self.tracker.tables.insert(key, table);
        }
    }

    fn doubt(&mut self, tables: Option<Vec<TableId>>, at: Option<usize>, reason: String) {
        let tables = match tables {
            Some(ids) => {
                let ids: Vec<TableId> = ids.into_iter().filter(|id| self.is_kept(id)).collect();
                if ids.is_empty() {
                    return;
                }
                for id in &ids {
                    let key = self.tracker.key(id);
                    self.tracker.tables.remove(&key);
                    self.tracker.lost.insert(key);
                }
                // Of a helper nothing is read; its swap is in doubt then.
                let ids: Vec<TableId> = ids.into_iter().filter(|id| !self.is_helper(id)).collect();
                if ids.is_empty() {
                    return;
                }
                Some(ids)
            }
            None => {
                let keys = std::mem::take(&mut self.tracker.tables).into_keys();
                self.tracker.lost.extend(keys);
                None
            }
        };
        self.outcome.doubts.push(Doubt { tables, at, reason });
    }

    fn doubt_if_kept(&mut self, id: &TableId, reason: &str) {
        self.doubt(Some(vec![id.clone()]), None, reason.to_owned());
    }

    fn dropped(&mut self, id: &TableId) {
        let known = self.tracker.remove(id);
        if let Some(table) = known {
            self.effect(id, Effect::Dropped(table));
        }
        let key = self.tracker.key(id);
        self.tracker.helpers.remove(&key);
    }

    fn database_collation(&self, id: &TableId) -> Option<String> {
        let database = id.schema.as_deref().unwrap_or_default();
        self.tracker.databases.get(&self.session.folded(database)).cloned()
    }

    fn create(&mut self, create: &Create) {
        let id = self.id(&create.table);
        if !self.is_kept(&id) {
            return;
        }
        let before = self.tracker.get(&id).cloned();
        let is_lost = self.tracker.lost.contains(&self.tracker.key(&id));
        if create.if_not_exists && (before.is_some() || is_lost) && !create.or_replace {
            // It is there, so nothing happens.
            return;
        }
        let key = self.tracker.key(&id);
        if self.is_made_by_tool(&id) {
            self.tracker.helpers.insert(key);
        } else {
            self.tracker.helpers.remove(&key);
        }
        let made = match &create.body {
            Body::Define { columns, indexes, versioned } => {
                let mut options = create.options.clone();
                options.versioned |= versioned;
                let database = self.database_collation(&id);
                alteration::defined(
                    id.clone(),
                    columns,
                    indexes,
                    &options,
                    database.as_deref(),
                    self.session,
                )
            }
            Body::Like(other) => {
                let other = self.id(other);
                match self.tracker.get(&other) {
                    Some(table) => {
                        let mut table = Definition::clone(table);
                        table.meta.id = id.clone();
                        table.meta.rows_estimated = None;
                        Ok(table)
                    }
                    None => Err(format!("it is made like \"{other}\", which is not tracked")),
                }
            }
            Body::Select => Err("its columns are those of a query".to_owned()),
        };
        let mut table = match made {
            Ok(table) => table,
            Err(reason) => {
                return self.doubt(Some(vec![id.clone()]), None, reason);
            }
        };
        // What a helper's columns are is told by the table that it is to replace.
        if let Some(base) = self.helped(&id).and_then(|base| self.tracker.get(&base)) {
            table.adopt_ids(&Arc::clone(base));
        } else if matches!(create.body, Body::Like(_)) {
            let Definition { meta, collation, indexes, versioned, .. } = table;
            table = Definition { versioned, ..Definition::new(meta, collation, indexes) };
        }
        let table = Arc::new(table);
        self.put(Arc::clone(&table));
        self.effect(&id, Effect::Created { table, replaced: before });
    }

    fn alter(&mut self, name: &Name, ignore: bool, clauses: &[Clause]) {
        let id = self.id(name);
        let Some(before) = self.tracker.get(&id).cloned() else {
            self.doubt_if_kept(&id, "it is altered, and its definition is not known");
            self.others(&id, clauses);
            return;
        };
        let database = self.database_collation(&id);
        let after = alteration::altered(&before, clauses, database.as_deref(), self.session);
        let mut after = match after {
            Ok(after) => after,
            Err(reason) => {
                self.doubt(Some(vec![id.clone()]), None, reason);
                self.others(&id, clauses);
                return;
            }
        };
        after.meta.id = id.clone();
        let after = Arc::new(after);
        let strict = self.session.has_mode(mode::STRICT) && !ignore;
        let mut change = effect::compare(&before, &after, strict, self.session.dialect.flavor);
        if ignore {
            change.values.push(ValueChange::Ignore);
        }
        for clause in clauses {
            match clause {
                Clause::EmptyPartitions => change.values.push(ValueChange::Emptied),
                Clause::Import => change.values.push(ValueChange::Imported),
                Clause::Exchange(other)
                | Clause::ConvertTable(other)
                | Clause::ConvertPartition(other) => {
                    change.values.push(ValueChange::Exchanged(self.id(other)));
                }
                _ => {}
            }
        }
        self.put(Arc::clone(&after));
        if change.before != change.after || !change.values.is_empty() {
            self.effect(&id, Effect::Altered(Box::new(change)));
        }
        self.others(&id, clauses);
        for clause in clauses {
            if let Clause::Rename(to) = clause {
                let to = self.id(to);
                self.move_table(&id, &to);
            }
        }
    }

    /// What an ALTER TABLE does to the other tables that it names.
    fn others(&mut self, id: &TableId, clauses: &[Clause]) {
        for clause in clauses {
            match clause {
                Clause::Exchange(other) => {
                    let other = self.id(other);
                    let Some(table) = self.tracker.get(&other).cloned() else {
                        self.doubt_if_kept(&other, "its rows are exchanged with a partition's");
                        continue;
                    };
                    let values = vec![ValueChange::Exchanged(id.clone())];
                    let change = Alteration {
                        values,
                        ..effect::compare(&table, &table, true, self.session.dialect.flavor)
                    };
                    self.effect(&other, Effect::Altered(Box::new(change)));
                }
                Clause::ConvertTable(other) => {
                    let other = self.id(other);
                    self.dropped(&other);
                }
                Clause::ConvertPartition(other) => {
                    let other = self.id(other);
                    self.doubt_if_kept(&other, "it was a partition of another table");
                }
                _ => {}
            }
        }
    }

    fn rename(&mut self, pairs: &[(Name, Name)]) {
        let pairs: Vec<(TableId, TableId)> =
            pairs.iter().map(|(from, to)| (self.id(from), self.id(to))).collect();
        let mut done = BTreeSet::new();
        for (nth, (from, to)) in pairs.iter().enumerate() {
            if done.contains(&nth) {
                continue;
            }
            // `t → _t_del, _t_gho → t`: one table in two moves.
            let second =
                pairs.iter().enumerate().skip(nth + 1).find(|(_, (new, base))| {
                    base == from && new != to && self.is_swap(from, to, new)
                });
            if let Some((at, (new, _))) = second
                && self.swapped(from, to, new)
            {
                done.insert(at);
                continue;
            }
            self.move_table(from, to);
        }
    }

    /// Whether this is an online schema change's last step: by its names with gh-ost, by what was seen of the tool before
    /// with pt-online-schema-change, whose names people give to tables too.
    fn is_swap(&self, table: &TableId, old: &TableId, new: &TableId) -> bool {
        self.tracker.online
            && match swap(&table.table, &old.table, &new.table) {
                Some(OnlineTool::GhOst) => true,
                Some(OnlineTool::PtOsc) => self.is_helper(new),
                None => false,
            }
    }

    /// An online schema change's last step. False when it cannot be one.
    fn swapped(&mut self, table: &TableId, old: &TableId, new: &TableId) -> bool {
        let Some(tool) = swap(&table.table, &old.table, &new.table) else { return false };
        let known = (self.tracker.get(table).cloned(), self.tracker.get(new).cloned());
        let (old_key, new_key) = (self.tracker.key(old), self.tracker.key(new));
        self.tracker.helpers.remove(&new_key);
        self.tracker.helpers.insert(old_key);
        let (Some(before), Some(made)) = known else {
            self.tracker.remove(table);
            self.tracker.remove(new);
            self.doubt_if_kept(table, "an online schema change ends that was not followed");
            return true;
        };
        let mut after = Definition::clone(&made);
        after.meta.id = table.clone();
        after.next_id = after.next_id.max(before.next_id);
        let after = Arc::new(after);
        self.tracker.remove(new);
        self.tracker.remove(table);
        let mut left = Definition::clone(&before);
        left.meta.id = old.clone();
        self.put(Arc::new(left));
        self.put(Arc::clone(&after));
        let effect = if effect::key_ids(&before) == effect::key_ids(&after) {
            let strict = self.session.has_mode(mode::STRICT);
            let change = effect::compare(&before, &after, strict, self.session.dialect.flavor);
            Effect::Altered(Box::new(Alteration { online: Some(tool), ..change }))
        } else {
            Effect::Replaced { before, after }
        };
        self.effect(table, effect);
        true
    }

    fn move_table(&mut self, from: &TableId, to: &TableId) {
        let (from_key, to_key) = (self.tracker.key(from), self.tracker.key(to));
        let was_helper = self.tracker.helpers.remove(&from_key);
        self.tracker.helpers.remove(&to_key);
        let Some(before) = self.tracker.remove(from) else {
            // What comes into a captured name from outside is not known.
            self.doubt_if_kept(to, &format!("\"{from}\" was renamed to it, which is not tracked"));
            return;
        };
        let mut table = Definition::clone(&before);
        table.meta.id = to.clone();
        let table = Arc::new(table);
        self.put(Arc::clone(&table));
        let effect = Effect::Renamed { from: from.clone(), table };
        let concerned = if (self.captures)(from) && !was_helper { from } else { to };
        self.effect(&concerned.clone(), effect);
    }
}
