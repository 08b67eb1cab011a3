//! The statements on SQLite. A file belongs to one process, so a node is taken from whoever had it.

use sqlx::SqlitePool;

use super::Lease;
use crate::model::id::IdPlace;

const TAKE: &str = "INSERT INTO instance_node (node, epoch, expires_at, ids_until) VALUES (?1, 1, 0, ?2 + ?3) \
    ON CONFLICT (node) DO UPDATE SET epoch = instance_node.epoch + 1, ids_until = max(instance_node.ids_until, ?2) + ?3 \
    RETURNING epoch, ids_until";
const RENEW: &str =
    "UPDATE instance_node SET ids_until = max(ids_until, ?3) WHERE node = ?1 AND epoch = ?2 RETURNING ids_until";
const RELEASE: &str = "UPDATE instance_node SET ids_until = min(ids_until, ?3) WHERE node = ?1 AND epoch = ?2";

/// Takes a node, and the places from `first` or from the end of those handed out before, `span` of them. Returns the lease and
/// the end of the places.
pub async fn take(pool: &SqlitePool, node: u8, first: IdPlace, span: i64) -> sqlx::Result<(Lease, IdPlace)> {
    let node = i16::from(node);
    let (epoch, end) = sqlx::query_as(TAKE).bind(node).bind(first.stored()).bind(span).fetch_one(pool).await?;
    Ok((Lease { node, epoch }, IdPlace::from_stored(end)))
}

/// Hands out the places up to `end`. Returns the end of the places, or `None` if another process has taken the node.
pub async fn renew(pool: &SqlitePool, lease: Lease, end: IdPlace) -> sqlx::Result<Option<IdPlace>> {
    let renewed: Option<i64> =
        sqlx::query_scalar(RENEW).bind(lease.node).bind(lease.epoch).bind(end.stored()).fetch_optional(pool).await?;
    Ok(renewed.map(IdPlace::from_stored))
}

/// Gives back the places from `next` on.
pub async fn release(pool: &SqlitePool, lease: Lease, next: IdPlace) -> sqlx::Result<()> {
    sqlx::query(RELEASE).bind(lease.node).bind(lease.epoch).bind(next.stored()).execute(pool).await?;
    Ok(())
}
