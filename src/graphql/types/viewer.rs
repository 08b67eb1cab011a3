//! Who is asking.

use async_graphql::{Context, Enum, Object};

use super::{Employee, Organization};
use crate::{
    auth,
    error::Result,
    graphql::{context::request, loaders::Asked, selection},
    model::{self, Reach},
};

/// What a caller may do, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::Role")]
pub enum Role {
    /// Reads everything but salaries.
    Viewer,
    /// Reads, and records metrics.
    Member,
    /// Also administers people and projects.
    Admin,
    /// Also administers organizations.
    Owner,
}

/// The caller of a request.
pub struct Viewer(pub auth::Viewer);

/// Who is asking, and what they may do. Without authentication configured, the caller is the owner of everything.
#[Object]
impl Viewer {
    /// The employee behind the credential; null for machines and where no authentication is configured.
    async fn employee(&self) -> Option<Employee> {
        // Credentials that name an employee come with authentication; until then nobody is one.
        None
    }

    /// What the caller may do.
    async fn role(&self) -> Role {
        self.0.role().into()
    }

    /// The organization that the caller is confined to; null when the caller sees all of them.
    async fn organization(&self, context: &Context<'_>) -> Option<Result<Organization>> {
        async {
            let Reach::Organization(id) = self.0.scope().reach() else {
                return Ok(None);
            };
            let asked = Asked { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().organization.load(asked).await?.map(Organization))
        }
        .await
        .transpose()
    }
}
