//! The authenticated caller.

use async_graphql::{Context, Description, Enum, Object};

use super::{Employee, Organization};
use crate::{
    auth,
    error::Result,
    graphql::{context::request, loaders::AskedRow, selection},
    model::{self, VisibleOrganizations},
};

/// Permissions of a caller, in ascending order. Each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::Role")]
pub enum Role {
    /// Reads everything except salaries.
    Viewer,
    /// Has the permissions of `VIEWER`. Also records measurements and creates releases.
    Member,
    /// Has the permissions of `MEMBER`. Also reads salaries, manages employees and projects, and updates the
    /// organization.
    Admin,
    /// Has the permissions of `ADMIN`. Also deletes the organization and, with access to all organizations, creates
    /// organizations.
    Owner,
}

/// The authenticated caller. Without authentication configured, the caller is the owner of all organizations.
#[derive(Description)]
pub struct Viewer(pub auth::Viewer);

#[Object(use_type_description)]
impl Viewer {
    /// The employee who owns the credential. Null for machine credentials, and without authentication configured.
    async fn employee(&self) -> Option<Employee> {
        // Authentication is not implemented yet, so no credential belongs to an employee.
        None
    }

    /// Role of the caller.
    async fn role(&self) -> Role {
        self.0.role().into()
    }

    /// The only organization that the caller can access. Null if the caller can access all of them.
    async fn organization(&self, context: &Context<'_>) -> Option<Result<Organization>> {
        async {
            let VisibleOrganizations::Organization(id) = self.0.scope().organizations() else {
                return Ok(None);
            };
            let asked = AskedRow { id, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().organization.load(asked).await?.map(Organization))
        }
        .await
        .transpose()
    }
}
