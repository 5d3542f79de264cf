//! Statements against a tracker, one table-driven check.
