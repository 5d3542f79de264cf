//! DECIMAL: the server's packed form, which sorts as bytes, from and to digits.

/// The longest packed form: DECIMAL(65,30).
const LENGTH_MAX: usize = 32;

/// Bytes that hold this many of up to nine digits.
const DIGIT_BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Digits before and behind the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DecimalType {
    whole: usize,
    scale: usize,
}

/// A value in the packed form of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedDecimal {
    bytes: [u8; LENGTH_MAX],
    length: usize,
}

impl PackedDecimal {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl DecimalType {
    pub(super) fn new(precision: u8, scale: u8) -> Option<Self> {
        let whole = usize::from(precision.checked_sub(scale)?);
        let ty = DecimalType { whole, scale: usize::from(scale) };
        (precision <= 65 && ty.packed_length() <= LENGTH_MAX).then_some(ty)
    }

    /// Digits behind the point.
    pub(super) fn scale(&self) -> usize {
        self.scale
    }

    fn packed_length(&self) -> usize {
        self.groups().map(|digits| DIGIT_BYTES[digits]).sum()
    }

    /// How many digits each stored group has: the odd ones stand first before the point and last behind it.
    fn groups(&self) -> impl Iterator<Item = usize> + use<> {
        let nines = |digits: usize| std::iter::repeat_n(9, digits / 9);
        std::iter::once(self.whole % 9)
            .chain(nines(self.whole))
            .chain(nines(self.scale))
            .chain(std::iter::once(self.scale % 9))
            .filter(|&digits| digits > 0)
    }

    /// Takes a packed value as the log has it.
    pub(super) fn read_packed(&self, cell: &[u8]) -> Option<PackedDecimal> {
        let length = self.packed_length();
        let mut bytes = [0; LENGTH_MAX];
        bytes.get_mut(..length)?.copy_from_slice(cell.get(..length)?);
        (cell.len() == length).then_some(PackedDecimal { bytes, length })
    }

    /// Packs digits as a result has them.
    pub(super) fn read_text(&self, text: &[u8]) -> Option<PackedDecimal> {
        let (is_negative, digits) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let point = digits.iter().position(|&byte| byte == b'.').unwrap_or(digits.len());
        let whole = digits.get(..point)?;
        let whole = whole.get(whole.iter().take_while(|&&digit| digit == b'0').count()..)?;
        let behind = digits.get(point + 1..).unwrap_or_default();
        if digits.is_empty() || whole.len() > self.whole || behind.len() > self.scale {
            return None;
        }
        let zeros = |count| std::iter::repeat_n(&b'0', count);
        let mut all = zeros(self.whole - whole.len())
            .chain(whole)
            .chain(behind)
            .chain(zeros(self.scale - behind.len()));
        let mut packed = PackedDecimal { bytes: [0; LENGTH_MAX], length: 0 };
        let mut is_zero = true;
        for count in self.groups() {
            let mut group = 0u32;
            for _ in 0..count {
                let digit = char::from(*all.next()?).to_digit(10)?;
                group = group * 10 + digit;
            }
            is_zero &= group == 0;
            let width = DIGIT_BYTES[count];
            let end = packed.length + width;
            let stored = group.to_be_bytes();
            packed.bytes.get_mut(packed.length..end)?.copy_from_slice(stored.get(4 - width..)?);
            packed.length = end;
        }
        *packed.bytes.first_mut()? ^= 0x80;
        if is_negative && !is_zero {
            packed.bytes.iter_mut().take(packed.length).for_each(|byte| *byte = !*byte);
        }
        Some(packed)
    }

    /// Prints a packed value: no leading zeros, all digits behind the point.
    pub(super) fn text(&self, packed: &PackedDecimal) -> String {
        let mut bytes = packed.bytes;
        let is_negative = bytes[0] & 0x80 == 0;
        if is_negative {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        bytes[0] ^= 0x80;
        let mut digits = String::with_capacity(70);
        let mut rest = bytes.get(..packed.length).unwrap_or_default();
        for count in self.groups() {
            let (group, behind) = rest.split_at_checked(DIGIT_BYTES[count]).unwrap_or_default();
            rest = behind;
            let value = group.iter().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
            digits.push_str(&format!("{value:0count$}"));
        }
        let (whole, behind) = digits.split_at_checked(self.whole).unwrap_or_default();
        let whole = whole.trim_start_matches('0');
        let sign = if is_negative { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if behind.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{behind}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(precision: u8, scale: u8, text: &str, packed: &[u8], printed: &str) {
        let ty = DecimalType::new(precision, scale).unwrap();
        let value = ty.read_text(text.as_bytes()).unwrap();
        assert_eq!(value.as_bytes(), packed);
        assert_eq!(ty.read_packed(packed), Some(value));
        assert_eq!(ty.text(&value), printed);
    }

    #[test]
    fn digits_are_packed_as_the_server_packs_them() {
        let packed = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        check(14, 4, "1234567890.1234", &packed, "1234567890.1234");
        let inverted: Vec<u8> = packed.iter().map(|byte| !byte).collect();
        check(14, 4, "-1234567890.1234", &inverted, "-1234567890.1234");
        check(5, 2, "-0.00", &[0x80, 0, 0], "0.00");
        check(2, 2, ".5", &[0x80 | 50], "0.50");
        check(5, 0, "00012", &[0x80, 0, 12], "12");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let ty = DecimalType::new(5, 2).unwrap();
        for text in ["", "-", "1234", "1.234", "1e3", "1.2.3", "x"] {
            assert_eq!(ty.read_text(text.as_bytes()), None, "{text}");
        }
        assert_eq!(ty.read_packed(&[0x80, 0]), None);
        assert_eq!(ty.read_packed(&[0x80, 0, 0, 0]), None);
        assert!(DecimalType::new(65, 30).is_some() && DecimalType::new(2, 3).is_none());
    }

    proptest! {
        #[test]
        fn packed_bytes_sort_as_the_numbers(
            a in -99_999_999_999i64..=99_999_999_999, b in -99_999_999_999i64..=99_999_999_999
        ) {
            let ty = DecimalType::new(14, 3).unwrap();
            let text = |value: i64| {
                let sign = if value < 0 { "-" } else { "" };
                let value = value.unsigned_abs();
                format!("{sign}{}.{:03}", value / 1000, value % 1000)
            };
            let pack = |value: i64| ty.read_text(text(value).as_bytes()).unwrap();
            prop_assert_eq!(pack(a).as_bytes().cmp(pack(b).as_bytes()), a.cmp(&b));
            prop_assert_eq!(ty.text(&pack(a)), text(a));
        }
    }
}
