//! The first step of the write path: permission, the limits of a submission as a whole, and validation of its rows.

use super::{
    idempotency::{body_hash, empty_hash},
    job::Job,
    late::LateCounts,
    submission::{Mode, Receipt, Submission},
    validate::{Validated, validate},
};
use crate::{
    config,
    db::StatementLog,
    directory::reach::{self, PROJECT},
    error::{Error, Result},
    model::{Key, ProjectId, Scope, Timestamp},
};

/// Checks permission and the number of rows, without a database.
pub fn shape(scope: &Scope, submission: &Submission, rows_max: u32) -> Result<()> {
    reach::to_metrics(scope, submission.project).require(PROJECT)?;
    let rows = submission.candidates.len();
    if rows == 0 {
        return Err(Error::input("metrics", "is empty; send at least one metric"));
    }
    if u32::try_from(rows).is_ok_and(|rows| rows <= rows_max) {
        Ok(())
    } else {
        Err(Error::Limit {
            what: "the number of metrics in one call",
            actual: u64::try_from(rows).unwrap_or(u64::MAX),
            limit: u64::from(rows_max),
            advice: "send them in several calls, each with an idempotency key of its own",
        })
    }
}

/// A job without rows that only reserves its key.
pub fn seal(project: Key<ProjectId>, source: &str, key: String, now: Timestamp) -> Job {
    Job {
        project,
        source: source.to_owned(),
        key: Some(key),
        body_hash: empty_hash(),
        measurements: Vec::new(),
        rejected: Vec::new(),
        late: LateCounts::default(),
        received_at: now,
        log: StatementLog::default(),
    }
}

/// The outcome of validation.
pub enum Accepted {
    /// No row to store or to count, and no key to remember the receipt under.
    Nothing(Receipt),
    /// A job to write.
    Job(Box<Job>),
}

/// Validates the rows of a submission.
pub fn into_job(submission: Submission, now: Timestamp, settings: &config::Ingest, log: &StatementLog) -> Accepted {
    // Before validation, because a retry has the same hash even if some of its rows are too old by now.
    let body_hash = submission.idempotency_key.as_ref().map_or_else(Vec::new, |_| body_hash(&submission));
    let Submission { project, candidates, idempotency_key, source, mode } = submission;
    let Validated { mut measurements, rejected, mut late } = validate(candidates, now, settings);
    if mode == Mode::Atomic && !rejected.is_empty() {
        measurements.clear();
        // Late rows of a refused submission are not counted: the sender still has all rows and can send them again.
        late = LateCounts::default();
    }
    if measurements.is_empty() && late.is_empty() && idempotency_key.is_none() {
        return Accepted::Nothing(Receipt { accepted: 0, rejected, duplicate: false, cursor: None });
    }
    Accepted::Job(Box::new(Job {
        project,
        source,
        key: idempotency_key,
        body_hash,
        measurements,
        rejected,
        late,
        received_at: now,
        log: log.clone(),
    }))
}
