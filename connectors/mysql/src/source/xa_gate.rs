//! Transactions that were prepared before the start: their rows stand in the log before P0, and no SELECT sees them until
//! their XA COMMIT. No range is opened before every one of them has ended (correctness §4).

use std::{collections::BTreeSet, time::Duration};

use cdc_api::{Error, Result};
use tokio::sync::watch;

use crate::wire::{Connection, WireError};

/// How often the server is asked while some are left.
const ASK_EVERY: Duration = Duration::from_millis(200);
const REPORT_AFTER: Duration = Duration::from_secs(10);

/// The state of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum XaGate {
    /// Ranges may be opened.
    Open,
    /// This many transactions are left.
    Waiting(usize),
    /// The question failed.
    Failed(String),
}

/// The xids that are prepared now; none when the account may not ask.
pub(crate) async fn prepared(connection: &mut Connection) -> Result<Option<BTreeSet<Vec<u8>>>> {
    const SPECIFIC_ACCESS_DENIED: u16 = 1227;
    const XA_RMERR: u16 = 1401;
    match connection.query("XA RECOVER").await {
        Ok(rows) => {
            let width = rows.names().len();
            let xid = |row: crate::wire::query::Row<'_>| {
                (0..width).map(|at| row.at(at).unwrap_or_default()).collect::<Vec<_>>().join(&0)
            };
            Ok(Some(rows.iter().map(xid).collect()))
        }
        Err(WireError::Server { code: SPECIFIC_ACCESS_DENIED | XA_RMERR, .. }) => Ok(None),
        Err(error) => Err(Error::from(error)),
    }
}

/// Asks until none of `waited_for` is left, and reports through the channel.
pub(crate) async fn watch_gate(
    mut connection: Connection,
    waited_for: BTreeSet<Vec<u8>>,
    gate: watch::Sender<XaGate>,
) {
    let mut waited = Duration::ZERO;
    loop {
        let left = match prepared(&mut connection).await {
            Ok(now) => now.unwrap_or_default().intersection(&waited_for).count(),
            Err(error) => {
                gate.send_replace(XaGate::Failed(error.to_string()));
                return;
            }
        };
        if left == 0 {
            gate.send_replace(XaGate::Open);
            return;
        }
        if waited >= REPORT_AFTER && waited < REPORT_AFTER + ASK_EVERY {
            tracing::warn!(
                left,
                "the snapshot waits for XA transactions that were prepared before the start; see XA RECOVER"
            );
        }
        gate.send_replace(XaGate::Waiting(left));
        tokio::time::sleep(ASK_EVERY).await;
        waited += ASK_EVERY;
    }
}
