//! Objects that filters name by their ids. An id that names no object within the caller's scope is an error that repeats
//! it: an empty answer would be taken for a fact. A text that is no id at all, or that of another type, is a mistake of the
//! caller, found before anything is read.

mod name;

use std::sync::Arc;

use async_graphql::ID;
use futures_util::{
    Stream, StreamExt,
    future::{try_join_all, try_join3},
    stream::{self, BoxStream},
};

use super::{
    context::RequestContext,
    loaders::{AskedRow, Loader},
    node::{self, NodeId},
};
use crate::{
    clock::Stopwatch,
    directory::{
        ProjectFields,
        reach::{self, Subject},
    },
    error::{Code, Error, Result},
    model::{EmployeeId, Key, OrganizationId, ProjectId, ProjectSlug, slug::NoProjectSlug},
};

pub use name::{Name, NameFields, organization_by_slug};

/// The field of a filter that names projects by slugs.
const SLUGS: &str = "filter.projectSlugs";
/// The field of a filter that names an organization by its slug.
const ORGANIZATION_SLUG: &str = "filter.organizationSlug";

/// The objects that a filter names.
#[derive(Clone, Debug, Default)]
pub struct NamedObjects {
    by_id: Vec<NamedObject>,
    /// Slugs of projects, and the projects that they named when they were looked up.
    slugs: Vec<String>,
    projects: Vec<Key<ProjectId>>,
    /// The slug of an organization, and the organization that it named.
    organization: Option<(String, OrganizationId)>,
}

/// An id in a filter, and the object that it names.
#[derive(Clone, Debug)]
struct NamedObject {
    noun: &'static str,
    field: String,
    id: String,
    object: ObjectKey,
}

/// The key of an object that filters name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKey {
    /// An organization.
    Organization(OrganizationId),
    /// An employee.
    Employee(Key<EmployeeId>),
    /// A project.
    Project(Key<ProjectId>),
}

impl From<OrganizationId> for ObjectKey {
    fn from(id: OrganizationId) -> Self {
        Self::Organization(id)
    }
}

impl From<Key<EmployeeId>> for ObjectKey {
    fn from(key: Key<EmployeeId>) -> Self {
        Self::Employee(key)
    }
}

impl From<Key<ProjectId>> for ObjectKey {
    fn from(key: Key<ProjectId>) -> Self {
        Self::Project(key)
    }
}

/// The error for an id that names no object within the caller's scope, whether it is absent or foreign.
pub fn not_found(noun: &str, id: &str, field: &str) -> Error {
    Error::not_found(format!("the {noun} `{}` in {field}", node::shown(id)))
}

/// The error of slugs in a field of a change, whose expected failures are data: [`Error::Refused`] for slugs without an object.
pub fn not_found_in_change(fault: Error, field: &str) -> Error {
    if fault.code() == Code::NotFound { reach::unknown(Subject::Field(field)) } else { fault }
}

/// The projects with these slugs, in their order. One statement, shared with other fields that name projects by slugs.
///
/// # Errors
/// [`Error::Input`] for a text that is not the slugs of a project, [`Error::NotFound`] naming the first slugs without a
/// project, or the error of the database.
pub async fn by_slugs(request: &RequestContext, slugs: &[String], field: &str) -> Result<Vec<Key<ProjectId>>> {
    try_join_all(slugs.iter().map(|slugs| project_by_slug(request, slugs, field))).await
}

/// The project with these slugs. One statement, shared with other fields that name projects by slugs.
///
/// # Errors
/// As [`by_slugs`].
pub async fn project_by_slug(request: &RequestContext, slugs: &str, field: &str) -> Result<Key<ProjectId>> {
    let asked = AskedRow { id: slug(slugs, field)?, fields: ProjectFields::default() };
    let row = request.loaders().project_by_slug.load(asked).await?;
    row.map(|row| row.key).ok_or_else(|| not_found("project", slugs, field))
}

/// The slugs of a project in a field.
///
/// # Errors
/// [`Error::Input`] saying what slugs look like.
pub fn slug(text: &str, field: &str) -> Result<ProjectSlug> {
    text.parse().map_err(|error: NoProjectSlug| Error::input(field, error.to_string()))
}

/// The projects of a filter, by their ids or by their slugs. `None` without either.
///
/// # Errors
/// [`Error::Input`] if both are given, and as [`by_slugs`]. Ids are looked up with the other objects of `named`.
pub async fn projects_of_filter(
    request: &RequestContext,
    named: &mut NamedObjects,
    ids: Option<&[ID]>,
    slugs: Option<&[String]>,
) -> Result<Option<Vec<Key<ProjectId>>>> {
    match (ids, slugs) {
        (Some(_), Some(_)) => {
            Err(Error::input(SLUGS, "is given together with `projectIds`; name all projects in one of them"))
        }
        (Some(ids), None) => named.projects("filter.projectIds", ids).map(Some),
        (None, Some(slugs)) => {
            let projects = by_slugs(request, slugs, SLUGS).await?;
            (named.slugs, named.projects) = (slugs.to_vec(), projects.clone());
            Ok(Some(projects))
        }
        (None, None) => Ok(None),
    }
}

/// The organization of a filter, by its id or by its slug. `None` without either.
///
/// # Errors
/// [`Error::Input`] if both are given, or for a text that is no id of an organization, [`Error::NotFound`] naming a slug
/// without an organization, or the error of the database. An id is looked up with the other objects of `named`.
pub async fn organization_of_filter(
    request: &RequestContext,
    named: &mut NamedObjects,
    id: Option<&ID>,
    slug: Option<String>,
) -> Result<Option<OrganizationId>> {
    match (id, slug) {
        (Some(_), Some(_)) => {
            Err(Error::input(ORGANIZATION_SLUG, "is given together with `organizationId`; give one of them"))
        }
        (Some(id), None) => named.organization("filter.organizationId", id).map(Some),
        (None, Some(slug)) => {
            let organization = organization_by_slug(request, &slug, ORGANIZATION_SLUG).await?;
            named.organization = Some((slug, organization));
            Ok(Some(organization))
        }
        (None, None) => Ok(None),
    }
}

impl NamedObjects {
    /// Adds an id in a field of the filter.
    pub fn add(&mut self, noun: &'static str, field: impl Into<String>, id: &ID, key: impl Into<ObjectKey>) {
        self.by_id.push(NamedObject { noun, field: field.into(), id: id.0.clone(), object: key.into() });
    }

    /// Adds the id of an organization, and returns its key.
    ///
    /// # Errors
    /// [`Error::Input`] naming the field, if the text is no id of an organization.
    pub fn organization(&mut self, field: &str, id: &ID) -> Result<OrganizationId> {
        let key = NodeId::organization(id).map_err(|error| error.in_field(field))?;
        self.add("organization", field, id, key);
        Ok(key)
    }

    /// Adds the ids of projects, and returns their keys.
    ///
    /// # Errors
    /// [`Error::Input`] naming the field and the index of the first text that is no id of a project.
    pub fn projects(&mut self, field: &str, ids: &[ID]) -> Result<Vec<Key<ProjectId>>> {
        let key = |(index, id): (usize, &ID)| {
            let key = NodeId::project(id).map_err(|error| error.in_field(format!("{field}.{index}")))?;
            self.add("project", field, id, key);
            Ok(key)
        };
        ids.iter().enumerate().map(key).collect()
    }

    /// Requires that every object exists within the caller's scope. One statement for each kind of object, which it shares
    /// with other fields that read such objects at the same time; none for an organization of which another object is
    /// named.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming the first that does not, or the error of the database.
    pub async fn require(&self, request: &RequestContext) -> Result<()> {
        match self.missing(request).await? {
            Some(NamedObject { noun, field, id, .. }) => Err(not_found(noun, id, field)),
            None => Ok(()),
        }
    }

    /// As [`Self::require`], for the filter of a change, whose expected failures are data.
    ///
    /// # Errors
    /// [`Error::Refused`] naming the field, or the error of the database.
    pub async fn require_for_change(&self, request: &RequestContext) -> Result<()> {
        match self.missing(request).await? {
            Some(NamedObject { field, .. }) => Err(reach::unknown(Subject::Field(field))),
            None => Ok(()),
        }
    }

    /// The error of a room that found one of these objects absent, as one that names its id. Other errors stay.
    pub async fn explain(&self, request: &RequestContext, error: Error) -> Error {
        if error.code() != Code::NotFound {
            return error;
        }
        self.require(request).await.err().unwrap_or(error)
    }

    /// The events of a stream that was opened for these objects, up to the first at which slugs name other projects: all
    /// subscribers with equal documents share the stream, and one that joins means the projects that the slugs name then.
    /// Looks them up at every heartbeat.
    pub fn while_unchanged<'a, T: Send + 'a>(
        self,
        request: Arc<RequestContext>,
        events: impl Stream<Item = Result<T>> + Send + 'a,
    ) -> BoxStream<'a, Result<T>> {
        if self.slugs.is_empty() && self.organization.is_none() {
            return events.boxed();
        }
        let interval = request.services.live.heartbeat_interval / 2;
        let begin = Some((Box::pin(events), Stopwatch::start(), self, request));
        stream::unfold(begin, move |open| async move {
            let (mut events, mut checked, named, request) = open?;
            let event = events.next().await?;
            if checked.elapsed() >= interval {
                checked = Stopwatch::start();
                match named.still_named(&request).await {
                    Err(fault) if fault.code() == Code::NotFound => return Some((Err(fault), None)),
                    // A database that does not answer says nothing about slugs.
                    _ => {}
                }
            }
            Some((event, Some((events, checked, named, request))))
        })
        .boxed()
    }

    /// Requires that slugs name the objects that they named before.
    async fn still_named(&self, request: &RequestContext) -> Result<()> {
        let projects = by_slugs(request, &self.slugs, SLUGS).await?;
        let pairs = self.slugs.iter().zip(projects.iter().zip(&self.projects));
        if let Some((slug, _)) = pairs.into_iter().find(|(_, (new, old))| new != old) {
            return Err(not_found("former project", slug, SLUGS));
        }
        if let Some((slug, before)) = &self.organization
            && organization_by_slug(request, slug, ORGANIZATION_SLUG).await? != *before
        {
            return Err(not_found("former organization", slug, ORGANIZATION_SLUG));
        }
        Ok(())
    }

    async fn missing(&self, request: &RequestContext) -> Result<Option<&NamedObject>> {
        // Most filters name nothing.
        if self.by_id.is_empty() {
            return Ok(None);
        }
        let objects = || self.by_id.iter().map(|named| named.object);
        let projects: Vec<_> = objects().filter_map(ObjectKey::project).collect();
        let employees: Vec<_> = objects().filter_map(ObjectKey::employee).collect();
        let is_implied = |id: &OrganizationId| {
            projects.iter().any(|key| key.organization == *id) || employees.iter().any(|key| key.organization == *id)
        };
        let organizations = objects().filter_map(ObjectKey::organization).filter(|id| !is_implied(id)).collect();
        let loaders = request.loaders();
        let (organizations, projects, employees) = try_join3(
            absent(&loaders.organization, organizations),
            absent(&loaders.project, projects),
            absent(&loaders.employee, employees),
        )
        .await?;
        Ok(self.by_id.iter().find(|named| match named.object {
            ObjectKey::Organization(id) => organizations.contains(&id),
            ObjectKey::Project(key) => projects.contains(&key),
            ObjectKey::Employee(key) => employees.contains(&key),
        }))
    }
}

impl ObjectKey {
    /// The key of an organization; `None` for another object.
    pub const fn organization(self) -> Option<OrganizationId> {
        if let Self::Organization(id) = self { Some(id) } else { None }
    }

    /// The key of a project; `None` for another object.
    pub const fn project(self) -> Option<Key<ProjectId>> {
        if let Self::Project(key) = self { Some(key) } else { None }
    }

    const fn employee(self) -> Option<Key<EmployeeId>> {
        if let Self::Employee(key) = self { Some(key) } else { None }
    }
}

/// Those of the ids that name no row. All of them are read in one statement, without columns.
async fn absent<Id, Fields, Row>(loader: &Loader<AskedRow<Id, Fields>, Row>, ids: Vec<Id>) -> Result<Vec<Id>>
where
    Id: Copy + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
    Fields: Copy + Default + Eq + std::hash::Hash + std::fmt::Debug + Send + Sync + 'static,
    Row: Clone + Send + Sync + 'static,
{
    let rows = ids.iter().map(|id| loader.load(AskedRow { id: *id, fields: Fields::default() }));
    let rows = try_join_all(rows).await?;
    Ok(ids.into_iter().zip(rows).filter(|(_, row)| row.is_none()).map(|(id, _)| id).collect())
}
