use std::collections::BTreeMap;

use cdc_api::{OptionClass, TableId, options::check_value};

use super::*;

fn read(extra: &[(&str, &str)]) -> Result<MySqlConfig, Vec<OptionFault>> {
    let base =
        [("hostname", "db"), ("username", "cdc"), ("password", "pw"), ("tables", r"shop.\.*")];
    let values: BTreeMap<String, String> =
        base.iter().chain(extra).map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    MySqlConfig::from_options(&Options::new(&SPEC, values))
}

fn fault(extra: &[(&str, &str)]) -> String {
    let faults = read(extra).expect_err("a fault was expected");
    let lines: Vec<String> =
        faults.iter().map(|fault| format!("{}: {}", fault.key, fault.message)).collect();
    lines.join("\n")
}

#[test]
fn a_short_block_gets_the_defaults_of_flink_cdc() {
    let config = read(&[]).unwrap();
    assert_eq!(config.connect.address(), "db:3306");
    assert_eq!(config.connect.connect_timeout, Duration::from_secs(30));
    assert_eq!(config.connect.tls.mode, TlsMode::Preferred);
    assert_eq!(config.connect_retries_max, 3);
    assert_eq!(config.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(config.startup, StartupMode::Initial);
    assert_eq!(config.server_id, ServerId::Drawn);
    assert_eq!(config.chunk_rows_max, None);
    assert_eq!(config.types, TypeOptions::default());
    assert!(config.schema_changes && !config.comments && config.recopies);
    assert!(config.tables.is_match(&TableId::new("shop", "orders")).unwrap());
    assert!(!config.tables.is_match(&TableId::new("shop2", "orders")).unwrap());
}

#[test]
fn the_password_never_prints() {
    let config = read(&[("password", "hunter2")]).unwrap();
    assert_eq!(config.connect.password, "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn all_faults_come_at_once() {
    let text = fault(&[
        ("tables", "orders"),
        ("server-id", "x"),
        ("scan.startup.mode", "timestamp"),
        ("metadata.list", "op_ts, nonsense"),
        ("tls.cert", "c.pem"),
        ("heartbeat.interval", "0s"),
    ]);
    for part in [
        "tables: \"orders\" names no database",
        "server-id: \"x\" is not a number",
        "scan.startup.mode: \"timestamp\" is not supported yet",
        "metadata.list: no field \"nonsense\"",
        "tls.cert: needs `tls.key` beside it",
        "heartbeat.interval: must be at least 100ms",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn excluded_tables_are_left_out_and_idle_rules_are_named() {
    let config =
        read(&[("tables", r"shop.\.*, app_[0-9]+.users"), ("tables.exclude", r"shop.tmp_\.*")])
            .unwrap();
    let orders = TableId::new("shop", "orders");
    assert!(config.tables.is_match(&orders).unwrap());
    assert!(!config.tables.is_match(&TableId::new("shop", "tmp_1")).unwrap());
    assert_eq!(config.tables.rules_without_table(&[&orders]).unwrap(), ["app_[0-9]+.users"]);
}

#[test]
fn newly_added_tables_switch_to_the_route_dialect() {
    let config =
        read(&[("scan.binlog.newly-added-table.enabled", "true"), ("tables", r"(shop|bar).t\.*")])
            .unwrap();
    assert!(config.tables.is_match(&TableId::new("bar", "t1")).unwrap());
    assert!(!config.tables.is_match(&TableId::new("BAR", "t1")).unwrap());
}

#[test]
fn tls_modes_of_the_java_driver_are_translated() {
    let mode = |extra: &[(&str, &str)]| read(extra).unwrap().connect.tls.mode;
    assert_eq!(mode(&[("jdbc.properties.useSSL", "false")]), TlsMode::Disabled);
    assert_eq!(mode(&[("jdbc.properties.useSSL", "true")]), TlsMode::Preferred);
    assert_eq!(mode(&[("jdbc.properties.sslMode", "verify_identity")]), TlsMode::VerifyFull);
    assert_eq!(
        mode(&[("jdbc.properties.useSSL", "false"), ("tls.mode", "required")]),
        TlsMode::Required
    );
    assert_eq!(mode(&[("tls.ca", "ca.pem")]), TlsMode::VerifyCa);
    assert!(
        fault(&[("tls.ca", "ca.pem"), ("tls.mode", "required")]).contains("tls.ca: is not used")
    );
    assert!(fault(&[("jdbc.properties.sslMode", "maybe")]).contains("not a mode of Connector/J"));
}

#[test]
fn what_would_change_rows_is_refused_and_tuning_is_not() {
    let class = |key: &str| SPEC.option(key).map(|spec| spec.class);
    for key in [
        "debezium.decimal.handling.mode",
        "debezium.skipped.operations",
        "debezium.column.exclude.list",
        "debezium.message.key.columns",
        "debezium.snapshot.select.statement.overrides",
        "debezium.snapshot.select.statement.overrides.shop.orders",
    ] {
        assert!(matches!(class(key), Some(OptionClass::Refused(_))), "{key}");
    }
    for key in ["debezium.max.queue.size", "jdbc.properties.socketTimeout", "chunk-meta.group.size"]
    {
        assert!(matches!(class(key), Some(OptionClass::NoEffect(_))), "{key}");
    }
    assert!(fault(&[("debezium.new.handling.mode", "x")]).contains("is not supported"));
    assert!(read(&[("jdbc.properties.zeroDateTimeBehavior", "CONVERT_TO_NULL")]).is_ok());
    assert!(fault(&[("jdbc.properties.zeroDateTimeBehavior", "ROUND")]).contains("not supported"));
    assert_eq!(class("no-such-option"), None);
}

#[test]
fn every_default_passes_its_own_check_and_every_meaning_is_a_short_sentence() {
    for (at, spec) in SPEC.options.iter().enumerate() {
        if let Some(default) = spec.default {
            assert_eq!(check_value(spec, spec.key, default), Ok(()));
        }
        assert!(!spec.meaning.is_empty() && !spec.meaning.ends_with('.'), "{}", spec.key);
        assert!(
            SPEC.options.iter().skip(at + 1).all(|other| other.key != spec.key),
            "{} stands twice",
            spec.key
        );
    }
}

#[test]
fn the_switches_of_the_value_model_are_read() {
    let types = read(&[
        ("temporal.invalid", "Error"),
        ("time.out-of-range", "null"),
        ("time.as", "micros"),
        ("text.undecodable", "replace"),
        ("geometry.as", "wkb"),
        ("treat-tinyint1-as-boolean.enabled", "FALSE"),
    ])
    .unwrap()
    .types;
    assert_eq!(
        types,
        TypeOptions {
            tinyint1_as_boolean: false,
            temporal_invalid: TemporalInvalid::Error,
            time_out_of_range: TimeOutOfRange::Null,
            time_as: TimeAs::Micros,
            text_undecodable: TextUndecodable::Replace,
            geometry_as: GeometryAs::Wkb,
        }
    );
}
