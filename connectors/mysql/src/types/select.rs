//! How a SELECT fetches a column, so that the rows it returns go through the same converters as the log's.

use super::{Flavor, Kind};
use crate::metadata::ColumnMeta;

/// A name in backticks, with its own backticks doubled.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The select expression of one column. ENUM and SET come as their numbers, as the log has them; all else as it is
/// stored (with `character_set_results = NULL` and the binary protocol, correctness §7).
pub fn select_expression(column: &ColumnMeta, _flavor: Flavor) -> String {
    let quoted = quote_identifier(&column.name);
    match Kind::of(column) {
        // `+ 0` would go through DOUBLE and lose the upper bits of a SET of 64 members.
        Ok(Kind::Enum { .. } | Kind::Set { .. }) => format!("CAST({quoted} AS UNSIGNED)"),
        _ => quoted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::schema::tests::column;

    #[test]
    fn members_are_fetched_by_number() {
        let check = |name, spelled| select_expression(&column(name, spelled), Flavor::MySql);
        assert_eq!(check("a`b", "int"), "`a``b`");
        assert_eq!(check("s", "set('x')"), "CAST(`s` AS UNSIGNED)");
    }
}
