//! Reads tables as the source does, through the connector's own decoders: the rows of a SELECT, and the row images of the
//! log, each as Arrow.
//!
//! Comes in: a server, a database, and where in the log it began. Goes out: one [`Logged`] a table, whose batches can be
//! compared with those of [`Reader::select`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use cdc_api::{TableId, TableSchema};
use cdc_integration::{Failure, Outcome, Server, ServerKind};
use cdc_mysql::charset::{Charset, Charsets, load_queries};
use cdc_mysql::decode::binlog::{BinlogPlan, Half, RowsEvent, RowsKind, TableMap, inflate_rows};
use cdc_mysql::decode::result::{ResultColumn, ResultPlan};
use cdc_mysql::decode::{BatchBuilder, DecodeError};
use cdc_mysql::metadata::{self, TableMeta, session_sql};
use cdc_mysql::types::{Flavor, TableCodec, TypeOptions, select_expression, table_schema};
use cdc_mysql::wire::{
    BinlogNext, BinlogRequest, BinlogStart, ConnectOptions, Connection, TlsMode,
};

const EVENT_BYTES_MAX: usize = 1 << 28;
const TABLE_MAP: u8 = 19;
const TRANSACTION_PAYLOAD: u8 = 40;
const HEADER_BYTES: usize = 19;

/// A table as the source binds it.
pub(crate) struct Bound {
    pub(crate) meta: TableMeta,
    pub(crate) codec: TableCodec,
}

/// A place in the log.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: String,
    pub(crate) offset: u32,
}

/// What the log held of one table.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) inserted: RecordBatch,
    pub(crate) updated_before: RecordBatch,
    pub(crate) updated_after: RecordBatch,
    /// What the images refused, if anything.
    pub(crate) refused: Option<String>,
}

/// A connection as chunk readers have it.
pub(crate) struct Reader {
    connection: Connection,
    charsets: Charsets,
    flavor: Flavor,
    options: ConnectOptions,
}

impl Reader {
    pub(crate) async fn connect(server: &Server) -> Outcome<Reader> {
        let mut options = ConnectOptions::new(server.hostname(), server.port(), "cdc", "cdc");
        options.tls.mode = TlsMode::Disabled;
        let flavor = match server.kind() {
            ServerKind::Mysql => Flavor::MySql,
            ServerKind::Mariadb => Flavor::MariaDb,
        };
        let mut connection = Connection::connect(&options).await?;
        for statement in session_sql(flavor) {
            connection.query_drop(&statement).await?;
        }
        let mut charsets = Charsets::new();
        for query in Charsets::collation_queries(flavor) {
            let Ok(rows) = connection.query(query).await else { continue };
            charsets.set_collations(
                rows.iter()
                    .filter_map(|row| Some((row.text_at(0)?.parse().ok()?, row.text_at(1)?))),
            );
            break;
        }
        Ok(Reader { connection, charsets, flavor, options })
    }

    /// Where the log ends.
    pub(crate) async fn log_end(&mut self) -> Outcome<Place> {
        let statement = match self.flavor {
            Flavor::MySql => "SHOW BINARY LOG STATUS",
            Flavor::MariaDb => "SHOW MASTER STATUS",
        };
        let rows = self.connection.query(statement).await?;
        let row = rows.first().ok_or_else(|| Failure::new("the server has no log"))?;
        match (row.text("File"), row.number("Position")) {
            (Some(file), Some(offset)) => Ok(Place { file, offset }),
            _ => Err(Failure::new("the log's end cannot be read")),
        }
    }

    /// Describes a table and makes its codec.
    pub(crate) async fn bind(
        &mut self,
        database: &str,
        table: &str,
        options: &TypeOptions,
    ) -> Outcome<Bound> {
        let id = TableId::new(database, table);
        let meta = metadata::table(&mut self.connection, &id)
            .await?
            .ok_or_else(|| Failure::new(format!("{id} is not there, or is refused")))?;
        for name in meta.columns.iter().filter_map(|column| column.charset.as_deref()) {
            if self.charsets.has(name) {
                continue;
            }
            let mut rows = Vec::new();
            for query in load_queries(name)? {
                let result = self.connection.query(&query).await?;
                rows.extend(result.iter().filter_map(|row| row.at(0).map(<[u8]>::to_vec)));
            }
            self.charsets.insert(name, Charset::from_results(name, rows)?);
        }
        let schema = Arc::new(table_schema(&meta, self.flavor, options, 1, false)?);
        let codec = TableCodec::new(&meta, schema, options, self.flavor, &self.charsets)?;
        Ok(Bound { meta, codec })
    }

    /// All rows by the key, as a chunk's SELECT gives them.
    pub(crate) async fn select(&mut self, table: &Bound) -> Outcome<RecordBatch> {
        let list: Vec<String> = table
            .meta
            .columns
            .iter()
            .map(|column| select_expression(column, self.flavor))
            .collect();
        let database = table.meta.id.schema.as_deref().unwrap_or_default();
        let statement = self
            .connection
            .prepare(&format!(
                "SELECT {} FROM `{database}`.`{}` ORDER BY id",
                list.join(", "),
                table.meta.id.table
            ))
            .await?;
        let columns: Vec<ResultColumn> = statement
            .columns()
            .iter()
            .map(|column| ResultColumn {
                ty: column.column_type,
                flags: column.flags,
                charset: column.charset,
                decimals: column.decimals,
            })
            .collect();
        let schema = table.codec.schema();
        let plan = ResultPlan::compile(&table.codec, &columns)
            .map_err(|error| named(error, schema, "the result"))?;
        let mut builder = BatchBuilder::new(&table.codec, 64)
            .map_err(|error| named(error, schema, "the result"))?;
        let mut stream = self.connection.execute_stream(&statement).await?;
        while let Some(packets) = stream.next_rows().await? {
            for packet in packets {
                builder
                    .append_row(&plan, packet)
                    .map_err(|error| named(error, schema, "the result"))?;
            }
        }
        drop(stream);
        self.connection.close_statement(statement);
        builder.finish().map_err(|error| named(error, schema, "the result"))
    }

    /// Reads the log from a place up to the first row of the table `end_marker`.
    pub(crate) async fn read_log(
        &self,
        from: &Place,
        has_checksums: bool,
        tables: &[Bound],
    ) -> Outcome<Vec<Logged>> {
        let mut connection = Connection::connect(&self.options).await?;
        connection
            .query_drop("SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, @source_binlog_checksum = @@GLOBAL.binlog_checksum")
            .await?;
        if self.flavor == Flavor::MariaDb {
            connection.query_drop("SET @mariadb_slave_capability = 4").await?;
        }
        let request = BinlogRequest {
            server_id: 60_000 + std::process::id() % 5000,
            start: BinlogStart::File { file: from.file.clone(), position: from.offset },
        };
        let mut log = connection.start_binlog(&request).await?;
        let mut images = Images::new(tables, &self.charsets)?;
        let trailer = if has_checksums { 4 } else { 0 };
        loop {
            let event = match log.next_event()? {
                BinlogNext::Event(event) => event.to_vec(),
                BinlogNext::Pending => {
                    log.fill().await?;
                    continue;
                }
                BinlogNext::End => return Err(Failure::new("the log ended before the end marker")),
            };
            let body = event.get(HEADER_BYTES..event.len().saturating_sub(trailer));
            let (Some(&ty), Some(body)) = (event.get(4), body) else { continue };
            if images.take(ty, body)? {
                return images.finish();
            }
        }
    }
}

fn named(error: DecodeError, schema: &TableSchema, place: &str) -> Failure {
    Failure::new(told(&error, schema, place))
}

/// An error with the column's type, which says more than its name here.
fn told(error: &DecodeError, schema: &TableSchema, place: &str) -> String {
    let column = error.column.and_then(|at| schema.columns().get(at));
    let ty = column.map_or("", |column| &column.source_type);
    format!("{} ({ty}, byte {} of {place})", error.describe(schema), error.offset)
}

/// The three builders of one table.
struct Open {
    inserted: BatchBuilder,
    before: BatchBuilder,
    after: BatchBuilder,
    refused: Option<String>,
}

/// Row images on their way into batches.
struct Images<'t> {
    tables: &'t [Bound],
    charsets: &'t Charsets,
    open: Vec<Open>,
    plans: HashMap<u64, (usize, Arc<BinlogPlan>)>,
}

impl<'t> Images<'t> {
    fn new(tables: &'t [Bound], charsets: &'t Charsets) -> Outcome<Images<'t>> {
        let mut open = Vec::new();
        for table in tables {
            let builder = || {
                BatchBuilder::new(&table.codec, 64)
                    .map_err(|error| named(error, table.codec.schema(), "the log"))
            };
            open.push(Open {
                inserted: builder()?,
                before: builder()?,
                after: builder()?,
                refused: None,
            });
        }
        Ok(Images { tables, charsets, open, plans: HashMap::new() })
    }

    /// Takes one event; true at the end marker.
    fn take(&mut self, ty: u8, body: &[u8]) -> Outcome<bool> {
        match ty {
            TABLE_MAP => return self.map(body),
            TRANSACTION_PAYLOAD => {
                for event in payload_events(body)? {
                    let body = event.get(HEADER_BYTES..).unwrap_or_default();
                    if self.take(event[4], body)? {
                        return Ok(true);
                    }
                }
            }
            _ => {
                if let Some((_, is_compressed)) = RowsKind::of(ty) {
                    let inflated;
                    let body = if is_compressed {
                        inflated = inflate_rows(ty, body, EVENT_BYTES_MAX)
                            .map_err(|error| Failure::new(error.to_string()))?;
                        &inflated[..]
                    } else {
                        body
                    };
                    self.rows(ty, body)?;
                }
            }
        }
        Ok(false)
    }

    fn map(&mut self, body: &[u8]) -> Outcome<bool> {
        let map = TableMap::parse(body).map_err(|error| Failure::new(error.to_string()))?;
        if map.table == "end_marker" {
            return Ok(true);
        }
        let is_it = |table: &Bound| *table.meta.id.table == *map.table;
        self.plans.remove(&map.table_id);
        let Some(at) = self.tables.iter().position(is_it) else { return Ok(false) };
        let table = &self.tables[at];
        map.check(&table.meta, self.charsets)
            .map_err(|mismatch| Failure::new(format!("{}: {mismatch}", table.meta.id)))?;
        let plan = BinlogPlan::compile(&table.codec, &map)
            .map_err(|error| named(error, table.codec.schema(), "the table map"))?;
        self.plans.insert(map.table_id, (at, Arc::new(plan)));
        Ok(false)
    }

    fn rows(&mut self, ty: u8, body: &[u8]) -> Outcome {
        let event = match RowsEvent::parse(ty, body) {
            Ok(event) => event,
            Err(error) => return Err(Failure::new(error.to_string())),
        };
        let Some((at, plan)) = self.plans.get(&event.table_id) else { return Ok(()) };
        let (schema, open) = (self.tables[*at].codec.schema(), &mut self.open[*at]);
        let images = match event.images(plan) {
            Ok(images) => images,
            Err(error) => {
                open.refused.get_or_insert(error.describe(schema));
                return Ok(());
            }
        };
        for image in images {
            let (half, image) = match image {
                Ok(image) => image,
                Err(error) => {
                    open.refused.get_or_insert(told(&error, schema, "the image"));
                    return Ok(());
                }
            };
            let builder = match (event.kind, half) {
                (RowsKind::Write, _) => &mut open.inserted,
                (RowsKind::Update, Half::Before) => &mut open.before,
                (RowsKind::Update, Half::After) => &mut open.after,
                (RowsKind::Delete, _) => continue,
            };
            if let Err(error) = builder.append_image(plan, image) {
                open.refused.get_or_insert(told(&error, schema, "the image"));
            }
        }
        Ok(())
    }

    fn finish(self) -> Outcome<Vec<Logged>> {
        let finish = |(mut open, table): (Open, &Bound)| -> Outcome<Logged> {
            let schema = table.codec.schema();
            let batch = |builder: &mut BatchBuilder| {
                builder.finish().map_err(|error| named(error, schema, "the log"))
            };
            Ok(Logged {
                inserted: batch(&mut open.inserted)?,
                updated_before: batch(&mut open.before)?,
                updated_after: batch(&mut open.after)?,
                refused: open.refused,
            })
        };
        self.open.into_iter().zip(self.tables).map(finish).collect()
    }
}

/// The events inside a TRANSACTION_PAYLOAD: fields of (type, length, value), then the payload, zstd or plain.
fn payload_events(body: &[u8]) -> Outcome<Vec<Vec<u8>>> {
    let cut = || Failure::new("a transaction payload is cut off");
    let mut at = 0;
    let number = |at: &mut usize| -> Outcome<u64> {
        let first = *body.get(*at).ok_or_else(cut)?;
        let bytes = match first {
            0xfc => 2,
            0xfd => 3,
            0xfe => 8,
            _ => 0,
        };
        let raw = body.get(*at + 1..*at + 1 + bytes).ok_or_else(cut)?;
        *at += 1 + bytes;
        Ok(if bytes == 0 {
            u64::from(first)
        } else {
            raw.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
        })
    };
    const END: u64 = 0;
    const COMPRESSION: u64 = 2;
    const PLAIN: u64 = 255;
    let mut compression = 0;
    loop {
        let field = number(&mut at)?;
        if field == END {
            break;
        }
        let length = number(&mut at)? as usize;
        if field == COMPRESSION {
            compression = number(&mut at.clone())?;
        }
        at += length;
    }
    let payload = body.get(at..).ok_or_else(cut)?;
    let plain = if compression == PLAIN { payload.to_vec() } else { zstd::decode_all(payload)? };
    let mut events = Vec::new();
    let mut rest = &plain[..];
    while let Some(length) = rest.get(9..13) {
        let length = u32::from_le_bytes(length.try_into().expect("the slice has four bytes"));
        let (event, behind) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
        events.push(event.to_vec());
        rest = behind;
    }
    Ok(events)
}
