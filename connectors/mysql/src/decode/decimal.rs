//! DECIMAL: packed (the log) and as text (results) into the same `i128`, or the same text above 38 digits.

use super::{cursor::Cursor, error::Fault};

/// Bytes that 0 to 9 decimal digits take.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const POW10: [u32; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// How a DECIMAL(p,s) is packed: groups of nine digits in four bytes, and a shorter group at each end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    lead_digits: u8,
    whole_groups: u8,
    fraction_groups: u8,
    tail_digits: u8,
    scale: u8,
    /// Bytes of one packed value.
    bytes: u8,
    /// Of the short groups at both ends: how many bits they take, and the number they stay below.
    lead: (u8, u32),
    tail: (u8, u32),
}

impl Layout {
    /// A layout for 1 to 65 digits; a decimal inside JSON may have up to nine groups of nine.
    pub(crate) fn new(precision: u8, scale: u8) -> Self {
        let whole = precision.saturating_sub(scale);
        let (lead_digits, whole_groups) = (whole % 9, whole / 9);
        let (tail_digits, fraction_groups) = (scale % 9, scale / 9);
        let short = |digits: u8| {
            let bytes = DIGIT_BYTES[usize::from(digits)] as u8;
            (8 * bytes, POW10[usize::from(digits)])
        };
        let (lead, tail) = (short(lead_digits), short(tail_digits));
        let bytes = lead.0 / 8 + 4 * (whole_groups + fraction_groups) + tail.0 / 8;
        Layout { lead_digits, whole_groups, fraction_groups, tail_digits, scale, bytes, lead, tail }
    }

    /// Bytes of one packed value.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        usize::from(self.bytes)
    }

    /// What reads values of at most eight bytes; none for longer ones.
    #[inline(always)]
    pub(crate) fn short(&self) -> Option<Short> {
        let bits = 8 * u32::from(self.bytes);
        (1..=64).contains(&bits).then(|| Short {
            sign: 1 << (bits - 1),
            all: u64::MAX >> (64 - bits),
            bits,
            tail_bits: u32::from(self.tail.0),
            lead_bits: u32::from(self.lead.0),
            tail_below: u64::from(self.tail.1),
            lead_below: u64::from(self.lead.1),
            groups: self.whole_groups + self.fraction_groups,
        })
    }

    /// The unscaled value of the cell at the cursor, for at most 38 digits.
    #[inline(always)]
    pub(crate) fn read_unscaled(&self, cursor: &mut Cursor<'_>) -> Result<i128, Fault> {
        match self.bytes {
            1..=8 => {
                let packed = cursor.uint_be(self.bytes())?;
                self.unscaled_short(packed).map(i128::from).ok_or_else(no_digits)
            }
            _ => self.unscaled_long(cursor.take(self.bytes())?),
        }
    }

    /// Hands each group as (value, digits), highest first; says whether the value is negative.
    #[inline]
    fn groups(&self, packed: &[u8], mut group: impl FnMut(u32, usize)) -> Result<bool, Fault> {
        let Some((&first, _)) = packed.split_first() else { return Err(Fault::cut_off()) };
        // The sign bit is inverted, and a negative value has all its bytes inverted besides.
        let negative = first & 0x80 == 0;
        let mask = if negative { 0xFF } else { 0 };
        let mut flip = 0x80;
        let mut rest = packed;
        let full = usize::from(self.whole_groups) + usize::from(self.fraction_groups);
        for at in 0..full + 2 {
            let digits = match at {
                0 => usize::from(self.lead_digits),
                at if at <= full => 9,
                _ => usize::from(self.tail_digits),
            };
            let (bytes, behind) =
                rest.split_at_checked(DIGIT_BYTES[digits]).ok_or_else(Fault::cut_off)?;
            rest = behind;
            let mut value = 0u32;
            for &byte in bytes {
                value = value << 8 | u32::from(byte ^ mask ^ flip);
                flip = 0;
            }
            if value >= POW10[digits] && digits > 0 {
                return Err(no_digits());
            }
            group(value, digits);
        }
        Ok(negative)
    }

    #[inline(always)]
    fn unscaled_short(&self, packed: u64) -> Option<i64> {
        let short = self.short()?;
        match short.groups {
            0 => short.unscaled::<0>(packed),
            1 => short.unscaled::<1>(packed),
            _ => short.unscaled::<2>(packed),
        }
    }

    fn unscaled_long(&self, packed: &[u8]) -> Result<i128, Fault> {
        let mut low = 0u64;
        let mut high = 0i128;
        let mut count = 0;
        let negative = self.groups(packed, |value, digits| {
            // Two full groups fit 64 bits, which is most decimals; beyond that 128-bit arithmetic takes over.
            if count + digits <= 18 {
                low = low * u64::from(POW10[digits]) + u64::from(value);
            } else {
                if count <= 18 {
                    high = i128::from(low);
                }
                high = high.wrapping_mul(i128::from(POW10[digits])).wrapping_add(i128::from(value));
            }
            count += digits;
        })?;
        let magnitude = if count <= 18 { i128::from(low) } else { high };
        Ok(if negative { -magnitude } else { magnitude })
    }

    /// Appends the value as the server prints it, without the zeros of ZEROFILL.
    pub(crate) fn write_text(&self, packed: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut digits = [b'0'; 96];
        let mut count = 0;
        let negative = self.groups(packed, |mut value, width| {
            for at in (count..count + width).rev() {
                if let Some(digit) = digits.get_mut(at) {
                    *digit = b'0' + (value % 10) as u8;
                }
                value /= 10;
            }
            count += width;
        })?;
        let digits = digits.get(..count).ok_or_else(Fault::cut_off)?;
        let (whole, fraction) = digits
            .split_at_checked(count.saturating_sub(usize::from(self.scale)))
            .ok_or_else(Fault::cut_off)?;
        write_canonical(negative, whole, fraction, out);
        Ok(())
    }
}

/// How a value of at most eight bytes is packed, which is at most 18 digits: one number whose groups are cut off from below.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Short {
    sign: u64,
    /// All bits of a value.
    all: u64,
    bits: u32,
    tail_bits: u32,
    lead_bits: u32,
    /// The numbers that the short groups at both ends stay below.
    tail_below: u64,
    lead_below: u64,
    /// Groups of nine digits: at most two.
    pub(crate) groups: u8,
}

impl Short {
    /// The unscaled value; none when a group is no decimal digits. `GROUPS` is `self.groups`, as a constant.
    #[inline(always)]
    pub(crate) fn unscaled<const GROUPS: u8>(&self, packed: u64) -> Option<i64> {
        const WHOLE: u64 = POW10[9] as u64;
        let negative = packed & self.sign == 0;
        let rest = packed ^ self.sign ^ if negative { self.all } else { 0 };
        let tail = rest & ((1 << self.tail_bits) - 1);
        let rest = rest >> self.tail_bits;
        let (lead, high, low) = match GROUPS {
            0 => (rest, 0, 0),
            1 => (rest >> 32, 0, rest & 0xFFFF_FFFF),
            _ => (0, rest >> 32, rest & 0xFFFF_FFFF),
        };
        let is_digits =
            (lead < self.lead_below) & (high < WHOLE) & (low < WHOLE) & (tail < self.tail_below);
        let above = match GROUPS {
            0 => lead,
            1 => lead.wrapping_mul(WHOLE).wrapping_add(low),
            _ => high.wrapping_mul(WHOLE).wrapping_add(low),
        };
        // At most 10^18 - 1.
        let value = above.wrapping_mul(self.tail_below).wrapping_add(tail) as i64;
        is_digits.then_some(if negative { value.wrapping_neg() } else { value })
    }
}

/// A [`Short`] for many values: what they all are held against is worked out beforehand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShortMany {
    short: Short,
    beyond_bits: u32,
    /// What changes the bit above a group that is too large.
    carry: u64,
    /// These bits: the flags that no value has.
    pub(crate) flags: u64,
}

impl Short {
    /// Bytes of one packed value.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> usize {
        self.bits as usize / 8
    }

    pub(crate) fn many(self) -> ShortMany {
        let (mut carry, mut flags, mut at) = (0, 0, 0);
        let whole = [(32, u64::from(POW10[9])); 2];
        let whole = whole.into_iter().take(usize::from(self.groups));
        let tail = (self.tail_bits, self.tail_below);
        let groups = std::iter::once(tail).chain(whole).chain([(self.lead_bits, self.lead_below)]);
        for (bits, below) in groups.filter(|&(bits, _)| bits > 0) {
            // The highest bit is the sign, which is taken away.
            let own = if at + bits < self.bits { bits } else { bits - 1 };
            carry |= ((1 << own) - below) << at;
            flags |= 1 << (at + own);
            at += bits;
        }
        ShortMany { short: self, beyond_bits: 64 - self.bits, carry, flags }
    }
}

impl ShortMany {
    /// The unscaled value that the highest bytes of a number pack, and flags: it is none when one of `self.flags` is among
    /// them. `GROUPS` is `self.short.groups`, as a constant.
    #[inline(always)]
    pub(crate) fn flagged<const GROUPS: u8>(&self, word: u64) -> (i64, u64) {
        const WHOLE: u64 = POW10[9] as u64;
        let Short { tail_bits, tail_below, .. } = self.short;
        // All bits for a value that is not negative.
        let positive = word as i64 >> 63;
        let rest = (word ^ positive as u64 ^ i64::MAX as u64) >> self.beyond_bits;
        let flags = rest.wrapping_add(self.carry) ^ rest;
        let tail = rest & ((1 << tail_bits) - 1);
        let rest = rest >> tail_bits;
        let above = match GROUPS {
            0 => rest,
            _ => (rest >> 32).wrapping_mul(WHOLE).wrapping_add(rest & 0xFFFF_FFFF),
        };
        let value = above.wrapping_mul(tail_below).wrapping_add(tail) as i64;
        ((value ^ !positive).wrapping_sub(!positive), flags)
    }
}

#[cold]
fn no_digits() -> Fault {
    Fault::new("a packed DECIMAL has a group that is no decimal digits")
}

/// Writes sign, digits without leading zeros (but at least one), and the fraction as it is; zero has no sign.
fn write_canonical(negative: bool, whole: &[u8], fraction: &[u8], out: &mut Vec<u8>) {
    let is_zero = whole.iter().chain(fraction).all(|&digit| digit == b'0');
    if negative && !is_zero {
        out.push(b'-');
    }
    let lead = whole.iter().position(|&digit| digit != b'0').unwrap_or(whole.len());
    match whole.get(lead..) {
        Some([]) | None => out.push(b'0'),
        Some(whole) => out.extend_from_slice(whole),
    }
    if !fraction.is_empty() {
        out.push(b'.');
        out.extend_from_slice(fraction);
    }
}

/// Splits the server's text into sign, whole digits and fraction digits.
fn split_text(text: &[u8]) -> Result<(bool, &[u8], &[u8]), Fault> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let (whole, fraction) = match digits.iter().position(|&byte| byte == b'.') {
        Some(point) => {
            let (whole, rest) = digits.split_at(point);
            (whole, rest.get(1..).unwrap_or_default())
        }
        None => (digits, &[][..]),
    };
    if digits.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(Fault::new("a DECIMAL is no decimal number"));
    }
    Ok((negative, whole, fraction))
}

/// The unscaled value of the server's text, for at most 38 digits.
pub(crate) fn unscaled_of_text(text: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
    let (negative, whole, fraction) = split_text(text)?;
    let missing = usize::from(scale)
        .checked_sub(fraction.len())
        .ok_or_else(|| Fault::new("a DECIMAL has more decimals than its column"))?;
    let lead = whole.iter().position(|&digit| digit != b'0').unwrap_or(whole.len());
    let whole = whole.get(lead..).unwrap_or_default();
    if whole.len() + usize::from(scale) > usize::from(precision).min(38) {
        return Err(Fault::new("a DECIMAL has more digits than its column"));
    }
    let mut value = 0i128;
    for &digit in whole.iter().chain(fraction) {
        value = value * 10 + i128::from(digit - b'0');
    }
    value *= 10i128.pow(missing as u32);
    Ok(if negative { -value } else { value })
}

/// Appends the server's text in the form that [`Layout::write_text`] gives.
pub(crate) fn write_canonical_text(text: &[u8], scale: u8, out: &mut Vec<u8>) -> Result<(), Fault> {
    let (negative, whole, fraction) = split_text(text)?;
    if fraction.len() != usize::from(scale) {
        return Err(Fault::new("a DECIMAL has other decimals than its column"));
    }
    write_canonical(negative, whole, fraction, out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unscaled(layout: Layout, packed: &[u8]) -> Result<i128, Fault> {
        layout.read_unscaled(&mut Cursor::new(packed))
    }

    /// Packs a value as the server's manual describes the format, independent of the reader.
    fn pack(digits: &str, precision: u8, scale: u8) -> Vec<u8> {
        let negative = digits.starts_with('-');
        let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_digit).collect();
        assert_eq!(digits.len(), usize::from(precision));
        let (whole, fraction) = digits.split_at(usize::from(precision - scale));
        let (lead, whole) = whole.split_at(whole.len() % 9);
        let mut groups: Vec<&[u8]> = vec![lead];
        groups.extend(whole.chunks(9));
        groups.extend(fraction.chunks(9));
        let mut packed = Vec::new();
        for group in groups.into_iter().filter(|group| !group.is_empty()) {
            let value: u32 = std::str::from_utf8(group).unwrap().parse().unwrap();
            packed.extend_from_slice(&value.to_be_bytes()[4 - DIGIT_BYTES[group.len()]..]);
        }
        if negative {
            packed.iter_mut().for_each(|byte| *byte = !*byte);
        }
        packed[0] ^= 0x80;
        packed
    }

    #[test]
    fn the_manuals_example() {
        let packed = [0x81, 0x0D, 0xFB, 0x38, 0xD2, 0x04, 0xD2];
        let layout = Layout::new(14, 4);
        assert_eq!(layout.bytes(), 7);
        assert_eq!(unscaled(layout, &packed), Ok(12_345_678_901_234));
        let negative: Vec<u8> = packed.iter().map(|byte| !byte).collect();
        assert_eq!(unscaled(layout, &negative), Ok(-12_345_678_901_234));
        let mut text = Vec::new();
        layout.write_text(&negative, &mut text).unwrap();
        assert_eq!(text, b"-1234567890.1234");
    }

    #[test]
    fn impossible_groups_are_refused() {
        assert!(unscaled(Layout::new(9, 0), &[0xFF, 0xFF, 0xFF, 0xFF]).is_err());
        assert!(unscaled(Layout::new(2, 0), &[0x80 | 100]).is_err());
        assert!(unscaled(Layout::new(9, 0), &[0x80]).is_err());
        for text in ["", "-", "1e3", "1.2.3", "12345", "1.234"] {
            assert!(unscaled_of_text(text.as_bytes(), 5, 2).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn many_are_as_one(word: u64, precision in 1u8..=18, scale in 0u8..=18) {
            let layout = Layout::new(precision, scale.min(precision));
            let Some(short) = layout.short() else { return Ok(()) };
            let many = short.many();
            let packed = word >> (64 - 8 * short.bytes());
            let (one, (value, flags)) = match short.groups {
                0 => (short.unscaled::<0>(packed), many.flagged::<0>(word)),
                1 => (short.unscaled::<1>(packed), many.flagged::<1>(word)),
                _ => (short.unscaled::<2>(packed), many.flagged::<2>(word)),
            };
            prop_assert_eq!(one, (flags & many.flags == 0).then_some(value));
        }
    }

    #[test]
    fn text_is_canonical() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            write_canonical_text(text.as_bytes(), 2, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("000012.30", "12.30");
        check("-0.50", "-0.50");
        check("-0.00", "0.00");
        check(".25", "0.25");
    }

    proptest! {
        #[test]
        fn packed_and_text_agree(
            digits in proptest::collection::vec(0u8..10, 1..=65),
            scale in 0u8..=30,
            negative: bool,
        ) {
            let precision = digits.len() as u8;
            let scale = scale.min(precision);
            let mut text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
            if negative {
                text.insert(0, '-');
            }
            let packed = pack(&text, precision, scale);
            let layout = Layout::new(precision, scale);
            prop_assert_eq!(layout.bytes(), packed.len());
            if scale > 0 {
                text.insert(text.len() - usize::from(scale), '.');
            }
            let (mut from_packed, mut from_text) = (Vec::new(), Vec::new());
            layout.write_text(&packed, &mut from_packed).unwrap();
            write_canonical_text(text.as_bytes(), scale, &mut from_text).unwrap();
            prop_assert_eq!(from_packed, from_text);
            if precision <= 38 {
                let expected = unscaled_of_text(text.as_bytes(), precision, scale);
                prop_assert_eq!(unscaled(layout, &packed), expected);
            }
        }

        #[test]
        fn random_bytes_never_panic(
            packed in proptest::collection::vec(any::<u8>(), 0..40),
            precision in 1u8..=65,
            scale in 0u8..=38,
        ) {
            let layout = Layout::new(precision, scale.min(precision));
            let _ = unscaled(layout, &packed);
            let _ = layout.write_text(&packed, &mut Vec::new());
            let _ = unscaled_of_text(&packed, precision.min(38), scale.min(38));
        }
    }
}
