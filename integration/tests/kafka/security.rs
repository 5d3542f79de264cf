//! Logins, certificates, rights: what fits works in all clients of the sink (producer, admin, reader of markers), and
//! what does not is told at once, with the remedy.

use std::time::{Duration, Instant};

use cdc_api::{Error, ErrorKind, EventSinkProvider, Op};
use cdc_integration::{Daemon, Failure, Outcome, PipelineFolder, tls_folder};
use tokio::sync::OnceCell;

use crate::{
    cluster::Cluster,
    readers,
    rows::{context, sink, small, small_table},
};

const DEADLINE: Duration = Duration::from_secs(60);
/// A refused client must not wait for brokers that will not answer.
const AT_ONCE: Duration = Duration::from_secs(10);
const PLAIN: [(&str, &str); 4] = [
    ("properties.security.protocol", "SASL_PLAINTEXT"),
    ("properties.sasl.mechanism", "PLAIN"),
    ("properties.sasl.username", "nobody"),
    ("properties.sasl.password", "nobody-secret"),
];

/// A broker whose TLS listener wants a client certificate, and whose transactions may last two minutes.
async fn guarded() -> Outcome<&'static Cluster> {
    static GUARDED: OnceCell<Cluster> = OnceCell::const_new();
    let options =
        ["listener.name.ssl.ssl.client.auth=required", "transaction.max.timeout.ms=120000"];
    GUARDED.get_or_try_init(|| Cluster::start(&options)).await
}

/// The address of a listener; they lie behind the plain one: 1 TLS, 2 SASL, 3 both.
fn listener(cluster: &Cluster, host: &str, number: u16) -> Outcome<String> {
    Ok(format!("{host}:{}", cluster.instance()?.port() + number))
}

/// One checkpoint with one row, at a sink that may refuse each step.
async fn checkpoint(sink: &dyn EventSinkProvider, uuid: &str) -> Result<(), Error> {
    let context = context(uuid);
    sink.preflight().await?;
    let mut committer = sink.committer(&context).await?;
    let mut writer = sink.writer(&context, 0).await?;
    writer.write(small(&small_table("orders"), &[(Op::Insert, 1, "one")], 1)).await?;
    let staged = writer.flush(1).await?;
    committer.commit(1, &staged).await
}

fn uuid(number: u32) -> String {
    format!("{number:08x}-1111-4000-8000-{:012x}", std::process::id())
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_certificates() -> Outcome {
    let cluster = guarded().await?;
    let tls = tls_folder()?;
    let file = |name: &str| tls.join(name).display().to_string();
    let ca = file("ca.pem");
    let inline = std::fs::read_to_string(&ca)?;
    let (certificate, key) = (file("client-cert.pem"), file("client-key.pem"));
    fn login<'a>(
        mechanism: &'a str,
        user: &'a str,
        password: &'a str,
    ) -> Vec<(&'static str, &'a str)> {
        vec![
            ("properties.sasl.mechanism", mechanism),
            ("properties.sasl.username", user),
            ("properties.sasl.password", password),
        ]
    }
    let jaas = "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"scram\" password=\"scram-secret\";";
    let trust = ("properties.ssl.ca.location", ca.as_str());
    let ways = [
        (2, "SASL_PLAINTEXT", login("PLAIN", "cdc", "cdc-secret")),
        (2, "SASL_PLAINTEXT", login("SCRAM-SHA-256", "scram", "scram-secret")),
        (3, "SASL_SSL", [login("SCRAM-SHA-512", "scram", "scram-secret"), vec![trust]].concat()),
        // As files for Flink have it.
        (
            3,
            "SASL_SSL",
            vec![
                ("properties.sasl.mechanism", "SCRAM-SHA-256"),
                ("properties.sasl.jaas.config", jaas),
                ("properties.ssl.truststore.type", "PEM"),
                ("properties.ssl.truststore.certificates", &inline),
            ],
        ),
        (
            1,
            "SSL",
            vec![
                trust,
                ("properties.ssl.certificate.location", &certificate),
                ("properties.ssl.key.location", &key),
            ],
        ),
    ];
    for (number, (port, protocol, more)) in ways.into_iter().enumerate() {
        let topic = cluster.name("secure");
        let servers = listener(cluster, "127.0.0.1", port)?;
        let options = [
            vec![
                ("topic", topic.as_str()),
                ("sink.delivery-guarantee", "exactly-once"),
                ("properties.bootstrap.servers", &servers),
                ("properties.security.protocol", protocol),
            ],
            more,
        ]
        .concat();
        let uuid = uuid(u32::try_from(number)?);
        checkpoint(&*sink(cluster, &options), &uuid).await?;
        assert_eq!(cluster.committed(&topic).await?.len(), 1, "{options:?}");
    }
    Ok(())
}

/// Runs the real binary, which must end by itself. Its source is never asked.
async fn refused(name: &str, options: &[(&str, &str)], texts: &[&str]) -> Outcome<Duration> {
    let folder = PipelineFolder::new()?;
    let options: String =
        options.iter().map(|(key, value)| format!("  {key}: '{value}'\n")).collect();
    let text = format!(
        "source:\n  type: mysql\n  hostname: 127.0.0.1\n  port: 1\n  username: cdc\n  password: cdc\n  tables: shop.t\n\
         sink:\n  type: kafka\n{options}"
    );
    let file = folder.write("pipeline.yaml", &text)?;
    let begun = Instant::now();
    let exit = Daemon::run(&file)?.wait(DEADLINE).await?.expect_code(1)?;
    for text in texts {
        if !exit.stderr.contains(text) {
            return Err(Failure::new(format!("{name}: \"{text}\" is missing in\n{}", exit.stderr)));
        }
    }
    if exit.stderr.contains("secret") {
        return Err(Failure::new(format!("{name}: a password is shown in\n{}", exit.stderr)));
    }
    Ok(begun.elapsed())
}

/// Each of them ends the first attempt, and says what to look at.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_told_at_once() -> Outcome {
    let cluster = guarded().await?;
    let tls = tls_folder()?;
    let file = |name: &str| tls.join(name).display().to_string();
    let (ca, other) = (file("ca.pem"), file("other-ca.pem"));
    let plain = cluster.bootstrap();
    let [tls, sasl, both] = [1, 2, 3].map(|number| listener(cluster, "127.0.0.1", number));
    let (tls, sasl, both) = (tls?, sasl?, both?);
    // The same address under a name that is not in the certificate.
    let renamed = listener(cluster, "127.1", 3)?;
    fn to<'a>(servers: &'a str, protocol: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![("properties.bootstrap.servers", servers), ("properties.security.protocol", protocol)]
    }
    fn login<'a>(mechanism: &'a str, password: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![
            ("properties.sasl.mechanism", mechanism),
            ("properties.sasl.username", "scram"),
            ("properties.sasl.password", password),
        ]
    }
    fn trust(ca: &str) -> Vec<(&'static str, &str)> {
        vec![("properties.ssl.ca.location", ca)]
    }
    let right = || login("SCRAM-SHA-512", "scram-secret");
    let password = "hint: check properties.sasl.mechanism, properties.sasl.username";
    let certificate = "hint: check properties.security.protocol, properties.ssl.ca.location";
    let no_answer = "hint: check properties.bootstrap.servers, properties.security.protocol";
    let cases = [
        (
            "PLAIN",
            vec![to(&sasl, "SASL_PLAINTEXT"), login("PLAIN", "wrong-secret")],
            true,
            vec!["Authentication failed", password],
        ),
        (
            "SCRAM",
            vec![to(&sasl, "SASL_PLAINTEXT"), login("SCRAM-SHA-256", "wrong-secret")],
            true,
            vec!["uthentication failed", password],
        ),
        (
            "SCRAM over TLS",
            vec![to(&both, "SASL_SSL"), login("SCRAM-SHA-512", "wrong-secret"), trust(&ca)],
            true,
            vec!["uthentication failed", password],
        ),
        (
            "another authority",
            vec![to(&both, "SASL_SSL"), right(), trust(&other)],
            true,
            vec!["certificate verify failed", certificate],
        ),
        (
            "another name",
            vec![to(&renamed, "SASL_SSL"), right(), trust(&ca)],
            true,
            vec!["certificate verify failed", certificate],
        ),
        (
            "no certificate of ours",
            vec![to(&tls, "SSL"), trust(&ca)],
            true,
            vec!["alert bad certificate", certificate],
        ),
        (
            "TLS to a plain listener",
            vec![to(plain, "SSL"), trust(&ca)],
            false,
            vec!["cannot be reached", no_answer],
        ),
        (
            "plain to a TLS listener",
            vec![to(&tls, "PLAINTEXT")],
            false,
            vec!["cannot be reached", no_answer],
        ),
        (
            "plain to a SASL listener",
            vec![to(&sasl, "PLAINTEXT")],
            false,
            vec!["cannot be reached", no_answer],
        ),
        (
            "nobody there",
            vec![to("127.0.0.1:1", "PLAINTEXT")],
            false,
            vec!["cannot be reached", "Connection refused", no_answer],
        ),
        (
            "no such host",
            vec![to("broker.invalid:9092", "PLAINTEXT")],
            false,
            vec!["cannot be reached", "resolve", no_answer],
        ),
    ];
    let runs = cases.into_iter().map(async |(name, options, at_once, texts)| {
        let took = refused(name, &options.concat(), &texts).await?;
        match at_once && took > AT_ONCE {
            true => Err(Failure::new(format!("{name}: told after {took:?}"))),
            false => Ok(()),
        }
    });
    futures::future::try_join_all(runs).await?;
    Ok(())
}

/// Rights of the user `nobody`: `resource:name:operation`, a name that ends in `*` is a prefix.
async fn rights(cluster: &Cluster, verb: &str, rights: &[String]) -> Outcome {
    const SCRIPT: &str = "
import sys
from confluent_kafka.admin import *
admin = AdminClient({'bootstrap.servers': sys.argv[1]})
bindings = []
for right in sys.argv[3:]:
    kind, name, operation = right.split(':')
    pattern = ResourcePatternType.PREFIXED if name.endswith('*') else ResourcePatternType.LITERAL
    fields = (ResourceType[kind], name.rstrip('*'), pattern, 'User:nobody', '*', AclOperation[operation], AclPermissionType.ALLOW)
    bindings.append((AclBinding if sys.argv[2] == 'grant' else AclBindingFilter)(*fields))
done = admin.create_acls(bindings) if sys.argv[2] == 'grant' else admin.delete_acls(bindings)
for future in done.values():
    future.result()
";
    let mut arguments = ["-c", SCRIPT, cluster.bootstrap(), verb].map(str::to_owned).to_vec();
    arguments.extend_from_slice(rights);
    readers::run("python", arguments).await.map(|_| ())
}

/// What a refusal must be: for a person to act on, and with these words.
fn is_refused(result: Result<(), Error>, words: &[&str]) -> Outcome {
    let error = result.err().ok_or_else(|| Failure::new("it was let through"))?;
    let text = format!("{error:?}");
    if error.kind() != &ErrorKind::Operator || !words.iter().all(|word| text.contains(word)) {
        return Err(Failure::new(format!("{words:?} are expected in\n{text}")));
    }
    Ok(())
}

/// Right by right, as documented: each that is missing is named, and with the last of them it works.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_missing_are_named() -> Outcome {
    let cluster = guarded().await?;
    let servers = listener(cluster, "127.0.0.1", 2)?;
    let (topic, markers) = (cluster.name("rights"), cluster.name("rights-markers"));
    let prefix = format!("{topic}-tx-");
    let mut options = vec![
        ("topic", topic.as_str()),
        ("sink.marker-topic", &markers),
        ("sink.transactional-id-prefix", &prefix),
        ("properties.bootstrap.servers", &servers),
    ];
    options.extend(PLAIN);
    let grant = async |more: &[String]| rights(cluster, "grant", more).await;
    let on = |topic: &str, operation: &str| format!("TOPIC:{topic}:{operation}");
    let at_least_once = sink(cluster, &options);
    let write = || checkpoint(&*at_least_once, "unused");

    is_refused(write().await, &[&topic, "Describe"])?;
    // Without Create a topic that is missing stays so.
    grant(&[on(&topic, "DESCRIBE")]).await?;
    is_refused(write().await, &[&topic, "cannot be created", "Create"])?;
    grant(&[on(&topic, "CREATE")]).await?;
    // An idempotent producer needs a Write somewhere, or IdempotentWrite.
    is_refused(write().await, &["IdempotentWrite"])?;
    grant(&["BROKER:kafka-cluster:IDEMPOTENT_WRITE".to_owned()]).await?;
    is_refused(write().await, &[&topic, "Write"])?;
    grant(&[on(&topic, "WRITE")]).await?;
    write().await?;

    options.push(("sink.delivery-guarantee", "exactly-once"));
    let exactly_once = sink(cluster, &options);
    let uuid = uuid(100);
    let commit = || checkpoint(&*exactly_once, &uuid);
    is_refused(commit().await, &[&markers, "Describe"])?;
    grant(&["DESCRIBE", "CREATE", "WRITE"].map(|right| on(&markers, right))).await?;
    is_refused(commit().await, &["transactional id", "sink.transactional-id-prefix"])?;
    grant(&["DESCRIBE", "WRITE"].map(|right| format!("TRANSACTIONAL_ID:{prefix}*:{right}")))
        .await?;
    is_refused(commit().await, &[&markers, "Read"])?;
    grant(&[on(&markers, "READ")]).await?;
    commit().await?;
    assert_eq!(cluster.committed(&topic).await?.len(), 2);

    // Taken away while it runs.
    let context = context(&uuid);
    let mut committer = exactly_once.committer(&context).await?;
    let mut writer = exactly_once.writer(&context, 0).await?;
    rights(cluster, "revoke", &[on(&topic, "WRITE")]).await?;
    let rows = small(&small_table("orders"), &[(Op::Insert, 2, "two")], 2);
    let late = async {
        writer.write(rows).await?;
        writer.flush(2).await?;
        committer.commit(2, &[]).await
    };
    is_refused(late.await, &[&topic, "Write"])?;
    assert_eq!(cluster.committed(&topic).await?.len(), 2);
    Ok(())
}

/// A transaction must outlast the time between two checkpoints, and the broker must allow it: both are known at start.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_transactions_is_checked_at_start() -> Outcome {
    let cluster = guarded().await?;
    let start = async |timeout: &str| {
        let options = [
            ("sink.delivery-guarantee", "exactly-once"),
            ("properties.transaction.timeout.ms", timeout),
        ];
        sink(cluster, &options).committer(&context(&uuid(200))).await.map(|_| ())
    };
    // The checkpoints of these tests are 3 s apart.
    let short = start("5000").await.expect_err("less than two checkpoints");
    assert_eq!(short.kind(), &ErrorKind::Config, "{short:?}");
    let text = format!("{short:?}");
    assert!(
        text.contains("properties.transaction.timeout.ms") && text.contains("checkpoint.interval"),
        "{text}"
    );
    is_refused(
        start("180000").await,
        &["properties.transaction.timeout.ms", "transaction.max.timeout.ms"],
    )?;
    start("120000").await?;
    Ok(())
}
