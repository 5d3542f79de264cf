//! JSON straight from Arrow arrays: cells are bound to their arrays once per chunk and appended to one byte buffer. No
//! tree of values, no serializer.

mod cells;
mod number;
mod temporal;
mod text;

pub(crate) use cells::{Bits, Cells, Decimals, Style, Times, bits_of, is_set};
pub(crate) use number::push_integer;
pub(crate) use text::{push_base64, push_string};
