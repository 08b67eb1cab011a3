//! What can happen to a thing of the directory.

use super::{EmployeeId, Key, OrganizationId, ProjectId};

/// An organization and the sequence of a change in its change log.
pub type LogPosition = (OrganizationId, i64);

/// A thing of the directory, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityKey {
    /// A tenant.
    Organization(OrganizationId),
    /// A person.
    Employee(Key<EmployeeId>),
    /// A monitored service.
    Project(Key<ProjectId>),
}

impl EntityKey {
    /// Whose it is.
    pub const fn organization(self) -> OrganizationId {
        match self {
            Self::Organization(id) => id,
            Self::Employee(key) => key.organization,
            Self::Project(key) => key.organization,
        }
    }

    /// Its noun and its id as they are stored.
    pub const fn code(self) -> (i16, i64) {
        match self {
            Self::Organization(id) => (0, id.0),
            Self::Employee(key) => (1, key.id.0),
            Self::Project(key) => (2, key.id.0),
        }
    }

    /// The thing behind a stored noun and id.
    pub const fn from_code(organization: OrganizationId, noun: i16, id: i64) -> Option<Self> {
        match noun {
            0 => Some(Self::Organization(OrganizationId(id))),
            1 => Some(Self::Employee(Key::new(organization, EmployeeId(id)))),
            2 => Some(Self::Project(Key::new(organization, ProjectId(id)))),
            _ => None,
        }
    }
}

/// What happened to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// Some of its fields are different.
    Updated,
    /// It is gone.
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

    /// The kind behind a stored number.
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// A change as it is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Of what.
    pub entity: EntityKey,
    /// What happened.
    pub kind: ChangeKind,
    /// The columns that are different, where it was updated.
    pub fields: Vec<String>,
}

impl Change {
    /// It is new.
    pub const fn created(entity: EntityKey) -> Self {
        Self { entity, kind: ChangeKind::Created, fields: Vec::new() }
    }

    /// These columns are different.
    pub fn updated(entity: EntityKey, fields: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { entity, kind: ChangeKind::Updated, fields: fields.into_iter().map(Into::into).collect() }
    }

    /// It is gone.
    pub const fn deleted(entity: EntityKey) -> Self {
        Self { entity, kind: ChangeKind::Deleted, fields: Vec::new() }
    }
}
