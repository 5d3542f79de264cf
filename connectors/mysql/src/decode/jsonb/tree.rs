//! A stored JSON document that is being changed: containers on the way to a change are taken apart, all else stays the
//! bytes that it is, and at the end everything is written as one document again.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    container::{Members, container, is_inlined},
    kind, variable_length,
};
use crate::decode::{cursor::Cursor, error::Fault};

/// A value.
pub(super) enum Node<'a> {
    /// As it is stored: its type, and its bytes from its first on.
    Stored { ty: u8, bytes: &'a [u8] },
    /// Members by key, in the server's order: shorter keys first.
    Object(Vec<(Cow<'a, [u8]>, Node<'a>)>),
    /// Elements.
    Array(Vec<Node<'a>>),
}

/// How the server orders the keys of an object.
pub(super) fn key_order(one: &[u8], other: &[u8]) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

impl<'a> Node<'a> {
    /// A whole document.
    pub(super) fn document(stored: &'a [u8]) -> Result<Self, Fault> {
        let (&ty, bytes) = stored.split_first().ok_or_else(Fault::cut_off)?;
        Ok(Node::Stored { ty, bytes })
    }

    /// Takes a stored container apart; any other value stays. A document has a member for every three of its bytes at
    /// most: `members_left` keeps one that overlaps itself from growing.
    pub(super) fn open(&mut self, members_left: &mut usize) -> Result<(), Fault> {
        let Node::Stored { ty, bytes } = *self else { return Ok(()) };
        let Some((is_object, width)) = container(ty) else { return Ok(()) };
        let mut members = Members::open(bytes, is_object, width)?;
        let (mut named, mut elements) = (Vec::new(), Vec::new());
        while let Some(member) = members.next()? {
            *members_left = members_left.checked_sub(1).ok_or_else(overlaps)?;
            let node = Node::Stored { ty: member.ty, bytes: member.bytes };
            if is_object {
                named.push((Cow::Borrowed(member.key), node));
            } else {
                elements.push(node);
            }
        }
        *self = if is_object { Node::Object(named) } else { Node::Array(elements) };
        Ok(())
    }

    /// Appends the value as a document of at most `bytes_max` bytes.
    pub(super) fn write(&self, bytes_max: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut writer = Writer { end_max: out.len().saturating_add(bytes_max), out };
        writer.out.push(self.ty());
        writer.value(self)
    }

    /// Its type as [`Writer`] writes it.
    fn ty(&self) -> u8 {
        match self {
            Node::Stored { ty, .. } => *ty,
            Node::Object(_) => kind::LARGE_OBJECT,
            Node::Array(_) => kind::LARGE_ARRAY,
        }
    }
}

fn overlaps() -> Fault {
    Fault::new("a JSON document overlaps itself")
}

/// The bytes of a stored value, from its first on, without what lies behind it.
fn exact(ty: u8, bytes: &[u8]) -> Result<&[u8], Fault> {
    if let Some((is_object, width)) = container(ty) {
        return Ok(Members::open(bytes, is_object, width)?.stored_bytes());
    }
    let mut cursor = Cursor::new(bytes);
    let length = match ty {
        kind::LITERAL => 1,
        kind::INT16 | kind::UINT16 => 2,
        kind::INT32 | kind::UINT32 => 4,
        kind::INT64 | kind::UINT64 | kind::DOUBLE => 8,
        kind::STRING | kind::OPAQUE => {
            if ty == kind::OPAQUE {
                cursor.u8()?;
            }
            let length = variable_length(&mut cursor)?;
            cursor.take(length)?;
            cursor.at()
        }
        other => return Err(Fault::new(format!("JSON value of type {other}"))),
    };
    bytes.get(..length).ok_or_else(Fault::cut_off)
}

/// Writes containers in the large format, whatever they were: their text is the same.
struct Writer<'o> {
    out: &'o mut Vec<u8>,
    end_max: usize,
}

/// Bytes of counts and offsets.
const WIDTH: usize = 4;

impl Writer<'_> {
    /// The value without its type. Nodes are as deep as a path is long at most, so this ends.
    fn value(&mut self, node: &Node<'_>) -> Result<(), Fault> {
        match node {
            Node::Stored { ty, bytes } => self.put(exact(*ty, bytes)?),
            Node::Object(members) => {
                let keys = members.iter().map(|(key, _)| &**key);
                let values = members.iter().map(|(_, value)| value);
                self.container(members.len(), Some(keys), values)
            }
            Node::Array(elements) => {
                self.container(elements.len(), None::<std::iter::Empty<&[u8]>>, elements.iter())
            }
        }
    }

    fn container<'k, 'n: 'k>(
        &mut self,
        count: usize,
        keys: Option<impl Iterator<Item = &'k [u8]>>,
        values: impl Iterator<Item = &'k Node<'n>>,
    ) -> Result<(), Fault> {
        let start = self.out.len();
        let key_bytes = if keys.is_some() { count * (WIDTH + 2) } else { 0 };
        self.put(&u32_of(count)?)?;
        self.zeros(WIDTH + key_bytes + count * (1 + WIDTH))?;
        for (at, key) in keys.into_iter().flatten().enumerate() {
            let entry = start + 2 * WIDTH + at * (WIDTH + 2);
            let length = u16::try_from(key.len())
                .map_err(|_| Fault::new("a JSON key is longer than 65535 bytes"))?;
            self.patch(entry, &u32_of(self.out.len() - start)?);
            self.patch(entry + WIDTH, &length.to_le_bytes());
            self.put(key)?;
        }
        for (at, value) in values.enumerate() {
            let entry = start + 2 * WIDTH + key_bytes + at * (1 + WIDTH);
            self.patch(entry, &[value.ty()]);
            match value {
                Node::Stored { ty, bytes } if is_inlined(*ty, WIDTH) => {
                    self.patch(entry + 1, exact(*ty, bytes)?);
                }
                stored_behind => {
                    self.patch(entry + 1, &u32_of(self.out.len() - start)?);
                    self.value(stored_behind)?;
                }
            }
        }
        let size = u32_of(self.out.len() - start)?;
        self.patch(start + WIDTH, &size);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if self.out.len() + bytes.len() > self.end_max {
            return Err(overlaps());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn zeros(&mut self, count: usize) -> Result<(), Fault> {
        let end = self.out.len() + count;
        if end > self.end_max {
            return Err(overlaps());
        }
        self.out.resize(end, 0);
        Ok(())
    }

    /// Writes into what [`Writer::zeros`] made room for.
    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(room) = self.out.get_mut(at..at + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    }
}

fn u32_of(number: usize) -> Result<[u8; WIDTH], Fault> {
    u32::try_from(number)
        .map(u32::to_le_bytes)
        .map_err(|_| Fault::new("a JSON document is larger than 4 GiB"))
}
