//! Who is asking.

use async_graphql::{Context, Description, Enum, Object};

use super::{Employee, Organization};
use crate::{
    auth,
    error::Result,
    graphql::{context::request, loaders::Asked, selection},
    model::{self, Reach},
};

/// Permissions of a caller, in ascending order. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::Role")]
pub enum Role {
    /// Reads everything except salaries.
    Viewer,
    /// Also records metrics and creates releases.
    Member,
    /// Also reads salaries, and manages employees and projects.
    Admin,
    /// Also manages organizations.
    Owner,
}

/// The authenticated caller. Without authentication configured, the caller is the owner of all organizations.
#[derive(Description)]
pub struct Viewer(pub auth::Viewer);

#[Object(use_type_description)]
impl Viewer {
    /// The employee behind the credential. Null for machine credentials, and without authentication configured.
    async fn employee(&self) -> Option<Employee> {
        // Credentials that name an employee come with authentication; until then nobody is one.
        None
    }

    /// Role of the caller.
    async fn role(&self) -> Role {
        self.0.role().into()
    }

    /// The only organization that the caller can access. Null if the caller can access all of them.
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
