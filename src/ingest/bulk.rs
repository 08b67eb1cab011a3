//! Many rows from one source: put together in parts of a bounded size, each stored like any other call, and one summary
//! of what became of all of them.
//!
//! A key makes the whole repeatable: each part is stored under the key and its number, and the end has a number too. So
//! the same rows again store nothing twice, however far they came before, and other rows under the key are a conflict.

use std::collections::HashMap;

use super::{Candidate, Ingest, Mode, Rejection, Submission, accept};
use crate::{
    db::StatementLog,
    directory::reach::{self, PROJECT},
    error::{Error, Result},
    ingest::formats::Unreadable,
    model::{Key, OrganizationId, ProjectId, Scope, StreamCursor},
};

/// Refused rows that a summary names.
const ERRORS_MAX: usize = 100;
/// Projects whose admission is remembered within one source.
const PROJECTS_MAX: usize = 1_000;

/// What became of the rows so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Rows that are durable, stored now or earlier under the same key.
    pub accepted: u64,
    /// Those of them that were stored earlier.
    pub repeated: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// The first of those.
    pub errors: Vec<RowError>,
    /// Whether something was accepted, and nothing of it was stored now.
    pub duplicate: bool,
    /// Where the stream of metrics stands after the last accepted row.
    pub cursor: Option<StreamCursor>,
}

/// Why a row was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowError {
    /// The position in the source, from zero.
    pub index: u64,
    /// What it is about; empty for the row as a whole.
    pub field: String,
    /// What is wrong and how to put it right.
    pub message: String,
}

impl Summary {
    /// Counts a refused row, and names it if it is one of the first.
    pub fn refuse(&mut self, index: u64, why: Unreadable) {
        self.rejected += 1;
        if self.errors.len() < ERRORS_MAX {
            let Unreadable { field, message } = why;
            self.errors.push(RowError { index, field, message });
        }
    }
}

impl From<Rejection> for Unreadable {
    fn from(Rejection { code, message, .. }: Rejection) -> Self {
        let field = code.field();
        let rest = message.strip_prefix(field).and_then(|rest| rest.strip_prefix(": ")).map(str::to_owned);
        Self { field: field.to_owned(), message: rest.unwrap_or(message) }
    }
}

/// How a source is stored.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which door it came through.
    pub source: &'static str,
    /// What a bad row does to the good ones; `Atomic` holds all rows back to the end, so they must fit into one call.
    pub mode: Mode,
    /// Rows of one part.
    pub part_rows: usize,
    /// Who keeps the rows that were refused.
    pub refused: Refused,
}

/// What becomes of the indexes of refused rows, beyond the first that a summary names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody asks for them, so a source of nothing but bad rows costs no memory.
    Forgotten,
    /// They wait for [`Bulk::take_refused`], which is asked with each part.
    Collected,
}

/// The rows of one project that wait for their part to be complete.
struct Group {
    project: Key<ProjectId>,
    candidates: Vec<Candidate>,
    /// Where each stands in the source.
    indexes: Vec<u64>,
}

/// Takes rows and stores them.
pub struct Bulk<'a> {
    ingest: &'a Ingest,
    scope: &'a Scope,
    options: Options,
    groups: Vec<Group>,
    waiting: usize,
    /// Parts stored so far.
    parts: u64,
    /// One organization, because a cursor and a key are an organization's.
    organization: Option<OrganizationId>,
    admitted: HashMap<Key<ProjectId>, Option<String>>,
    summary: Summary,
    /// Refused since somebody asked, where somebody does.
    last_refused: Vec<u64>,
}

impl<'a> Bulk<'a> {
    /// Nothing yet.
    pub fn new(ingest: &'a Ingest, scope: &'a Scope, options: Options) -> Self {
        Self {
            ingest,
            scope,
            options,
            groups: Vec::new(),
            waiting: 0,
            parts: 0,
            organization: None,
            admitted: HashMap::new(),
            summary: Summary::default(),
            last_refused: Vec::new(),
        }
    }

    /// What became of the rows so far.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The indexes of rows that were refused since this was last asked.
    pub fn take_refused(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.last_refused)
    }

    /// Whether the next thing to do is [`Self::store`].
    pub const fn is_full(&self) -> bool {
        matches!(self.options.mode, Mode::Partial) && self.waiting >= self.options.part_rows
    }

    /// Refuses a row.
    pub fn refuse(&mut self, index: u64, why: Unreadable) {
        if self.options.refused == Refused::Collected {
            self.last_refused.push(index);
        }
        self.summary.refuse(index, why);
    }

    /// Takes a row of a project that it named itself.
    ///
    /// # Errors
    /// When the database cannot say whether there is such a project, or a source that must be whole is too large.
    pub async fn row(&mut self, index: u64, project: Option<Key<ProjectId>>, candidate: Candidate) -> Result<()> {
        let refusal = match project {
            None => Some(reach::unknown(PROJECT).to_string()),
            Some(project) => self.refusal(project).await?,
        };
        match (project, refusal) {
            (Some(project), None) => self.take(index, project, candidate),
            (_, refusal) => {
                let message = refusal.unwrap_or_default();
                self.refuse(index, Unreadable { field: "projectId".to_owned(), message });
                Ok(())
            }
        }
    }

    /// Why rows of this project are not taken, if so.
    async fn refusal(&mut self, project: Key<ProjectId>) -> Result<Option<String>> {
        if self.organization.is_some_and(|organization| organization != project.organization) {
            return Ok(Some(
                "the project is of another organization than those of the rows before; send it in a call of its own"
                    .to_owned(),
            ));
        }
        if let Some(known) = self.admitted.get(&project) {
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
        if self.admitted.len() >= PROJECTS_MAX {
            self.admitted.clear();
        }
        self.admitted.insert(project, refusal.clone());
        Ok(refusal)
    }

    fn take(&mut self, index: u64, project: Key<ProjectId>, candidate: Candidate) -> Result<()> {
        let rows_max = usize::try_from(self.ingest.settings.rows_max).unwrap_or(usize::MAX);
        if self.waiting >= rows_max {
            return Err(Error::Limit {
                what: "the number of metrics that are to be kept all or none",
                actual: index + 1,
                limit: u64::from(self.ingest.settings.rows_max),
                advice: "send them in several calls, or with mode=partial",
            });
        }
        let known = self.groups.iter().rposition(|group| group.project == project);
        let at = known.unwrap_or(self.groups.len());
        if known.is_none() {
            self.groups.push(Group { project, candidates: Vec::new(), indexes: Vec::new() });
        }
        if let Some(group) = self.groups.get_mut(at) {
            group.candidates.push(candidate);
            group.indexes.push(index);
            self.waiting += 1;
        }
        Ok(())
    }

    /// Stores the rows that wait, one part for each project.
    ///
    /// # Errors
    /// When a part cannot be stored; those before it are, as the summary says.
    pub async fn store(&mut self, key: Option<&str>) -> Result<()> {
        self.waiting = 0;
        for Group { project, candidates, indexes } in std::mem::take(&mut self.groups) {
            let submission = Submission {
                project,
                candidates,
                idempotency_key: key.map(|key| accept::part_key(key, self.parts)),
                source: self.options.source.to_owned(),
                mode: self.options.mode,
            };
            let receipt = self.ingest.submit_part(self.scope, submission, &StatementLog::default()).await?;
            self.parts += 1;
            self.summary.accepted += u64::from(receipt.accepted);
            self.summary.repeated += if receipt.duplicate { u64::from(receipt.accepted) } else { 0 };
            self.summary.cursor = self.summary.cursor.max(receipt.cursor);
            self.summary.duplicate = self.summary.accepted > 0 && self.summary.repeated == self.summary.accepted;
            self.refuse_all(receipt.rejected, &indexes);
        }
        Ok(())
    }

    /// Stores what waits and closes the key, so that a longer source cannot be taken for this one.
    ///
    /// # Errors
    /// As [`Self::store`], and when rows of several projects were to be kept all or none.
    pub async fn finish(&mut self, key: Option<&str>) -> Result<()> {
        if self.options.mode == Mode::Atomic {
            if self.groups.len() > 1 {
                let message = "mode=atomic keeps the rows of one project; send a call for each, or use mode=partial";
                return Err(Error::input("projectId", message));
            }
            if self.summary.rejected > 0 {
                // None is kept already: what is wrong with the others is only told.
                for Group { candidates, indexes, .. } in std::mem::take(&mut self.groups) {
                    self.refuse_all(self.ingest.review(candidates), &indexes);
                }
            }
        }
        let last = self.groups.last().map(|group| group.project);
        self.store(key).await?;
        let any =
            last.or_else(|| self.admitted.iter().find(|(_, refusal)| refusal.is_none()).map(|(project, _)| *project));
        match (key, any) {
            (Some(key), Some(project)) => {
                let key = accept::part_key(key, self.parts);
                self.ingest.seal(self.scope, project, self.options.source, key).await
            }
            _ => Ok(()),
        }
    }

    fn refuse_all(&mut self, rejected: Vec<Rejection>, indexes: &[u64]) {
        for rejection in rejected {
            let at = usize::try_from(rejection.index).ok();
            let index = at.and_then(|at| indexes.get(at)).copied().unwrap_or_default();
            self.refuse(index, rejection.into());
        }
    }
}
