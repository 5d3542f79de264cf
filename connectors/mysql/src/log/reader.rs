//! The log reader's task: keeps the connection, feeds the decoder, and sends frames through a bounded channel.
//!
//! A frame leaves when nothing more is buffered and the source has room, or when it is full: no delay while the stream is
//! idle, full batches when it is behind. A broken connection is made anew at the last transaction boundary.

use std::{sync::Arc, time::Duration};

use cdc_api::{BeforeImages, Error, Result};
use tokio::sync::mpsc;

use super::{
    decoder::{LogDecoder, Notice, Step, StopScope},
    fault::{Readings, Refused},
    follow::{Follower, Place},
    frame::LogFrame,
    server,
};
use crate::{
    metadata::ServerInfo,
    position::{Gtids, LogPosition, ServerIdentity, SourcePosition},
    source::{CapturedTable, Catalog, Session, TableChange, Weigher},
    types::Flavor,
    wire::{BinlogNext, BinlogPackets, BinlogRequest, BinlogStart, WireError},
};

/// What the reader sends, in the log's order.
#[derive(Debug)]
pub(crate) enum LogItem {
    /// Rows, or only a new position.
    Frame(LogFrame),
    /// These tables stop here.
    Stop { tables: Vec<Arc<CapturedTable>>, reason: String, remedy: String, scope: StopScope },
    /// The stream goes on on another server, whose positions do not compare.
    OtherServer { identity: ServerIdentity, position: LogPosition, log_end: LogPosition },
    /// The reader ends with this.
    Failed(Error),
}

/// A frame that is larger than this in the log leaves at the next transaction boundary.
const FRAME_LOG_BYTES_MAX: u64 = 256 << 10;
/// How often the server sends a sign of life while nothing is logged, at the least: it also tells an idle log's position,
/// for which ranges wait.
const HEARTBEAT_PERIOD_MAX: Duration = Duration::from_millis(500);
/// The connection is given up after silence for so many of the periods that the user asked for …
const SILENT_PERIODS_MAX: u32 = 3;
/// … but never sooner than this.
const SILENCE_MIN: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LONGEST: Duration = Duration::from_secs(15);

/// The reader's inputs.
pub(crate) struct LogReader {
    pub(crate) session: Session,
    /// The tables as of the last frame that was sent.
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) follower: Follower,
    pub(crate) before: BeforeImages,
    /// Everything that lies behind the stream's start.
    pub(crate) gtids: Gtids,
    pub(crate) position: LogPosition,
    pub(crate) identity: ServerIdentity,
    pub(crate) items: mpsc::Sender<LogItem>,
    pub(crate) weigher: Weigher,
    /// `heartbeat.interval`.
    pub(crate) heartbeat: Duration,
    /// The last frame ended inside a transaction.
    pub(crate) sent_inside: bool,
    /// Places where the log was damaged.
    pub(crate) readings: Readings,
}

impl LogReader {
    /// Runs until the receiver is gone or something fails that no new connection mends.
    pub(crate) async fn run(mut self) {
        if let Err(error) = self.read().await {
            // A receiver that is gone does not want to know.
            let _ = self.items.send(LogItem::Failed(error)).await;
        }
    }

    async fn read(&mut self) -> Result<()> {
        let mut decoder = self.decoder();
        let mut delay = RETRY_FIRST;
        loop {
            let ended = match self.connect(&mut decoder).await {
                Ok(mut packets) => {
                    let before = self.position.clone();
                    let ended = self.stream(&mut packets, &mut decoder).await;
                    if self.position > before {
                        delay = RETRY_FIRST;
                    }
                    ended
                }
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = %error, position = %decoder.position(), "the log's connection broke, connecting again");
                    if self.sent_inside {
                        return Err(error.detail(
                            "a part of a large transaction was sent on: going back to the last checkpoint",
                        ));
                    }
                    // What was decoded and not sent comes again: positions and GTIDs are those of the last frame.
                    decoder = self.decoder();
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(RETRY_LONGEST);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn decoder(&self) -> LogDecoder {
        let binder = self.follower.binder();
        let (catalog, charsets) = (Arc::clone(&self.catalog), Arc::clone(binder.charsets()));
        LogDecoder::new(catalog, charsets, self.before, self.position.clone())
            .watching(binder.config().tables.clone())
    }

    /// Connects and asks for everything behind the decoder's boundary.
    async fn connect(&mut self, decoder: &mut LogDecoder) -> Result<BinlogPackets> {
        let mut connection = self.session.connect().await?;
        let info = ServerInfo::read(&mut connection).await.map_err(Error::from)?;
        let identity = self.session.identity(&info);
        if identity != self.identity {
            let position = self.moved(&mut connection, &info, &identity).await?;
            let log_end = server::log_end(&mut connection).await?;
            *decoder = {
                self.position = position.clone();
                self.decoder()
            };
            self.identity = identity.clone();
            let _ = self.items.send(LogItem::OtherServer { identity, position, log_end }).await;
        }
        for statement in self.stream_settings() {
            connection.query_drop(&statement).await.map_err(Error::from)?;
        }
        let start = match &self.gtids {
            Gtids::MySql(set) => BinlogStart::Gtid { executed: set.encode() },
            Gtids::MariaDb(_) => BinlogStart::File { file: String::new(), position: 4 },
            Gtids::None => {
                let at = &self.position;
                let position = u32::try_from(at.offset()).map_err(|_| {
                    Error::operator(format!("the log cannot be read from {at}"))
                        .detail("a position beyond 4 GiB can only be asked for by GTID")
                        .hint("set gtid_mode = ON, or keep max_binlog_size at its default")
                })?;
                BinlogStart::File { file: at.file().to_string(), position }
            }
        };
        let request = BinlogRequest { server_id: self.session.server_id(), start };
        let mut packets =
            connection.start_binlog(&request).await.map_err(|error| self.explain(error))?;
        packets.set_read_timeout(Some((self.heartbeat * SILENT_PERIODS_MAX).max(SILENCE_MIN)));
        Ok(packets)
    }

    /// Another server answers: only with GTIDs do we know where to go on there (correctness §4).
    async fn moved(
        &self,
        connection: &mut crate::wire::Connection,
        info: &ServerInfo,
        identity: &ServerIdentity,
    ) -> Result<LogPosition> {
        if self.gtids == Gtids::None {
            return Err(Error::operator(format!("another server answers: {identity}"))
                .detail(format!("the log was read on {}, and without GTIDs positions do not carry over", self.identity))
                .hint("connect to the old server, or copy anew with an empty checkpoint storage and an empty target"));
        }
        let saved = SourcePosition {
            log: self.position.clone(),
            gtids: self.gtids.clone(),
            server: self.identity.clone(),
        };
        server::check_resumable(connection, info, &saved, identity).await?;
        server::before_all(connection).await
    }

    fn stream_settings(&self) -> Vec<String> {
        let heartbeat_ns = self.heartbeat.min(HEARTBEAT_PERIOD_MAX).as_nanos();
        let mut settings = vec![
            "SET @master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = @@global.binlog_checksum"
                .to_owned(),
            format!("SET @master_heartbeat_period = {heartbeat_ns}, @source_heartbeat_period = {heartbeat_ns}"),
        ];
        if self.session.flavor() == Flavor::MariaDb {
            settings.push("SET @mariadb_slave_capability = 4".into());
            if let Gtids::MariaDb(position) = &self.gtids {
                settings.push(format!("SET @slave_connect_state = '{position}'"));
                settings.push(
                    "SET @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0".into(),
                );
            }
        } else {
            let uuid = self.session.replica_uuid();
            settings.push(format!("SET @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'"));
        }
        settings
    }

    async fn stream(
        &mut self,
        packets: &mut BinlogPackets,
        decoder: &mut LogDecoder,
    ) -> Result<()> {
        loop {
            if decoder.is_inside_event() {
                let step = decoder.go_on();
                if !self.take_step(step, decoder).await? {
                    return Ok(());
                }
                continue;
            }
            let step = match packets.next_event() {
                Ok(BinlogNext::Event(bytes)) => decoder.event(bytes),
                Ok(BinlogNext::Pending) => {
                    if decoder.has_news() && decoder.at_boundary() {
                        // Room in the channel means that the source waits for us: what is here goes at once.
                        if self.items.capacity() > 0 && !self.send_frame(decoder).await? {
                            return Ok(());
                        }
                    }
                    if !self.fill(packets, decoder).await? {
                        return Ok(());
                    }
                    continue;
                }
                Ok(BinlogNext::End) => {
                    return Err(Error::transient("the server ended the log's stream"));
                }
                // What is no packet is damage too.
                Err(WireError::Protocol(what)) => Err(Refused::Damaged { what }),
                Err(error) => return Err(self.explain(error)),
            };
            if !self.take_step(step, decoder).await? {
                return Ok(());
            }
        }
    }

    /// Does what an event asks for. False when nobody listens any more.
    async fn take_step(
        &mut self,
        step: Result<Step, Refused>,
        decoder: &mut LogDecoder,
    ) -> Result<bool> {
        match step {
            Ok(Step::Go) if decoder.is_full(FRAME_LOG_BYTES_MAX) => self.send_frame(decoder).await,
            Ok(Step::Go) => Ok(true),
            Ok(Step::Notice(notice)) => self.notice(notice, decoder).await,
            Err(refused) => Err(self.readings.judge(refused, decoder.position())),
        }
    }

    /// Waits for more bytes; a frame that waits for room leaves as soon as there is some. False when nobody listens.
    async fn fill(
        &mut self,
        packets: &mut BinlogPackets,
        decoder: &mut LogDecoder,
    ) -> Result<bool> {
        let waiting = decoder.has_news() && decoder.at_boundary();
        let items = self.items.clone();
        tokio::select! {
            biased;
            filled = packets.fill() => filled.map_err(|error| self.explain(error))?,
            permit = items.reserve(), if waiting => {
                let Ok(permit) = permit else { return Ok(false) };
                let frame = self.frame(decoder).await?;
                permit.send(LogItem::Frame(frame));
            }
            () = self.items.closed() => return Ok(false),
        }
        Ok(true)
    }

    /// False when nobody listens any more.
    async fn send_frame(&mut self, decoder: &mut LogDecoder) -> Result<bool> {
        let frame = self.frame(decoder).await?;
        Ok(self.items.send(LogItem::Frame(frame)).await.is_ok())
    }

    /// The next frame, with its keys weighed. A new connection goes on behind it.
    async fn frame(&mut self, decoder: &mut LogDecoder) -> Result<LogFrame> {
        let mut frame = decoder.take_frame()?;
        for batch in &mut frame.batches {
            if let Some(keys) = &mut batch.keys
                && !keys.pending().is_empty()
            {
                self.weigher.settle(&batch.table.keys, keys).await?;
            }
        }
        for run in &frame.passed {
            self.gtids.pass(run);
        }
        self.position = frame.end.clone();
        self.sent_inside = !frame.boundary;
        Ok(frame)
    }

    async fn notice(&mut self, notice: Notice, decoder: &mut LogDecoder) -> Result<bool> {
        if let Notice::Stop { tables, reason, remedy, scope } = notice {
            if decoder.has_news() && !self.send_frame(decoder).await? {
                return Ok(false);
            }
            let item = LogItem::Stop { tables, reason, remedy, scope };
            return Ok(self.items.send(item).await.is_ok());
        }
        let mut frame = self.frame(decoder).await?;
        if !frame.boundary {
            return Err(Error::internal(format!(
                "tables were redefined inside a transaction that had changed rows before, at {}",
                decoder.position()
            )));
        }
        frame.changes = self.follow(notice).await?;
        if !frame.changes.is_empty() {
            let mut catalog = Catalog::clone(&self.catalog);
            for change in &frame.changes {
                change.apply(&mut catalog);
            }
            self.catalog = Arc::new(catalog);
            let charsets = Arc::clone(self.follower.binder().charsets());
            decoder.set_catalog(Arc::clone(&self.catalog), charsets);
        }
        Ok(self.items.send(LogItem::Frame(frame)).await.is_ok())
    }

    /// What a notice means to the tables of the catalog.
    async fn follow(&mut self, notice: Notice) -> Result<Vec<TableChange>> {
        let place = Place { position: &self.position, gtids: &self.gtids };
        let (follower, weigher) = (&mut self.follower, &mut self.weigher);
        match notice {
            Notice::Redefined(redefinition) => {
                follower.statement(&redefinition, &self.catalog, weigher, &place).await
            }
            Notice::Truncated { tables, shown } => {
                follower.truncated(tables, &shown, weigher, &place).await
            }
            Notice::Contradicted { table, what } => {
                follower.contradicted(table, &what, weigher, &place).await
            }
            Notice::Stop { .. } => Ok(Vec::new()),
        }
    }

    fn explain(&self, error: WireError) -> Error {
        server::explain(error, &self.position)
    }
}
