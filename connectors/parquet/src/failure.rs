//! Failures of the disk and of object stores, in words that say who acts: most need a person and name the path; a
//! store that does not answer is tried again.

use std::{io, path::Path};

use cdc_api::Error;

/// A failure of the local file system. `action` is a verb phrase such as "cannot write".
pub(crate) fn disk(action: &str, path: &Path, error: io::Error) -> Error {
    /// "Too many open files", of the process and of the machine.
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    let hint = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free space there or let `path` name another disk; nothing is lost, the run goes on from its last checkpoint"
        }
        io::ErrorKind::PermissionDenied => "let the user that runs cdc-cli write there",
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is mounted read-only: mount it writable or let `path` name another"
        }
        io::ErrorKind::NotADirectory => "a file stands where a folder is needed: move it away",
        io::ErrorKind::NotFound => "the folder was moved or removed: put it back and start again",
        io::ErrorKind::InvalidFilename => {
            "the name is too long for this file system: route the table to a shorter one"
        }
        _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => {
            "allow more open files (`ulimit -n`)"
        }
        _ => "check the disk and the folder, then start again",
    };
    Error::operator(format!("{action} \"{}\"", path.display())).hint(hint).caused_by(error)
}

/// A failure of an object store. `action` is a verb phrase, `what` names the object or the folder.
pub(crate) fn store(action: &str, what: &str, error: object_store::Error) -> Error {
    use object_store::Error as E;
    let message = format!("{action} \"{what}\"");
    let hint = match &error {
        E::Unauthenticated { .. } => {
            "check the credentials: the options s3.*, gcs.*, azure.* or the store's usual environment variables"
        }
        E::PermissionDenied { .. } => {
            "check the credentials, and let them list, read, write and delete below `path` and upload in parts"
        }
        E::NotFound { .. } => "check that the bucket or container exists and that `path` names it",
        E::InvalidPath { .. } | E::UnknownConfigurationKey { .. } => {
            "check `path` and the store's options"
        }
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            "the store lacks what is needed: multipart uploads and listing"
        }
        _ => return Error::transient(message).caused_by(error),
    };
    Error::operator(message).hint(hint).caused_by(error)
}

/// A task of ours that ended without an answer.
pub(crate) fn cut_off(what: &str, error: tokio::task::JoinError) -> Error {
    Error::internal(format!("{what} was cut off")).caused_by(error)
}
