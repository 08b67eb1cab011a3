//! From a scope and a question to the rows that count: the FROM and WHERE of every report.
//!
//! Organization, project and type are always named, because the indexes of the metric tables begin with them.

use std::collections::BTreeMap;

use sea_orm::{
    ConnectionTrait, DbBackend,
    sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    Accuracy, Projects, Question, Source, Want,
    filter::{self, ENDPOINT, M},
    grid::Slots,
    grouping::Grouping,
    plan::{Piece, Plan, Resolution, Tables, coarsest, plan},
    sql,
};
use crate::{
    db::{Session, compare},
    error::{Error, Result},
    model::{
        EndpointId, Kept, Key, MetricType, OrganizationId, ProjectId, Reach, Scope, TimeRange, filter::TextFilter,
        sketch::RELATIVE_ERROR, timestamp::duration_text,
    },
};

/// A question as far as its caller may ask it.
pub(super) struct Narrowed<'a> {
    backend: DbBackend,
    question: &'a Question,
    projects: Reached<'a>,
    kinds: Vec<MetricType>,
    endpoints: Option<&'a [EndpointId]>,
    plan: Plan,
    slots: Option<Slots>,
    exact: Option<u32>,
}

/// The projects asked for that the scope reaches.
enum Reached<'a> {
    /// Those of every organization.
    Everything,
    Organizations(Vec<OrganizationId>),
    Keys(Vec<&'a Key<ProjectId>>),
}

/// Which rows of a rollup: either the ones of all endpoints together or the ones of single endpoints, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoints {
    Together,
    Single,
}

impl<'a> Narrowed<'a> {
    /// # Errors
    /// When a condition cannot be judged (too many alternatives, text that no path can hold), when nothing is kept any
    /// more that could answer, or when there would be too many buckets.
    pub(super) fn new(
        scope: &Scope,
        question: &'a Question,
        grouping: &Grouping,
        want: Want,
        session: &Session,
    ) -> Result<Self> {
        let kept = session.kept();
        let exact = question.exact.filter(|_| want == Want::Percentiles);
        let needs_raw = question.needs_raw() || grouping.is_raw() || exact.is_some();
        let tables = match grouping.buckets() {
            _ if needs_raw => Tables::RawOnly,
            Some(buckets) => Tables::Aligned(buckets.width_micros),
            None => Tables::Any,
        };
        let plan = plan(question.window, tables, kept).ok_or_else(|| not_kept(tables, kept))?;
        if exact.is_some() && plan.covers != question.window {
            let message = format!("exact answers need single measurements, which are kept since {}", kept.raw);
            return Err(Error::input("filter.exact", message));
        }
        let slots = grouping.buckets().map(|buckets| buckets.over(plan.covers)).transpose()?;
        Ok(Self { slots, exact, ..Self::planned(scope, question, plan, session)? })
    }

    /// The same from single measurements, and from nothing else.
    pub(super) fn of_rows(scope: &Scope, question: &'a Question, session: &Session) -> Result<Self> {
        let kept = session.kept();
        let plan = plan(question.window, Tables::RawOnly, kept).ok_or_else(|| not_kept(Tables::RawOnly, kept))?;
        Self::planned(scope, question, plan, session)
    }

    /// The same for whoever looks for single measurements. Nothing where none of the window is kept any more.
    pub(super) fn of_raw(scope: &Scope, question: &'a Question, session: &Session) -> Result<Option<Self>> {
        let tables = if question.needs_raw() { Tables::RawOnly } else { Tables::IntoRaw };
        let plan = plan(question.window, tables, session.kept());
        plan.map(|plan| Self::planned(scope, question, plan, session)).transpose()
    }

    /// The same for whoever looks for no measurements, but for what came too late. The window is taken as it is.
    pub(super) fn of_days(scope: &Scope, question: &'a Question, session: &Session) -> Result<Self> {
        Self::planned(scope, question, Plan { covers: question.window, pieces: Vec::new() }, session)
    }

    fn planned(scope: &Scope, question: &'a Question, plan: Plan, session: &Session) -> Result<Self> {
        filter::check(question)?;
        let projects = match (&question.projects, scope.reach()) {
            (Projects::All, Reach::Everything) => Reached::Everything,
            (Projects::All, Reach::Organization(own)) => Reached::Organizations(vec![own]),
            (Projects::Organizations(ids), _) => {
                Reached::Organizations(ids.iter().copied().filter(|id| scope.sees(*id)).collect())
            }
            (Projects::Keys(keys), _) => {
                Reached::Keys(keys.iter().filter(|key| scope.sees(key.organization)).collect())
            }
        };
        let backend = session.get_database_backend();
        Ok(Self {
            backend,
            question,
            projects,
            kinds: question.kinds(),
            endpoints: None,
            plan,
            slots: None,
            exact: None,
        })
    }

    /// Only rows of these endpoints.
    pub(super) fn among(self, endpoints: &'a [EndpointId]) -> Self {
        Self { endpoints: Some(endpoints), ..self }
    }

    /// Whether the scope leaves nothing to ask the database for.
    pub(super) const fn is_empty(&self) -> bool {
        match &self.projects {
            Reached::Organizations(ids) => ids.is_empty(),
            Reached::Keys(keys) => keys.is_empty(),
            Reached::Everything => false,
        }
    }

    /// Which database is asked.
    pub(super) const fn backend(&self) -> DbBackend {
        self.backend
    }

    /// The types asked for, each once.
    pub(super) fn kinds(&self) -> &[MetricType] {
        &self.kinds
    }

    /// The pieces of the window that is answered.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.plan.pieces
    }

    /// The buckets of the window that is answered; `None` where the answer is not told apart by time.
    pub(super) const fn slots(&self) -> Option<Slots> {
        self.slots
    }

    /// From how many single measurements at most the distribution is to be read exactly; `None` where bins will do.
    pub(super) const fn exact(&self) -> Option<u32> {
        self.exact
    }

    /// Refuses an exact answer from too many rows.
    ///
    /// # Errors
    /// When there are more than there may be.
    pub(super) fn check_rows(&self, rows: usize) -> Result<()> {
        match self.exact {
            Some(most) if rows > most as usize => {
                let message = format!(
                    "the answer would be read from more than {most} single measurements; ask about fewer, or take the \
                     estimate, which is off by 1 % at most"
                );
                Err(Error::input("filter.exact", message))
            }
            _ => Ok(()),
        }
    }

    /// Whether the window that was asked for has all of this one.
    pub(super) fn asked_for_all_of(&self, range: TimeRange) -> bool {
        self.question.window.common(range) == Some(range)
    }

    /// How true an answer about the whole window is.
    pub(super) fn accuracy(&self, want: Want) -> Accuracy {
        self.accuracy_of(self.plan.covers, self.question.window, want)
    }

    /// How true an answer about one bucket is.
    pub(super) fn accuracy_in(&self, bucket: TimeRange, want: Want) -> Accuracy {
        let covers = self.plan.covers.common(bucket).unwrap_or(bucket);
        self.accuracy_of(covers, self.question.window.common(bucket).unwrap_or(bucket), want)
    }

    fn accuracy_of(&self, covers: TimeRange, asked: TimeRange, want: Want) -> Accuracy {
        let inside = || self.pieces().iter().filter(|piece| piece.range.common(covers).is_some());
        let source = match inside().filter(|piece| piece.resolution == Resolution::Raw).count() {
            0 => Source::Rollup,
            raw if raw == inside().count() => Source::Raw,
            _ => Source::Mixed,
        };
        let has_values = want == Want::Scalars || self.exact.is_some();
        Accuracy {
            is_exact: has_values && covers == asked,
            covers,
            relative_error_bound: if has_values { 0.0 } else { RELATIVE_ERROR },
            source,
        }
    }

    /// `FROM table AS m WHERE …` for one piece, without columns.
    pub(super) fn rows(&self, piece: Piece, endpoints: Endpoints) -> SelectStatement {
        let mut select = self.within(piece.resolution.table(), piece.resolution.time_column(), piece.range);
        self.conditions(&mut select, piece, endpoints);
        select
    }

    /// The same for what came too late: of it only project, type and day are known.
    pub(super) fn late(&self) -> SelectStatement {
        self.within("metric_late", "bucket", self.plan.covers)
    }

    fn within(&self, table: &'static str, time: &'static str, range: TimeRange) -> SelectStatement {
        let mut select = Query::select();
        select
            .from_as(table, M)
            .cond_where(self.projects.condition(M, self.backend))
            .and_where(Expr::col((M, "kind")).is_in(self.kinds.iter().map(|kind| kind.code())))
            .and_where(Expr::col((M, time)).gte(range.from().as_micros()))
            .and_where(Expr::col((M, time)).lt(range.to().as_micros()));
        select
    }

    /// Adds all conditions of the question but those that an index finds rows by.
    pub(super) fn conditions(&self, select: &mut SelectStatement, piece: Piece, endpoints: Endpoints) {
        let endpoint = || Expr::col((M, "endpoint_id"));
        match (&self.question.endpoint, endpoints, piece.resolution) {
            (Some(filter), _, resolution) => {
                if resolution != Resolution::Raw {
                    select.and_where(endpoint().ne(EndpointId::ALL.0));
                }
                let key = Expr::tuple([Expr::col((M, "organization_id")), endpoint()]);
                let known = self.endpoints_with(filter);
                select.and_where(match &self.projects {
                    // Better looked up one by one than all read.
                    Reached::Everything => key.in_subquery(known),
                    Reached::Organizations(_) | Reached::Keys(_) => compare::sifted(self.backend, key, known),
                });
            }
            (None, _, Resolution::Raw) => {}
            (None, Endpoints::Together, _) => {
                select.and_where(endpoint().eq(EndpointId::ALL.0));
            }
            (None, Endpoints::Single, _) => {
                select.and_where(endpoint().ne(EndpointId::ALL.0));
            }
        }
        if self.question.needs_raw() {
            select.cond_where(filter::single(self.question));
        }
        if let Some(ids) = self.endpoints {
            select.and_where(endpoint().is_in(ids.iter().map(|id| id.0)));
        }
    }

    /// The projects and types that are asked for, one row each.
    pub(super) fn series(&self) -> SelectStatement {
        let kinds = self.kinds.iter().map(|kind| {
            let mut one = Query::select();
            // A constant, so that the database knows its type.
            one.expr_as(Expr::cust(kind.code().to_string()), "kind");
            one
        });
        let mut select = Query::select();
        select
            .column(("p", "organization_id"))
            .expr_as(Expr::col(("p", "id")), "project_id")
            .column(("k", "kind"))
            .from_as("project", "p")
            .from_subquery(sql::union(kinds), "k");
        match &self.projects {
            Reached::Everything => {}
            Reached::Organizations(ids) => {
                select.and_where(any_of(Expr::col(("p", "organization_id")), ids));
            }
            Reached::Keys(keys) => {
                select.cond_where(pairs(keys, &Expr::col(("p", "organization_id")), &Expr::col(("p", "id"))));
            }
        }
        select
    }

    fn endpoints_with(&self, filter: &TextFilter) -> SelectStatement {
        let mut select = Query::select();
        select
            .columns(["organization_id", "id"])
            .from_as("endpoint", ENDPOINT)
            .cond_where(self.projects.condition(ENDPOINT, self.backend))
            .cond_where(filter::path(filter));
        select
    }
}

/// These projects, by the columns of their ids.
fn pairs(keys: &[&Key<ProjectId>], organization: &Expr, project: &Expr) -> Cond {
    let mut by_organization: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for key in keys {
        by_organization.entry(key.organization.0).or_default().push(key.id.0);
    }
    // The two lists find the rows by index; the pairs keep out projects of the same id elsewhere.
    let lists = Cond::all()
        .add(organization.clone().is_in(by_organization.keys().copied()))
        .add(project.clone().is_in(keys.iter().map(|key| key.id.0)));
    if by_organization.len() < 2 {
        return lists;
    }
    lists.add(by_organization.into_iter().fold(Cond::any(), |pairs, (id, projects)| {
        pairs.add(organization.clone().eq(id).and(project.clone().is_in(projects)))
    }))
}

fn any_of(column: Expr, ids: &[OrganizationId]) -> Expr {
    match ids {
        [one] => column.eq(one.0),
        many => column.is_in(many.iter().map(|id| id.0)),
    }
}

fn not_kept(tables: Tables, kept: Kept) -> Error {
    let message = match tables {
        Tables::Aligned(width) => {
            let (resolution, since) = coarsest(width, kept);
            let bucket = duration_text(width);
            let rows = match resolution {
                Resolution::Raw => "single measurements",
                Resolution::Part | Resolution::Minute | Resolution::FiveMinutes => "rollups per minute",
                Resolution::Hour => "rollups per hour",
                Resolution::Day => "rollups per day",
            };
            format!(
                "buckets of {bucket} are answered from {rows}, which are kept since {since}: ask for a later time, or for \
                 buckets of whole days"
            )
        }
        Tables::Any | Tables::IntoRaw | Tables::RawOnly => format!(
            "this is answered from single measurements, which are kept since {}: ask for a later time, or for what rollups \
             know (all but status, name and release)",
            kept.raw
        ),
    };
    Error::input("filter.time", message)
}

impl Reached<'_> {
    fn condition(&self, table: &'static str, backend: DbBackend) -> Cond {
        let organization = || Expr::col((table, "organization_id"));
        let project = || Expr::col((table, "project_id"));
        match self {
            Self::Everything => {
                let mut every = Query::select();
                every.columns(["organization_id", "id"]).from("project");
                Cond::all().add(Expr::tuple([organization(), project()]).in_subquery(every))
            }
            Self::Organizations(ids) => {
                let organizations = Cond::all().add(any_of(organization(), ids));
                let mut own = Query::select();
                own.from("project").and_where(any_of(Expr::col("organization_id"), ids));
                if let [_] = ids[..] {
                    organizations.add(compare::among(backend, project(), own.column("id").take()))
                } else {
                    let own = own.columns(["organization_id", "id"]).take();
                    organizations.add(Expr::tuple([organization(), project()]).in_subquery(own))
                }
            }
            Self::Keys(keys) => pairs(keys, &organization(), &project()),
        }
    }
}
