//! Text and bytes: values of any length in one buffer.

use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};

use super::{
    super::error::Fault, Expected, Lending, Nulls, Returned, Room, finish_offsets, first_offset,
    make_room_for_offsets,
};

/// Values up to this long are copied as if they were exactly this long.
const HEAD: usize = 16;

/// Values of any length, one buffer for all.
#[derive(Debug)]
pub(crate) struct Var {
    values: Room<u8>,
    offsets: Room<i32>,
    nulls: Nulls,
    /// Bytes of a batch.
    expected: Expected,
}

impl Var {
    pub(super) fn new(capacity: usize) -> Self {
        Var {
            values: Room::with_capacity(0),
            offsets: first_offset(capacity),
            nulls: Nulls::default(),
            expected: Expected::default(),
        }
    }
    /// Appends a whole value.
    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.values.grow(bytes.len()).copy_from_slice(bytes);
        self.end_value()
    }
    /// Appends the first `count` bytes: a copy of constant size and a cut cost less than a copy of any size.
    #[inline(always)]
    pub(crate) fn push_head(&mut self, head: &[u8; HEAD], count: usize) -> Result<(), Fault> {
        let start = self.values.len();
        self.values.grow(HEAD).copy_from_slice(head);
        self.values.truncate(start + count);
        self.end_value()
    }
    /// Where a value is built in place; [`Var::end_value`] ends it.
    #[inline]
    pub(crate) fn value(&mut self) -> &mut Vec<u8> {
        self.values.vec()
    }
    #[inline]
    pub(crate) fn end_value(&mut self) -> Result<(), Fault> {
        let end = self.end()?;
        self.offsets.push(end);
        Ok(())
    }
    /// Appends pieces of `from`, which have `bytes` bytes together; false when one is not there, and what was appended has
    /// to go. Each begins where it is told, and is as long as its end is behind its begin, less `head`; never less than 0.
    pub(crate) fn extend(
        &mut self,
        from: &[u8],
        bytes: usize,
        begins: &[u32],
        ends: &[u32],
        head: u32,
    ) -> Result<bool, Fault> {
        let (start, end) = (self.values.len(), self.values.len() + bytes);
        i32::try_from(end).map_err(|_| too_much())?;
        let into = self.values.grow(bytes + HEAD);
        let offsets = self.offsets.grow(begins.len());
        let lengths_end = copy_pieces(from, into, offsets, begins, ends, head);
        offsets.iter_mut().for_each(|offset| *offset = offset.wrapping_add(start as i32));
        self.values.truncate(end);
        Ok(lengths_end == Some(bytes))
    }
    /// Makes null what has a set bit among the `count` values behind the first `rows`; they are empty.
    pub(crate) fn mark_nulls(&mut self, rows: usize, nulls: u64, count: usize) {
        self.nulls.mark_many(rows, nulls, count);
    }
    /// Whether each of the values behind the first `rows` is UTF-8. The column's text before them is not looked at.
    pub(crate) fn is_utf8_behind(&self, rows: usize) -> bool {
        let Some((&start, ends)) = self.offsets.behind(rows).and_then(<[i32]>::split_first) else {
            return false;
        };
        let Some(bytes) = self.values.behind(start as usize) else { return false };
        if is_ascii(bytes) {
            return true;
        }
        // Text that is UTF-8 as a whole and cut between characters is UTF-8 piece by piece.
        std::str::from_utf8(bytes)
            .is_ok_and(|text| ends.iter().all(|&end| text.is_char_boundary((end - start) as usize)))
    }
    #[inline]
    fn end(&self) -> Result<i32, Fault> {
        i32::try_from(self.values.len()).map_err(|_| too_much())
    }
    #[inline]
    pub(super) fn push_null(&mut self) {
        self.nulls.mark(self.offsets.len() - 1);
        self.offsets.push(self.last());
    }
    fn last(&self) -> i32 {
        self.offsets.last().copied().unwrap_or(0)
    }
    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }
    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.nulls.truncate(rows);
        // Also when no value was ended: a failed one may have left bytes behind.
        self.values.truncate(self.last() as usize);
    }
    pub(super) fn parts(
        &mut self,
        lending: &mut Lending,
    ) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let rows = self.rows();
        self.expected.note(self.values.len());
        let values = self.values.finish(lending).into_inner();
        let offsets = finish_offsets(&mut self.offsets, lending);
        (offsets, values, self.nulls.finish(rows, lending))
    }
    pub(super) fn make_room(&mut self, rows: usize, returned: &mut Returned) {
        self.values.make_room(self.expected.count(), returned);
        make_room_for_offsets(&mut self.offsets, rows, returned);
        self.nulls.make_room(rows, returned);
    }
}

/// As the standard library says it, which looks at up to 31 bytes one by one.
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Some(last) = bytes.last_chunk() else { return bytes.is_ascii() };
    let words = bytes.as_chunks().0.iter().map(|word| u64::from_ne_bytes(*word));
    words.fold(u64::from_ne_bytes(*last), |all, word| all | word) & HIGH == 0
}

/// Copies what [`Var::extend`] appends to the start of `into`, and says where each piece ends there, and where all do; none
/// when a piece or its room is not there.
#[inline(never)]
fn copy_pieces(
    from: &[u8],
    into: &mut [u8],
    offsets: &mut [i32],
    begins: &[u32],
    ends: &[u32],
    head: u32,
) -> Option<usize> {
    let mut at = 0u32;
    for (offset, (&begin, &end)) in offsets.iter_mut().zip(begins.iter().zip(ends)) {
        let length = end.saturating_sub(begin.wrapping_add(head));
        // A copy of constant size costs less than one of any size; what is too much is overwritten.
        let (begin, place) = (begin as usize, at as usize);
        if length <= HEAD as u32
            && let Some(piece) = from.get(begin..begin + HEAD)
            && let Some(into) = into.get_mut(place..place + HEAD)
        {
            into.copy_from_slice(piece);
        } else {
            copy(from, begin, length as usize, into, place)?;
        }
        at = at.wrapping_add(length);
        *offset = at as i32;
    }
    Some(at as usize)
}

/// Copies a piece of any length.
#[inline(never)]
fn copy(from: &[u8], begin: usize, length: usize, into: &mut [u8], place: usize) -> Option<()> {
    let piece = from.get(begin..)?.get(..length)?;
    into.get_mut(place..)?.get_mut(..length)?.copy_from_slice(piece);
    Some(())
}

#[cold]
fn too_much() -> Fault {
    Fault::new("a batch holds more than 2 GiB of one column")
}
