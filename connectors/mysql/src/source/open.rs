//! From a checked configuration to a running source: P0 or the checkpoint's position, the tables, and the tasks
//! (correctness §2, §4, §6).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use cdc_api::{
    Error, ErrorKind, QuarantinedTable, Result, SchemaChange, Severity, SourceContext, SourceEvent,
    TableId,
};
use cdc_incremental::{Interval, Limits, SinkRecovery, Snapshot};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Binder, CapturedTable, Catalog, Session, Weigher,
    mysql_source::{Machine, MySqlSource, Stats},
    state::{State, TableState as SavedTable},
    xa_gate::{self, XaGate},
};
use crate::{
    config::{MySqlConfig, StartupMode},
    ddl::Definition,
    keys::KeyLiteral,
    log::{Follower, LogReader, Readings, check_resumable, log_end, start_position},
    metadata::{self, ServerInfo},
    position::{LogPosition, ServerIdentity},
    snapshot::{ChunkReaders, Proof},
    wire::Connection,
};

/// Frames that may wait between the log reader and the source.
const LOG_QUEUE_FRAMES: usize = 2;
/// What a chunk is steered towards.
const CHUNK_BYTES_MAX: u64 = 8 << 20;
const CHUNK_TIME_US: u64 = 500_000;
const CHUNK_ROWS_MAX: u64 = 1 << 20;
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Connects, as often as the configuration says.
pub(crate) async fn connect(config: &MySqlConfig) -> Result<Connection> {
    let mut attempt = 0;
    loop {
        match Connection::connect(&config.connect).await {
            Ok(connection) => return Ok(connection),
            Err(error) if error.is_transient() && attempt < config.connect_retries_max => {
                attempt += 1;
                tracing::warn!(error = %error, attempt, of = config.connect_retries_max, "cannot connect, trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the server is and how we work with it.
pub(crate) struct Server {
    pub(crate) info: ServerInfo,
    pub(crate) session: Session,
    pub(crate) identity: ServerIdentity,
}

impl Server {
    pub(crate) async fn meet(
        config: &MySqlConfig,
        connection: &mut Connection,
        pipeline: &str,
    ) -> Result<Server> {
        let info = ServerInfo::read(connection).await?;
        // Keys of hash maps are the random numbers that the standard library has.
        let server_id = config.server_id.id(RandomState::new().build_hasher().finish());
        let mut options = config.connect.clone();
        options.attributes.push(("pipeline".into(), pipeline.to_owned()));
        let session = Session::new(options, info.flavor, server_id);
        let identity = session.identity(&info);
        Ok(Server { info, session, identity })
    }
}

/// Opens the source.
pub(crate) async fn open(config: &MySqlConfig, context: SourceContext) -> Result<MySqlSource> {
    let mut connection = connect(config).await?;
    let server = Server::meet(config, &mut connection, &context.pipeline).await?;
    refuse_findings(config, &mut connection, &server.info).await?;
    let saved = context.state.as_ref().map(State::from_json).transpose()?;
    // P0 is taken before anything else is read.
    let (position, gtids) = match &saved {
        Some(saved) => {
            check_resumable(&mut connection, &server.info, &saved.position, &server.identity)
                .await?;
            let log = if saved.position.server == server.identity {
                saved.position.log.clone()
            } else {
                crate::log::before_all(&mut connection).await?
            };
            (log, saved.position.gtids.clone())
        }
        None => start_position(&mut connection, &server.info).await?,
    };
    let prepared = xa_gate::prepared(&mut connection).await?;
    let proof = Proof::of(&server.info, prepared.is_some());
    let readers = context.parallelism.max(1);
    let wanted = wanted_tables(config, &mut connection, saved.as_ref()).await?;
    // Read after the definitions: a statement that one of them does not show yet stands behind it, or is met on the way
    // to it. Nothing is opened before the reader is there.
    let collations = metadata::database_collations(&mut connection).await?;
    let hold_until = log_end(&mut connection).await?;
    let (info, session) = (server.info.clone(), server.session.clone());
    let binder = Binder::new(Arc::new(config.clone()), info, session, readers);
    let mut begin = Begin {
        binder,
        hold_until: hold_until.clone(),
        tables: Vec::new(),
        refused: wanted.refused,
    };
    for table in wanted.tables {
        begin.add(table).await?;
    }
    let Begin { mut binder, tables, mut refused, .. } = begin;
    let mut quarantined = saved.map_or_else(Vec::new, |saved| saved.quarantined);
    quarantined.append(&mut refused);

    let sink =
        if context.sink_rolls_back { SinkRecovery::RollsBack } else { SinkRecovery::AtLeastOnce };
    let mut machine: Machine =
        Snapshot::new(limits(config, &context, readers), sink, position.clone());
    machine.hold_opening_until(hold_until);
    let mut weigher = Weigher::new(server.session.clone());
    let mut out = VecDeque::new();
    let mut created = Vec::new();
    let mut rows_estimated = 0;
    for Bound { table, done } in &tables {
        let cuts = match done {
            Some(done) if *done == [Interval::all()] => Vec::new(),
            _ => binder.first_cuts(&mut weigher, table).await?,
        };
        machine
            .add_table(table.key, cuts, done.clone().unwrap_or_default())
            .map_err(|error| Error::internal(error.to_string()))?;
        if machine.is_table_done(table.key) {
            table.set_done();
        } else {
            rows_estimated += table.meta.rows_estimated.unwrap_or_default();
        }
        match done {
            Some(_) => out.push_back(SourceEvent::Resumed(Arc::clone(table.schema()))),
            None => created.push(SchemaChange::Create(Arc::clone(table.schema()))),
        }
    }
    binder.questions().close().await;
    if !created.is_empty() {
        out.push_back(SourceEvent::Schema(created));
    }
    out.extend(quarantined.iter().cloned().map(SourceEvent::Quarantined));

    let tables = tables.into_iter().map(|bound| bound.table).collect();
    let catalog = Catalog::new(tables, server.info.lower_case_table_names != 0);
    let mut tasks = JoinSet::new();
    let (gate_sender, gate) = watch::channel(match &prepared {
        Some(xids) if !xids.is_empty() => XaGate::Waiting(xids.len()),
        _ => XaGate::Open,
    });
    match prepared {
        Some(xids) if !xids.is_empty() => {
            tasks.spawn(xa_gate::watch_gate(connection, xids, gate_sender));
        }
        _ => connection.quit().await,
    }
    let (items_sender, items) = mpsc::channel(LOG_QUEUE_FRAMES);
    let log_reader = LogReader {
        session: server.session.clone(),
        catalog: Arc::new(catalog.clone()),
        follower: Follower::new(binder, &catalog, &collations),
        before: context.before_images,
        gtids: gtids.clone(),
        position,
        identity: server.identity.clone(),
        items: items_sender,
        weigher,
        heartbeat: config.heartbeat_interval,
        sent_inside: false,
        readings: Readings::default(),
    };
    tasks.spawn(log_reader.run());
    let from_latest = config.startup == StartupMode::LatestOffset;
    let mut source = MySqlSource {
        catalog,
        machine,
        gtids,
        gtids_text: None,
        identity: server.identity,
        items,
        chunks: ChunkReaders::new(server.session, proof, readers),
        gate,
        held: HashMap::new(),
        in_flight: 0,
        waiting: Vec::new(),
        out,
        quarantined,
        troubles: HashMap::new(),
        bounded: config.startup == StartupMode::Snapshot,
        copies: !from_latest,
        from_latest,
        ended: false,
        stats: Stats::new(rows_estimated),
        tasks,
    };
    if from_latest && !source.machine.is_held() {
        source.start_at_latest();
    }
    Ok(source)
}

fn limits(config: &MySqlConfig, context: &SourceContext, readers: usize) -> Limits {
    let bytes_max = (context.memory_bytes_max as u64 / 4 * 3).max(1 << 20);
    // Each reader has a chunk under way and one that waits for the log.
    let share = bytes_max / (readers as u64 * 4 + 4);
    Limits {
        bytes_max,
        rows_per_chunk_max: config.chunk_rows_max.unwrap_or(CHUNK_ROWS_MAX),
        chunk_bytes_target: share.min(CHUNK_BYTES_MAX),
        chunk_time_us_target: CHUNK_TIME_US,
    }
}

/// The first finding that forbids a run, as an error; the others as log lines.
async fn refuse_findings(
    config: &MySqlConfig,
    connection: &mut Connection,
    info: &ServerInfo,
) -> Result<()> {
    let findings = metadata::preflight(connection, config, info).await?;
    let errors: Vec<_> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    for finding in &findings {
        match finding.severity {
            Severity::Error => {}
            Severity::Warning => {
                tracing::warn!(
                    remedy = finding.remedy.as_deref().unwrap_or(""),
                    "{}",
                    finding.message
                );
            }
            Severity::Note => tracing::info!("{}", finding.message),
        }
    }
    let Some(first) = errors.first() else { return Ok(()) };
    let more: Vec<String> = errors.iter().skip(1).map(|finding| finding.message.clone()).collect();
    let mut error = Error::operator(first.message.clone());
    if !more.is_empty() {
        error = error.detail(format!("also: {}", more.join("; ")));
    }
    let remedies: Vec<&str> =
        errors.iter().filter_map(|finding| finding.remedy.as_deref()).collect();
    Err(if remedies.is_empty() { error } else { error.hint(remedies.join("\n")) })
}

/// A table to be captured.
struct Wanted {
    definition: Arc<Definition>,
    version: u32,
    /// What a checkpoint says of it; the definition is then that of the checkpoint's position.
    saved: Option<SavedTable>,
}

#[derive(Default)]
struct AllWanted {
    tables: Vec<Wanted>,
    refused: Vec<QuarantinedTable>,
}

/// The tables of the checkpoint that the file still names, then those that are new.
async fn wanted_tables(
    config: &MySqlConfig,
    connection: &mut Connection,
    saved: Option<&State>,
) -> Result<AllWanted> {
    let mut wanted = AllWanted::default();
    let mut known: HashSet<TableId> = HashSet::new();
    if let Some(saved) = saved {
        for table in &saved.tables {
            if config.tables.is_match(&table.meta.id)? {
                known.insert(table.meta.id.clone());
                // An older format kept the description alone: the statements to come are then answered by the server.
                let definition = table
                    .definition()
                    .unwrap_or_else(|| Definition::new(table.meta.clone(), None, Vec::new()));
                wanted.tables.push(Wanted {
                    definition: Arc::new(definition),
                    version: table.version,
                    saved: Some(table.clone()),
                });
            }
        }
        known.extend(saved.quarantined.iter().map(|stopped| stopped.table.clone()));
    }
    let found = metadata::discover(connection, &config.tables).await?;
    // A pipeline whose tables were all dropped waits for the next one; a first start without any is a mistake.
    if saved.is_none() && found.tables.is_empty() && found.refused.is_empty() {
        return Err(Error::operator("no table matches `tables`")
            .hint("check the patterns, and that the account has SELECT on the tables (cdc-cli plan shows what it sees)"));
    }
    // Helpers of an online schema change come and go; their table is what is captured.
    let names: HashSet<TableId> = found.tables.iter().map(|meta| meta.id.clone()).collect();
    let helpers = if config.online_changes {
        metadata::helpers(connection, &names).await?
    } else {
        HashSet::new()
    };
    let is_new = |id: &TableId| !known.contains(id) && !helpers.contains(id);
    let new = found.tables.into_iter().filter(|meta| is_new(&meta.id)).collect();
    for definition in metadata::definitions(connection, new).await? {
        wanted.tables.push(Wanted { definition: Arc::new(definition), version: 1, saved: None });
    }
    let refused = found.refused.into_iter();
    wanted.refused = refused.filter(|stopped| is_new(&stopped.table)).collect();
    Ok(wanted)
}

/// A table with what was copied of it; none for one that the pipeline meets.
struct Bound {
    table: Arc<CapturedTable>,
    done: Option<Vec<Interval<KeyLiteral>>>,
}

/// Binds the tables of a start one by one.
struct Begin {
    binder: Binder,
    hold_until: LogPosition,
    tables: Vec<Bound>,
    refused: Vec<QuarantinedTable>,
}

impl Begin {
    async fn add(&mut self, wanted: Wanted) -> Result<()> {
        let id = wanted.definition.meta.id.clone();
        match self.bind(wanted).await {
            Ok(bound) => self.tables.push(bound),
            Err(error) if matches!(error.kind(), ErrorKind::Data { .. }) => {
                self.refused.push(QuarantinedTable {
                    table: id,
                    reason: error.to_string(),
                    remedy: error.hint_text().unwrap_or(REMEDY_EXCLUDE).to_owned(),
                });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn bind(&mut self, wanted: Wanted) -> Result<Bound> {
        let Wanted { definition, version, saved } = wanted;
        let key_columns = match &saved {
            Some(saved) => saved.key_columns.clone(),
            None => self.binder.chunk_key(&definition.meta)?,
        };
        let key = self.binder.next_key()?;
        let table = self.binder.bind(key, definition, version, key_columns).await?;
        // What was read just now holds from here on; a checkpoint's definitions hold where it stands.
        let valid_from = saved.is_none().then(|| self.hold_until.clone());
        let table = Arc::new(table.valid_from(valid_from));
        Ok(Bound { table, done: saved.map(|saved| saved.done) })
    }
}

const REMEDY_EXCLUDE: &str =
    "leave the table out with `tables.exclude`, or mend what the reason names";
