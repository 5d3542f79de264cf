//! Who waits while sink tables change (correctness §6 "A change runs"), as a pure state machine: no I/O, no clock.
//!
//! A set of changes comes with the log's order. Unless all of it is additive, a barrier is cut at its place, and only when
//! that checkpoint, which carries the set as pending, is committed, the changes are applied; then the writers get the new
//! schemas. Rows of the changing tables that come meanwhile are held, in their order, and so is every later barrier: a
//! checkpoint behind held rows would lose them. Other tables' rows pass. A further set waits until nothing is held, and
//! the source with it, so that its barrier too is cut at its place; and the source waits when held rows have used up their
//! budget.
//!
//! After a crash the checkpoint's pending set is applied first. The sink's tables are then before or behind it, and apply
//! compares and finishes.

use std::collections::{BTreeSet, VecDeque};

use cdc_api::{CheckpointId, TableId};

/// Changes of one place in the log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ChangeSet<C> {
    /// The sink tables that change.
    pub(crate) tables: BTreeSet<TableId>,
    /// What is to be done, in order.
    pub(crate) changes: Vec<C>,
    /// Rows before it have to be committed first.
    pub(crate) needs_commit: bool,
}

/// What the caller does next.
#[derive(Debug, PartialEq)]
pub(crate) enum Next<C> {
    /// Nothing; something is under way or has to end first.
    Wait,
    /// Cut a barrier here, now, with these changes as pending, then [`Pause::barrier_cut`].
    Barrier(Vec<C>),
    /// Apply these beside the flow, then [`Pause::applied`].
    Apply(Vec<C>),
}

#[derive(Debug)]
enum State<C> {
    /// Everything flows.
    Open,
    /// A barrier is asked for.
    Cutting(ChangeSet<C>),
    /// The barrier was cut, its checkpoint is on its way.
    Committing(ChangeSet<C>, CheckpointId),
    /// The changes are being applied.
    Applying(ChangeSet<C>),
}

/// The machine. `C` is a change, `R` are rows that can be held.
#[derive(Debug)]
pub(crate) struct Pause<C, R> {
    state: State<C>,
    held: VecDeque<R>,
    held_bytes: usize,
    held_bytes_max: usize,
    /// A set that came while another was under way.
    waiting: Option<ChangeSet<C>>,
    #[cfg(test)]
    pub(super) mutation: Option<super::pause_sim::Mutation>,
}

impl<C: Clone, R> Pause<C, R> {
    /// Nothing is under way.
    pub(crate) fn new(held_bytes_max: usize) -> Self {
        Pause {
            state: State::Open,
            held: VecDeque::new(),
            held_bytes: 0,
            held_bytes_max,
            waiting: None,
            #[cfg(test)]
            mutation: None,
        }
    }

    /// A set of changes comes. `may_cut`: a barrier can be cut now.
    ///
    /// # Panics
    /// When the source was read although [`Pause::may_read`] said no.
    pub(crate) fn change(&mut self, set: ChangeSet<C>, may_cut: bool) -> Next<C> {
        assert!(self.waiting.is_none(), "the source was read while a change waited");
        self.waiting = Some(set);
        self.resume(may_cut)
    }

    /// Something has ended: the set that waits may begin.
    pub(crate) fn resume(&mut self, may_cut: bool) -> Next<C> {
        if !matches!(self.state, State::Open) {
            return Next::Wait;
        }
        match self.waiting.take() {
            Some(set) if self.needs_commit(&set) && !may_cut => {
                self.waiting = Some(set);
                Next::Wait
            }
            Some(set) if self.needs_commit(&set) => {
                let pending = self.pending(&set);
                self.state = State::Cutting(set);
                Next::Barrier(pending)
            }
            Some(set) => {
                let changes = set.changes.clone();
                self.state = State::Applying(set);
                Next::Apply(changes)
            }
            None => Next::Wait,
        }
    }

    /// The barrier that was asked for has been cut.
    pub(crate) fn barrier_cut(&mut self, checkpoint: CheckpointId) {
        self.state = match std::mem::replace(&mut self.state, State::Open) {
            State::Cutting(set) => State::Committing(set, checkpoint),
            other => other,
        };
    }

    /// A checkpoint is committed.
    pub(crate) fn committed(&mut self, checkpoint: CheckpointId) -> Next<C> {
        match std::mem::replace(&mut self.state, State::Open) {
            State::Committing(set, of) if of == checkpoint => {
                let changes = set.changes.clone();
                self.state = State::Applying(set);
                Next::Apply(changes)
            }
            other => {
                self.state = other;
                Next::Wait
            }
        }
    }

    /// The changes are applied and the writers know the new schemas: the rows that were held go on, in this order. Then
    /// [`Pause::resume`].
    pub(crate) fn applied(&mut self) -> VecDeque<R> {
        self.state = State::Open;
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Rows of a sink table: given back when they may pass, else held.
    pub(crate) fn rows(&mut self, table: &TableId, bytes: usize, rows: R) -> Option<R> {
        let holds = match &self.state {
            State::Open => false,
            State::Cutting(set) | State::Committing(set, _) | State::Applying(set) => {
                set.tables.contains(table)
            }
        };
        if !holds || self.passes_held() {
            return Some(rows);
        }
        self.held_bytes += bytes;
        self.held.push_back(rows);
        None
    }

    /// Whether a change may be worked out: none is under way, none waits.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open) && self.waiting.is_none()
    }

    /// Whether the source may be read.
    pub(crate) fn may_read(&self) -> bool {
        self.waiting.is_none() && self.held_bytes <= self.held_bytes_max
    }

    /// Whether a barrier of the interval may be cut: nothing is held behind it.
    pub(crate) fn may_cut(&self) -> bool {
        self.is_open() || self.cuts_while_holding()
    }

    /// Bytes of the rows that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn needs_commit(&self, set: &ChangeSet<C>) -> bool {
        #[cfg(test)]
        if self.mutation == Some(super::pause_sim::Mutation::AppliedBeforeCommit) {
            return false;
        }
        set.needs_commit
    }

    fn pending(&self, set: &ChangeSet<C>) -> Vec<C> {
        #[cfg(test)]
        if self.mutation == Some(super::pause_sim::Mutation::BarrierWithoutPending) {
            return Vec::new();
        }
        set.changes.clone()
    }

    fn passes_held(&self) -> bool {
        #[cfg(test)]
        if self.mutation == Some(super::pause_sim::Mutation::RowsPassWhileHeld) {
            return true;
        }
        false
    }

    fn cuts_while_holding(&self) -> bool {
        #[cfg(test)]
        if self.mutation == Some(super::pause_sim::Mutation::BarrierWhileHolding) {
            return true;
        }
        false
    }
}
