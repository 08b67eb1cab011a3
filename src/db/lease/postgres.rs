//! The statements on PostgreSQL. Each is complete in itself: no lock and no session has to outlive it.

use sqlx::PgConnection;

use super::Lease;
use crate::model::{Timestamp, id::IdPlace};

/// The class of the advisory locks by which earlier versions hold their nodes. They refuse to start on a database of this
/// version, but those that run already go on.
const EARLIER_VERSIONS: i64 = 0x7065_7266;

/// Microseconds from now after which an end of a lease is not believed: the clock of the database was set back meanwhile.
/// Leases are much shorter.
const END_MAX_MICROS: i64 = 3_600_000_000;

macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

// The first free node. If another instance takes it at the same moment, one of them changes no row. `excluded.expires_at - $3`
// is the time of this statement.
const TAKE: &str = concat!(
    "WITH clock AS (SELECT ",
    now!(),
    " AS micros) INSERT INTO instance_node AS held (node, epoch, expires_at, ids_until) \
     SELECT wanted.node, 1, clock.micros + $3, $4::bigint + $5 FROM generate_series($1::int, $2::int) AS wanted (node) \
     CROSS JOIN clock LEFT JOIN instance_node AS known ON known.node = wanted.node \
     WHERE (known.node IS NULL OR known.expires_at <= clock.micros OR known.expires_at > clock.micros + $6) \
     AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $7 \
     AND objid::bigint = wanted.node \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) \
     ORDER BY wanted.node LIMIT 1 \
     ON CONFLICT (node) DO UPDATE SET epoch = held.epoch + 1, expires_at = excluded.expires_at, \
     ids_until = greatest(held.ids_until, $4) + $5 \
     WHERE held.expires_at <= excluded.expires_at - $3 OR held.expires_at > excluded.expires_at - $3 + $6 \
     RETURNING node, epoch, ids_until, expires_at - $3"
);
const RENEW: &str = concat!(
    "UPDATE instance_node SET ids_until = greatest(ids_until, $3), expires_at = $4 + ",
    now!(),
    " WHERE node = $1 AND epoch = $2 RETURNING ids_until, expires_at - $4"
);
const RELEASE: &str =
    "UPDATE instance_node SET expires_at = 0, ids_until = least(ids_until, $3) WHERE node = $1 AND epoch = $2";
const HOLDER: &str = "SELECT epoch, expires_at FROM instance_node WHERE node = $1";

/// Takes the first free node of a range for `lease_micros`, and the places from `first` or from the end of those handed out
/// before, `span` of them. Returns the lease, the end of the places and the time of the database, or `None` if no node is free.
pub async fn take(
    connection: &mut PgConnection,
    nodes: (u8, u8),
    lease_micros: i64,
    first: IdPlace,
    span: i64,
) -> sqlx::Result<Option<(Lease, IdPlace, Timestamp)>> {
    let taken: Option<(i16, i64, i64, i64)> = sqlx::query_as(TAKE)
        .bind(i32::from(nodes.0))
        .bind(i32::from(nodes.1))
        .bind(lease_micros)
        .bind(first.stored())
        .bind(span)
        .bind(END_MAX_MICROS)
        .bind(EARLIER_VERSIONS)
        .fetch_optional(connection)
        .await?;
    Ok(taken
        .map(|(node, epoch, end, now)| (Lease { node, epoch }, IdPlace::from_stored(end), Timestamp::from_micros(now))))
}

/// Renews a lease and hands out the places up to `end`. Returns the end of the places and the time of the database, or
/// `None` if another instance has taken the node.
pub async fn renew(
    connection: &mut PgConnection,
    lease: Lease,
    lease_micros: i64,
    end: IdPlace,
) -> sqlx::Result<Option<(IdPlace, Timestamp)>> {
    let renewed: Option<(i64, i64)> = sqlx::query_as(RENEW)
        .bind(lease.node)
        .bind(lease.epoch)
        .bind(end.stored())
        .bind(lease_micros)
        .fetch_optional(connection)
        .await?;
    Ok(renewed.map(|(end, now)| (IdPlace::from_stored(end), Timestamp::from_micros(now))))
}

/// Gives a node back, with the places from `next` on.
pub async fn release(connection: &mut PgConnection, lease: Lease, next: IdPlace) -> sqlx::Result<()> {
    sqlx::query(RELEASE).bind(lease.node).bind(lease.epoch).bind(next.stored()).execute(connection).await?;
    Ok(())
}

/// The epoch of a node and the end of its lease. Somebody who is alive changes one of them every few seconds.
pub async fn holder(connection: &mut PgConnection, node: u8) -> sqlx::Result<Option<(i64, i64)>> {
    sqlx::query_as(HOLDER).bind(i16::from(node)).fetch_optional(connection).await
}
