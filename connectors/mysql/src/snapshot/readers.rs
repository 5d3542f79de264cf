//! The chunk readers of a run: their queue, their answers, and that they are there only while something is copied.

use std::sync::Arc;

use cdc_api::{Error, Result};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use super::{ChunkDone, ChunkJob, ChunkReader, Proof};
use crate::source::Session;

/// Jobs that may wait beyond one a reader.
const JOBS_AHEAD: usize = 2;

/// All chunk readers.
pub(crate) struct ChunkReaders {
    session: Session,
    proof: Proof,
    readers: usize,
    /// None while they rest.
    jobs: Option<mpsc::Sender<ChunkJob>>,
    answers: mpsc::Sender<ChunkDone>,
    done: mpsc::Receiver<ChunkDone>,
}

impl ChunkReaders {
    /// None of `readers` runs before the first job.
    pub(crate) fn new(session: Session, proof: Proof, readers: usize) -> Self {
        let (answers, done) = mpsc::channel(readers + JOBS_AHEAD);
        ChunkReaders { session, proof, readers, jobs: None, answers, done }
    }

    /// How many there are when they run.
    pub(crate) fn readers(&self) -> usize {
        self.readers
    }

    /// Hands out a job; the caller asks for no more at once than there are readers, and one or two ahead.
    pub(crate) fn ask(&mut self, job: ChunkJob, tasks: &mut JoinSet<()>) -> Result<()> {
        let jobs = match &mut self.jobs {
            Some(jobs) => jobs,
            none => {
                // Tasks that ended while nothing was copied are done with.
                while tasks.try_join_next().is_some() {}
                let (jobs, queue) = mpsc::channel(self.readers + JOBS_AHEAD);
                let queue = Arc::new(Mutex::new(queue));
                for _ in 0..self.readers {
                    let reader = ChunkReader {
                        session: self.session.clone(),
                        proof: self.proof,
                        jobs: Arc::clone(&queue),
                        done: self.answers.clone(),
                    };
                    tasks.spawn(reader.run());
                }
                none.insert(jobs)
            }
        };
        jobs.try_send(job)
            .map_err(|_| Error::internal("the chunk readers ended while ranges were left"))
    }

    /// Nothing is left to copy and no job is out: the readers end, and their connections with them.
    pub(crate) fn rest(&mut self) {
        self.jobs = None;
    }

    /// The next answer. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<ChunkDone> {
        self.done.recv().await
    }
}
