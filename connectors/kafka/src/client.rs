//! What librdkafka tells a client beside its answers: log lines, errors of connections, and records that could not be
//! delivered. Kept until somebody asks, since librdkafka itself only goes on trying.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryResult, ProducerContext},
};

/// An error of a connection that is older than this says nothing of now. librdkafka repeats one that lasts every 30 s.
const CONNECTION_ERROR_AGE_MAX: Duration = Duration::from_secs(60);

/// The ear of one client.
#[derive(Default)]
pub(crate) struct Context {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// The last error of a connection, librdkafka's words for it, and when.
    connection: Option<(RDKafkaErrorCode, String, Instant)>,
    /// The first record that was not delivered.
    undelivered: Option<Undelivered>,
    /// The first partition that could not take part in a transaction, in librdkafka's words, which its errors lack.
    partition: Option<String>,
}

/// A record that no broker has.
#[derive(Debug, Clone)]
pub(crate) struct Undelivered {
    pub(crate) code: RDKafkaErrorCode,
    pub(crate) topic: String,
    /// The number that its table has in the session, counted from 1; 0 for a record of our own.
    pub(crate) table: usize,
    pub(crate) key: Option<Vec<u8>>,
    /// Of key and value.
    pub(crate) bytes: usize,
}

/// librdkafka's words for `OPERATION_NOT_ATTEMPTED`.
const NOT_ATTEMPTED: &str = "Operation not attempted";
/// Of a key, in a message.
const KEY_BYTES_SHOWN_MAX: usize = 128;

impl Context {
    fn with<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last error of a connection.
    pub(crate) fn connection_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.with(|heard| {
            let (code, reason, at) = heard.connection.as_ref()?;
            (at.elapsed() < CONNECTION_ERROR_AGE_MAX).then(|| (*code, reason.clone()))
        })
    }

    /// The first partition that could not take part in a transaction, and why.
    pub(crate) fn partition_error(&self) -> Option<String> {
        self.with(|heard| heard.partition.clone())
    }

    /// The first record that was not delivered.
    pub(crate) fn undelivered(&self) -> Option<Undelivered> {
        self.with(|heard| heard.undelivered.clone())
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as L;
        // A partition that was left out for another's sake says nothing.
        if facility == "ADDPARTS" && !message.contains(NOT_ATTEMPTED) {
            self.with(|heard| {
                heard.partition.get_or_insert_with(|| message.to_owned());
            });
        }
        match level {
            // An error of librdkafka is a connection that it goes on trying: nothing is lost.
            L::Emerg | L::Alert | L::Critical | L::Error | L::Warning => {
                tracing::warn!(facility, "kafka client: {message}");
            }
            L::Notice | L::Info => tracing::info!(facility, "kafka client: {message}"),
            L::Debug => tracing::debug!(facility, "kafka client: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = match error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown) {
            // What a broker thinks of our certificate comes behind the handshake, as if the connection were cut.
            _ if reason.contains("SSL routines") && reason.contains("alert") => {
                RDKafkaErrorCode::SSL
            }
            code => code,
        };
        tracing::warn!(error = %error, "kafka client: {reason}");
        match code {
            // The client keeps it itself, with the code behind it.
            RDKafkaErrorCode::Fatal => {}
            // What says least comes last and must not cover what says more.
            RDKafkaErrorCode::AllBrokersDown if self.connection_error().is_some() => {}
            _ => self.with(|heard| {
                heard.connection = Some((code, reason.to_owned(), Instant::now()));
            }),
        }
    }
}

impl ProducerContext for Context {
    /// The number of the record's table, counted from 1; 0 for a record of our own.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, table: usize) {
        if let Err((error, message)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            // What we throw away ourselves is the consequence of an earlier failure.
            if !matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) {
                let (key, value) = (message.key(), message.payload());
                self.with(|heard| {
                    heard.undelivered.get_or_insert_with(|| Undelivered {
                        code,
                        topic: message.topic().to_owned(),
                        table,
                        key: key.map(|key| key[..key.len().min(KEY_BYTES_SHOWN_MAX)].to_vec()),
                        bytes: key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len),
                    });
                });
            }
        }
    }
}
