//! The comparison of two releases.

use std::sync::Arc;

use async_graphql::{Context, Description, Enum, Object};

use super::{
    Employee, Release,
    accuracy::StatisticsSubject,
    filter::EmployeeFilter,
    stats::{MetricAggregate, Statistic},
};
use crate::{
    directory,
    engine::rows::Rows,
    error::Result,
    graphql::{context::request, loaders::AskedPage, page::PageArguments, selection, sizes},
    model::{Key, MetricType, ProjectId, Timestamp},
    reports::{
        Parent, Projects, Question, Stats,
        comparison::{self, Change, FALSE_DISCOVERY_RATE},
    },
};

/// The outcome of a comparison of two releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "comparison::Verdict")]
pub enum Verdict {
    /// Significantly worse, by at least 5 %.
    Regressed,
    /// Significantly better, by at least 5 %.
    Improved,
    /// No significant difference, or one below 5 %.
    NoChange,
    /// Too little data for a verdict. Each release needs at least 20 minutes with measurements, 100 measurements and,
    /// for a percentile, 20 measurements on either side of it. More are needed if the measurements of a minute depend
    /// on each other.
    InsufficientData,
}

/// Comparison of two releases of a project, minute by minute. A change is reported only if it is larger than the random
/// variation between minutes. It may have causes other than the release. A shift of traffic towards slower endpoints
/// also changes the statistics of all endpoints together; `endpoints` shows the endpoints that became slower
/// themselves.
#[derive(Description)]
pub struct ReleaseComparison {
    /// The earlier release. The columns selected of either are loaded for both.
    pub baseline: Arc<directory::Release>,
    /// The release that is judged.
    pub candidate: Arc<directory::Release>,
    /// The project of both releases.
    pub project: Key<ProjectId>,
    /// The type of the compared measurements.
    pub kind: MetricType,
    /// The statistic that was compared.
    pub statistic: Statistic,
    /// The result of the comparison.
    pub comparison: comparison::Comparison,
    /// The time of the request.
    pub as_of: Timestamp,
}

/// A number that JSON can represent: infinity becomes null.
fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

impl ReleaseComparison {
    fn of_whole(&self, figure: impl Fn(Change) -> f64) -> Option<f64> {
        self.comparison.whole.map(figure).and_then(finite)
    }
}

#[Object(use_type_description)]
impl ReleaseComparison {
    /// The release that the candidate is compared with. Null only if reading it failed.
    async fn baseline(&self) -> Option<Result<Release>> {
        Some(Ok(Release(Arc::clone(&self.baseline))))
    }

    /// The release that is judged. Null only if reading it failed.
    async fn candidate(&self) -> Option<Result<Release>> {
        Some(Ok(Release(Arc::clone(&self.candidate))))
    }

    /// `REGRESSED` if all endpoints together or any single endpoint regressed; otherwise `IMPROVED` if any improved.
    async fn verdict(&self) -> Verdict {
        self.comparison.verdict.into()
    }

    /// The statistic that was compared.
    async fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// Unit of the measurements, and of the compared values unless `statistic` is `ERROR_RATE`: `ms`, `%`, or empty for
    /// `CUSTOM`, whose unit the sender chooses.
    async fn unit(&self) -> &'static str {
        self.kind.unit()
    }

    /// Value of `statistic` in the baseline, over all endpoints: in the unit of the measurements, or 0 to 1 for
    /// `ERROR_RATE`. A percentile is interpolated, within 2.1 % of the percentile by nearest rank, so it can differ from
    /// `MetricAggregate.percentile`. Null with insufficient data.
    async fn baseline_value(&self) -> Option<f64> {
        self.of_whole(|change| change.baseline)
    }

    /// Value of `statistic` in the candidate, over all endpoints, as in `baselineValue`. Null with insufficient data.
    async fn candidate_value(&self) -> Option<f64> {
        self.of_whole(|change| change.candidate)
    }

    /// Candidate divided by baseline, all endpoints together. For `CACHE_HIT` the ratio of hit rates, not of misses.
    /// Null with insufficient data, or if only the baseline is zero.
    async fn ratio(&self) -> Option<f64> {
        self.of_whole(|change| change.ratio)
    }

    /// Lower end of the 95 % confidence interval of `ratio`, including the error of the percentile estimate. Null with
    /// insufficient data.
    async fn ratio_low(&self) -> Option<f64> {
        self.of_whole(|change| change.ratio_low)
    }

    /// Upper end of the 95 % confidence interval of `ratio`, including the error of the percentile estimate. Null with
    /// insufficient data, or if the interval has no upper end.
    async fn ratio_high(&self) -> Option<f64> {
        self.of_whole(|change| change.ratio_high)
    }

    /// Probability of a ratio at least as far from 1 by chance alone, for all endpoints together (0 to 1). Null with
    /// insufficient data.
    async fn p_value(&self) -> Option<f64> {
        self.of_whole(|change| change.p_value)
    }

    /// Accepted share of false positives among the reported changes: 0.01. A change is reported only if its `qValue` is
    /// at most this.
    async fn false_discovery_rate(&self) -> f64 {
        FALSE_DISCOVERY_RATE
    }

    /// The compared endpoints with one of the `verdicts`, largest change first. Only the 200 endpoints with the most
    /// measurements are compared.
    #[graphql(directive = sizes::FirstOrOne::apply())]
    async fn endpoints(
        &self,
        #[graphql(desc = "Returns at most this many endpoints (at least 1; default 20).", default = 20)] first: i32,
        #[graphql(
            desc = "Returns only endpoints with one of these verdicts. Defaults to `REGRESSED`.",
            default_with = "vec![Verdict::Regressed]"
        )]
        verdicts: Vec<Verdict>,
    ) -> Result<Vec<EndpointComparison>> {
        let first = usize::try_from(first)
            .ok()
            .filter(|first| *first > 0)
            .ok_or_else(|| crate::error::Error::input("first", format!("must be at least 1, got {first}")))?;
        let wanted: Vec<comparison::Verdict> = verdicts.into_iter().map(Into::into).collect();
        let endpoints = self.comparison.endpoints.iter().filter(|one| wanted.contains(&one.verdict)).take(first);
        Ok(endpoints
            .map(|one| EndpointComparison {
                one: one.clone(),
                project: self.project,
                kind: self.kind,
                as_of: self.as_of,
            })
            .collect())
    }
}

/// Comparison of one endpoint in two releases.
#[derive(Description)]
pub struct EndpointComparison {
    one: comparison::EndpointComparison,
    project: Key<ProjectId>,
    kind: MetricType,
    as_of: Timestamp,
}

impl EndpointComparison {
    /// The statistics of the endpoint in one of the releases.
    fn side(&self, stats: &Arc<Stats>) -> MetricAggregate {
        let window = stats.accuracy.covers;
        let (projects, kinds) = (Projects::Keys(vec![self.project]), vec![self.kind]);
        let question = Arc::new(Question { projects, kinds, ..Question::over(window) });
        MetricAggregate::own(Arc::clone(stats), StatisticsSubject { parent: Parent::Question, question }, self.as_of)
    }
}

#[Object(use_type_description)]
impl EndpointComparison {
    /// Path or name of the endpoint: a route, page, query or cache.
    async fn endpoint(&self) -> &str {
        &self.one.endpoint
    }

    /// The outcome for this endpoint.
    async fn verdict(&self) -> Verdict {
        self.one.verdict.into()
    }

    /// Statistics of the endpoint in the compared minutes of the baseline.
    async fn baseline(&self) -> MetricAggregate {
        self.side(&self.one.baseline)
    }

    /// Statistics of the endpoint in the compared minutes of the candidate.
    async fn candidate(&self) -> MetricAggregate {
        self.side(&self.one.candidate)
    }

    /// Candidate divided by baseline. Null with insufficient data, or if only the baseline is zero.
    async fn ratio(&self) -> Option<f64> {
        self.one.change.and_then(|change| finite(change.ratio))
    }

    /// Lower end of the 95 % confidence interval of `ratio`, including the error of the percentile estimate. Null with
    /// insufficient data.
    async fn ratio_low(&self) -> Option<f64> {
        self.one.change.and_then(|change| finite(change.ratio_low))
    }

    /// Upper end of the 95 % confidence interval of `ratio`, including the error of the percentile estimate. Null with
    /// insufficient data, or if the interval has no upper end.
    async fn ratio_high(&self) -> Option<f64> {
        self.one.change.and_then(|change| finite(change.ratio_high))
    }

    /// The p-value of the change, corrected for the number of compared endpoints (0 to 1). The change is reported if
    /// `qValue` is at most `falseDiscoveryRate`. 1 for changes below 5 %. Null with insufficient data.
    async fn q_value(&self) -> Option<f64> {
        self.one.q_value
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
        let asked = AskedPage { parent: self.project, list, fields: selection::of_object(context.field()) };
        let page = request.loaders().team.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|member| Employee(member.employee.clone())).collect())
    }
}
