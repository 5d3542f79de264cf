//! Runs every example of docs/transform.md, and asks that it names every function.

#[allow(dead_code)]
mod cases;

use std::path::Path;

use cases::{print, table};
use cdc_transform::{Context, DecimalMode, Rule, RuleText};

fn documentation() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/transform.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of a table's row; `\|` is no border.
fn cells(line: &str) -> Vec<String> {
    let line = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{1}");
    line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// What an expression gives for the first row of the input table.
fn result(expression: &str) -> Result<String, String> {
    let rule =
        RuleText { projection: Some(format!("{expression} AS result")), ..RuleText::default() };
    let context = Context { decimals: DecimalMode::UpTo38, ..Context::default() };
    let schema = table::schema();
    let program =
        Rule::compile(&rule, &context, &schema).map_err(|faults| format!("{faults:?}"))?;
    let batch = program.eval(table::batch(&schema, true)).map_err(|error| format!("{error:?}"))?;
    let batch = batch.ok_or("no row came out")?;
    let value = print::value(batch.rows.column(0).as_ref(), &batch.schema.columns()[0].logical, 0);
    Ok(if value == "null" { "NULL".to_owned() } else { value })
}

#[test]
fn every_example_gives_its_result() {
    let (mut ran, mut wrong, mut examples) = (0, Vec::new(), false);
    for line in documentation().lines() {
        if !line.starts_with('|') {
            examples = false;
            continue;
        }
        let cells = cells(line);
        let [.., example, expected] = &cells[..] else { continue };
        if (example.as_str(), expected.as_str()) == ("Example", "Result") {
            examples = true;
        } else if let (true, Some(example), Some(expected)) =
            (examples, code(example), code(expected))
        {
            ran += 1;
            let found = result(example);
            if found.as_deref() != Ok(expected) {
                wrong.push(format!("{example}: expected {expected}, received {found:?}"));
            }
        } else if examples && !line.starts_with("|--") {
            wrong.push(format!("no example in: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran > 100, "only {ran} examples were found");
}

#[test]
fn every_function_has_an_example() {
    let text = documentation();
    let examples: String = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .map(|line| cells(line).into_iter().skip(1).collect::<String>())
        .collect();
    let missing: Vec<&str> =
        cdc_transform::function_names().filter(|name| !examples.contains(name)).collect();
    assert!(missing.is_empty(), "docs/transform.md has no example of {missing:?}");
}
