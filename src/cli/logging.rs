//! Log lines on stderr, as text or JSON.

use tracing_subscriber::{EnvFilter, fmt};

use super::{LogFormat, terminal::Terminal};

/// Starts the process's one subscriber. `RUST_LOG` wins over `-v`.
pub(super) fn start(format: LogFormat, verbose: u8, terminal: Terminal) {
    let level = match verbose {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let started = match format {
        LogFormat::Text => lines.with_ansi(terminal.color).with_target(verbose > 0).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    // Only a second call in one process could fail, and then the first subscriber does the work.
    drop(started);
}
