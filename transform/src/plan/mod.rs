//! From the tree to typed nodes: names are resolved, types checked, patterns compiled.

mod calls;
mod operators;

use cdc_api::{LogicalType as L, TableSchema};
pub(crate) use operators::percent;

use crate::{
    Context, Metadata, cast,
    columns::{self, Columns},
    node::{Cx, Env, Fast, Kernel, Node, Op},
    sql::{self, Expr, Fault, Kind, Span},
    types as t,
    value::{Moment, Value},
};

/// Macros may call macros, this deep.
const MACRO_DEPTH: usize = 16;

/// The columns that every table has besides its own.
pub(crate) const BUILT_IN: [(&str, Metadata); 4] = [
    ("__namespace_name__", Metadata::Namespace),
    ("__schema_name__", Metadata::Schema),
    ("__table_name__", Metadata::Table),
    ("__data_event_type__", Metadata::EventType),
];

/// Plans the expressions of one rule against one table.
pub(crate) struct Planner<'p> {
    pub(crate) schema: &'p TableSchema,
    pub(crate) context: &'p Context,
    pub(crate) macros: &'p [Macro],
    /// What a filter sees besides the source's columns: the projected ones, by name.
    pub(crate) projected: Vec<(String, Node)>,
    pub(crate) depth: usize,
    /// How deep the planner stands in the tree, macros included.
    pub(crate) level: usize,
    /// What is right but hardly meant.
    pub(crate) doubts: Vec<Fault>,
}

/// A user-defined function: an expression with parameters.
#[derive(Debug, Clone)]
pub(crate) struct Macro {
    pub(crate) name: String,
    pub(crate) params: Vec<String>,
    pub(crate) body: Expr,
}

impl Planner<'_> {
    fn cx(&self) -> Cx {
        Cx { mode: self.context.decimals }
    }

    /// The environment for constants that are computed while planning.
    fn env(&self) -> Env {
        Env { zone: self.context.zone, now: Moment { secs: 0, nanos: 0 } }
    }

    /// A typed node for an expression.
    pub(crate) fn plan(&mut self, expr: &Expr) -> Result<Node, Fault> {
        if self.level > sql::MAX_HEIGHT {
            return Err(Fault::new(expr.at, "the expression is nested too deeply"));
        }
        self.level += 1;
        let node = self.planned(expr);
        self.level -= 1;
        node
    }

    fn planned(&mut self, expr: &Expr) -> Result<Node, Fault> {
        let at = expr.at;
        match &expr.kind {
            Kind::Null => Ok(Node::constant(Value::Null, L::String, at)),
            Kind::Bool(v) => Ok(Node::constant(Value::Bool(*v), L::Boolean, at)),
            Kind::Text(text) => Ok(Node::constant(Value::text(text.clone()), L::String, at)),
            Kind::Number(text) => number(text, at),
            Kind::Interval { .. } => Err(Fault::new(at, "an interval stands alone here")
                .hint("an interval is added to a time: ts + INTERVAL '1' DAY")),
            Kind::Column(name) => self.column(name, at),
            Kind::Call { name, args } => self.call(name, args, at),
            Kind::Cast { expr, to, lenient } => {
                let node = self.plan(expr)?;
                self.cast(node, to, *lenient, at)
            }
            // The long chains are of these: their way down stays short of stack.
            Kind::Binary { op, left, right } => self.binary(*op, left, right, at),
            _ => self.operator(expr),
        }
    }

    fn column(&self, name: &str, at: Span) -> Result<Node, Fault> {
        let meta = BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, meta)| *meta);
        let meta = meta.or_else(|| {
            self.context.metadata.iter().find(|(known, _)| known == name).map(|(_, m)| *m)
        });
        if let Some(meta) = meta {
            let (ty, nullable) = match meta {
                Metadata::Namespace => (L::String, self.schema.id().namespace.is_none()),
                Metadata::Schema => (L::String, self.schema.id().schema.is_none()),
                Metadata::Table | Metadata::EventType => (L::String, false),
                Metadata::OpTs => (L::BigInt, false),
            };
            return Ok(Node { op: Op::Meta(meta), ty, nullable, at });
        }
        if let Some((_, node)) = self.projected.iter().find(|(known, _)| known == name) {
            return Ok(Node { at, ..node.clone() });
        }
        let columns = self.schema.columns();
        match columns.iter().position(|column| column.name == name) {
            Some(index) => {
                let column = &columns[index];
                Ok(Node {
                    op: Op::Column(index),
                    ty: column.logical.clone(),
                    nullable: column.nullable,
                    at,
                })
            }
            None => {
                let known = columns
                    .iter()
                    .map(|column| column.name.as_str())
                    .chain(self.projected.iter().map(|(name, _)| name.as_str()))
                    .chain(BUILT_IN.iter().map(|(name, _)| *name))
                    .chain(self.context.metadata.iter().map(|(name, _)| name.as_str()));
                let fault =
                    Fault::new(at, format!("table {} has no column \"{name}\"", self.schema.id()));
                Err(match nearest(name, known) {
                    Some(near) => fault.hint(format!("did you mean {near}?")),
                    None => fault.hint("a text is written in single quotes"),
                })
            }
        }
    }

    fn cast(&self, node: Node, to: &L, lenient: bool, at: Span) -> Result<Node, Fault> {
        let to = t::capped(to, self.context.decimals);
        if !node.is_null() && !cast::possible(&node.ty, &to) {
            return Err(Fault::new(at, format!("{} cannot be cast to {to}", node.ty)));
        }
        let target = to.clone();
        let kernel = Kernel::new(move |env, args| {
            if lenient {
                Ok(cast::try_cast(env, &args[0], &target))
            } else {
                cast::cast(env, &args[0], &target)
            }
        });
        let (from, wanted) = (node.ty.clone(), to.clone());
        let columns = (!lenient).then(|| {
            Columns::partial(move |_, cols, _| columns::cast(cols.first()?, &from, &wanted))
        });
        let name = if lenient { "TRY_CAST" } else { "CAST" };
        let args = vec![node];
        let node = Node {
            op: Op::Call {
                name: format!("{name} AS {to}"),
                args,
                strict: true,
                volatile: false,
                kernel,
                fast: columns.map(Fast::Columns),
            },
            ty: to,
            nullable: true,
            at,
        };
        Ok(self.folded(node))
    }

    /// A call on constants as its value, when it has one.
    fn folded(&self, node: Node) -> Node {
        let Op::Call { args, kernel, volatile: false, .. } = &node.op else { return node };
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            match &arg.op {
                Op::Const(value) if !value.is_null() => values.push(value.clone()),
                _ => return node,
            }
        }
        let Kernel::Own(kernel) = kernel else { return node };
        match kernel(&self.env(), &values) {
            Ok(value) if !value.is_null() => Node::constant(value.owned(), node.ty, node.at),
            _ => node,
        }
    }

    /// The node in another type of the same kind.
    pub(crate) fn coerced(&self, node: Node, ty: &L) -> Result<Node, Fault> {
        if node.is_null() {
            return Ok(Node { ty: ty.clone(), ..node });
        }
        if node.ty == *ty || t::is_text(&node.ty) && t::is_text(ty) {
            return Ok(node);
        }
        let at = node.at;
        self.cast(node, ty, false, at)
    }

    /// The type that all of these have in common; those that are just NULL do not count.
    pub(crate) fn common(&self, nodes: &[&Node]) -> Result<L, Fault> {
        let mut found: Option<L> = None;
        for node in nodes.iter().filter(|node| !node.is_null()) {
            found = Some(match found {
                None => node.ty.clone(),
                Some(ty) => t::common(&ty, &node.ty, self.context.decimals).ok_or_else(|| {
                    Fault::new(node.at, format!("{} and {ty} have no type in common", node.ty))
                        .hint("CAST one of them to the type of the other")
                })?,
            });
        }
        Ok(found.unwrap_or(L::String))
    }
}

/// The known name that is nearest to a misspelt one.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = name.to_lowercase();
    known
        .map(|known| (strsim::damerau_levenshtein(&lower, &known.to_lowercase()), known))
        .filter(|(distance, known)| {
            *distance <= known.chars().count().min(name.chars().count()).div_ceil(3)
        })
        .min()
        .map(|(_, known)| known)
}

/// A number as written: INT, BIGINT when it needs to be, DECIMAL with a point, DOUBLE with an exponent.
pub(crate) fn number(text: &str, at: Span) -> Result<Node, Fault> {
    let wrong = || Fault::new(at, format!("the number {text} cannot be kept"));
    if text.contains(['e', 'E']) {
        return Ok(Node::constant(
            Value::Double(text.parse().map_err(|_| wrong())?),
            L::Double,
            at,
        ));
    }
    if !text.contains('.')
        && let Ok(v) = text.parse::<i64>()
    {
        let ty = if i32::try_from(v).is_ok() { L::Int } else { L::BigInt };
        return Ok(Node::constant(Value::Int(v), ty, at));
    }
    let (v, scale) = crate::decimal::parse(text).ok_or_else(wrong)?;
    let digits = v.unsigned_abs().to_string().len() as u8;
    if digits > 38 {
        return Err(wrong());
    }
    let ty = L::Decimal { precision: digits.max(scale).max(1), scale };
    Ok(Node::constant(Value::Decimal(v, scale), ty, at))
}
