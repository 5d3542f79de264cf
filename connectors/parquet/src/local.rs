//! A lake in a local folder. A file grows under a hidden name in its table's folder, is made durable at the checkpoint,
//! and gets its own name by a rename when the checkpoint is committed: readers see whole files or nothing.
//!
//! All calls block; the callers keep them off the runtime's threads.

use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use cdc_api::{Error, Result, TableId};

use crate::{
    failure::disk,
    names::{self, FileName},
};

/// Files lie at most so deep below the lake: one folder for each part of their tables' names, and one a generation.
const FOLDERS_DEEP_MAX: usize = 4;

/// A file that grows. It is not kept open: a thousand tables need no thousand descriptors.
#[derive(Debug)]
pub(crate) struct GrowingFile {
    path: PathBuf,
    bytes: u64,
}

impl GrowingFile {
    /// A new, empty file; its folder is made where it is missing.
    pub(crate) fn create(root: &Path, folder: &str, name: &str) -> Result<Self> {
        let folder = root.join(folder);
        make_folder(&folder)?;
        let path = folder.join(name);
        fs::File::create_new(&path).map_err(|error| disk("cannot create", &path, error))?;
        Ok(GrowingFile { path, bytes: 0 })
    }

    /// Appends bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let failed = |error| disk("cannot write", &self.path, error);
        let mut file = fs::OpenOptions::new().append(true).open(&self.path).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes files durable, and their names in their folders.
pub(crate) fn sync_files(paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let synced = fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| disk("cannot make durable", path, error))?;
    }
    sync_folders(paths.iter().filter_map(|path| path.parent()))
}

fn sync_folders<'a>(folders: impl Iterator<Item = &'a Path>) -> Result<()> {
    for folder in folders.collect::<BTreeSet<_>>() {
        sync_folder(folder)?;
    }
    Ok(())
}

fn sync_folder(folder: &Path) -> Result<()> {
    fs::File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| disk("cannot make durable", folder, error))
}

/// Makes a folder and those above it, each durable before one in it is made.
fn make_folder(folder: &Path) -> Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| !path.is_dir()).collect();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let error = io::ErrorKind::NotADirectory.into();
                return Err(disk("cannot create folder", path, error));
            }
            Err(error) => return Err(disk("cannot create folder", path, error)),
        }
        if let Some(above) = path.parent() {
            sync_folder(above)?;
        }
    }
    Ok(())
}

/// A staged file and the name it gets.
#[derive(Debug)]
pub(crate) struct Rename {
    /// The table's folder below the lake's.
    pub(crate) folder: String,
    /// The hidden name.
    pub(crate) staged: String,
    /// The published name.
    pub(crate) name: String,
    /// The size it must have.
    pub(crate) bytes: u64,
}

/// Publishes files. What an earlier call has published is left as it is.
pub(crate) fn publish(root: &Path, renames: &[Rename]) -> Result<()> {
    for rename in renames {
        publish_one(root, rename)?;
    }
    let folders: Vec<PathBuf> = renames.iter().map(|rename| root.join(&rename.folder)).collect();
    sync_folders(folders.iter().map(PathBuf::as_path))
}

fn publish_one(root: &Path, rename: &Rename) -> Result<()> {
    let folder = root.join(&rename.folder);
    let (staged, published) = (folder.join(&rename.staged), folder.join(&rename.name));
    let staged_bytes = size(&staged)?;
    match (size(&published)?, staged_bytes) {
        (Some(bytes), None) if bytes == rename.bytes => Ok(()),
        (None, Some(bytes)) if bytes == rename.bytes => fs::rename(&staged, &published)
            .map_err(|error| disk("cannot publish", &published, error)),
        (None, None) => {
            Err(lost(&published, "neither the staged file nor the published one is there"))
        }
        (Some(_), Some(_)) => {
            Err(lost(&published, "both the staged file and the published one are there"))
        }
        (Some(bytes), None) | (None, Some(bytes)) => {
            Err(lost(&published, &format!("it has {bytes} bytes and not {}", rename.bytes)))
        }
    }
}

/// A file that a prepared checkpoint names is not as it was staged.
fn lost(path: &Path, detail: &str) -> Error {
    Error::operator(format!("\"{}\" is not as the checkpoint left it", path.display()))
        .detail(detail)
        .hint("put the file back, or start anew: remove the pipeline's state folder and write to an empty `path`")
}

fn size(path: &Path) -> Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk("cannot look at", path, error)),
    }
}

/// Refuses a table's folder in which another pipeline has files.
pub(crate) fn refuse_foreign(root: &Path, folder: &str, table: &TableId, uuid: &str) -> Result<()> {
    let folder = root.join(folder);
    for name in file_names(&folder)? {
        if let Some(file) = FileName::parse(&name)
            && file.pipeline_uuid != uuid
        {
            return Err(foreign(table, &folder.display().to_string(), &file.pipeline_uuid));
        }
    }
    Ok(())
}

/// The refusal of a folder that belongs to another pipeline.
pub(crate) fn foreign(table: &TableId, folder: &str, other_uuid: &str) -> Error {
    Error::operator(format!("the folder of table \"{table}\" belongs to another pipeline"))
        .detail(format!("\"{folder}\" has files of pipeline {other_uuid}"))
        .hint("let `path` name another folder, or empty that one; if it is this pipeline's own, put its state folder back")
}

/// The files of a folder by name; none when the folder is missing.
fn file_names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(disk("cannot list", folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| disk("cannot list", folder, error))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The highest checkpoint of this pipeline among the published files.
pub(crate) fn highest_checkpoint(root: &Path, uuid: &str) -> Result<Option<u64>> {
    let mut highest = None;
    walk(root, FOLDERS_DEEP_MAX, &mut |_, name| {
        if let Some(file) = FileName::parse(name).filter(|file| file.pipeline_uuid == uuid) {
            highest = highest.max(Some(file.checkpoint));
        }
        Ok(())
    })?;
    Ok(highest)
}

/// Removes this pipeline's published files of one folder, and the folder when it is empty then.
pub(crate) fn remove_published(root: &Path, folder: &str, uuid: &str) -> Result<usize> {
    let folder = root.join(folder);
    let mut removed = 0;
    for name in file_names(&folder)? {
        if FileName::parse(&name).is_some_and(|file| file.pipeline_uuid == uuid) {
            let path = folder.join(&name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(disk("cannot remove", &path, error));
                }
                _ => removed += 1,
            }
        }
    }
    if removed > 0 {
        sync_folder(&folder)?;
    }
    // What is left in it is somebody's.
    let _ = fs::remove_dir(&folder);
    Ok(removed)
}

/// Removes this pipeline's staged files.
pub(crate) fn remove_staged(root: &Path, uuid: &str) -> Result<usize> {
    let mut removed = 0;
    walk(root, FOLDERS_DEEP_MAX, &mut |folder, name| {
        if names::is_staged_by(name, uuid) {
            let path = folder.join(name);
            fs::remove_file(&path).map_err(|error| disk("cannot remove", &path, error))?;
            removed += 1;
        }
        Ok(())
    })?;
    Ok(removed)
}

/// Visits every file of the lake; hidden folders and links are not entered.
fn walk(
    folder: &Path,
    deep_max: usize,
    visit: &mut dyn FnMut(&Path, &str) -> Result<()>,
) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(disk("cannot list", folder, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| disk("cannot list", folder, error))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().map_err(|error| disk("cannot look at", folder, error))?;
        if kind.is_file() {
            visit(folder, &name)?;
        } else if kind.is_dir() && deep_max > 0 && !name.starts_with('.') {
            walk(&folder.join(&name), deep_max - 1, visit)?;
        }
    }
    Ok(())
}

/// Whether the lake can be written: a hidden file is made and removed in it, or in the nearest folder that is there.
pub(crate) fn probe(root: &Path) -> Result<()> {
    let nearest = root.ancestors().find(|path| path.exists()).unwrap_or(root);
    if !nearest.is_dir() {
        return Err(disk("cannot write to", nearest, io::ErrorKind::NotADirectory.into()));
    }
    let path = nearest.join(format!(".cdc-cli-probe-{}", std::process::id()));
    let probed = fs::write(&path, b"probe").and_then(|()| fs::remove_file(&path));
    probed.map_err(|error| disk("cannot write to", nearest, error))
}
