//! A stream of what was just committed: every batch once, in the order of commits, and nothing lost silently.
//!
//! The publisher's channel is the quick way; the sequence says whether it was complete. Where a batch is missing (the
//! stream was slow, resumes from a cursor, or another process committed) the database is read up to the live tail.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use futures_util::{Stream, stream::try_unfold};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{CommittedBatch, Publisher, replay};
use crate::{
    db::{Database, StatementLog},
    entity,
    error::{Error, Result},
    model::{Key, Measurement, MetricType, OrganizationId, ProjectId, Reach, RecordedMetric, Scope, StreamCursor},
};

/// What a stream lets through. An empty list lets everything through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only these projects.
    pub projects: Vec<Key<ProjectId>>,
    /// Only this organization.
    pub organization: Option<OrganizationId>,
    /// Only these types.
    pub kinds: Vec<MetricType>,
    /// Only these endpoints, by exact path.
    pub endpoints: Vec<String>,
    /// Only values from here on.
    pub min_value: Option<f64>,
}

impl Filter {
    pub(super) fn watches(&self, project: Key<ProjectId>) -> bool {
        (self.projects.is_empty() || self.projects.contains(&project))
            && self.organization.is_none_or(|only| only == project.organization)
    }

    pub(super) fn passes(&self, measurement: &Measurement) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&measurement.kind))
            && (self.endpoints.is_empty() || self.endpoints.contains(&measurement.endpoint))
            && self.min_value.is_none_or(|min| measurement.value >= min)
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = MetricType> {
        let kinds = MetricType::ALL.into_iter();
        kinds.filter(|kind| self.kinds.is_empty() || self.kinds.contains(kind))
    }

    /// The organizations that can have something to say; `None` for all.
    fn organizations(&self, scope: &Scope) -> Option<BTreeSet<OrganizationId>> {
        if !self.projects.is_empty() {
            let projects = self.projects.iter().filter(|project| self.watches(**project));
            return Some(projects.map(|project| project.organization).collect());
        }
        match (self.organization, scope.reach()) {
            (Some(only), _) | (None, Reach::Organization(only)) => Some(BTreeSet::from([only])),
            (None, Reach::Everything) => None,
        }
    }
}

/// The rows of one batch that passed the filter.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamEvent {
    /// The end of the batch: a stream opened after it continues with the next.
    pub cursor: StreamCursor,
    /// Never empty; by ordinal.
    pub metrics: Vec<RecordedMetric>,
}

/// Opens a stream of everything that commits from now on or, with `after`, of everything since then.
///
/// An error ends the stream; its last cursor resumes it.
///
/// # Errors
/// [`Error::NotFound`] for an organization or project that is absent or outside the scope, [`Error::Input`] for a cursor
/// that belongs to another organization or lies ahead of the stream, or where the filter spans several organizations: a
/// cursor cannot say where the others stood.
pub async fn open(
    scope: &Scope,
    database: Database,
    publisher: &Publisher,
    filter: Filter,
    after: Option<StreamCursor>,
) -> Result<impl Stream<Item = Result<StreamEvent>> + Send + 'static + use<>> {
    check(scope, &database, &filter).await?;
    // Before the sequences are read: what commits in between arrives here and is known by its sequence.
    let receiver = publisher.subscribe();
    let organizations = filter.organizations(scope);
    let mut tail = Tail {
        reached: replay::last_sequences(&database, organizations.as_ref()).await?,
        database,
        filter,
        organizations,
        receiver,
        pending: VecDeque::new(),
        behind: VecDeque::new(),
        resume: None,
    };
    if let Some(after) = after {
        tail.resume_after(after)?;
    }
    Ok(try_unfold(tail, |mut tail| async move { Ok(tail.next().await?.map(|event| (event, tail))) }))
}

/// Whether everything that the filter names is there and in sight.
async fn check(scope: &Scope, database: &Database, filter: &Filter) -> Result<()> {
    use entity::{organization, project};
    let session = database.reader(StatementLog::default());
    if let Some(id) = filter.organization {
        let found = scope.sees(id) && organization::Entity::find_by_id(id).count(&session).await? > 0;
        if !found {
            return Err(Error::not_found("organization"));
        }
    }
    if filter.projects.is_empty() {
        return Ok(());
    }
    let named: BTreeSet<Key<ProjectId>> = filter.projects.iter().copied().collect();
    let mut of_organization: HashMap<OrganizationId, Vec<ProjectId>> = HashMap::new();
    for project in named.iter().filter(|project| scope.sees(project.organization)) {
        of_organization.entry(project.organization).or_default().push(project.id);
    }
    let any = of_organization.into_iter().map(|(organization, ids)| {
        Condition::all().add(project::Column::OrganizationId.eq(organization)).add(project::Column::Id.is_in(ids))
    });
    let any = any.fold(Condition::any(), Condition::add);
    let found = if any.is_empty() { 0 } else { project::Entity::find().filter(any).count(&session).await? };
    if usize::try_from(found).is_ok_and(|found| found == named.len()) {
        Ok(())
    } else {
        Err(Error::not_found("project"))
    }
}

/// A stream's own state.
struct Tail {
    database: Database,
    filter: Filter,
    organizations: Option<BTreeSet<OrganizationId>>,
    receiver: Receiver<Arc<CommittedBatch>>,
    /// The last sequence per organization that is behind us: delivered, or of no interest. An organization that is not
    /// here had not committed anything when the stream opened.
    reached: HashMap<OrganizationId, i64>,
    /// Read and not yet delivered.
    pending: VecDeque<StreamEvent>,
    /// Organizations to be read from the database, and up to which sequence.
    behind: VecDeque<(OrganizationId, i64)>,
    /// The cursor that the stream resumes after, until its batch has been read.
    resume: Option<StreamCursor>,
}

impl Tail {
    fn watches(&self, organization: OrganizationId) -> bool {
        self.organizations.as_ref().is_none_or(|watched| watched.contains(&organization))
    }

    fn reached(&self, organization: OrganizationId) -> i64 {
        self.reached.get(&organization).copied().unwrap_or(0)
    }

    fn resume_after(&mut self, after: StreamCursor) -> Result<()> {
        if self.organizations.as_ref().is_none_or(|watched| watched.len() > 1) {
            let advice = "a cursor stands in the stream of one organization: name it, or projects of it, in the filter";
            return Err(Error::input("after", advice));
        }
        if !self.watches(after.organization) {
            return Err(Error::input("after", "belongs to a stream of another organization"));
        }
        let last = self.reached(after.organization);
        if after.sequence < 1 || after.sequence > last {
            return Err(Error::input("after", "is not a position of this stream; use a cursor as the server sent it"));
        }
        self.behind.push_back((after.organization, last));
        // Its own batch is read again: the cursor may stand in the middle of it.
        self.reached.insert(after.organization, after.sequence - 1);
        self.resume = Some(after);
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<StreamEvent>> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            if let Some((organization, to)) = self.behind.front().copied() {
                if self.reached(organization) < to {
                    self.read_on(organization, to).await?;
                } else {
                    self.behind.pop_front();
                }
                continue;
            }
            match self.receiver.recv().await {
                Ok(batch) => self.take(&batch),
                Err(RecvError::Lagged(_)) => self.look_back().await?,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    /// Delivers a batch that follows what was reached; anything else is known already or has a gap before it.
    fn take(&mut self, batch: &CommittedBatch) {
        let reached = self.reached(batch.organization);
        if !self.watches(batch.organization) || batch.sequence <= reached {
            return;
        }
        if batch.sequence > reached + 1 {
            self.behind.push_back((batch.organization, batch.sequence));
            return;
        }
        self.reached.insert(batch.organization, batch.sequence);
        if self.filter.watches(batch.project) {
            let metrics = batch.recorded(|measurement| self.filter.passes(measurement));
            if !metrics.is_empty() {
                let cursor = batch.end();
                self.pending.push_back(StreamEvent { cursor, metrics });
            }
        }
    }

    /// Batches were dropped before we saw them: the database knows how far each organization is.
    async fn look_back(&mut self) -> Result<()> {
        let last = replay::last_sequences(&self.database, self.organizations.as_ref()).await?;
        self.behind.extend(last);
        Ok(())
    }

    /// Reads a page of what was missed.
    async fn read_on(&mut self, organization: OrganizationId, to: i64) -> Result<()> {
        let next = replay::Start::at(organization, self.reached(organization) + 1, self.resume.as_ref());
        let page = replay::page(&self.database, &self.filter, next, to).await?;
        self.reached.insert(organization, page.last);
        if self.resume.is_some_and(|resume| resume.organization == organization) {
            self.resume = None;
        }
        self.pending.extend(page.events);
        Ok(())
    }
}
