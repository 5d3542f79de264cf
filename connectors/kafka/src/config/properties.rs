//! `properties.*`: Kafka client properties under the names of its Java clients, which Flink CDC's files have, or under
//! librdkafka's. Out: a client configuration. What only a JVM has (key stores in its own format, class names) is refused
//! with the way to say it here, or has no effect.

use std::{collections::BTreeMap, fmt, time::Duration};

use cdc_api::{OptionFault, Options, options::names_a_secret};
use rdkafka::{ClientConfig, config::FromClientConfig};

/// Client properties, by librdkafka's names.
#[derive(Clone)]
pub(crate) struct Properties {
    values: BTreeMap<String, String>,
    /// The key in the file by librdkafka's name, for messages.
    keys: BTreeMap<String, String>,
}

/// Names that differ, Java's first.
const RENAMED: [(&str, &str); 8] = [
    ("buffer.memory", "queue.buffering.max.kbytes"),
    ("max.request.size", "message.max.bytes"),
    ("max.in.flight.requests.per.connection", "max.in.flight.requests.per.connection"),
    ("delivery.timeout.ms", "delivery.timeout.ms"),
    ("linger.ms", "linger.ms"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
];

/// Settings of a JVM, or of the serializers that this sink does itself.
const WITHOUT_EFFECT: [&str; 8] = [
    "key.serializer",
    "value.serializer",
    "max.block.ms",
    "metric.reporters",
    "interceptor.classes",
    "partitioner.ignore.keys",
    "ssl.protocol",
    "ssl.enabled.protocols",
];

/// The largest record, in bytes, unless the file says otherwise: librdkafka's own `message.max.bytes`.
const RECORD_BYTES_MAX: usize = 1_000_000;

/// What the sink sets itself, and the option that a user means.
const OURS: [(&str, &str); 6] = [
    ("transactional.id", "set sink.transactional-id-prefix; the pipeline's UUID follows it"),
    ("partitioner", "set partition.strategy"),
    ("partitioner.class", "set partition.strategy"),
    (
        "enable.idempotence",
        "leave it out: the producer is always idempotent, or order would be lost",
    ),
    ("isolation.level", "leave it out: it is a consumer's property"),
    ("group.id", "leave it out: it is a consumer's property"),
];

impl Properties {
    /// Reads `properties.*`.
    pub(super) fn read(options: &Options, faults: &mut Vec<OptionFault>) -> Properties {
        let mut properties = Properties { values: BTreeMap::new(), keys: BTreeMap::new() };
        for (name, value) in options.with_prefix("properties.") {
            let key = format!("properties.{name}");
            if let Some((_, hint)) = OURS.iter().find(|(ours, _)| *ours == name) {
                faults.push(OptionFault::new(key, "is not for a file to set").hint(*hint));
            } else if WITHOUT_EFFECT.contains(&name) {
                tracing::info!(property = name, "has no effect here");
            } else if let Err(fault) = properties.take(name, value.trim(), &key) {
                faults.push(fault);
            }
        }
        properties
    }

    fn take(&mut self, name: &str, value: &str, key: &str) -> Result<(), OptionFault> {
        let fault = |message: &str, hint: &str| Err(OptionFault::new(key, message).hint(hint));
        let pem = "give a PEM file: properties.ssl.ca.location, properties.ssl.certificate.location and properties.ssl.key.location";
        match name {
            "sasl.jaas.config" => {
                let Some((user, password)) = login_of(value) else {
                    return fault(
                        "has no username and password",
                        "write properties.sasl.username and properties.sasl.password",
                    );
                };
                self.put("sasl.username", &user, key);
                self.put("sasl.password", &password, key);
            }
            "ssl.truststore.location" if has_ending(value, &["jks", "p12", "pfx"]) => {
                return fault("is a key store of the JVM", pem);
            }
            "ssl.truststore.location" => self.put("ssl.ca.location", value, key),
            "ssl.truststore.certificates" => self.put("ssl.ca.pem", value, key),
            "ssl.truststore.type" | "ssl.keystore.type" => {
                if !matches!(value.to_ascii_uppercase().as_str(), "PEM" | "PKCS12") {
                    return fault("names a key store of the JVM", pem);
                }
            }
            "ssl.truststore.password" => {}
            "ssl.keystore.location" if has_ending(value, &["jks"]) => {
                return fault("is a key store of the JVM", pem);
            }
            "ssl.keystore.location" if has_ending(value, &["pem", "crt"]) => {
                // Java's PEM key store holds key and certificates in one file.
                self.put("ssl.certificate.location", value, key);
                self.put("ssl.key.location", value, key);
            }
            "ssl.keystore.certificate.chain" => self.put("ssl.certificate.pem", value, key),
            "ssl.keystore.key" => self.put("ssl.key.pem", value, key),
            "ssl.endpoint.identification.algorithm" => {
                let word = if value.is_empty() { "none" } else { value };
                self.put(name, &word.to_ascii_lowercase(), key);
            }
            "buffer.memory" => match value.parse::<u64>() {
                Ok(bytes) => {
                    self.put("queue.buffering.max.kbytes", &(bytes / 1024).max(1).to_string(), key);
                }
                Err(_) => return fault("is not a number of bytes", "a whole number"),
            },
            "acks" | "request.required.acks" if !matches!(value, "all" | "-1") => {
                return fault(
                    "must be all",
                    "leave it out: with fewer replicas a change could be lost",
                );
            }
            "sasl.mechanism" | "sasl.mechanisms" if value.eq_ignore_ascii_case("gssapi") => {
                return fault(
                    "GSSAPI is not in this build",
                    "use SCRAM-SHA-512, PLAIN or TLS certificates",
                );
            }
            _ => {
                let renamed = RENAMED.iter().find(|(java, _)| *java == name);
                self.put(renamed.map_or(name, |(_, own)| own), value, key);
            }
        }
        Ok(())
    }

    fn put(&mut self, name: &str, value: &str, key: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
        self.keys.insert(name.to_owned(), key.to_owned());
    }

    /// Asks librdkafka whether it takes each property, and all of them together.
    pub(super) fn check(&self, faults: &mut Vec<OptionFault>) {
        let before = faults.len();
        for (name, value) in &self.values {
            let mut alone = ClientConfig::new();
            alone.set(name, value);
            if let Err(error) = alone.create_native_config() {
                let key = self.keys.get(name).unwrap_or(name);
                faults.push(OptionFault::new(key, shorten(&error.to_string(), value, name)));
            }
        }
        // A record that the queue could never hold would be tried for ever.
        if let Some(queue) = self.number("queue.buffering.max.kbytes")
            && queue.saturating_mul(1024) <= self.record_bytes_max()
        {
            let key = self.keys.get("queue.buffering.max.kbytes").map_or("", String::as_str);
            faults.push(
                OptionFault::new(key, "is too small for the largest record")
                    .hint("make it more than properties.max.request.size, or leave it out"),
            );
        }
        // Files that are named must be readable, mechanisms must fit the protocol: a client that is never used tells.
        if faults.len() == before
            && let Err(error) = rdkafka::producer::BaseProducer::from_config(&self.client())
        {
            let message = match error {
                rdkafka::error::KafkaError::ClientCreation(text) => text,
                other => other.to_string(),
            };
            faults.push(OptionFault::new("properties.bootstrap.servers", message)
                .hint("check properties.security.protocol and what it needs (properties.sasl.*, properties.ssl.*)"));
        }
    }

    /// A client configuration with these properties.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "cdc-cli");
        // Idle connections are closed by brokers and balancers; that is no news.
        config.set("log.connection.close", "false");
        for (name, value) in &self.values {
            config.set(name, value);
        }
        config
    }

    /// The same for a consumer, which has no use for what only a producer has.
    pub(crate) fn consumer(&self) -> ClientConfig {
        const PRODUCERS: [&str; 12] = [
            "acks",
            "batch.",
            "compression.",
            "delivery.",
            "linger.",
            "max.in.flight.requests.per.connection",
            "message.timeout.ms",
            "queue.buffering.",
            "request.required.acks",
            "request.timeout.ms",
            "retries",
            "transaction.",
        ];
        let mut config = self.client();
        for name in self.values.keys() {
            if PRODUCERS.iter().any(|beginning| name.starts_with(beginning)) {
                config.remove(name);
            }
        }
        config
    }

    /// Whether the file sets it, by librdkafka's name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A number that the file sets, by librdkafka's name.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.values.get(name)?.parse().ok()
    }

    /// The largest record that the producer takes, in bytes.
    pub(crate) fn record_bytes_max(&self) -> usize {
        self.number("message.max.bytes").unwrap_or(RECORD_BYTES_MAX)
    }

    /// Where to begin, sorted, for the checkpoint's fingerprint and for messages.
    pub(crate) fn bootstrap(&self) -> String {
        let servers = self.values.get("bootstrap.servers").map_or("", String::as_str);
        let mut servers: Vec<&str> = servers.split(',').map(str::trim).collect();
        servers.sort_unstable();
        servers.join(",")
    }

    /// `transaction.timeout.ms`, where the file sets it.
    pub(super) fn transaction_timeout(&self) -> Option<Duration> {
        let text = self.values.get("transaction.timeout.ms")?;
        text.parse().ok().map(Duration::from_millis)
    }
}

/// Secrets never print.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .values
            .iter()
            .map(|(name, value)| (name, if names_a_secret(name) { "***" } else { value.as_str() }));
        f.debug_map().entries(shown).finish()
    }
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Name and password of a JAAS line: `…LoginModule required username="a" password="b";`.
fn login_of(jaas: &str) -> Option<(String, String)> {
    let value_of = |name: &str| {
        let rest = jaas.split_once(&format!("{name}="))?.1;
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let text = match quote {
            Some(quote) => rest.get(1..)?.split_once(quote)?.0,
            None => rest.split([' ', ';']).next()?,
        };
        Some(text.to_owned())
    };
    Some((value_of("username")?, value_of("password")?))
}

/// librdkafka's message, without the value of a secret.
fn shorten(message: &str, value: &str, name: &str) -> String {
    let message = message.trim_start_matches("Client config error: ");
    if names_a_secret(name) { message.replace(value, "***") } else { message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::spec::SPEC;

    #[test]
    fn jaas_lines_are_read() {
        let line = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"a b\" password='c;d';";
        assert_eq!(login_of(line), Some(("a b".into(), "c;d".into())));
        assert_eq!(
            login_of("module required username=a password=b;"),
            Some(("a".into(), "b".into()))
        );
        assert_eq!(login_of("module required;"), None);
    }

    fn faults_of(properties: &[(&str, &str)]) -> Vec<OptionFault> {
        let values = properties
            .iter()
            .map(|(name, value)| (format!("properties.{name}"), (*value).to_owned()))
            .collect();
        let mut faults = Vec::new();
        let read = Properties::read(&Options::new(&SPEC, values), &mut faults);
        read.check(&mut faults);
        faults
    }

    #[test]
    fn the_queue_must_have_room_for_the_largest_record() {
        for (properties, key) in [
            (&[("buffer.memory", "1000000")][..], Some("properties.buffer.memory")),
            (
                &[("queue.buffering.max.kbytes", "4096"), ("max.request.size", "8000000")],
                Some("properties.queue.buffering.max.kbytes"),
            ),
            (&[("buffer.memory", "33554432"), ("max.request.size", "8000000")], None),
            (&[("max.request.size", "64000000")], None),
            (&[("buffer.memory", "1048576")], None),
        ] {
            let keys: Vec<String> =
                faults_of(properties).into_iter().map(|fault| fault.key).collect();
            assert_eq!(keys, key.into_iter().collect::<Vec<_>>(), "{properties:?}");
        }
    }
}
