//! Sliding windows, computed here from what is committed: every statistic of the last so long, pushed every so often.
//!
//! Whoever watches the same shares one computation. Its measurements are read from the database once, when the first
//! watcher comes; from then on they come through the publisher, and no tick costs a statement however many watch. A
//! window equals what the database would answer about the same stretch of time at the same commit. Watchers who are
//! slow see the latest window and none of those before it.

mod admission;
mod cell;
mod desk;
mod fill;
mod query;
mod ring;
mod rings;
mod routes;
mod runner;
mod view;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};

pub use self::{
    desk::{Desk, FillOrder, Seen},
    fill::Filled,
    query::{Bounds, GroupKey, WindowQuery},
    ring::Span,
    rings::{Place, Rings, WindowGroup},
    runner::Runner,
    view::{LiveWindow, Pace},
};
use super::{Filter, Publisher};
use crate::{
    clock::Clock,
    db::Database,
    error::{Error, Result},
    model::{Scope, StreamCursor},
};

/// Watchers that wait to be taken in.
const WAITING_MAX: usize = 1_024;

/// Where windows are watched. Clones watch the same.
#[derive(Clone, Debug)]
pub struct Windows {
    bounds: Bounds,
    database: Database,
    watchers: mpsc::Sender<runner::Watch>,
}

impl Windows {
    /// The windows over what a publisher carries; nothing comes of them unless the runner runs.
    pub fn new(bounds: Bounds, pace: Pace, database: Database, clock: Clock, publisher: &Publisher) -> (Self, Runner) {
        let (watchers, waiting) = mpsc::channel(WAITING_MAX);
        let runner = Runner::new(bounds, pace, database.clone(), clock, publisher, waiting);
        (Self { bounds, database, watchers }, runner)
    }

    /// The window of `window` microseconds, moved on every `every` microseconds: its current state at once, then each
    /// new one. With `after`, none that does not count everything up to this position.
    ///
    /// # Errors
    /// [`Error::Input`] for lengths and cursors that make no sense, [`Error::NotFound`] for what is absent or outside of
    /// the scope, [`Error::Limit`] when too many different windows are watched. The stream ends with an error when its
    /// window grows too large.
    pub async fn watch(
        &self,
        scope: &Scope,
        filter: Filter,
        (window, every): (i64, i64),
        group_by: Vec<GroupKey>,
        after: Option<StreamCursor>,
    ) -> Result<impl Stream<Item = Result<Arc<LiveWindow>>> + Send + 'static + use<>> {
        let query = WindowQuery::new(scope, filter, window, every, group_by, &self.bounds)?;
        admission::check(scope, &self.database, &query).await?;
        if let Some(after) = after {
            admission::check_cursor(&self.database, &query, after).await?;
        }
        let (answer, answered) = oneshot::channel();
        self.watchers.send(runner::Watch { query, answer }).await.map_err(|_| stopping())?;
        let seen = answered.await.map_err(|_| stopping())??;
        let from = after.map_or(0, |after| after.sequence);
        Ok(WatchStream::new(seen).filter_map(move |seen| match seen {
            Seen::Window(window) if window.cursor.sequence >= from => Some(Ok(window)),
            Seen::Failed(error) => Some(Err(error)),
            Seen::Nothing | Seen::Window(_) => None,
        }))
    }
}

fn stopping() -> Error {
    Error::Unavailable { message: "the server is stopping; watch again", retry_after_s: 1, source: None }
}
