//! Groups with the paths of their endpoints.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, IntoTableRef, Query, SelectStatement},
};

use super::{
    Stats, Want,
    grouping::{Dimension, Group, Grouping},
    narrow::Narrowed,
    sql,
};
use crate::{db::Session, error::Result};

/// A group as a statement answers it.
pub(super) struct Named {
    pub group: Group,
    /// The endpoint's path; empty where endpoints are not told apart.
    pub path: String,
    pub stats: Stats,
}

fn has_path(grouping: &Grouping) -> bool {
    grouping.by().contains(&Dimension::Endpoint)
}

/// The groups with their endpoint's path as last column, where endpoints are told apart.
pub(super) fn with_path(groups: SelectStatement, grouping: &Grouping, columns: &[&'static str]) -> SelectStatement {
    if !has_path(grouping) {
        return groups;
    }
    let mut select = Query::select();
    select
        .columns(grouping.columns().chain(columns.iter().copied()).map(|column| ("g", column)))
        .column(("e", "path"))
        .from_subquery(groups, "g")
        // CROSS JOIN is what keeps SQLite from beginning with the endpoints of every tenant.
        .cross_join("endpoint".into_table_ref().alias("e"))
        .and_where(Expr::col(("e", "organization_id")).equals(("g", "organization_id")))
        .and_where(Expr::col(("e", "id")).equals(("g", "endpoint_id")));
    select
}

/// Runs a statement of [`with_path`] and adds its rows up per group.
pub(super) async fn fetch(
    session: &Session,
    narrowed: &Narrowed<'_>,
    grouping: &Grouping,
    statement: &SelectStatement,
    want: Want,
) -> Result<Vec<Named>> {
    let figures = match want {
        Want::Scalars => sql::TOTALS.len(),
        Want::Percentiles => sql::CELLS.len(),
    };
    let mut places = HashMap::new();
    let mut found: Vec<Named> = Vec::new();
    let rows = session.query_all(statement).await?;
    narrowed.check_rows(rows.len())?;
    for row in rows {
        let (group, first) = Group::of(&row, grouping)?;
        let place = *places.entry(group.clone()).or_insert(found.len());
        if place == found.len() {
            let path = if has_path(grouping) { row.try_get_by_index(first + figures)? } else { String::new() };
            found.push(Named { group, path, stats: Stats::empty(narrowed, want) });
        }
        if let Some(named) = found.get_mut(place) {
            sql::add(&mut named.stats, &row, first, want)?;
        }
    }
    for named in &mut found {
        named.stats.sort();
    }
    Ok(found)
}
