//! Encodings of strings whose byte order is the wanted order also when more components follow.

/// Appends `bytes` so that the order is that of the bytes, and a string sorts before those that it begins.
pub(super) fn put_plain(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

const FOLLOWED_BY_LESS: u8 = 1;
const END: u8 = 2;
const FOLLOWED_BY_MORE: u8 = 3;

/// Appends `units` so that the order is that of the units with infinitely many `pad` behind them, which is how PAD SPACE
/// collations compare. Trailing pads vanish; each other pad is followed by a byte that says on which side of an end its
/// run lies, and the end is a pad between the two.
///
/// `units` is a whole number of pads long; a last partial unit is kept as it is.
pub(super) fn put_padded(units: &[u8], pad: &[u8], out: &mut Vec<u8>) {
    let width = pad.len().max(1);
    let mut length = units.len();
    while length >= width && units.get(length - width..length) == Some(pad) {
        length -= width;
    }
    // The side of the run that the current pad belongs to; looked up once a run, so that the whole is linear.
    let mut run_end = 0;
    let mut side = END;
    for (i, unit) in units.get(..length).unwrap_or_default().chunks(width).enumerate() {
        out.extend_from_slice(unit);
        if unit != pad {
            continue;
        }
        let at = i * width;
        if at >= run_end {
            let behind = units.get(at..length).unwrap_or_default();
            let run = behind.chunks(width).take_while(|unit| *unit == pad).count();
            run_end = at + run * width;
            let is_less = behind.chunks(width).nth(run).is_some_and(|unit| unit < pad);
            side = if is_less { FOLLOWED_BY_LESS } else { FOLLOWED_BY_MORE };
        }
        out.push(side);
    }
    out.extend_from_slice(pad);
    out.push(END);
}

/// The least byte string above all that begin with `prefix`; none when there is no such string.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut above = prefix.get(..=last)?.to_vec();
    *above.last_mut()? += 1;
    Some(above)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn plain(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_plain(bytes, &mut out);
        out
    }

    fn padded(units: &[u8], pad: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_padded(units, pad, &mut out);
        out
    }

    /// The definition: both are padded to one length, then compared.
    fn compare_padded(a: &[u8], b: &[u8], pad: &[u8]) -> Ordering {
        let length = a.len().max(b.len());
        let extend = |units: &[u8]| {
            let mut units = units.to_vec();
            while units.len() < length {
                units.extend_from_slice(pad);
            }
            units
        };
        extend(a).cmp(&extend(b))
    }

    fn few_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![0, 1, 0x1f, 0x20, 0x21, 0xff]), 0..7)
    }

    fn few_units() -> impl Strategy<Value = Vec<u8>> {
        let unit = prop::sample::select(vec![[0, 0], [2, 8], [2, 9], [2, 10], [0xff, 0x20]]);
        prop::collection::vec(unit, 0..7).prop_map(|units| units.concat())
    }

    #[test]
    fn successors_lie_above_all_with_the_prefix() {
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[1, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[0xff, 0xff]), None);
    }

    proptest! {
        #[test]
        fn plain_keeps_the_order_of_pairs(
            a in few_bytes(), b in few_bytes(), x in few_bytes(), y in few_bytes()
        ) {
            let key = |first: &[u8], second: &[u8]| [plain(first), plain(second)].concat();
            prop_assert_eq!(key(&a, &x).cmp(&key(&b, &y)), (&a, &x).cmp(&(&b, &y)));
        }

        #[test]
        fn padded_bytes_keep_the_order_of_pairs(
            a in few_bytes(), b in few_bytes(), x in few_bytes(), y in few_bytes()
        ) {
            let key = |first: &[u8], second: &[u8]| [padded(first, b" "), plain(second)].concat();
            let expected = compare_padded(&a, &b, b" ").then(x.cmp(&y));
            prop_assert_eq!(key(&a, &x).cmp(&key(&b, &y)), expected);
        }

        #[test]
        fn padded_units_keep_the_order(a in few_units(), b in few_units()) {
            let pad = [2, 9];
            let expected = compare_padded(&a, &b, &pad);
            prop_assert_eq!(padded(&a, &pad).cmp(&padded(&b, &pad)), expected);
        }
    }
}
