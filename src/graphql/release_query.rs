//! Queries of releases.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    context::{RequestContext, request},
    loaders::AskedRow,
    named::{self, NameFields},
    node::NodeId,
    selection, sizes,
    types::{self, comparison::ReleaseComparison, stats::Statistic},
};
use crate::{
    directory::{self, ReleaseFields, release::ReleaseRun},
    error::{Error, Result},
    model::{Key, ReleaseId},
    reports::comparison,
};

/// Queries of releases.
#[derive(Default)]
pub struct ReleaseQuery;

#[Object]
impl ReleaseQuery {
    /// Compares a statistic between two releases of a project, minute by minute. Reads up to 24 hours from the start of
    /// the candidate, and as many minutes, but at least 60, before the end of the baseline. An error if one of the
    /// releases never ran, or if its minutes are no longer kept (7 days by default).
    #[graphql(directive = sizes::Reads::apply(150))]
    async fn compare_releases(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The id of the project. Exactly one of `projectId` and `projectSlug` is required.")]
        project_id: Option<ID>,
        #[graphql(desc = "The slugs of the project, such as `acme/web-shop`.")] project_slug: Option<String>,
        #[graphql(
            desc = "The id of the release to compare with. Defaults to the release deployed before the candidate."
        )]
        baseline_id: Option<ID>,
        #[graphql(desc = "The id of the release to judge.")] candidate_id: ID,
        #[graphql(name = "type", desc = "The type of measurement to compare.")] kind: types::metric_type::MetricType,
        #[graphql(
            desc = "The statistic to compare: a percentile, `AVERAGE` or `ERROR_RATE`; others are an error. Defaults \
                    to `P95`.",
            default_with = "Statistic::P95"
        )]
        statistic: Statistic,
    ) -> Result<ReleaseComparison> {
        let request = request(context)?;
        let project = NameFields::PROJECT.project(request, project_id, project_slug).await?;
        let candidate = run(request, &candidate_id, "candidateId").await?;
        let baseline = match baseline_id {
            Some(id) => run(request, &id, "baselineId").await?,
            None => match candidate.previous {
                Some(previous) => run(request, &NodeId::Release(previous).encode(), "baselineId").await?,
                None => return Err(Error::input("baselineId", "there is no release before the candidate; name one")),
            },
        };
        let named = [("candidateId", &candidate), ("baselineId", &baseline)];
        if let Some((field, run)) = named.into_iter().find(|(_, run)| run.project != project) {
            let id = NodeId::Release(run.key).encode();
            return Err(named::not_found("release of this project", &id, field));
        }
        if candidate.key == baseline.key {
            return Err(Error::input("baselineId", "is the candidate itself; name another release"));
        }
        let window = |run: &ReleaseRun, field: &str| {
            let never = "did not run: it is yet to be deployed, or the next one was deployed in the same moment";
            run.window.ok_or_else(|| Error::input(field, never))
        };
        let question = comparison::ComparisonQuestion {
            project,
            kind: kind.into(),
            statistic: statistic.into(),
            baseline: window(&baseline, "baselineId")?,
            candidate: window(&candidate, "candidateId")?,
        };
        let compared =
            comparison::run(request.scope(), request.db(), &question, &request.services.limits.comparison).await?;
        let fields = ["baseline", "candidate"].into_iter().fold(ReleaseFields::default(), |fields, name| {
            let field = context.field();
            let children = field.selection_set().filter(|child| child.name() == name);
            children.fold(fields, |fields, child| fields | selection::of_object(child))
        });
        let (baseline, candidate) =
            futures_util::future::try_join(row(request, baseline.key, fields), row(request, candidate.key, fields))
                .await?;
        let (kind, as_of) = (kind.into(), request.as_of());
        Ok(ReleaseComparison { baseline, candidate, project, kind, statistic, comparison: compared, as_of })
    }
}

async fn run(request: &RequestContext, id: &ID, field: &str) -> Result<ReleaseRun> {
    let key = NodeId::release(id).map_err(|error| error.in_field(field))?;
    let found = request.loaders().release_run.load(key).await?;
    found.ok_or_else(|| named::not_found("release", id, field))
}

async fn row(request: &RequestContext, id: Key<ReleaseId>, fields: ReleaseFields) -> Result<Arc<directory::Release>> {
    let found = request.loaders().release.load(AskedRow { id, fields }).await?;
    found.ok_or_else(|| Error::not_found("release"))
}
