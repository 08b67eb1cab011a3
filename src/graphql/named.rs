//! Objects that filters name by their ids. An id that names no object within the caller's scope is an error that repeats
//! it: an empty answer would be taken for a fact.

use async_graphql::ID;
use futures_util::future::{try_join_all, try_join3};

use super::{
    context::RequestContext,
    loaders::{AskedRow, Loader},
    node::NodeId,
};
use crate::{
    directory::reach::{self, Subject},
    error::{Code, Error, Result},
    model::{EmployeeId, Key, OrganizationId, ProjectId},
};

/// Characters of an id that an error repeats.
const SHOWN: usize = 80;

/// The objects that a filter names.
#[derive(Clone, Debug, Default)]
pub struct NamedObjects(Vec<NamedObject>);

/// An id in a filter, and the object that it names; `None` for an id that names nothing of this kind.
#[derive(Clone, Debug)]
struct NamedObject {
    noun: &'static str,
    field: String,
    id: String,
    object: Option<ObjectKey>,
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
    Error::not_found(format!("the {noun} `{}` in {field}", id.chars().take(SHOWN).collect::<String>()))
}

impl NamedObjects {
    /// Adds an id in a field of the filter.
    pub fn add<K: Into<ObjectKey>>(&mut self, noun: &'static str, field: impl Into<String>, id: &ID, key: Option<K>) {
        self.0.push(NamedObject { noun, field: field.into(), id: id.0.clone(), object: key.map(Into::into) });
    }

    /// Adds the id of an organization, and returns its key.
    pub fn organization(&mut self, field: &str, id: &ID) -> Option<OrganizationId> {
        let key = NodeId::organization(id);
        self.add("organization", field, id, key);
        key
    }

    /// Adds the ids of projects, and returns their keys.
    pub fn projects(&mut self, field: &str, ids: &[ID]) -> Vec<Key<ProjectId>> {
        let key = |id: &ID| {
            let key = NodeId::project(id);
            self.add("project", field, id, key);
            key
        };
        ids.iter().filter_map(key).collect()
    }

    /// Requires that every id is one of its kind. Reads nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] naming the first that is not.
    pub fn decoded(&self) -> Result<()> {
        match self.0.iter().find(|named| named.object.is_none()) {
            Some(NamedObject { noun, field, id, .. }) => Err(not_found(noun, id, field)),
            None => Ok(()),
        }
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

    async fn missing(&self, request: &RequestContext) -> Result<Option<&NamedObject>> {
        // Also without any: most filters name nothing.
        let undecoded = self.0.iter().find(|named| named.object.is_none());
        if undecoded.is_some() || self.0.is_empty() {
            return Ok(undecoded);
        }
        let objects = || self.0.iter().filter_map(|named| named.object);
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
        Ok(self.0.iter().find(|named| match named.object {
            Some(ObjectKey::Organization(id)) => organizations.contains(&id),
            Some(ObjectKey::Project(key)) => projects.contains(&key),
            Some(ObjectKey::Employee(key)) => employees.contains(&key),
            None => true,
        }))
    }
}

impl ObjectKey {
    const fn organization(self) -> Option<OrganizationId> {
        if let Self::Organization(id) = self { Some(id) } else { None }
    }

    const fn project(self) -> Option<Key<ProjectId>> {
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
