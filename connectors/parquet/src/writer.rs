//! The writer: rows of many tables in, staged files out. Rows of a table wait until they make a row group; what waits in
//! all tables together stays below this writer's share of the memory budget, the biggest goes first. A file is closed
//! when it is big enough, when its table's schema changes, and at every checkpoint.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use cdc_api::{
    ChangeBatch, CheckpointId, Committable, Error, Result, SinkContext, SinkWriter, TableId,
    TableSchema,
};
use futures::{StreamExt, TryStreamExt};

use crate::{
    columns::Layout,
    committable::StagedFile,
    local,
    names::{self, FileName},
    objects,
    open_file::{ClosedFile, OpenFile, Place, off_thread},
    pending::Pending,
    sink::Shared,
    target::Target,
};

/// A row group has at most about so many bytes in memory.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// Below this a writer cannot work sensibly, whatever the budget says.
const SHARE_BYTES_MIN: usize = 1 << 20;
/// The footer grows with each row group; a file with so many is closed.
const GROUPS_MAX: usize = 512;
/// Files closed side by side at a checkpoint: on a disk, and in a store, where each waits for answers.
const CLOSING_LOCAL_MAX: usize = 4;
const CLOSING_OBJECTS_MAX: usize = 16;

/// One of the sink's writers.
pub(crate) struct ParquetWriter {
    shared: Arc<Shared>,
    uuid: String,
    index: usize,
    tag: u32,
    share_bytes: usize,
    /// The checkpoint that the rows now taken will belong to.
    checkpoint: CheckpointId,
    tables: HashMap<TableId, Table>,
    held_bytes: usize,
    closed: Vec<ClosedFile>,
    /// Counts hidden files through the writer's life.
    serial: u64,
    /// Counts objects since the last flush.
    counter: usize,
    open: bool,
}

/// A table's rows between two checkpoints.
struct Table {
    layout: Arc<Layout>,
    pending: Pending,
    file: Option<OpenFile>,
    /// Whether its folder was looked at for files of other pipelines.
    checked: bool,
}

impl Table {
    fn held_bytes(&self) -> usize {
        self.pending.bytes() + self.file.as_ref().map_or(0, OpenFile::held_bytes)
    }
}

impl ParquetWriter {
    pub(crate) fn new(shared: Arc<Shared>, context: &SinkContext, index: usize) -> Result<Self> {
        if !names::is_uuid(&context.pipeline_uuid) {
            return Err(Error::internal("the pipeline has no UUID that may stand in file names"));
        }
        shared.totals.writers_open.fetch_add(1, Ordering::Relaxed);
        let share = context.memory_bytes_max / context.writers.max(1);
        Ok(ParquetWriter {
            shared,
            uuid: context.pipeline_uuid.clone(),
            index,
            tag: uuid::Uuid::new_v4().as_fields().0,
            share_bytes: share.max(SHARE_BYTES_MIN),
            checkpoint: context.next_checkpoint,
            tables: HashMap::new(),
            held_bytes: 0,
            closed: Vec::new(),
            serial: 0,
            counter: 0,
            open: true,
        })
    }

    /// Brings the table's layout to this schema; rows of another one go into another file.
    async fn lay_out(&mut self, schema: &TableSchema) -> Result<()> {
        let known = self.tables.get(schema.id());
        if known.is_some_and(|table| table.layout.is_of(schema)) {
            return Ok(());
        }
        let layout = Arc::new(Layout::new(schema)?);
        let checked = known.is_some_and(|table| table.checked);
        self.close_table(schema.id()).await?;
        let table = Table { layout, pending: Pending::default(), file: None, checked };
        self.tables.insert(schema.id().clone(), table);
        Ok(())
    }

    /// Closes a table's file, with all rows of it that wait.
    async fn close_table(&mut self, id: &TableId) -> Result<()> {
        self.encode(id).await?;
        if let Some(table) = self.tables.get_mut(id)
            && let Some(file) = table.file.take()
        {
            self.held_bytes = self.held_bytes.saturating_sub(file.held_bytes());
            self.closed.push(file.close(&table.layout).await?);
        }
        Ok(())
    }

    /// Makes a row group of a table's waiting rows.
    async fn encode(&mut self, id: &TableId) -> Result<()> {
        let place = self.place_of(id);
        let Some(table) = self.tables.get_mut(id).filter(|table| !table.pending.is_empty()) else {
            return Ok(());
        };
        let held_before = table.held_bytes();
        check_folder(&self.shared.settings.target, table, &self.uuid).await?;
        let compression = self.shared.settings.compression;
        let file = grow(table, compression, place).await?;
        let is_big = file.bytes_written() >= self.shared.settings.file_bytes_max
            || file.row_groups() >= GROUPS_MAX;
        if is_big {
            self.closed.push(file.close(&table.layout).await?);
        } else {
            table.file = Some(file);
        }
        self.held_bytes = (self.held_bytes + table.held_bytes()).saturating_sub(held_before);
        Ok(())
    }

    /// Where the table's next file would be, if it has rows and none is open.
    fn place_of(&mut self, id: &TableId) -> Option<Place> {
        let wanted = self
            .tables
            .get(id)
            .is_some_and(|table| table.file.is_none() && !table.pending.is_empty());
        wanted.then(|| self.next_place())
    }

    fn next_place(&mut self) -> Place {
        match &self.shared.settings.target {
            Target::Folder(root) => {
                self.serial += 1;
                let name = names::staged(&self.uuid, self.index, self.tag, self.serial);
                Place::Hidden { root: Arc::clone(root), name }
            }
            Target::Objects(bucket) => {
                // An object's key is fixed when its upload begins, ahead of its checkpoint.
                let counter = self.counter;
                self.counter += 1;
                Place::Upload { bucket: bucket.clone(), name: self.name(self.checkpoint, counter) }
            }
        }
    }

    fn name(&self, checkpoint: CheckpointId, counter: usize) -> FileName {
        FileName {
            pipeline_uuid: self.uuid.clone(),
            checkpoint,
            writer: self.index,
            tag: self.tag,
            counter,
        }
    }

    /// Brings what is held below the share: the most rows become a row group, the most unsent bytes leave.
    async fn relieve(&mut self) -> Result<()> {
        while self.held_bytes > self.share_bytes {
            let Some((id, table)) =
                self.tables.iter_mut().max_by_key(|(_, table)| table.held_bytes())
            else {
                return Ok(());
            };
            let (id, held_before) = (id.clone(), table.held_bytes());
            if held_before == 0 {
                return Ok(());
            }
            let unsent = table.file.as_ref().map_or(0, OpenFile::held_bytes);
            if table.pending.bytes() >= unsent {
                self.encode(&id).await?;
                continue;
            }
            let settled = match &mut table.file {
                Some(file) => file.settle().await?,
                None => false,
            };
            self.held_bytes = (self.held_bytes + table.held_bytes()).saturating_sub(held_before);
            if !settled {
                self.close_table(&id).await?;
            }
        }
        Ok(())
    }

    /// Closes the files of all tables, several at once.
    async fn close_all(&mut self) -> Result<Vec<ClosedFile>> {
        let at_once = match &self.shared.settings.target {
            Target::Folder(_) => CLOSING_LOCAL_MAX,
            Target::Objects(_) => CLOSING_OBJECTS_MAX,
        };
        let mut ids: Vec<TableId> = self.tables.keys().cloned().collect();
        ids.sort_unstable();
        let mut closing = Vec::new();
        for id in ids {
            let place = self.place_of(&id);
            let Some(table) = self.tables.get_mut(&id) else { continue };
            if table.file.is_none() && table.pending.is_empty() {
                continue;
            }
            let taken = Table {
                layout: Arc::clone(&table.layout),
                pending: std::mem::take(&mut table.pending),
                file: table.file.take(),
                checked: std::mem::replace(&mut table.checked, true),
            };
            closing.push(close_taken(taken, place, Arc::clone(&self.shared), self.uuid.clone()));
        }
        let mut closed = std::mem::take(&mut self.closed);
        let mut closing = futures::stream::iter(closing).buffered(at_once);
        while let Some(file) = closing.try_next().await? {
            closed.push(file);
        }
        self.held_bytes = 0;
        Ok(closed)
    }

    /// The staged files of a checkpoint, each with the name it gets.
    fn stage(&self, checkpoint: CheckpointId, closed: Vec<ClosedFile>) -> Result<Vec<StagedFile>> {
        let files = closed.into_iter().enumerate();
        files
            .map(|(counter, file)| match file {
                ClosedFile::Hidden { folder, path, bytes, rows } => {
                    let name = self.name(checkpoint, counter).to_string();
                    let staged = path.file_name().and_then(|name| name.to_str());
                    let staged =
                        staged.ok_or_else(|| Error::internal("a staged file has no name"))?;
                    Ok(StagedFile::Local { folder, staged: staged.to_owned(), name, bytes, rows })
                }
                ClosedFile::Upload { folder, name, uploaded, rows } => {
                    let objects::Uploaded { upload, parts, bytes } = uploaded;
                    let name = name.to_string();
                    Ok(StagedFile::Object { folder, name, upload, parts, bytes, rows })
                }
            })
            .collect()
    }

    /// Whether this was the last writer open.
    fn leave(&mut self) -> bool {
        std::mem::take(&mut self.open)
            && self.shared.totals.writers_open.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// Closes the file of a table, with all its waiting rows in it.
async fn close_taken(
    mut table: Table,
    place: Option<Place>,
    shared: Arc<Shared>,
    uuid: String,
) -> Result<ClosedFile> {
    check_folder(&shared.settings.target, &mut table, &uuid).await?;
    let file = grow(&mut table, shared.settings.compression, place).await?;
    file.close(&table.layout).await
}

/// The table's file with all its waiting rows in it.
async fn grow(
    table: &mut Table,
    compression: parquet::basic::Compression,
    place: Option<Place>,
) -> Result<OpenFile> {
    let rows = table.pending.take();
    let file = match (table.file.take(), place) {
        (Some(file), _) => file,
        (None, Some(place)) => OpenFile::create(&table.layout, compression, place, &rows).await?,
        (None, None) => return Err(Error::internal("rows wait for a file that has no place")),
    };
    if rows.is_empty() { Ok(file) } else { file.row_group(rows).await }
}

/// Looks, once, whether the table's folder belongs to another pipeline.
async fn check_folder(target: &Target, table: &mut Table, uuid: &str) -> Result<()> {
    if !table.checked {
        refuse_foreign(target, &table.layout, uuid).await?;
        table.checked = true;
    }
    Ok(())
}

/// Refuses a table's folder that has files of another pipeline.
pub(crate) async fn refuse_foreign(target: &Target, layout: &Layout, uuid: &str) -> Result<()> {
    match target {
        Target::Folder(root) => {
            let (root, folder) = (Arc::clone(root), layout.folder.clone());
            let (table, uuid) = (layout.table.clone(), uuid.to_owned());
            off_thread(move || local::refuse_foreign(&root, &folder, &table, &uuid)).await
        }
        Target::Objects(bucket) => {
            objects::refuse_foreign(bucket, &layout.folder, &layout.table, uuid).await
        }
    }
}

/// Makes closed files of a disk durable, several at once; uploaded ones are.
async fn make_durable(closed: &[ClosedFile]) -> Result<()> {
    let paths: Vec<PathBuf> = closed
        .iter()
        .filter_map(|file| match file {
            ClosedFile::Hidden { path, .. } => Some(path.clone()),
            ClosedFile::Upload { .. } => None,
        })
        .collect();
    let share = paths.len().div_ceil(CLOSING_LOCAL_MAX).max(1);
    let shares: Vec<Vec<PathBuf>> = paths.chunks(share).map(<[PathBuf]>::to_vec).collect();
    let syncing = shares.into_iter().map(|paths| off_thread(move || local::sync_files(&paths)));
    futures::future::try_join_all(syncing).await?;
    Ok(())
}

#[async_trait]
impl SinkWriter for ParquetWriter {
    async fn schema(&mut self, schema: &Arc<TableSchema>) -> Result<()> {
        self.lay_out(schema).await
    }

    async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        self.lay_out(&batch.schema).await?;
        let id = batch.schema.id();
        let Some(table) = self.tables.get_mut(id) else { return Ok(()) };
        let rows = table.layout.rows(&batch)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let held_before = table.held_bytes();
        table.pending.push(rows).map_err(|error| {
            Error::internal(format!("batches of table \"{id}\" cannot be joined")).caused_by(error)
        })?;
        self.held_bytes = (self.held_bytes + table.held_bytes()).saturating_sub(held_before);
        if table.pending.is_full(GROUP_BYTES_MAX.min(self.share_bytes / 2)) {
            self.encode(id).await?;
        }
        self.relieve().await
    }

    async fn flush(&mut self, checkpoint: CheckpointId) -> Result<Vec<Committable>> {
        let closed = self.close_all().await?;
        make_durable(&closed).await?;
        let staged = self.stage(checkpoint, closed)?;
        self.checkpoint = checkpoint + 1;
        self.counter = 0;
        self.shared.totals.add(&staged);
        staged.iter().map(StagedFile::pack).collect()
    }

    async fn close(&mut self) -> Result<Option<String>> {
        let line = self.shared.totals.line();
        Ok(if self.leave() { line } else { None })
    }
}

/// A run that failed drops its writers without closing them; they no longer count as open in the next.
impl Drop for ParquetWriter {
    fn drop(&mut self) {
        self.leave();
    }
}
