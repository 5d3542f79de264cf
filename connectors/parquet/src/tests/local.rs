//! Local folders: nothing is seen before its commit, a commit may be repeated from any point, and what belongs to others
//! is left alone.

use cdc_api::{ErrorKind, SchemaChange};

use super::*;
use crate::committable::StagedFile;

fn sink(root: &Path) -> ParquetSink {
    ParquetSink::new(settings(folder_target(root)))
}

#[tokio::test]
async fn rows_are_seen_from_their_commit_on() {
    let lake = tempfile::tempdir().unwrap();
    let sink = sink(lake.path());
    let ops = vec![Op::Read, Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete];
    let folder = lake.path().join("shop/orders");
    let files =
        staged(&sink, UUID, 7, vec![batch("orders", &[1, 2, 3, 3, 4], Ops::Each(ops), 10)]).await;
    assert_eq!((visible(&folder).len(), hidden(&folder)), (0, 1));
    sink.committer(&context(UUID)).await.unwrap().commit(7, &files).await.unwrap();
    let paths = visible(&folder);
    assert_eq!((paths.len(), hidden(&folder)), (1, 0));
    let name = paths[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(&format!("{UUID}-{:020}-0000-", 7)), "{name}");
    let rows = read_path(&paths[0]);
    assert_eq!(longs(&rows, "id"), [1, 2, 3, 4]);
    assert_eq!(words(&rows, "_op"), ["r", "c", "u", "d"]);
    assert_eq!(longs(&rows, "_seq"), [10, 11, 13, 14]);
    assert_eq!(longs(&rows, "_ts_ms"), [5_000; 4]);
}

#[tokio::test]
async fn a_commit_cut_off_anywhere_is_finished_by_the_next() {
    let ids = [1, 2, 3];
    // Every subset of the renames may have happened before the crash.
    for done in 0..8_u32 {
        let lake = tempfile::tempdir().unwrap();
        let batches = ["a", "b", "c"].map(|table| batch(table, &ids, Ops::All(Op::Read), 1));
        let files = staged(&sink(lake.path()), UUID, 1, batches.into()).await;
        assert_eq!(files.len(), 3);
        for (at, file) in files.iter().enumerate().filter(|(at, _)| done >> at & 1 == 1) {
            let StagedFile::Local { folder, staged, name, .. } = StagedFile::unpack(file).unwrap()
            else {
                panic!("file {at} is local")
            };
            let folder = lake.path().join(folder);
            std::fs::rename(folder.join(staged), folder.join(name)).unwrap();
        }
        let after = sink(lake.path());
        let mut committer = after.committer(&context(UUID)).await.unwrap();
        for _ in 0..2 {
            committer.commit(1, &files).await.unwrap();
            committer.clean_up().await.unwrap();
            for table in ["a", "b", "c"] {
                let folder = lake.path().join("shop").join(table);
                assert_eq!((visible(&folder).len(), hidden(&folder)), (1, 0));
                assert_eq!(longs(&read_path(&visible(&folder)[0]), "id"), ids);
            }
        }
        assert_eq!(committer.highest_checkpoint().await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn a_staged_file_that_is_gone_stops_the_commit() {
    let lake = tempfile::tempdir().unwrap();
    let sink = sink(lake.path());
    let files = staged(&sink, UUID, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    // The wrong order of commit and clean-up: what must never happen is that it passes unseen.
    committer.clean_up().await.unwrap();
    let error = committer.commit(1, &files).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Operator);
    assert!(error.to_string().contains("neither the staged file nor the published one"), "{error}");
    assert!(error.hint_text().is_some());
}

#[tokio::test]
async fn a_published_file_of_another_size_stops_the_commit() {
    let lake = tempfile::tempdir().unwrap();
    let sink = sink(lake.path());
    let files = staged(&sink, UUID, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    committer.commit(1, &files).await.unwrap();
    std::fs::write(&visible(&lake.path().join("shop/a"))[0], "cut").unwrap();
    let error = committer.commit(1, &files).await.unwrap_err();
    assert!(error.to_string().contains("it has 3 bytes"), "{error}");
}

#[tokio::test]
async fn cleaning_up_touches_only_what_this_pipeline_staged() {
    let lake = tempfile::tempdir().unwrap();
    let folder = lake.path().join("shop/a");
    let sink = sink(lake.path());
    let committed = staged(&sink, UUID, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    committer.commit(1, &committed).await.unwrap();
    staged(&sink, UUID, 2, vec![batch("a", &[2], Ops::All(Op::Read), 2)]).await;
    let others = crate::names::staged(OTHER, 0, 1, 1);
    std::fs::write(folder.join(&others), "theirs").unwrap();
    std::fs::write(folder.join(".hidden"), "somebody's").unwrap();
    assert_eq!(hidden(&folder), 3);
    committer.clean_up().await.unwrap();
    assert_eq!(hidden(&folder), 2);
    assert!(folder.join(others).exists());
    assert_eq!(visible(&folder).len(), 1);
}

#[tokio::test]
async fn the_folder_of_another_pipeline_is_refused_by_name() {
    let lake = tempfile::tempdir().unwrap();
    let sink = sink(lake.path());
    let files = staged(&sink, OTHER, 1, vec![batch("a", &[1], Ops::All(Op::Read), 1)]).await;
    sink.committer(&context(OTHER)).await.unwrap().commit(1, &files).await.unwrap();
    let create = SchemaChange::Create(schema("a"));
    let error = sink.applier(&context(UUID)).await.unwrap().apply(&create).await.unwrap_err();
    assert_eq!(error.message(), "the folder of table \"shop.a\" belongs to another pipeline");
    assert!(error.detail_text().unwrap().contains(OTHER));
    // A resumed pipeline applies nothing; its writer looks, too.
    let mut writer = sink.writer(&context(UUID), 0).await.unwrap();
    writer.write(batch("a", &[2], Ops::All(Op::Read), 2)).await.unwrap();
    assert_eq!(*writer.flush(1).await.unwrap_err().kind(), ErrorKind::Operator);
    // A neighbour is free, and so is the pipeline's own folder.
    let mut applier = sink.applier(&context(UUID)).await.unwrap();
    applier.apply(&SchemaChange::Create(schema("b"))).await.unwrap();
    sink.applier(&context(OTHER)).await.unwrap().apply(&create).await.unwrap();
}

#[tokio::test]
async fn a_column_of_our_name_is_refused_for_its_table() {
    let lake = tempfile::tempdir().unwrap();
    let columns = vec![column("_seq", LogicalType::BigInt, false)];
    let id = TableId::new("shop", "odd");
    let odd = Arc::new(TableSchema::new(id.clone(), 1, columns, vec![0]).unwrap());
    let mut applier = sink(lake.path()).applier(&context(UUID)).await.unwrap();
    let error = applier.apply(&SchemaChange::Create(odd)).await.unwrap_err();
    assert_eq!(error.table(), Some(&id));
    assert_eq!(error.message(), "table \"shop.odd\" has a column named `_seq`");
}

#[tokio::test]
async fn a_folder_that_is_none_names_the_path() {
    let lake = tempfile::tempdir().unwrap();
    let file = lake.path().join("lake");
    std::fs::write(&file, "").unwrap();
    let sink = sink(&file);
    for error in [sink.preflight().await.unwrap_err(), {
        let mut writer = sink.writer(&context(UUID), 0).await.unwrap();
        writer.write(batch("a", &[1], Ops::All(Op::Read), 1)).await.unwrap();
        writer.flush(1).await.unwrap_err()
    }] {
        assert_eq!(*error.kind(), ErrorKind::Operator, "{error:?}");
        assert!(error.message().contains(file.to_str().unwrap()), "{error:?}");
        assert!(error.hint_text().is_some(), "{error:?}");
    }
}

#[tokio::test]
async fn preflight_leaves_nothing() {
    let lake = tempfile::tempdir().unwrap();
    sink(&lake.path().join("not/there/yet")).preflight().await.unwrap();
    assert_eq!(std::fs::read_dir(lake.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_empty_checkpoint_stages_nothing() {
    let lake = tempfile::tempdir().unwrap();
    let sink = sink(lake.path());
    let mut writer = sink.writer(&context(UUID), 0).await.unwrap();
    assert!(writer.flush(1).await.unwrap().is_empty());
    assert_eq!(writer.close().await.unwrap(), None);
    let mut committer = sink.committer(&context(UUID)).await.unwrap();
    committer.commit(1, &[]).await.unwrap();
    assert_eq!(committer.highest_checkpoint().await.unwrap(), None);
}
