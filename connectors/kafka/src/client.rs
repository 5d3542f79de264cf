//! What librdkafka tells a client beside its answers: log lines, errors of connections, and records that could not be
//! delivered. Kept until somebody asks, since librdkafka itself only goes on trying.

use std::sync::{Mutex, PoisonError};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryResult, ProducerContext},
};

/// The ear of one client.
#[derive(Default)]
pub(crate) struct Context {
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// The last error of a connection and librdkafka's words for it.
    connection: Option<(RDKafkaErrorCode, String)>,
    /// The first record that was not delivered: why, and its topic.
    undelivered: Option<(RDKafkaErrorCode, String)>,
}

impl Context {
    fn with<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The last error of a connection.
    pub(crate) fn connection_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.with(|heard| heard.connection.clone())
    }

    /// The first record that was not delivered.
    pub(crate) fn undelivered(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.with(|heard| heard.undelivered.clone())
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as L;
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
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        tracing::warn!(error = %error, "kafka client: {reason}");
        // What says least comes last and must not cover what says more.
        if code != RDKafkaErrorCode::AllBrokersDown || self.connection_error().is_none() {
            self.with(|heard| heard.connection = Some((code, reason.to_owned())));
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
            // What we throw away ourselves is the consequence of an earlier failure.
            if !matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) {
                self.with(|heard| {
                    heard.undelivered.get_or_insert((code, message.topic().to_owned()));
                });
            }
        }
    }
}
