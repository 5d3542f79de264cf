//! A table that fits a TABLE_MAP: what the server's `information_schema` would say of a table that is logged so.

use std::sync::Arc;

use cdc_api::TableId;

use crate::{
    charset::Charsets,
    decode::{
        binlog::{Storage, TableMap},
        result::ResultColumn,
    },
    metadata::{ColumnMeta, TableMeta},
    types::{
        Flavor, GeometryAs, Kind, TableCodec, TemporalInvalid, TextUndecodable, TimeAs,
        TimeOutOfRange, TypeOptions, table_schema,
    },
};

/// The collation number of bytes that are no text.
const BINARY: u64 = 63;
/// Every charset that needs no server.
const CHARSETS: [&str; 5] = ["utf8mb4", "utf8mb3", "ucs2", "utf16", "utf32"];

/// The two ends of the switches, so that both sides of each policy are run.
pub(super) fn options(choice: u8) -> TypeOptions {
    if choice & 1 == 0 {
        return TypeOptions::default();
    }
    TypeOptions {
        tinyint1_as_boolean: false,
        temporal_invalid: TemporalInvalid::Error,
        time_out_of_range: TimeOutOfRange::Null,
        time_as: if choice & 2 == 0 { TimeAs::String } else { TimeAs::Micros },
        text_undecodable: TextUndecodable::Replace,
        geometry_as: GeometryAs::Wkb,
    }
}

/// The table, and its codec; none where no table is logged so.
pub(super) fn table(map: &TableMap, choice: u8) -> Option<(TableMeta, TableCodec)> {
    let flavor = if choice & 4 == 0 { Flavor::MySql } else { Flavor::MariaDb };
    let columns = (0..map.columns.len()).map(|at| column(map, at)).collect::<Option<Vec<_>>>()?;
    let mut meta = TableMeta {
        id: TableId::new(map.database.as_str(), map.table.as_str()),
        columns,
        primary_key: Vec::new(),
        unique_keys: Vec::new(),
        engine: "InnoDB".to_owned(),
        rows_estimated: None,
        comment: String::new(),
    };
    // The first column is the key if it can be one.
    if !meta.columns.first()?.nullable {
        meta.primary_key = vec![0];
    }
    let options = options(choice);
    let schema = Arc::new(table_schema(&meta, flavor, &options, 1, false).ok()?);
    let codec = TableCodec::new(&meta, schema, &options, flavor, &Charsets::new()).ok()?;
    Some((meta, codec))
}

fn column(map: &TableMap, at: usize) -> Option<ColumnMeta> {
    let column = map.columns.get(at)?;
    let collation = map.optional.collations.get(at).copied().flatten();
    let is_bytes = collation == Some(BINARY);
    let unsigned = map.optional.unsigned.get(at).copied().flatten() == Some(true);
    let logged_members = map.optional.members.get(at).and_then(Option::as_ref).map(Vec::len);
    let charset = CHARSETS.get(at % 7).copied().unwrap_or("utf8mb4");
    let text = |text: &str, bytes: &str| if is_bytes { bytes.to_owned() } else { text.to_owned() };
    let mut length = None;
    let mut fraction = None;
    let spelled = match column.storage {
        Storage::Integer(bytes) => {
            let name = match bytes {
                1 if at % 2 == 1 && !unsigned => "tinyint(1)",
                1 => "tinyint",
                2 => "smallint",
                3 => "mediumint",
                4 => "int",
                _ => "bigint",
            };
            if unsigned { format!("{name} unsigned") } else { name.to_owned() }
        }
        Storage::Float if at % 2 == 1 => "float(7,3)".to_owned(),
        Storage::Float => "float".to_owned(),
        Storage::Double => "double".to_owned(),
        Storage::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        Storage::Bit { bits } => format!("bit({bits})"),
        Storage::Year => "year".to_owned(),
        Storage::Date => "date".to_owned(),
        Storage::OldTime => "time".to_owned(),
        Storage::OldDatetime => "datetime".to_owned(),
        Storage::OldTimestamp => "timestamp".to_owned(),
        Storage::Time(digits) => with_fraction("time", digits, &mut fraction),
        Storage::Datetime(digits) => with_fraction("datetime", digits, &mut fraction),
        Storage::Timestamp(digits) => with_fraction("timestamp", digits, &mut fraction),
        Storage::Char(16) if collation.is_none() && at % 3 == 1 => "uuid".to_owned(),
        Storage::Char(16) if collation.is_none() && at % 3 == 2 => "inet6".to_owned(),
        Storage::Char(4) if collation.is_none() && at % 3 == 1 => "inet4".to_owned(),
        Storage::Char(bytes) | Storage::VarChar(bytes) | Storage::DeflatedVarChar(bytes) => {
            let characters = if is_bytes { bytes } else { bytes.div_ceil(4) };
            length = Some(u64::from(characters));
            match column.storage {
                Storage::Char(_) => text("char", "binary"),
                _ => text("varchar", "varbinary"),
            }
        }
        Storage::Blob(prefix) | Storage::DeflatedBlob(prefix) => {
            let size = ["tiny", "", "medium", "long"].get(usize::from(prefix).checked_sub(1)?)?;
            text(&format!("{size}text"), &format!("{size}blob"))
        }
        Storage::Enum(bytes) => {
            members("enum", logged_members.unwrap_or(if bytes == 1 { 3 } else { 300 }))?
        }
        Storage::Set(bytes) => {
            members("set", logged_members.unwrap_or(usize::from(bytes).min(8) * 8 - 3))?
        }
        Storage::Json(_) => "json".to_owned(),
        Storage::Geometry(_) => "geometry".to_owned(),
        Storage::Vector(_) => "vector(3)".to_owned(),
    };
    let data_type: String = spelled.chars().take_while(char::is_ascii_alphanumeric).collect();
    let is_text = data_type.ends_with("char") || data_type.ends_with("text");
    Some(ColumnMeta {
        name: map.optional.names.get(at).cloned().unwrap_or_else(|| format!("c{at}")),
        column_type: spelled,
        length,
        precision: None,
        scale: None,
        fraction,
        charset: is_text.then(|| charset.to_owned()),
        collation: is_text.then(|| format!("{charset}_bin")),
        nullable: column.nullable,
        default: None,
        extra: String::new(),
        generated: String::new(),
        comment: String::new(),
        data_type,
    })
}

fn with_fraction(name: &str, digits: u8, fraction: &mut Option<u8>) -> String {
    *fraction = Some(digits);
    format!("{name}({digits})")
}

/// None for more members than a table can have.
fn members(name: &str, count: usize) -> Option<String> {
    let names: Vec<String> = (0..count.min(65_536)).map(|at| format!("'m{at}'")).collect();
    (1..=65_535).contains(&count).then(|| format!("{name}({})", names.join(",")))
}

/// How a result set brings such a column; none for what no column has.
pub(super) fn result_column(kind: &Kind) -> ResultColumn {
    let (ty, flags) = match kind {
        Kind::Integer { bytes, unsigned } => {
            let ty = match bytes {
                1 => 1,
                2 => 2,
                3 => 9,
                4 => 3,
                _ => 8,
            };
            (ty, if *unsigned { ResultColumn::UNSIGNED } else { 0 })
        }
        Kind::Year => (13, 0),
        Kind::Float { .. } => (4, 0),
        Kind::Double => (5, 0),
        Kind::Decimal { .. } => (246, 0),
        Kind::Bit { .. } => (16, 0),
        Kind::Date => (10, 0),
        Kind::Datetime { .. } => (12, 0),
        Kind::Timestamp { .. } => (7, 0),
        Kind::Time { .. } => (11, 0),
        Kind::Enum { .. } | Kind::Set { .. } => (8, 0),
        _ => (252, 0),
    };
    ResultColumn { ty, flags, charset: 63, decimals: 0 }
}
