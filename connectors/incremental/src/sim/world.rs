//! One schedule: a plan drawn from the seed, and who takes the next step.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use super::{
    chunk::Proof,
    coverage::Coverage,
    database::Database,
    pipeline::{Pipeline, Settings},
    rng::Rng,
    sink::Sink,
    slip::Mistake,
};
use crate::{Limits, SinkRecovery};

/// How a schedule ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Of the copy, of what happened, and of the chance that was left.
    pub(super) digest: u64,
    pub(super) steps: usize,
    pub(super) coverage: Coverage,
}

/// How often each of them gets a step while writers write.
struct Weights {
    steps: Vec<(Actor, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Actor {
    Writer,
    Idle,
    Visibility,
    Proof,
    Reader,
    Opener,
    Chunk,
    HandBack,
    Checkpoint,
    Crash,
    FailOver,
    Schema,
    Create,
    Capture,
    XaPrepare,
    XaEnd,
}

pub(super) struct World {
    rng: Rng,
    db: Database,
    pipeline: Pipeline,
    weights: Weights,
    steps_with_writers: usize,
    steps: usize,
    /// Crash at this step and at no other, instead of by chance.
    crash_at: Option<usize>,
}

/// More than any schedule needs to come to rest.
const STEPS_TO_REST_MAX: usize = 20_000;

/// Runs one seed. `crash_at` makes it crash exactly once, at that step.
pub(super) fn run(seed: u64, mistake: Mistake, crash_at: Option<usize>) -> Result<End, String> {
    let mut world = World::draw(seed, mistake, crash_at);
    for _ in 0..2 {
        for _ in 0..world.steps_with_writers {
            let actor = world.weights.next(&mut world.rng);
            world.step(actor)?;
        }
        world.come_to_rest()?;
        world.compare()?;
    }
    Ok(world.end())
}

impl Weights {
    /// Every actor has its own pace, so that in some schedules the reader is far ahead of the
    /// chunk readers, in some far behind, and in some visibility or proof is late.
    fn draw(rng: &mut Rng, has_xa: bool, crashes_by_chance: bool) -> Self {
        let mut pace = |low, high| rng.between(low, high);
        let steps = vec![
            (Actor::Writer, pace(4, 40)),
            (Actor::Idle, pace(0, 6)),
            (Actor::Visibility, pace(4, 60)),
            (Actor::Proof, pace(4, 60)),
            (Actor::Reader, pace(10, 150)),
            (Actor::Opener, pace(4, 40)),
            (Actor::Chunk, pace(4, 80)),
            (Actor::HandBack, pace(0, 4)),
            (Actor::Checkpoint, pace(1, 12)),
            (Actor::Crash, if crashes_by_chance { pace(0, 4) } else { 0 }),
            (Actor::FailOver, pace(0, 6).saturating_sub(3)),
            (Actor::Schema, pace(0, 6).saturating_sub(2)),
            (Actor::Create, pace(0, 2).saturating_sub(1)),
            (Actor::Capture, pace(0, 2)),
            (Actor::XaPrepare, if has_xa { pace(1, 8) } else { 0 }),
            (Actor::XaEnd, if has_xa { pace(1, 8) } else { 0 }),
        ];
        Self { steps }
    }

    fn next(&self, rng: &mut Rng) -> Actor {
        let weights: Vec<usize> = self.steps.iter().map(|(_, weight)| *weight).collect();
        self.steps[rng.weighted(&weights)].0
    }
}

impl World {
    fn draw(seed: u64, mistake: Mistake, crash_at: Option<usize>) -> Self {
        let mut rng = Rng::new(seed);
        let in_log_order = rng.chance(50);
        let proof = match rng.below(5) {
            0 => Proof::Locks,
            1 if in_log_order => Proof::SnapshotPosition,
            _ => Proof::Set,
        };
        // With external XA MariaDB's snapshot position is no proof (correctness §1).
        let has_xa = proof != Proof::SnapshotPosition && rng.chance(50);
        let (table_count, key_count) = (rng.between(1, 3), rng.between(3, 20));
        let mut db = Database::new(&mut rng, table_count, key_count, in_log_order);
        let weights = Weights::draw(&mut rng, has_xa, crash_at.is_none());
        live_before_start(&mut rng, &mut db, has_xa);
        let recovery =
            if rng.chance(65) { SinkRecovery::RollsBack } else { SinkRecovery::AtLeastOnce };
        let mut captured: BTreeSet<u32> = db.current().keys().copied().collect();
        if captured.len() > 1 && rng.chance(30) {
            captured.pop_last();
        }
        let settings = Settings {
            limits: draw_limits(&mut rng),
            proof,
            chunks_max: rng.between(1, 5),
            skips_keys: rng.chance(50),
            late_chunks: rng.chance(60),
            mistake,
        };
        let pipeline = Pipeline::start(&mut rng, &db, settings, captured, Sink::new(recovery));
        let steps_with_writers = rng.between(40, 250);
        Self { rng, db, pipeline, weights, steps_with_writers, steps: 0, crash_at }
    }

    fn step(&mut self, actor: Actor) -> Result<(), String> {
        let Self { rng, db, pipeline, .. } = self;
        match actor {
            Actor::Writer => db.write(rng),
            Actor::Idle => db.idle(),
            Actor::Visibility => db.show(rng),
            Actor::Proof => db.prove(rng),
            Actor::Reader => pipeline.read_log(db)?,
            Actor::Opener => pipeline.open(db),
            Actor::Chunk => pipeline.read_chunk(rng, db)?,
            Actor::HandBack => pipeline.hand_back(rng),
            Actor::Checkpoint => pipeline.store_checkpoint()?,
            Actor::Crash => pipeline.crash(rng, db),
            Actor::FailOver => {
                db.fail_over(rng);
                pipeline.relocate(db);
            }
            Actor::Schema => db.change_schema(rng),
            Actor::Create => {
                let table = db.create_table();
                pipeline.capture(rng, table);
            }
            Actor::Capture => {
                let tables: Vec<u32> = db.current().keys().copied().collect();
                if let Some(table) = rng.pick(&tables) {
                    pipeline.capture(rng, table);
                }
            }
            Actor::XaPrepare => db.prepare_xa(rng),
            Actor::XaEnd => db.end_xa(rng),
        }
        self.steps += 1;
        if self.crash_at == Some(self.steps) {
            self.pipeline.crash(&mut self.rng, &self.db);
        }
        self.pipeline.check(&self.db)
    }

    /// Nobody writes any more: everything becomes visible and proven, the reader gets to the log
    /// end, and every range Done.
    fn come_to_rest(&mut self) -> Result<(), String> {
        const ACTORS: [Actor; 7] = [
            Actor::Visibility,
            Actor::Proof,
            Actor::Reader,
            Actor::Reader,
            Actor::Opener,
            Actor::Chunk,
            Actor::Chunk,
        ];
        for turn in 0..STEPS_TO_REST_MAX {
            if self.db.is_quiet() && self.pipeline.is_settled(&self.db) {
                return self.step(Actor::Checkpoint);
            }
            let actor = match turn % 40 {
                0 => Actor::XaEnd,
                1 => Actor::Checkpoint,
                _ => ACTORS[self.rng.below(ACTORS.len())],
            };
            self.step(actor)?;
        }
        Err("the snapshot never ends".into())
    }

    fn compare(&self) -> Result<(), String> {
        for table in self.pipeline.captured() {
            let source = self.db.current().get(table).map(|content| content.rows.clone());
            let copy = self.pipeline.sink.rows(*table);
            if source.unwrap_or_default() != copy {
                return Err(format!("table {table} differs in the end: {copy:?}"));
            }
        }
        Ok(())
    }

    fn end(mut self) -> End {
        let mut hasher = DefaultHasher::new();
        for table in self.pipeline.captured() {
            (table, self.pipeline.sink.rows(*table)).hash(&mut hasher);
        }
        self.pipeline.coverage.hash(&mut hasher);
        (self.steps, self.rng.next()).hash(&mut hasher);
        let coverage = std::mem::take(&mut self.pipeline.coverage);
        End { digest: hasher.finish(), steps: self.steps, coverage }
    }
}

/// What the server does before the pipeline starts: P0 is taken in the midst of it, often with
/// transactions that are logged but not visible, or visible but not proven.
fn live_before_start(rng: &mut Rng, db: &mut Database, has_xa: bool) {
    let (schema_percent, create_percent) = if rng.chance(30) { (4, 8) } else { (1, 1) };
    let xa_end_weight = if has_xa { rng.below(2) } else { 0 };
    let weights = [usize::from(has_xa), xa_end_weight, 1, 3, rng.between(1, 3), 4];
    for _ in 0..rng.below(50) {
        match rng.weighted(&weights) {
            0 => db.prepare_xa(rng),
            1 => db.end_xa(rng),
            2 => db.idle(),
            3 => db.show(rng),
            4 => db.prove(rng),
            _ => db.write(rng),
        }
        if rng.chance(schema_percent) {
            db.change_schema(rng);
        }
        if rng.chance(create_percent) {
            db.create_table();
        }
    }
}

/// From budgets that hold hardly a row to ones that are never felt.
fn draw_limits(rng: &mut Rng) -> Limits {
    let bytes_max = [300, 800, 2000, 1 << 20][rng.below(4)];
    Limits {
        bytes_max,
        rows_per_chunk_max: rng.between(1, 8) as u64,
        chunk_bytes_target: [50, 150, 500][rng.below(3)],
        chunk_time_us_target: 1000,
    }
}
