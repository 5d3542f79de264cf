//! Statements with small results: all rows in memory, values as text.

use std::{ops::Range, sync::Arc};

use mysql_common::constants::CapabilityFlags;

use super::{
    connection::{Connection, command},
    error::WireError,
    packets::Peek,
    payload::Payload,
    statement::RowStream,
};

/// What a small result may weigh.
const RESULT_BYTES_MAX: usize = 256 << 20;

/// No statement gives more columns.
const COLUMNS_MAX: u64 = 65_535;

/// One column of a result, as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnDef {
    /// Its name or alias.
    pub name: String,
    /// `MYSQL_TYPE_*` code.
    pub column_type: u8,
    /// `UNSIGNED_FLAG` (32) and the like.
    pub flags: u16,
    /// Number of the collation its values are sent in; 63 is binary.
    pub charset: u16,
    /// Decimals; 31 where they vary.
    pub decimals: u8,
    /// Largest length, bytes.
    pub length: u32,
}

impl ColumnDef {
    pub(crate) fn parse(packet: &[u8]) -> Result<ColumnDef, WireError> {
        let mut rest = Payload(packet);
        // Catalog, database, table alias, table.
        for _ in 0..4 {
            rest.string()?;
        }
        let name = String::from_utf8_lossy(rest.string()?.unwrap_or_default()).into_owned();
        rest.string()?;
        rest.lenenc()?;
        let (charset, length) = (rest.u16()?, rest.u32()?);
        let (column_type, flags, decimals) = (rest.u8()?, rest.u16()?, rest.u8()?);
        Ok(ColumnDef { name, column_type, flags, charset, decimals, length })
    }
}

/// A small result.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    names: Arc<[String]>,
    bytes: Vec<u8>,
    /// Row after row, one per column; none is NULL.
    cells: Vec<Option<Range<usize>>>,
}

/// One row of a small result.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    rows: &'a Rows,
    from: usize,
}

impl Rows {
    /// A result from values, as if a server had sent it.
    pub fn from_values<'v>(
        names: &[&str],
        rows: impl IntoIterator<Item = Vec<Option<&'v str>>>,
    ) -> Rows {
        let mut out = Rows::new(names.iter().map(|&name| name.to_owned()).collect());
        for row in rows {
            for value in row.into_iter().chain(std::iter::repeat(None)).take(names.len()) {
                out.push(value.map(str::as_bytes));
            }
        }
        out
    }

    fn new(names: Arc<[String]>) -> Rows {
        Rows { names, bytes: Vec::new(), cells: Vec::new() }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.cells.push(value.map(|_| from..self.bytes.len()));
    }

    /// The columns' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.names.len()).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Row by row.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|at| Row { rows: self, from: at * self.names.len() })
    }

    /// The first row.
    pub fn first(&self) -> Option<Row<'_>> {
        self.iter().next()
    }
}

impl<'a> Row<'a> {
    /// The value of a column by position; none is NULL or no such column.
    pub fn at(&self, column: usize) -> Option<&'a [u8]> {
        if column >= self.rows.names.len() {
            return None;
        }
        let range = self.rows.cells.get(self.from + column)?.clone()?;
        self.rows.bytes.get(range)
    }

    /// The value of a column by name, whatever its case; none is NULL or no such column.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.at(self.rows.names.iter().position(|other| other.eq_ignore_ascii_case(name))?)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The same by position.
    pub fn text_at(&self, column: usize) -> Option<String> {
        self.at(column).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The same as a number.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        std::str::from_utf8(self.get(name)?).ok()?.parse().ok()
    }
}

impl Connection {
    /// Runs a statement and keeps its whole result; for results without rows it is empty.
    ///
    /// # Errors
    /// The server's, or that the result is larger than 256 MiB.
    pub async fn query(&mut self, sql: &str) -> Result<Rows, WireError> {
        let Some(columns) = self.run(sql).await? else {
            return Ok(Rows::default());
        };
        let width = columns.len();
        let mut rows = Rows::new(columns.iter().map(|column| column.name.clone()).collect());
        let mut stream = RowStream::new(self, columns);
        while let Some(packets) = stream.next_rows().await? {
            for packet in packets {
                let mut rest = Payload(packet);
                for _ in 0..width {
                    rows.push(rest.string()?);
                }
            }
            let cells_bytes = rows.cells.len().saturating_mul(size_of::<Option<Range<usize>>>());
            if rows.bytes.len().saturating_add(cells_bytes) > RESULT_BYTES_MAX {
                return Err(WireError::protocol("a result for memory is larger than 256 MiB"));
            }
        }
        Ok(rows)
    }

    /// Runs a statement and throws its result away.
    ///
    /// # Errors
    /// The server's.
    pub async fn query_drop(&mut self, sql: &str) -> Result<(), WireError> {
        if let Some(columns) = self.run(sql).await? {
            let mut stream = RowStream::new(self, columns);
            while stream.next_rows().await?.is_some() {}
        }
        Ok(())
    }

    /// Runs statements one after another, results thrown away.
    ///
    /// # Errors
    /// The first server error; the rest is not run.
    pub async fn query_all<'s>(
        &mut self,
        statements: impl IntoIterator<Item = &'s str>,
    ) -> Result<(), WireError> {
        for sql in statements {
            self.query_drop(sql).await?;
        }
        Ok(())
    }

    /// The first value of the first row as text; none for NULL and for no row.
    ///
    /// # Errors
    /// The server's.
    pub async fn query_value(&mut self, sql: &str) -> Result<Option<String>, WireError> {
        Ok(self.query(sql).await?.first().and_then(|row| row.text_at(0)))
    }

    /// Runs a statement in the text protocol and streams its rows: values are length-encoded strings, 0xFB is NULL.
    ///
    /// # Errors
    /// The server's, or that the statement gives no rows.
    pub async fn query_stream(&mut self, sql: &str) -> Result<RowStream<'_>, WireError> {
        match self.run(sql).await? {
            Some(columns) => Ok(RowStream::new(self, columns)),
            None => Err(WireError::protocol("a statement without rows was run as a query")),
        }
    }

    /// Sends a statement; none when it gives no rows, and then the answer is read.
    async fn run(&mut self, sql: &str) -> Result<Option<Vec<ColumnDef>>, WireError> {
        self.begin(command::QUERY, sql.as_bytes()).await?;
        self.columns_of_answer().await
    }

    /// Reads the head of an answer to a query or an execution.
    pub(crate) async fn columns_of_answer(&mut self) -> Result<Option<Vec<ColumnDef>>, WireError> {
        let packet = self.answer().await?;
        match packet.first() {
            Some(0x00) => {
                self.busy = false;
                Ok(None)
            }
            Some(0xFB) => Err(WireError::protocol("the server asked for a local file")),
            _ => {
                let count = Payload(packet).lenenc()?.unwrap_or_default();
                self.column_defs(count).await.map(Some)
            }
        }
    }

    /// Reads so many column definitions, and the EOF behind them where there is one.
    pub(crate) async fn column_defs(&mut self, count: u64) -> Result<Vec<ColumnDef>, WireError> {
        if count > COLUMNS_MAX {
            return Err(WireError::protocol(format!("a result with {count} columns")));
        }
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(ColumnDef::parse(self.answer().await?)?);
        }
        if count > 0 && !self.capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
            let packet = self.answer().await?;
            let peek = Peek { first: packet.first().copied(), payload: packet.len() };
            if !peek.is_end() {
                return Err(WireError::protocol("no end behind the columns of a result"));
            }
        }
        Ok(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_definition_is_read() {
        let packet = b"\x03def\x04shop\x01o\x06orders\x05total\x05total\x0C\x3F\x00\x0B\x00\x00\x00\xF6\x21\x10\x02\x00\x00";
        let column = ColumnDef::parse(packet).unwrap();
        assert_eq!(
            column,
            ColumnDef {
                name: "total".into(),
                column_type: 0xF6,
                flags: 0x1021,
                charset: 63,
                decimals: 2,
                length: 11,
            }
        );
        for end in 0..packet.len() - 2 {
            assert!(ColumnDef::parse(&packet[..end]).is_err());
        }
    }

    #[test]
    fn rows_are_found_by_name_and_null_is_none() {
        let rows = Rows::from_values(&["Name", "n"], [vec![Some("a"), Some("7")], vec![None]]);
        assert_eq!(rows.len(), 2);
        let first = rows.first().unwrap();
        assert_eq!(first.text("NAME").as_deref(), Some("a"));
        assert_eq!(first.number::<u32>("n"), Some(7));
        let last = rows.iter().last().unwrap();
        assert_eq!(last.get("name"), None);
        assert_eq!(last.at(7), None);
    }
}
