//! Object stores, on one in memory: an upload is completed once, however often the commit is repeated.

use cdc_api::{ErrorKind, SchemaChange};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path as Key};

use super::*;
use crate::{committable::StagedFile, target::Bucket};

fn bucket() -> Bucket {
    let store = Arc::new(InMemory::new());
    Bucket {
        store: Arc::clone(&store) as _,
        uploads: store,
        prefix: "lake/raw".into(),
        shown: "s3://bucket/lake/raw".into(),
    }
}

fn sink(bucket: &Bucket) -> ParquetSink {
    ParquetSink::new(settings(Target::Objects(bucket.clone())))
}

async fn keys(bucket: &Bucket) -> Vec<String> {
    let list: Vec<_> = bucket.store.list(None).try_collect().await.unwrap();
    list.into_iter().map(|object| object.location.to_string()).collect()
}

async fn parquet_keys(bucket: &Bucket) -> Vec<String> {
    keys(bucket).await.into_iter().filter(|key| key.ends_with(".parquet")).collect()
}

async fn rows(bucket: &Bucket, key: &str) -> Vec<RecordBatch> {
    read(bucket.store.get(&Key::parse(key).unwrap()).await.unwrap().bytes().await.unwrap())
}

#[tokio::test]
async fn an_object_is_there_from_its_commit_on_and_commits_repeat() {
    let bucket = bucket();
    let sink = sink(&bucket);
    let files = staged(&sink, UUID, 1, vec![batch("a", &[1, 2], Ops::All(Op::Read), 1)]).await;
    assert_eq!(parquet_keys(&bucket).await.len(), 0);
    assert_eq!(keys(&bucket).await.len(), 1, "the upload's marker");
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    for _ in 0..3 {
        committer.commit(1, &files).await.unwrap();
        committer.clean_up().await.unwrap();
        let keys = keys(&bucket).await;
        assert_eq!(keys.len(), 1, "{keys:?}");
        assert!(
            keys[0].starts_with(&format!("lake/raw/shop/a/{UUID}-{:020}-0000-", 1)),
            "{keys:?}"
        );
        assert_eq!(longs(&rows(&bucket, &keys[0]).await, "id"), [1, 2]);
    }
    assert_eq!(committer.highest_checkpoint().await.unwrap(), Some(1));
}

#[tokio::test]
async fn uploads_that_no_checkpoint_names_are_aborted() {
    let bucket = bucket();
    let sink = sink(&bucket);
    let ours = staged(&sink, UUID, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
    let theirs = staged(&sink, OTHER, 1, vec![batch("b", &[1], Ops::All(Op::Read), 1)]).await;
    sink.committer(&context(UUID)).await.unwrap().clean_up().await.unwrap();
    assert_eq!(keys(&bucket).await.len(), 1, "the other's marker stays");
    sink.committer(&context(OTHER)).await.unwrap().commit(1, &theirs).await.unwrap();
    assert_eq!(parquet_keys(&bucket).await.len(), 1);
    // What was aborted cannot be published any more.
    assert!(sink.committer(&context(UUID)).await.unwrap().commit(1, &ours).await.is_err());
    assert_eq!(parquet_keys(&bucket).await.len(), 1);
}

#[tokio::test]
async fn an_object_of_another_size_stops_the_commit() {
    let bucket = bucket();
    let sink = sink(&bucket);
    let files = staged(&sink, UUID, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    committer.commit(1, &files).await.unwrap();
    let key = Key::parse(&keys(&bucket).await[0]).unwrap();
    bucket.store.put(&key, "cut".into()).await.unwrap();
    let error = committer.commit(1, &files).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Operator);
    assert!(error.to_string().contains("it has 3 bytes"), "{error}");
}

#[tokio::test]
async fn the_folder_of_another_pipeline_is_refused_whichever_name_sorts_first() {
    for (first, second) in [(UUID, OTHER), (OTHER, UUID)] {
        let bucket = bucket();
        let sink = sink(&bucket);
        let files = staged(&sink, first, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
        sink.committer(&context(first)).await.unwrap().commit(1, &files).await.unwrap();
        let create = SchemaChange::Create(schema("a"));
        let error = sink.applier(&context(second)).await.unwrap().apply(&create).await.unwrap_err();
        assert_eq!(error.message(), "the folder of table \"shop.a\" belongs to another pipeline");
        sink.applier(&context(first)).await.unwrap().apply(&create).await.unwrap();
        // "a" is the beginning of "ab", which is another table's folder.
        let neighbour = SchemaChange::Create(schema("ab"));
        sink.applier(&context(second)).await.unwrap().apply(&neighbour).await.unwrap();
    }
}

#[tokio::test]
async fn a_big_file_goes_in_parts_of_one_size() {
    let bucket = bucket();
    let shared = shared(settings(Target::Objects(bucket.clone())));
    let mut writer = ParquetWriter::new(shared, &context(UUID), 0).unwrap();
    // Noise: neither a dictionary nor a compressor makes it smaller.
    let mut noise = 1_u64;
    let mut count = 0;
    for _ in 0..20 {
        let ids: Vec<i64> = (0..65_536)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                noise as i64
            })
            .collect();
        let names: StringArray = ids.iter().map(|id| Some(format!("{id:016x}"))).collect();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids)), Arc::new(names)];
        writer.write(of_columns(schema("a"), columns, Ops::All(Op::Read), count)).await.unwrap();
        count += 65_536;
    }
    let files = writer.flush(4).await.unwrap();
    assert_eq!(files.len(), 1);
    let StagedFile::Object { parts, bytes, rows: staged_rows, .. } =
        StagedFile::unpack(&files[0]).unwrap()
    else {
        panic!("an object")
    };
    assert_eq!(staged_rows, count);
    assert_eq!(parts.len() as u64, bytes.div_ceil(5 << 20));
    assert!(parts.len() > 3);
    sink(&bucket).committer(&context(UUID)).await.unwrap().commit(4, &files).await.unwrap();
    let seqs = longs(&rows(&bucket, &parquet_keys(&bucket).await[0]).await, "_seq");
    assert!(seqs.iter().copied().eq(0..count as i64));
}

#[tokio::test]
async fn objects_are_named_by_the_checkpoint_to_come() {
    let bucket = bucket();
    let sink = sink(&bucket);
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    committer.commit(41, &[]).await.unwrap();
    let going_on = SinkContext { next_checkpoint: 42, ..context(UUID) };
    let mut writer = sink.writer(&going_on, 0).await.unwrap();
    for checkpoint in [42, 43, 44] {
        writer.write(batch("a", &[1], Ops::All(Op::Read), checkpoint)).await.unwrap();
        let files = writer.flush(checkpoint).await.unwrap();
        committer.commit(checkpoint, &files).await.unwrap();
        assert_eq!(committer.highest_checkpoint().await.unwrap(), Some(checkpoint));
    }
    assert!(parquet_keys(&bucket).await.is_sorted());
}

#[tokio::test]
async fn preflight_leaves_nothing() {
    let bucket = bucket();
    sink(&bucket).preflight().await.unwrap();
    assert!(keys(&bucket).await.is_empty());
}
