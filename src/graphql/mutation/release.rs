//! The mutation that creates releases.

use async_graphql::{Context, Object};

use super::arguments::named;
use crate::{
    directory::release::{self, NewRelease},
    error::Result,
    graphql::{
        context::{RequestContext, request},
        named::NameFields,
        node::NodeId,
        types::{change::ReleasePayload, release::CreateReleaseInput},
    },
    model::{Key, ReleaseId},
};

/// Mutations of releases.
#[derive(Default)]
pub struct ReleaseMutation;

#[Object]
impl ReleaseMutation {
    /// Creates a release, the record of a deployment. If the project has the version already, with the same values, the
    /// existing release is returned; `TAKEN` if its time, commit or author differs. Requires the role `MEMBER`.
    async fn create_release(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The values of the new release.")] input: CreateReleaseInput,
    ) -> Result<ReleasePayload> {
        let request = request(context)?;
        ReleasePayload::new(request, create(request, input).await)
    }
}

async fn create(request: &RequestContext, input: CreateReleaseInput) -> Result<Key<ReleaseId>> {
    let project = NameFields::PROJECT.project_to_change(request, input.project_id, input.project_slug).await?;
    let now = request.services.clock.now();
    let new = NewRelease {
        id: ReleaseId(request.services.ids.next(now)?),
        version: input.version,
        version_bytes_max: request.services.ingest.release_version_bytes_max(),
        deployed_at: input.deployed_at.map(|at| at.0),
        commit: input.commit,
        author: input.author_id.map(|id| named(NodeId::employee(&id), "authorId")).transpose()?,
    };
    release::create(request.scope(), &request.writer(), project, new, now).await
}
