//! Random ALTERs of one table `r`. Most are what a server accepts, judged by how the table looks by now; the others name
//! columns that may not be there, keys that cannot be, or one column twice.

use cdc_integration::{Outcome, Random, Sql};

/// Names that columns may have.
const NAMES: u64 = 12;
/// More indexes than this are not added.
const INDEXES_MAX: usize = 8;
/// One clause in so many is not looked at twice.
const HARSH_ONE_IN: u64 = 12;

/// A column's kind, as far as keys and defaults depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Bytes,
    Time,
    /// It can be indexed by a prefix only.
    Long,
    /// It can not be indexed.
    Json,
}

const TYPES: [(&str, Kind); 30] = [
    ("INT", Kind::Number),
    ("INT UNSIGNED", Kind::Number),
    ("BIGINT UNSIGNED", Kind::Number),
    ("MEDIUMINT", Kind::Number),
    ("TINYINT(1)", Kind::Number),
    ("BOOL", Kind::Number),
    ("SMALLINT ZEROFILL", Kind::Number),
    ("DECIMAL(12,4)", Kind::Number),
    ("NUMERIC(20) UNSIGNED", Kind::Number),
    ("FLOAT", Kind::Number),
    ("DOUBLE", Kind::Number),
    ("BIT(3)", Kind::Number),
    ("YEAR", Kind::Number),
    ("VARCHAR(30)", Kind::Text),
    ("VARCHAR(255)", Kind::Text),
    ("VARCHAR(30) CHARACTER SET latin1", Kind::Text),
    ("VARCHAR(12) COLLATE utf8mb4_bin", Kind::Text),
    ("CHAR(4) BINARY", Kind::Text),
    ("CHAR(36) CHARACTER SET ascii", Kind::Text),
    ("ENUM('x','y')", Kind::Number),
    ("SET('x','y','z')", Kind::Number),
    ("VARBINARY(9)", Kind::Bytes),
    ("BINARY(16)", Kind::Bytes),
    ("DATE", Kind::Time),
    ("DATETIME(3)", Kind::Time),
    ("TIME", Kind::Time),
    ("TEXT", Kind::Long),
    ("TINYTEXT", Kind::Long),
    ("BLOB", Kind::Long),
    ("JSON", Kind::Json),
];

/// A column as it is by now.
struct Column {
    name: String,
    kind: Kind,
    primary: bool,
    indexed: bool,
    hidden: bool,
}

/// The table as it is by now.
pub(crate) struct Shape {
    columns: Vec<Column>,
    indexes: Vec<String>,
}

impl Shape {
    /// Asks the server.
    pub(crate) async fn read(sql: &mut Sql, database: &str) -> Outcome<Shape> {
        let of = format!("TABLE_SCHEMA = '{database}' AND TABLE_NAME = 'r'");
        let parts = sql
            .rows(&format!(
                "SELECT DISTINCT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS WHERE {of} ORDER BY 1, 2"
            ))
            .await?;
        let columns = sql
            .rows(&format!(
                "SELECT COLUMN_NAME, DATA_TYPE, EXTRA FROM information_schema.COLUMNS WHERE {of} ORDER BY ORDINAL_POSITION"
            ))
            .await?;
        let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
        let is_in = |name: &str, primary: bool| {
            parts
                .iter()
                .any(|part| text(&part[1]) == name && (!primary || text(&part[0]) == "PRIMARY"))
        };
        let column = |row: &Vec<Option<String>>| {
            let name = text(&row[0]);
            let kind = match text(&row[1]).as_str() {
                "varchar" | "char" => Kind::Text,
                "varbinary" | "binary" => Kind::Bytes,
                "date" | "datetime" | "time" | "timestamp" => Kind::Time,
                "json" => Kind::Json,
                text if text.ends_with("text") || text.ends_with("blob") => Kind::Long,
                _ => Kind::Number,
            };
            Column {
                primary: is_in(&name, true),
                indexed: is_in(&name, false),
                hidden: text(&row[2]).contains("INVISIBLE"),
                name,
                kind,
            }
        };
        let mut indexes: Vec<String> = parts.iter().map(|part| text(&part[0])).collect();
        indexes.dedup();
        indexes.retain(|name| name != "PRIMARY");
        Ok(Shape { columns: columns.iter().map(column).collect(), indexes })
    }
}

fn pick<'a, T>(random: &mut Random, list: &'a [T]) -> Option<&'a T> {
    list.get(random.below(list.len().max(1) as u64) as usize)
}

/// What one statement has used up already, since servers differ in what a second mention does.
struct Plan<'s> {
    shape: &'s Shape,
    /// Columns that no clause names yet.
    free: Vec<&'s Column>,
    /// Names that no column has.
    fresh: Vec<String>,
    indexes: Vec<&'s str>,
    visible: usize,
    has_primary: bool,
}

impl<'s> Plan<'s> {
    fn new(shape: &'s Shape) -> Plan<'s> {
        let is_taken = |name: &str| shape.columns.iter().any(|column| column.name == *name);
        Plan {
            shape,
            free: shape.columns.iter().collect(),
            fresh: (0..NAMES).map(|at| format!("c{at}")).filter(|name| !is_taken(name)).collect(),
            indexes: shape.indexes.iter().map(String::as_str).collect(),
            visible: shape.columns.iter().filter(|column| !column.hidden).count(),
            has_primary: shape.columns.iter().any(|column| column.primary),
        }
    }

    fn take(&mut self, random: &mut Random, fits: impl Fn(&Column) -> bool) -> Option<&'s Column> {
        let fitting: Vec<usize> = (0..self.free.len()).filter(|&at| fits(self.free[at])).collect();
        let at = *pick(random, &fitting)?;
        Some(self.free.remove(at))
    }

    fn take_fresh(&mut self, random: &mut Random) -> Option<String> {
        let at = random.below(self.fresh.len().max(1) as u64) as usize;
        (at < self.fresh.len()).then(|| self.fresh.remove(at))
    }

    /// A type with what may stand behind it. `key`: the column is in an index, by its whole or a prefix.
    fn definition(&mut self, random: &mut Random, key: bool, primary: bool) -> String {
        let (ty, kind) = loop {
            let Some(&(ty, kind)) = pick(random, &TYPES) else { continue };
            if !key || !matches!(kind, Kind::Long | Kind::Json) {
                break (ty, kind);
            }
        };
        let null = match random.below(4) {
            0 => " NOT NULL",
            1 if !primary => " NULL",
            _ => "",
        };
        let default = match (random.below(4), kind) {
            (0, Kind::Number)
                if ty.starts_with(['I', 'B', 'M', 'D', 'N', 'F']) && !ty.starts_with("BIT") =>
            {
                " DEFAULT 1"
            }
            (0, Kind::Text) => " DEFAULT 'a''b'",
            (0, Kind::Time) if ty == "DATE" => " DEFAULT '2020-01-31'",
            (0, Kind::Time) if ty.starts_with("DATETIME") => {
                " DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)"
            }
            _ => "",
        };
        let rest = match random.below(10) {
            0 | 1 => " COMMENT 'it''s, (so)'",
            2 if !matches!(kind, Kind::Long | Kind::Json) && !primary => " UNIQUE",
            3 if self.visible > 2 && !primary => {
                self.visible -= 1;
                " INVISIBLE"
            }
            _ => "",
        };
        format!("{ty}{null}{default}{rest}")
    }

    /// Where a column goes: behind one that no other clause names.
    fn place(&self, random: &mut Random) -> String {
        match random.below(4) {
            0 => " FIRST".into(),
            1 => pick(random, &self.free)
                .map_or(String::new(), |column| format!(" AFTER {}", column.name)),
            _ => String::new(),
        }
    }

    /// Columns of an index, with prefixes where they are needed or possible.
    fn parts(&mut self, random: &mut Random, primary: bool) -> Option<String> {
        let mut parts = Vec::new();
        for _ in 0..=random.below(2) {
            let fits = |column: &Column| {
                column.kind != Kind::Json && !(primary && column.kind == Kind::Long)
            };
            let Some(column) = self.take(random, fits) else { break };
            let prefix = match column.kind {
                Kind::Long => "(3)",
                Kind::Text | Kind::Bytes if random.below(3) == 0 => "(2)",
                _ => "",
            };
            parts.push(format!("{}{prefix}", column.name));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    fn clause(&mut self, random: &mut Random) -> Option<String> {
        let names = random.below(1 << 40);
        Some(match random.below(20) {
            0..=3 if self.shape.columns.len() < 9 => {
                let name = self.take_fresh(random)?;
                let definition = self.definition(random, false, false);
                let place = self.place(random);
                format!("ADD COLUMN {name} {definition}{place}")
            }
            4 | 5 if self.free.len() > 3 && self.visible > 3 => {
                let column = self.take(random, |column| !column.primary)?;
                self.visible -= usize::from(!column.hidden);
                format!("DROP COLUMN {}", column.name)
            }
            6..=8 => {
                let column = self.take(random, |_| true)?;
                let definition = self.definition(random, column.indexed, column.primary);
                let place = self.place(random);
                format!("MODIFY {} {definition}{place}", column.name)
            }
            9 | 10 => {
                let (column, to) = (self.take(random, |_| true)?, self.take_fresh(random)?);
                let definition = self.definition(random, column.indexed, column.primary);
                let place = self.place(random);
                format!("CHANGE {} {to} {definition}{place}", column.name)
            }
            11 => {
                let (column, to) = (self.take(random, |_| true)?, self.take_fresh(random)?);
                format!("RENAME COLUMN {} TO {to}", column.name)
            }
            12 if self.shape.indexes.len() < INDEXES_MAX => {
                format!("ADD UNIQUE u{names} ({})", self.parts(random, false)?)
            }
            13 if self.shape.indexes.len() < INDEXES_MAX => {
                format!("ADD INDEX ({})", self.parts(random, false)?)
            }
            14 if !self.indexes.is_empty() => {
                let at = random.below(self.indexes.len() as u64) as usize;
                format!("DROP INDEX `{}`", self.indexes.remove(at))
            }
            15 if !self.indexes.is_empty() => {
                let at = random.below(self.indexes.len() as u64) as usize;
                format!("RENAME INDEX `{}` TO i{names}", self.indexes.remove(at))
            }
            16 if self.has_primary => {
                self.has_primary = false;
                "DROP PRIMARY KEY".into()
            }
            16 if !self.shape.columns.iter().any(|column| column.primary) => {
                format!("ADD PRIMARY KEY ({})", self.parts(random, true)?)
            }
            17 => {
                let column =
                    self.take(random, |column| !matches!(column.kind, Kind::Long | Kind::Json))?;
                format!("ALTER {} DROP DEFAULT", column.name)
            }
            18 => {
                let column = self.take(random, |column| column.kind == Kind::Text)?;
                format!("ALTER COLUMN {} SET DEFAULT 'z'", column.name)
            }
            _ => match random.below(4) {
                0 => format!("COMMENT = 'no {names}'"),
                1 => "ENGINE = InnoDB".into(),
                2 => format!("ADD CONSTRAINT k{names} CHECK (1 < 2)"),
                _ => "ROW_FORMAT = DYNAMIC".into(),
            },
        })
    }
}

/// One ALTER TABLE of `r`.
pub(crate) fn statement(random: &mut Random, shape: &Shape) -> String {
    if random.below(25) == 0 {
        let charset = pick(random, &["latin1", "utf8mb4", "utf8mb3"]).copied().unwrap_or("latin1");
        return format!("ALTER TABLE r CONVERT TO CHARACTER SET {charset}");
    }
    let mut plan = Plan::new(shape);
    let mut clauses = Vec::new();
    let count = 1 + random.below(3) as usize;
    for _ in 0..count * 4 {
        if clauses.len() == count {
            break;
        }
        if random.below(HARSH_ONE_IN) == 0 {
            clauses.push(harsh(random));
        } else {
            clauses.extend(plan.clause(random));
        }
    }
    if clauses.is_empty() {
        clauses.push("FORCE".into());
    }
    format!("ALTER TABLE r {}", clauses.join(", "))
}

/// A clause that the server may or may not accept.
fn harsh(random: &mut Random) -> String {
    let (a, b) = (random.below(NAMES), random.below(NAMES));
    let ty = pick(random, &TYPES).map_or("INT", |ty| ty.0);
    match random.below(9) {
        0 => format!("ADD c{a} {ty} UNIQUE AFTER c{b}"),
        1 => format!("DROP c{a}"),
        2 => format!("MODIFY c{a} {ty} FIRST"),
        3 => format!("CHANGE c{a} c{b} {ty}"),
        4 => format!("RENAME COLUMN c{a} TO c{b}"),
        5 => format!("ADD UNIQUE (c{a}, c{b})"),
        6 => "DROP PRIMARY KEY".into(),
        7 => format!("ADD PRIMARY KEY (c{a})"),
        _ => format!("ALTER c{a} DROP DEFAULT"),
    }
}
