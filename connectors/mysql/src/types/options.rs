//! The switches of the value model, with the names and defaults of correctness §7.1.

/// Whose dialect and log format a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// MySQL and what is binary compatible with it (Percona Server).
    MySql,
    /// MariaDB.
    MariaDb,
}

/// `temporal.invalid`: what a zero, partial or impossible date becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TemporalInvalid {
    /// Null, counted per column; an error in a key column all the same.
    #[default]
    Null,
    /// An error of the table.
    Error,
}

/// `time.out-of-range`: what a TIME outside of one day becomes when `time.as` is `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeOutOfRange {
    /// An error of the table.
    #[default]
    Error,
    /// Null, counted per column; an error in a key column all the same.
    Null,
}

/// `time.as`: what TIME columns are downstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimeAs {
    /// `TIME(p)`, a time of day.
    #[default]
    Time,
    /// `STRING`, as the server prints it; every value fits.
    String,
    /// `BIGINT`, signed microseconds; every value fits.
    Micros,
}

/// `text.undecodable`: what bytes that are no text in their column's charset become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TextUndecodable {
    /// An error of the table.
    #[default]
    Error,
    /// U+FFFD for each undecodable byte sequence.
    Replace,
}

/// `geometry.as`: what spatial columns are downstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GeometryAs {
    /// `STRING`, Flink CDC's JSON text.
    #[default]
    Json,
    /// `BYTES`, the WKB without its SRID.
    Wkb,
}

/// The switches that decide what a column is downstream and what becomes of values it cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TypeOptions {
    /// `treat-tinyint1-as-boolean.enabled`.
    pub tinyint1_as_boolean: bool,
    /// `temporal.invalid`.
    pub temporal_invalid: TemporalInvalid,
    /// `time.out-of-range`.
    pub time_out_of_range: TimeOutOfRange,
    /// `time.as`.
    pub time_as: TimeAs,
    /// `text.undecodable`.
    pub text_undecodable: TextUndecodable,
    /// `geometry.as`.
    pub geometry_as: GeometryAs,
}

impl Default for TypeOptions {
    fn default() -> Self {
        TypeOptions {
            tinyint1_as_boolean: true,
            temporal_invalid: TemporalInvalid::default(),
            time_out_of_range: TimeOutOfRange::default(),
            time_as: TimeAs::default(),
            text_undecodable: TextUndecodable::default(),
            geometry_as: GeometryAs::default(),
        }
    }
}
