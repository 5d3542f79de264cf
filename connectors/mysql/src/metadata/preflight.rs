//! Checks before a run: every missing grant and setting by name, with the SQL that mends it.
//!
//! In: a connection, the configuration, the server. Out: findings in the order of the checks. Nothing is changed on the
//! server; what can be tried cheaply is tried, the rest is read from SHOW GRANTS.

use cdc_api::{Finding, Severity};

use super::{discover, grants::Grants, server::ServerInfo, tables_check};
use crate::{
    config::MySqlConfig,
    types::Flavor,
    wire::{Connection, Rows, WireError},
};

/// A finding with its remedy.
pub(super) fn finding(severity: Severity, message: impl Into<String>, remedy: &str) -> Finding {
    let remedy = Some(remedy.to_owned()).filter(|text| !text.is_empty());
    Finding { severity, message: message.into(), remedy }
}

/// Runs all checks.
///
/// # Errors
/// When the server cannot be asked at all.
pub async fn preflight(
    connection: &mut Connection,
    config: &MySqlConfig,
    server: &ServerInfo,
) -> cdc_api::Result<Vec<Finding>> {
    let mut findings = settings(server);
    findings.extend(encryption(connection.is_encrypted(), connection.tls_verified()));
    let grants = grants(connection).await?;
    let account = account(connection).await?;
    findings.extend(privileges(server, &grants, &account));
    findings.extend(log_status(connection, server, &account).await?);
    findings.extend(prepared_transactions(connection, server, &account).await?);
    findings.extend(replica(connection, server).await?);
    let found = discover(connection, &config.tables).await?;
    findings.extend(tables_check::tables(config, &found, &grants, &account)?);
    if server.hides_cascades() {
        findings.extend(tables_check::cascades(connection, server, &found.tables).await?);
    }
    Ok(findings)
}

/// What the variables alone tell.
fn settings(server: &ServerInfo) -> Vec<Finding> {
    let mut out = Vec::new();
    let mut error =
        |message: String, remedy: &str| out.push(finding(Severity::Error, message, remedy));
    let (oldest, name) = match server.flavor {
        Flavor::MySql => ((5, 7, 0), "MySQL 5.7"),
        Flavor::MariaDb => ((10, 3, 0), "MariaDB 10.3"),
    };
    if server.version < oldest {
        error(
            format!("{} is too old, {name} is the oldest that works", server.summary()),
            "upgrade the server",
        );
    }
    if !server.log_bin {
        let remedy = match server.flavor {
            Flavor::MySql => {
                "in the server's my.cnf under [mysqld]: server-id=1 and log-bin=binlog; then restart it"
            }
            Flavor::MariaDb => {
                "in the server's my.cnf under [mariadb]: server-id=1, log-bin=binlog and binlog-format=ROW; then restart it"
            }
        };
        error("the binlog is off (log_bin=OFF), so there are no changes to read".into(), remedy);
        return out;
    }
    if server.server_id == 0 {
        error(
            "server_id is 0, and such a server refuses replicas".into(),
            &set_global(server, "server_id = 1"),
        );
    }
    if !server.binlog_format.is_empty() && server.binlog_format != "ROW" {
        error(
            format!(
                "binlog_format is {}, so changes are logged as statements",
                server.binlog_format
            ),
            &set_global(server, "binlog_format = 'ROW'"),
        );
    }
    if !matches!(server.binlog_row_image.as_str(), "FULL" | "FULL_NODUP" | "") {
        error(
            format!("binlog_row_image is {}, so rows are logged in part", server.binlog_row_image),
            &set_global(server, "binlog_row_image = 'FULL'"),
        );
    }
    // PARTIAL_JSON beside whole images tells all.
    if !matches!(server.binlog_row_value_options.as_str(), "" | "PARTIAL_JSON") {
        error(
            format!(
                "binlog_row_value_options is {}, which is not known here",
                server.binlog_row_value_options
            ),
            &set_global(server, "binlog_row_value_options = ''"),
        );
    }
    if server.flavor == Flavor::MySql && !server.proves_by_gtid() {
        let mode = server.gtid_mode.as_deref().unwrap_or("OFF");
        out.push(finding(
            Severity::Note,
            format!("gtid_mode is {mode}, so that chunks are read FOR SHARE: they wait for open transactions on their rows"),
            "gtid_mode=ON with enforce_gtid_consistency=ON reads them without locks",
        ));
    }
    if matches!(server.binlog_row_metadata.as_str(), "MINIMAL" | "NO_LOG") {
        out.push(finding(
            Severity::Note,
            format!("binlog_row_metadata is {}, so the log cannot be checked against the tables' column names", server.binlog_row_metadata),
            &set_global(server, "binlog_row_metadata = 'FULL'"),
        ));
    }
    out
}

/// The statement that changes a global variable so that it survives a restart, where there is one.
fn set_global(server: &ServerInfo, assignment: &str) -> String {
    match server.flavor {
        Flavor::MySql if server.version >= (8, 0, 0) => format!("SET PERSIST {assignment}"),
        _ => format!("SET GLOBAL {assignment} -- and the same in my.cnf"),
    }
}

fn encryption(encrypted: bool, verified: bool) -> Option<Finding> {
    if verified {
        return None;
    }
    let message = if encrypted {
        "the connection is encrypted, but the server's certificate is not checked"
    } else {
        "the connection is not encrypted"
    };
    let remedy = "tls.mode: verify-full, with the authority's certificate in tls.ca";
    Some(finding(Severity::Warning, message, remedy))
}

/// Grants of the account and of its active roles.
async fn grants(connection: &mut Connection) -> Result<Grants, WireError> {
    // Servers without roles know no CURRENT_ROLE.
    let roles = match connection.query_value("SELECT CURRENT_ROLE()").await {
        Ok(roles) => roles.filter(|roles| !roles.is_empty() && roles != "NONE"),
        Err(WireError::Server { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut rows = connection.query("SHOW GRANTS").await?;
    if let Some(roles) = roles {
        // MariaDB lists the grants of the current role by itself, and refuses this.
        let using = format!("SHOW GRANTS FOR CURRENT_USER() USING {roles}");
        match connection.query(&using).await {
            Ok(more) => rows = more,
            Err(WireError::Server { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let lines: Vec<String> = rows.iter().filter_map(|row| row.text_at(0)).collect();
    Ok(Grants::parse(lines.iter().map(String::as_str)))
}

/// The account in the form that GRANT takes.
async fn account(connection: &mut Connection) -> Result<String, WireError> {
    let text = connection.query_value("SELECT CURRENT_USER()").await?.unwrap_or_default();
    let (user, host) = text.rsplit_once('@').unwrap_or((&text, "%"));
    Ok(format!("'{}'@'{}'", user.replace('\'', "''"), host.replace('\'', "''")))
}

/// What can only be read, not tried.
fn privileges(server: &ServerInfo, grants: &Grants, account: &str) -> Vec<Finding> {
    let mut out = Vec::new();
    if !grants.has_global(&["REPLICATION SLAVE", "REPLICATION REPLICA"]) {
        out.push(finding(
            Severity::Error,
            format!("the account {account} lacks REPLICATION SLAVE, so it may not read the binlog"),
            &format!("GRANT REPLICATION SLAVE ON *.* TO {account}"),
        ));
    }
    // Before this version FOR SHARE asks for more than SELECT.
    let locks = server.flavor == Flavor::MySql && server.version < (8, 0, 22);
    if locks && !server.proves_by_gtid() && !grants.has_global(&["LOCK TABLES", "UPDATE", "DELETE"])
    {
        out.push(finding(
            Severity::Error,
            format!("the account {account} lacks LOCK TABLES, which reading FOR SHARE needs before MySQL 8.0.22"),
            &format!("GRANT LOCK TABLES ON *.* TO {account}"),
        ));
    }
    out
}

/// Tries to read the log's end, and looks at what is filtered out of the log.
async fn log_status(
    connection: &mut Connection,
    server: &ServerInfo,
    account: &str,
) -> Result<Vec<Finding>, WireError> {
    if !server.log_bin {
        return Ok(Vec::new());
    }
    match connection.query(server.log_status_sql()).await {
        Ok(rows) => Ok(filters(&rows)),
        Err(WireError::Server { code: 1227, .. }) => {
            let privilege = match server.flavor {
                Flavor::MariaDb if server.version >= (10, 5, 2) => "BINLOG MONITOR",
                _ => "REPLICATION CLIENT",
            };
            Ok(vec![finding(
                Severity::Error,
                format!(
                    "the account {account} lacks {privilege}, so it may not ask where the binlog ends"
                ),
                &format!("GRANT {privilege} ON *.* TO {account}"),
            )])
        }
        Err(error) => Err(error),
    }
}

fn filters(status: &Rows) -> Vec<Finding> {
    let value =
        |name| status.first().and_then(|row| row.text(name)).filter(|text| !text.is_empty());
    let mut out = Vec::new();
    if let Some(databases) = value("Binlog_Do_DB") {
        out.push(finding(
            Severity::Warning,
            format!("the server logs changes of {databases} only (binlog-do-db): others are copied once and never change"),
            "remove binlog-do-db from the server's my.cnf and restart it",
        ));
    }
    if let Some(databases) = value("Binlog_Ignore_DB") {
        out.push(finding(
            Severity::Warning,
            format!("the server does not log changes of {databases} (binlog-ignore-db)"),
            "remove binlog-ignore-db from the server's my.cnf and restart it",
        ));
    }
    out
}

/// Tries to list prepared XA transactions.
async fn prepared_transactions(
    connection: &mut Connection,
    server: &ServerInfo,
    account: &str,
) -> Result<Option<Finding>, WireError> {
    match connection.query("XA RECOVER").await {
        Ok(_) => Ok(None),
        Err(WireError::Server { .. }) => {
            let remedy = match server.flavor {
                Flavor::MySql => format!("GRANT XA_RECOVER_ADMIN ON *.* TO {account}"),
                Flavor::MariaDb => String::new(),
            };
            Ok(Some(finding(
                Severity::Note,
                format!(
                    "the account {account} may not list prepared XA transactions (XA_RECOVER_ADMIN), so that chunks are read FOR SHARE"
                ),
                &remedy,
            )))
        }
        Err(error) => Err(error),
    }
}

/// A replica must log what it replays.
async fn replica(
    connection: &mut Connection,
    server: &ServerInfo,
) -> Result<Option<Finding>, WireError> {
    if server.log_replica_updates || !server.log_bin {
        return Ok(None);
    }
    let is_replica = match server.flavor {
        // Asking for the replica's status needs one more privilege there; these do not.
        Flavor::MariaDb => {
            let running = connection.query("SHOW GLOBAL STATUS LIKE 'Slave_running'").await?;
            let running = running.first().and_then(|row| row.text_at(1));
            running.is_some_and(|value| value.eq_ignore_ascii_case("on"))
                || server.variable("gtid_slave_pos").is_some_and(|position| !position.is_empty())
        }
        Flavor::MySql => {
            let sql = if server.version >= (8, 0, 22) {
                "SHOW REPLICA STATUS"
            } else {
                "SHOW SLAVE STATUS"
            };
            match connection.query(sql).await {
                Ok(rows) => !rows.is_empty(),
                // Without the privilege it is named already.
                Err(WireError::Server { .. }) => false,
                Err(error) => return Err(error),
            }
        }
    };
    let variable = match server.flavor {
        Flavor::MySql if server.version >= (8, 0, 26) => "log_replica_updates",
        _ => "log_slave_updates",
    };
    Ok(is_replica.then(|| {
        finding(
            Severity::Error,
            format!("the server is a replica that does not log what it replays ({variable}=OFF)"),
            &format!(
                "in the server's my.cnf: {variable}=ON, and restart it; or read from its source"
            ),
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::server::tests::server;

    fn messages(findings: &[Finding]) -> String {
        findings
            .iter()
            .map(|finding| format!("{:?} {}\n", finding.severity, finding.message))
            .collect()
    }

    #[test]
    fn a_server_that_is_set_up_well_has_no_findings() {
        assert_eq!(settings(&server(Flavor::MySql, &[])), []);
        let partial = [("binlog_row_value_options", "PARTIAL_JSON")];
        assert_eq!(settings(&server(Flavor::MySql, &partial)), []);
        assert_eq!(settings(&server(Flavor::MariaDb, &[])), []);
        assert_eq!(encryption(true, true), None);
    }

    #[test]
    fn each_wrong_setting_is_named_with_its_remedy() {
        let wrong = [
            (
                "binlog_format",
                "MIXED",
                "binlog_format is MIXED",
                "SET PERSIST binlog_format = 'ROW'",
            ),
            (
                "binlog_row_image",
                "minimal",
                "binlog_row_image is MINIMAL",
                "binlog_row_image = 'FULL'",
            ),
            (
                "binlog_row_value_options",
                "PARTIAL_EVERYTHING",
                "is PARTIAL_EVERYTHING",
                "binlog_row_value_options = ''",
            ),
            ("version", "5.6.51", "too old", "upgrade"),
            ("log_bin", "OFF", "the binlog is off", "log-bin=binlog"),
            ("server_id", "0", "server_id is 0", "server_id = 1"),
        ];
        for (name, value, message, remedy) in wrong {
            let findings = settings(&server(Flavor::MySql, &[(name, value)]));
            let first = findings.first().unwrap();
            assert_eq!(first.severity, Severity::Error);
            assert!(first.message.contains(message), "{}", first.message);
            assert!(name == "version" || first.remedy.as_deref().unwrap().contains(remedy));
        }
        let maria = settings(&server(Flavor::MariaDb, &[("binlog_format", "MIXED")]));
        assert!(maria[0].remedy.as_deref().unwrap().starts_with("SET GLOBAL"));
    }

    #[test]
    fn what_only_slows_down_is_a_note() {
        let off = [("gtid_mode", "OFF"), ("binlog_row_metadata", "MINIMAL")];
        let findings = settings(&server(Flavor::MySql, &off));
        assert!(findings.iter().all(|finding| finding.severity == Severity::Note));
        assert!(messages(&findings).contains("FOR SHARE"));
        assert_eq!(findings.len(), 2);
    }

    #[test]
    fn a_missing_privilege_is_named_with_the_grant() {
        let none = Grants::parse(["GRANT SELECT ON *.* TO `cdc`@`%`"]);
        let findings = privileges(&server(Flavor::MySql, &[]), &none, "'cdc'@'%'");
        assert_eq!(
            findings[0].remedy.as_deref(),
            Some("GRANT REPLICATION SLAVE ON *.* TO 'cdc'@'%'")
        );
        let old = server(Flavor::MySql, &[("version", "8.0.20"), ("gtid_mode", "OFF")]);
        assert!(messages(&privileges(&old, &none, "'cdc'@'%'")).contains("LOCK TABLES"));
    }

    #[test]
    fn filters_of_the_log_and_open_connections_are_warned_about() {
        let names = ["File", "Position", "Binlog_Do_DB", "Binlog_Ignore_DB"];
        let status =
            Rows::from_values(&names, [vec![Some("b.1"), Some("4"), Some("shop"), Some("tmp")]]);
        assert_eq!(filters(&status).len(), 2);
        assert_eq!(encryption(false, false).unwrap().severity, Severity::Warning);
        assert!(encryption(true, false).unwrap().message.contains("not checked"));
    }
}
