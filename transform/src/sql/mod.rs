//! The SQL text of a rule: its words, its tree, and the faults found in it.
//!
//! The grammar is the expression part of SQL as Flink CDC's users write it (`POSITION(x IN y FROM n)`,
//! `OVERLAY(.. PLACING ..)`, `MAP[..]`, subscripts). It is small enough to read it here with the exact byte range
//! of every node, which the carets of error messages need.

mod lex;
mod parse;
mod types;

use cdc_api::LogicalType;
pub(crate) use parse::{projection, scalar, signature};

/// A byte range of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn to(self, end: Span) -> Span {
        Span { start: self.start, end: end.end }
    }
}

/// Something wrong at a place of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Span,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Fault {
    pub(crate) fn new(at: Span, message: impl Into<String>) -> Self {
        Fault { at, message: message.into(), hint: None }
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// One item of a projection.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// `*`: all columns of the source.
    All,
    /// An expression with the name of its column.
    Expr { expr: Expr, alias: Option<(String, Span)> },
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: Kind,
    pub(crate) at: Span,
}

/// Operators with two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Or,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Concat,
}

impl Binary {
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "OR",
            Binary::And => "AND",
            Binary::Eq => "=",
            Binary::Ne => "<>",
            Binary::Lt => "<",
            Binary::Le => "<=",
            Binary::Gt => ">",
            Binary::Ge => ">=",
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Mod => "%",
            Binary::Concat => "||",
        }
    }
}

/// What `IS` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Null,
    Unknown,
    True,
    False,
}

/// The kinds of nodes.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    /// Months and nanoseconds; one of the two is 0.
    Interval {
        months: i64,
        nanos: i64,
    },
    Column(String),
    Call {
        name: String,
        args: Vec<Expr>,
    },
    Binary {
        op: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    Is {
        expr: Box<Expr>,
        what: Is,
        not: bool,
    },
    Distinct {
        left: Box<Expr>,
        right: Box<Expr>,
        not: bool,
    },
    Between {
        expr: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        not: bool,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        not: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        similar: bool,
        not: bool,
    },
    Case {
        operand: Option<Box<Expr>>,
        whens: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        expr: Box<Expr>,
        to: LogicalType,
        lenient: bool,
    },
    Index {
        expr: Box<Expr>,
        index: Box<Expr>,
    },
    Array(Vec<Expr>),
    Map(Vec<Expr>),
    Row(Vec<Expr>),
}
