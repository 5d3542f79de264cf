//! Operators and the forms with words of their own.

use cdc_api::LogicalType as L;

use super::{Planner, number};
use crate::{
    arith,
    columns::{self, Columns},
    compare,
    functions::subscript,
    node::{Fast, Kernel, Node, Op},
    sql::{Binary, Expr, Fault, Is, Kind, Span},
    types::{self as t, Arith},
    value::Value,
};

const CONCAT: &str = "||";

/// The same call, with a way over whole columns.
fn over(node: Node, columns: Columns) -> Node {
    match node.op {
        Op::Call { name, args, strict, volatile, kernel, .. } => {
            let fast = Some(Fast::Columns(columns));
            Node { op: Op::Call { name, args, strict, volatile, kernel, fast }, ..node }
        }
        _ => node,
    }
}

/// A call node over a closure.
fn call(
    name: impl Into<String>,
    args: Vec<Node>,
    strict: bool,
    ty: L,
    at: Span,
    kernel: Kernel,
) -> Node {
    let op = Op::Call { name: name.into(), args, strict, volatile: false, kernel, fast: None };
    Node { op, ty, nullable: true, at }
}

impl Planner<'_> {
    pub(super) fn operator(&mut self, expr: &Expr) -> Result<Node, Fault> {
        let at = expr.at;
        match &expr.kind {
            Kind::Not(inner) => {
                let inner = self.plan(inner)?;
                let inner = self.boolean(inner)?;
                let kernel = Kernel::new(|_, args| {
                    Ok(if let Value::Bool(v) = args[0] { Value::Bool(!v) } else { Value::Null })
                });
                let node = call("NOT", vec![inner], true, L::Boolean, at, kernel);
                Ok(over(node, Columns::total(|_, cols, _| columns::negated(cols.first()?))))
            }
            Kind::Negate(inner) => self.negate(inner, at),
            Kind::Is { expr, what, not } => self.is(expr, *what, *not, at),
            Kind::Distinct { left, right, not } => {
                let (left, right) = (self.plan(left)?, self.plan(right)?);
                self.comparable(&left, &right, at)?;
                let not = *not;
                let boxed = compare::same_box(&left.ty, &right.ty);
                let kernel = Kernel::new(move |_, args| {
                    let same = boxed && compare::equal(&args[0], &args[1])
                        || args[0].is_null() && args[1].is_null();
                    Ok(Value::Bool(same == not))
                });
                Ok(call(
                    if not { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" },
                    vec![left, right],
                    false,
                    L::Boolean,
                    at,
                    kernel,
                ))
            }
            Kind::Between { expr, low, high, not } => {
                let args = vec![self.plan(expr)?, self.plan(low)?, self.plan(high)?];
                self.comparable(&args[0], &args[1], at)?;
                self.comparable(&args[0], &args[2], at)?;
                let not = *not;
                let kernel = Kernel::new(move |_, args| {
                    let within = compare::order(&args[0], &args[1])
                        .is_some_and(|order| order.is_ge())
                        && compare::order(&args[0], &args[2]).is_some_and(|order| order.is_le());
                    Ok(Value::Bool(within != not))
                });
                Ok(call(
                    if not { "NOT BETWEEN" } else { "BETWEEN" },
                    args,
                    false,
                    L::Boolean,
                    at,
                    kernel,
                ))
            }
            Kind::In { expr, list, not } => {
                let mut args = vec![self.plan(expr)?];
                let mut same = Vec::with_capacity(list.len());
                for item in list {
                    let item = self.plan(item)?;
                    self.comparable(&args[0], &item, item.at)?;
                    self.doubt_equality(&args[0], &item, item.at);
                    same.push(compare::same_box(&args[0].ty, &item.ty));
                    args.push(item);
                }
                let not = *not;
                let kernel = Kernel::new(move |_, args| {
                    let found = args[1..]
                        .iter()
                        .zip(&same)
                        .any(|(item, same)| *same && compare::equal(&args[0], item));
                    Ok(Value::Bool(found != not))
                });
                Ok(call(if not { "NOT IN" } else { "IN" }, args, false, L::Boolean, at, kernel))
            }
            Kind::Like { expr, pattern, escape, similar, not } => {
                self.like(expr, pattern, escape.as_deref(), *similar, *not, at)
            }
            Kind::Case { operand, whens, otherwise } => {
                let mut planned = Vec::with_capacity(whens.len());
                for (when, then) in whens {
                    let when = match operand {
                        Some(operand) => self.binary(Binary::Eq, operand, when, when.at)?,
                        None => {
                            let when = self.plan(when)?;
                            self.boolean(when)?
                        }
                    };
                    planned.push((when, self.plan(then)?));
                }
                let otherwise = match otherwise {
                    Some(otherwise) => self.plan(otherwise)?,
                    None => Node::constant(Value::Null, L::String, at),
                };
                self.case(planned, otherwise, at)
            }
            Kind::Index { expr, index } => self.index(expr, index, at),
            Kind::Array(list) => {
                let items =
                    list.iter().map(|item| self.plan(item)).collect::<Result<Vec<_>, _>>()?;
                let ty = self.common(&items.iter().collect::<Vec<_>>())?;
                let items = items
                    .into_iter()
                    .map(|item| self.coerced(item, &ty))
                    .collect::<Result<_, _>>()?;
                let kernel = Kernel::new(|_, args| Ok(Value::List(args.to_vec())));
                Ok(call("ARRAY", items, false, L::Array(Box::new(ty)), at, kernel))
            }
            Kind::Map(list) => self.map(list, at),
            Kind::Row(list) => {
                let items =
                    list.iter().map(|item| self.plan(item)).collect::<Result<Vec<_>, _>>()?;
                let fields = items.iter().enumerate();
                let fields = fields
                    .map(|(index, item)| (format!("EXPR${index}"), t::computed(&item.ty)))
                    .collect();
                let kernel = Kernel::new(|_, args| Ok(Value::Row(args.to_vec())));
                Ok(call("ROW", items, false, L::Row(fields), at, kernel))
            }
            _ => Err(Fault::new(at, "this cannot be computed")),
        }
    }

    pub(super) fn boolean(&self, node: Node) -> Result<Node, Fault> {
        if node.ty == L::Boolean || node.is_null() {
            return Ok(Node { ty: L::Boolean, ..node });
        }
        Err(Fault::new(node.at, format!("a condition is BOOLEAN, this is {}", node.ty))
            .hint("compare it with something, or CAST(.. AS BOOLEAN)"))
    }

    pub(super) fn comparable(&self, a: &Node, b: &Node, at: Span) -> Result<(), Fault> {
        if a.is_null() || b.is_null() || compare::comparable(&a.ty, &b.ty) {
            return Ok(());
        }
        Err(Fault::new(at, format!("{} cannot be compared with {}", a.ty, b.ty))
            .hint("CAST one of them to the type of the other"))
    }

    pub(super) fn binary(
        &mut self,
        op: Binary,
        left: &Expr,
        right: &Expr,
        at: Span,
    ) -> Result<Node, Fault> {
        if let (Binary::Add | Binary::Sub, Kind::Interval { months, nanos }) = (op, &right.kind) {
            let sign = if op == Binary::Sub { -1 } else { 1 };
            return self.shifted(left, sign * months, sign * nanos, at);
        }
        if let (Binary::Add, Kind::Interval { months, nanos }) = (op, &left.kind) {
            return self.shifted(right, *months, *nanos, at);
        }
        let (left, right) = (self.plan(left)?, self.plan(right)?);
        let arith = match op {
            Binary::And | Binary::Or => {
                let (left, right) = (Box::new(self.boolean(left)?), Box::new(self.boolean(right)?));
                let op = if op == Binary::And { Op::And(left, right) } else { Op::Or(left, right) };
                return Ok(Node { op, ty: L::Boolean, nullable: true, at });
            }
            Binary::Concat => {
                // A chain is one call: no text is built but the last.
                let mut args = match left.op {
                    Op::Call { ref name, ref args, .. } if name == CONCAT => args.clone(),
                    _ => vec![left],
                };
                args.push(right);
                let kernel = Kernel::new(|_, args| Ok(Value::text(crate::functions::joined(args))));
                let columns = columns::joining(&args);
                return Ok(over(call(CONCAT, args, false, L::String, at, kernel), columns));
            }
            Binary::Add => Arith::Add,
            Binary::Sub => Arith::Sub,
            Binary::Mul => Arith::Mul,
            Binary::Div => Arith::Div,
            Binary::Mod => Arith::Mod,
            _ => return self.comparison(op, left, right, at),
        };
        let side = |node: &Node| if node.is_null() { L::Int } else { node.ty.clone() };
        let ty = t::arith(arith, &side(&left), &side(&right), self.context.decimals).ok_or_else(
            || {
                let wrong = if t::is_number(&side(&left)) { &right } else { &left };
                let fault = Fault::new(
                    wrong.at,
                    format!("{} takes numbers, this is {}", op.symbol(), wrong.ty),
                );
                if t::is_time(&wrong.ty) {
                    fault.hint("times are moved by intervals: ts + INTERVAL '1' DAY")
                } else if t::is_text(&wrong.ty) {
                    fault.hint("texts are joined with ||; CAST(.. AS INT) reads a number")
                } else {
                    fault
                }
            },
        )?;
        let result = ty.clone();
        let kernel = Kernel::new(move |_, args| arith::apply(arith, &args[0], &args[1], &result));
        let mut node = call(op.symbol(), vec![left, right], true, ty, at, kernel);
        if let Op::Call { fast, .. } = &mut node.op {
            *fast = Some(Fast::Arith(arith));
        }
        Ok(node)
    }

    /// Two number types that are never equal.
    fn doubt_equality(&mut self, left: &Node, right: &Node, at: Span) {
        if left.is_null() || right.is_null() || compare::same_box(&left.ty, &right.ty) {
            return;
        }
        let (of, to) = if right.as_int().is_some() { (right, left) } else { (left, right) };
        let text = format!("{} is never equal to {}", left.ty, right.ty);
        let hint = format!("= looks at the type too: CAST the {} AS {}", of.ty, to.ty);
        self.doubts.push(Fault::new(at, text).hint(hint));
    }

    /// Comparisons have two values: with a NULL they are FALSE, and `<>` is TRUE.
    fn comparison(&mut self, op: Binary, left: Node, right: Node, at: Span) -> Result<Node, Fault> {
        self.comparable(&left, &right, at)?;
        let boxed = compare::same_box(&left.ty, &right.ty);
        if matches!(op, Binary::Eq | Binary::Ne) {
            self.doubt_equality(&left, &right, at);
        }
        let kernel = Kernel::new(move |_, args| {
            let order = compare::order(&args[0], &args[1]);
            Ok(Value::Bool(match op {
                Binary::Eq => boxed && order.is_some_and(|order| order.is_eq()),
                Binary::Ne => !(boxed && order.is_some_and(|order| order.is_eq())),
                Binary::Lt => order.is_some_and(|order| order.is_lt()),
                Binary::Le => order.is_some_and(|order| order.is_le()),
                Binary::Gt => order.is_some_and(|order| order.is_gt()),
                _ => order.is_some_and(|order| order.is_ge()),
            }))
        });
        let fast = (boxed || !matches!(op, Binary::Eq | Binary::Ne)).then_some(Fast::Compare(op));
        let op = Op::Call {
            name: op.symbol().to_owned(),
            args: vec![left, right],
            strict: false,
            volatile: false,
            kernel,
            fast,
        };
        Ok(Node { op, ty: L::Boolean, nullable: true, at })
    }

    fn shifted(&mut self, time: &Expr, months: i64, nanos: i64, at: Span) -> Result<Node, Fault> {
        let time = self.plan(time)?;
        if !t::is_time(&time.ty) {
            return Err(Fault::new(
                time.at,
                format!("an interval is added to a date or time, not to {}", time.ty),
            ));
        }
        let day = crate::calendar::DAY * crate::value::NANOS;
        let ty = crate::functions::sum_type(&time.ty, nanos % day == 0);
        let result = ty.clone();
        let kernel = Kernel::new(move |env, args| {
            crate::functions::later(env, &args[0], months, nanos.into(), &result)
        });
        Ok(call("+ INTERVAL", vec![time], true, ty, at, kernel))
    }

    fn negate(&mut self, inner: &Expr, at: Span) -> Result<Node, Fault> {
        if let Kind::Number(text) = &inner.kind {
            return number(&format!("-{text}"), at);
        }
        let inner = self.plan(inner)?;
        if !t::is_number(&inner.ty) {
            return Err(Fault::new(inner.at, format!("- takes a number, this is {}", inner.ty)));
        }
        let ty = inner.ty.clone();
        let kernel = Kernel::new(|_, args| {
            Ok(match &args[0] {
                Value::Int(v) => {
                    Value::Int(v.checked_neg().ok_or("the number does not fit a BIGINT")?)
                }
                Value::Float(v) => Value::Float(-v),
                Value::Double(v) => Value::Double(-v),
                Value::Decimal(v, s) => Value::Decimal(-v, *s),
                _ => Value::Null,
            })
        });
        Ok(call("-", vec![inner], true, ty, at, kernel))
    }

    fn is(&mut self, expr: &Expr, what: Is, not: bool, at: Span) -> Result<Node, Fault> {
        let mut node = self.plan(expr)?;
        if what != Is::Null {
            node = self.boolean(node)?;
        }
        let (name, kernel) = match what {
            Is::Null => {
                ("NULL", Kernel::new(move |_, args| Ok(Value::Bool(args[0].is_null() != not))))
            }
            Is::Unknown => {
                ("UNKNOWN", Kernel::new(move |_, args| Ok(Value::Bool(args[0].is_null() != not))))
            }
            Is::True => (
                "TRUE",
                Kernel::new(move |_, args| Ok(Value::Bool((args[0] == Value::Bool(true)) != not))),
            ),
            Is::False => (
                "FALSE",
                Kernel::new(move |_, args| Ok(Value::Bool((args[0] == Value::Bool(false)) != not))),
            ),
        };
        let is_about_null = matches!(what, Is::Null | Is::Unknown);
        let name = format!("IS {}{name}", if not { "NOT " } else { "" });
        let node = call(name, vec![node], false, L::Boolean, at, kernel);
        Ok(if is_about_null {
            over(node, Columns::total(move |_, cols, _| columns::nulls(cols.first()?, not)))
        } else {
            node
        })
    }

    fn like(
        &mut self,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        similar: bool,
        not: bool,
        at: Span,
    ) -> Result<Node, Fault> {
        let mut args = vec![self.plan(expr)?, self.plan(pattern)?];
        if let Some(escape) = escape {
            args.push(self.plan(escape)?);
        }
        for arg in &args {
            if !arg.is_null() && !t::is_text(&arg.ty) {
                return Err(Fault::new(arg.at, format!("LIKE compares texts, this is {}", arg.ty))
                    .hint("CAST(.. AS STRING) makes a text of it"));
            }
        }
        let escaped = escape.is_some();
        let compile = move |pattern: &str, escape: Option<&str>| {
            let mut chars = escape.unwrap_or("").chars();
            let escape = match (escape, chars.next(), chars.next()) {
                (None, ..) => None,
                (Some(_), Some(c), None) => Some(c),
                (Some(text), ..) => {
                    return Err(format!("the escape '{text}' is not one character"));
                }
            };
            if similar {
                compare::similar(pattern, escape)
            } else if escaped {
                compare::like(pattern, escape)
            } else {
                // Flink CDC's LIKE without ESCAPE: a regular expression that is found anywhere.
                compare::regex(pattern)
            }
        };
        if !escaped && !similar && args[1].as_text().is_some_and(|pattern| pattern.contains('%')) {
            self.doubts.push(percent(args[1].at));
        }
        let escape_text = args.get(2).map(Node::as_text);
        let fixed = match (args[1].as_text(), escape_text) {
            (Some(pattern), None) => Some(compile(pattern, None)),
            (Some(pattern), Some(Some(escape))) => Some(compile(pattern, Some(escape))),
            _ => None,
        };
        let fixed = fixed.transpose().map_err(|message| {
            Fault::new(args[1].at, message).hint(
                "LIKE without ESCAPE is a regular expression; with ESCAPE the signs % and _ count",
            )
        })?;
        let columns = fixed.clone().map(|fixed| {
            Columns::total(move |_, cols, _| {
                columns::tested(columns::strings(cols.first())?, |text| fixed.is_match(text) != not)
            })
        });
        let kernel = Kernel::new(move |_, args| {
            let text = |at: usize| {
                if let Some(Value::Text(text)) = args.get(at) { Some(text.as_ref()) } else { None }
            };
            let (Some(value), Some(pattern)) = (text(0), text(1)) else { return Ok(Value::Null) };
            let found = match &fixed {
                Some(fixed) => fixed.is_match(value),
                None => compile(pattern, text(2))?.is_match(value),
            };
            Ok(Value::Bool(found != not))
        });
        let name = format!(
            "{}{}",
            if not { "NOT " } else { "" },
            if similar { "SIMILAR TO" } else { "LIKE" }
        );
        let node = call(name, args, true, L::Boolean, at, kernel);
        Ok(match columns {
            Some(columns) => over(node, columns),
            None => node,
        })
    }

    fn index(&mut self, expr: &Expr, index: &Expr, at: Span) -> Result<Node, Fault> {
        let (whole, index) = (self.plan(expr)?, self.plan(index)?);
        let wrong = |text: String| Err(Fault::new(index.at, text));
        match whole.ty.clone() {
            L::Array(element) => {
                if !t::is_integer(&index.ty) {
                    return wrong(format!(
                        "an array is indexed by a number from 1, not by {}",
                        index.ty
                    ));
                }
                let kernel = Kernel::new(|_, args| {
                    let (Value::List(items), Value::Int(at)) = (&args[0], &args[1]) else {
                        return Ok(Value::Null);
                    };
                    let at = at.checked_sub(1).and_then(|at| usize::try_from(at).ok());
                    Ok(at.and_then(|at| items.get(at)).cloned().unwrap_or(Value::Null))
                });
                Ok(call("[]", vec![whole, index], true, *element, at, kernel))
            }
            L::Map(key, value) => {
                if !compare::comparable(&key, &index.ty) {
                    return wrong(format!("the keys of the map are {key}, this is {}", index.ty));
                }
                let kernel = Kernel::new(|_, args| {
                    let Value::Map(entries) = &args[0] else { return Ok(Value::Null) };
                    let found = entries.iter().find(|(key, _)| compare::equal(key, &args[1]));
                    Ok(found.map_or(Value::Null, |(_, value)| value.clone()))
                });
                Ok(call("[]", vec![whole, index], true, *value, at, kernel))
            }
            L::Row(fields) => {
                let place = index
                    .as_int()
                    .and_then(|at| at.checked_sub(1))
                    .and_then(|at| usize::try_from(at).ok());
                let Some((place, (_, ty))) =
                    place.and_then(|place| Some((place, fields.get(place)?)))
                else {
                    return wrong(format!(
                        "a row is indexed by a plain number from 1 to {}",
                        fields.len()
                    ));
                };
                let kernel = Kernel::new(move |_, args| {
                    let Value::Row(fields) = &args[0] else { return Ok(Value::Null) };
                    Ok(fields.get(place).cloned().unwrap_or(Value::Null))
                });
                Ok(call("[]", vec![whole, index], true, ty.clone(), at, kernel))
            }
            L::Variant => {
                if !t::is_integer(&index.ty) && !t::is_text(&index.ty) {
                    return wrong(format!(
                        "a variant is indexed by a key or a number from 1, not by {}",
                        index.ty
                    ));
                }
                let kernel = Kernel::new(|_, args| {
                    let Value::Text(variant) = &args[0] else { return Ok(Value::Null) };
                    subscript(variant, &args[1])
                });
                Ok(call("[]", vec![whole, index], true, L::Variant, at, kernel))
            }
            other => Err(Fault::new(at, format!("{other} has no elements"))),
        }
    }

    fn map(&mut self, list: &[Expr], at: Span) -> Result<Node, Fault> {
        if !list.len().is_multiple_of(2) {
            return Err(Fault::new(at, "MAP takes keys and values in turn"));
        }
        let items = list.iter().map(|item| self.plan(item)).collect::<Result<Vec<_>, _>>()?;
        let key = self.common(&items.iter().step_by(2).collect::<Vec<_>>())?;
        let value = self.common(&items.iter().skip(1).step_by(2).collect::<Vec<_>>())?;
        let items = items.into_iter().enumerate();
        let items = items
            .map(|(index, item)| self.coerced(item, if index % 2 == 0 { &key } else { &value }))
            .collect::<Result<_, _>>()?;
        let kernel = Kernel::new(|_, args| {
            let mut entries: Vec<(Value<'_>, Value<'_>)> = Vec::with_capacity(args.len() / 2);
            for pair in args.chunks_exact(2) {
                // The last value of a key counts.
                match entries.iter_mut().find(|(key, _)| compare::equal(key, &pair[0])) {
                    Some(entry) => entry.1 = pair[1].clone(),
                    None => entries.push((pair[0].clone(), pair[1].clone())),
                }
            }
            Ok(Value::Map(entries))
        });
        Ok(call("MAP", items, false, L::Map(Box::new(key), Box::new(value)), at, kernel))
    }
}

/// The doubt about a pattern of SQL where a regular expression is read.
pub(crate) fn percent(at: Span) -> Fault {
    Fault::new(at, "% has no meaning in LIKE without ESCAPE, which is a regular expression")
        .hint("write .* for any text, or add ESCAPE '$'")
}
