//! Replays the committed corpus and the regressions through the entry points, so that every build runs them.

use std::{fs, path::Path};

use super::TARGETS;

#[test]
fn the_corpus_of_every_target_is_replayed() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            // Shown only when the input panics.
            eprintln!("{}", path.display());
            target(&bytes);
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus of {name} is empty");
    }
}

#[test]
fn every_input_may_be_cut_off_anywhere() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (name, target) in TARGETS {
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            let step = 1 + bytes.len() / 16;
            (0..bytes.len()).step_by(step).for_each(|end| target(&bytes[..end]));
        }
    }
}

/// Damage behind a transaction that is whole.
#[test]
fn a_log_may_be_cut_off_in_a_later_transaction() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/log_events");
    for entry in fs::read_dir(corpus).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let Some((_, stream)) = bytes.split_first() else { continue };
        let step = 1 + stream.len() / 16;
        for end in (0..stream.len()).step_by(step) {
            super::log_events(&[&bytes, &stream[..end]].concat());
        }
    }
}
