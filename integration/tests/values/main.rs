//! Every value of MySQL and MariaDB, both ways (correctness §7): a row read by SELECT is the same Arrow, byte for byte, as
//! the same row read from the log, and both are what the server itself prints.
//!
//! `CDC_TEST_SEED` repeats a failure, `CDC_TEST_VALUES=wide` runs the whole matrix under all combinations of settings.

mod corpus;
mod differential;
mod json;
mod matrix;
mod pipeline;
mod policies;
mod reading;
mod rendering;
mod shapes;
mod table;
mod text;

use cdc_integration::{Failure, Outcome, Random, Server, ServerKind};
use differential::{Compared, Settings, compare, tables};
use tokio::sync::OnceCell;

/// Where sessions begin that set nothing: the connector's own must not depend on it.
const SERVER_OPTIONS: [&str; 3] = [
    "--max-allowed-packet=128M",
    "--sql-mode=PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES",
    "--default-time-zone=+03:00",
];

/// The private server of this binary: its global settings are changed, so only one test at a time may have it.
async fn server(kind: ServerKind) -> Outcome<tokio::sync::MutexGuard<'static, Server>> {
    static SERVERS: [OnceCell<tokio::sync::Mutex<Server>>; 2] =
        [OnceCell::const_new(), OnceCell::const_new()];
    let cell = &SERVERS[usize::from(kind == ServerKind::Mariadb)];
    let server = cell
        .get_or_try_init(async || {
            Ok::<_, Failure>(tokio::sync::Mutex::new(Server::start(kind, &SERVER_OPTIONS).await?))
        })
        .await?;
    Ok(server.lock().await)
}

fn is_wide() -> bool {
    std::env::var("CDC_TEST_VALUES").is_ok_and(|value| value == "wide")
}

/// The seed of this run: the one that was asked for, or a new one.
fn seed() -> Outcome<u64> {
    match std::env::var("CDC_TEST_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
            Ok(since.as_nanos() as u64 >> 10)
        }
    }
}

/// Goes through settings with seeds that follow from one.
async fn run(kind: ServerKind, settings: &[Settings], wide: bool, first: u64) -> Outcome {
    let mut seeds = Random::new(first);
    let mut sum = Compared::default();
    for settings in settings {
        let seed = seeds.bits();
        let server = server(kind).await?;
        let compared = compare(&server, *settings, &tables(kind, wide, seed))
            .await
            .map_err(|error| Failure::new(format!("CDC_TEST_SEED={first}: {error}")))?;
        sum.tables += compared.tables;
        sum.rows += compared.rows;
        sum.cells += compared.cells;
    }
    assert!(sum.cells > 5_000, "{sum:?} is no matrix");
    eprintln!("{} {sum:?} over {} settings, CDC_TEST_SEED={first}", kind.name(), settings.len());
    Ok(())
}

/// The same in every run, so that what it covers does not depend on luck.
#[tokio::test(flavor = "multi_thread")]
async fn mysql_values_are_the_same_both_ways() -> Outcome {
    run(ServerKind::Mysql, Settings::usual(ServerKind::Mysql), false, 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_values_are_the_same_both_ways() -> Outcome {
    run(ServerKind::Mariadb, Settings::usual(ServerKind::Mariadb), false, 1).await
}

/// Other values in each run.
async fn run_new_seed(kind: ServerKind) -> Outcome {
    let seed = seed()?;
    if is_wide() {
        for round in 0..3 {
            run(kind, &Settings::all(kind), true, seed.wrapping_add(round)).await?;
        }
        return Ok(());
    }
    let usual = Settings::usual(kind);
    run(kind, &[usual[seed as usize % usual.len()]], false, seed).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_values_of_a_new_seed() -> Outcome {
    run_new_seed(ServerKind::Mysql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_values_of_a_new_seed() -> Outcome {
    run_new_seed(ServerKind::Mariadb).await
}
