//! Stores many rows of one source in parts of bounded size, each a submission like any other, and summarizes the result.
//!
//! An idempotency key covers the whole source: each part is stored under the key and its number, and the end has a number
//! too. A retry stores nothing twice, even if the first attempt stopped half-way; other rows under the same key are a
//! conflict.

use std::collections::HashMap;

use super::{
    Ingest,
    idempotency::part_key,
    submission::{Candidate, FieldError, Mode, Rejection, Submission},
};
use crate::{
    db::StatementLog,
    error::{Error, Result},
    model::{Key, OrganizationId, ProjectId, Scope, StreamCursor},
};

/// Maximum number of projects whose permission is cached per source.
const PROJECTS_MAX: usize = 1_000;

/// The result so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Number of durable rows, stored by this call or by an earlier one with the same key.
    pub accepted: u64,
    /// Number of accepted rows that an earlier call had stored.
    pub repeated: u64,
    /// Number of rejected rows.
    pub rejected: u64,
    /// The first rejected rows, at most [`Options::errors_max`].
    pub errors: Vec<RowError>,
    /// True if rows were accepted and an earlier call had stored all of them.
    pub duplicate: bool,
    /// The position of the organization's stream after the last accepted row.
    pub cursor: Option<StreamCursor>,
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The index of the row in the source, from zero.
    pub index: u64,
    /// The reason.
    pub error: FieldError,
}

impl Summary {
    /// Counts a rejected row, and lists it if the list has less than `errors_max` rows.
    pub fn reject(&mut self, index: u64, error: FieldError, errors_max: usize) {
        self.rejected += 1;
        if self.errors.len() < errors_max {
            self.errors.push(RowError { index, error });
        }
    }
}

/// Options for storing a source.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the ingest API, as in [`Submission::source`].
    pub source: &'static str,
    /// The effect of an invalid row. `Atomic` buffers all rows until the end, so they must fit into one call.
    pub mode: Mode,
    /// Number of rows per part.
    pub part_rows: usize,
    /// The handling of the indexes of rejected rows.
    pub rejected: RejectedIndexes,
    /// Maximum number of rejected rows that the summary lists.
    pub errors_max: usize,
    /// The project of rows that cannot be read, to which the caller may write.
    pub project: Option<Key<ProjectId>>,
}

impl Options {
    /// The default of [`Options::errors_max`].
    pub const ERRORS_MAX: usize = 100;
}

/// The handling of the indexes of rejected rows beyond those that the summary lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedIndexes {
    /// Not kept, so a source of invalid rows takes no memory.
    Discarded,
    /// Kept until [`Bulk::take_rejected`], to be called after each part.
    Kept,
}

/// The buffered rows of one project, up to the size of a part.
struct PendingPart {
    project: Key<ProjectId>,
    candidates: Vec<Candidate>,
    /// The index of each row in the source.
    indexes: Vec<u64>,
}

/// Stores the rows of one source.
pub struct Bulk<'a> {
    scope: &'a Scope,
    ingest: &'a Ingest,
    options: Options,
    pending: Vec<PendingPart>,
    pending_rows: usize,
    /// Number of stored parts.
    parts: u64,
    /// The organization of the first accepted row. Rows of others are rejected, because cursors and keys belong to one
    /// organization.
    organization: Option<OrganizationId>,
    /// The checked projects, each with the reason if its rows are rejected.
    checked: HashMap<Key<ProjectId>, Option<String>>,
    summary: Summary,
    rejected_indexes: Vec<u64>,
}

impl<'a> Bulk<'a> {
    /// Starts a source.
    pub fn new(scope: &'a Scope, ingest: &'a Ingest, options: Options) -> Self {
        Self {
            scope,
            ingest,
            options,
            pending: Vec::new(),
            pending_rows: 0,
            parts: 0,
            organization: None,
            checked: HashMap::new(),
            summary: Summary::default(),
            rejected_indexes: Vec::new(),
        }
    }

    /// The result so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Takes the indexes of the rows that were rejected since the last call.
    pub fn take_rejected(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.rejected_indexes)
    }

    /// True if a part is complete, so that [`Self::store`] must be called before the next row.
    pub const fn is_full(&self) -> bool {
        matches!(self.options.mode, Mode::Partial) && self.pending_rows >= self.options.part_rows
    }

    /// Rejects a row that was not submitted.
    pub fn reject(&mut self, index: u64, error: FieldError) {
        if let Some(project) = self.options.project {
            self.ingest.count_unreadable(project, self.options.source, &error);
        }
        self.list(index, error);
    }

    /// Lists a rejected row in the summary.
    fn list(&mut self, index: u64, error: FieldError) {
        if self.options.rejected == RejectedIndexes::Kept {
            self.rejected_indexes.push(index);
        }
        self.summary.reject(index, error, self.options.errors_max);
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The database fails to answer whether the project exists, or an atomic source exceeds the size of one call.
    pub async fn row(&mut self, index: u64, project: Key<ProjectId>, candidate: Candidate) -> Result<()> {
        match self.refusal(project).await? {
            None => self.push(index, project, candidate),
            Some(message) => {
                self.reject(index, FieldError::new("projectId", message));
                Ok(())
            }
        }
    }

    /// The reason if rows of this project are rejected.
    async fn refusal(&mut self, project: Key<ProjectId>) -> Result<Option<String>> {
        if self.organization.is_some_and(|organization| organization != project.organization) {
            return Ok(Some(
                "the project belongs to another organization than the projects of earlier rows; send it in a separate call"
                    .to_owned(),
            ));
        }
        if let Some(known) = self.checked.get(&project) {
            return Ok(known.clone());
        }
        let refusal = match self.ingest.admit(self.scope, project).await {
            Ok(()) => None,
            Err(fault @ (Error::NotFound { .. } | Error::Conflict(_))) => Some(fault.to_string()),
            Err(fault) => return Err(fault),
        };
        if refusal.is_none() {
            self.organization = Some(project.organization);
        }
        if self.checked.len() >= PROJECTS_MAX {
            self.checked.clear();
        }
        self.checked.insert(project, refusal.clone());
        Ok(refusal)
    }

    fn push(&mut self, index: u64, project: Key<ProjectId>, candidate: Candidate) -> Result<()> {
        let rows_max = self.ingest.rows_max();
        if u32::try_from(self.pending_rows).is_ok_and(|rows| rows >= rows_max) {
            return Err(Error::Limit {
                what: "the number of metrics in one atomic call",
                actual: index + 1,
                limit: u64::from(rows_max),
                advice: "send them in several calls, or with mode=partial",
            });
        }
        let known = self.pending.iter().rposition(|part| part.project == project);
        let at = known.unwrap_or(self.pending.len());
        if known.is_none() {
            self.pending.push(PendingPart { project, candidates: Vec::new(), indexes: Vec::new() });
        }
        if let Some(part) = self.pending.get_mut(at) {
            part.candidates.push(candidate);
            part.indexes.push(index);
            self.pending_rows += 1;
        }
        Ok(())
    }

    /// Stores the pending rows, one part per project.
    ///
    /// # Errors
    /// A part cannot be stored. Earlier parts are stored and counted in the summary.
    pub async fn store(&mut self, key: Option<&str>) -> Result<()> {
        self.pending_rows = 0;
        for PendingPart { project, candidates, indexes } in std::mem::take(&mut self.pending) {
            let submission = Submission {
                project,
                candidates,
                idempotency_key: key.map(|key| part_key(key, self.parts)),
                source: self.options.source.to_owned(),
                mode: self.options.mode,
            };
            let receipt = self.ingest.submit_part(self.scope, submission, &StatementLog::default()).await?;
            self.parts += 1;
            self.summary.accepted += u64::from(receipt.accepted);
            self.summary.repeated += if receipt.duplicate { u64::from(receipt.accepted) } else { 0 };
            self.summary.cursor = self.summary.cursor.max(receipt.cursor);
            self.summary.duplicate = self.summary.accepted > 0 && self.summary.repeated == self.summary.accepted;
            self.reject_all(receipt.rejected, &indexes);
        }
        Ok(())
    }

    /// Stores the pending rows and seals the key, so that a longer source under the same key is a conflict.
    ///
    /// # Errors
    /// As [`Self::store`], and if an atomic source has rows of several projects.
    pub async fn finish(&mut self, key: Option<&str>) -> Result<()> {
        if self.options.mode == Mode::Atomic {
            if self.pending.len() > 1 {
                let message = "mode=atomic stores rows of one project; send one call per project, or use mode=partial";
                return Err(Error::input("projectId", message));
            }
            if self.summary.rejected > 0 {
                // No row will be stored: the pending rows are only validated.
                for PendingPart { project, candidates, indexes } in std::mem::take(&mut self.pending) {
                    self.ingest.count_dropped(project, self.options.source, candidates.len());
                    self.reject_all(self.ingest.review(candidates), &indexes);
                }
            }
        }
        let last = self.pending.last().map(|part| part.project);
        self.store(key).await?;
        let any =
            last.or_else(|| self.checked.iter().find(|(_, refusal)| refusal.is_none()).map(|(project, _)| *project));
        match (key, any) {
            (Some(key), Some(project)) => {
                let key = part_key(key, self.parts);
                self.ingest.seal(self.scope, project, self.options.source, key).await
            }
            _ => Ok(()),
        }
    }

    fn reject_all(&mut self, rejected: Vec<Rejection>, indexes: &[u64]) {
        for rejection in rejected {
            let at = usize::try_from(rejection.index).ok();
            let index = at.and_then(|at| indexes.get(at)).copied().unwrap_or_default();
            self.list(index, rejection.error);
        }
    }
}
