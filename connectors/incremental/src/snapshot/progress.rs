//! What is known of the snapshot from outside: for checkpoints, for status lines, for the end.

use super::Snapshot;
use crate::{
    interval::Interval,
    mutation::Mutation,
    range::State,
    table::{Table, TableKey, TableState},
    verdict::Progress,
};

impl<P: Ord + Clone, L: Clone, R> Snapshot<P, L, R> {
    /// What a checkpoint at this boundary stores of a table: its Done intervals, merged, in key
    /// order. Empty for an unknown table.
    pub fn done(&self, table: TableKey) -> Vec<Interval<L>> {
        let read_too = self.mutations.made(Mutation::ReadStoredAsDone);
        let open_too = self.mutations.made(Mutation::OpenStoredAsDone);
        self.tables.get(&table).map_or_else(Vec::new, |known| {
            known.intervals_where(|state| match state {
                State::Done => true,
                State::Read { .. } => read_too,
                State::Open { .. } => open_too,
                State::Unread => false,
            })
        })
    }

    /// Whether the table is known and wholly Done.
    pub fn is_table_done(&self, table: TableKey) -> bool {
        self.table_state(table) == TableState::AllDone
    }

    /// Whether every table is wholly Done; true without tables.
    pub fn is_done(&self) -> bool {
        self.unread.is_empty() && self.ranges.is_empty()
    }

    /// Rows of this table that SELECTs brought, of its ranges completed since it was added.
    pub fn rows_done(&self, table: TableKey) -> u64 {
        self.tables.get(&table).map_or(0, |known| known.rows_done)
    }

    /// Where the snapshot stands. Walks over the tables: for a status line, not for each row.
    pub fn progress(&self) -> Progress {
        let all_done = |table: &&Table<P, L, R>| table.state() == TableState::AllDone;
        Progress {
            tables: self.tables.len(),
            tables_done: self.tables.values().filter(all_done).count(),
            ranges_open: self.ranges.len() - self.awaiting.len(),
            ranges_read: self.awaiting.len(),
            ranges_done: self.ranges_done,
            ranges_handed_back: self.ranges_handed_back,
            rows_done: self.rows_done,
            bytes_held: self.ledger.held(),
            bytes_reserved: self.ledger.reserved(),
        }
    }
}
