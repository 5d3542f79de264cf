//! The lake as DuckDB reads it, by the statements that the documents show, word by word: a table through every kind of
//! change of its columns, and a table that is emptied again and again under `kill -9`, of which a glob never shows two
//! incarnations at once.

mod reader;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cdc_integration::{
    Daemon, Failure, Outcome, PipelineFolder, Random, Server, ServerKind, Sql, wait_until,
};

use crate::reader::DuckDb;

const DEADLINE: Duration = Duration::from_secs(60);
const README: &str = include_str!("../../../README.md");
const DOCUMENT: &str = include_str!("../../../docs/schema-evolution.md");

/// The SQL block of a text that has these words in it.
fn statement_of(text: &'static str, words: &str) -> Outcome<&'static str> {
    text.split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block.trim().trim_end_matches(';'))
        .find(|block| block.contains(words))
        .ok_or_else(|| Failure::new(format!("no SQL block of the documents has \"{words}\"")))
}

/// A table `orders` of a database of its own, in the lake as `lake/shop/orders` of the working directory.
struct Shop {
    folder: PipelineFolder,
    file: PathBuf,
    sql: Sql,
}

impl Shop {
    async fn open(server: &Server, source: &str) -> Outcome<Shop> {
        let database = server.new_database("shop").await?;
        let folder = PipelineFolder::new()?;
        let head = server.source_yaml(&format!("{database}.orders"));
        let sink = folder.parquet_yaml("100ms");
        let text = format!(
            "{head}{source}{sink}  schema.change.behavior: EVOLVE\n\
             route:\n  - source-table: {database}.orders\n    sink-table: shop.orders\n"
        );
        let file = folder.write("pipeline.yaml", &text)?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{database}`")).await?;
        Ok(Shop { folder, file, sql })
    }

    async fn run(&mut self, statements: &[&str]) -> Outcome {
        self.sql.run_all(statements).await
    }

    /// Waits until DuckDB answers a statement with these rows, whatever their order.
    async fn wait_for(&self, duck: &mut DuckDb, statement: &str, rows: &[&str]) -> Outcome {
        let mut expected: Vec<String> = rows.iter().map(|&row| row.to_owned()).collect();
        expected.sort();
        let mut last = Ok(Vec::new());
        let waited = wait_until("DuckDB's answer", DEADLINE, async || {
            let mut answer = duck.rows(statement)?;
            if let Ok(rows) = &mut answer {
                rows.sort();
            }
            last = answer;
            Ok(last.as_ref() == Ok(&expected))
        })
        .await;
        waited.map_err(|waited| {
            Failure::new(format!("{waited}\n{statement}\nexpected {expected:#?}\ngot {last:#?}"))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changing_table_stays_readable() -> Outcome {
    let now = statement_of(README, "QUALIFY")?;
    let renamed = statement_of(DOCUMENT, "coalesce(")?;
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut shop = Shop::open(server, "").await?;
        let mut duck = DuckDb::start(shop.folder.path())?;
        shop.run(&[
            "CREATE TABLE orders (id INT PRIMARY KEY, amount INT, note VARCHAR(20))",
            "INSERT INTO orders VALUES (1, 10, 'one'), (2, 20, 'two')",
        ])
        .await?;
        let mut daemon = Daemon::run(&shop.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        let rows = ["amount=10 id=1 note=one", "amount=20 id=2 note=two"];
        shop.wait_for(&mut duck, now, &rows).await?;

        // A new column is null in older files, whatever its default; a changed row has what the source has.
        shop.run(&[
            "ALTER TABLE orders ADD COLUMN placed DATE, ADD COLUMN kind INT DEFAULT 7",
            "INSERT INTO orders (id, amount, note, placed) VALUES (3, 30, 'three', '2020-02-29')",
            "UPDATE orders SET amount = 21 WHERE id = 2",
        ])
        .await?;
        let rows = [
            "amount=10 id=1 kind=NULL note=one placed=NULL",
            "amount=21 id=2 kind=7 note=two placed=NULL",
            "amount=30 id=3 kind=7 note=three placed=2020-02-29",
        ];
        shop.wait_for(&mut duck, now, &rows).await?;

        // A dropped column stays in older files.
        shop.run(&[
            "ALTER TABLE orders DROP COLUMN kind",
            "INSERT INTO orders VALUES (4, 40, 'four', '2020-03-01')",
        ])
        .await?;
        let rows = [
            "amount=10 id=1 kind=NULL note=one placed=NULL",
            "amount=21 id=2 kind=7 note=two placed=NULL",
            "amount=30 id=3 kind=7 note=three placed=2020-02-29",
            "amount=40 id=4 kind=NULL note=four placed=2020-03-01",
        ];
        shop.wait_for(&mut duck, now, &rows).await?;

        // A renamed column is two columns, of which each file has one.
        shop.run(&[
            "ALTER TABLE orders RENAME COLUMN note TO remark",
            "INSERT INTO orders VALUES (5, 50, NULL, NULL)",
            "UPDATE orders SET remark = NULL WHERE id = 3",
            "DELETE FROM orders WHERE id = 4",
        ])
        .await?;
        let rows = ["id=1 remark=one", "id=2 remark=two", "id=3 remark=NULL", "id=5 remark=NULL"];
        shop.wait_for(&mut duck, renamed, &rows).await?;

        // A wider type: DuckDB takes the wider one for all files.
        shop.run(&[
            "ALTER TABLE orders MODIFY amount BIGINT",
            "INSERT INTO orders VALUES (6, 5000000000, NULL, NULL)",
        ])
        .await?;
        let typed = format!("SELECT id, amount, typeof(amount) AS type FROM ({now})");
        let rows = [
            "amount=10 id=1 type=BIGINT",
            "amount=21 id=2 type=BIGINT",
            "amount=30 id=3 type=BIGINT",
            "amount=50 id=5 type=BIGINT",
            "amount=5000000000 id=6 type=BIGINT",
        ];
        shop.wait_for(&mut duck, &typed, &rows).await?;

        // Values that change without row events: the table begins anew, and nothing of before is in sight.
        shop.run(&[
            "ALTER TABLE orders MODIFY amount VARCHAR(20)",
            "INSERT INTO orders VALUES (7, 'seven', NULL, NULL)",
        ])
        .await?;
        let rows = [
            "amount=10 id=1 placed=NULL remark=one",
            "amount=21 id=2 placed=NULL remark=two",
            "amount=30 id=3 placed=2020-02-29 remark=NULL",
            "amount=50 id=5 placed=NULL remark=NULL",
            "amount=5000000000 id=6 placed=NULL remark=NULL",
            "amount=seven id=7 placed=NULL remark=NULL",
        ];
        shop.wait_for(&mut duck, now, &rows).await?;

        // Emptied.
        shop.run(&["TRUNCATE TABLE orders", "INSERT INTO orders VALUES (1, 'again', NULL, NULL)"])
            .await?;
        shop.wait_for(&mut duck, now, &["amount=again id=1 placed=NULL remark=NULL"]).await?;
        shop.run(&[
            "DROP TABLE orders",
            "CREATE TABLE orders (id INT PRIMARY KEY, other DOUBLE)",
            "INSERT INTO orders VALUES (1, 0.5)",
        ])
        .await?;
        shop.wait_for(&mut duck, now, &["id=1 other=0.5"]).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Where the file asks that such tables are not copied anew, files of both types stand side by side.
#[tokio::test(flavor = "multi_thread")]
async fn types_of_another_kind_are_read_together_where_duckdb_can() -> Outcome {
    let now = statement_of(README, "QUALIFY")?;
    let apart = statement_of(DOCUMENT, "UNION ALL BY NAME")?;
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut shop = Shop::open(server, "  schema-change.unlogged-values: ignore\n").await?;
        let mut duck = DuckDb::start(shop.folder.path())?;
        shop.run(&[
            "CREATE TABLE orders (id INT PRIMARY KEY, amount INT)",
            "INSERT INTO orders VALUES (1, 10), (2, 20)",
        ])
        .await?;
        let mut daemon = Daemon::run(&shop.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        shop.wait_for(&mut duck, now, &["amount=10 id=1", "amount=20 id=2"]).await?;
        shop.run(&[
            "ALTER TABLE orders MODIFY amount VARCHAR(20)",
            "INSERT INTO orders VALUES (3, 'three')",
            "UPDATE orders SET amount = '2o' WHERE id = 2",
        ])
        .await?;
        let rows = ["amount=10 id=1", "amount=2o id=2", "amount=three id=3"];
        shop.wait_for(&mut duck, now, &rows).await?;
        let typed = format!("SELECT DISTINCT typeof(amount) AS type FROM ({now})");
        shop.wait_for(&mut duck, &typed, &["type=VARCHAR"]).await?;

        // Numbers and dates have no type in common: each kind of file by itself.
        shop.run(&[
            "UPDATE orders SET amount = '20200101'",
            "ALTER TABLE orders MODIFY amount INT",
            "UPDATE orders SET amount = amount + id",
            "ALTER TABLE orders MODIFY amount DATE",
            "INSERT INTO orders VALUES (9, '2021-12-31')",
        ])
        .await?;
        let rows = [
            "amount=20200102 id=1",
            "amount=20200103 id=2",
            "amount=20200104 id=3",
            "amount=2021-12-31 id=9",
        ];
        shop.wait_for(&mut duck, apart, &rows).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Reads the lake as fast as it can until told to stop; returns the incarnations seen, each by itself.
fn look_on(mut duck: DuckDb, stop: Arc<AtomicBool>) -> Outcome<BTreeSet<String>> {
    const INCARNATIONS: &str = "SELECT DISTINCT incarnation FROM \
         read_parquet('lake/shop/orders/**/*.parquet', union_by_name = true)";
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        match duck.rows(INCARNATIONS)? {
            Ok(rows) if rows.len() > 1 => {
                return Err(Failure::new(format!("one glob shows several incarnations: {rows:?}")));
            }
            Ok(rows) => seen.extend(rows),
            // Nothing is there yet, or a file went between listing and reading.
            Err(error) if error.contains("No files found") || error.contains("No such file") => {}
            Err(error) => return Err(Failure::new(error)),
        }
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_glob_never_mixes_two_incarnations() -> Outcome {
    const ROUNDS: u32 = 24;
    let seed = match std::env::var("CDC_TEST_SEED") {
        Ok(seed) => seed.parse()?,
        Err(_) => 20_261_128,
    };
    eprintln!("CDC_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut shop = Shop::open(server, "").await?;
        const CREATE: &str = "CREATE TABLE orders (id INT PRIMARY KEY, incarnation INT)";
        shop.run(&[CREATE]).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let duck = DuckDb::start(shop.folder.path())?;
        let (told, lake) = (
            Arc::clone(&stop),
            std::thread::spawn({
                let stop = Arc::clone(&stop);
                move || look_on(duck, stop)
            }),
        );
        let mut own = DuckDb::start(shop.folder.path())?;
        let mut daemon = Daemon::run(&shop.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        for round in 1..=ROUNDS {
            if random.below(2) == 0 {
                shop.run(&["TRUNCATE TABLE orders"]).await?;
            } else {
                shop.run(&["DROP TABLE orders", CREATE]).await?;
            }
            // Long enough for several files of each incarnation, and for the kill to come at any moment.
            let count = 1 + random.below(150);
            for id in 0..count {
                shop.run(&[&format!("INSERT INTO orders VALUES ({id}, {round})")]).await?;
            }
            if random.below(3) > 0 {
                daemon.kill()?;
                daemon = Daemon::run(&shop.file)?;
            }
            if lake.is_finished() {
                break;
            }
            // Some are waited for, so that the reader sees many of them.
            if random.below(2) == 0 {
                let all = format!("incarnation={round} n={count}");
                let counted = "SELECT incarnation, count(*) AS n FROM \
                     read_parquet('lake/shop/orders/**/*.parquet', union_by_name = true) GROUP BY incarnation";
                shop.wait_for(&mut own, counted, &[&all]).await?;
            }
        }
        told.store(true, Ordering::Relaxed);
        let seen = lake.join().map_err(|_| Failure::new("the reader panicked"))??;
        assert!(seen.len() > 5, "{}: only {seen:?} were seen", kind.name());
        // One that was just started does not hear SIGTERM yet.
        daemon.wait_for_log("streaming", DEADLINE).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}
