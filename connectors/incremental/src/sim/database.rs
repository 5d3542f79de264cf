//! The model of a database server. A transaction is logged, visible and proven at three separate
//! moments; row locks are held from the first to the second (for an external XA transaction: from
//! its PREPARE), and they alone order visibility, unless the server commits in log order.

use std::collections::BTreeMap;

use super::rng::Rng;

/// A row: its value, and the version of the table's columns that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Image {
    pub(super) value: u32,
    pub(super) shape: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Content {
    pub(super) shape: u16,
    pub(super) rows: BTreeMap<u8, Image>,
}

pub(super) type Tables = BTreeMap<u32, Content>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Write {
    Insert { table: u32, key: u8, image: Image },
    Update { table: u32, key: u8, image: Image },
    Delete { table: u32, key: u8 },
    Rekey { table: u32, old: u8, new: u8, image: Image },
}

/// What stands together in the log, between two positions.
#[derive(Clone, Debug)]
pub(super) enum Group {
    Rows {
        writes: Vec<Write>,
        rolled_back: bool,
    },
    /// Columns change; every stored row changes with them, without row events.
    Alter {
        table: u32,
        shape: u16,
    },
    Truncate {
        table: u32,
    },
    Create {
        table: u32,
    },
    /// Another table was renamed to this name.
    Replace {
        table: u32,
        content: Content,
    },
    XaPrepare {
        xid: u32,
        writes: Vec<Write>,
    },
    /// The log has the xid only; `writes` is for the model.
    XaCommit {
        xid: u32,
        writes: Vec<Write>,
    },
    XaRollback {
        xid: u32,
    },
    /// Rotate, heartbeat, a transaction of tables that nobody asked for.
    Idle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lock {
    Row(u32, u8),
    Table(u32),
}

#[derive(Clone, Debug)]
struct Entry {
    group: Group,
    locks: Vec<Lock>,
    visible: bool,
    proven: bool,
}

#[derive(Clone, Debug)]
struct Prepared {
    writes: Vec<Write>,
    locks: Vec<Lock>,
    /// Where in the log its PREPARE is.
    index: usize,
}

pub(super) struct Database {
    /// Visible in log order (as MariaDB, and MySQL with binlog_order_commits), or in any order that
    /// row locks allow.
    in_log_order: bool,
    key_count: usize,
    log: Vec<Entry>,
    first: Tables,
    /// What is logged: on this, writers build.
    current: Tables,
    /// What is visible: this, a SELECT sees.
    seen: Tables,
    prepared: BTreeMap<u32, Prepared>,
    value_next: u32,
    xid_next: u32,
    position_base: u64,
    position_stride: u64,
}

impl Database {
    pub(super) fn new(
        rng: &mut Rng,
        table_count: usize,
        key_count: usize,
        in_log_order: bool,
    ) -> Self {
        let mut first = Tables::new();
        let mut value_next = 0;
        for table in 0..table_count as u32 {
            let content = first.entry(table).or_default();
            for key in 0..key_count as u8 {
                if rng.chance(60) {
                    value_next += 1;
                    content.rows.insert(key, Image { value: value_next, shape: 0 });
                }
            }
        }
        Self {
            in_log_order,
            key_count,
            log: Vec::new(),
            current: first.clone(),
            seen: first.clone(),
            first,
            prepared: BTreeMap::new(),
            value_next,
            xid_next: 0,
            position_base: 100,
            position_stride: 10,
        }
    }

    // ---- what a client may ask ---------------------------------------------------------------

    pub(super) fn log_len(&self) -> usize {
        self.log.len()
    }

    pub(super) fn group(&self, index: usize) -> &Group {
        &self.log[index].group
    }

    /// The position behind the first `count` groups.
    pub(super) fn position(&self, count: usize) -> u64 {
        self.position_base + self.position_stride * count as u64
    }

    pub(super) fn is_proven(&self, index: usize) -> bool {
        self.log[index].proven
    }

    /// How many groups, from the first on without a gap, are visible: in log order this is the
    /// exact position of a consistent snapshot.
    pub(super) fn visible_prefix(&self) -> usize {
        self.log.iter().position(|entry| !entry.visible).unwrap_or(self.log.len())
    }

    pub(super) fn seen(&self) -> &Tables {
        &self.seen
    }

    pub(super) fn current(&self) -> &Tables {
        &self.current
    }

    pub(super) fn first(&self) -> &Tables {
        &self.first
    }

    /// XA RECOVER.
    pub(super) fn prepared_xids(&self) -> Vec<u32> {
        self.prepared.keys().copied().collect()
    }

    /// Whether a locking read of the keys for which `wanted` holds would have to wait.
    pub(super) fn is_locked(&self, table: u32, wanted: impl Fn(u8) -> bool) -> bool {
        self.locks_held().any(|lock| match lock {
            Lock::Row(of, key) => of == table && wanted(key),
            Lock::Table(of) => of == table,
        })
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.prepared.is_empty() && self.log.iter().all(|entry| entry.visible && entry.proven)
    }

    // ---- what writers do ---------------------------------------------------------------------

    pub(super) fn write(&mut self, rng: &mut Rng) {
        let (writes, locks) = self.draw_writes(rng);
        if writes.is_empty() {
            return;
        }
        let rolled_back = rng.chance(8);
        // A transaction that rolled back holds its locks no longer when it is in the log.
        let locks = if rolled_back { Vec::new() } else { locks };
        self.append(Group::Rows { writes, rolled_back }, locks);
    }

    pub(super) fn prepare_xa(&mut self, rng: &mut Rng) {
        let (writes, locks) = self.draw_writes(rng);
        if writes.is_empty() {
            return;
        }
        let xid = self.xid_next;
        self.xid_next += 1;
        let index = self.log.len();
        let prepared = Prepared { writes: writes.clone(), locks: locks.clone(), index };
        self.prepared.insert(xid, prepared);
        self.append(Group::XaPrepare { xid, writes }, locks);
    }

    /// XA COMMIT or XA ROLLBACK of any transaction whose PREPARE has returned.
    pub(super) fn end_xa(&mut self, rng: &mut Rng) {
        let returned = |prepared: &Prepared| self.log[prepared.index].visible;
        let ready: Vec<u32> = self
            .prepared
            .iter()
            .filter(|(_, prepared)| returned(prepared))
            .map(|(xid, _)| *xid)
            .collect();
        let Some(xid) = rng.pick(&ready) else { return };
        let Some(prepared) = self.prepared.remove(&xid) else { return };
        let group = if rng.chance(75) {
            Group::XaCommit { xid, writes: prepared.writes }
        } else {
            Group::XaRollback { xid }
        };
        self.append(group, prepared.locks);
    }

    pub(super) fn change_schema(&mut self, rng: &mut Rng) {
        let tables: Vec<u32> = self.current.keys().copied().collect();
        let Some(table) = rng.pick(&tables) else { return };
        if self.is_locked(table, |_| true) {
            return;
        }
        let shape = self.current[&table].shape + 1;
        let group = match rng.below(4) {
            0 => Group::Truncate { table },
            1 => Group::Replace { table, content: self.draw_content(rng, shape) },
            _ => Group::Alter { table, shape },
        };
        self.append(group, vec![Lock::Table(table)]);
    }

    /// CREATE TABLE; returns the new table.
    pub(super) fn create_table(&mut self) -> u32 {
        let table = self.current.keys().max().map_or(0, |table| table + 1);
        self.append(Group::Create { table }, vec![Lock::Table(table)]);
        table
    }

    pub(super) fn idle(&mut self) {
        self.append(Group::Idle, Vec::new());
    }

    // ---- what the server does by itself ------------------------------------------------------

    /// Some transaction becomes visible, if one may.
    pub(super) fn show(&mut self, rng: &mut Rng) {
        let pending: Vec<usize> =
            (0..self.log.len()).filter(|index| !self.log[*index].visible).collect();
        let ready: Vec<usize> = if self.in_log_order {
            pending.first().copied().into_iter().collect()
        } else {
            let blocked = |index: usize| {
                pending
                    .iter()
                    .take_while(|earlier| **earlier < index)
                    .any(|earlier| conflict(&self.log[*earlier].locks, &self.log[index].locks))
            };
            pending.iter().copied().filter(|index| !blocked(*index)).collect()
        };
        if let Some(index) = rng.pick(&ready) {
            let entry = &mut self.log[index];
            entry.visible = true;
            apply(&mut self.seen, &entry.group);
        }
    }

    /// Some visible transaction becomes proven.
    pub(super) fn prove(&mut self, rng: &mut Rng) {
        let ready: Vec<usize> = (0..self.log.len())
            .filter(|index| self.log[*index].visible && !self.log[*index].proven)
            .collect();
        if let Some(index) = rng.pick(&ready) {
            self.log[index].proven = true;
        }
    }

    /// Another server takes over: the same transactions at other positions, of which the last ones
    /// are not visible there yet.
    pub(super) fn fail_over(&mut self, rng: &mut Rng) {
        self.position_base = rng.next() % 3000;
        self.position_stride = 1 + rng.next() % 40;
        let lag = rng.below(8).min(self.log.len());
        let visible_count = self.log.len() - lag;
        self.seen = self.first.clone();
        for (index, entry) in self.log.iter_mut().enumerate() {
            entry.visible = index < visible_count;
            entry.proven = entry.visible && (index + 4 < visible_count || rng.chance(50));
            if entry.visible {
                apply(&mut self.seen, &entry.group);
            }
        }
    }

    // ---- inside ------------------------------------------------------------------------------

    fn append(&mut self, group: Group, locks: Vec<Lock>) {
        apply(&mut self.current, &group);
        self.log.push(Entry { group, locks, visible: false, proven: false });
    }

    fn locks_held(&self) -> impl Iterator<Item = Lock> {
        let logged = self.log.iter().filter(|entry| !entry.visible).flat_map(|entry| &entry.locks);
        let prepared = self.prepared.values().flat_map(|prepared| &prepared.locks);
        logged.chain(prepared).copied()
    }

    /// The writes of one transaction, on rows that no other one has locked.
    fn draw_writes(&mut self, rng: &mut Rng) -> (Vec<Write>, Vec<Lock>) {
        let held: Vec<Lock> = self.locks_held().collect();
        let tables: Vec<u32> = self.current.keys().copied().collect();
        // Only the tables that are drawn are copied, and only for the length of this transaction.
        let mut scratch = Tables::new();
        let (mut writes, mut locks) = (Vec::new(), Vec::new());
        for _ in 0..rng.between(1, 4) {
            let Some(table) = rng.pick(&tables) else { break };
            let content = scratch.entry(table).or_insert_with(|| self.current[&table].clone());
            let key = rng.below(self.key_count) as u8;
            let other = rng.below(self.key_count) as u8;
            self.value_next += 1;
            let image = Image { value: self.value_next, shape: content.shape };
            let present = content.rows.contains_key(&key);
            let write = match (present, rng.below(4)) {
                (false, _) => Write::Insert { table, key, image },
                (true, 0) => Write::Delete { table, key },
                (true, 1) if !content.rows.contains_key(&other) => {
                    Write::Rekey { table, old: key, new: other, image }
                }
                (true, _) => Write::Update { table, key, image },
            };
            let wanted = match write {
                Write::Rekey { old, new, .. } => vec![Lock::Row(table, old), Lock::Row(table, new)],
                _ => vec![Lock::Row(table, key)],
            };
            if conflict(&held, &wanted) {
                continue;
            }
            apply_write(&mut scratch, &write);
            writes.push(write);
            locks.extend(wanted);
        }
        (writes, locks)
    }

    fn draw_content(&mut self, rng: &mut Rng, shape: u16) -> Content {
        let mut content = Content { shape, rows: BTreeMap::new() };
        for key in 0..self.key_count as u8 {
            if rng.chance(50) {
                self.value_next += 1;
                content.rows.insert(key, Image { value: self.value_next, shape });
            }
        }
        content
    }
}

fn conflict(a: &[Lock], b: &[Lock]) -> bool {
    a.iter().any(|a| {
        b.iter().any(|b| match (a, b) {
            (Lock::Row(..), Lock::Row(..)) => a == b,
            (Lock::Row(x, _) | Lock::Table(x), Lock::Row(y, _) | Lock::Table(y)) => x == y,
        })
    })
}

/// What a group does to the tables when it takes effect.
pub(super) fn apply(tables: &mut Tables, group: &Group) {
    match group {
        Group::Rows { writes, rolled_back: false } | Group::XaCommit { writes, .. } => {
            writes.iter().for_each(|write| apply_write(tables, write));
        }
        Group::Rows { rolled_back: true, .. }
        | Group::XaPrepare { .. }
        | Group::XaRollback { .. }
        | Group::Idle => {}
        Group::Alter { table, shape } => {
            let content = tables.entry(*table).or_default();
            content.shape = *shape;
            content.rows.values_mut().for_each(|image| image.shape = *shape);
        }
        Group::Truncate { table } => tables.entry(*table).or_default().rows.clear(),
        Group::Create { table } => {
            tables.insert(*table, Content::default());
        }
        Group::Replace { table, content } => {
            tables.insert(*table, content.clone());
        }
    }
}

fn apply_write(tables: &mut Tables, write: &Write) {
    match *write {
        Write::Insert { table, key, image } | Write::Update { table, key, image } => {
            tables.entry(table).or_default().rows.insert(key, image);
        }
        Write::Delete { table, key } => {
            tables.entry(table).or_default().rows.remove(&key);
        }
        Write::Rekey { table, old, new, image } => {
            let rows = &mut tables.entry(table).or_default().rows;
            rows.remove(&old);
            rows.insert(new, image);
        }
    }
}
