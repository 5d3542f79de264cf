//! Runs the transform cases of Flink CDC's own format: our own always, those beside the checkout and those of the
//! folder that `CDC_TRANSFORM_CASES` names when they are there.

mod cases;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use cases::{print, table, yaml};
use cdc_transform::{Context, DecimalMode, Rule, RuleText};

type Case = BTreeMap<String, String>;

/// What a case prints, or why it does not run.
fn run(case: &Case) -> Result<Vec<String>, String> {
    let get = |key: &str| case.get(key).filter(|text| !text.trim().is_empty()).cloned();
    let lines = |text: String| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| line.trim_end_matches(',')).collect::<Vec<_>>().join(", ")
    };
    let rule = RuleText {
        projection: get("projection").map(lines),
        filter: get("filter"),
        primary_keys: get("primary-key"),
        partition_keys: get("partition-key"),
        table_options: get("table-options"),
        table_options_delimiter: get("table-options-delimiter")
            .or_else(|| get("table-options.delimiter")),
        soft_delete: match get("converters").as_deref() {
            None => false,
            Some("SOFT_DELETE") => true,
            Some(other) => return Err(format!("unknown converter {other}")),
        },
    };
    let zone = get("time-zone").unwrap_or_else(|| "UTC".to_owned());
    let context = Context {
        zone: zone.parse().map_err(|_| format!("unknown zone {zone}"))?,
        decimals: match get("decimal-precision-mode").as_deref() {
            Some(mode) if mode.eq_ignore_ascii_case("up_to_19") => DecimalMode::UpTo19,
            // Cases without a mode compare decimals of 20 digits.
            _ => DecimalMode::UpTo38,
        },
        wide_timestamps: true,
        macros: get("macros")
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default(),
        ..Context::default()
    };
    let schema = table::schema();
    let program =
        Rule::compile(&rule, &context, &schema).map_err(|faults| format!("{faults:?}"))?;
    let mut lines = vec![print::create(program.schema())];
    let non_null = get("non-null").as_deref() == Some("true");
    if let Some(batch) =
        program.eval(table::batch(&schema, non_null)).map_err(|error| format!("{error:?}"))?
    {
        lines.extend(print::changes(&batch));
    }
    Ok(lines)
}

/// The first difference from what the case expects.
fn difference(case: &Case) -> Option<String> {
    let result = run(case);
    if case.contains_key("expect-error") {
        return result.is_ok().then(|| "an error is expected, but it ran".to_owned());
    }
    let expected: Vec<&str> =
        case.get("expect").map(|text| text.lines().collect()).unwrap_or_default();
    let lines = match result {
        Ok(lines) => lines,
        Err(error) => return Some(error),
    };
    for at in 0..expected.len().max(lines.len()) {
        let want = expected.get(at).map(|line| print::sorted_maps(line.trim())).unwrap_or_default();
        let have = lines.get(at).map(|line| print::sorted_maps(line)).unwrap_or_default();
        if want != have {
            return Some(format!("line {}:\n    expected {want}\n    received {have}", at + 1));
        }
    }
    None
}

/// Runs a folder's files; the number of cases that failed and of those that passed.
fn run_folder(folder: &Path) -> (usize, usize) {
    let entries =
        std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml"))
        .collect();
    files.sort();
    let (mut all_failed, mut all_passed) = (0, 0);
    for file in files {
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let cases = yaml::read(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (mut passed, mut failed) = (0, Vec::new());
        for case in cases.iter().filter(|case| !case.contains_key("ignore")) {
            match difference(case) {
                None => passed += 1,
                Some(difference) => {
                    failed.push(format!(
                        "  {}: {difference}",
                        case.get("do").map_or("?", String::as_str)
                    ));
                }
            }
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // One write a file: the folders run side by side.
        let mut text = format!("{name}: {passed} passed, {} failed\n", failed.len());
        failed.iter().for_each(|failure| text.push_str(&format!("{failure}\n")));
        print(&text);
        all_failed += failed.len();
        all_passed += passed;
    }
    (all_failed, all_passed)
}

/// To standard error, past the capture of the test harness: the counts are wanted of passing runs too.
fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// A folder at this path under a parent of the crate.
fn upwards(path: &str) -> Option<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|parent| parent.join(path))
        .find(|path| path.is_dir())
}

#[test]
fn transform_cases_of_our_own() {
    let folder = upwards("integration/transform_cases").expect("our own cases");
    let (failed, passed) = run_folder(&folder);
    assert!(passed > 0, "no case ran");
    assert_eq!(failed, 0, "cases failed");
}

#[test]
fn transform_cases_of_flink_cdc() {
    let beside = upwards("shared/compat/flink-cdc-transform");
    let named = std::env::var("CDC_TRANSFORM_CASES").ok().map(|folder| {
        // A relative folder is meant from where the test was started: a parent of the crate.
        upwards(&folder).unwrap_or_else(|| panic!("CDC_TRANSFORM_CASES names no folder: {folder}"))
    });
    let mut failed = 0;
    for folder in beside.into_iter().chain(named) {
        failed += run_folder(&folder).0;
    }
    assert_eq!(failed, 0, "cases failed");
}
