//! A release and the list of releases.

use std::sync::Arc;

use async_graphql::{Context, Description, ID, InputObject, Object};

use super::{Employee, Project, connection};
use crate::{
    directory,
    engine::rows::{Read, Row, Scalar},
    error::Result,
    graphql::{context::request, loaders::AskedRow, node::NodeId, scalars::DateTime, selection},
};

/// The values of a new release.
#[derive(Clone, Debug, InputObject)]
pub struct CreateReleaseInput {
    /// The id of the project. Exactly one of `projectId` and `projectSlug` is required.
    pub project_id: Option<ID>,
    /// The slugs of the project, such as `acme/web-shop`.
    pub project_slug: Option<String>,
    /// Version, unique within the project: the text that measurements send as `releaseVersion`. One line of at most 200
    /// bytes.
    pub version: String,
    /// Time of the deployment, at most a day in the future. Defaults to now.
    pub deployed_at: Option<DateTime>,
    /// Commit that the release was built from. One line of at most 2,000 bytes.
    pub commit: Option<String>,
    /// The id of the author: an employee of the project's organization.
    pub author_id: Option<ID>,
}

/// A deployed version of a project's software. Measurements refer to it by their `releaseVersion`, and may be recorded
/// before the release is created.
#[derive(Clone, Description)]
pub struct Release(pub Arc<directory::Release>);

#[Object(use_type_description)]
impl Release {
    /// Global id, opaque. Pass it to `node` to fetch the object again.
    pub async fn id(&self) -> ID {
        NodeId::Release(self.0.key).encode()
    }

    /// The project of the release. Null only if reading it failed.
    async fn project(&self, context: &Context<'_>) -> Option<Result<Project>> {
        async {
            let asked = AskedRow { id: self.0.project()?, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project))
        }
        .await
        .transpose()
    }

    /// Version, unique within the project: the text that measurements send as `releaseVersion`.
    async fn version(&self) -> Result<&str> {
        self.0.version().map(String::as_str)
    }

    /// Time of the deployment. The release runs until the next release of the project is deployed.
    async fn deployed_at(&self) -> Result<DateTime> {
        self.0.deployed_at().copied().map(DateTime)
    }

    /// Commit that the release was built from. Null if none was given.
    async fn commit(&self) -> Option<Result<&str>> {
        self.0.commit().map(|commit| Some(commit.as_str()).filter(|commit| !commit.is_empty())).transpose()
    }

    /// The employee who made the release. Null if none was given, or if the employee was deleted.
    async fn author(&self, context: &Context<'_>) -> Option<Result<Employee>> {
        async {
            let Some(id) = self.0.author()? else { return Ok(None) };
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().employee.load(asked).await?.map(Employee))
        }
        .await
        .transpose()
    }
}

impl Row for Release {
    fn column(field: &str) -> Option<Read<Self>> {
        Some(match field {
            "id" => |one, _| Ok(Scalar::Owned(NodeId::Release(one.0.key).encode().0)),
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
    /// A page of releases, latest deployment first.
    ReleaseConnection,
    /// A release in a list, with its cursor.
    ReleaseEdge {},
    Release(Arc<directory::Release>) = |row| Release(Arc::clone(row)),
    Release = |row| row
}
