//! A MySQL or MariaDB server for a test.
//!
//! Comes in: the kind, and options that differ from the defaults of `integration/servers/`. Goes out: connections of the
//! independent client, fresh databases, the `source:` block that names the server, and the verbs that hurt it.
//! A server given by environment variable takes the place of the *shared* one; tests that need options of their own or
//! stop their server always start a private one.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use crate::{Failure, Instance, Outcome, Sql};

/// Which make of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// MySQL 8.4 or newer, with GTIDs unless told otherwise.
    Mysql,
    /// MariaDB 10.11.
    Mariadb,
}

impl ServerKind {
    /// Both, for tests that run on each.
    pub const ALL: [ServerKind; 2] = [ServerKind::Mysql, ServerKind::Mariadb];

    /// The name that the scripts and the messages use.
    pub fn name(self) -> &'static str {
        match self {
            ServerKind::Mysql => "mysql",
            ServerKind::Mariadb => "mariadb",
        }
    }

    fn given_by(self) -> &'static str {
        match self {
            ServerKind::Mysql => "CDC_TEST_MYSQL_URL",
            ServerKind::Mariadb => "CDC_TEST_MARIADB_URL",
        }
    }
}

/// A name and its password.
#[derive(Clone, Debug)]
struct Login {
    user: String,
    password: String,
}

impl Login {
    fn new(user: &str, password: &str) -> Login {
        Login { user: user.to_owned(), password: password.to_owned() }
    }
}

/// A server that tests may use. Private ones are killed and removed when dropped.
pub struct Server {
    kind: ServerKind,
    instance: Option<Instance>,
    hostname: String,
    port: u16,
    admin: Login,
    source: Login,
}

impl Server {
    /// Starts a private server with extra options (`--name=value`, without blanks).
    pub async fn start(kind: ServerKind, options: &[&str]) -> Outcome<Server> {
        let instance = Instance::start(kind.name(), options).await?;
        Ok(Server {
            kind,
            hostname: "127.0.0.1".to_owned(),
            port: instance.port(),
            admin: Login::new("root", ""),
            source: Login::new("cdc", "cdc"),
            instance: Some(instance),
        })
    }

    /// The server that this test binary's tests share, started at first use; or the one given by environment variable.
    /// Each test makes its own database in it.
    pub async fn shared(kind: ServerKind) -> Outcome<&'static Server> {
        static MYSQL: OnceCell<Server> = OnceCell::const_new();
        static MARIADB: OnceCell<Server> = OnceCell::const_new();
        let cell = match kind {
            ServerKind::Mysql => &MYSQL,
            ServerKind::Mariadb => &MARIADB,
        };
        cell.get_or_try_init(async || match std::env::var(kind.given_by()) {
            Ok(url) => Server::given(kind, &url),
            Err(_) => Server::start(kind, &[]).await,
        })
        .await
    }

    fn given(kind: ServerKind, url: &str) -> Outcome<Server> {
        let opts = mysql_async::Opts::from_url(url)
            .map_err(|error| Failure::new(format!("{}: {error}", kind.given_by())))?;
        let login = Login::new(opts.user().unwrap_or("root"), opts.pass().unwrap_or(""));
        Ok(Server {
            kind,
            instance: None,
            hostname: opts.ip_or_hostname().to_owned(),
            port: opts.tcp_port(),
            admin: login.clone(),
            source: login,
        })
    }

    /// The make of this server.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Where it listens.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The port; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The private instance behind it, if there is one.
    pub fn instance(&self) -> Outcome<&Instance> {
        self.instance.as_ref().ok_or_else(|| {
            Failure::new(format!(
                "the server given by {} is not ours to touch",
                self.kind.given_by()
            ))
        })
    }

    /// A connection with all rights.
    pub async fn connect(&self) -> Outcome<Sql> {
        Sql::connect(&self.hostname, self.port, &self.admin.user, &self.admin.password).await
    }

    /// A new, empty database whose name starts with `prefix` and is used by no other test.
    pub async fn new_database(&self, prefix: &str) -> Outcome<String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}_{}_{count}", std::process::id());
        self.connect()
            .await?
            .run(&format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"))
            .await?;
        Ok(name)
    }

    /// The `source:` block of a pipeline that reads `tables` from this server as the user with just the grants needed.
    pub fn source_yaml(&self, tables: &str) -> String {
        format!(
            "source:\n  type: mysql\n  hostname: {}\n  port: {}\n  username: {}\n  password: '{}'\n  tables: '{tables}'\n",
            self.hostname, self.port, self.source.user, self.source.password
        )
    }

    /// Clean shutdown.
    pub async fn stop(&self) -> Outcome {
        self.instance()?.tell("stop", &[]).await
    }

    /// kill -9.
    pub async fn kill(&self) -> Outcome {
        self.instance()?.tell("kill", &[]).await
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill`](Self::kill) (a running one is killed first), with these
    /// extra options instead of the earlier ones.
    pub async fn restart(&self, options: &[&str]) -> Outcome {
        self.instance()?.tell("start", options).await
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub async fn pause(&self) -> Outcome {
        self.instance()?.tell("pause", &[]).await
    }

    /// SIGCONT.
    pub async fn resume(&self) -> Outcome {
        self.instance()?.tell("resume", &[]).await
    }
}
