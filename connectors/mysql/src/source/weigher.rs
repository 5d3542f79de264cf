//! Asks the server how its collations weigh the few texts that must be placed among ranges (correctness §3).

use std::collections::HashMap;

use cdc_api::{Error, Result};

use super::{Questions, Session};
use crate::{
    keys::{KeyCodec, Weight, WeightRequest},
    log::RowKeys,
    wire::Connection,
};

/// Weights that are remembered, bytes; beyond it all are forgotten.
const CACHE_BYTES_MAX: usize = 4 << 20;

/// Such questions, and the answers by table.
pub(crate) struct Weigher {
    questions: Questions,
    known: HashMap<cdc_api::TableId, HashMap<WeightRequest, Weight>>,
    known_bytes: usize,
}

impl Weigher {
    pub(crate) fn new(session: Session) -> Self {
        Weigher { questions: Questions::new(session), known: HashMap::new(), known_bytes: 0 }
    }

    /// Finishes the keys that wait.
    pub(crate) async fn settle(&mut self, codec: &KeyCodec, keys: &mut RowKeys) -> Result<()> {
        if self.known_bytes > CACHE_BYTES_MAX {
            self.known.clear();
            self.known_bytes = 0;
        }
        let known = self.known.entry(codec.table().clone()).or_default();
        let mut unknown: Vec<&WeightRequest> = Vec::new();
        for request in keys.pending().iter().flat_map(|key| key.requests()) {
            if !known.contains_key(request) && !unknown.contains(&request) {
                unknown.push(request);
            }
        }
        if !unknown.is_empty() {
            let mut connection = self.questions.ask().await?;
            let weighed = ask(&mut connection, codec, &unknown).await?;
            self.questions.answered(connection);
            for (request, weight) in weighed {
                self.known_bytes += request.bytes() + weight.bytes();
                known.insert(request, weight);
            }
        }
        if keys.settle(known) {
            Ok(())
        } else {
            Err(Error::internal("the server weighed too few texts"))
        }
    }
}

async fn ask(
    connection: &mut Connection,
    codec: &KeyCodec,
    requests: &[&WeightRequest],
) -> Result<Vec<(WeightRequest, Weight)>> {
    let mut weighed = Vec::with_capacity(requests.len());
    let mut left = requests.iter();
    for statement in codec.weight_queries(requests) {
        let rows = connection.query(&statement).await?;
        let row =
            rows.first().ok_or_else(|| Error::internal("a question for weights gave no row"))?;
        for column in 0..rows.names().len() {
            let Some(request) = left.next() else { break };
            let weight = codec
                .weight(request, row.at(column))
                .map_err(|error| Error::data(codec.table().clone(), error.to_string()))?;
            weighed.push(((*request).clone(), weight));
        }
    }
    Ok(weighed)
}
