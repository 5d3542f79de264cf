//! The socket with its buffers: packets in, packets out, in plain or through TLS, never waiting longer than told.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls, rustls::pki_types::ServerName};

use super::{error::WireError, options::ConnectOptions, packets, packets::PacketReader, payload};

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One connection's two directions.
pub(crate) struct Channel {
    stream: Stream,
    pub(crate) reader: PacketReader,
    out: Vec<u8>,
    read_timeout: Option<Duration>,
}

impl Channel {
    /// Opens the TCP connection.
    pub(crate) async fn open(
        options: &ConnectOptions,
        bytes_max: usize,
    ) -> Result<Channel, WireError> {
        let refused = |source| WireError::Connect { address: options.address(), source };
        let stream =
            TcpStream::connect((options.host.as_str(), options.port)).await.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        let probes = (options.keepalive / 3).max(Duration::from_secs(1));
        let keepalive = TcpKeepalive::new()
            .with_time(options.keepalive.max(Duration::from_secs(1)))
            .with_interval(probes)
            .with_retries(4);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(refused)?;
        Ok(Channel {
            stream: Stream::Plain(stream),
            reader: PacketReader::new(bytes_max),
            out: Vec::new(),
            read_timeout: None,
        })
    }

    pub(crate) fn set_read_timeout(&mut self, limit: Option<Duration>) {
        self.read_timeout = limit;
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Goes on in TLS. Nothing may have been received in plain beyond what was read.
    pub(crate) async fn encrypt(
        self,
        connector: &TlsConnector,
        name: ServerName<'static>,
    ) -> Result<Channel, WireError> {
        let Stream::Plain(stream) = self.stream else {
            return Err(WireError::Tls("the connection is encrypted already".into()));
        };
        if !self.reader.is_empty() {
            return Err(WireError::Tls("the server sent plain bytes behind its greeting".into()));
        }
        let stream = connector.connect(name, stream).await.map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(cause) => WireError::Tls(cause.to_string()),
                // A server that goes down in the middle of it comes back.
                None => WireError::Io(io::Error::new(
                    error.kind(),
                    format!("in the TLS handshake: {error}"),
                )),
            }
        })?;
        Ok(Channel { stream: Stream::Tls(Box::new(stream)), ..self })
    }

    /// Reads what has come, at least one byte. Cancel-safe.
    pub(crate) async fn fill(&mut self) -> Result<(), WireError> {
        let room = self.reader.make_room();
        let stream = &mut self.stream;
        let reading = async {
            match stream {
                Stream::Plain(stream) => stream.read_buf(room).await,
                Stream::Tls(stream) => stream.read_buf(room).await,
            }
        };
        let count = match limited(self.read_timeout, "an answer was due", reading).await {
            // Servers that go away do not end TLS first, which the library takes for an error with words of its own.
            Err(WireError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            count => count?,
        };
        if count == 0 {
            let ended =
                io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection");
            return Err(WireError::Io(ended));
        }
        Ok(())
    }

    /// The next packet, waiting for it; an error packet is returned as an error.
    pub(crate) async fn packet(&mut self) -> Result<&[u8], WireError> {
        while self.reader.peek()?.is_none() {
            self.fill().await?;
        }
        let packet = self.reader.next_packet()?.unwrap_or_default();
        match packet.first() {
            Some(0xFF) => Err(payload::server_error(packet)),
            Some(_) => Ok(packet),
            None => Err(WireError::protocol("an empty packet")),
        }
    }

    /// Puts a command into the output without sending it; only for commands that have no answer.
    pub(crate) fn put_command(&mut self, code: u8, body: &[u8]) -> u8 {
        let command: Vec<u8> = std::iter::once(code).chain(body.iter().copied()).collect();
        packets::put_packets(&mut self.out, &command, 0)
    }

    /// Sends a command; its answer starts a new sequence.
    pub(crate) async fn command(&mut self, code: u8, body: &[u8]) -> Result<(), WireError> {
        let sequence = self.put_command(code, body);
        self.reader.set_sequence(sequence);
        self.flush().await
    }

    /// Sends a packet in the running sequence (login).
    pub(crate) async fn reply(&mut self, body: &[u8]) -> Result<(), WireError> {
        let sequence = packets::put_packets(&mut self.out, body, self.reader.sequence());
        self.reader.set_sequence(sequence);
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), WireError> {
        let (stream, out) = (&mut self.stream, &self.out);
        let writing = async {
            match stream {
                Stream::Plain(stream) => {
                    stream.write_all(out).await?;
                    stream.flush().await
                }
                Stream::Tls(stream) => {
                    stream.write_all(out).await?;
                    stream.flush().await
                }
            }
        };
        limited(self.read_timeout, "a command was sent", writing).await?;
        self.out.clear();
        self.out.shrink_to(64 << 10);
        Ok(())
    }
}

async fn limited<T>(
    limit: Option<Duration>,
    during: &'static str,
    work: impl Future<Output = io::Result<T>>,
) -> Result<T, WireError> {
    match limit {
        None => Ok(work.await?),
        Some(after) => match timeout(after, work).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(WireError::Timeout { during, after }),
        },
    }
}
