//! What happened in the schedules: a simulation that never gets into a corner proves nothing about
//! it, so the test run asserts that each of these did happen.

macro_rules! coverage {
    ($($counter:ident),* $(,)?) => {
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub(super) struct Coverage {
            $(pub(super) $counter: usize,)*
        }

        impl Coverage {
            pub(super) fn add(&mut self, other: &Coverage) {
                $(self.$counter += other.$counter;)*
            }

            /// The counters that are 0.
            pub(super) fn missing(&self) -> Vec<&'static str> {
                let counters = [$((stringify!($counter), self.$counter)),*];
                counters.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name).collect()
            }
        }
    };
}

coverage! {
    checkpoints,
    completed,
    crashes,
    crashes_inside,
    cut,
    emitted,
    created_while_held,
    handed_back,
    held_by_gaps,
    kept,
    over_budget,
    read_inside,
    refused_by_locks,
    relocations,
    relocations_inside,
    stale,
    tables_added,
    unknown_xa,
    xa_awaited,
}
