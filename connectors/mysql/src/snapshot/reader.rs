//! A chunk reader's task: takes ranges from the queue, proves, SELECTs, decodes straight into Arrow, and says where the
//! log ended afterwards.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arrow_array::RecordBatch;
use cdc_api::{Error, Result};
use cdc_incremental::{Bound, Key};
use tokio::sync::{Mutex, mpsc};

use super::{
    cells,
    chunk::{ChunkDone, ChunkJob, ChunkOutcome, ChunkRows},
    proof::{self, Proof},
};
use crate::{
    decode::{
        BatchBuilder, DecodeError,
        result::{ResultColumn, ResultPlan},
    },
    keys::{ChunkQuery, Form, KeyError, KeyLiteral, RowLock},
    log::{RowKeys, log_end},
    position::{LogPosition, ServerIdentity},
    source::{CapturedTable, Session},
    types::select_expression,
    wire::{ColumnDef, Connection, RowPackets, WireError},
};

/// The queue that all readers of a run take from.
pub(crate) type Jobs = Arc<Mutex<mpsc::Receiver<ChunkJob>>>;

/// Decoded rows become a batch at about this size.
const BATCH_BYTES: usize = 1 << 20;
/// After so many refusals in a row the locks are waited for.
const REFUSALS_BEFORE_WAITING: u32 = 5;
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// Server errors of row locks: lock wait time-out, deadlock, NOWAIT.
const LOCK_ERRORS: [u16; 3] = [1205, 1213, 3572];
/// Server errors that a schema change explains: unknown database, column, table.
const SCHEMA_ERRORS: [u16; 3] = [1049, 1054, 1146];

/// One chunk reader.
pub(crate) struct ChunkReader {
    pub(crate) session: Session,
    pub(crate) proof: Proof,
    pub(crate) jobs: Jobs,
    pub(crate) done: mpsc::Sender<ChunkDone>,
}

/// A connection and whose it is.
struct Desk {
    connection: Connection,
    identity: ServerIdentity,
}

/// Why a chunk was not read.
enum Failed {
    Wire(WireError),
    Row(String),
    Decode(DecodeError),
    Engine(Error),
}

impl From<WireError> for Failed {
    fn from(error: WireError) -> Self {
        Failed::Wire(error)
    }
}

impl ChunkReader {
    /// Runs until the queue or the receiver is gone.
    pub(crate) async fn run(self) {
        let mut desk: Option<Desk> = None;
        let mut delay = RETRY_FIRST;
        loop {
            let Some(job) = self.jobs.lock().await.recv().await else { return };
            let (range, table) = (job.range, Arc::clone(&job.table));
            let outcome = match self.desk(&mut desk).await {
                Ok(open) => match self.read(open, &job).await {
                    Ok(rows) => {
                        delay = RETRY_FIRST;
                        ChunkOutcome::Read(rows)
                    }
                    Err(failed) => self.explain(failed, &mut desk, &job).await,
                },
                Err(error) => ChunkOutcome::Broken(error),
            };
            if matches!(outcome, ChunkOutcome::Broken(_)) {
                desk = None;
                tokio::time::sleep(delay).await;
                delay = (delay * 2).min(RETRY_LONGEST);
            }
            if matches!(&outcome, ChunkOutcome::Read(rows) if rows.stopped) {
                // Stopped over its share of bytes: the rest of the rows is still on the way.
                desk = None;
            }
            if self.done.send(ChunkDone { range, table, outcome }).await.is_err() {
                return;
            }
        }
    }

    async fn desk<'d>(&self, desk: &'d mut Option<Desk>) -> Result<&'d mut Desk> {
        if desk.is_none() {
            let (connection, identity) = self.session.connect_for_rows().await?;
            *desk = Some(Desk { connection, identity });
        }
        desk.as_mut().ok_or_else(|| Error::internal("a connection was made and is not there"))
    }

    /// Reads one range: prove, SELECT, then `high` (correctness §2.2–2.4).
    async fn read(&self, desk: &mut Desk, job: &ChunkJob) -> Result<ChunkRows, Failed> {
        let connection = &mut desk.connection;
        let mut snapshot = None;
        #[cfg(debug_assertions)]
        let mut trusted_low = None;
        let mut lock = RowLock::None;
        let proven = match self.proof {
            Proof::Gtids => proof::executed(connection, &job.passed).await?,
            Proof::SnapshotPosition => {
                snapshot = proof::snapshot_at(connection, &job.at).await?;
                snapshot.is_some()
            }
            Proof::RowLocks => false,
            #[cfg(debug_assertions)]
            Proof::None => {
                trusted_low = Some(log_end(connection).await?);
                true
            }
        };
        if !proven {
            lock = lock_for(job);
        }
        let started = Instant::now();
        let mut rows = select(connection, job, lock).await?;
        rows.elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let high = if rows.stopped {
            // The rest of the rows blocks this connection; another one of the same server says where the log ends.
            let (mut other, identity) =
                self.session.connect_for_rows().await.map_err(Failed::Engine)?;
            let end = match snapshot {
                Some(position) => position,
                None => log_end(&mut other).await?,
            };
            if identity != desk.identity {
                return Err(Failed::Engine(Error::transient("two servers answer at one address")));
            }
            other.quit().await;
            end
        } else {
            match snapshot {
                Some(position) => {
                    connection.query_drop("COMMIT").await?;
                    position
                }
                None => log_end(connection).await?,
            }
        };
        let rows = rows.at(high, desk.identity.clone());
        #[cfg(debug_assertions)]
        let rows = ChunkRows { trusted_low, ..rows };
        Ok(rows)
    }

    async fn explain(
        &self,
        failed: Failed,
        desk: &mut Option<Desk>,
        job: &ChunkJob,
    ) -> ChunkOutcome {
        let table = &*job.table;
        let error = match failed {
            Failed::Engine(error) => return ChunkOutcome::Broken(error),
            Failed::Decode(error) => {
                *desk = None;
                return undecodable(job, &error.describe(table.schema()));
            }
            Failed::Row(reason) => {
                *desk = None;
                return undecodable(job, &reason);
            }
            Failed::Wire(error) => error,
        };
        let code = error.code();
        if code.is_some_and(|code| LOCK_ERRORS.contains(&code)) {
            return ChunkOutcome::Locked;
        }
        if error.is_transient() || code.is_none() {
            return ChunkOutcome::Broken(error.into());
        }
        let mut end = None;
        if code.is_some_and(|code| SCHEMA_ERRORS.contains(&code))
            && let Some(desk) = desk
        {
            end = log_end(&mut desk.connection).await.ok();
        }
        // A transaction of its own may be open.
        *desk = None;
        ChunkOutcome::Failed {
            reason: format!("its rows cannot be read: {error}"),
            remedy: format!("check the table and the grant SELECT on it: {}", table.id()),
            log_end: end,
        }
    }
}

fn undecodable(job: &ChunkJob, reason: &str) -> ChunkOutcome {
    let bound = |bound: &Option<Bound<KeyLiteral>>, none: &str| {
        bound.as_ref().map_or_else(|| none.to_owned(), |bound| bound.literal.to_string())
    };
    let from = bound(&job.interval.low, "its first key");
    let to = bound(&job.interval.high, "its last key");
    ChunkOutcome::Failed {
        reason: format!("a row read by SELECT from {from} to {to} cannot be decoded: {reason}"),
        remedy: "see the option that the message names, or report it".into(),
        log_end: None,
    }
}

fn lock_for(job: &ChunkJob) -> RowLock {
    if job.refusals < REFUSALS_BEFORE_WAITING { RowLock::Refuse } else { RowLock::Wait }
}

/// Rows on their way; `high` is read after them.
struct Collected {
    batches: Vec<RecordBatch>,
    keys: RowKeys,
    upto: Option<Bound<KeyLiteral>>,
    rows: u64,
    bytes: u64,
    elapsed_us: u64,
    read_ts_us: i64,
    stopped: bool,
}

impl Collected {
    fn at(self, high: LogPosition, identity: ServerIdentity) -> ChunkRows {
        ChunkRows {
            batches: self.batches,
            keys: self.keys,
            upto: self.upto,
            high,
            identity,
            rows: self.rows,
            bytes: self.bytes,
            elapsed_us: self.elapsed_us,
            read_ts_us: self.read_ts_us,
            stopped: self.stopped,
            #[cfg(debug_assertions)]
            trusted_low: None,
        }
    }
}

async fn select(
    connection: &mut Connection,
    job: &ChunkJob,
    lock: RowLock,
) -> Result<Collected, Failed> {
    let table = &*job.table;
    let flavor = table.codec.flavor();
    let mut expressions: Vec<String> =
        table.meta.columns.iter().map(|column| select_expression(column, flavor)).collect();
    // Texts that the server orders are weighed as they are selected (correctness §3).
    expressions.extend(table.keys.weight_expressions());
    let query = ChunkQuery {
        codec: &table.keys,
        expressions: &expressions,
        low: job.interval.low.as_ref().map(|bound| &bound.literal),
        high: job.interval.high.as_ref().map(|bound| &bound.literal),
        limit: Some(job.rows_max),
        lock,
    };
    if lock != RowLock::None {
        // For the next transaction only: no gaps are locked (correctness §2).
        connection.query_drop("SET TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    }
    if lock == RowLock::Wait {
        connection.query_drop("SET innodb_lock_wait_timeout = 1").await?;
    }
    let statement = connection.prepare(&query.sql()).await?;
    let mut decoding = Decoding::new(table, statement.columns())?;
    let read_ts_us = now_us();
    let mut stream = connection.execute_stream(&statement).await?;
    let mut stopped = false;
    while let Some(packets) = stream.next_rows().await? {
        decoding.take(packets)?;
        if decoding.bytes() >= job.bytes_max {
            stopped = true;
            break;
        }
    }
    drop(stream);
    if !stopped {
        connection.close_statement(statement);
    }
    decoding.finish(job.rows_max, stopped, read_ts_us)
}

/// The decoder of one chunk.
struct Decoding<'t> {
    table: &'t CapturedTable,
    columns: Vec<ColumnDef>,
    plan: ResultPlan,
    builder: BatchBuilder,
    batches: Vec<RecordBatch>,
    keys: RowKeys,
    /// The last row's key as literals.
    last: Option<KeyLiteral>,
    rows: u64,
    /// Bytes of the batches that are closed.
    closed_bytes: usize,
}

impl<'t> Decoding<'t> {
    fn new(table: &'t CapturedTable, columns: &[ColumnDef]) -> Result<Self, Failed> {
        let result_columns: Vec<ResultColumn> = columns
            .iter()
            .map(|column| ResultColumn {
                ty: column.column_type,
                flags: column.flags,
                charset: column.charset,
                decimals: column.decimals,
            })
            .collect();
        Ok(Decoding {
            table,
            columns: columns.to_vec(),
            plan: ResultPlan::compile(&table.codec, &result_columns)?,
            builder: BatchBuilder::new(&table.codec, 0)?,
            batches: Vec::new(),
            keys: RowKeys::default(),
            last: None,
            rows: 0,
            closed_bytes: 0,
        })
    }

    fn bytes(&self) -> u64 {
        (self.closed_bytes + self.builder.bytes() + self.keys.bytes()) as u64
    }

    /// All rows that are buffered.
    fn take(&mut self, packets: RowPackets<'_>) -> Result<(), Failed> {
        let (codec, columns) = (&self.table.keys, &self.table.key_columns);
        let mut key_cells = Vec::with_capacity(columns.len());
        let mut weights = Vec::new();
        for packet in packets {
            if let Err(error) = self.builder.append_row(&self.plan, packet) {
                return Err(self.failed(&error, packet));
            }
            self.plan.key_cells(packet, columns, &mut key_cells)?;
            if codec.needs_weights() {
                let all = cells::split(packet, &self.columns)
                    .ok_or_else(|| Failed::Row("a row's cells cannot be told apart".into()))?;
                weights = all.into_iter().skip(self.table.meta.columns.len()).collect();
            }
            self.keys.push_weighed(codec, key_cells.iter().map(|cell| cell.bytes), &weights)?;
            self.rows += 1;
            if self.builder.bytes() >= BATCH_BYTES {
                self.close()?;
            }
        }
        if !key_cells.is_empty() {
            let literal = codec.literal(key_cells.iter().map(|cell| cell.bytes), Form::Result)?;
            self.last = Some(literal);
        }
        Ok(())
    }

    /// The row that cannot be decoded, by its key.
    #[cold]
    fn failed(&self, error: &DecodeError, packet: &[u8]) -> Failed {
        let mut reason = error.describe(self.table.schema());
        let mut cells = Vec::new();
        if self.plan.key_cells(packet, &self.table.key_columns, &mut cells).is_ok() {
            let cells = cells.iter().map(|cell| cell.bytes);
            let key = self.table.keys.describe(cells, Form::Result);
            reason.push_str(&format!(" (the row with {key})"));
        }
        Failed::Row(reason)
    }

    fn close(&mut self) -> Result<(), Failed> {
        if !self.builder.is_empty() {
            self.closed_bytes += self.builder.bytes();
            self.table.note_nulled(self.builder.take_nulled());
            self.batches.push(self.builder.finish()?);
            self.builder.make_room();
        }
        Ok(())
    }

    /// `stopped`: the range may have more rows than came.
    fn finish(
        mut self,
        rows_max: u64,
        stopped: bool,
        read_ts_us: i64,
    ) -> Result<Collected, Failed> {
        self.close()?;
        let may_have_more = stopped || self.rows >= rows_max;
        let last_row = self.keys.len().checked_sub(1);
        let upto = match (last_row, self.last) {
            (Some(row), Some(literal)) if may_have_more => {
                Some(Bound { key: Key::new(self.keys.get(row)), literal })
            }
            _ => None,
        };
        let bytes = (self.closed_bytes + self.keys.bytes()) as u64;
        Ok(Collected {
            batches: self.batches,
            keys: self.keys,
            upto,
            rows: self.rows,
            bytes,
            elapsed_us: 0,
            read_ts_us,
            stopped,
        })
    }
}

impl From<DecodeError> for Failed {
    fn from(error: DecodeError) -> Self {
        Failed::Decode(error)
    }
}

impl From<KeyError> for Failed {
    fn from(error: KeyError) -> Self {
        Failed::Row(error.to_string())
    }
}

/// The time of a chunk's reading: shown with its rows, decides nothing.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
