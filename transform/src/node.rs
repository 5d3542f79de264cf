//! The plan's nodes: typed, resolved, ready to run.

use std::{fmt, sync::Arc};

use cdc_api::LogicalType;
use chrono_tz::Tz;

use crate::{
    columns::Columns,
    routine::{Routine, Session},
    sql::Span,
    types::DecimalMode,
    value::{Moment, Value},
};

/// What every row of a batch sees alike.
#[derive(Debug, Clone)]
pub(crate) struct Env {
    pub(crate) zone: Tz,
    pub(crate) now: Moment,
}

/// What the planner of a function sees besides its arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cx {
    pub(crate) mode: DecimalMode,
}

type KernelFn = dyn for<'a> Fn(&Env, &[Value<'a>]) -> Result<Value<'a>, String> + Send + Sync;

/// One row's computation.
#[derive(Clone)]
pub(crate) enum Kernel {
    Own(Arc<KernelFn>),
    /// A user's module.
    Routine(Arc<Routine>),
}

impl Kernel {
    pub(crate) fn new<F>(f: F) -> Self
    where
        F: for<'a> Fn(&Env, &[Value<'a>]) -> Result<Value<'a>, String> + Send + Sync + 'static,
    {
        Kernel::Own(Arc::new(f))
    }

    /// Ready for the rows of one batch.
    pub(crate) fn open(&self) -> Result<Running<'_>, String> {
        Ok(match self {
            Kernel::Own(kernel) => Running::Own(&**kernel),
            Kernel::Routine(routine) => Running::Routine(routine.open()?),
        })
    }
}

/// A kernel at work on one batch.
pub(crate) enum Running<'k> {
    Own(&'k KernelFn),
    Routine(Box<dyn Session>),
}

impl Running<'_> {
    pub(crate) fn call<'a>(&mut self, env: &Env, args: &[Value<'a>]) -> Result<Value<'a>, String> {
        match self {
            Running::Own(kernel) => kernel(env, args),
            Running::Routine(session) => session.call(args),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kernel")
    }
}

/// A value that belongs to the row's event and not to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// `__namespace_name__`
    Namespace,
    /// `__schema_name__`
    Schema,
    /// `__table_name__`
    Table,
    /// `__data_event_type__`
    EventType,
    /// `op_ts`: when the change was committed, milliseconds since the epoch; 0 in the snapshot.
    OpTs,
}

/// A shortcut over whole columns where kernel and types allow it.
#[derive(Debug, Clone)]
pub(crate) enum Fast {
    Arith(crate::types::Arith),
    Compare(crate::sql::Binary),
    Columns(Columns),
}

impl Fast {
    /// Whether no row can make the call fail.
    fn is_total(&self) -> bool {
        match self {
            Fast::Arith(_) => false,
            Fast::Compare(_) => true,
            Fast::Columns(columns) => columns.is_total,
        }
    }
}

/// What a node does.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Const(Value<'static>),
    Column(usize),
    Meta(Metadata),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    /// The first condition that is TRUE picks its branch; the others are not evaluated for that row.
    Case(Vec<(Node, Node)>, Box<Node>),
    /// The first that is not NULL.
    Coalesce(Vec<Node>),
    Call {
        name: String,
        args: Vec<Node>,
        /// NULL in, NULL out, without a call.
        strict: bool,
        /// Another value at each row even with constant arguments.
        volatile: bool,
        kernel: Kernel,
        fast: Option<Fast>,
    },
}

/// A typed expression with its place in the text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) op: Op,
    pub(crate) ty: LogicalType,
    pub(crate) nullable: bool,
    pub(crate) at: Span,
}

impl Node {
    pub(crate) fn constant(value: Value<'static>, ty: LogicalType, at: Span) -> Self {
        Node { nullable: value.is_null(), op: Op::Const(value), ty, at }
    }
    /// The bare word NULL, which fits every type.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.op, Op::Const(Value::Null))
    }
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Op::Const(Value::Text(text)) = &self.op { Some(text) } else { None }
    }
    pub(crate) fn as_int(&self) -> Option<i64> {
        if let Op::Const(Value::Int(n)) = &self.op { Some(*n) } else { None }
    }
    /// Whether a row can make it fail: then it must not run for rows that do not need it.
    pub(crate) fn can_fail(&self) -> bool {
        match &self.op {
            Op::Const(_) | Op::Column(_) | Op::Meta(_) => false,
            Op::And(a, b) | Op::Or(a, b) => a.can_fail() || b.can_fail(),
            Op::Call { args, fast: Some(fast), .. } if fast.is_total() => {
                args.iter().any(Node::can_fail)
            }
            Op::Coalesce(nodes) => nodes.iter().any(Node::can_fail),
            _ => true,
        }
    }
    /// Whether it reads what differs from event to event.
    pub(crate) fn reads_events(&self) -> bool {
        match &self.op {
            Op::Meta(meta) => matches!(meta, Metadata::EventType | Metadata::OpTs),
            Op::Const(_) | Op::Column(_) => false,
            Op::And(a, b) | Op::Or(a, b) => a.reads_events() || b.reads_events(),
            Op::Case(whens, otherwise) => {
                whens.iter().any(|(when, then)| when.reads_events() || then.reads_events())
                    || otherwise.reads_events()
            }
            Op::Coalesce(nodes) | Op::Call { args: nodes, .. } => {
                nodes.iter().any(Node::reads_events)
            }
        }
    }
    /// The positions of the source columns it reads.
    pub(crate) fn columns(&self, into: &mut std::collections::BTreeSet<usize>) {
        match &self.op {
            Op::Column(at) => {
                into.insert(*at);
            }
            Op::Const(_) | Op::Meta(_) => {}
            Op::And(a, b) | Op::Or(a, b) => {
                a.columns(into);
                b.columns(into);
            }
            Op::Case(whens, otherwise) => {
                for (when, then) in whens {
                    when.columns(into);
                    then.columns(into);
                }
                otherwise.columns(into);
            }
            Op::Coalesce(nodes) | Op::Call { args: nodes, .. } => {
                nodes.iter().for_each(|node| node.columns(into))
            }
        }
    }
}

/// A call that cannot be planned, and the argument at fault.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) arg: Option<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Bad {
    pub(crate) fn arg(arg: usize, message: impl Into<String>) -> Self {
        Bad { arg: Some(arg), message: message.into(), hint: None }
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A planned call.
pub(crate) struct Built {
    pub(crate) ty: LogicalType,
    pub(crate) strict: bool,
    pub(crate) volatile: bool,
    pub(crate) kernel: Kernel,
    pub(crate) columns: Option<Columns>,
}

impl Built {
    pub(crate) fn over(self, columns: Columns) -> Self {
        Built { columns: Some(columns), ..self }
    }
}

/// A call whose result is NULL when an argument is.
pub(crate) fn strict<F>(ty: LogicalType, f: F) -> Result<Built, Bad>
where
    F: for<'a> Fn(&Env, &[Value<'a>]) -> Result<Value<'a>, String> + Send + Sync + 'static,
{
    Ok(Built { ty, strict: true, volatile: false, kernel: Kernel::new(f), columns: None })
}

/// A call that sees NULL arguments itself.
pub(crate) fn lenient<F>(ty: LogicalType, f: F) -> Result<Built, Bad>
where
    F: for<'a> Fn(&Env, &[Value<'a>]) -> Result<Value<'a>, String> + Send + Sync + 'static,
{
    Ok(Built { ty, strict: false, volatile: false, kernel: Kernel::new(f), columns: None })
}

/// What a function takes at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    Any,
    Text,
    Integer,
    Number,
    Boolean,
    /// Text or bytes.
    Blob,
    /// Any date, time or timestamp.
    Temporal,
    Array,
}

/// A built-in function.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [Param],
    /// How many of `params` must be given.
    pub(crate) required: usize,
    /// Whether the last parameter may repeat.
    pub(crate) variadic: bool,
    pub(crate) build: fn(&[Node], Cx) -> Result<Built, Bad>,
}

impl Param {
    pub(crate) fn takes(self, node: &Node) -> bool {
        use crate::types as t;
        node.is_null()
            || match self {
                Param::Any => true,
                Param::Text => t::is_text(&node.ty),
                Param::Integer => t::is_integer(&node.ty),
                Param::Number => t::is_number(&node.ty),
                Param::Boolean => node.ty == LogicalType::Boolean,
                Param::Blob => t::is_text(&node.ty) || t::is_bytes(&node.ty),
                Param::Temporal => t::is_time(&node.ty),
                Param::Array => matches!(node.ty, LogicalType::Array(_)),
            }
    }
    pub(crate) fn name(self) -> &'static str {
        match self {
            Param::Any => "any value",
            Param::Text => "a STRING",
            Param::Integer => "an integer",
            Param::Number => "a number",
            Param::Boolean => "a BOOLEAN",
            Param::Blob => "a STRING or BYTES",
            Param::Temporal => "a date or time",
            Param::Array => "an ARRAY",
        }
    }
}
