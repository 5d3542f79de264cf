//! Exactly-once through the sink's traits: what is committed, what is not, and who may go on.

use std::time::Duration;

use cdc_api::{ErrorKind, Op};
use cdc_integration::Outcome;

use crate::{
    cluster::{Cluster, Record},
    rows::{context, sink, small, small_table},
};

fn names(records: &[Record]) -> Vec<String> {
    let name = |record: &Record| record.json()["after"]["name"].as_str().unwrap_or("?").to_owned();
    records.iter().map(name).collect()
}

/// A pipeline's UUID that no other test has.
fn uuid() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}-0000-4000-8000-{count:012x}", std::process::id())
}

/// Rows are seen with their checkpoint, an empty checkpoint is known too, and a start reads the last one back.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_one_transaction() -> Outcome {
    let cluster = Cluster::shared().await?;
    let topic = cluster.name("eo");
    let options = [("topic", topic.as_str()), ("sink.delivery-guarantee", "exactly-once")];
    let (sink, context) = (sink(cluster, &options), context(&uuid()));
    let schema = small_table("orders");

    let mut committer = sink.committer(&context).await?;
    assert_eq!(committer.highest_checkpoint().await?, None);
    committer.commit(0, &[]).await?;
    let mut writer = sink.writer(&context, 0).await?;
    writer.write(small(&schema, &[(Op::Insert, 1, "one")], 1)).await?;
    writer.flush(1).await?;
    assert_eq!(names(&cluster.committed(&topic).await?), Vec::<String>::new());
    assert_eq!(names(&cluster.uncommitted(&topic).await?), ["one"]);
    // Rows of the next checkpoint wait for the commit of this one.
    writer.write(small(&schema, &[(Op::Insert, 2, "two")], 2)).await?;
    committer.commit(1, &[]).await?;
    assert_eq!(names(&cluster.committed(&topic).await?), ["one"]);
    writer.flush(2).await?;
    committer.commit(2, &[]).await?;
    writer.flush(3).await?;
    committer.commit(3, &[]).await?;
    writer.write(small(&schema, &[(Op::Insert, 3, "never")], 3)).await?;
    writer.flush(4).await?;
    drop((writer, committer));

    // A crash between prepared and committed: the rows of 4 never happened.
    let mut committer = sink.committer(&context).await?;
    assert_eq!(committer.highest_checkpoint().await?, Some(3));
    let mut writer = sink.writer(&context, 0).await?;
    writer.write(small(&schema, &[(Op::Insert, 3, "three")], 3)).await?;
    writer.flush(5).await?;
    committer.commit(5, &[]).await?;
    assert_eq!(names(&cluster.committed(&topic).await?), ["one", "two", "three"]);
    assert_eq!(names(&cluster.uncommitted(&topic).await?), ["one", "two", "never", "three"]);
    Ok(())
}

/// A second process takes over; what the first still wants to commit is refused, in words.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_is_fenced() -> Outcome {
    let cluster = Cluster::shared().await?;
    let topic = cluster.name("zombie");
    let options = [("topic", topic.as_str()), ("sink.delivery-guarantee", "exactly-once")];
    let (zombie, heir) = (sink(cluster, &options), sink(cluster, &options));
    let context = context(&uuid());
    let schema = small_table("orders");

    let mut old = zombie.committer(&context).await?;
    let mut old_writer = zombie.writer(&context, 0).await?;
    old_writer.write(small(&schema, &[(Op::Insert, 1, "zombie")], 1)).await?;
    old_writer.flush(1).await?;

    let mut new = heir.committer(&context).await?;
    let mut new_writer = heir.writer(&context, 0).await?;
    new_writer.write(small(&schema, &[(Op::Insert, 1, "heir")], 1)).await?;
    new_writer.flush(1).await?;
    new.commit(1, &[]).await?;

    let refused = old.commit(1, &[]).await.expect_err("a fenced producer cannot commit");
    assert_eq!(refused.kind(), &ErrorKind::Operator, "{refused}");
    assert!(refused.hint_text().is_some_and(|hint| hint.contains("another process")), "{refused}");
    assert_eq!(names(&cluster.committed(&topic).await?), ["heir"]);
    Ok(())
}

/// Markers of all pipelines share a topic, and a reader of committed records stops at the first open transaction in it:
/// a start waits until that is decided, instead of taking an older marker for the last.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_of_another_pipeline_hides_no_marker() -> Outcome {
    let cluster = Cluster::shared().await?;
    let markers = cluster.name("markers");
    let options = [
        ("sink.marker-topic", markers.as_str()),
        ("sink.delivery-guarantee", "exactly-once"),
        ("properties.transaction.timeout.ms", "8000"),
    ];
    let (mine, other) = (sink(cluster, &options), sink(cluster, &options));
    let (my_context, other_context) = (context(&uuid()), context(&uuid()));
    let mut committer = mine.committer(&my_context).await?;
    committer.commit(0, &[]).await?;

    // The other pipeline dies with its marker written and not committed.
    let hung = hang(cluster, &markers).await?;
    committer.commit(1, &[]).await?;
    drop(committer);
    let mut committer = mine.committer(&my_context).await?;
    assert_eq!(committer.highest_checkpoint().await?, Some(1));
    drop(hung);
    let mut others = other.committer(&other_context).await?;
    assert_eq!(others.highest_checkpoint().await?, None);
    Ok(())
}

/// Leaves a transaction open in a topic; the broker ends it after some seconds.
async fn hang(cluster: &Cluster, topic: &str) -> Outcome<rdkafka::producer::BaseProducer> {
    use rdkafka::{
        ClientConfig,
        config::FromClientConfig,
        producer::{BaseProducer, BaseRecord, Producer},
    };
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", cluster.bootstrap())
        .set("transactional.id", format!("{topic}-hung"))
        .set("transaction.timeout.ms", "5000");
    let topic = topic.to_owned();
    let wait = Duration::from_secs(20);
    tokio::task::spawn_blocking(move || {
        let producer = BaseProducer::from_config(&config)?;
        producer.init_transactions(wait)?;
        producer.begin_transaction()?;
        let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0).key(b"hung").payload(b"{}");
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(wait)?;
        Ok(producer)
    })
    .await?
}
