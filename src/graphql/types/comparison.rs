//! One release against another.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object};

use super::{
    Employee, Release,
    accuracy::About,
    filter::EmployeeFilter,
    stats::{MetricAggregate, Statistic},
};
use crate::{
    directory,
    engine::rows::Rows,
    error::Result,
    graphql::{context::request, loaders::AskedPage, page::PageArguments, selection},
    model::{Key, MetricType, ProjectId, Timestamp},
    reports::{
        Parent, Projects, Question, Stats,
        comparison::{self, Change, FALSE_DISCOVERY_RATE},
    },
};

/// What became of something from one release to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "comparison::Verdict")]
pub enum Verdict {
    /// Worse, beyond chance and by at least 5 %.
    Regressed,
    /// Better, beyond chance and by at least 5 %.
    Improved,
    /// Nothing that can be told from chance, or too little to matter.
    NoChange,
    /// Too little was measured in one of the releases: in fewer than 20 minutes, fewer than 100 times, or too little beyond
    /// a percentile for how much the minutes vary.
    InsufficientData,
}

/// One release against another.
pub struct ReleaseComparison {
    /// What it was; the columns of both were selected for both.
    pub baseline: Arc<directory::Release>,
    /// What it became.
    pub candidate: Arc<directory::Release>,
    /// Whose releases.
    pub project: Key<ProjectId>,
    /// Which of their measurements.
    pub kind: MetricType,
    /// By what.
    pub statistic: Statistic,
    /// What came of it.
    pub comparison: comparison::Comparison,
    /// When it was asked.
    pub as_of: Timestamp,
}

/// A figure that JSON can say.
fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

impl ReleaseComparison {
    fn of_whole(&self, figure: impl Fn(Change) -> f64) -> Option<f64> {
        self.comparison.whole.map(figure).and_then(finite)
    }
}

/// One release of a project against another, minute by minute: what is reported is beyond what chance and the ups and
/// downs of the minutes explain. What changed for other reasons at the same time is not told apart. All endpoints together
/// also change where one of them is merely asked more often: their own verdicts tell whether it became slower.
#[Object]
impl ReleaseComparison {
    /// What it was.
    async fn baseline(&self) -> Option<Result<Release>> {
        Some(Ok(Release(Arc::clone(&self.baseline))))
    }

    /// What it became.
    async fn candidate(&self) -> Option<Result<Release>> {
        Some(Ok(Release(Arc::clone(&self.candidate))))
    }

    /// `REGRESSED` where anything did, all endpoints together or one of them; else `IMPROVED` where anything did.
    async fn verdict(&self) -> Verdict {
        self.comparison.verdict.into()
    }

    /// The figure that was compared.
    async fn statistic(&self) -> Statistic {
        self.statistic
    }

    /// The figure of all endpoints together in the baseline; null where there is too little.
    async fn baseline_value(&self) -> Option<f64> {
        self.of_whole(|change| change.baseline)
    }

    /// The figure of all endpoints together in the candidate; null where there is too little.
    async fn candidate_value(&self) -> Option<f64> {
        self.of_whole(|change| change.candidate)
    }

    /// Candidate through baseline, all endpoints together, whatever became of the traffic between them. Null where there is
    /// too little, or where the baseline alone is zero. It is the ratio of the figure itself: of hits, not of misses.
    async fn ratio(&self) -> Option<f64> {
        self.of_whole(|change| change.ratio)
    }

    /// The ratio is not below, with 95 % certainty, what sketches leave open of percentiles included; null where there is
    /// too little.
    async fn ratio_low(&self) -> Option<f64> {
        self.of_whole(|change| change.ratio_low)
    }

    /// The ratio is not above, with 95 % certainty, what sketches leave open of percentiles included; null where nothing
    /// bounds it.
    async fn ratio_high(&self) -> Option<f64> {
        self.of_whole(|change| change.ratio_high)
    }

    /// How often chance alone would make a ratio as far from one, all endpoints together, 0 to 1.
    async fn p_value(&self) -> Option<f64> {
        self.of_whole(|change| change.p_value)
    }

    /// The share of those that changed by chance alone among the changes that are reported, on average, 0 to 1.
    async fn false_discovery_rate(&self) -> f64 {
        FALSE_DISCOVERY_RATE
    }

    /// The endpoints with these verdicts, the largest change first. The busiest 200 were compared by default.
    async fn endpoints(
        &self,
        #[graphql(desc = "The first so many, at least one.", default = 20)] first: i32,
        #[graphql(desc = "Only those with one of these verdicts.", default_with = "vec![Verdict::Regressed]")]
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

/// One endpoint in both releases.
pub struct EndpointComparison {
    one: comparison::EndpointComparison,
    project: Key<ProjectId>,
    kind: MetricType,
    as_of: Timestamp,
}

impl EndpointComparison {
    /// Everything that is known of the endpoint in the minutes of one release.
    fn side(&self, stats: &Arc<Stats>) -> MetricAggregate {
        let window = stats.accuracy.covers;
        let (projects, kinds) = (Projects::Keys(vec![self.project]), vec![self.kind]);
        let question = Arc::new(Question { projects, kinds, ..Question::over(window) });
        MetricAggregate::own(Arc::clone(stats), About { parent: Parent::Question, question }, self.as_of)
    }
}

/// One endpoint in two releases.
#[Object]
impl EndpointComparison {
    /// The route, page, query or cache.
    async fn endpoint(&self) -> &str {
        &self.one.endpoint
    }

    /// What became of it.
    async fn verdict(&self) -> Verdict {
        self.one.verdict.into()
    }

    /// Everything that is known of it in the baseline's minutes.
    async fn baseline(&self) -> MetricAggregate {
        self.side(&self.one.baseline)
    }

    /// Everything that is known of it in the candidate's minutes.
    async fn candidate(&self) -> MetricAggregate {
        self.side(&self.one.candidate)
    }

    /// Candidate through baseline; null where there is too little, or where the baseline alone is zero.
    async fn ratio(&self) -> Option<f64> {
        self.one.change.and_then(|change| finite(change.ratio))
    }

    /// The ratio is not below, with 95 % certainty, what sketches leave open of percentiles included; null where there is
    /// too little.
    async fn ratio_low(&self) -> Option<f64> {
        self.one.change.and_then(|change| finite(change.ratio_low))
    }

    /// The ratio is not above, with 95 % certainty, what sketches leave open of percentiles included; null where nothing
    /// bounds it.
    async fn ratio_high(&self) -> Option<f64> {
        self.one.change.and_then(|change| finite(change.ratio_high))
    }

    /// The false discovery rate at which the change would still be reported, 0 to 1: one where it is below 5 %. Null where
    /// there is too little.
    async fn q_value(&self) -> Option<f64> {
        self.one.q_value
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
        let asked = AskedPage { parent: self.project, list, fields: selection::of_object(context.field()) };
        let page = request.loaders().team.load(asked).await?.unwrap_or_default();
        Ok(page.rows.iter().map(|member| Employee(member.employee.clone())).collect())
    }
}
