//! The bounded queue in front of the database, and the committers that empty it. Submissions that arrive during a commit
//! share the next one (group commit).

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use futures_util::future::{FutureExt, join_all};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{
    commit_group::{CommitEntry, Outcome},
    endpoint::EndpointIds,
    grain::Grains,
    job::Job,
    publish_order::PublishOrder,
    submission::Receipt,
    write::{self, Written},
};
use crate::{
    config,
    db::{Database, IdGenerator},
    error::{Error, Result},
    live::{CommittedBatch, Publisher},
};

const RETRY_AFTER_S: u32 = 1;

/// A job in the queue or in a commit.
#[derive(Debug)]
struct QueuedJob {
    job: Job,
    caller: oneshot::Sender<Result<Receipt>>,
    /// Released when the job is done, so that rows in a commit count as queued.
    capacity: OwnedSemaphorePermit,
}

/// Releases the capacity of a job and answers its caller. In this order, because the caller's next batch must find the
/// capacity free.
fn answer(caller: oneshot::Sender<Result<Receipt>>, capacity: OwnedSemaphorePermit, result: Result<Receipt>) {
    drop(capacity);
    // The caller may have disconnected: its rows are stored, and a retry with the key returns the receipt.
    let _ = caller.send(result);
}

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: mpsc::UnboundedSender<QueuedJob>,
    /// One permit per row. It bounds the queue, so the channel needs no bound.
    capacity: Arc<Semaphore>,
    closing: CancellationToken,
}

/// The queue and the future that empties it.
pub fn new(
    database: Database,
    ids: IdGenerator,
    endpoints: EndpointIds,
    grains: Grains,
    publisher: Publisher,
    settings: &config::Ingest,
) -> (Queue, Batcher) {
    let (sender, receiver) = mpsc::unbounded_channel();
    // A queue smaller than one call would refuse that call for ever.
    let queue_rows = usize::try_from(settings.queue_rows_max.max(settings.rows_max)).unwrap_or(usize::MAX);
    let queue = Queue {
        sender,
        capacity: Arc::new(Semaphore::new(queue_rows.min(Semaphore::MAX_PERMITS))),
        closing: CancellationToken::new(),
    };
    let groups = GroupReader {
        receiver,
        carried: None,
        closing: queue.closing.clone(),
        commit_rows_max: settings.commit_rows_max,
    };
    // SQLite has one writer; a second committer only made the groups smaller when measured.
    let committers = database.writers();
    let batcher = Batcher {
        database,
        ids,
        endpoints,
        grains,
        publisher,
        publish_order: PublishOrder::new(),
        groups: Mutex::new(groups),
        committers,
    };
    (queue, batcher)
}

impl Queue {
    /// Queues a job and waits until it is durable.
    pub async fn put(&self, job: Job) -> Result<Receipt> {
        let capacity =
            Arc::clone(&self.capacity).try_acquire_many_owned(job.weight()).map_err(|error| match error {
                TryAcquireError::NoPermits => unavailable("the ingest queue is full; send the same batch again"),
                TryAcquireError::Closed => stopping(),
            })?;
        let (caller, receipt) = oneshot::channel();
        let queued = QueuedJob { job, caller, capacity };
        self.sender.send(queued).map_err(|_| stopping())?;
        receipt.await.unwrap_or_else(|_| {
            Err(unavailable(
                "the server stopped before the batch was confirmed; send it again with the same idempotency key",
            ))
        })
    }

    pub fn close(&self) {
        self.capacity.close();
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
struct GroupReader {
    receiver: mpsc::UnboundedReceiver<QueuedJob>,
    /// The job that exceeded the row limit of the previous group.
    carried: Option<QueuedJob>,
    closing: CancellationToken,
    commit_rows_max: u32,
}

impl GroupReader {
    /// Waits for a job and adds all other queued jobs, up to the row limit of a commit. `None` when the queue is closed and
    /// empty.
    async fn next_group(&mut self) -> Option<Vec<QueuedJob>> {
        let first = match self.carried.take() {
            Some(carried) => carried,
            None => self.next().await?,
        };
        // Lets tasks that are ready to submit run first: a single row waits microseconds, concurrent callers share a commit.
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

    async fn next(&mut self) -> Option<QueuedJob> {
        tokio::select! {
            biased;
            queued = self.receiver.recv() => return queued,
            () = self.closing.cancelled() => self.receiver.close(),
        }
        self.receiver.recv().await
    }
}

/// Commits queued jobs in groups. Without a running [`Batcher::run`] nothing is stored.
#[derive(Debug)]
pub struct Batcher {
    database: Database,
    ids: IdGenerator,
    endpoints: EndpointIds,
    grains: Grains,
    publisher: Publisher,
    publish_order: PublishOrder,
    groups: Mutex<GroupReader>,
    /// Number of concurrent commits: one per connection for writes.
    committers: u32,
}

impl Batcher {
    /// Commits until the queue is closed, or all its handles are dropped, and every queued job is durable and acknowledged.
    pub async fn run(self) {
        join_all((0..self.committers).map(|_| self.commit_groups())).await;
    }

    async fn commit_groups(&self) {
        loop {
            // One committer waits for jobs while the others write. It releases the lock before it writes.
            let group = self.groups.lock().await.next_group().await;
            match group {
                Some(group) => self.commit(group).await,
                None => return,
            }
        }
    }

    /// Commits a group. If that fails for another reason than an unavailable database, commits each job alone, so that only
    /// the faulty one fails.
    async fn commit(&self, mut group: Vec<QueuedJob>) {
        match self.write(&mut group).await {
            Ok(written) => self.settle(group, written),
            Err(error) if group.len() > 1 && !matches!(error, Error::Unavailable { .. }) => {
                tracing::warn!(%error, submissions = group.len(), "a group commit failed; committing each submission alone");
                for mut alone in group {
                    match self.write(std::slice::from_mut(&mut alone)).await {
                        Ok(written) => self.settle(vec![alone], written),
                        Err(error) => answer(alone.caller, alone.capacity, Err(error)),
                    }
                }
            }
            Err(error) => {
                for queued in group {
                    answer(queued.caller, queued.capacity, Err(error.clone()));
                }
            }
        }
    }

    /// Turns a panic into an error of this group. Otherwise the committer would end, and no later job would be answered.
    async fn write(&self, group: &mut [QueuedJob]) -> Result<Written> {
        let caught = AssertUnwindSafe(self.write_unguarded(group)).catch_unwind().await;
        caught.unwrap_or_else(|panic| Err(Error::internal(format!("a commit panicked: {}", panic_message(&*panic)))))
    }

    /// Acknowledges only what is in a file that the next start finds.
    async fn write_unguarded(&self, group: &mut [QueuedJob]) -> Result<Written> {
        let file = self.database.file_watch();
        file.look()?;
        file.confirm(self.write_checked(group).await)
    }

    async fn write_checked(&self, group: &mut [QueuedJob]) -> Result<Written> {
        let mut jobs: Vec<&mut Job> = group.iter_mut().map(|queued| &mut queued.job).collect();
        let endpoints = self.endpoints.resolve(&mut jobs).await?;
        let jobs: Vec<&Job> = jobs.into_iter().map(|job| &*job).collect();
        let grains = self.grains.resolve(&jobs, &endpoints).await?;
        // Before the ids are made: ids of a later lease are then refused, never ids of an earlier one accepted.
        let lease = self.ids.lease();
        let entries = jobs
            .into_iter()
            .zip(endpoints)
            .map(|(job, endpoints)| {
                let first_id = self.ids.reserve(job.received_at, job.weight())?;
                CommitEntry::new(job, first_id, endpoints)
            })
            .collect::<Result<Vec<_>>>()?;
        write::group(self.database.bulk_writer(), &self.publish_order, lease, &entries, &grains).await
    }

    /// Answers and publishes a stored group. After a panic, callers that were not answered are told to retry: their rows
    /// are stored.
    fn settle(&self, group: Vec<QueuedJob>, written: Written) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.settle_unguarded(group, written))) {
            tracing::error!(panic = panic_message(&*panic), "a stored commit could not be published");
        }
    }

    /// Answers and publishes in the order of sequences. The permit is held until then.
    fn settle_unguarded(&self, group: Vec<QueuedJob>, written: Written) {
        let Written { outcomes, permit } = written;
        for (QueuedJob { job, caller, capacity }, outcome) in group.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Answered(result) => answer(caller, capacity, result),
                Outcome::Stored { sequence, first_id } => {
                    answer(caller, capacity, Ok(job.receipt(sequence, false)));
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
        drop(permit);
    }
}

/// The message of a panic.
fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
