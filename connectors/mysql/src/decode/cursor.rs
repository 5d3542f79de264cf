//! Checked reading of little- and big-endian fields.

use super::error::Fault;

/// A place in a slice that moves forward; nothing is read beyond its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes, length: bytes.len() }
    }

    /// The offset from the slice's start.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(Fault::cut_off()),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(Fault::cut_off()),
        }
    }

    #[inline]
    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u24(&mut self) -> Result<u32, Fault> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    #[inline]
    pub(crate) fn i24(&mut self) -> Result<i32, Fault> {
        let [a, b, c] = self.array()?;
        Ok(i32::from_le_bytes([0, a, b, c]) >> 8)
    }

    #[inline]
    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Little-endian of 1 to 8 bytes.
    #[inline]
    pub(crate) fn uint_le(&mut self, count: usize) -> Result<u64, Fault> {
        let mut wide = [0; 8];
        let taken = self.take(count)?;
        wide.get_mut(..count).ok_or_else(Fault::cut_off)?.copy_from_slice(taken);
        Ok(u64::from_le_bytes(wide))
    }

    /// Big-endian of 1 to 8 bytes. Where eight are left to read, one load does it.
    #[inline(always)]
    pub(crate) fn uint_be(&mut self, count: usize) -> Result<u64, Fault> {
        if let Some(wide) = self.rest.first_chunk::<8>()
            && (1..=8).contains(&count)
        {
            self.rest = &self.rest[count..];
            return Ok(u64::from_be_bytes(*wide) >> (64 - 8 * count));
        }
        self.last_uint_be(count)
    }

    #[inline(never)]
    fn last_uint_be(&mut self, count: usize) -> Result<u64, Fault> {
        let mut wide = [0; 8];
        let taken = self.take(count)?;
        let start = 8usize.checked_sub(count).ok_or_else(Fault::cut_off)?;
        wide[start..].copy_from_slice(taken);
        Ok(u64::from_be_bytes(wide))
    }

    /// The protocol's length-encoded integer; its markers for null and error are faults.
    #[inline]
    pub(crate) fn lenenc(&mut self) -> Result<u64, Fault> {
        match self.u8()? {
            short @ 0..=0xFA => Ok(u64::from(short)),
            0xFC => Ok(u64::from(self.u16()?)),
            0xFD => Ok(u64::from(self.u24()?)),
            0xFE => self.u64(),
            _ => Err(Fault::new("a length has an impossible first byte")),
        }
    }

    /// Bytes behind a length-encoded length.
    #[inline]
    pub(crate) fn lenenc_bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.lenenc()?;
        self.take(usize::try_from(length).map_err(|_| Fault::cut_off())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order() {
        let mut cursor = Cursor::new(&[1, 2, 0, 0xFF, 0xFF, 0xFF, 3, 0, 0, 0, 0xFC, 1, 0, b'x']);
        assert_eq!(cursor.u8(), Ok(1));
        assert_eq!(cursor.u16(), Ok(2));
        assert_eq!(cursor.i24(), Ok(-1));
        assert_eq!(cursor.u32(), Ok(3));
        assert_eq!(cursor.lenenc_bytes(), Ok(&b"x"[..]));
        assert!(cursor.is_empty());
        assert_eq!(cursor.u8(), Err(Fault::cut_off()));
        assert_eq!(cursor.at(), 14);
    }

    #[test]
    fn integers_of_odd_width() {
        assert_eq!(Cursor::new(&[1, 2, 3]).uint_be(3), Ok(0x01_02_03));
        assert_eq!(Cursor::new(&[1, 2, 3]).uint_le(3), Ok(0x03_02_01));
        assert!(Cursor::new(&[0; 9]).uint_be(9).is_err());
        assert!(Cursor::new(&[0; 9]).uint_le(9).is_err());
        assert!(
            Cursor::new(&[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
                .lenenc_bytes()
                .is_err()
        );
    }
}
