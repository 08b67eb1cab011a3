//! Runs the desk: feeds it what is committed, moves its windows on in time, and reads what it asks for.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    mpsc, oneshot, watch,
};
use tokio_util::sync::CancellationToken;

use super::{
    desk::{Desk, FillOrder, Seen},
    fill::{self, Filled},
    query::{Bounds, WindowQuery},
    view::Pace,
};
use crate::{
    clock::Clock,
    db::Database,
    error::Result,
    live::{CommittedBatch, Publisher},
    model::Timestamp,
};

/// Windows that are read at once; the others wait, and requests keep their connections.
const READS_MAX: usize = 2;
/// How long a fixed clock may have moved without our noticing.
const NAP_MAX: Duration = Duration::from_millis(100);

/// Somebody who wants to watch.
#[derive(Debug)]
pub struct Watch {
    /// What.
    pub query: WindowQuery,
    /// Who waits for the answer.
    pub answer: oneshot::Sender<Result<watch::Receiver<Seen>>>,
}

/// Computes every window of this process.
#[derive(Debug)]
pub struct Runner {
    desk: Desk,
    bounds: Bounds,
    database: Database,
    clock: Clock,
    batches: broadcast::Receiver<Arc<CommittedBatch>>,
    watchers: mpsc::Receiver<Watch>,
    orders: Vec<FillOrder>,
}

enum Event {
    Watch(Watch),
    Batch(Result<Arc<CommittedBatch>, RecvError>),
    Filled(FillOrder, Result<Filled>),
    Time,
    Stop,
}

impl Runner {
    /// Sees what is published from now on.
    pub fn new(
        bounds: Bounds,
        pace: Pace,
        database: Database,
        clock: Clock,
        publisher: &Publisher,
        watchers: mpsc::Receiver<Watch>,
    ) -> Self {
        let (desk, batches) = (Desk::new(bounds, pace), publisher.subscribe());
        Self { desk, bounds, database, clock, batches, watchers, orders: Vec::new() }
    }

    /// Runs until the server stops; then every window ends.
    pub async fn run(mut self, stopping: CancellationToken) {
        let (database, bounds) = (self.database.clone(), self.bounds);
        let mut reads = FuturesUnordered::new();
        loop {
            while reads.len() < READS_MAX
                && let Some(order) = self.orders.pop()
            {
                let (database, bounds) = (&database, &bounds);
                reads.push(async move {
                    let read = fill::read(database, &order, bounds).await;
                    (order, read)
                });
            }
            let nap = self.desk.due().map(|due| self.until(due));
            let event = tokio::select! {
                () = stopping.cancelled() => Event::Stop,
                Some(watch) = self.watchers.recv() => Event::Watch(watch),
                Some((order, read)) = reads.next() => Event::Filled(order, read),
                batch = self.batches.recv() => Event::Batch(batch),
                () = tokio::time::sleep(nap.unwrap_or_default()), if nap.is_some() => Event::Time,
            };
            let now = self.clock.now();
            match event {
                Event::Stop | Event::Batch(Err(RecvError::Closed)) => return,
                Event::Watch(watch) => self.watch(watch, now),
                Event::Filled(order, read) => self.orders.extend(self.desk.filled(order, read, now)),
                Event::Batch(Ok(batch)) => self.take(&batch, now),
                Event::Batch(Err(RecvError::Lagged(_))) => self.orders.extend(self.desk.lagged(now)),
                Event::Time => {}
            }
            self.desk.tick(now);
        }
    }

    fn watch(&mut self, Watch { query, answer }: Watch, now: Timestamp) {
        let watching = self.desk.watch(query, now).map(|(seen, order)| {
            self.orders.extend(order);
            seen
        });
        // Who does not wait any more watches nothing, and the window goes with its last watcher.
        let _ = answer.send(watching);
    }

    /// One batch, and those that have piled up behind it.
    fn take(&mut self, batch: &Arc<CommittedBatch>, now: Timestamp) {
        const AT_ONCE: usize = 64;
        self.orders.extend(self.desk.take(batch, now));
        for _ in 1..AT_ONCE {
            // Whatever is wrong comes again with the next receive.
            let Ok(batch) = self.batches.try_recv() else { return };
            self.orders.extend(self.desk.take(&batch, now));
        }
    }

    fn until(&self, due: Timestamp) -> Duration {
        let micros = due.as_micros().saturating_sub(self.clock.now().as_micros());
        // Not less than the timer can tell, or it would spin.
        Duration::from_micros(u64::try_from(micros).unwrap_or(0)).clamp(Duration::from_millis(1), NAP_MAX)
    }
}
