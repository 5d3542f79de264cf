//! Seeded concurrent writers against one database.
//!
//! Comes in: a [`WorkloadPlan`]. Goes out: tables `w0`, `w1`, … filled and then changed by several connections at once:
//! inserts, updates, key changes, deletes, replaces, in transactions over one or more rows and tables, some rolled back,
//! some by XA. Writers fight over the same keys on purpose; a refused transaction (duplicate key, deadlock) is rolled
//! back and counted. How the writers interleave is up to the server, so a seed repeats the statements, not the run.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{Failure, Outcome, Random, Server, Sql};

/// What the writers do, as weights against each other, and in how many of 100 transactions.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// INSERT of a key that may exist already.
    pub insert: u32,
    /// UPDATE of the other columns.
    pub update: u32,
    /// UPDATE that changes the key.
    pub key_change: u32,
    /// DELETE.
    pub delete: u32,
    /// REPLACE, or INSERT … ON DUPLICATE KEY UPDATE.
    pub upsert: u32,
    /// Transactions that end with ROLLBACK.
    pub rollback_percent: u32,
    /// Transactions by XA START … XA COMMIT.
    pub xa_percent: u32,
}

/// A workload, before it runs.
#[derive(Clone, Debug)]
pub struct WorkloadPlan {
    /// Where all randomness comes from. Print it when a test fails.
    pub seed: u64,
    /// The database, which must exist.
    pub database: String,
    /// How many tables; odd ones have a composite key with text in it.
    pub tables: usize,
    /// Rows per table before the writers start.
    pub rows: u64,
    /// Keys are drawn from this many per table.
    pub key_space: u64,
    /// Connections writing at once.
    pub writers: usize,
    /// The most rows that one transaction changes. 1: every statement commits by itself.
    pub transaction_rows_max: u64,
    /// Transactions per second of each writer; None: as fast as they can.
    pub pace_per_second: Option<u32>,
    /// What they do.
    pub mix: Mix,
}

impl WorkloadPlan {
    /// A mixed workload of moderate size: 2 tables of 1000 rows, 4 writers, up to 5 rows a transaction.
    pub fn new(seed: u64, database: &str) -> WorkloadPlan {
        WorkloadPlan {
            seed,
            database: database.to_owned(),
            tables: 2,
            rows: 1000,
            key_space: 2000,
            writers: 4,
            transaction_rows_max: 5,
            pace_per_second: None,
            mix: Mix {
                insert: 30,
                update: 40,
                key_change: 8,
                delete: 15,
                upsert: 7,
                rollback_percent: 10,
                xa_percent: 0,
            },
        }
    }

    /// The names of the tables.
    pub fn table_names(&self) -> Vec<String> {
        (0..self.tables).map(|number| format!("w{number}")).collect()
    }

    /// Creates the tables and fills every other key until `rows` are there.
    pub async fn create(&self, server: &Server) -> Outcome {
        let mut sql = server.connect().await?;
        let mut random = Random::new(self.seed);
        for table in 0..self.tables {
            let key = if is_composite(table) { "region, id" } else { "id" };
            sql.run(&format!(
                "CREATE TABLE {} (region CHAR(2) NOT NULL, id BIGINT NOT NULL, label VARCHAR(60), \
                 amount DECIMAL(12,2) NOT NULL, counter INT UNSIGNED NOT NULL, changed_at DATETIME(6), \
                 PRIMARY KEY ({key})) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
                self.table(table)
            ))
            .await?;
            for begin in (0..self.rows).step_by(500) {
                let mut insert = format!("INSERT INTO {} VALUES ", self.table(table));
                for row in begin..self.rows.min(begin + 500) {
                    let comma = if row == begin { "" } else { "," };
                    let id = row * self.key_space.checked_div(self.rows).unwrap_or(1).max(1);
                    write!(insert, "{comma}({})", values(&mut random, &Key::of(table, id)))?;
                }
                sql.run(&insert).await?;
            }
        }
        Ok(())
    }

    fn table(&self, number: usize) -> String {
        format!("`{}`.w{number}", self.database)
    }

    /// One statement on a random table and key.
    fn statement(&self, random: &mut Random) -> String {
        let table = usize::try_from(random.below(self.tables as u64)).unwrap_or(0);
        let name = self.table(table);
        let key = Key::of(table, random.below(self.key_space));
        let mix = &self.mix;
        let kinds = [mix.insert, mix.update, mix.key_change, mix.delete, mix.upsert];
        let mut draw = random.below(kinds.iter().map(|weight| u64::from(*weight)).sum());
        let mut kind = 0;
        for weight in kinds.map(u64::from) {
            if draw < weight {
                break;
            }
            draw -= weight;
            kind += 1;
        }
        match kind {
            0 => format!("INSERT INTO {name} VALUES ({})", values(random, &key)),
            1 => format!(
                "UPDATE {name} SET label = {}, counter = counter + 1, changed_at = NOW(6) WHERE {}",
                label(random),
                key.condition()
            ),
            2 => {
                let other = Key::of(table, random.below(self.key_space));
                format!(
                    "UPDATE {name} SET region = '{}', id = {}, amount = amount + 0.01 WHERE {}",
                    other.region,
                    other.id,
                    key.condition()
                )
            }
            3 => format!("DELETE FROM {name} WHERE {}", key.condition()),
            _ if random.chance(50) => {
                format!("REPLACE INTO {name} VALUES ({})", values(random, &key))
            }
            _ => format!(
                "INSERT INTO {name} VALUES ({}) ON DUPLICATE KEY UPDATE counter = counter + 100",
                values(random, &key)
            ),
        }
    }

    /// The statements of one transaction, with those that open and close it.
    fn transaction(&self, random: &mut Random, xid: &str) -> Transaction {
        let count = 1 + random.below(self.transaction_rows_max.max(1));
        let mut statements: Vec<String> = (0..count).map(|_| self.statement(random)).collect();
        let rolls_back = random.chance(self.mix.rollback_percent);
        let xa = random.chance(self.mix.xa_percent);
        if xa {
            statements.insert(0, format!("XA START '{xid}'"));
            statements.push(format!("XA END '{xid}'"));
            statements.push(format!("XA PREPARE '{xid}'"));
            statements
                .push(format!("XA {} '{xid}'", if rolls_back { "ROLLBACK" } else { "COMMIT" }));
        } else if rolls_back || count > 1 {
            statements.insert(0, "BEGIN".to_owned());
            statements.push(if rolls_back { "ROLLBACK" } else { "COMMIT" }.to_owned());
        }
        Transaction { statements, rolls_back, xid: xa.then(|| xid.to_owned()) }
    }
}

struct Transaction {
    statements: Vec<String>,
    rolls_back: bool,
    xid: Option<String>,
}

fn is_composite(table: usize) -> bool {
    table % 2 == 1
}

/// A key of either shape of table: tables with a single-column key keep the region as a plain column.
struct Key {
    region: &'static str,
    id: u64,
    composite: bool,
}

impl Key {
    fn of(table: usize, number: u64) -> Key {
        const REGIONS: [&str; 4] = ["eu", "us", "AS", "Ü"];
        let composite = is_composite(table);
        let place = usize::try_from(number % 4).unwrap_or(0);
        let id = if composite { number / 4 } else { number };
        Key { region: REGIONS.get(place).copied().unwrap_or("eu"), id, composite }
    }

    fn condition(&self) -> String {
        if self.composite {
            format!("region = '{}' AND id = {}", self.region, self.id)
        } else {
            format!("id = {}", self.id)
        }
    }
}

fn label(random: &mut Random) -> String {
    const WORDS: [&str; 8] = ["apple", "Bär", "çay", "дом", "漢字", "🦀", "o''clock", "tab\\tbed"];
    if random.chance(5) {
        return "NULL".to_owned();
    }
    let word = usize::try_from(random.below(8)).ok().and_then(|place| WORDS.get(place)).copied();
    format!("'{} {}'", word.unwrap_or_default(), random.below(1_000_000))
}

fn values(random: &mut Random, key: &Key) -> String {
    let label = label(random);
    let cents = random.below(2_000_000_000);
    let sign = if random.chance(20) { "-" } else { "" };
    format!(
        "'{}', {}, {label}, {sign}{}.{:02}, {}, NOW(6)",
        key.region,
        key.id,
        cents / 100,
        cents % 100,
        random.below(4_000_000_000)
    )
}

/// What the writers did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkloadReport {
    /// Transactions that committed.
    pub committed: u64,
    /// Transactions rolled back on purpose.
    pub rolled_back: u64,
    /// Transactions that the server refused: duplicate key, deadlock, lock wait.
    pub refused: u64,
}

/// Writers at work. They stop when this is dropped, but only [`stop`](Self::stop) tells whether all went well.
pub struct Workload {
    writers: JoinSet<Outcome<WorkloadReport>>,
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
}

impl Workload {
    /// Lets the plan's writers loose on its tables, which must exist.
    pub async fn start(server: &Server, plan: &WorkloadPlan) -> Outcome<Workload> {
        let stop = Arc::new(AtomicBool::new(false));
        let committed = Arc::new(AtomicU64::new(0));
        let mut writers = JoinSet::new();
        for number in 0..plan.writers {
            let writer = Writer {
                sql: server.connect().await?,
                random: Random::new(plan.seed.wrapping_add(1 + number as u64)),
                number,
                plan: plan.clone(),
                stop: Arc::clone(&stop),
                committed: Arc::clone(&committed),
            };
            writers.spawn(writer.write());
        }
        Ok(Workload { writers, stop, committed })
    }

    /// Transactions committed so far.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    /// Stops the writers at their next transaction boundary. Fails if one failed: a lost connection, an error that a
    /// fight over keys does not explain.
    pub async fn stop(mut self) -> Outcome<WorkloadReport> {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = WorkloadReport::default();
        while let Some(report) = self.writers.join_next().await {
            let report = report??;
            sum.committed += report.committed;
            sum.rolled_back += report.rolled_back;
            sum.refused += report.refused;
        }
        Ok(sum)
    }
}

struct Writer {
    sql: Sql,
    random: Random,
    number: usize,
    plan: WorkloadPlan,
    stop: Arc<AtomicBool>,
    committed: Arc<AtomicU64>,
}

impl Writer {
    async fn write(mut self) -> Outcome<WorkloadReport> {
        let mut report = WorkloadReport::default();
        let mut pace = self.plan.pace_per_second.map(pace);
        let mut count = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            count += 1;
            let xid = format!("{}-{}-{count}", self.plan.database, self.number);
            let transaction = self.plan.transaction(&mut self.random, &xid);
            if !self.carry_out(&transaction).await? {
                report.refused += 1;
            } else if transaction.rolls_back {
                report.rolled_back += 1;
            } else {
                report.committed += 1;
                self.committed.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(report)
    }

    /// False if the server refused it; then it is rolled back.
    async fn carry_out(&mut self, transaction: &Transaction) -> Outcome<bool> {
        for statement in &transaction.statements {
            let Err(error) = self.sql.connection().query_drop(statement.as_str()).await else {
                continue;
            };
            if !is_refusal(&error) {
                let seed = self.plan.seed;
                return Err(Failure::new(format!("workload {seed}: {error}\n  in: {statement}")));
            }
            match &transaction.xid {
                None => self.sql.run("ROLLBACK").await?,
                Some(xid) => {
                    // After a deadlock the branch is idle already and XA END says so.
                    let _ = self.sql.run(&format!("XA END '{xid}'")).await;
                    self.sql.run(&format!("XA ROLLBACK '{xid}'")).await?;
                }
            }
            return Ok(false);
        }
        Ok(true)
    }
}

/// Duplicate key, lock wait timeout, deadlock (also in XA's words), or MariaDB's "record has changed since last read".
fn is_refusal(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Server(error) => {
            matches!(error.code, 1062 | 1205 | 1213 | 1402 | 1613 | 1614 | 1020)
        }
        _ => false,
    }
}

fn pace(per_second: u32) -> Interval {
    let mut pace = interval(Duration::from_secs(1) / per_second.max(1));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}
