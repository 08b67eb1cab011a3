//! The bounded queue in front of the database, and the committers that empty it: callers that arrive while a commit is
//! under way share the next one.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::future::{FutureExt, join_all};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    Receipt, Rejection, Settings,
    endpoint::Endpoints,
    group::{Entry, Outcome, receipt},
    late::Late,
    turnstile::Turnstile,
    write::{self, Written},
};
use crate::{
    db::{Database, StatementLog},
    error::{Error, Result},
    live::{CommittedBatch, Publisher},
    model::{IdGenerator, Key, Measurement, ProjectId, Timestamp},
};

const RETRY_AFTER_S: u32 = 1;

/// A submission that passed the checks.
#[derive(Debug)]
pub struct Job {
    pub project: Key<ProjectId>,
    pub source: String,
    pub key: Option<String>,
    /// Empty without a key: nothing will ever be compared with it.
    pub body_hash: Vec<u8>,
    pub measurements: Vec<Measurement>,
    pub rejected: Vec<Rejection>,
    pub late: Late,
    pub received_at: Timestamp,
    pub log: StatementLog,
}

impl Job {
    /// What it takes of the queue and of a commit; never nothing.
    fn weight(&self) -> u32 {
        u32::try_from(self.measurements.len()).unwrap_or(u32::MAX).max(1)
    }
}

/// A job with somebody who waits for it, perhaps.
#[derive(Debug)]
struct Queued {
    job: Job,
    caller: oneshot::Sender<Result<Receipt>>,
    /// Given back when the job is settled, so that what is in a commit counts as queued too.
    room: OwnedSemaphorePermit,
}

/// Answers a caller and gives back its room in the queue, the room first: its next batch must find it free.
fn answer(caller: oneshot::Sender<Result<Receipt>>, room: OwnedSemaphorePermit, result: Result<Receipt>) {
    drop(room);
    // A caller that went away is no fault: its rows are stored, and its key tells it so when it asks again.
    let _ = caller.send(result);
}

/// Where callers put jobs and wait.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: mpsc::UnboundedSender<Queued>,
    /// One permit per row; the channel itself needs no bound then.
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

/// The queue and the future that empties it.
pub fn new(
    database: Database,
    ids: Arc<IdGenerator>,
    endpoints: Endpoints,
    publisher: Publisher,
    settings: &Settings,
) -> (Queue, Batcher) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let rows_max = usize::try_from(settings.queue_rows_max).unwrap_or(usize::MAX);
    let queue = Queue {
        sender,
        room: Arc::new(Semaphore::new(rows_max.min(Semaphore::MAX_PERMITS))),
        closing: CancellationToken::new(),
    };
    let intake =
        Intake { receiver, carried: None, closing: queue.closing.clone(), commit_rows_max: settings.commit_rows_max };
    let batcher = Batcher {
        database,
        ids,
        endpoints,
        publisher,
        turnstile: Turnstile::new(),
        intake: Mutex::new(intake),
        committers: settings.committers,
    };
    (queue, batcher)
}

impl Queue {
    /// Queues a job and waits until it is durable.
    pub async fn put(&self, job: Job) -> Result<Receipt> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(job.weight()).map_err(|error| match error {
            TryAcquireError::NoPermits => unavailable("the ingest queue is full; send the same batch again"),
            TryAcquireError::Closed => stopping(),
        })?;
        let (caller, receipt) = oneshot::channel();
        let queued = Queued { job, caller, room };
        self.sender.send(queued).map_err(|_| stopping())?;
        receipt.await.unwrap_or_else(|_| {
            Err(unavailable(
                "the server stopped before the batch was confirmed; send it again with the same idempotency key",
            ))
        })
    }

    pub fn close(&self) {
        self.room.close();
        self.closing.cancel();
    }
}

fn stopping() -> Error {
    unavailable("the server is stopping and takes no more metrics; send the same batch again")
}

fn unavailable(message: &'static str) -> Error {
    Error::Unavailable { message, retry_after_s: RETRY_AFTER_S, source: None }
}

/// The receiving end of the queue.
#[derive(Debug)]
struct Intake {
    receiver: mpsc::UnboundedReceiver<Queued>,
    /// Did not fit into the group before.
    carried: Option<Queued>,
    closing: CancellationToken,
    commit_rows_max: u32,
}

impl Intake {
    /// Waits for a job and takes what else is there, up to the rows of a commit. `None` when closed and empty.
    async fn next_group(&mut self) -> Option<Vec<Queued>> {
        let first = match self.carried.take() {
            Some(carried) => carried,
            None => self.next().await?,
        };
        // Lets callers that are about to submit do so: a lone row then waits microseconds, and a crowd shares a commit.
        tokio::task::yield_now().await;
        let mut rows = first.job.weight();
        let mut group = vec![first];
        while let Ok(queued) = self.receiver.try_recv() {
            rows = rows.saturating_add(queued.job.weight());
            if rows > self.commit_rows_max {
                self.carried = Some(queued);
                break;
            }
            group.push(queued);
        }
        Some(group)
    }

    async fn next(&mut self) -> Option<Queued> {
        tokio::select! {
            biased;
            queued = self.receiver.recv() => return queued,
            () = self.closing.cancelled() => self.receiver.close(),
        }
        self.receiver.recv().await
    }
}

/// Commits what is queued. Nothing is stored unless [`Batcher::run`] runs.
#[derive(Debug)]
pub struct Batcher {
    database: Database,
    ids: Arc<IdGenerator>,
    endpoints: Endpoints,
    publisher: Publisher,
    turnstile: Turnstile,
    intake: Mutex<Intake>,
    committers: usize,
}

impl Batcher {
    /// Commits until the queue is closed (or every handle gone) and all that was queued is durable and acknowledged.
    pub async fn run(self) {
        join_all((0..self.committers).map(|_| self.commit_groups())).await;
    }

    async fn commit_groups(&self) {
        loop {
            // One committer waits for work while the others write; the lock is free again before it writes itself.
            let group = self.intake.lock().await.next_group().await;
            match group {
                Some(group) => self.commit(group).await,
                None => return,
            }
        }
    }

    /// Commits a group, or, where one of several spoils it, each alone, so that only the culprit fails.
    async fn commit(&self, mut group: Vec<Queued>) {
        match self.write(&mut group).await {
            Ok(written) => self.settle(group, written),
            Err(error) if group.len() > 1 && !matches!(error, Error::Unavailable { .. }) => {
                tracing::warn!(%error, submissions = group.len(), "a shared commit failed; retrying one by one");
                for mut alone in group {
                    match self.write(std::slice::from_mut(&mut alone)).await {
                        Ok(written) => self.settle(vec![alone], written),
                        Err(error) => answer(alone.caller, alone.room, Err(error)),
                    }
                }
            }
            Err(error) => {
                for queued in group {
                    answer(queued.caller, queued.room, Err(error.clone()));
                }
            }
        }
    }

    /// A bug that panics costs the group that met it, not the committer: nobody would ever be answered again.
    async fn write(&self, group: &mut [Queued]) -> Result<Written> {
        let caught = AssertUnwindSafe(self.write_unguarded(group)).catch_unwind().await;
        caught.unwrap_or_else(|panic| Err(Error::internal(format!("a commit panicked: {}", words(&*panic)))))
    }

    async fn write_unguarded(&self, group: &mut [Queued]) -> Result<Written> {
        let mut jobs: Vec<&mut Job> = group.iter_mut().map(|queued| &mut queued.job).collect();
        let endpoints = self.endpoints.resolve(&mut jobs).await?;
        let entries = jobs
            .into_iter()
            .zip(endpoints)
            .map(|(job, endpoints)| {
                let job: &Job = job;
                let first_id = self.ids.reserve(job.received_at, job.weight());
                Entry::new(job, first_id, endpoints)
            })
            .collect::<Result<Vec<_>>>()?;
        write::group(self.database.backend(), &self.turnstile, &entries).await
    }

    /// As [`Batcher::write`]; what was not answered yet is told to ask again, because it is stored.
    fn settle(&self, group: Vec<Queued>, written: Written) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.settle_unguarded(group, written))) {
            tracing::error!(panic = words(&*panic), "a stored commit could not be published");
        }
    }

    /// Answers and publishes, in the order of sequences, before the next commit of these organizations may.
    fn settle_unguarded(&self, group: Vec<Queued>, written: Written) {
        let Written { outcomes, turn } = written;
        for (Queued { job, caller, room }, outcome) in group.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Answered(result) => answer(caller, room, result),
                Outcome::Stored { sequence, first_id } => {
                    answer(caller, room, Ok(receipt(&job, sequence, false)));
                    if let Some(sequence) = sequence {
                        self.publisher.publish(Arc::new(CommittedBatch {
                            organization: job.project.organization,
                            project: job.project,
                            sequence,
                            first_id,
                            received_at: job.received_at,
                            measurements: job.measurements,
                        }));
                    }
                }
            }
        }
        drop(turn);
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}
