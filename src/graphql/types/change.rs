//! Payloads of mutations: the changed object as it is after the commit, and the expected failures.

use async_graphql::{Context, Description, ID, Object, SimpleObject};

use super::{Employee, Organization, Project, Release, user_error::UserError};
use crate::{
    error::Result,
    graphql::{
        context::{RequestContext, request},
        loaders::AskedRow,
        selection, sizes,
    },
    model::{EmployeeId, Key, OrganizationId, ProjectId, ReleaseId},
};

/// Splits the result of a change into its value and user errors. After a success the loaders forget their rows, which
/// are stale.
fn outcome<T>(request: &RequestContext, changed: Result<T>) -> Result<(Option<T>, Vec<UserError>)> {
    match changed {
        Ok(changed) => {
            request.forget_loaded();
            Ok((Some(changed), Vec::new()))
        }
        Err(fault) => Ok((None, UserError::expected(fault)?)),
    }
}

/// Defines the payload type of an entity.
macro_rules! payload {
    ($(#[doc = $doc:literal])+ $payload:ident, $(#[doc = $field_doc:literal])+ $field:ident: $node:ident($key:ty)) => {
        $(#[doc = $doc])+
        #[derive(Description)]
        pub struct $payload {
            changed: Option<$key>,
            user_errors: Vec<UserError>,
        }

        impl $payload {
            /// Wraps the result of a change.
            ///
            /// # Errors
            /// Failures other than user errors, such as an unavailable database.
            pub fn new(request: &RequestContext, changed: Result<$key>) -> Result<Self> {
                let (changed, user_errors) = outcome(request, changed)?;
                Ok(Self { changed, user_errors })
            }
        }

        #[Object(use_type_description)]
        impl $payload {
            $(#[doc = $field_doc])+
            async fn $field(&self, context: &Context<'_>) -> Option<Result<$node>> {
                let id = self.changed?;
                async {
                    let asked = AskedRow { id, fields: selection::of_object(context.field()) };
                    Ok(request(context)?.loaders().$field.load(asked).await?.map($node))
                }
                .await
                .transpose()
            }

            /// Reasons why nothing was written. Empty after a success.
            #[graphql(directive = sizes::Assumed::apply(1))]
            async fn user_errors(&self) -> &[UserError] {
                &self.user_errors
            }
        }
    };
}

payload! {
    /// Result of a change of an organization.
    OrganizationPayload,
    /// The organization after the call, also if there was nothing to change. Null after a failure: see `userErrors`.
    organization: Organization(OrganizationId)
}

payload! {
    /// Result of a change of an employee.
    EmployeePayload,
    /// The employee after the call, also if there was nothing to change. Null after a failure: see `userErrors`.
    employee: Employee(Key<EmployeeId>)
}

payload! {
    /// Result of a change of a project or its members.
    ProjectPayload,
    /// The project after the call, also if there was nothing to change. Null after a failure: see `userErrors`.
    project: Project(Key<ProjectId>)
}

payload! {
    /// Result of creating a release.
    ReleasePayload,
    /// The new release, or the existing one with the same values. Null after a failure.
    release: Release(Key<ReleaseId>)
}

/// Result of a deletion.
#[derive(SimpleObject)]
pub struct DeletePayload {
    /// The id of the deleted object. Null if nothing was deleted.
    pub deleted_id: Option<ID>,
    /// Reasons why nothing was deleted. Empty after a success.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub user_errors: Vec<UserError>,
}

impl DeletePayload {
    /// Result of a deletion.
    ///
    /// # Errors
    /// Failures other than user errors, such as an unavailable database.
    pub fn new(request: &RequestContext, deleted: Result<ID>) -> Result<Self> {
        let (deleted_id, user_errors) = outcome(request, deleted)?;
        Ok(Self { deleted_id, user_errors })
    }
}

/// Result of a bulk update.
#[derive(SimpleObject)]
pub struct BulkUpdatePayload {
    /// Number of objects changed.
    pub affected: i32,
    /// Reasons why nothing was written. Empty after a success.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub user_errors: Vec<UserError>,
}

impl BulkUpdatePayload {
    /// Wraps the result of a bulk update.
    ///
    /// # Errors
    /// Failures other than user errors, such as an unavailable database.
    pub fn new(request: &RequestContext, changed: Result<u64>) -> Result<Self> {
        let (changed, user_errors) = outcome(request, changed)?;
        Ok(Self { affected: i32::try_from(changed.unwrap_or(0)).unwrap_or(i32::MAX), user_errors })
    }
}
