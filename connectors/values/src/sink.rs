//! The sink's parts: a writer that prints or counts, a committer with nothing to do, since what is printed is already
//! seen, and an applier that announces the changes of tables that no writer will.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cdc_api::{
    Applied, BeforeImages, ChangeBatch, CheckpointId, Committable, Committer, Error,
    EventSinkProvider, MetadataApplier, Partitioning, Recovery, Result, SchemaChange,
    SinkCapabilities, SinkContext, SinkWriter, TableId, TableSchema,
};

use crate::event::{Changes, push_changes, push_create, push_drop, push_truncate};

/// Text is handed to stdout in pieces of about this size, so that a big batch does not stand in memory as text.
const TEXT_BYTES_MAX: usize = 1 << 20;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(3);

type Output = Arc<Mutex<dyn Write + Send>>;

/// The schemas that were printed last in a run, by table; none of a table that is gone.
type Announced = HashMap<TableId, Option<Arc<TableSchema>>>;

/// The `values` sink of one pipeline file.
pub(crate) struct ValuesSink {
    print: bool,
    printout: Printout,
    tally: Arc<Tally>,
}

/// Where events are printed, and what was by now.
#[derive(Clone)]
struct Printout {
    output: Output,
    announced: Arc<Mutex<Announced>>,
}

/// What all writers have taken; the last to close says it.
#[derive(Default)]
struct Tally {
    rows: AtomicU64,
    bytes: AtomicU64,
    open: AtomicUsize,
}

impl ValuesSink {
    pub(crate) fn new(print: bool) -> Self {
        Self::to(print, Arc::new(Mutex::new(io::stdout())))
    }

    fn to(print: bool, output: Output) -> Self {
        let printout = Printout { output, announced: Arc::default() };
        ValuesSink { print, printout, tally: Arc::default() }
    }
}

#[async_trait]
impl EventSinkProvider for ValuesSink {
    fn capabilities(&self) -> SinkCapabilities {
        let (before_images, partitioning) = if self.print {
            (BeforeImages::All, Partitioning::Single)
        } else {
            (BeforeImages::Deletes, Partitioning::ByTable)
        };
        SinkCapabilities {
            before_images,
            partitioning,
            recovery: Recovery::AtLeastOnce,
            checkpoint_interval: CHECKPOINT_INTERVAL,
        }
    }

    fn fingerprint(&self) -> String {
        "values".into()
    }

    async fn preflight(&self) -> Result<()> {
        Ok(())
    }

    async fn writer(&self, _context: &SinkContext, _index: usize) -> Result<Box<dyn SinkWriter>> {
        if self.print {
            return Ok(Box::new(Printer { printout: self.printout.clone() }));
        }
        self.tally.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Counter { tally: Arc::clone(&self.tally), open: true }))
    }

    async fn committer(&self, _context: &SinkContext) -> Result<Box<dyn Committer>> {
        Ok(Box::new(Nothing))
    }

    async fn applier(&self, _context: &SinkContext) -> Result<Box<dyn MetadataApplier>> {
        if !self.print {
            return Ok(Box::new(Nothing));
        }
        // A run begins with its applier: what a failed one printed may be ahead of where this one begins.
        self.printout.announced().clear();
        Ok(Box::new(Announcer { printout: self.printout.clone() }))
    }
}

impl Printout {
    fn announced(&self) -> MutexGuard<'_, Announced> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One locked write off the runtime's threads: a slow reader of stdout blocks nothing else.
    async fn put(&self, text: String) -> Result<()> {
        self.with_output(move |output| output.write_all(text.as_bytes())).await
    }

    async fn with_output(
        &self,
        work: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let output = Arc::clone(&self.output);
        tokio::task::spawn_blocking(move || {
            work(&mut *output.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await
        .map_err(|error| Error::internal("printing was cut off").caused_by(error))?
        .map_err(output_error)
    }
}

/// Prints rows, and the schemas of their tables ahead of them: after a change that is what brought the table there.
struct Printer {
    printout: Printout,
}

fn output_error(error: io::Error) -> Error {
    let (message, hint) = if error.kind() == io::ErrorKind::BrokenPipe {
        (
            "stdout was closed by its reader",
            "keep the reading end open, or set print.enabled: false to only count rows",
        )
    } else {
        ("stdout cannot be written", "check where stdout is redirected to")
    };
    Error::operator(message).hint(hint).caused_by(error)
}

#[async_trait]
impl SinkWriter for Printer {
    async fn schema(&mut self, schema: &Arc<TableSchema>) -> Result<()> {
        let before =
            self.printout.announced().insert(schema.id().clone(), Some(Arc::clone(schema)));
        let mut text = String::new();
        match before.flatten() {
            Some(before) if before == *schema => {}
            Some(before) => push_changes(&mut text, &before, schema),
            None => push_create(&mut text, schema),
        }
        if text.is_empty() { Ok(()) } else { self.printout.put(text).await }
    }

    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        let mut changes = Changes::of(&batch);
        loop {
            let mut text = String::new();
            while text.len() < TEXT_BYTES_MAX && changes.push_next(&mut text)? {}
            if text.is_empty() {
                return Ok(());
            }
            self.printout.put(text).await?;
        }
    }

    async fn flush(&mut self, _checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        self.printout.with_output(|output| output.flush()).await?;
        Ok(Vec::new())
    }

    async fn close(&mut self) -> Result<Option<String>> {
        self.printout.with_output(|output| output.flush()).await?;
        Ok(None)
    }
}

/// Counts rows and bytes, and lets them go.
struct Counter {
    tally: Arc<Tally>,
    open: bool,
}

impl Counter {
    /// Whether this was the last writer open.
    fn leave(&mut self) -> bool {
        std::mem::take(&mut self.open) && self.tally.open.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// A run that failed drops its writers without closing them; they no longer count as open in the next.
impl Drop for Counter {
    fn drop(&mut self) {
        self.leave();
    }
}

#[async_trait]
impl SinkWriter for Counter {
    async fn schema(&mut self, _schema: &Arc<TableSchema>) -> Result<()> {
        Ok(())
    }

    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        self.tally.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.tally.bytes.fetch_add(batch.bytes() as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&mut self, _checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        Ok(Vec::new())
    }

    async fn close(&mut self) -> Result<Option<String>> {
        let line = || {
            let rows = self.tally.rows.load(Ordering::Relaxed);
            let bytes = self.tally.bytes.load(Ordering::Relaxed);
            format!("values: {rows} rows, {bytes} Arrow bytes")
        };
        let line = line();
        Ok(self.leave().then_some(line))
    }
}

/// Nothing to publish, and for a sink that counts nothing to apply.
struct Nothing;

#[async_trait]
impl Committer for Nothing {
    async fn commit(&mut self, _checkpoint: CheckpointId, _staged: &[Committable]) -> Result<()> {
        Ok(())
    }

    async fn clean_up(&mut self) -> Result<()> {
        Ok(())
    }

    async fn highest_checkpoint(&mut self) -> Result<Option<CheckpointId>> {
        Ok(None)
    }
}

/// Prints what no writer will: a table that is gone has no further rows, and of a change that a checkpoint carried over a
/// crash the writers meet only what is behind it. Every other change is printed by the writer, behind the rows that were
/// on their way.
struct Announcer {
    printout: Printout,
}

#[async_trait]
impl MetadataApplier for Announcer {
    async fn apply(&mut self, change: &SchemaChange) -> Result<Applied> {
        let mut text = String::new();
        {
            let mut announced = self.printout.announced();
            let known = announced.contains_key(change.table());
            match change {
                SchemaChange::Drop(schema) => {
                    announced.insert(schema.id().clone(), None);
                    push_drop(&mut text, schema.id());
                }
                // A run begins with these.
                SchemaChange::Alter { before, after }
                | SchemaChange::Recreate { before, after }
                    if !known =>
                {
                    push_create(&mut text, before);
                    push_changes(&mut text, before, after);
                    announced.insert(after.id().clone(), Some(Arc::clone(after)));
                }
                SchemaChange::Truncate(schema) if !known => {
                    push_create(&mut text, schema);
                    push_truncate(&mut text, schema.id());
                    announced.insert(schema.id().clone(), Some(Arc::clone(schema)));
                }
                _ => {}
            }
        }
        if !text.is_empty() {
            self.printout.put(text).await?;
        }
        Ok(Applied::Done)
    }
}

/// Counted rows need no tables.
#[async_trait]
impl MetadataApplier for Nothing {
    async fn apply(&mut self, _change: &SchemaChange) -> Result<Applied> {
        Ok(Applied::Done)
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
