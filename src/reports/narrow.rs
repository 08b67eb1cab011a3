//! From a scope and a question to the rows that count: the FROM and WHERE of every report.
//!
//! Organization, project and type are always named, because the indexes of the metric tables begin with them.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement};

use super::{
    Projects, Question,
    filter::{self, ENDPOINT, M},
    plan::{Piece, Plan, Resolution, Tables, plan},
};
use crate::{
    error::{Error, Result},
    model::{
        EndpointId, Kept, Key, MetricType, OrganizationId, ProjectId, Reach, Scope, TimeRange, filter::TextFilter,
    },
};

/// A question as far as its caller may ask it.
pub(super) struct Narrowed<'a> {
    question: &'a Question,
    projects: Reached<'a>,
    kinds: Vec<MetricType>,
    plan: Plan,
}

/// The projects asked for that the scope reaches.
enum Reached<'a> {
    /// Those of every organization.
    Everything,
    Organization(OrganizationId),
    Keys(Vec<&'a Key<ProjectId>>),
    Nothing,
}

/// Which rows of a rollup: either the ones of all endpoints together or the ones of single endpoints, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoints {
    Together,
    Single,
}

impl<'a> Narrowed<'a> {
    /// # Errors
    /// When a condition cannot be judged: too many alternatives, text that no row can hold, or a status, name or
    /// release at a time of
    /// which no single measurement is kept.
    pub(super) fn new(scope: &Scope, question: &'a Question, kept: Kept) -> Result<Self> {
        let tables = if question.needs_raw() { Tables::RawOnly } else { Tables::Any };
        let plan = plan(question.window, tables, kept).ok_or_else(|| {
            let message = format!(
                "conditions on status, name or release are answered from single measurements, which are kept since {}: \
                 ask for a later time, or without such a condition",
                kept.raw
            );
            Error::input("filter.time", message)
        })?;
        Self::planned(scope, question, plan)
    }

    /// The same for whoever looks for single measurements. Nothing where none of the window is kept any more.
    pub(super) fn of_raw(scope: &Scope, question: &'a Question, kept: Kept) -> Result<Option<Self>> {
        let tables = if question.needs_raw() { Tables::RawOnly } else { Tables::IntoRaw };
        plan(question.window, tables, kept).map(|plan| Self::planned(scope, question, plan)).transpose()
    }

    fn planned(scope: &Scope, question: &'a Question, plan: Plan) -> Result<Self> {
        filter::check(question)?;
        let projects = match (&question.projects, scope.reach()) {
            (Projects::All, Reach::Everything) => Reached::Everything,
            (Projects::All, Reach::Organization(own)) => Reached::Organization(own),
            (Projects::Organization(id), _) if scope.sees(*id) => Reached::Organization(*id),
            (Projects::Organization(_), _) => Reached::Nothing,
            (Projects::Keys(keys), _) => {
                Reached::Keys(keys.iter().filter(|key| scope.sees(key.organization)).collect())
            }
        };
        Ok(Self { question, projects, kinds: question.kinds(), plan })
    }

    /// Whether the scope leaves nothing to ask the database for.
    pub(super) const fn is_empty(&self) -> bool {
        match &self.projects {
            Reached::Nothing => true,
            Reached::Keys(keys) => keys.is_empty(),
            Reached::Everything | Reached::Organization(_) => false,
        }
    }

    /// The types asked for, each once.
    pub(super) fn kinds(&self) -> &[MetricType] {
        &self.kinds
    }

    /// The pieces of the window that is answered.
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.plan.pieces
    }

    /// The window that is answered.
    pub(super) const fn covers(&self) -> TimeRange {
        self.plan.covers
    }

    /// Whether that is the window that was asked for.
    pub(super) fn covers_all(&self) -> bool {
        self.plan.covers == self.question.window
    }

    /// `FROM table AS m WHERE …` for one piece, without columns.
    pub(super) fn rows(&self, piece: Piece, endpoints: Endpoints) -> SelectStatement {
        let time = piece.resolution.time_column();
        let mut select = Query::select();
        select
            .from_as(piece.resolution.table(), M)
            .cond_where(self.projects.condition(M))
            .and_where(Expr::col((M, "kind")).is_in(self.kinds.iter().map(|kind| kind.code())))
            .and_where(Expr::col((M, time)).gte(piece.range.from().as_micros()))
            .and_where(Expr::col((M, time)).lt(piece.range.to().as_micros()));
        let endpoint = || Expr::col((M, "endpoint_id"));
        match (&self.question.endpoint, endpoints, piece.resolution) {
            (Some(filter), _, resolution) => {
                if resolution != Resolution::Raw {
                    select.and_where(endpoint().ne(EndpointId::ALL.0));
                }
                select.and_where(
                    Expr::tuple([Expr::col((M, "organization_id")), endpoint()])
                        .in_subquery(self.endpoints_with(filter)),
                );
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
        select
    }

    fn endpoints_with(&self, filter: &TextFilter) -> SelectStatement {
        let mut select = Query::select();
        select
            .columns(["organization_id", "id"])
            .from_as("endpoint", ENDPOINT)
            .cond_where(self.projects.condition(ENDPOINT))
            .cond_where(filter::path(filter));
        select
    }
}

impl Reached<'_> {
    fn condition(&self, table: &'static str) -> Cond {
        let organization = || Expr::col((table, "organization_id"));
        let project = || Expr::col((table, "project_id"));
        match self {
            Self::Everything => {
                let mut every = Query::select();
                every.columns(["organization_id", "id"]).from("project");
                Cond::all().add(Expr::tuple([organization(), project()]).in_subquery(every))
            }
            Self::Organization(id) => {
                let mut own = Query::select();
                own.column("id").from("project").and_where(Expr::col("organization_id").eq(id.0));
                Cond::all().add(organization().eq(id.0)).add(project().in_subquery(own))
            }
            Self::Keys(keys) => {
                let mut by_organization: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
                for key in keys {
                    by_organization.entry(key.organization.0).or_default().push(key.id.0);
                }
                // The two lists find the rows by index; the pairs keep out projects of the same id elsewhere.
                let lists = Cond::all()
                    .add(organization().is_in(by_organization.keys().copied()))
                    .add(project().is_in(keys.iter().map(|key| key.id.0)));
                if by_organization.len() < 2 {
                    return lists;
                }
                lists.add(by_organization.into_iter().fold(Cond::any(), |pairs, (id, projects)| {
                    pairs.add(organization().eq(id).and(project().is_in(projects)))
                }))
            }
            Self::Nothing => Cond::all().add(Expr::cust("1 = 0")),
        }
    }
}
