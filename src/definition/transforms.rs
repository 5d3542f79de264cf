//! The `transform:` block: the texts of its rules, each with the place of every byte in the file, so that a fault in the
//! SQL is shown where it stands, also when it is found only once the tables are known.

use std::{ops::Range, sync::Arc};

use cdc_api::{Result, TableId, pattern::Selectors};
use cdc_transform::{Context, Part, Program, Rule, RuleText, SqlFault};

use super::{
    fault::Fault,
    mask::Masked,
    reader::Reader,
    screen::{Report, Screen, Weight},
    tree::{Entry, Node, Value},
};

const KEYS: [&str; 9] = [
    "source-table",
    "projection",
    "filter",
    "primary-keys",
    "partition-keys",
    "table-options",
    "table-options.delimiter",
    "converter-after-transform",
    "description",
];

/// All rules, in the file's order.
#[derive(Debug, Clone, Default)]
pub struct TransformRules {
    /// The rules.
    pub rules: Vec<TransformRule>,
    /// What they depend on besides their tables.
    pub context: Context,
    file: String,
    shown: Option<Arc<Masked>>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct TransformRule {
    /// Which source tables it is for.
    pub tables: Selectors,
    /// Its texts.
    pub text: RuleText,
    path: String,
    texts: Vec<(Part, &'static str, Places)>,
}

/// Per byte of a text, and for its end, where that stands in the file.
type Places = Vec<Range<usize>>;

impl TransformRules {
    /// The faults of a rule as the user's screen, with their places in the file.
    pub fn screen(&self, rule: &TransformRule, faults: &[SqlFault]) -> String {
        let faults = faults.iter().map(|fault| rule.fault(fault)).collect();
        let report = self.report(Weight::Fault, faults);
        report.screen(Screen { color: false, unicode: false, width: 100 })
    }

    fn report(&self, weight: Weight, faults: Vec<Fault>) -> Report {
        let masked = self
            .shown
            .as_ref()
            .map_or_else(|| Masked::new("", Vec::new()), |masked| Masked::clone(masked));
        Report { weight, file: self.file.clone(), faults, masked }
    }

    /// The first rule that is for a table.
    ///
    /// # Errors
    /// A pattern that is too costly.
    pub fn rule_for(&self, table: &TableId) -> Result<Option<&TransformRule>> {
        for rule in &self.rules {
            if rule.tables.is_match(table)? {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    /// What is right but hardly meant: in the texts of all rules, and in the programs that were made of them for tables.
    /// Each place of the file comes once; none when there is nothing to tell.
    ///
    /// # Errors
    /// As [`TransformRules::rule_for`].
    pub fn warnings(&self, programs: &[Program]) -> Result<Option<Report>> {
        let mut faults: Vec<Fault> = Vec::new();
        let mut add = |rule: &TransformRule, doubts: &[SqlFault]| {
            for fault in doubts.iter().map(|doubt| rule.fault(doubt)) {
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        };
        for rule in &self.rules {
            add(rule, &Rule::doubts(&rule.text));
        }
        for program in programs {
            if let Some(rule) = self.rule_for(program.source().id())? {
                add(rule, program.warnings());
            }
        }
        faults.sort_by_key(|fault| fault.span.as_ref().map(|span| span.start));
        Ok((!faults.is_empty()).then(|| self.report(Weight::Warning, faults)))
    }

    pub(super) fn shown_as(&mut self, file: String, masked: Masked) {
        (self.file, self.shown) = (file, Some(Arc::new(masked)));
    }
}

impl TransformRule {
    fn fault(&self, fault: &SqlFault) -> Fault {
        let found = self.texts.iter().find(|(part, _, _)| *part == fault.part);
        let Some((_, key, places)) = found else {
            return Fault::new(&self.path, &fault.message).maybe_hint(fault.hint.clone());
        };
        let path = format!("{}.{key}", self.path);
        let new = Fault::new(path, &fault.message).maybe_hint(fault.hint.clone());
        let last = (fault.offset + fault.len).saturating_sub(1);
        match (places.get(fault.offset), places.get(last)) {
            (Some(first), Some(last)) if last.end >= first.start => new.at(first.start..last.end),
            (Some(first), _) => new.at(first.clone()),
            _ => new,
        }
    }
}

/// Reads all rules; those at fault are missing.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entry: Option<&Entry>,
    context: Context,
) -> TransformRules {
    let mut rules = Vec::new();
    let items = entry.and_then(|entry| reader.list("transform", entry)).unwrap_or_default();
    for (index, item) in items.iter().enumerate() {
        rules.extend(rule(reader, &format!("transform[{index}]"), item, &context));
    }
    TransformRules { rules, context, file: String::new(), shown: None }
}

fn rule(
    reader: &mut Reader<'_>,
    path: &str,
    item: &Node,
    context: &Context,
) -> Option<TransformRule> {
    let Value::Mapping(entries) = &item.value else {
        let message = format!("expected a rule with keys, found {}", item.describe());
        let span = reader.first_line(item.span.clone());
        let hint = "write `- source-table: ...` and below it `projection: ...`";
        reader.fault(Fault::new(path, message).at(span).hint(hint));
        return None;
    };
    for entry in entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        let path = format!("{path}.{}", entry.key);
        reader.unknown_key(&path, entry, KEYS, format!("a transform has: {}", KEYS.join(", ")));
    }
    let find = |key: &str| entries.iter().find(|entry| entry.key == key);
    let mut texts = Vec::new();
    let mut read = |reader: &mut Reader<'_>, part: Option<Part>, key: &'static str| {
        let entry = find(key)?;
        let scalar = reader.scalar(&format!("{path}.{key}"), entry)?;
        if let Some(part) = part {
            texts.push((part, key, reader.places(&entry.value, scalar)));
        }
        Some(scalar.text.clone())
    };
    let source = read(reader, None, "source-table");
    let text = RuleText {
        projection: read(reader, Some(Part::Projection), "projection"),
        filter: read(reader, Some(Part::Filter), "filter"),
        primary_keys: read(reader, Some(Part::PrimaryKeys), "primary-keys"),
        partition_keys: read(reader, Some(Part::PartitionKeys), "partition-keys"),
        table_options: read(reader, Some(Part::TableOptions), "table-options"),
        table_options_delimiter: read(reader, None, "table-options.delimiter"),
        soft_delete: false,
    };
    let converter = read(reader, None, "converter-after-transform");
    read(reader, None, "description");
    let soft_delete = match converter.as_deref().map(str::trim) {
        None | Some("") => false,
        Some(word) if word.eq_ignore_ascii_case("SOFT_DELETE") => true,
        Some(word) => {
            let at = find("converter-after-transform").map(|entry| reader.value_span(entry));
            let path = format!("{path}.converter-after-transform");
            let fault = Fault::new(path, format!("there is no converter \"{word}\""));
            let fault = fault.hint("SOFT_DELETE is the only one");
            reader.fault(match at {
                Some(at) => fault.at(at),
                None => fault,
            });
            false
        }
    };
    if find("source-table").is_none() && !Reader::is_meant(entries, "source-table", KEYS) {
        let at = entries.first().map_or(item.span.clone(), |first| first.key_span.clone());
        reader.fault(Fault::new(path, "required key `source-table` is missing").at(at));
    }
    let tables = source.and_then(|text| match Selectors::parse(&text) {
        Ok(tables) => Some(tables),
        Err(error) => {
            let fault = error.into_fault("source-table");
            let found =
                find("source-table").map(|entry| match (&entry.value.value, fault.offset) {
                    (Value::Scalar(scalar), Some(offset)) => {
                        reader.place(&entry.value, scalar, offset)
                    }
                    _ => reader.value_span(entry),
                });
            let path = format!("{path}.source-table");
            let new = Fault::new(path, fault.message).maybe_hint(fault.hint);
            reader.fault(match found {
                Some(at) => new.at(at),
                None => new,
            });
            None
        }
    });
    let rule = TransformRule {
        tables: tables?,
        text: RuleText { soft_delete, ..text },
        path: path.to_owned(),
        texts,
    };
    let faults = Rule::check(&rule.text, context);
    for fault in &faults {
        // A function of the user's is judged where it is defined.
        if !matches!(fault.part, Part::Macro(_)) {
            reader.fault(rule.fault(fault));
        }
    }
    Some(rule)
}
