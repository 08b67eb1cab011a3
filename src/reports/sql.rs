//! The SQL of an aggregate in its two shapes, and the reading of its rows into [`Stats`]. No I/O.
//!
//! Totals are added up in the database: one row per group. Cells also carry lists of sketches (from rollup rows) or of bins
//! (from raw rows), because merging sketches here costs a fifteenth of merging them in SQL. Both are one statement, and so
//! one snapshot: a compaction at the same time cannot make a row count twice.

use sea_orm::{
    DbBackend, QueryResult,
    sea_query::{Alias, CaseStatement, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    Distribution, StatisticsNeeded, Stats,
    conditions::M,
    grid::{BucketGrid, BucketRun},
    grouping::{Grouping, SLOT},
    outer::{self, Within},
    plan::{EndpointRows, Resolution, Segment},
    scoped::ScopedQuery,
    union::union_all,
};
use crate::{
    db::{column, list, sum::sum},
    error::{Error, Result},
    model::{Sum, Tally, metric::ERROR_STATUS_MIN, timestamp::MINUTE_MICROS},
};

/// The columns of totals, after those of the grouping.
pub(super) const TOTALS: [&str; 5] = ["n", "n_err", "sum", "min", "max"];
/// The columns of cells, after those of the grouping: totals, bins of one value each, bins with their counts, sketches.
pub(super) const CELLS: [&str; 9] = ["n", "n_err", "sum", "min", "max", "singles", "bins", "counts", "sketches"];
/// The alias of a subquery.
const INNER: &str = "c";
const LISTS: [&str; 4] = ["singles", "bins", "counts", "sketches"];

/// A segment of raw rows up to this length lists its bins one by one instead of counting per bin. The edge of a window
/// beyond its whole minutes is shorter.
const EDGE_MICROS: i64 = MINUTE_MICROS;

/// Totals: one row per group.
pub(super) fn totals(scoped: &ScopedQuery, grouping: &Grouping) -> SelectStatement {
    project_by_project(scoped, grouping, &TOTALS, totals_at_once)
}

fn totals_at_once(scoped: &ScopedQuery, grouping: &Grouping) -> SelectStatement {
    let rows = |scoped: &ScopedQuery| {
        union_all(scoped.segments(grouping.rows()).map(|segment| each(scoped, grouping, segment)))
    };
    // A sum of sums would be rounded twice, so that the rows themselves come from series to series.
    let rows = match scoped.listed_series() {
        None => rows(scoped),
        Some(series) => outer::for_each(series, rows(&scoped.within(Within::Series)), grouping, &TOTALS),
    };
    added_up(scoped.backend(), rows, grouping)
}

/// Cells: totals with lists of sketches and bins, in one or several rows per group, whichever costs less. An exact answer
/// fetches the raw rows one by one.
pub(super) fn cells(scoped: &ScopedQuery, grouping: &Grouping) -> SelectStatement {
    if let Some(most) = scoped.exact() {
        let segments = scoped.segments(grouping.rows());
        let mut rows = union_all(segments.map(|segment| {
            let mut rows = each(scoped, grouping, segment);
            for name in LISTS {
                rows.expr_as(Expr::cust("NULL"), name);
            }
            rows
        }));
        return rows.limit(u64::from(most) + 1).take();
    }
    project_by_project(scoped, grouping, &CELLS, cells_at_once)
}

/// The cells of chosen endpoints, which `endpoints` returns as [`outer::ENDPOINT_KEY`]. Not for exact answers.
pub(super) fn cells_of_chosen(
    scoped: &ScopedQuery,
    grouping: &Grouping,
    endpoints: SelectStatement,
) -> SelectStatement {
    let cells = |within| cells_at_once(&scoped.within(within), grouping);
    outer::of_chosen(scoped.backend(), endpoints, cells, grouping, &CELLS)
}

/// Asks about one project after the other, if the groups of an answer are those of projects that are not named.
fn project_by_project(
    scoped: &ScopedQuery,
    grouping: &Grouping,
    figures: &[&'static str],
    statement: fn(&ScopedQuery, &Grouping) -> SelectStatement,
) -> SelectStatement {
    match scoped.listed_projects().filter(|_| grouping.is_by_project()) {
        None => statement(scoped, grouping),
        Some(projects) => {
            let inner = statement(&scoped.within(Within::Project), grouping);
            outer::for_each(projects, inner, grouping, figures)
        }
    }
}

fn cells_at_once(scoped: &ScopedQuery, grouping: &Grouping) -> SelectStatement {
    // Elsewhere a group would be the sum of several rounded sums.
    if let Some(series) = scoped.listed_series().filter(|_| scoped.is_one_series_per_group(grouping)) {
        let inner = cells_at_once(&scoped.within(Within::Series), grouping);
        return outer::for_each(series, inner, grouping, &CELLS);
    }
    let segments = scoped.segments(grouping.rows());
    let cells = union_all(segments.map(|segment| cells_of(scoped, grouping, segment)));
    // SQLite takes longer to send a row than to add it to another.
    if scoped.backend() != DbBackend::Sqlite || grouping.buckets().is_some() {
        return cells;
    }
    let mut groups = added_up(scoped.backend(), cells, grouping);
    for name in LISTS {
        groups.expr_as(list::joined(&format!("{INNER}.{name}")), name);
    }
    groups
}

/// The cells of one segment.
fn cells_of(scoped: &ScopedQuery, grouping: &Grouping, segment: Segment) -> SelectStatement {
    let backend = scoped.backend();
    let (bin, sketch) = ("m.bin", "m.sketch");
    let mut lists =
        [list::none::<i16>, list::none::<i16>, list::none::<i64>, list::none::<Vec<u8>>].map(|none| none(backend));
    let [singles, bins, counts, sketches] = &mut lists;
    let mut rows = match (segment.resolution.is_raw(), is_gathered(scoped, grouping, segment)) {
        // So few rows that counting them per bin costs more.
        (true, true) if segment.range.length_micros() <= EDGE_MICROS => {
            *singles = list::gathered::<i16>(backend, bin);
            counted(scoped.backend(), keys(scoped, grouping, segment), grouping)
        }
        (true, true) => {
            *bins = list::gathered::<i16>(backend, &format!("{INNER}.bin"));
            *counts = list::gathered::<i64>(backend, &format!("{INNER}.n"));
            let mut rows = per_bin(scoped, grouping, segment);
            added_up(backend, rows.column((M, "bin")).take(), grouping)
        }
        (true, false) => {
            *bins = list::single::<i16>(backend, bin);
            *counts = list::single::<i64>(backend, "COUNT(*)");
            per_bin(scoped, grouping, segment)
        }
        (false, true) => {
            *sketches = list::gathered::<Vec<u8>>(backend, sketch);
            summed(backend, keys(scoped, grouping, segment), M, grouping)
        }
        (false, false) => {
            *sketches = list::single::<Vec<u8>>(backend, sketch);
            each(scoped, grouping, segment)
        }
    };
    for (list, name) in lists.into_iter().zip(LISTS) {
        rows.expr_as(list, name);
    }
    rows
}

/// True when a segment returns one row per group. On PostgreSQL these are raw rows and parts, whose number grows with the
/// number of measurements, breakdowns, and rollups finer than a day when grouped by endpoint. Others have too few rows to be worth the
/// longer query plan.
fn is_gathered(scoped: &ScopedQuery, grouping: &Grouping, segment: Segment) -> bool {
    let bucket = scoped.grid().map_or(i64::MAX, BucketGrid::width_max_micros);
    let has_several = bucket > segment.resolution.width_micros();
    match segment.resolution {
        Resolution::Minute | Resolution::FiveMinutes | Resolution::Hour => {
            has_several && (grouping.rows() == EndpointRows::Separate || scoped.backend() == DbBackend::Sqlite)
        }
        Resolution::Day => has_several && scoped.backend() == DbBackend::Sqlite,
        Resolution::Raw
        | Resolution::Unrolled
        | Resolution::Part
        | Resolution::BreakdownHour
        | Resolution::BreakdownDay
        | Resolution::NotBrokenDown => true,
    }
}

/// The totals of each single row.
fn each(scoped: &ScopedQuery, grouping: &Grouping, segment: Segment) -> SelectStatement {
    let mut rows = keys(scoped, grouping, segment);
    if !segment.resolution.is_raw() {
        return rows.columns(TOTALS.map(|column| (M, column))).take();
    }
    let value = || Expr::col((M, "value"));
    let is_error: Expr = CaseStatement::new()
        .case(Expr::col((M, "status")).gte(ERROR_STATUS_MIN), Expr::cust("1"))
        .finally(Expr::cust("0"))
        .into();
    rows.expr_as(Expr::cust("CAST(1 AS BIGINT)"), "n")
        .expr_as(is_error.cast_as("BIGINT"), "n_err")
        .expr_as(value(), "sum")
        .expr_as(value(), "min")
        .expr_as(value(), "max")
        .take()
}

/// The totals of raw rows per group and bin.
fn per_bin(scoped: &ScopedQuery, grouping: &Grouping, segment: Segment) -> SelectStatement {
    counted(scoped.backend(), keys(scoped, grouping, segment), grouping).group_by_col((M, "bin")).take()
}

/// The totals of raw rows per group.
fn counted(backend: DbBackend, mut rows: SelectStatement, grouping: &Grouping) -> SelectStatement {
    let value = || Expr::col((M, "value"));
    rows.expr_as(Expr::cust("COUNT(*)"), "n")
        .expr_as(Expr::cust(format!("COUNT(*) FILTER (WHERE m.status >= {ERROR_STATUS_MIN})")), "n_err")
        .expr_as(sum(backend, "m.value"), "sum")
        .expr_as(value().min(), "min")
        .expr_as(value().max(), "max");
    grouped(rows, M, grouping)
}

/// The totals of rows with totals per group.
fn summed(backend: DbBackend, mut rows: SelectStatement, table: &'static str, grouping: &Grouping) -> SelectStatement {
    let column = |name: &'static str| Expr::col((table, name));
    // PostgreSQL adds integers up to a NUMERIC.
    rows.expr_as(column("n").sum().cast_as("BIGINT"), "n")
        .expr_as(column("n_err").sum().cast_as("BIGINT"), "n_err")
        .expr_as(sum(backend, &format!("{table}.sum")), "sum")
        .expr_as(column("min").min(), "min")
        .expr_as(column("max").max(), "max");
    grouped(rows, table, grouping)
}

/// The totals of the rows of a subquery per group.
fn added_up(backend: DbBackend, rows: SelectStatement, grouping: &Grouping) -> SelectStatement {
    let mut groups = Query::select();
    groups.columns(grouping.names().map(|name| (INNER, name))).from_subquery(rows, INNER);
    summed(backend, groups, INNER, grouping)
}

/// Groups rows by their dimensions. The finest dimension comes first, so that a database that sorts seldom compares the
/// others. The bucket is named by its column: with bound parameters the database cannot see that two expressions are
/// equal.
fn grouped(mut rows: SelectStatement, table: &'static str, grouping: &Grouping) -> SelectStatement {
    rows.group_by_columns(grouping.columns().rev().map(|column| (table, column)));
    if grouping.buckets().is_some() { rows.group_by_col(Alias::new(SLOT)).take() } else { rows }
}

/// The rows of one segment with the columns of their dimensions.
fn keys(scoped: &ScopedQuery, grouping: &Grouping, segment: Segment) -> SelectStatement {
    let mut rows = scoped.rows(segment, grouping.rows());
    rows.columns(grouping.columns().map(|column| (M, column)));
    if let Some(grid) = scoped.grid() {
        rows.expr_as(slot(grid, segment), SLOT);
    }
    rows
}

/// The index of the bucket of a row. Buckets are uneven where clocks change, about twice a year, so few cases tell runs of
/// equal ones apart.
fn slot(grid: &BucketGrid, segment: Segment) -> Expr {
    let time = || Expr::col((M, segment.resolution.time_column()));
    let index = |run: &BucketRun| {
        let within = time().sub(run.first.as_micros()).div(run.width_micros);
        if run.index == 0 { within } else { within.add(run.index) }
    };
    let runs: Vec<_> = grid.runs_in(segment.range).collect();
    let Some((last, others)) = runs.split_last() else { return Expr::cust("0") };
    if others.is_empty() {
        return index(last);
    }
    let cases =
        others.iter().fold(CaseStatement::new(), |cases, run| cases.case(time().lt(run.end().as_micros()), index(run)));
    cases.finally(index(last)).into()
}

/// The statement that fetches the statistics of each group. The scope must leave something to ask for.
pub(super) fn statement(scoped: &ScopedQuery, grouping: &Grouping, want: StatisticsNeeded) -> SelectStatement {
    match want {
        StatisticsNeeded::Scalars => totals(scoped, grouping),
        StatisticsNeeded::Percentiles => cells(scoped, grouping),
    }
}

/// Adds one row of [`statement`]; its figures begin at column `first`.
pub(super) fn add(stats: &mut Stats, row: &QueryResult, first: usize, want: StatisticsNeeded) -> Result<()> {
    // Without dimensions there is a row even without measurements, and its sums are NULL.
    let count = unsigned(column(row, first)?);
    let errors = unsigned(column(row, first + 1)?);
    let sum: Option<f64> = column(row, first + 2)?;
    let least: Option<f64> = column(row, first + 3)?;
    let greatest: Option<f64> = column(row, first + 4)?;
    let figures = Tally::new(count, errors, Sum::of(sum.unwrap_or(0.0)), least.zip(greatest), ());
    stats.tally.merge_with(&figures, |_, ()| ());
    if want == StatisticsNeeded::Percentiles {
        match &mut stats.tally.distribution {
            Some(Distribution::Values(values)) => values.extend(sum),
            Some(Distribution::Sketch(sketch)) => {
                let lists = first + TOTALS.len();
                for bin in list::read::<i16>(row, lists)? {
                    sketch.record(bin, 1);
                }
                let bins = list::read::<i16>(row, lists + 1)?;
                for (bin, count) in bins.into_iter().zip(list::read::<i64>(row, lists + 2)?) {
                    sketch.record(bin, unsigned(Some(count)));
                }
                for bytes in list::read::<Vec<u8>>(row, lists + 3)? {
                    sketch.merge_encoded(&bytes).map_err(Error::internal)?;
                }
            }
            None => {}
        }
    }
    Ok(())
}

fn unsigned(count: Option<i64>) -> u64 {
    count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}
