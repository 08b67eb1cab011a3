//! Sliding windows: statistics over the last minutes, computed from commits and pushed at an interval.
//!
//! Equal windows share one computation. A new window reads a snapshot from the database; from then on measurements arrive
//! over the publisher, and no tick costs a statement, whatever the number of subscribers. A window equals what the database
//! would answer for the same range of time at the same commit. Slow subscribers receive the latest window and skip earlier
//! ones.

mod admission;
mod group;
mod groups;
mod query;
mod registry;
mod routes;
mod runner;
mod slot;
mod snapshot;
mod state;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};

pub use self::{
    group::SlotRange,
    groups::{GroupLabels, WindowGroup, WindowGroups},
    query::{GroupKey, WindowQuery, WindowRequest},
    registry::{WindowRegistry, WindowUpdate},
    runner::WindowRunner,
    snapshot::{SnapshotRequest, WindowSnapshot},
    state::LiveWindow,
};
use super::publisher::Publisher;
use crate::{
    clock::Clock,
    config,
    db::Database,
    error::{Error, Result},
    model::Scope,
};

/// Subscriptions that wait for the runner.
const WAITING_MAX: usize = 1_024;

/// The live windows of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Windows {
    settings: config::Live,
    database: Database,
    runner: mpsc::Sender<runner::SubscribeRequest>,
}

impl Windows {
    /// The handle for callers, and the runner that computes the windows.
    pub fn new(
        settings: &config::Live,
        database: Database,
        clock: Clock,
        publisher: &Publisher,
    ) -> (Self, WindowRunner) {
        let (sender, requests) = mpsc::channel(WAITING_MAX);
        let runner = WindowRunner::new(settings, database.clone(), clock, publisher, requests);
        (Self { settings: settings.clone(), database, runner: sender }, runner)
    }

    /// Subscribes to a window: its current state at once, then each new one. With `after` in the request, states that do
    /// not include this position are skipped.
    ///
    /// # Errors
    /// [`Error::Input`] for invalid lengths and cursors, [`Error::NotFound`] for what is absent or outside of the scope,
    /// [`Error::Limit`] for too many different windows. The stream ends with an error when its window becomes too large.
    pub async fn watch(
        &self,
        scope: &Scope,
        request: WindowRequest,
    ) -> Result<impl Stream<Item = Result<Arc<LiveWindow>>> + Send + 'static + use<>> {
        let after = request.after;
        let query = WindowQuery::new(scope, request, &self.settings)?;
        admission::check(scope, &self.database, &query, after).await?;
        let (reply, subscription) = oneshot::channel();
        self.runner.send(runner::SubscribeRequest { query, reply }).await.map_err(|_| stopping())?;
        let updates = subscription.await.map_err(|_| stopping())??;
        let from = after.map_or(0, |after| after.sequence);
        Ok(WatchStream::new(updates).filter_map(move |update| match update {
            WindowUpdate::Window(window) if window.cursor.sequence >= from => Some(Ok(window)),
            WindowUpdate::Failed(error) => Some(Err(error)),
            WindowUpdate::Pending | WindowUpdate::Window(_) => None,
        }))
    }
}

fn stopping() -> Error {
    Error::Unavailable { message: "the server is stopping; subscribe again", retry_after_s: 1, source: None }
}
