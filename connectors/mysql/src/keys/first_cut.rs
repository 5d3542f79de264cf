//! The first cut of a table into a few segments, so that readers work side by side. Bounds need no exactness
//! (correctness §2): integers are cut evenly between the least and the greatest; other keys at the rows found behind a
//! few guessed values. Nothing here reads more than a handful of rows, however big the table is.

use cdc_incremental::Bound;

use super::{
    Form, KeyCodec, KeyError, KeyLiteral,
    chunk::{order_by, source},
    component::KeyType,
    decimal::DecimalType,
    network::{Address, Network},
    temporal::Civil,
    value::{Value, hex_literal},
};

/// Fewer rows are not worth cutting.
const ROWS_MIN: u64 = 20_000;
/// More segments than this would be a mistake of the caller.
const SEGMENTS_MAX: usize = 64;

/// The way to a table's first bounds: run [`FirstCut::ends_queries`], then the queries among [`FirstCut::probes`].
#[derive(Debug, Clone, Copy)]
pub struct FirstCut<'c> {
    codec: &'c KeyCodec,
    segments: usize,
}

/// A bound, or how to find one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A bound.
    Bound(Bound<KeyLiteral>),
    /// The statement whose row, if there is one, is a bound: the key's select expressions.
    Query(String),
}

impl KeyCodec {
    /// How to cut the table into about this many segments; none when it is too small for that.
    pub fn first_cut(&self, rows_estimated: Option<u64>, segments: usize) -> Option<FirstCut<'_>> {
        let is_small = rows_estimated.is_some_and(|rows| rows < ROWS_MIN);
        let segments = segments.min(SEGMENTS_MAX);
        (!is_small && segments > 1).then_some(FirstCut { codec: self, segments })
    }
}

impl FirstCut<'_> {
    /// The statements that give the first and the last key: the key's select expressions, one row or none each.
    pub fn ends_queries(&self) -> [String; 2] {
        ["", " DESC"].map(|direction| self.one_row("", direction))
    }

    fn one_row(&self, condition: &str, direction: &str) -> String {
        let codec = self.codec;
        let expressions = codec.select_expressions().join(", ");
        let (source, order) = (source(codec), order_by(codec, direction));
        format!("SELECT {expressions} FROM {source}{condition}{order} LIMIT 1")
    }

    /// The bounds between the first and the last key, in key order as far as they are known, or the statements that find
    /// them. None at all when the first column tells too little.
    ///
    /// # Errors
    /// When a cell is no value of its column.
    pub fn probes(
        &self,
        first: &[Option<&[u8]>],
        last: &[Option<&[u8]>],
    ) -> Result<Vec<Probe>, KeyError> {
        let (Some(low), Some(high)) = (self.first_value(first)?, self.first_value(last)?) else {
            return Ok(Vec::new());
        };
        let Some(component) = self.codec.components().first() else { return Ok(Vec::new()) };
        let mut probes = Vec::new();
        for step in 1..self.segments {
            let at = Fraction { step: step as u64, of: self.segments as u64 };
            let probe = match (&low, &high) {
                (Value::Signed(low), Value::Signed(high)) => {
                    let value = at.between(i128::from(*low), i128::from(*high));
                    i64::try_from(value).ok().and_then(|value| self.bound(&Value::Signed(value)))
                }
                (Value::Unsigned(low), Value::Unsigned(high)) => {
                    let value = at.between(i128::from(*low), i128::from(*high));
                    u64::try_from(value).ok().and_then(|value| self.bound(&Value::Unsigned(value)))
                }
                _ => at.literal(&component.ty, &low, &high).map(|literal| {
                    let condition = format!(" WHERE {} >= {literal}", component.quoted);
                    Probe::Query(self.one_row(&condition, ""))
                }),
            };
            probes.extend(probe);
        }
        probes.dedup();
        Ok(probes)
    }

    fn first_value<'c>(&self, cells: &[Option<&'c [u8]>]) -> Result<Option<Value<'c>>, KeyError> {
        let mut first = None;
        self.codec.read(cells.iter().copied(), Form::Result, |index, _, value| {
            if index == 0 {
                first = Some(value);
            }
        })?;
        Ok(first)
    }

    fn bound(&self, value: &Value<'_>) -> Option<Probe> {
        self.codec.bound_behind(value).map(Probe::Bound)
    }
}

/// A part of the way from the first key to the last.
#[derive(Debug, Clone, Copy)]
struct Fraction {
    step: u64,
    of: u64,
}

impl Fraction {
    fn between(self, low: i128, high: i128) -> i128 {
        low + (high - low) * i128::from(self.step) / i128::from(self.of)
    }

    fn between_floats(self, low: f64, high: f64) -> f64 {
        low + (high / self.of as f64 - low / self.of as f64) * self.step as f64
    }

    /// A literal about this far between the two values; none when they tell nothing.
    fn literal(self, ty: &KeyType, low: &Value<'_>, high: &Value<'_>) -> Option<String> {
        match (ty, low, high) {
            (_, Value::Float(low), Value::Float(high)) => {
                let value = self.between_floats(*low, *high);
                value.is_finite().then(|| format!("{value:e}"))
            }
            (KeyType::Decimal(ty), Value::Decimal(low), Value::Decimal(high)) => {
                let number = |value| ty.text(value).parse::<f64>().ok();
                self.decimal(*ty, number(low)?, number(high)?)
            }
            (_, Value::Time(low), Value::Time(high)) => {
                let micros = self.between(i128::from(*low), i128::from(*high));
                super::value::literal(&Value::Time(i64::try_from(micros).ok()?))
            }
            (_, Value::Timestamp(low), Value::Timestamp(high)) => {
                let seconds = self.between(i128::from(low >> 24), i128::from(high >> 24));
                super::value::literal(&Value::Timestamp(u64::try_from(seconds).ok()? << 24))
            }
            (_, Value::Datetime(low), Value::Datetime(high)) => {
                let (low, high) = (Civil::unpack(*low), Civil::unpack(*high));
                Some(format!("'{}'", self.civil(&low, &high)?.text()))
            }
            (_, Value::Date(low), Value::Date(high)) => {
                let (low, high) = (Civil::of_date(*low), Civil::of_date(*high));
                Some(format!("'{}'", self.civil(&low, &high)?.date_text()))
            }
            (KeyType::Text(ty), Value::Text(low), Value::Text(high)) => {
                (!super::component::is_wide(&ty.charset)).then_some(())?;
                self.text(low, high).map(|text| ty.literal(&text))
            }
            (_, Value::Bytes(low), Value::Bytes(high)) => {
                Some(hex_literal(&self.bytes(low, high), 0))
            }
            (KeyType::Network(network), Value::Address(low), Value::Address(high)) => {
                Some(network.literal(&self.address(*network, low, high)))
            }
            _ => None,
        }
    }

    fn decimal(self, ty: DecimalType, low: f64, high: f64) -> Option<String> {
        let value = self.between_floats(low, high);
        value.is_finite().then(|| format!("{value:.*}", ty.scale()))
    }

    fn civil(self, low: &Civil, high: &Civil) -> Option<Civil> {
        // A zero or partial date at an end counts as the first day that there is.
        let seconds = |civil: &Civil| civil.epoch_seconds().map_or(-62_135_596_800, i128::from);
        let between = self.between(seconds(low), seconds(high));
        Some(Civil::of_epoch(i64::try_from(between).ok()?, 0))
    }

    /// Six bytes behind what both begin with are plenty to tell segments apart.
    fn bytes(self, low: &[u8], high: &[u8]) -> Vec<u8> {
        let common = low.iter().zip(high).take_while(|(low, high)| low == high).count();
        let number = |bytes: &[u8]| {
            let behind = bytes.iter().skip(common).chain(std::iter::repeat(&0)).take(6);
            behind.fold(0i128, |value, &byte| value << 8 | i128::from(byte))
        };
        let between = self.between(number(low), number(high)).to_be_bytes();
        let mut value = low.get(..common).unwrap_or_default().to_vec();
        value.extend_from_slice(&between[10..]);
        value
    }

    /// Texts are guessed among digits and small letters, which are valid in every charset and sort alike everywhere; of
    /// hexadecimal texts only among their own digits.
    fn text(self, low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let common = low.iter().zip(high).take_while(|(low, high)| low == high).count();
        let rest = |bytes: &[u8]| bytes.iter().skip(common).copied().collect::<Vec<u8>>();
        let (low_rest, high_rest) = (rest(low), rest(high));
        let is_hex =
            |bytes: &[u8]| bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        let digits = if is_hex(&low_rest) && is_hex(&high_rest) { 16 } else { ALPHABET.len() };
        let place = |byte: Option<&u8>, otherwise: usize| {
            let small = byte.map(u8::to_ascii_lowercase);
            let found = small.and_then(|small| ALPHABET.iter().position(|&digit| digit == small));
            found.unwrap_or(otherwise).min(digits - 1)
        };
        let number = |rest: &[u8], otherwise: usize| {
            place(rest.first(), otherwise) * digits + place(rest.get(1), otherwise)
        };
        let (from, to) = (number(&low_rest, 0), number(&high_rest, digits - 1));
        let between = self.between(i128::try_from(from).ok()?, i128::try_from(to).ok()?);
        let between = usize::try_from(between).ok()?;
        let prefix = low.get(..common)?;
        let mut text = if prefix.is_ascii() { prefix.to_vec() } else { return None };
        text.push(*ALPHABET.get(between / digits)?);
        text.push(*ALPHABET.get(between % digits)?);
        Some(text)
    }

    fn address(self, network: Network, low: &Address, high: &Address) -> Address {
        let mut bytes = [0; 16];
        if network == Network::Uuid && low.0[6] >> 4 < 6 && high.0[6] >> 4 < 6 {
            // These sort by their last segment first.
            let node = self.bytes(&low.0[10..], &high.0[10..]);
            bytes[6] = 0x40;
            bytes[8] = 0x80;
            bytes[10..].iter_mut().zip(node).for_each(|(byte, value)| *byte = value);
        } else {
            let value = self.bytes(&low.0, &high.0);
            bytes.iter_mut().zip(value).for_each(|(byte, value)| *byte = value);
        }
        Address(bytes)
    }
}
