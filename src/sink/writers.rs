//! Writer tasks. Each owns one [`SinkWriter`] and takes messages in order from a bounded channel, so that a slow sink
//! holds the source back and nothing is dropped.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
};

use cdc_api::{
    ChangeBatch, CheckpointId, Committable, Error, EventSinkProvider, Op, Ops, Partitioning,
    Result, SinkContext, SinkWriter, TableId, TableSchema,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use crate::flow::ToWriter;

/// Messages that may wait in front of a writer: enough to keep it busy, few enough to bound memory.
const QUEUE_MESSAGES_MAX: usize = 2;

/// All writers of one sink.
pub(crate) struct Writers {
    queues: Vec<mpsc::Sender<ToWriter>>,
    partitioning: Partitioning,
    failure: Failure,
    /// Where each table's log changes go.
    homes: HashMap<TableId, usize>,
    turn: usize,
    /// Dropping it ends the tasks.
    _tasks: JoinSet<()>,
}

impl Writers {
    /// Opens `context.writers` writers, each on its task.
    pub(crate) async fn start(
        sink: &dyn EventSinkProvider,
        context: &SinkContext,
    ) -> Result<Writers> {
        let failure = Failure::new();
        let mut tasks = JoinSet::new();
        let mut queues = Vec::with_capacity(context.writers);
        for index in 0..context.writers {
            let writer = sink.writer(context, index).await?;
            let (sender, receiver) = mpsc::channel(QUEUE_MESSAGES_MAX);
            tasks.spawn(serve(writer, receiver, failure.clone()));
            queues.push(sender);
        }
        Ok(Writers {
            queues,
            partitioning: sink.capabilities().partitioning,
            failure,
            homes: HashMap::new(),
            turn: 0,
            _tasks: tasks,
        })
    }

    /// Tells every writer the schema of a table's next batches.
    pub(crate) async fn schema(&mut self, schema: &Arc<TableSchema>) -> Result<()> {
        for index in 0..self.queues.len() {
            self.send(index, ToWriter::Schema(Arc::clone(schema))).await?;
        }
        Ok(())
    }

    /// Hands rows to the writer they belong to; waits while its queue is full.
    pub(crate) async fn write(&mut self, batch: ChangeBatch) -> Result<()> {
        let index = self.place(&batch);
        self.send(index, ToWriter::Rows(batch)).await
    }

    /// Sends the barrier to every writer; the answers come through the returned receivers, one a writer.
    pub(crate) async fn flush(&mut self, checkpoint: CheckpointId) -> Result<Vec<Staged>> {
        let mut answers = Vec::with_capacity(self.queues.len());
        for index in 0..self.queues.len() {
            let (staged, answer) = oneshot::channel();
            self.send(index, ToWriter::Flush { checkpoint, staged }).await?;
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Ends all writers after the last commit; returns what they have to say to the user.
    pub(crate) async fn close(self) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for index in 0..self.queues.len() {
            let (sender, answer) = oneshot::channel();
            self.send(index, ToWriter::Close(sender)).await?;
            match answer.await {
                Ok(line) => lines.extend(line?),
                Err(_) => return Err(self.failure.wait().await),
            }
        }
        Ok(lines)
    }

    /// Waits until a writer has failed, and gives its error. Cancel-safe.
    pub(crate) async fn failed(&self) -> Error {
        self.failure.wait().await
    }

    /// Where failures of this sink are reported.
    pub(crate) fn failure(&self) -> Failure {
        self.failure.clone()
    }

    fn place(&mut self, batch: &ChangeBatch) -> usize {
        let count = self.queues.len();
        if self.partitioning == Partitioning::Single || count == 1 {
            return 0;
        }
        if matches!(batch.ops, Ops::All(Op::Read)) {
            // Snapshot rows carry their order with them: the emptiest queue takes them.
            self.turn = (self.turn + 1) % count;
            let turn = self.turn;
            return (0..count)
                .map(|step| (turn + step) % count)
                .max_by_key(|&index| self.queues[index].capacity())
                .unwrap_or(0);
        }
        if let Some(&home) = self.homes.get(batch.schema.id()) {
            return home;
        }
        let mut hasher = DefaultHasher::new();
        batch.schema.id().hash(&mut hasher);
        let home = (hasher.finish() % count as u64) as usize;
        self.homes.insert(batch.schema.id().clone(), home);
        home
    }

    async fn send(&self, index: usize, message: ToWriter) -> Result<()> {
        // A full queue may be one that nobody empties any more.
        tokio::select! {
            biased;
            sent = self.queues[index].send(message) => match sent {
                Ok(()) => Ok(()),
                Err(_) => Err(self.failure.wait().await),
            },
            failure = self.failure.wait() => Err(failure),
        }
    }
}

/// A writer's answer to a barrier; none from one that failed.
pub(crate) type Staged = oneshot::Receiver<Vec<Committable>>;

async fn serve(
    mut writer: Box<dyn SinkWriter>,
    mut queue: mpsc::Receiver<ToWriter>,
    failure: Failure,
) {
    let _reporter = failure.on_panic("a writer of the sink panicked");
    while let Some(message) = queue.recv().await {
        let result = match message {
            ToWriter::Schema(schema) => writer.schema(&schema).await,
            ToWriter::Rows(batch) => writer.write(batch).await,
            ToWriter::Flush { checkpoint, staged } => match writer.flush(checkpoint).await {
                Ok(committables) => {
                    // Nobody waits any more when the run is being torn down.
                    let _ = staged.send(committables);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            ToWriter::Close(answer) => {
                let closed = writer.close().await;
                let _ = answer.send(closed);
                return;
            }
        };
        if let Err(error) = result {
            failure.report(error);
            return;
        }
    }
}

/// The first error of a writer or of the commit, for whoever waits for one of them: the flow of rows, which alone takes it.
#[derive(Clone)]
pub(crate) struct Failure {
    error: Arc<Mutex<Option<Error>>>,
    reported: Arc<watch::Sender<bool>>,
}

impl Failure {
    fn new() -> Self {
        Failure { error: Arc::default(), reported: Arc::new(watch::Sender::new(false)) }
    }

    pub(crate) fn report(&self, error: Error) {
        let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error);
        drop(slot);
        self.reported.send_replace(true);
    }

    /// Reports a panic of the task that holds what is returned.
    pub(crate) fn on_panic(&self, message: &'static str) -> PanicReporter {
        PanicReporter { failure: self.clone(), message }
    }

    /// Waits until something has failed, and takes the error. Cancel-safe.
    pub(crate) async fn wait(&self) -> Error {
        let mut reported = self.reported.subscribe();
        // The sender lives as long as `self`.
        let _ = reported.wait_for(|reported| *reported).await;
        let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take().unwrap_or_else(|| Error::internal("the sink failed, and the error was taken"))
    }
}

/// Tells of a task that panicked: nobody may wait for it for ever.
pub(crate) struct PanicReporter {
    failure: Failure,
    message: &'static str,
}

impl Drop for PanicReporter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failure.report(Error::internal(self.message));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A writer may wait for a commit that has failed, and then its queue stays full.
    #[tokio::test]
    async fn a_full_queue_hears_of_a_failed_commit() {
        let (queue, _never_read) = mpsc::channel(1);
        let writers = Writers {
            queues: vec![queue],
            partitioning: Partitioning::Single,
            failure: Failure::new(),
            homes: HashMap::new(),
            turn: 0,
            _tasks: JoinSet::new(),
        };
        let message = || ToWriter::Close(oneshot::channel().0);
        writers.send(0, message()).await.unwrap();
        let commit = writers.failure();
        let (sent, ()) = tokio::join!(
            tokio::time::timeout(Duration::from_secs(10), writers.send(0, message())),
            async { commit.report(Error::operator("the commit failed")) },
        );
        let error = sent.expect("it does not wait for ever").unwrap_err();
        assert_eq!(error.message(), "the commit failed");
    }

    #[tokio::test]
    async fn a_panic_is_reported() {
        let failure = Failure::new();
        let reporter = failure.on_panic("a task panicked");
        let task = tokio::spawn(async move {
            let _reporter = reporter;
            panic!("as asked");
        });
        assert!(task.await.is_err());
        assert_eq!(failure.wait().await.message(), "a task panicked");
    }
}
