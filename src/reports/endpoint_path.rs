//! Groups with the paths of their endpoints. No I/O.

use sea_orm::sea_query::{Expr, ExprTrait, IntoTableRef, Query, SelectStatement};

use super::{
    Stats,
    grouping::{Dimension, DimensionValues, Grouping},
};

/// A group of a statement with the path of its endpoint.
pub(super) struct PathGroup {
    pub group: DimensionValues,
    /// The path of the endpoint; empty when not grouped by endpoint.
    pub path: String,
    pub stats: Stats,
}

/// True if the rows of a statement have the path of an endpoint as their last column.
pub(super) fn has_path(grouping: &Grouping) -> bool {
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
