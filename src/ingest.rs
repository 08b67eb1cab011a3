//! The write path: accept, validate, resolve endpoints, group commits, write, acknowledge, publish.
//!
//! A submission is acknowledged after COMMIT and never before; a repeated idempotency key stores nothing twice. The room
//! answers no queries and starts no tasks: [`Batcher::run`] is a future that the caller runs.

mod accept;
mod batch;
mod breakdown;
pub mod bulk;
mod commit_group;
mod endpoint;
pub mod formats;
mod grain;
mod idempotency;
mod job;
mod late;
mod publish_order;
mod rollup;
pub mod status;
mod submission;
mod template;
mod validate;
mod write;

use std::sync::Arc;

pub use batch::Batcher;
pub use endpoint::OTHER_ENDPOINTS;
pub use idempotency::check_key;
use status::{Arriving, StatusCounters};
pub use submission::{Candidate, FieldError, Mode, Receipt, Rejection, RejectionCode, Submission};
pub use template::{is_path, template};

use crate::{
    clock::Clock,
    config,
    db::{Database, IdGenerator, StatementLog},
    directory::reach::{self, MetricTargets, PROJECT},
    error::{Error, Result},
    live::Publisher,
    model::{Key, Measurement, ProjectId, ProjectSlug, Scope, Timestamp, timestamp::DAY_MICROS},
};

/// The write path's interface; clones share one queue.
#[derive(Clone, Debug)]
pub struct Ingest {
    settings: Arc<config::Ingest>,
    clock: Clock,
    targets: MetricTargets,
    ids: IdGenerator,
    queue: batch::Queue,
    database: Database,
    status: StatusCounters,
}

impl Ingest {
    /// The handle for callers, and the future that commits their submissions. `raw_days` is the time for which single measurements
    /// are kept.
    pub fn new(
        database: Database,
        ids: IdGenerator,
        clock: Clock,
        publisher: Publisher,
        settings: config::Ingest,
        raw_days: u32,
    ) -> (Self, Batcher) {
        let endpoints =
            endpoint::EndpointIds::new(database.clone(), ids.clone(), clock.clone(), settings.endpoints_max);
        let grains = grain::Grains::new(database.clone(), clock.clone(), raw_days, &settings);
        let (queue, batcher) = batch::new(database.clone(), ids.clone(), endpoints, grains, publisher, &settings);
        let targets = MetricTargets::new(database.clone());
        let (settings, status) = (Arc::new(settings), StatusCounters::default());
        let ingest = Self { settings, clock, targets, ids, queue, database, status };
        (ingest, batcher)
    }

    /// Validates a submission row by row, stores it exactly once and returns when it is durable.
    ///
    /// Dropping the future after it was first polled undoes nothing: the rows are still stored.
    ///
    /// # Errors
    /// The submission as a whole is refused, the queue is full, or the database fails. Rejected rows are no error: the
    /// receipt lists them.
    pub async fn submit(&self, scope: &Scope, submission: Submission, log: &StatementLog) -> Result<Receipt> {
        submission.idempotency_key.as_deref().map_or(Ok(()), check_key)?;
        self.submit_part(scope, submission, log).await
    }

    /// Submits a part of a larger source, whose key was checked before the number of the part was added to it.
    pub(in crate::ingest) async fn submit_part(
        &self,
        scope: &Scope,
        submission: Submission,
        log: &StatementLog,
    ) -> Result<Receipt> {
        let arriving = Arriving::of(&submission);
        let result = self.store_part(scope, submission, log).await;
        self.status.answered(arriving, &result, self.clock.now());
        result
    }

    async fn store_part(&self, scope: &Scope, submission: Submission, log: &StatementLog) -> Result<Receipt> {
        accept::shape(scope, &submission, self.settings.rows_max)?;
        self.targets.access(scope, submission.project, log).await?.require(PROJECT)?;
        let job = accept::into_job(submission, self.clock.now(), &self.settings, log);
        match job {
            accept::Accepted::Nothing(receipt) => Ok(receipt),
            accept::Accepted::Job(job) => self.queue.put(*job).await,
        }
    }

    /// Counts a row that cannot be read, for a project to which the caller may write.
    pub(in crate::ingest) fn count_unreadable(&self, project: Key<ProjectId>, source: &str, error: &FieldError) {
        self.status.unreadable(project, source, error, self.clock.now());
    }

    /// Counts a body that cannot be read, for a project to which the caller may write.
    pub fn count_refused_body(&self, project: Key<ProjectId>, source: &str, fault: &Error) {
        self.status.refused_body(project, source, fault, self.clock.now());
    }

    /// Counts readable rows that are not stored, because another row of their atomic body was refused.
    pub(in crate::ingest) fn count_dropped(&self, project: Key<ProjectId>, source: &str, rows: usize) {
        self.status.dropped(project, source, rows, self.clock.now());
    }

    /// The counters of what arrived.
    pub fn status_counters(&self) -> StatusCounters {
        self.status.clone()
    }

    /// Writes the counters of what arrived since the last call.
    ///
    /// # Errors
    /// The database fails; the counters are written by a later call.
    pub async fn write_status(&self) -> Result<()> {
        self.status.write(&self.database).await
    }

    /// Forgets whether a project exists and is active, so that this instance sees a change of it at once. Other instances
    /// see it after up to five seconds.
    pub fn forget(&self, scope: &Scope, project: Key<ProjectId>) {
        self.targets.forget(scope, project);
    }

    /// Checks that this caller may write to a project.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`] if there is no such project that the caller may write to, and a conflict if it
    /// is archived.
    pub async fn admit(&self, scope: &Scope, project: Key<ProjectId>) -> Result<()> {
        self.targets.access(scope, project, &StatementLog::default()).await?.require(PROJECT)
    }

    /// The project with these slugs. Logs its statement, if there is a log.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`] naming the slugs, if there is no such project that the caller may write to.
    pub async fn find(&self, scope: &Scope, slug: &ProjectSlug, log: Option<&StatementLog>) -> Result<Key<ProjectId>> {
        let found = self.targets.named(scope, slug, &log.cloned().unwrap_or_default()).await?;
        found.ok_or_else(|| Error::not_found(format!("the project `{slug}`")))
    }

    /// The same write path for measurements from `since` on, if that is earlier than usual. The partitions of their days must
    /// be made before they are stored.
    ///
    /// # Errors
    /// [`Error::Input`] if it is more than 400 days ago.
    pub fn reaching_back(&self, since: Timestamp) -> Result<Self> {
        let now = self.clock.now();
        let days = config::Ingest::DAYS_BACK_MAX;
        // A day for a caller that sends a long file with one time.
        let first = now.plus_micros(-(days + 1) * DAY_MICROS);
        if since < first {
            return Err(Error::input("since", format!("is more than {days} days ago; give a later time")));
        }
        Ok(Self { settings: Arc::new(self.settings.reaching_back(since, now)), ..self.clone() })
    }

    /// The current time and the tolerance for later ones in minutes.
    pub fn latest(&self) -> (Timestamp, u32) {
        (self.clock.now(), self.settings.time_window_future_minutes)
    }

    /// Checks that this instance may write.
    ///
    /// # Errors
    /// [`crate::error::Error::Unavailable`] while it has no lease.
    pub fn check(&self) -> Result<()> {
        self.ids.check()
    }

    /// Validates rows without storing them, and returns the rejections.
    pub fn review(&self, candidates: Vec<Candidate>) -> Vec<Rejection> {
        validate::validate(candidates, self.clock.now(), &self.settings).rejected
    }

    /// Reserves a key, so that no part can be stored under it.
    pub(in crate::ingest) async fn seal(
        &self,
        scope: &Scope,
        project: Key<ProjectId>,
        source: &str,
        key: String,
    ) -> Result<()> {
        reach::to_metrics(scope, project).require(PROJECT)?;
        let job = accept::seal(project, source, key, self.clock.now());
        self.queue.put(job).await.map(drop)
    }

    /// Maximum bytes of the release version of a measurement.
    pub fn release_version_bytes_max(&self) -> usize {
        self.settings.tag_bytes_max
    }

    /// Maximum number of rows in one call.
    pub(in crate::ingest) fn rows_max(&self) -> u32 {
        self.settings.rows_max
    }

    /// Refuses further submissions. [`Batcher::run`] commits and acknowledges the queue, then returns.
    pub fn close(&self) {
        self.queue.close();
    }
}

/// The measurement that a row would be stored as, without a database.
///
/// # Errors
/// The row would be rejected.
pub fn preview(
    candidate: Candidate,
    now: Timestamp,
    settings: &config::Ingest,
) -> std::result::Result<Measurement, FieldError> {
    let mut validated = validate::validate(vec![candidate], now, settings);
    let rejected = validated.rejected.pop().map(|rejection| rejection.error);
    validated.measurements.pop().ok_or_else(|| rejected.unwrap_or_else(|| FieldError::row("is rejected")))
}
