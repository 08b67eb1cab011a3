//! Counters of what arrived for each project, per way in, so that a sender sees whether its rows are kept and why not.
//!
//! A submission adds to counters in memory, which costs no statement. They are added to the table once a second and when the
//! server stops; several instances add to the same rows. A process that is killed loses at most the last second of counts,
//! never of measurements. Whoever reads the table gets what this process has not written yet with it.

mod counts;
mod store;

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::RwLock;

pub use counts::{Counts, Refusal};
pub use store::ProjectStatus;

use super::submission::{FieldError, Receipt, RejectionCode, Submission};
use crate::{
    db::{Database, Session, StatementLog},
    error::{Error, Result},
    model::{Key, ProjectId, Scope, Timestamp},
};

/// A way in which measurements arrive. The numbers are stored: they never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WayIn {
    /// The mutation `ingestMetrics`.
    Mutation = 1,
    /// The ingest API, also for `perfgraph import --url`.
    IngestApi = 2,
    /// `perfgraph import` into the database.
    Import = 3,
}

impl WayIn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Mutation, Self::IngestApi, Self::Import];

    /// The source that the ledger records.
    pub const fn source(self) -> &'static str {
        match self {
            Self::Mutation => "graphql",
            Self::IngestApi => "bulk",
            Self::Import => "import",
        }
    }

    /// The way with this source. `None` for sample data and for the server's own metrics, which are not counted.
    fn of_source(source: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.source() == source)
    }

    /// The stored number.
    pub const fn code(self) -> i16 {
        self as i16
    }

    fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.code() == code)
    }
}

/// The owner of counters: a project, and a way in which measurements arrived for it.
type Counted = (Key<ProjectId>, WayIn);

/// Counters that are not written yet.
type Pending = BTreeMap<Counted, Counts>;

/// The counters of this process that are not written yet. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct StatusCounters(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// Taken while counters are on their way into the table, where readers would miss them or see them twice.
    writing: RwLock<()>,
}

/// A submission that is about to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Arriving {
    project: Key<ProjectId>,
    way: Option<WayIn>,
    rows: u64,
}

impl Arriving {
    /// For a submission.
    pub fn of(submission: &Submission) -> Self {
        let rows = u64::try_from(submission.candidates.len()).unwrap_or(u64::MAX);
        Self { project: submission.project, way: WayIn::of_source(&submission.source), rows }
    }
}

impl StatusCounters {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, project: Key<ProjectId>, way: Option<WayIn>, now: Timestamp, count: impl FnOnce(&mut Counts)) {
        let Some(way) = way else { return };
        let mut pending = self.pending();
        let counts = pending.entry((project, way)).or_default();
        counts.last_seen_at = counts.last_seen_at.max(now);
        count(counts);
    }

    /// Counts the result of a submission. Counts of a project that does not exist are dropped when they are written.
    pub fn answered(&self, arriving: Arriving, result: &Result<Receipt>, now: Timestamp) {
        let Arriving { project, way, rows } = arriving;
        match result {
            Ok(receipt) if receipt.duplicate => {
                self.add(project, way, now, |counts| counts.ignored += u64::from(receipt.accepted));
            }
            Ok(receipt) => self.add(project, way, now, |counts| {
                counts.accepted += u64::from(receipt.accepted);
                // Also the valid rows of an atomic call that stored nothing.
                counts.refused += rows.saturating_sub(u64::from(receipt.accepted));
                let late = receipt.rejected.iter().filter(|row| row.code == RejectionCode::TimestampTooOld).count();
                counts.late += u64::try_from(late).unwrap_or(0);
                let last = receipt.rejected.len().saturating_sub(Refusal::KEPT);
                for row in receipt.rejected.iter().skip(last) {
                    counts.refuse(&row.error, now);
                }
            }),
            Err(fault) => self.refused_request(project, way, rows, fault, now),
        }
    }

    /// Counts a row that could not be read.
    pub fn unreadable(&self, project: Key<ProjectId>, source: &str, error: &FieldError, now: Timestamp) {
        self.add(project, WayIn::of_source(source), now, |counts| {
            counts.refused += 1;
            counts.refuse(error, now);
        });
    }

    /// Counts readable rows of an atomic body of which another row was refused.
    pub fn dropped(&self, project: Key<ProjectId>, source: &str, rows: usize, now: Timestamp) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.add(project, WayIn::of_source(source), now, |counts| counts.refused += rows);
    }

    /// Counts a request that was refused before its rows were read.
    pub fn refused_body(&self, project: Key<ProjectId>, source: &str, fault: &Error, now: Timestamp) {
        self.refused_request(project, WayIn::of_source(source), 0, fault, now);
    }

    /// Counts a request that was refused as a whole. One that met a server without time or room may be sent again.
    fn refused_request(&self, project: Key<ProjectId>, way: Option<WayIn>, rows: u64, fault: &Error, now: Timestamp) {
        let error = match fault {
            Error::Input { field, message } => FieldError::new(field.clone(), message.clone()),
            Error::Conflict(_) | Error::Limit { .. } => FieldError::row(fault.to_string()),
            _ => return,
        };
        self.add(project, way, now, |counts| {
            counts.refused += rows;
            counts.refused_requests += 1;
            counts.refuse(&error, now);
        });
    }

    /// Adds the counters to the table. What could not be written is written the next time.
    ///
    /// # Errors
    /// The database fails.
    pub async fn write(&self, database: &Database) -> Result<()> {
        if self.pending().is_empty() {
            return Ok(());
        }
        let transaction = database.writer(StatementLog::default()).begin_write().await?;
        let _writing = self.0.writing.write().await;
        let taken = std::mem::take(&mut *self.pending());
        let Err(fault) = store::add(transaction, &taken).await else { return Ok(()) };
        let mut pending = self.pending();
        for (key, counts) in taken {
            match pending.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(counts);
                }
                Entry::Occupied(mut entry) => {
                    let later = std::mem::replace(entry.get_mut(), counts);
                    entry.get_mut().merge(later);
                }
            }
        }
        Err(fault)
    }

    /// The counters of several projects, in one statement. Projects for which nothing arrived are left out, and those of
    /// other scopes.
    ///
    /// # Errors
    /// The database fails.
    pub async fn by_projects(
        &self,
        scope: &Scope,
        db: &Session,
        projects: &[Key<ProjectId>],
    ) -> Result<HashMap<Key<ProjectId>, ProjectStatus>> {
        let _reading = self.0.writing.read().await;
        let mut found = store::by_projects(scope, db, projects).await?;
        let pending = self.pending();
        for &project in projects.iter().filter(|project| scope.sees(project.organization)) {
            for way in WayIn::ALL {
                let Some(counts) = pending.get(&(project, way)) else { continue };
                found.entry(project).or_default().entry(way).or_default().merge(counts.clone());
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ingest::submission::Rejection,
        model::{OrganizationId, Timestamp},
    };

    const PROJECT: Key<ProjectId> = Key::new(OrganizationId(1), ProjectId(2));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn counts(counters: &StatusCounters, way: WayIn) -> Counts {
        counters.pending().get(&(PROJECT, way)).cloned().unwrap_or_default()
    }

    #[test]
    fn every_row_counts_once_by_what_became_of_it() {
        let counters = StatusCounters::default();
        let arriving = Arriving { project: PROJECT, way: Some(WayIn::Mutation), rows: 5 };
        let late = Rejection::new(1, RejectionCode::TimestampTooOld, "is too old".to_owned());
        let receipt = Receipt { accepted: 3, rejected: vec![late], duplicate: false, cursor: None };
        counters.answered(arriving, &Ok(receipt.clone()), at(1));
        counters.answered(arriving, &Ok(Receipt { duplicate: true, ..receipt }), at(3));
        counters.answered(arriving, &Err(Error::Conflict("the project is archived".to_owned())), at(2));
        counters.answered(arriving, &Err(Error::Timeout), at(9));
        counters.unreadable(PROJECT, "graphql", &FieldError::new("value", "is no number"), at(2));
        counters.unreadable(PROJECT, "self", &FieldError::new("value", "is no number"), at(2));
        let found = counts(&counters, WayIn::Mutation);
        assert_eq!((found.accepted, found.refused, found.late, found.ignored, found.refused_requests), (3, 8, 1, 3, 1));
        assert_eq!(found.last_seen_at, at(3));
        let fields: Vec<_> = found.refusals.iter().map(|refusal| refusal.field.as_str()).collect();
        assert_eq!(fields, ["timestamp", "", "value"]);
        assert_eq!(counters.pending().len(), 1);
    }
}
