//! The pause protocol against a model: a source that is a list, a sink that stages and commits, a store with the last
//! checkpoint, and a crash at any step. What the sink shows at the end must be what the list says; a row that meets a
//! table of another version fails at once. Every rule is broken once, and the simulation must catch it.

use std::collections::{BTreeMap, VecDeque};

use cdc_api::TableId;

use super::{ChangeSet, Next, Pause};

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    RowsPassWhileHeld,
    AppliedBeforeCommit,
    BarrierWithoutPending,
    BarrierWhileHolding,
}

/// SplitMix64.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// One thing in the source's log.
#[derive(Debug, Clone, PartialEq)]
enum Event {
    /// A row of a table, decoded with this version.
    Row { table: usize, version: u32, number: u64 },
    /// Tables change to their next version.
    Change { tables: Vec<(usize, u32)>, is_additive: bool },
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    table: usize,
    to: u32,
    is_additive: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    table: usize,
    version: u32,
    number: u64,
}

/// What survives a crash.
#[derive(Debug, Clone, Default)]
struct Durable {
    /// Where the source goes on.
    at: usize,
    checkpoint: u64,
    pending: Vec<Change>,
    staged: Vec<Row>,
    is_committed: bool,
    /// The sink's tables: version and rows that are visible.
    versions: BTreeMap<usize, u32>,
    visible: Vec<Row>,
}

struct Run<'s> {
    log: &'s [Event],
    durable: Durable,
    /// The checkpoint that was cut and not prepared yet, and the one behind it.
    cut: VecDeque<(u64, usize, Vec<Change>, Vec<Row>)>,
    writer: Vec<Row>,
    writer_versions: BTreeMap<usize, u32>,
    pause: Pause<Change, Row>,
    applying: VecDeque<Change>,
    applied_any: bool,
    at: usize,
    next_checkpoint: u64,
}

fn name(table: usize) -> TableId {
    TableId::new("d", format!("t{table}"))
}

impl<'s> Run<'s> {
    fn start(
        log: &'s [Event],
        mut durable: Durable,
        mutation: Option<Mutation>,
    ) -> Result<Self, String> {
        if !durable.is_committed {
            durable.visible.append(&mut durable.staged);
            durable.is_committed = true;
        }
        for change in std::mem::take(&mut durable.pending) {
            apply(&mut durable, change)?;
        }
        // The source announces its tables as of its position: the writers begin with those.
        let mut versions: BTreeMap<usize, u32> = (0..3).map(|table| (table, 1)).collect();
        for event in &log[..durable.at] {
            if let Event::Change { tables, .. } = event {
                versions.extend(tables.iter().copied());
            }
        }
        for (table, version) in &versions {
            let sink = durable.versions.get(table).copied().unwrap_or(1);
            let ahead_by_additive = log[durable.at..].iter().any(|event| {
                matches!(event, Event::Change { tables, is_additive: true } if tables.contains(&(*table, sink)))
            });
            if sink != *version && !ahead_by_additive {
                return Err(format!(
                    "table {table} is at version {sink} in the sink, at {version} in the source"
                ));
            }
        }
        let mut pause = Pause::new(3);
        pause.mutation = mutation;
        Ok(Run {
            log,
            at: durable.at,
            next_checkpoint: durable.checkpoint + 1,
            durable,
            cut: VecDeque::new(),
            writer: Vec::new(),
            writer_versions: versions,
            pause,
            applying: VecDeque::new(),
            applied_any: false,
        })
    }

    fn write(&mut self, row: Row) -> Result<(), String> {
        let version = self.writer_versions[&row.table];
        if version != row.version {
            return Err(format!("{row:?} met a writer at version {version}"));
        }
        self.writer.push(row);
        Ok(())
    }

    fn cut(&mut self, pending: Vec<Change>) -> u64 {
        let id = self.next_checkpoint;
        self.next_checkpoint += 1;
        let rows = std::mem::take(&mut self.writer);
        self.cut.push_back((id, self.at, pending, rows));
        id
    }

    fn may_cut(&self) -> bool {
        self.cut.len() < 2
    }

    fn follow(&mut self, next: Next<Change>) {
        match next {
            Next::Wait => {}
            Next::Barrier(pending) => {
                let id = self.cut(pending);
                self.pause.barrier_cut(id);
            }
            Next::Apply(changes) => {
                self.applying = changes.into();
                self.applied_any = true;
            }
        }
    }

    fn read(&mut self) -> Result<bool, String> {
        if !self.pause.may_read() {
            return Ok(false);
        }
        let Some(event) = self.log.get(self.at) else { return Ok(false) };
        self.at += 1;
        match event.clone() {
            Event::Row { table, version, number } => {
                let row = Row { table, version, number };
                if let Some(row) = self.pause.rows(&name(table), 1, row) {
                    self.write(row)?;
                }
            }
            Event::Change { tables, is_additive } => {
                let set = ChangeSet {
                    tables: tables.iter().map(|(table, _)| name(*table)).collect(),
                    changes: tables
                        .iter()
                        .map(|&(table, to)| Change { table, to, is_additive })
                        .collect(),
                    needs_commit: !is_additive,
                };
                let next = self.pause.change(set, self.may_cut());
                self.follow(next);
            }
        }
        Ok(true)
    }

    /// One step of the commit task: store as prepared, then publish. A crash may fall between.
    fn commit_step(&mut self) -> Result<bool, String> {
        if !self.durable.is_committed {
            self.durable.visible.append(&mut self.durable.staged);
            self.durable.is_committed = true;
            let next = self.pause.committed(self.durable.checkpoint);
            self.follow(next);
            let next = self.pause.resume(self.may_cut());
            self.follow(next);
            return Ok(true);
        }
        let Some((id, at, pending, staged)) = self.cut.pop_front() else { return Ok(false) };
        self.durable.checkpoint = id;
        (self.durable.at, self.durable.pending, self.durable.staged) = (at, pending, staged);
        self.durable.is_committed = false;
        Ok(true)
    }

    fn apply_step(&mut self) -> Result<bool, String> {
        if let Some(change) = self.applying.pop_front() {
            apply(&mut self.durable, change)?;
            self.writer_versions.insert(change.table, change.to);
            return Ok(true);
        }
        if !std::mem::take(&mut self.applied_any) {
            return Ok(false);
        }
        for row in self.pause.applied() {
            self.write(row)?;
        }
        let next = self.pause.resume(self.may_cut());
        self.follow(next);
        Ok(true)
    }

    fn interval_step(&mut self) -> bool {
        let due = self.pause.may_cut() && self.may_cut();
        if due {
            self.cut(Vec::new());
        }
        due
    }

    fn is_done(&self) -> bool {
        self.at == self.log.len()
            && self.cut.is_empty()
            && self.writer.is_empty()
            && self.durable.is_committed
            && self.pause.may_cut()
            && self.applying.is_empty()
    }
}

/// What an applier does: the table is in its state before or behind the change, and rows of an older version that come
/// to be visible later would be misread unless the change is additive.
fn apply(durable: &mut Durable, change: Change) -> Result<(), String> {
    let version = durable.versions.entry(change.table).or_insert(1);
    if *version + 1 != change.to && *version < change.to {
        return Err(format!("{change:?} met a sink table at version {version}"));
    }
    *version = (*version).max(change.to);
    let older =
        durable.staged.iter().any(|row| row.table == change.table && row.version < change.to);
    if !change.is_additive && !durable.is_committed && older {
        return Err(format!("{change:?} was applied ahead of rows of the version before"));
    }
    Ok(())
}

fn log(draw: &mut Draw) -> Vec<Event> {
    let mut versions = [1_u32; 3];
    (0..24)
        .map(|number| {
            if draw.below(4) > 0 {
                let table = draw.below(3) as usize;
                return Event::Row { table, version: versions[table], number };
            }
            let first = draw.below(3) as usize;
            let mut tables = vec![first];
            if draw.below(3) == 0 {
                tables.push((first + 1) % 3);
            }
            let tables = tables
                .into_iter()
                .map(|table| {
                    versions[table] += 1;
                    (table, versions[table])
                })
                .collect();
            Event::Change { tables, is_additive: draw.below(3) == 0 }
        })
        .collect()
}

fn simulate(seed: u64, mutation: Option<Mutation>) -> Result<(), String> {
    run_through(seed, mutation, None).map(drop)
}

/// One schedule to its end; gives its steps. It crashes now and then, or ahead of this one step.
fn run_through(
    seed: u64,
    mutation: Option<Mutation>,
    crash_ahead_of: Option<usize>,
) -> Result<usize, String> {
    let mut draw = Draw(seed);
    let log = log(&mut draw);
    let mut durable = Durable { is_committed: true, ..Durable::default() };
    let mut crashes_left = draw.below(5);
    let mut run = Run::start(&log, durable, mutation)?;
    let mut steps = 0;
    for step in 0..10_000 {
        if run.is_done() {
            break;
        }
        steps = step + 1;
        let crashes = match crash_ahead_of {
            Some(at) => at == step,
            None => crashes_left > 0 && draw.below(12) == 0,
        };
        if crashes {
            crashes_left = crashes_left.saturating_sub(1);
            durable = run.durable;
            run = Run::start(&log, durable, mutation)?;
            continue;
        }
        match draw.below(5) {
            0 | 1 => drop(run.read()?),
            2 => drop(run.commit_step()?),
            3 => drop(run.apply_step()?),
            _ => drop(run.interval_step()),
        }
        let older =
            |row: &&Row| row.version < run.durable.versions.get(&row.table).copied().unwrap_or(1);
        let on_the_way =
            run.durable.staged.iter().chain(run.cut.iter().flat_map(|(_, _, _, rows)| rows));
        if let Some(row) = on_the_way.chain(&run.writer).find(older) {
            let is_additive = log.iter().any(|event| {
                matches!(event, Event::Change { tables, is_additive: true } if tables.contains(&(row.table, row.version + 1)))
            });
            if !is_additive {
                return Err(format!("{row:?} is on its way to a table that has changed"));
            }
        }
    }
    if !run.is_done() {
        return Err("it does not come to an end".into());
    }
    let expected: Vec<u64> = log
        .iter()
        .filter_map(|event| match event {
            Event::Row { number, .. } => Some(*number),
            Event::Change { .. } => None,
        })
        .collect();
    for table in 0..3 {
        let rows: Vec<u64> = run
            .durable
            .visible
            .iter()
            .filter(|row| row.table == table)
            .map(|row| row.number)
            .collect();
        if !rows.is_sorted() {
            return Err(format!("rows of table {table} in another order: {rows:?}"));
        }
    }
    let mut seen: Vec<u64> = run.durable.visible.iter().map(|row| row.number).collect();
    seen.sort_unstable();
    if seen != expected {
        return Err(format!("rows {expected:?} became {seen:?}"));
    }
    Ok(steps)
}

#[test]
fn every_row_is_there_once_and_under_its_schema() {
    for seed in 0..20_000 {
        if let Err(error) = simulate(seed, None) {
            panic!("seed {seed}: {error}");
        }
    }
}

#[test]
fn a_crash_at_any_step_changes_nothing() {
    let check = |seed, crash| match run_through(seed, None, Some(crash)) {
        Ok(steps) => steps,
        Err(error) => panic!("seed {seed}, a crash ahead of step {crash}: {error}"),
    };
    for seed in 0..150 {
        for crash in 0..check(seed, usize::MAX) {
            check(seed, crash);
        }
    }
}

#[test]
fn the_same_seed_ends_the_same() {
    for seed in 0..100 {
        assert_eq!(simulate(seed, None), simulate(seed, None));
    }
}

#[test]
fn every_broken_rule_is_caught() {
    for mutation in [
        Mutation::RowsPassWhileHeld,
        Mutation::AppliedBeforeCommit,
        Mutation::BarrierWithoutPending,
        Mutation::BarrierWhileHolding,
    ] {
        let caught = (0..5_000).find(|&seed| {
            std::panic::catch_unwind(|| simulate(seed, Some(mutation)))
                .is_ok_and(|result| result.is_err())
        });
        assert!(caught.is_some(), "{mutation:?} goes unseen");
    }
}
