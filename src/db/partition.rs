//! Time partitions of the metric tables on PostgreSQL, made ahead so that inserts never wait for one.
//!
//! A partition is named by its first day (`metric_event_20260131`). SQLite has none: there is nothing to do.

use std::ops::RangeInclusive;

use sqlx::{PgConnection, PgPool};

use super::pool::{Backend, Database};
use crate::{
    error::Result,
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, TimeRange},
    },
};

/// A table that is partitioned by time, and how much time one partition holds.
struct Partitioned {
    table: &'static str,
    column: &'static str,
    days: i64,
    storage: &'static str,
}

/// The advisory lock of whoever makes partitions; any fixed number of ours does.
const LOCK_KEY: i64 = 0x7065_7266_7061_7274;

const TABLES: [Partitioned; 4] = [
    Partitioned { table: "metric_event", column: "ts", days: 1, storage: "" },
    Partitioned { table: "metric_rollup_1m", column: "bucket", days: 1, storage: "" },
    // Rows are replaced once a minute while their time lasts: half-empty pages let that happen in place.
    Partitioned { table: "metric_rollup_5m", column: "bucket", days: 1, storage: " WITH (fillfactor = 50)" },
    Partitioned { table: "metric_rollup_1h", column: "bucket", days: 32, storage: " WITH (fillfactor = 50)" },
];

/// Makes sure that every partition that holds a part of `range` exists. What the default partition holds of its time,
/// because it was not made ahead, moves there.
///
/// # Errors
/// When the database cannot do it now.
pub async fn ensure(database: &Database, range: TimeRange) -> Result<()> {
    let Backend::Postgres(pool) = database.backend() else {
        return Ok(());
    };
    for partitioned in &TABLES {
        // One instance at a time: IF NOT EXISTS alone looks before it makes, and two that look at once both make. A
        // transaction per table, because making a partition locks the whole table until the end.
        let mut transaction = pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK_KEY).execute(&mut *transaction).await?;
        let existing: Vec<String> = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = $1::regclass",
        )
        .bind(partitioned.table)
        .fetch_all(&mut *transaction)
        .await?;
        let width = partitioned.days * DAY_MICROS;
        for slot in slots(range, width) {
            let (from, to) = (slot * width, (slot + 1) * width);
            let name = format!("{}_{}", partitioned.table, day_name(Timestamp::from_micros(from)));
            if !existing.contains(&name) {
                make(&mut transaction, partitioned, &name, (from, to)).await?;
            }
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Makes a partition. The database refuses one whose rows stand in the default partition, and they would go on to
/// arrive there: a machine that slept over the days that were made ahead would never have a partition again.
async fn make(
    connection: &mut PgConnection,
    Partitioned { table, column, storage, .. }: &Partitioned,
    name: &str,
    (from, to): (i64, i64),
) -> Result<()> {
    // Names and bounds are made of digits here, nothing of a caller's is in the text.
    let mut run = async |sql: String| sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *connection).await;
    // Making it takes this lock too. Taken first, nobody adds rows behind the look at them.
    run(format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")).await?;
    let there = format!("{table}_default WHERE {column} >= {from} AND {column} < {to}");
    if run(format!("SELECT FROM {there} LIMIT 1")).await?.rows_affected() == 0 {
        run(format!("CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({from}) TO ({to}){storage}")).await?;
        return Ok(());
    }
    tracing::info!(name, "a partition was not made ahead; the rows of its time move there");
    // As many rows as came meanwhile: no statement of a request takes so long.
    run("SET LOCAL statement_timeout = 0".to_owned()).await?;
    run(format!("CREATE TABLE {name} (LIKE {table} INCLUDING ALL){storage}")).await?;
    run(format!("WITH moved AS (DELETE FROM {there} RETURNING *) INSERT INTO {name} SELECT * FROM moved")).await?;
    run(format!("ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})")).await?;
    Ok(())
}

/// Removes the partitions of a table that end before a moment, and what the default partition holds of that time. Gives
/// up where a query that reads the table lasts: who waits for its lock holds up everybody behind.
///
/// # Errors
/// When the database cannot do it now.
pub(super) async fn drop_before(pool: &PgPool, table: &str, column: &str, before: Timestamp) -> Result<()> {
    let over: Vec<String> = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = $1::regclass \
         AND substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''?(-?[0-9]+)')::bigint <= $2",
    )
    .bind(table)
    .bind(before.as_micros())
    .fetch_all(pool)
    .await?;
    for partition in over {
        let mut transaction = pool.begin().await?;
        sqlx::query("SET LOCAL lock_timeout = '500ms'").execute(&mut *transaction).await?;
        sqlx::query(sqlx::AssertSqlSafe(format!("DROP TABLE IF EXISTS {partition}")))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        tracing::info!(partition, "a partition was dropped: its measurements are older than retention keeps");
    }
    let rest = format!("DELETE FROM {table}_default WHERE {column} < $1");
    sqlx::query(sqlx::AssertSqlSafe(rest)).bind(before.as_micros()).execute(pool).await?;
    Ok(())
}

fn slots(range: TimeRange, width: i64) -> RangeInclusive<i64> {
    range.from().as_micros().div_euclid(width)..=(range.to().as_micros() - 1).div_euclid(width)
}

fn day_name(day: Timestamp) -> String {
    day.to_string().chars().take(10).filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_ends_at_midnight_needs_no_further_day() {
        let range = TimeRange::new(Timestamp::from_micros(0), Timestamp::from_micros(2 * DAY_MICROS)).unwrap();
        assert_eq!(slots(range, DAY_MICROS), 0..=1);
        assert_eq!(day_name(Timestamp::from_micros(31 * DAY_MICROS)), "19700201");
    }
}
