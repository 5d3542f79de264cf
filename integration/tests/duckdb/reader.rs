//! The real DuckDB, as a process that answers one statement after the other.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use cdc_integration::{Failure, Outcome};

const PROGRAM: &str = include_str!("reader.py");

/// A DuckDB in a working directory, which paths in statements are relative to. Ended when dropped.
pub(crate) struct DuckDb {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    /// Starts it, and installs it first if this was never done.
    pub(crate) fn start(directory: &Path) -> Outcome<DuckDb> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("servers/server");
        let output = Command::new(script).arg("duckdb").stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            return Err(Failure::new("DuckDB could not be installed"));
        }
        let python = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut process = Command::new(python)
            .args(["-c", PROGRAM])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = process.stdin.take().ok_or_else(|| Failure::new("no stdin"))?;
        let answers = process.stdout.take().ok_or_else(|| Failure::new("no stdout"))?;
        Ok(DuckDb { process, questions, answers: BufReader::new(answers) })
    }

    /// The rows of a statement, each with its columns as `name=value` by name; or what DuckDB says is wrong.
    pub(crate) fn rows(&mut self, statement: &str) -> Outcome<Result<Vec<String>, String>> {
        writeln!(self.questions, "{}", serde_json::to_string(statement)?)?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(Failure::new("DuckDB ended; its last words are above"));
        }
        let answer: serde_json::Value = serde_json::from_str(&line)?;
        if let Some(error) = answer["error"].as_str() {
            return Ok(Err(error.to_owned()));
        }
        let rows = answer["rows"].as_array().ok_or_else(|| Failure::new("no rows in an answer"))?;
        let text = |row: &serde_json::Value| {
            let cells = row.as_array().into_iter().flatten().filter_map(|cell| cell.as_str());
            cells.collect::<Vec<_>>().join(" ")
        };
        Ok(Ok(rows.iter().map(text).collect()))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
