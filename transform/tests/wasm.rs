//! User-defined functions in WebAssembly: what goes in and out of a module, what stops it, and what is refused before.

#![cfg(feature = "wasm")]

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use cdc_api::{
    ChangeBatch, Column, LogicalType as L, Op, Ops, Ordinals, TableId, TableSchema, TxnId, TxnSpan,
};
use cdc_transform::{
    Context, Program, Routine, RoutineFault, RoutineKey, RoutineText, Rule, RuleText,
};

/// Memory that grows as texts come, and is given back from the end: enough for one call at a time.
const ALLOCATOR: &str = r#"
  (memory (export "memory") 1)
  (global $end (mut i32) (i32.const 1024))
  (func $alloc (export "cdc_alloc") (param $len i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $end))
    (global.set $end (i32.add (global.get $end) (local.get $len)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $end) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get $len) (i32.const 65536)) (i32.const 1)))))
    (local.get $at))
  (func (export "cdc_free") (param $at i32) (param $len i32)
    (if (i32.eq (i32.add (local.get $at) (local.get $len)) (global.get $end))
      (then (global.set $end (local.get $at)))))
"#;

fn text(name: &str, arguments: &str, returns: &str) -> RoutineText {
    RoutineText {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        returns: returns.to_owned(),
        ..RoutineText::default()
    }
}

fn routine(declared: &RoutineText, module: &str) -> Routine {
    Routine::compile(declared, module.as_bytes())
        .unwrap_or_else(|faults| panic!("{declared:?}: {faults:?}"))
}

fn refused(declared: &RoutineText, module: &str) -> RoutineFault {
    let mut faults = Routine::compile(declared, module.as_bytes()).expect_err("refused");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

fn table() -> Arc<TableSchema> {
    let types = [
        ("id", L::BigInt),
        ("small", L::SmallInt),
        ("n", L::Int),
        ("f", L::Float),
        ("d", L::Double),
        ("b", L::Boolean),
        ("day", L::Date),
        ("at", L::Timestamp(6)),
        ("total", L::Decimal { precision: 12, scale: 2 }),
        ("name", L::VarChar(40)),
        ("raw", L::Bytes),
    ];
    let columns = types.into_iter().enumerate().map(|(at, (name, logical))| Column {
        id: at as u32,
        name: name.to_owned(),
        source_type: logical.to_string(),
        logical,
        nullable: at > 0,
        comment: None,
        default: None,
        generated: false,
    });
    let id = TableId::new("shop", "orders");
    Arc::new(TableSchema::new(id, 1, columns.collect(), vec![0]).expect("a table"))
}

/// Two rows with values and one without.
fn rows() -> ChangeBatch {
    let schema = table();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![1, 2, 3])),
        Arc::new(Int16Array::from(vec![Some(7), Some(-7), None])),
        Arc::new(Int32Array::from(vec![Some(40), Some(-40), None])),
        Arc::new(Float32Array::from(vec![Some(1.5), Some(-0.25), None])),
        Arc::new(Float64Array::from(vec![Some(2.5), Some(1e300), None])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Date32Array::from(vec![Some(19_860), Some(-1), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1_000_001), Some(-1), None])),
        Arc::new(
            Decimal128Array::from(vec![Some(12_345), Some(-5), None])
                .with_precision_and_scale(12, 2)
                .expect("decimals"),
        ),
        Arc::new(StringArray::from(vec![Some("ann"), Some("żółw"), None])),
        Arc::new(BinaryArray::from(vec![Some(&b"\xff\x00"[..]), Some(&b""[..]), None])),
    ];
    ChangeBatch {
        rows: RecordBatch::try_new(Arc::clone(schema.arrow()), columns).expect("rows"),
        schema,
        ops: Ops::All(Op::Insert),
        ordinals: Ordinals::From(0),
        first_seq: 1,
        txns: Arc::from([TxnSpan {
            first_ordinal: 0,
            id: TxnId::None,
            file: "binlog.000007".into(),
            pos: 1234,
            commit_ts_us: 0,
        }]),
    }
}

fn program(routines: Vec<Routine>, projection: &str) -> Program {
    let context =
        Context { routines: routines.into_iter().map(Arc::new).collect(), ..Context::default() };
    let rule = RuleText { projection: Some(projection.to_owned()), ..RuleText::default() };
    Rule::compile(&rule, &context, &table()).unwrap_or_else(|faults| panic!("{faults:?}"))
}

/// The column `out` of an expression over the rows, as texts.
fn column(routines: Vec<Routine>, expression: &str) -> Vec<String> {
    let projection = format!("id, COALESCE(CAST({expression} AS STRING), 'NULL') AS out");
    let out = program(routines, &projection).eval(rows()).expect("runs").expect("rows");
    let texts = out.rows.column(1).as_any().downcast_ref::<StringArray>().expect("texts");
    texts.iter().flatten().map(str::to_owned).collect()
}

fn failure(routines: Vec<Routine>, expression: &str) -> String {
    let program = program(routines, &format!("id, {expression} AS out"));
    let error = program.eval(rows()).expect_err("the module stops");
    let detail = error.detail_text().unwrap_or_default().to_owned();
    assert!(error.to_string().contains("shop.orders"), "{error}");
    assert!(detail.contains("column \"out\""), "{detail}");
    detail
}

/// A function that gives its one argument back.
fn same(ty: &str, carrier: &str) -> Routine {
    let module = format!(
        r#"(module (func (export "same") (param {carrier}) (result {carrier}) (local.get 0)))"#
    );
    routine(&text("same", ty, ty), &module)
}

#[test]
fn numbers_and_times_come_back_as_they_went() {
    let cases = [
        ("BIGINT", "i64", "id", ["1", "2", "3"]),
        ("SMALLINT", "i32", "small", ["7", "-7", "NULL"]),
        ("INT", "i32", "n", ["40", "-40", "NULL"]),
        ("FLOAT", "f32", "f", ["1.5", "-0.25", "NULL"]),
        ("DOUBLE", "f64", "d", ["2.5", "1.0E300", "NULL"]),
        ("BOOLEAN", "i32", "b", ["true", "false", "NULL"]),
        ("DATE", "i32", "day", ["2024-05-17", "1969-12-31", "NULL"]),
        (
            "TIMESTAMP(6)",
            "i64",
            "at",
            ["1970-01-01T00:00:01.000001", "1969-12-31T23:59:59.999999", "NULL"],
        ),
    ];
    for (ty, carrier, name, expected) in cases {
        assert_eq!(column(vec![same(ty, carrier)], &format!("same({name})")), expected, "{ty}");
    }
    // A narrower number is widened towards the parameter; the name is known in any case.
    assert_eq!(column(vec![same("BIGINT", "i64")], "SAME(small)"), ["7", "-7", "NULL"]);
    assert_eq!(column(vec![same("DOUBLE", "f64")], "same(n)"), ["40.0", "-40.0", "NULL"]);
}

/// A function of one text that gives it back as it lies.
fn echo(ty: &str) -> Routine {
    let module = format!(
        r#"(module {ALLOCATOR}
          (func (export "echo") (param $at i32) (param $len i32) (result i64)
            (i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32))
                    (i64.extend_i32_u (local.get $len)))))"#
    );
    routine(&text("echo", ty, ty), &module)
}

#[test]
fn texts_bytes_and_decimals_go_through_memory() {
    assert_eq!(column(vec![echo("STRING")], "echo(name)"), ["ann", "żółw", "NULL"]);
    assert_eq!(column(vec![echo("STRING")], "echo(name || '!')"), ["ann!", "żółw!", "null!"]);
    assert_eq!(column(vec![echo("BYTES")], "TO_BASE64(echo(raw))"), ["/wA=", "", "NULL"]);
    assert_eq!(column(vec![echo("DECIMAL(12, 2)")], "echo(total)"), ["123.45", "-0.05", "NULL"]);
    assert_eq!(column(vec![echo("DECIMAL(12, 2)")], "echo(n)"), ["40.00", "-40.00", "NULL"]);
}

#[test]
fn texts_that_are_given_back_leave_room_for_more() {
    // A text of 40 KiB for each of three rows, in one page of 64 KiB: the memory is used again.
    let tight = RoutineText { memory_bytes: Some(64 << 10), ..text("size", "STRING", "INT") };
    let module = format!(
        r#"(module {ALLOCATOR}
          (func (export "size") (param i32) (param $len i32) (result i32) (local.get $len)))"#
    );
    let size = || routine(&tight, &module);
    assert_eq!(column(vec![size()], "size(REPEAT('x', 40000))"), ["40000"; 3]);
    assert_eq!(column(vec![size()], "size(REPEAT('x', 40000) || id)"), ["40001"; 3]);
    let detail = failure(vec![size()], "size(REPEAT('x', 100000) || id)");
    assert!(
        detail.contains("function size needs more memory than its limit of 64 KiB"),
        "{detail}"
    );
}

/// The number of its first argument, or -1 for NULL; NULL when the second is NULL.
const NULLS: &str = r#"(module
  (import "cdc" "is_null" (func $is_null (param i32) (result i32)))
  (import "cdc" "null" (func $null))
  (func (export "pick") (param $a i32) (param $b i32) (result i32)
    (if (call $is_null (i32.const 1)) (then (call $null)))
    (if (result i32) (call $is_null (i32.const 0))
      (then (i32.const -1))
      (else (local.get $a)))))"#;

#[test]
fn nulls_are_told_both_ways() {
    let called = RoutineText { called_on_null: true, ..text("pick", "INT, INT", "INT") };
    let pick = |declared: &RoutineText| vec![routine(declared, NULLS)];
    assert_eq!(column(pick(&called), "pick(n, 1)"), ["40", "-40", "-1"]);
    assert_eq!(column(pick(&called), "pick(1, n)"), ["1", "1", "NULL"]);
    assert_eq!(column(pick(&called), "pick(NULL, 1)"), ["-1"; 3]);
    // Without it the module does not even run.
    assert_eq!(column(pick(&text("pick", "INT, INT", "INT")), "pick(n, 1)"), ["40", "-40", "NULL"]);
}

#[test]
fn a_loop_without_end_runs_out_of_fuel() {
    let endless = RoutineText { fuel: Some(100_000), ..text("spin", "INT", "INT") };
    // Ends at once for what is above 0.
    let module = r#"(module (func (export "spin") (param i32) (result i32)
      (loop $again (br_if $again (i32.le_s (local.get 0) (i32.const 0)))) (local.get 0)))"#;
    let detail = failure(vec![routine(&endless, module)], "spin(n)");
    for part in
        ["function spin did not end within its fuel of 100000", "id=2", "binlog.000007:1234"]
    {
        assert!(detail.contains(part), "{detail}");
    }
    // Each call has all of it: what three rows need together is more than one may have.
    let counting = r#"(module (func (export "spin") (param i32) (result i32) (local $n i32)
      (loop $again
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 10000))))
      (local.get $n)))"#;
    let fuel = RoutineText { fuel: Some(100_000), ..text("spin", "BIGINT", "INT") };
    let fuel = RoutineText { arguments: "INT".to_owned(), ..fuel };
    let routine = routine(&fuel, counting);
    assert_eq!(column(vec![routine], "spin(COALESCE(n, 0))"), ["10000"; 3]);
}

#[test]
fn memory_is_bounded() {
    let grows = RoutineText { memory_bytes: Some(1 << 20), ..text("grow", "INT", "INT") };
    let module = r#"(module (memory 1)
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let detail = failure(vec![routine(&grows, module)], "grow(n)");
    assert!(
        detail.contains("function grow needs more memory than its limit of 1024 KiB"),
        "{detail}"
    );
    assert!(detail.contains("id=1"), "{detail}");
    let few = column(vec![routine(&grows, module)], "grow(COALESCE(NULLIF(n - n, 0), 2))");
    // One instance serves a batch: its memory has grown since the first row.
    assert_eq!(few, ["1", "3", "5"]);
    let large = refused(
        &grows,
        r#"(module (memory 100)
      (func (export "grow") (param i32) (result i32) (i32.const 0)))"#,
    );
    assert!(large.message.contains("limit of 1024 KiB"), "{large:?}");
}

#[test]
fn traps_and_own_messages_name_the_function() {
    let traps = [
        ("(unreachable)", "gave up (`unreachable`"),
        ("(i32.div_s (i32.const 1) (i32.const 0))", "divide by zero"),
        ("(i32.load (i32.const 70000))", "out of bounds"),
        ("(call $f (local.get 0))", "calls itself too deeply"),
    ];
    for (body, message) in traps {
        let module = format!(
            r#"(module (memory 1) (func $f (export "f") (param i32) (result i32) {body}))"#
        );
        let detail = failure(vec![routine(&text("f", "INT", "INT"), &module)], "f(n)");
        assert!(detail.contains("the function f "), "{detail}");
        assert!(detail.contains(message) && detail.contains("id=1"), "{detail}");
    }
    let fails = r#"(module
      (import "cdc" "fail" (func $fail (param i32 i32)))
      (memory (export "memory") 1) (data (i32.const 8) "no such tariff")
      (func (export "f") (param i32) (result i32) (call $fail (i32.const 8) (i32.const 14)) (i32.const 0)))"#;
    let detail = failure(vec![routine(&text("f", "INT", "INT"), fails)], "f(n)");
    assert!(detail.contains("the function f failed: no such tariff"), "{detail}");
}

#[test]
fn results_that_are_none_are_refused() {
    let constant = |returns: &str, carrier: &str, value: &str| {
        let module = format!(
            r#"(module (memory (export "memory") 1) (data (i32.const 0) "\ff\feabc")
              (func (export "f") (result {carrier}) ({carrier}.const {value})))"#
        );
        routine(&text("f", "", returns), &module)
    };
    let cases = [
        ("TINYINT", "i32", "300", "returned 300, which is no TINYINT"),
        ("TIME(0)", "i64", "-1", "returned -1, which is no TIME"),
        ("STRING", "i64", "2", "a text that is not UTF-8"),
        ("STRING", "i64", "0xffff_00000100", "outside of its memory"),
        ("DECIMAL(5, 2)", "i64", "0x2_00000003", "returned \"abc\", which is no DECIMAL"),
    ];
    for (returns, carrier, value, message) in cases {
        let detail = failure(vec![constant(returns, carrier, value)], "f()");
        assert!(detail.contains(message), "{detail}");
    }
    assert_eq!(column(vec![constant("STRING", "i64", "0x2_00000003")], "f()"), ["abc"; 3]);
    assert_eq!(column(vec![constant("STRING", "i64", "0")], "f() || '.'"), ["."; 3]);
}

#[test]
fn every_batch_begins_with_a_fresh_instance() {
    // What a module keeps in its globals ends with the batch: two runs over the same rows agree.
    let module = r#"(module (global $n (mut i32) (i32.const 0))
      (func (export "f") (param i64) (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#;
    let program = program(vec![routine(&text("f", "BIGINT", "INT"), module)], "id, f(id) AS out");
    let first = program.eval(rows()).expect("runs").expect("rows");
    let second = program.eval(rows()).expect("runs").expect("rows");
    assert_eq!(first.rows, second.rows);
}

#[test]
fn what_does_not_fit_is_told_before_anything_runs() {
    let good = r#"(module (func (export "f") (param i32) (result i32) (local.get 0)))"#;
    let fault = refused(&text("g", "INT", "INT"), good);
    assert_eq!(fault.key, RoutineKey::Export);
    assert_eq!(fault.message, "the module has no export `g`");
    assert_eq!(
        fault.hint.as_deref(),
        Some("it exports `f`; g(INT) RETURNS INT needs (i32) -> (i32)")
    );
    let renamed = RoutineText { export: Some("f".to_owned()), ..text("g", "INT", "INT") };
    assert_eq!(column(vec![routine(&renamed, good)], "g(n)"), ["40", "-40", "NULL"]);

    let fault = refused(&text("f", "BIGINT, STRING", "DOUBLE"), good);
    assert_eq!(fault.message, "the module's `f` is (i32) -> (i32)");
    let hint = fault.hint.unwrap_or_default();
    assert_eq!(hint, "f(BIGINT, STRING) RETURNS DOUBLE needs (i64, i32, i32) -> (f64)");

    let fault = refused(&text("f", "INT", "INT"), "(module (func $f");
    assert_eq!(fault.key, RoutineKey::Module);
    assert!(fault.message.contains("no WebAssembly module"), "{fault:?}");
    assert!(refused(&text("f", "INT", "INT"), "").message.contains("no WebAssembly module"));

    let wasi = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
      (func (export "f") (param i32) (result i32) (local.get 0)))"#;
    let fault = refused(&text("f", "INT", "INT"), wasi);
    assert!(fault.message.contains("imports `wasi_snapshot_preview1.fd_write`"), "{fault:?}");

    let deaf = r#"(module (memory (export "memory") 1)
      (func (export "f") (param i32 i32) (result i32) (local.get 0)))"#;
    let fault = refused(&text("f", "STRING", "INT"), deaf);
    assert_eq!(fault.message, "the module has no export `cdc_alloc`");
    let blind = r#"(module (func (export "f") (result i64) (i64.const 0)))"#;
    assert_eq!(
        refused(&text("f", "", "STRING"), blind).message,
        "the module has no export `memory`"
    );

    let fault = refused(&text("f", "INT, NUMBER", "INT"), good);
    assert_eq!((fault.key, fault.at), (RoutineKey::Arguments, Some(5..11)));
    let fault = refused(&text("f", "INT", "INT, INT"), good);
    assert_eq!(fault.message, "a function has one result");
    assert_eq!(refused(&text("f", "INT", "VARIANT"), good).key, RoutineKey::Returns);
    assert_eq!(refused(&text("f g", "INT", "INT"), good).key, RoutineKey::Name);
    let starts = r#"(module (start $s) (func $s (unreachable))
      (func (export "f") (param i32) (result i32) (local.get 0)))"#;
    assert!(refused(&text("f", "INT", "INT"), starts).message.contains("gave up"));
}

#[test]
fn calls_are_checked_like_those_of_built_in_functions() {
    let fault = |expression: &str| {
        let context =
            Context { routines: vec![Arc::new(same("INT", "i32"))], ..Context::default() };
        let rule = RuleText {
            projection: Some(format!("id, {expression} AS out")),
            ..RuleText::default()
        };
        let faults = Rule::compile(&rule, &context, &table()).expect_err("refused");
        (
            faults[0].offset - 4,
            faults[0].message.clone(),
            faults[0].hint.clone().unwrap_or_default(),
        )
    };
    assert_eq!(
        fault("same(id)"),
        (5, "same takes INT here, not BIGINT".to_owned(), "CAST(.. AS INT)".to_owned())
    );
    assert_eq!(fault("same()").1, "same takes 1 arguments, here are 0");
    assert_eq!(fault("sam(1)").2, "did you mean same?");
}

#[test]
fn the_documented_module_works_as_declared() {
    let page = include_str!("../../docs/transform.md");
    let module = page.split("```wat\n").nth(1).and_then(|rest| rest.split("```").next());
    let module = module.expect("docs/transform.md shows a module");
    let declared = text("initials", "STRING, INT", "STRING");
    let initials = || vec![routine(&declared, module)];
    assert_eq!(column(initials(), "initials(CAST(day AS STRING), 4)"), ["2024", "1969", "NULL"]);
    assert_eq!(column(initials(), "initials('', 4)"), ["NULL"; 3]);
}
