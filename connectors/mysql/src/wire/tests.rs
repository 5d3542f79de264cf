//! A connection against a scripted server: what it sends is canned, what it gets is checked.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;

/// The scripted end of a connection.
struct Server {
    stream: TcpStream,
}

impl Server {
    async fn send(&mut self, sequence: u8, payload: &[u8]) {
        let mut out = Vec::new();
        packets::put_packets(&mut out, payload, sequence);
        self.stream.write_all(&out).await.unwrap();
    }

    async fn receive(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.unwrap();
        let mut payload =
            vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
        self.stream.read_exact(&mut payload).await.unwrap();
        payload
    }

    /// Lets the client in. `deprecate_eof` is what the server says it can.
    async fn greet(&mut self, deprecate_eof: bool) {
        let mut greeting = b"\x0A8.4.3\0\x4D\0\0\0ABCDEFGH\0\xFF\xF7\xFF\x02\0".to_vec();
        greeting.extend_from_slice(&[0xFF, if deprecate_eof { 0xDF } else { 0xDE }, 21]);
        greeting.extend_from_slice(&[0; 10]);
        greeting.extend_from_slice(b"IJKLMNOPQRST\0mysql_native_password\0");
        self.send(0, &greeting).await;
        let answer = self.receive().await;
        assert!(answer[32..].starts_with(b"cdc\0\x14"), "user and a proof of 20 bytes");
        self.send(2, &[0, 0, 0, 2, 0, 0, 0]).await;
    }
}

/// Runs a script as the server and gives the connected client.
async fn connected<F>(
    deprecate_eof: bool,
    script: impl FnOnce(Server) -> F + Send + 'static,
) -> (Connection, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut server = Server { stream: listener.accept().await.unwrap().0 };
        server.greet(deprecate_eof).await;
        script(server).await;
    });
    let mut options = ConnectOptions::new("127.0.0.1", port, "cdc", "secret");
    // A script that went wrong fails, it does not hang.
    options.read_timeout = Some(Duration::from_secs(30));
    (Connection::connect(&options).await.unwrap(), server)
}

fn column(name: &str) -> Vec<u8> {
    let mut out = b"\x03def\0\0\0".to_vec();
    payload::put_string(&mut out, name.as_bytes());
    out.extend_from_slice(b"\0\x0C\x3F\0\x0B\0\0\0\x03\0\0\0\0\0");
    out
}

const END: &[u8] = &[0xFE, 0, 0, 2, 0];
const GONE: &[u8] = b"\xFF\xBF\x0F#HY000gone";

#[tokio::test]
async fn results_end_where_they_end_in_both_dialects() {
    for deprecate_eof in [true, false] {
        let (mut client, server) = connected(deprecate_eof, async move |mut server: Server| {
            assert_eq!(server.receive().await, b"\x03SELECT a, b");
            server.send(1, &[2]).await;
            server.send(2, &column("a")).await;
            server.send(3, &column("b")).await;
            let mut sequence = 4;
            if !deprecate_eof {
                server.send(sequence, END).await;
                sequence += 1;
            }
            server.send(sequence, b"\x011\xFB").await;
            server.send(sequence + 1, b"\x012\x02xy").await;
            server.send(sequence + 2, END).await;
            assert_eq!(server.receive().await, [0x0E]);
            server.send(1, &[0, 0, 0, 2, 0, 0, 0]).await;
        })
        .await;
        let rows = client.query("SELECT a, b").await.unwrap();
        let got: Vec<_> = rows.iter().map(|row| (row.text("a"), row.text("b"))).collect();
        assert_eq!(got, [(Some("1".into()), None), (Some("2".into()), Some("xy".into()))]);
        client.ping().await.unwrap();
        server.await.unwrap();
    }
}

#[tokio::test]
async fn binary_rows_stream_and_an_error_among_them_ends_the_result_only() {
    let (mut client, server) = connected(true, async |mut server: Server| {
        assert_eq!(server.receive().await, b"\x16SELECT a");
        server.send(1, &[0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        server.send(2, &column("a")).await;
        assert_eq!(server.receive().await, [0x17, 7, 0, 0, 0, 0, 1, 0, 0, 0]);
        server.send(1, &[1]).await;
        server.send(2, &column("a")).await;
        server.send(3, &[0, 0, 1, 0, 0, 0]).await;
        server.send(4, &[0, 4]).await;
        server.send(5, GONE).await;
        assert_eq!(server.receive().await, [0x19, 7, 0, 0, 0]);
        assert_eq!(server.receive().await, b"\x03DO 1");
        server.send(1, &[0, 0, 0, 2, 0, 0, 0]).await;
    })
    .await;
    let statement = client.prepare("SELECT a").await.unwrap();
    assert_eq!(statement.columns()[0].name, "a");
    let mut stream = client.execute_stream(&statement).await.unwrap();
    let mut rows = Vec::new();
    let error = loop {
        match stream.next_rows().await {
            Ok(Some(packets)) => rows.extend(packets.map(<[u8]>::to_vec)),
            Ok(None) => panic!("the error was swallowed"),
            Err(error) => break error,
        }
    };
    assert_eq!(rows, [vec![0, 0, 1, 0, 0, 0], vec![0, 4]]);
    assert_eq!(error.code(), Some(4031));
    client.close_statement(statement);
    client.query_drop("DO 1").await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_result_that_was_left_makes_the_connection_unusable() {
    let (mut client, server) = connected(true, async |mut server: Server| {
        server.receive().await;
        server.send(1, &[1]).await;
        server.send(2, &column("a")).await;
        server.send(3, b"\x011").await;
        server.send(4, END).await;
    })
    .await;
    drop(client.query_stream("SELECT a").await.unwrap());
    assert!(matches!(client.ping().await, Err(WireError::Protocol(_))));
    server.await.unwrap();
}

#[tokio::test]
async fn the_log_streams_until_the_server_ends_or_refuses_it() {
    for last in [END, GONE] {
        let (client, server) = connected(true, async move |mut server: Server| {
            assert_eq!(server.receive().await[..5], [0x15, 0x18, 0x15, 0, 0]);
            server.send(1, &[0, 0, 0, 2, 0, 0, 0]).await;
            assert_eq!(server.receive().await[0], 0x1E);
            server.send(1, b"\0first").await;
            server.send(2, b"\0second").await;
            server.send(3, last).await;
        })
        .await;
        let start = BinlogStart::Gtid { executed: vec![0; 8] };
        let request = BinlogRequest { server_id: 5400, start };
        let mut log = client.start_binlog(&request).await.unwrap();
        let mut events = Vec::new();
        let end = loop {
            match log.next_event() {
                Ok(BinlogNext::Event(event)) => events.push(event.to_vec()),
                Ok(BinlogNext::Pending) => log.fill().await.unwrap(),
                Ok(BinlogNext::End) => break None,
                Err(error) => break error.code(),
            }
        };
        assert_eq!(events, [b"first".to_vec(), b"second".to_vec()]);
        assert_eq!(end, (last == GONE).then_some(4031));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_silent_peer_is_taken_for_dead_and_a_closed_one_noticed() {
    let (mut client, server) = connected(true, async |mut server: Server| {
        server.receive().await;
        // Silent until the client has gone.
        server.stream.read_to_end(&mut Vec::new()).await.unwrap();
    })
    .await;
    client.set_read_timeout(Some(Duration::from_millis(20)));
    let error = client.ping().await.unwrap_err();
    assert!(matches!(error, WireError::Timeout { .. }) && error.is_transient());
    drop(client);
    server.await.unwrap();

    let (mut client, server) = connected(true, async |_| {}).await;
    server.await.unwrap();
    assert!(matches!(client.ping().await, Err(WireError::Io(_))));
}

/// What becomes of a connection that needs TLS, with a server of these capabilities (the low bytes) that greets, hears
/// one packet if it offers TLS, and goes down.
async fn with_tls_required(capabilities: [u8; 2]) -> WireError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut server = Server { stream: listener.accept().await.unwrap().0 };
        let mut greeting = b"\x0A8.4.3\0\x4D\0\0\0ABCDEFGH\0".to_vec();
        greeting.extend_from_slice(&capabilities);
        greeting.extend_from_slice(b"\xFF\x02\0\xFF\xDE\x15");
        greeting.extend_from_slice(&[0; 10]);
        greeting.extend_from_slice(b"IJKLMNOPQRST\0mysql_native_password\0");
        server.send(0, &greeting).await;
        if capabilities[1] & 0x08 != 0 {
            server.stream.readable().await.unwrap();
        }
    });
    let mut options = ConnectOptions::new("127.0.0.1", port, "cdc", "secret");
    options.tls.mode = TlsMode::Required;
    let error = Connection::connect(&options).await.err().expect("no connection");
    server.await.unwrap();
    error
}

#[tokio::test]
async fn tls_that_is_required_and_not_offered_is_an_error() {
    assert!(matches!(with_tls_required([0xFF, 0xF7]).await, WireError::Tls(_)));
}

#[tokio::test]
async fn a_server_that_goes_down_in_the_handshake_is_met_again() {
    let error = with_tls_required([0xFF, 0xFF]).await;
    assert!(matches!(error, WireError::Io(_)) && error.is_transient(), "{error}");
}
