//! Prepared statements and results that are streamed: rows come as whole packets, many per await.

use super::{
    connection::{Connection, command},
    error::WireError,
    packets::{Peek, Run},
    payload::{Payload, server_error},
    query::ColumnDef,
};

/// A statement that the server has prepared on one connection; free it with [`Connection::close_statement`].
#[derive(Debug)]
pub struct Statement {
    id: u32,
    columns: Vec<ColumnDef>,
}

impl Statement {
    /// The columns of its rows, as the server foresees them.
    pub fn columns(&self) -> &[ColumnDef] {
        &self.columns
    }
}

/// The rows of a running SELECT. Dropped before its end it leaves the connection unusable.
pub struct RowStream<'c> {
    connection: &'c mut Connection,
    columns: Vec<ColumnDef>,
    ended: bool,
}

/// The rows that were buffered together: an iterator over their packets' payloads, each without its packet header.
/// Cloning it costs nothing, so that rows may be walked more than once.
#[derive(Debug, Clone)]
pub struct RowPackets<'a>(Run<'a>);

impl<'a> Iterator for RowPackets<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for RowPackets<'_> {}

fn is_row(peek: Peek) -> bool {
    !peek.is_end() && !peek.is_error()
}

impl<'c> RowStream<'c> {
    pub(crate) fn new(connection: &'c mut Connection, columns: Vec<ColumnDef>) -> Self {
        RowStream { connection, columns, ended: false }
    }

    /// The columns of these rows. They may differ from the prepared ones: after a DDL in between, and where the server
    /// knows a type only when it runs (UNION).
    pub fn columns(&self) -> &[ColumnDef] {
        &self.columns
    }

    /// All whole rows that are buffered, at least one, waiting for it; none at the end. Cancel-safe.
    ///
    /// # Errors
    /// The server's, also in the middle of the rows; then the result is over and the connection may go on.
    pub async fn next_rows(&mut self) -> Result<Option<RowPackets<'_>>, WireError> {
        if self.ended {
            return Ok(None);
        }
        let peek = loop {
            match self.connection.channel.reader.peek()? {
                Some(peek) => break peek,
                None => self.connection.channel.fill().await?,
            }
        };
        if is_row(peek) {
            return Ok(Some(RowPackets(self.connection.channel.reader.take_run(is_row)?)));
        }
        let packet = self.connection.channel.reader.next_packet()?.unwrap_or_default();
        self.ended = true;
        self.connection.busy = false;
        if peek.is_error() { Err(server_error(packet)) } else { Ok(None) }
    }
}

impl Connection {
    /// Prepares a statement without parameters.
    ///
    /// # Errors
    /// The server's.
    pub async fn prepare(&mut self, sql: &str) -> Result<Statement, WireError> {
        self.begin(command::STMT_PREPARE, sql.as_bytes()).await?;
        let packet = self.answer().await?;
        let mut rest = Payload(packet);
        if rest.u8()? != 0 {
            return Err(WireError::protocol("an unknown answer to a prepared statement"));
        }
        let (id, columns, parameters) = (rest.u32()?, rest.u16()?, rest.u16()?);
        self.column_defs(u64::from(parameters)).await?;
        let columns = self.column_defs(u64::from(columns)).await?;
        self.busy = false;
        if parameters > 0 {
            return Err(WireError::protocol("a statement with parameters was prepared"));
        }
        Ok(Statement { id, columns })
    }

    /// Runs a prepared SELECT and streams its rows in the binary protocol: 0x00, NULL bitmap (offset 2), values.
    ///
    /// # Errors
    /// The server's, or that the statement gives no rows.
    pub async fn execute_stream(
        &mut self,
        statement: &Statement,
    ) -> Result<RowStream<'_>, WireError> {
        let mut body = statement.id.to_le_bytes().to_vec();
        // No cursor, and the iteration count that is always 1.
        body.push(0);
        body.extend_from_slice(&1u32.to_le_bytes());
        self.begin(command::STMT_EXECUTE, &body).await?;
        match self.columns_of_answer().await? {
            None => Err(WireError::protocol("a statement without rows was run as a query")),
            Some(columns) => Ok(RowStream::new(self, columns)),
        }
    }

    /// Frees a prepared statement; it leaves with the next command.
    pub fn close_statement(&mut self, statement: Statement) {
        self.channel.put_command(command::STMT_CLOSE, &statement.id.to_le_bytes());
    }
}
