//! What every session that reads chunks or metadata is set to (correctness §7).

use crate::types::Flavor;

/// Statements to run once on each new connection. Text comes as stored bytes afterwards (`character_set_results` is
/// NULL); what `information_schema` answers is UTF-8 all the same.
pub fn session_sql(flavor: Flavor) -> Vec<String> {
    let mut settings = vec![
        "time_zone = '+00:00'",
        // Nothing that pads CHAR, quotes differently or turns '' into NULL.
        "sql_mode = ''",
        "autocommit = 1",
        "character_set_results = NULL",
        // An administrator may have set defaults that cut results or end long ones.
        "sql_select_limit = 18446744073709551615",
        "sql_big_selects = 1",
        "wait_timeout = 28800",
    ];
    settings.extend(match flavor {
        Flavor::MySql => [
            "max_execution_time = 0",
            // Each only where the version has it: a secondary engine lags behind, and a hidden key would be no key.
            "/*!80016 use_secondary_engine = OFF, SESSION */ \
             /*!80030 show_gipk_in_create_table_and_information_schema = ON, SESSION */ \
             net_write_timeout = 3600",
        ],
        Flavor::MariaDb => {
            ["max_statement_time = 0, SESSION query_cache_type = OFF", "net_write_timeout = 3600"]
        }
    });
    let settings: Vec<String> =
        settings.into_iter().map(|setting| format!("SESSION {setting}")).collect();
    vec![
        format!("SET {}", settings.join(", ")),
        // Never READ UNCOMMITTED; what reads FOR SHARE goes down to READ COMMITTED by itself.
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_flavours_are_set_to_utc_and_stored_bytes() {
        for flavor in [Flavor::MySql, Flavor::MariaDb] {
            let all = session_sql(flavor).join("; ");
            for part in [
                "SESSION time_zone = '+00:00'",
                "SESSION character_set_results = NULL",
                "REPEATABLE READ",
            ] {
                assert!(all.contains(part), "{part} is missing in {all}");
            }
        }
        assert!(session_sql(Flavor::MySql).join("; ").contains("gipk"));
        assert!(!session_sql(Flavor::MariaDb).join("; ").contains("gipk"));
    }
}
