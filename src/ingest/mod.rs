//! The write path: accept, validate, resolve endpoints, share a commit, write, acknowledge, publish.
//!
//! A submission is acknowledged after COMMIT and never before; the same idempotency key stores once. The room answers no
//! question and starts no task: [`Batcher::run`] is a future that `app` runs.

mod accept;
mod batch;
pub mod bulk;
mod endpoint;
pub mod formats;
mod group;
mod late;
mod rollup;
mod submission;
mod template;
mod turnstile;
mod validate;
mod write;

use std::{sync::Arc, time::Duration};

pub use accept::check_key;
pub use batch::Batcher;
pub use endpoint::OTHER_ENDPOINTS;
pub use submission::{Candidate, Mode, Receipt, Rejection, RejectionCode, Submission};

use crate::{
    clock::Clock,
    db::{Backend, Database, StatementLog},
    directory::reach::{self, MetricTargets, PROJECT},
    error::Result,
    live::Publisher,
    model::{IdGenerator, Key, ProjectId, Scope, Timestamp, id::RESERVATION_MAX},
};

/// Bounds of the write path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Rows in one call.
    pub rows_max: u32,
    /// How old a measurement may be.
    pub past: Duration,
    /// How far ahead of the server's clock a measurement may be.
    pub future: Duration,
    /// Rows that wait for or are in a commit; beyond it callers are told to come back.
    pub queue_rows_max: u32,
    /// Bytes of an endpoint's path.
    pub endpoint_bytes_max: usize,
    /// Bytes of a measurement's name, and of its release.
    pub tag_bytes_max: usize,
    /// Whether ids in the paths of HTTP-like types are replaced by a placeholder.
    pub endpoint_templates: bool,
    /// Endpoints of one project; what comes beyond is kept under [`OTHER_ENDPOINTS`].
    pub endpoints_max: usize,
    /// Rows that one transaction writes for all who share it.
    pub commit_rows_max: u32,
    /// Commits under way at once on PostgreSQL. SQLite writes one at a time, and a second committer would only make the
    /// groups smaller (measured), so there it is always one.
    pub committers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rows_max: 10_000,
            past: Duration::from_hours(7 * 24),
            future: Duration::from_mins(10),
            queue_rows_max: 200_000,
            endpoint_bytes_max: 500,
            tag_bytes_max: 200,
            endpoint_templates: true,
            endpoints_max: 1_000,
            commit_rows_max: 20_000,
            committers: 2,
        }
    }
}

impl Settings {
    /// The same with every bound made workable: a call must fit into one id reservation and into the queue.
    fn workable(mut self, backend: &Backend) -> Self {
        self.rows_max = self.rows_max.clamp(1, RESERVATION_MAX);
        self.queue_rows_max = self.queue_rows_max.max(self.rows_max);
        self.commit_rows_max = self.commit_rows_max.max(1);
        self.committers = match backend {
            Backend::Sqlite(_) => 1,
            Backend::Postgres(_) => self.committers.max(1),
        };
        self
    }
}

/// The way in for measurements; clones share one queue.
#[derive(Clone, Debug)]
pub struct Ingest {
    settings: Arc<Settings>,
    clock: Clock,
    targets: MetricTargets,
    queue: batch::Queue,
}

impl Ingest {
    /// The handle for callers, and the future that commits what they submit.
    pub fn new(
        database: Database,
        ids: Arc<IdGenerator>,
        clock: Clock,
        publisher: Publisher,
        settings: Settings,
    ) -> (Self, Batcher) {
        let settings = Arc::new(settings.workable(database.backend()));
        let endpoints =
            endpoint::Endpoints::new(database.clone(), Arc::clone(&ids), clock.clone(), settings.endpoints_max);
        let (queue, batcher) = batch::new(database.clone(), ids, endpoints, publisher, &settings);
        let targets = MetricTargets::new(database);
        let ingest = Self { settings, clock, targets, queue };
        (ingest, batcher)
    }

    /// Checks a submission row by row, stores it exactly once and answers when it is durable.
    ///
    /// A caller that goes away after this started waiting does not undo anything: the rows are still stored.
    ///
    /// # Errors
    /// When the submission as a whole is refused, the queue is full, or the database fails. Rows that are refused are
    /// no error: the receipt names them.
    pub async fn submit(&self, scope: &Scope, submission: Submission, log: &StatementLog) -> Result<Receipt> {
        submission.idempotency_key.as_deref().map_or(Ok(()), accept::check_key)?;
        self.submit_part(scope, submission, log).await
    }

    /// The same for a part of something larger, whose key was checked before it was numbered.
    async fn submit_part(&self, scope: &Scope, submission: Submission, log: &StatementLog) -> Result<Receipt> {
        accept::shape(scope, &submission, &self.settings)?;
        self.targets.access(scope, submission.project, log).await?.require(PROJECT)?;
        let now = self.clock.now();
        let job = accept::into_job(submission, now, &self.settings, log);
        match job {
            accept::Accepted::Nothing(receipt) => Ok(receipt),
            accept::Accepted::Job(job) => self.queue.put(*job).await,
        }
    }

    /// Forgets whether a project is there and takes metrics: this instance sees a change of it at once. Another one
    /// remembers it for up to five seconds.
    pub async fn forget(&self, scope: &Scope, project: Key<ProjectId>) {
        self.targets.forget(scope, project).await;
    }

    /// Whether this caller may write to a project.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`] where there is none that the caller may write to, and a conflict where it is
    /// archived.
    pub async fn admit(&self, scope: &Scope, project: Key<ProjectId>) -> Result<()> {
        self.targets.access(scope, project, &StatementLog::default()).await?.require(PROJECT)
    }

    /// What would be refused of these rows. Nothing is stored.
    pub fn review(&self, candidates: Vec<Candidate>) -> Vec<Rejection> {
        review(candidates, self.clock.now(), &self.settings)
    }

    /// Takes a key so that no part can be stored under it.
    async fn seal(&self, scope: &Scope, project: Key<ProjectId>, source: &str, key: String) -> Result<()> {
        reach::to_metrics(scope, project).require(PROJECT)?;
        let job = accept::seal(project, source, key, self.clock.now());
        self.queue.put(job).await.map(drop)
    }

    /// Takes no further submissions. [`Batcher::run`] commits and acknowledges what is queued, then returns.
    pub fn close(&self) {
        self.queue.close();
    }
}

/// What would be refused of these rows, without a database.
pub fn review(candidates: Vec<Candidate>, now: Timestamp, settings: &Settings) -> Vec<Rejection> {
    validate::validate(candidates, now, settings).rejected
}
