//! The command line: arguments in, exit code out. Data goes to stdout; logs, notices and errors to stderr.

mod connectors;
mod errors;
mod logging;
mod sample;
mod terminal;
mod validate;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use cdc_api::{Error, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use errors::error_text;

use crate::{
    compose,
    definition::{self, PipelineSpec, ProcessEnvironment, Report},
    registry::Registry,
};
use terminal::Terminal;

/// The run failed, or a person must act.
const EXIT_FAILED: u8 = 1;
/// The pipeline file is wrong (sysexits' EX_CONFIG).
const EXIT_CONFIG: u8 = 78;

const EXAMPLES: &str = "\
Examples:
  cdc-cli connectors mysql            what the MySQL source can do, option by option
  cdc-cli validate pipeline.yaml      every fault of the file at once, without a connection
  cdc-cli plan pipeline.yaml          which tables would be copied, and where to
  cdc-cli run pipeline.yaml           all rows, then every change, until Ctrl-C

A small pipeline file:
  source:
    type: mysql
    hostname: localhost
    username: cdc
    password: ${DB_PASSWORD}
    tables: shop.\\.*
  sink:
    type: parquet
    path: ./lake

Exit codes: 0 done, 1 failed, 2 wrong arguments, 78 wrong pipeline file.";

/// Copies databases into streams and lakehouses: all rows, then every change, without locks and without a JVM.
#[derive(Debug, Parser)]
#[command(name = "cdc-cli", version, after_help = EXAMPLES, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Args)]
struct Global {
    /// Form of the log lines on stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
    /// More log lines; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline: copy all rows, then follow every change
    ///
    /// Ends by itself with `scan.startup.mode: snapshot`, else on Ctrl-C or SIGTERM, when all is committed. Run again, it
    /// goes on where it stopped, also after a crash.
    Run {
        /// The pipeline file
        file: PathBuf,
    },
    /// Check a pipeline file and print all its faults
    Validate {
        /// The pipeline file
        file: PathBuf,
        /// Also connect: check server settings, grants, tables and the target
        #[arg(long)]
        connect: bool,
    },
    /// Show what a run would do: tables, schemas, rows, chunk keys
    Plan {
        /// The pipeline file
        file: PathBuf,
    },
    /// Show what the transforms of a pipeline do
    ///
    /// With --explain, per captured table, the output schema and the compiled plan (connects for the tables' columns).
    /// With --sample, rows from a file through the rules, without a database.
    Transform {
        /// The pipeline file
        file: PathBuf,
        /// Print output schemas and plans
        #[arg(long, required_unless_present = "sample")]
        explain: bool,
        /// JSON file: {"table": "db.t", "columns": {"id": "BIGINT NOT NULL", …}, "primary-key": ["id"], "rows": [{…}]}
        #[arg(long, value_name = "ROWS")]
        sample: Option<PathBuf>,
    },
    /// List the connectors, or the options of one
    Connectors {
        /// A connector, or `pipeline` for the options of the pipeline block
        name: Option<String>,
        /// How to print them
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

/// Reads the process's arguments and does what they say.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let terminal = Terminal::stderr(arguments.global.color);
    logging::start(arguments.global.log_format, arguments.global.verbose, terminal);
    let result = match arguments.command {
        Command::Run { file } => run(&file, terminal),
        Command::Validate { file, connect } => validate(&file, connect, terminal),
        Command::Plan { file } => plan(&file, terminal),
        Command::Transform { file, explain, sample } => {
            transform(&file, explain, sample.as_deref(), terminal)
        }
        Command::Connectors { name, format } => {
            connectors::text(name.as_deref(), format).and_then(|text| print(&text)).map(|()| 0)
        }
    };
    ExitCode::from(result.unwrap_or_else(|error| report(&error, terminal)))
}

fn run(file: &std::path::Path, terminal: Terminal) -> cdc_api::Result<u8> {
    let Some(spec) = read(file, terminal) else { return Ok(EXIT_CONFIG) };
    let options = compose::RunOptions { terminal: terminal.interactive };
    match runtime()?.block_on(compose::run(spec, options))? {
        compose::RunOutcome::Complete => Ok(0),
        compose::RunOutcome::Incomplete => Ok(EXIT_FAILED),
    }
}

fn plan(file: &std::path::Path, terminal: Terminal) -> cdc_api::Result<u8> {
    let Some(spec) = read(file, terminal) else { return Ok(EXIT_CONFIG) };
    let planned = runtime()?.block_on(compose::plan(spec))?;
    show(&planned, terminal).map(|()| 0)
}

fn transform(
    file: &std::path::Path,
    explain: bool,
    sample: Option<&std::path::Path>,
    terminal: Terminal,
) -> cdc_api::Result<u8> {
    let Some(spec) = read(file, terminal) else { return Ok(EXIT_CONFIG) };
    if let Some(sample) = sample {
        show(&sample::text(&spec, sample)?, terminal)?;
    }
    if explain {
        show(&runtime()?.block_on(compose::explain(spec))?, terminal)?;
    }
    Ok(0)
}

/// The text, and behind it what is hardly meant.
fn show(planned: &compose::Planned, terminal: Terminal) -> cdc_api::Result<()> {
    print(&planned.text)?;
    warn(planned.warnings.as_ref(), terminal);
    Ok(())
}

fn warn(warnings: Option<&Report>, terminal: Terminal) {
    if let Some(warnings) = warnings {
        tell(&warnings.screen(terminal.screen()));
    }
}

fn validate(file: &std::path::Path, connect: bool, terminal: Terminal) -> cdc_api::Result<u8> {
    let Some(spec) = read(file, terminal) else { return Ok(EXIT_CONFIG) };
    print(&validate::summary(&spec))?;
    if !connect {
        warn(spec.transform.warnings(&[])?.as_ref(), terminal);
        return Ok(0);
    }
    let connected = runtime()?.block_on(validate::connect(&spec))?;
    print(&connected.text)?;
    warn(spec.transform.warnings(&connected.programs)?.as_ref(), terminal);
    Ok(if connected.is_ok { 0 } else { EXIT_FAILED })
}

/// Reads the pipeline file; its faults and notices go to stderr.
fn read(file: &std::path::Path, terminal: Terminal) -> Option<PipelineSpec> {
    match definition::read_file(file, &Registry, &ProcessEnvironment) {
        Ok(definition) => {
            for notice in &definition.notices {
                let file = file.display();
                let (line, path, message) = (notice.line, &notice.path, &notice.message);
                tell(&format!("notice: {file}:{line}: {path}: {message}\n"));
            }
            Some(definition.spec)
        }
        Err(report) => {
            tell(&report.screen(terminal.screen()));
            None
        }
    }
}

fn runtime() -> cdc_api::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::operator("the process cannot start its threads").caused_by(error))
}

/// Data for the user or the next program in a pipe.
fn print(text: &str) -> cdc_api::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader of a pipe has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => {
            result.map_err(|error| Error::operator("stdout cannot be written").caused_by(error))
        }
    }
}

/// Words for the user. With stderr gone there is nobody to tell.
fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

fn report(error: &Error, terminal: Terminal) -> u8 {
    tell(&error_text(error, terminal.color));
    match error.kind() {
        ErrorKind::Config => EXIT_CONFIG,
        _ => EXIT_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_are_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_fits_a_terminal() {
        let help = Arguments::command().term_width(100).render_long_help().to_string();
        assert!(help.contains("validate pipeline.yaml"));
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}
