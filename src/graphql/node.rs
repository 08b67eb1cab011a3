//! Opaque node ids. They contain the type, the organization and the row's id, so that one lookup finds the row. A foreign
//! or malformed id names no row.

use async_graphql::ID;
use data_encoding::BASE64URL_NOPAD;

use crate::model::{EmployeeId, Key, MetricId, MetricKey, MetricType, OrganizationId, ProjectId, ReleaseId, Timestamp};

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
    /// Decodes an id that a client sent; `None` if this server did not create it.
    pub fn decode(id: &ID) -> Option<Self> {
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
        let text = match self {
            Self::Organization(id) => format!("Organization:{}", id.0),
            Self::Employee(key) => format!("Employee:{}:{}", key.organization.0, key.id.0),
            Self::Project(key) => format!("Project:{}:{}", key.organization.0, key.id.0),
            Self::Release(key) => format!("Release:{}:{}", key.organization.0, key.id.0),
            Self::Metric(MetricKey { project, kind, timestamp, id }) => format!(
                "Metric:{}:{}:{}:{}:{}",
                project.organization.0,
                project.id.0,
                kind.code(),
                timestamp.as_micros(),
                id.0
            ),
        };
        ID(BASE64URL_NOPAD.encode(text.as_bytes()))
    }

    /// The organization that an id names; `None` if it names something else.
    pub fn organization(id: &ID) -> Option<OrganizationId> {
        match Self::decode(id) {
            Some(Self::Organization(id)) => Some(id),
            _ => None,
        }
    }

    /// The employee that an id names; `None` if it names something else.
    pub fn employee(id: &ID) -> Option<Key<EmployeeId>> {
        match Self::decode(id) {
            Some(Self::Employee(key)) => Some(key),
            _ => None,
        }
    }

    /// The project that an id names; `None` if it names something else.
    pub fn project(id: &ID) -> Option<Key<ProjectId>> {
        match Self::decode(id) {
            Some(Self::Project(key)) => Some(key),
            _ => None,
        }
    }

    /// The release that an id names; `None` if it names something else.
    pub fn release(id: &ID) -> Option<Key<ReleaseId>> {
        match Self::decode(id) {
            Some(Self::Release(key)) => Some(key),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_malformed_ids_are_none() {
        let nodes = [
            NodeId::Organization(OrganizationId(7)),
            NodeId::Employee(Key::new(OrganizationId(7), EmployeeId(i64::MAX))),
            NodeId::Project(Key::new(OrganizationId(7), ProjectId(9))),
            NodeId::Release(Key::new(OrganizationId(7), ReleaseId(9))),
        ];
        for node in nodes {
            assert_eq!(NodeId::decode(&node.encode()), Some(node));
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
            assert_eq!(NodeId::decode(&ID(wrong.to_owned())), None, "{wrong}");
        }
    }
}
