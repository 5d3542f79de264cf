//! Replays the committed corpus and the regressions through the entry points, so that every build runs them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::TARGETS;

/// The committed inputs of a target.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let inputs: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    inputs
}

/// The beginnings of an input, cut off at up to seventeen places.
fn beginnings(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let step = 1 + bytes.len() / 16;
    (0..bytes.len()).step_by(step).map(|end| &bytes[..end])
}

#[test]
fn the_corpus_of_every_target_is_replayed() {
    for (name, target) in TARGETS {
        for (path, bytes) in corpus(name) {
            // Shown only when the input panics.
            eprintln!("{}", path.display());
            target(&bytes);
        }
    }
}

#[test]
fn every_input_may_be_cut_off_anywhere() {
    for (name, target) in TARGETS {
        for (_, bytes) in corpus(name) {
            beginnings(&bytes).for_each(target);
        }
    }
}

/// Damage behind a transaction that is whole.
#[test]
fn a_log_may_be_cut_off_in_a_later_transaction() {
    for (_, bytes) in corpus("log_events") {
        let Some((_, stream)) = bytes.split_first() else { continue };
        for beginning in beginnings(stream) {
            super::log_events(&[&bytes, beginning].concat());
        }
    }
}
