//! What the decoders ask of a character set. `crate::charset` implements it with the server's own tables.

use std::{fmt, sync::Arc};

/// Turns stored bytes of one character set into UTF-8.
pub trait Charset: fmt::Debug + Send + Sync {
    /// Whether stored bytes are UTF-8 already (utf8mb4, utf8mb3, ascii), so that validating and copying is enough.
    fn is_utf8(&self) -> bool;

    /// Appends `bytes` as UTF-8 to `out`.
    ///
    /// # Errors
    /// The offset in `bytes` of the first byte that is no text; all before it has been appended, nothing after it.
    fn decode_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), usize>;
}

/// Finds character sets by the names and numbers that the server uses.
pub trait CharsetLookup {
    /// By `CHARACTER_SET_NAME`, lower case.
    fn charset(&self, name: &str) -> Option<Arc<dyn Charset>>;

    /// The name of the character set that a collation belongs to.
    fn charset_of_collation(&self, collation_id: u64) -> Option<&str>;
}
