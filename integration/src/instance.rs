//! One running instance of `integration/servers/server run …`.
//!
//! Comes in: the kind of server and its extra options. Goes out: where it listens, and the verbs of the script's line
//! protocol. The script ends with its standard input, so an instance never outlives the process that started it, however
//! that process ends.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use crate::{Failure, Outcome};

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("servers/server")
}

/// The folder with `ca.pem`, `server-cert.pem`, `client-cert.pem`, `client-key.pem`, and `other-ca.pem`, which signed
/// none of them.
pub fn tls_folder() -> Outcome<PathBuf> {
    let output = Command::new(script()).arg("tls").stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::new("the certificates could not be made"));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// A field of the script's answer: `name=value`.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// The script's process and both ends of its protocol. Locked for one question and its answer.
struct Control {
    process: Child,
    // None only while dropping: closing it tells the script to clean up.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Control {
    fn answer(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(Failure::new("the server's script ended; its last words are above"));
        }
        let line = line.trim_end().to_owned();
        match line.strip_prefix("failed ") {
            Some(reason) => Err(Failure::new(format!("the server did not start: {reason}"))),
            None => Ok(line),
        }
    }

    fn ask(&mut self, question: &str) -> Outcome<String> {
        let questions = self.questions.as_mut().expect("only drop takes the script's input");
        writeln!(questions, "{question}")?;
        questions.flush()?;
        self.answer()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.questions = None;
        // The folder is gone when this returns. The script cannot hang: all it does by now is kill -9 and rm.
        if let Err(error) = self.process.wait() {
            eprintln!("the server's script could not be waited for: {error}");
        }
    }
}

/// A running private server of any kind. Dropping it kills the server and removes its folder.
pub struct Instance {
    control: Arc<Mutex<Control>>,
    port: u16,
    /// Of the server's process; another after each start.
    pid: Arc<AtomicU32>,
    folder: PathBuf,
    url: String,
}

impl Instance {
    /// Starts a server of `kind` ("mysql", "mariadb" or "s3"), installing it first if this was never done.
    pub async fn start(kind: &str, options: &[&str]) -> Outcome<Instance> {
        let mut command = Command::new(script());
        command.arg("run").arg(kind).args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let kind = kind.to_owned();
        blocking(move || {
            let mut process = command
                .spawn()
                .map_err(|error| Failure::new(format!("{}: {error}", script().display())))?;
            let questions = process.stdin.take();
            let answers = process.stdout.take().expect("stdout was asked to be a pipe");
            let mut control = Control { process, questions, answers: BufReader::new(answers) };
            let ready = control.answer()?;
            let field = |name: &str| {
                field(&ready, name)
                    .ok_or_else(|| Failure::new(format!("{kind}: no {name} in \"{ready}\"")))
            };
            let pid = Arc::new(AtomicU32::new(field("pid")?.parse()?));
            let port = field("port")?.parse()?;
            let folder = PathBuf::from(field("dir")?);
            let url = field("url")?.to_owned();
            Ok(Instance { control: Arc::new(Mutex::new(control)), port, pid, folder, url })
        })
        .await
    }

    /// The port on 127.0.0.1; the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's process, such as it is since the last start.
    pub fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// The instance's own folder: `data/`, `socket`, `log`.
    pub fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Address and credentials in one, as the script printed them.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends one verb of the script's protocol with its options, and waits until it is done.
    pub async fn tell(&self, verb: &str, options: &[&str]) -> Outcome {
        let mut question = verb.to_owned();
        for option in options {
            question.push(' ');
            question.push_str(option);
        }
        let (control, pid) = (Arc::clone(&self.control), Arc::clone(&self.pid));
        blocking(move || {
            let mut control = control.lock().expect("no test panics while it holds the script");
            let answer = control.ask(&question)?;
            if let Some(started) = field(&answer, "pid") {
                pid.store(started.parse()?, Ordering::Relaxed);
            }
            Ok(())
        })
        .await
    }
}

/// Runs `work`, which waits for the script, without holding up the writers and watchers of the same runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Outcome<T> {
    tokio::task::spawn_blocking(work).await?
}
