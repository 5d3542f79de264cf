//! The table of built-in functions, by group.

mod json;
mod nested;
mod number;
mod regexes;
mod strings;
mod temporal;

pub(crate) use json::subscript;
pub(crate) use strings::joined;
pub(crate) use temporal::{later, sum_type};

use crate::node::Function;

const GROUPS: [&[Function]; 6] = [
    strings::FUNCTIONS,
    regexes::FUNCTIONS,
    number::FUNCTIONS,
    temporal::FUNCTIONS,
    nested::FUNCTIONS,
    json::FUNCTIONS,
];

/// The functions of the planner itself, which evaluate their arguments only where needed.
pub(crate) const LAZY: [&str; 4] = ["COALESCE", "IF", "IFNULL", "NULLIF"];

/// A function by its name in any case.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name.eq_ignore_ascii_case(name))
}

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Function> {
    GROUPS.into_iter().flatten()
}
