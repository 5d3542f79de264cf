//! No text makes the compiler panic, and what compiles does not panic either, whatever the rows hold.

#[allow(dead_code)]
mod cases;

use cases::table;
use cdc_transform::{Context, DecimalMode, Rule, RuleText, function_names};
use proptest::prelude::*;

const WORDS: [&str; 64] = [
    "id_",
    "bool_",
    "int_",
    "bigint_",
    "float_",
    "double_",
    "decimal_20_2_",
    "string_",
    "bytes_",
    "timestamp_6_",
    "timestamp_ltz_9_",
    "timestamp_tz_0_",
    "date_",
    "time_9_",
    "array_int_",
    "map_int_string_",
    "complex_row_",
    "variant_",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "1.5",
    "1e300",
    "'a'",
    "'天'",
    "''",
    "'2024-02-30'",
    "NULL",
    "TRUE",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<",
    "AND",
    "OR",
    "NOT",
    "IS",
    "IN",
    "BETWEEN",
    "LIKE",
    "ESCAPE",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST(",
    "AS",
    "INT",
    "DECIMAL(38, 38)",
    "TIMESTAMP(9)",
    "INTERVAL",
    "DAY",
    "ARRAY[",
    "MAP[",
    "[",
    "]",
    "(",
    ")",
];

fn run(expression: &str) {
    let rule = RuleText { projection: Some(format!("{expression} AS x")), ..RuleText::default() };
    let context = Context { decimals: DecimalMode::UpTo38, ..Context::default() };
    let schema = table::schema();
    if let Ok(program) = Rule::compile(&rule, &context, &schema) {
        let _ = program.explain();
        // Either is fine; a panic is not.
        let _ = program.eval(table::batch(&schema, false));
    }
}

fn argument() -> impl Strategy<Value = String> {
    prop::sample::select(&WORDS[..30]).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn any_text(text in "\\PC{0,40}") {
        run(&text);
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 1..14)) {
        run(&words.join(" "));
    }

    #[test]
    fn any_call(
        name in prop::sample::select(function_names().collect::<Vec<_>>()),
        arguments in prop::collection::vec(argument(), 0..4),
    ) {
        run(&format!("{name}({})", arguments.join(", ")));
    }

    #[test]
    fn any_operator(
        left in argument(),
        operator in prop::sample::select(vec!["+", "-", "*", "/", "%", "||", "=", "<>", "<", ">=", "AND", "LIKE", "SIMILAR TO", "IS DISTINCT FROM"]),
        right in argument(),
    ) {
        run(&format!("{left} {operator} {right}"));
    }

    #[test]
    fn any_cast(value in argument(), ty in prop::sample::select(vec![
        "BOOLEAN", "TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL(38, 10)", "DATE", "TIME",
        "TIMESTAMP(3)", "TIMESTAMP_LTZ(3)", "STRING", "BYTES", "VARIANT",
    ])) {
        run(&format!("CAST({value} AS {ty})"));
        run(&format!("TRY_CAST({value} AS {ty})"));
    }
}
