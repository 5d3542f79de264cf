//! What the server says of its log: where it ends, what it still has, and whether a position can be gone on from
//! (correctness §4).

use cdc_api::{Error, Result, TxnId};

use super::frame::PassedRun;
use crate::{
    metadata::ServerInfo,
    position::{Gtids, LogPosition, MariaGtid, SourcePosition},
    types::Flavor,
    wire::{Connection, WireError},
};

const PARSE_ERROR: u16 = 1064;
/// The server cannot give the log that was asked for.
const MASTER_FATAL_ERROR_READING_BINLOG: u16 = 1236;
const REMEDY_ANEW: &str = "copy anew: start with an empty checkpoint storage and an empty target; to prevent it, keep \
                           the log longer (binlog_expire_logs_seconds)";

impl Gtids {
    /// Transactions have passed the reader.
    pub(crate) fn pass(&mut self, run: &PassedRun) {
        match (self, &run.first) {
            (Gtids::MySql(set), TxnId::Gtid { source, tag, number }) => {
                let tag = tag.as_deref().unwrap_or("");
                // A server does not give a number out of range; if it did, it would only be read again.
                let _ = set.add_interval(source, tag, *number, run.last);
            }
            (Gtids::MariaDb(position), TxnId::Domain { domain, server, .. }) => {
                position.advance(MariaGtid {
                    domain: *domain,
                    server: *server,
                    sequence: run.last,
                });
            }
            _ => {}
        }
    }
}

/// The log's end: nothing that a SELECT has seen on this server lies beyond it.
pub(crate) async fn log_end(connection: &mut Connection) -> Result<LogPosition, WireError> {
    let rows = match connection.query("SHOW BINARY LOG STATUS").await {
        Err(WireError::Server { code: PARSE_ERROR, .. }) => {
            connection.query("SHOW MASTER STATUS").await?
        }
        other => other?,
    };
    let row =
        rows.first().ok_or_else(|| WireError::Protocol("the server has no binary log".into()))?;
    let (file, offset) = (row.text("File"), row.number::<u64>("Position"));
    let (Some(file), Some(offset)) = (file, offset) else {
        return Err(WireError::Protocol("the binary log's status has no file and position".into()));
    };
    LogPosition::new(file, offset).map_err(|error| WireError::Protocol(error.to_string()))
}

/// P0: from where the log is read at the very first start (correctness §2).
pub(crate) async fn start_position(
    connection: &mut Connection,
    info: &ServerInfo,
) -> Result<(LogPosition, Gtids)> {
    match info.flavor {
        Flavor::MySql if info.proves_by_gtid() => {
            // The set first: the stream is asked for by it, and the position beside it is only where to look first.
            let set = variable(connection, "@@GLOBAL.gtid_executed").await?;
            let gtids =
                Gtids::MySql(set.parse().map_err(|error| unreadable("gtid_executed", error))?);
            Ok((before_all(connection).await?, gtids))
        }
        Flavor::MySql => Ok((log_end(connection).await?, Gtids::None)),
        Flavor::MariaDb => {
            let end = log_end(connection).await?;
            let sql = format!("SELECT BINLOG_GTID_POS('{}', {})", end.file(), end.offset());
            let rows = connection.query(&sql).await?;
            let text = rows.first().and_then(|row| row.text_at(0)).unwrap_or_default();
            let gtids = text.parse().map_err(|error| unreadable("BINLOG_GTID_POS", error))?;
            Ok((end, Gtids::MariaDb(gtids)))
        }
    }
}

/// Before everything in this server's log. A stream by GTID says itself where it begins; until then nothing is known.
pub(crate) async fn before_all(connection: &mut Connection) -> Result<LogPosition> {
    let end = log_end(connection).await?;
    let base = end.file().rsplit_once('.').map_or("binlog", |(base, _)| base).to_owned();
    LogPosition::new(format!("{base}.000000"), 0)
        .map_err(|error| Error::internal(error.to_string()))
}

/// What the server has executed, in the terms of `like`.
pub(crate) async fn gtids_of(connection: &mut Connection, like: &Gtids) -> Result<Gtids> {
    Ok(match like {
        Gtids::None => Gtids::None,
        Gtids::MySql(_) => {
            let text = variable(connection, "@@GLOBAL.gtid_executed").await?;
            Gtids::MySql(text.parse().map_err(|error| unreadable("gtid_executed", error))?)
        }
        Gtids::MariaDb(_) => {
            let text = variable(connection, "@@GLOBAL.gtid_binlog_pos").await?;
            Gtids::MariaDb(text.parse().map_err(|error| unreadable("gtid_binlog_pos", error))?)
        }
    })
}

/// Whether this server can go on from a checkpoint's position.
///
/// # Errors
/// `Operator` with the remedy when it is another server's position, or its log is gone.
pub(crate) async fn check_resumable(
    connection: &mut Connection,
    info: &ServerInfo,
    saved: &SourcePosition,
    identity: &crate::position::ServerIdentity,
) -> Result<()> {
    match &saved.gtids {
        Gtids::MySql(set) => {
            if info.flavor != Flavor::MySql || !info.proves_by_gtid() {
                return Err(other_server(saved, identity, "it has no GTIDs (gtid_mode is not ON)"));
            }
            let Gtids::MySql(executed) = gtids_of(connection, &saved.gtids).await? else {
                return Err(Error::internal("a MySQL server gave GTIDs of another kind"));
            };
            if !executed.contains_set(set) {
                return Err(other_server(saved, identity, "it has not executed all that was read")
                    .detail(format!("read: {set}; executed there: {executed}")));
            }
            let purged = variable(connection, "@@GLOBAL.gtid_purged").await?;
            let purged: crate::position::GtidSet =
                purged.parse().map_err(|error| unreadable("gtid_purged", error))?;
            if !set.contains_set(&purged) {
                return Err(
                    purged_error(saved).detail(format!("read: {set}; purged there: {purged}"))
                );
            }
            Ok(())
        }
        Gtids::MariaDb(position) => {
            if info.flavor != Flavor::MariaDb {
                return Err(other_server(saved, identity, "it is not a MariaDB server"));
            }
            let Gtids::MariaDb(executed) = gtids_of(connection, &saved.gtids).await? else {
                return Err(Error::internal("a MariaDB server gave GTIDs of another kind"));
            };
            if !executed.reaches(position) {
                return Err(other_server(saved, identity, "it has not logged all that was read")
                    .detail(format!("read: {position}; logged there: {executed}")));
            }
            if saved.server == *identity {
                listed(connection, saved).await?;
            }
            Ok(())
        }
        Gtids::None => {
            if saved.server != *identity {
                return Err(other_server(
                    saved,
                    identity,
                    "without GTIDs a position holds for one server only",
                ));
            }
            listed(connection, saved).await
        }
    }
}

/// The file must still be there and at least that long.
async fn listed(connection: &mut Connection, saved: &SourcePosition) -> Result<()> {
    let rows = connection.query("SHOW BINARY LOGS").await?;
    let at = &saved.log;
    let size = rows
        .iter()
        .find(|row| row.text("Log_name").as_deref() == Some(&**at.file()))
        .and_then(|row| row.number::<u64>("File_size"));
    match size {
        None => Err(purged_error(saved)),
        Some(size) if size < at.offset() => {
            Err(other_server(saved, &saved.server, "its log is shorter than what was read"))
        }
        Some(_) => Ok(()),
    }
}

/// The error behind a failed or ended stream.
pub(crate) fn explain(error: WireError, position: &LogPosition) -> Error {
    match &error {
        WireError::Server { code: MASTER_FATAL_ERROR_READING_BINLOG, message, .. } => {
            let text = message.to_ascii_lowercase();
            if text.contains("same server_uuid")
                || text.contains("same server_id")
                || text.contains("same uuid")
            {
                return Error::operator(
                    "another replica with the same server-id took over the log's stream",
                )
                .detail(message.clone())
                .hint("give each pipeline and replica its own `server-id`");
            }
            Error::operator("the server cannot give the log from where it is needed")
                .detail(format!("at {position}: {message}"))
                .hint(REMEDY_ANEW)
        }
        _ => Error::from(error),
    }
}

fn purged_error(saved: &SourcePosition) -> Error {
    Error::operator(format!(
        "the log behind the checkpoint ({}) has been purged from the server",
        saved.log
    ))
    .hint(REMEDY_ANEW)
}

fn other_server(
    saved: &SourcePosition,
    identity: &crate::position::ServerIdentity,
    why: &str,
) -> Error {
    Error::operator(format!("the checkpoint does not fit this server ({identity}): {why}"))
        .detail(format!("it was taken at {} of {}", saved.log, saved.server))
        .hint("connect to the server of the checkpoint or to a replica that has all its transactions, or copy anew \
               with an empty checkpoint storage and an empty target")
}

fn unreadable(what: &str, error: crate::position::PositionError) -> Error {
    Error::operator(format!("the server's {what} cannot be read")).caused_by(error)
}

async fn variable(connection: &mut Connection, name: &str) -> Result<String> {
    let rows = connection.query(&format!("SELECT {name}")).await?;
    Ok(rows.first().and_then(|row| row.text_at(0)).unwrap_or_default())
}
