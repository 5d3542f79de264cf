//! A whole engine between a source that says what it is told to and a sink that refuses some changes, as no sink of this
//! workspace does yet.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use arrow_array::{ArrayRef, Int32Array, RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use cdc_api::{
    BeforeImages, Column, Committable, Committer, EventSinkProvider, LogicalType, MetadataApplier,
    Ordinals, Partitioning, Recovery, SinkCapabilities, SinkContext, SinkWriter, SourceProgress,
    SourceState, TxnId, TxnSpan,
};

use super::*;
use crate::{
    checkpoint::CheckpointStore,
    commit::Identity,
    definition::SchemaChangeBehavior,
    route::{RouteMode, RouteTable},
    schema::{RegistryState, Rules},
};

struct Told(VecDeque<SourceEvent>);

#[async_trait]
impl EventSource for Told {
    async fn next(&mut self) -> Result<SourceEvent> {
        Ok(self.0.pop_front().unwrap_or(SourceEvent::End))
    }
    fn state(&self) -> Result<SourceState> {
        Ok(SourceState::from(self.0.len()))
    }
    async fn acknowledge(&mut self, _: &SourceState) -> Result<()> {
        Ok(())
    }
    fn quarantine(&mut self, table: &TableId, reason: &str, _: &str) {
        panic!("{table} stopped: {reason}");
    }
    fn progress(&self) -> SourceProgress {
        SourceProgress::default()
    }
}

/// Refuses each change that brings the column `refused`; notes everything in words.
#[derive(Clone, Default)]
struct Sink {
    notes: Arc<Mutex<Vec<String>>>,
}

impl Sink {
    fn note(&self, words: String) {
        self.notes.lock().unwrap().push(words);
    }
}

fn names(schema: &TableSchema) -> String {
    schema.columns().iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(" ")
}

#[async_trait]
impl EventSinkProvider for Sink {
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            before_images: BeforeImages::All,
            partitioning: Partitioning::Single,
            recovery: Recovery::Recommit,
            checkpoint_interval: Duration::from_secs(3),
        }
    }
    fn fingerprint(&self) -> String {
        "notes".into()
    }
    async fn preflight(&self) -> Result<()> {
        Ok(())
    }
    async fn writer(&self, _: &SinkContext, _: usize) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(self.clone()))
    }
    async fn committer(&self, _: &SinkContext) -> Result<Box<dyn Committer>> {
        Ok(Box::new(self.clone()))
    }
    async fn applier(&self, _: &SinkContext) -> Result<Box<dyn MetadataApplier>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl SinkWriter for Sink {
    async fn schema(&mut self, _: &Arc<TableSchema>) -> Result<()> {
        Ok(())
    }
    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        self.note(format!("{} rows of {}", batch.len(), names(&batch.schema)));
        Ok(())
    }
    async fn flush(&mut self, _: CheckpointId) -> Result<Vec<Committable>> {
        Ok(Vec::new())
    }
    async fn close(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

#[async_trait]
impl Committer for Sink {
    async fn commit(&mut self, _: CheckpointId, _: &[Committable]) -> Result<()> {
        Ok(())
    }
    async fn clean_up(&mut self) -> Result<()> {
        Ok(())
    }
    async fn highest_checkpoint(&mut self) -> Result<Option<CheckpointId>> {
        Ok(None)
    }
}

#[async_trait]
impl MetadataApplier for Sink {
    async fn apply(&mut self, change: &SchemaChange) -> Result<Applied> {
        let SchemaChange::Alter { before, after } = change else { return Ok(Applied::Done) };
        self.note(format!("{} to {}", names(before), names(after)));
        let has = |schema: &TableSchema| schema.columns().iter().any(|at| at.name == "refused");
        Ok(if has(after) && !has(before) {
            Applied::Unsupported("no".into())
        } else {
            Applied::Done
        })
    }
}

fn schema(version: u32, names: &[&str]) -> Arc<TableSchema> {
    let column = |(id, name): (usize, &&str)| Column {
        id: id as u32,
        name: (*name).to_owned(),
        logical: LogicalType::Int,
        nullable: id > 0,
        comment: None,
        default: None,
        generated: false,
        source_type: String::new(),
    };
    let columns = names.iter().enumerate().map(column).collect();
    let id = TableId::parse("d.t").unwrap();
    Arc::new(TableSchema::new(id, version, columns, vec![0]).unwrap())
}

fn rows(schema: &Arc<TableSchema>) -> SourceEvent {
    let one = || Arc::new(Int32Array::from(vec![7])) as ArrayRef;
    let columns = schema.columns().iter().map(|_| one()).collect();
    let options = RecordBatchOptions::default();
    let rows =
        RecordBatch::try_new_with_options(Arc::clone(schema.arrow()), columns, &options).unwrap();
    let txn =
        TxnSpan { first_ordinal: 0, id: TxnId::None, file: "log".into(), pos: 4, commit_ts_us: 0 };
    let batch = ChangeBatch {
        schema: Arc::clone(schema),
        rows,
        ops: Ops::All(Op::Insert),
        ordinals: Ordinals::From(0),
        first_seq: 0,
        txns: Arc::new([txn]),
    };
    SourceEvent::Frame(Frame { batches: vec![batch], ordinals: 1, boundary: true, log_bytes: 0 })
}

async fn notes_of(events: Vec<SourceEvent>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let sink = Sink::default();
    let context = SinkContext {
        pipeline_uuid: "u".into(),
        pipeline: "p".into(),
        source: "told".into(),
        checkpoint_interval: Duration::from_secs(3),
        next_checkpoint: 1,
        writers: 1,
        memory_bytes_max: 1 << 20,
    };
    let rules = Rules { behavior: SchemaChangeBehavior::TryEvolve, filter: Default::default() };
    let routes = RouteTable::new(Vec::new(), RouteMode::AllMatch);
    let writers = Writers::start(&sink, &context).await.unwrap();
    let identity =
        Identity { pipeline_uuid: "u".into(), source: String::new(), sink: String::new() };
    let store = CheckpointStore::open(folder.path()).await.unwrap();
    let failure = writers.failure();
    let ingest = Ingest {
        source: Box::new(Told(events.into())),
        transforms: Transforms::new(Default::default(), true),
        registry: Registry::new(routes, rules, RegistryState::default()),
        pause: Pause::new(1 << 20),
        writers,
        checkpoints: Checkpoints::start(store, Box::new(sink.clone()), identity, 1, failure),
        changes: Changes::start(Box::new(sink.clone())),
        stopped: HashSet::new(),
        refused: Refused::new(),
        policy: BarrierPolicy { interval: Duration::from_secs(3) },
        on_error: TableErrorPolicy::Quarantine,
        shutdown: Shutdown::on_signals().unwrap(),
        status: StatusCell::default(),
        next_seq: 1,
    };
    assert_eq!(ingest.run().await.unwrap().0, Ended::Finished);
    std::mem::take(&mut sink.notes.lock().unwrap())
}

/// What a change means to the sink's table is only known when the one before has been made or refused.
#[tokio::test]
async fn a_change_behind_a_refused_one_starts_from_what_the_sink_has() {
    let first = schema(1, &["id", "a"]);
    let second = schema(2, &["id", "a", "refused"]);
    let third = schema(3, &["id", "a", "refused", "b"]);
    let alter = |before: &Arc<TableSchema>, after: &Arc<TableSchema>| {
        let (before, after) = (Arc::clone(before), Arc::clone(after));
        SourceEvent::Schema(vec![SchemaChange::Alter { before, after }])
    };
    let notes = notes_of(vec![
        SourceEvent::Schema(vec![SchemaChange::Create(Arc::clone(&first))]),
        rows(&first),
        alter(&first, &second),
        rows(&second),
        alter(&second, &third),
        rows(&third),
    ])
    .await;
    assert_eq!(
        notes,
        [
            "1 rows of id a",
            "id a to id a refused",
            "1 rows of id a",
            "id a to id a b",
            "1 rows of id a b",
        ]
    );
}

#[test]
fn the_two_images_of_an_update_are_one_change() {
    let SourceEvent::Frame(mut frame) = rows(&schema(1, &["id"])) else { unreachable!() };
    let mut batch = frame.batches.remove(0);
    batch.ops = Ops::Each(vec![Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete]);
    assert_eq!(count_of(&batch, 4), 3);
    assert_eq!(count_of(&batch, 1), 1);
}
