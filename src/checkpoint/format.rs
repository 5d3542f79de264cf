//! A checkpoint as bytes: one JSON object whose first members are the format's version and a checksum over the exact
//! bytes of the last, the checkpoint itself:
//! `{"format_version":2,"checksum":"crc32:89abcdef","checkpoint":{…}}` and a line end.
//!
//! The version is read before anything else, so that a file of a newer version is named as such and not as damaged.

use serde::Deserialize;

use super::Checkpoint;

/// The version written. This build reads it and every one before it.
pub(super) const VERSION: u32 = 2;

const BODY: &str = ",\"checkpoint\":";
const END: &str = "}\n";

#[derive(Deserialize)]
struct Head {
    format_version: u32,
    checksum: String,
}

/// Why a file is no checkpoint that this build may go on from.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormatError {
    /// It is not of this form at all.
    #[error("it is not a whole checkpoint")]
    NotWhole,
    /// Its bytes are not the ones that were written.
    #[error("its checksum is {found} and should be {expected}")]
    Checksum {
        /// Over the bytes that are there.
        found: String,
        /// As written.
        expected: String,
    },
    /// It comes from a newer build.
    #[error("it has format version {found}; this build reads up to {VERSION}")]
    Newer {
        /// The file's.
        found: u32,
    },
    /// Its bytes are right and yet say something else.
    #[error("its content is not understood")]
    Content(#[source] serde_json::Error),
}

/// Writes a checkpoint down.
pub(super) fn encode(checkpoint: &Checkpoint) -> Result<Vec<u8>, serde_json::Error> {
    let body = serde_json::to_string(checkpoint)?;
    let checksum = checksum(body.as_bytes());
    let head = format!("{{\"format_version\":{VERSION},\"checksum\":\"{checksum}\"");
    Ok([&head, BODY, &body, END].concat().into_bytes())
}

/// Reads a checkpoint back.
pub(super) fn decode(bytes: &[u8]) -> Result<Checkpoint, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::NotWhole)?;
    let (head, rest) = text.split_once(BODY).ok_or(FormatError::NotWhole)?;
    let head: Head =
        serde_json::from_str(&format!("{head}}}")).map_err(|_| FormatError::NotWhole)?;
    if head.format_version > VERSION {
        return Err(FormatError::Newer { found: head.format_version });
    }
    let body = rest.strip_suffix(END).ok_or(FormatError::NotWhole)?;
    let found = checksum(body.as_bytes());
    if found != head.checksum {
        return Err(FormatError::Checksum { found, expected: head.checksum });
    }
    serde_json::from_str(body).map_err(FormatError::Content)
}

fn checksum(bytes: &[u8]) -> String {
    format!("crc32:{:08x}", crc32fast::hash(bytes))
}
