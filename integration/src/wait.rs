//! The one place where the harness waits: for a state, with a deadline that only a broken run meets.

use std::time::{Duration, Instant};

use crate::{Failure, Outcome};

const POLL_EVERY: Duration = Duration::from_millis(20);

/// Asks `condition` every 20 ms until it is true. An error of the condition ends the waiting at once; after `deadline`
/// the failure names `what` was waited for.
pub async fn wait_until(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Outcome<bool>,
) -> Outcome {
    let begun = Instant::now();
    loop {
        if condition().await? {
            return Ok(());
        }
        if begun.elapsed() > deadline {
            return Err(Failure::new(format!("waited {deadline:?} in vain for {what}")));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
