//! Reads the change log of one organization, page by page.

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Order, Query},
};

use crate::{
    db::{Database, StatementLog},
    error::{Error, Result},
    model::{
        OrganizationId, Scope,
        change::{Change, ChangeKind, EntityKey},
    },
};

/// Entries of one page.
pub(super) const ROWS_MAX: usize = 500;

/// A change and its number in the organization's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// The number of the change; a stream opened after it continues with the next.
    pub sequence: i64,
    /// The change.
    pub change: Change,
    /// The changes between the previous event and this one that are no longer in the log.
    pub removed: Option<RemovedChanges>,
}

/// Changes that retention removed from the log before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemovedChanges {
    /// The number of the first one.
    pub first: i64,
    /// The number of the last one.
    pub last: i64,
}

/// Reads the changes after a number, in their order; none of an organization outside of the scope. One statement.
pub(super) async fn after(
    scope: &Scope,
    database: &Database,
    organization: OrganizationId,
    sequence: i64,
) -> Result<Vec<ChangeEvent>> {
    if !scope.sees(organization) {
        return Ok(Vec::new());
    }
    let mut select = Query::select();
    select
        .columns(["seq", "noun", "entity_id", "kind", "changed_fields"])
        .from("entity_change")
        .and_where(Expr::col("organization_id").eq(organization))
        .and_where(Expr::col("seq").gt(sequence))
        .order_by("seq", Order::Asc)
        .limit(ROWS_MAX as u64);
    let rows = database.reader(StatementLog::default()).query_all(&select).await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let unknown = || Error::internal("a change that this version does not know");
        let entity = EntityKey::from_code(organization, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let kind = ChangeKind::from_code(row.try_get_by_index(3)?).ok_or_else(unknown)?;
        let fields: String = row.try_get_by_index(4)?;
        let fields = serde_json::from_str(&fields).map_err(Error::internal)?;
        let change = Change { entity: entity.ok_or_else(unknown)?, kind, fields };
        events.push(ChangeEvent { sequence: row.try_get_by_index(0)?, change, removed: None });
    }
    Ok(events)
}

/// Reads the number of an organization's last change; `None` if the organization does not exist or lies outside of the
/// scope.
pub(super) async fn last(scope: &Scope, database: &Database, organization: OrganizationId) -> Result<Option<i64>> {
    if !scope.sees(organization) {
        return Ok(None);
    }
    let mut last = Query::select();
    last.column("last_change").from("organization_stream").and_where(Expr::col("organization_id").eq(organization));
    let mut select = Query::select();
    // An organization has no number before its first commit.
    select
        .expr(Expr::SubQuery(None, Box::new(last.into())).if_null(0_i64))
        .from("organization")
        .and_where(Expr::col("id").eq(organization));
    let row = database.reader(StatementLog::default()).query_one(&select).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

/// Reads the number of every organization's last change, for the server's own relay. One statement.
pub(super) async fn last_of_all(database: &Database) -> Result<Vec<(OrganizationId, i64)>> {
    let mut select = Query::select();
    select.columns(["organization_id", "last_change"]).from("organization_stream");
    let rows = database.reader(StatementLog::default()).query_all(&select).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}
