//! The gallery of wrong pipeline files: each file in `integration/config_errors` gives exactly the screen beside it.
//! `UPDATE_SCREENS=1` writes the screens instead of comparing them.
#![cfg(all(feature = "mysql", feature = "parquet", feature = "values"))]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use cdc_cli::{
    definition::{self, Environment, Screen},
    registry::Registry,
};

const GALLERY: &str = "integration/config_errors";
/// What no screen may show.
const SECRET: &str = "hunter2";

/// The same on every machine.
struct Variables;

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "DB_PASSWORD").then(|| format!("{SECRET}-of-the-environment"))
    }
    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }
}

fn files(extension: &str) -> BTreeSet<PathBuf> {
    let folder = std::fs::read_dir(GALLERY).expect("the gallery is there");
    let paths = folder.map(|entry| entry.expect("an entry of the gallery").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn every_wrong_file_gives_its_screen() {
    let update = std::env::var_os("UPDATE_SCREENS").is_some();
    let mut differing = Vec::new();
    for file in files("yaml") {
        let name = file.display();
        // A build with the feature has another answer.
        if cfg!(feature = "wasm") && file.ends_with("wasm_not_built.yaml") {
            continue;
        }
        let report = match definition::read_file(&file, &Registry, &Variables) {
            Ok(_) => panic!("{name} has no fault"),
            Err(report) => report,
        };
        let screen = report.screen(Screen::PLAIN);
        assert!(!screen.contains(SECRET), "{name} shows a secret:\n{screen}");
        assert!(screen.is_ascii(), "{name} is not plain");
        for screen in [true, false].map(|unicode| Screen { color: !unicode, unicode, width: 80 }) {
            assert!(!report.screen(screen).contains(SECRET), "{name} shows a secret");
        }
        let kept = file.with_extension("screen");
        if update {
            std::fs::write(&kept, &screen).expect("the screen can be written");
        } else if std::fs::read_to_string(&kept).unwrap_or_default() != screen {
            differing.push(format!("--- {}\n{screen}", kept.display()));
        }
    }
    assert!(differing.is_empty(), "screens differ:\n{}", differing.join("\n"));
}

#[test]
fn every_screen_has_its_file() {
    let screens: BTreeSet<PathBuf> =
        files("screen").iter().map(|path| path.with_extension("")).collect();
    let yamls: BTreeSet<PathBuf> =
        files("yaml").iter().map(|path| path.with_extension("")).collect();
    assert_eq!(screens, yamls);
    assert!(yamls.len() >= 20, "the gallery lost files");
}
