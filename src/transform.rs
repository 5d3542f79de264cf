//! Transforms on the way of the rows: each source table's first matching rule, compiled once per schema version, between
//! the source and the registry of both sides. The SQL itself is `cdc_transform`'s.

use std::{collections::HashMap, sync::Arc};

use arrow_array::BooleanArray;
use arrow_select::filter::filter_record_batch;
use cdc_api::{ChangeBatch, Error, Op, Ops, Ordinals, Result, SchemaChange, TableId, TableSchema};
use cdc_transform::{Program, Rule};

use crate::definition::TransformRules;

/// The transforms of a pipeline.
pub(crate) struct Transforms {
    rules: TransformRules,
    /// Whether the sink wants images before updates.
    keeps_before: bool,
    /// By source table; none when no rule is for it.
    programs: HashMap<TableId, Option<Arc<Program>>>,
}

impl Transforms {
    pub(crate) fn new(rules: TransformRules, keeps_before: bool) -> Self {
        Transforms { rules, keeps_before, programs: HashMap::new() }
    }

    /// Whether images before updates are needed: a filter is asked for both halves.
    pub(crate) fn needs_before(rules: &TransformRules) -> bool {
        let filters =
            |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
        rules.rules.iter().any(|rule| filters(&rule.text.filter))
    }

    /// A table's schema behind its transform, for rows to come.
    ///
    /// # Errors
    /// `Data` when the rule does not fit the table.
    pub(crate) fn schema(&mut self, source: &Arc<TableSchema>) -> Result<Arc<TableSchema>> {
        let program = compile(&self.rules, source)?.map(Arc::new);
        let schema = program.as_ref().map_or(source, |program| program.schema());
        let schema = Arc::clone(schema);
        self.programs.insert(source.id().clone(), program);
        Ok(schema)
    }

    /// A change of a source table as it is behind the transform; none when nothing of it is seen there.
    ///
    /// # Errors
    /// As [`Transforms::schema`].
    pub(crate) fn change(&mut self, change: &SchemaChange) -> Result<Option<SchemaChange>> {
        let known = |source: &Arc<TableSchema>| match self.programs.get(source.id()) {
            Some(Some(program)) => Arc::clone(program.schema()),
            _ => Arc::clone(source),
        };
        Ok(Some(match change {
            SchemaChange::Create(source) => SchemaChange::Create(self.schema(source)?),
            SchemaChange::Alter { before, after } => {
                let before = known(before);
                let after = self.schema(after)?;
                let is_same = before.columns() == after.columns()
                    && before.primary_key() == after.primary_key()
                    && before.comment() == after.comment();
                if is_same {
                    return Ok(None);
                }
                SchemaChange::Alter { before, after }
            }
            SchemaChange::Recreate { before, after } => {
                let before = known(before);
                SchemaChange::Recreate { before, after: self.schema(after)? }
            }
            SchemaChange::Truncate(source) => SchemaChange::Truncate(known(source)),
            SchemaChange::Drop(source) => SchemaChange::Drop(known(source)),
        }))
    }

    /// Rows behind the transform of their table; none when no row passes.
    ///
    /// # Errors
    /// `Data` for a row that cannot be computed.
    pub(crate) fn rows(&self, batch: ChangeBatch) -> Result<Option<ChangeBatch>> {
        let batch = match self.programs.get(batch.schema.id()) {
            Some(Some(program)) => program.eval(batch)?,
            _ => Some(batch),
        };
        match batch {
            Some(batch) if !self.keeps_before => without_before(batch),
            batch => Ok(batch),
        }
    }
}

/// The program of a table by the first rule that is for it.
///
/// # Errors
/// `Data` with the faults and their places in the file.
pub(crate) fn compile(
    rules: &TransformRules,
    source: &Arc<TableSchema>,
) -> Result<Option<Program>> {
    let Some(rule) = rules.rule_for(source.id())? else { return Ok(None) };
    Rule::compile(&rule.text, &rules.context, source).map(Some).map_err(|faults| {
        let id = source.id();
        Error::data(id.clone(), format!("the transform does not fit table \"{id}\""))
            .detail(format!("\n{}", rules.screen(rule, &faults)))
            .hint("mend the rule, or narrow its `source-table`")
    })
}

/// Without the images before updates, which were there for the filter alone.
fn without_before(batch: ChangeBatch) -> Result<Option<ChangeBatch>> {
    let Ops::Each(ops) = &batch.ops else { return Ok(Some(batch)) };
    if !ops.contains(&Op::UpdateBefore) {
        return Ok(Some(batch));
    }
    let keep: Vec<bool> = ops.iter().map(|op| *op != Op::UpdateBefore).collect();
    let rows = filter_record_batch(&batch.rows, &BooleanArray::from(keep.clone()))
        .map_err(|error| Error::internal("a batch cannot be filtered").caused_by(error))?;
    let kept = || keep.iter().enumerate().filter_map(|(row, keep)| keep.then_some(row));
    let ordinals = kept().map(|row| batch.ordinals.at(row)).collect();
    let ops = kept().map(|row| batch.ops.at(row)).collect();
    Ok(Some(ChangeBatch { rows, ops: Ops::Each(ops), ordinals: Ordinals::Each(ordinals), ..batch }))
}
