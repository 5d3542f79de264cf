//! Failures of Kafka in words that say who acts.

use cdc_api::{Error, ErrorKind};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::client::Context;

/// An error for a code of librdkafka. `message` says what could not be done, and to what.
pub(crate) fn of_code(message: impl Into<String>, code: Code) -> Error {
    because(message, code, format!("{code:?}: {code}"))
}

/// An error for a code, with librdkafka's words for it.
pub(crate) fn because(message: impl Into<String>, code: Code, reason: impl Into<String>) -> Error {
    let (kind, hint) = remedy(code);
    let error = Error::new(kind, message).detail(reason);
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// What to do about a record that is too large.
pub(crate) const TOO_LARGE: &str = "raise max.message.bytes of the topic, message.max.bytes of the broker and properties.max.request.size, or leave the table out";

/// An error of one call, with what the connections said meanwhile: a client that cannot log in only times out.
pub(crate) fn of(message: impl Into<String>, error: &KafkaError, context: &Context) -> Error {
    let code = match error {
        KafkaError::Transaction(inner) => inner.code(),
        other => other.rdkafka_error_code().unwrap_or(Code::Unknown),
    };
    let silent = matches!(
        code,
        Code::OperationTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Unknown
    );
    match context.connection_error() {
        Some((behind, reason)) if silent => because(message, behind, reason),
        _ => match error {
            KafkaError::Transaction(inner) => because(message, code, inner.string()),
            _ => of_code(message, code),
        },
    }
}

/// Who acts, and how.
fn remedy(code: Code) -> (ErrorKind, &'static str) {
    use ErrorKind::{Operator, Transient};
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => (
            Operator,
            "check properties.sasl.mechanism, properties.sasl.username and properties.sasl.password",
        ),
        Code::SSL => (
            Operator,
            "check properties.security.protocol, properties.ssl.ca.location, the names in the broker's certificate, and properties.ssl.certificate.location where it asks for ours",
        ),
        Code::TopicAuthorizationFailed => (
            Operator,
            "allow the user Describe, Write and, for topics that are missing, Create on the topic",
        ),
        Code::ClusterAuthorizationFailed => (
            Operator,
            "allow the user IdempotentWrite on the cluster, and Create for topics that are missing",
        ),
        Code::TransactionalIdAuthorizationFailed => (
            Operator,
            "allow the user Describe and Write on the transactional ids that begin with sink.transactional-id-prefix",
        ),
        // The next attempt makes it again, or says that it may not.
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            (Transient, "somebody deleted the topic, or made it again with fewer partitions")
        }
        Code::MessageSizeTooLarge => (Operator, TOO_LARGE),
        Code::InvalidRecord => (
            Operator,
            "the topic refuses the record: a compacted topic takes no records without a key",
        ),
        Code::InvalidReplicationFactor | Code::InvalidPartitions => {
            (Operator, "set topic.replication-factor and topic.partitions to what the cluster has")
        }
        Code::InvalidTopic => {
            (Operator, "map the table to another topic with sink.tableId-to-topic.mapping")
        }
        Code::PolicyViolation | Code::InvalidConfig => {
            (Operator, "check topic.config.* and the cluster's policy for new topics")
        }
        Code::ProducerFenced | Code::Fenced | Code::InvalidProducerEpoch => (
            Operator,
            "another process runs this pipeline (or a copy of its state): stop one of the two",
        ),
        Code::InvalidTransactionTimeout => (
            Operator,
            "lower properties.transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers",
        ),
        Code::UnsupportedFeature => (Operator, "the broker is too old for what is asked of it"),
        _ => (Transient, ""),
    }
}
