//! A TCP proxy that damages what a server sends, as a broken network would.
//!
//! Comes in: the server's address, and a marker with how often it is to be damaged. Goes out: a port to connect to. Of
//! every damaged occurrence the last byte has one bit flipped; all else passes as it is.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{Outcome, Server};

/// What is to be damaged.
#[derive(Default)]
struct Plan {
    marker: Vec<u8>,
    times_left: u32,
    damaged: u32,
}

/// A running proxy. Its connections end when it is dropped.
pub struct Proxy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on a port of its own and passes everything to and from the server.
    pub async fn start(server: &Server) -> Outcome<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let target = (server.hostname().to_owned(), server.port());
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&plan);
        tasks.spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect((target.0.as_str(), target.1)).await else {
                    continue;
                };
                connections.spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Ok(Proxy { port, plan, _tasks: tasks })
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Damages the next so many occurrences of `marker`, a text whose first character occurs in it only once.
    pub fn damage(&self, marker: &str, times: u32) {
        let marker = marker.as_bytes().to_vec();
        *self.plan() = Plan { marker, times_left: times, damaged: 0 };
    }

    /// How many were damaged since [`Proxy::damage`].
    pub fn damaged(&self) -> u32 {
        self.plan().damaged
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().expect("nobody panics while holding the plan")
    }
}

/// One connection, until either end closes it.
async fn pass(client: TcpStream, server: TcpStream, plan: Arc<Mutex<Plan>>) {
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let up = tokio::io::copy(&mut client_in, &mut server_out);
    let down = async {
        let mut buffer = vec![0; 64 << 10];
        // How much of the marker the bytes so far end in; it may be split over two reads.
        let mut matched = 0;
        while let Ok(length @ 1..) = server_in.read(&mut buffer).await {
            let bytes = buffer.get_mut(..length).unwrap_or_default();
            strike(bytes, &mut matched, &plan);
            if client_out.write_all(bytes).await.is_err() {
                break;
            }
        }
    };
    // Whichever direction ends first ends both.
    tokio::select! {
        _ = up => {}
        () = down => {}
    }
}

fn strike(bytes: &mut [u8], matched: &mut usize, plan: &Mutex<Plan>) {
    let mut plan = plan.lock().expect("nobody panics while holding the plan");
    if plan.times_left == 0 {
        *matched = 0;
        return;
    }
    for byte in bytes {
        *matched = match plan.marker.get(*matched) {
            Some(expected) if expected == byte => *matched + 1,
            _ => usize::from(plan.marker.first() == Some(byte)),
        };
        if *matched == plan.marker.len() && plan.times_left > 0 {
            *byte ^= 1;
            *matched = 0;
            plan.times_left -= 1;
            plan.damaged += 1;
        }
    }
}
