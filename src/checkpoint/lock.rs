//! The lock of a state folder: one process holds it for its whole life, and its end, however it comes, releases it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    path::Path,
};

use cdc_api::{Error, Result};

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct FolderLock {
    file: File,
}

/// A child that is between `fork` and `exec` has the open file too, and closing ours alone would leave the lock to it.
impl Drop for FolderLock {
    fn drop(&mut self) {
        // What fails here is released by the end of the process.
        let _ = self.file.unlock();
    }
}

impl FolderLock {
    /// Takes the lock of a folder, and writes the process's number into it for the next who asks.
    ///
    /// # Errors
    /// `Operator` when another process has it, naming that process.
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join("lock");
        let failed = |error| super::store::failure("cannot lock", &path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(folder, &mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The number is for people only: the lock is the kernel's.
        let noted = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        noted.map_err(failed)?;
        Ok(FolderLock { file })
    }
}

fn held(folder: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    // Unreadable or not yet written: the process is then not named.
    let holder = match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => format!("process {}", text.trim()),
        _ => "another process".into(),
    };
    Error::operator(format!("the state folder \"{}\" is in use", folder.display()))
        .detail(format!("{holder} holds it"))
        .hint("let one process run a pipeline: stop that one, or give this pipeline its own `checkpoint.storage`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_lock_is_free_though_a_child_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap();
        // The same open file, as a child has it between `fork` and `exec`.
        let _copy = lock.file.try_clone().unwrap();
        assert!(FolderLock::take(folder.path()).is_err(), "held while it lives");
        drop(lock);
        FolderLock::take(folder.path()).unwrap();
    }
}
