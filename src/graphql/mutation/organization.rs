//! Mutations of organizations.

use async_graphql::{Context, ID, Object};

use super::arguments::{assignment, lock};
use crate::{
    directory::organization::{self, NewOrganization, OrganizationChange},
    engine::spelling,
    error::Result,
    graphql::{
        context::{RequestContext, request},
        named::NameFields,
        node::NodeId,
        types::{
            change::{DeletePayload, OrganizationPayload},
            input::{CreateOrganizationInput, DeleteOrganizationInput, UpdateOrganizationInput},
        },
    },
    model::OrganizationId,
};

/// Mutations of organizations.
#[derive(Default)]
pub struct OrganizationMutation;

#[Object]
impl OrganizationMutation {
    /// Creates an organization. Requires the role `OWNER` with access to all organizations.
    async fn create_organization(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The values of the new organization.")] input: CreateOrganizationInput,
    ) -> Result<OrganizationPayload> {
        let request = request(context)?;
        OrganizationPayload::new(request, create(request, input).await)
    }

    /// Changes an organization. Omitted fields keep their values. An update that changes nothing leaves `updatedAt`
    /// unmodified. Requires the role `ADMIN`.
    async fn update_organization(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The organization to change and its new values.")] input: UpdateOrganizationInput,
    ) -> Result<OrganizationPayload> {
        let request = request(context)?;
        OrganizationPayload::new(request, update(request, input).await)
    }

    /// Deletes an organization. `CONFLICT` if it still has employees or projects, or holds the server's own
    /// measurements. Requires the role `OWNER`.
    async fn delete_organization(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The organization to delete. Required, unless the deprecated `id` is given.")] input: Option<
            DeleteOrganizationInput,
        >,
        #[graphql(desc = "The id of the organization.", deprecation = "Use `input`.")] id: Option<ID>,
    ) -> Result<DeletePayload> {
        let loose = [("id", id.is_some())];
        let input = spelling::input(input, &loose, || {
            id.map(|id| DeleteOrganizationInput { id: Some(id), organization_slug: None })
        })?;
        let request = request(context)?;
        DeletePayload::new(request, delete(request, input).await)
    }
}

async fn create(request: &RequestContext, input: CreateOrganizationInput) -> Result<OrganizationId> {
    let now = request.services.clock.now();
    let id = OrganizationId(request.services.ids.next(now)?);
    let new = NewOrganization { id, slug: input.slug, name: input.name };
    organization::create(request.scope(), &request.writer(), new, now).await
}

async fn update(request: &RequestContext, input: UpdateOrganizationInput) -> Result<OrganizationId> {
    let (id, slug) = (input.id, input.organization_slug);
    let id = NameFields::CHANGED_ORGANIZATION.organization_to_change(request, id, slug).await?;
    let change = OrganizationChange {
        name: assignment(input.name),
        is_active: assignment(input.is_active),
        lock: lock(input.if_updated_at, input.if_version)?,
    };
    organization::update(request.scope(), &request.writer(), id, change, request.services.clock.now()).await?;
    Ok(id)
}

/// The id of the deleted organization.
async fn delete(request: &RequestContext, input: DeleteOrganizationInput) -> Result<ID> {
    let (id, slug) = (input.id, input.organization_slug);
    let id = NameFields::CHANGED_ORGANIZATION.organization_to_change(request, id, slug).await?;
    organization::delete(request.scope(), &request.writer(), id, request.services.clock.now()).await?;
    Ok(NodeId::Organization(id).encode())
}
