//! The other side of `make bench`'s Kafka part (`integration/bench/kafka.py`): what waits for records, reads how old they
//! are, and produces the same bytes with librdkafka alone.
//!
//! - `load BROKERS drained TOPIC RECORDS` returns once so many records can be read as committed.
//! - `load BROKERS copy FROM TO [PROPERTY=VALUE…]` reads all of FROM into memory, then produces it to TO and prints records,
//!   bytes and seconds.
//! - `load BROKERS latency TOPIC RECORDS` prints `ready`, reads so many records as committed and prints the median and the
//!   99th percentile of their ages in milliseconds, by the microseconds since the epoch in `"after":{…,"at":N`.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use std::{
    env,
    error::Error,
    process::ExitCode,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// No answer, no record for so long: something is broken.
const WAIT_MAX: Duration = Duration::from_secs(600);
const STEP: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [brokers, "drained", topic, records] => drained(brokers, topic, records),
        [brokers, "copy", from, to, properties @ ..] => copy(brokers, from, to, properties),
        [brokers, "latency", topic, records] => latency(brokers, topic, records),
        _ => Err("usage: load BROKERS drained|copy|latency …".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn consumer(brokers: &str) -> Outcome<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("group.id", "bench");
    config.set("isolation.level", "read_committed").set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "false").set("fetch.wait.max.ms", "100");
    Ok(config.create()?)
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Outcome<Vec<i32>> {
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10))?;
    let found = metadata.topics().first().map(|topic| topic.partitions());
    Ok(found.unwrap_or_default().iter().map(|partition| partition.id()).collect())
}

/// Waits until the topic is there.
fn partitions_of(consumer: &BaseConsumer, topic: &str) -> Outcome<Vec<i32>> {
    let begun = Instant::now();
    loop {
        match partitions(consumer, topic) {
            Ok(found) if !found.is_empty() => return Ok(found),
            _ if begun.elapsed() > WAIT_MAX => return Err(format!("no topic {topic}").into()),
            _ => std::thread::sleep(STEP),
        }
    }
}

/// Of each partition: the offset up to which committed records can be read.
fn ends(consumer: &BaseConsumer, topic: &str, partitions: &[i32]) -> Outcome<Vec<i64>> {
    let end = |&partition: &i32| {
        Ok(consumer.fetch_watermarks(topic, partition, Duration::from_secs(10))?.1)
    };
    partitions.iter().map(end).collect()
}

fn drained(brokers: &str, topic: &str, records: &str) -> Outcome<()> {
    let (consumer, goal) = (consumer(brokers)?, records.parse::<i64>()?);
    let partitions = partitions_of(&consumer, topic)?;
    let begun = Instant::now();
    loop {
        let seen: i64 = ends(&consumer, topic, &partitions)?.iter().sum();
        if seen >= goal {
            return Ok(());
        }
        if begun.elapsed() > WAIT_MAX {
            return Err(format!("{seen} of {goal} records came").into());
        }
        std::thread::sleep(STEP);
    }
}

/// Reads these partitions from their beginning.
fn assign(consumer: &BaseConsumer, topic: &str, partitions: &[i32]) -> Outcome<()> {
    let mut list = TopicPartitionList::new();
    for &partition in partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    Ok(consumer.assign(&list)?)
}

/// Keys and values, one behind the other.
#[derive(Default)]
struct Recorded {
    bytes: Vec<u8>,
    /// The lengths of key and value; no value is a tombstone.
    lengths: Vec<(usize, Option<usize>)>,
}

fn read_all(brokers: &str, topic: &str) -> Outcome<Recorded> {
    let consumer = consumer(brokers)?;
    let partitions = partitions_of(&consumer, topic)?;
    let ends = ends(&consumer, topic, &partitions)?;
    assign(&consumer, topic, &partitions)?;
    let mut recorded = Recorded::default();
    let mut quiet_since = Instant::now();
    loop {
        let position = consumer.position()?;
        let is_read = partitions.iter().zip(&ends).all(|(&partition, &end)| {
            let at = position.find_partition(topic, partition).map(|at| at.offset());
            end == 0 || matches!(at, Some(Offset::Offset(at)) if at >= end)
        });
        // Control records at the end are passed without being handed out.
        if is_read
            || (quiet_since.elapsed() > Duration::from_secs(3) && !recorded.lengths.is_empty())
        {
            return Ok(recorded);
        }
        for _ in 0..10_000 {
            let Some(message) = consumer.poll(STEP) else { break };
            let message = message?;
            let (key, value) = (message.key().unwrap_or_default(), message.payload());
            recorded.bytes.extend_from_slice(key);
            recorded.bytes.extend_from_slice(value.unwrap_or_default());
            recorded.lengths.push((key.len(), value.map(<[u8]>::len)));
            quiet_since = Instant::now();
        }
    }
}

/// Errors count, successes do not report: as the sink has it.
struct Context;
impl ClientContext for Context {}
impl ProducerContext for Context {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            println!("failed: {error}");
            std::process::exit(1);
        }
    }
}

fn copy(brokers: &str, from: &str, to: &str, properties: &[&str]) -> Outcome<()> {
    let recorded = read_all(brokers, from)?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("enable.idempotence", "true");
    config.set("partitioner", "murmur2_random").set("delivery.report.only.error", "true");
    for property in properties {
        let (name, value) = property.split_once('=').ok_or("a property is NAME=VALUE")?;
        config.set(name, value);
    }
    let producer: ThreadedProducer<Context> = config.create_with_context(Context)?;
    let begun = Instant::now();
    let mut at = 0;
    for &(key, value) in &recorded.lengths {
        let record = &recorded.bytes[at..at + key + value.unwrap_or(0)];
        at += record.len();
        let mut next: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(to);
        next.key = Some(&record[..key]);
        next.payload = value.map(|_| &record[key..]);
        loop {
            match producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    std::thread::sleep(Duration::from_millis(2));
                    next = back;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
    }
    producer.flush(WAIT_MAX)?;
    println!(
        "{} {} {}",
        recorded.lengths.len(),
        recorded.bytes.len(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn latency(brokers: &str, topic: &str, records: &str) -> Outcome<()> {
    let (consumer, goal) = (consumer(brokers)?, records.parse::<usize>()?);
    assign(&consumer, topic, &partitions_of(&consumer, topic)?)?;
    println!("ready");
    let mut ages = Vec::with_capacity(goal);
    let mut quiet_since = Instant::now();
    while ages.len() < goal {
        let Some(message) = consumer.poll(STEP) else {
            if quiet_since.elapsed() > WAIT_MAX {
                return Err(format!("{} of {goal} records came", ages.len()).into());
            }
            continue;
        };
        let message = message?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as f64;
        let at =
            written_at(message.payload().unwrap_or_default()).ok_or("a record without a time")?;
        ages.push((now - at) / 1000.0);
        quiet_since = Instant::now();
    }
    ages.sort_by(f64::total_cmp);
    println!("{} {}", ages[ages.len() / 2], ages[ages.len() * 99 / 100]);
    Ok(())
}

/// Microseconds since the epoch of the column `at` in the row after.
fn written_at(value: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(value).ok()?;
    let row = text.split_once("\"after\":{")?.1;
    let number = row.split_once("\"at\":")?.1;
    let end = number.find(|character: char| !character.is_ascii_digit())?;
    number[..end].parse().ok()
}
