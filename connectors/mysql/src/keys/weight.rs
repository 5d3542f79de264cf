//! Keys that wait for the server: texts whose collation only the server knows, the statements that ask for their weights,
//! and the key bytes once the weights are there.

use super::{
    KeyCodec, KeyError,
    collation::TextOrder,
    component::{Component, TextType},
    order::{put_padded, put_plain},
    value::hex_literal,
};

/// A bound on one statement; a single text is never longer than a key may be, 3 KiB.
const STATEMENT_BYTES_MAX: usize = 256 * 1024;
/// A bound on the columns of its one row.
const COLUMNS_MAX: usize = 512;
/// No character has more weights in a level than U+FDFA with 18, and no charset of such a collation needs fewer than two
/// bytes for it.
const WEIGHTS_PER_CHARACTER_MAX: usize = 18;
const WEIGHTS_PER_BYTE_MAX: usize = 9;
/// A level of weights is made of two-byte units.
const LEVEL_UNIT_BYTES: usize = 2;

/// A text that the server has to weigh. The answer depends on nothing else, so it may be kept and used again for the same
/// codec.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WeightRequest {
    component: usize,
    text: Box<[u8]>,
}

impl WeightRequest {
    /// What keeping it costs beside the weight.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of::<Self>()
    }
}

/// The part of a key that a weighed text becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight(Box<[u8]>);

impl Weight {
    /// What keeping it costs.
    pub fn bytes(&self) -> usize {
        self.0.len() + size_of::<Self>()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    Weigh(WeightRequest),
}

/// A key of which some columns are texts to be weighed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKey {
    parts: Vec<Part>,
}

impl PendingKey {
    pub(super) fn new() -> Self {
        PendingKey { parts: Vec::new() }
    }

    pub(super) fn push_text(&mut self, component: usize, text: &[u8]) {
        self.parts.push(Part::Weigh(WeightRequest { component, text: text.into() }));
    }

    /// The bytes at the end of the key so far, to be appended to.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        if !matches!(self.parts.last(), Some(Part::Bytes(_))) {
            self.parts.push(Part::Bytes(Vec::new()));
        }
        match self.parts.last_mut() {
            Some(Part::Bytes(bytes)) => bytes,
            _ => unreachable!("the last part was just made one of bytes"),
        }
    }

    /// What the server has to be asked for this key.
    pub fn requests(&self) -> impl Iterator<Item = &WeightRequest> {
        self.parts.iter().filter_map(|part| match part {
            Part::Weigh(request) => Some(request),
            Part::Bytes(_) => None,
        })
    }

    /// Appends the key's bytes to `out`; false, and nothing appended, when `weight_of` lacks a weight.
    pub fn finish<'w>(
        &self,
        mut weight_of: impl FnMut(&WeightRequest) -> Option<&'w Weight>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(bytes),
                Part::Weigh(request) => match weight_of(request) {
                    Some(weight) => out.extend_from_slice(&weight.0),
                    None => {
                        out.truncate(start);
                        return false;
                    }
                },
            }
        }
        true
    }
}

impl KeyCodec {
    /// The statement that has to be run once, before any weight is read: what its collations pad with. Its one row goes
    /// to [`KeyCodec::learn`]. None when no column needs it.
    pub fn probe_query(&self) -> Option<String> {
        let pads: Vec<String> =
            self.texts_to_weigh().filter_map(|(_, text)| pad_expression(text)).collect();
        (!pads.is_empty()).then(|| format!("SELECT {}", pads.join(", ")))
    }

    /// Takes the row of [`KeyCodec::probe_query`].
    ///
    /// # Errors
    /// When it does not fit the collations.
    pub fn learn(&mut self, row: &[Option<&[u8]>]) -> Result<(), KeyError> {
        let mut cells = row.iter();
        let mut pads = vec![None; self.components().len()];
        for (index, text) in self.texts_to_weigh() {
            if pad_expression(text).is_none() {
                continue;
            }
            let pad = cells.next().copied().flatten().unwrap_or_default();
            let is_valid = match text.order {
                TextOrder::Levels { count } => pad.len() == count * LEVEL_UNIT_BYTES,
                _ => !pad.is_empty(),
            };
            if !is_valid {
                return Err(self.weight_error(index));
            }
            if let Some(slot) = pads.get_mut(index) {
                *slot = Some(pad.into());
            }
        }
        self.set_pads(pads);
        Ok(())
    }

    /// The statements that weigh `requests`: each gives one row, and their columns in order are the raw weights of the
    /// requests in order. Each is bounded in bytes and columns.
    pub fn weight_queries(&self, requests: &[&WeightRequest]) -> Vec<String> {
        let mut statements = Vec::new();
        let mut statement = String::new();
        let mut columns = 0;
        for request in requests {
            let expression = self
                .components()
                .get(request.component)
                .and_then(Component::text_to_weigh)
                .map_or_else(|| "NULL".to_owned(), |ty| weigh_literal(ty, &request.text));
            let is_full =
                columns == COLUMNS_MAX || statement.len() + expression.len() > STATEMENT_BYTES_MAX;
            if is_full && columns > 0 {
                statements.push(std::mem::take(&mut statement));
                columns = 0;
            }
            statement.push_str(if columns == 0 { "SELECT " } else { ", " });
            statement.push_str(&expression);
            // A name of its own, or the server sends the expression back as the column's name.
            statement.push_str(" AS w");
            columns += 1;
        }
        if columns > 0 {
            statements.push(statement);
        }
        statements
    }

    /// Turns the raw weight that the server gave for `request` into its part of the key.
    ///
    /// # Errors
    /// When the server gave none, or one of an impossible form.
    pub fn weight(&self, request: &WeightRequest, raw: Option<&[u8]>) -> Result<Weight, KeyError> {
        let index = request.component;
        let error = || self.weight_error(index);
        let ty = self.components().get(index).and_then(Component::text_to_weigh);
        let (ty, raw) = (ty.ok_or_else(error)?, raw.ok_or_else(error)?);
        let mut out = Vec::with_capacity(raw.len() + 8);
        match ty.order {
            TextOrder::Weights { pads: false }
            | TextOrder::TrimmedWeights
            | TextOrder::Bytes { .. } => put_plain(raw, &mut out),
            TextOrder::Weights { pads: true } => {
                let pad = self.pad(index)?;
                if !raw.len().is_multiple_of(pad.len()) {
                    return Err(error());
                }
                put_padded(raw, pad, &mut out);
            }
            TextOrder::Levels { count } => {
                let pads = self.pad(index)?.chunks(LEVEL_UNIT_BYTES);
                let level_bytes = raw.len() / count;
                if raw.is_empty() || !raw.len().is_multiple_of(count * LEVEL_UNIT_BYTES) {
                    return Err(error());
                }
                for (level, pad) in raw.chunks(level_bytes).zip(pads) {
                    put_padded(level, pad, &mut out);
                }
            }
        }
        Ok(Weight(out.into()))
    }

    /// Expressions that weigh the key columns of a row as it is selected, in the order in which
    /// [`PendingKey::requests`] of that row names them; raw weights for [`KeyCodec::weight`].
    pub fn weight_expressions(&self) -> Vec<String> {
        self.components()
            .iter()
            .filter_map(|component| {
                let ty = component.text_to_weigh()?;
                let length = usize::try_from(ty.length).unwrap_or(0);
                Some(weigh(ty, &component.quoted, length * WEIGHTS_PER_CHARACTER_MAX))
            })
            .collect()
    }

    fn texts_to_weigh(&self) -> impl Iterator<Item = (usize, &TextType)> {
        let indexed = self.components().iter().enumerate();
        indexed.filter_map(|(index, component)| Some((index, component.text_to_weigh()?)))
    }

    fn weight_error(&self, index: usize) -> KeyError {
        KeyError::Weight(self.component_name(index))
    }
}

fn weigh_literal(ty: &TextType, text: &[u8]) -> String {
    weigh(ty, &ty.literal(text), text.len() * WEIGHTS_PER_BYTE_MAX)
}

fn weigh(ty: &TextType, expression: &str, weights_max: usize) -> String {
    match ty.order {
        TextOrder::Levels { .. } => {
            format!("WEIGHT_STRING({expression} AS CHAR({}))", weights_max + 1)
        }
        TextOrder::TrimmedWeights => format!("WEIGHT_STRING(RTRIM({expression}))"),
        _ => format!("WEIGHT_STRING({expression})"),
    }
}

fn pad_expression(ty: &TextType) -> Option<String> {
    let TextType { charset, collation, .. } = ty;
    match ty.order {
        TextOrder::Weights { pads: true } => {
            Some(format!("WEIGHT_STRING(CONVERT(' ' USING {charset}) COLLATE {collation})"))
        }
        TextOrder::Levels { .. } => Some(format!(
            "WEIGHT_STRING(_{charset} {} COLLATE {collation} AS CHAR(1))",
            hex_literal(&[], 0)
        )),
        _ => None,
    }
}
