//! SQL through a client that is not the one under test.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

use crate::{Failure, Outcome};

/// One connection. Errors carry the statement.
pub struct Sql {
    conn: Conn,
}

impl Sql {
    /// Connects over TCP, without TLS.
    pub async fn connect(hostname: &str, port: u16, user: &str, password: &str) -> Outcome<Sql> {
        let opts = OptsBuilder::default()
            .ip_or_hostname(hostname)
            .tcp_port(port)
            .prefer_socket(false)
            .user(Some(user))
            .pass((!password.is_empty()).then_some(password));
        Ok(Sql { conn: Conn::new(opts).await? })
    }

    /// Runs one statement.
    pub async fn run(&mut self, statement: &str) -> Outcome {
        self.conn.query_drop(statement).await.map_err(|error| wrong(statement, &error))
    }

    /// Runs statements one after the other.
    pub async fn run_all(&mut self, statements: &[&str]) -> Outcome {
        for statement in statements {
            self.run(statement).await?;
        }
        Ok(())
    }

    /// The rows of a query as text; NULL is None. Bytes that are no UTF-8 are replaced.
    pub async fn rows(&mut self, query: &str) -> Outcome<Vec<Vec<Option<String>>>> {
        let rows: Vec<Row> = self.conn.query(query).await.map_err(|error| wrong(query, &error))?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(text).collect()).collect())
    }

    /// The first column of the first row as text; None for NULL or no row.
    pub async fn value(&mut self, query: &str) -> Outcome<Option<String>> {
        let rows = self.rows(query).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
    }

    /// The rows of a query in the binary protocol, in which floats and times are exact.
    pub(crate) async fn exact_rows(&mut self, query: &str) -> Outcome<Vec<Vec<Value>>> {
        let rows: Vec<Row> =
            self.conn.exec(query, ()).await.map_err(|error| wrong(query, &error))?;
        Ok(rows.into_iter().map(Row::unwrap).collect())
    }

    /// The connection itself, for what this wrapper does not offer.
    pub fn connection(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

fn wrong(statement: &str, error: &mysql_async::Error) -> Failure {
    Failure::new(format!("{error}\n  in: {statement}"))
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(other.as_sql(false)),
    }
}
