//! What the log says of tables, as the reader hears it: at the end of the frame that brought it.

use std::sync::Arc;

use cdc_api::TableId;
use cdc_incremental::Bound;

use super::CapturedTable;
use crate::keys::KeyLiteral;

/// A change of a captured table, or of what is captured. In the log's order.
#[derive(Debug)]
pub(crate) enum TableChange {
    /// A table, or a new incarnation of one, begins.
    Begin {
        /// Under a key of its own.
        table: Arc<CapturedTable>,
        /// The incarnation whose rows are void by that.
        replaces: Option<Arc<CapturedTable>>,
        /// The log has all of its rows, from the first.
        born: bool,
        /// Where to cut it when it is to be copied.
        cuts: Vec<Bound<KeyLiteral>>,
        /// Why, for the log.
        why: String,
    },
    /// The same rows under another definition.
    Alter {
        /// As it was.
        before: Arc<CapturedTable>,
        /// As it is from here on; the same key.
        table: Arc<CapturedTable>,
    },
    /// All rows are gone.
    Truncate(Arc<CapturedTable>),
    /// It is gone, or has a name that is not captured.
    Drop(Arc<CapturedTable>),
    /// It cannot be captured any more.
    Stop {
        /// Which.
        id: TableId,
        /// As it was captured; none when it never was.
        table: Option<Arc<CapturedTable>>,
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
}

impl TableChange {
    /// Brings a catalog to the state behind the change.
    pub(crate) fn apply(&self, catalog: &mut super::Catalog) {
        match self {
            TableChange::Begin { table, replaces, .. } => {
                if let Some(replaced) = replaces {
                    catalog.remove(replaced.key);
                }
                catalog.put(Arc::clone(table));
            }
            TableChange::Alter { table, .. } => catalog.put(Arc::clone(table)),
            TableChange::Drop(table) => {
                catalog.remove(table.key);
            }
            TableChange::Truncate(_) | TableChange::Stop { .. } => {}
        }
    }
}
