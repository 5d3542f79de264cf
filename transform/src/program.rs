//! A compiled rule: takes a batch of the source's table, gives one of the output table.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow_schema::{Field, Schema};
use cdc_api::{ChangeBatch, Error, Op as RowOp, Ops, Ordinals, Result, TableSchema};

use crate::{
    Context, SqlFault,
    eval::{Event, RowFault, Rows, booleans, eval, first_null},
    node::{Env, Node, Op},
    plan, text, types,
    value::{Moment, Reader},
};

/// One output column.
#[derive(Debug)]
pub(crate) enum Output {
    Pass(usize),
    Compute(Node),
}

impl Output {
    pub(crate) fn of(node: Node) -> Self {
        match node.op {
            Op::Column(at) => Output::Pass(at),
            _ => Output::Compute(node),
        }
    }
}

/// The rows of a batch that stay (none: all of them), and what happened to each.
struct Kept {
    rows: Option<Vec<u32>>,
    ops: Ops,
}

/// A rule compiled against one version of one table.
#[derive(Debug)]
pub struct Program {
    source: Arc<TableSchema>,
    schema: Arc<TableSchema>,
    outputs: Vec<Output>,
    /// The source's columns that the outputs read.
    reads: BTreeSet<usize>,
    filter: Option<Node>,
    soft_delete: bool,
    warnings: Vec<SqlFault>,
    zone: chrono_tz::Tz,
    wide: bool,
    row_by_row: bool,
}

impl Program {
    pub(crate) fn new(
        source: Arc<TableSchema>,
        schema: Arc<TableSchema>,
        outputs: Vec<Output>,
        filter: Option<Node>,
        soft_delete: bool,
        context: &Context,
        warnings: Vec<SqlFault>,
    ) -> Self {
        let (zone, wide, row_by_row) = (context.zone, context.wide_timestamps, context.row_by_row);
        let mut reads = BTreeSet::new();
        for output in &outputs {
            match output {
                Output::Pass(at) => {
                    reads.insert(*at);
                }
                Output::Compute(node) => node.columns(&mut reads),
            }
        }
        Program {
            source,
            schema,
            outputs,
            reads,
            filter,
            soft_delete,
            warnings,
            zone,
            wide,
            row_by_row,
        }
    }

    /// The output table's schema. Columns that pass through keep their ids.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// The schema it was compiled for.
    pub fn source(&self) -> &Arc<TableSchema> {
        &self.source
    }

    /// What is right but hardly meant: a comparison that can never be TRUE, a `%` in a regular expression.
    pub fn warnings(&self) -> &[SqlFault] {
        &self.warnings
    }

    /// The plan, a line per output column and one for the filter.
    pub fn explain(&self) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        if let Some(filter) = &self.filter {
            let _ = writeln!(out, "filter: {}", self.shown(filter));
        }
        for (output, column) in self.outputs.iter().zip(self.schema.columns()) {
            let null = if column.nullable { "" } else { " NOT NULL" };
            let what = match output {
                Output::Pass(at) => {
                    self.source.columns().get(*at).map_or("", |column| &column.name).to_owned()
                }
                Output::Compute(node) => self.shown(node),
            };
            let _ = writeln!(out, "{} {}{null}: {what}", column.name, column.logical);
        }
        let names = |at: &[usize]| {
            let names = at.iter().filter_map(|at| self.schema.columns().get(*at));
            names.map(|column| &*column.name).collect::<Vec<_>>().join(", ")
        };
        let schema = &self.schema;
        for (what, at) in
            [("primary key", schema.primary_key()), ("partition keys", schema.partition_keys())]
        {
            if !at.is_empty() {
                let _ = writeln!(out, "{what} ({})", names(at));
            }
        }
        for (name, value) in schema.options() {
            let _ = writeln!(out, "option {name}: {value}");
        }
        if self.soft_delete {
            out.push_str("then: deletions become insertions (SOFT_DELETE)\n");
        }
        out
    }

    fn shown(&self, node: &Node) -> String {
        let list = |nodes: &[Node]| {
            nodes.iter().map(|node| self.shown(node)).collect::<Vec<_>>().join(", ")
        };
        match &node.op {
            Op::Const(value) if node.ty == cdc_api::LogicalType::String && !value.is_null() => {
                format!("'{}'", text::display(value).replace('\'', "''"))
            }
            Op::Const(value) => text::display(value),
            Op::Column(at) => {
                self.source.columns().get(*at).map_or("?", |column| &column.name).to_owned()
            }
            Op::Meta(meta) => plan::BUILT_IN
                .iter()
                .find(|(_, known)| known == meta)
                .map_or("op_ts", |(name, _)| name)
                .to_owned(),
            Op::And(a, b) => format!("({} AND {})", self.shown(a), self.shown(b)),
            Op::Or(a, b) => format!("({} OR {})", self.shown(a), self.shown(b)),
            Op::Case(whens, otherwise) => {
                let whens = whens
                    .iter()
                    .map(|(w, t)| format!(" WHEN {} THEN {}", self.shown(w), self.shown(t)));
                format!("CASE{} ELSE {} END", whens.collect::<String>(), self.shown(otherwise))
            }
            Op::Coalesce(nodes) => format!("COALESCE({})", list(nodes)),
            Op::Call { name, args, .. } => match (name.split_once(" AS "), &args[..]) {
                (Some((cast, ty)), [value]) => format!("{cast}({} AS {ty})", self.shown(value)),
                (_, [value]) if name.starts_with("IS ") => {
                    format!("({} {name})", self.shown(value))
                }
                (_, [whole, index]) if name == "[]" => {
                    format!("{}[{}]", self.shown(whole), self.shown(index))
                }
                (_, [a, b]) if !name.contains('_') && !name.chars().all(char::is_alphanumeric) => {
                    format!("({} {name} {})", self.shown(a), self.shown(b))
                }
                _ if name == "||" => {
                    let args: Vec<String> = args.iter().map(|arg| self.shown(arg)).collect();
                    format!("({})", args.join(" || "))
                }
                _ => format!("{name}({})", list(args)),
            },
        }
    }

    /// The rows that pass the filter, projected; none when no row does.
    ///
    /// # Errors
    /// `Data` when a row cannot be computed (a cast, a division by zero, an overflow), naming column, key and position.
    pub fn eval(&self, batch: ChangeBatch) -> Result<Option<ChangeBatch>> {
        if batch.is_empty() {
            return Ok(None);
        }
        if batch.rows.num_columns() != self.source.columns().len() {
            return Err(Error::internal(format!(
                "a batch of table {} has {} columns, its rule was compiled for {}",
                self.source.id(),
                batch.rows.num_columns(),
                self.source.columns().len()
            )));
        }
        let env = Env { zone: self.zone, now: now() };
        let Some(kept) = self.selected(&batch, &env)? else { return Ok(None) };
        let mut columns: Vec<ArrayRef> = batch.rows.columns().to_vec();
        if let Some(rows) = &kept.rows {
            let indices = UInt32Array::from(rows.clone());
            for at in &self.reads {
                let Some(column) = columns.get_mut(*at) else { continue };
                *column =
                    arrow_select::take::take(column.as_ref(), &indices, None).map_err(|error| {
                        Error::internal(format!("rows could not be picked: {error}"))
                    })?;
            }
        }
        let len = kept.rows.as_ref().map_or(batch.len(), Vec::len);
        let events = self.events(&batch, &kept);
        let rows = Rows {
            columns,
            len,
            ids: kept.rows.clone(),
            events: &events,
            table: self.source.id(),
            env: &env,
            wide: self.wide,
            row_by_row: self.row_by_row,
        };
        let arrays = self.project(&rows, &batch)?;
        let soft = |op: RowOp| {
            if self.soft_delete && op == RowOp::Delete { RowOp::Insert } else { op }
        };
        Ok(Some(ChangeBatch {
            schema: Arc::clone(&self.schema),
            rows: self.record(arrays, len)?,
            ops: match kept.ops {
                Ops::All(op) => Ops::All(soft(op)),
                Ops::Each(ops) => Ops::Each(ops.into_iter().map(soft).collect()),
            },
            ordinals: match kept.rows {
                None => batch.ordinals,
                Some(rows) => Ordinals::Each(
                    rows.iter().map(|row| batch.ordinals.at(*row as usize)).collect(),
                ),
            },
            first_seq: batch.first_seq,
            txns: batch.txns,
        }))
    }

    /// What the metadata columns show of each row of the batch, when anything asks: the operations as the filter left
    /// them.
    fn events(&self, batch: &ChangeBatch, kept: &Kept) -> Vec<Event> {
        let reads = |node: &Node| node.reads_events();
        let computed = self
            .outputs
            .iter()
            .any(|output| matches!(output, Output::Compute(node) if reads(node)));
        if !computed && !self.filter.as_ref().is_some_and(reads) {
            return Vec::new();
        }
        let mut ops: Vec<RowOp> = (0..batch.len()).map(|row| batch.ops.at(row)).collect();
        for (at, row) in kept.rows.iter().flatten().enumerate() {
            ops[*row as usize] = kept.ops.at(at);
        }
        let rows = batch.txn_of_rows().zip(ops);
        rows.map(|(txn, op)| Event {
            kind: kind(op),
            op_ts: if op == RowOp::Read { 0 } else { txn.commit_ts_us.div_euclid(1000) },
        })
        .collect()
    }

    /// The rows that stay and what happened to each; none when none does. An update of which only one image passes
    /// becomes a deletion or an insertion.
    fn selected(&self, batch: &ChangeBatch, env: &Env) -> Result<Option<Kept>> {
        let whole = Kept { rows: None, ops: batch.ops.clone() };
        let Some(filter) = &self.filter else { return Ok(Some(whole)) };
        let events = self.events(batch, &whole);
        let rows = Rows {
            columns: batch.rows.columns().to_vec(),
            len: batch.len(),
            ids: None,
            events: &events,
            table: self.source.id(),
            env,
            wide: self.wide,
            row_by_row: self.row_by_row,
        };
        let passes =
            booleans(filter, &rows).map_err(|fault| self.fault(batch, "filter", &fault))?;
        let passes = |row: usize| passes.get(row).copied().flatten() == Some(true);
        let (mut kept, mut ops) =
            (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
        let mut row = 0;
        while row < batch.len() {
            let op = batch.ops.at(row);
            let pair = op == RowOp::UpdateBefore
                && row + 1 < batch.len()
                && batch.ops.at(row + 1) == RowOp::UpdateAfter;
            if pair {
                match (passes(row), passes(row + 1)) {
                    (true, true) => {
                        kept.extend([row as u32, row as u32 + 1]);
                        ops.extend([RowOp::UpdateBefore, RowOp::UpdateAfter]);
                    }
                    (true, false) => {
                        kept.push(row as u32);
                        ops.push(RowOp::Delete);
                    }
                    (false, true) => {
                        kept.push(row as u32 + 1);
                        ops.push(RowOp::Insert);
                    }
                    (false, false) => {}
                }
                row += 2;
            } else {
                if passes(row) {
                    kept.push(row as u32);
                    ops.push(op);
                }
                row += 1;
            }
        }
        if kept.len() == batch.len() {
            return Ok(Some(whole));
        }
        let ops = match batch.ops {
            Ops::All(op) => Ops::All(op),
            Ops::Each(_) => Ops::Each(ops),
        };
        Ok((!kept.is_empty()).then_some(Kept { rows: Some(kept), ops }))
    }

    fn project(&self, rows: &Rows<'_>, batch: &ChangeBatch) -> Result<Vec<ArrayRef>> {
        let mut arrays = Vec::with_capacity(self.outputs.len());
        for (output, column) in self.outputs.iter().zip(self.schema.columns()) {
            let failed =
                |fault: &RowFault| self.fault(batch, &format!("column \"{}\"", column.name), fault);
            let array = match output {
                Output::Pass(at) => match rows.columns.get(*at) {
                    Some(array) => Arc::clone(array),
                    None => {
                        return Err(Error::internal("the batch has fewer columns than its schema"));
                    }
                },
                Output::Compute(node) => {
                    let message = |message| failed(&RowFault { row: rows.id(0), message });
                    let array = eval(node, rows)
                        .map_err(|fault| failed(&fault))?
                        .into_array(&node.ty, rows.len, self.wide)
                        .map_err(message)?;
                    self.carried(array, node, &column.logical).map_err(message)?
                }
            };
            if let (false, Some(row)) = (column.nullable, first_null(array.as_ref())) {
                let row = rows.id(row);
                let message = "the value is NULL, but the column is part of the key".to_owned();
                return Err(failed(&RowFault { row, message }).hint(
                    "leave such rows out with a filter, or give the column a value with COALESCE",
                ));
            }
            arrays.push(array);
        }
        Ok(arrays)
    }

    /// In the carrier of the declared type, when the computed one is wider.
    fn carried(
        &self,
        array: ArrayRef,
        node: &Node,
        to: &cdc_api::LogicalType,
    ) -> Result<ArrayRef, String> {
        if self.wide || node.ty.arrow() == to.arrow() && *array.data_type() == to.arrow() {
            return Ok(array);
        }
        let reader = Reader::new(array.as_ref(), &node.ty);
        crate::value::column(
            &types::computed(&node.ty),
            false,
            (0..array.len()).map(|row| reader.get(row)),
        )
    }

    fn record(&self, arrays: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
        let arrow = self.schema.arrow();
        let same = arrow
            .fields()
            .iter()
            .zip(&arrays)
            .all(|(field, array)| field.data_type() == array.data_type());
        let schema = if same {
            Arc::clone(arrow)
        } else {
            let fields = arrow.fields().iter().zip(&arrays).map(|(field, array)| {
                Field::new(field.name(), array.data_type().clone(), field.is_nullable())
                    .with_metadata(field.metadata().clone())
            });
            Arc::new(Schema::new(fields.collect::<Vec<_>>()))
        };
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|error| {
            Error::internal(format!(
                "a transformed batch of table {} is broken: {error}",
                self.source.id()
            ))
        })
    }

    /// The error of one row, with all that helps to find it.
    fn fault(&self, batch: &ChangeBatch, place: &str, fault: &RowFault) -> Error {
        let mut key = Vec::new();
        for at in self.source.primary_key() {
            if let (Some(column), Some(array)) =
                (self.source.columns().get(*at), batch.rows.columns().get(*at))
                && fault.row < array.len()
            {
                let value = Reader::new(array.as_ref(), &column.logical).get(fault.row);
                key.push(format!("{}={}", column.name, text::display(&value)));
            }
        }
        let mut detail = format!("{place} of the transform: {}", fault.message);
        if !key.is_empty() {
            detail.push_str(&format!(", in the row with {}", key.join(", ")));
        }
        if let Some(txn) = batch.txn_of_rows().nth(fault.row) {
            detail.push_str(&format!(", at {}:{}", txn.file, txn.pos));
        }
        Error::data(self.source.id().clone(), format!("a row of table {} could not be transformed", self.source.id()))
            .detail(detail)
            .hint("mend the expression (TRY_CAST gives NULL instead of failing, NULLIF(x, 0) guards a division), or let the error policy set such rows aside")
    }
}

fn kind(op: RowOp) -> &'static str {
    match op {
        RowOp::Read | RowOp::Insert => "+I",
        RowOp::UpdateBefore => "-U",
        RowOp::UpdateAfter => "+U",
        RowOp::Delete => "-D",
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment { secs: i64::try_from(since.as_secs()).unwrap_or(0), nanos: since.subsec_nanos() }
}
