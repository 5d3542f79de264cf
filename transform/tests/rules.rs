//! Rules as a whole: faults with their places, errors of rows, schemas and operations.

#[allow(dead_code)]
mod cases;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, cast::AsArray};
use cdc_api::{
    ChangeBatch, Column, ErrorKind, LogicalType as L, Op, Ops, Ordinals, TableId, TableSchema,
    TxnId, TxnSpan,
};
use cdc_transform::{Context, Metadata, Part, Program, Rule, RuleText, SqlFault};

fn orders() -> Arc<TableSchema> {
    let column = |id: u32, name: &str, logical: L, nullable: bool| Column {
        id,
        name: name.to_owned(),
        source_type: logical.to_string(),
        logical,
        nullable,
        comment: None,
        default: None,
        generated: false,
    };
    let columns = vec![
        column(11, "id", L::BigInt, false),
        column(12, "status", L::VarChar(20), true),
        column(13, "amount", L::Int, true),
    ];
    Arc::new(TableSchema::new(TableId::new("shop", "orders"), 3, columns, vec![0]).expect("orders"))
}

fn batch(rows: &[(Op, i64, Option<&str>, Option<i32>)]) -> ChangeBatch {
    let schema = orders();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.2))),
        Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.3))),
    ];
    let txn = TxnSpan {
        first_ordinal: 0,
        id: TxnId::None,
        file: "binlog.000007".into(),
        pos: 1234,
        commit_ts_us: 5_000_000,
    };
    ChangeBatch {
        rows: RecordBatch::try_new(Arc::clone(schema.arrow()), columns).expect("rows"),
        schema,
        ops: Ops::Each(rows.iter().map(|row| row.0).collect()),
        ordinals: Ordinals::From(10),
        first_seq: 100,
        txns: Arc::from([txn]),
    }
}

fn compile(projection: Option<&str>, filter: Option<&str>) -> Result<Program, Vec<SqlFault>> {
    compile_in(projection, filter, &Context::default())
}

fn compile_in(
    projection: Option<&str>,
    filter: Option<&str>,
    context: &Context,
) -> Result<Program, Vec<SqlFault>> {
    let rule = RuleText {
        projection: projection.map(str::to_owned),
        filter: filter.map(str::to_owned),
        ..RuleText::default()
    };
    Rule::compile(&rule, context, &orders())
}

/// The text under the first fault's caret, its message and its hint.
fn fault(projection: &str) -> (String, String, String) {
    let faults = compile(Some(projection), None).expect_err(projection);
    let first = &faults[0];
    assert_eq!(first.part, Part::Projection);
    let place = projection.get(first.offset..first.offset + first.len).unwrap_or("").to_owned();
    (place, first.message.clone(), first.hint.clone().unwrap_or_default())
}

#[test]
fn faults_stand_at_their_place() {
    let cases = [
        ("id, statsu", "statsu", "has no column \"statsu\"", "did you mean status?"),
        ("id, UPER(status) AS s", "UPER(status)", "no function UPER", "did you mean UPPER?"),
        ("id, UPPER(amount) AS s", "amount", "takes a STRING here, not INT", "CAST"),
        ("id, amount + status AS s", "status", "+ takes numbers", "||"),
        ("id, amount = status AS s", "amount = status", "cannot be compared", "CAST"),
        ("id, amount + 1", "amount + 1", "needs a name", "AS name"),
        ("id, 'a AS b", "'a AS b", "never closed", "''"),
        ("id, LEFT(status) AS s", "LEFT(status)", "takes 2 arguments, here are 1", ""),
        ("id, status LIKE '(' AS s", "'('", "not a regular expression", "ESCAPE"),
        ("id, DATE_FORMAT(NOW(), 'yyyy-jj') AS s", "'yyyy-jj'", "letter j", ""),
        ("id, CAST(amount AS NUMBER) AS s", "NUMBER", "type NUMBER is not known", "DECIMAL"),
        ("id, CAST(amount AS ARRAY) AS s", "ARRAY", "not known", ""),
        ("id, 1 AS __table_name__", "__table_name__", "metadata column", "another name"),
        ("id, CASE WHEN amount THEN 1 END AS s", "amount", "a condition is BOOLEAN", "compare"),
        ("id, IF(TRUE, 1, 'a') AS s", "'a'", "no type in common", "CAST"),
        ("id status", "status", "expected here, found \"status\"", "AS status"),
        ("id, (amount AS s", "AS", ") is expected here", ""),
        ("id, amount # 2 AS s", "#", "no meaning", ""),
        ("status", "s", "key column \"id\"", "add id"),
    ];
    for (text, place, message, hint) in cases {
        let found = fault(text);
        assert_eq!(found.0, place, "{text}: {found:?}");
        assert!(found.1.contains(message), "{text}: {found:?}");
        assert!(found.2.contains(hint), "{text}: {found:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let rule = RuleText {
        projection: Some("id, nme AS a, FOO(1) AS b".to_owned()),
        filter: Some("amount > 'x'".to_owned()),
        table_options: Some("a=1,b".to_owned()),
        ..RuleText::default()
    };
    let faults = Rule::compile(&rule, &Context::default(), &orders()).expect_err("faulty");
    let parts: Vec<Part> = faults.iter().map(|fault| fault.part).collect();
    assert_eq!(parts, [Part::Projection, Part::Projection, Part::Filter, Part::TableOptions]);
    assert_eq!(faults[3].offset, 4);
}

#[test]
fn depth_is_bounded() {
    let text = format!("id, {}1{} AS deep", "(".repeat(100_000), ")".repeat(100_000));
    assert!(fault(&text).1.contains("nested too deeply"));
    let text = format!("id, {}TRUE AS deep", "NOT ".repeat(100_000));
    assert!(fault(&text).1.contains("nested too deeply"));
    let text = format!("id, 1{} AS deep", " + 1".repeat(100_000));
    assert!(fault(&text).1.contains("nested too deeply"));
    // What is within the bound runs on the small stack of a test's thread.
    let text = format!("id, amount{} AS deep", " + 1".repeat(118));
    let program = compile(Some(&text), None).expect("not too deep");
    let out = program.eval(batch(&[(Op::Insert, 1, None, Some(2))])).expect("runs").expect("rows");
    assert_eq!(out.rows.column(1).as_primitive::<arrow_array::types::Int32Type>().value(0), 120);
}

#[test]
fn a_failing_row_is_named() {
    let program =
        compile(Some("id, 100 / amount AS share"), Some("status <> 'x'")).expect("a rule");
    let rows = [
        (Op::Insert, 1, Some("x"), Some(0)),
        (Op::Insert, 2, Some("a"), Some(5)),
        (Op::Insert, 3, Some("a"), Some(0)),
    ];
    let error = program.eval(batch(&rows)).expect_err("a division by zero");
    assert_eq!(*error.kind(), ErrorKind::Data { table: TableId::new("shop", "orders") });
    let detail = error.detail_text().unwrap_or_default();
    for part in ["\"share\"", "division of 100 by zero", "id=3", "binlog.000007:1234"] {
        assert!(detail.contains(part), "{detail}");
    }
    assert!(error.hint_text().is_some());
}

#[test]
fn rows_that_are_filtered_out_do_not_fail() {
    let program = compile(Some("id, 100 / amount AS share"), Some("amount <> 0")).expect("a rule");
    let rows = [
        (Op::Insert, 1, None, Some(0)),
        (Op::Insert, 2, None, Some(5)),
        (Op::Insert, 3, None, None),
    ];
    let out = program.eval(batch(&rows)).expect("runs").expect("rows");
    assert_eq!(
        out.rows
            .column(1)
            .as_primitive::<arrow_array::types::Int32Type>()
            .iter()
            .collect::<Vec<_>>(),
        [Some(20), None]
    );
    assert_eq!((out.seq(0), out.seq(1)), (111, 112));
    let none = program.eval(batch(&[(Op::Insert, 1, None, Some(0))])).expect("runs");
    assert!(none.is_none());
}

#[test]
fn overflow_is_an_error_and_not_another_number() {
    let program = compile(Some("id, amount + 1 AS next"), None).expect("a rule");
    let error =
        program.eval(batch(&[(Op::Insert, 1, None, Some(i32::MAX))])).expect_err("overflow");
    assert!(error.detail_text().unwrap_or_default().contains("2147483647 + 1 does not fit INT"));
}

#[test]
fn updates_follow_the_filter_on_both_images() {
    let program = compile(None, Some("amount > 0")).expect("a rule");
    let pair = |id, before, after| {
        [(Op::UpdateBefore, id, None, Some(before)), (Op::UpdateAfter, id, None, Some(after))]
    };
    let rows = [pair(1, 1, 2), pair(2, 1, -1), pair(3, -1, 1), pair(4, -1, -2)].concat();
    let out = program.eval(batch(&rows)).expect("runs").expect("rows");
    let ids = out.rows.column(0).as_primitive::<arrow_array::types::Int64Type>().values().to_vec();
    let ops: Vec<Op> = (0..out.len()).map(|row| out.ops.at(row)).collect();
    assert_eq!(ids, [1, 1, 2, 3]);
    assert_eq!(ops, [Op::UpdateBefore, Op::UpdateAfter, Op::Delete, Op::Insert]);
}

#[test]
fn deletions_become_insertions_that_still_tell() {
    let rule = RuleText {
        projection: Some("*, __data_event_type__ AS op, op_ts AS at".to_owned()),
        soft_delete: true,
        ..RuleText::default()
    };
    let context =
        Context { metadata: vec![("op_ts".to_owned(), Metadata::OpTs)], ..Context::default() };
    let program = Rule::compile(&rule, &context, &orders()).expect("a rule");
    let out = program
        .eval(batch(&[(Op::Read, 1, None, None), (Op::Delete, 2, None, None)]))
        .expect("runs")
        .expect("rows");
    let ops: Vec<Op> = (0..out.len()).map(|row| out.ops.at(row)).collect();
    assert_eq!(ops, [Op::Read, Op::Insert]);
    let kinds: Vec<&str> = out.rows.column(3).as_string::<i32>().iter().flatten().collect();
    assert_eq!(kinds, ["+I", "-D"]);
    assert_eq!(
        out.rows.column(4).as_primitive::<arrow_array::types::Int64Type>().values().to_vec(),
        [0, 5_000]
    );
}

#[test]
fn ids_are_stable_and_apart() {
    let first = compile(Some("*, amount * 2 AS twice, id AS copy"), None).expect("a rule");
    let second =
        compile(Some("amount * 3 AS twice, id AS copy, id, status"), None).expect("a rule");
    let id = |program: &Program, name: &str| {
        program.schema().columns().iter().find(|column| column.name == name).map(|column| column.id)
    };
    assert_eq!(id(&first, "status"), Some(12));
    assert_eq!(id(&first, "twice"), id(&second, "twice"));
    assert!(id(&first, "twice").is_some_and(|id| id >> 31 == 1));
    assert_ne!(id(&first, "copy"), id(&first, "id"));
    assert_eq!(first.schema().primary_key(), [0]);
    assert_eq!(second.schema().primary_key(), [1]);
}

#[test]
fn later_items_replace_earlier_ones_in_place() {
    let program = compile(Some(r"\*, UPPER(status) AS status"), None).expect("a rule");
    let names: Vec<&str> =
        program.schema().columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "status", "amount"]);
    let out =
        program.eval(batch(&[(Op::Insert, 1, Some("new"), None)])).expect("runs").expect("rows");
    assert_eq!(out.rows.column(1).as_string::<i32>().value(0), "NEW");
    assert_eq!(out.rows.schema().field(1).metadata(), program.schema().arrow().field(1).metadata());
}

#[test]
fn a_name_may_stand_without_as_behind_an_expression() {
    let program =
        compile(Some("id, amount + 1 next, UPPER(status) `status`"), None).expect("a rule");
    let names: Vec<&str> =
        program.schema().columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "next", "status"]);
}

#[test]
fn macros_expand_and_cannot_run_away() {
    let context = Context {
        macros: vec![
            "twice(x) AS x * 2".into(),
            "quad(x) AS twice(twice(x))".into(),
            "loop(x) AS loop(x)".into(),
        ],
        ..Context::default()
    };
    let program = compile_in(Some("id, QUAD(amount + 1) AS q"), None, &context).expect("a rule");
    let out = program.eval(batch(&[(Op::Insert, 1, None, Some(4))])).expect("runs").expect("rows");
    assert_eq!(out.rows.column(1).as_primitive::<arrow_array::types::Int32Type>().value(0), 20);
    let faults = compile_in(Some("id, loop(1) AS l"), None, &context).expect_err("a loop");
    assert!(faults[0].message.contains("calls itself"), "{faults:?}");
    let wrong = Context { macros: vec!["broken AS 1".into()], ..Context::default() };
    let faults = compile_in(None, None, &wrong).expect_err("a bad macro");
    assert_eq!((faults[0].part, faults[0].offset), (Part::Macro(0), 7));
}

#[test]
fn a_null_key_is_refused() {
    let rule = RuleText { primary_keys: Some("status".to_owned()), ..RuleText::default() };
    let program = Rule::compile(&rule, &Context::default(), &orders()).expect("a rule");
    let error = program.eval(batch(&[(Op::Insert, 1, None, None)])).expect_err("a NULL key");
    assert!(error.detail_text().unwrap_or_default().contains("part of the key"));
}

#[test]
fn whole_columns_and_single_rows_agree() {
    let rows: Vec<(Op, i64, Option<&str>, Option<i32>)> = (0..200)
        .map(|n| {
            (
                Op::Insert,
                n * 37 % 101 - 50,
                Some(["a", "b", "c"][n as usize % 3]),
                (n % 7 != 0).then_some(n as i32 * 53 % 97 - 48),
            )
        })
        .collect();
    // The left form takes the way over whole columns, the right one the way row by row.
    let pairs = [
        (
            "id + amount",
            "CASE WHEN TRUE THEN CAST(CAST(id AS DECIMAL(19, 0)) + CAST(amount AS DECIMAL(10, 0)) AS BIGINT) END",
        ),
        ("amount * 3", "CAST(CAST(amount AS DECIMAL(10, 0)) * CAST(3 AS DECIMAL(1, 0)) AS INT)"),
        ("amount % 5", "CAST(CAST(amount AS DECIMAL(10, 0)) % CAST(5 AS DECIMAL(1, 0)) AS INT)"),
        (
            "(amount + 0.25) * 1.5",
            "TRY_CAST((CAST(amount AS DOUBLE) + 0.25e0) * 1.5e0 AS DECIMAL(15, 3))",
        ),
        ("amount > 3", "CAST(amount AS DECIMAL(10, 0)) > CAST(3 AS DECIMAL(10, 0))"),
        ("amount <> 5", "CAST(amount AS DECIMAL(10, 0)) <> CAST(5 AS DECIMAL(10, 0))"),
        ("status = 'b'", "status IN ('b')"),
        ("id <= 7", "NOT (id > 7)"),
    ];
    for (fast, slow) in pairs {
        let text = format!("id, {fast} AS fast, {slow} AS slow");
        let program =
            compile(Some(&text), None).unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        let out = program.eval(batch(&rows)).expect("runs").expect("rows");
        assert_eq!(out.rows.column(1), out.rows.column(2), "{text}");
    }
}

/// Numbers that look random and are the same at each run.
fn noise(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

#[test]
fn every_way_over_whole_columns_says_what_single_rows_say() {
    let texts = [
        "",
        " ",
        "a",
        "Ann",
        "  padded ",
        "žluť",
        "ß",
        "天地玄黄",
        "😀 x",
        "12",
        "-7",
        "2147483647",
        "0012",
        "99999999999",
        "2024-05-17 21:48:25",
        "xxabcxx",
        "İstanbul",
    ];
    let expressions = [
        "UPPER(status)",
        "LOWER(status)",
        "CHAR_LENGTH(status)",
        "TRIM(status)",
        "TRIM(LEADING 'x' FROM status)",
        "TRIM(TRAILING 'xž' FROM status)",
        "SUBSTR(status, 2)",
        "SUBSTR(status, 0, 3)",
        "SUBSTRING(status FROM -2 FOR 1)",
        "SUBSTR(status, amount, 2)",
        "CONCAT(status, '-', amount, id, NULL, amount > 3)",
        "status || amount",
        "status || CAST(amount AS DOUBLE)",
        "CAST(amount AS BIGINT)",
        "CAST(amount AS DOUBLE)",
        "CAST(id AS DOUBLE)",
        "CAST(id AS INT)",
        "CAST(amount AS STRING)",
        "CAST(amount / 7.0 AS STRING)",
        "CAST(status AS INT)",
        "CAST(status AS BIGINT)",
        "CAST(status AS STRING)",
        "CAST(SUBSTR(CAST(id AS STRING), 1, 1) AS INT)",
        "status IS NULL",
        "(amount > 3) IS NOT NULL",
        "(NOT (amount > 3)) IS UNKNOWN",
        "NOT (amount > 3)",
        "status LIKE '^a|^A'",
        "status NOT LIKE '%a%' ESCAPE '$'",
        "status SIMILAR TO '(a|A)%'",
        "amount > 3 AND status IS NOT NULL",
        "amount > 3 OR CAST(NULL AS BOOLEAN)",
        "CAST(NULL AS BOOLEAN) AND amount > 3",
        "(status LIKE 'a' AND NULL) OR status LIKE 'x'",
        "CASE WHEN amount > 10 THEN 'much' WHEN amount > 0 THEN status ELSE UPPER(status) END",
        "CASE WHEN amount > 10 THEN amount END",
        "IF(amount > 10, id, amount)",
        "COALESCE(status, CAST(amount AS STRING), 'none')",
        "COALESCE(amount, 0)",
        "IFNULL(NULLIF(amount, 3), -1)",
        "DATE_FORMAT(TO_TIMESTAMP_LTZ(id * 86399, 0), 'yyyy-MM-dd HH:mm:ss')",
        "DATE_FORMAT(TO_TIMESTAMP_LTZ(id * 987654321, 3), 'yy/M/d E a h:mm:ss.SSSSS XXX')",
        "DATE_FORMAT(CAST(TO_TIMESTAMP_LTZ(id, 0) AS DATE), 'QQ yyyyyy D')",
    ];
    let mut noise = noise(17);
    let rows: Vec<(Op, i64, Option<&str>, Option<i32>)> = (0..500)
        .map(|_| {
            let text = texts[noise(texts.len() as u64) as usize];
            let (id, amount) = (noise(200_000) as i64 - 100_000, noise(40) as i32 - 20);
            (Op::Insert, id, (noise(9) > 0).then_some(text), (noise(9) > 0).then_some(amount))
        })
        .collect();
    let ascii: Vec<_> =
        rows.iter().filter(|row| row.2.is_none_or(str::is_ascii)).copied().collect();
    let run = |text: &str, row_by_row: bool, rows: &[(Op, i64, Option<&str>, Option<i32>)]| {
        let context = Context {
            row_by_row,
            zone: cdc_transform::zone("Europe/Berlin").expect("a zone"),
            ..Context::default()
        };
        let program = compile_in(Some(text), None, &context)
            .unwrap_or_else(|faults| panic!("{text}: {faults:?}"));
        // Not from the array's beginning: offsets and bits of a slice count as well.
        let all = batch(rows);
        let part = ChangeBatch {
            rows: all.rows.slice(3, rows.len() - 5),
            ops: Ops::All(Op::Insert),
            ..all
        };
        program.eval(part).unwrap_or_else(|error| panic!("{text}: {error:?}")).expect("rows")
    };
    for expression in expressions {
        let text = format!("id, {expression} AS out");
        for rows in [&rows, &ascii] {
            let (whole, single) = (run(&text, false, rows), run(&text, true, rows));
            assert_eq!(whole.rows.column(1), single.rows.column(1), "{expression}");
        }
    }
    // A row that fails is named the same way.
    for expression in ["DATE_FORMAT(status, 'yyyy')", "100 / amount", "SUBSTR(status, 1, amount)"] {
        let text = format!("id, {expression} AS out");
        let fails = |row_by_row: bool| {
            let context = Context { row_by_row, ..Context::default() };
            let program = compile_in(Some(&text), None, &context).expect("a rule");
            program.eval(batch(&rows)).expect_err("a row fails").detail_text().map(str::to_owned)
        };
        assert_eq!(fails(false), fails(true), "{expression}");
    }
}

#[test]
fn a_plan_can_be_read() {
    let program = compile(Some("id, UPPER(status) AS status"), Some("amount > 3")).expect("a rule");
    let text = program.explain();
    assert!(text.contains("filter: (amount > 3)"), "{text}");
    assert!(text.contains("status STRING: UPPER(status)"), "{text}");
}

#[test]
fn what_is_hardly_meant_is_told() {
    let program = compile(None, Some("id = 5 OR status LIKE 'a%' OR id IN (7) OR amount = 5"))
        .expect("a rule");
    let warnings: Vec<(usize, &str)> = program
        .warnings()
        .iter()
        .map(|warning| (warning.offset, warning.message.as_str()))
        .collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_eq!(warnings[0], (0, "BIGINT is never equal to INT"));
    assert!(
        program.warnings()[0]
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("CAST the INT AS BIGINT"))
    );
    assert_eq!(
        program.warnings().iter().map(|warning| warning.part).collect::<Vec<_>>(),
        [Part::Filter; 3]
    );
}
