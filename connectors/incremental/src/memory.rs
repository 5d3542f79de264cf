//! What rows, overlays and running SELECTs take of the budget.

/// Two sums in bytes: what is there, and what running SELECTs may still bring.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    held: u64,
    reserved: u64,
}

impl Ledger {
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(crate) fn total(&self) -> u64 {
        self.held.saturating_add(self.reserved)
    }

    /// A range that held `before` now holds `after`.
    pub(crate) fn replace(&mut self, before: u64, after: u64) {
        self.held = self.held.saturating_sub(before).saturating_add(after);
    }

    pub(crate) fn reserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_add(bytes);
    }

    pub(crate) fn unreserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_sub(bytes);
    }
}
