//! The cells of a binary-protocol row, raw: for rows that are no table's rows (ends of a key, weights).

use crate::wire::{ColumnDef, Payload};

/// Fixed widths of the binary protocol by column type; the rest has a length in front.
fn width(column_type: u8) -> Option<usize> {
    Some(match column_type {
        1 => 1,         // TINY
        2 | 13 => 2,    // SHORT, YEAR
        3 | 4 | 9 => 4, // LONG, FLOAT, INT24
        5 | 8 => 8,     // DOUBLE, LONGLONG
        _ => return None,
    })
}

/// Splits a row packet into the cells of its columns, without their lengths; none is NULL.
pub(crate) fn split<'p>(packet: &'p [u8], columns: &[ColumnDef]) -> Option<Vec<Option<&'p [u8]>>> {
    const NULL_BIT_OFFSET: usize = 2;
    let mut rest = Payload(packet);
    if rest.u8().ok()? != 0 {
        return None;
    }
    let bitmap = rest.bytes((columns.len() + NULL_BIT_OFFSET).div_ceil(8)).ok()?;
    let mut cells = Vec::with_capacity(columns.len());
    for (at, column) in columns.iter().enumerate() {
        let bit = at + NULL_BIT_OFFSET;
        if bitmap.get(bit / 8)? >> (bit % 8) & 1 == 1 {
            cells.push(None);
            continue;
        }
        let cell = match width(column.column_type) {
            Some(width) => rest.bytes(width).ok()?,
            // The NULL mark of text rows has no place in a binary row.
            None => rest.string().ok()??,
        };
        cells.push(Some(cell));
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_split_by_type_and_null_bitmap() {
        let column = |column_type| ColumnDef {
            name: String::new(),
            column_type,
            flags: 0,
            charset: 63,
            decimals: 0,
            length: 0,
        };
        let columns = [column(3), column(253), column(8)];
        let packet = [0, 0b1_0000, 7, 0, 0, 0, 2, b'h', b'i'];
        let cells = split(&packet, &columns).unwrap();
        assert_eq!(cells, [Some(&[7, 0, 0, 0][..]), Some(b"hi"), None]);
        assert!(split(&packet[..8], &columns).is_none());
    }
}
