//! The projects of a question that the caller's scope reaches, as SQL.

use std::collections::BTreeMap;

use sea_orm::{
    DbBackend,
    sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement},
};

use super::{Projects, Question, union::union_all};
use crate::{
    db::compare,
    model::{Key, MetricType, OrganizationId, ProjectId, Scope, VisibleOrganizations},
};

/// The projects of a question that the caller's scope reaches.
#[derive(Clone)]
pub(super) enum VisibleProjects<'a> {
    /// The projects of every organization but this one.
    AllBut(OrganizationId),
    /// All projects of these organizations.
    Organizations(Vec<OrganizationId>),
    /// These projects.
    Keys(Vec<&'a Key<ProjectId>>),
}

impl<'a> VisibleProjects<'a> {
    /// The projects of a question. `internal` is the organization for the server's own metrics, which only a question that
    /// names it, its project or a release of it is about, or that is asked within the scope of this organization.
    pub(super) fn of(scope: &Scope, question: &'a Question, internal: OrganizationId) -> Self {
        match (&question.projects, scope.organizations()) {
            (Projects::All, VisibleOrganizations::Organization(own)) => Self::Organizations(vec![own]),
            (Projects::All, VisibleOrganizations::Everything) => match &question.release {
                Some((project, _)) => Self::Keys(vec![project]),
                None => Self::AllBut(internal),
            },
            (Projects::Organizations(ids), _) => {
                Self::Organizations(ids.iter().copied().filter(|id| scope.sees(*id)).collect())
            }
            (Projects::Keys(keys), _) => Self::Keys(keys.iter().filter(|key| scope.sees(key.organization)).collect()),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        match self {
            Self::Organizations(ids) => ids.is_empty(),
            Self::Keys(keys) => keys.is_empty(),
            Self::AllBut(_) => false,
        }
    }

    /// The number of projects, if the question names them one by one.
    pub(super) const fn named(&self) -> Option<usize> {
        match self {
            Self::Keys(keys) => Some(keys.len()),
            Self::AllBut(_) | Self::Organizations(_) => None,
        }
    }

    /// All projects, if they are named by organization: `organization_id`, `project_id`.
    pub(super) fn listed(&self, backend: DbBackend) -> Option<SelectStatement> {
        let organization = || Expr::col("organization_id");
        let mut list = Query::select();
        list.column("organization_id").expr_as(Expr::col("id"), "project_id").from("project");
        match self {
            Self::AllBut(internal) => Some(list.cond_where(compare::other_than(backend, &organization(), internal.0))),
            Self::Organizations(ids) => Some(list.and_where(any_of(organization(), ids))),
            Self::Keys(_) => None,
        }
        .map(SelectStatement::take)
    }

    /// The condition on the columns `organization_id` and `project_id` of a table.
    pub(super) fn condition(&self, table: &'static str, backend: DbBackend) -> Cond {
        let organization = || Expr::col((table, "organization_id"));
        let project = || Expr::col((table, "project_id"));
        match self {
            Self::AllBut(internal) => {
                let mut others = Query::select();
                others.columns(["organization_id", "id"]).from("project").cond_where(compare::other_than(
                    backend,
                    &Expr::col("organization_id"),
                    internal.0,
                ));
                Cond::all().add(Expr::tuple([organization(), project()]).in_subquery(others))
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

    /// The series of these projects and types, one row each: `organization_id`, `project_id`, `kind`.
    pub(super) fn series(&self, kinds: &[MetricType], backend: DbBackend) -> SelectStatement {
        let kinds = kinds.iter().map(|kind| {
            let mut one = Query::select();
            // A constant, so that the database knows its type.
            one.expr_as(Expr::cust(kind.code().to_string()), "kind");
            one
        });
        let organization = || Expr::col(("p", "organization_id"));
        let mut select = Query::select();
        select
            .column(("p", "organization_id"))
            .expr_as(Expr::col(("p", "id")), "project_id")
            .column(("k", "kind"))
            .from_as("project", "p")
            .from_subquery(union_all(kinds), "k");
        match self {
            Self::AllBut(internal) => {
                select.cond_where(compare::other_than(backend, &organization(), internal.0));
            }
            Self::Organizations(ids) => {
                select.and_where(any_of(organization(), ids));
            }
            Self::Keys(keys) => {
                select.cond_where(pairs(keys, &organization(), &Expr::col(("p", "id"))));
            }
        }
        select
    }
}

fn pairs(keys: &[&Key<ProjectId>], organization: &Expr, project: &Expr) -> Cond {
    let mut by_organization: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for key in keys {
        by_organization.entry(key.organization.0).or_default().push(key.id.0);
    }
    // The two lists find the rows by index; the pairs exclude projects with the same id in another organization.
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
