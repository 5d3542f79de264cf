//! The SQL text of a rule: its words, its tree, and the faults found in it.
//!
//! The grammar is the expression part of SQL as Flink CDC's users write it (`POSITION(x IN y FROM n)`,
//! `OVERLAY(.. PLACING ..)`, `MAP[..]`, subscripts). It is small enough to read it here with the exact byte range
//! of every node, which the carets of error messages need.

mod lex;
mod parse;
mod types;

use cdc_api::LogicalType;
pub(crate) use parse::{identifier, projection, scalar, signature, types};

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
    /// How many nodes stand on the longest way down: all that walks a tree needs that much stack.
    height: usize,
}

/// Taller trees than any person writes.
pub(crate) const MAX_HEIGHT: usize = 120;

impl Expr {
    pub(crate) fn new(kind: Kind, at: Span) -> Self {
        let height = 1 + kind.children().map(|child| child.height).max().unwrap_or(0);
        Expr { kind, at, height }
    }

    /// Refuses a tree that is too tall.
    pub(crate) fn bounded(self) -> Result<Self, Fault> {
        if self.height > MAX_HEIGHT {
            return Err(Fault::new(self.at, "the expression is nested too deeply")
                .hint("split it into several columns; a long chain of OR is better an IN"));
        }
        Ok(self)
    }
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

impl Kind {
    pub(crate) fn children(&self) -> impl Iterator<Item = &Expr> {
        let (boxes, lists, whens): (Vec<&Expr>, &[Expr], &[(Expr, Expr)]) = match self {
            Kind::Null
            | Kind::Bool(_)
            | Kind::Number(_)
            | Kind::Text(_)
            | Kind::Interval { .. }
            | Kind::Column(_) => (Vec::new(), &[], &[]),
            Kind::Call { args: list, .. }
            | Kind::Array(list)
            | Kind::Map(list)
            | Kind::Row(list) => (Vec::new(), list, &[]),
            Kind::Binary { left, right, .. } | Kind::Distinct { left, right, .. } => {
                (vec![left, right], &[], &[])
            }
            Kind::Not(inner)
            | Kind::Negate(inner)
            | Kind::Is { expr: inner, .. }
            | Kind::Cast { expr: inner, .. } => (vec![inner], &[], &[]),
            Kind::Between { expr, low, high, .. } => (vec![expr, low, high], &[], &[]),
            Kind::In { expr, list, .. } => (vec![expr], list, &[]),
            Kind::Like { expr, pattern, escape, .. } => {
                let boxes = [Some(expr), Some(pattern), escape.as_ref()];
                (boxes.into_iter().flatten().map(|expr| &**expr).collect(), &[], &[])
            }
            Kind::Case { operand, whens, otherwise } => {
                let boxes = [operand.as_deref(), otherwise.as_deref()];
                (boxes.into_iter().flatten().collect(), &[], whens)
            }
            Kind::Index { expr, index } => (vec![expr, index], &[], &[]),
        };
        boxes.into_iter().chain(lists).chain(whens.iter().flat_map(|(when, then)| [when, then]))
    }
}
