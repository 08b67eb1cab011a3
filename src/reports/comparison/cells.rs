//! The statement for the minutes of both releases: from rollups, from parts that are not merged yet, and from the raw rows of
//! days on which the series has no minutes.

use sea_orm::{
    DbBackend,
    sea_query::{Alias, Cond, Expr, ExprTrait, Order, Query, SelectStatement},
};

use super::question::ComparisonQuestion;
use crate::{
    config::ComparisonLimits,
    db::sum::sum,
    model::{EndpointId, TimeRange, metric::ERROR_STATUS_MIN, timestamp::MINUTE_MICROS},
    reports::{
        conditions::M,
        plan::{Plan, Resolution, Segment},
        sparse::{GRAIN, SparseSeries},
        union::union_all,
    },
};

const C: &str = "c";
const E: &str = "e";
const RAW: &str = "k";

/// The columns of a row. Minutes have a sketch; raw rows are counted by bin.
const COLUMNS: [&str; 10] = ["endpoint_id", "side", "bucket", "n", "n_err", "sum", "min", "max", "sketch", "bin"];

/// The minutes of all endpoints together and of the busiest ones, with the path of each endpoint.
pub fn cells(
    backend: DbBackend,
    question: &ComparisonQuestion,
    windows: [TimeRange; 2],
    limits: &ComparisonLimits,
) -> SelectStatement {
    let sides = [0, 1].map(|side| Side::new(backend, question, side, windows[side]));
    let minutes = |columns: &[&'static str]| union_all(sides.iter().flat_map(|side| side.minutes(columns)));
    // The row for all endpoints together has the most measurements, so it is always among them.
    let mut busiest = Query::select();
    busiest
        .column("endpoint_id")
        .from_subquery(minutes(&["endpoint_id", "n"]), "b")
        .group_by_col("endpoint_id")
        .order_by_expr(Expr::col("n").sum(), Order::Desc)
        .order_by("endpoint_id", Order::Asc)
        .limit(u64::from(limits.endpoints_max) + 1);
    let mut select = Query::select();
    select
        .columns(COLUMNS.map(|column| (C, column)))
        .column((E, "path"))
        .from_subquery(minutes(&COLUMNS), C)
        .join_as(
            sea_orm::JoinType::LeftJoin,
            "endpoint",
            E,
            Expr::col((E, "organization_id"))
                .eq(question.project.organization.0)
                .and(Expr::col((E, "id")).equals((C, "endpoint_id"))),
        )
        .and_where(Expr::col((C, "endpoint_id")).in_subquery(busiest));
    select
}

/// One of the two releases.
struct Side<'a> {
    backend: DbBackend,
    question: &'a ComparisonQuestion,
    /// The number of the release as SQL.
    number: &'static str,
    plan: Plan,
}

impl<'a> Side<'a> {
    fn new(backend: DbBackend, question: &'a ComparisonQuestion, side: usize, window: TimeRange) -> Self {
        let plan = Plan { covers: window, segments: vec![Segment { resolution: Resolution::Minute, range: window }] };
        Self { backend, question, number: if side == 0 { "0" } else { "1" }, plan }
    }

    /// The rows with these columns, one statement for each kind of table.
    fn minutes(&self, columns: &[&'static str]) -> Vec<SelectStatement> {
        let is_all = || Expr::col((M, "endpoint_id")).eq(EndpointId::ALL.0);
        let mut of_all = self.rollups(Resolution::Part, columns);
        of_all.and_where(is_all()).cond_where(self.sparse(false).has_rollups_of(M));
        let mut by_endpoint = self.rollups(Resolution::Part, columns);
        by_endpoint.and_where(is_all().not()).cond_where(self.sparse(true).has_rollups_of(M));
        vec![
            self.rollups(Resolution::Minute, columns),
            of_all,
            by_endpoint,
            self.raw(false, columns),
            self.raw(true, columns),
        ]
    }

    const fn sparse(&self, by_endpoint: bool) -> SparseSeries<'_> {
        SparseSeries { backend: self.backend, plan: &self.plan, by_endpoint }
    }

    fn is_asked(&self, table: &'static str) -> Cond {
        Cond::all()
            .add(Expr::col((table, "organization_id")).eq(self.question.project.organization.0))
            .add(Expr::col((table, "project_id")).eq(self.question.project.id.0))
            .add(Expr::col((table, "kind")).eq(self.question.kind.code()))
    }

    fn rollups(&self, table: Resolution, columns: &[&'static str]) -> SelectStatement {
        let mut select = Query::select();
        for column in columns {
            match *column {
                "side" => select.expr_as(Expr::cust(self.number), Alias::new("side")),
                "bin" => select.expr_as(Expr::cust("CAST(NULL AS SMALLINT)"), Alias::new("bin")),
                column => select.column((M, column)),
            };
        }
        let window = self.plan.covers;
        select
            .from_as(table.table(), M)
            .cond_where(self.is_asked(M))
            .and_where(Expr::col((M, "bucket")).gte(window.from().as_micros()))
            .and_where(Expr::col((M, "bucket")).lt(window.to().as_micros()));
        select
    }

    /// The raw rows of days without minutes, per minute and bin.
    fn raw(&self, by_endpoint: bool, columns: &[&'static str]) -> SelectStatement {
        let mut select = self.sparse(by_endpoint).rows(self.is_asked(GRAIN));
        for column in columns {
            let value = || Expr::col((M, "value"));
            let expression = match *column {
                "endpoint_id" if by_endpoint => Expr::col((M, "endpoint_id")),
                "endpoint_id" => Expr::cust("CAST(0 AS BIGINT)"),
                "side" => Expr::cust(self.number),
                // A literal, because a parameter in GROUP BY is not the same as that in SELECT.
                "bucket" => Expr::cust(minute()),
                "n" => Expr::cust("COUNT(*)"),
                "n_err" => Expr::cust(format!("COUNT(*) FILTER (WHERE m.status >= {ERROR_STATUS_MIN})")),
                "sum" => sum(self.backend, "m.value"),
                "min" => value().min(),
                "max" => value().max(),
                "bin" => Expr::col((M, "bin")),
                _ if self.backend == DbBackend::Sqlite => Expr::cust("NULL"),
                _ => Expr::cust("CAST(NULL AS BYTEA)"),
            };
            select.expr_as(expression, Alias::new(*column));
        }
        if by_endpoint {
            select.group_by_col((M, "endpoint_id"));
        }
        if columns.contains(&"bin") {
            select.group_by_col((M, "bin")).add_group_by([Expr::cust(minute())]);
        } else if !by_endpoint {
            // Without a group there would be a row even without measurements.
            select.and_having(Expr::cust("COUNT(*) > 0"));
        }
        // A subquery, so that SQLite can make the outer statement one of each part, instead of collecting all rows.
        Query::select().columns(columns.iter().map(|column| (RAW, *column))).from_subquery(select, RAW).take()
    }
}

/// The start of the minute of a raw row.
fn minute() -> String {
    format!("m.ts - m.ts % {MINUTE_MICROS}")
}
