//! The log as a state machine: events in, frames and notices out. No I/O. It knows transactions (correctness §4), keeps
//! the position in 64 bits, and hands row images of captured tables to `decode`.

use std::{collections::HashMap, sync::Arc};

use cdc_api::{BeforeImages, Error, Result, TableId, TxnId};
use cdc_incremental::TableKey;

use super::{
    event::{self, Event, EventError, Query, kind},
    fault::{Fault, Refused},
    follow::Redefinition,
    frame::{FrameBuilder, LogFrame},
    held::Held,
    payload::Payload,
    rows::{self, RowError},
    statement::{self, Name, Statement},
};
use crate::{
    charset::Charsets,
    config::TableFilter,
    ddl::bases_of,
    decode::binlog::{BinlogPlan, RowsKind, TableMap, inflate_query, inflate_rows},
    position::{LogPosition, PositionError},
    source::{CapturedTable, Catalog},
};

/// What an event asks of the reader's loop.
#[derive(Debug)]
pub(crate) enum Step {
    /// Go on.
    Go,
    /// Something happened that travels in the log's order: finish the frame, then send it.
    Notice(Notice),
}

/// What else the log says about captured tables.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A statement that defines tables, captured ones or such as would be.
    Redefined(Redefinition),
    /// All rows of these tables went without row events.
    Truncated { tables: Vec<Arc<CapturedTable>>, shown: String },
    /// The log contradicts what is known of a table.
    Contradicted { table: Arc<CapturedTable>, what: String },
    /// Captured tables have to stop.
    Stop { tables: Vec<Arc<CapturedTable>>, reason: String, remedy: String, scope: StopScope },
}

/// Whether a stop holds for a table of which nothing has been read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopScope {
    /// Always.
    Always,
    /// Not while all of it is Unread: then the SELECT will see what the log could not tell.
    OnceRead,
}

/// An event may not be longer than this inside a compressed transaction; outside, the wire has its own limit.
const EVENT_BYTES_MAX: usize = 1 << 30;
/// A transaction whose rows in this frame came from more log bytes than this is cut into frames.
const TXN_CUT_BYTES: u64 = 512 << 10;
/// A frame of fewer rows may have [`WIDE_FRAME_FACTOR`] times the bytes: each column of it costs some 250 ns, however few rows
/// there are.
const ROWS_ENOUGH: u32 = 1024;
const WIDE_FRAME_FACTOR: u64 = 6;
const STATEMENT_SHOWN_CHARS: usize = 120;

/// Table ids that are remembered; a server gives new ones all the time.
const MAPS_MAX: usize = 10_000;

/// The running transaction.
struct Txn {
    id: TxnId,
    commit_ts_us: i64,
    /// Ordinal of its first row in the current frame.
    first_ordinal: u32,
    /// Rows of it left with an earlier frame.
    emitted: bool,
    /// It has a span in the current frame.
    spanned: bool,
    /// Between BEGIN and its end (MariaDB's GTID event stands for BEGIN unless standalone).
    begun: bool,
    xa: bool,
}

/// A table map's content and what was compiled from it.
type KnownMap = (Box<[u8]>, Arc<BinlogPlan>);

/// The last table map of an id.
struct MapOfId {
    /// What it said, without the id: an id alone identifies nothing for long.
    content: Box<[u8]>,
    mapped: Mapped,
}

enum Mapped {
    /// Not captured, or stopped.
    Skip,
    Rows {
        table: Arc<CapturedTable>,
        plan: Arc<BinlogPlan>,
    },
}

/// The decoder of one log stream.
pub(crate) struct LogDecoder {
    catalog: Arc<Catalog>,
    /// Which tables are captured once they are there.
    filter: TableFilter,
    charsets: Arc<Charsets>,
    before: BeforeImages,
    checksum: bool,
    format_known: bool,
    /// Everything up to here has been passed, whatever file a new connection's stream begins in.
    floor: LogPosition,
    /// Where the stream stands: behind the last event.
    stream: LogPosition,
    /// Offset in the stream's file of the last place between two transactions.
    boundary_offset: u64,
    /// Tables whose rows contradict what is known of them; told at their transaction's end.
    contradicted: Vec<(Arc<CapturedTable>, String)>,
    /// By table id. Entries outlive their event group, so that a table map that says the same again costs a comparison.
    maps: HashMap<u64, MapOfId>,
    /// Compiled plans by table, with the table map they were made from: ids restart with the server (correctness §4).
    plans: HashMap<u32, Vec<KnownMap>>,
    txn: Option<Txn>,
    /// The compressed transaction that is being read, whose events are taken one by one.
    payload: Option<Payload>,
    /// Bytes that came out of compressed transactions since the last frame.
    inflated_bytes: u64,
    frame: FrameBuilder,
    /// Row events of the running statement that are not decoded yet, and room for the next.
    held: Option<Held>,
    room: Vec<u8>,
    /// What held rows asked for while something else was being done: it comes next.
    queued: Vec<Notice>,
}

impl LogDecoder {
    /// A decoder whose stream starts at `position`, between two transactions.
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        charsets: Arc<Charsets>,
        before: BeforeImages,
        position: LogPosition,
    ) -> Self {
        LogDecoder {
            catalog,
            filter: TableFilter::default(),
            charsets,
            before,
            checksum: false,
            format_known: false,
            boundary_offset: position.offset(),
            stream: position.clone(),
            floor: position,
            contradicted: Vec::new(),
            maps: HashMap::new(),
            plans: HashMap::new(),
            txn: None,
            payload: None,
            inflated_bytes: 0,
            frame: FrameBuilder::default(),
            held: None,
            room: Vec::new(),
            queued: Vec::new(),
        }
    }

    /// Statements about tables that this filter selects are told, also when there is no such table yet.
    #[must_use]
    pub(crate) fn watching(mut self, filter: TableFilter) -> Self {
        self.filter = filter;
        self
    }

    /// From here on tables are as this catalog has them. No rows of a changed one wait in the frame.
    pub(crate) fn set_catalog(&mut self, catalog: Arc<Catalog>, charsets: Arc<Charsets>) {
        let is_same =
            |key: &u32| match (self.catalog.get(TableKey(*key)), catalog.get(TableKey(*key))) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                _ => false,
            };
        self.plans.retain(|key, _| is_same(key));
        self.maps.clear();
        (self.catalog, self.charsets) = (catalog, charsets);
    }

    /// Where the decoder stands. A stream by GTID may begin in an older file and skip what was passed; its places there
    /// say nothing, the position never goes back.
    pub(crate) fn position(&self) -> &LogPosition {
        if self.stream > self.floor { &self.stream } else { &self.floor }
    }

    pub(crate) fn at_boundary(&self) -> bool {
        self.txn.is_none()
    }

    /// Whether a frame should leave although more is at hand.
    pub(crate) fn is_full(&self, frame_bytes_max: u64) -> bool {
        let limit = if self.frame.ordinals() < ROWS_ENOUGH {
            frame_bytes_max * WIDE_FRAME_FACTOR
        } else if self.at_boundary() {
            frame_bytes_max
        } else {
            frame_bytes_max.max(TXN_CUT_BYTES)
        };
        self.frame.log_bytes() + self.inflated_bytes >= limit
    }

    /// Whether a frame would carry anything.
    pub(crate) fn has_news(&self) -> bool {
        self.frame.has_rows() || self.frame.log_bytes() > 0
    }

    /// Closes the frame. A transaction that has begun and brought no row yet stays wholly behind it.
    pub(crate) fn take_frame(&mut self) -> Result<LogFrame> {
        let stopped = self.decode_held();
        self.queued.extend(stopped);
        let is_untouched = |txn: &Txn| !txn.emitted && !txn.spanned;
        let boundary = self.txn.as_ref().is_none_or(is_untouched);
        let end = if self.txn.is_some() && boundary {
            let before = self.stream.at(self.boundary_offset);
            if before > self.floor { before } else { self.floor.clone() }
        } else {
            self.position().clone()
        };
        if let Some(txn) = &mut self.txn {
            // The span needs a time although its end is not known yet.
            if txn.spanned {
                self.frame.stamp_txn(self.stream.offset(), txn.commit_ts_us);
            }
            txn.emitted |= self.frame.ordinals() > txn.first_ordinal;
            (txn.first_ordinal, txn.spanned) = (0, false);
        }
        self.inflated_bytes = 0;
        self.frame
            .finish(end, boundary)
            .map_err(|error| self.internal(format!("a batch could not be closed: {error}")))
    }

    /// Takes one event as it came from the server. While [`LogDecoder::is_inside_event`], [`LogDecoder::go_on`] comes first.
    pub(crate) fn event(&mut self, bytes: &[u8]) -> Result<Step, Refused> {
        let kind = bytes.get(4).copied().unwrap_or_default();
        self.whole_event(kind, bytes).map_err(|fault| self.refuse(kind, fault))
    }

    fn whole_event(&mut self, kind: u8, bytes: &[u8]) -> Result<Step, Fault> {
        if kind == kind::FORMAT_DESCRIPTION {
            self.checksum = event::format_has_checksums(bytes)?;
            self.format_known = true;
        }
        // The artificial rotate ahead of the format description has a checksum or not: its bytes tell.
        let checksum = if self.format_known { self.checksum } else { event::has_checksum(bytes) };
        let event = Event::parse(bytes, checksum)?;
        self.frame.add_log_bytes(event.len);
        if kind == kind::ROTATE {
            let (offset, file) = event::rotate(event.body)?;
            self.move_to(LogPosition::new(file, offset).map_err(malformed)?);
            return Ok(Step::Go);
        }
        if self.txn.is_none() {
            self.boundary_offset = self.stream.offset();
        }
        if !event.is_artificial() {
            self.advance(event.header.end);
        }
        let step = self.dispatch(&event, true)?;
        Ok(self.or_contradicted(step))
    }

    /// Behind a transaction, what was found out about tables inside it.
    fn or_contradicted(&mut self, step: Step) -> Step {
        if !matches!(step, Step::Go) || self.txn.is_some() {
            return step;
        }
        match self.contradicted.pop() {
            Some((table, what)) => Step::Notice(Notice::Contradicted { table, what }),
            None => step,
        }
    }

    /// Whether the last event holds others that were not taken yet.
    pub(crate) fn is_inside_event(&self) -> bool {
        self.payload.is_some() || !self.queued.is_empty()
    }

    /// Takes the next event of a compressed transaction.
    pub(crate) fn go_on(&mut self) -> Result<Step, Refused> {
        if !self.queued.is_empty() {
            return Ok(Step::Notice(self.queued.remove(0)));
        }
        self.inner_event().map_err(|fault| self.refuse(kind::TRANSACTION_PAYLOAD, fault))
    }

    fn inner_event(&mut self) -> Result<Step, Fault> {
        let Some(mut payload) = self.payload.take() else { return Ok(Step::Go) };
        let Some(bytes) = payload.next()? else { return Ok(Step::Go) };
        self.inflated_bytes += bytes.len() as u64;
        let event = Event::parse(bytes, false)?;
        let step = self.dispatch(&event, false)?;
        self.payload = Some(payload);
        Ok(self.or_contradicted(step))
    }

    /// A new file, or the place where a connection's stream begins.
    fn move_to(&mut self, position: LogPosition) {
        self.stream = position;
    }

    /// `end_log_pos` has 32 bits and wraps at 4 GiB (correctness §2).
    fn advance(&mut self, end: u32) {
        const WRAP: u64 = 1 << 32;
        let now = self.stream.offset();
        let mut offset = (now & !(WRAP - 1)) | u64::from(end);
        if offset.saturating_add(WRAP / 2) < now {
            offset = offset.saturating_add(WRAP);
        }
        if offset > now {
            self.stream = self.stream.at(offset);
        }
    }

    fn dispatch(&mut self, event: &Event<'_>, top: bool) -> Result<Step, Fault> {
        match event.header.kind {
            kind::TABLE_MAP => return self.table_map(event.body),
            kind::WRITE_ROWS
            | kind::UPDATE_ROWS
            | kind::DELETE_ROWS
            | kind::WRITE_ROWS_V1
            | kind::UPDATE_ROWS_V1
            | kind::DELETE_ROWS_V1
            | kind::PARTIAL_UPDATE_ROWS
            | kind::MARIA_WRITE_ROWS_COMPRESSED_V1
            | kind::MARIA_UPDATE_ROWS_COMPRESSED_V1
            | kind::MARIA_DELETE_ROWS_COMPRESSED_V1
            | kind::MARIA_WRITE_ROWS_COMPRESSED
            | kind::MARIA_UPDATE_ROWS_COMPRESSED
            | kind::MARIA_DELETE_ROWS_COMPRESSED => return self.rows(event),
            _ if self.held.is_some() => {
                let stopped = self.decode_held();
                self.queued.extend(stopped);
            }
            _ => {}
        }
        match event.header.kind {
            kind::GTID | kind::ANONYMOUS_GTID => {
                let gtid = event::gtid(event.body)?;
                let anonymous = event.header.kind == kind::ANONYMOUS_GTID;
                self.begin_mysql(gtid, anonymous, event.header.timestamp_s)?;
            }
            kind::GTID_TAGGED => {
                let gtid = event::gtid_tagged(event.body)?;
                self.begin_mysql(gtid, false, event.header.timestamp_s)?;
            }
            kind::MARIA_GTID => self.begin_mariadb(event)?,
            kind::XID => self.commit(),
            kind::QUERY => return self.query(&event::query(event.body)?),
            kind::MARIA_QUERY_COMPRESSED => {
                let body = inflate_query(event.body, EVENT_BYTES_MAX)?;
                return self.query(&event::query(&body)?);
            }
            kind::XA_PREPARE => {
                return self.xa_prepare(event::xa_prepare_is_one_phase(event.body)?);
            }
            kind::TRANSACTION_PAYLOAD if top => return self.payload(event.body),
            kind::HEARTBEAT => {
                self.heartbeat(Some(event::heartbeat(event.body)?), u64::from(event.header.end))?
            }
            kind::HEARTBEAT_V2 => {
                let (file, offset) = event::heartbeat_v2(event.body)?;
                self.heartbeat(file, offset.unwrap_or_default())?;
            }
            kind::FORMAT_DESCRIPTION => self.cut_off()?,
            kind::EXECUTE_LOAD_QUERY => return self.query(&event::query_of_load(event.body)?),
            kind::INCIDENT => {
                return Err(Fault::Fatal(
                    "the server reports an incident: events are missing from its log".into(),
                    "copy the tables anew: start with an empty checkpoint storage and an empty target".into(),
                ));
            }
            kind::MARIA_START_ENCRYPTION
            | kind::STOP
            | kind::INTVAR
            | kind::RAND
            | kind::USER_VAR
            | kind::BEGIN_LOAD_QUERY
            | kind::IGNORABLE
            | kind::ROWS_QUERY
            | kind::PREVIOUS_GTIDS
            | kind::TRANSACTION_CONTEXT
            | kind::VIEW_CHANGE
            | kind::MARIA_ANNOTATE_ROWS
            | kind::MARIA_CHECKPOINT
            | kind::MARIA_GTID_LIST => {}
            _ if event.header.flags & event::FLAG_IGNORABLE != 0 => {}
            other => {
                return Err(Fault::Fatal(
                    format!("the log has an event of the unknown type {other}"),
                    "this server version is newer than cdc-cli knows: please report it".into(),
                ));
            }
        }
        Ok(Step::Go)
    }

    fn heartbeat(&mut self, file: Option<&str>, offset: u64) -> Result<(), Fault> {
        let Some(file) = file.filter(|_| offset > 0 && self.txn.is_none()) else { return Ok(()) };
        if file == &**self.stream.file() {
            match u32::try_from(offset) {
                // The header's 32 bits continue ours.
                Ok(end) => self.advance(end),
                Err(_) => self.move_to(self.stream.at(offset)),
            }
        } else {
            self.move_to(LogPosition::new(file, offset).map_err(malformed)?);
        }
        Ok(())
    }

    fn begin_mysql(
        &mut self,
        gtid: event::GtidBody,
        anonymous: bool,
        timestamp_s: u32,
    ) -> Result<(), Fault> {
        self.cut_off()?;
        let commit_ts_us = match i64::try_from(gtid.commit_ts_us) {
            Ok(us) if us > 0 => us,
            _ => i64::from(timestamp_s) * 1_000_000,
        };
        let id = if anonymous {
            TxnId::None
        } else {
            TxnId::Gtid { source: gtid.source, tag: gtid.tag, number: gtid.number }
        };
        self.begin(id, commit_ts_us, false);
        Ok(())
    }

    fn begin_mariadb(&mut self, event: &Event<'_>) -> Result<(), Fault> {
        self.cut_off()?;
        let gtid = event::maria_gtid(event.body)?;
        let id = TxnId::Domain {
            domain: gtid.domain,
            server: event.header.server_id,
            sequence: gtid.sequence,
        };
        self.begin(id, i64::from(event.header.timestamp_s) * 1_000_000, !gtid.standalone);
        Ok(())
    }

    fn begin(&mut self, id: TxnId, commit_ts_us: i64, begun: bool) {
        self.txn = Some(Txn {
            id,
            commit_ts_us,
            first_ordinal: self.frame.ordinals(),
            emitted: false,
            spanned: false,
            begun,
            xa: false,
        });
    }

    /// A group that a new one or a new file cuts off never happened (correctness §4).
    fn cut_off(&mut self) -> Result<(), Fault> {
        if self.txn.is_some() { self.roll_back(false) } else { Ok(()) }
    }

    fn commit(&mut self) {
        let Some(txn) = self.txn.take() else { return };
        if txn.spanned {
            self.frame.stamp_txn(self.stream.offset(), txn.commit_ts_us);
        }
        self.frame.pass(&txn.id, txn.commit_ts_us);
    }

    /// Its rows never happened. `logged`: its GTID counts as executed all the same.
    fn roll_back(&mut self, logged: bool) -> Result<(), Fault> {
        let Some(txn) = self.txn.take() else { return Ok(()) };
        if txn.emitted {
            return Err(Fault::Restart(
                "a large transaction was rolled back in the log after a part of it was sent on"
                    .into(),
            ));
        }
        self.frame.cut_from(txn.first_ordinal);
        if logged {
            self.frame.pass(&txn.id, txn.commit_ts_us);
        }
        Ok(())
    }

    fn query(&mut self, query: &Query<'_>) -> Result<Step, Fault> {
        let begun = self.txn.as_ref().is_some_and(|txn| txn.begun);
        let statement = statement::read(query);
        match &statement {
            Statement::Begin => {
                if let Some(txn) = &mut self.txn {
                    txn.begun = true;
                } else {
                    // A log without GTID events (before MySQL 5.7 or MariaDB 10).
                    self.begin(TxnId::None, 0, true);
                }
                return Ok(Step::Go);
            }
            Statement::XaStart => {
                if let Some(txn) = &mut self.txn {
                    (txn.begun, txn.xa) = (true, true);
                }
                return Ok(Step::Go);
            }
            Statement::Commit => {
                self.commit();
                return Ok(Step::Go);
            }
            Statement::Rollback => {
                self.roll_back(true)?;
                return Ok(Step::Go);
            }
            Statement::Inside | Statement::XaEnd => return Ok(Step::Go),
            _ => {}
        }
        let step = self.touched(query, &statement);
        let ends_xa = matches!(statement, Statement::XaCommit | Statement::XaRollback);
        if !begun || ends_xa {
            // DDL, XA COMMIT and the like are a transaction of their own.
            self.commit();
        }
        Ok(step)
    }

    /// What a statement means to captured tables.
    fn touched(&self, query: &Query<'_>, statement: &Statement) -> Step {
        let shown = || {
            String::from_utf8_lossy(query.text)
                .chars()
                .take(STATEMENT_SHOWN_CHARS)
                .collect::<String>()
        };
        match statement {
            Statement::Defines(names) => {
                let mut ids: Vec<TableId> = Vec::new();
                for name in names {
                    let id = name.id(query.database);
                    if self.concerns(&id) && !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                self.redefined(ids, query, shown())
            }
            Statement::DropsDatabase(database) => {
                let tables = self.catalog.of_database(database);
                self.redefined(tables.map(|table| table.id().clone()).collect(), query, shown())
            }
            Statement::DefinesDatabase => {
                Step::Notice(Notice::Redefined(Redefinition::of(query, Vec::new(), shown())))
            }
            Statement::Truncates(name) => {
                let tables = self.running(query, std::slice::from_ref(name));
                if tables.is_empty() {
                    return Step::Go;
                }
                Step::Notice(Notice::Truncated { tables, shown: shown() })
            }
            Statement::Writes(names) => self.written(self.running(query, names), &shown()),
            Statement::MayWriteAnything => {
                let tables = self.catalog.tables().filter(|table| !table.is_stopped());
                self.written(tables.cloned().collect(), &shown())
            }
            _ => Step::Go,
        }
    }

    /// Whether a table of this name is captured, or would be, or is a helper of one that is changed online. A pattern that
    /// runs out of steps is judged where its error can be told.
    fn concerns(&self, id: &TableId) -> bool {
        let captures = |id: &TableId| {
            self.catalog.find_id(id).is_some() || self.filter.is_match(id).unwrap_or(true)
        };
        let database = || id.schema.clone().unwrap_or_default();
        captures(id)
            || bases_of(&id.table)
                .iter()
                .any(|(_, base)| captures(&TableId::new(database(), base.as_str())))
    }

    fn redefined(&self, names: Vec<TableId>, query: &Query<'_>, shown: String) -> Step {
        if names.is_empty() {
            return Step::Go;
        }
        Step::Notice(Notice::Redefined(Redefinition::of(query, names, shown)))
    }

    /// The captured tables among these names that did not stop.
    fn running(&self, query: &Query<'_>, names: &[Name]) -> Vec<Arc<CapturedTable>> {
        let mut found: Vec<Arc<CapturedTable>> = Vec::new();
        for name in names {
            if let Some(table) = self.catalog.find_id(&name.id(query.database))
                && !table.is_stopped()
                && !found.iter().any(|known| known.key == table.key)
            {
                found.push(Arc::clone(table));
            }
        }
        found
    }

    fn written(&self, tables: Vec<Arc<CapturedTable>>, shown: &str) -> Step {
        if tables.is_empty() {
            return Step::Go;
        }
        let position = self.position();
        Step::Notice(Notice::Stop {
            tables,
            reason: format!("rows may have changed without row events at {position} (`{shown}`)"),
            remedy: "set binlog_format = ROW for every session that writes, then copy the table anew with an empty \
                     checkpoint storage and an empty target"
                .into(),
            scope: StopScope::OnceRead,
        })
    }

    /// Two-phase XA: rows logged here take effect at a later XA COMMIT. Captured tables in it are stopped (an own issue).
    fn xa_prepare(&mut self, one_phase: bool) -> Result<Step, Fault> {
        if one_phase {
            self.commit();
            return Ok(Step::Go);
        }
        let from = self.txn.as_ref().map_or(0, |txn| txn.first_ordinal);
        let tables = self.frame.tables_since(from);
        self.roll_back(true)?;
        if tables.is_empty() {
            return Ok(Step::Go);
        }
        Ok(Step::Notice(Notice::Stop {
            tables,
            reason: format!("an XA transaction wrote to it at {}, which is not followed yet", self.position()),
            remedy: "end all XA transactions on it, then copy it anew with an empty checkpoint storage and an \
                     empty target"
                .into(),
            // Its rows may become visible after a SELECT that opens later: nothing of it is safe.
            scope: StopScope::Always,
        }))
    }

    /// Opens a compressed transaction.
    fn payload(&mut self, body: &[u8]) -> Result<Step, Fault> {
        let head = event::payload_head(body)?;
        self.payload = Some(Payload::open(body, head, EVENT_BYTES_MAX)?);
        Ok(Step::Go)
    }

    fn table_map(&mut self, body: &[u8]) -> Result<Step, Fault> {
        let id = rows::table_id(body)?;
        let content = TableMap::identity(body);
        if self.maps.get(&id).is_some_and(|known| *known.content == *content) {
            return Ok(Step::Go);
        }
        if self.maps.len() >= MAPS_MAX {
            self.maps.clear();
        }
        let (database, table) = rows::map_names(body)?;
        let found = self.catalog.find(database, table).filter(|table| !table.is_stopped());
        let Some(table) = found.filter(|table| table.is_valid_at(self.position())) else {
            // Without content for a definition that is not known here: the next map may be behind its beginning.
            let content = if found.is_some() { Box::default() } else { content.into() };
            self.maps.insert(id, MapOfId { content, mapped: Mapped::Skip });
            return Ok(Step::Go);
        };
        let table = Arc::clone(table);
        let known = self.plans.entry(table.key.0).or_default();
        if let Some((_, plan)) = known.iter().find(|(made_from, _)| **made_from == *content) {
            let plan = Arc::clone(plan);
            let mapped = Mapped::Rows { table, plan };
            self.maps.insert(id, MapOfId { content: content.into(), mapped });
            return Ok(Step::Go);
        }
        let map = TableMap::parse(body)?;
        let witness = map
            .check(&table.meta, &*self.charsets)
            .map_err(|mismatch| mismatch.to_string())
            .and_then(|()| {
                BinlogPlan::compile(&table.codec, &map).map_err(|error| error.to_string())
            });
        match witness {
            Ok(plan) => {
                let plan = Arc::new(plan);
                known.push((content.into(), Arc::clone(&plan)));
                let mapped = Mapped::Rows { table, plan };
                self.maps.insert(id, MapOfId { content: content.into(), mapped });
                Ok(Step::Go)
            }
            Err(mismatch) => {
                // Without content, so that the next one is looked at again.
                self.maps.insert(id, MapOfId { content: Box::default(), mapped: Mapped::Skip });
                if !self.contradicted.iter().any(|(known, _)| known.key == table.key) {
                    self.contradicted.push((table, mismatch));
                }
                Ok(Step::Go)
            }
        }
    }

    fn rows(&mut self, event: &Event<'_>) -> Result<Step, Fault> {
        let kind = event.header.kind;
        let inflated;
        let body = match RowsKind::of(kind) {
            Some((_, true)) => {
                inflated = inflate_rows(kind, event.body, EVENT_BYTES_MAX)?;
                &inflated[..]
            }
            _ => event.body,
        };
        let id = rows::table_id(body)?;
        let (table, plan) = match self.maps.get(&id).map(|known| &known.mapped) {
            Some(Mapped::Rows { table, plan }) if !table.is_stopped() => {
                (Arc::clone(table), Arc::clone(plan))
            }
            Some(_) => return Ok(Step::Go),
            None => {
                return Err(EventError::Malformed(format!(
                    "rows of table id {id} came without their table map"
                ))
                .into());
            }
        };
        let Some(txn) = &mut self.txn else {
            return Err(EventError::Malformed("rows came outside of a transaction".into()).into());
        };
        if !txn.spanned {
            self.frame.begin_txn(&txn.id, self.stream.file());
            txn.spanned = true;
        }
        // A statement of one event, which most are, has nothing to wait for.
        if (self.held.is_some() || !rows::ends_statement(body))
            && let Some(step) = self.hold(&table, &plan, kind, body)
        {
            return Ok(step);
        }
        match rows::append(&mut self.frame, &table, &plan, kind, body, self.before) {
            Ok(()) => Ok(Step::Go),
            Err(error) => Ok(Step::Notice(stop(table, self.position(), &error))),
        }
    }

    fn refuse(&self, kind: u8, fault: impl Into<Fault>) -> Refused {
        fault.into().at(kind, self.position())
    }

    fn internal(&self, message: String) -> Error {
        Error::internal(message).detail(format!("at {}", self.position()))
    }
}

/// What a row that cannot be decoded asks for.
fn stop(table: Arc<CapturedTable>, place: &LogPosition, error: &RowError) -> Notice {
    Notice::Stop {
        reason: format!(
            "a row in the log at {place} cannot be decoded: {}",
            error.describe(table.schema())
        ),
        remedy: error.remedy().into(),
        scope: StopScope::OnceRead,
        tables: vec![table],
    }
}

fn malformed(error: PositionError) -> EventError {
    EventError::Malformed(error.to_string())
}

mod hold;
#[cfg(test)]
mod tests;
