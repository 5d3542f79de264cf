//! The dependency direction of ARCHITECTURE.md, read from the manifests and the sources.

use std::{fs, path::Path};

/// The workspace's crates that a manifest names as dependencies of the shipped code.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(manifest)).unwrap();
    let shipped = text.split("\n[dependencies]").nth(1).unwrap_or_default();
    let shipped = shipped.split("\n[").next().unwrap_or_default();
    shipped
        .lines()
        .filter(|line| line.starts_with("cdc-"))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn connectors_depend_on_the_api_and_the_snapshot_machine_only() {
    assert_eq!(dependencies("connectors/api/Cargo.toml"), [""; 0]);
    assert_eq!(dependencies("connectors/incremental/Cargo.toml"), [""; 0]);
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        for dependency in dependencies(&format!("connectors/{name}/Cargo.toml")) {
            assert!(
                ["cdc-api", "cdc-incremental"].contains(&dependency.as_str()),
                "connector {name} depends on {dependency}"
            );
        }
    }
}

#[test]
fn only_the_registry_knows_the_connectors() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            let knows = ["cdc_mysql", "cdc_values", "cdc_parquet", "cdc_incremental"]
                .iter()
                .any(|name| text.contains(&format!("{name}::")));
            assert!(
                !knows || path.ends_with("src/registry.rs"),
                "{} names a connector",
                path.display()
            );
        }
    }
    assert!(files > 20, "the sources were not found");
}

/// One stage does not reach into another: they are joined by `flow` and by those above them.
#[test]
fn stages_do_not_know_each_other() {
    let forbidden = [
        ("route", ["ingest", "sink", "commit", "checkpoint", "compose"]),
        ("sink", ["ingest", "route", "commit", "checkpoint", "compose"]),
        ("checkpoint", ["ingest", "route", "commit", "sink", "compose"]),
        ("runtime", ["ingest", "route", "commit", "sink", "checkpoint"]),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (stage, others) in forbidden {
        let mut files = vec![root.join(format!("{stage}.rs"))];
        files.extend(fs::read_dir(root.join(stage)).unwrap().map(|entry| entry.unwrap().path()));
        for file in files.iter().filter(|file| file.extension().is_some_and(|ext| ext == "rs")) {
            let text = fs::read_to_string(file).unwrap();
            for other in others {
                assert!(
                    !text.contains(&format!("crate::{other}::")),
                    "{} reaches into {other}",
                    file.display()
                );
            }
        }
    }
}
