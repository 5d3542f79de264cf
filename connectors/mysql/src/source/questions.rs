//! A connection for what the server is asked now and then, mostly never: how it compares, what its charsets are, what a
//! table is by now.

use std::time::{Duration, Instant};

use cdc_api::Result;

use super::Session;
use crate::wire::Connection;

/// Questions that follow one another so soon need no look whether the connection still lives: a start asks many.
const TRUSTED: Duration = Duration::from_secs(1);

/// A connection that is made when the first question comes.
pub(crate) struct Questions {
    session: Session,
    /// With when its last question was answered.
    connection: Option<(Connection, Instant)>,
}

impl Questions {
    pub(crate) fn new(session: Session) -> Self {
        Questions { session, connection: None }
    }

    /// The connection, for one question or some; [`Questions::answered`] takes it back. One whose question failed, or was
    /// given up half-way, is not given back: the next question gets a new one, as it does when the server has closed the
    /// old one, since hours may lie between two.
    pub(crate) async fn ask(&mut self) -> Result<Connection> {
        if let Some((mut connection, answered)) = self.connection.take()
            && (answered.elapsed() < TRUSTED || connection.ping().await.is_ok())
        {
            return Ok(connection);
        }
        Ok(self.session.connect_for_rows().await?.0)
    }

    /// Keeps the connection for the next question.
    pub(crate) fn answered(&mut self, connection: Connection) {
        self.connection = Some((connection, Instant::now()));
    }

    /// Closes the connection; a later question makes another.
    pub(crate) async fn close(&mut self) {
        if let Some((connection, _)) = self.connection.take() {
            connection.quit().await;
        }
    }
}
