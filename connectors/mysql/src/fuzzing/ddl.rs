//! Statements as a server logs them, through the parser and the tracker of definitions.

use std::collections::HashSet;

use cdc_api::TableId;

use super::piece;
use crate::{
    ddl::{Definition, Dialect, Interest, Outcome, Session, Tracker, bases_of, classify},
    types::Flavor,
};

/// Statements of one input that are applied.
const STATEMENTS_MAX: usize = 64;
const DATABASE: &str = "d";

/// Whose SQL it is, the status variables behind their length, then statements with a NUL between them.
pub fn ddl(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let Some((status, statements)) = piece(rest) else { return };
    let dialect = if choice & 1 == 0 {
        Dialect { flavor: Flavor::MySql, version: (9, 7, 0) }
    } else {
        Dialect { flavor: Flavor::MariaDb, version: (10, 11, 19) }
    };
    let base = Session::new(dialect, (choice >> 1) % 3);
    let mut trackers = [Tracker::new(base.clone()), Tracker::new(base)];
    for tracker in &mut trackers {
        tracker.put_database(DATABASE, "utf8mb4_general_ci");
    }
    for text in statements.split(|byte| *byte == 0).take(STATEMENTS_MAX) {
        let [first, second] = &mut trackers;
        let outcome = applied(first, status, text);
        assert!(outcome == applied(second, status, text), "one statement did two things");
        first.tables().for_each(|table| check(table));
        for id in outcome.doubts.iter().flat_map(|doubt| doubt.tables.iter().flatten()) {
            assert!(captures(id) || is_helper(id), "a doubt is about a table that is not kept");
        }
    }
}

fn applied(tracker: &mut Tracker, status: &[u8], text: &[u8]) -> Outcome {
    let session = tracker.base().of_statement(DATABASE.as_bytes(), status);
    match classify(&session, text) {
        Interest::Nothing => Outcome::default(),
        _ => tracker.apply(&session, text, &captures),
    }
}

fn captures(id: &TableId) -> bool {
    id.schema.as_deref() == Some(DATABASE)
}

fn is_helper(id: &TableId) -> bool {
    !bases_of(&id.table).is_empty()
}

/// What the decoder of rows takes for granted.
fn check(table: &Definition) {
    let columns = table.meta.columns.len();
    assert_eq!(table.ids.len(), columns, "a column has no id");
    assert!(table.ids.iter().all(|id| *id < table.next_id), "the next id is taken");
    let ids: HashSet<u32> = table.ids.iter().copied().collect();
    assert_eq!(ids.len(), columns, "two columns have one id");
    let keys = std::iter::once(&table.meta.primary_key).chain(&table.meta.unique_keys);
    assert!(keys.flatten().all(|at| *at < columns), "a key is on no column");
}
