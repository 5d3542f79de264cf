//! How it is proven that a SELECT sees everything the log reader has passed (correctness §2).

use std::time::Duration;

use cdc_api::{Error, Result, TableId};

use crate::{
    metadata::{ServerInfo, discover::quoted},
    position::{Gtids, LogPosition},
    types::Flavor,
    wire::{Connection, WireError},
};

/// The way of a run's chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// MySQL with GTIDs: wait until the passed set is executed, then SELECT in autocommit.
    Gtids,
    /// MariaDB: a consistent snapshot says its own position.
    SnapshotPosition,
    /// None is to be had: rows are read with a shared lock, which writers that are not visible yet still deny.
    RowLocks,
    /// Broken on purpose, see `BROKEN_ENVIRONMENT`.
    #[cfg(debug_assertions)]
    None,
}

/// The server is given this long to prove; then the chunk is read with locks.
const PROOF_TIME_MAX: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_millis(1);
const PAUSE_LONGEST: Duration = Duration::from_millis(50);

impl Proof {
    /// The mark that most tools trust and that proves nothing (correctness §1): only there so that the race harness can
    /// show that it races. In no release build.
    #[cfg(debug_assertions)]
    const BROKEN_ENVIRONMENT: &str = "CDC_TEST_TRUST_LOG_POSITION";

    /// What this server allows. `asks_xa`: whether XA RECOVER may be asked (else prepared transactions are unseen).
    pub(crate) fn of(info: &ServerInfo, asks_xa: bool) -> Self {
        #[cfg(debug_assertions)]
        if std::env::var_os(Self::BROKEN_ENVIRONMENT).is_some() {
            return Proof::None;
        }
        match info.flavor {
            _ if !asks_xa => Proof::RowLocks,
            Flavor::MySql if info.proves_by_gtid() => Proof::Gtids,
            Flavor::MySql => Proof::RowLocks,
            Flavor::MariaDb => Proof::SnapshotPosition,
        }
    }

    /// One sentence for `plan`.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Proof::Gtids => {
                "GTIDs: a chunk is read once the server has executed all that the log reader has passed"
            }
            Proof::SnapshotPosition => "consistent snapshots: each says its exact binlog position",
            Proof::RowLocks => {
                "row locks: chunks are read FOR SHARE, since the server cannot prove what is visible (set gtid_mode = ON)"
            }
            #[cfg(debug_assertions)]
            Proof::None => "nothing: a test breaks it on purpose",
        }
    }
}

/// Waits until the server has executed `passed`. False when it did not in time.
pub(crate) async fn executed(connection: &mut Connection, passed: &str) -> Result<bool, WireError> {
    if passed.is_empty() {
        return Ok(true);
    }
    let sql =
        format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{passed}', {})", PROOF_TIME_MAX.as_secs());
    let rows = connection.query(&sql).await?;
    Ok(rows.first().and_then(|row| row.text_at(0)).as_deref() == Some("0"))
}

/// Waits until a statement that the log reader has passed is done with this table: its locks are gone, and what it wrote
/// into the server's own tables is visible (correctness §1 holds for definitions too).
pub(crate) async fn prove_passed(
    connection: &mut Connection,
    gtids: &Gtids,
    table: &TableId,
) -> Result<()> {
    if let Gtids::MySql(set) = gtids
        && !executed(connection, &set.to_string()).await?
    {
        return Err(Error::transient("the server has logged a statement and does not finish it")
            .detail(format!("table \"{table}\" waits for it")));
    }
    // A metadata lock is held to the end of a statement that defines the table.
    let sql = format!("SELECT 1 FROM {} LIMIT 0", quoted(table));
    match connection.query_drop(&sql).await {
        Ok(()) => Ok(()),
        // It is gone, or cannot be read: its definition tells.
        Err(error) if error.code().is_some() && !error.is_transient() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a consistent snapshot at or behind `at` and says where it is. None when there was none in time.
pub(crate) async fn snapshot_at(
    connection: &mut Connection,
    at: &LogPosition,
) -> Result<Option<LogPosition>, WireError> {
    let mut pause = PAUSE_FIRST;
    let mut waited = Duration::ZERO;
    loop {
        connection.query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        let rows = connection.query("SHOW STATUS LIKE 'binlog_snapshot_%'").await?;
        let value = |name: &str| {
            rows.iter()
                .find(|row| row.text_at(0).is_some_and(|text| text.eq_ignore_ascii_case(name)))
                .and_then(|row| row.text_at(1))
        };
        let position = value("Binlog_snapshot_file")
            .zip(value("Binlog_snapshot_position").and_then(|text| text.parse().ok()))
            .and_then(|(file, offset): (String, u64)| LogPosition::new(file, offset).ok())
            .ok_or_else(|| {
                WireError::Protocol("a consistent snapshot has no binlog position".into())
            })?;
        if position >= *at {
            return Ok(Some(position));
        }
        // Committed but not visible yet: the next snapshot may see it.
        connection.query_drop("ROLLBACK").await?;
        if waited >= PROOF_TIME_MAX {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(PAUSE_LONGEST);
    }
}
