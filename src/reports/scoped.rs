//! A question within its caller's scope: the FROM and WHERE of every report.
//!
//! Organization, project and type are always named, because the indexes of the metric tables begin with them.

use sea_orm::{
    ConnectionTrait, DbBackend,
    sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    Accuracy, AnswerSource, Distribution, Question, StatisticsNeeded, Stats,
    conditions::{self, ENDPOINT, M},
    grid::{BucketGrid, GridBucket},
    grouping::{Dimension, Grouping},
    not_broken_down::NotBrokenDown,
    outer::{self, Within},
    plan::{EndpointRows, Plan, Resolution, Segment, TableChoice, between, coarsest, plan},
    sparse::{GRAIN, SparseSeries},
    visible::VisibleProjects,
};
use crate::{
    db::{Session, compare},
    error::{Error, Result},
    model::{
        Detail, EndpointId, MetricType, RetainedSince, Scope, Sketch, Tally, TimeRange, filter::TextFilter,
        sketch::RELATIVE_ERROR, timestamp::duration_text,
    },
};

/// A question narrowed to its caller's scope, with the plan of the tables that answer it.
#[derive(Clone)]
pub(super) struct ScopedQuery<'a> {
    backend: DbBackend,
    question: &'a Question,
    projects: VisibleProjects<'a>,
    kinds: Vec<MetricType>,
    endpoints: Option<&'a [EndpointId]>,
    plan: Plan,
    grid: Option<BucketGrid>,
    exact: Option<u32>,
    /// The breakdowns that have the columns of the question and the grouping; `None` if all rollups have them.
    detail: Option<Detail>,
    /// Rows of another statement that narrow this one further.
    within: Option<Within>,
}

impl<'a> ScopedQuery<'a> {
    /// A query for statistics, grouped as `grouping` says.
    ///
    /// # Errors
    /// A condition is invalid (too many alternatives, text that no path can contain), no table is retained that
    /// could answer, or when there would be too many buckets.
    pub(super) fn new(
        scope: &Scope,
        question: &'a Question,
        grouping: &Grouping,
        want: StatisticsNeeded,
        session: &Session,
    ) -> Result<Self> {
        let kept = session.kept();
        let exact = question.exact.filter(|_| want == StatisticsNeeded::Percentiles);
        let detail = question.details().chain(grouping.details()).reduce(Detail::with);
        // Breakdowns know no endpoints.
        let is_by_endpoint = grouping.rows() == EndpointRows::Separate || question.endpoint.is_some();
        let needs_raw = exact.is_some() || detail.is_some() && is_by_endpoint;
        let tables = match (grouping.buckets(), detail) {
            _ if needs_raw => TableChoice::RawOnly,
            (Some(buckets), Some(detail)) => TableChoice::AlignedBreakdowns(detail, buckets.width_micros()),
            (Some(buckets), None) => TableChoice::Aligned(buckets.width_micros()),
            (None, Some(detail)) => TableChoice::Breakdowns(detail),
            (None, None) => TableChoice::Any,
        };
        let mut plan = plan(question.window, tables, kept).ok_or_else(|| not_kept(tables, kept))?;
        if exact.is_some() && plan.covers != question.window {
            let message = format!("exact answers need single measurements, which are kept since {}", kept.raw);
            return Err(Error::input("filter.isExact", message));
        }
        let grid = grouping.buckets().map(|buckets| buckets.over(plan.covers, tables.kept(kept))).transpose()?;
        if let (TableChoice::Aligned(_) | TableChoice::AlignedBreakdowns(..), Some(grid)) = (tables, &grid)
            && grid.is_zoned()
        {
            plan = between(plan.covers, tables, &grid.bounds().collect::<Vec<_>>(), kept);
        }
        Ok(Self { grid, exact, detail, ..Self::planned(scope, question, plan, session)? })
    }

    /// A query for single measurements.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn of_rows(scope: &Scope, question: &'a Question, session: &Session) -> Result<Self> {
        let kept = session.kept();
        let plan =
            plan(question.window, TableChoice::RawOnly, kept).ok_or_else(|| not_kept(TableChoice::RawOnly, kept))?;
        Self::planned(scope, question, plan, session)
    }

    /// A query that finds single measurements with the help of rollups; `None` where no single measurement of the window is
    /// retained.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn of_raw(scope: &Scope, question: &'a Question, session: &Session) -> Result<Option<Self>> {
        let tables = if question.needs_breakdown() { TableChoice::RawOnly } else { TableChoice::IntoRaw };
        let plan = plan(question.window, tables, session.kept());
        plan.map(|plan| Self::planned(scope, question, plan, session)).transpose()
    }

    /// A query for the counts of late measurements. The window is not adjusted to what is retained.
    ///
    /// # Errors
    /// A condition is invalid.
    pub(super) fn of_days(scope: &Scope, question: &'a Question, session: &Session) -> Result<Self> {
        Self::planned(scope, question, Plan { covers: question.window, segments: Vec::new() }, session)
    }

    fn planned(scope: &Scope, question: &'a Question, plan: Plan, session: &Session) -> Result<Self> {
        conditions::check(question)?;
        Ok(Self {
            backend: session.get_database_backend(),
            question,
            projects: VisibleProjects::of(scope, question, session.own_organization()),
            kinds: question.kinds(),
            endpoints: None,
            plan,
            grid: None,
            exact: None,
            detail: None,
            within: None,
        })
    }

    /// Restricts the query to these endpoints.
    pub(super) fn among(self, endpoints: &'a [EndpointId]) -> Self {
        Self { endpoints: Some(endpoints), ..self }
    }

    /// Restricts the query to rows of another statement.
    pub(super) fn within(&self, within: Within) -> Self {
        Self { within: Some(within), ..self.clone() }
    }

    /// All projects of the question as a statement; `None` if the question names them one by one, and where the database
    /// cannot go from one to the next.
    pub(super) fn listed_projects(&self) -> Option<SelectStatement> {
        match self.backend {
            DbBackend::Postgres => self.projects.listed(self.backend),
            _ => None,
        }
    }

    /// The projects and types of the question one by one, if there are several; `None` as for [`Self::listed_projects`].
    pub(super) fn listed_series(&self) -> Option<SelectStatement> {
        let is_several = self.projects.named().is_some_and(|projects| projects * self.kinds.len() > 1);
        (is_several && self.backend == DbBackend::Postgres && self.within.is_none()).then(|| self.series())
    }

    /// True when no group has measurements of two projects or types.
    pub(super) fn is_one_series_per_group(&self, grouping: &Grouping) -> bool {
        let is_one_project = grouping.is_by_project() || self.projects.named() == Some(1);
        is_one_project && (grouping.by().contains(&Dimension::Kind) || self.kinds.len() == 1)
    }

    /// True when the scope excludes every project of the question, so that no statement is needed.
    pub(super) const fn is_empty(&self) -> bool {
        self.projects.is_empty()
    }

    /// The database that runs the statement.
    pub(super) const fn backend(&self) -> DbBackend {
        self.backend
    }

    /// The metric types asked for, each once.
    pub(super) fn kinds(&self) -> &[MetricType] {
        &self.kinds
    }

    /// The segments of the answered window that may have rows.
    pub(super) fn segments(&self, endpoints: EndpointRows) -> impl DoubleEndedIterator<Item = Segment> {
        let is_dense = self.sparse(endpoints).is_none();
        let may_have_rows = move |segment: &Segment| !is_dense || segment.resolution != Resolution::Unrolled;
        self.plan.segments.iter().copied().filter(may_have_rows)
    }

    fn not_broken_down(&self, within: TimeRange) -> SelectStatement {
        let detail = self.detail.unwrap_or(Detail::All);
        let series = &self.is_asked_series(GRAIN);
        NotBrokenDown { backend: self.backend, plan: &self.plan, within, detail, series }.rows()
    }

    fn sparse(&self, endpoints: EndpointRows) -> SparseSeries<'_> {
        let by_endpoint = endpoints == EndpointRows::Separate || self.question.endpoint.is_some();
        SparseSeries { backend: self.backend, plan: &self.plan, by_endpoint }
    }

    /// The buckets of the answered window; `None` for an answer without buckets.
    pub(super) const fn grid(&self) -> Option<&BucketGrid> {
        self.grid.as_ref()
    }

    /// The maximum number of single measurements that an exact distribution is read from; `None` where bins suffice.
    pub(super) const fn exact(&self) -> Option<u32> {
        self.exact
    }

    /// Statistics without measurements.
    pub(super) fn empty_stats(&self, want: StatisticsNeeded) -> Stats {
        let distribution = (want == StatisticsNeeded::Percentiles).then(|| match self.exact {
            Some(_) => Distribution::Values(Vec::new()),
            None => Distribution::Sketch(Sketch::new()),
        });
        Stats { tally: Tally::empty(distribution), accuracy: self.accuracy(want) }
    }

    /// Checks the number of rows of an exact answer.
    ///
    /// # Errors
    /// There are more rows than an exact answer may read.
    pub(super) fn check_rows(&self, rows: usize) -> Result<()> {
        match self.exact {
            Some(most) if rows > most as usize => {
                let message = format!(
                    "the answer would be read from more than {most} single measurements; ask about fewer, or take the \
                     estimate, which is off by 1 % at most"
                );
                Err(Error::input("filter.isExact", message))
            }
            _ => Ok(()),
        }
    }

    /// True when the window that was asked for contains all of `range`.
    pub(super) fn asked_for_all_of(&self, range: TimeRange) -> bool {
        self.question.window.common(range) == Some(range)
    }

    /// The accuracy of an answer for the whole window.
    pub(super) fn accuracy(&self, want: StatisticsNeeded) -> Accuracy {
        self.accuracy_of(self.plan.covers, self.question.window, want)
    }

    /// The accuracy of an answer for one bucket.
    pub(super) fn accuracy_in(&self, bucket: GridBucket, want: StatisticsNeeded) -> Accuracy {
        let GridBucket { asked, read } = bucket;
        let covers = self.plan.covers.common(read).unwrap_or(read);
        self.accuracy_of(covers, self.question.window.common(asked).unwrap_or(asked), want)
    }

    fn accuracy_of(&self, covers: TimeRange, asked: TimeRange, want: StatisticsNeeded) -> Accuracy {
        let inside = || self.plan.segments.iter().filter(|segment| segment.range.common(covers).is_some());
        let source = match inside().filter(|segment| segment.resolution == Resolution::Raw).count() {
            0 => AnswerSource::Rollup,
            raw if raw == inside().count() => AnswerSource::Raw,
            _ => AnswerSource::Mixed,
        };
        let has_values = want == StatisticsNeeded::Scalars || self.exact.is_some();
        Accuracy {
            is_exact: has_values && covers == asked,
            covers,
            relative_error_bound: if has_values { 0.0 } else { RELATIVE_ERROR },
            source,
        }
    }

    /// `FROM table AS m WHERE ..` for one segment, without columns.
    pub(super) fn rows(&self, segment: Segment, endpoints: EndpointRows) -> SelectStatement {
        let mut select = match segment.resolution {
            Resolution::Unrolled => self.sparse(endpoints).rows(self.is_asked_series(GRAIN)),
            Resolution::NotBrokenDown => self.not_broken_down(segment.range),
            resolution => self.between(resolution.table(), resolution.time_column(), segment.range),
        };
        if segment.resolution == Resolution::Part {
            select.cond_where(self.sparse(endpoints).has_rollups_of(M));
        }
        if let (true, Some(detail)) = (segment.resolution.is_breakdown(), self.detail) {
            select.and_where(Expr::col((M, "detail")).eq(detail.code()));
        }
        self.conditions(&mut select, segment, endpoints);
        select
    }

    /// `FROM metric_late AS m WHERE ..`: only project, type and day of late measurements are known.
    pub(super) fn late(&self) -> SelectStatement {
        self.between("metric_late", "bucket", self.plan.covers)
    }

    fn between(&self, table: &'static str, time: &'static str, range: TimeRange) -> SelectStatement {
        let mut select = Query::select();
        select
            .from_as(table, M)
            .cond_where(self.is_asked_series(M))
            .and_where(Expr::col((M, time)).gte(range.from().as_micros()))
            .and_where(Expr::col((M, time)).lt(range.to().as_micros()));
        select
    }

    /// The condition for rows of the projects and types asked for.
    fn is_asked_series(&self, table: &'static str) -> Cond {
        let is_asked_kind = Expr::col((table, "kind")).is_in(self.kinds.iter().map(|kind| kind.code()));
        match self.within {
            Some(Within::Project | Within::Endpoints) => outer::project(table).add(is_asked_kind),
            Some(Within::Series) => outer::series(table),
            Some(Within::Chosen) | None => self.projects.condition(table, self.backend).add(is_asked_kind),
        }
    }

    /// Adds the conditions of the question that do not belong to the index prefix.
    pub(super) fn conditions(&self, select: &mut SelectStatement, segment: Segment, endpoints: EndpointRows) {
        let endpoint = || Expr::col((M, "endpoint_id"));
        match (&self.question.endpoint, endpoints, segment.resolution) {
            (Some(filter), _, resolution) => {
                if !resolution.is_raw() {
                    select.and_where(endpoint().ne(EndpointId::ALL.0));
                }
                let key = Expr::tuple([Expr::col((M, "organization_id")), endpoint()]);
                let known = self.endpoints_with(filter);
                select.and_where(match &self.projects {
                    // Looking up each endpoint is cheaper than reading all of them.
                    VisibleProjects::AllBut(_) => key.in_subquery(known),
                    VisibleProjects::Organizations(_) | VisibleProjects::Keys(_) => {
                        compare::sifted(self.backend, key, known)
                    }
                });
            }
            (None, _, resolution) if resolution.is_raw() || resolution.is_breakdown() => {}
            (None, EndpointRows::Combined, _) => {
                select.and_where(endpoint().eq(EndpointId::ALL.0));
            }
            (None, EndpointRows::Separate, _) => {
                select.and_where(endpoint().ne(EndpointId::ALL.0));
            }
        }
        match self.within {
            Some(Within::Endpoints) => drop(select.and_where(outer::endpoint(M))),
            Some(Within::Chosen) => drop(select.and_where(outer::chosen(self.backend, M))),
            Some(Within::Project | Within::Series) | None => {}
        }
        if self.question.needs_breakdown() {
            select.cond_where(conditions::single(self.question));
        }
        if let Some(ids) = self.endpoints {
            select.and_where(endpoint().is_in(ids.iter().map(|id| id.0)));
        }
    }

    /// The series asked for, one row per project and type: `organization_id`, `project_id`, `kind`.
    pub(super) fn series(&self) -> SelectStatement {
        self.projects.series(&self.kinds, self.backend)
    }

    fn endpoints_with(&self, filter: &TextFilter) -> SelectStatement {
        let mut select = Query::select();
        select
            .columns(["organization_id", "id"])
            .from_as("endpoint", ENDPOINT)
            .cond_where(self.projects.condition(ENDPOINT, self.backend))
            .cond_where(conditions::path(filter));
        select
    }
}

fn not_kept(tables: TableChoice, kept: RetainedSince) -> Error {
    let since = tables.since(kept);
    let message = match tables {
        TableChoice::Aligned(width) => {
            let bucket = duration_text(width);
            let rows = match coarsest(width) {
                Resolution::Minute | Resolution::FiveMinutes => "rollups per minute",
                Resolution::Hour => "rollups per hour",
                Resolution::Day => "rollups per day",
                _ => "single measurements",
            };
            format!(
                "buckets of {bucket} are answered from {rows}, which are kept since {since}: ask for a later time, or for \
                 buckets of whole days"
            )
        }
        TableChoice::AlignedBreakdowns(detail, width) if detail.is_one_column() => format!(
            "buckets of {} by status, name or release are kept since {since}: ask for a later time, or for buckets of whole days",
            duration_text(width)
        ),
        TableChoice::Breakdowns(detail) if detail.is_one_column() => {
            format!("counts by status, name and release are kept since {since}: ask for a later time")
        }
        TableChoice::Any
        | TableChoice::IntoRaw
        | TableChoice::Breakdowns(_)
        | TableChoice::AlignedBreakdowns(..)
        | TableChoice::RawOnly => format!(
            "this is answered from single measurements, which are kept since {since}: ask for a later time, or for what rollups \
             know (endpoints, or one of status, name and release)"
        ),
    };
    Error::input("filter.time", message)
}
