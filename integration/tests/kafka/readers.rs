//! The programs that read Kafka and were not written here, and the schema registry.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use cdc_integration::{Failure, Instance, Outcome};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::OnceCell,
    task::JoinSet,
};

use crate::cluster::Cluster;

/// What a reader printed of one record: `partition`, `key`, `value`.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    pub(crate) partition: i64,
    pub(crate) key: Value,
    pub(crate) value: Value,
}

/// Runs a reader to its end; gives what it printed.
pub(crate) async fn run(program: &'static str, arguments: Vec<String>) -> Outcome<String> {
    tokio::task::spawn_blocking(move || {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/servers/server"))
            .args(["client", "readers", program])
            .args(&arguments)
            .stdin(Stdio::null())
            .output()?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::new(format!("{program} {arguments:?} failed:\n{said}")))
    })
    .await?
}

fn lines(text: &str) -> Outcome<Vec<Value>> {
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn reads(text: &str) -> Outcome<Vec<Read>> {
    let read = |mut line: Value| Read {
        partition: line["partition"].as_i64().unwrap_or(-1),
        key: line["key"].take(),
        value: line["value"].take(),
    };
    Ok(lines(text)?.into_iter().map(read).collect())
}

/// Reads a topic with `readers/read.py`, whose first lines tell the modes.
pub(crate) async fn python(
    cluster: &Cluster,
    mode: &str,
    topic: &str,
    more: &[&str],
) -> Outcome<Vec<Read>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/readers/read.py");
    let mut arguments = vec![script, mode, cluster.bootstrap(), topic];
    arguments.extend(more);
    let arguments = arguments.into_iter().map(str::to_owned).collect();
    reads(&run("python", arguments).await?)
}

/// Reads a topic with Kafka Connect's JSON converter and Debezium's classes.
pub(crate) async fn connect(cluster: &Cluster, topic: &str) -> Outcome<Vec<Read>> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kafka/readers/ReadConnect.java");
    let arguments = [source, cluster.bootstrap(), topic].map(str::to_owned).to_vec();
    reads(&run("connect", arguments).await?)
}

/// Reads a topic with kcat; gives its JSON envelopes.
pub(crate) async fn kcat(cluster: &Cluster, topic: &str) -> Outcome<Vec<Value>> {
    let arguments = ["-b", cluster.bootstrap(), "-C", "-t", topic, "-e", "-q", "-J"];
    lines(&run("kcat", arguments.map(str::to_owned).to_vec()).await?)
}

/// A schema registry.
pub(crate) struct Registry {
    _instance: Instance,
    port: u16,
}

impl Registry {
    /// The one of this test binary. It checks compatibility as Confluent's does unless told otherwise.
    pub(crate) async fn shared() -> Outcome<&'static Registry> {
        static SHARED: OnceCell<Registry> = OnceCell::const_new();
        SHARED
            .get_or_try_init(async || {
                let instance = Instance::start("registry", &[]).await?;
                let registry = Registry { port: instance.port(), _instance: instance };
                registry.ask("PUT", "/config", r#"{"compatibility":"BACKWARD"}"#).await?;
                Ok(registry)
            })
            .await
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Its address with TLS.
    pub(crate) fn tls_url(&self) -> String {
        format!("https://127.0.0.1:{}/apis/ccompat/v7", self.port + 2)
    }

    /// A place in front of it that asks for this header `Authorization`, or is closed.
    pub(crate) async fn gate(&self, authorization: Option<&'static str>) -> Outcome<Gate> {
        Gate::start(self.port, authorization).await
    }

    /// Asks it; its answer as JSON.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Outcome<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        // With HTTP/1.0 the answer ends with the connection.
        let request = format!(
            "{method} /apis/ccompat/v7{path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body)
            .map_err(|error| Failure::new(format!("{method} {path}: {error} in {answer}")))
    }

    /// The schemas of a subject, oldest first.
    pub(crate) async fn versions(&self, subject: &str) -> Outcome<Vec<Value>> {
        let numbers = self.ask("GET", &format!("/subjects/{subject}/versions"), "").await?;
        let mut schemas = Vec::new();
        for number in numbers.as_array().into_iter().flatten() {
            let path = format!("/subjects/{subject}/versions/{number}");
            let version = self.ask("GET", &path, "").await?;
            schemas.push(serde_json::from_str(version["schema"].as_str().unwrap_or_default())?);
        }
        Ok(schemas)
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/apis/ccompat/v7")
}

/// A small proxy in front of the registry.
pub(crate) struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Gate {
    async fn start(target: u16, authorization: Option<&'static str>) -> Outcome<Gate> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let open = Arc::new(AtomicBool::new(true));
        let is_open = Arc::clone(&open);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                // A closed gate drops who comes.
                if is_open.load(Ordering::Acquire) {
                    connections.spawn(async move {
                        // A connection that breaks is its client's to report.
                        let _ = pass(client, target, authorization).await;
                    });
                }
            }
        });
        Ok(Gate { port, open, _tasks: tasks })
    }

    /// The registry's address through the gate.
    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Lets requests through, or not.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }
}

async fn pass(mut client: TcpStream, target: u16, asked: Option<&str>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let is_allowed = asked.is_none_or(|asked| {
        text.lines()
            .filter_map(|line| line.split_once(": "))
            .any(|(name, value)| name.eq_ignore_ascii_case("authorization") && value == asked)
    });
    if !is_allowed {
        let body = r#"{"error_code":40101,"message":"Unauthorized"}"#;
        let answer = format!(
            "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
    server.write_all(&head).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
