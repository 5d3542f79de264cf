//! One range of a table's keys: its four states, and the overlay that keeps what the log says
//! about its keys while its rows are being read.

use std::collections::BTreeMap;

use crate::{interval::Interval, key::Key};

/// The name of one attempt to read a range. Never used again, so that a chunk reader that comes
/// late with the rows of a range that was handed back is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(pub(crate) u64);

/// A part of a table's key space. The segments of a table are disjoint and cover every key.
#[derive(Debug)]
pub(crate) struct Segment<P, L, R> {
    pub(crate) interval: Interval<L>,
    /// Whether the lower end was asked for by the caller: such a cut lets readers work side by
    /// side, so Unread neighbours are not merged over it.
    pub(crate) starts_at_cut: bool,
    pub(crate) state: State<P, R>,
}

/// The state of a segment (correctness §2).
#[derive(Debug)]
pub(crate) enum State<P, R> {
    /// Log events are dropped: all that the reader has passed will be visible to the SELECT.
    Unread,
    /// The SELECT may run; log events are kept in the overlay.
    Open { at: P, rows_max: u64, overlay: Overlay<R> },
    /// The rows are there and wait for the reader to reach `high`; log events are still kept,
    /// also past `high`, until the reader stands at a boundary.
    Read { high: P, rows: u64, bytes: u64, overlay: Overlay<R> },
    /// Rows are out; log events are emitted.
    Done,
}

impl<P, R> State<P, R> {
    pub(crate) fn is_unread(&self) -> bool {
        matches!(self, State::Unread)
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, State::Done)
    }

    /// The bytes of rows and overlay that this segment holds.
    pub(crate) fn bytes_held(&self) -> u64 {
        match self {
            State::Unread | State::Done => 0,
            State::Open { overlay, .. } => overlay.bytes(),
            State::Read { bytes, overlay, .. } => bytes + overlay.bytes(),
        }
    }
}

/// The last image, or a tombstone, of each key that the log has touched since the range was
/// opened.
#[derive(Debug)]
pub(crate) struct Overlay<R> {
    entries: BTreeMap<Key, Entry<R>>,
    bytes: u64,
}

#[derive(Debug)]
struct Entry<R> {
    image: Option<R>,
    bytes: u64,
}

/// What an entry costs beside its key and its image: the map's node and the key's counters.
const ENTRY_OVERHEAD_BYTES: u64 = 96;

impl<R> Default for Overlay<R> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), bytes: 0 }
    }
}

impl<R> Overlay<R> {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Keeps the last image of `key`; `None` is its tombstone.
    pub(crate) fn keep(&mut self, key: &[u8], image: Option<R>, image_bytes: u64) {
        let bytes = image_bytes.saturating_add(key.len() as u64 + ENTRY_OVERHEAD_BYTES);
        self.bytes += bytes;
        let entry = Entry { image, bytes };
        let replaced = match self.entries.get_mut(key) {
            Some(present) => Some(std::mem::replace(present, entry)),
            None => self.entries.insert(Key::from(key), entry),
        };
        self.bytes -= replaced.map_or(0, |entry| entry.bytes);
    }

    /// Forgets everything about `key`: what a machine without tombstones would do.
    #[cfg(test)]
    pub(crate) fn forget(&mut self, key: &[u8]) {
        self.bytes -= self.entries.remove(key).map_or(0, |entry| entry.bytes);
    }

    /// Discards all beyond `key`: the range ends there now, and what lies beyond is Unread.
    pub(crate) fn discard_beyond(&mut self, key: &Key) {
        self.entries.retain(|kept, _| kept <= key);
        self.bytes = self.entries.values().map(|entry| entry.bytes).sum();
    }

    /// The entries in key order.
    pub(crate) fn into_entries(self) -> Vec<(Key, Option<R>)> {
        self.entries.into_iter().map(|(key, entry)| (key, entry.image)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_keeps_the_last_image_and_counts_its_bytes_once() {
        let mut overlay = Overlay::default();
        overlay.keep(&[2], Some("old"), 1000);
        overlay.keep(&[2], Some("new"), 10);
        overlay.keep(&[1], None, 0);
        assert_eq!(overlay.bytes(), 12 + 2 * ENTRY_OVERHEAD_BYTES);
        overlay.keep(&[3], Some("beyond"), 7);
        overlay.discard_beyond(&Key::from(vec![2]));
        assert_eq!(overlay.bytes(), 12 + 2 * ENTRY_OVERHEAD_BYTES);
        let entries = overlay.into_entries();
        assert_eq!(entries, [(Key::from(vec![1]), None), (Key::from(vec![2]), Some("new"))]);
    }
}
