//! The error every crate gives at its boundary. The kind answers "who acts?"; the text follows one form:
//! message (lower case, no full stop), detail, hint (what to do about it), source (attached, never formatted in).

use std::fmt;

use crate::TableId;

/// The result of every fallible call at a crate boundary.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who has to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The engine retries with back-off: a connection broke, a server restarted.
    Transient,
    /// The pipeline file is wrong: the process ends with exit code 78.
    Config,
    /// A person must act (a grant, a purged log, a full disk): stop, print the hint.
    Operator,
    /// The data of one table cannot be captured or written: that table stops by its policy, others go on.
    Data {
        /// The table whose data it is.
        table: TableId,
    },
    /// A broken invariant of ours: stop and ask for a report.
    Internal,
}

/// An error with its remedy. One pointer wide, so that a `Result` stays small on the way of the rows.
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync + 'static>>,
}

impl Error {
    /// A new error of this kind; `message` in lower case, without a full stop, naming the object it is about.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Parts {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            source: None,
        }))
    }

    /// An error that the engine retries.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// An error of the pipeline file.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// An error that a person must mend.
    pub fn operator(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Operator, message)
    }

    /// An error in the data of one table.
    pub fn data(table: TableId, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data { table }, message)
    }

    /// A broken invariant of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds a second sentence: where and why.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Attaches the cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync + 'static>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Who has to act.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// What happened, one line.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where and why.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What to do about it.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the engine may try again by itself.
    pub fn is_transient(&self) -> bool {
        self.0.kind == ErrorKind::Transient
    }

    /// Whether this is one table's failure, and whose.
    pub fn table(&self) -> Option<&TableId> {
        match &self.0.kind {
            ErrorKind::Data { table } => Some(table),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(detail) = &self.0.detail {
            write!(f, ": {detail}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, " <- {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
