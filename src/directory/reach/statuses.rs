//! Cached statuses of projects, each for five seconds.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use quick_cache::sync::Cache;

use super::ProjectStatus;
use crate::{
    clock::Stopwatch,
    model::{Key, ProjectId},
};

/// Time for which a status is reused without another query.
const LIFETIME: Duration = Duration::from_secs(5);
/// Projects whose status is cached.
const STATUSES_MAX: usize = 10_000;

/// The cache.
#[derive(Debug)]
pub(super) struct Statuses {
    known: Cache<Key<ProjectId>, KnownStatus>,
    /// Number of projects that were forgotten so far.
    forgotten: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct KnownStatus {
    status: ProjectStatus,
    since: Stopwatch,
}

/// A query that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct StatusQuery {
    forgotten: u64,
    since: Stopwatch,
}

impl Default for Statuses {
    fn default() -> Self {
        Self { known: Cache::new(STATUSES_MAX), forgotten: AtomicU64::new(0) }
    }
}

impl Statuses {
    /// The status of a project, unless it is unknown or too old.
    pub(super) fn get(&self, project: Key<ProjectId>) -> Option<ProjectStatus> {
        self.known.get(&project).filter(|known| known.since.elapsed() < LIFETIME).map(|known| known.status)
    }

    /// Begins a query, before it is sent.
    pub(super) fn begin(&self) -> StatusQuery {
        StatusQuery { forgotten: self.forgotten.load(Ordering::SeqCst), since: Stopwatch::start() }
    }

    /// Keeps the result of a query, unless a project was forgotten meanwhile: the query may have read an earlier status.
    pub(super) fn keep(&self, project: Key<ProjectId>, status: ProjectStatus, query: StatusQuery) {
        self.known.insert(project, KnownStatus { status, since: query.since });
        // Checked after the insertion, so that no call of `forget` falls between.
        if self.forgotten.load(Ordering::SeqCst) != query.forgotten {
            self.known.remove(&project);
        }
    }

    /// Forgets the status of a project that was changed.
    pub(super) fn forget(&self, project: Key<ProjectId>) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known.remove(&project);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrganizationId;

    const PROJECT: Key<ProjectId> = Key::new(OrganizationId(1), ProjectId(2));

    #[test]
    fn a_status_is_kept_until_its_project_is_changed() {
        let statuses = Statuses::default();
        assert_eq!(statuses.get(PROJECT), None);
        statuses.keep(PROJECT, ProjectStatus::Active, statuses.begin());
        assert_eq!(statuses.get(PROJECT), Some(ProjectStatus::Active));
        statuses.forget(PROJECT);
        assert_eq!(statuses.get(PROJECT), None);
    }

    #[test]
    fn a_status_that_was_read_before_a_change_is_not_kept() {
        let statuses = Statuses::default();
        let query = statuses.begin();
        statuses.forget(PROJECT);
        statuses.keep(PROJECT, ProjectStatus::Active, query);
        assert_eq!(statuses.get(PROJECT), None);
    }
}
