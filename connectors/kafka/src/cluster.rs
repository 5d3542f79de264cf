//! Topics: whether they are there, how many partitions they have, and making those that are missing.

use std::time::{Duration, Instant};

use cdc_api::{Error, Result};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::Client,
    config::FromClientConfigAndContext,
    error::{KafkaError, RDKafkaErrorCode as Code},
};

use crate::{
    client::Context,
    config::{Properties, TopicCreation},
    failure,
    topic::Topic,
};

/// A broker that has not answered in this time is not there.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// The time between two looks at what the connections say.
const ANSWER_STEP: Duration = Duration::from_secs(1);
/// Until a created topic has a leader.
const CREATION_TIMEOUT: Duration = Duration::from_secs(30);

/// Looks a topic up; none when it is not there. Blocks.
pub(crate) fn find(client: &Client<Context>, name: &str) -> Result<Option<Topic>> {
    let doing = || format!("topic \"{name}\" cannot be looked up");
    let metadata = client
        .fetch_metadata(Some(name), ANSWER_TIMEOUT)
        .map_err(|error| failure::of(doing(), &error, client.context()))?;
    let Some(found) = metadata.topics().iter().find(|topic| topic.name() == name) else {
        return Ok(None);
    };
    match found.error().map(Code::from) {
        None => {}
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
        // A topic that was made just now has no leader yet.
        Some(Code::LeaderNotAvailable) => {}
        Some(code) => return Err(failure::of_code(doing(), code)),
    }
    let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
    Ok((partitions > 0).then(|| Topic { name: name.to_owned(), partitions }))
}

/// Makes a topic; one that is there by now is fine.
pub(crate) async fn create(
    properties: &Properties,
    name: &str,
    creation: &TopicCreation,
) -> Result<()> {
    let doing = || format!("topic \"{name}\" cannot be created");
    let admin =
        admin(properties).map_err(|error| failure::of(doing(), &error, &Context::default()))?;
    // -1 is the broker's own default.
    let topic = NewTopic::new(
        name,
        creation.partitions.unwrap_or(-1),
        TopicReplication::Fixed(creation.replication.unwrap_or(-1)),
    );
    let topic = creation.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let options = options().operation_timeout(Some(CREATION_TIMEOUT));
    let answers = admin
        .create_topics([&topic], &options)
        .await
        .map_err(|error| failure::of(doing(), &error, admin.inner().context()))?;
    for answer in answers {
        match answer {
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failure::of_code(doing(), code)),
        }
    }
    tracing::info!(topic = name, "created a topic");
    Ok(())
}

fn admin(properties: &Properties) -> Result<AdminClient<Context>, KafkaError> {
    AdminClient::from_config_and_context(&properties.client(), Context::default())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT))
}

/// A setting of a topic. None when the cluster does not tell: that needs the right DescribeConfigs, which a pipeline
/// can do without.
pub(crate) async fn setting(properties: &Properties, topic: &str, name: &str) -> Option<String> {
    let admin = admin(properties).ok()?;
    let answers = admin.describe_configs(&[ResourceSpecifier::Topic(topic)], &options()).await;
    let resource = answers.ok()?.into_iter().next()?.ok()?;
    resource.entries.into_iter().find(|entry| entry.name == name)?.value
}

/// A topic that is missing and may not be made.
pub(crate) fn missing(name: &str) -> Error {
    Error::operator(format!("topic \"{name}\" is not there"))
        .hint("create it, or set topic.create: true")
}

/// Whether a client can reach the cluster. Blocks, not beyond the moment when a broker refuses the client itself.
pub(crate) fn reach(client: &Client<Context>, bootstrap: &str) -> Result<()> {
    let deadline = Instant::now() + ANSWER_TIMEOUT;
    loop {
        let Err(error) = client.fetch_metadata(None, ANSWER_STEP) else { return Ok(()) };
        let message = format!("the Kafka cluster at {bootstrap} cannot be reached");
        let error = failure::of(message, &error, client.context());
        // One more answer may come while there is time, but not to a client with the wrong password.
        if error.is_transient() && Instant::now() < deadline {
            continue;
        }
        if error.hint_text().is_some() {
            return Err(error);
        }
        return Err(error.hint("check properties.bootstrap.servers, properties.security.protocol, the network and that the brokers run"));
    }
}
