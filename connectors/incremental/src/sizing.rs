//! How many rows the next chunk of a table may have: learnt from the bytes and the time of the
//! last one, and made smaller when a range had to be handed back.

/// The bounds of the machine's appetite. All of them are upper bounds but `chunk_time_us_target`
/// and `chunk_bytes_target`, which chunks are steered towards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory for the rows of chunks and for overlays, together (correctness §2, "Memory").
    pub bytes_max: u64,
    /// The most rows that one chunk may have, whatever its rows' size.
    pub rows_per_chunk_max: u64,
    /// How many bytes of rows a chunk should have.
    pub chunk_bytes_target: u64,
    /// How long a chunk's SELECT should take.
    pub chunk_time_us_target: u64,
}

impl Limits {
    /// The most bytes that one SELECT may bring before it is stopped after a whole key. Twice the
    /// target leaves room for uneven rows; never more than half the budget, so that the overlay
    /// of even a lone range has room.
    pub(crate) fn chunk_bytes_share(&self) -> u64 {
        self.chunk_bytes_target.saturating_mul(2).min(self.bytes_max / 2).max(1)
    }

    /// What rows and the shares of running SELECTs may fill before another range is opened. The
    /// rest is left to overlays, or each log row would hand a range back.
    pub(crate) fn opening_bytes_max(&self) -> u64 {
        self.bytes_max / 4 * 3
    }
}

/// The first chunk of a table is this long: the width of its rows is not known yet.
const ROWS_FIRST: u64 = 2048;
/// Growth from one chunk to the next, in percent, until a range had to be handed back …
const GROWTH_EAGER_PERCENT: u64 = 400;
/// … and after that: else the size would jump back to what has just been too much.
const GROWTH_CAREFUL_PERCENT: u64 = 125;

/// The chunk size of one table.
#[derive(Clone, Debug)]
pub(crate) struct Sizing {
    rows_next: u64,
    growth_percent: u64,
}

impl Sizing {
    pub(crate) fn new(limits: &Limits) -> Self {
        let rows_next = ROWS_FIRST.min(limits.rows_per_chunk_max).max(1);
        Self { rows_next, growth_percent: GROWTH_EAGER_PERCENT }
    }

    pub(crate) fn rows_next(&self) -> u64 {
        self.rows_next
    }

    /// A range was too much for the memory, or was refused by row locks.
    pub(crate) fn shrink(&mut self) {
        self.rows_next = (self.rows_next / 2).max(1);
        self.growth_percent = GROWTH_CAREFUL_PERCENT;
    }

    /// Learns from a chunk that was read. `was_cut` says that more rows were there: only such a
    /// chunk tells what a longer one would cost, since a short one is mostly round trips.
    pub(crate) fn learn(
        &mut self,
        limits: &Limits,
        rows: u64,
        bytes: u64,
        elapsed_us: u64,
        was_cut: bool,
    ) {
        if rows == 0 {
            return;
        }
        let by_bytes = scale(rows, limits.chunk_bytes_target, bytes);
        let by_time = scale(rows, limits.chunk_time_us_target, elapsed_us);
        let ceiling = if was_cut {
            scale(self.rows_next, self.growth_percent, 100).max(self.rows_next + 1)
        } else {
            self.rows_next
        };
        let wanted = if was_cut || elapsed_us > limits.chunk_time_us_target {
            by_bytes.min(by_time)
        } else {
            by_bytes
        };
        let floor = (self.rows_next / 4).max(1);
        self.rows_next =
            wanted.clamp(floor, ceiling.max(floor)).min(limits.rows_per_chunk_max).max(1);
    }
}

/// `value * numerator / denominator` without overflow; a denominator of 0 counts as 1.
fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes_max: 64 << 20,
        rows_per_chunk_max: 100_000,
        chunk_bytes_target: 1 << 20,
        chunk_time_us_target: 500_000,
    };

    /// Reads `chunks` chunks of a table whose rows have `row_bytes` and take `row_us` each.
    fn settle(row_bytes: u64, row_us: u64, chunks: usize) -> u64 {
        let mut sizing = Sizing::new(&LIMITS);
        for _ in 0..chunks {
            let rows = sizing.rows_next();
            sizing.learn(&LIMITS, rows, rows * row_bytes, rows * row_us, true);
        }
        sizing.rows_next()
    }

    #[test]
    fn size_settles_on_the_tighter_of_bytes_and_time() {
        assert_eq!(settle(100, 1, 10), 10_485);
        assert_eq!(settle(100, 1000, 10), 500);
        assert_eq!(settle(1 << 20, 1, 10), 1);
        assert_eq!(settle(8, 1, 10), 100_000, "the user's upper limit holds");
    }

    #[test]
    fn size_changes_at_most_fourfold_at_a_time() {
        assert_eq!(settle(1, 1, 1), ROWS_FIRST * 4);
        assert_eq!(settle(1 << 20, 1, 1), ROWS_FIRST / 4);
    }

    #[test]
    fn a_short_chunk_neither_grows_nor_shrinks_by_its_round_trip() {
        let mut sizing = Sizing::new(&LIMITS);
        sizing.learn(&LIMITS, 3, 300, 20_000, false);
        assert_eq!(sizing.rows_next(), ROWS_FIRST);
        sizing.learn(&LIMITS, 0, 0, 20_000, false);
        assert_eq!(sizing.rows_next(), ROWS_FIRST);
    }

    #[test]
    fn a_range_that_was_too_much_halves_the_next_and_growth_is_careful_then() {
        let mut sizing = Sizing::new(&LIMITS);
        sizing.shrink();
        assert_eq!(sizing.rows_next(), ROWS_FIRST / 2);
        sizing.learn(&LIMITS, 1024, 1024, 1, true);
        assert_eq!(sizing.rows_next(), 1280);
        (0..64).for_each(|_| sizing.shrink());
        assert_eq!(sizing.rows_next(), 1);
        sizing.learn(&LIMITS, 1, 1, 1, true);
        assert_eq!(sizing.rows_next(), 2, "a size of one row can grow again");
    }
}
