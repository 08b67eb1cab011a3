//! Groups with the paths of their endpoints. No I/O.

use std::collections::HashMap;

use sea_orm::{
    QueryResult,
    sea_query::{Expr, ExprTrait, IntoTableRef, Query, SelectStatement},
};

use super::{
    StatisticsNeeded, Stats,
    grouping::{Dimension, DimensionValues, Grouping},
    scoped::ScopedQuery,
    sql,
};
use crate::error::Result;

/// A group of a statement with the path of its endpoint.
pub(super) struct PathGroup {
    pub group: DimensionValues,
    /// The path of the endpoint; empty when not grouped by endpoint.
    pub path: String,
    pub stats: Stats,
}

fn has_path(grouping: &Grouping) -> bool {
    grouping.by().contains(&Dimension::Endpoint)
}

/// Adds the path of the endpoint as the last column, if `groups` are grouped by endpoint.
pub(super) fn with_path(groups: SelectStatement, grouping: &Grouping, columns: &[&'static str]) -> SelectStatement {
    if !has_path(grouping) {
        return groups;
    }
    let mut select = Query::select();
    select
        .columns(grouping.columns().chain(columns.iter().copied()).map(|column| ("g", column)))
        .column(("e", "path"))
        .from_subquery(groups, "g")
        // CROSS JOIN keeps SQLite from beginning with the endpoints of every tenant.
        .cross_join("endpoint".into_table_ref().alias("e"))
        .and_where(Expr::col(("e", "organization_id")).equals(("g", "organization_id")))
        .and_where(Expr::col(("e", "id")).equals(("g", "endpoint_id")));
    select
}

/// Adds up the rows of a statement of [`with_path`] per group.
pub(super) fn read(
    scoped: &ScopedQuery<'_>,
    grouping: &Grouping,
    want: StatisticsNeeded,
    rows: &[QueryResult],
) -> Result<Vec<PathGroup>> {
    let figures = match want {
        StatisticsNeeded::Scalars => sql::TOTALS.len(),
        StatisticsNeeded::Percentiles => sql::CELLS.len(),
    };
    scoped.check_rows(rows.len())?;
    let mut indexes = HashMap::new();
    let mut found: Vec<PathGroup> = Vec::new();
    for row in rows {
        let (group, first) = DimensionValues::of(row, grouping)?;
        let index = *indexes.entry(group.clone()).or_insert(found.len());
        if index == found.len() {
            let path = if has_path(grouping) { row.try_get_by_index(first + figures)? } else { String::new() };
            found.push(PathGroup { group, path, stats: scoped.empty_stats(want) });
        }
        if let Some(known) = found.get_mut(index) {
            sql::add(&mut known.stats, row, first, want)?;
        }
    }
    for known in &mut found {
        known.stats.sort();
    }
    Ok(found)
}
