//! Rows of series that are too sparse for rollups as fine as a plan reads.
//!
//! The table `metric_grain` says which rollups a series has on a day. Where it has none of those that a segment reads, its raw
//! rows are read, and its unmerged parts are not: they may have wider buckets. All in the statement of the report, so that one
//! snapshot decides.

use sea_orm::{
    DbBackend,
    sea_query::{Cond, Expr, ExprTrait, IntoTableRef, Query, SelectStatement},
};

use super::{plan::Plan, raw_times, union::union_all};
use crate::model::{Grain, TimeRange, timestamp::DAY_MICROS};

/// The alias of `metric_grain`.
pub(super) const GRAIN: &str = "g";
/// The alias of the ranges in which raw rows of a grain are read.
const RANGE: &str = "w";

/// The series without the rollups that a plan reads.
pub(super) struct SparseSeries<'a> {
    pub backend: DbBackend,
    pub plan: &'a Plan,
    /// True if rollups by endpoint are read, false if those of all endpoints together.
    pub by_endpoint: bool,
}

impl SparseSeries<'_> {
    const fn column(&self) -> &'static str {
        if self.by_endpoint { "by_endpoint" } else { "all_endpoints" }
    }

    fn ranges(&self) -> Vec<(Grain, TimeRange)> {
        let has_rows = |grain: Grain| self.by_endpoint || grain != Grain::Raw;
        self.plan.unrolled().into_iter().filter(|(grain, _)| has_rows(*grain)).collect()
    }

    /// True if there can be none: the plan reads only rollups that all series have.
    pub fn is_none(&self) -> bool {
        self.ranges().is_empty()
    }

    /// `FROM` the raw rows of such series as `m`, for rows of [`GRAIN`] with a condition.
    pub fn rows(&self, series: Cond) -> SelectStatement {
        let covers = self.plan.covers;
        let day = || Expr::col((GRAIN, "day"));
        let of_range = |column: &'static str| Expr::col((RANGE, column));
        let (latest, earliest) = raw_times::latest_and_earliest(self.backend);
        let mut times = Query::select();
        times
            .columns(["organization_id", "project_id", "kind"].map(|column| (GRAIN, column)))
            .expr_as(Expr::cust(format!("{latest}({RANGE}.since, {GRAIN}.day)")), "since")
            .expr_as(Expr::cust(format!("{earliest}({RANGE}.until, {GRAIN}.day + {DAY_MICROS})")), "until")
            .from_subquery(union_all(self.ranges().into_iter().map(range)), RANGE)
            .cross_join("metric_grain".into_table_ref().alias(GRAIN))
            .cond_where(series)
            .and_where(day().gt(covers.from().plus_micros(-DAY_MICROS).as_micros()))
            .and_where(day().lt(covers.to().as_micros()))
            .and_where(Expr::col((GRAIN, self.column())).eq(of_range("grain")))
            .and_where(day().gt(of_range("since").sub(DAY_MICROS)))
            .and_where(day().lt(of_range("until")));
        raw_times::rows(self.backend, times, covers)
    }

    /// The condition for parts that belong to rollups of the plan: their series has these on the day of the part.
    pub fn has_rollups_of(&self, table: &'static str) -> Cond {
        if self.is_none() {
            return Cond::all();
        }
        let bucket = || Expr::col((table, "bucket"));
        let same = |column: &'static str| Expr::col((GRAIN, column)).equals((table, column));
        let ranges = self.ranges().into_iter().fold(Cond::any(), |any, (grain, range)| {
            any.add(
                Cond::all()
                    .add(Expr::col((GRAIN, self.column())).eq(grain.code()))
                    .add(bucket().gte(range.from().as_micros()))
                    .add(bucket().lt(range.to().as_micros())),
            )
        });
        let mut sparse = Query::select();
        sparse
            .expr(Expr::cust("1"))
            .from_as("metric_grain", GRAIN)
            .and_where(same("organization_id"))
            .and_where(same("project_id"))
            .and_where(same("kind"))
            .and_where(Expr::col((GRAIN, "day")).lte(bucket()))
            .and_where(Expr::col((GRAIN, "day")).gt(bucket().sub(DAY_MICROS)))
            .cond_where(ranges);
        Cond::all().not().add(Expr::exists(sparse))
    }
}

/// A range as a row: `grain`, `since`, `until`.
fn range((grain, range): (Grain, TimeRange)) -> SelectStatement {
    let mut select = Query::select();
    // A constant, and casts, so that the database knows the types.
    select
        .expr_as(Expr::cust(grain.code().to_string()), "grain")
        .expr_as(Expr::val(range.from().as_micros()).cast_as("BIGINT"), "since")
        .expr_as(Expr::val(range.to().as_micros()).cast_as("BIGINT"), "until");
    select
}
