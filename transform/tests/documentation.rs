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

/// Every operator and function of Flink CDC's table (`TransformSqlOperatorTable`), AI functions aside, in each form of its
/// own and for each kind of argument that it takes.
const FLINK_CDC: &[&str] = &[
    // Comparison.
    "int_ = 4, int_ <> 4, int_ > 4, int_ >= 4, int_ < 4, int_ <= 4, int_ != 4",
    "int_ IS NULL, int_ IS NOT NULL, bool_ IS UNKNOWN, bool_ IS NOT UNKNOWN",
    "int_ IS DISTINCT FROM 4, int_ IS NOT DISTINCT FROM 4",
    "int_ BETWEEN 1 AND 5, int_ NOT BETWEEN 1 AND 5, date_ BETWEEN date_ AND date_",
    "string_ LIKE 'A', string_ NOT LIKE 'A', string_ LIKE 'A%' ESCAPE '$', string_ NOT LIKE '_' ESCAPE '$'",
    "string_ SIMILAR TO 'A%', string_ NOT SIMILAR TO 'A%', string_ SIMILAR TO 'A$%' ESCAPE '$'",
    "int_ IN (1, 4), int_ NOT IN (1, 4), string_ IN ('a', 'b')",
    // Logic.
    "bool_ AND TRUE, bool_ OR FALSE, NOT bool_",
    "bool_ IS TRUE, bool_ IS NOT TRUE, bool_ IS FALSE, bool_ IS NOT FALSE",
    // Arithmetic.
    "int_ + 1, int_ - 1, int_ * 2, int_ / 3, int_ % 3, -int_, +int_, MOD(int_, 3)",
    "bigint_ + int_, double_ * 2, float_ / 2, decimal_20_2_ + 1, tinyint_ + smallint_",
    "ABS(int_), ABS(bigint_), ABS(float_), ABS(double_), ABS(decimal_20_2_), ABS(tinyint_), ABS(smallint_)",
    "CEIL(int_), CEIL(double_), CEIL(decimal_20_2_), CEILING(float_)",
    "FLOOR(int_), FLOOR(double_), FLOOR(decimal_20_2_), FLOOR(float_)",
    "ROUND(int_, 0), ROUND(double_, 1), ROUND(decimal_20_2_, 1), ROUND(float_, 1), ROUND(double_), UUID()",
    // Texts.
    "string_ || 'x', string_ || int_, CONCAT(string_, 'x'), CONCAT(string_, int_, NULL), CONCAT_WS('-', string_, 'x')",
    "CHAR_LENGTH(string_), CHARACTER_LENGTH(string_), UPPER(string_), LOWER(string_)",
    "TRIM(string_), TRIM(BOTH 'x' FROM string_), TRIM(LEADING FROM string_), TRIM(TRAILING 'x' FROM string_)",
    "LTRIM(string_), LTRIM(string_, 'x'), RTRIM(string_), RTRIM(string_, 'x'), BTRIM(string_), BTRIM(string_, 'x')",
    "REGEXP_REPLACE(string_, '[a-z]', '.'), REGEXP_EXTRACT(string_, '(.)(.)', 2), REGEXP_EXTRACT(string_, '.')",
    "REGEXP_EXTRACT_ALL(string_, '(.)', 1), REGEXP_EXTRACT_ALL(string_, '(.)'), REGEXP_COUNT(string_, 'a')",
    "REGEXP_INSTR(string_, 'a'), REGEXP_SUBSTR(string_, 'a+'), REGEXP(string_, 'a')",
    "SUBSTR(string_, 2), SUBSTR(string_, 2, 1), SUBSTRING(string_, 2), SUBSTRING(string_, 2, 1)",
    "SUBSTRING(string_ FROM 2), SUBSTRING(string_ FROM 2 FOR 1)",
    "OVERLAY(string_ PLACING 'x' FROM 1), OVERLAY(string_ PLACING 'x' FROM 1 FOR 2)",
    "POSITION('a' IN string_), POSITION('a' IN string_ FROM 2), LOCATE('a', string_), LOCATE('a', string_, 2)",
    "INSTR(string_, 'a'), LPAD(string_, 9), LPAD(string_, 9, 'x'), RPAD(string_, 9), RPAD(string_, 9, 'x')",
    "REPLACE(string_, 'a', 'b'), REPEAT(string_, 2), REVERSE(string_), LEFT(string_, 2), RIGHT(string_, 2)",
    "STARTSWITH(string_, 'A'), ENDSWITH(string_, 'A'), STARTSWITH(bytes_, bytes_), ENDSWITH(bytes_, bytes_)",
    "TO_BASE64(string_), TO_BASE64(bytes_), FROM_BASE64('YQ=='), FROM_BASE64_BINARY('YQ==')",
    // Dates and times.
    "LOCALTIME, LOCALTIMESTAMP, CURRENT_TIME, CURRENT_DATE, CURRENT_TIMESTAMP, NOW()",
    "EXTRACT(YEAR FROM date_), EXTRACT(QUARTER FROM date_), EXTRACT(MONTH FROM timestamp_0_), EXTRACT(WEEK FROM date_)",
    "EXTRACT(DAY FROM date_), EXTRACT(DOY FROM date_), EXTRACT(DOW FROM date_), EXTRACT(HOUR FROM timestamp_ltz_0_)",
    "EXTRACT(MINUTE FROM time_0_), EXTRACT(SECOND FROM time_0_), EXTRACT(MILLISECOND FROM timestamp_0_)",
    "YEAR(date_), QUARTER(date_), MONTH(date_), WEEK(date_), DAYOFYEAR(date_), DAYOFMONTH(date_), DAYOFWEEK(date_)",
    "YEAR(timestamp_ltz_0_), HOUR(timestamp_0_), MINUTE(time_0_), SECOND(timestamp_0_), HOUR(time_0_)",
    "timestamp_0_ + INTERVAL '1' YEAR, timestamp_0_ - INTERVAL '1-2' YEAR TO MONTH, date_ + INTERVAL '1' DAY",
    "timestamp_ltz_0_ + INTERVAL '1 02:03:04.5' DAY TO SECOND, time_0_ + INTERVAL '1' HOUR, date_ - INTERVAL '2' MONTH",
    "DATE_FORMAT(date_, 'yyyy'), DATE_FORMAT(time_0_, 'HH'), DATE_FORMAT(timestamp_0_, 'yyyy'), DATE_FORMAT(timestamp_ltz_0_, 'yyyy')",
    "DATE_FORMAT_TZ(timestamp_ltz_0_, 'Asia/Shanghai'), DATE_FORMAT_TZ(timestamp_ltz_0_, 'yyyy', 'UTC')",
    "TIMESTAMPADD(DAY, 1, timestamp_0_), TIMESTAMPADD(MONTH, int_, date_), TIMESTAMPADD(SECOND, 1, timestamp_ltz_0_)",
    "TIMESTAMPDIFF(DAY, timestamp_0_, timestamp_0_), TIMESTAMP_DIFF('HOUR', timestamp_0_, date_)",
    "TO_DATE('2024-01-01'), TO_DATE('01.02.2024', 'dd.MM.yyyy'), TO_DATE(timestamp_0_)",
    "TO_TIMESTAMP('2024-01-01 00:00:00'), TO_TIMESTAMP('2024', 'yyyy')",
    "TO_TIMESTAMP_LTZ(bigint_), TO_TIMESTAMP_LTZ(bigint_, 0), TO_TIMESTAMP_LTZ('2024-01-01 00:00:00.000')",
    "TO_TIMESTAMP_LTZ('2024', 'yyyy'), TO_TIMESTAMP_LTZ('2024', 'yyyy', 'Asia/Shanghai')",
    "FROM_UNIXTIME(bigint_), FROM_UNIXTIME(bigint_, 'yyyy'), UNIX_TIMESTAMP(), UNIX_TIMESTAMP('1970-01-01 00:00:01')",
    "UNIX_TIMESTAMP('1970', 'yyyy'), DATE_ADD(date_, 1), DATE_ADD('2024-01-01', int_), DATE_ADD(timestamp_0_, 1)",
    // Conditions.
    "CASE int_ WHEN 4 THEN 'a' ELSE 'b' END, CASE WHEN int_ = 4 THEN 1 END",
    "COALESCE(int_, 1), COALESCE(string_, 'a', NULL), IF(bool_, 1, 2), IFNULL(int_, 1), NULLIF(int_, 4)",
    // Casts.
    "CAST(int_ AS STRING), CAST(date_ AS STRING), CAST(bool_ AS VARCHAR), CAST(array_int_ AS STRING), CAST(variant_ AS STRING)",
    "CAST(int_ AS BOOLEAN), CAST('true' AS BOOLEAN), CAST(double_ AS BOOLEAN), CAST(decimal_20_2_ AS BOOLEAN)",
    "CAST(double_ AS TINYINT), CAST(double_ AS SMALLINT), CAST(double_ AS INT), CAST(decimal_20_2_ AS BIGINT)",
    "CAST(int_ AS FLOAT), CAST(int_ AS DOUBLE), CAST(int_ AS DECIMAL(12, 2)), CAST('1.5' AS DECIMAL(3, 1))",
    "CAST('2024-01-01T00:00:00' AS TIMESTAMP), CAST(timestamp_tz_0_ AS TIMESTAMP(3)), CAST(timestamp_ltz_0_ AS TIMESTAMP(3))",
    "TRY_CAST('x' AS INT), TRY_CAST('x' AS TIMESTAMP), TRY_CAST(string_ AS DATE), TRY_CAST(int_ AS STRING)",
    // Variants and what has parts.
    r#"PARSE_JSON('{"a": 1}'), PARSE_JSON('{"a": 1, "a": 2}', TRUE), TRY_PARSE_JSON('{'), TRY_PARSE_JSON('1', FALSE)"#,
    "ARRAY[1, int_], MAP['a', int_], ROW(1, string_), array_int_[1], map_int_string_[1], complex_row_[1], PARSE_JSON('[1]')[1]",
    "CARDINALITY(array_int_), CARDINALITY(map_int_string_), ELEMENT(ARRAY[1]), ARRAY_CONTAINS(array_int_, 1), ARRAY_POSITION(array_int_, 1)",
    // What belongs to the event.
    "__namespace_name__ || '', __schema_name__ || '', __table_name__ || '', __data_event_type__ || ''",
];

/// The expressions of a line, apart at the commas outside of brackets and texts.
fn apart(line: &str) -> Vec<&str> {
    let (mut depth, mut in_text, mut from, mut found) = (0, false, 0, Vec::new());
    for (at, c) in line.char_indices() {
        match c {
            '\'' => in_text = !in_text,
            _ if in_text => {}
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                found.push(line[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(line[from..].trim());
    found
}

#[test]
fn every_function_of_flink_cdc_runs() {
    let expressions: Vec<&str> = FLINK_CDC.iter().flat_map(|line| apart(line)).collect();
    let failed: Vec<String> = expressions
        .iter()
        .filter_map(|expression| result(expression).err().map(|why| format!("{expression}: {why}")))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let all = expressions.join(" ");
    let unused: Vec<&str> =
        cdc_transform::function_names().filter(|name| !all.contains(name)).collect();
    assert!(unused.is_empty(), "the list lacks {unused:?}");
}
