//! Every option of `type: mysql`: Flink CDC's names and defaults in three classes, and our own.

use cdc_api::{ConnectorSpec, OptionSpec, OptionType, Role};

/// What the MySQL and MariaDB source is, for `connectors` and for checking a file.
pub const SPEC: ConnectorSpec = ConnectorSpec {
    name: "mysql",
    role: Role::Source,
    summary: "Reads MySQL and MariaDB: all rows by parallel SELECTs, then every change from the binlog, without locks",
    options: OPTIONS,
};

const ROWS: OptionType = OptionType::Integer { min: 1, max: 1_000_000_000 };
const COUNT: OptionType = OptionType::Integer { min: 0, max: 1_000_000 };
const OFFSET: OptionType = OptionType::Integer { min: 0, max: i64::MAX };

const HANDLING: &str = "it changes values; here the value model is fixed, with the switches temporal.*, time.*, text.* and geometry.*";
const SPECIFIC: &str =
    "only scan.startup.mode: specific-offset reads it, which is not supported yet";
const EVEN: &str =
    "chunks are cut while they are read, so the distribution of keys does not matter";

const OPTIONS: &[OptionSpec] = &[
    // The server.
    text("hostname", "name or address of the server").required(),
    OptionSpec::new("port", OptionType::Integer { min: 1, max: 65535 }, "TCP port of the server")
        .default("3306"),
    text("username", "account to log in with").required(),
    OptionSpec::new("password", OptionType::Secret, "its password; absent: the account has none"),
    OptionSpec::new(
        "tables",
        OptionType::Tables,
        r"tables to capture: comma-separated patterns like shop.orders or app_[0-9]+.\.*",
    )
    .required(),
    OptionSpec::new("tables.exclude", OptionType::Tables, "tables to leave out of those"),
    text("server-id", "id to appear under as a replica: a number, or the first of a range; absent: drawn, 1000000 or more"),
    duration("connect.timeout", "for reaching the server and logging in").default("30s"),
    OptionSpec::new("connect.max-retries", COUNT, "how often a failed connection is tried again")
        .default("3"),
    duration("heartbeat.interval", "how often an idle server says that it is alive; three missed beats mean it is dead")
        .default("30s"),
    // TLS.
    OptionSpec::new(
        "tls.mode",
        OptionType::OneOf(&["preferred", "disabled", "required", "verify-ca", "verify-full"]),
        "encryption, and how far the server's certificate is checked",
    )
    .default("preferred"),
    text("tls.ca", "PEM file of trusted authorities; absent: the system's"),
    text("tls.cert", "PEM file of our certificate, for accounts that require one"),
    text("tls.key", "PEM file of its private key"),
    text("jdbc.properties.sslMode", "Connector/J's word for tls.mode"),
    flag("jdbc.properties.useSSL", "Connector/J's older word for tls.mode"),
    flag("jdbc.properties.requireSSL", "with useSSL: tls.mode required"),
    flag("jdbc.properties.verifyServerCertificate", "with useSSL: tls.mode verify-ca"),
    // Where to begin and how to copy.
    OptionSpec::new(
        "scan.startup.mode",
        OptionType::OneOf(&[
            "initial",
            "snapshot",
            "latest-offset",
            "earliest-offset",
            "specific-offset",
            "timestamp",
        ]),
        "initial: all rows, then every change; snapshot: all rows, then the end; latest-offset: only changes from now on",
    )
    .default("initial"),
    OptionSpec::new(
        "scan.incremental.snapshot.chunk.size",
        ROWS,
        "the most rows of a chunk; absent: sized by time and bytes alone",
    ),
    text(
        "scan.incremental.snapshot.chunk.key-column",
        r"column to cut chunks by, when NOT NULL and unique (else the primary key): db.t_[0-9]+:col;db2.x:col2",
    ),
    // What is passed on.
    flag("schema-change.enabled", "whether schema changes are passed on").default("true"),
    flag("include-comments.enabled", "whether table and column comments are passed on")
        .default("false"),
    flag("treat-tinyint1-as-boolean.enabled", "whether TINYINT(1) is a boolean").default("true"),
    OptionSpec::new(
        "schema-change.unlogged-values",
        OptionType::OneOf(&["recopy", "ignore"]),
        "what a table does whose values a statement changes without row events (a narrowing type, a computed default, a partition dropped): it is copied anew, or not",
    )
    .default("recopy"),
    flag(
        "scan.parse.online.schema.changes.enabled",
        "whether the table swaps of gh-ost and pt-online-schema-change count as ALTER TABLE; if not, their tables are as any others",
    )
    .default("true"),
    text("metadata.list", "metadata that transforms may read: op_ts, table_name, database_name, row_kind"),
    // The value model's switches.
    OptionSpec::new(
        "temporal.invalid",
        OptionType::OneOf(&["null", "error"]),
        "what a zero or partial date becomes; in a key it is always an error",
    )
    .default("null"),
    OptionSpec::new(
        "time.out-of-range",
        OptionType::OneOf(&["error", "null"]),
        "what a TIME outside of one day becomes",
    )
    .default("error"),
    OptionSpec::new(
        "time.as",
        OptionType::OneOf(&["time", "string", "micros"]),
        "what TIME columns are downstream; string and micros hold every value",
    )
    .default("time"),
    OptionSpec::new(
        "text.undecodable",
        OptionType::OneOf(&["error", "replace"]),
        "what bytes become that are no text in their column's character set",
    )
    .default("error"),
    OptionSpec::new(
        "geometry.as",
        OptionType::OneOf(&["json", "wkb"]),
        "what spatial columns are downstream: Flink CDC's JSON text or WKB bytes",
    )
    .default("json"),
    // Accepted, without effect.
    flag("scan.newly-added-table.enabled", "capture tables added later")
        .default("false")
        .no_effect("tables that match are captured whenever they appear"),
    flag("scan.binlog.newly-added-table.enabled", "capture tables created later")
        .default("false")
        .no_effect("tables that match are captured whenever they appear; it only lets `tables` be read as one regular expression, as a route's source-table is"),
    text("server-time-zone", "the server's time zone")
        .no_effect("every session is set to UTC, and the log has UTC"),
    flag("scan.incremental.snapshot.backfill.skip", "skip the catching up of chunks")
        .default("false")
        .no_effect("no chunk has a log of its own to catch up with"),
    flag("scan.incremental.snapshot.unbounded-chunk-first.enabled", "read the last chunk first")
        .default("false")
        .no_effect("chunks are cut while they are read, and the last one is not larger"),
    flag("scan.incremental.close-idle-reader.enabled", "close readers after the snapshot")
        .default("false")
        .no_effect("chunk readers always end with the snapshot"),
    OptionSpec::new("scan.snapshot.fetch.size", ROWS, "rows per fetch")
        .default("1024")
        .no_effect("rows are streamed"),
    OptionSpec::new("chunk-meta.group.size", ROWS, "chunk descriptions per message")
        .default("1000")
        .no_effect("there are no messages between processes"),
    text("chunk-key.even-distribution.factor.upper-bound", "when keys count as evenly spread")
        .default("1000.0")
        .no_effect(EVEN),
    text("chunk-key.even-distribution.factor.lower-bound", "when keys count as evenly spread")
        .default("0.05")
        .no_effect(EVEN),
    OptionSpec::new("connection.pool.size", ROWS, "size of the connection pool")
        .default("20")
        .no_effect("there are as many connections as readers"),
    flag("use.legacy.json.format", "Flink CDC's older JSON text")
        .default("true")
        .no_effect("JSON is always the text that the server itself prints"),
    text("scan.startup.specific-offset.file", "log file to start at").no_effect(SPECIFIC),
    OptionSpec::new("scan.startup.specific-offset.pos", OFFSET, "position to start at")
        .no_effect(SPECIFIC),
    text("scan.startup.specific-offset.gtid-set", "GTIDs to start behind").no_effect(SPECIFIC),
    OptionSpec::new("scan.startup.specific-offset.skip-events", OFFSET, "events to skip")
        .no_effect(SPECIFIC),
    OptionSpec::new("scan.startup.specific-offset.skip-rows", OFFSET, "rows to skip")
        .no_effect(SPECIFIC),
    OptionSpec::new("scan.startup.timestamp-millis", OFFSET, "time to start at")
        .no_effect("only scan.startup.mode: timestamp reads it, which is not supported yet"),
    // The Java driver and Debezium.
    text("jdbc.properties.tinyInt1isBit", "how TINYINT(1) is read")
        .refused("write treat-tinyint1-as-boolean.enabled"),
    text("jdbc.properties.zeroDateTimeBehavior", "what a zero date becomes"),
    text("jdbc.properties.trustCertificateKeyStore*", "a Java key store")
        .refused("write tls.ca with a PEM file"),
    text("jdbc.properties.clientCertificateKeyStore*", "a Java key store")
        .refused("write tls.cert and tls.key with PEM files"),
    text("jdbc.properties.*", "settings of the Java driver")
        .no_effect("there is no Java driver here"),
    text("debezium.decimal.handling.mode", "how DECIMAL is passed on").refused(HANDLING),
    text("debezium.bigint.unsigned.handling.mode", "how BIGINT UNSIGNED is passed on")
        .refused(HANDLING),
    text("debezium.binary.handling.mode", "how binary columns are passed on").refused(HANDLING),
    text("debezium.event.processing.failure.handling.mode", "whether broken events are skipped")
        .refused("a change is never skipped; table.on-error in the pipeline block says what a broken table does"),
    text("debezium.event.deserialization.failure.handling.mode", "whether broken events are skipped")
        .refused("a change is never skipped; table.on-error in the pipeline block says what a broken table does"),
    text("debezium.inconsistent.schema.handling.mode", "whether unknown tables are skipped")
        .refused("a change is never skipped; table.on-error in the pipeline block says what a broken table does"),
    text("debezium.time.precision.mode", "how temporals are passed on").refused(HANDLING),
    text("debezium.enable.time.adjuster", "whether two-digit years are widened").refused(HANDLING),
    text("debezium.converters*", "Java classes that change values").refused(HANDLING),
    text("debezium.skipped.operations", "kinds of changes to leave out")
        .refused("changes would be left out; not supported yet"),
    text("debezium.column.*", "columns to leave out, mask or cut")
        .refused("values would change; not supported yet"),
    text("debezium.message.key.columns", "other key columns")
        .refused("keys would change; not supported yet"),
    text("debezium.snapshot.select.statement.overrides", "other SELECTs for the snapshot")
        .refused("rows would be left out of the snapshot; not supported yet"),
    text("debezium.snapshot.select.statement.overrides*", "other SELECTs for the snapshot")
        .refused("rows would be left out of the snapshot; not supported yet"),
    text("debezium.snapshot.mode", "where to begin").refused("write scan.startup.mode"),
    text("debezium.gtid.source.*", "servers whose changes are left out")
        .refused("changes would be left out; not supported yet"),
    text("debezium.table.*", "tables to capture").refused("write tables and tables.exclude"),
    text("debezium.database.include.list", "databases to capture")
        .refused("write tables and tables.exclude"),
    text("debezium.database.exclude.list", "databases to leave out")
        .refused("write tables and tables.exclude"),
    text("debezium.database.ssl.*", "TLS of the log connection")
        .refused("write tls.mode, tls.ca, tls.cert and tls.key"),
    text("debezium.*", "settings of Debezium").no_effect("there is no Debezium here"),
];

const fn text(key: &'static str, meaning: &'static str) -> OptionSpec {
    OptionSpec::new(key, OptionType::Text, meaning)
}

const fn flag(key: &'static str, meaning: &'static str) -> OptionSpec {
    OptionSpec::new(key, OptionType::Boolean, meaning)
}

const fn duration(key: &'static str, meaning: &'static str) -> OptionSpec {
    OptionSpec::new(key, OptionType::Duration, meaning)
}
