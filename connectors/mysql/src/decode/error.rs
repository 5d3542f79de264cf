//! What is wrong with bytes from the server: small inside the decoders, and made into a [`cdc_api::Error`] by the caller,
//! who knows the table and the place in the log.

use std::{borrow::Cow, fmt};

use cdc_api::{Error, TableSchema};

/// A value or an event that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong, as a sentence fragment.
    pub what: Cow<'static, str>,
    /// The position of the column it is about.
    pub column: Option<usize>,
    /// The byte offset in the slice that was being decoded.
    pub offset: usize,
}

impl DecodeError {
    #[cold]
    pub(crate) fn new(what: impl Into<Cow<'static, str>>, offset: usize) -> Self {
        DecodeError { what: what.into(), column: None, offset }
    }

    #[cold]
    pub(crate) fn of(fault: Fault, offset: usize) -> Self {
        DecodeError { what: *fault.0, column: None, offset }
    }

    #[cold]
    pub(crate) fn of_column(fault: Fault, column: usize, offset: usize) -> Self {
        DecodeError { what: *fault.0, column: Some(column), offset }
    }

    /// In words, with the column's name.
    pub fn describe(&self, schema: &TableSchema) -> String {
        match self.column.and_then(|at| schema.columns().get(at)) {
            Some(column) => format!("column `{}`: {}", column.name, self.what),
            None => self.what.to_string(),
        }
    }

    /// The error of a table whose rows were being decoded; `place` says where they came from (file and position, or the
    /// chunk).
    pub fn into_error(self, schema: &TableSchema, place: impl fmt::Display) -> Error {
        let id = schema.id();
        let message = match self.column.and_then(|at| schema.columns().get(at)) {
            Some(column) => {
                format!("column `{}` of table \"{id}\" cannot be decoded", column.name)
            }
            None => format!("a row of table \"{id}\" cannot be decoded"),
        };
        Error::data(id.clone(), message)
            .detail(format!("{} (byte {} of the row data, {place})", self.what, self.offset))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = self.column {
            write!(f, "column {column}: ")?;
        }
        write!(f, "{} (byte {})", self.what, self.offset)
    }
}

impl std::error::Error for DecodeError {}

/// What is wrong with one cell; whoever runs the steps adds column and offset. One pointer wide, so that the results of
/// the inner loop stay in registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(Box<Cow<'static, str>>);

impl Fault {
    #[cold]
    pub(crate) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Fault(Box::new(what.into()))
    }

    #[cold]
    pub(crate) fn cut_off() -> Self {
        Self::new("the bytes end inside a value")
    }

    /// A broken invariant, worded as such; still no panic, since the pipeline must name the table and stop.
    #[cold]
    pub(crate) fn wrong_builder() -> Self {
        Self::new("internal: the plan does not fit the builder's columns")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
