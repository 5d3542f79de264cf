//! From a checked configuration to a running source: P0 or the checkpoint's position, the tables, and the tasks
//! (correctness §2, §4, §6).

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use cdc_api::{
    Error, ErrorKind, QuarantinedTable, Result, Severity, SourceContext, SourceEvent, TableId,
};
use cdc_incremental::{Interval, Limits, SinkRecovery, Snapshot, TableKey};
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinSet,
};

use super::{
    CapturedTable, Catalog, Session, Weigher,
    mysql_source::{Machine, MySqlSource, Stats, created},
    state::{State, TableState as SavedTable},
    xa_gate::{self, XaGate},
};
use crate::{
    charset::{Charset, Charsets, load_queries},
    config::{MySqlConfig, StartupMode},
    keys::{KeyCodec, KeyLiteral},
    log::{LogReader, Readings, check_resumable, log_end, start_position},
    metadata::{self, ServerInfo, TableMeta},
    position::ServerIdentity,
    snapshot::{ChunkReader, Proof, first_cuts},
    types::{self, TableCodec},
    wire::Connection,
};

/// Frames that may wait between the log reader and the source.
const LOG_QUEUE_FRAMES: usize = 2;
/// What a chunk is steered towards.
const CHUNK_BYTES_MAX: u64 = 8 << 20;
const CHUNK_TIME_US: u64 = 500_000;
const CHUNK_ROWS_MAX: u64 = 1 << 20;
/// A table is first cut into so many segments per reader, so that a skewed one still ends evenly.
const SEGMENTS_PER_READER: usize = 4;
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
        let server_id = config
            .server_id
            .id(u64::from(std::process::id()) ^ u64::from(connection.connection_id()) << 7);
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
    let hold_until = log_end(&mut connection).await?;
    let prepared = xa_gate::prepared(&mut connection).await?;
    let proof = Proof::of(&server.info, prepared.is_some());

    let (metas, refused) = captured_metas(config, &mut connection, saved.as_ref()).await?;
    let charsets = Arc::new(load_charsets(&mut connection, &server.info, &metas).await?);
    let mut build =
        Build { config, server: &server, charsets: &charsets, tables: Vec::new(), refused };
    for meta in metas {
        build.add(&mut connection, meta).await?;
    }
    let Build { tables, mut refused, .. } = build;
    let mut quarantined = saved.map_or_else(Vec::new, |saved| saved.quarantined);
    quarantined.append(&mut refused);

    let readers = context.parallelism.max(1);
    let sink =
        if context.sink_rolls_back { SinkRecovery::RollsBack } else { SinkRecovery::AtLeastOnce };
    let mut machine: Machine =
        Snapshot::new(limits(config, &context, readers), sink, position.clone());
    machine.hold_opening_until(hold_until);
    let from_latest = config.startup == StartupMode::LatestOffset;
    let mut weigher = Weigher::default();
    let mut rows_connection = server.session.connect_for_rows().await?.0;
    let mut out = VecDeque::new();
    let mut rows_estimated = 0;
    for (table, done) in &tables {
        let is_done = *done == [Interval::all()];
        let cuts = if is_done || from_latest {
            Vec::new()
        } else {
            let segments = if readers > 1 { readers * SEGMENTS_PER_READER } else { 1 };
            first_cuts(&mut rows_connection, &server.session, &mut weigher, table, segments).await?
        };
        machine
            .add_table(table.key, cuts, done.clone())
            .map_err(|error| Error::internal(error.to_string()))?;
        if machine.is_table_done(table.key) {
            table.set_done();
        } else {
            rows_estimated += table.meta.rows_estimated.unwrap_or_default();
        }
        out.push_back(created(table));
    }
    rows_connection.quit().await;
    out.extend(quarantined.iter().cloned().map(SourceEvent::Quarantined));

    let tables = tables.into_iter().map(|(table, _)| table).collect();
    let catalog = Arc::new(Catalog::new(tables, server.info.lower_case_table_names != 0));
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
        catalog: Arc::clone(&catalog),
        charsets,
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
    let (jobs, job_queue) = mpsc::channel(readers + 2);
    let (done_sender, chunks) = mpsc::channel(readers + 2);
    let job_queue = Arc::new(Mutex::new(job_queue));
    for _ in 0..readers {
        let reader = ChunkReader {
            session: server.session.clone(),
            proof,
            jobs: Arc::clone(&job_queue),
            done: done_sender.clone(),
        };
        tasks.spawn(reader.run());
    }
    let mut source = MySqlSource {
        catalog,
        machine,
        gtids,
        gtids_text: None,
        identity: server.identity,
        items,
        jobs: Some(jobs),
        chunks,
        readers,
        gate,
        held: HashMap::new(),
        in_flight: 0,
        out,
        quarantined,
        troubles: HashMap::new(),
        bounded: config.startup == StartupMode::Snapshot,
        from_latest,
        ended: false,
        stats: Stats::new(rows_estimated),
        _tasks: tasks,
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

/// A table to be captured, with what a checkpoint says of it.
struct Wanted {
    meta: TableMeta,
    saved: Option<SavedTable>,
}

/// The tables of the checkpoint that the file still names, then those that are new.
async fn captured_metas(
    config: &MySqlConfig,
    connection: &mut Connection,
    saved: Option<&State>,
) -> Result<(Vec<Wanted>, Vec<QuarantinedTable>)> {
    let mut wanted = Vec::new();
    let mut known: HashSet<TableId> = HashSet::new();
    if let Some(saved) = saved {
        for table in &saved.tables {
            if config.tables.is_match(&table.meta.id)? {
                known.insert(table.meta.id.clone());
                wanted.push(Wanted { meta: table.meta.clone(), saved: Some(table.clone()) });
            }
        }
        known.extend(saved.quarantined.iter().map(|stopped| stopped.table.clone()));
    }
    let found = metadata::discover(connection, &config.tables).await?;
    if found.tables.is_empty() && found.refused.is_empty() && wanted.is_empty() {
        return Err(Error::operator("no table matches `tables`")
            .hint("check the patterns, and that the account has SELECT on the tables (cdc-cli plan shows what it sees)"));
    }
    let new = found.tables.into_iter().filter(|meta| !known.contains(&meta.id));
    wanted.extend(new.map(|meta| Wanted { meta, saved: None }));
    let refused =
        found.refused.into_iter().filter(|stopped| !known.contains(&stopped.table)).collect();
    Ok((wanted, refused))
}

/// The charsets of all text columns; the server's own tables for those that are no Unicode.
async fn load_charsets(
    connection: &mut Connection,
    info: &ServerInfo,
    tables: &[Wanted],
) -> Result<Charsets> {
    let names = tables.iter().flat_map(|wanted| &wanted.meta.columns);
    charsets_of(connection, info, names.filter_map(|column| column.charset.as_deref())).await
}

/// The charsets with these names, and the server's collations.
pub(crate) async fn charsets_of(
    connection: &mut Connection,
    info: &ServerInfo,
    names: impl Iterator<Item = &str>,
) -> Result<Charsets> {
    let mut charsets = Charsets::new();
    for query in Charsets::collation_queries(info.flavor) {
        let Ok(rows) = connection.query(query).await else { continue };
        charsets.set_collations(rows.iter().filter_map(|row| {
            let id = row.text_at(0)?.parse().ok()?;
            Some((id, row.text_at(1)?))
        }));
        break;
    }
    for name in names {
        if charsets.has(name) {
            continue;
        }
        let mut rows = Vec::new();
        let queries = load_queries(name).map_err(|error| Error::internal(error.to_string()))?;
        for query in queries {
            let result = connection.query(&query).await?;
            rows.extend(result.iter().filter_map(|row| row.at(0).map(<[u8]>::to_vec)));
        }
        let charset = Charset::from_results(name, rows).map_err(|error| {
            Error::operator("a character set cannot be read").detail(error.to_string())
        })?;
        charsets.insert(name, charset);
    }
    Ok(charsets)
}

/// Binds tables one by one.
struct Build<'b> {
    config: &'b MySqlConfig,
    server: &'b Server,
    charsets: &'b Charsets,
    tables: Vec<(Arc<CapturedTable>, Vec<Interval<KeyLiteral>>)>,
    refused: Vec<QuarantinedTable>,
}

impl Build<'_> {
    async fn add(&mut self, connection: &mut Connection, wanted: Wanted) -> Result<()> {
        let id = wanted.meta.id.clone();
        match self.bind(connection, wanted).await {
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

    async fn bind(
        &self,
        connection: &mut Connection,
        wanted: Wanted,
    ) -> Result<(Arc<CapturedTable>, Vec<Interval<KeyLiteral>>)> {
        let Wanted { meta, saved } = wanted;
        let flavor = self.server.info.flavor;
        let key_columns = match &saved {
            Some(saved) => saved.key_columns.clone(),
            None => chunk_key(self.config, &meta)?,
        };
        let mut keys = key_codec(&meta, &key_columns, flavor)?;
        if let Some(probe) = keys.probe_query() {
            let rows = connection.query(&probe).await?;
            let row = rows.first();
            let cells: Vec<Option<&[u8]>> =
                (0..rows.names().len()).map(|at| row.and_then(|row| row.at(at))).collect();
            keys.learn(&cells).map_err(|error| Error::data(meta.id.clone(), error.to_string()))?;
        }
        let schema =
            types::table_schema(&meta, flavor, &self.config.types, 1, self.config.comments)?;
        let codec =
            TableCodec::new(&meta, Arc::new(schema), &self.config.types, flavor, self.charsets)?;
        let key = u32::try_from(self.tables.len())
            .map(TableKey)
            .map_err(|_| Error::internal("more than 2^32 tables"))?;
        let done = saved.map_or_else(Vec::new, |saved| saved.done);
        Ok((Arc::new(CapturedTable::new(key, meta, codec, keys, key_columns)), done))
    }
}

const REMEDY_EXCLUDE: &str =
    "leave the table out with `tables.exclude`, or mend what the reason names";

pub(crate) fn key_codec(
    meta: &TableMeta,
    columns: &[usize],
    flavor: types::Flavor,
) -> Result<KeyCodec> {
    KeyCodec::new(meta, columns, flavor).map_err(|refused| {
        Error::data(meta.id.clone(), refused.to_string())
            .hint("give the table a primary key of integers, decimals, text, bytes, UUIDs or times")
    })
}

/// The columns that chunks are cut by: the user's choice where it can serve, else the key of the rows
/// (correctness §3). A table that cannot be captured is refused by name.
pub(crate) fn chunk_key(config: &MySqlConfig, meta: &TableMeta) -> Result<Vec<usize>> {
    if let Some((reason, remedy)) = metadata::refusal(meta) {
        return Err(Error::data(meta.id.clone(), reason)
            .hint(format!("{remedy}, or leave the table out with `tables.exclude`")));
    }
    let own = types::key_columns(meta);
    let Some(name) = config.chunk_keys.column(&meta.id)? else { return Ok(own.to_vec()) };
    let chosen = meta.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name));
    let is_unique =
        |at: usize| meta.primary_key == [at] || meta.unique_keys.iter().any(|key| *key == [at]);
    match chosen {
        Some(at) if !meta.columns[at].nullable && is_unique(at) => Ok(vec![at]),
        _ => {
            tracing::info!(
                table = %meta.id,
                column = name,
                "the chunk key column is not a NOT NULL unique key of its own; the table's key is used"
            );
            Ok(own.to_vec())
        }
    }
}
