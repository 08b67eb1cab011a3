//! Reads the log of one organization's changes, a page at a time.

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Order, Query},
};

use crate::{
    db::{Database, StatementLog},
    error::{Error, Result},
    model::{
        OrganizationId,
        change::{Change, ChangeKind, EntityKey},
    },
};

/// Changes read at once.
pub(super) const ROWS_MAX: usize = 500;

/// A change and its place in the organization's count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeEvent {
    /// Its place: a stream opened after it continues with the next.
    pub sequence: i64,
    /// What happened.
    pub change: Change,
    /// What is no longer in the log between the event before and this one.
    pub removed: Option<Removed>,
}

/// Changes that retention has removed from the log before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The first of them.
    pub first: i64,
    /// The last of them.
    pub last: i64,
}

/// The changes after a place, in their order. One statement.
pub(super) async fn after(
    database: &Database,
    organization: OrganizationId,
    sequence: i64,
) -> Result<Vec<ChangeEvent>> {
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

/// Where an organization's log stands; `None` when there is no such organization.
pub(super) async fn last(database: &Database, organization: OrganizationId) -> Result<Option<i64>> {
    let mut last = Query::select();
    last.column("last_change").from("organization_stream").and_where(Expr::col("organization_id").eq(organization));
    let mut select = Query::select();
    // An organization has no count before its first commit.
    select
        .expr(Expr::SubQuery(None, Box::new(last.into())).if_null(0_i64))
        .from("organization")
        .and_where(Expr::col("id").eq(organization));
    let row = database.reader(StatementLog::default()).query_one(&select).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

/// Where every organization's log stands. One statement.
pub(super) async fn standing(database: &Database) -> Result<Vec<(OrganizationId, i64)>> {
    let mut select = Query::select();
    select.columns(["organization_id", "last_change"]).from("organization_stream");
    let rows = database.reader(StatementLog::default()).query_all(&select).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}
