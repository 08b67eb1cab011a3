//! The mutation that creates releases.

use async_graphql::{Context, Object};

use super::arguments::named;
use crate::{
    directory::{
        reach::{self, Subject},
        release::{self, NewRelease},
    },
    error::{Code, Result},
    graphql::{
        context::{RequestContext, request},
        named::ProjectName,
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
    let project = match ProjectName::given(input.project_id, input.project_slug.as_deref())? {
        ProjectName::Id(id) => named(NodeId::project(&id), ProjectName::ID)?,
        slug @ ProjectName::Slug(_) => slug.key(request).await.map_err(|fault| match fault.code() {
            Code::NotFound => reach::unknown(Subject::Field(ProjectName::SLUG)),
            _ => fault,
        })?,
    };
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
