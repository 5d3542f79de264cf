//! The one order of chunks: they are encoded side by side and produced one behind the other, as they came.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use cdc_api::{Error, Result};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{encode::Encoded, session::Session};

/// What waits in the queue beside the one that is being produced: enough that encoders never wait for the producer while
/// it works, few enough to bound memory.
const QUEUED_MAX: usize = 2;
/// Buffers that are kept for the next chunks.
const BUFFERS_MAX: usize = QUEUED_MAX + 2;
/// A buffer that one huge row has grown is not kept.
const BUFFER_BYTES_KEPT_MAX: usize = 8 << 20;

enum Job {
    Rows(JoinHandle<Result<Encoded>>),
    Flush(oneshot::Sender<Result<()>>),
}

/// The writer's end of the queue.
pub(crate) struct Sequence {
    jobs: mpsc::Sender<Job>,
    failure: Arc<Mutex<Option<Error>>>,
    buffers: Buffers,
    task: JoinHandle<()>,
}

impl Sequence {
    /// Starts the task that produces.
    pub(crate) fn start(session: Arc<Session>) -> Sequence {
        let (jobs, inbox) = mpsc::channel(QUEUED_MAX);
        let failure = Arc::new(Mutex::new(None));
        let buffers = Buffers::default();
        let task = tokio::spawn(serve(session, inbox, Arc::clone(&failure), buffers.clone()));
        Sequence { jobs, failure, buffers, task }
    }

    /// A buffer to encode into.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.buffers.take()
    }

    /// Room for one more chunk: waits until there is, so that no more are encoded than may wait.
    pub(crate) async fn room(&self) -> Result<Room<'_>> {
        self.jobs.reserve().await.map(Room).map_err(|_| self.error())
    }

    /// Waits until all chunks so far are on the brokers, and rows behind them are held back where there are transactions.
    pub(crate) async fn flush(&self) -> Result<()> {
        let (answer, done) = oneshot::channel();
        self.jobs.send(Job::Flush(answer)).await.map_err(|_| self.error())?;
        done.await.map_err(|_| self.error())?
    }

    fn error(&self) -> Error {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure
            .take()
            .unwrap_or_else(|| Error::internal("producing to Kafka ended without an error"))
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A place in the queue.
pub(crate) struct Room<'a>(mpsc::Permit<'a, Job>);

impl Room<'_> {
    /// Takes the place with a chunk that is being encoded.
    pub(crate) fn put(self, encoding: JoinHandle<Result<Encoded>>) {
        self.0.send(Job::Rows(encoding));
    }
}

async fn serve(
    session: Arc<Session>,
    mut inbox: mpsc::Receiver<Job>,
    failure: Arc<Mutex<Option<Error>>>,
    buffers: Buffers,
) {
    while let Some(job) = inbox.recv().await {
        let result = match job {
            Job::Rows(encoding) => produce(&session, encoding, &buffers).await,
            Job::Flush(answer) => {
                let flushed = flush(&session).await;
                let is_over = flushed.is_err();
                // Nobody waits any more when the run is being torn down.
                let _ = answer.send(flushed);
                if is_over {
                    return;
                }
                Ok(())
            }
        };
        if let Err(error) = result {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return;
        }
    }
}

async fn produce(
    session: &Arc<Session>,
    encoding: JoinHandle<Result<Encoded>>,
    buffers: &Buffers,
) -> Result<()> {
    let encoded = encoding
        .await
        .map_err(|error| Error::internal("encoding records was cut off").caused_by(error))??;
    session.opened().await;
    let buffer = session
        .blocking(move |session| {
            session.produce(&encoded)?;
            Ok(encoded.bytes)
        })
        .await?;
    buffers.give(buffer);
    Ok(())
}

async fn flush(session: &Arc<Session>) -> Result<()> {
    if session.is_transactional() {
        // A checkpoint that follows at once waits here for the commit of the one before.
        session.opened().await;
        session.set_open(false);
    }
    session.blocking(Session::flush).await
}

/// Buffers between two chunks.
#[derive(Clone, Default)]
struct Buffers(Arc<Mutex<VecDeque<Vec<u8>>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.pop_front().unwrap_or_default()
    }
    fn give(&self, buffer: Vec<u8>) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.len() < BUFFERS_MAX && buffer.capacity() <= BUFFER_BYTES_KEPT_MAX {
            buffers.push_back(buffer);
        }
    }
}
