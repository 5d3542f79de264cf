//! What is read from whole files, against connectors of the test's own. How faults look is shown by the gallery.

use std::path::Path;

use cdc_api::{ConnectorSpec, OptionFault, OptionSpec, OptionType, Role};

use super::*;
use crate::route::RouteMode;

struct Two;

static SOURCE: ConnectorSpec = ConnectorSpec {
    name: "mysql",
    role: Role::Source,
    summary: "a source",
    options: &[
        OptionSpec::new("hostname", OptionType::Text, "host").required(),
        OptionSpec::new("port", OptionType::Integer { min: 1, max: 65535 }, "port").default("3306"),
        OptionSpec::new("password", OptionType::Secret, "password").required(),
        OptionSpec::new("pin", OptionType::Secret, "second secret"),
        OptionSpec::new("tables", OptionType::Tables, "tables").required(),
        OptionSpec::new("scan.startup.mode", OptionType::OneOf(&["initial", "snapshot"]), "mode")
            .default("initial"),
        OptionSpec::new("invalid", OptionType::OneOf(&["null", "error"]), "policy").default("null"),
        OptionSpec::new("chunk-meta.*", OptionType::Text, "chunks")
            .no_effect("chunks have no groups here"),
        OptionSpec::new("debezium.column.*", OptionType::Text, "columns")
            .refused("it would change rows"),
        OptionSpec::new("debezium.*", OptionType::Text, "tuning").no_effect("there is no Debezium"),
    ],
};

static SINK: ConnectorSpec = ConnectorSpec {
    name: "values",
    role: Role::Sink,
    summary: "a sink",
    options: &[OptionSpec::new("print.enabled", OptionType::Boolean, "print").default("true")],
};

impl Connectors for Two {
    fn specs(&self) -> Vec<&'static ConnectorSpec> {
        vec![&SOURCE, &SINK]
    }
    fn absence(&self, _: Role, name: &str) -> Option<String> {
        (name == "kafka").then(|| "connector `kafka` is not in this build".to_owned())
    }
    fn faults(&self, _: Role, block: &ConnectorBlock) -> Vec<OptionFault> {
        match block.options.text("hostname") {
            Some("bad") => vec![OptionFault::new("hostname", "the connector does not like it")],
            _ => Vec::new(),
        }
    }
}

struct Variables;
impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "HOST" => Some("db1".into()),
            "DB_PASSWORD" => Some("hunter2!".into()),
            _ => None,
        }
    }
    fn file(&self, _: &Path) -> Result<String, String> {
        Ok("from-a-file\n".into())
    }
}

const GOOD: &str = r"
source:
  type: mysql
  name: shop
  hostname: ${HOST}
  port: '3307'
  password: ${DB_PASSWORD}
  tables: shop.\.*
  chunk-meta.group.size: 1000
sink:
  type: values
  print.enabled: FALSE
  exclude.schema.changes: [drop, truncate.table]
route:
  - source-table: shop.\.*
    sink-table: lake.<>
    replace-symbol: <>
pipeline:
  name: my shop
  parallelism: 2
  route-mode: first_match
  checkpoint.interval: 5 s
  memory.limit: 1gb
  schema.change.behavior: try_evolve
";

fn read_text(text: &str) -> Result<Definition, Box<Report>> {
    read(Path::new("conf/shop.yaml"), text, &Two, &Variables)
}

fn faults(text: &str) -> Vec<(String, String)> {
    let report = read_text(text).expect_err("a file with faults");
    report.faults().iter().map(|fault| (fault.path.clone(), fault.message.clone())).collect()
}

#[test]
fn the_word_null_is_a_word_where_it_is_one() {
    let with = |line: &str| GOOD.replace("  chunk-meta.group.size: 1000", line);
    for line in ["  invalid: null", "  invalid: 'null'"] {
        let spec = read_text(&with(line)).expect("a good file").spec;
        assert_eq!(spec.source.options.text("invalid"), Some("null"));
    }
    for line in ["  invalid:", "  invalid: ~", "  scan.startup.mode: null"] {
        assert_eq!(faults(&with(line))[0].1, "has no value", "{line}");
    }
}

#[test]
fn a_good_file_is_read_whole() {
    let definition = read_text(GOOD).expect("a good file");
    let spec = &definition.spec;
    assert_eq!(spec.source.connector, "mysql");
    assert_eq!(spec.source.name.as_deref(), Some("shop"));
    assert_eq!(spec.source.options.text("hostname"), Some("db1"));
    assert_eq!(spec.source.options.integer("port"), Some(3307));
    assert_eq!(spec.source.options.text("password"), Some("hunter2!"));
    assert!(!spec.sink.options.boolean("print.enabled"));
    assert_eq!(spec.route.len(), 1);
    let excluded = spec.schema_changes.exclude.as_ref().expect("a list");
    assert_eq!(excluded.len(), 3);
    assert_eq!(spec.pipeline.name, "my shop");
    assert_eq!(spec.pipeline.route_mode, RouteMode::FirstMatch);
    assert_eq!(spec.pipeline.schema_change_behavior, SchemaChangeBehavior::TryEvolve);
    assert_eq!(spec.pipeline.memory_limit_bytes, 1 << 30);
    assert_eq!(spec.pipeline.checkpoint_storage, Path::new("conf/.cdc-cli/shop"));
    let notices: Vec<&str> = definition.notices.iter().map(|notice| notice.path.as_str()).collect();
    assert_eq!(notices, ["source.chunk-meta.group.size"]);
    assert!(!format!("{definition:?}").contains("hunter2!"));
}

#[test]
fn batch_means_snapshot() {
    let batch = "pipeline: {execution.runtime-mode: batch}\n";
    let text = format!("{}{batch}", GOOD.split("pipeline:").next().unwrap());
    let spec = read_text(&text).expect("a good file").spec;
    assert_eq!(spec.source.options.text("scan.startup.mode"), Some("snapshot"));
    let text = text.replace("  name: shop\n", "  scan.startup.mode: initial\n");
    assert_eq!(faults(&text)[0].0, "source.scan.startup.mode");
}

#[test]
fn connectors_judge_what_the_types_cannot() {
    let found = faults(&GOOD.replace("${HOST}", "bad").replace("'3307'", "x"));
    let expected = [
        ("source.hostname", "the connector does not like it"),
        ("source.port", "\"x\" is not a whole number"),
    ];
    assert_eq!(found, expected.map(|(path, message)| (path.to_owned(), message.to_owned())));
}

#[test]
fn a_secret_is_on_no_screen() {
    let secrets = [
        // A typo in the key, a secret whose name says nothing, one in a wrong place, one from a file.
        GOOD.replace("password: ${DB_PASSWORD}", "pasword: hunter2!"),
        GOOD.replace("name: shop", "pin: hunter2!\n  nonsense: 1"),
        GOOD.replace("'3307'", "${DB_PASSWORD}"),
        GOOD.replace("${DB_PASSWORD}", "{deep: [hunter2!]}"),
        GOOD.replace("${DB_PASSWORD}", "|\n    hunter2!\n    hunter2!\n  nonsense: 1"),
        GOOD.replace("${DB_PASSWORD}", "hunter2!\n  broken: ["),
        GOOD.replace("type: mysql", "type: nosuch").replace("${DB_PASSWORD}", "hunter2!"),
        format!("x: &pw hunter2!\n{}", GOOD.replace("${DB_PASSWORD}", "*pw")),
        GOOD.replace("name: shop", "url: mysql://root:hunter2!@db/"),
        GOOD.replace("${HOST}", "${NOPE}").replace("${DB_PASSWORD}", "\"hunter2!\""),
    ];
    for text in secrets {
        let report = read_text(&text).expect_err(&text);
        let screen = report.screen(Screen::PLAIN);
        assert!(!screen.contains("hunter2!"), "{screen}");
        assert!(!format!("{report:?}").contains("hunter2!"), "{report:?}");
    }
}

#[test]
fn any_cut_of_a_file_gives_a_screen() {
    for (cut, _) in GOOD.char_indices() {
        let text = &GOOD[..cut];
        for text in [text.to_owned(), text.replace('\n', "\r\n"), text.replace("shop", "ö漢")] {
            if let Err(report) = read_text(&text) {
                assert!(!report.screen(Screen::PLAIN).is_empty());
                assert!(
                    !report.screen(Screen { color: true, unicode: true, width: 40 }).is_empty()
                );
            }
        }
    }
}

/// Doubts are told with their places, each once, and are no faults.
#[test]
fn what_is_hardly_meant_is_shown_with_its_place() {
    let rules = "transform:\n  - source-table: shop.\\.*\n    projection: |\n      *,\n      note LIKE '%x' AS x\n    \
                 filter: >-\n      id = 5\n      OR note IS NULL\n";
    let spec = read_text(&GOOD.replace("route:", &format!("{rules}route:"))).expect("good").spec;
    let screen = |programs: &[cdc_transform::Program]| {
        let report = spec.transform.warnings(programs).expect("patterns").expect("doubts");
        report.screen(Screen::PLAIN)
    };
    // Without a table, what the text alone says.
    let text = screen(&[]);
    assert!(text.contains("  ! transform[0].projection: % has no meaning"), "{text}");
    assert!(text.contains("hint: write .* for any text, or add ESCAPE '$'"), "{text}");
    assert!(
        text.ends_with("warning: pipeline file `conf/shop.yaml` has 1 doubtful place\n"),
        "{text}"
    );
    let line =
        text.lines().position(|line| line.contains("note LIKE '%x' AS x")).expect("the line");
    let (shown, below) = (text.lines().nth(line).unwrap(), text.lines().nth(line + 1).unwrap());
    let carets = below.find('^').zip(below.rfind('^')).expect("carets");
    assert_eq!(shown.get(carets.0..=carets.1), Some("'%x'"), "{text}");
    // With tables, their types too; what two tables say alike comes once.
    let column = |id: u32, name: &str, logical: cdc_api::LogicalType| cdc_api::Column {
        id,
        name: name.to_owned(),
        source_type: logical.to_string(),
        logical,
        nullable: id > 0,
        comment: None,
        default: None,
        generated: false,
    };
    let program = |table: &str| {
        let columns = vec![
            column(0, "id", cdc_api::LogicalType::BigInt),
            column(1, "note", cdc_api::LogicalType::String),
        ];
        let id = cdc_api::TableId::new("shop", table);
        let schema = cdc_api::TableSchema::new(id, 1, columns, vec![0]).expect("a table");
        let program = crate::transform::compile(&spec.transform, &std::sync::Arc::new(schema));
        program.expect("it fits").expect("a rule")
    };
    let text = screen(&[program("a"), program("b")]);
    assert_eq!(text.matches("BIGINT is never equal to INT").count(), 1, "{text}");
    assert_eq!(text.matches("% has no meaning").count(), 1, "{text}");
    assert!(text.contains("has 2 doubtful places"), "{text}");
}

#[cfg(feature = "wasm")]
mod modules {
    use super::*;

    const MODULE: &str = r#"(module (func (export "twice") (param i32) (result i32) (i32.add (local.get 0) (local.get 0))))"#;

    fn read_with(function: &str) -> Result<Definition, Box<Report>> {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("twice.wat"), MODULE).expect("a module");
        let text = format!(
            "{GOOD}  user-defined-function:\n    - name: twice\n{function}\
             transform:\n  - source-table: shop.\\.*\n    projection: \"*, TWICE(1) AS two\"\n"
        );
        read(&folder.path().join("shop.yaml"), &text, &Two, &Variables)
    }

    fn fault(function: &str) -> (String, String, String) {
        let report = read_with(function).expect_err(function);
        let own = report.faults().iter().find(|fault| fault.path.starts_with("pipeline"));
        let fault = own.expect("a fault of the function");
        let place = report.masked.text[fault.span.clone().expect("a place")].to_owned();
        (fault.path.clone(), place, fault.message.clone())
    }

    #[test]
    fn a_module_is_found_beside_the_file_and_checked() {
        let good = "      wasm: ./twice.wat\n      arguments: INT\n      returns: INT\n";
        let spec = read_with(good).expect("a good file").spec;
        assert_eq!(spec.pipeline.functions.routines[0].name(), "twice");

        let path = |key: &str| format!("pipeline.user-defined-function[0].{key}");
        let (at, place, message) = fault(&good.replace("./twice.wat", "nowhere.wasm"));
        assert_eq!((at, place.as_str()), (path("wasm"), "nowhere.wasm"));
        assert!(message.contains("cannot be read"), "{message}");
        let (at, place, message) = fault(&good.replace("arguments: INT", "arguments: BIGINT"));
        assert_eq!((at, place.as_str()), (path("name"), "twice"));
        assert_eq!(message, "the module's `twice` is (i32) -> (i32)");
        let (at, place, message) = fault(&format!("{good}      export: thrice\n"));
        assert_eq!((at, place.as_str()), (path("export"), "thrice"));
        assert_eq!(message, "the module has no export `thrice`");
    }
}
