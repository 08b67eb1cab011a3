//! `entityChanged` and `organizationUpdated`: what any change on any instance did.

use std::sync::Arc;

use async_graphql::{Context, ID, Subscription};
use tokio_stream::{Stream, StreamExt};

use crate::{
    engine::watch::Opening,
    error::{Error, Result},
    graphql::{
        context::{RequestContext, request},
        node::NodeId,
        scalars::StreamCursor,
        types::entity_change::{ChangeKind, EntityChange},
    },
    live::{
        CursorPurpose,
        changes::{self, ChangeFilter},
    },
    model::{OrganizationId, change::EntityKey},
};

/// What binds cursors to these streams.
const STREAM: &str = "entityChanged";

/// Changes of the directory.
#[derive(Default)]
pub struct EntityChangedSubscription;

#[Subscription]
impl EntityChangedSubscription {
    /// Every change of an organization, its employees and its projects, whoever made it on whichever instance. Nothing is
    /// lost: a stream that was interrupted goes on after its last cursor, and says what is no longer kept.
    async fn entity_changed<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "Whose changes.")] organization_id: ID,
        #[graphql(desc = "Only what happened in one of these ways; whatever happened when left out.")] kinds: Option<
            Vec<ChangeKind>,
        >,
        #[graphql(desc = "Go on after this cursor: what happened since then comes first.")] after: Option<StreamCursor>,
    ) -> Result<impl Stream<Item = Result<EntityChange>> + 'a> {
        let organization = named(&organization_id)?;
        let kinds = kinds.unwrap_or_default().into_iter().map(Into::into).collect();
        watch(request(context)?, ChangeFilter { organization, entity: None, kinds }, after).await
    }

    /// Every change of an organization itself: its own fields and its counters. The stream ends when it is deleted.
    async fn organization_updated<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "The organization's id.")] id: ID,
        #[graphql(desc = "Go on after this cursor: what happened since then comes first.")] after: Option<StreamCursor>,
    ) -> Result<impl Stream<Item = Result<EntityChange>> + 'a> {
        let organization = named(&id)?;
        let entity = Some(EntityKey::Organization(organization));
        watch(request(context)?, ChangeFilter { organization, entity, kinds: Vec::new() }, after).await
    }
}

fn named(id: &ID) -> Result<OrganizationId> {
    NodeId::organization(id).ok_or_else(|| Error::not_found("organization"))
}

async fn watch(
    request: &Arc<RequestContext>,
    filter: ChangeFilter,
    after: Option<StreamCursor>,
) -> Result<impl Stream<Item = Result<EntityChange>> + 'static + use<>> {
    // Every stream of an organization's changes reads the same log, so their places are the same.
    let purpose = CursorPurpose::of(STREAM, &filter.organization.0.to_string());
    let (request, services) = (Arc::clone(request), &request.services);
    let after = after.map(|after| services.cursors.unseal(purpose, &after.0)).transpose()?;
    if after.as_ref().is_some_and(|after| after.is_receipt) {
        return Err(Error::input("after", "is a cursor of measurements; changes are counted by themselves"));
    }
    let after = after.map(|after| after.positions.of(filter.organization).sequence);
    let database = services.database.clone();
    let events = changes::watch(request.scope(), database, &services.changes, filter, after).await?;
    request.course()?.open(Opening::Plain);
    Ok(events.map(move |event| {
        request.renew_loaders();
        Ok(EntityChange { event: event?, purpose, cursors: request.services.cursors.clone() })
    }))
}
