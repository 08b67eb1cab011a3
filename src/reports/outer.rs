//! Statements around the statements of a question: from project to project, and for chosen endpoints only.
//!
//! PostgreSQL multiplies the selectivity of the organization with that of the project, although one determines the other, and
//! so expects a fiftieth of the rows. It then sorts all groups of all projects on disk. From the sixth execution on, it knows
//! no values, and looks for one of several types in all rows of a project. Here each project, or each type of it, is asked
//! about by itself (LATERAL), whatever the planner believes: its groups are few, and come from one range of the index.

use sea_orm::{
    DbBackend,
    sea_query::{CommonTableExpression, Cond, Expr, ExprTrait, JoinType, Query, SelectStatement, WithClause},
};

use super::grouping::Grouping;
use crate::db::compare;

/// The rows of another statement that a question is restricted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// Those of the project of an outer row.
    Project,
    /// Those of the project and the type of an outer row.
    Series,
    /// Those of the project and the endpoints of an outer row.
    Endpoints,
    /// Those of the endpoints that a common table expression chooses.
    Chosen,
}

/// The outer row: a project, or a project with a list of endpoints.
const OUTER: &str = "p";
/// The inner statement.
const INNER: &str = "x";
/// The common table expression.
const CHOSEN: &str = "chosen";
/// The columns of chosen endpoints.
pub(super) const ENDPOINT_KEY: [&str; 3] = ["organization_id", "project_id", "endpoint_id"];

/// The condition for rows of the outer row's project.
pub(super) fn project(table: &'static str) -> Cond {
    let is_same = |column| Expr::col((table, column)).equals((OUTER, column));
    Cond::all().add(is_same("organization_id")).add(is_same("project_id"))
}

/// The condition for rows of the outer row's project and type.
pub(super) fn series(table: &'static str) -> Cond {
    project(table).add(Expr::col((table, "kind")).equals((OUTER, "kind")))
}

/// The condition for rows of the outer row's endpoints.
pub(super) fn endpoint(table: &str) -> Expr {
    Expr::cust(format!("{table}.endpoint_id = ANY({OUTER}.endpoints)"))
}

/// The condition for rows of chosen endpoints.
pub(super) fn chosen(backend: DbBackend, table: &'static str) -> Expr {
    let key = Expr::tuple(ENDPOINT_KEY.map(|column| Expr::col((table, column))));
    compare::sifted(backend, key, Query::select().columns(ENDPOINT_KEY).from(CHOSEN).take())
}

/// The rows of a statement for chosen endpoints only. `endpoints` chooses them by [`ENDPOINT_KEY`]; `inner` makes the statement
/// from what it is restricted to.
pub(super) fn of_chosen(
    backend: DbBackend,
    endpoints: SelectStatement,
    inner: impl FnOnce(Within) -> SelectStatement,
    grouping: &Grouping,
    figures: &[&'static str],
) -> SelectStatement {
    if backend == DbBackend::Postgres {
        let mut projects = Query::select();
        projects
            .columns(["organization_id", "project_id"])
            .expr_as(Expr::cust("ARRAY_AGG(endpoint_id)"), "endpoints")
            .from_subquery(endpoints, CHOSEN)
            .group_by_columns(["organization_id", "project_id"]);
        return for_each(projects, inner(Within::Endpoints), grouping, figures);
    }
    let mut chosen = CommonTableExpression::new();
    chosen.table_name(CHOSEN).columns(ENDPOINT_KEY).query(endpoints).materialized(true);
    let mut select = Query::select();
    select
        .columns(columns(grouping, figures))
        .from_subquery(inner(Within::Chosen), INNER)
        .with_cte(WithClause::new().cte(chosen).to_owned());
    select
}

/// The rows of `inner`, a statement [`Within::Project`], [`Within::Series`] or [`Within::Endpoints`], for each outer row.
pub(super) fn for_each(
    outer: SelectStatement,
    mut inner: SelectStatement,
    grouping: &Grouping,
    figures: &[&'static str],
) -> SelectStatement {
    // OFFSET keeps PostgreSQL from joining the tables of all projects after all.
    inner.offset(0);
    let mut select = Query::select();
    select.columns(columns(grouping, figures)).from_subquery(outer, OUTER).join_lateral(
        JoinType::InnerJoin,
        inner,
        INNER,
        Expr::cust("TRUE"),
    );
    select
}

fn columns(grouping: &Grouping, figures: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    grouping.names().chain(figures.iter().copied()).map(|column| (INNER, column)).collect()
}
