//! The sink as the pipeline file describes it, its committer and its applier.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use cdc_api::{
    Applied, BeforeImages, CheckpointId, Committable, Committer, Error, EventSinkProvider,
    MetadataApplier, Partitioning, Recovery, Result, SchemaChange, SinkCapabilities, SinkContext,
    SinkWriter,
};
use tracing::info;

use crate::{
    columns::Layout,
    committable::StagedFile,
    local,
    names::generation_folder,
    objects,
    open_file::off_thread,
    settings::Settings,
    target::Target,
    writer::{ParquetWriter, refuse_foreign},
};

const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);
/// A store that has not answered in this time is not there.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(20);

/// What the sink's parts share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) totals: Totals,
}

/// What all writers staged; the last to close says it.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) writers_open: AtomicUsize,
    rows: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Totals {
    pub(crate) fn add(&self, staged: &[StagedFile]) {
        for (bytes, rows) in staged.iter().map(StagedFile::size) {
            self.files.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.rows.fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// The sum in a line; none when nothing was written.
    pub(crate) fn line(&self) -> Option<String> {
        let [rows, files, bytes] =
            [&self.rows, &self.files, &self.bytes].map(|count| count.load(Ordering::Relaxed));
        (files > 0).then(|| format!("parquet: {rows} rows in {files} files, {bytes} bytes"))
    }
}

/// The `parquet` sink of one pipeline file.
pub(crate) struct ParquetSink {
    shared: Arc<Shared>,
}

impl ParquetSink {
    pub(crate) fn new(settings: Settings) -> Self {
        let shared = Shared { settings, totals: Totals::default() };
        ParquetSink { shared: Arc::new(shared) }
    }

    fn publisher(&self, context: &SinkContext) -> Publisher {
        Publisher { shared: Arc::clone(&self.shared), uuid: context.pipeline_uuid.clone() }
    }
}

#[async_trait]
impl EventSinkProvider for ParquetSink {
    fn capabilities(&self) -> SinkCapabilities {
        SinkCapabilities {
            before_images: BeforeImages::Deletes,
            partitioning: Partitioning::ByTable,
            recovery: Recovery::Recommit,
            checkpoint_interval: CHECKPOINT_INTERVAL,
        }
    }

    fn fingerprint(&self) -> String {
        self.shared.settings.target.fingerprint()
    }

    async fn preflight(&self) -> Result<()> {
        match &self.shared.settings.target {
            Target::Folder(root) => {
                let root = Arc::clone(root);
                off_thread(move || local::probe(&root)).await
            }
            Target::Objects(bucket) => {
                let probed = tokio::time::timeout(PREFLIGHT_TIMEOUT, objects::probe(bucket)).await;
                probed.unwrap_or_else(|_| {
                    Err(Error::operator(format!("\"{}\" does not answer", bucket.shown))
                        .detail(format!("no answer within {} s", PREFLIGHT_TIMEOUT.as_secs()))
                        .hint("check the endpoint, the network and that credentials are given"))
                })
            }
        }
    }

    async fn writer(&self, context: &SinkContext, index: usize) -> Result<Box<dyn SinkWriter>> {
        Ok(Box::new(ParquetWriter::new(Arc::clone(&self.shared), context, index)?))
    }

    async fn committer(&self, context: &SinkContext) -> Result<Box<dyn Committer>> {
        Ok(Box::new(self.publisher(context)))
    }

    async fn applier(&self, context: &SinkContext) -> Result<Box<dyn MetadataApplier>> {
        Ok(Box::new(self.publisher(context)))
    }
}

/// Publishes staged files, and looks after what is on the target.
struct Publisher {
    shared: Arc<Shared>,
    uuid: String,
}

impl Publisher {
    fn target(&self) -> &Target {
        &self.shared.settings.target
    }
}

#[async_trait]
impl Committer for Publisher {
    async fn commit(
        &mut self,
        _checkpoint: CheckpointId,
        committables: &[Committable],
    ) -> Result<()> {
        let (mut renames, mut completions) = (Vec::new(), Vec::new());
        for committable in committables {
            match StagedFile::unpack(committable)? {
                StagedFile::Local { folder, staged, name, bytes, .. } => {
                    renames.push(local::Rename { folder, staged, name, bytes });
                }
                StagedFile::Object { folder, name, upload, parts, bytes, .. } => {
                    completions.push(objects::Completion { folder, name, upload, parts, bytes });
                }
            }
        }
        match self.target() {
            Target::Folder(root) if completions.is_empty() => {
                let root = Arc::clone(root);
                off_thread(move || local::publish(&root, &renames)).await?;
            }
            Target::Objects(bucket) if renames.is_empty() => {
                objects::publish(bucket, completions).await?;
            }
            _ => {
                return Err(Error::operator(
                    "the checkpoint's files are on another kind of target",
                )
                .hint("set `path` back to where the pipeline wrote before"));
            }
        }
        Ok(())
    }

    async fn clean_up(&mut self) -> Result<()> {
        let removed = match self.target() {
            Target::Folder(root) => {
                let (root, uuid) = (Arc::clone(root), self.uuid.clone());
                off_thread(move || local::remove_staged(&root, &uuid)).await?
            }
            Target::Objects(bucket) => objects::abort_staged(bucket, &self.uuid).await?,
        };
        if removed > 0 {
            info!(files = removed, "removed staged files that no checkpoint names");
        }
        Ok(())
    }

    async fn highest_checkpoint(&mut self) -> Result<Option<CheckpointId>> {
        match self.target() {
            Target::Folder(root) => {
                let (root, uuid) = (Arc::clone(root), self.uuid.clone());
                off_thread(move || local::highest_checkpoint(&root, &uuid)).await
            }
            Target::Objects(bucket) => objects::highest_checkpoint(bucket, &self.uuid).await,
        }
    }
}

/// A table needs no preparation: its folder is made with its first file, and each file has its own schema. What it may not
/// be is found out here; and the files of an emptied table go, generation by generation.
#[async_trait]
impl MetadataApplier for Publisher {
    async fn apply(&mut self, change: &SchemaChange) -> Result<Applied> {
        if let Some(schema) = change.after() {
            let layout = Layout::new(schema)?;
            refuse_foreign(self.target(), &layout, &self.uuid).await?;
        }
        let gone = match change {
            SchemaChange::Create(_) | SchemaChange::Alter { .. } => 0,
            SchemaChange::Truncate(schema) | SchemaChange::Recreate { after: schema, .. } => {
                schema.generation()
            }
            SchemaChange::Drop(schema) => schema.generation().saturating_add(1),
        };
        for generation in 0..gone {
            let folder = generation_folder(change.table(), generation);
            let removed = match self.target() {
                Target::Folder(root) => {
                    let (root, uuid) = (Arc::clone(root), self.uuid.clone());
                    off_thread(move || local::remove_published(&root, &folder, &uuid)).await?
                }
                Target::Objects(bucket) => {
                    objects::remove_published(bucket, &folder, &self.uuid).await?
                }
            };
            if removed > 0 {
                info!(table = %change.table(), files = removed, "removed the files of an emptied table");
            }
        }
        Ok(Applied::Done)
    }
}
