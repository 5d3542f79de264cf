//! Preflight of the selected tables: are there any, may they be read, can they be captured, does the log see all of it.

use cdc_api::{Finding, Severity, TableId};

use super::{
    discover::{Discovery, quoted},
    grants::Grants,
    preflight::finding,
    server::ServerInfo,
    table::TableMeta,
};
use crate::{
    config::MySqlConfig,
    types::{Flavor, key_columns},
    wire::{Connection, WireError},
};

/// How many tables a message names.
const NAMED_MAX: usize = 5;
/// How many tables are asked for their foreign keys, each by a statement of its own.
const CASCADES_TABLES_MAX: usize = 2000;
/// Engines whose changes become visible when they are committed.
const TRANSACTIONAL_ENGINES: [&str; 4] = ["innodb", "rocksdb", "tokudb", "xtradb"];

/// Why a table cannot be captured, with the remedy; none when it can.
pub fn refusal(table: &TableMeta) -> Option<(String, String)> {
    let id = &table.id;
    if !TRANSACTIONAL_ENGINES.contains(&table.engine.to_ascii_lowercase().as_str()) {
        return Some((
            format!("table \"{id}\" has the engine {}, which has no transactions", table.engine),
            format!("ALTER TABLE {} ENGINE = InnoDB", quoted(id)),
        ));
    }
    if key_columns(table).is_empty() {
        return Some((
            format!(
                "table \"{id}\" has no primary key and no unique key of NOT NULL columns without prefix"
            ),
            format!("ALTER TABLE {} ADD PRIMARY KEY (…)", quoted(id)),
        ));
    }
    None
}

/// Checks what was discovered.
pub(super) fn tables(
    config: &MySqlConfig,
    found: &Discovery,
    grants: &Grants,
    account: &str,
) -> cdc_api::Result<Vec<Finding>> {
    let refused = found.refused.iter().map(|refused| &refused.table);
    let ids: Vec<&TableId> = found.tables.iter().map(|table| &table.id).chain(refused).collect();
    let mut out = no_match(&config.tables.rules_without_table(&ids)?, ids.is_empty(), account);
    let unreadable: Vec<String> = found
        .tables
        .iter()
        .filter(|table| !grants.may_select(&table.id))
        .map(|table| quoted(&table.id))
        .collect();
    if !unreadable.is_empty() {
        let statements: Vec<String> = unreadable
            .iter()
            .take(NAMED_MAX)
            .map(|table| format!("GRANT SELECT ON {table} TO {account}"))
            .collect();
        let message = format!("the account {account} lacks SELECT on {}", listed(&unreadable));
        out.push(finding(Severity::Error, message, &statements.join("; ")));
    }
    for refused in &found.refused {
        out.push(finding(Severity::Warning, quarantined(&refused.reason), &refused.remedy));
    }
    for table in &found.tables {
        if let Some((reason, remedy)) = refusal(table) {
            out.push(finding(Severity::Warning, quarantined(&reason), &remedy));
        }
    }
    Ok(out)
}

fn quarantined(reason: &str) -> String {
    format!("{reason}: it will be quarantined")
}

fn no_match(idle_rules: &[String], none_at_all: bool, account: &str) -> Vec<Finding> {
    if none_at_all {
        return vec![finding(
            Severity::Error,
            format!("no table matches `tables`: {}", idle_rules.join(", ")),
            &format!(
                "check the patterns; tables are visible only with a grant on them: GRANT SELECT ON database.* TO {account}"
            ),
        )];
    }
    idle_rules
        .iter()
        .map(|rule| {
            let message = format!("the pattern \"{rule}\" of `tables` matches no table now");
            finding(Severity::Warning, message, "")
        })
        .collect()
}

fn listed(names: &[String]) -> String {
    let shown = names.get(..NAMED_MAX).unwrap_or(names).join(", ");
    match names.len().checked_sub(NAMED_MAX) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// Looks for foreign keys that change rows of captured tables inside the engine, where no log sees it. Asks table by
/// table, because `information_schema` shows constraints only to accounts that may do more than SELECT.
pub(super) async fn cascades(
    connection: &mut Connection,
    server: &ServerInfo,
    tables: &[TableMeta],
) -> Result<Vec<Finding>, WireError> {
    let mut names = Vec::new();
    for table in tables.iter().take(CASCADES_TABLES_MAX) {
        let sql = format!("SHOW CREATE TABLE {}", quoted(&table.id));
        match connection.query(&sql).await {
            Ok(rows) => {
                let statement = rows.first().and_then(|row| row.text_at(1)).unwrap_or_default();
                if has_cascade(&statement) {
                    names.push(table.id.to_string());
                }
            }
            // Gone meanwhile, or not to be read, which is named already.
            Err(WireError::Server { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut out: Vec<Finding> = cascading(server, &names).into_iter().collect();
    if let Some(more) = tables.len().checked_sub(CASCADES_TABLES_MAX).filter(|&more| more > 0) {
        let message = format!("the foreign keys of {more} more tables were not looked at");
        out.push(finding(Severity::Note, message, ""));
    }
    Ok(out)
}

/// Whether a CREATE TABLE has a foreign key that changes the table's own rows.
fn has_cascade(statement: &str) -> bool {
    statement.lines().map(str::trim).any(|line| {
        let is_key = line.starts_with("CONSTRAINT ") && line.contains(" FOREIGN KEY (");
        let acts = ["DELETE", "UPDATE"].iter().any(|event| {
            ["CASCADE", "SET NULL", "SET DEFAULT"]
                .iter()
                .any(|action| line.contains(&format!(" ON {event} {action}")))
        });
        is_key && acts
    })
}

fn cascading(server: &ServerInfo, names: &[String]) -> Option<Finding> {
    if names.is_empty() {
        return None;
    }
    let remedy = match server.flavor {
        Flavor::MySql if server.version >= (9, 6, 0) => {
            "in the server's my.cnf: innodb_native_foreign_keys=OFF, and restart it"
        }
        Flavor::MySql => {
            "MySQL 9.6 and newer log such changes; before, let the application or triggers make them"
        }
        Flavor::MariaDb => "let the application or triggers make such changes",
    };
    let message = format!(
        "foreign keys with CASCADE or SET NULL change rows of {} without a trace in the log",
        listed(names)
    );
    Some(finding(Severity::Warning, message, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metadata::server::tests::server, types::Flavor};

    fn table(engine: &str, primary_key: Vec<usize>, unique_keys: Vec<Vec<usize>>) -> TableMeta {
        TableMeta {
            id: TableId::new("shop", "orders"),
            columns: Vec::new(),
            primary_key,
            unique_keys,
            engine: engine.into(),
            rows_estimated: None,
            comment: String::new(),
        }
    }

    #[test]
    fn keyless_and_non_transactional_tables_are_refused_by_name() {
        assert_eq!(refusal(&table("InnoDB", vec![0], vec![])), None);
        assert_eq!(refusal(&table("InnoDB", vec![], vec![vec![1]])), None);
        let (reason, remedy) = refusal(&table("InnoDB", vec![], vec![])).unwrap();
        assert!(reason.contains("shop.orders") && remedy.contains("ADD PRIMARY KEY"));
        let (reason, remedy) = refusal(&table("MyISAM", vec![0], vec![])).unwrap();
        assert!(reason.contains("MyISAM") && remedy.ends_with("ENGINE = InnoDB"));
    }

    #[test]
    fn no_table_at_all_is_an_error_and_an_idle_pattern_a_warning() {
        let rules = ["shop.x".to_owned()];
        assert_eq!(no_match(&rules, true, "'u'@'%'")[0].severity, Severity::Error);
        let idle = no_match(&rules, false, "'u'@'%'");
        assert_eq!(idle[0].severity, Severity::Warning);
        assert!(idle[0].message.contains("shop.x"));
    }

    #[test]
    fn cascades_are_found_in_keys_and_not_in_comments() {
        let key = "CREATE TABLE `c` (\n  `p` int,\n  CONSTRAINT `k` FOREIGN KEY (`p`) REFERENCES `x` (`a`) ON DELETE CASCADE\n)";
        assert!(has_cascade(key));
        assert!(has_cascade(&key.replace("DELETE CASCADE", "UPDATE SET NULL")));
        assert!(!has_cascade(&key.replace(" ON DELETE CASCADE", "")));
        assert!(!has_cascade(
            "CREATE TABLE `c` (\n  `p` int COMMENT ' FOREIGN KEY ( ON DELETE CASCADE'\n)"
        ));
        let finding = cascading(&server(Flavor::MariaDb, &[]), &["shop.orders".into()]).unwrap();
        assert!(finding.message.contains("shop.orders"));
        assert_eq!(cascading(&server(Flavor::MySql, &[]), &[]), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..7).map(|at| format!("t{at}")).collect();
        assert_eq!(listed(&names), "t0, t1, t2, t3, t4 and 2 more");
        assert_eq!(listed(&names[..5]), "t0, t1, t2, t3, t4");
    }
}
