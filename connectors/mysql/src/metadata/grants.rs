//! What the account may do, read from SHOW GRANTS.
//!
//! Both products print one GRANT per object: `*.*`, `database`.* (with the wildcards `_` and `%`), or one table. Partial
//! revokes of MySQL are REVOKE lines.

use cdc_api::TableId;

/// The account's privileges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    given: Vec<Grant>,
    revoked: Vec<Grant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    /// Upper case, without column lists.
    privileges: Vec<String>,
    on: Scope,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    All,
    Database(String),
    Table(String, String),
}

impl Grants {
    /// Reads the lines of SHOW GRANTS; what is no privilege on tables (roles, routines, proxies) is skipped.
    pub(crate) fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Grants {
        let mut grants = Grants::default();
        for line in lines {
            if let Some(rest) = line.strip_prefix("GRANT ") {
                grants.given.extend(Grant::parse(rest));
            } else if let Some(rest) = line.strip_prefix("REVOKE ") {
                grants.revoked.extend(Grant::parse(rest));
            }
        }
        grants
    }

    /// Whether one of these global privileges is there; the names are alternatives of one meaning.
    pub(crate) fn has_global(&self, names: &[&str]) -> bool {
        self.given.iter().any(|grant| grant.on == Scope::All && grant.has(names))
    }

    /// Whether all columns of a table may be read.
    pub(crate) fn may_select(&self, table: &TableId) -> bool {
        let Some(database) = table.schema.as_deref() else { return false };
        let covers = |grant: &Grant, all: bool| match &grant.on {
            Scope::All => all,
            Scope::Database(pattern) => like(pattern, database),
            Scope::Table(of, name) => of == database && **name == *table.table,
        };
        // A partial revoke takes back only what is granted on everything.
        let revoked =
            self.revoked.iter().any(|grant| grant.has(&["SELECT"]) && covers(grant, false));
        self.given.iter().any(|grant| grant.has(&["SELECT"]) && covers(grant, !revoked))
    }
}

impl Grant {
    /// Reads `SELECT, INSERT (a, b) ON object TO …`.
    fn parse(text: &str) -> Option<Grant> {
        let (privileges, rest) = split_outside(text, " ON ")?;
        let on = Scope::parse(rest)?;
        let mut names = Vec::new();
        let mut rest = privileges;
        loop {
            let (name, tail) = split_outside(rest, ",").unwrap_or((rest, ""));
            // A privilege on some columns does not read the table.
            if !name.contains('(') {
                names.push(name.trim().to_ascii_uppercase());
            }
            if tail.is_empty() {
                return Some(Grant { privileges: names, on });
            }
            rest = tail;
        }
    }

    fn has(&self, names: &[&str]) -> bool {
        self.privileges.iter().any(|privilege| {
            matches!(privilege.as_str(), "ALL" | "ALL PRIVILEGES") || names.contains(&&**privilege)
        })
    }
}

impl Scope {
    fn parse(text: &str) -> Option<Scope> {
        if text.starts_with("*.*") {
            return Some(Scope::All);
        }
        let (database, rest) = quoted_name(text)?;
        let rest = rest.strip_prefix('.')?;
        if rest.starts_with('*') {
            return Some(Scope::Database(database));
        }
        let (table, _) = quoted_name(rest)?;
        Some(Scope::Table(database, table))
    }
}

/// A name in backticks, or double quotes under ANSI_QUOTES, and what follows.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '`' | '"'))?;
    let mut name = String::new();
    let mut rest = text.get(1..)?;
    loop {
        let end = rest.find(quote)?;
        name.push_str(rest.get(..end)?);
        rest = rest.get(end + 1..)?;
        match rest.strip_prefix(quote) {
            Some(tail) => {
                name.push(quote);
                rest = tail;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Splits at the first separator outside parentheses and backticks.
fn split_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let (mut depth, mut quoted) = (0u32, false);
    for (at, c) in text.char_indices() {
        match c {
            '`' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                if let Some(rest) = text.get(at..)?.strip_prefix(separator) {
                    return Some((text.get(..at)?, rest));
                }
            }
            _ => {}
        }
    }
    None
}

/// A database pattern of GRANT: `%` any text, `_` any character, `\` makes the next one plain.
fn like(pattern: &str, name: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    let mut name_rest = name.chars();
    loop {
        let Some(c) = pattern_rest.next() else { return name_rest.next().is_none() };
        match c {
            '%' => {
                let tail = pattern_rest.as_str();
                let starts = name_rest.as_str();
                return starts
                    .char_indices()
                    .map(|(at, _)| at)
                    .chain([starts.len()])
                    .any(|at| starts.get(at..).is_some_and(|name| like(tail, name)));
            }
            '_' if name_rest.next().is_some() => {}
            '_' => return false,
            '\\' => {
                let plain = pattern_rest.next().unwrap_or('\\');
                if name_rest.next() != Some(plain) {
                    return false;
                }
            }
            c => {
                if name_rest.next() != Some(c) {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_select(lines: &[&str], database: &str, table: &str) -> bool {
        Grants::parse(lines.iter().copied()).may_select(&TableId::new(database, table))
    }

    #[test]
    fn the_usual_grants_of_both_products_are_read() {
        let mysql = Grants::parse([
            "GRANT SELECT, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `cdc`@`%`",
            "GRANT XA_RECOVER_ADMIN ON *.* TO `cdc`@`%`",
            "GRANT `reader`@`%` TO `cdc`@`%`",
        ]);
        assert!(
            mysql.has_global(&["REPLICATION SLAVE"]) && mysql.has_global(&["XA_RECOVER_ADMIN"])
        );
        assert!(!mysql.has_global(&["LOCK TABLES"]));
        assert!(mysql.may_select(&TableId::new("shop", "orders")));
        let maria = Grants::parse([
            "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` IDENTIFIED BY PASSWORD '*11' WITH GRANT OPTION",
        ]);
        assert!(maria.has_global(&["BINLOG MONITOR"]));
    }

    #[test]
    fn select_on_a_database_or_table_counts_there_only() {
        let lines = [
            r"GRANT SELECT ON `shop\_1`.* TO `u`@`%`",
            "GRANT SELECT, INSERT ON `app`.`users` TO `u`@`%`",
        ];
        assert!(may_select(&lines, "shop_1", "orders"));
        assert!(!may_select(&lines, "shopX1", "orders"));
        assert!(may_select(&lines, "app", "users"));
        assert!(!may_select(&lines, "app", "orders"));
        assert!(may_select(&["GRANT SELECT ON `app%`.* TO `u`@`%`"], "app_eu", "x"));
        assert!(may_select(&["GRANT SELECT ON `a_p`.* TO `u`@`%`"], "abp", "x"));
    }

    #[test]
    fn columns_alone_and_partial_revokes_do_not_read_a_table() {
        assert!(!may_select(&["GRANT SELECT (`a`, `b`), UPDATE ON `s`.`t` TO `u`@`%`"], "s", "t"));
        let lines = ["GRANT SELECT ON *.* TO `u`@`%`", "REVOKE SELECT ON `secret`.* FROM `u`@`%`"];
        assert!(may_select(&lines, "shop", "t"));
        assert!(!may_select(&lines, "secret", "t"));
    }

    #[test]
    fn odd_lines_are_skipped() {
        let lines = [
            "GRANT USAGE ON *.* TO `u`@`%`",
            "GRANT PROXY ON ``@`` TO `root`@`localhost`",
            "GRANT EXECUTE ON PROCEDURE `s`.`p` TO `u`@`%`",
            "GRANT SELECT ON `broken",
            "nonsense",
        ];
        assert!(!may_select(&lines, "s", "t"));
    }
}
