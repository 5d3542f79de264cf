//! A broker that dies, sleeps or has no more room, topics that vanish or refuse records, and a second daemon: either the
//! daemon waits and then goes on, or it says what is wrong, and in the end nothing is lost.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cdc_integration::{
    Daemon, Failure, Outcome, PipelineFolder, Server, ServerKind, Sql, wait_until,
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    cluster::{Cluster, Record},
    daemon::replay,
};

const DEADLINE: Duration = Duration::from_secs(90);
/// `memory.limit` of these pipelines, its default.
const MEMORY_KIB_MAX: u64 = 256 * 1024;

/// A database with its pipeline files, each of which has a topic of its own.
struct Bench<'a> {
    server: &'a Server,
    database: String,
    sql: Sql,
    folder: PipelineFolder,
}

impl Bench<'_> {
    async fn new(tables: &[&str]) -> Outcome<Bench<'static>> {
        Bench::on(Server::shared(ServerKind::Mysql).await?, tables).await
    }

    async fn on<'a>(server: &'a Server, tables: &[&str]) -> Outcome<Bench<'a>> {
        let database = server.new_database("fail").await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        sql.run_all(tables).await?;
        Ok(Bench { server, database, sql, folder: PipelineFolder::new()? })
    }

    /// A pipeline of all tables; its state is beside it.
    fn pipeline(
        &self,
        name: &str,
        cluster: &Cluster,
        guarantee: &str,
        sink: &str,
    ) -> Outcome<PathBuf> {
        let source = self.server.source_yaml(&format!(r"{}.\.*", self.database));
        let text = format!(
            "{source}sink:\n  type: kafka\n  properties.bootstrap.servers: {}\n  sink.delivery-guarantee: {guarantee}\n{sink}\
             pipeline:\n  checkpoint.interval: 200ms\n",
            cluster.bootstrap()
        );
        self.folder.write(&format!("{name}.yaml"), &text)
    }

    /// A topic's name under `database.table`.
    fn topic(&self, table: &str) -> String {
        format!("{}.{table}", self.database)
    }

    /// The table `t` as it is now, by id.
    async fn table(&mut self) -> Outcome<HashMap<u64, String>> {
        let rows = self.sql.rows("SELECT id, v FROM t").await?;
        let pair = |row: Vec<Option<String>>| match &row[..] {
            [Some(id), Some(v)] => Ok((id.parse()?, v.clone())),
            _ => Err(Failure::new("a row of t has nulls")),
        };
        rows.into_iter().map(pair).collect()
    }
}

fn run(file: &Path) -> Outcome<Daemon> {
    let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), file.as_os_str()];
    Daemon::start(&arguments, &[("RUST_LOG", "info,cdc_cli=debug")])
}

/// The last value of each key, in whatever copies it came.
fn last(records: &[Record]) -> HashMap<u64, String> {
    let mut rows = HashMap::new();
    for record in records {
        let value = record.json();
        let image = if value["after"].is_null() { &value["before"] } else { &value["after"] };
        let Some(id) = image["id"].as_u64() else { continue };
        match value["after"].is_null() {
            true => rows.remove(&id),
            false => rows.insert(id, value["after"]["v"].to_string()),
        };
    }
    rows
}

/// Whether a change of the row with this id is among the committed records of a topic.
async fn has(cluster: &Cluster, topic: &str, id: u64) -> Outcome<bool> {
    let key = format!("{{\"id\":{id}}}");
    let records = cluster.committed(topic).await?;
    Ok(records.iter().any(|record| record.key.as_ref() == Some(&key)))
}

/// Changes rows of `t` one by one, each with a number of its own, until it is told to stop.
struct Changes {
    stop: watch::Sender<bool>,
    task: JoinHandle<Outcome<u64>>,
}

impl Changes {
    async fn start(bench: &Bench<'_>) -> Outcome<Changes> {
        let (stop, stopped) = watch::channel(false);
        let mut writer = bench.server.connect().await?;
        let table = format!("`{}`.t", bench.database);
        let task = tokio::spawn(async move {
            let mut number = 1_u64;
            let mut pace = tokio::time::interval(PACE);
            while !*stopped.borrow() {
                pace.tick().await;
                let id = number % 50;
                writer
                    .run(&match number % 11 {
                        0 => format!("DELETE FROM {table} WHERE id = {id}"),
                        _ => format!("INSERT INTO {table} (id, v) VALUES ({id}, {number}) ON DUPLICATE KEY UPDATE v = {number}"),
                    })
                    .await?;
                number += 1;
            }
            Ok(number)
        });
        Ok(Changes { stop, task })
    }

    /// The number that none was made with any more.
    async fn stop(self) -> Outcome<u64> {
        self.stop.send_replace(true);
        self.task.await?
    }
}

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, v BIGINT NOT NULL, pad MEDIUMTEXT)";

/// Between two changes: topics stay small enough to be read again and again.
const PACE: Duration = Duration::from_millis(5);

/// How long a server must be seen waiting to count as held back.
const HELD_BACK: Duration = Duration::from_secs(3);

/// The most memory that a process has had resident, KiB.
fn peak_kib(pid: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| Failure::new("no VmHWM"))?.parse()?)
}

/// Rows of [`BULK`], 4 kB each: more of them than daemons may hold.
const BULK_ROWS: usize = 30_000;
const BULK: &str = "CREATE TABLE bulk (id INT PRIMARY KEY, pad TEXT NOT NULL)";

/// Two daemons, one of each guarantee, through everything that a broker can do to them. What was changed meanwhile is in
/// the topics: at least once in the one, once and in order in the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_and_sleeps_costs_nothing() -> Outcome {
    let cluster = Cluster::start(&[]).await?;
    let broker = cluster.instance()?;
    let server = Server::start(ServerKind::Mysql, &[]).await?;
    let mut bench = Bench::on(&server, &[TABLE, BULK]).await?;
    let pipeline = |name: &str, guarantee| {
        let database = &bench.database;
        let sink = format!(
            "  sink.tableId-to-topic.mapping: {database}.t:{name};{database}.bulk:{name}-bulk\n  topic.partitions: 3\n"
        );
        bench.pipeline(name, &cluster, guarantee, &sink)
    };
    let mut daemons =
        [run(&pipeline("least", "at-least-once")?)?, run(&pipeline("once", "exactly-once")?)?];
    for daemon in &mut daemons {
        daemon.wait_for_log("phase=Streaming", DEADLINE).await?;
    }
    let changes = Changes::start(&bench).await?;
    let arrives = async |bench: &mut Bench<'_>, id: u64| -> Outcome {
        bench.sql.run(&format!("REPLACE INTO t (id, v) VALUES ({id}, {id})")).await?;
        for topic in ["least", "once"] {
            wait_until(&format!("row {id} in topic {topic}"), DEADLINE, async || {
                has(&cluster, topic, id).await
            })
            .await?;
        }
        Ok(())
    };
    arrives(&mut bench, 1000).await?;

    broker.tell("kill", &[]).await?;
    for daemon in &mut daemons {
        daemon.wait_for_log("Connection refused", DEADLINE).await?;
    }
    broker.tell("start", &[]).await?;
    arrives(&mut bench, 1001).await?;
    // Back before anybody has missed it.
    broker.tell("kill", &[]).await?;
    broker.tell("start", &[]).await?;
    arrives(&mut bench, 1002).await?;

    // Nothing is taken from the daemons while more comes than they may hold: they let the database wait.
    broker.tell("pause", &[]).await?;
    bench.sql.run("SET SESSION cte_max_recursion_depth = 1000000").await?;
    bench
        .sql
        .run(&format!(
            "INSERT INTO bulk WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < {BULK_ROWS}) \
             SELECT id, REPEAT('x', 4000) FROM n"
        ))
        .await?;
    let mut waiting = None;
    wait_until("the database to be held back", DEADLINE, async || {
        let count = bench
            .sql
            .value("SELECT COUNT(*) FROM information_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%' AND STATE = 'Sending to client'")
            .await?;
        if count.as_deref() != Some("2") {
            waiting = None;
        }
        Ok(waiting.get_or_insert_with(Instant::now).elapsed() > HELD_BACK && count.as_deref() == Some("2"))
    })
    .await?;
    let peaks = || daemons.iter().map(|daemon| peak_kib(daemon.id())).collect::<Outcome<Vec<_>>>();
    let asleep = peaks()?;
    broker.tell("resume", &[]).await?;
    let written = changes.stop().await?;
    arrives(&mut bench, 2000).await?;
    let awake = peaks()?;
    eprintln!("peaks of memory, KiB: {asleep:?} while the broker slept, {awake:?} in the end");
    assert!(awake.iter().all(|peak| *peak < MEMORY_KIB_MAX), "{awake:?} KiB");
    for daemon in daemons {
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }

    same(&cluster, &mut bench, "once").await?;
    let once = cluster.committed("once").await?;
    let least = cluster.committed("least").await?;
    assert!(last(&least) == bench.table().await?, "at least once: another content");
    let (least, once) = (values(&least), values(&once));
    for number in (1..written).filter(|number| number % 11 != 0) {
        let number = number.to_string();
        assert!(least.contains(&number) && once.contains(&number), "{number} is lost");
    }
    let bulk = cluster.committed("once-bulk").await?;
    assert_eq!((bulk.len(), keys(&bulk).len()), (BULK_ROWS, BULK_ROWS));
    assert_eq!(keys(&cluster.committed("least-bulk").await?).len(), BULK_ROWS);
    Ok(())
}

/// The values of `v` that any record brought.
fn values(records: &[Record]) -> HashSet<String> {
    records.iter().map(|record| record.json()["after"]["v"].to_string()).collect()
}

fn keys(records: &[Record]) -> HashSet<&str> {
    records.iter().filter_map(|record| record.key.as_deref()).collect()
}

/// A log folder without room takes the broker down. With room again, all that was changed meanwhile comes, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_room_costs_nothing() -> Outcome {
    let cluster = Cluster::start(&["log.index.size.max.bytes=65536"]).await?;
    let broker = cluster.instance()?;
    let mut bench = Bench::new(&[TABLE]).await?;
    let sink = "  topic: once\n  sink.marker-topic: markers\n";
    let mut daemon = run(&bench.pipeline("once", &cluster, "exactly-once", sink)?)?;
    daemon.wait_for_log("phase=Streaming", DEADLINE).await?;
    let changes = Changes::start(&bench).await?;
    bench.sql.run("REPLACE INTO t (id, v) VALUES (1000, 1000)").await?;
    wait_until("a row before", DEADLINE, async || has(&cluster, "once", 1000).await).await?;

    // Its files may grow to this and no further: what a full disk answers, for one process.
    limit_files(broker.pid(), 4 << 20)?;
    for id in 1001..1012 {
        bench.sql.run(&format!("REPLACE INTO t SELECT {id}, {id}, REPEAT('x', 900000)")).await?;
    }
    let log = broker.folder().join("log");
    wait_until("the broker to give up", DEADLINE, async || {
        Ok(std::fs::read_to_string(&log)?.contains("all log dirs"))
    })
    .await?;
    daemon.wait_for_log("Connection refused", DEADLINE).await?;
    broker.tell("start", &["log.index.size.max.bytes=65536"]).await?;
    wait_until("the last large row", DEADLINE, async || has(&cluster, "once", 1011).await).await?;
    changes.stop().await?;
    bench.sql.run("REPLACE INTO t (id, v) VALUES (2000, 2000)").await?;
    wait_until("a row after", DEADLINE, async || has(&cluster, "once", 2000).await).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    same(&cluster, &mut bench, "once").await
}

/// What an exactly-once topic holds, change by change, is the table.
async fn same(cluster: &Cluster, bench: &mut Bench<'_>, topic: &str) -> Outcome {
    let rows = replay(&cluster.committed(topic).await?)?;
    let rows: HashMap<u64, String> =
        rows.into_iter().map(|(id, row)| (id, row["v"].to_string())).collect();
    let expected = bench.table().await?;
    match rows == expected {
        true => Ok(()),
        false => Err(Failure::new(format!("{} rows against {}", rows.len(), expected.len()))),
    }
}

/// Limits how large files of a process may grow; its own hard limit stays.
fn limit_files(pid: u32, bytes: u64) -> Outcome {
    let pid = i32::try_from(pid)?;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both pointers are to a `rlimit` of this frame, or null.
    if unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, std::ptr::null(), &mut limit) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    limit.rlim_cur = bytes;
    // SAFETY: as above.
    if unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}

fn admin(cluster: &Cluster) -> Outcome<AdminClient<DefaultClientContext>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap());
    Ok(AdminClient::from_config(&config)?)
}

async fn create_topic(cluster: &Cluster, name: &str, config: &[(&str, &str)]) -> Outcome {
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    let topic = config.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    for answer in admin(cluster)?.create_topics([&topic], &AdminOptions::new()).await? {
        answer.map_err(|(name, code)| Failure::new(format!("topic {name}: {code}")))?;
    }
    Ok(())
}

/// A topic that somebody deletes is named, and made anew if that is allowed; the other topics lack nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_deleted_is_named() -> Outcome {
    let cluster = Cluster::shared().await?;
    let other = "CREATE TABLE other (id INT PRIMARY KEY, v BIGINT NOT NULL)";
    let mut bench = Bench::new(&[TABLE, other]).await?;
    let (gone, stays) = (bench.topic("t"), bench.topic("other"));
    // How long a topic may be unknown, and a record on its way; half a minute and five otherwise.
    let sink = "  properties.topic.metadata.propagation.max.ms: 1000\n  properties.delivery.timeout.ms: 5000\n";
    for (guarantee, id) in [("at-least-once", 1), ("exactly-once", 4)] {
        let file = bench.pipeline(guarantee, cluster, guarantee, sink)?;
        let mut daemon = run(&file)?;
        daemon.wait_for_log("phase=Streaming", DEADLINE).await?;
        let change = async |bench: &mut Bench<'_>, id: u64| {
            bench.sql.run(&format!("INSERT INTO t (id, v) VALUES ({id}, 0)")).await?;
            bench.sql.run(&format!("INSERT INTO other VALUES ({id}, 0)")).await
        };
        let arrives = async |id: u64| {
            wait_until(&format!("row {id} with {guarantee}"), DEADLINE, async || {
                Ok(has(cluster, &gone, id).await? && has(cluster, &stays, id).await?)
            })
            .await
        };
        change(&mut bench, id).await?;
        arrives(id).await?;
        delete_topic(cluster, &gone).await?;
        change(&mut bench, id + 1).await?;
        let line = daemon.wait_for_log("starting again from the last checkpoint", DEADLINE).await?;
        assert!(line.contains(&gone), "{line}");
        arrives(id + 1).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;

        let file = bench.pipeline(
            guarantee,
            cluster,
            guarantee,
            &format!("{sink}  topic.create: false\n"),
        )?;
        let mut daemon = run(&file)?;
        daemon.wait_for_log("phase=Streaming", DEADLINE).await?;
        delete_topic(cluster, &gone).await?;
        change(&mut bench, id + 2).await?;
        let exit = daemon.wait(DEADLINE).await?.expect_code(1)?;
        for text in [&format!("error: topic \"{gone}\" is not there"), "hint: create it"] {
            assert!(exit.stderr.contains(text), "{text} is missing in\n{}", exit.stderr);
        }
        let daemon = run(&bench.pipeline(guarantee, cluster, guarantee, sink)?)?;
        arrives(id + 2).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

async fn delete_topic(cluster: &Cluster, name: &str) -> Outcome {
    for answer in admin(cluster)?.delete_topics(&[name], &AdminOptions::new()).await? {
        answer.map_err(|(name, code)| Failure::new(format!("topic {name}: {code}")))?;
    }
    Ok(())
}

/// A record that a topic does not take stops its table by name; batches that are too large only become smaller. The other
/// tables go on, and nothing is left half-written.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_stops_its_table_only() -> Outcome {
    let cluster = Cluster::shared().await?;
    for guarantee in ["at-least-once", "exactly-once"] {
        let large = "CREATE TABLE large (id INT PRIMARY KEY, v MEDIUMTEXT NOT NULL)";
        let huge = "CREATE TABLE huge (id INT PRIMARY KEY, v MEDIUMTEXT NOT NULL)";
        let mut bench = Bench::new(&[TABLE, large, huge]).await?;
        bench.sql.run("INSERT INTO large WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 400) SELECT id, REPEAT('x', 500) FROM n").await?;
        let topics = ["t", "large", "huge"].map(|table| bench.topic(table));
        create_topic(cluster, &topics[1], &[("max.message.bytes", "20000")]).await?;
        let file = bench.pipeline("p", cluster, guarantee, "")?;
        let mut daemon = run(&file)?;
        daemon.wait_for_log("does not take batches of records as large", DEADLINE).await?;
        wait_until("rows in small batches", DEADLINE, async || has(cluster, &topics[1], 400).await)
            .await?;

        // More than the topic takes, and more than the client does.
        bench.sql.run("INSERT INTO large VALUES (500, REPEAT('y', 30000))").await?;
        daemon.wait_for_log("without the table", DEADLINE).await?;
        bench.sql.run("INSERT INTO t (id, v) VALUES (1, 1)").await?;
        wait_until("a row behind", DEADLINE, async || has(cluster, &topics[0], 1).await).await?;
        bench.sql.run("INSERT INTO huge VALUES (1, 'fits'), (2, REPEAT('y', 2000000))").await?;
        bench.sql.run("INSERT INTO t (id, v) VALUES (2, 2)").await?;
        wait_until("a row behind", DEADLINE, async || has(cluster, &topics[0], 2).await).await?;
        bench.sql.run("INSERT INTO large VALUES (501, 'fits')").await?;
        let exit = daemon.stop(DEADLINE).await?.expect_code(0)?;
        for (table, key) in [("large", "500"), ("huge", "")] {
            let stopped = exit.stderr.lines().find(|line| {
                line.contains("table quarantined")
                    && line.contains(&format!("{}.{table}", bench.database))
            });
            let line = stopped
                .ok_or_else(|| Failure::new(format!("{table} was not stopped\n{}", exit.stderr)))?;
            for text in ["too large", "max.message.bytes", key] {
                assert!(line.contains(text), "{text} is missing in {line}");
            }
        }

        // It stays so, and the others go on.
        let mut daemon = run(&file)?;
        bench.sql.run("INSERT INTO t (id, v) VALUES (3, 3)").await?;
        wait_until("a row after", DEADLINE, async || has(cluster, &topics[0], 3).await).await?;
        daemon.wait_for_log("table quarantined", DEADLINE).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
        let records = cluster.committed(&topics[1]).await?;
        if guarantee == "exactly-once" {
            assert_eq!(replay(&records)?.len(), 400);
            assert_eq!(replay(&cluster.committed(&topics[0]).await?)?.len(), 3);
            assert_eq!(cluster.committed(&topics[2]).await?.len(), 0);
        }
        assert_eq!(last(&records).len(), 400);
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => std::fs::copy(entry.path(), target).map(|_| ())?,
        }
    }
    Ok(())
}

/// A daemon sleeps, a second one is started on a copy of its state and goes on; the first wakes up, is fenced, says so and
/// ends, and nothing is doubled.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_with_a_copied_state_is_fenced() -> Outcome {
    let cluster = Cluster::shared().await?;
    let mut bench = Bench::new(&[TABLE]).await?;
    let topic = cluster.name("zombies");
    let sink = format!("  topic: {topic}\n  topic.partitions: 2\n");
    let file = bench.pipeline("zombie", cluster, "exactly-once", &sink)?;
    let heir_file = bench.pipeline("heir", cluster, "exactly-once", &sink)?;
    let changes = Changes::start(&bench).await?;
    let mut zombie = run(&file)?;
    zombie.wait_for_log("phase=Streaming", DEADLINE).await?;
    zombie.signal(libc::SIGSTOP)?;
    let states = bench.folder.path().join(".cdc-cli");
    copy(&states.join("zombie"), &states.join("heir"))?;
    let mut heir = run(&heir_file)?;
    heir.wait_for_log("committed", DEADLINE).await?;
    zombie.signal(libc::SIGCONT)?;
    let exit = zombie.wait(DEADLINE).await?.expect_code(1)?;
    assert!(exit.stderr.contains("hint: another process runs this pipeline"), "{}", exit.stderr);
    changes.stop().await?;
    bench.sql.run("REPLACE INTO t (id, v) VALUES (2000, 2000)").await?;
    wait_until("the last row", DEADLINE, async || has(cluster, &topic, 2000).await).await?;
    heir.stop(DEADLINE).await?.expect_code(0)?;
    same(cluster, &mut bench, &topic).await
}

/// Markers go to a compacted topic of one partition, also while nothing changes; another kind of topic is refused.
#[tokio::test(flavor = "multi_thread")]
async fn markers_have_a_topic_that_keeps_them() -> Outcome {
    let cluster = Cluster::shared().await?;
    let bench = Bench::new(&[TABLE]).await?;
    let mut elsewhere =
        Bench::new(&["CREATE TABLE elsewhere (id INT PRIMARY KEY AUTO_INCREMENT)"]).await?;
    let markers = cluster.name("kept");
    let sink = format!("  sink.marker-topic: {markers}\n");
    let file = bench.pipeline("p", cluster, "exactly-once", &sink)?;
    let daemon = run(&file)?;
    // The table is empty and stays so: only the log goes on, by changes that nobody captures.
    wait_until("markers of empty checkpoints", DEADLINE, async || {
        elsewhere.sql.run("INSERT INTO elsewhere VALUES ()").await?;
        let records = cluster.committed(&markers).await?;
        let checkpoints = records.iter().filter(|record| record.text().contains("checkpoint"));
        Ok(checkpoints.count() >= 3)
    })
    .await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    assert_eq!(cluster.partitions(&markers).await?, 1);
    let topic = [ResourceSpecifier::Topic(&markers)];
    let configs = admin(cluster)?.describe_configs(&topic, &AdminOptions::new()).await?;
    let config = configs.into_iter().next().ok_or_else(|| Failure::new("no answer"))?;
    let config = config.map_err(|code| Failure::new(format!("{markers}: {code}")))?;
    let policy = config.entry_map().get("cleanup.policy").and_then(|entry| entry.value.clone());
    assert_eq!(policy.as_deref(), Some("compact"));

    let (forgets, wide) = (cluster.name("forgets"), cluster.name("wide"));
    create_topic(cluster, &forgets, &[("cleanup.policy", "delete")]).await?;
    let topic =
        NewTopic::new(&wide, 2, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    admin(cluster)?.create_topics([&topic], &AdminOptions::new()).await?;
    for (name, text) in [(&forgets, "cleanup.policy=compact"), (&wide, "2 partitions")] {
        let sink = format!("  sink.marker-topic: {name}\n");
        let file = bench.pipeline(name, cluster, "exactly-once", &sink)?;
        let exit = run(&file)?.wait(DEADLINE).await?.expect_code(1)?;
        for text in [&**name, text, "hint:"] {
            assert!(exit.stderr.contains(text), "{text} is missing in\n{}", exit.stderr);
        }
    }
    Ok(())
}
