//! How every task of a run connects: one set of options, and what is known of the server.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use cdc_api::{Error, Result};

use crate::{
    metadata::{self, ServerInfo},
    position::ServerIdentity,
    types::Flavor,
    wire::{ConnectOptions, Connection},
};

/// A cheap handle.
#[derive(Clone)]
pub(crate) struct Session(Arc<Inner>);

struct Inner {
    options: ConnectOptions,
    flavor: Flavor,
    server_id: AtomicU32,
    replica_uuid: String,
}

impl Session {
    /// `server_id` is the one we appear under as a replica.
    pub(crate) fn new(options: ConnectOptions, flavor: Flavor, server_id: u32) -> Self {
        let replica_uuid = replica_uuid(server_id, std::process::id());
        Session(Arc::new(Inner {
            options,
            flavor,
            server_id: AtomicU32::new(server_id),
            replica_uuid,
        }))
    }

    pub(crate) fn flavor(&self) -> Flavor {
        self.0.flavor
    }

    pub(crate) fn server_id(&self) -> u32 {
        self.0.server_id.load(Ordering::Relaxed)
    }

    /// The server ends another stream that has the same UUID, so each process has its own.
    pub(crate) fn replica_uuid(&self) -> &str {
        &self.0.replica_uuid
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::connect(&self.0.options).await.map_err(Error::from)
    }

    /// A connection whose SELECTs give stored bytes (correctness §7), and whose server it is.
    pub(crate) async fn connect_for_rows(&self) -> Result<(Connection, ServerIdentity)> {
        let mut connection = self.connect().await?;
        let info = ServerInfo::read(&mut connection).await.map_err(Error::from)?;
        let identity = self.identity(&info);
        for statement in metadata::session_sql(self.0.flavor) {
            connection.query_drop(&statement).await.map_err(Error::from)?;
        }
        Ok((connection, identity))
    }

    /// Whose log positions are (correctness §2: "`high` belongs to one server").
    pub(crate) fn identity(&self, info: &ServerInfo) -> ServerIdentity {
        info.identity(&self.0.options.host, self.0.options.port)
    }
}

/// A UUID of the name-less kind made from what tells this process from others; only the server looks at it.
fn replica_uuid(server_id: u32, process_id: u32) -> String {
    format!("cdc0{server_id:08x}")
        .chars()
        .take(8)
        .chain("-0000-4000-8000-".chars())
        .chain(format!("{server_id:06x}{process_id:06x}").chars().rev().take(12))
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_uuid_has_the_form_of_one() {
        for (server, process) in [(1, 1), (u32::MAX, u32::MAX), (5400, 4_194_304)] {
            let uuid = replica_uuid(server, process);
            let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
            assert!(uuid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()), "{uuid}");
        }
    }
}
