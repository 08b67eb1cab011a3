//! What changes answer: the thing as it is after the commit, and the expected failures.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{Employee, Organization, Project, Release, user_error::UserError};
use crate::{
    error::Result,
    graphql::{
        context::{RequestContext, request},
        loaders::Asked,
        selection,
    },
    model::{EmployeeId, Key, OrganizationId, ProjectId, ReleaseId},
};

/// What a change came to. After one that succeeded nothing that was loaded before counts any more.
fn outcome<T>(request: &RequestContext, changed: Result<T>) -> Result<(Option<T>, Vec<UserError>)> {
    match changed {
        Ok(changed) => {
            request.forget_loaded();
            Ok((Some(changed), Vec::new()))
        }
        Err(fault) => Ok((None, UserError::expected(fault)?)),
    }
}

/// Makes the payload of a noun.
macro_rules! payload {
    ($(#[doc = $doc:literal])+ $payload:ident, $(#[doc = $field_doc:literal])+ $field:ident: $node:ident($key:ty)) => {
        $(#[doc = $doc])+
        pub struct $payload {
            changed: Option<$key>,
            user_errors: Vec<UserError>,
        }

        impl $payload {
            /// What a change came to.
            ///
            /// # Errors
            /// What a caller cannot put right.
            pub fn new(request: &RequestContext, changed: Result<$key>) -> Result<Self> {
                let (changed, user_errors) = outcome(request, changed)?;
                Ok(Self { changed, user_errors })
            }
        }

        $(#[doc = $doc])+
        #[Object]
        impl $payload {
            $(#[doc = $field_doc])+
            async fn $field(&self, context: &Context<'_>) -> Option<Result<$node>> {
                let id = self.changed?;
                async {
                    let asked = Asked { id, fields: selection::of_object(context.field()) };
                    Ok(request(context)?.loaders().$field.load(asked).await?.map($node))
                }
                .await
                .transpose()
            }

            /// Why nothing was changed; empty when the change was made.
            async fn user_errors(&self) -> &[UserError] {
                &self.user_errors
            }
        }
    };
}

payload! {
    /// What a change of an organization came to.
    OrganizationPayload,
    /// The organization as it is now; null when nothing was changed.
    organization: Organization(OrganizationId)
}

payload! {
    /// What a change of an employee came to.
    EmployeePayload,
    /// The employee as the record is now; null when nothing was changed.
    employee: Employee(Key<EmployeeId>)
}

payload! {
    /// What a change of a project or its team came to.
    ProjectPayload,
    /// The project as it is now; null when nothing was changed.
    project: Project(Key<ProjectId>)
}

payload! {
    /// What a change of a release came to.
    ReleasePayload,
    /// The release as it is now; null when nothing was changed.
    release: Release(Key<ReleaseId>)
}

/// What a deletion came to.
#[derive(SimpleObject)]
pub struct DeletePayload {
    /// The id of what is gone; null when nothing was deleted.
    pub deleted_id: Option<ID>,
    /// Why nothing was deleted; empty when it was.
    pub user_errors: Vec<UserError>,
}

impl DeletePayload {
    /// What a deletion came to.
    ///
    /// # Errors
    /// What a caller cannot put right.
    pub fn new(request: &RequestContext, deleted: Result<()>, id: ID) -> Result<Self> {
        let (deleted, user_errors) = outcome(request, deleted)?;
        Ok(Self { deleted_id: deleted.map(|()| id), user_errors })
    }
}

/// What a change of many things at once came to.
#[derive(SimpleObject)]
pub struct BulkUpdatePayload {
    /// How many were changed.
    pub affected: i32,
    /// Why nothing was changed; empty when the change was made.
    pub user_errors: Vec<UserError>,
}

impl BulkUpdatePayload {
    /// What the change came to.
    ///
    /// # Errors
    /// What a caller cannot put right.
    pub fn new(request: &RequestContext, changed: Result<u64>) -> Result<Self> {
        let (changed, user_errors) = outcome(request, changed)?;
        Ok(Self { affected: i32::try_from(changed.unwrap_or(0)).unwrap_or(i32::MAX), user_errors })
    }
}
