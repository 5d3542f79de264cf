//! Runs a plan over one batch: column by column, a row's failure named by its row.

mod fast;

use std::{collections::BTreeSet, sync::Arc};

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, cast::AsArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use cdc_api::{LogicalType, TableId};

use crate::{
    node::{Env, Metadata, Node, Op},
    value::{Reader, Value, Writer},
};

/// The rows that an expression sees.
pub(crate) struct Rows<'b> {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) len: usize,
    /// The batch's row behind each of these rows, where they are not all.
    pub(crate) ids: Option<Vec<u32>>,
    pub(crate) events: &'b [Event],
    pub(crate) table: &'b TableId,
    pub(crate) env: &'b Env,
    pub(crate) wide: bool,
    pub(crate) row_by_row: bool,
}

/// What the metadata columns say about a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    pub(crate) op_ts: i64,
}

/// A column, or one value for all rows.
#[derive(Debug, Clone)]
pub(crate) enum Col {
    Const(Value<'static>),
    Array(ArrayRef),
}

/// A row that cannot be computed.
#[derive(Debug)]
pub(crate) struct RowFault {
    pub(crate) row: usize,
    pub(crate) message: String,
}

impl Rows<'_> {
    /// The batch's row behind one of these.
    pub(crate) fn id(&self, row: usize) -> usize {
        match &self.ids {
            Some(ids) => ids.get(row).map_or(0, |row| *row as usize),
            None => row,
        }
    }

    fn fault(&self, row: usize, message: String) -> RowFault {
        RowFault { row: if self.len == 0 { 0 } else { self.id(row) }, message }
    }

    /// Some of these rows, with only the columns that `node` reads.
    fn pick(&self, rows: &[u32], node: &Node) -> Result<Rows<'_>, RowFault> {
        let mut used = BTreeSet::new();
        node.columns(&mut used);
        let indices = UInt32Array::from(rows.to_vec());
        let mut columns = self.columns.clone();
        for at in used {
            if let Some(column) = columns.get_mut(at) {
                *column = arrow_select::take::take(column.as_ref(), &indices, None)
                    .map_err(|error| self.fault(0, error.to_string()))?;
            }
        }
        let ids = rows.iter().map(|row| self.id(*row as usize) as u32).collect();
        Ok(Rows { columns, len: rows.len(), ids: Some(ids), ..*self })
    }
}

impl Col {
    pub(crate) fn reader<'c>(&'c self, ty: &LogicalType) -> Reader<'c> {
        match self {
            Col::Const(value) => Reader::Const(value),
            Col::Array(array) => Reader::new(array.as_ref(), ty),
        }
    }

    /// As an array of `rows` rows.
    pub(crate) fn into_array(
        self,
        ty: &LogicalType,
        rows: usize,
        wide: bool,
    ) -> Result<ArrayRef, String> {
        match self {
            Col::Array(array) => Ok(array),
            Col::Const(value) => {
                let mut writer = Writer::new(ty, rows, wide);
                for _ in 0..rows {
                    writer.push(value.clone())?;
                }
                writer.finish()
            }
        }
    }
}

/// The column of a node.
pub(crate) fn eval(node: &Node, rows: &Rows<'_>) -> Result<Col, RowFault> {
    match &node.op {
        Op::Const(value) => Ok(Col::Const(value.clone())),
        Op::Column(at) => match rows.columns.get(*at) {
            Some(column) => Ok(Col::Array(Arc::clone(column))),
            None => Err(rows.fault(0, "the batch has fewer columns than its schema".to_owned())),
        },
        Op::Meta(meta) => metadata(*meta, node, rows),
        Op::And(left, right) => logic(left, right, rows, false),
        Op::Or(left, right) => logic(left, right, rows, true),
        Op::Case(whens, otherwise) => case(node, whens, otherwise, rows),
        Op::Coalesce(nodes) => coalesce(node, nodes, rows),
        Op::Call { args, strict, volatile, kernel, fast, .. } => {
            let cols = args.iter().map(|arg| eval(arg, rows)).collect::<Result<Vec<_>, _>>()?;
            let is_constant = cols.iter().all(|col| matches!(col, Col::Const(_)));
            if let Some(fast) = fast
                && !is_constant
                && !rows.row_by_row
                && let Some(done) = fast::apply(fast, rows, &cols, &node.ty)
            {
                return Ok(Col::Array(done));
            }
            let readers: Vec<Reader<'_>> =
                cols.iter().zip(args).map(|(col, arg)| col.reader(&arg.ty)).collect();
            let mut kernel = kernel.open().map_err(|message| rows.fault(0, message))?;
            if is_constant && !volatile {
                if rows.len == 0 {
                    return Ok(Col::Const(Value::Null));
                }
                let values: Vec<Value<'_>> = readers.iter().map(|reader| reader.get(0)).collect();
                if *strict && values.iter().any(Value::is_null) {
                    return Ok(Col::Const(Value::Null));
                }
                let value =
                    kernel.call(rows.env, &values).map_err(|message| rows.fault(0, message))?;
                return Ok(Col::Const(value.owned()));
            }
            let mut writer = Writer::new(&node.ty, rows.len, rows.wide);
            let mut values: Vec<Value<'_>> = Vec::with_capacity(readers.len());
            for row in 0..rows.len {
                values.clear();
                values.extend(readers.iter().map(|reader| reader.get(row)));
                let result = if *strict && values.iter().any(Value::is_null) {
                    Ok(Value::Null)
                } else {
                    kernel.call(rows.env, &values)
                };
                result
                    .and_then(|value| writer.push(value))
                    .map_err(|message| rows.fault(row, message))?;
            }
            writer.finish().map(Col::Array).map_err(|message| rows.fault(0, message))
        }
    }
}

fn metadata(meta: Metadata, node: &Node, rows: &Rows<'_>) -> Result<Col, RowFault> {
    let part = |part: Option<&Arc<str>>| {
        Col::Const(part.map_or(Value::Null, |part| Value::text(part.to_string())))
    };
    let mut writer = Writer::new(&node.ty, rows.len, rows.wide);
    match meta {
        Metadata::Namespace => return Ok(part(rows.table.namespace.as_ref())),
        Metadata::Schema => return Ok(part(rows.table.schema.as_ref())),
        Metadata::Table => return Ok(part(Some(&rows.table.table))),
        Metadata::EventType | Metadata::OpTs => {
            for row in 0..rows.len {
                let Some(event) = rows.events.get(rows.id(row)) else {
                    return Err(
                        rows.fault(row, "the batch has fewer operations than rows".to_owned())
                    );
                };
                let value = if meta == Metadata::OpTs {
                    Value::Int(event.op_ts)
                } else {
                    Value::text(event.kind)
                };
                writer.push(value).map_err(|message| rows.fault(row, message))?;
            }
        }
    }
    writer.finish().map(Col::Array).map_err(|message| rows.fault(0, message))
}

/// The boolean of each row; none for NULL.
pub(crate) fn booleans(node: &Node, rows: &Rows<'_>) -> Result<Vec<Option<bool>>, RowFault> {
    let col = eval(node, rows)?;
    let reader = col.reader(&node.ty);
    Ok((0..rows.len)
        .map(|row| if let Value::Bool(v) = reader.get(row) { Some(v) } else { None })
        .collect())
}

/// The rows where a condition is TRUE and those where it is FALSE; at the others it is NULL.
struct Truths {
    is_true: BooleanBuffer,
    is_false: BooleanBuffer,
}

impl Truths {
    fn of(node: &Node, rows: &Rows<'_>) -> Result<Self, RowFault> {
        let array = match eval(node, rows)? {
            Col::Array(array) => array,
            Col::Const(value) => {
                let all = |is: bool| {
                    if is {
                        BooleanBuffer::new_set(rows.len)
                    } else {
                        BooleanBuffer::new_unset(rows.len)
                    }
                };
                let (yes, no) = (value == Value::Bool(true), value == Value::Bool(false));
                return Ok(Truths { is_true: all(yes), is_false: all(no) });
            }
        };
        let Some(array) = array.as_boolean_opt() else {
            return Err(rows.fault(0, "a condition is not BOOLEAN".to_owned()));
        };
        let values = array.values();
        Ok(match array.nulls() {
            None => Truths { is_true: values.clone(), is_false: !values },
            Some(nulls) => {
                Truths { is_true: nulls.inner() & values, is_false: nulls.inner() & &!values }
            }
        })
    }

    fn and(&self, other: &Truths) -> BooleanArray {
        Truths {
            is_true: &self.is_true & &other.is_true,
            is_false: &self.is_false | &other.is_false,
        }
        .array()
    }

    fn or(&self, other: &Truths) -> BooleanArray {
        Truths {
            is_true: &self.is_true | &other.is_true,
            is_false: &self.is_false & &other.is_false,
        }
        .array()
    }

    fn array(self) -> BooleanArray {
        let known = NullBuffer::new(&self.is_true | &self.is_false);
        BooleanArray::new(self.is_true, (known.null_count() > 0).then_some(known))
    }
}

/// AND and OR: three-valued, and the right side runs only for rows that the left one does not decide when it can fail.
fn logic(left: &Node, right: &Node, rows: &Rows<'_>, deciding: bool) -> Result<Col, RowFault> {
    if !right.can_fail() && !rows.row_by_row {
        let (left, right) = (Truths::of(left, rows)?, Truths::of(right, rows)?);
        return Ok(Col::Array(Arc::new(if deciding { left.or(&right) } else { left.and(&right) })));
    }
    let mut result = booleans(left, rows)?;
    let open: Vec<u32> =
        (0..rows.len as u32).filter(|row| result[*row as usize] != Some(deciding)).collect();
    let join = |a: Option<bool>, b: Option<bool>| match (a, b) {
        (_, Some(b)) if b == deciding => Some(b),
        (Some(_), b) => b,
        (None, _) => None,
    };
    if open.len() == rows.len || !right.can_fail() {
        for (a, b) in result.iter_mut().zip(booleans(right, rows)?) {
            if *a != Some(deciding) {
                *a = join(*a, b);
            }
        }
    } else if !open.is_empty() {
        let picked = rows.pick(&open, right)?;
        for (row, b) in open.iter().zip(booleans(right, &picked)?) {
            let a = &mut result[*row as usize];
            *a = join(*a, b);
        }
    }
    Ok(Col::Array(Arc::new(arrow_array::BooleanArray::from(result))))
}

/// The rows of a branch and its values for them.
struct Branch<'n> {
    node: &'n Node,
    rows: Vec<u32>,
    col: Col,
}

impl<'n> Branch<'n> {
    fn run(node: &'n Node, chosen: Vec<u32>, rows: &Rows<'_>) -> Result<Self, RowFault> {
        let col = if chosen.len() == rows.len {
            eval(node, rows)?
        } else {
            eval(node, &rows.pick(&chosen, node)?)?
        };
        Ok(Branch { node, rows: chosen, col })
    }
}

/// Puts the branches' values back in the order of the rows.
fn merged(node: &Node, branches: &[Branch<'_>], rows: &Rows<'_>) -> Result<Col, RowFault> {
    if let [only] = branches
        && only.rows.len() == rows.len
    {
        return Ok(only.col.clone());
    }
    if !rows.row_by_row
        && let Some(array) = interleaved(node, branches, rows)
    {
        return Ok(Col::Array(array));
    }
    let readers: Vec<Reader<'_>> =
        branches.iter().map(|branch| branch.col.reader(&branch.node.ty)).collect();
    let mut place = vec![None; rows.len];
    for (branch, found) in branches.iter().enumerate() {
        for (at, row) in found.rows.iter().enumerate() {
            place[*row as usize] = Some((branch, at));
        }
    }
    let mut writer = Writer::new(&node.ty, rows.len, rows.wide);
    for (row, place) in place.into_iter().enumerate() {
        let value =
            place.map_or(Value::Null, |(branch, at): (usize, usize)| readers[branch].get(at));
        writer.push(value).map_err(|message| rows.fault(row, message))?;
    }
    writer.finish().map(Col::Array).map_err(|message| rows.fault(0, message))
}

/// The same over whole columns, where all branches have the carrier of the result.
fn interleaved(node: &Node, branches: &[Branch<'_>], rows: &Rows<'_>) -> Option<ArrayRef> {
    let mut arrays = Vec::with_capacity(branches.len());
    for branch in branches {
        // One row stands for all of a constant.
        let array = match &branch.col {
            Col::Array(array) => Arc::clone(array),
            constant => constant.clone().into_array(&node.ty, 1, rows.wide).ok()?,
        };
        arrays.push(array);
    }
    let first = arrays.first()?;
    if arrays.iter().any(|array| array.data_type() != first.data_type()) {
        return None;
    }
    let mut places = vec![None; rows.len];
    for (number, branch) in branches.iter().enumerate() {
        let is_constant = matches!(branch.col, Col::Const(_));
        for (at, row) in branch.rows.iter().enumerate() {
            *places.get_mut(*row as usize)? = Some((number, if is_constant { 0 } else { at }));
        }
    }
    let places = places.into_iter().collect::<Option<Vec<(usize, usize)>>>()?;
    let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    arrow_select::interleave::interleave(&arrays, &places).ok()
}

fn case(
    node: &Node,
    whens: &[(Node, Node)],
    otherwise: &Node,
    rows: &Rows<'_>,
) -> Result<Col, RowFault> {
    let mut open: Vec<u32> = (0..rows.len as u32).collect();
    let mut branches = Vec::with_capacity(whens.len() + 1);
    for (when, then) in whens {
        if open.is_empty() {
            break;
        }
        let decided = if open.len() == rows.len {
            booleans(when, rows)?
        } else {
            booleans(when, &rows.pick(&open, when)?)?
        };
        let (mut chosen, mut rest) = (Vec::new(), Vec::new());
        for (row, decided) in open.iter().zip(decided) {
            if decided == Some(true) { chosen.push(*row) } else { rest.push(*row) }
        }
        if !chosen.is_empty() {
            branches.push(Branch::run(then, chosen, rows)?);
        }
        open = rest;
    }
    if !open.is_empty() {
        branches.push(Branch::run(otherwise, open, rows)?);
    }
    merged(node, &branches, rows)
}

fn coalesce(node: &Node, nodes: &[Node], rows: &Rows<'_>) -> Result<Col, RowFault> {
    let mut open: Vec<u32> = (0..rows.len as u32).collect();
    let mut branches: Vec<Branch<'_>> = Vec::with_capacity(nodes.len());
    for candidate in nodes {
        if open.is_empty() {
            break;
        }
        let branch = Branch::run(candidate, open, rows)?;
        let reader = branch.col.reader(&candidate.ty);
        open = branch
            .rows
            .iter()
            .enumerate()
            .filter(|(at, _)| reader.get(*at).is_null())
            .map(|(_, row)| *row)
            .collect();
        drop(reader);
        // Later branches overwrite the rows that are still NULL.
        branches.push(branch);
    }
    merged(node, &branches, rows)
}

/// Whether a column has a NULL, and where first.
pub(crate) fn first_null(array: &dyn Array) -> Option<usize> {
    if array.null_count() == 0 {
        return None;
    }
    (0..array.len()).find(|row| array.is_null(*row))
}
