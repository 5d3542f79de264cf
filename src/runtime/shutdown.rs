//! The stop signal: the first SIGTERM or SIGINT asks for a drained end, the second ends the process at once.

use tokio::sync::watch;

/// A cheap handle that every stage can wait on.
#[derive(Debug, Clone)]
pub(crate) struct Shutdown {
    requested: watch::Receiver<bool>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on, on a task of the current runtime.
    ///
    /// # Errors
    /// When the process may not install signal handlers.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (sender, requested) = watch::channel(false);
        tokio::spawn(async move {
            let mut wait = async || {
                tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                }
            };
            let signal = wait().await;
            tracing::info!(signal, "draining: the last rows are committed before the end");
            sender.send_replace(true);
            let signal = wait().await;
            tracing::warn!(
                signal,
                "asked twice to stop: ending without a last checkpoint, nothing committed is lost"
            );
            std::process::exit(EXIT_ASKED_TWICE);
        });
        Ok(Shutdown { requested })
    }

    /// Whether somebody asked for the end.
    pub(crate) fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until somebody asks for the end. Cancel-safe.
    pub(crate) async fn requested(&mut self) {
        if self.requested.wait_for(|asked| *asked).await.is_err() {
            // The listener is gone with its runtime: nobody can ask any more.
            std::future::pending::<()>().await;
        }
    }
}

/// As shells report a process that SIGTERM ended.
const EXIT_ASKED_TWICE: i32 = 143;
