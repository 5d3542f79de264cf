//! Objects and arrays of MySQL's binary JSON: how their members are found.
//!
//! Count, size, then (for an object) the keys' places, the values' entries, the keys, the values; all offsets count from
//! the container's start. Counts and offsets have two bytes in the small formats and four in the large ones.

use super::kind;
use crate::decode::{cursor::Cursor, error::Fault};

/// One member: its key in an object (empty in an array), its type, and its bytes from its first on.
pub(super) struct Member<'a> {
    pub(super) key: &'a [u8],
    pub(super) ty: u8,
    /// Of an inlined value its entry; of any other all bytes to the container's end.
    pub(super) bytes: &'a [u8],
}

/// The members of a container, in stored order.
pub(super) struct Members<'a> {
    body: &'a [u8],
    keys: Cursor<'a>,
    values: Cursor<'a>,
    width: usize,
    is_object: bool,
    left: usize,
}

/// Whether a type is a container, and then whether it is an object, and how wide its counts are.
pub(super) fn container(ty: u8) -> Option<(bool, usize)> {
    match ty {
        kind::SMALL_OBJECT => Some((true, 2)),
        kind::LARGE_OBJECT => Some((true, 4)),
        kind::SMALL_ARRAY => Some((false, 2)),
        kind::LARGE_ARRAY => Some((false, 4)),
        _ => None,
    }
}

impl<'a> Members<'a> {
    /// Opens the container at the start of `body`.
    pub(super) fn open(body: &'a [u8], is_object: bool, width: usize) -> Result<Self, Fault> {
        let mut cursor = Cursor::new(body);
        let left = cursor.uint_le(width)? as usize;
        let size = cursor.uint_le(width)? as usize;
        let body = body
            .get(..size)
            .ok_or_else(|| Fault::new("a JSON container is longer than its document"))?;
        let key_bytes = if is_object { width + 2 } else { 0 };
        let start = left.checked_mul(key_bytes).and_then(|bytes| bytes.checked_add(2 * width));
        let mut keys = Cursor::new(body);
        let mut values = keys;
        keys.take(2 * width)?;
        values.take(start.ok_or_else(Fault::cut_off)?)?;
        Ok(Members { body, keys, values, width, is_object, left })
    }

    /// The bytes of the container itself.
    pub(super) fn stored_bytes(&self) -> &'a [u8] {
        self.body
    }

    /// The next member; none behind the last.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, Fault> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let mut key = &[][..];
        if self.is_object {
            let offset = self.keys.uint_le(self.width)? as usize;
            let length = usize::from(self.keys.u16()?);
            key = self
                .body
                .get(offset..)
                .and_then(|rest| rest.get(..length))
                .ok_or_else(Fault::cut_off)?;
        }
        let ty = self.values.u8()?;
        let entry = self.values.take(self.width)?;
        if is_inlined(ty, self.width) {
            return Ok(Some(Member { key, ty, bytes: entry }));
        }
        let offset = Cursor::new(entry).uint_le(self.width)? as usize;
        // No member lies in its container's own head: a document cannot contain itself.
        let bytes = (offset > self.width).then(|| self.body.get(offset..)).flatten();
        Ok(Some(Member { key, ty, bytes: bytes.ok_or_else(Fault::cut_off)? }))
    }
}

/// Whether a value of this type stands in its container's entry instead of an offset.
pub(super) fn is_inlined(ty: u8, width: usize) -> bool {
    match ty {
        kind::LITERAL | kind::INT16 | kind::UINT16 => true,
        kind::INT32 | kind::UINT32 => width == 4,
        _ => false,
    }
}
