//! Finds the execution that a subscription can share, and the replays that others have just read.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use quick_cache::{Weighter, sync::Cache};
use tokio_util::task::TaskTracker;

use super::{
    EncodedResponse, Execution, ResumeCursor, Segment, Subscription, SubscriptionKey,
    shared::{Driver, SharedExecution, SharedReceiver, StreamPosition, contained},
};
use crate::{clock::Stopwatch, engine::error::Phase, error::Error, model::CommitPositions};

/// Limits on shared subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Events that a subscriber may lag behind a shared execution.
    pub responses_max: usize,
    /// Bytes of replays that are kept for other subscribers.
    pub replay_bytes_max: u64,
}

/// Time for which a replay is kept for others who resume at the same cursor: many clients of a lost server take seconds.
const REPLAY_KEPT: Duration = Duration::from_secs(5);
/// A replay is read in chunks of at most this many events and about this many bytes.
const CHUNK_RESPONSES_MAX: usize = 256;
const CHUNK_BYTES_MAX: usize = 524_288;
/// Replays that the cache is laid out for. Below 64, it is one part: a chunk may take a large share of its bytes.
const REPLAYS_ESTIMATED: usize = 32;
/// Entries from which on ended executions are removed.
const FORGET_FROM: usize = 64;

/// A chunk of a replayed stream.
pub struct Replay {
    /// The events in order; at least one.
    pub responses: Vec<Arc<EncodedResponse>>,
    since: Stopwatch,
}

impl Replay {
    /// The end; `None` after a failure.
    pub fn end(&self) -> Option<(&Arc<CommitPositions>, &Arc<str>)> {
        let span = self.responses.last()?.mark.span.as_ref()?;
        Some((&span.to, &span.cursor))
    }
}

/// The subscription, the cursor after which the chunk begins, and the cursor of the live end.
type ReplayKey = (SubscriptionKey, ResumeCursor, Arc<str>);

#[derive(Clone)]
struct ReplayBytes;

impl Weighter<ReplayKey, Arc<Replay>> for ReplayBytes {
    fn weight(&self, _: &ReplayKey, replay: &Arc<Replay>) -> u64 {
        replay.responses.iter().map(|response| response.bytes() as u64).sum()
    }
}

/// Runs an execution of a subscription.
pub type Execute<'a> =
    &'a (dyn Fn(&Arc<Subscription>, Arc<Execution>) -> BoxStream<'static, EncodedResponse> + Send + Sync);

/// The running executions.
pub struct Hub {
    settings: Settings,
    /// The starter of the server waits for these tasks at the end.
    tasks: TaskTracker,
    running: Mutex<HashMap<SubscriptionKey, Weak<SharedExecution>>>,
    replays: Cache<ReplayKey, Arc<Replay>, ReplayBytes>,
    executions: AtomicU64,
    responses: Arc<AtomicU64>,
}

impl Hub {
    /// A hub without executions.
    pub fn new(settings: Settings, tasks: TaskTracker) -> Self {
        let replays = Cache::with_weighter(REPLAYS_ESTIMATED, settings.replay_bytes_max, ReplayBytes);
        let running = Mutex::default();
        Self { settings, tasks, running, replays, executions: AtomicU64::new(0), responses: Arc::default() }
    }

    /// The number of executions so far and of their responses, each counted once for all subscribers.
    pub fn executed(&self) -> (u64, u64) {
        (self.executions.load(Ordering::Relaxed), self.responses.load(Ordering::Relaxed))
    }

    /// The number of executions with subscribers that deliver what happens from now on: those that still start are not counted.
    pub fn running(&self) -> usize {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.values().filter_map(Weak::upgrade).filter(|shared| shared.is_open()).count()
    }

    /// Joins the execution of this subscription. The first subscriber starts it.
    pub fn join(&self, subscription: Subscription, execute: Execute<'_>) -> SharedReceiver {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let found = running.get(&subscription.key).and_then(Weak::upgrade);
        if let Some(receiver) = found.and_then(|shared| shared.join()) {
            return receiver;
        }
        if running.len() >= FORGET_FROM && running.len() == running.capacity() {
            running.retain(|_, shared| shared.strong_count() > 0);
        }
        let key = subscription.key;
        let (shared, receiver, driver) = SharedExecution::begin(Arc::new(subscription), self.settings.responses_max);
        running.insert(key, Arc::downgrade(&shared));
        self.start(&shared, driver, execute);
        receiver
    }

    /// The events after a cursor, up to a position of the live end or to the size of a chunk.
    pub async fn replay(
        &self,
        subscription: &Arc<Subscription>,
        after: &ResumeCursor,
        until: &StreamPosition,
        execute: Execute<'_>,
    ) -> Arc<Replay> {
        let segment = Segment::Replay { after: after.clone(), until: Arc::clone(&until.at) };
        let key = (subscription.key, after.clone(), Arc::clone(&until.cursor));
        let reading = self.read(subscription, segment, Some(&until.at), execute);
        // Old replays make room first: the cache itself knows no age.
        self.replays.retain(|_, replay| replay.since.elapsed() < REPLAY_KEPT);
        let replay = self.replays.get_or_insert_async(&key, async { Ok::<_, Infallible>(reading.await) }).await;
        let replay = replay.unwrap_or_else(|never| match never {});
        if replay.end().is_none() {
            // The next subscriber tries again.
            self.replays.remove_if(&key, |kept| Arc::ptr_eq(kept, &replay));
        }
        replay
    }

    /// The event that tells a subscriber what it skipped.
    pub async fn skip(&self, subscription: &Arc<Subscription>, segment: Segment, execute: Execute<'_>) -> Arc<Replay> {
        self.read(subscription, segment, None, execute).await
    }

    async fn read(
        &self,
        subscription: &Arc<Subscription>,
        segment: Segment,
        until: Option<&Arc<CommitPositions>>,
        execute: Execute<'_>,
    ) -> Arc<Replay> {
        let mut events = self.execute(subscription, Arc::new(Execution::new(segment)), execute);
        let (mut responses, mut bytes) = (Vec::new(), 0);
        while let Some(response) = events.next().await {
            bytes += response.bytes();
            let is_last =
                response.mark.span.as_ref().is_none_or(|span| until.is_none_or(|until| span.to.reaches(until)));
            responses.push(Arc::new(response));
            if is_last || responses.len() >= CHUNK_RESPONSES_MAX || bytes >= CHUNK_BYTES_MAX {
                break;
            }
        }
        if responses.is_empty() {
            let fault = Error::internal("the replay of a stream had no events");
            responses.push(Arc::new(EncodedResponse::fault(&fault, Phase::Request)));
        }
        Arc::new(Replay { responses, since: Stopwatch::start() })
    }

    fn start(&self, shared: &SharedExecution, driver: Driver, execute: Execute<'_>) {
        let execution = Arc::new(Execution::new(Segment::Live));
        let events = self.execute(&shared.subscription, Arc::clone(&execution), execute);
        self.tasks.spawn(driver.run(execution, events));
    }

    fn execute(
        &self,
        subscription: &Arc<Subscription>,
        execution: Arc<Execution>,
        execute: Execute<'_>,
    ) -> BoxStream<'static, EncodedResponse> {
        self.executions.fetch_add(1, Ordering::Relaxed);
        let events = Arc::clone(&self.responses);
        let counted = execute(subscription, execution).inspect(move |_| {
            events.fetch_add(1, Ordering::Relaxed);
        });
        contained(counted.boxed())
    }
}
