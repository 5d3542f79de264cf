//! The sink's parts: a writer that prints or counts, and a committer and an applier with nothing to do, since what is
//! printed is already seen.

use std::{
    io::{self, Write},
    sync::{
        Arc, Mutex, PoisonError,
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

use crate::event::{Changes, push_create};

/// Text is handed to stdout in pieces of about this size, so that a big batch does not stand in memory as text.
const TEXT_BYTES_MAX: usize = 1 << 20;
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(3);

type Output = Arc<Mutex<dyn Write + Send>>;

/// The `values` sink of one pipeline file.
pub(crate) struct ValuesSink {
    print: bool,
    output: Output,
    tally: Arc<Tally>,
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
        ValuesSink { print, output, tally: Arc::default() }
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
            return Ok(Box::new(Printer {
                output: Arc::clone(&self.output),
                tables: std::collections::HashMap::new(),
            }));
        }
        self.tally.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Counter { tally: Arc::clone(&self.tally), open: true }))
    }

    async fn committer(&self, _context: &SinkContext) -> Result<Box<dyn Committer>> {
        Ok(Box::new(Nothing))
    }

    async fn applier(&self, _context: &SinkContext) -> Result<Box<dyn MetadataApplier>> {
        Ok(Box::new(Nothing))
    }
}

/// Prints events.
struct Printer {
    output: Output,
    tables: std::collections::HashMap<TableId, Arc<TableSchema>>,
}

impl Printer {
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
        if self.tables.get(schema.id()).is_some_and(|known| known == schema) {
            return Ok(());
        }
        self.tables.insert(schema.id().clone(), Arc::clone(schema));
        let mut text = String::new();
        push_create(&mut text, schema);
        self.put(text).await
    }

    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        let mut changes = Changes::of(&batch);
        loop {
            let mut text = String::new();
            while text.len() < TEXT_BYTES_MAX && changes.push_next(&mut text)? {}
            if text.is_empty() {
                return Ok(());
            }
            self.put(text).await?;
        }
    }

    async fn flush(&mut self, _checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        self.with_output(|output| output.flush()).await?;
        Ok(Vec::new())
    }

    async fn close(&mut self) -> Result<Option<String>> {
        self.with_output(|output| output.flush()).await?;
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

/// Nothing to publish and nothing to apply.
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

/// A table's creation is printed by the writer, ahead of the table's first row, also after a restart.
#[async_trait]
impl MetadataApplier for Nothing {
    async fn apply(&mut self, _change: &SchemaChange) -> Result<Applied> {
        Ok(Applied::Done)
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
mod tests;
