//! Tables made of the matrix's columns, and their rows: every edge of every column once, then random values.
//!
//! A table's rows depend on the seed and nothing else, so that a printed seed repeats a failure.

use cdc_integration::{Outcome, Random, ServerKind, Sql};
use cdc_mysql::types::{GeometryAs, TextUndecodable, TimeAs, TypeOptions};

use crate::{
    matrix::{self, Column},
    rendering::Rendering,
    shapes, text,
};

/// The sql_modes that change how values are stored or read.
const SQL_MODES: [&str; 7] = [
    "",
    "ALLOW_INVALID_DATES",
    "ANSI_QUOTES,PIPES_AS_CONCAT",
    "NO_BACKSLASH_ESCAPES",
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE",
    "PAD_CHAR_TO_FULL_LENGTH",
    "REAL_AS_FLOAT,HIGH_NOT_PRECEDENCE",
];
const TIME_ZONES: [&str; 4] = ["+00:00", "+05:30", "-11:00", "+12:45"];
/// Columns of a table: wide enough that null bitmaps have several bytes, narrow enough for the row's 64 KiB.
const COLUMNS_MAX: usize = 30;
/// The server's limit of a row is 65,535 bytes; long columns count with their greatest length.
const ROW_BYTES_MAX: usize = 50_000;

/// One table of the test.
pub(crate) struct Table {
    pub(crate) name: String,
    /// Without `id` and `changed`, which every table has.
    pub(crate) columns: Vec<Column>,
    /// Expressions for the columns that are not generated.
    rows: Vec<Vec<String>>,
    pub(crate) options: TypeOptions,
    sql_mode: &'static str,
    time_zone: &'static str,
}

impl Table {
    /// Puts columns into a table, with names, and with rows out of `random`.
    pub(crate) fn new(
        name: String,
        mut columns: Vec<Column>,
        options: TypeOptions,
        random_rows: usize,
        random: &mut Random,
    ) -> Table {
        for (at, column) in columns.iter_mut().enumerate() {
            // The server folds no names of columns; ours quotes them.
            column.name = match at % 10 {
                3 => format!("c{at} é`\"'"),
                _ => format!("c{at}"),
            };
            let required = column.may_be_required && !column.is_generated && random.chance(25);
            if !column.is_generated {
                column.definition.push_str(if required { " NOT NULL" } else { "" });
            }
            column.may_be_required = required;
        }
        let edges = columns.iter().map(|column| column.edges.len()).max().unwrap_or(0);
        let mut rows = Vec::new();
        for nth in 0..edges + random_rows {
            let cell = |column: &Column, random: &mut Random| {
                let required = column.may_be_required;
                if nth < column.edges.len() {
                    column.edges[nth].clone()
                } else if !required && random.chance(12) {
                    "NULL".to_owned()
                } else if !column.edges.is_empty() && random.chance(25) {
                    column.edges[random.below(column.edges.len() as u64) as usize].clone()
                } else {
                    (column.draw)(random)
                }
            };
            let written = columns.iter().filter(|column| !column.is_generated);
            rows.push(written.map(|column| cell(column, random)).collect());
        }
        // A row without any null takes another way through the decoder, and so does one of nothing else.
        rows.push(
            columns
                .iter()
                .filter(|column| !column.is_generated)
                .map(
                    |column| {
                        if column.may_be_required {
                            (column.draw)(random)
                        } else {
                            "NULL".to_owned()
                        }
                    },
                )
                .collect(),
        );
        Table {
            name,
            columns,
            rows,
            options,
            sql_mode: SQL_MODES[random.below(SQL_MODES.len() as u64) as usize],
            time_zone: TIME_ZONES[random.below(TIME_ZONES.len() as u64) as usize],
        }
    }

    /// Creates and fills it, then changes every row once, so that the log has images of each kind.
    pub(crate) async fn write(&self, sql: &mut Sql, database: &str) -> Outcome {
        let table = format!("`{database}`.`{}`", self.name);
        sql.run("SET SESSION sql_mode = ''").await?;
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("{} {}", quoted(&column.name), column.definition))
            .collect();
        sql.run(&format!(
            "CREATE TABLE {table} (id INT PRIMARY KEY, changed TINYINT NOT NULL DEFAULT 0, {})",
            columns.join(", ")
        ))
        .await?;
        sql.run(&format!(
            "SET SESSION sql_mode = '{}', time_zone = '{}'",
            self.sql_mode, self.time_zone
        ))
        .await?;
        let names: Vec<String> = self.written().map(|column| quoted(&column.name)).collect();
        for (first, rows) in self.rows.chunks(8).enumerate() {
            let values: Vec<String> = rows
                .iter()
                .enumerate()
                .map(|(nth, row)| format!("({}, {})", first * 8 + nth + 1, row.join(", ")))
                .collect();
            sql.run(&format!(
                "INSERT IGNORE INTO {table} (id, {}) VALUES {}",
                names.join(", "),
                values.join(", ")
            ))
            .await?;
        }
        sql.run(&format!("UPDATE IGNORE {table} SET changed = 1 ORDER BY id")).await?;
        sql.run("SET SESSION sql_mode = '', time_zone = '+00:00'").await
    }

    /// The columns that are written.
    pub(crate) fn written(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.is_generated)
    }

    /// What the server prints for every row, columns in order.
    pub(crate) async fn printed(
        &self,
        sql: &mut Sql,
        kind: ServerKind,
        database: &str,
    ) -> Outcome<Vec<Vec<Option<String>>>> {
        let expressions: Vec<String> = self
            .columns
            .iter()
            .map(|column| column.rendering.expression(&quoted(&column.name), kind))
            .collect();
        sql.rows(&format!(
            "SELECT {} FROM `{database}`.`{}` ORDER BY id",
            expressions.join(", "),
            self.name
        ))
        .await
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// All tables of one pass over the matrix.
pub(crate) fn tables(kind: ServerKind, wide: bool, random_rows: usize, seed: u64) -> Vec<Table> {
    let random = &mut Random::new(seed);
    let defaults = TypeOptions::default();
    let mut tables = Vec::new();
    let mut add = |columns: Vec<Column>, options: TypeOptions, random: &mut Random| {
        for columns in grouped(columns) {
            let name = format!("t{}", tables.len());
            tables.push(Table::new(name, columns, options, random_rows, random));
        }
    };
    let mut all = matrix::columns(kind, wide);
    // Other neighbours each time.
    for at in (1..all.len()).rev() {
        all.swap(at, random.below(at as u64 + 1) as usize);
    }
    add(all, defaults, random);
    add(special(kind), defaults, random);
    let text = TypeOptions { time_as: TimeAs::String, ..defaults };
    add(matrix::long_times(Rendering::ClockText), text, random);
    let micros = TypeOptions { time_as: TimeAs::Micros, ..defaults };
    add(matrix::long_times(Rendering::ClockMicros), micros, random);
    let numbers = TypeOptions { tinyint1_as_boolean: false, ..defaults };
    add(matrix::small_numbers(), numbers, random);
    let wkb = TypeOptions { geometry_as: GeometryAs::Wkb, ..defaults };
    add(shapes::columns(kind, Rendering::Wkb), wkb, random);
    let replaced = TypeOptions { text_undecodable: TextUndecodable::Replace, ..defaults };
    let letters = |random: &mut Random| text::literal(&text::random_text(random, &['é', '汉'], 9));
    let gbk = Column::new("varchar(20) character set gbk", Rendering::Text, &[], letters);
    add(vec![gbk], replaced, random);
    tables
}

/// Generated columns, invisible ones, and the columns that fill a row to its limit.
fn special(kind: ServerKind) -> Vec<Column> {
    let number = |random: &mut Random| random.below(1 << 30).to_string();
    let generated = |definition: &str, rendering| {
        let mut column = Column::new(definition, rendering, &[], |_| String::new());
        (column.is_generated, column.may_be_required) = (true, false);
        column
    };
    let mut all = vec![
        generated("BIGINT AS (id * 3) VIRTUAL", Rendering::Number),
        generated("BIGINT AS (id + 7) STORED", Rendering::Number),
        generated("VARCHAR(40) AS (CONCAT('é', id)) VIRTUAL", Rendering::Text),
        generated("VARCHAR(300) AS (REPEAT('é', id)) STORED", Rendering::Text),
        generated("INT AS (IF(id = 2, NULL, -id)) VIRTUAL", Rendering::Number),
        Column::new("INT INVISIBLE DEFAULT 5", Rendering::Number, &["1", "2"], number),
        Column::new("VARCHAR(10) INVISIBLE DEFAULT 'x'", Rendering::Text, &["'é'"], number),
        Column::new("CHAR(0)", Rendering::Text, &["''"], |_| "''".to_owned()),
        Column::new("VARCHAR(0)", Rendering::Text, &["''"], |_| "''".to_owned()),
        Column::new("BINARY(0)", Rendering::Bytes, &["''"], |_| "''".to_owned()),
        Column::new(
            "TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6)",
            Rendering::Datetime,
            &["'2020-01-02 03:04:05.678901'"],
            |_| "CURRENT_TIMESTAMP(6)".to_owned(),
        ),
    ];
    if kind == ServerKind::Mysql {
        all.push(generated("JSON AS (JSON_ARRAY(id, 1.5e0)) STORED", Rendering::Json));
        all.push(generated("JSON AS (JSON_OBJECT('a', id)) VIRTUAL", Rendering::Json));
    }
    all
}

/// As many columns a table as fit.
fn grouped(columns: Vec<Column>) -> Vec<Vec<Column>> {
    let mut groups: Vec<Vec<Column>> = Vec::new();
    let mut room = 0;
    for column in columns {
        let bytes = row_bytes(&column.definition);
        let full = groups.last().is_none_or(|group| group.len() >= COLUMNS_MAX || bytes > room);
        if full {
            groups.push(Vec::new());
            room = ROW_BYTES_MAX;
        }
        room = room.saturating_sub(bytes);
        groups.last_mut().expect("a group was just made sure of").push(column);
    }
    groups
}

/// About what a column adds to the row's greatest length.
fn row_bytes(definition: &str) -> usize {
    let length = definition
        .split_once('(')
        .and_then(|(_, rest)| rest.split_once(')'))
        .and_then(|(length, _)| length.parse::<usize>().ok())
        .unwrap_or(10);
    if definition.contains("char") { length * 4 + 2 } else { length + 10 }
}
