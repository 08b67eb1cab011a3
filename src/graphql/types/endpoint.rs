//! An endpoint in a ranking: its statistics, its worst measurement and its owners.

use std::sync::Arc;

use async_graphql::{Context, Description, Object};

use super::{
    Employee, Project,
    filter::EmployeeFilter,
    metric::Metric,
    series::{self, GapFill, MetricBucket},
    stats::{self, MetricAggregate},
};
use crate::{
    engine::rows::{One, Rows},
    error::Result,
    graphql::{
        context::request,
        loaders::{AskedPage, AskedRow, AskedSample},
        page::PageArguments,
        scalars::{DateTime, Duration},
        selection, sizes,
    },
    model::Timestamp,
    reports::{EndpointKey, EndpointStats as Row, Question, WorstSample},
};

/// An endpoint in a ranking of the slowest endpoints.
#[derive(Description)]
pub struct EndpointStats {
    /// The row of the ranking.
    pub row: Row,
    /// The question behind the ranking; the worst sample is of the same measurements.
    pub question: Arc<Question>,
    /// The time of the request.
    pub as_of: Timestamp,
}

impl EndpointStats {
    async fn sample(&self, context: &Context<'_>) -> Result<Option<WorstSample>> {
        let endpoint = EndpointKey { project: self.row.project, endpoint: self.row.endpoint_id };
        let asked = AskedSample { question: Arc::clone(&self.question), endpoint };
        request(context)?.loaders().worst_sample.load(asked).await
    }
}

#[Object(use_type_description)]
impl EndpointStats {
    /// The project of the endpoint. Null only if reading it failed.
    async fn project(&self, context: &Context<'_>) -> Option<Result<One<Project>>> {
        async {
            let asked = AskedRow { id: self.row.project, fields: selection::of_object(context.field()) };
            Ok(request(context)?.loaders().project.load(asked).await?.map(Project).map(One))
        }
        .await
        .transpose()
    }

    /// Path or name of the endpoint: a route, page, query or cache.
    async fn endpoint(&self) -> &str {
        &self.row.endpoint
    }

    /// Statistics of the endpoint in the window of the ranking.
    async fn stats(&self) -> One<MetricAggregate> {
        One(self.aggregate())
    }

    /// Unit of the measurements, and of `value` unless endpoints are ranked by `COUNT` or `ERROR_RATE`: `ms`, `%`, or empty
    /// for `CUSTOM`. Null if types of different units are mixed.
    async fn unit(&self) -> Option<&'static str> {
        self.subject().unit()
    }

    /// Value of the statistic that the endpoint is ranked by, in that statistic's unit.
    async fn value(&self) -> f64 {
        self.row.value
    }

    /// Worst measurement of the endpoint in the window. Null if raw measurements of that time are no longer kept (7
    /// days by default).
    #[graphql(directive = sizes::Reads::apply(5))]
    async fn worst_sample(&self, context: &Context<'_>) -> Option<Result<Metric>> {
        async {
            Ok(self.sample(context).await?.map(|sample| Metric {
                id: sample.id,
                project: self.row.project,
                measurement: sample.measurement(self.row.endpoint.clone()),
            }))
        }
        .await
        .transpose()
    }

    /// Statistics of the endpoint over time: one item for each bucket that overlaps the window, in order of time.
    #[graphql(directive = sizes::Buckets::apply(), directive = sizes::Reads::apply(5))]
    async fn trend(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Length of a bucket, for example `PT1M`, `PT1H` or `P1D`. More than 10,000 buckets are an error."
        )]
        bucket: Duration,
        #[graphql(
            desc = "Time zone of the buckets: a name such as `Europe/Berlin`, or an offset such as `+05:30`. Defaults to \
                    UTC. Days begin at midnight of the zone and weeks on its Mondays; a bucket must be whole days, or \
                    whole minutes that divide a day. The window stays as it is: the first bucket of the last `P7D` is \
                    usually partial. Where only rollups of an hour or a day are kept, buckets begin and end at the \
                    nearest of them: see `Accuracy.start`."
        )]
        time_zone: Option<String>,
        #[graphql(
            desc = "Treatment of buckets without measurements. Defaults to `NULL`.",
            default_with = "GapFill::Null"
        )]
        fill: GapFill,
    ) -> Result<Rows<MetricBucket>> {
        let (parent, question) = (self.row.as_parent(), Arc::clone(&self.question));
        let want = stats::wants_in_stats(context.field());
        let request = request(context)?;
        let buckets = series::buckets(bucket, time_zone.as_deref(), request.services.limits.buckets_max)?;
        series::load(request, parent, question, buckets, fill, want).await
    }

    /// HTTP status of the worst measurement. Null if it has none, or if it is no longer kept.
    async fn status_code(&self, context: &Context<'_>) -> Option<Result<i32>> {
        async { Ok(self.sample(context).await?.and_then(|sample| sample.status).map(i32::from)) }.await.transpose()
    }

    /// Time of the worst measurement. Null if it is no longer kept.
    async fn timestamp(&self, context: &Context<'_>) -> Option<Result<DateTime>> {
        async { Ok(self.sample(context).await?.map(|sample| DateTime(sample.timestamp))) }.await.transpose()
    }

    /// Owners of the endpoint: the members of its project, ordered by name.
    #[graphql(directive = sizes::Sliced::apply("first"))]
    async fn owners(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Returns at most this many employees (1 to 100; default 10).", default = 10)] first: i32,
    ) -> Result<Rows<Employee>> {
        let request = request(context)?;
        let arguments = PageArguments { first: Some(first), ..PageArguments::default() };
        let list = arguments.list(request, None::<EmployeeFilter>, Vec::new()).await?;
        let asked = AskedPage { parent: self.row.project, list, fields: selection::of_object(context.field()) };
        let page = request.loaders().team.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|member| Employee(member.employee.clone())).collect())
    }
}
