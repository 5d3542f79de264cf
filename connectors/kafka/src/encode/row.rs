//! A row as a JSON object: the names between the cells are finished bytes.

use cdc_api::TableSchema;

use crate::json::{Cells, Style, push_string};

/// The names of a table's columns, ready to be written.
pub(crate) struct RowPlan {
    /// `{"a":` for the first, `,"b":` for the others.
    names: Vec<Vec<u8>>,
    style: Style,
    skips_nulls: bool,
}

impl RowPlan {
    pub(crate) fn new(schema: &TableSchema, style: Style, skips_nulls: bool) -> RowPlan {
        let names = schema.columns().iter().enumerate().map(|(i, column)| {
            let mut name = vec![if i == 0 { b'{' } else { b',' }];
            push_string(&mut name, &column.name);
            name.push(b':');
            name
        });
        RowPlan { names: names.collect(), style, skips_nulls }
    }

    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Appends row `at`.
    pub(crate) fn push(&self, out: &mut Vec<u8>, cells: &[Cells<'_>], at: usize) {
        if self.skips_nulls {
            return self.push_if(out, cells, at, |cells| !cells.is_null(at));
        }
        for (name, cells) in self.names.iter().zip(cells) {
            out.extend_from_slice(name);
            cells.push(out, at);
        }
        out.extend_from_slice(if self.names.is_empty() { b"{}" } else { b"}" });
    }

    /// Appends the columns of row `at` that are wanted.
    pub(crate) fn push_if(
        &self,
        out: &mut Vec<u8>,
        cells: &[Cells<'_>],
        at: usize,
        wanted: impl Fn(&Cells<'_>) -> bool,
    ) {
        out.push(b'{');
        let mut first = true;
        for (name, cells) in self.names.iter().zip(cells) {
            if wanted(cells) {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                out.extend_from_slice(&name[1..]);
                cells.push(out, at);
            }
        }
        out.push(b'}');
    }
}
