//! The texts of a rule, compiled against one table.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cdc_api::{Column, TableSchema};
use chrono_tz::Tz;

use crate::{
    Program,
    node::{Metadata, Node, Op},
    plan::{self, BUILT_IN, Macro, Planner, nearest},
    program::Output,
    routine::Routine,
    sql::{self, Expr, Fault, Item, Kind, Span},
    types::{self, DecimalMode},
};

/// One rule as the pipeline file has it.
#[derive(Debug, Clone, Default)]
pub struct RuleText {
    /// A SELECT list; none keeps all columns.
    pub projection: Option<String>,
    /// A WHERE condition.
    pub filter: Option<String>,
    /// Columns separated by commas.
    pub primary_keys: Option<String>,
    /// Columns separated by commas.
    pub partition_keys: Option<String>,
    /// `key=value` pairs.
    pub table_options: Option<String>,
    /// What separates the pairs; `,` when none.
    pub table_options_delimiter: Option<String>,
    /// Whether a deletion becomes an insertion of the row's last image.
    pub soft_delete: bool,
}

/// What a rule depends on besides its texts and its table.
#[derive(Debug, Clone)]
pub struct Context {
    /// The zone in which instants show calendar fields.
    pub zone: Tz,
    /// How wide decimal results may be.
    pub decimals: DecimalMode,
    /// The source's metadata columns, by the name that the rules use.
    pub metadata: Vec<(String, Metadata)>,
    /// User-defined functions: `name(a, b) AS expression`.
    pub macros: Vec<String>,
    /// User-defined functions in WebAssembly.
    pub routines: Vec<Arc<Routine>>,
    /// Carries every computed timestamp in nanoseconds whatever its type says, as Flink CDC does in memory. A sink's
    /// schema does not promise those digits: this is for comparing results with Flink CDC's own.
    pub wide_timestamps: bool,
    /// Computes row by row also where there is a way over whole columns: for tests and benchmarks that compare the two.
    pub row_by_row: bool,
}

impl Default for Context {
    fn default() -> Self {
        Context {
            zone: Tz::UTC,
            decimals: DecimalMode::default(),
            metadata: Vec::new(),
            macros: Vec::new(),
            routines: Vec::new(),
            wide_timestamps: false,
            row_by_row: false,
        }
    }
}

/// Which text a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `projection`
    Projection,
    /// `filter`
    Filter,
    /// `primary-keys`
    PrimaryKeys,
    /// `partition-keys`
    PartitionKeys,
    /// `table-options`
    TableOptions,
    /// The user-defined function of this number.
    Macro(usize),
}

/// A fault in one of the texts: what is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlFault {
    /// The text it is in.
    pub part: Part,
    /// The byte where it begins in that text.
    pub offset: usize,
    /// How many bytes it covers.
    pub len: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl SqlFault {
    fn new(part: Part, fault: Fault) -> Self {
        let len = fault.at.end.saturating_sub(fault.at.start).max(1);
        SqlFault { part, offset: fault.at.start, len, message: fault.message, hint: fault.hint }
    }
}

/// Compiles rules.
#[derive(Debug)]
pub struct Rule;

impl Rule {
    /// A program for one version of one table.
    ///
    /// # Errors
    /// All faults that are found, each with its place.
    pub fn compile(
        text: &RuleText,
        context: &Context,
        source: &Arc<TableSchema>,
    ) -> Result<Program, Vec<SqlFault>> {
        let mut faults = Vec::new();
        let macros = macros(context, &mut faults);
        let mut planner = Planner {
            schema: source,
            context,
            macros: &macros,
            projected: Vec::new(),
            depth: 0,
            level: 0,
            doubts: Vec::new(),
        };
        let outputs = project(text, &mut planner, &mut faults);
        let mut doubts = warnings(Part::Projection, &mut planner);
        planner.projected =
            outputs.iter().map(|(name, node)| (name.clone(), node.clone())).collect();
        let filter =
            text.filter.as_deref().filter(|filter| !filter.trim().is_empty()).and_then(|filter| {
                let node = sql::scalar(filter)
                    .and_then(|expr| planner.plan(&expr))
                    .and_then(|node| planner.condition(node));
                node.map_err(|fault| faults.push(SqlFault::new(Part::Filter, fault))).ok()
            });
        doubts.extend(warnings(Part::Filter, &mut planner));
        let schema = schema(text, source, &outputs, &mut faults);
        match schema {
            Some(schema) if faults.is_empty() => Ok(Program::new(
                Arc::clone(source),
                Arc::new(schema),
                outputs.into_iter().map(|(_, node)| Output::of(node)).collect(),
                filter,
                text.soft_delete,
                context,
                doubts,
            )),
            _ => Err(faults),
        }
    }
}

/// The planner's doubts about one text.
fn warnings(part: Part, planner: &mut Planner<'_>) -> Vec<SqlFault> {
    planner.doubts.drain(..).map(|fault| SqlFault::new(part, fault)).collect()
}

impl Rule {
    /// What is wrong with a rule whatever its table: its SQL, and functions that nobody knows.
    pub fn check(text: &RuleText, context: &Context) -> Vec<SqlFault> {
        let mut faults = Vec::new();
        let macros = macros(context, &mut faults);
        let names = user_names(&macros, context);
        for (index, function) in macros.iter().enumerate() {
            unknown(&function.body, &names, Part::Macro(index), &mut faults);
        }
        for found in expressions(text) {
            match found {
                Ok((part, expr)) => unknown(&expr, &names, part, &mut faults),
                Err(fault) => faults.push(fault),
            }
        }
        faults
    }

    /// What is right but hardly meant whatever the table; a program's warnings hold these too.
    pub fn doubts(text: &RuleText) -> Vec<SqlFault> {
        let mut doubts = Vec::new();
        for (part, expr) in expressions(text).into_iter().flatten() {
            percents(&expr, part, &mut doubts);
        }
        doubts
    }
}

/// The expressions of a rule's texts, and what is wrong with a text that has none.
fn expressions(text: &RuleText) -> Vec<Result<(Part, Expr), SqlFault>> {
    let written = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let mut found = Vec::new();
    match written(&text.projection).map(|text| sql::projection(&text)) {
        Some(Ok(items)) => found.extend(items.into_iter().filter_map(|(item, _)| match item {
            Item::Expr { expr, .. } => Some(Ok((Part::Projection, expr))),
            _ => None,
        })),
        Some(Err(fault)) => found.push(Err(SqlFault::new(Part::Projection, fault))),
        None => {}
    }
    if let Some(text) = written(&text.filter) {
        let filter = sql::scalar(&text).map(|expr| (Part::Filter, expr));
        found.push(filter.map_err(|fault| SqlFault::new(Part::Filter, fault)));
    }
    found
}

/// Finds `%` in the patterns of LIKE without ESCAPE.
fn percents(expr: &Expr, part: Part, doubts: &mut Vec<SqlFault>) {
    if let Kind::Like { pattern, escape: None, similar: false, .. } = &expr.kind
        && let Kind::Text(text) = &pattern.kind
        && text.contains('%')
    {
        doubts.push(SqlFault::new(part, plan::percent(pattern.at)));
    }
    for child in expr.kind.children() {
        percents(child, part, doubts);
    }
}

/// Reports the functions of a tree that are neither built in nor the user's.
fn unknown(expr: &Expr, names: &[&str], part: Part, faults: &mut Vec<SqlFault>) {
    if let Kind::Call { name, .. } = &expr.kind {
        let mut known = crate::functions::all()
            .map(|function| function.name)
            .chain(crate::functions::LAZY)
            .chain(names.iter().copied());
        if !known.any(|known| known.eq_ignore_ascii_case(name)) {
            let fault = Fault::new(expr.at, format!("there is no function {name}"));
            let built_in = crate::function_names().map(|name| -> &str { name });
            faults.push(SqlFault::new(
                part,
                match nearest(name, built_in.chain(names.iter().copied())) {
                    Some(near) => fault.hint(format!("did you mean {near}?")),
                    None => fault.hint("docs/transform.md lists the functions"),
                },
            ));
        }
    }
    for child in expr.kind.children() {
        unknown(child, names, part, faults);
    }
}

/// The names of the user's functions.
fn user_names<'n>(macros: &'n [Macro], context: &'n Context) -> Vec<&'n str> {
    let macros = macros.iter().map(|known| known.name.as_str());
    macros.chain(context.routines.iter().map(|known| known.name())).collect()
}

impl Planner<'_> {
    fn condition(&self, node: Node) -> Result<Node, Fault> {
        if node.ty == cdc_api::LogicalType::Boolean || node.is_null() {
            return Ok(node);
        }
        Err(Fault::new(node.at, format!("a filter is BOOLEAN, this is {}", node.ty))
            .hint("compare it with something"))
    }
}

fn macros(context: &Context, faults: &mut Vec<SqlFault>) -> Vec<Macro> {
    let mut macros = Vec::with_capacity(context.macros.len());
    for (index, text) in context.macros.iter().enumerate() {
        match sql::signature(text) {
            Ok((name, params, body)) => macros.push(Macro { name, params, body }),
            Err(fault) => faults.push(SqlFault::new(Part::Macro(index), fault)),
        }
    }
    macros
}

/// The output columns by name, in order; a later item with a name replaces the earlier one in its place.
fn project(
    text: &RuleText,
    planner: &mut Planner<'_>,
    faults: &mut Vec<SqlFault>,
) -> Vec<(String, Node)> {
    let projection = text.projection.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let items = match projection {
        None => vec![(Item::All, Span::default())],
        Some(_) => match sql::projection(text.projection.as_deref().unwrap_or("")) {
            Ok(items) => items,
            Err(fault) => {
                faults.push(SqlFault::new(Part::Projection, fault));
                return Vec::new();
            }
        },
    };
    let mut outputs: Vec<(String, Node)> = Vec::new();
    let mut put =
        |name: String, node: Node| match outputs.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = node,
            None => outputs.push((name, node)),
        };
    for (item, at) in items {
        match item {
            Item::All => {
                for (index, column) in planner.schema.columns().iter().enumerate() {
                    let op = Op::Column(index);
                    put(
                        column.name.clone(),
                        Node { op, ty: column.logical.clone(), nullable: column.nullable, at },
                    );
                }
            }
            Item::Expr { expr, alias } => {
                let named = name_of(&expr, alias, planner);
                match named.and_then(|name| Ok((name, planner.plan(&expr)?))) {
                    Ok((name, node)) => put(name, node),
                    Err(fault) => faults.push(SqlFault::new(Part::Projection, fault)),
                }
            }
        }
    }
    outputs
}

fn name_of(
    expr: &Expr,
    alias: Option<(String, Span)>,
    planner: &Planner<'_>,
) -> Result<String, Fault> {
    match (alias, &expr.kind) {
        (Some((name, at)), _) => {
            let reserved = BUILT_IN.iter().map(|(name, _)| *name);
            let mut reserved =
                reserved.chain(planner.context.metadata.iter().map(|(name, _)| name.as_str()));
            if reserved.any(|known| known == name) {
                return Err(Fault::new(at, format!("{name} is the name of a metadata column"))
                    .hint("choose another name"));
            }
            Ok(name)
        }
        (None, Kind::Column(name)) => Ok(name.clone()),
        (None, _) => {
            Err(Fault::new(expr.at, "a computed column needs a name")
                .hint("write: expression AS name"))
        }
    }
}

/// The identity of a computed column: a hash of its name, apart from all of a source's.
fn computed_id(name: &str, used: &BTreeSet<u32>) -> u32 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let mut id = hash | 1 << 31;
    while used.contains(&id) {
        id = id.wrapping_add(1) | 1 << 31;
    }
    id
}

fn schema(
    text: &RuleText,
    source: &TableSchema,
    outputs: &[(String, Node)],
    faults: &mut Vec<SqlFault>,
) -> Option<TableSchema> {
    let mut used: BTreeSet<u32> = BTreeSet::new();
    let mut columns: Vec<Column> = Vec::with_capacity(outputs.len());
    for (name, node) in outputs {
        let passed = if let Op::Column(at) = node.op { source.columns().get(at) } else { None };
        let mut column = match passed {
            Some(column) => Column { name: name.clone(), ..column.clone() },
            None => {
                let logical = types::computed(&node.ty);
                Column {
                    id: 0,
                    name: name.clone(),
                    source_type: logical.to_string(),
                    logical,
                    // Only metadata and IFNULL promise a value; what is computed from a column may be NULL.
                    nullable: match node.op {
                        Op::Meta(_) | Op::Coalesce(_) => node.nullable,
                        _ => true,
                    },
                    comment: None,
                    default: None,
                    generated: false,
                }
            }
        };
        if passed.is_none() || used.contains(&column.id) {
            column.id = computed_id(name, &used);
        }
        used.insert(column.id);
        columns.push(column);
    }
    let primary = match &text.primary_keys {
        Some(keys) => names(keys, Part::PrimaryKeys, &columns, faults),
        None => inherited(source, source.primary_key(), outputs, "key", faults),
    };
    let partition = match &text.partition_keys {
        Some(keys) => names(keys, Part::PartitionKeys, &columns, faults),
        None => source.partition_keys().iter().filter_map(|at| passed(outputs, *at)).collect(),
    };
    for at in &primary {
        if let Some(column) = columns.get_mut(*at) {
            column.nullable = false;
        }
    }
    let options = options(text, source, faults);
    if columns.is_empty() || !faults.is_empty() {
        return None;
    }
    match source.with_columns(columns, primary, partition) {
        Ok(schema) => Some(schema.with_options(options)),
        Err(error) => {
            let fault = Fault::new(Span::default(), error.message().to_owned());
            faults.push(SqlFault::new(Part::Projection, fault));
            None
        }
    }
}

/// Where a source column comes out unchanged.
fn passed(outputs: &[(String, Node)], at: usize) -> Option<usize> {
    outputs.iter().position(|(_, node)| matches!(node.op, Op::Column(column) if column == at))
}

/// The source's key, which must come through whole when the rule names none.
fn inherited(
    source: &TableSchema,
    keys: &[usize],
    outputs: &[(String, Node)],
    what: &str,
    faults: &mut Vec<SqlFault>,
) -> Vec<usize> {
    if !faults.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::with_capacity(keys.len());
    for at in keys {
        match passed(outputs, *at) {
            Some(at) => found.push(at),
            None => {
                let name = source.columns().get(*at).map_or("", |column| column.name.as_str());
                let text = format!(
                    "the {what} column \"{name}\" of table {} is not in the projection",
                    source.id()
                );
                let fault = Fault::new(Span::default(), text);
                let fault =
                    fault.hint(format!("add {name}, or name another key with primary-keys"));
                faults.push(SqlFault::new(Part::Projection, fault));
            }
        }
    }
    found
}

/// The positions of the columns that a comma list names.
fn names(text: &str, part: Part, columns: &[Column], faults: &mut Vec<SqlFault>) -> Vec<usize> {
    let mut found = Vec::new();
    let mut offset = 0;
    for piece in text.split(',') {
        let name = piece.trim().trim_matches('`');
        let start = offset + piece.len() - piece.trim_start().len();
        offset += piece.len() + 1;
        if name.is_empty() {
            continue;
        }
        match columns.iter().position(|column| column.name == name) {
            Some(at) if found.contains(&at) => {}
            Some(at) => found.push(at),
            None => {
                let at = Span { start, end: start + piece.trim().len() };
                let fault = Fault::new(at, format!("the projection has no column \"{name}\""));
                let near = nearest(name, columns.iter().map(|column| column.name.as_str()));
                let fault = match near {
                    Some(near) => fault.hint(format!("did you mean {near}?")),
                    None => fault.hint("keys are columns that the projection puts out"),
                };
                faults.push(SqlFault::new(part, fault));
            }
        }
    }
    found
}

fn options(
    text: &RuleText,
    source: &TableSchema,
    faults: &mut Vec<SqlFault>,
) -> BTreeMap<String, String> {
    let mut options = source.options().clone();
    let delimiter =
        text.table_options_delimiter.as_deref().filter(|text| !text.is_empty()).unwrap_or(",");
    let Some(all) = &text.table_options else { return options };
    let mut offset = 0;
    for piece in all.split(delimiter) {
        let start = offset;
        offset += piece.len() + delimiter.len();
        if piece.trim().is_empty() {
            continue;
        }
        match piece.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                options.insert(key.trim().to_owned(), value.trim().to_owned());
            }
            _ => {
                let at = Span { start, end: start + piece.len() };
                let fault =
                    Fault::new(at, format!("\"{}\" is not of the form key=value", piece.trim()));
                let fault = fault.hint("when a value contains the delimiter, set table-options.delimiter to another one");
                faults.push(SqlFault::new(Part::TableOptions, fault));
            }
        }
    }
    options
}
