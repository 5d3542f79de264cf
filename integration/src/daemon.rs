//! The real `cdc-cli` binary as a child process.
//!
//! Comes in: a pipeline file in a folder of its own, arguments, environment. Goes out: its output lines as they come,
//! and how it ended. The binary is `$CDC_CLI_BIN`, or the one that cargo built beside the tests.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{Failure, Outcome, wait_until};

/// A temporary folder for one pipeline: its file, by default its state, and its lake. Removed when dropped.
pub struct PipelineFolder {
    folder: tempfile::TempDir,
}

impl PipelineFolder {
    /// An empty folder.
    pub fn new() -> Outcome<PipelineFolder> {
        Ok(PipelineFolder { folder: tempfile::Builder::new().prefix("cdc-test-").tempdir()? })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where pipelines of this folder should write: `lake`.
    pub fn lake(&self) -> PathBuf {
        self.path().join("lake")
    }

    /// Writes (or overwrites) a file, mostly a pipeline.
    pub fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let file = self.path().join(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    /// The `sink:` block that writes Parquet files into [`lake`](Self::lake), and a `pipeline:` block that makes
    /// checkpoints every `checkpoint_interval` (such as `200ms`).
    pub fn parquet_yaml(&self, checkpoint_interval: &str) -> String {
        format!(
            "sink:\n  type: parquet\n  path: {}\npipeline:\n  checkpoint.interval: {checkpoint_interval}\n",
            self.lake().display()
        )
    }
}

/// How a process ended, and all it said.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit code; None if a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Exit {
    /// Fails, showing what the process said, unless it ended with `code`.
    pub fn expect_code(self, code: i32) -> Outcome<Exit> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let ended = self.code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
        Err(Failure::new(format!(
            "expected exit code {code}, got {ended}\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        )))
    }
}

/// One output stream, gathered by a thread of its own so that the process never waits for its reader.
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Lines {
    fn gather(stream: impl Read + Send + 'static) -> Lines {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let gathered = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                gathered.lock().expect("nobody panics while holding the lines").push(text);
                line.clear();
            }
        });
        Lines { lines, reader: Some(reader) }
    }

    fn so_far(&self) -> Vec<String> {
        self.lines.lock().expect("nobody panics while holding the lines").clone()
    }

    /// All lines, once the process has ended and so closed the stream.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the thread that gathers lines does not panic");
        }
        self.so_far().join("\n")
    }
}

/// A running `cdc-cli`. Killed when dropped.
pub struct Daemon {
    process: Child,
    stdout: Lines,
    stderr: Lines,
}

impl Daemon {
    /// Starts `cdc-cli run FILE`.
    pub fn run(pipeline: &Path) -> Outcome<Daemon> {
        Daemon::start(&["run".as_ref(), pipeline.as_os_str()], &[])
    }

    /// Starts `cdc-cli` with these arguments and additional environment variables.
    pub fn start(arguments: &[&std::ffi::OsStr], environment: &[(&str, &str)]) -> Outcome<Daemon> {
        let binary = binary()?;
        let mut process = Command::new(&binary)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("{}: {error}", binary.display())))?;
        let stdout = process.stdout.take().expect("stdout was asked to be a pipe");
        let stderr = process.stderr.take().expect("stderr was asked to be a pipe");
        Ok(Daemon { process, stdout: Lines::gather(stdout), stderr: Lines::gather(stderr) })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The lines of standard output so far.
    pub fn stdout(&self) -> Vec<String> {
        self.stdout.so_far()
    }

    /// The lines of standard error, where the log goes, so far.
    pub fn log(&self) -> Vec<String> {
        self.stderr.so_far()
    }

    /// Waits until a log line contains `text`, and returns that line. Fails at once if the process ends without it.
    pub async fn wait_for_log(&mut self, text: &str, deadline: Duration) -> Outcome<String> {
        let mut found = None;
        let waited = wait_until(&format!("the log line \"{text}\""), deadline, async || {
            // Asked before the lines are read: what an ended process said last must still count.
            let ended = self.process.try_wait()?;
            if ended.is_some() {
                self.stderr.all();
            }
            found = self.stderr.so_far().into_iter().find(|line| line.contains(text));
            match ended {
                Some(status) if found.is_none() => {
                    Err(Failure::new(format!("it ended ({status}) before it logged \"{text}\"")))
                }
                _ => Ok(found.is_some()),
            }
        })
        .await;
        waited.map_err(|error| self.explain(&error))?;
        found.ok_or_else(|| Failure::new("a log line that was found is gone"))
    }

    /// Asks it to drain and stop: SIGTERM.
    pub fn terminate(&self) -> Outcome {
        self.signal(libc::SIGTERM)
    }

    /// Sends any signal.
    pub fn signal(&self, signal: i32) -> Outcome {
        let id = i32::try_from(self.process.id())?;
        // SAFETY: kill(2) takes two integers and touches no memory. The child is not reaped before `self` is used
        // up, so the id still names it.
        if unsafe { libc::kill(id, signal) } == 0 {
            return Ok(());
        }
        Err(std::io::Error::last_os_error().into())
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(mut self) -> Outcome<Exit> {
        self.process.kill()?;
        let status = self.process.wait()?;
        Ok(self.exit(status.code()))
    }

    /// Waits until it ends by itself.
    pub async fn wait(mut self, deadline: Duration) -> Outcome<Exit> {
        let mut status = None;
        let waited = wait_until("cdc-cli to end", deadline, async || {
            status = self.process.try_wait()?;
            Ok(status.is_some())
        })
        .await;
        waited.map_err(|error| Failure::new(format!("{error}\n{}", self.last_words())))?;
        Ok(self.exit(status.and_then(|status| status.code())))
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(self, deadline: Duration) -> Outcome<Exit> {
        self.terminate()?;
        self.wait(deadline).await
    }

    fn exit(&mut self, code: Option<i32>) -> Exit {
        Exit { code, stdout: self.stdout.all(), stderr: self.stderr.all() }
    }

    /// A failure, and behind it what the daemon logged last.
    pub fn explain(&self, failure: &Failure) -> Failure {
        Failure::new(format!("{failure}\n{}", self.last_words()))
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let begin = log.len().saturating_sub(40);
        format!("--- the end of its log\n{}", log.get(begin..).unwrap_or_default().join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs `cdc-cli` with these arguments until it ends by itself.
pub async fn run_to_end(arguments: &[&str], deadline: Duration) -> Outcome<Exit> {
    let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(|text| text.as_ref()).collect();
    Daemon::start(&arguments, &[])?.wait(deadline).await
}

/// The binary under test: `CDC_CLI_BIN`, or the one built beside the running test.
pub fn binary() -> Outcome<PathBuf> {
    if let Some(binary) = std::env::var_os("CDC_CLI_BIN") {
        return Ok(PathBuf::from(binary));
    }
    // Tests are target/<profile>/deps/<name>-<hash>; the binary is target/<profile>/cdc-cli.
    let test = std::env::current_exe()?;
    let binary = test.ancestors().skip(1).take(2).map(|folder| folder.join("cdc-cli"));
    binary.into_iter().find(|file| file.is_file()).ok_or_else(|| {
        Failure::new("cdc-cli is not built: run `cargo build`, or set CDC_CLI_BIN to the binary")
    })
}
