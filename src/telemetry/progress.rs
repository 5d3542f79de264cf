//! The display of a run on stderr: bars and a live line on a terminal, plain log lines elsewhere.

use std::time::{Duration, Instant};

use cdc_api::SourcePhase;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Status, StatusCell, metrics};
use crate::runtime::now_us;

/// Where the display goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Display {
    /// Bars on a terminal.
    Terminal,
    /// A log line now and then.
    Log,
}

const TERMINAL_EVERY: Duration = Duration::from_millis(200);
/// Log lines come close together at first, so that somebody who watches sees life, and then rarely.
const LOG_FIRST: Duration = Duration::from_secs(2);
const LOG_EVERY: Duration = Duration::from_secs(30);

/// Shows the status until dropped.
pub(crate) async fn show(pipeline: String, status: StatusCell, display: Display) {
    let mut rates = Rates::new();
    match display {
        Display::Terminal => {
            let bar = ProgressBar::new_spinner();
            loop {
                tokio::time::sleep(TERMINAL_EVERY).await;
                let now = status.get();
                rates.observe(&now);
                metrics::publish(&pipeline, &now, lag_seconds(&now));
                draw(&bar, &now, &rates);
            }
        }
        Display::Log => {
            let mut pause = LOG_FIRST;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOG_EVERY);
                let now = status.get();
                rates.observe(&now);
                metrics::publish(&pipeline, &now, lag_seconds(&now));
                log(&now, &rates);
            }
        }
    }
}

/// Seconds behind the source's last commit; zero when all is read.
fn lag_seconds(status: &Status) -> f64 {
    match status.source.last_commit_ts_us {
        Some(commit_us) if !status.source.caught_up => {
            (now_us().saturating_sub(commit_us)).max(0) as f64 / 1e6
        }
        _ => 0.0,
    }
}

fn draw(bar: &ProgressBar, status: &Status, rates: &Rates) {
    let source = &status.source;
    let waiting = source.waiting.as_ref().map(|why| format!(" · {why}")).unwrap_or_default();
    let stopped = match source.quarantined.len() {
        0 => String::new(),
        count => format!(" · {count} quarantined"),
    };
    if source.position.is_empty() {
        bar.set_style(style("{spinner} connecting"));
    } else if source.phase == SourcePhase::Snapshot {
        let total = source.rows_estimated.max(source.rows_read);
        bar.set_length(total);
        bar.set_position(source.rows_read);
        bar.set_style(style("{spinner} copying {wide_bar} {pos}/~{len} rows  {msg}"));
        bar.set_message(format!(
            "{}/s · {}/{} tables · {} left{stopped}{waiting}",
            thousands(rates.rows_per_s),
            source.tables_done,
            source.tables,
            time_left(total - source.rows_read, rates.rows_per_s),
        ));
    } else {
        bar.set_style(style("{spinner} streaming  {msg}"));
        bar.set_message(format!(
            "lag {:.1}s · {} events/s · {} at {}{stopped}{waiting}",
            lag_seconds(status),
            thousands(rates.changes_per_s),
            if source.caught_up { "caught up" } else { "catching up" },
            source.position,
        ));
    }
    bar.tick();
}

/// A template that is wrong shows as itself: it is a constant.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn log(status: &Status, rates: &Rates) {
    let source = &status.source;
    let waiting = source.waiting.as_deref();
    if source.phase == SourcePhase::Snapshot {
        tracing::info!(
            rows = source.rows_read,
            rows_estimated = source.rows_estimated,
            rows_per_s = rates.rows_per_s as u64,
            tables = source.tables,
            tables_done = source.tables_done,
            quarantined = source.quarantined.len(),
            waiting,
            "copying"
        );
    } else {
        tracing::info!(
            lag_s = lag_seconds(status),
            events = status.changes,
            events_per_s = rates.changes_per_s as u64,
            position = %source.position,
            checkpoint = status.committed.map(|(id, _)| id),
            quarantined = source.quarantined.len(),
            waiting,
            "streaming"
        );
    }
}

/// Rows and changes per second since the last look.
struct Rates {
    at: Instant,
    rows: u64,
    changes: u64,
    rows_per_s: f64,
    changes_per_s: f64,
}

impl Rates {
    fn new() -> Self {
        Rates { at: Instant::now(), rows: 0, changes: 0, rows_per_s: 0.0, changes_per_s: 0.0 }
    }

    fn observe(&mut self, status: &Status) {
        let now = Instant::now();
        let seconds = (now - self.at).as_secs_f64().max(1e-3);
        let rate = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        // A short memory keeps the numbers readable.
        let blend = |old: f64, new: f64| old * 0.6 + new * 0.4;
        self.rows_per_s = blend(self.rows_per_s, rate(status.source.rows_read, self.rows));
        self.changes_per_s = blend(self.changes_per_s, rate(status.changes, self.changes));
        (self.at, self.rows, self.changes) = (now, status.source.rows_read, status.changes);
    }
}

fn time_left(rows: u64, rows_per_s: f64) -> String {
    if rows_per_s < 1.0 {
        return "?".into();
    }
    let seconds = (rows as f64 / rows_per_s) as u64;
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// `1.2M`, `340k`, `17`.
fn thousands(number: f64) -> String {
    match number {
        n if n >= 1e6 => format!("{:.1}M", n / 1e6),
        n if n >= 1e3 => format!("{:.0}k", n / 1e3),
        n => format!("{n:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(1_234_567.0), "1.2M");
        assert_eq!(thousands(999.4), "999");
        assert_eq!(time_left(7_300, 2.0), "1h00m");
        assert_eq!(time_left(100, 0.0), "?");
    }
}
