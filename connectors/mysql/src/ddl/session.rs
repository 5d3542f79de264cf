//! Under which settings a statement ran: the server's, and those that its QUERY event carries.

use crate::{metadata::ServerInfo, types::Flavor};

/// Bits of sql_mode that change what a definition means.
pub(super) mod mode {
    pub(crate) const REAL_AS_FLOAT: u64 = 1;
    pub(crate) const ANSI_QUOTES: u64 = 1 << 2;
    pub(crate) const ORACLE: u64 = 1 << 9;
    pub(crate) const NO_BACKSLASH_ESCAPES: u64 = 1 << 20;
    pub(crate) const STRICT: u64 = 1 << 21 | 1 << 22;
}

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// Version number.
    pub version: (u16, u16, u16),
}

impl Dialect {
    /// Of a server.
    pub fn of(server: &ServerInfo) -> Self {
        Dialect { flavor: server.flavor, version: server.version }
    }

    /// Whether an executable comment of this version is read. `maria`: it is `/*M!`.
    pub(super) fn executes(&self, number: u32, maria: bool) -> bool {
        let (major, minor, patch) = self.version;
        let own = u32::from(major) * 10_000 + u32::from(minor) * 100 + u32::from(patch);
        // MariaDB leaves out what is written for the MySQL versions that it has never followed.
        let foreign =
            self.flavor == Flavor::MariaDb && !maria && (50_700..=99_999).contains(&number);
        number <= own && !foreign
    }
}

/// The settings of one statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The server's.
    pub dialect: Dialect,
    /// `lower_case_table_names`.
    pub lower_case_table_names: u8,
    /// The current database.
    pub database: String,
    /// `sql_mode`.
    pub sql_mode: u64,
    /// `explicit_defaults_for_timestamp`.
    pub explicit_defaults_for_timestamp: bool,
    /// `collation_server`: what CREATE DATABASE starts from.
    pub server_collation: Option<String>,
    /// The default collation of utf8mb4, where the session has its own.
    pub utf8mb4_collation: Option<String>,
}

impl Session {
    /// The settings of a server's sessions by default; each statement's own come by [`Session::of_statement`].
    pub fn of_server(server: &ServerInfo) -> Self {
        let dialect = Dialect::of(server);
        Session::new(dialect, server.lower_case_table_names)
    }

    /// As [`Session::of_server`], from its parts.
    pub fn new(dialect: Dialect, lower_case_table_names: u8) -> Self {
        let explicit_since = match dialect.flavor {
            Flavor::MySql => (8, 0, 2),
            Flavor::MariaDb => (10, 10, 0),
        };
        Session {
            dialect,
            lower_case_table_names,
            database: String::new(),
            sql_mode: mode::STRICT,
            explicit_defaults_for_timestamp: dialect.version >= explicit_since,
            server_collation: None,
            utf8mb4_collation: None,
        }
    }

    /// These settings with a QUERY event's database and status variables. What is not understood, and all behind it, is
    /// left as it is.
    #[must_use]
    pub fn of_statement(&self, database: &[u8], status: &[u8]) -> Self {
        let mut session = self.clone();
        session.database = String::from_utf8_lossy(database).into_owned();
        session.status(status);
        session
    }

    /// None at the end or at a variable that is not known.
    fn status(&mut self, mut rest: &[u8]) -> Option<()> {
        let maria = self.dialect.flavor == Flavor::MariaDb;
        loop {
            let (&code, behind) = rest.split_first()?;
            let length = match code {
                0 | 3 | 10 => 4,
                1 | 9 | 17 => 8,
                // Catalog, with and without a NUL behind.
                2 => usize::from(*behind.first()?) + 2,
                4 => 6,
                5 | 6 => usize::from(*behind.first()?) + 1,
                7 | 8 | 18 => 2,
                11 => {
                    let user = usize::from(*behind.first()?) + 1;
                    user + usize::from(*behind.get(user)?) + 1
                }
                12 => databases(behind)?,
                13 | 128 => 3,
                15 | 16 | 19 | 20 | 21 => 1,
                129 if maria => 8,
                _ => return None,
            };
            let value = behind.get(..length)?;
            let number =
                |at: usize| Some(u16::from_le_bytes([*value.get(at)?, *value.get(at + 1)?]));
            match code {
                1 => self.sql_mode = u64::from_le_bytes(value.try_into().ok()?),
                4 => {
                    self.server_collation = super::collation::by_number(number(4)?)
                        .or_else(|| self.server_collation.take());
                }
                16 if !maria => self.explicit_defaults_for_timestamp = value.first() != Some(&0),
                18 if !maria => self.utf8mb4_collation = super::collation::by_number(number(0)?),
                _ => {}
            }
            rest = behind.get(length..)?;
        }
    }

    pub(super) fn has_mode(&self, bits: u64) -> bool {
        self.sql_mode & bits != 0
    }

    /// A name as names are compared.
    pub(super) fn folded(&self, name: &str) -> String {
        if self.lower_case_table_names == 0 { name.to_owned() } else { name.to_lowercase() }
    }
}

/// The length of the list of databases that a statement touches.
fn databases(bytes: &[u8]) -> Option<usize> {
    const TOO_MANY: u8 = 254;
    let count = *bytes.first()?;
    let mut length = 1;
    if count != TOO_MANY {
        for _ in 0..count {
            length += bytes.get(length..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_variables_set_the_session() {
        let dialect = Dialect { flavor: Flavor::MySql, version: (9, 7, 0) };
        let base = Session::new(dialect, 0);
        let mut status = vec![0, 0, 0, 0, 0, 1];
        status.extend((mode::ANSI_QUOTES).to_le_bytes());
        status.extend([6, 3, b's', b't', b'd', 4, 255, 0, 255, 0, 8, 0, 12, 1, b'd', 0, 16, 0]);
        let session = base.of_statement(b"shop", &status);
        assert!(session.has_mode(mode::ANSI_QUOTES) && !session.has_mode(mode::STRICT));
        assert_eq!(session.server_collation.as_deref(), Some("latin1_swedish_ci"));
        assert!(!session.explicit_defaults_for_timestamp);
        assert_eq!(session.database, "shop");
        // Cut off anywhere, it does no harm.
        (0..status.len()).for_each(|end| drop(base.of_statement(b"", &status[..end])));
    }
}
