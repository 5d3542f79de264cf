//! The key of one table: its columns, and the way from their cells to key bytes and literals.

use cdc_api::TableId;
use cdc_incremental::{Bound, Key};

use super::{
    Form, KeyError, KeyLiteral, KeyRefused,
    component::Component,
    literal::cut,
    order::successor,
    value::{Value, hex_literal},
    weight::PendingKey,
};
use crate::{
    metadata::TableMeta,
    types::{Flavor, select_expression},
};

/// Knows how one key of one table sorts. Made once for each version of a table.
#[derive(Debug, Clone)]
pub struct KeyCodec {
    table: TableId,
    flavor: Flavor,
    components: Vec<Component>,
    select_expressions: Vec<String>,
    /// What the collation of each component pads with, once it was asked.
    pads: Vec<Option<Box<[u8]>>>,
    is_primary: bool,
    needs_weights: bool,
}

/// What became of a row's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoded {
    /// Its bytes were appended.
    Ready,
    /// Nothing was appended: the server has to weigh some of its texts.
    NeedsWeights(PendingKey),
}

impl KeyCodec {
    /// The codec of the key made of these columns of `table`, in this order.
    ///
    /// # Errors
    /// Which column cannot be part of a key, and why.
    pub fn new(table: &TableMeta, columns: &[usize], flavor: Flavor) -> Result<Self, KeyRefused> {
        let refuse = |column: &str, reason: &str| KeyRefused {
            column: column.to_owned(),
            reason: reason.to_owned(),
        };
        if columns.is_empty() {
            return Err(refuse("", "it has no column"));
        }
        let mut components = Vec::with_capacity(columns.len());
        let mut select_expressions = Vec::with_capacity(columns.len());
        for &column in columns {
            let meta = table.columns.get(column);
            let meta = meta.ok_or_else(|| refuse("", "it names a column that is not there"))?;
            let component =
                Component::new(column, meta).map_err(|reason| refuse(&meta.name, &reason))?;
            components.push(component);
            select_expressions.push(select_expression(meta, flavor));
        }
        Ok(KeyCodec {
            table: table.id.clone(),
            flavor,
            pads: vec![None; components.len()],
            needs_weights: components.iter().any(|part| part.text_to_weigh().is_some()),
            components,
            select_expressions,
            is_primary: table.primary_key == columns,
        })
    }

    /// The table that it belongs to.
    pub fn table(&self) -> &TableId {
        &self.table
    }

    /// Which server it is.
    pub fn flavor(&self) -> Flavor {
        self.flavor
    }

    /// Whether it is the primary key.
    pub fn is_primary(&self) -> bool {
        self.is_primary
    }

    /// The positions of its columns in the table, in key order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.components.iter().map(|component| component.column)
    }

    /// The names of its columns, in key order.
    pub fn column_names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.components.iter().map(|component| component.name.as_str())
    }

    /// How its columns are selected, so that their cells have [`Form::Result`].
    pub fn select_expressions(&self) -> &[String] {
        &self.select_expressions
    }

    /// Whether some of its columns are texts that the server has to weigh.
    pub fn needs_weights(&self) -> bool {
        self.needs_weights
    }

    /// Whether our order of keys has to be checked against the server's before it is relied on: text, and the types of
    /// MariaDB's plugins (correctness §3).
    pub fn needs_order_check(&self) -> bool {
        self.components.iter().any(Component::is_checked)
    }

    /// Appends the bytes of the key made of `cells`, one for each column in key order, to `out`. On an error, and when
    /// weights are needed, `out` is as it was.
    ///
    /// # Errors
    /// When a cell is NULL or no value of its column.
    #[inline]
    pub fn encode<'c>(
        &self,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, KeyError> {
        if self.needs_weights {
            return self.encode_pending(cells, form).map(Encoded::NeedsWeights);
        }
        let start = out.len();
        let result = self.read(cells, form, |_, component, value| component.put_key(&value, out));
        match result {
            Ok(()) => Ok(Encoded::Ready),
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    fn encode_pending<'c>(
        &self,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        form: Form,
    ) -> Result<PendingKey, KeyError> {
        let mut pending = PendingKey::new();
        self.read(cells, form, |index, component, value| match value {
            Value::Text(text) if component.text_to_weigh().is_some() => {
                pending.push_text(index, text);
            }
            _ => component.put_key(&value, pending.bytes()),
        })?;
        Ok(pending)
    }

    /// The same key as literals of the server.
    ///
    /// # Errors
    /// When a cell is NULL or no value of its column.
    pub fn literal<'c>(
        &self,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        form: Form,
    ) -> Result<KeyLiteral, KeyError> {
        let mut values = Vec::with_capacity(self.components.len());
        self.read(cells, form, |_, component, value| values.push(component.literal(&value)))?;
        Ok(KeyLiteral::new(values))
    }

    /// The key in words for a message: as a condition that the server understands, as far as its cells can be read.
    #[cold]
    pub fn describe<'c>(
        &self,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        form: Form,
    ) -> String {
        let condition = |(component, cell): (&Component, Option<&[u8]>)| {
            let Some(cell) = cell else { return format!("{} IS NULL", component.quoted) };
            let value = match component.read(cell, form) {
                Some(value) => component.shown(&value),
                None => hex_literal(cell, 0),
            };
            format!("{} = {}", component.quoted, cut(&value))
        };
        let conditions: Vec<String> = self.components.iter().zip(cells).map(condition).collect();
        conditions.join(" AND ")
    }

    /// The bound behind all keys whose first column is at most `value`; none when there can be none behind it.
    pub(super) fn bound_behind(&self, value: &Value<'_>) -> Option<Bound<KeyLiteral>> {
        let first = self.components.first()?;
        let mut prefix = Vec::new();
        first.put_key(value, &mut prefix);
        let key = if self.components.len() == 1 { prefix } else { successor(&prefix)? };
        let literal = KeyLiteral::new(vec![first.literal(value)]);
        Some(Bound { key: Key::from(key), literal })
    }

    /// Reads each cell and hands it to `each`.
    #[inline]
    pub(super) fn read<'c>(
        &self,
        cells: impl IntoIterator<Item = Option<&'c [u8]>>,
        form: Form,
        mut each: impl FnMut(usize, &Component, Value<'c>),
    ) -> Result<(), KeyError> {
        let mut cells = cells.into_iter();
        for (index, component) in self.components.iter().enumerate() {
            let cell = cells
                .next()
                .ok_or(KeyError::CellCount { expected: self.components.len(), found: index })?;
            let cell = cell.ok_or_else(|| KeyError::Null(component.name.clone()))?;
            let value = component.read(cell, form).ok_or_else(|| KeyError::Malformed {
                column: component.name.clone(),
                length: cell.len(),
            })?;
            each(index, component, value);
        }
        Ok(())
    }

    pub(super) fn components(&self) -> &[Component] {
        &self.components
    }

    pub(super) fn component_name(&self, index: usize) -> String {
        self.components.get(index).map(|component| component.name.clone()).unwrap_or_default()
    }

    pub(super) fn set_pads(&mut self, pads: Vec<Option<Box<[u8]>>>) {
        self.pads = pads;
    }

    pub(super) fn pad(&self, index: usize) -> Result<&[u8], KeyError> {
        let pad = self.pads.get(index).and_then(Option::as_deref);
        pad.ok_or_else(|| KeyError::NotProbed(self.component_name(index)))
    }
}
