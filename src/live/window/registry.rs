//! The registry of all live windows: counts each batch in its windows, advances them, and requests snapshots from the
//! database. It has no I/O and no clock; the runner provides both.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    query::{WindowQuery, too_many_groups, too_many_slots, too_many_windows},
    routes::{WindowId, WindowRoutes},
    snapshot::{SnapshotRequest, WindowSnapshot},
    state::{LiveWindow, WindowState, WindowTiming, range_at},
};
use crate::{
    config,
    error::{Error, Result},
    live::publisher::CommittedBatch,
    model::{OrganizationId, StreamCursor, Timestamp, timestamp::SECOND_MICROS},
};

/// Time for which a window outlives its last subscriber, so that a reconnecting client finds it.
const LINGER: i64 = 10 * SECOND_MICROS;
/// Maximum batches buffered while a snapshot is read; beyond that, it is read again.
const PENDING_MAX: usize = 4_096;

/// The latest state of a window, as its subscribers receive it.
#[derive(Clone, Debug)]
pub enum WindowUpdate {
    /// The snapshot is still being read.
    Pending,
    /// The latest window.
    Window(Arc<LiveWindow>),
    /// The window cannot be computed.
    Failed(Error),
}

/// All live windows of a process.
#[derive(Debug)]
pub struct WindowRegistry {
    settings: config::Live,
    timing: WindowTiming,
    windows: HashMap<WindowId, RegisteredWindow>,
    by_query: HashMap<Arc<WindowQuery>, WindowId>,
    organizations: HashMap<OrganizationId, FollowedOrganization>,
    last_id: WindowId,
    due: Option<Timestamp>,
}

/// The commits of an organization, as far as its windows have counted them.
#[derive(Debug, Default)]
struct FollowedOrganization {
    /// The last commit that was counted; `None` until the first snapshot was read.
    reached: Option<i64>,
    routes: WindowRoutes,
    windows: usize,
    /// The windows whose snapshots are being read.
    loading: Vec<WindowId>,
}

#[derive(Debug)]
struct RegisteredWindow {
    query: Arc<WindowQuery>,
    updates: watch::Sender<WindowUpdate>,
    subscribed_at: Timestamp,
    /// The last commit that the window counts, which may be later than that of its organization.
    counted: i64,
    state: Option<WindowState>,
    /// Batches that arrived while the snapshot is being read; `None` otherwise.
    pending: Option<Vec<Arc<CommittedBatch>>>,
}

impl WindowRegistry {
    /// A registry without windows.
    pub fn new(settings: &config::Live) -> Self {
        let (windows, by_query, organizations) = (HashMap::new(), HashMap::new(), HashMap::new());
        let (settings, timing) = (settings.clone(), WindowTiming::from(settings));
        Self { settings, timing, windows, by_query, organizations, last_id: 0, due: None }
    }

    /// Subscribes to a window. A new window needs a snapshot first.
    ///
    /// # Errors
    /// [`Error::Limit`] for too many different windows.
    pub fn subscribe(
        &mut self,
        query: WindowQuery,
        now: Timestamp,
    ) -> Result<(watch::Receiver<WindowUpdate>, Option<SnapshotRequest>)> {
        if let Some(window) = self.by_query.get(&query).and_then(|id| self.windows.get_mut(id)) {
            window.subscribed_at = now;
            return Ok((window.updates.subscribe(), None));
        }
        if self.windows.len() >= self.settings.windows_max {
            self.remove_unused(now, 0);
        }
        if self.windows.len() >= self.settings.windows_max {
            return Err(too_many_windows(&self.settings));
        }
        self.last_id += 1;
        let (id, query) = (self.last_id, Arc::new(query));
        let organization = self.organizations.entry(query.organization).or_default();
        organization.routes.insert(&query, id);
        organization.windows += 1;
        organization.loading.push(id);
        let (updates, receiver) = watch::channel(WindowUpdate::Pending);
        let window = RegisteredWindow {
            query: Arc::clone(&query),
            updates,
            subscribed_at: now,
            counted: 0,
            state: None,
            pending: Some(Vec::new()),
        };
        self.windows.insert(id, window);
        self.by_query.insert(Arc::clone(&query), id);
        let range = range_at(&query, self.timing, now);
        Ok((receiver, Some(SnapshotRequest { id, query, range })))
    }

    /// Counts a batch in every window that it belongs to. If batches before it are missing, the organization's windows need
    /// new snapshots.
    pub fn apply(&mut self, batch: &Arc<CommittedBatch>, now: Timestamp) -> Vec<SnapshotRequest> {
        let Some(organization) = self.organizations.get_mut(&batch.organization) else { return Vec::new() };
        if organization.reached.is_some_and(|reached| batch.sequence <= reached) {
            return Vec::new();
        }
        for id in &organization.loading {
            if let Some(pending) = self.windows.get_mut(id).and_then(|window| window.pending.as_mut()) {
                pending.push(Arc::clone(batch));
            }
        }
        let Some(reached) = organization.reached.replace(batch.sequence) else {
            // The first snapshot sets the last commit.
            organization.reached = None;
            return Vec::new();
        };
        if batch.sequence > reached + 1 {
            return self.reload(Some(batch.organization), now);
        }
        let mut full = Vec::new();
        for (id, index) in organization.routes.of(batch) {
            let Some(window) = self.windows.get_mut(&id) else { continue };
            let (Some(state), None) = (window.state.as_mut(), window.pending.as_ref()) else { continue };
            if batch.sequence <= window.counted {
                continue;
            }
            match index.and_then(|index| batch.measurements.get(index)) {
                Some(one) => state.record(batch.project.id, one),
                None => state.add(batch),
            }
            if state.groups().groups() > self.settings.window_groups_max {
                full.push(id);
            }
            let due = state.due();
            self.due = Some(self.due.map_or(due, |known| known.min(due)));
        }
        for id in full {
            self.fail(id, too_many_groups(&self.settings));
        }
        Vec::new()
    }

    /// Requests new snapshots of all windows after the channel dropped batches.
    pub fn lagged(&mut self, now: Timestamp) -> Vec<SnapshotRequest> {
        self.reload(None, now)
    }

    fn reload(&mut self, organization: Option<OrganizationId>, now: Timestamp) -> Vec<SnapshotRequest> {
        let mut requests = Vec::new();
        for (&id, window) in &mut self.windows {
            if organization.is_some_and(|only| only != window.query.organization) || window.pending.is_some() {
                continue;
            }
            window.pending = Some(Vec::new());
            if let Some(organization) = self.organizations.get_mut(&window.query.organization) {
                organization.loading.push(id);
            }
            let range = range_at(&window.query, self.timing, now);
            requests.push(SnapshotRequest { id, query: Arc::clone(&window.query), range });
        }
        requests
    }

    /// Loads a snapshot. Returns a request if it has to be read again.
    pub fn load(
        &mut self,
        request: SnapshotRequest,
        snapshot: Result<WindowSnapshot>,
        now: Timestamp,
    ) -> Option<SnapshotRequest> {
        let SnapshotRequest { id, query, range } = request;
        // `None`: the window was removed in the meantime.
        let window = self.windows.get_mut(&id)?;
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.fail(id, error);
                return None;
            }
        };
        let pending = window.pending.take().unwrap_or_default();
        let again = |window: &mut RegisteredWindow| {
            window.pending = Some(Vec::new());
            let range = range_at(&query, self.timing, now);
            Some(SnapshotRequest { id, query: Arc::clone(&query), range })
        };
        if pending.len() > PENDING_MAX {
            return again(window);
        }
        window.counted = snapshot.sequence;
        match window.state.as_mut() {
            Some(state) => state.reload(range, snapshot.groups),
            None => window.state = Some(WindowState::new(Arc::clone(&query), self.timing, range, snapshot.groups)),
        }
        for batch in pending {
            if batch.sequence > window.counted + 1 {
                return again(window);
            }
            if batch.sequence > window.counted {
                window.state.iter_mut().for_each(|state| state.add(&batch));
                window.counted = batch.sequence;
            }
        }
        if let Some(organization) = self.organizations.get_mut(&query.organization) {
            organization.loading.retain(|loading| *loading != id);
            organization.reached.get_or_insert(window.counted);
        }
        self.due = Some(now);
        None
    }

    /// Pushes every window that is due, and removes windows without subscribers.
    pub fn tick(&mut self, now: Timestamp) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        let mut due: Option<Timestamp> = None;
        for window in self.windows.values_mut() {
            if window.updates.receiver_count() > 0 {
                window.subscribed_at = now;
            }
            let (Some(state), None) = (window.state.as_mut(), window.pending.as_ref()) else { continue };
            let organization = window.query.organization;
            let reached = self.organizations.get(&organization).and_then(|organization| organization.reached);
            let sequence = reached.unwrap_or(0).max(window.counted);
            if let Some(pushed) = state.push(now, end_of(organization, sequence)) {
                window.updates.send_replace(WindowUpdate::Window(Arc::new(pushed)));
            }
            let next = state.due();
            due = Some(due.map_or(next, |known| known.min(next)));
        }
        self.due = due;
        self.remove_unused(now, LINGER);
        self.limit_slots();
    }

    /// The next time at which [`WindowRegistry::tick`] has something to do.
    pub const fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// The number of windows.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// True if there are no windows.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    fn remove_unused(&mut self, now: Timestamp, linger: i64) {
        let is_unused = |window: &RegisteredWindow| {
            window.updates.receiver_count() == 0 && now >= window.subscribed_at.plus_micros(linger)
        };
        let unused: Vec<_> = self.windows.iter().filter(|(_, window)| is_unused(window)).map(|(id, _)| *id).collect();
        for id in unused {
            self.remove(id);
        }
    }

    /// Ends the largest windows until the others are within the limit of slots.
    fn limit_slots(&mut self) {
        let slots = |window: &RegisteredWindow| window.state.as_ref().map_or(0, |state| state.groups().slots());
        let mut total: usize = self.windows.values().map(slots).sum();
        while total > self.settings.window_cells_max {
            let Some((&id, largest)) = self.windows.iter().max_by_key(|(_, window)| slots(window)) else { return };
            total -= slots(largest);
            self.fail(id, too_many_slots(&self.settings));
        }
    }

    fn fail(&mut self, id: WindowId, error: Error) {
        if let Some(window) = self.remove(id) {
            window.updates.send_replace(WindowUpdate::Failed(error));
        }
    }

    fn remove(&mut self, id: WindowId) -> Option<RegisteredWindow> {
        let window = self.windows.remove(&id)?;
        self.by_query.remove(&window.query);
        if let Entry::Occupied(mut organization) = self.organizations.entry(window.query.organization) {
            let followed = organization.get_mut();
            followed.routes.remove(&window.query, id);
            followed.loading.retain(|loading| *loading != id);
            followed.windows -= 1;
            if followed.windows == 0 {
                organization.remove();
            }
        }
        Some(window)
    }
}

/// The position after all rows of a commit.
const fn end_of(organization: OrganizationId, sequence: i64) -> StreamCursor {
    StreamCursor { organization, sequence, ordinal: u32::MAX }
}
