//! The store on a temporary folder: what is prepared is found again, what is damaged is named, and one holds the folder.

use std::collections::BTreeMap;

use cdc_api::{Committable, ErrorKind, QuarantinedTable, TableId};
use serde_json::json;

use super::*;
use crate::{checkpoint::Fingerprints, schema::RegistryState};

/// Written by the first build that had a format; every later one has to read it.
const GOLDEN: &str = include_str!("golden/format-1.json");

fn checkpoint(id: CheckpointId) -> Checkpoint {
    let stopped = QuarantinedTable {
        table: TableId::new("shop", "odd"),
        reason: "ALTER TABLE at binlog.000002:154".into(),
        remedy: "leave it out with tables.exclude".into(),
    };
    Checkpoint {
        pipeline_uuid: "11111111-2222-4333-8444-555555555555".into(),
        id,
        source_state: json!({"position": {"file": "binlog.000002", "pos": 4_294_967_296_u64}, "done": {"shop.orders": [[null, "10"]]}}),
        quarantined: vec![stopped],
        tables: RegistryState::default(),
        pending_schema_changes: Vec::new(),
        next_seq: u64::MAX,
        committables: vec![Committable(
            json!({"kind": "local", "name": "größe \",\"checkpoint\":{}"}),
        )],
        fingerprints: Fingerprints {
            source: "mysql:db.example:3306".into(),
            sink: "parquet:/lake".into(),
            tables: BTreeMap::from([("shop.orders".into(), "shop.orders 0badcafe".into())]),
        },
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join(EPOCH)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_first_format_is_read_for_ever() {
    assert_eq!(format::decode(GOLDEN.as_bytes()).unwrap(), checkpoint(7));
    assert!(serde_json::from_str::<serde_json::Value>(GOLDEN).unwrap().is_object());
}

#[tokio::test]
async fn what_is_prepared_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    assert!(store.last().await.unwrap().is_none());
    store.prepare(&checkpoint(0)).await.unwrap();
    let last = store.last().await.unwrap().unwrap();
    assert_eq!((last.checkpoint, last.committed), (checkpoint(0), false));
    store.committed(0).await.unwrap();
    store.committed(0).await.unwrap();
    assert!(store.last().await.unwrap().unwrap().committed);
    drop(store);
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    assert_eq!(store.last().await.unwrap().unwrap().checkpoint.id, 0);
}

/// A start that was killed ahead of its first checkpoint is the same pipeline to its sink.
#[tokio::test]
async fn the_first_uuid_is_drawn_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    let first = store.first_uuid().await.unwrap();
    drop(store);
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    assert_eq!(store.first_uuid().await.unwrap(), first);
    assert!(store.last().await.unwrap().is_none());
    // What is no UUID was not written by us, and nothing depends on it yet.
    std::fs::write(folder.path().join(EPOCH).join(PIPELINE), "?").unwrap();
    assert_ne!(store.first_uuid().await.unwrap(), first);
    assert_eq!(names(folder.path()), ["pipeline"]);
}

#[tokio::test]
async fn the_one_before_stays_until_the_next_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    for id in 9..12 {
        store.prepare(&checkpoint(id)).await.unwrap();
        if id > 9 {
            assert_eq!(names(folder.path()).len(), 3, "the one before, its commit, and this");
        }
        store.committed(id).await.unwrap();
        let kept = [COMMITTED, PREPARED].map(|kind| format!("{id:020}.{kind}"));
        assert_eq!(names(folder.path()), kept);
    }
}

#[tokio::test]
async fn an_id_is_never_reused_for_other_content() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    store.prepare(&checkpoint(3)).await.unwrap();
    store.prepare(&checkpoint(3)).await.unwrap();
    let mut other = checkpoint(3);
    other.next_seq = 1;
    let error = store.prepare(&other).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Internal);
    assert_eq!(store.last().await.unwrap().unwrap().checkpoint, checkpoint(3));
    assert_eq!(names(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_write_cut_off_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    store.prepare(&checkpoint(1)).await.unwrap();
    drop(store);
    let bytes = format::encode(&checkpoint(2)).unwrap();
    let torn = folder.path().join(EPOCH).join(format!("{:020}.{UNFINISHED}", 2));
    std::fs::write(&torn, &bytes[..bytes.len() / 2]).unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    assert_eq!(store.last().await.unwrap().unwrap().checkpoint, checkpoint(1));
    assert!(!torn.exists());
}

#[tokio::test]
async fn a_second_holder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    let error = CheckpointStore::open(folder.path()).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Operator);
    let holder = format!("process {} holds it", std::process::id());
    assert_eq!(error.detail_text(), Some(holder.as_str()));
    let clone = store.clone();
    drop(store);
    assert!(CheckpointStore::open(folder.path()).await.is_err());
    drop(clone);
    CheckpointStore::open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_named_and_never_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    store.prepare(&checkpoint(1)).await.unwrap();
    store.prepare(&checkpoint(2)).await.unwrap();
    let path = folder.path().join(EPOCH).join(format!("{:020}.{PREPARED}", 2));
    let whole = std::fs::read(&path).unwrap();
    let replaced = |from: &str, to: &str| {
        String::from_utf8(whole.clone()).unwrap().replacen(from, to, 1).into_bytes()
    };
    for (bytes, says) in [
        (Vec::new(), "not a whole checkpoint"),
        (whole[..whole.len() - 5].to_vec(), "not a whole checkpoint"),
        (replaced("binlog.000002", "binlog.000003"), "its checksum is crc32:"),
        (replaced("\"format_version\":2", "\"format_version\":3"), "it has format version 3"),
        (format::encode(&checkpoint(5)).unwrap(), "it says that it is checkpoint 5"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = store.last().await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::Operator);
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
        assert!(error.detail_text().unwrap().contains(says), "{error}");
        assert!(error.hint_text().is_some());
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let whole = format::encode(&checkpoint(2)).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        assert!(
            format::decode(&bytes).map_or(true, |read| read == checkpoint(2)),
            "byte {at} changed the checkpoint unseen"
        );
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    std::fs::write(&file, "").unwrap();
    let error = CheckpointStore::open(&file).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Operator);
    assert!(error.message().contains("state"), "{error}");
    assert!(error.hint_text().unwrap().contains("a file stands where"), "{error:?}");
}
