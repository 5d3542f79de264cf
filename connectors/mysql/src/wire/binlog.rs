//! The binlog as a stream: registers as a replica, asks for the log, hands out events.
//!
//! The session's variables (checksum, heartbeat, MariaDB's capability and GTID state) are set by the caller before; GTID
//! sets come encoded. No event is looked into here.

use super::{
    connection::{Connection, command},
    error::WireError,
    payload::server_error,
};

/// From where the log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BinlogStart {
    /// From an event's first byte in a file (COM_BINLOG_DUMP). With an empty file name MariaDB starts at its session's
    /// `@slave_connect_state`.
    File {
        /// The file's name.
        file: String,
        /// 4 is the file's first event.
        position: u32,
    },
    /// All transactions that are not in this set (COM_BINLOG_DUMP_GTID), in MySQL's binary encoding.
    Gtid {
        /// The encoded set, tagged or not.
        executed: Vec<u8>,
    },
}

/// A request for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinlogRequest {
    /// The id we appear under; the server ends another reader's stream that has the same.
    pub server_id: u32,
    /// From where.
    pub start: BinlogStart,
}

/// One step through the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum BinlogNext<'a> {
    /// An event: header, body and checksum.
    Event(&'a [u8]),
    /// None is buffered wholly: [`BinlogPackets::fill`].
    Pending,
    /// The server ended the stream.
    End,
}

/// The running stream; the connection serves nothing else until it is closed.
pub struct BinlogPackets {
    connection: Connection,
    ended: bool,
}

impl Connection {
    /// Registers as a replica and asks for the log. Whether the server can give it shows in the stream's first packet.
    ///
    /// # Errors
    /// The server's, e.g. that the grant REPLICATION SLAVE is missing.
    pub async fn start_binlog(
        mut self,
        request: &BinlogRequest,
    ) -> Result<BinlogPackets, WireError> {
        self.begin(command::REGISTER_SLAVE, &register_body(request.server_id)).await?;
        self.answer().await?;
        self.busy = false;
        match &request.start {
            BinlogStart::File { file, position } => {
                let body = dump_body(request.server_id, file, *position);
                self.begin(command::BINLOG_DUMP, &body).await?;
            }
            BinlogStart::Gtid { executed } => {
                let body = dump_gtid_body(request.server_id, executed)?;
                self.begin(command::BINLOG_DUMP_GTID, &body).await?;
            }
        }
        Ok(BinlogPackets { connection: self, ended: false })
    }
}

fn register_body(server_id: u32) -> Vec<u8> {
    let mut body = server_id.to_le_bytes().to_vec();
    // Empty host, user and password, port 0, rank 0, master id 0: the server only shows them.
    body.extend_from_slice(&[0; 3 + 2 + 4 + 4]);
    body
}

fn dump_body(server_id: u32, file: &str, position: u32) -> Vec<u8> {
    let mut body = position.to_le_bytes().to_vec();
    body.extend_from_slice(&[0, 0]);
    body.extend_from_slice(&server_id.to_le_bytes());
    body.extend_from_slice(file.as_bytes());
    body
}

fn dump_gtid_body(server_id: u32, executed: &[u8]) -> Result<Vec<u8>, WireError> {
    /// The set decides where the stream starts, not file and position.
    const THROUGH_GTID: u16 = 4;
    let length = u32::try_from(executed.len())
        .map_err(|_| WireError::protocol("a GTID set larger than 4 GiB"))?;
    let mut body = THROUGH_GTID.to_le_bytes().to_vec();
    body.extend_from_slice(&server_id.to_le_bytes());
    body.extend_from_slice(&0u32.to_le_bytes());
    body.extend_from_slice(&4u64.to_le_bytes());
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(executed);
    Ok(body)
}

impl BinlogPackets {
    /// Reads what has come, at least one byte; the read timeout ends the wait for a dead peer. Cancel-safe.
    ///
    /// # Errors
    /// `Io` when the connection broke, `Timeout`.
    pub async fn fill(&mut self) -> Result<(), WireError> {
        self.connection.channel.fill().await
    }

    /// The next event that is buffered; never waits.
    ///
    /// # Errors
    /// The server's: 1236 when the log cannot be given or another reader took the server id.
    pub fn next_event(&mut self) -> Result<BinlogNext<'_>, WireError> {
        if self.ended {
            return Ok(BinlogNext::End);
        }
        let Some(packet) = self.connection.channel.reader.next_packet()? else {
            return Ok(BinlogNext::Pending);
        };
        match packet.split_first() {
            Some((0x00, event)) => Ok(BinlogNext::Event(event)),
            Some((0xFE, _)) => {
                self.ended = true;
                Ok(BinlogNext::End)
            }
            Some((0xFF, _)) => {
                self.ended = true;
                Err(server_error(packet))
            }
            _ => Err(WireError::protocol("an unknown packet in the log stream")),
        }
    }

    /// Silence after which the peer is taken for dead; more than the heartbeat period that was asked for.
    pub fn set_read_timeout(&mut self, limit: Option<std::time::Duration>) {
        self.connection.set_read_timeout(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_layout_of_the_protocol() {
        assert_eq!(register_body(5400), [&[0x18, 0x15, 0, 0][..], &[0; 13]].concat());
        assert_eq!(
            dump_body(7, "binlog.000002", 0x1_0004),
            [&[4, 0, 1, 0, 0, 0, 7, 0, 0, 0][..], b"binlog.000002"].concat()
        );
        let body = dump_gtid_body(7, &[9, 9]).unwrap();
        assert_eq!(body, [4, 0, 7, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 9, 9]);
    }
}
