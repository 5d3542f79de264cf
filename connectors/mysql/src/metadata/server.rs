//! Which server this is and how it is set up.

use std::collections::BTreeMap;

use crate::{
    position::ServerIdentity,
    types::Flavor,
    wire::{Connection, Rows, WireError},
};

/// The variables that matter to a source; a server answers those that it has.
const VARIABLES: &[&str] = &[
    "version",
    "version_comment",
    "hostname",
    "server_id",
    "server_uuid",
    "gtid_mode",
    "gtid_slave_pos",
    "log_bin",
    "log_bin_compress",
    "log_replica_updates",
    "log_slave_updates",
    "binlog_format",
    "binlog_row_image",
    "binlog_row_metadata",
    "binlog_row_value_options",
    "binlog_order_commits",
    "binlog_checksum",
    "binlog_transaction_compression",
    "innodb_native_foreign_keys",
    "lower_case_table_names",
    "max_allowed_packet",
    "max_connections",
    "require_secure_transport",
    "super_read_only",
    "read_only",
];

/// A server, as read at connect time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// Version number.
    pub version: (u16, u16, u16),
    /// The version as the server writes it.
    pub version_text: String,
    /// `server_uuid`; MariaDB has none.
    pub server_uuid: Option<String>,
    /// `server_id`.
    pub server_id: u32,
    /// Whether there is a binlog.
    pub log_bin: bool,
    /// `binlog_format`, upper case.
    pub binlog_format: String,
    /// `binlog_row_image`, upper case.
    pub binlog_row_image: String,
    /// `binlog_row_metadata`, upper case; empty where the server has no such variable.
    pub binlog_row_metadata: String,
    /// `binlog_row_value_options`; empty when off or where there is no such variable.
    pub binlog_row_value_options: String,
    /// `gtid_mode`, upper case; MariaDB has no such variable.
    pub gtid_mode: Option<String>,
    /// Whether a replica writes what it replays into its own log.
    pub log_replica_updates: bool,
    /// MySQL: whether transactions become visible in log order.
    pub binlog_order_commits: bool,
    /// `lower_case_table_names`.
    pub lower_case_table_names: u8,
    variables: BTreeMap<String, String>,
}

impl ServerInfo {
    /// Asks the server.
    ///
    /// # Errors
    /// The connection's; `Protocol` when the server does not say its version.
    pub async fn read(connection: &mut Connection) -> Result<ServerInfo, WireError> {
        let names = VARIABLES.join("', '");
        let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('{names}')");
        ServerInfo::from_rows(&connection.query(&sql).await?)
    }

    /// The same from the answer of SHOW GLOBAL VARIABLES.
    pub(crate) fn from_rows(rows: &Rows) -> Result<ServerInfo, WireError> {
        let variables: BTreeMap<String, String> = rows
            .iter()
            .filter_map(|row| Some((row.text_at(0)?.to_ascii_lowercase(), row.text_at(1)?)))
            .collect();
        let text = |name: &str| variables.get(name).cloned().unwrap_or_default();
        let is_on = |name: &str| {
            variables
                .get(name)
                .is_some_and(|value| value.eq_ignore_ascii_case("on") || value == "1")
        };
        let version_text = text("version");
        let version = parse_version(&version_text).ok_or_else(|| {
            WireError::protocol(format!("the server's version is \"{version_text}\""))
        })?;
        Ok(ServerInfo {
            flavor: flavor_of(&version_text),
            version,
            server_uuid: variables.get("server_uuid").cloned(),
            server_id: text("server_id").parse().unwrap_or_default(),
            log_bin: is_on("log_bin"),
            binlog_format: text("binlog_format").to_ascii_uppercase(),
            binlog_row_image: text("binlog_row_image").to_ascii_uppercase(),
            binlog_row_metadata: text("binlog_row_metadata").to_ascii_uppercase(),
            binlog_row_value_options: text("binlog_row_value_options"),
            gtid_mode: variables.get("gtid_mode").map(|mode| mode.to_ascii_uppercase()),
            log_replica_updates: is_on("log_replica_updates") || is_on("log_slave_updates"),
            binlog_order_commits: is_on("binlog_order_commits"),
            lower_case_table_names: text("lower_case_table_names").parse().unwrap_or_default(),
            version_text,
            variables,
        })
    }

    /// Another of the variables that were read, as the server writes it.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Product and version in one line.
    pub fn summary(&self) -> String {
        let product = match self.flavor {
            Flavor::MySql => "MySQL",
            Flavor::MariaDb => "MariaDB",
        };
        format!("{product} {}", self.version_text)
    }

    /// Whose log this server's log is.
    pub fn identity(&self, host: &str, port: u16) -> ServerIdentity {
        match (self.flavor, &self.server_uuid) {
            (Flavor::MySql, Some(server_uuid)) => {
                ServerIdentity::MySql { server_uuid: server_uuid.clone() }
            }
            _ => ServerIdentity::MariaDb { server_id: self.server_id, host: host.to_owned(), port },
        }
    }

    /// Whether GTID sets can prove what is visible (correctness §2).
    pub fn proves_by_gtid(&self) -> bool {
        self.flavor == Flavor::MySql && self.gtid_mode.as_deref() == Some("ON")
    }

    /// The statement that shows file and position of the log's end.
    pub fn log_status_sql(&self) -> &'static str {
        match self.flavor {
            Flavor::MySql if self.version >= (8, 2, 0) => "SHOW BINARY LOG STATUS",
            _ => "SHOW MASTER STATUS",
        }
    }

    /// Whether foreign keys change rows without a trace in the log.
    pub fn hides_cascades(&self) -> bool {
        match self.flavor {
            Flavor::MariaDb => true,
            Flavor::MySql => {
                self.version < (9, 6, 0)
                    || self
                        .variable("innodb_native_foreign_keys")
                        .is_some_and(|value| value.eq_ignore_ascii_case("on"))
            }
        }
    }
}

/// Which product a version text belongs to, also as the server greets.
pub fn flavor_of(version: &str) -> Flavor {
    if version.to_ascii_lowercase().contains("mariadb") { Flavor::MariaDb } else { Flavor::MySql }
}

/// Reads `9.7.4-2`, `10.11.19-MariaDB-0+deb12u1-log`, `5.5.5-10.11.19-MariaDB`.
fn parse_version(text: &str) -> Option<(u16, u16, u16)> {
    let text = match text.strip_prefix("5.5.5-") {
        Some(rest) if flavor_of(text) == Flavor::MariaDb => rest,
        _ => text,
    };
    let numbers = text.split(|c: char| !(c.is_ascii_digit() || c == '.')).next()?;
    let mut parts = numbers.split('.').map(str::parse::<u16>);
    let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
    Some((major, minor, parts.next().and_then(Result::ok).unwrap_or_default()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A server that is set up as a source should be, but for what is changed.
    pub(crate) fn server(flavor: Flavor, changed: &[(&str, &str)]) -> ServerInfo {
        let base: &[(&str, &str)] = match flavor {
            Flavor::MySql => &[
                ("version", "9.7.4-2"),
                ("server_uuid", "3e11fa47-71ca-11e1-9e33-c80aa9429562"),
                ("gtid_mode", "ON"),
                ("log_replica_updates", "ON"),
                ("binlog_row_value_options", ""),
                ("binlog_row_metadata", "FULL"),
                ("innodb_native_foreign_keys", "OFF"),
            ],
            Flavor::MariaDb => &[
                ("version", "10.11.19-MariaDB-0+deb12u1-log"),
                ("log_slave_updates", "OFF"),
                ("binlog_row_metadata", "FULL"),
            ],
        };
        let both = [
            ("server_id", "1"),
            ("log_bin", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
            ("binlog_order_commits", "ON"),
            ("lower_case_table_names", "0"),
        ];
        let rows = base.iter().chain(&both).chain(changed);
        let rows = rows.map(|&(name, value)| vec![Some(name), Some(value)]);
        ServerInfo::from_rows(&Rows::from_values(&["Variable_name", "Value"], rows)).unwrap()
    }

    #[test]
    fn versions_of_all_spellings_are_read() {
        assert_eq!(parse_version("9.7.4-2"), Some((9, 7, 4)));
        assert_eq!(parse_version("8.0.36-28.1 (Percona)"), Some((8, 0, 36)));
        assert_eq!(parse_version("5.5.5-10.11.19-MariaDB"), Some((10, 11, 19)));
        assert_eq!(parse_version("11.4-MariaDB"), Some((11, 4, 0)));
        assert_eq!(parse_version("unknown"), None);
    }

    #[test]
    fn a_server_says_what_it_is() {
        let mysql = server(Flavor::MySql, &[]);
        assert!(mysql.log_bin && mysql.log_replica_updates && mysql.proves_by_gtid());
        assert!(!mysql.hides_cascades());
        assert_eq!(mysql.summary(), "MySQL 9.7.4-2");
        assert_eq!(mysql.log_status_sql(), "SHOW BINARY LOG STATUS");
        let maria = server(Flavor::MariaDb, &[]);
        assert_eq!(maria.version, (10, 11, 19));
        assert!(!maria.log_replica_updates && !maria.proves_by_gtid() && maria.hides_cascades());
        assert_eq!(maria.log_status_sql(), "SHOW MASTER STATUS");
        assert!(matches!(maria.identity("db", 3306), ServerIdentity::MariaDb { server_id: 1, .. }));
        let old = server(Flavor::MySql, &[("version", "8.0.36"), ("gtid_mode", "ON_PERMISSIVE")]);
        assert!(old.hides_cascades() && !old.proves_by_gtid());
        assert_eq!(old.log_status_sql(), "SHOW MASTER STATUS");
    }
}
