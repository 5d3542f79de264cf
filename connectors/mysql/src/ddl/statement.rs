//! What a statement says, before it is applied to anything.

use super::cursor::Name;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    Create(Box<Create>),
    Alter {
        table: Name,
        ignore: bool,
        clauses: Vec<Clause>,
    },
    Drop(Vec<Name>),
    Rename(Vec<(Name, Name)>),
    Truncate(Name),
    /// CREATE or ALTER DATABASE; no name: the current one.
    SetDatabase {
        name: Option<String>,
        charset: TextSpec,
        create: bool,
    },
    DropDatabase(String),
    /// It changes no table that is kept.
    Nothing,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) table: Name,
    pub(super) or_replace: bool,
    pub(super) if_not_exists: bool,
    pub(super) body: Body,
    pub(super) options: TableOptions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Define {
        columns: Vec<ColumnSpec>,
        indexes: Vec<IndexSpec>,
        versioned: bool,
    },
    Like(Name),
    /// CREATE TABLE … SELECT as it was sent: its columns are the query's.
    Select,
}

/// CHARACTER SET, COLLATE and the attributes that stand for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TextSpec {
    /// Lower case; `default` for the database's.
    pub(super) charset: Option<String>,
    pub(super) collation: Option<String>,
    /// The charset's `_bin` collation.
    pub(super) binary: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TableOptions {
    pub(super) text: TextSpec,
    pub(super) comment: Option<String>,
    pub(super) engine: Option<String>,
    pub(super) versioned: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypeSpec {
    /// As `DATA_TYPE` has it, but for what lengths and charsets make of it.
    pub(super) name: String,
    pub(super) arguments: Vec<u64>,
    pub(super) members: Vec<String>,
    pub(super) unsigned: bool,
    pub(super) zerofill: bool,
    pub(super) text: TextSpec,
    /// SERIAL: NOT NULL AUTO_INCREMENT UNIQUE comes with it.
    pub(super) serial: bool,
    /// MariaDB's JSON, which is longtext.
    pub(super) json_alias: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DefaultSpec {
    Null,
    Number(String),
    Text(String),
    Bits(Vec<u8>),
    /// CURRENT_TIMESTAMP and its like, with its digits.
    Now(u64),
    Expression(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ColumnSpec {
    pub(super) name: String,
    pub(super) ty: TypeSpec,
    pub(super) nullable: Option<bool>,
    pub(super) default: Option<DefaultSpec>,
    pub(super) on_update_now: Option<u64>,
    pub(super) auto_increment: bool,
    pub(super) primary: bool,
    pub(super) unique: bool,
    pub(super) comment: String,
    /// Expression and whether it is stored.
    pub(super) generated: Option<(String, bool)>,
    pub(super) row_bound: bool,
    pub(super) invisible: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IndexKind {
    Primary,
    Unique,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IndexSpec {
    pub(super) name: Option<String>,
    pub(super) kind: IndexKind,
    /// Column and prefix; no column: an expression.
    pub(super) parts: Vec<(Option<String>, Option<u64>)>,
    pub(super) if_not_exists: bool,
    pub(super) or_replace: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    First,
    After(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clause {
    Add {
        column: ColumnSpec,
        place: Option<Place>,
        if_not_exists: bool,
    },
    /// CHANGE and MODIFY.
    Change {
        from: String,
        column: ColumnSpec,
        place: Option<Place>,
        if_exists: bool,
    },
    RenameColumn {
        from: String,
        to: String,
        if_exists: bool,
    },
    DropColumn(String, bool),
    SetDefault {
        column: String,
        default: DefaultSpec,
        if_exists: bool,
    },
    DropDefault(String, bool),
    SetVisible(String, bool),
    AddIndex(IndexSpec),
    DropPrimary,
    /// Also DROP CONSTRAINT, which may be an index.
    DropIndex(String),
    RenameIndex(String, String),
    Rename(Name),
    Convert(TextSpec),
    Options(TableOptions),
    SystemVersioning(bool),
    /// TRUNCATE or DROP PARTITION: rows are gone.
    EmptyPartitions,
    Exchange(Name),
    Import,
    /// MariaDB: a table becomes a partition, or a partition a table.
    ConvertTable(Name),
    ConvertPartition(Name),
    /// Without meaning to rows and definitions.
    Nothing,
}
