//! `scan.incremental.snapshot.chunk.key-column`: `db.t_[0-9]+:col;db2.x:col2`.

use cdc_api::{OptionFault, Result, TableId, pattern::Selectors};

const KEY: &str = "scan.incremental.snapshot.chunk.key-column";

/// The user's chunk key columns by table pattern.
#[derive(Debug, Clone, Default)]
pub struct ChunkKeys {
    rules: Vec<(Selectors, String)>,
}

impl ChunkKeys {
    pub(super) fn parse(text: &str) -> Result<ChunkKeys, OptionFault> {
        let mut rules = Vec::new();
        let mut offset = 0;
        for rule in text.split(';') {
            if !rule.trim().is_empty() {
                rules.push(Self::rule(rule, offset)?);
            }
            offset += rule.len() + 1;
        }
        Ok(ChunkKeys { rules })
    }

    fn rule(rule: &str, offset: usize) -> Result<(Selectors, String), OptionFault> {
        let Some((tables, column)) = rule.rsplit_once(':') else {
            return Err(OptionFault::new(KEY, format!("\"{}\" names no column", rule.trim()))
                .at(offset)
                .hint("write database.table:column, several between semicolons"));
        };
        if column.trim().is_empty() {
            let at = offset + tables.len();
            return Err(OptionFault::new(KEY, "the column's name is missing").at(at));
        }
        match Selectors::parse(tables) {
            Ok(selectors) => Ok((selectors, column.trim().to_owned())),
            Err(mut error) => {
                error.offset += offset;
                Err(error.into_fault(KEY))
            }
        }
    }

    /// The column for a table: of the first rule that matches it.
    ///
    /// # Errors
    /// `Config` when a pattern with look-around ran out of steps on this name.
    pub fn column(&self, table: &TableId) -> Result<Option<&str>> {
        for (tables, column) in &self.rules {
            if tables.is_match(table)? {
                return Ok(Some(column));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_rule_names_the_column() {
        let keys = ChunkKeys::parse("shop.t_[0-9]+:code; shop.x:id2;").unwrap();
        let column = |table| keys.column(&TableId::new("shop", table)).unwrap();
        assert_eq!(column("t_42"), Some("code"));
        assert_eq!(column("x"), Some("id2"));
        assert_eq!(column("y"), None);
    }

    #[test]
    fn faults_point_into_the_text() {
        let fault = ChunkKeys::parse("shop.x:id;shop.y").unwrap_err();
        assert_eq!(fault.offset, Some(10));
        assert!(ChunkKeys::parse("shop.x: ").is_err());
        let fault = ChunkKeys::parse("shop.x:id;shop.(:id").unwrap_err();
        assert!(fault.offset.is_some_and(|at| at >= 10));
    }
}
