//! The two kinds of sink. The one that rolls back is strict: a row that comes twice, or a delete of
//! what is not there, fails the schedule. The other keeps after a crash any first part of what it
//! got since the checkpoint, and takes everything calmly.

use std::collections::BTreeMap;

use super::{database::Image, rng::Rng};
use crate::SinkRecovery;

pub(super) type Delivered = BTreeMap<u32, BTreeMap<u8, Image>>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// A snapshot row, or an insert.
    Insert {
        table: u32,
        key: u8,
        image: Image,
    },
    Update {
        table: u32,
        key: u8,
        image: Image,
    },
    Delete {
        table: u32,
        key: u8,
    },
    Alter {
        table: u32,
        shape: u16,
    },
    Empty {
        table: u32,
    },
}

pub(super) struct Sink {
    recovery: SinkRecovery,
    tables: Delivered,
    at_checkpoint: Delivered,
    since_checkpoint: Vec<Effect>,
}

impl Sink {
    pub(super) fn new(recovery: SinkRecovery) -> Self {
        let (tables, at_checkpoint) = (Delivered::new(), Delivered::new());
        Self { recovery, tables, at_checkpoint, since_checkpoint: Vec::new() }
    }

    pub(super) fn recovery(&self) -> SinkRecovery {
        self.recovery
    }

    pub(super) fn rows(&self, table: u32) -> BTreeMap<u8, Image> {
        self.tables.get(&table).cloned().unwrap_or_default()
    }

    pub(super) fn apply(&mut self, effect: Effect) -> Result<(), String> {
        let present = match effect {
            Effect::Insert { table, key, .. }
            | Effect::Update { table, key, .. }
            | Effect::Delete { table, key } => {
                self.tables.get(&table).is_some_and(|rows| rows.contains_key(&key))
            }
            Effect::Alter { .. } | Effect::Empty { .. } => false,
        };
        if self.recovery == SinkRecovery::RollsBack {
            match effect {
                Effect::Insert { .. } if present => {
                    return Err(format!("a present key is inserted: {effect:?}"));
                }
                Effect::Update { .. } | Effect::Delete { .. } if !present => {
                    return Err(format!("an absent key is changed: {effect:?}"));
                }
                _ => {}
            }
        }
        change(&mut self.tables, effect);
        self.since_checkpoint.push(effect);
        Ok(())
    }

    /// Everything so far is durable.
    pub(super) fn checkpoint(&mut self) {
        self.at_checkpoint.clone_from(&self.tables);
        self.since_checkpoint.clear();
    }

    pub(super) fn crash(&mut self, rng: &mut Rng) {
        let kept = match self.recovery {
            SinkRecovery::RollsBack => 0,
            SinkRecovery::AtLeastOnce => rng.below(self.since_checkpoint.len() + 1),
        };
        let mut tables = std::mem::take(&mut self.at_checkpoint);
        for effect in self.since_checkpoint.drain(..).take(kept) {
            change(&mut tables, effect);
        }
        self.at_checkpoint.clone_from(&tables);
        self.tables = tables;
    }
}

fn change(tables: &mut Delivered, effect: Effect) {
    match effect {
        Effect::Insert { table, key, image } | Effect::Update { table, key, image } => {
            tables.entry(table).or_default().insert(key, image);
        }
        Effect::Delete { table, key } => {
            tables.entry(table).or_default().remove(&key);
        }
        Effect::Alter { table, shape } => {
            let rows = tables.entry(table).or_default();
            rows.values_mut().for_each(|image| image.shape = shape);
        }
        Effect::Empty { table } => {
            tables.remove(&table);
        }
    }
}
