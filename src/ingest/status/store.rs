//! The table of counters: additions in one transaction, and the counters of several projects in one statement.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{CaseStatement, Expr, ExprTrait, InsertStatement, OnConflict, Order, Query, SelectStatement},
};

use super::{Counted, Counts, Pending, WayIn};
use crate::{
    db::{Session, Transaction},
    entity::{ingest_status as table, project},
    error::{Error, Result},
    model::{Key, OrganizationId, ProjectId, Scope},
};

/// Rows of one statement, far below the maximum number of values.
const CHUNK_ROWS: usize = 500;

/// The key of a row.
const KEY: [table::Column; 3] = [table::Column::OrganizationId, table::Column::ProjectId, table::Column::Way];

/// The counters, which are added up.
const SUMS: [table::Column; 5] = [
    table::Column::Accepted,
    table::Column::Refused,
    table::Column::Late,
    table::Column::Ignored,
    table::Column::RefusedRequests,
];

/// The counters of a project, by way.
pub type ProjectStatus = BTreeMap<WayIn, Counts>;

/// Adds counters to the table. Those of projects that were deleted meanwhile are dropped.
///
/// # Errors
/// The database fails, and nothing is added. A commit that is not confirmed is no error: to add the counters again could
/// count twice.
pub async fn add(transaction: Transaction, pending: &Pending) -> Result<()> {
    let present = existing(&transaction, pending).await?;
    // In the order of the keys, in which every instance locks the rows.
    let rows: Vec<_> = pending.iter().filter(|((project, _), _)| present.contains(project)).collect();
    for chunk in rows.chunks(CHUNK_ROWS) {
        add_chunk(&transaction, chunk).await?;
    }
    if let Err(fault) = transaction.commit().await {
        tracing::warn!(%fault, "counters of what was ingested are lost");
    }
    Ok(())
}

/// Those of the projects that exist.
async fn existing(transaction: &Transaction, pending: &Pending) -> Result<BTreeSet<Key<ProjectId>>> {
    let keys: BTreeSet<_> = pending.keys().map(|(project, _)| *project).collect();
    let mut present = BTreeSet::new();
    for chunk in keys.into_iter().collect::<Vec<_>>().chunks(CHUNK_ROWS) {
        let mut select = Query::select();
        select
            .columns([project::Column::OrganizationId, project::Column::Id])
            .from(project::Entity)
            .and_where(Expr::col(project::Column::OrganizationId).is_in(organizations(chunk)))
            .and_where(Expr::col(project::Column::Id).is_in(chunk.iter().map(|key| key.id)));
        for row in transaction.query_all(&select).await? {
            present.insert(Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        }
    }
    Ok(present)
}

fn organizations(keys: &[Key<ProjectId>]) -> BTreeSet<OrganizationId> {
    keys.iter().map(|key| key.organization).collect()
}

/// Adds counters, and then the refusals to those that were stored: the addition has locked the rows.
async fn add_chunk(transaction: &Transaction, rows: &[(&Counted, &Counts)]) -> Result<()> {
    let refusing: HashMap<_, _> = rows.iter().filter(|(_, counts)| !counts.refusals.is_empty()).copied().collect();
    for row in transaction.query_all(&addition(rows)?).await? {
        let Some((key, stored)) = stored_refusals(&row)? else { continue };
        let Some(counts) = refusing.get(&key) else { continue };
        let mut merged = Counts { refusals: Counts::read_refusals(&stored), ..Counts::default() };
        merged.merge(Counts { refusals: counts.refusals.clone(), ..Counts::default() });
        let (project, way) = key;
        let mut update = Query::update();
        update
            .table(table::Entity)
            .value(table::Column::Refusals, merged.stored_refusals().map_err(Error::internal)?)
            .and_where(Expr::col(table::Column::OrganizationId).eq(project.organization))
            .and_where(Expr::col(table::Column::ProjectId).eq(project.id))
            .and_where(Expr::col(table::Column::Way).eq(way.code()));
        transaction.execute(&update).await?;
    }
    Ok(())
}

/// The key of a row and its refusals, as [`addition`] returns them.
fn stored_refusals(row: &QueryResult) -> Result<Option<(Counted, String)>> {
    let project = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    let way = WayIn::from_code(row.try_get_by_index(2)?);
    let refusals = row.try_get_by_index(3)?;
    Ok(way.map(|way| ((project, way), refusals)))
}

/// One statement that adds counters to rows, makes the rows that are missing, and returns the stored refusals.
fn addition(rows: &[(&Counted, &Counts)]) -> Result<InsertStatement> {
    let mut insert = Query::insert();
    insert
        .into_table(table::Entity)
        .columns(KEY.into_iter().chain(SUMS).chain([table::Column::LastSeenAt, table::Column::Refusals]));
    for ((project, way), counts) in rows {
        let number = |count: u64| Expr::val(i64::try_from(count).unwrap_or(i64::MAX));
        let Counts { accepted, refused, late, ignored, refused_requests, last_seen_at, .. } = counts;
        let sums = [accepted, refused, late, ignored, refused_requests].map(|count| number(*count));
        let key = [Expr::val(project.organization), Expr::val(project.id), Expr::val(way.code())];
        let rest = [Expr::val(*last_seen_at), Expr::val("[]")];
        insert.values(key.into_iter().chain(sums).chain(rest)).map_err(Error::internal)?;
    }
    let stored = |column| Expr::col((table::Entity, column));
    let added = |column| Expr::col(("excluded", column));
    let mut conflict = OnConflict::columns(KEY);
    for column in SUMS {
        conflict.value(column, stored(column).add(added(column)));
    }
    let seen = table::Column::LastSeenAt;
    let later = CaseStatement::new().case(added(seen).gt(stored(seen)), added(seen)).finally(stored(seen));
    conflict.value(seen, later);
    insert
        .on_conflict(conflict)
        .returning(Query::returning().columns(KEY.into_iter().chain([table::Column::Refusals])));
    Ok(insert)
}

/// Reads the written counters of projects in one statement. Projects for which nothing arrived are left out.
///
/// # Errors
/// The database fails.
pub async fn by_projects(
    scope: &Scope,
    db: &Session,
    projects: &[Key<ProjectId>],
) -> Result<HashMap<Key<ProjectId>, ProjectStatus>> {
    let seen: Vec<_> = projects.iter().copied().filter(|project| scope.sees(project.organization)).collect();
    let mut found: HashMap<_, ProjectStatus> = HashMap::new();
    if seen.is_empty() {
        return Ok(found);
    }
    for row in db.query_all(&selection(&seen)).await? {
        let key = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let Some(way) = WayIn::from_code(row.try_get_by_index(2)?) else { continue };
        let number = |at: usize| row.try_get_by_index::<i64>(at).map(|count| u64::try_from(count).unwrap_or(0));
        let counts = Counts {
            accepted: number(3)?,
            refused: number(4)?,
            late: number(5)?,
            ignored: number(6)?,
            refused_requests: number(7)?,
            last_seen_at: row.try_get_by_index(8)?,
            refusals: Counts::read_refusals(&row.try_get_by_index::<String>(9)?),
        };
        found.entry(key).or_default().insert(way, counts);
    }
    Ok(found)
}

fn selection(projects: &[Key<ProjectId>]) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns(KEY.into_iter().chain(SUMS).chain([table::Column::LastSeenAt, table::Column::Refusals]))
        .from(table::Entity)
        .and_where(Expr::col(table::Column::OrganizationId).is_in(organizations(projects)))
        .and_where(Expr::col(table::Column::ProjectId).is_in(projects.iter().map(|key| key.id)))
        .order_by_columns(KEY.map(|column| (column, Order::Asc)));
    select
}
