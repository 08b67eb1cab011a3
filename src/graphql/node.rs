//! Opaque node ids. They contain the type, the organization and the row's id, so that one lookup finds the row. A foreign
//! id names no row. A text that this server never made an id of, and an id of another type than asked for, are mistakes of the
//! caller: an answer of null would be taken for an object that is gone.

use async_graphql::ID;
use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;

use crate::{
    error::Error,
    model::{
        EmployeeId, Key, MetricId, MetricKey, MetricType, OrganizationId, ProblemKind, ProjectId, ReleaseId, Timestamp,
    },
};

/// Characters of an id that an error repeats.
const SHOWN_MAX: usize = 80;

/// The row that a node id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeId {
    /// An organization.
    Organization(OrganizationId),
    /// An employee.
    Employee(Key<EmployeeId>),
    /// A project.
    Project(Key<ProjectId>),
    /// A release.
    Release(Key<ReleaseId>),
    /// A measurement.
    Metric(MetricKey),
}

impl NodeId {
    /// Decodes an id that a client sent.
    ///
    /// # Errors
    /// [`IdError::Malformed`] if this server did not create it.
    pub fn decode(id: &ID) -> Result<Self, IdError> {
        Self::parse(id).ok_or_else(|| IdError::malformed(id, NodeType::Project))
    }

    fn parse(id: &ID) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(id.as_bytes()).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        let mut parts = text.split(':');
        let (kind, organization) = (parts.next()?, OrganizationId(parts.next()?.parse().ok()?));
        let node = match kind {
            "Organization" => Self::Organization(organization),
            "Employee" => Self::Employee(Key::new(organization, EmployeeId(parts.next()?.parse().ok()?))),
            "Project" => Self::Project(Key::new(organization, ProjectId(parts.next()?.parse().ok()?))),
            "Release" => Self::Release(Key::new(organization, ReleaseId(parts.next()?.parse().ok()?))),
            "Metric" => Self::Metric(MetricKey {
                project: Key::new(organization, ProjectId(parts.next()?.parse().ok()?)),
                kind: MetricType::from_code(parts.next()?.parse().ok()?)?,
                timestamp: Timestamp::from_micros(parts.next()?.parse().ok()?),
                id: MetricId(parts.next()?.parse().ok()?),
            }),
            _ => return None,
        };
        // Clients compare ids as text, so other spellings of a number ("+7", "007") are refused.
        (parts.next().is_none() && node.encode() == *id).then_some(node)
    }

    /// The id in the form that clients see.
    pub fn encode(self) -> ID {
        ID(match self {
            Self::Organization(id) => encoded("Organization", [id.0]),
            Self::Employee(key) => encoded("Employee", [key.organization.0, key.id.0]),
            Self::Project(key) => encoded("Project", [key.organization.0, key.id.0]),
            Self::Release(key) => encoded("Release", [key.organization.0, key.id.0]),
            Self::Metric(MetricKey { project, kind, timestamp, id }) => {
                let (kind, timestamp) = (i64::from(kind.code()), timestamp.as_micros());
                encoded("Metric", [project.organization.0, project.id.0, kind, timestamp, id.0])
            }
        })
    }

    /// The organization that an id names.
    ///
    /// # Errors
    /// [`IdError`] if the text is no id, or that of another type.
    pub fn organization(id: &ID) -> Result<OrganizationId, IdError> {
        match Self::parse(id) {
            Some(Self::Organization(key)) => Ok(key),
            other => Err(IdError::of(id, other, NodeType::Organization)),
        }
    }

    /// The employee that an id names.
    ///
    /// # Errors
    /// [`IdError`] if the text is no id, or that of another type.
    pub fn employee(id: &ID) -> Result<Key<EmployeeId>, IdError> {
        match Self::parse(id) {
            Some(Self::Employee(key)) => Ok(key),
            other => Err(IdError::of(id, other, NodeType::Employee)),
        }
    }

    /// The project that an id names.
    ///
    /// # Errors
    /// [`IdError`] if the text is no id, or that of another type.
    pub fn project(id: &ID) -> Result<Key<ProjectId>, IdError> {
        match Self::parse(id) {
            Some(Self::Project(key)) => Ok(key),
            other => Err(IdError::of(id, other, NodeType::Project)),
        }
    }

    /// The release that an id names.
    ///
    /// # Errors
    /// [`IdError`] if the text is no id, or that of another type.
    pub fn release(id: &ID) -> Result<Key<ReleaseId>, IdError> {
        match Self::parse(id) {
            Some(Self::Release(key)) => Ok(key),
            other => Err(IdError::of(id, other, NodeType::Release)),
        }
    }

    const fn node_type(self) -> NodeType {
        match self {
            Self::Organization(_) => NodeType::Organization,
            Self::Employee(_) => NodeType::Employee,
            Self::Project(_) => NodeType::Project,
            Self::Release(_) => NodeType::Release,
            Self::Metric(_) => NodeType::Metric,
        }
    }
}

/// The type of the object that an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// An organization.
    Organization,
    /// An employee.
    Employee,
    /// A project.
    Project,
    /// A release.
    Release,
    /// A measurement.
    Metric,
}

impl NodeType {
    const fn noun(self) -> &'static str {
        match self {
            Self::Organization => "an organization",
            Self::Employee => "an employee",
            Self::Project => "a project",
            Self::Release => "a release",
            Self::Metric => "a measurement",
        }
    }

    /// A query that reads ids of this type.
    const fn query(self) -> &'static str {
        match self {
            Self::Organization => "{ organizations { nodes { id name } } }",
            Self::Employee => "{ employees { nodes { id name } } }",
            Self::Project => "{ projects { nodes { id name } } }",
            Self::Release => "{ projects { nodes { name releases { nodes { id version } } } } }",
            Self::Metric => "{ metrics { nodes { id } } }",
        }
    }

    /// An id of this type, to show what one looks like.
    fn example(self) -> ID {
        let organization = OrganizationId(1);
        let node = match self {
            Self::Organization => NodeId::Organization(organization),
            Self::Employee => NodeId::Employee(Key::new(organization, EmployeeId(2))),
            Self::Project | Self::Metric => NodeId::Project(Key::new(organization, ProjectId(2))),
            Self::Release => NodeId::Release(Key::new(organization, ReleaseId(2))),
        };
        node.encode()
    }
}

/// A text that is not an id of the type asked for. The message says where to find one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// This server never made such an id.
    #[error(
        "`{given}` is not an id. Ids are opaque text such as `{}`; take one from an `id` field, as in `{}`",
        .wanted.example().0,
        .wanted.query()
    )]
    Malformed {
        /// The start of the text.
        given: String,
        /// The type of the example.
        wanted: NodeType,
    },
    /// The id of an object of another type.
    #[error(
        "`{given}` is the id of {}, not of {}; take one from an `id` field, as in `{}`",
        .found.noun(),
        .wanted.noun(),
        .wanted.query()
    )]
    OtherType {
        /// The start of the id.
        given: String,
        /// The type of its object.
        found: NodeType,
        /// The type asked for.
        wanted: NodeType,
    },
}

impl IdError {
    fn of(id: &ID, found: Option<NodeId>, wanted: NodeType) -> Self {
        match found {
            Some(found) => Self::OtherType { given: shown(id), found: found.node_type(), wanted },
            None => Self::malformed(id, wanted),
        }
    }

    fn malformed(id: &ID, wanted: NodeType) -> Self {
        Self::Malformed { given: shown(id), wanted }
    }

    /// The error of a query or a subscription whose argument is this id.
    pub fn in_field(&self, field: impl Into<String>) -> Error {
        Error::input(field, self.to_string())
    }

    /// The expected failure of a change whose input holds this id.
    pub fn in_change(&self, field: impl Into<String>) -> Error {
        Error::refused(ProblemKind::Invalid, field, self.to_string())
    }
}

/// The start of an id, which errors repeat.
pub fn shown(id: &str) -> String {
    id.chars().take(SHOWN_MAX).collect()
}

/// The id of a type and numbers. A page has hundreds of ids, and formatting was most of their cost.
fn encoded<const N: usize>(noun: &str, numbers: [i64; N]) -> String {
    let mut text = String::with_capacity(96);
    text.push_str(noun);
    for number in numbers {
        text.push(':');
        text.push_str(itoa::Buffer::new().format(number));
    }
    BASE64URL_NOPAD.encode(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_malformed_ids_are_errors() {
        let nodes = [
            NodeId::Organization(OrganizationId(7)),
            NodeId::Employee(Key::new(OrganizationId(7), EmployeeId(i64::MAX))),
            NodeId::Project(Key::new(OrganizationId(7), ProjectId(9))),
            NodeId::Release(Key::new(OrganizationId(7), ReleaseId(9))),
        ];
        for node in nodes {
            assert_eq!(NodeId::decode(&node.encode()), Ok(node));
        }
        for wrong in [
            "",
            "7",
            "T3JnYW5pemF0aW9u",
            "äöü",
            &BASE64URL_NOPAD.encode(b"Project:1"),
            &BASE64URL_NOPAD.encode(b"Organization:1:2"),
            &BASE64URL_NOPAD.encode(b"Organization:+1"),
            &BASE64URL_NOPAD.encode(b"Employee:1:007"),
            &BASE64URL_NOPAD.encode(b"Project:-0:1"),
        ] {
            let id = ID(wrong.to_owned());
            let malformed = IdError::Malformed { given: wrong.to_owned(), wanted: NodeType::Project };
            assert_eq!(NodeId::decode(&id), Err(malformed.clone()), "{wrong}");
            assert_eq!(NodeId::project(&id), Err(malformed), "{wrong}");
        }
    }

    #[test]
    fn an_error_shows_an_id_of_the_type_and_a_query_for_it() {
        let number = ID("5".to_owned());
        assert_eq!(
            NodeId::employee(&number).unwrap_err().to_string(),
            "`5` is not an id. Ids are opaque text such as `RW1wbG95ZWU6MToy`; take one from an `id` field, as in `{ \
             employees { nodes { id name } } }`"
        );
        let project = NodeId::Project(Key::new(OrganizationId(1), ProjectId(2))).encode();
        assert_eq!(
            NodeId::organization(&project).unwrap_err().to_string(),
            "`UHJvamVjdDoxOjI` is the id of a project, not of an organization; take one from an `id` field, as in `{ \
             organizations { nodes { id name } } }`"
        );
        let long = ID("x".repeat(10_000_000));
        assert!(NodeId::release(&long).unwrap_err().to_string().len() < 300);
        for wanted in [NodeType::Organization, NodeType::Employee, NodeType::Project, NodeType::Release] {
            assert_eq!(NodeId::decode(&wanted.example()).map(NodeId::node_type), Ok(wanted));
        }
    }
}
