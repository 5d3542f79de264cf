//! How long to wait before the next attempt: doubling, with a ceiling.

use std::time::Duration;

/// Doubling delays between `first` and `longest`.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Backoff { first, longest, next: first }
    }

    /// The delay before the next attempt.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (self.next * 2).min(self.longest);
        delay
    }

    /// Something went well: the next failure starts small again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_ceiling_and_start_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3));
        let delays: Vec<u64> = (0..3).map(|_| backoff.next_delay().as_secs()).collect();
        assert_eq!(delays, [1, 2, 3]);
        backoff.reset();
        assert_eq!(backoff.next_delay().as_secs(), 1);
    }
}
