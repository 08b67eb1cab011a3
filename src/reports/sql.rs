//! The two shapes that every aggregate is fetched in, and how their rows become [`Stats`].
//!
//! Totals are added up in the database: one row per group. Cells come with their sketches (of rollup rows) or their bins
//! (of raw rows), one by one or in arrays, because merging sketches here costs a fifteenth of doing it in SQL. Both are one
//! statement, and so one snapshot: a compactor at work cannot make a row count twice.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, DbBackend, QueryResult,
    sea_query::{Alias, CaseStatement, Expr, ExprTrait, PgFunc, Query, SelectStatement, UnionType},
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
    model::{metric::ERROR_STATUS_MIN, timestamp::MINUTE_MICROS},
};

/// The columns of totals after those of the grouping.
pub(super) const TOTALS: [&str; 5] = ["n", "n_err", "sum", "min", "max"];
/// The columns of cells after those of the grouping.
pub(super) const CELLS: [&str; 8] = ["n", "n_err", "sum", "min", "max", "bins", "counts", "sketches"];

/// Raw rows of so much time are sent as their bins, not as how many are in each: what sticks out of the minutes of a window
/// is shorter.
const EDGE_MICROS: i64 = MINUTE_MICROS;

/// One row per group, everything added up.
pub(super) fn totals(narrowed: &Narrowed, grouping: &Grouping) -> SelectStatement {
    let rows = union(narrowed.pieces().iter().map(|&piece| {
        let mut rows = keys(narrowed, grouping, piece);
        match piece.resolution {
            Resolution::Raw => rows
                .expr_as(Expr::cust("1"), "n")
                .expr_as(is_error(), "n_err")
                .expr_as(Expr::col((M, "value")), "sum")
                .expr_as(Expr::col((M, "value")), "min")
                .expr_as(Expr::col((M, "value")), "max"),
            Resolution::Part | Resolution::Minute | Resolution::Hour | Resolution::Day => {
                rows.columns(TOTALS.map(|column| (M, column)))
            }
        };
        rows
    }));
    added_up(rows, grouping)
}

/// One row per group of what these rows tell, without lists.
fn added_up(rows: SelectStatement, grouping: &Grouping) -> SelectStatement {
    let column = |name: &'static str| Expr::col(("c", name));
    let mut sums = Query::select();
    sums.columns(grouping.names().map(|name| ("c", name)))
        // PostgreSQL adds integers up to a NUMERIC.
        .expr_as(column("n").sum().cast_as("BIGINT"), "n")
        .expr_as(column("n_err").sum().cast_as("BIGINT"), "n_err")
        .expr_as(column("sum").sum(), "sum")
        .expr_as(column("min").min(), "min")
        .expr_as(column("max").max(), "max")
        .from_subquery(rows, "c")
        .group_by_columns(grouping.names().map(|name| ("c", name)));
    sums
}

/// What a sketch is merged of: sketches of rollups, and bins of raw rows with how many fell into each, one each where that
/// is NULL; or the raw rows themselves where all has to be exact.
pub(super) fn cells(narrowed: &Narrowed, grouping: &Grouping) -> SelectStatement {
    let mut cells = union(narrowed.pieces().iter().map(|&piece| match narrowed.backend() {
        DbBackend::Postgres => gathered(narrowed, grouping, piece),
        _ => cells_of(narrowed, grouping, piece, narrowed.exact().is_some()),
    }));
    if let Some(most) = narrowed.exact() {
        cells.limit(u64::from(most) + 1);
    }
    cells
}

/// One row per row of a rollup, and per bin of raw rows or for each of them.
fn cells_of(narrowed: &Narrowed, grouping: &Grouping, piece: Piece, each: bool) -> SelectStatement {
    let mut rows = keys(narrowed, grouping, piece);
    let value = || Expr::col((M, "value"));
    match piece.resolution {
        Resolution::Raw if each => rows
            .expr_as(Expr::cust("CAST(1 AS BIGINT)"), "n")
            .expr_as(is_error().cast_as("BIGINT"), "n_err")
            .expr_as(value(), "sum")
            .expr_as(value(), "min")
            .expr_as(value(), "max")
            .expr_as(Expr::col((M, "bin")), "bins")
            .expr_as(Expr::cust("NULL"), "counts")
            .expr_as(Expr::cust("NULL"), "sketches"),
        Resolution::Raw => {
            rows.expr_as(Expr::cust("COUNT(*)"), "n")
                .expr_as(is_error().sum(), "n_err")
                .expr_as(value().sum(), "sum")
                .expr_as(value().min(), "min")
                .expr_as(value().max(), "max")
                .expr_as(Expr::col((M, "bin")), "bins")
                .expr_as(Expr::cust("COUNT(*)"), "counts")
                .expr_as(Expr::cust("NULL"), "sketches")
                .group_by_columns(grouping.columns().chain(["bin"]).map(|column| (M, column)));
            // By the name of the answer's column: a database that is handed values apart from the statement cannot
            // see that two expressions are the same.
            if grouping.buckets().is_some() { rows.group_by_col(Alias::new(SLOT)) } else { &mut rows }
        }
        Resolution::Part | Resolution::Minute | Resolution::Hour | Resolution::Day => rows
            .columns(TOTALS.map(|column| (M, column)))
            .expr_as(Expr::cust("NULL"), "bins")
            .expr_as(Expr::cust("NULL"), "counts")
            .expr_as(Expr::col((M, "sketch")), "sketches"),
    };
    rows
}

/// The same in arrays, for PostgreSQL. Where endpoints are told apart, what is finer than an hour comes as one row per group:
/// how many rows there are of it grows with what was measured, and to send one costs more than what it holds. Of other
/// groups there are too few rows to be worth the longer plan.
fn gathered(narrowed: &Narrowed, grouping: &Grouping, piece: Piece) -> SelectStatement {
    let is_raw = piece.resolution == Resolution::Raw;
    let is_exact = narrowed.exact().is_some();
    let bucket = narrowed.slots().map_or(i64::MAX, Slots::width_micros);
    let is_gathered = grouping.rows() == Endpoints::Single
        && match piece.resolution {
            Resolution::Raw => !is_exact,
            Resolution::Part => true,
            Resolution::Minute => bucket > piece.resolution.width_micros(),
            Resolution::Hour | Resolution::Day => false,
        };
    // At the edges of a window there are so few that it costs more to count them per bin.
    let each = is_exact || is_gathered && piece.range.length_micros() <= EDGE_MICROS;
    let cells = cells_of(narrowed, grouping, piece, each);
    let mut rows = if is_gathered {
        added_up(cells, grouping)
    } else {
        let names = grouping.names().chain(TOTALS).map(|name| ("c", name));
        Query::select().columns(names).from_subquery(cells, "c").take()
    };
    let lists = [("bins", "SMALLINT", is_raw), ("counts", "BIGINT", is_raw && !each), ("sketches", "BYTEA", !is_raw)];
    for (name, element, is_there) in lists {
        let list = match is_there && !is_exact {
            true if is_gathered => PgFunc::array_agg(Expr::col(("c", name))).into(),
            true => Expr::cust(format!("ARRAY[c.{name}]")),
            false => Expr::cust(format!("CAST(NULL AS {element}[])")),
        };
        rows.expr_as(list, name);
    }
    rows
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

fn is_error() -> Expr {
    CaseStatement::new()
        .case(Expr::col((M, "status")).gte(ERROR_STATUS_MIN), Expr::cust("1"))
        .finally(Expr::cust("0"))
        .into()
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
    stats.count = stats.count.saturating_add(count);
    stats.errors = stats.errors.saturating_add(errors);
    stats.sum += sum.unwrap_or(0.0);
    stats.min = stats.min.into_iter().chain(least).reduce(f64::min);
    stats.max = stats.max.into_iter().chain(greatest).reduce(f64::max);
    if want == Want::Percentiles {
        match &mut stats.distribution {
            Some(Distribution::Values(values)) => values.extend(sum),
            Some(Distribution::Sketch(sketch)) => {
                let mut counts = list::<i64>(row, first + 6)?;
                for bin in list::<i16>(row, first + 5)? {
                    sketch.record(bin, counts.next().map_or(1, |count| unsigned(Some(count))));
                }
                for bytes in list::<Vec<u8>>(row, first + 7)? {
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
