//! Vectors whose buffers come back: what a batch took along is filled again when nobody needs the batch any more, so that a
//! table of hundreds of columns does not ask the allocator for as many blocks with each batch, and writes to memory that is
//! still in the cache.

use std::collections::VecDeque;

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};

/// A vector that may have more items, left from before, than it holds: what is written anyway need not be set first.
#[derive(Debug)]
pub(super) struct Room<T> {
    items: Vec<T>,
    /// How many of the items it holds; all of them when they are fewer.
    held: usize,
}

impl<T: Copy + Default> Room<T> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Room { items: Vec::with_capacity(capacity), held: usize::MAX }
    }
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.held.min(self.items.len())
    }
    #[inline]
    pub(super) fn push(&mut self, item: T) {
        if let Some(left) = self.items.get_mut(self.held) {
            *left = item;
            self.held += 1;
        } else {
            self.items.push(item);
            self.held = usize::MAX;
        }
    }
    /// Holds so many items more, of any value, which are to be overwritten.
    #[inline(always)]
    pub(super) fn grow(&mut self, count: usize) -> &mut [T] {
        let start = self.len();
        let end = start + count;
        if end > self.items.len() {
            self.items.resize(end, T::default());
        }
        self.held = end;
        self.items.get_mut(start..end).unwrap_or_default()
    }
    /// The items from here on; none when it holds fewer.
    pub(super) fn behind(&self, start: usize) -> Option<&[T]> {
        self.items.get(start..self.len())
    }
    pub(super) fn behind_mut(&mut self, start: usize) -> Option<&mut [T]> {
        let end = self.len();
        self.items.get_mut(start..end)
    }
    pub(super) fn last(&self) -> Option<&T> {
        self.items.get(self.len().checked_sub(1)?)
    }
    pub(super) fn truncate(&mut self, count: usize) {
        self.held = self.len().min(count);
    }
    /// As a plain vector, which holds the items and nothing else.
    #[inline]
    pub(super) fn vec(&mut self) -> &mut Vec<T> {
        self.items.truncate(self.held);
        self.held = usize::MAX;
        &mut self.items
    }
}

impl<T: Copy + Default + ArrowNativeType> Room<T> {
    /// Takes the items; it is empty again, and has no room.
    pub(super) fn finish(&mut self, lending: &mut Lending) -> ScalarBuffer<T> {
        let count = self.len();
        self.held = usize::MAX;
        let buffer = Buffer::from_vec(std::mem::take(&mut self.items));
        lending.lend(&buffer);
        ScalarBuffer::new(buffer, 0, count)
    }
    /// Gets the room of the batch that came back, or room for so many items.
    pub(super) fn make_room(&mut self, wanted: usize, returned: &mut Returned) {
        *self = Room { items: returned.room(wanted), held: 0 };
    }
}

/// How much a batch may need: batches of one table are much alike.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::decode) struct Expected {
    last: u32,
    before: u32,
}

impl Expected {
    /// So much were needed this time.
    pub(in crate::decode) fn note(&mut self, count: usize) {
        self.before = self.last;
        self.last = u32::try_from(count).unwrap_or(u32::MAX);
    }
    pub(in crate::decode) fn count(self) -> usize {
        self.last.max(self.before) as usize
    }
}

/// Batches whose buffers are waited for; with more the oldest are forgotten: their buffers are freed with the batch.
const AWAY_MAX: usize = 4;
/// A buffer that has room for so many times what is wanted is freed: a small batch must not hold much memory.
const ROOM_FACTOR_MAX: usize = 4;
const ROOM_ITEMS_MIN: usize = 256;

/// The buffers that batches took along, oldest first, those of each batch in the order of its columns.
#[derive(Debug, Default)]
pub(in crate::decode) struct Lent(VecDeque<Vec<Option<Buffer>>>);

/// The buffers of a batch that is being finished.
#[derive(Debug, Default)]
pub(in crate::decode) struct Lending(Vec<Option<Buffer>>);

/// The buffers of a batch that nobody needs any more, and how many of them were taken.
#[derive(Debug, Default)]
pub(in crate::decode) struct Returned {
    buffers: Vec<Option<Buffer>>,
    taken: usize,
}

impl Lent {
    /// Waits for these.
    pub(in crate::decode) fn lend(&mut self, Lending(buffers): Lending) {
        if self.0.len() == AWAY_MAX {
            self.0.pop_front();
        }
        self.0.push_back(buffers);
    }
    /// The buffers of the latest batch that nobody needs any more; nothing when all are needed. Those of older such batches
    /// are freed, since fewer are under way now.
    pub(in crate::decode) fn take_back(&mut self) -> Returned {
        let is_free = |buffers: &Vec<Option<Buffer>>| {
            buffers.iter().flatten().all(|buffer| buffer.strong_count() == 1)
        };
        let Some(latest) = self.0.iter().rposition(is_free) else { return Returned::default() };
        let buffers = self.0.remove(latest).unwrap_or_default();
        self.0.retain(|buffers| !is_free(buffers));
        Returned { buffers, taken: 0 }
    }
}

impl Lending {
    /// Nothing yet; in the place of those that came back.
    pub(in crate::decode) fn in_place_of(Returned { mut buffers, .. }: Returned) -> Self {
        buffers.clear();
        Lending(buffers)
    }
    /// In the place of a buffer that there is not this time.
    pub(super) fn none(&mut self) {
        self.0.push(None);
    }
    pub(super) fn lend(&mut self, buffer: &Buffer) {
        self.0.push(Some(buffer.clone()));
    }
}

impl Returned {
    fn next(&mut self) -> Option<Buffer> {
        let next = self.buffers.get_mut(self.taken)?.take();
        self.taken += 1;
        next
    }
    /// Leaves out a buffer that nothing was built of.
    pub(super) fn skip(&mut self) {
        self.next();
    }
    /// Room for so many items: the next buffer's, with what is left in it, or new.
    pub(super) fn room<T: ArrowNativeType>(&mut self, wanted: usize) -> Vec<T> {
        self.items(wanted).unwrap_or_else(|| Vec::with_capacity(wanted + wanted / 8))
    }
    /// The next buffer's items, unless it has too little room or far too much.
    fn items<T: ArrowNativeType>(&mut self, wanted: usize) -> Option<Vec<T>> {
        let items = self.next()?.into_vec::<T>().ok()?;
        let most = (wanted * ROOM_FACTOR_MAX).max(ROOM_ITEMS_MIN);
        (wanted..=most).contains(&items.capacity()).then_some(items)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn given_back<T: ArrowNativeType>(items: Vec<T>) -> Returned {
        Returned { buffers: vec![Some(Buffer::from_vec(items))], taken: 0 }
    }

    #[derive(Debug, Clone)]
    enum Call {
        Push(u16),
        Grow(usize),
        Truncate(usize),
        Vec(usize),
        Finish,
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let call = prop_oneof![
            any::<u16>().prop_map(Call::Push),
            (0usize..70).prop_map(Call::Grow),
            (0usize..200).prop_map(Call::Truncate),
            (0usize..5).prop_map(Call::Vec),
            Just(Call::Finish),
        ];
        proptest::collection::vec(call, 0..60)
    }

    proptest! {
        #[test]
        fn a_room_is_a_vector_whatever_came_back(calls in calls(), left in 0usize..150) {
            let mut room = Room::with_capacity(3);
            room.make_room(0, &mut given_back(vec![7u16; left]));
            let (mut model, mut lending) = (Vec::new(), Lending::default());
            for (nth, call) in (0u16..).zip(calls) {
                match call {
                    Call::Push(item) => {
                        room.push(item);
                        model.push(item);
                    }
                    Call::Grow(count) => {
                        let grown = room.grow(count);
                        prop_assert_eq!(grown.len(), count);
                        grown.fill(nth);
                        model.extend(std::iter::repeat_n(nth, count));
                    }
                    Call::Truncate(count) => {
                        room.truncate(count);
                        model.truncate(count);
                    }
                    Call::Vec(count) => {
                        room.vec().extend(std::iter::repeat_n(nth, count));
                        model.extend(std::iter::repeat_n(nth, count));
                    }
                    Call::Finish => {
                        prop_assert_eq!(&*room.finish(&mut lending), &model[..]);
                        model.clear();
                        let mut returned =
                            Returned { buffers: std::mem::take(&mut lending.0), taken: 0 };
                        room.make_room(0, &mut returned);
                    }
                }
                prop_assert_eq!(room.len(), model.len());
                prop_assert_eq!(room.last(), model.last());
                let middle = model.len() / 2;
                prop_assert_eq!(room.behind(middle), Some(&model[middle..]));
                prop_assert_eq!(room.behind_mut(0), Some(&mut model[..]));
            }
        }
    }

    /// A batch of one buffer.
    fn lend(lent: &mut Lent, items: usize) -> ScalarBuffer<u32> {
        let mut room = Room::with_capacity(items);
        room.grow(items).fill(items as u32);
        let mut lending = Lending::default();
        let finished = room.finish(&mut lending);
        lent.lend(lending);
        finished
    }

    #[test]
    fn a_buffer_comes_back_when_nobody_has_it_any_more() {
        let mut lent = Lent::default();
        let batch = lend(&mut lent, 300);
        let place = batch.inner().as_ptr();
        let part = batch.slice(10, 5);
        assert!(lent.take_back().items::<u32>(100).is_none());
        drop(batch);
        assert!(lent.take_back().items::<u32>(100).is_none(), "a part of it is still there");
        drop(part);
        let back = lent.take_back().items::<u32>(100).unwrap();
        assert_eq!((back.as_ptr().cast(), back.len(), back[299]), (place, 300, 300));
        assert!(lent.take_back().items::<u32>(100).is_none(), "once only");
    }

    #[test]
    fn the_latest_comes_back_and_older_ones_are_freed() {
        let mut lent = Lent::default();
        let kept = lend(&mut lent, 1);
        (2..=3).for_each(|items| drop(lend(&mut lent, items)));
        let under_way = lend(&mut lent, 4);
        assert_eq!(lent.take_back().items::<u32>(1).unwrap().len(), 3);
        assert_eq!(lent.0.len(), 2);
        drop(under_way);
        assert_eq!(lent.take_back().items::<u32>(1).unwrap().len(), 4);
        drop(kept);
        assert_eq!(lent.take_back().items::<u32>(1).unwrap().len(), 1);
        assert!(lent.0.is_empty());
    }

    #[test]
    fn too_little_room_is_not_taken_nor_is_far_too_much() {
        let items = |capacity: usize, wanted: usize| {
            given_back(vec![0u8; capacity]).items::<u8>(wanted).is_some()
        };
        assert!(items(1000, 1000) && items(4000, 1000) && items(256, 1) && items(0, 0));
        assert!(!items(999, 1000) && !items(4001, 1000) && !items(257, 1));
        // Of another width: not what it was built of.
        assert!(given_back(vec![0u8; 300]).items::<u64>(1).is_none());
    }

    #[test]
    fn only_so_many_batches_are_waited_for() {
        let mut lent = Lent::default();
        let batches: Vec<_> = (0..20).map(|_| lend(&mut lent, 1)).collect();
        assert_eq!(lent.0.len(), AWAY_MAX);
        drop(batches);
        assert!(lent.take_back().items::<u32>(1).is_some());
        assert!(lent.0.is_empty());
    }
}
