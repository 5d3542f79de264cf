//! The store: a local folder with one file per checkpoint, `<epoch>/<id>.prepared`, and an empty `<id>.committed` beside
//! it. Files are created if absent and never changed; a prepared one is whole and durable before it has its name. `pipeline`
//! has the UUID that is drawn at the first start.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use cdc_api::{CheckpointId, Error, Result};

use super::{
    Checkpoint,
    format::{self, FormatError},
    lock::FolderLock,
};

/// A local folder has one holder at a time by its lock, so its epoch never rises; a lease in an object store would.
const EPOCH: &str = "1";
const PREPARED: &str = "prepared";
const COMMITTED: &str = "committed";
const UNFINISHED: &str = "unfinished";
const PIPELINE: &str = "pipeline";

/// The newest checkpoint of a store.
#[derive(Debug, Clone)]
pub struct Last {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Whether its commit is recorded. If not, the committer has to be asked again.
    pub committed: bool,
}

/// A local folder, locked as long as a clone of this lives.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    _lock: FolderLock,
}

impl CheckpointStore {
    /// Opens a folder, made where it is missing, and locks it.
    ///
    /// # Errors
    /// `Operator` when another process holds it, or when it cannot be written.
    pub async fn open(folder: &Path) -> Result<Self> {
        let root = folder.to_owned();
        off_thread(move || {
            let epoch = root.join(EPOCH);
            fs::create_dir_all(&epoch).map_err(|error| failure("cannot create", &epoch, error))?;
            let lock = FolderLock::take(&root)?;
            let inner = Inner { folder: epoch, _lock: lock };
            inner.remove_unfinished()?;
            sync_folder(&root)?;
            Ok(CheckpointStore { inner: Arc::new(inner) })
        })
        .await
    }

    /// The newest checkpoint; none at the very first start.
    ///
    /// # Errors
    /// `Operator` naming the file when it cannot be read; it is never skipped for an older one.
    pub async fn last(&self) -> Result<Option<Last>> {
        let inner = Arc::clone(&self.inner);
        off_thread(move || inner.last()).await
    }

    /// The UUID of a pipeline that has no checkpoint yet: drawn once, so that a start that was killed is known to the sink
    /// as the same pipeline (Kafka ends its transaction at once, instead of when its time is up).
    ///
    /// # Errors
    /// `Operator` when the folder cannot be read or written.
    pub async fn first_uuid(&self) -> Result<String> {
        let inner = Arc::clone(&self.inner);
        off_thread(move || inner.first_uuid()).await
    }

    /// A checkpoint that is still there; the one before the newest is, until the newest is committed.
    ///
    /// # Errors
    /// As [`CheckpointStore::last`].
    pub async fn find(&self, id: CheckpointId) -> Result<Option<Checkpoint>> {
        let inner = Arc::clone(&self.inner);
        off_thread(move || {
            if !inner.ids(PREPARED)?.contains(&id) {
                return Ok(None);
            }
            inner.read(id).map(Some)
        })
        .await
    }

    /// Stores a checkpoint; when this returns it is durable. Storing the same once more is fine.
    ///
    /// # Errors
    /// `Operator` when the folder cannot be written, `Internal` when the id has other content already.
    pub async fn prepare(&self, checkpoint: &Checkpoint) -> Result<()> {
        let bytes = format::encode(checkpoint).map_err(|error| {
            Error::internal("a checkpoint cannot be written down").caused_by(error)
        })?;
        let (inner, id) = (Arc::clone(&self.inner), checkpoint.id);
        off_thread(move || inner.prepare(id, &bytes)).await
    }

    /// Records that a checkpoint was committed, and lets go of the ones before it.
    ///
    /// # Errors
    /// `Operator` when the folder cannot be written.
    pub async fn committed(&self, id: CheckpointId) -> Result<()> {
        let inner = Arc::clone(&self.inner);
        off_thread(move || inner.committed(id)).await
    }
}

impl Inner {
    fn last(&self) -> Result<Option<Last>> {
        let Some(id) = self.ids(PREPARED)?.into_iter().max() else { return Ok(None) };
        let checkpoint = self.read(id)?;
        let marker = self.path(id, COMMITTED);
        let committed =
            marker.try_exists().map_err(|error| failure("cannot look at", &marker, error))?;
        Ok(Some(Last { checkpoint, committed }))
    }

    fn first_uuid(&self) -> Result<String> {
        let path = self.folder.join(PIPELINE);
        let kept = match fs::read_to_string(&path) {
            Ok(text) => uuid::Uuid::try_parse(text.trim()).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failure("cannot read", &path, error)),
        };
        if let Some(uuid) = kept {
            return Ok(uuid.to_string());
        }
        let uuid = uuid::Uuid::new_v4().to_string();
        let unfinished = path.with_extension(UNFINISHED);
        write_durably(&unfinished, uuid.as_bytes())
            .and_then(|()| fs::rename(&unfinished, &path))
            .map_err(|error| failure("cannot write", &path, error))?;
        sync_folder(&self.folder)?;
        Ok(uuid)
    }

    fn read(&self, id: CheckpointId) -> Result<Checkpoint> {
        let path = self.path(id, PREPARED);
        let bytes = fs::read(&path).map_err(|error| failure("cannot read", &path, error))?;
        let checkpoint = format::decode(&bytes).map_err(|error| unusable(&path, error))?;
        if checkpoint.id != id {
            return Err(misnamed(&path, checkpoint.id));
        }
        Ok(checkpoint)
    }

    fn prepare(&self, id: CheckpointId, bytes: &[u8]) -> Result<()> {
        let (unfinished, path) = (self.path(id, UNFINISHED), self.path(id, PREPARED));
        let written = write_durably(&unfinished, bytes).and_then(|()| name(&unfinished, &path));
        // What could not be finished only takes room; the next start removes it if this cannot.
        let removed = fs::remove_file(&unfinished);
        match written {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let there =
                    fs::read(&path).map_err(|error| failure("cannot read", &path, error))?;
                if there != bytes {
                    return Err(Error::internal(format!(
                        "checkpoint {id} exists with other content"
                    ))
                    .detail(format!("\"{}\"", path.display())));
                }
            }
            Err(error) => return Err(failure("cannot store a checkpoint in", &path, error)),
        }
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %unfinished.display(), %error, "a leftover could not be removed");
        }
        sync_folder(&self.folder)
    }

    fn committed(&self, id: CheckpointId) -> Result<()> {
        let marker = self.path(id, COMMITTED);
        match File::create_new(&marker) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failure("cannot record a commit in", &marker, error)),
        }
        // Not made durable: without it the committer is asked again, and finds its own work.
        for kind in [PREPARED, COMMITTED] {
            for older in self.ids(kind)?.into_iter().filter(|older| *older < id) {
                self.remove(&self.path(older, kind))?;
            }
        }
        Ok(())
    }

    fn remove_unfinished(&self) -> Result<()> {
        for id in self.ids(UNFINISHED)? {
            self.remove(&self.path(id, UNFINISHED))?;
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failure("cannot remove", path, error))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, id: CheckpointId, kind: &str) -> PathBuf {
        self.folder.join(format!("{id:020}.{kind}"))
    }

    /// The ids of which there is a file of this kind. Files that are not ours are left alone.
    fn ids(&self, kind: &str) -> Result<Vec<CheckpointId>> {
        let failed = |error| failure("cannot list", &self.folder, error);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(kind)?.strip_suffix('.'));
            ids.extend(id.and_then(|id| id.parse::<CheckpointId>().ok()));
        }
        Ok(ids)
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives a whole file its name, unless that is taken.
fn name(unfinished: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(unfinished, path) {
        // Some file systems have no links. The lock makes looking first enough there.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            if path.try_exists()? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(unfinished, path)
        }
        named => named,
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failure("cannot make durable", folder, error))
}

/// A failure of the disk under the store, with what to do about it.
pub(super) fn failure(action: &str, path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free space there and start again; nothing is lost, the run goes on from its last checkpoint"
        }
        io::ErrorKind::PermissionDenied => "let the user that runs cdc-cli write there",
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is mounted read-only: set `checkpoint.storage` to a folder that can be written"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file stands where the state folder should be: move it away, or set `checkpoint.storage`"
        }
        _ => "check the disk and the folder that `checkpoint.storage` names, then start again",
    };
    Error::operator(format!("{action} \"{}\"", path.display())).hint(hint).caused_by(error)
}

fn unusable(path: &Path, error: FormatError) -> Error {
    let hint = match &error {
        FormatError::Newer { .. } => {
            "start a cdc-cli at least as new as the one that wrote it; an older one cannot go on from there"
        }
        _ => {
            "bring the file back from a backup, or start anew: an empty `checkpoint.storage` and an empty target. \
             An older checkpoint is not taken instead, since the target may have more by now"
        }
    };
    Error::operator(format!("the checkpoint \"{}\" cannot be used", path.display()))
        .detail(error.to_string())
        .hint(hint)
        .caused_by(error)
}

fn misnamed(path: &Path, id: CheckpointId) -> Error {
    Error::operator(format!("the checkpoint \"{}\" cannot be used", path.display()))
        .detail(format!("it says that it is checkpoint {id}"))
        .hint("give the file back the name it had")
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("work on a checkpoint was cut off").caused_by(error))?
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
