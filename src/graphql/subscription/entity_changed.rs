//! `entityChanged` and `organizationUpdated`: the changes of an organization, made by any instance.

use std::sync::Arc;

use async_graphql::{Context, ID, Subscription};
use tokio_stream::{Stream, StreamExt};

use crate::{
    engine::watch::StreamKind,
    error::{Code, Error, Result},
    graphql::{
        context::{RequestContext, request},
        named::{self, NameFields},
        node::NodeId,
        scalars::StreamCursor,
        sizes,
        types::{
            entity_change::{ChangeKind, EntityChange, LogCursors},
            filter::matches_nothing,
        },
    },
    live::{
        CursorPurpose,
        changes::{self, ChangeFilter},
    },
    model::change::EntityKey,
};

/// The name that ties cursors to these streams.
const STREAM: &str = "entityChanged";

/// Subscriptions to changes of organizations, employees and projects.
#[derive(Default)]
pub struct EntityChangedSubscription;

#[Subscription]
impl EntityChangedSubscription {
    /// Streams every change of an organization, its employees and its projects, in commit order. An interrupted stream
    /// resumes after its last cursor; changes that are no longer kept (30 days by default) are reported as a gap. The
    /// stream ends when the organization is deleted.
    #[graphql(directive = sizes::Resumed::apply())]
    async fn entity_changed<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(
            desc = "The id of the organization. Exactly one of `organizationId` and `organizationSlug` is required."
        )]
        organization_id: Option<ID>,
        #[graphql(desc = "The slug of the organization, such as `acme`.")] organization_slug: Option<String>,
        #[graphql(desc = "Returns only changes of these kinds. Defaults to all kinds. An error for an empty list.")]
        kinds: Option<Vec<ChangeKind>>,
        #[graphql(desc = "Resumes after this cursor: changes since then are delivered first.")] after: Option<
            StreamCursor,
        >,
    ) -> Result<impl Stream<Item = Result<EntityChange>> + 'a> {
        let (request, fields) = (request(context)?, NameFields::ORGANIZATION);
        let field = fields.given_field(organization_slug.as_deref());
        let organization = fields.organization(request, organization_id, organization_slug).await?;
        if kinds.as_ref().is_some_and(Vec::is_empty) {
            return Err(matches_nothing("kinds"));
        }
        let kinds = kinds.unwrap_or_default().into_iter().map(Into::into).collect();
        watch(request, ChangeFilter { organization, entity: None, kinds }, field, after).await
    }

    /// Streams every change of the organization itself, including changes of `employeeCount`. The stream ends when the
    /// organization is deleted.
    #[graphql(directive = sizes::Resumed::apply())]
    async fn organization_updated<'a>(
        &self,
        context: &Context<'a>,
        #[graphql(desc = "The id of the organization. Exactly one of `id` and `slug` is required.")] id: Option<ID>,
        #[graphql(desc = "The slug of the organization, such as `acme`.")] slug: Option<String>,
        #[graphql(desc = "Resumes after this cursor: changes since then are delivered first.")] after: Option<
            StreamCursor,
        >,
    ) -> Result<impl Stream<Item = Result<EntityChange>> + 'a> {
        let (request, fields) = (request(context)?, NameFields::WANTED_ORGANIZATION);
        let field = fields.given_field(slug.as_deref());
        let organization = fields.organization(request, id, slug).await?;
        let entity = Some(EntityKey::Organization(organization));
        watch(request, ChangeFilter { organization, entity, kinds: Vec::new() }, field, after).await
    }
}

async fn watch(
    request: &Arc<RequestContext>,
    filter: ChangeFilter,
    field: &str,
    after: Option<StreamCursor>,
) -> Result<impl Stream<Item = Result<EntityChange>> + 'static + use<>> {
    // All streams of an organization's changes read the same log, so a cursor of one is valid for all.
    let purpose = CursorPurpose::of(STREAM, &filter.organization.0.to_string());
    let (request, services) = (Arc::clone(request), &request.services);
    let after = after.map(|after| services.cursors.unseal(purpose, &after.0)).transpose()?;
    if after.as_ref().is_some_and(|after| after.is_receipt) {
        return Err(Error::input(
            "after",
            "is a cursor of a metric stream; use one from entityChanged or organizationUpdated",
        ));
    }
    let after = after.map(|after| after.positions.of(filter.organization).sequence);
    let database = services.database.clone();
    let organization = NodeId::Organization(filter.organization).encode();
    let log = LogCursors { cursors: services.cursors.clone(), purpose, organization: filter.organization };
    let opened = changes::watch(request.scope(), database, &services.changes, filter, after).await;
    let (start, events) = opened.map_err(|error| match error.code() {
        Code::NotFound => named::not_found("organization", &organization, field),
        _ => error,
    })?;
    request.execution()?.open(StreamKind::Events { start: Some(log.after(start).0) });
    Ok(events.map(move |event| {
        request.renew_loaders();
        let event = event?;
        request.execution()?.mark_cursor(log.after(event.sequence).0);
        Ok(EntityChange { event, log: log.clone() })
    }))
}
