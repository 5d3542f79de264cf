//! Calls: macros, the functions that choose what to evaluate, and the table of built-ins.

use std::sync::Arc;

use cdc_api::LogicalType as L;

use super::{MACRO_DEPTH, Macro, Planner, nearest};
use crate::{
    compare,
    functions::{self, LAZY},
    node::{Fast, Function, Kernel, Node, Op},
    routine::Routine,
    sql::{Expr, Fault, Kind, Span},
    types::{self, DecimalMode},
    value::Value,
};

impl Planner<'_> {
    pub(super) fn call(&mut self, name: &str, args: &[Expr], at: Span) -> Result<Node, Fault> {
        if let Some(found) = self.macros.iter().find(|known| known.name.eq_ignore_ascii_case(name))
        {
            return self.expand(found.clone(), args, at);
        }
        let routines = &self.context.routines;
        let routine = routines.iter().find(|known| known.name().eq_ignore_ascii_case(name));
        if let Some(routine) = routine.cloned() {
            let nodes = args.iter().map(|arg| self.plan(arg)).collect::<Result<Vec<_>, _>>()?;
            return self.routine(&routine, nodes, at);
        }
        let upper = name.to_ascii_uppercase();
        let nodes = args.iter().map(|arg| self.plan(arg)).collect::<Result<Vec<_>, _>>()?;
        if LAZY.contains(&upper.as_str()) {
            return self.lazy(&upper, nodes, at);
        }
        let Some(function) = functions::find(&upper) else {
            let known = functions::all().map(|function| function.name).chain(LAZY);
            let known = known.chain(self.macros.iter().map(|known| known.name.as_str()));
            let known = known.chain(self.context.routines.iter().map(|known| known.name()));
            let fault = Fault::new(at, format!("there is no function {name}"));
            return Err(match nearest(&upper, known) {
                Some(near) => fault.hint(format!("did you mean {near}?")),
                None => fault.hint("the functions are listed in docs/transform.md"),
            });
        };
        self.built_in(function, nodes, at)
    }

    fn built_in(
        &self,
        function: &'static Function,
        args: Vec<Node>,
        at: Span,
    ) -> Result<Node, Fault> {
        let name = function
            .name
            .split('_')
            .next()
            .filter(|_| function.name.starts_with("TRIM_"))
            .unwrap_or(function.name);
        let (most, least) = (function.params.len(), function.required);
        if args.len() < least || (args.len() > most && !function.variadic) {
            let takes = match (least, most) {
                _ if function.variadic => format!("at least {least}"),
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(Fault::new(
                at,
                format!("{name} takes {takes} arguments, here are {}", args.len()),
            ));
        }
        for (index, arg) in args.iter().enumerate() {
            let param = function.params.get(index).or(function.params.last());
            if let Some(param) = param.filter(|param| !param.takes(arg)) {
                let fault = Fault::new(
                    arg.at,
                    format!("{name} takes {} here, not {}", param.name(), arg.ty),
                );
                return Err(if *param == crate::node::Param::Text {
                    fault.hint("CAST(.. AS STRING) makes a text of it")
                } else {
                    fault
                });
            }
        }
        let built = (function.build)(&args, self.cx()).map_err(|bad| {
            let place = bad.arg.and_then(|arg| args.get(arg)).map_or(at, |arg| arg.at);
            Fault { at: place, message: bad.message, hint: bad.hint }
        })?;
        let op = Op::Call {
            name: name.to_owned(),
            args,
            strict: built.strict,
            volatile: built.volatile,
            kernel: built.kernel,
            fast: built.columns.map(Fast::Columns),
        };
        Ok(Node { op, ty: built.ty, nullable: true, at })
    }

    /// A call of a user's module, its arguments in the types that it declares.
    fn routine(&self, routine: &Arc<Routine>, args: Vec<Node>, at: Span) -> Result<Node, Fault> {
        let signature = &routine.signature;
        if args.len() != signature.params.len() {
            let (takes, here) = (signature.params.len(), args.len());
            let text = format!("{} takes {takes} arguments, here are {here}", signature.name);
            return Err(Fault::new(at, text).hint(format!("it is declared as {signature}")));
        }
        let mut coerced = Vec::with_capacity(args.len());
        for (arg, param) in args.into_iter().zip(&signature.params) {
            let common = if arg.is_null() {
                Some(param.clone())
            } else {
                types::common(&arg.ty, param, DecimalMode::UpTo38)
            };
            // Only towards the parameter: what does not fit it without loss is CAST by the user.
            if !common.is_some_and(|common| fits(&common, param)) {
                let text = format!("{} takes {param} here, not {}", signature.name, arg.ty);
                return Err(Fault::new(arg.at, text).hint(format!("CAST(.. AS {param})")));
            }
            coerced.push(self.coerced(arg, param)?);
        }
        let op = Op::Call {
            name: signature.name.clone(),
            args: coerced,
            strict: routine.strict,
            volatile: false,
            kernel: Kernel::Routine(Arc::clone(routine)),
            fast: None,
        };
        Ok(Node { op, ty: signature.returns.clone(), nullable: true, at })
    }

    fn lazy(&mut self, name: &str, mut args: Vec<Node>, at: Span) -> Result<Node, Fault> {
        let takes = |right: bool, text: &str| {
            if right {
                Ok(())
            } else {
                Err(Fault::new(at, format!("{name} takes {text} arguments")))
            }
        };
        match name {
            "IF" => {
                takes(args.len() == 3, "3")?;
                let (otherwise, then) = (args.pop(), args.pop());
                let (Some(otherwise), Some(then), Some(when)) = (otherwise, then, args.pop())
                else {
                    return Err(Fault::new(at, "IF takes 3 arguments"));
                };
                let when = self.boolean(when)?;
                self.case(vec![(when, then)], otherwise, at)
            }
            "NULLIF" => {
                takes(args.len() == 2, "2")?;
                self.comparable(&args[0], &args[1], at)?;
                let kernel = Kernel::new(|_, args| {
                    Ok(if compare::equal(&args[0], &args[1]) {
                        Value::Null
                    } else {
                        args[0].clone()
                    })
                });
                let ty = args[0].ty.clone();
                let op = Op::Call {
                    name: name.to_owned(),
                    args,
                    strict: false,
                    volatile: false,
                    kernel,
                    fast: None,
                };
                Ok(Node { op, ty, nullable: true, at })
            }
            _ => {
                takes(
                    args.len() == 2 || (name == "COALESCE" && !args.is_empty()),
                    if name == "COALESCE" { "1 or more" } else { "2" },
                )?;
                let ty = self.common(&args.iter().collect::<Vec<_>>())?;
                // Only IFNULL promises more than its type: a last value that is never NULL.
                let nullable = name == "COALESCE" || args.last().is_none_or(|last| last.nullable);
                let args =
                    args.into_iter().map(|arg| self.coerced(arg, &ty)).collect::<Result<_, _>>()?;
                Ok(Node { op: Op::Coalesce(args), ty, nullable, at })
            }
        }
    }

    /// A CASE with branches in their common type.
    pub(super) fn case(
        &self,
        whens: Vec<(Node, Node)>,
        otherwise: Node,
        at: Span,
    ) -> Result<Node, Fault> {
        let mut branches: Vec<&Node> = whens.iter().map(|(_, then)| then).collect();
        branches.push(&otherwise);
        let ty: L = self.common(&branches)?;
        let whens = whens
            .into_iter()
            .map(|(when, then)| Ok((when, self.coerced(then, &ty)?)))
            .collect::<Result<Vec<_>, Fault>>()?;
        let otherwise = Box::new(self.coerced(otherwise, &ty)?);
        Ok(Node { op: Op::Case(whens, otherwise), ty, nullable: true, at })
    }

    fn expand(&mut self, found: Macro, args: &[Expr], at: Span) -> Result<Node, Fault> {
        if args.len() != found.params.len() {
            let text = format!(
                "{} takes {} arguments, here are {}",
                found.name,
                found.params.len(),
                args.len()
            );
            return Err(Fault::new(at, text));
        }
        if self.depth >= MACRO_DEPTH {
            return Err(Fault::new(at, format!("the function {} calls itself", found.name)));
        }
        let body = substituted(&found.body, &found.params, args, at).bounded()?;
        self.depth += 1;
        let node = self.plan(&body);
        self.depth -= 1;
        // A fault inside the macro shows at its call, where the reader's text is.
        node.map_err(|fault| Fault {
            at,
            message: format!("in the function {}: {}", found.name, fault.message),
            ..fault
        })
    }
}

/// Whether every value of a type fits a parameter: the same kind, and of numbers no wider one.
fn fits(ty: &L, param: &L) -> bool {
    match (ty, param) {
        (L::Time(_), L::Time(_))
        | (L::Timestamp(_), L::Timestamp(_))
        | (L::TimestampLtz(_), L::TimestampLtz(_)) => true,
        _ => {
            ty == param
                || types::is_text(ty) && types::is_text(param)
                || types::is_bytes(ty) && types::is_bytes(param)
        }
    }
}

/// The body with arguments for parameters, all at the place of the call.
fn substituted(expr: &Expr, params: &[String], args: &[Expr], at: Span) -> Expr {
    let one = |expr: &Expr| Box::new(substituted(expr, params, args, at));
    let many = |list: &[Expr]| {
        list.iter().map(|expr| substituted(expr, params, args, at)).collect::<Vec<_>>()
    };
    let kind = match &expr.kind {
        Kind::Column(name) => {
            match params.iter().position(|param| param == name).and_then(|index| args.get(index)) {
                Some(arg) => return arg.clone(),
                None => Kind::Column(name.clone()),
            }
        }
        Kind::Call { name, args } => Kind::Call { name: name.clone(), args: many(args) },
        Kind::Binary { op, left, right } => {
            Kind::Binary { op: *op, left: one(left), right: one(right) }
        }
        Kind::Not(inner) => Kind::Not(one(inner)),
        Kind::Negate(inner) => Kind::Negate(one(inner)),
        Kind::Is { expr, what, not } => Kind::Is { expr: one(expr), what: *what, not: *not },
        Kind::Distinct { left, right, not } => {
            Kind::Distinct { left: one(left), right: one(right), not: *not }
        }
        Kind::Between { expr, low, high, not } => {
            Kind::Between { expr: one(expr), low: one(low), high: one(high), not: *not }
        }
        Kind::In { expr, list, not } => Kind::In { expr: one(expr), list: many(list), not: *not },
        Kind::Like { expr, pattern, escape, similar, not } => Kind::Like {
            expr: one(expr),
            pattern: one(pattern),
            escape: escape.as_ref().map(|escape| one(escape)),
            similar: *similar,
            not: *not,
        },
        Kind::Case { operand, whens, otherwise } => Kind::Case {
            operand: operand.as_ref().map(|operand| one(operand)),
            whens: whens.iter().map(|(when, then)| (*one(when), *one(then))).collect(),
            otherwise: otherwise.as_ref().map(|otherwise| one(otherwise)),
        },
        Kind::Cast { expr, to, lenient } => {
            Kind::Cast { expr: one(expr), to: to.clone(), lenient: *lenient }
        }
        Kind::Index { expr, index } => Kind::Index { expr: one(expr), index: one(index) },
        Kind::Array(list) => Kind::Array(many(list)),
        Kind::Map(list) => Kind::Map(many(list)),
        Kind::Row(list) => Kind::Row(many(list)),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Interval { .. } => {
            expr.kind.clone()
        }
    };
    Expr::new(kind, at)
}
