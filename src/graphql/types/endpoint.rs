//! An endpoint in a ranking: how it did, what happened in its worst moment, and who owns it.

use std::sync::Arc;

use async_graphql::{Context, Object};

use super::{
    Employee, Project,
    accuracy::About,
    filter::EmployeeFilter,
    metric::Metric,
    reports,
    series::{GapFill, MetricBucket},
    stats::{self, MetricAggregate},
};
use crate::{
    engine::rows::{One, Rows},
    error::Result,
    graphql::{
        context::request,
        loaders::{Asked, AskedPage, AskedSample},
        page::PageArguments,
        scalars::{DateTime, Duration},
        selection,
    },
    model::{Measurement, Timestamp},
    reports::{EndpointKey, EndpointStats as Row, Question, Sample},
};

/// An endpoint in a ranking.
pub struct EndpointStats {
    /// What was read.
    pub row: Row,
    /// What was asked: the worst sample is of the same measurements.
    pub question: Arc<Question>,
    /// When it was read.
    pub as_of: Timestamp,
}

impl EndpointStats {
    async fn sample(&self, context: &Context<'_>) -> Result<Option<Sample>> {
        let endpoint = EndpointKey { project: self.row.project, endpoint: self.row.endpoint_id };
        let asked = AskedSample { question: Arc::clone(&self.question), endpoint };
        request(context)?.loaders().worst_sample.load(asked).await
    }
}

/// An endpoint in a ranking: which, how slow, what happened, when, and who owns it.
#[Object]
impl EndpointStats {
    /// The project that the endpoint belongs to.
    async fn project(&self, context: &Context<'_>) -> Option<Result<One<Project>>> {
        async {
            let asked = Asked { id: self.row.project, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// The route, page, query or cache.
    async fn endpoint(&self) -> &str {
        &self.row.endpoint
    }

    /// Everything that is known of it in the window.
    async fn stats(&self) -> MetricAggregate {
        let about = About { parent: self.row.as_parent(), question: Arc::clone(&self.question) };
        MetricAggregate::own(Arc::clone(&self.row.stats), about, self.as_of)
    }

    /// The statistic that it was ranked by.
    async fn value(&self) -> f64 {
        self.row.value
    }

    /// Its worst single measurement in the window; null when raw measurements of that time are no longer kept.
    async fn worst_sample(&self, context: &Context<'_>) -> Option<Result<Metric>> {
        async {
            Ok(self.sample(context).await?.map(|sample| Metric {
                id: sample.id,
                project: self.row.project,
                measurement: Measurement {
                    kind: sample.kind,
                    value: sample.value,
                    endpoint: self.row.endpoint.clone(),
                    status: sample.status.unwrap_or(0),
                    timestamp: sample.timestamp,
                    name: sample.name,
                    release: sample.release,
                },
            }))
        }
        .await
        .transpose()
    }

    /// How it did over time in the window of the ranking: one row of figures for each bucket. One statement for all
    /// endpoints of a ranking.
    async fn trend(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How long a bucket is.")] bucket: Duration,
        #[graphql(
            desc = "What stands for the figures of a bucket in which nothing was measured.",
            default_with = "GapFill::Null"
        )]
        fill: GapFill,
    ) -> Result<Vec<MetricBucket>> {
        let (parent, question) = (self.row.as_parent(), Arc::clone(&self.question));
        let want = stats::wants_in_stats(context.field());
        reports::buckets(request(context)?, parent, question, bucket, fill, want).await
    }

    /// The HTTP status of the worst measurement; null where there was none.
    async fn status_code(&self, context: &Context<'_>) -> Option<Result<i32>> {
        async { Ok(self.sample(context).await?.and_then(|sample| sample.status).map(i32::from)) }.await.transpose()
    }

    /// When the worst measurement happened; null when raw measurements of that time are no longer kept.
    async fn timestamp(&self, context: &Context<'_>) -> Option<Result<DateTime>> {
        async { Ok(self.sample(context).await?.map(|sample| DateTime(sample.timestamp))) }.await.transpose()
    }

    /// Who owns the endpoint: the team of its project, by name.
    async fn owners(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first so many, at most 100.", default = 10)] first: i32,
    ) -> Result<Rows<Employee>> {
        let request = request(context)?;
        let arguments = PageArguments { first: Some(first), ..PageArguments::default() };
        let list = arguments.list(None::<EmployeeFilter>, Vec::new(), &request.services.limits)?;
        let asked = AskedPage { parent: self.row.project, list, fields: selection::of_object(context.field()) };
        let page = request.loaders().team.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|member| Employee(member.employee.clone())).collect())
    }
}
