//! Transforms: SQL projection and filter on the way, a batch at a time over Arrow columns.
//!
//! [`Rule::compile`] checks the texts of a rule against a table's schema and gives a [`Program`]; its
//! [`Program::eval`] turns a [`cdc_api::ChangeBatch`] of the source's table into one of the output table. The dialect is
//! Flink CDC's; docs/transform.md lists every function and every place where the dialects of SQL differ.

mod arith;
mod calendar;
mod cast;
mod columns;
mod compare;
mod decimal;
mod eval;
mod format;
mod functions;
mod node;
mod plan;
mod program;
mod routine;
mod rule;
mod sql;
mod text;
mod types;
mod value;
#[cfg(feature = "wasm")]
mod wasm;

pub use node::Metadata;
pub use program::Program;
pub use routine::{Routine, RoutineFault, RoutineKey, RoutineText};
pub use rule::{Context, Part, Rule, RuleText, SqlFault};
pub use types::DecimalMode;

/// A zone by its name in the tz database, such as `Europe/Berlin`.
pub fn zone(name: &str) -> Option<chrono_tz::Tz> {
    name.parse().ok()
}

/// The names of all built-in functions.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    let forms = ["TRIM_BOTH", "TRIM_LEADING", "TRIM_TRAILING"];
    functions::all()
        .map(|function| function.name)
        .chain(functions::LAZY)
        .filter(move |name| !forms.contains(name))
}
