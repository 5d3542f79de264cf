//! The DDL tracker against real servers: after every statement of a corpus, and of a seeded random generator, the tracked
//! definitions are what `information_schema` says. Statements are taken from the binlog as the server logged them, with
//! the status variables that it logged beside them.

#[path = "ddl/random.rs"]
mod random;

use std::collections::{BTreeMap, BTreeSet};

use cdc_api::TableId;
use cdc_integration::{Failure, Outcome, Random, Server, ServerKind, Sql};
use cdc_mysql::{
    ddl::{Definition, Index, Interest, Session, Tracker, classify},
    metadata::{self, ServerInfo, session_sql},
    types::Flavor,
    wire::{
        BinlogNext, BinlogPackets, BinlogRequest, BinlogStart, ConnectOptions, Connection, TlsMode,
    },
};

/// Statements for both servers, one a line; `mysql: ` or `mariadb: ` ahead: for the one. `doubt: `
/// behind that: the tracker must say that it does not tell all. `--` begins a comment.
const CORPUS: &str = include_str!("ddl/corpus.sql");
const HEADER_BYTES: usize = 19;
const QUERY_EVENT: u8 = 2;
const RANDOM_STATEMENTS: usize = 300;

/// What became of a statement.
#[derive(Debug, PartialEq)]
enum Step {
    /// The server refused it.
    Refused(String),
    /// The tracker said that it does not tell all.
    Doubted(String),
    /// The tracker knows what it did.
    Told,
}

/// A server, its log, and the tracker that follows it.
struct Follower {
    sql: Sql,
    connection: Connection,
    log: BinlogPackets,
    tracker: Tracker,
    trailer: usize,
    /// What the log had last.
    logged: String,
    /// Up to where the log was followed.
    followed: u64,
    flavor: Flavor,
    database: String,
}

impl Follower {
    async fn start(server: &Server) -> Outcome<Follower> {
        let database = server.new_database("ddl").await?;
        let mut options = ConnectOptions::new(server.hostname(), server.port(), "cdc", "cdc");
        options.tls.mode = TlsMode::Disabled;
        let flavor = match server.kind() {
            ServerKind::Mysql => Flavor::MySql,
            ServerKind::Mariadb => Flavor::MariaDb,
        };
        let mut connection = Connection::connect(&options).await?;
        for statement in session_sql(flavor) {
            connection.query_drop(&statement).await?;
        }
        let info = ServerInfo::read(&mut connection).await?;
        let mut tracker = Tracker::new(Session::of_server(&info));
        for (name, collation) in metadata::database_collations(&mut connection).await? {
            tracker.put_database(&name, &collation);
        }
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        let checksum = sql.value("SELECT @@GLOBAL.binlog_checksum").await?;
        let trailer = if checksum.as_deref() == Some("CRC32") { 4 } else { 0 };
        let (file, position) = log_end(&mut sql, &info).await?;
        let mut reading = Connection::connect(&options).await?;
        reading
            .query_drop(
                "SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, \
                 @source_binlog_checksum = @@GLOBAL.binlog_checksum",
            )
            .await?;
        if flavor == Flavor::MariaDb {
            reading.query_drop("SET @mariadb_slave_capability = 4").await?;
        }
        let request = BinlogRequest {
            server_id: 70_000 + std::process::id() % 5000,
            start: BinlogStart::File { file, position: position.try_into()? },
        };
        let log = reading.start_binlog(&request).await?;
        Ok(Follower {
            sql,
            connection,
            log,
            tracker,
            trailer,
            logged: String::new(),
            followed: position,
            flavor,
            database,
        })
    }

    /// Applies what the log has up to its end; what was in doubt comes back.
    async fn follow(&mut self) -> Outcome<Vec<String>> {
        let info = ServerInfo::read(&mut self.connection).await?;
        let (_, end) = log_end(&mut self.sql, &info).await?;
        let own = self.database.clone();
        // Both of the test's databases.
        let captures = move |id: &TableId| {
            id.schema.as_deref().is_some_and(|database| database.starts_with(&own))
        };
        let mut doubts = Vec::new();
        // A statement that changed nothing logs nothing.
        while self.followed < end {
            let event = match self.log.next_event()? {
                BinlogNext::Event(event) => event.to_vec(),
                BinlogNext::Pending => {
                    self.log.fill().await?;
                    continue;
                }
                BinlogNext::End => return Err(Failure::new("the log ended")),
            };
            let word = |at: usize| {
                let bytes = event.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
                bytes.map(u32::from_le_bytes).unwrap_or_default()
            };
            let position = word(13);
            if event.get(4) == Some(&QUERY_EVENT) {
                let body = event.get(HEADER_BYTES..event.len() - self.trailer).unwrap_or_default();
                let (status, database, text) =
                    query(body).ok_or_else(|| Failure::new("a query event is cut"))?;
                let session = self.tracker.base().of_statement(database, status);
                if classify(&session, text) != Interest::Nothing {
                    self.logged = String::from_utf8_lossy(text).into_owned();
                    let outcome = self.tracker.apply(&session, text, &captures);
                    doubts.extend(outcome.doubts.iter().map(|doubt| {
                        format!("{doubt:?}\n  in: {}", String::from_utf8_lossy(text))
                    }));
                }
            }
            self.followed = self.followed.max(u64::from(position));
        }
        Ok(doubts)
    }

    /// What differs between the tracked definitions and the server's.
    async fn differences(&mut self) -> Outcome<Vec<String>> {
        let names = self
            .sql
            .rows(&format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA LIKE '{}%' AND TABLE_TYPE = 'BASE TABLE'",
                self.database
            ))
            .await?;
        let mut real = BTreeMap::new();
        let mut metas = Vec::new();
        for row in names {
            let [Some(database), Some(table)] = &row[..] else { continue };
            let id = TableId::new(database.as_str(), table.as_str());
            metas.extend(metadata::table(&mut self.connection, &id).await?);
        }
        for definition in metadata::definitions(&mut self.connection, metas).await? {
            real.insert(definition.meta.id.clone(), definition);
        }
        let tracked: BTreeMap<TableId, Definition> = self
            .tracker
            .tables()
            .filter(|table| !table.versioned)
            .map(|table| (table.meta.id.clone(), Definition::clone(table)))
            .collect();
        let ids: BTreeSet<&TableId> = real.keys().chain(tracked.keys()).collect();
        let mut found = Vec::new();
        for id in ids {
            match (real.get(id), tracked.get(id)) {
                (Some(real), Some(tracked)) => found.extend(compare(real, tracked, self.flavor)),
                (real, _) => found.push(format!("{id}: on the server: {}", real.is_some())),
            }
        }
        Ok(found)
    }

    /// Begins again from what the server says, so that one difference is told once.
    async fn mend(&mut self) -> Outcome {
        let ids: Vec<TableId> = self.tracker.tables().map(|table| table.meta.id.clone()).collect();
        for id in ids {
            self.tracker.remove(&id);
        }
        let names = self
            .sql
            .rows(&format!(
                "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA LIKE '{}%' AND TABLE_TYPE = 'BASE TABLE'",
                self.database
            ))
            .await?;
        let mut metas = Vec::new();
        for row in names {
            let [Some(database), Some(table)] = &row[..] else { continue };
            let id = TableId::new(database.as_str(), table.as_str());
            metas.extend(metadata::table(&mut self.connection, &id).await?);
        }
        for definition in metadata::definitions(&mut self.connection, metas).await? {
            self.tracker.put(definition);
        }
        Ok(())
    }

    /// Runs a statement and compares.
    async fn step(&mut self, statement: &str, found: &mut Vec<String>) -> Outcome<Step> {
        if let Err(error) = self.sql.run(statement).await {
            return Ok(Step::Refused(error.to_string()));
        }
        let doubts = self.follow().await?;
        if !doubts.is_empty() {
            // Whoever follows a log reads such a table again, and so does this.
            self.mend().await?;
            return Ok(Step::Doubted(format!("{statement}: {}", doubts.join("; "))));
        }
        let wrong = self.differences().await?;
        if !wrong.is_empty() {
            found.push(format!("{statement}\n  {}\n  in: {}", wrong.join("\n  "), self.logged));
            self.mend().await?;
        }
        Ok(Step::Told)
    }
}

async fn log_end(sql: &mut Sql, info: &ServerInfo) -> Outcome<(String, u64)> {
    let rows = sql.rows(info.log_status_sql()).await?;
    let row = rows.into_iter().next().ok_or_else(|| Failure::new("the server has no log"))?;
    match &row[..] {
        [Some(file), Some(position), ..] => Ok((file.clone(), position.parse()?)),
        _ => Err(Failure::new("the log's end cannot be read")),
    }
}

/// Status variables, database and text of a QUERY event.
fn query(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let database = usize::from(*body.get(8)?);
    let status = usize::from(u16::from_le_bytes([*body.get(11)?, *body.get(12)?]));
    let rest = body.get(13 + status..)?;
    Some((body.get(13..13 + status)?, rest.get(..database)?, rest.get(database + 1..)?))
}

/// What both say, with the text of expressions left out, which the server prints in its own way.
fn compare(real: &Definition, tracked: &Definition, flavor: Flavor) -> Vec<String> {
    let mut found = Vec::new();
    let id = &real.meta.id;
    let names = |table: &Definition| {
        table.meta.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    if names(real) != names(tracked) {
        return vec![format!("{id}: columns {:?}, tracked {:?}", names(real), names(tracked))];
    }
    for (real, tracked) in real.meta.columns.iter().zip(&tracked.meta.columns) {
        let (mut real, mut tracked) = (real.clone(), tracked.clone());
        let is_expression = match flavor {
            Flavor::MySql => tracked.extra.contains("DEFAULT_GENERATED"),
            Flavor::MariaDb => real
                .default
                .as_deref()
                .is_some_and(|text| !text.starts_with('\'') && text.contains(['(', '`', '+', '*'])),
        };
        if is_expression && real.default.is_some() == tracked.default.is_some() {
            (real.default, tracked.default) = (None, None);
        }
        // MariaDB prints NULL or nothing for a column without a default, by what was done to it before.
        for column in [&mut real, &mut tracked] {
            column.default.take_if(|text| flavor == Flavor::MariaDb && text == "NULL");
        }
        if real.generated.is_empty() == tracked.generated.is_empty() {
            (real.generated, tracked.generated) = (String::new(), String::new());
        }
        if real != tracked {
            found.push(format!("{id}: {real:?}\n      tracked: {tracked:?}"));
        }
    }
    if (&real.meta.primary_key, &real.meta.unique_keys)
        != (&tracked.meta.primary_key, &tracked.meta.unique_keys)
    {
        found.push(format!(
            "{id}: keys {:?} {:?}, tracked {:?} {:?}",
            real.meta.primary_key,
            real.meta.unique_keys,
            tracked.meta.primary_key,
            tracked.meta.unique_keys
        ));
    }
    let unique = |table: &Definition| {
        let unique: BTreeSet<String> = table
            .indexes
            .iter()
            .filter(|index| index.unique)
            .map(|index: &Index| format!("{} {:?}", index.name, index.parts))
            .collect();
        unique
    };
    if unique(real) != unique(tracked) {
        found.push(format!("{id}: {:?}, tracked {:?}", unique(real), unique(tracked)));
    }
    if real.collation != tracked.collation || real.meta.comment != tracked.meta.comment {
        found.push(format!(
            "{id}: {:?} {:?}, tracked {:?} {:?}",
            real.collation, real.meta.comment, tracked.collation, tracked.meta.comment
        ));
    }
    found
}

async fn corpus(kind: ServerKind) -> Outcome {
    let server = Server::shared(kind).await?;
    let mut follower = Follower::start(server).await?;
    let (mut found, mut refused, mut count) = (Vec::new(), Vec::new(), 0);
    for line in CORPUS.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("--") {
            continue;
        }
        let statement = match line.split_once(": ") {
            Some(("mysql", rest)) if kind == ServerKind::Mysql => rest,
            Some(("mariadb", rest)) if kind == ServerKind::Mariadb => rest,
            Some(("mysql" | "mariadb", _)) => continue,
            _ => line,
        };
        let (is_doubt, statement) = match statement.strip_prefix("doubt: ") {
            Some(rest) => (true, rest),
            None => (false, statement),
        };
        let statement = statement.replace("{db}", &follower.database);
        count += 1;
        match follower.step(&statement, &mut found).await? {
            Step::Refused(error) => refused.push(error),
            Step::Doubted(doubt) if !is_doubt => found.push(doubt),
            Step::Told if is_doubt => found.push(format!("{statement}: it was told")),
            Step::Doubted(_) | Step::Told => {}
        }
    }
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
    assert!(found.is_empty(), "{} of {count} differ:\n{}", found.len(), found.join("\n"));
    assert!(count > 320, "the corpus has {count} statements");
    Ok(())
}

async fn random_alterations(kind: ServerKind) -> Outcome {
    let seed = match std::env::var("CDC_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => 20_261_128,
    };
    eprintln!("CDC_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let server = Server::shared(kind).await?;
    let mut follower = Follower::start(server).await?;
    let mut found = Vec::new();
    follower
        .step("CREATE TABLE r (c0 INT PRIMARY KEY, c1 VARCHAR(20), c2 TEXT)", &mut found)
        .await?;
    let (mut told, mut doubted) = (0, 0);
    let mut refused = BTreeMap::new();
    for _ in 0..RANDOM_STATEMENTS {
        let shape = random::Shape::read(&mut follower.sql, &follower.database).await?;
        let statement = random::statement(&mut random, &shape);
        match follower.step(&statement, &mut found).await? {
            Step::Told => told += 1,
            Step::Doubted(_) => doubted += 1,
            Step::Refused(error) => *refused.entry(error).or_insert(0) += 1,
        }
    }
    let count: usize = refused.values().sum();
    eprintln!("{told} statements told, {doubted} doubted, {count} refused");
    assert!(found.is_empty(), "seed {seed}: {} differ:\n{}", found.len(), found.join("\n"));
    assert!(told * 2 >= RANDOM_STATEMENTS, "seed {seed}: only {told} were told: {refused:#?}");
    assert!(doubted < told / 4, "seed {seed}: {doubted} were in doubt beside {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_corpus_is_tracked_on_mysql() -> Outcome {
    corpus(ServerKind::Mysql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_corpus_is_tracked_on_mariadb() -> Outcome {
    corpus(ServerKind::Mariadb).await
}

#[tokio::test(flavor = "multi_thread")]
async fn random_alterations_are_tracked_on_mysql() -> Outcome {
    random_alterations(ServerKind::Mysql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn random_alterations_are_tracked_on_mariadb() -> Outcome {
    random_alterations(ServerKind::Mariadb).await
}
