//! Bits in a row, as Arrow has them: truth values, and which rows are null.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

use super::room::{Lending, Returned};

const WORD_BITS: usize = 64;

/// Bits, 64 to a word, the first the lowest. What is behind the last bit is 0.
#[derive(Debug, Default)]
pub(super) struct Bitmap {
    words: Vec<u64>,
    bits: usize,
}

impl Bitmap {
    pub(super) fn with_capacity(bits: usize) -> Self {
        Bitmap { words: Vec::with_capacity(bits.div_ceil(WORD_BITS)), bits: 0 }
    }
    pub(super) fn len(&self) -> usize {
        self.bits
    }
    #[inline]
    pub(super) fn push(&mut self, bit: bool) {
        self.extend(u64::from(bit), 1);
    }
    /// Appends the lowest `count` bits of these, at most 64.
    #[inline]
    pub(super) fn extend(&mut self, bits: u64, count: usize) {
        let count = count.min(WORD_BITS);
        if count == 0 {
            return;
        }
        let beyond = WORD_BITS - count;
        let bits = bits << beyond >> beyond;
        let used = self.bits % WORD_BITS;
        self.bits += count;
        match self.words.last_mut().filter(|_| used > 0) {
            Some(last) => {
                *last |= bits << used;
                if used + count > WORD_BITS {
                    self.words.push(bits >> (WORD_BITS - used));
                }
            }
            None => self.words.push(bits),
        }
    }
    /// Appends set bits until there are so many.
    pub(super) fn fill(&mut self, bits: usize) {
        while self.bits < bits {
            self.extend(u64::MAX, (bits - self.bits).min(WORD_BITS));
        }
    }
    pub(super) fn clear_bit(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / WORD_BITS) {
            *word &= !(1 << (at % WORD_BITS));
        }
    }
    pub(super) fn truncate(&mut self, bits: usize) {
        if bits >= self.bits {
            return;
        }
        self.bits = bits;
        self.words.truncate(bits.div_ceil(WORD_BITS));
        if let (Some(last), used @ 1..) = (self.words.last_mut(), bits % WORD_BITS) {
            *last &= (1 << used) - 1;
        }
    }
    /// Takes the bits; it is empty again, and has no room.
    pub(super) fn finish(&mut self, lending: &mut Lending) -> BooleanBuffer {
        let mut words = std::mem::take(&mut self.words);
        // Arrow's order is that of bytes.
        words.iter_mut().for_each(|word| *word = word.to_le());
        let buffer = Buffer::from_vec(words);
        lending.lend(&buffer);
        BooleanBuffer::new(buffer, 0, std::mem::take(&mut self.bits))
    }
    /// As [`super::room::Room::make_room`].
    pub(super) fn make_room(&mut self, bits: usize, returned: &mut Returned) {
        self.words = returned.room(bits.div_ceil(WORD_BITS));
        self.words.clear();
        self.bits = 0;
    }
}

/// Which rows are null. Rows that are not null leave no mark until a null comes behind them, so that they cost nothing.
#[derive(Debug, Default)]
pub(super) struct Nulls(Option<Box<Bitmap>>);

impl Nulls {
    /// The valid rows' bits, filled up for the first `rows`.
    fn valid(&mut self, rows: usize) -> &mut Bitmap {
        let valid = self.0.get_or_insert_default();
        valid.fill(rows);
        valid
    }
    /// Marks the row behind the first `rows`.
    pub(super) fn mark(&mut self, rows: usize) {
        self.valid(rows).push(false);
    }
    /// Marks those of the `count` rows behind the first `rows` whose bit is set.
    pub(super) fn mark_many(&mut self, rows: usize, nulls: u64, count: usize) {
        self.valid(rows).extend(!nulls, count);
    }
    pub(super) fn truncate(&mut self, rows: usize) {
        if let Some(valid) = &mut self.0 {
            valid.truncate(rows);
        }
    }
    /// Takes the marks of so many rows.
    pub(super) fn finish(&mut self, rows: usize, lending: &mut Lending) -> Option<NullBuffer> {
        let Some(valid) = self.0.as_mut().filter(|valid| valid.len() > 0) else {
            lending.none();
            return None;
        };
        valid.fill(rows);
        Some(NullBuffer::new(valid.finish(lending)))
    }
    /// As [`Bitmap::make_room`]; nothing when no row was null so far.
    pub(super) fn make_room(&mut self, rows: usize, returned: &mut Returned) {
        match &mut self.0 {
            Some(valid) => valid.make_room(rows, returned),
            None => returned.skip(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Call {
        Push(bool),
        Extend(u64, usize),
        Fill(usize),
        Clear(usize),
        Truncate(usize),
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let call = prop_oneof![
            any::<bool>().prop_map(Call::Push),
            (any::<u64>(), 0usize..=64).prop_map(|(bits, count)| Call::Extend(bits, count)),
            (0usize..300).prop_map(Call::Fill),
            (0usize..300).prop_map(Call::Clear),
            (0usize..300).prop_map(Call::Truncate),
        ];
        proptest::collection::vec(call, 0..40)
    }

    proptest! {
        #[test]
        fn a_bitmap_is_a_list_of_bits(calls in calls()) {
            let (mut bitmap, mut model) = (Bitmap::default(), Vec::new());
            for call in calls {
                match call {
                    Call::Push(bit) => {
                        bitmap.push(bit);
                        model.push(bit);
                    }
                    Call::Extend(bits, count) => {
                        bitmap.extend(bits, count);
                        model.extend((0..count).map(|at| bits >> at & 1 == 1));
                    }
                    Call::Fill(bits) => {
                        bitmap.fill(bits);
                        model.resize(model.len().max(bits), true);
                    }
                    Call::Clear(at) => {
                        bitmap.clear_bit(at);
                        if let Some(bit) = model.get_mut(at) {
                            *bit = false;
                        }
                    }
                    Call::Truncate(bits) => {
                        bitmap.truncate(bits);
                        model.truncate(bits);
                    }
                }
                prop_assert_eq!(bitmap.len(), model.len());
            }
            let finished = bitmap.finish(&mut Lending::default());
            prop_assert_eq!(finished.iter().collect::<Vec<_>>(), model);
            prop_assert_eq!(bitmap.len(), 0);
        }

        #[test]
        fn marks_of_null_rows_are_where_they_were_put(rows in proptest::collection::vec(any::<(bool, u64, u8)>(), 0..12)) {
            let (mut nulls, mut model) = (Nulls::default(), Vec::new());
            for (many, bits, count) in rows {
                let count = usize::from(count % 65);
                if many {
                    nulls.mark_many(model.len(), bits, count);
                    model.extend((0..count).map(|at| bits >> at & 1 == 0));
                } else {
                    // Valid rows leave no mark.
                    model.extend(std::iter::repeat_n(true, count));
                    nulls.mark(model.len());
                    model.push(false);
                }
            }
            model.extend([true; 3]);
            let finished = nulls.finish(model.len(), &mut Lending::default());
            let valid: Vec<bool> = match &finished {
                Some(nulls) => nulls.iter().collect(),
                None => vec![true; model.len()],
            };
            prop_assert_eq!(valid, model);
            prop_assert!(nulls.finish(5, &mut Lending::default()).is_none());
        }
    }
}
