//! A release and the list of releases.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use super::{Employee, Project, connection};
use crate::{
    directory,
    engine::rows::{Read, Row, Scalar},
    error::Result,
    graphql::{context::request, loaders::Asked, node::NodeId, scalars::DateTime, selection},
};

/// What a new release is made of.
#[derive(Clone, Debug, InputObject)]
pub struct CreateReleaseInput {
    /// The project that it is a release of.
    pub project_id: ID,
    /// What measurements are tagged with (`release`), unique in the project: any text of one line.
    pub version: String,
    /// From when on it ran; the server's now when left out. At most a day ahead.
    pub deployed_at: Option<DateTime>,
    /// The commit that it was built from.
    pub commit: Option<String>,
    /// Who made it: an employee of the project's organization.
    pub author_id: Option<ID>,
}

/// A version of a project's software.
#[derive(Clone)]
pub struct Release(pub Arc<directory::Release>);

/// A version of a project's software, and from when on it ran. It is a marker: measurements name their version with or
/// without it, and find it as soon as it is there.
#[Object]
impl Release {
    /// Opaque, unique among everything; fetch it again with `node`.
    pub async fn id(&self) -> ID {
        NodeId::Release(self.0.key).encode()
    }

    /// The project that it is a release of.
    async fn project(&self, context: &Context<'_>) -> Option<Result<Project>> {
        async {
            let asked = Asked { id: self.0.project()?, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project))
        }
        .await
        .transpose()
    }

    /// What measurements are tagged with, unique in the project.
    async fn version(&self) -> Result<&str> {
        self.0.version().map(String::as_str)
    }

    /// From when on it ran, until the next release of the project.
    async fn deployed_at(&self) -> Result<DateTime> {
        self.0.deployed_at().copied().map(DateTime)
    }

    /// The commit that it was built from; null where nobody said.
    async fn commit(&self) -> Option<Result<&str>> {
        self.0.commit().map(|commit| Some(commit.as_str()).filter(|commit| !commit.is_empty())).transpose()
    }

    /// Who made it; null where nobody said, or who is gone.
    async fn author(&self, context: &Context<'_>) -> Option<Result<Employee>> {
        async {
            let Some(id) = self.0.author()? else { return Ok(None) };
            let asked = Asked { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().employee.load(asked).await?.map(Employee))
        }
        .await
        .transpose()
    }
}

impl Row for Release {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "id" => |one, _| Ok(Scalar::Id(NodeId::Release(one.0.key))),
            "version" => |one, _| one.0.version().map(|version| Scalar::Text(version)),
            "deployedAt" => |one, _| one.0.deployed_at().copied().map(Scalar::Time),
            "commit" => |one, _| {
                one.0.commit().map(|commit| if commit.is_empty() { Scalar::Null } else { Scalar::Text(commit) })
            },
            _ => return None,
        })
    }
}

connection::connection! {
    /// A page of releases, the latest first.
    ReleaseConnection,
    /// A release in a list.
    ReleaseEdge {},
    Release(Arc<directory::Release>) = |row| Release(Arc::clone(row)),
    Release = |row| row
}
