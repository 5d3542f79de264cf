//! Which tables are captured: `tables` in either dialect, `tables.exclude`.

use cdc_api::{
    OptionFault, Options, Result, TableId,
    pattern::{RoutePattern, Selectors},
};

/// The tables of a source.
#[derive(Debug, Clone, Default)]
pub struct TableFilter {
    include: Option<Include>,
    exclude: Option<Selectors>,
}

#[derive(Debug, Clone)]
enum Include {
    Selectors(Selectors),
    /// With `scan.binlog.newly-added-table.enabled` the whole text is one regular expression.
    Route(Box<RoutePattern>, String),
}

impl TableFilter {
    pub(super) fn from_options(
        options: &Options,
        faults: &mut Vec<OptionFault>,
    ) -> Option<TableFilter> {
        let text = options.text("tables")?;
        let include = if options.boolean("scan.binlog.newly-added-table.enabled") {
            RoutePattern::parse(text)
                .map(|pattern| Include::Route(Box::new(pattern), text.trim().to_owned()))
                .map_err(|error| error.into_fault("tables"))
        } else {
            selectors("tables", text).map(Include::Selectors)
        };
        let include = include.map_err(|fault| faults.push(fault)).ok();
        let exclude = options.text("tables.exclude").filter(|text| !text.trim().is_empty());
        let exclude = exclude.and_then(|text| {
            selectors("tables.exclude", text).map_err(|fault| faults.push(fault)).ok()
        });
        Some(TableFilter { include, exclude })
    }

    /// Whether a table is captured.
    ///
    /// # Errors
    /// `Config` when a pattern with look-around ran out of steps on this name.
    pub fn is_match(&self, table: &TableId) -> Result<bool> {
        let included = match &self.include {
            None => false,
            Some(Include::Selectors(selectors)) => selectors.is_match(table)?,
            Some(Include::Route(pattern, _)) => pattern.is_match(table)?,
        };
        if !included {
            return Ok(false);
        }
        match &self.exclude {
            None => Ok(true),
            Some(exclude) => Ok(!exclude.is_match(table)?),
        }
    }

    /// The rules of `tables` that match none of these, as written.
    ///
    /// # Errors
    /// As [`TableFilter::is_match`].
    pub fn rules_without_table(&self, tables: &[&TableId]) -> Result<Vec<String>> {
        let mut idle = Vec::new();
        match &self.include {
            None => {}
            Some(Include::Selectors(selectors)) => {
                for rule in selectors.rules() {
                    let mut matched = false;
                    for table in tables {
                        matched = matched || rule.is_match(table)?;
                    }
                    if !matched {
                        idle.push(rule.text().to_owned());
                    }
                }
            }
            Some(Include::Route(pattern, text)) => {
                let mut matched = false;
                for table in tables {
                    matched = matched || pattern.is_match(table)?;
                }
                if !matched {
                    idle.push(text.clone());
                }
            }
        }
        Ok(idle)
    }
}

/// Rules whose names have at least database and table; one part alone would never match.
fn selectors(key: &str, text: &str) -> Result<Selectors, OptionFault> {
    let selectors = Selectors::parse(text).map_err(|error| error.into_fault(key))?;
    for rule in selectors.rules() {
        if rule.parts() < 2 {
            return Err(OptionFault::new(key, format!("\"{}\" names no database", rule.text()))
                .at(rule.offset())
                .hint(format!(r"write database.{0}, or \.*.{0} for any database", rule.text())));
        }
    }
    Ok(selectors)
}
