//! Runs the registry of windows: applies commits, advances the windows in time, and reads the snapshots they need.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, oneshot, watch,
};
use tokio_util::sync::CancellationToken;

use super::{
    query::WindowQuery,
    registry::{WindowRegistry, WindowUpdate},
    snapshot::{self, SnapshotRequest, WindowSnapshot},
};
use crate::{
    clock::Clock,
    config,
    db::Database,
    error::Result,
    live::publisher::{CommittedBatch, Publisher},
    model::Timestamp,
};

/// Snapshots that are read at once; the others wait, so that requests keep their connections.
const READS_MAX: usize = 2;
/// Maximum time between two looks at the clock, for a fixed clock that a test moves.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// A request to subscribe to a window.
#[derive(Debug)]
pub struct SubscribeRequest {
    /// The window.
    pub query: WindowQuery,
    /// The channel for the subscription.
    pub reply: oneshot::Sender<Result<watch::Receiver<WindowUpdate>>>,
}

/// Computes every window of this process.
#[derive(Debug)]
pub struct WindowRunner {
    registry: WindowRegistry,
    settings: config::Live,
    database: Database,
    clock: Clock,
    batches: broadcast::Receiver<Arc<CommittedBatch>>,
    subscribers: mpsc::Receiver<SubscribeRequest>,
    requests: Vec<SnapshotRequest>,
}

enum RunnerEvent {
    Subscribe(SubscribeRequest),
    Batch(Result<Arc<CommittedBatch>, RecvError>),
    Snapshot(SnapshotRequest, Result<WindowSnapshot>),
    Time,
    Stop,
}

impl WindowRunner {
    /// Subscribes to all commits from now on.
    pub fn new(
        settings: &config::Live,
        database: Database,
        clock: Clock,
        publisher: &Publisher,
        subscribers: mpsc::Receiver<SubscribeRequest>,
    ) -> Self {
        let (registry, batches) = (WindowRegistry::new(settings), publisher.subscribe());
        Self { registry, settings: settings.clone(), database, clock, batches, subscribers, requests: Vec::new() }
    }

    /// Runs until the server stops; then every window ends.
    pub async fn run(mut self, stopping: CancellationToken) {
        let (database, settings) = (self.database.clone(), self.settings.clone());
        let mut reads = FuturesUnordered::new();
        loop {
            while reads.len() < READS_MAX
                && let Some(request) = self.requests.pop()
            {
                let (database, settings) = (&database, &settings);
                reads.push(async move {
                    let snapshot = snapshot::read(database, &request, settings).await;
                    (request, snapshot)
                });
            }
            let pause = self.registry.due().map(|due| self.until(due));
            let event = tokio::select! {
                () = stopping.cancelled() => RunnerEvent::Stop,
                Some(request) = self.subscribers.recv() => RunnerEvent::Subscribe(request),
                Some((request, snapshot)) = reads.next() => RunnerEvent::Snapshot(request, snapshot),
                batch = self.batches.recv() => RunnerEvent::Batch(batch),
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => RunnerEvent::Time,
            };
            let now = self.clock.now();
            match event {
                RunnerEvent::Stop | RunnerEvent::Batch(Err(RecvError::Closed)) => return,
                RunnerEvent::Subscribe(request) => self.subscribe(request, now),
                RunnerEvent::Snapshot(request, snapshot) => {
                    self.requests.extend(self.registry.load(request, snapshot, now));
                }
                RunnerEvent::Batch(Ok(batch)) => self.apply(&batch, now),
                RunnerEvent::Batch(Err(RecvError::Lagged(_))) => self.requests.extend(self.registry.lagged(now)),
                RunnerEvent::Time => {}
            }
            self.registry.tick(now);
        }
    }

    fn subscribe(&mut self, SubscribeRequest { query, reply }: SubscribeRequest, now: Timestamp) {
        let subscription = self.registry.subscribe(query, now).map(|(updates, request)| {
            self.requests.extend(request);
            updates
        });
        // An error means that the caller is gone; the window is removed with its last subscriber.
        let _ = reply.send(subscription);
    }

    /// Applies a batch, and those that have queued up behind it.
    fn apply(&mut self, batch: &Arc<CommittedBatch>, now: Timestamp) {
        const AT_ONCE: usize = 64;
        self.requests.extend(self.registry.apply(batch, now));
        for _ in 1..AT_ONCE {
            // The next receive reports an error again.
            let Ok(batch) = self.batches.try_recv() else { return };
            self.requests.extend(self.registry.apply(&batch, now));
        }
    }

    fn until(&self, due: Timestamp) -> Duration {
        let micros = due.as_micros().saturating_sub(self.clock.now().as_micros());
        // At least the timer's resolution, or the loop would spin.
        Duration::from_micros(u64::try_from(micros).unwrap_or(0)).clamp(Duration::from_millis(1), SLEEP_MAX)
    }
}
