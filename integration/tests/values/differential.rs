//! The proof itself: one pass writes all tables of a seed under one set of server settings, and then, cell by cell,
//! SELECT = insert image = update images = what the server prints.

use arrow_array::RecordBatch;
use cdc_integration::{Failure, Outcome, Server, ServerKind, Sql};

use crate::{
    reading::{Bound, Logged, Place, Reader},
    rendering::hex,
    table::{self, Table},
};

/// How the server writes its log, and what is expected of images then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `binlog_row_metadata`; MariaDB's NO_LOG too.
    pub(crate) metadata: &'static str,
    /// `binlog_row_image` of the writing session.
    pub(crate) image: &'static str,
    /// `binlog_transaction_compression`, or `log_bin_compress`.
    pub(crate) is_compressed: bool,
    /// `binlog_checksum`.
    pub(crate) has_checksums: bool,
}

impl Settings {
    /// Whole images, metadata as given.
    pub(crate) const fn new(
        metadata: &'static str,
        is_compressed: bool,
        has_checksums: bool,
    ) -> Settings {
        Settings { metadata, image: "FULL", is_compressed, has_checksums }
    }

    /// The ones that a run without more time goes through.
    pub(crate) fn usual(kind: ServerKind) -> &'static [Settings] {
        const MYSQL: &[Settings] =
            &[Settings::new("FULL", true, true), Settings::new("MINIMAL", false, false)];
        const MARIADB: &[Settings] = &[
            Settings::new("FULL", true, true),
            Settings::new("NO_LOG", false, false),
            Settings::new("MINIMAL", true, false),
        ];
        match kind {
            ServerKind::Mysql => MYSQL,
            ServerKind::Mariadb => MARIADB,
        }
    }

    /// All combinations.
    pub(crate) fn all(kind: ServerKind) -> Vec<Settings> {
        let metadata: &[&str] = match kind {
            ServerKind::Mysql => &["FULL", "MINIMAL"],
            ServerKind::Mariadb => &["FULL", "MINIMAL", "NO_LOG"],
        };
        let mut all = Vec::new();
        for metadata in metadata {
            for (is_compressed, has_checksums) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                all.push(Settings::new(metadata, is_compressed, has_checksums));
            }
        }
        all
    }

    /// Sets the server, and the session that will write.
    pub(crate) async fn apply(&self, sql: &mut Sql, kind: ServerKind) -> Outcome {
        let checksum = if self.has_checksums { "CRC32" } else { "NONE" };
        let compressed = if self.is_compressed { "ON" } else { "OFF" };
        sql.run(&format!("SET GLOBAL binlog_checksum = {checksum}")).await?;
        sql.run(&format!("SET GLOBAL binlog_row_metadata = {}", self.metadata)).await?;
        sql.run(&format!("SET SESSION binlog_row_image = {}", self.image)).await?;
        let compression = match kind {
            ServerKind::Mysql => {
                format!("SET SESSION binlog_transaction_compression = {compressed}")
            }
            ServerKind::Mariadb => format!("SET GLOBAL log_bin_compress = {compressed}"),
        };
        sql.run(&compression).await
    }
}

/// What one pass compared.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) tables: usize,
    pub(crate) rows: usize,
    pub(crate) cells: usize,
}

/// Tables that were written, ready to be read both ways.
pub(crate) struct Written {
    pub(crate) database: String,
    from: Place,
    settings: Settings,
}

/// Writes tables into a database of their own.
pub(crate) async fn write(
    server: &Server,
    settings: Settings,
    tables: &[Table],
) -> Outcome<Written> {
    let kind = server.kind();
    let mut sql = server.connect().await?;
    settings.apply(&mut sql, kind).await?;
    let database = server.new_database("values").await?;
    let from = Reader::connect(server).await?.log_end().await?;
    for table in tables {
        table.write(&mut sql, &database).await.map_err(|error| {
            Failure::new(format!("{}: {}", table.name, cut(&error.to_string())))
        })?;
    }
    Ok(Written { database, from, settings })
}

impl Written {
    /// Ends the log's part and reads it.
    pub(crate) async fn log(
        &self,
        server: &Server,
        reader: &Reader,
        bound: &[Bound],
    ) -> Outcome<Vec<Logged>> {
        let mut sql = server.connect().await?;
        let marker = format!("`{}`.end_marker", self.database);
        sql.run(&format!("CREATE TABLE IF NOT EXISTS {marker} (id INT PRIMARY KEY)")).await?;
        sql.run(&format!("REPLACE INTO {marker} VALUES (1)")).await?;
        reader.read_log(&self.from, self.settings.has_checksums, bound).await
    }
}

/// Writes all tables of a seed and compares them; the failure names table, column and row, and shows both values.
pub(crate) async fn compare(
    server: &Server,
    settings: Settings,
    tables: &[Table],
) -> Outcome<Compared> {
    let kind = server.kind();
    let written = write(server, settings, tables).await?;
    let mut reader = Reader::connect(server).await?;
    let mut sql = server.connect().await?;
    // The other client's own settings must not matter either.
    sql.run("SET SESSION sql_mode = '', time_zone = '+00:00'").await?;
    let mut bound = Vec::new();
    for table in tables {
        bound.push(reader.bind(&written.database, &table.name, &table.options).await?);
    }
    let logged = written.log(server, &reader, &bound).await?;
    let mut compared = Compared::default();
    let mut wrong = Vec::new();
    for ((table, bound), logged) in tables.iter().zip(&bound).zip(&logged) {
        let selected = match reader.select(bound).await {
            Ok(selected) => selected,
            Err(error) => {
                wrong.push(format!("{}: {error}", table.name));
                reader = Reader::connect(server).await?;
                continue;
            }
        };
        let printed = table.printed(&mut sql, kind, &written.database).await?;
        differences(table, &selected, logged, &printed, &mut wrong);
        compared.tables += 1;
        compared.rows += selected.num_rows();
        compared.cells += selected.num_rows() * selected.num_columns();
    }
    sql.run(&format!("DROP DATABASE `{}`", written.database)).await?;
    const SHOWN_MAX: usize = 10;
    if wrong.is_empty() {
        return Ok(compared);
    }
    let shown = wrong.get(..SHOWN_MAX.min(wrong.len())).unwrap_or_default().join("\n  ");
    Err(Failure::new(format!(
        "{} {settings:?}: {} of {} cells are wrong\n  {shown}",
        kind.name(),
        wrong.len(),
        compared.cells
    )))
}

/// The columns that every table has in front: `id` and `changed`.
const OWN_COLUMNS: usize = 2;

fn differences(
    table: &Table,
    selected: &RecordBatch,
    logged: &Logged,
    printed: &[Vec<Option<String>>],
    wrong: &mut Vec<String>,
) {
    let name = &table.name;
    if let Some(refused) = &logged.refused {
        wrong.push(format!("{name}: {refused}"));
        return;
    }
    for (what, batch) in [
        ("insert", &logged.inserted),
        ("update before", &logged.updated_before),
        ("update after", &logged.updated_after),
    ] {
        let counts = [batch.num_rows(), printed.len(), table.len()];
        if counts.iter().any(|count| *count != selected.num_rows()) {
            wrong.push(format!(
                "{name}: {} rows selected, {counts:?} for {what}",
                selected.num_rows()
            ));
            return;
        }
        for (at, column) in table.columns.iter().enumerate() {
            let (read, image) = (selected.column(at + OWN_COLUMNS), batch.column(at + OWN_COLUMNS));
            // Buffers and null bits, so that -0.0 is not 0.0.
            if read.to_data() == image.to_data() {
                continue;
            }
            for row in 0..read.len() {
                let (read, image) = (read.slice(row, 1), image.slice(row, 1));
                if read.to_data() != image.to_data() {
                    let definition = &column.definition;
                    wrong.push(format!(
                        "{name}.{} ({definition}) row {row}: SELECT {read:?}, {what} image {image:?}",
                        column.name
                    ));
                }
            }
        }
    }
    // `changed` is what the update changed; its images differ in nothing else.
    let halves = [&logged.inserted, &logged.updated_before, &logged.updated_after];
    let flags = halves.map(|batch| batch.column(1).to_data());
    if flags[0] != flags[1] || flags[1] == flags[2] || flags[2] != selected.column(1).to_data() {
        wrong.push(format!("{name}.changed: the images are not those of their halves"));
    }
    for (row, printed) in printed.iter().enumerate() {
        for (at, (column, printed)) in table.columns.iter().zip(printed).enumerate() {
            let array = selected.column(at + OWN_COLUMNS);
            let found = column.rendering.contradiction(printed.as_deref(), array, row);
            if let Some(contradiction) = found {
                wrong.push(format!(
                    "{name}.{} ({}) row {row}: {}",
                    column.name,
                    column.definition,
                    cut(&contradiction)
                ));
            }
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(600) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// All tables of one seed.
pub(crate) fn tables(kind: ServerKind, wide: bool, seed: u64) -> Vec<Table> {
    let rows = if wide { 60 } else { 12 };
    table::tables(kind, wide, rows, seed)
}

/// A digest of bytes that are too long to be fetched as hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let end = |bytes: &[u8]| hex(bytes.get(..20.min(bytes.len())).unwrap_or_default());
    let tail = bytes.get(bytes.len().saturating_sub(20)..).unwrap_or_default();
    format!("{}:{}:{}:{}", bytes.len(), crc32fast::hash(bytes), end(bytes), hex(tail))
}
