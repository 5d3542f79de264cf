//! Names, types and meanings of the sink's options.

use cdc_api::{ConnectorSpec, OptionSpec, OptionType, Role};

/// Name, options and meaning of the `kafka` sink.
pub const SPEC: ConnectorSpec = ConnectorSpec {
    name: "kafka",
    role: Role::Sink,
    summary: "Writes every change as a record to Kafka topics, at least or exactly once",
    options: &[
        OptionSpec::new(
            "properties.bootstrap.servers",
            OptionType::Text,
            "Brokers to begin with, host:port between commas.",
        )
        .required(),
        OptionSpec::new(
            "properties.*",
            OptionType::Secret,
            "Producer properties by the names of Kafka's Java clients or of librdkafka, such as properties.linger.ms.",
        ),
        OptionSpec::new(
            "value.format",
            OptionType::OneOf(&["debezium-json", "canal-json", "json", "avro"]),
            "How a change is written; json is the row alone, and a null value for a delete.",
        )
        .default("debezium-json"),
        OptionSpec::new(
            "key.format",
            OptionType::OneOf(&["json", "csv", "avro"]),
            "How a record's key, the row's key columns, is written.",
        )
        .default("json"),
        OptionSpec::new(
            "partition.strategy",
            OptionType::OneOf(&["hash-by-key", "all-to-zero"]),
            "Partition by the key's hash as Java clients compute it, or the first for all; Flink CDC's default is all-to-zero.",
        )
        .default("hash-by-key"),
        OptionSpec::new("topic", OptionType::Text, "One topic for all tables; without it each table has its own, database.table."),
        OptionSpec::new(
            "sink.tableId-to-topic.mapping",
            OptionType::Text,
            "Topics by table patterns: pattern:topic;pattern:topic.",
        ),
        OptionSpec::new(
            "sink.delivery-guarantee",
            OptionType::OneOf(&["at-least-once", "exactly-once"]),
            "exactly-once writes in transactions, one a checkpoint: consumers set isolation.level=read_committed.",
        )
        .default("at-least-once"),
        OptionSpec::new(
            "sink.add-tableId-to-header-enabled",
            OptionType::Boolean,
            "Whether records have the headers namespace, schemaName and tableName.",
        )
        .default("false"),
        OptionSpec::new("sink.custom-header", OptionType::Text, "More headers: key:value;key:value."),
        OptionSpec::new(
            "compatibility",
            OptionType::OneOf(&["none", "flink-cdc"]),
            "flink-cdc writes the bytes that Flink CDC writes: fewer fields, and the table's name in each key.",
        )
        .default("none"),
        OptionSpec::new(
            "debezium-json.include-schema.enabled",
            OptionType::Boolean,
            "Whether each value carries its schema in Kafka Connect's form.",
        )
        .default("false"),
        OptionSpec::new(
            "key.include-schema.enabled",
            OptionType::Boolean,
            "Whether each JSON key carries its schema in Kafka Connect's form.",
        )
        .default("false"),
        OptionSpec::new(
            "debezium-json.decimal.handling.mode",
            OptionType::OneOf(&["precise", "string", "double"]),
            "How decimals are written; precise is Connect's bytes, the default where there is a schema, else string.",
        ),
        OptionSpec::new(
            "debezium-json.timestamp-format.standard",
            OptionType::OneOf(&["SQL", "ISO-8601"]),
            "Form of dates with times under `compatibility: flink-cdc`.",
        )
        .default("SQL"),
        OptionSpec::new(
            "debezium-json.encode.decimal-as-plain-number",
            OptionType::Boolean,
            "Whether decimals have no exponent under `compatibility: flink-cdc`.",
        )
        .default("false"),
        OptionSpec::new(
            "debezium-json.encode.ignore-null-fields",
            OptionType::Boolean,
            "Whether fields that are null are left out.",
        )
        .default("false"),
        OptionSpec::new(
            "debezium-json.map-null-key.*",
            OptionType::Text,
            "What becomes of null keys of maps.",
        )
        .no_effect("keys of maps are never null here"),
        OptionSpec::new(
            "canal-json.timestamp-format.standard",
            OptionType::OneOf(&["SQL", "ISO-8601"]),
            "Form of dates with times.",
        )
        .default("SQL"),
        OptionSpec::new(
            "canal-json.encode.decimal-as-plain-number",
            OptionType::Boolean,
            "Whether decimals have no exponent under `compatibility: flink-cdc`.",
        )
        .default("false"),
        OptionSpec::new(
            "canal-json.encode.ignore-null-fields",
            OptionType::Boolean,
            "Whether fields that are null are left out.",
        )
        .default("false"),
        OptionSpec::new(
            "canal-json.map-null-key.*",
            OptionType::Text,
            "What becomes of null keys of maps.",
        )
        .no_effect("keys of maps are never null here"),
        OptionSpec::new(
            "tombstones.enabled",
            OptionType::Boolean,
            "Whether a delete is followed by a null value under its key, so that compaction removes the key.",
        )
        .default("false"),
        OptionSpec::new(
            "schema-changes.topic",
            OptionType::Text,
            "Topic for changes of tables, in Debezium's form; without it none are written.",
        ),
        OptionSpec::new(
            "topic.create",
            OptionType::Boolean,
            "Whether topics that are missing are created.",
        )
        .default("true"),
        OptionSpec::new(
            "topic.partitions",
            OptionType::Integer { min: 1, max: 100_000 },
            "Partitions of created topics; the broker's default without it.",
        ),
        OptionSpec::new(
            "topic.replication-factor",
            OptionType::Integer { min: 1, max: 32_767 },
            "Replicas of created topics; the broker's default without it.",
        ),
        OptionSpec::new(
            "topic.config.*",
            OptionType::Text,
            "Settings of created topics, such as topic.config.cleanup.policy.",
        ),
        OptionSpec::new(
            "sink.transactional-id-prefix",
            OptionType::Text,
            "What transactional ids begin with; the pipeline's UUID follows.",
        )
        .default("cdc-cli-"),
        OptionSpec::new(
            "sink.marker-topic",
            OptionType::Text,
            "Compacted topic of one partition in which exactly-once pipelines keep their checkpoints' numbers.",
        )
        .default("cdc-cli-checkpoints"),
        OptionSpec::new(
            "avro.schema-registry.url",
            OptionType::Text,
            "Address of a schema registry with Confluent's interface; several between commas.",
        ),
        OptionSpec::new("avro.schema-registry.username", OptionType::Text, "Name for the registry."),
        OptionSpec::new("avro.schema-registry.password", OptionType::Secret, "Password for the registry."),
        OptionSpec::new(
            "avro.schema-registry.bearer-token",
            OptionType::Secret,
            "Token for the registry, in place of name and password.",
        ),
        OptionSpec::new(
            "avro.schema-registry.ssl.ca.location",
            OptionType::Text,
            "PEM file with the authorities that signed the registry's certificate; the system's without it.",
        ),
        OptionSpec::new(
            "avro.subject.strategy",
            OptionType::OneOf(&["topic", "record", "topic-record"]),
            "Names of subjects: <topic>-value, the record's name, or both.",
        )
        .default("topic"),
        OptionSpec::new(
            "avro.auto-register",
            OptionType::Boolean,
            "Whether schemas are registered; if not, they must be there.",
        )
        .default("true"),
        OptionSpec::new(
            "avro.references.enabled",
            OptionType::Boolean,
            "Whether a table's row is a schema of its own that its envelope refers to.",
        )
        .default("false"),
    ],
};
