//! Creating releases.

use async_graphql::{Context, Object};

use super::named;
use crate::{
    directory::release::{self, NewRelease},
    error::Result,
    graphql::{
        context::{RequestContext, request},
        node::NodeId,
        types::{change::ReleasePayload, release::CreateReleaseInput},
    },
    model::{Key, ReleaseId},
};

/// Changes of releases.
#[derive(Default)]
pub struct ReleaseMutation;

#[Object]
impl ReleaseMutation {
    /// Creates a release of a project: a marker of what was deployed when. For members, so that a pipeline may. The same
    /// call again answers the same release; a version that exists with another time, commit or author is TAKEN.
    async fn create_release(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What it is made of.")] input: CreateReleaseInput,
    ) -> Result<ReleasePayload> {
        let request = request(context)?;
        ReleasePayload::new(request, create(request, input).await)
    }
}

async fn create(request: &RequestContext, input: CreateReleaseInput) -> Result<Key<ReleaseId>> {
    let project = named(NodeId::project(&input.project_id), "projectId")?;
    let now = request.services.clock.now();
    let new = NewRelease {
        id: ReleaseId(request.services.ids.next(now)),
        version: input.version,
        deployed_at: input.deployed_at.map(|at| at.0),
        commit: input.commit,
        author: input.author_id.map(|id| NodeId::employee(&id)),
    };
    release::create(request.scope(), &request.writer(), project, new, now).await
}
