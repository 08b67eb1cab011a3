//! All windows that are watched: finds those that a batch belongs to, moves them on, and knows when one has to be read
//! from the database. No I/O and no clock: whoever runs it brings both.

use std::{
    collections::{HashMap, hash_map::Entry as Slot},
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    fill::Filled,
    query::{Bounds, WindowQuery},
    ring::Span,
    routes::{Routes, ViewId},
    view::{LiveWindow, Pace, View, span_at},
};
use crate::{
    error::{Error, Result},
    live::CommittedBatch,
    model::{OrganizationId, StreamCursor, Timestamp, timestamp::SECOND_MICROS},
};

/// How long a window outlives its last watcher: whoever connects again finds it as it was.
const LINGER: i64 = 10 * SECOND_MICROS;
/// Batches that wait for a window to be read. Beyond, it is read anew.
const PENDING_MAX: usize = 4_096;

/// What the watchers of a window see.
#[derive(Clone, Debug)]
pub enum Seen {
    /// Nothing yet: it is being read.
    Nothing,
    /// The latest state.
    Window(Arc<LiveWindow>),
    /// It cannot be computed.
    Failed(Error),
}

/// A window that has to be read from the database.
#[derive(Debug)]
pub struct FillOrder {
    /// To be given back with what was read.
    pub id: ViewId,
    /// What to read.
    pub query: Arc<WindowQuery>,
    /// From when on.
    pub span: Span,
}

/// All windows that are watched.
#[derive(Debug)]
pub struct Desk {
    bounds: Bounds,
    pace: Pace,
    views: HashMap<ViewId, Watched>,
    by_query: HashMap<Arc<WindowQuery>, ViewId>,
    organizations: HashMap<OrganizationId, Organization>,
    last_id: ViewId,
    due: Option<Timestamp>,
}

/// The stream of an organization, as far as windows follow it.
#[derive(Debug, Default)]
struct Organization {
    /// The last commit that was seen; `None` until the first window was read.
    reached: Option<i64>,
    routes: Routes,
    views: usize,
    filling: Vec<ViewId>,
}

#[derive(Debug)]
struct Watched {
    query: Arc<WindowQuery>,
    seen: watch::Sender<Seen>,
    watched_at: Timestamp,
    /// Commits up to here are in it, whatever the organization has reached.
    counted: i64,
    view: Option<View>,
    /// Committed while the window was being read; `None` when it is not.
    pending: Option<Vec<Arc<CommittedBatch>>>,
}

impl Desk {
    /// Nobody watches anything yet.
    pub fn new(bounds: Bounds, pace: Pace) -> Self {
        let (views, by_query, organizations) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { bounds, pace, views, by_query, organizations, last_id: 0, due: None }
    }

    /// Adds a watcher. A window that nobody watched so far has to be read first.
    ///
    /// # Errors
    /// [`Error::Limit`] when too many different windows are watched.
    pub fn watch(&mut self, query: WindowQuery, now: Timestamp) -> Result<(watch::Receiver<Seen>, Option<FillOrder>)> {
        if let Some(watched) = self.by_query.get(&query).and_then(|id| self.views.get_mut(id)) {
            watched.watched_at = now;
            return Ok((watched.seen.subscribe(), None));
        }
        if self.views.len() >= self.bounds.windows_max {
            self.sweep(now, 0);
        }
        if self.views.len() >= self.bounds.windows_max {
            return Err(Error::Limit {
                what: "the number of different windows that are watched",
                actual: count(self.views.len() + 1),
                limit: count(self.bounds.windows_max),
                advice: "watch what others watch, or try again when some of them have gone",
            });
        }
        self.last_id += 1;
        let (id, query) = (self.last_id, Arc::new(query));
        let organization = self.organizations.entry(query.organization).or_default();
        organization.routes.insert(&query, id);
        organization.views += 1;
        organization.filling.push(id);
        let (seen, receiver) = watch::channel(Seen::Nothing);
        let pending = Some(Vec::new());
        let watched = Watched { query: Arc::clone(&query), seen, watched_at: now, counted: 0, view: None, pending };
        self.views.insert(id, watched);
        self.by_query.insert(Arc::clone(&query), id);
        let span = span_at(&query, self.pace, now);
        Ok((receiver, Some(FillOrder { id, query, span })))
    }

    /// Counts a batch in every window that it belongs to. Where batches are missing before it, the organization's windows
    /// have to be read again.
    pub fn take(&mut self, batch: &Arc<CommittedBatch>, now: Timestamp) -> Vec<FillOrder> {
        let Some(organization) = self.organizations.get_mut(&batch.organization) else { return Vec::new() };
        if organization.reached.is_some_and(|reached| batch.sequence <= reached) {
            return Vec::new();
        }
        for id in &organization.filling {
            if let Some(pending) = self.views.get_mut(id).and_then(|watched| watched.pending.as_mut()) {
                pending.push(Arc::clone(batch));
            }
        }
        let Some(reached) = organization.reached.replace(batch.sequence) else {
            // The first window will say where it stands.
            organization.reached = None;
            return Vec::new();
        };
        if batch.sequence > reached + 1 {
            return self.read_again(Some(batch.organization), now);
        }
        let mut full = Vec::new();
        for (id, place) in organization.routes.of(batch) {
            let Some(watched) = self.views.get_mut(&id) else { continue };
            let (Some(view), None) = (watched.view.as_mut(), watched.pending.as_ref()) else { continue };
            if batch.sequence <= watched.counted {
                continue;
            }
            match place.and_then(|place| batch.measurements.get(place)) {
                Some(one) => view.record(batch.project.id, one),
                None => view.take(batch),
            }
            if view.rings().groups() > self.bounds.groups_max {
                full.push(id);
            }
            let due = view.due();
            self.due = Some(self.due.map_or(due, |known| known.min(due)));
        }
        for id in full {
            self.fail(id, self.bounds.too_many_groups());
        }
        Vec::new()
    }

    /// Batches were dropped before they were seen: everything has to be read again.
    pub fn lagged(&mut self, now: Timestamp) -> Vec<FillOrder> {
        self.read_again(None, now)
    }

    fn read_again(&mut self, organization: Option<OrganizationId>, now: Timestamp) -> Vec<FillOrder> {
        let mut orders = Vec::new();
        for (&id, watched) in &mut self.views {
            if organization.is_some_and(|only| only != watched.query.organization) || watched.pending.is_some() {
                continue;
            }
            watched.pending = Some(Vec::new());
            if let Some(organization) = self.organizations.get_mut(&watched.query.organization) {
                organization.filling.push(id);
            }
            let span = span_at(&watched.query, self.pace, now);
            orders.push(FillOrder { id, query: Arc::clone(&watched.query), span });
        }
        orders
    }

    /// Takes what was read. Answers an order where it has to be read once more.
    pub fn filled(&mut self, order: FillOrder, read: Result<Filled>, now: Timestamp) -> Option<FillOrder> {
        let FillOrder { id, query, span } = order;
        // Gone in the meantime.
        let watched = self.views.get_mut(&id)?;
        let filled = match read {
            Ok(filled) => filled,
            Err(error) => {
                self.fail(id, error);
                return None;
            }
        };
        let pending = watched.pending.take().unwrap_or_default();
        let again = |watched: &mut Watched| {
            watched.pending = Some(Vec::new());
            let span = span_at(&query, self.pace, now);
            Some(FillOrder { id, query: Arc::clone(&query), span })
        };
        if pending.len() > PENDING_MAX {
            return again(watched);
        }
        watched.counted = filled.sequence;
        match watched.view.as_mut() {
            Some(view) => view.refill(span, filled.rings),
            None => watched.view = Some(View::new(Arc::clone(&query), self.pace, span, filled.rings)),
        }
        for batch in pending {
            if batch.sequence > watched.counted + 1 {
                return again(watched);
            }
            if batch.sequence > watched.counted {
                watched.view.iter_mut().for_each(|view| view.take(&batch));
                watched.counted = batch.sequence;
            }
        }
        if let Some(organization) = self.organizations.get_mut(&query.organization) {
            organization.filling.retain(|filling| *filling != id);
            organization.reached.get_or_insert(watched.counted);
        }
        self.due = Some(now);
        None
    }

    /// Pushes every window that is due, and forgets those that nobody watches any more.
    pub fn tick(&mut self, now: Timestamp) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let mut due: Option<Timestamp> = None;
        for watched in self.views.values_mut() {
            if watched.seen.receiver_count() > 0 {
                watched.watched_at = now;
            }
            let (Some(view), None) = (watched.view.as_mut(), watched.pending.as_ref()) else { continue };
            let organization = watched.query.organization;
            let reached = self.organizations.get(&organization).and_then(|organization| organization.reached);
            let sequence = reached.unwrap_or(0).max(watched.counted);
            if let Some(window) = view.push(now, end_of(organization, sequence)) {
                watched.seen.send_replace(Seen::Window(Arc::new(window)));
            }
            let next = view.due();
            due = Some(due.map_or(next, |known| known.min(next)));
        }
        self.due = due;
        self.sweep(now, LINGER);
        self.shed();
    }

    /// When [`Desk::tick`] has something to do again.
    pub const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// How many windows are computed.
    pub fn len(&self) -> usize {
        self.views.len()
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.views.is_empty()
    }

    fn sweep(&mut self, now: Timestamp, linger: i64) {
        let is_left =
            |watched: &Watched| watched.seen.receiver_count() == 0 && now >= watched.watched_at.plus_micros(linger);
        let left: Vec<_> = self.views.iter().filter(|(_, watched)| is_left(watched)).map(|(id, _)| *id).collect();
        for id in left {
            self.remove(id);
        }
    }

    /// Ends the largest windows until the rest fits into memory again.
    fn shed(&mut self) {
        let cells = |watched: &Watched| watched.view.as_ref().map_or(0, |view| view.rings().cells());
        let mut total: usize = self.views.values().map(cells).sum();
        while total > self.bounds.cells_max {
            let Some((&id, largest)) = self.views.iter().max_by_key(|(_, watched)| cells(watched)) else { return };
            total -= cells(largest);
            self.fail(id, self.bounds.too_many_cells());
        }
    }

    fn fail(&mut self, id: ViewId, error: Error) {
        if let Some(watched) = self.remove(id) {
            watched.seen.send_replace(Seen::Failed(error));
        }
    }

    fn remove(&mut self, id: ViewId) -> Option<Watched> {
        let watched = self.views.remove(&id)?;
        self.by_query.remove(&watched.query);
        if let Slot::Occupied(mut organization) = self.organizations.entry(watched.query.organization) {
            let state = organization.get_mut();
            state.routes.remove(&watched.query, id);
            state.filling.retain(|filling| *filling != id);
            state.views -= 1;
            if state.views == 0 {
                organization.remove();
            }
        }
        Some(watched)
    }
}

impl Bounds {
    pub(super) fn too_many_groups(&self) -> Error {
        Error::Limit {
            what: "the number of groups in this window",
            actual: count(self.groups_max + 1),
            limit: count(self.groups_max),
            advice: "name fewer projects, types or endpoints, or group by less",
        }
    }

    pub(super) fn too_many_cells(&self) -> Error {
        Error::Limit {
            what: "the number of steps that all windows hold",
            actual: count(self.cells_max + 1),
            limit: count(self.cells_max),
            advice: "watch a shorter window, a slower pace or fewer groups",
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Behind the last row of a commit, however many it has.
const fn end_of(organization: OrganizationId, sequence: i64) -> StreamCursor {
    StreamCursor { organization, sequence, ordinal: u32::MAX }
}
