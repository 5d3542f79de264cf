//! Row events of one statement that wait for the next: images of wide rows come few to an event, and are decoded quicker
//! together. Held events are decoded before anything else in the log takes effect.

use std::sync::Arc;

use crate::{
    decode::binlog::{BinlogPlan, RowsEvent, RowsKind},
    position::LogPosition,
    source::CapturedTable,
};

/// Images that wait are decoded when they have so many bytes.
const BYTES_MAX: usize = 256 << 10;
/// Before that, as many as make the largest runs are: what waits should still be in the processor's cache.
const BYTES_ENOUGH: usize = 128 << 10;

/// The images of events that do the same to one table.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) table: Arc<CapturedTable>,
    pub(crate) plan: Arc<BinlogPlan>,
    pub(crate) kind: RowsKind,
    /// All images, one behind the other.
    pub(crate) images: Vec<u8>,
    /// Where each event's images end.
    pub(crate) ends: Vec<usize>,
    /// Where the decoder stood at each event.
    places: Vec<LogPosition>,
    /// Whether they make no run of rows.
    is_left: bool,
}

impl Held {
    /// Nothing yet of these events; `room` is that of images that were held before.
    pub(crate) fn new(
        table: Arc<CapturedTable>,
        plan: Arc<BinlogPlan>,
        kind: RowsKind,
        mut room: Vec<u8>,
    ) -> Self {
        room.clear();
        Held {
            table,
            plan,
            kind,
            images: room,
            ends: Vec::new(),
            places: Vec::new(),
            is_left: false,
        }
    }

    /// Whether an event may wait for others: more of its statement come, and it is small. An update's images are compared
    /// with each other, and what is not whole has to be completed first.
    pub(crate) fn may_wait(event: &RowsEvent<'_>) -> bool {
        event.kind != RowsKind::Update
            && event.flags & RowsEvent::STATEMENT_END == 0
            && event.rows().len() < BYTES_MAX / 4
    }

    /// Whether an event goes on with what is held.
    pub(crate) fn goes_on(&self, plan: &Arc<BinlogPlan>, kind: RowsKind) -> bool {
        Arc::ptr_eq(&self.plan, plan) && self.kind == kind
    }

    /// Takes an event's images.
    pub(crate) fn push(&mut self, images: &[u8], place: &LogPosition) {
        self.images.extend_from_slice(images);
        self.ends.push(self.images.len());
        self.places.push(place.clone());
    }

    /// Whether it holds as much as may wait.
    pub(crate) fn is_full(&self) -> bool {
        self.images.len() >= BYTES_MAX
    }

    /// Whether runs of rows should be decoded of it. What was left the last time is not looked at again.
    pub(crate) fn has_enough(&self) -> bool {
        self.images.len() >= BYTES_ENOUGH && !self.is_left
    }

    /// The first bytes of the images were decoded.
    pub(crate) fn cut_front(&mut self, bytes: usize) {
        self.is_left = bytes == 0;
        self.images.drain(..bytes.min(self.images.len()));
        let gone = self.ends.partition_point(|&end| end <= bytes);
        self.ends.drain(..gone);
        self.places.drain(..gone);
        self.ends.iter_mut().for_each(|end| *end -= bytes);
    }

    /// Where the decoder stood at the event that has this byte of the images.
    pub(crate) fn place(&self, at: usize) -> Option<&LogPosition> {
        self.places.get(self.ends.partition_point(|&end| end <= at))
    }
}
