//! The reports on measurements: the same fields for all of them, for an organization and for a project.

use std::sync::Arc;

use async_graphql::{Context, Object};
use futures_util::future::try_join_all;

use super::{
    accuracy::StatisticsSubject,
    columns::SeriesColumns,
    endpoint::EndpointStats,
    filter::{self, FloatFilter, MetricFilter},
    groups::{self, GroupOrder, HavingInput, MetricGroup, MetricGroupKey},
    measurements::{MetricConnection, MetricOrder},
    metric_type::MetricType,
    series::{self, GapFill, MetricBucket},
    stats::{self, MetricAggregate, PerformanceSummary, Statistic},
};
use crate::{
    engine::{
        rows::{One, Rows},
        spelling,
    },
    error::{Error, Result},
    graphql::{
        context::{RequestContext, request},
        loaders::answer,
        scalars::Duration,
        sizes,
    },
    model::{filter::NumberFilter, order::Sort, page::PageRequest},
    reports::{
        self, Accuracy, GroupBy, Groups, MeasurementOrder, Measurements, Parent, Question, Series, Slowest,
        StatisticsNeeded, Totals, fill, measurements::cursor, slowest,
    },
};

/// The reports on the measurements of a parent, flattened into the fields of that parent.
pub struct Reports(pub Parent);

impl Default for Reports {
    fn default() -> Self {
        // On `Query` the filter alone selects the projects.
        Self(Parent::Question)
    }
}

#[Object]
impl Reports {
    /// Aggregate statistics of all measurements that match the filter, in one result. Restrict `types` to measurement
    /// types that share a unit; otherwise the result mixes milliseconds and percentages.
    #[graphql(directive = sizes::Statistics::apply(5), directive = sizes::FilterWindow::apply())]
    async fn metric_stats(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The measurements to aggregate. Defaults to all; `time` defaults to the last 24 hours.")]
        filter: Option<MetricFilter>,
    ) -> Result<One<MetricAggregate>> {
        let request = request(context)?;
        let question = Arc::new(filter::question(request, filter).await?);
        let report = Totals { want: stats::wants(context.field()) };
        totals(request, self.0.clone(), question, report).await.map(One)
    }

    /// Statistics over time: one item for each bucket that overlaps the window, in order of time. A long window costs
    /// little more than a short one with the same number of buckets.
    #[graphql(directive = sizes::Buckets::apply(), directive = sizes::Statistics::apply(5), directive = sizes::FilterWindow::apply())]
    async fn metric_series(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The measurements to aggregate. Defaults to all; `time` defaults to the last 24 hours.")]
        filter: Option<MetricFilter>,
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
        let request = request(context)?;
        let buckets = series::buckets(bucket, time_zone.as_deref(), request.services.limits.buckets_max)?;
        let question = Arc::new(filter::question(request, filter).await?);
        let want = stats::wants_in_stats(context.field());
        series::load(request, self.0.clone(), question, buckets, fill, want).await
    }

    /// Statistics per group, for any combination of project, type, name, endpoint, status code and release.
    #[graphql(
        directive = sizes::Sliced::apply("first"),
        directive = sizes::GroupStatistics::apply(5),
        directive = sizes::FilterWindow::apply()
    )]
    async fn metric_groups(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The measurements to aggregate. Defaults to all; `time` defaults to the last 24 hours.")]
        filter: Option<MetricFilter>,
        #[graphql(
            desc = "Dimensions to group by, for example `[PROJECT, ENDPOINT]`. An empty list returns one group of all \
                    measurements. More than 10,000 groups are an error."
        )]
        group_by: Vec<MetricGroupKey>,
        #[graphql(
            desc = "Length of a bucket in the `buckets` of each group, for example `PT5M`. Required if `buckets` is \
                    selected."
        )]
        bucket: Option<Duration>,
        #[graphql(
            desc = "Time zone of the `buckets` of each group: a name such as `Europe/Berlin`, or an offset such as `+05:30`. Defaults to \
                    UTC. Days begin at midnight of the zone and weeks on its Mondays; a bucket must be whole days, or \
                    whole minutes that divide a day. The window stays as it is: the first bucket of the last `P7D` is \
                    usually partial. Where only rollups of an hour or a day are kept, buckets begin and end at the \
                    nearest of them: see `Accuracy.start`."
        )]
        time_zone: Option<String>,
        #[graphql(desc = "Returns only groups that meet all of these conditions.")] having: Option<Vec<HavingInput>>,
        #[graphql(desc = "Sort key of the groups. Defaults to `COUNT`, descending.")] order_by: Option<GroupOrder>,
        #[graphql(
            desc = "Returns at most this many groups (1 to 100; default 50).",
            default_with = "Groups::FIRST_DEFAULT"
        )]
        first: i32,
    ) -> Result<Rows<MetricGroup>> {
        let request = request(context)?;
        let buckets_max = request.services.limits.buckets_max;
        if time_zone.is_some() && bucket.is_none() {
            return Err(Error::input("timeZone", "needs `bucket`: it is the time zone of the buckets of each group"));
        }
        let buckets = bucket.map(|bucket| series::buckets(bucket, time_zone.as_deref(), buckets_max)).transpose()?;
        let question = Arc::new(filter::question(request, filter).await?);
        let report = Groups {
            having: groups::having(having)?,
            order: order_by.map_or(reports::Statistic::Count, |order| order.statistic.into()),
            sort: order_by.and_then(|order| order.direction).map_or(Sort::Descending, Sort::from),
            ..largest(request, group_by, first, stats::wants_in_stats(context.field()))?
        };
        let found = answer(&request.loaders().metric_groups, self.0.clone(), Arc::clone(&question), report).await?;
        let group = |group: &reports::MetricGroup| MetricGroup {
            group: group.clone(),
            question: Arc::clone(&question),
            buckets: buckets.clone(),
            as_of: request.as_of(),
        };
        Ok(found.iter().map(group).collect())
    }

    /// Statistics over time in columnar form, for charts: one series for each group, sorted by number of measurements,
    /// largest first. All series have the same buckets. More than 10,000 buckets in all series together are an error.
    #[graphql(
        directive = sizes::Series::apply(),
        directive = sizes::BucketColumns::apply(),
        directive = sizes::GroupStatistics::apply(5),
        directive = sizes::FilterWindow::apply()
    )]
    async fn metric_columns(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The measurements to aggregate. Defaults to all; `time` defaults to the last 24 hours.")]
        filter: Option<MetricFilter>,
        #[graphql(
            desc = "Length of a bucket, for example `PT1M`, `PT1H` or `P1D`. More than 10,000 buckets are an error."
        )]
        bucket: Duration,
        #[graphql(
            desc = "Dimensions to group by, for example `[ENDPOINT]`: one series for each group. Defaults to one \
                    series of all measurements."
        )]
        group_by: Option<Vec<MetricGroupKey>>,
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
        #[graphql(
            desc = "Returns at most this many series (1 to 100; default 20).",
            default_with = "Groups::SERIES_DEFAULT"
        )]
        first: i32,
    ) -> Result<Vec<SeriesColumns>> {
        let request = request(context)?;
        let buckets_max = request.services.limits.buckets_max;
        let buckets = series::buckets(bucket, time_zone.as_deref(), buckets_max)?;
        let question = Arc::new(filter::question(request, filter).await?);
        let group_by = group_by.unwrap_or_default();
        let is_whole = group_by.is_empty();
        let report = largest(request, group_by, first, StatisticsNeeded::Scalars)?;
        let series: Vec<_> = if is_whole {
            vec![(Vec::new(), self.0.clone())]
        } else {
            let asked = (self.0.clone(), Arc::clone(&question));
            let found = answer(&request.loaders().metric_groups, asked.0, asked.1, report).await?;
            found.iter().map(|group| (group.keys.clone(), group.parent.clone())).collect()
        };
        let report = Series {
            buckets: buckets.at_most(buckets_max / series.len().max(1)),
            want: stats::wants_in_values(context.field()),
        };
        let columns = series.into_iter().map(async |(keys, parent)| {
            let about = StatisticsSubject { parent, question: Arc::clone(&question) };
            let asked = about.clone();
            let buckets =
                answer(&request.loaders().metric_series, asked.parent, asked.question, report.clone()).await?;
            let filled = fill::fill(&buckets, fill.into(), request.as_of()).collect();
            let accuracy = Accuracy::of_all(buckets.iter().map(|bucket| &bucket.stats.accuracy))
                .ok_or_else(|| Error::internal("a series without buckets"))?;
            Ok(SeriesColumns { keys, filled, about, accuracy, buckets, as_of: request.as_of() })
        });
        try_join_all(columns).await
    }

    /// Ranks endpoints, worst first. The worst endpoint has the highest value of the statistic `rankBy`, or the lowest
    /// if `types` is `[CACHE_HIT]` and the statistic is not `COUNT`, `SUM` or `ERROR_RATE`. If the filter has no
    /// `types`, the types that measure time are ranked: `PAGE_LOAD`, `API_RESPONSE` and `DATABASE`.
    #[graphql(directive = sizes::Ranking::apply(), directive = sizes::StatisticsByEndpoint::apply(50), directive = sizes::FilterWindow::apply())]
    async fn slowest_endpoints(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Returns at most this many endpoints (1 to 100; default 10).")] first: Option<i32>,
        #[graphql(desc = "The former name of `first`.", deprecation = "Use `first`.")] limit: Option<i32>,
        #[graphql(desc = "The measurements to read. Defaults to all; `time` defaults to the last 24 hours.")]
        filter: Option<MetricFilter>,
        #[graphql(
            desc = "Statistic to rank by. Every statistic is allowed. Defaults to `P95`.",
            default_with = "Statistic::P95"
        )]
        rank_by: Statistic,
    ) -> Result<Rows<EndpointStats>> {
        let request = request(context)?;
        let as_of = request.as_of();
        let mut question = filter::question(request, filter).await?;
        question.kinds = slowest::kinds_or_durations(question.kinds);
        let first = spelling::either("", ("first", first), ("limit", limit))?.unwrap_or(Slowest::LIMIT_DEFAULT);
        let report = Slowest::new(rank_by.into(), first, stats::wants_in_stats(context.field()))?;
        let question = Arc::new(question);
        let rows = answer(&request.loaders().slowest, self.0.clone(), Arc::clone(&question), report).await?;
        let row =
            |row: &reports::EndpointStats| EndpointStats { row: row.clone(), question: Arc::clone(&question), as_of };
        Ok(rows.iter().map(row).collect())
    }

    /// Lists raw measurements, latest first by default. Raw measurements are kept for 7 days by default. Older parts of
    /// the window are left out; an error if the whole window is older.
    #[graphql(directive = sizes::ForwardConnection::apply(), directive = sizes::Rows::apply(5), directive = sizes::FilterWindow::apply())]
    async fn metrics(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Returns at most this many measurements (1 to 100; default 20).")] first: Option<i32>,
        #[graphql(
            desc = "Returns only items after this cursor. Take it from a page of the same list with the same order \
                    and filter. A cursor of another list or order is an error."
        )]
        after: Option<String>,
        #[graphql(desc = "The measurements to read. Defaults to all; `time` defaults to the last 24 hours.")]
        filter: Option<MetricFilter>,
        #[graphql(
            desc = "Returns only measurements with a value that meets these conditions. Slow for long windows: it may \
                    read every measurement."
        )]
        value: Option<FloatFilter>,
        #[graphql(desc = "Sort key; at most one. Defaults to `TIMESTAMP`, descending. Ties are broken by id.")]
        order_by: Option<Vec<MetricOrder>>,
    ) -> Result<MetricConnection> {
        let request = request(context)?;
        let question = Arc::new(filter::question(request, filter).await?);
        let (order, sort) = match order_by.as_deref() {
            None | Some([]) => (MeasurementOrder::Timestamp, Sort::Descending),
            Some([one]) => (one.field.into(), one.direction.map_or(Sort::Descending, Sort::from)),
            Some(_) => return Err(Error::input("orderBy", "takes one key; equals are ordered by their ids")),
        };
        let value = value.map(NumberFilter::from);
        if value.iter().flat_map(NumberFilter::numbers).any(|number| !number.0.is_finite()) {
            return Err(Error::input("value", "compares with a number that is not finite"));
        }
        let after = after.map(|text| cursor::decode(&text, order, sort)).transpose()?;
        let limits = &request.services.limits;
        let size =
            PageRequest::from_arguments((first, None), (None, None), limits.page_size_default, limits.page_size_max)?;
        let report = Measurements { value, order, sort, after, first: size.size };
        let page = answer(&request.loaders().metrics, self.0.clone(), question, report).await?;
        Ok(MetricConnection { page, order, sort, has_previous: after.is_some() })
    }

    /// Key statistics of one type of measurement.
    #[graphql(directive = sizes::StatisticsByEndpoint::apply(5), directive = sizes::FilterWindow::apply())]
    async fn performance_summary(
        &self,
        context: &Context<'_>,
        #[graphql(
            name = "type",
            desc = "The type of measurement to summarize. Required, unless the deprecated `metricType` is given."
        )]
        kind: Option<MetricType>,
        #[graphql(desc = "The former name of `type`.", deprecation = "Use `type`.")] metric_type: Option<MetricType>,
        #[graphql(
            desc = "The measurements to aggregate. Defaults to all; `time` defaults to the last 24 hours. An error if it \
                    contains `types`."
        )]
        filter: Option<MetricFilter>,
    ) -> Result<PerformanceSummary> {
        let request = request(context)?;
        let kind = spelling::required("", ("type", kind), ("metricType", metric_type))?;
        if filter.as_ref().is_some_and(|filter| filter.types.is_some()) {
            return Err(Error::input("filter.types", "is not allowed here; `type` selects the type"));
        }
        let question = Question { kinds: vec![kind.into()], ..filter::question(request, filter).await? };
        let report = Totals { want: stats::wants_in_stats(context.field()) };
        let aggregate = totals(request, self.0.clone(), Arc::new(question), report).await?;
        Ok(PerformanceSummary { kind, aggregate })
    }
}

/// The groups with the most measurements.
fn largest(request: &RequestContext, by: Vec<MetricGroupKey>, first: i32, want: StatisticsNeeded) -> Result<Groups> {
    let limits = &request.services.limits;
    Groups::largest(by.into_iter().map(GroupBy::from), first, limits.page_size_max, limits.groups_max, want)
}

async fn totals(
    request: &RequestContext,
    parent: Parent,
    question: Arc<Question>,
    report: Totals,
) -> Result<MetricAggregate> {
    let about = StatisticsSubject { parent: parent.clone(), question: Arc::clone(&question) };
    let stats = answer(&request.loaders().metric_stats, parent, question, report).await?;
    Ok(MetricAggregate::own(stats, about, request.as_of()))
}
