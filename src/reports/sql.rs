//! The two shapes that every aggregate is fetched in, and how their rows become [`Stats`].
//!
//! Totals are added up in the database: one row per group. Cells come with lists of their sketches (of rollup rows) or of
//! their bins (of raw rows), because merging sketches here costs a fifteenth of doing it in SQL. Both are one statement, and
//! so one snapshot: a compactor at work cannot make a row count twice.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, DbBackend, QueryResult,
    sea_query::{Alias, CaseStatement, Expr, ExprTrait, Query, SelectStatement, UnionType},
};

use super::{
    Distribution, Stats, Want,
    filter::M,
    grid::Slots,
    grouping::{Group, Grouping, SLOT},
    narrow::{Endpoints, Narrowed},
    plan::{Piece, Resolution},
};
use crate::{
    db::{Session, column, list},
    error::{Error, Result},
    model::{Tally, metric::ERROR_STATUS_MIN, timestamp::MINUTE_MICROS},
};

/// The columns of totals after those of the grouping.
pub(super) const TOTALS: [&str; 5] = ["n", "n_err", "sum", "min", "max"];
/// The columns of cells after those of the grouping: totals, bins of one value each, bins with their counts, sketches.
pub(super) const CELLS: [&str; 9] = ["n", "n_err", "sum", "min", "max", "singles", "bins", "counts", "sketches"];
/// What a statement is called inside of another.
const INNER: &str = "c";
const LISTS: [&str; 4] = ["singles", "bins", "counts", "sketches"];

/// Raw rows of so much time are listed one by one, not counted per bin: what sticks out of the minutes of a window is
/// shorter.
const EDGE_MICROS: i64 = MINUTE_MICROS;

/// One row per group, everything added up.
pub(super) fn totals(narrowed: &Narrowed, grouping: &Grouping) -> SelectStatement {
    added_up(union(narrowed.pieces().iter().map(|&piece| each(narrowed, grouping, piece))), grouping)
}

/// What sketches are merged of, in lists, and everything else added up: one row or several per group, as costs less. Or the
/// raw rows one by one where all has to be exact.
pub(super) fn cells(narrowed: &Narrowed, grouping: &Grouping) -> SelectStatement {
    let pieces = || narrowed.pieces().iter().copied();
    if let Some(most) = narrowed.exact() {
        let mut rows = union(pieces().map(|piece| {
            let mut rows = each(narrowed, grouping, piece);
            for name in LISTS {
                rows.expr_as(Expr::cust("NULL"), name);
            }
            rows
        }));
        return rows.limit(u64::from(most) + 1).take();
    }
    let cells = union(pieces().map(|piece| cells_of(narrowed, grouping, piece)));
    // To send a row takes SQLite longer than to add it to another.
    if narrowed.backend() != DbBackend::Sqlite || grouping.buckets().is_some() {
        return cells;
    }
    let mut groups = added_up(cells, grouping);
    for name in LISTS {
        groups.expr_as(list::joined(&format!("{INNER}.{name}")), name);
    }
    groups
}

/// The cells of one piece.
fn cells_of(narrowed: &Narrowed, grouping: &Grouping, piece: Piece) -> SelectStatement {
    let backend = narrowed.backend();
    let (bin, sketch) = ("m.bin", "m.sketch");
    let mut lists =
        [list::none::<i16>, list::none::<i16>, list::none::<i64>, list::none::<Vec<u8>>].map(|none| none(backend));
    let [singles, bins, counts, sketches] = &mut lists;
    let mut rows = match (piece.resolution, is_gathered(narrowed, grouping, piece)) {
        // So few that it costs more to count them per bin.
        (Resolution::Raw, true) if piece.range.length_micros() <= EDGE_MICROS => {
            *singles = list::gathered::<i16>(backend, bin);
            counted(keys(narrowed, grouping, piece), grouping)
        }
        (Resolution::Raw, true) => {
            *bins = list::gathered::<i16>(backend, &format!("{INNER}.bin"));
            *counts = list::gathered::<i64>(backend, &format!("{INNER}.n"));
            let mut rows = per_bin(narrowed, grouping, piece);
            added_up(rows.column((M, "bin")).take(), grouping)
        }
        (Resolution::Raw, false) => {
            *bins = list::single::<i16>(backend, bin);
            *counts = list::single::<i64>(backend, "COUNT(*)");
            per_bin(narrowed, grouping, piece)
        }
        (_, true) => {
            *sketches = list::gathered::<Vec<u8>>(backend, sketch);
            summed(keys(narrowed, grouping, piece), M, grouping)
        }
        (_, false) => {
            *sketches = list::single::<Vec<u8>>(backend, sketch);
            each(narrowed, grouping, piece)
        }
    };
    for (list, name) in lists.into_iter().zip(LISTS) {
        rows.expr_as(list, name);
    }
    rows
}

/// Whether the rows of a piece come as one per group. On PostgreSQL only those of which there are more the more was
/// measured, raw rows and parts, and what is finer than an hour where endpoints are told apart: of others there are too few
/// to be worth the longer plan.
fn is_gathered(narrowed: &Narrowed, grouping: &Grouping, piece: Piece) -> bool {
    let bucket = narrowed.slots().map_or(i64::MAX, Slots::width_micros);
    let has_several = match piece.resolution {
        Resolution::Raw | Resolution::Part => true,
        Resolution::Minute | Resolution::FiveMinutes | Resolution::Hour | Resolution::Day => {
            bucket > piece.resolution.width_micros()
        }
    };
    let is_many = match piece.resolution {
        Resolution::Raw | Resolution::Part => true,
        Resolution::Minute | Resolution::FiveMinutes => grouping.rows() == Endpoints::Single,
        Resolution::Hour | Resolution::Day => false,
    };
    has_several && (is_many || narrowed.backend() == DbBackend::Sqlite)
}

/// The totals of each row by itself.
fn each(narrowed: &Narrowed, grouping: &Grouping, piece: Piece) -> SelectStatement {
    let mut rows = keys(narrowed, grouping, piece);
    if piece.resolution != Resolution::Raw {
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
fn per_bin(narrowed: &Narrowed, grouping: &Grouping, piece: Piece) -> SelectStatement {
    counted(keys(narrowed, grouping, piece), grouping).group_by_col((M, "bin")).take()
}

/// The totals of raw rows per group.
fn counted(mut rows: SelectStatement, grouping: &Grouping) -> SelectStatement {
    let value = || Expr::col((M, "value"));
    rows.expr_as(Expr::cust("COUNT(*)"), "n")
        .expr_as(Expr::cust(format!("COUNT(*) FILTER (WHERE m.status >= {ERROR_STATUS_MIN})")), "n_err")
        .expr_as(value().sum(), "sum")
        .expr_as(value().min(), "min")
        .expr_as(value().max(), "max");
    grouped(rows, M, grouping)
}

/// The totals of rows with totals per group.
fn summed(mut rows: SelectStatement, table: &'static str, grouping: &Grouping) -> SelectStatement {
    let column = |name: &'static str| Expr::col((table, name));
    // PostgreSQL adds integers up to a NUMERIC.
    rows.expr_as(column("n").sum().cast_as("BIGINT"), "n")
        .expr_as(column("n_err").sum().cast_as("BIGINT"), "n_err")
        .expr_as(column("sum").sum(), "sum")
        .expr_as(column("min").min(), "min")
        .expr_as(column("max").max(), "max");
    grouped(rows, table, grouping)
}

/// The same of what a statement answers.
fn added_up(rows: SelectStatement, grouping: &Grouping) -> SelectStatement {
    let mut groups = Query::select();
    groups.columns(grouping.names().map(|name| (INNER, name))).from_subquery(rows, INNER);
    summed(groups, INNER, grouping)
}

/// One row per group. Of the dimensions the finest are first: a database that sorts then seldom compares the others. A
/// bucket goes by the name of the answer's column: a database that is handed values apart from the statement cannot see
/// that two expressions are the same.
fn grouped(mut rows: SelectStatement, table: &'static str, grouping: &Grouping) -> SelectStatement {
    rows.group_by_columns(grouping.columns().rev().map(|column| (table, column)));
    if grouping.buckets().is_some() { rows.group_by_col(Alias::new(SLOT)).take() } else { rows }
}

/// The rows of one piece with the columns that tell groups apart.
fn keys(narrowed: &Narrowed, grouping: &Grouping, piece: Piece) -> SelectStatement {
    let mut rows = narrowed.rows(piece, grouping.rows());
    rows.columns(grouping.columns().map(|column| (M, column)));
    if let Some(slots) = narrowed.slots() {
        let since = Expr::col((M, piece.resolution.time_column())).sub(slots.first().as_micros());
        rows.expr_as(since.div(slots.width_micros()), SLOT);
    }
    rows
}

/// All rows of all statements, which must have the same columns.
pub(super) fn union(selects: impl IntoIterator<Item = SelectStatement>) -> SelectStatement {
    let mut selects = selects.into_iter();
    let mut first = selects.next().unwrap_or_default();
    first.unions(selects.map(|select| (UnionType::All, select)));
    first
}

/// Asks for what is wanted and adds it up per group. One statement, or none where the scope leaves nothing to ask for.
pub(super) async fn fetch(
    session: &Session,
    narrowed: &Narrowed<'_>,
    grouping: &Grouping,
    want: Want,
) -> Result<HashMap<Group, Stats>> {
    let mut groups = HashMap::new();
    if narrowed.is_empty() {
        return Ok(groups);
    }
    let statement = match want {
        Want::Scalars => totals(narrowed, grouping),
        Want::Percentiles => cells(narrowed, grouping),
    };
    let rows = session.query_all(&statement).await?;
    narrowed.check_rows(rows.len())?;
    for row in rows {
        let (group, first) = Group::of(&row, grouping)?;
        let stats = groups.entry(group).or_insert_with(|| Stats::empty(narrowed, want));
        add(stats, &row, first, want)?;
    }
    groups.values_mut().for_each(Stats::sort);
    Ok(groups)
}

/// Adds one row of the statement that was made for `want`; its figures begin at column `first`.
pub(super) fn add(stats: &mut Stats, row: &QueryResult, first: usize, want: Want) -> Result<()> {
    // Everything together has a row even where there is nothing, and nothing adds up to NULL.
    let count = unsigned(column(row, first)?);
    let errors = unsigned(column(row, first + 1)?);
    let sum: Option<f64> = column(row, first + 2)?;
    let least: Option<f64> = column(row, first + 3)?;
    let greatest: Option<f64> = column(row, first + 4)?;
    let figures = Tally::new(count, errors, sum.unwrap_or(0.0), least.zip(greatest), ());
    stats.tally.merge_with(&figures, |_, ()| ());
    if want == Want::Percentiles {
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
