//! The `source:` block of a pipeline file with `type: mysql`, checked.
//!
//! In: the options as text (types, unknown and missing keys are checked by the file's reader against [`SPEC`]). Out: a
//! [`MySqlConfig`], or every fault at once. Nothing here connects.

mod chunk_key;
mod java;
mod server_id;
mod spec;
mod tables;

use std::time::Duration;

use cdc_api::{OptionFault, Options};

use crate::{
    types::{GeometryAs, TemporalInvalid, TextUndecodable, TimeAs, TimeOutOfRange, TypeOptions},
    wire::{ConnectOptions, TlsMode, TlsOptions},
};

pub use chunk_key::ChunkKeys;
pub use server_id::ServerId;
pub use spec::SPEC;
pub use tables::TableFilter;

/// Where a first run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartupMode {
    /// All rows, then every change.
    #[default]
    Initial,
    /// All rows, then the end.
    Snapshot,
    /// Only changes from now on.
    LatestOffset,
}

/// A source's metadata that transforms may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataField {
    /// Commit time, milliseconds; 0 for snapshot rows.
    OpTs,
    /// The source table's name.
    TableName,
    /// The source database's name.
    DatabaseName,
    /// The change's kind.
    RowKind,
}

/// A checked `source:` block. Its `Debug` never prints the password.
#[derive(Debug, Clone)]
pub struct MySqlConfig {
    /// Server, account, TLS and time-outs.
    pub connect: ConnectOptions,
    /// How often a failed connection is tried again.
    pub connect_retries_max: u32,
    /// Which tables.
    pub tables: TableFilter,
    /// Where a first run begins.
    pub startup: StartupMode,
    /// The id we appear under as a replica.
    pub server_id: ServerId,
    /// How often an idle server says that it is alive.
    pub heartbeat_interval: Duration,
    /// The most rows of a chunk; none: sized by time and bytes alone.
    pub chunk_rows_max: Option<u64>,
    /// Chunk key columns that the user chose.
    pub chunk_keys: ChunkKeys,
    /// The switches of the value model.
    pub types: TypeOptions,
    /// Whether schema changes are passed on.
    pub schema_changes: bool,
    /// Whether column and table comments are.
    pub comments: bool,
    /// Metadata columns.
    pub metadata: Vec<MetadataField>,
    /// Whether a table is copied anew when a statement changes its values without row events.
    pub recopies: bool,
    /// Whether the table swaps of gh-ost and pt-online-schema-change count as alterations.
    pub online_changes: bool,
}

impl MySqlConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// All faults, in no particular order.
    pub fn from_options(options: &Options) -> Result<MySqlConfig, Vec<OptionFault>> {
        let mut reader = Reader { options, faults: Vec::new() };
        java::check(options, &mut reader.faults);
        let connect = reader.connect();
        let tables = TableFilter::from_options(options, &mut reader.faults);
        let startup = reader.startup();
        let server_id = reader.parsed("server-id", ServerId::parse).unwrap_or_default();
        let chunk_keys =
            reader.parsed("scan.incremental.snapshot.chunk.key-column", ChunkKeys::parse);
        let metadata = reader.metadata();
        let heartbeat_interval = reader.duration("heartbeat.interval", 30);
        if heartbeat_interval < Duration::from_millis(100) {
            let fault = OptionFault::new("heartbeat.interval", "must be at least 100ms")
                .hint("without heartbeats a dead server looks like an idle one");
            reader.faults.push(fault);
        }
        let number = |key| options.integer(key).and_then(|value| u64::try_from(value).ok());
        let config = MySqlConfig {
            connect,
            connect_retries_max: number("connect.max-retries")
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(3),
            tables: tables.unwrap_or_default(),
            startup,
            server_id,
            heartbeat_interval,
            chunk_rows_max: number("scan.incremental.snapshot.chunk.size"),
            chunk_keys: chunk_keys.unwrap_or_default(),
            types: type_options(options),
            schema_changes: options.boolean("schema-change.enabled"),
            comments: options.boolean("include-comments.enabled"),
            metadata,
            recopies: options.text("schema-change.unlogged-values") != Some("ignore"),
            online_changes: options.boolean("scan.parse.online.schema.changes.enabled"),
        };
        if reader.faults.is_empty() { Ok(config) } else { Err(reader.faults) }
    }
}

/// Reads options and collects their faults.
struct Reader<'a> {
    options: &'a Options,
    faults: Vec<OptionFault>,
}

impl Reader<'_> {
    /// A required text; the file's reader has reported its absence already when it is called through it.
    fn required(&mut self, key: &str) -> String {
        match self.options.text(key).map(str::trim) {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => {
                self.faults.push(OptionFault::new(key, "must not be empty"));
                String::new()
            }
        }
    }

    fn parsed<T>(
        &mut self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, OptionFault>,
    ) -> Option<T> {
        match parse(self.options.text(key)?) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn duration(&self, key: &str, default_s: u64) -> Duration {
        self.options.duration(key).unwrap_or(Duration::from_secs(default_s))
    }

    fn connect(&mut self) -> ConnectOptions {
        let port = self.options.integer("port").and_then(|port| u16::try_from(port).ok());
        let mut connect = ConnectOptions::new(
            self.required("hostname"),
            port.unwrap_or(3306),
            self.required("username"),
            self.options.text("password").unwrap_or_default(),
        );
        connect.connect_timeout = self.duration("connect.timeout", 30);
        connect.tls = self.tls();
        connect
    }

    fn tls(&mut self) -> TlsOptions {
        let path = |key| self.options.text(key).map(|path| path.trim().into());
        let mut tls = TlsOptions {
            mode: TlsMode::Preferred,
            ca: path("tls.ca"),
            cert: path("tls.cert"),
            key: path("tls.key"),
        };
        let chosen = self.options.is_set("tls.mode");
        tls.mode = match self.word("tls.mode").as_str() {
            "disabled" => TlsMode::Disabled,
            "required" => TlsMode::Required,
            "verify-ca" => TlsMode::VerifyCa,
            "verify-full" => TlsMode::VerifyFull,
            _ if chosen => TlsMode::Preferred,
            _ => java::tls_mode(self.options, &mut self.faults).unwrap_or_else(|| {
                // Whoever names an authority wants it to be used, as with the mysql client.
                if tls.ca.is_some() { TlsMode::VerifyCa } else { TlsMode::Preferred }
            }),
        };
        if tls.ca.is_some() && !tls.mode.verifies() {
            self.faults.push(
                OptionFault::new("tls.ca", "is not used, because the certificate is not checked")
                    .hint("write `tls.mode: verify-ca` or `tls.mode: verify-full`"),
            );
        }
        if tls.cert.is_some() != tls.key.is_some() {
            let (there, missing) =
                if tls.cert.is_some() { ("tls.cert", "tls.key") } else { ("tls.key", "tls.cert") };
            self.faults.push(OptionFault::new(there, format!("needs `{missing}` beside it")));
        }
        tls
    }

    fn word(&self, key: &str) -> String {
        self.options.text(key).unwrap_or_default().trim().to_ascii_lowercase()
    }

    fn startup(&mut self) -> StartupMode {
        let word = self.word("scan.startup.mode");
        match word.as_str() {
            "snapshot" => StartupMode::Snapshot,
            "latest-offset" => StartupMode::LatestOffset,
            "earliest-offset" | "specific-offset" | "timestamp" => {
                let message = format!("\"{word}\" is not supported yet");
                let fault = OptionFault::new("scan.startup.mode", message)
                    .hint("write initial, snapshot or latest-offset");
                self.faults.push(fault);
                StartupMode::Initial
            }
            _ => StartupMode::Initial,
        }
    }

    fn metadata(&mut self) -> Vec<MetadataField> {
        let mut fields = Vec::new();
        for name in self.options.text("metadata.list").unwrap_or_default().split(',') {
            fields.push(match name.trim() {
                "" => continue,
                "op_ts" => MetadataField::OpTs,
                "table_name" => MetadataField::TableName,
                "database_name" => MetadataField::DatabaseName,
                "row_kind" => MetadataField::RowKind,
                other => {
                    let fault = OptionFault::new("metadata.list", format!("no field \"{other}\""))
                        .hint("op_ts, table_name, database_name, row_kind");
                    self.faults.push(fault);
                    continue;
                }
            });
        }
        fields
    }
}

fn type_options(options: &Options) -> TypeOptions {
    let is = |key, word: &str| {
        options.text(key).is_some_and(|text| text.trim().eq_ignore_ascii_case(word))
    };
    TypeOptions {
        tinyint1_as_boolean: options.boolean("treat-tinyint1-as-boolean.enabled"),
        temporal_invalid: if is("temporal.invalid", "error") {
            TemporalInvalid::Error
        } else {
            TemporalInvalid::Null
        },
        time_out_of_range: if is("time.out-of-range", "null") {
            TimeOutOfRange::Null
        } else {
            TimeOutOfRange::Error
        },
        time_as: if is("time.as", "string") {
            TimeAs::String
        } else if is("time.as", "micros") {
            TimeAs::Micros
        } else {
            TimeAs::Time
        },
        text_undecodable: if is("text.undecodable", "replace") {
            TextUndecodable::Replace
        } else {
            TextUndecodable::Error
        },
        geometry_as: if is("geometry.as", "wkb") { GeometryAs::Wkb } else { GeometryAs::Json },
    }
}

#[cfg(test)]
mod tests;
