//! Raw rows of hours and days that have no breakdowns with the columns that a plan reads.
//!
//! The table `metric_grain` marks those that have (`jobs/breakdowns`). A series without any on a day is read from its raw rows of
//! that day; otherwise each hour that has none. All in the statement of the report, so that one snapshot decides.

use sea_orm::{
    DbBackend,
    sea_query::{Cond, Expr, ExprTrait, Func, IntoTableRef, Query, SelectStatement, TableRef},
};

use super::{
    plan::{Plan, Resolution, Segment},
    raw_times::{self, latest_and_earliest},
    sparse::GRAIN,
    union::union_all,
};
use crate::model::{
    DayParts, Detail, TimeRange,
    timestamp::{DAY_MICROS, HOUR_MICROS},
};

/// The alias of the ranges that the plan reads from breakdowns.
const RANGE: &str = "w";
/// The alias of the numbers of the hours of a day.
const HOUR: &str = "h";

/// The hours and days that a plan misses of some series: those that a condition on rows of [`GRAIN`] selects.
#[derive(Clone, Copy)]
pub(super) struct NotBrokenDown<'a> {
    pub(super) backend: DbBackend,
    pub(super) plan: &'a Plan,
    /// The time that has single measurements.
    pub(super) within: TimeRange,
    pub(super) detail: Detail,
    pub(super) series: &'a Cond,
}

impl NotBrokenDown<'_> {
    /// `FROM` the raw rows of it.
    pub(super) fn rows(self) -> SelectStatement {
        let (hours, days): (Vec<_>, Vec<_>) = self
            .plan
            .segments
            .iter()
            .filter(|segment| segment.resolution.is_breakdown())
            .partition(|segment| segment.resolution == Resolution::BreakdownHour);
        let all = hours.iter().chain(&days).map(range);
        let mut times = self.whole_days(union_all(all));
        if !hours.is_empty() {
            times = union_all([times, self.single_hours(union_all(hours.iter().map(range)))]);
        }
        let mut either = Query::select();
        either.columns(["organization_id", "project_id", "kind", "since", "until"]).from_subquery(times, "t");
        raw_times::rows(self.backend, either, self.within)
    }

    /// Series and days, each with the common time of the day and a range.
    fn days(self, ranges: SelectStatement) -> SelectStatement {
        let day = || Expr::col((GRAIN, "day"));
        let of_range = |column: &'static str| Expr::col((RANGE, column));
        let mut days = Query::select();
        days.columns(["organization_id", "project_id", "kind"].map(|column| (GRAIN, column)))
            .from_subquery(ranges, RANGE)
            .cross_join("metric_grain".into_table_ref().alias(GRAIN))
            .cond_where(self.series.clone())
            .and_where(day().gt(self.within.from().plus_micros(-DAY_MICROS).as_micros()))
            .and_where(day().lt(self.within.to().as_micros()))
            .and_where(day().gt(of_range("since").sub(DAY_MICROS)))
            .and_where(day().lt(of_range("until")));
        days
    }

    /// Days without any breakdowns that the plan could read.
    fn whole_days(self, ranges: SelectStatement) -> SelectStatement {
        let (latest, earliest) = latest_and_earliest(self.backend);
        let mut days = self.days(ranges);
        days.expr_as(Expr::cust(format!("{latest}({RANGE}.since, {GRAIN}.day)")), "since")
            .expr_as(Expr::cust(format!("{earliest}({RANGE}.until, {GRAIN}.day + {DAY_MICROS})")), "until")
            .and_where(Expr::cust(format!("({GRAIN}.{} & {RANGE}.parts) = 0", self.detail.parts_column())));
        days
    }

    /// Hours without breakdowns, of days that have others.
    fn single_hours(self, ranges: SelectStatement) -> SelectStatement {
        let (latest, earliest) = latest_and_earliest(self.backend);
        let mut days = self.days(ranges);
        let hour = if self.backend == DbBackend::Sqlite {
            let numbers: Vec<_> = (0..24).map(|hour: u8| hour.to_string()).collect();
            let numbers = Func::cust("json_each").arg(format!("[{}]", numbers.join(",")));
            // After the few days: CROSS JOIN keeps the order.
            days.cross_join(TableRef::FunctionCall(numbers, HOUR.into()));
            format!("{HOUR}.value")
        } else {
            days.from_function(Func::cust("generate_series").arg(Expr::cust("0")).arg(Expr::cust("23")), HOUR);
            format!("{HOUR}.{HOUR}")
        };
        let parts = self.detail.parts_column();
        let begins = format!("({GRAIN}.day + {hour} * {HOUR_MICROS})");
        days.expr_as(Expr::cust(format!("{latest}({RANGE}.since, {begins})")), "since")
            .expr_as(Expr::cust(format!("{earliest}({RANGE}.until, {begins} + {HOUR_MICROS})")), "until")
            .and_where(Expr::cust(format!("({GRAIN}.{parts} & {RANGE}.parts) <> 0")))
            .and_where(Expr::cust(format!("(({GRAIN}.{parts} >> {hour}) & 1) = 0")))
            .and_where(Expr::cust(format!("{begins} < {RANGE}.until")))
            .and_where(Expr::cust(format!("{begins} + {HOUR_MICROS} > {RANGE}.since")));
        days
    }
}

/// A range as a row: `since`, `until`, and `parts` for the bits of [`DayParts`] of which one must be marked.
fn range(segment: &Segment) -> SelectStatement {
    let parts = match segment.resolution {
        Resolution::BreakdownDay => DayParts::DAY,
        _ => DayParts::HOURS,
    };
    let mut select = Query::select();
    // A constant, and casts, so that the database knows the types.
    select
        .expr_as(Expr::cust(parts.bits().to_string()), "parts")
        .expr_as(Expr::val(segment.range.from().as_micros()).cast_as("BIGINT"), "since")
        .expr_as(Expr::val(segment.range.to().as_micros()).cast_as("BIGINT"), "until");
    select
}
