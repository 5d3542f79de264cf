//! The options of the `kafka` sink, checked. In: the file's text values. Out: a [`Settings`], or every fault at once.

mod properties;
mod spec;

use std::time::Duration;

use cdc_api::{OptionFault, Options, TableId, pattern::Selectors};
use rdkafka::message::{Header, OwnedHeaders};

use crate::{
    json::{Bits, Decimals, Style, Times},
    registry::RegistrySettings,
    topic::{TopicNames, name_fault},
};
pub(crate) use properties::Properties;
pub use spec::SPEC;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    DebeziumJson,
    CanalJson,
    Json,
    Avro,
}

/// How keys are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFormat {
    Json,
    Csv,
    Avro,
}

/// Whose bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compatibility {
    /// Those that the formats' own documents describe.
    None,
    /// Flink CDC's.
    FlinkCdc,
}

/// What a consumer may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guarantee {
    AtLeastOnce,
    ExactlyOnce,
}

/// Where a record goes in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartitionStrategy {
    HashByKey,
    AllToZero,
}

/// Names of a schema's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subjects {
    Topic,
    Record,
    TopicRecord,
}

/// How topics are made that are not there.
#[derive(Debug, Clone)]
pub(crate) struct TopicCreation {
    pub(crate) enabled: bool,
    /// The broker's default when none is asked for.
    pub(crate) partitions: Option<i32>,
    pub(crate) replication: Option<i32>,
    pub(crate) config: Vec<(String, String)>,
}

/// The sink's options, checked.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) properties: Properties,
    pub(crate) value_format: Format,
    pub(crate) key_format: KeyFormat,
    pub(crate) compatibility: Compatibility,
    pub(crate) guarantee: Guarantee,
    pub(crate) partitioning: PartitionStrategy,
    pub(crate) topics: TopicNames,
    pub(crate) creation: TopicCreation,
    pub(crate) include_schema: bool,
    pub(crate) key_include_schema: bool,
    pub(crate) ignore_null_fields: bool,
    pub(crate) tombstones: bool,
    pub(crate) schema_topic: Option<String>,
    pub(crate) marker_topic: String,
    pub(crate) transactional_id_prefix: String,
    pub(crate) registry: Option<RegistrySettings>,
    pub(crate) avro_references: bool,
    subjects: Subjects,
    decimals: Decimals,
    iso_times: bool,
    table_headers: bool,
    custom_headers: Vec<(String, String)>,
}

impl Settings {
    /// Reads the options.
    ///
    /// # Errors
    /// Every fault that can be seen without a connection.
    pub(crate) fn read(options: &Options) -> Result<Self, Vec<OptionFault>> {
        let mut faults = Vec::new();
        let properties = Properties::read(options, &mut faults);
        let value_format = match word(options, "value.format").as_str() {
            "canal-json" => Format::CanalJson,
            "json" => Format::Json,
            "avro" => Format::Avro,
            _ => Format::DebeziumJson,
        };
        let key_format = match word(options, "key.format").as_str() {
            "csv" => KeyFormat::Csv,
            "avro" => KeyFormat::Avro,
            _ => KeyFormat::Json,
        };
        let compatibility = match word(options, "compatibility").as_str() {
            "flink-cdc" => Compatibility::FlinkCdc,
            _ => Compatibility::None,
        };
        let flink = compatibility == Compatibility::FlinkCdc;
        if flink && !matches!(value_format, Format::DebeziumJson | Format::CanalJson) {
            let why = format!("Flink CDC has no format `{}`", word(options, "value.format"));
            faults.push(
                OptionFault::new("value.format", why)
                    .hint("use debezium-json or canal-json, or leave `compatibility` out"),
            );
        }
        if flink && key_format == KeyFormat::Avro {
            faults.push(
                OptionFault::new("key.format", "Flink CDC has no Avro keys").hint("json or csv"),
            );
        }
        let include_schema = options.boolean("debezium-json.include-schema.enabled");
        let prefix = if value_format == Format::CanalJson { "canal-json" } else { "debezium-json" };
        let of_format = |key: &str| options.text(&format!("{prefix}.{key}")).unwrap_or_default();
        let is_true = |text: &str| text.trim().eq_ignore_ascii_case("true");
        let decimals = match word(options, "debezium-json.decimal.handling.mode").as_str() {
            _ if flink => {
                Decimals::Flink { plain: is_true(of_format("encode.decimal-as-plain-number")) }
            }
            "precise" => Decimals::Bytes,
            "double" => Decimals::Double,
            "string" => Decimals::Text,
            // Without a schema nobody could tell the scale of bare bytes.
            _ if include_schema || value_format == Format::Avro => Decimals::Bytes,
            _ => Decimals::Text,
        };
        let iso_times =
            of_format("timestamp-format.standard").trim().eq_ignore_ascii_case("iso-8601");
        let ignore_null_fields = is_true(of_format("encode.ignore-null-fields"));
        let one_for_all = topic_name(options, "topic", &mut faults);
        let mut topics = TopicNames { one_for_all, ..TopicNames::default() };
        read_mapping(options, &mut topics, &mut faults);
        let schema_topic = topic_name(options, "schema-changes.topic", &mut faults);
        let marker_topic =
            topic_name(options, "sink.marker-topic", &mut faults).unwrap_or_default();
        let registry = RegistrySettings::read(options, &mut faults);
        let avro = value_format == Format::Avro || key_format == KeyFormat::Avro;
        if avro && registry.is_none() && faults.is_empty() {
            faults.push(
                OptionFault::new("avro.schema-registry.url", "is needed by the format avro")
                    .hint("the registry's address, such as http://registry:8081"),
            );
        }
        let at_least = |key: &str| options.integer(key).and_then(|n| i32::try_from(n).ok());
        let creation = TopicCreation {
            enabled: options.boolean("topic.create"),
            partitions: at_least("topic.partitions"),
            replication: at_least("topic.replication-factor"),
            config: options
                .with_prefix("topic.config.")
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        };
        let custom_headers = read_headers(options, &mut faults);
        let guarantee = match word(options, "sink.delivery-guarantee").as_str() {
            "exactly-once" => Guarantee::ExactlyOnce,
            _ => Guarantee::AtLeastOnce,
        };
        let settings = Settings {
            properties,
            value_format,
            key_format,
            compatibility,
            guarantee,
            partitioning: match word(options, "partition.strategy").as_str() {
                "all-to-zero" => PartitionStrategy::AllToZero,
                _ => PartitionStrategy::HashByKey,
            },
            topics,
            creation,
            include_schema: include_schema && value_format == Format::DebeziumJson,
            key_include_schema: options.boolean("key.include-schema.enabled")
                && key_format == KeyFormat::Json,
            ignore_null_fields,
            tombstones: options.boolean("tombstones.enabled"),
            schema_topic,
            marker_topic,
            transactional_id_prefix: options
                .text("sink.transactional-id-prefix")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            registry,
            avro_references: options.boolean("avro.references.enabled"),
            subjects: match word(options, "avro.subject.strategy").as_str() {
                "record" => Subjects::Record,
                "topic-record" => Subjects::TopicRecord,
                _ => Subjects::Topic,
            },
            decimals,
            iso_times,
            table_headers: options.boolean("sink.add-tableId-to-header-enabled"),
            custom_headers,
        };
        if faults.is_empty() {
            settings.properties.check(&mut faults);
        }
        if faults.is_empty() { Ok(settings) } else { Err(faults) }
    }

    /// How cells of values are written.
    pub(crate) fn value_style(&self) -> Style {
        let text_times = if self.iso_times { Times::Iso } else { Times::Sql };
        if self.compatibility == Compatibility::FlinkCdc {
            return Style {
                decimals: self.decimals,
                times: text_times,
                quoted: false,
                flink: true,
                sets_joined: false,
                bits: Bits::LittleEndian,
            };
        }
        match self.value_format {
            Format::DebeziumJson | Format::Avro => Style {
                decimals: self.decimals,
                times: Times::Debezium,
                quoted: false,
                flink: false,
                sets_joined: true,
                bits: Bits::LittleEndian,
            },
            Format::CanalJson => Style {
                decimals: Decimals::Text,
                times: text_times,
                quoted: true,
                flink: false,
                sets_joined: true,
                bits: Bits::Number,
            },
            Format::Json => Style {
                decimals: Decimals::Number,
                times: Times::Iso,
                quoted: false,
                flink: false,
                sets_joined: false,
                bits: Bits::BigEndian,
            },
        }
    }

    /// The subject of a schema: of a topic's keys or values, whose record has this full name.
    pub(crate) fn subject(&self, topic: &str, part: &str, record: &str) -> String {
        match self.subjects {
            Subjects::Topic => format!("{topic}-{part}"),
            Subjects::Record => record.to_owned(),
            Subjects::TopicRecord => format!("{topic}-{record}"),
        }
    }

    /// How cells of keys are written: as in values, except that Canal's quotes are left out.
    pub(crate) fn key_style(&self) -> Style {
        let style = Style { quoted: false, ..self.value_style() };
        match self.key_format {
            // What a person reads.
            KeyFormat::Csv if self.compatibility == Compatibility::None => {
                Style { decimals: Decimals::Number, times: Times::Iso, ..style }
            }
            _ => style,
        }
    }

    /// The headers of a table's records, where there are any.
    pub(crate) fn headers_of(&self, table: &TableId) -> Option<OwnedHeaders> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        if self.table_headers {
            pairs.push(("namespace", table.namespace.as_deref().unwrap_or_default()));
            pairs.push(("schemaName", table.schema.as_deref().unwrap_or_default()));
            pairs.push(("tableName", &table.table));
        }
        pairs.extend(self.custom_headers.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        if pairs.is_empty() {
            return None;
        }
        let headers = OwnedHeaders::new_with_capacity(pairs.len());
        Some(pairs.into_iter().fold(headers, |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        }))
    }

    /// The time after which the broker ends a transaction that nobody ended: as asked for, else long enough for several
    /// checkpoints, within what brokers allow by default.
    pub(crate) fn transaction_timeout(&self, checkpoint_interval: Duration) -> Duration {
        const SHORTEST: Duration = Duration::from_secs(60);
        const BROKERS_DEFAULT_MAX: Duration = Duration::from_secs(900);
        self.properties
            .transaction_timeout()
            .unwrap_or_else(|| (checkpoint_interval * 5).clamp(SHORTEST, BROKERS_DEFAULT_MAX))
    }
}

/// An option that is one of a few words, in lower case.
fn word(options: &Options, key: &str) -> String {
    options.text(key).unwrap_or_default().trim().to_ascii_lowercase()
}

fn topic_name(options: &Options, key: &str, faults: &mut Vec<OptionFault>) -> Option<String> {
    let name = options.text(key)?.trim();
    if name.is_empty() {
        return None;
    }
    if let Some(fault) = name_fault(name) {
        faults.push(OptionFault::new(key, format!("\"{name}\" {fault}")));
    }
    Some(name.to_owned())
}

/// `pattern:topic;pattern:topic`. A pattern may hold colons: the topic stands behind the last.
fn read_mapping(options: &Options, topics: &mut TopicNames, faults: &mut Vec<OptionFault>) {
    const KEY: &str = "sink.tableId-to-topic.mapping";
    let text = options.text(KEY).unwrap_or_default();
    let mut offset = 0;
    for entry in text.split(';') {
        let start = offset;
        offset += entry.len() + 1;
        if entry.trim().is_empty() {
            continue;
        }
        let Some((pattern, topic)) = entry.rsplit_once(':') else {
            faults.push(
                OptionFault::new(KEY, format!("\"{entry}\" has no topic"))
                    .at(start)
                    .hint("write pattern:topic;pattern:topic"),
            );
            continue;
        };
        let topic = topic.trim();
        if let Some(fault) = name_fault(topic) {
            let at = start + pattern.len() + 1;
            faults.push(OptionFault::new(KEY, format!("topic \"{topic}\" {fault}")).at(at));
        }
        match Selectors::parse(pattern) {
            Ok(selectors) => topics.mapping.push((selectors, topic.to_owned())),
            Err(mut error) => {
                error.offset += start;
                faults.push(error.into_fault(KEY));
            }
        }
    }
}

/// `key:value` between `;`, or between `,` when there is no `;` (Flink CDC's documents say one and its code the other).
fn read_headers(options: &Options, faults: &mut Vec<OptionFault>) -> Vec<(String, String)> {
    const KEY: &str = "sink.custom-header";
    let text = options.text(KEY).unwrap_or_default();
    let separator = if text.contains(';') { ';' } else { ',' };
    let mut headers = Vec::new();
    for entry in text.split(separator).map(str::trim).filter(|entry| !entry.is_empty()) {
        match entry.split_once(':') {
            Some((key, value)) if !key.trim().is_empty() => {
                headers.push((key.trim().to_owned(), value.trim().to_owned()));
            }
            _ => faults.push(
                OptionFault::new(KEY, format!("\"{entry}\" is not a header"))
                    .hint("write key:value;key:value"),
            ),
        }
    }
    headers
}
