//! Changes of organizations, employees and projects.

use super::{EmployeeId, Key, OrganizationId, ProjectId};

/// An organization and the sequence of a change in its change log.
pub type LogPosition = (OrganizationId, i64);

/// The key of an organization, employee or project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKey {
    /// An organization.
    Organization(OrganizationId),
    /// An employee.
    Employee(Key<EmployeeId>),
    /// A project.
    Project(Key<ProjectId>),
}

impl EntityKey {
    /// The organization that the entity belongs to.
    pub const fn organization(self) -> OrganizationId {
        match self {
            Self::Organization(id) => id,
            Self::Employee(key) => key.organization,
            Self::Project(key) => key.organization,
        }
    }

    /// The stored form: the code of the entity type, and the id.
    pub const fn code(self) -> (i16, i64) {
        match self {
            Self::Organization(id) => (0, id.0),
            Self::Employee(key) => (1, key.id.0),
            Self::Project(key) => (2, key.id.0),
        }
    }

    /// The key with a stored type code and id; `None` for an unknown code.
    pub const fn from_code(organization: OrganizationId, noun: i16, id: i64) -> Option<Self> {
        match noun {
            0 => Some(Self::Organization(OrganizationId(id))),
            1 => Some(Self::Employee(Key::new(organization, EmployeeId(id)))),
            2 => Some(Self::Project(Key::new(organization, ProjectId(id)))),
            _ => None,
        }
    }
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// The entity was created.
    Created,
    /// Some fields of the entity changed.
    Updated,
    /// The entity was deleted.
    Deleted,
}

impl ChangeKind {
    const ALL: [Self; 3] = [Self::Created, Self::Updated, Self::Deleted];

    /// The number stored in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::Created => 0,
            Self::Updated => 1,
            Self::Deleted => 2,
        }
    }

    /// The kind with a stored number; `None` for an unknown number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// An entry of the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The changed entity.
    pub entity: EntityKey,
    /// The kind of the change.
    pub kind: ChangeKind,
    /// The changed columns of an update.
    pub fields: Vec<String>,
}

impl Change {
    /// A creation.
    pub const fn created(entity: EntityKey) -> Self {
        Self { entity, kind: ChangeKind::Created, fields: Vec::new() }
    }

    /// An update of these columns.
    pub fn updated(entity: EntityKey, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { entity, kind: ChangeKind::Updated, fields: fields.into_iter().map(Into::into).collect() }
    }

    /// A deletion.
    pub const fn deleted(entity: EntityKey) -> Self {
        Self { entity, kind: ChangeKind::Deleted, fields: Vec::new() }
    }
}
