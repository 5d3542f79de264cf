//! The source's schema changes while the pipeline runs, and the sink follows: each kind of statement by itself, and a storm
//! of random definitions and rows with `kill -9` at random moments. At the end content and columns of both are the same.

mod incarnations;
mod pipeline;
mod tables;

use cdc_integration::{Daemon, Failure, Outcome, Random, Server, ServerKind, Sql, wait_until};

use crate::pipeline::{DEADLINE, Pipeline};

const EVOLVE: &str = "  schema.change.behavior: EVOLVE\n";

/// One kind of change after the other on a table with rows, checked after each.
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_change_is_followed() -> Outcome {
    // What is done, and the columns that the next rows have.
    const STEPS: [(&str, &str, &[&str]); 13] = [
        (
            "ALTER TABLE t ADD COLUMN a INT DEFAULT 7",
            "INSERT INTO t (id, v, a) VALUES (10, 'x', 1)",
            &["id", "v", "a"],
        ),
        (
            "ALTER TABLE t ADD COLUMN f DATE FIRST, ADD COLUMN m TINYINT UNSIGNED AFTER v",
            "INSERT INTO t (id, v, f, m) VALUES (11, 'x', '2020-02-29', 200)",
            &["f", "id", "v", "m", "a"],
        ),
        (
            "ALTER TABLE t RENAME COLUMN a TO b",
            "INSERT INTO t (id, v, b) VALUES (12, 'x', 5)",
            &["f", "id", "v", "m", "b"],
        ),
        (
            "ALTER TABLE t CHANGE b c BIGINT",
            "INSERT INTO t (id, v, c) VALUES (13, 'x', 5000000000)",
            &["f", "id", "v", "m", "c"],
        ),
        (
            "ALTER TABLE t MODIFY v VARCHAR(500) CHARACTER SET utf8mb4",
            "INSERT INTO t (id, v) VALUES (14, REPEAT('é', 400))",
            &["f", "id", "v", "m", "c"],
        ),
        (
            "ALTER TABLE t DROP COLUMN f, DROP COLUMN m",
            "INSERT INTO t (id, v) VALUES (15, 'y')",
            &["id", "v", "c"],
        ),
        (
            "ALTER TABLE t ADD INDEX (c)",
            "INSERT INTO t (id, v) VALUES (16, 'y')",
            &["id", "v", "c"],
        ),
        (
            "ALTER TABLE t MODIFY c BIGINT AFTER id",
            "INSERT INTO t (id, v, c) VALUES (17, 'y', 3)",
            &["id", "c", "v"],
        ),
        ("TRUNCATE TABLE t", "INSERT INTO t (id, v) VALUES (1, 'again')", &["id", "c", "v"]),
        (
            "DROP TABLE t",
            "CREATE TABLE t (id INT PRIMARY KEY, other DOUBLE); INSERT INTO t VALUES (1, 0.5), (2, -1)",
            &["id", "other"],
        ),
        (
            "CREATE TABLE s (id INT PRIMARY KEY, w TEXT); INSERT INTO s VALUES (5, 'five')",
            "RENAME TABLE t TO t_old, s TO t; INSERT INTO t VALUES (6, 'six')",
            &["id", "w"],
        ),
        (
            "CREATE TABLE fresh LIKE t",
            "INSERT INTO fresh VALUES (1, 'one'); INSERT INTO t VALUES (7, 'seven')",
            &["id", "w"],
        ),
        (
            "CREATE TABLE filled (id INT PRIMARY KEY) SELECT id, w FROM t",
            "INSERT INTO filled VALUES (9, 'nine'); INSERT INTO t VALUES (8, 'eight')",
            &["id", "w"],
        ),
    ];
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut pipeline = Pipeline::new(server, "kinds", "", EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        sql.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))").await?;
        sql.run("INSERT INTO t VALUES (1, 'one'), (2, 'two')").await?;
        let mut daemon = Daemon::run(&pipeline.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        pipeline.settle(server).await?;
        for (change, rows, columns) in STEPS {
            for statement in change.split("; ").chain(rows.split("; ")) {
                sql.run(statement).await?;
            }
            // Every row once under the new schema: what is compared then is what was decoded with it.
            if columns.contains(&"v") {
                sql.run("UPDATE t SET v = CONCAT(v, '.')").await?;
            }
            pipeline.settle(server).await?;
            let named =
                |error: Failure| Failure::new(format!("{}: {change}: {error}", kind.name()));
            pipeline.check(server, "t").await.map_err(named)?;
            let mut found = pipeline.newest_columns("t")?;
            let mut expected: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected, "{} after {change}", kind.name());
        }
        for table in ["fresh", "filled", "t_old"] {
            pipeline.check(server, table).await?;
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// The connection that asked about the last definition stands idle until the next, for hours or longer than the server lets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closed_the_idle_connections_is_asked_by_a_new_one() -> Outcome {
    for kind in ServerKind::ALL {
        // Its own: all idle connections of the account are ended.
        let server = Server::start(kind, &[]).await?;
        let mut pipeline = Pipeline::new(&server, "idle", "", EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        sql.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))").await?;
        let mut daemon = Daemon::run(&pipeline.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        for (id, charset) in ["gbk", "sjis", "big5"].into_iter().enumerate() {
            // Each charset is one that the binder has not asked for yet.
            sql.run(&format!("ALTER TABLE t ADD {charset} VARCHAR(9) CHARACTER SET {charset}"))
                .await?;
            sql.run(&format!("INSERT INTO t (id, {charset}) VALUES ({id}, '中')")).await?;
            pipeline.settle(&server).await?;
            pipeline.check(&server, "t").await?;
            // All of them idle for two seconds by the server's count, which are more than one: before that they are trusted.
            let idle = "SELECT ID, TIME >= 2 FROM information_schema.PROCESSLIST WHERE USER = 'cdc' AND COMMAND = 'Sleep'";
            let mut ids = Vec::new();
            wait_until("the question's connection, kept and idle", DEADLINE, async || {
                let rows = sql.rows(idle).await?;
                let are_idle = rows.iter().all(|row| row[1].as_deref() == Some("1"));
                ids = rows.into_iter().filter_map(|row| row.into_iter().next()?).collect();
                Ok(are_idle && !ids.is_empty())
            })
            .await?;
            for id in ids {
                sql.run(&format!("KILL {id}")).await?;
            }
        }
        // Neither the attempt nor the log's connection began again.
        let is_told =
            |line: &String| line.contains("connecting again") || line.contains("starting again");
        let again = daemon.log().into_iter().find(is_told);
        assert_eq!(again, None, "{}", kind.name());
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Random definitions and rows on a handful of tables.
struct Storm {
    random: Random,
    database: String,
    tables: Vec<&'static str>,
    names: u32,
}

impl Storm {
    fn pick(&mut self) -> String {
        let at = self.random.below(self.tables.len() as u64) as usize;
        format!("`{}`.{}", self.database, self.tables[at])
    }

    /// Columns beside `id` and `v`, which every table always has.
    async fn extra_columns(&self, sql: &mut Sql, table: &str) -> Outcome<Vec<String>> {
        let name = table.rsplit('.').next().unwrap_or_default();
        let rows = sql
            .rows(&format!(
                "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '{}' AND TABLE_NAME = '{name}' \
                 AND COLUMN_NAME NOT IN ('id', 'v') ORDER BY ORDINAL_POSITION",
                self.database
            ))
            .await?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    async fn rows(&mut self, sql: &mut Sql) -> Outcome {
        for _ in 0..self.random.below(8) {
            let (table, id, v) = (self.pick(), self.random.below(700), self.random.below(1000));
            let statement = match self.random.below(10) {
                0 => format!("DELETE FROM {table} WHERE id = {id}"),
                1 => format!("UPDATE {table} SET v = v + 1 WHERE id % 50 = {}", id % 50),
                2 => format!(
                    "UPDATE IGNORE {table} SET id = {} WHERE id = {id}",
                    self.random.below(60)
                ),
                _ => format!(
                    "INSERT INTO {table} (id, v) VALUES ({id}, {v}) ON DUPLICATE KEY UPDATE v = {v}"
                ),
            };
            self.attempt(sql, &statement).await?;
        }
        Ok(())
    }

    /// Runs a statement that the second writer may get in the way of.
    async fn attempt(&self, sql: &mut Sql, statement: &str) -> Outcome {
        match sql.run(statement).await {
            Err(error)
                if error.to_string().contains("Deadlock")
                    || error.to_string().contains("Record has changed") =>
            {
                Ok(())
            }
            other => other,
        }
    }

    async fn definition(&mut self, sql: &mut Sql) -> Outcome {
        const TYPES: [&str; 9] = [
            "INT",
            "BIGINT UNSIGNED",
            "VARCHAR(30)",
            "DECIMAL(12,3)",
            "DATETIME(3)",
            "DOUBLE",
            "JSON",
            "VARBINARY(20)",
            "INT NOT NULL DEFAULT 5",
        ];
        let table = self.pick();
        let extra = self.extra_columns(sql, &table).await?;
        let one =
            |random: &mut Random| extra.get(random.below(extra.len() as u64) as usize).cloned();
        self.names += 1;
        let fresh = format!("c{}", self.names);
        let ty = TYPES[self.random.below(TYPES.len() as u64) as usize];
        let old = one(&mut self.random);
        let statement = match (self.random.below(15), old) {
            (0..=3, _) => format!("ALTER TABLE {table} ADD COLUMN {fresh} {ty}"),
            (4, _) => format!("ALTER TABLE {table} ADD COLUMN {fresh} {ty} FIRST"),
            (5, Some(old)) => format!("ALTER TABLE {table} ADD COLUMN {fresh} {ty} AFTER {old}"),
            (6 | 7, Some(old)) => format!("ALTER TABLE {table} DROP COLUMN {old}"),
            (8, Some(old)) => format!("ALTER TABLE {table} RENAME COLUMN {old} TO {fresh}"),
            (9, _) => format!("ALTER TABLE {table} MODIFY v BIGINT, ADD COLUMN {fresh} {ty}"),
            (10, _) => format!("TRUNCATE TABLE {table}"),
            (11, _) => {
                let other = format!("`{}`.spare", self.database);
                sql.run(&format!("DROP TABLE IF EXISTS {other}")).await?;
                sql.run(&format!("CREATE TABLE {other} LIKE {table}")).await?;
                sql.run(&format!("INSERT INTO {other} SELECT * FROM {table} WHERE id % 2 = 0"))
                    .await?;
                let gone = format!("`{}`.gone", self.database);
                sql.run(&format!("DROP TABLE IF EXISTS {gone}")).await?;
                format!("RENAME TABLE {table} TO {gone}, {other} TO {table}")
            }
            (12, _) => {
                sql.run(&format!("DROP TABLE {table}")).await?;
                format!("CREATE TABLE {table} ({fresh} {ty}, id INT PRIMARY KEY, v INT)")
            }
            (13, _) => format!("ALTER TABLE {table} ADD INDEX {fresh} (v)"),
            _ => format!("ALTER TABLE {table} COMMENT = 'about {fresh}'"),
        };
        sql.run(&statement).await
    }
}

/// Rows of a second connection, whatever the first one does to the tables: what is refused (no such table for a moment, a
/// deadlock) is left.
struct Writer {
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<u64>,
}

impl Writer {
    async fn start(server: &Server, storm: &Storm, seed: u64) -> Outcome<Writer> {
        let mut sql = server.connect().await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (database, tables) = (storm.database.clone(), storm.tables.clone());
        let mut random = Random::new(seed ^ 0x5eed);
        let task = tokio::spawn(async move {
            let mut done = 0;
            while !*stopped.borrow() {
                let table = tables[random.below(tables.len() as u64) as usize];
                let (id, v) = (random.below(700), random.below(1000));
                let statement = match random.below(3) {
                    0 => format!("DELETE FROM `{database}`.{table} WHERE id = {id}"),
                    _ => format!(
                        "INSERT INTO `{database}`.{table} (id, v) VALUES ({id}, {v}) ON DUPLICATE KEY UPDATE v = {v}"
                    ),
                };
                done += u64::from(sql.run(&statement).await.is_ok());
            }
            done
        });
        Ok(Writer { stop, task })
    }

    async fn stop(self) -> Outcome<u64> {
        self.stop.send_replace(true);
        Ok(self.task.await?)
    }
}

async fn storm(kind: ServerKind, seed: u64) -> Outcome {
    eprintln!("seed {seed}");
    let server = Server::start(kind, &[]).await?;
    // Chunks of a few rows: many definitions meet a running copy.
    let chunks = "  scan.incremental.snapshot.chunk.size: 5\n";
    let mut pipeline = Pipeline::new(&server, "storm", chunks, EVOLVE).await?;
    let mut sql = server.connect().await?;
    let mut storm = Storm {
        random: Random::new(seed),
        database: pipeline.database.clone(),
        tables: vec!["e0", "e1", "e2", "e3"],
        names: 0,
    };
    for table in &storm.tables {
        let table = format!("`{}`.{table}", storm.database);
        sql.run(&format!("CREATE TABLE {table} (id INT PRIMARY KEY, v INT)")).await?;
        let rows: Vec<String> = (0..600).map(|id| format!("({id}, 0)")).collect();
        sql.run(&format!("INSERT INTO {table} VALUES {}", rows.join(", "))).await?;
    }
    let writer = Writer::start(&server, &storm, seed).await?;
    let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), pipeline.file.as_os_str()];
    let environment = [("RUST_LOG", "info,cdc_cli=debug")];
    for round in 0..8 {
        let mut daemon = Daemon::start(&arguments, &environment)?;
        daemon.wait_for_log("committed", DEADLINE).await?;
        for _ in 0..12 {
            storm.rows(&mut sql).await?;
            storm.definition(&mut sql).await?;
        }
        storm.rows(&mut sql).await?;
        if round % 2 == 0 {
            daemon.kill()?;
        } else {
            daemon.wait_for_log("schema change applied", DEADLINE).await?;
            daemon.kill()?;
        }
    }
    eprintln!("{} transactions of the second writer", writer.stop().await?);
    // Every row once under the last definition.
    let daemon = Daemon::start(&arguments, &environment)?;
    for table in storm.tables.clone() {
        sql.run(&format!("UPDATE `{}`.{table} SET v = v + 1", storm.database)).await?;
    }
    pipeline.settle(&server).await?;
    for table in storm.tables {
        pipeline.check(&server, table).await?;
    }
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    Ok(())
}

fn seed(default: u64) -> u64 {
    let given = std::env::var("CDC_TEST_SEED").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_definitions_and_kills_on_mysql() -> Outcome {
    storm(ServerKind::Mysql, seed(5)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_definitions_and_kills_on_mariadb() -> Outcome {
    storm(ServerKind::Mariadb, seed(6)).await
}
