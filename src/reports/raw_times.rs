//! Raw rows of given times of series, for reports that read rollups of most others.

use sea_orm::{
    DbBackend,
    sea_query::{Cond, Expr, ExprTrait, IntoTableRef, JoinType, Query, SelectStatement},
};

use super::{conditions::M, plan::Resolution};
use crate::model::TimeRange;

/// The alias of the times.
const TIMES: &str = "s";
/// The columns of raw rows that reports read.
const COLUMNS: [&str; 11] =
    ["organization_id", "project_id", "ts", "id", "value", "endpoint_id", "kind", "status", "bin", "name", "release"];

/// The functions that return the latest and the earliest of several times.
pub(super) const fn latest_and_earliest(backend: DbBackend) -> (&'static str, &'static str) {
    match backend {
        DbBackend::Sqlite => ("MAX", "MIN"),
        _ => ("GREATEST", "LEAST"),
    }
}

/// `FROM` the raw rows of these times as [`M`]. Each of them is a row: `organization_id`, `project_id`, `kind`, `since`, `until`.
/// All are within `covers`.
pub(super) fn rows(backend: DbBackend, mut times: SelectStatement, covers: TimeRange) -> SelectStatement {
    let raw = Resolution::Raw.table();
    let same = |table: &'static str, column: &'static str| Expr::col((table, column)).equals((TIMES, column));
    let of_series = |table: &'static str| {
        Cond::all()
            .add(same(table, "organization_id"))
            .add(same(table, "project_id"))
            .add(same(table, "kind"))
            .add(Expr::col((table, "ts")).gte(Expr::col((TIMES, "since"))))
            .add(Expr::col((table, "ts")).lt(Expr::col((TIMES, "until"))))
    };
    let mut select = Query::select();
    if backend == DbBackend::Sqlite {
        // CROSS JOIN makes SQLite begin with the few times.
        select.from_subquery(times, TIMES).cross_join(raw.into_table_ref().alias(M)).cond_where(of_series(M));
        return select;
    }
    // OFFSET keeps PostgreSQL from joining whole tables, whatever it expects.
    times.offset(0);
    let mut rows = Query::select();
    rows.columns(COLUMNS.map(|column| ("e", column)))
        .from_as(raw, "e")
        .cond_where(of_series("e"))
        // Excludes partitions when the statement begins.
        .and_where(Expr::col(("e", "ts")).gte(covers.from().as_micros()))
        .and_where(Expr::col(("e", "ts")).lt(covers.to().as_micros()))
        .offset(0);
    select.from_subquery(times, TIMES).join_lateral(JoinType::InnerJoin, rows, M, Expr::cust("TRUE"));
    select
}
