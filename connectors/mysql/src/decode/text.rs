//! Stored text into UTF-8.

use super::{builder::Var, error::Fault};
use crate::types::{Charset, ColumnCodec};

/// U+FFFD.
const REPLACEMENT: &str = "\u{FFFD}";

/// Appends text that is stored as UTF-8.
#[inline(never)]
pub(crate) fn push_utf8(bytes: &[u8], var: &mut Var, codec: &ColumnCodec) -> Result<(), Fault> {
    // Most text is short and ASCII, which is told in a few instructions.
    if bytes.is_ascii() {
        return var.push(bytes);
    }
    push_beyond_ascii(bytes, var, codec)
}

/// As [`push_utf8`], for cells that are mostly shorter than 16 bytes; `head` are the 16 bytes that begin with the cell.
#[inline(always)]
pub(crate) fn push_short_utf8(
    bytes: &[u8],
    head: Option<&[u8; 16]>,
    var: &mut Var,
    codec: &ColumnCodec,
) -> Result<(), Fault> {
    match head {
        Some(head) if bytes.len() <= head.len() && is_ascii(head, bytes.len()) => {
            var.push_head(head, bytes.len())
        }
        _ => push_utf8(bytes, var, codec),
    }
}

/// Whether the first `count` bytes are ASCII.
#[inline(always)]
fn is_ascii(head: &[u8; 16], count: usize) -> bool {
    const HIGH_BITS: u128 = u128::from_ne_bytes([0x80; 16]);
    let beyond = 128 - 8 * count as u32;
    let high_bits = u128::from_le_bytes(*head) & HIGH_BITS;
    high_bits.checked_shl(beyond).unwrap_or(0) == 0
}

#[inline(never)]
fn push_beyond_ascii(bytes: &[u8], var: &mut Var, codec: &ColumnCodec) -> Result<(), Fault> {
    match std::str::from_utf8(bytes) {
        Ok(_) => var.push(bytes),
        Err(error) => push_undecodable(bytes, error.valid_up_to(), var, codec),
    }
}

#[cold]
fn push_undecodable(
    bytes: &[u8],
    at: usize,
    var: &mut Var,
    codec: &ColumnCodec,
) -> Result<(), Fault> {
    if !codec.replaces_undecodable() {
        return Err(undecodable(bytes, at));
    }
    var.push(String::from_utf8_lossy(bytes).as_bytes())
}

/// Appends text of any charset.
pub(crate) fn push_coded(bytes: &[u8], var: &mut Var, codec: &ColumnCodec) -> Result<(), Fault> {
    let charset = codec.charset.as_deref().ok_or_else(Fault::wrong_builder)?;
    if charset.is_utf8() {
        return push_utf8(bytes, var, codec);
    }
    if let Err(at) = charset.decode_into(bytes, var.value()) {
        if !codec.replaces_undecodable() {
            return Err(undecodable(bytes, at));
        }
        replace_from(bytes, at, charset, var.value());
    }
    var.end_value()
}

/// Goes on behind each undecodable byte; what came before `at` has been appended.
#[cold]
fn replace_from(bytes: &[u8], at: usize, charset: &dyn Charset, out: &mut Vec<u8>) {
    let mut rest = bytes.get(at..).unwrap_or_default();
    while !rest.is_empty() {
        out.extend_from_slice(REPLACEMENT.as_bytes());
        rest = rest.get(1..).unwrap_or_default();
        match charset.decode_into(rest, out) {
            Ok(()) => return,
            Err(at) => rest = rest.get(at..).unwrap_or_default(),
        }
    }
}

#[cold]
fn undecodable(bytes: &[u8], at: usize) -> Fault {
    let byte = bytes.get(at).copied().unwrap_or(0);
    Fault::new(format!(
        "text is not in the column's charset (byte 0x{byte:02X} at {at} of {}); `text.undecodable: replace` would put \
         U+FFFD in its place",
        bytes.len()
    ))
}
