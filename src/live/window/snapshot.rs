//! Reads the initial content of a window: one statement, and so one snapshot, with the last commit that it includes. Later
//! commits arrive over the publisher and are recognized by their sequence.

use std::sync::Arc;

use futures_util::TryStreamExt;
use sea_orm::{
    ConnectionTrait, DbBackend, QueryResult,
    sea_query::{Alias, CaseStatement, Expr, ExprTrait, IntoTableRef, Query, SelectStatement, UnionType},
};

use super::{
    group::SlotRange,
    groups::{GroupLabels, WindowGroups},
    query::{GroupKey, WindowQuery, too_many_groups, too_many_slots},
    routes::WindowId,
    slot::BinTally,
};
use crate::{
    config,
    db::{Database, StatementLog, sum::sum},
    error::{Error, Result},
    model::{MetricType, ProjectId, Sum, metric::ERROR_STATUS_MIN},
};

const M: &str = "m";
const E: &str = "e";

/// A window that has to be read from the database.
#[derive(Debug)]
pub struct SnapshotRequest {
    /// The window.
    pub id: WindowId,
    /// The query of the window.
    pub query: Arc<WindowQuery>,
    /// The slots from which on measurements are read.
    pub range: SlotRange,
}

/// The content of a window as the database holds it.
#[derive(Clone, Debug)]
pub struct WindowSnapshot {
    /// The last commit that is included; all commits up to it are.
    pub sequence: i64,
    /// The groups, with the slots of the window and after it.
    pub groups: WindowGroups,
}

/// Reads a window, for the server's own runner; the caller's access was checked at admission.
///
/// # Errors
/// [`Error::Limit`] for a window with too many groups or slots, and when the database cannot answer.
pub async fn read(database: &Database, request: &SnapshotRequest, settings: &config::Live) -> Result<WindowSnapshot> {
    let session = database.reader(StatementLog::default());
    let statement = statement(session.get_database_backend(), &request.query, request.range.first);
    let mut rows = std::pin::pin!(session.stream(&statement).await?);
    let mut snapshot = WindowSnapshot { sequence: 0, groups: WindowGroups::default() };
    while let Some(row) = rows.try_next().await? {
        let Some(count) = u32::try_from(row.try_get_by_index::<i64>(6)?).ok().filter(|count| *count > 0) else {
            snapshot.sequence = row.try_get_by_index(0)?;
            continue;
        };
        let (slot, labels, endpoint, tally) = read_row(&request.query, &row, count)?;
        snapshot.groups.add(request.range, slot, labels, &endpoint, &tally);
        if snapshot.groups.groups() > settings.window_groups_max {
            return Err(too_many_groups(settings));
        }
        if snapshot.groups.slots() > settings.window_cells_max {
            return Err(too_many_slots(settings));
        }
    }
    Ok(snapshot)
}

fn read_row(query: &WindowQuery, row: &QueryResult, count: u32) -> Result<(i64, GroupLabels, String, BinTally)> {
    let kind = MetricType::from_code(row.try_get_by_index(2)?);
    let kind = kind.ok_or_else(|| Error::internal("a measurement of a type that this version does not know"))?;
    let labels = GroupLabels::of(query, ProjectId(row.try_get_by_index(1)?), kind, row.try_get_by_index(3)?);
    let errors = u64::try_from(row.try_get_by_index::<i64>(7)?).unwrap_or(0);
    let extremes = (row.try_get_by_index(9)?, row.try_get_by_index(10)?);
    let bin = row.try_get_by_index(5)?;
    let tally = BinTally::new(u64::from(count), errors, Sum::of(row.try_get_by_index(8)?), Some(extremes), bin);
    Ok((row.try_get_by_index(0)?, labels, row.try_get_by_index(4)?, tally))
}

/// One row per slot, group and bin, and one with the last commit, whose count is 0.
fn statement(backend: DbBackend, query: &WindowQuery, first_slot: i64) -> SelectStatement {
    let mut rows = measurements(backend, query, first_slot);
    rows.union(UnionType::All, last_commit(query));
    rows
}

fn measurements(backend: DbBackend, query: &WindowQuery, first_slot: i64) -> SelectStatement {
    let width = query.slot_width();
    let column = |name: &'static str| Expr::col((M, name));
    // A literal, because a parameter in GROUP BY is not the same as that in SELECT.
    let slot = || Expr::cust(format!("m.ts / {width}"));
    let is_error: Expr = CaseStatement::new()
        .case(column("status").gte(ERROR_STATUS_MIN), Expr::cust("1"))
        .finally(Expr::cust("0"))
        .into();
    let mut select = Query::select();
    select.expr(slot()).add_group_by([slot()]);
    // Only the keys of the window are columns of the groups.
    let mut group = |key, column: (&'static str, &'static str), constant: &'static str| {
        if query.groups_by(key) {
            select.column(column).group_by_col(column);
        } else {
            select.expr(Expr::cust(constant));
        }
    };
    group(GroupKey::Project, (M, "project_id"), "CAST(0 AS BIGINT)");
    group(GroupKey::Type, (M, "kind"), "CAST(0 AS SMALLINT)");
    group(GroupKey::StatusCode, (M, "status"), "CAST(0 AS SMALLINT)");
    group(GroupKey::Endpoint, (E, "path"), "CAST('' AS TEXT)");
    select
        .column((M, "bin"))
        .group_by_col((M, "bin"))
        .expr(Expr::cust("COUNT(*)"))
        .expr(is_error.sum())
        .expr(sum(backend, "m.value"))
        .expr(column("value").min())
        .expr(column("value").max())
        .from_as(Alias::new("metric_event"), M)
        .and_where(column("organization_id").eq(query.organization))
        .and_where(column("ts").gte(first_slot.saturating_mul(width)))
        .and_where(column("kind").is_in(kinds(query)));
    if query.projects.is_empty() {
        let mut own = Query::select();
        own.column("id").from("project").and_where(Expr::col("organization_id").eq(query.organization));
        select.and_where(column("project_id").in_subquery(own));
    } else {
        select.and_where(column("project_id").is_in(query.projects.iter().copied()));
    }
    if let Some(min) = query.min_value {
        select.and_where(column("value").gte(min.0));
    }
    if query.groups_by(GroupKey::Endpoint) || !query.endpoints.is_empty() {
        select.inner_join(
            "endpoint".into_table_ref().alias(E),
            Expr::col((E, "organization_id"))
                .equals((M, "organization_id"))
                .and(Expr::col((E, "id")).equals((M, "endpoint_id"))),
        );
        if !query.endpoints.is_empty() {
            select.and_where(Expr::col((E, "path")).is_in(query.endpoints.iter().cloned()));
        }
    }
    select
}

/// The types of the query; all of them if it names none, because they are the first columns of the index.
fn kinds(query: &WindowQuery) -> impl Iterator<Item = i16> {
    let wanted = |kind: &MetricType| query.kinds.is_empty() || query.kinds.contains(kind);
    MetricType::ALL.into_iter().filter(wanted).map(MetricType::code)
}

fn last_commit(query: &WindowQuery) -> SelectStatement {
    let mut select = Query::select();
    select.column("last_seq").from("organization_stream");
    for nothing in [
        "CAST(0 AS BIGINT)",
        "CAST(0 AS SMALLINT)",
        "CAST(0 AS SMALLINT)",
        "CAST('' AS TEXT)",
        "CAST(0 AS SMALLINT)",
        "CAST(0 AS BIGINT)",
        "CAST(0 AS BIGINT)",
        "CAST(0 AS DOUBLE PRECISION)",
        "CAST(0 AS DOUBLE PRECISION)",
        "CAST(0 AS DOUBLE PRECISION)",
    ] {
        select.expr(Expr::cust(nothing));
    }
    select.and_where(Expr::col("organization_id").eq(query.organization));
    select
}
