//! Objects that filters name by their ids. An id that names no object within the caller's scope is an error that repeats
//! it: an empty answer would be taken for a fact. A text that is no id at all, or that of another type, is a mistake of the
//! caller, found before anything is read.

use async_graphql::ID;
use futures_util::future::{try_join_all, try_join3};

use super::{
    context::RequestContext,
    loaders::{AskedRow, Loader},
    node::{self, NodeId},
};
use crate::{
    directory::reach::{self, Subject},
    error::{Code, Error, Result},
    model::{EmployeeId, Key, OrganizationId, ProjectId},
};

/// The objects that a filter names.
#[derive(Clone, Debug, Default)]
pub struct NamedObjects(Vec<NamedObject>);

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

impl NamedObjects {
    /// Adds an id in a field of the filter.
    pub fn add(&mut self, noun: &'static str, field: impl Into<String>, id: &ID, key: impl Into<ObjectKey>) {
        self.0.push(NamedObject { noun, field: field.into(), id: id.0.clone(), object: key.into() });
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

    async fn missing(&self, request: &RequestContext) -> Result<Option<&NamedObject>> {
        // Most filters name nothing.
        if self.0.is_empty() {
            return Ok(None);
        }
        let objects = || self.0.iter().map(|named| named.object);
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
            ObjectKey::Organization(id) => organizations.contains(&id),
            ObjectKey::Project(key) => projects.contains(&key),
            ObjectKey::Employee(key) => employees.contains(&key),
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
