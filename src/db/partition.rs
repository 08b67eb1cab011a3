//! Time partitions of the metric tables on PostgreSQL, made ahead so that inserts never wait for one.
//!
//! A partition is named by its first day (`metric_event_20260131`). SQLite has none: there is nothing to do.

use std::ops::RangeInclusive;

use sqlx::PgPool;

use super::{Backend, Database};
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
    days: i64,
    storage: &'static str,
}

/// The advisory lock of whoever makes partitions; any fixed number of ours does.
const LOCK_KEY: i64 = 0x7065_7266_7061_7274;

const TABLES: [Partitioned; 3] = [
    Partitioned { table: "metric_event", days: 1, storage: "" },
    Partitioned { table: "metric_rollup_1m", days: 1, storage: "" },
    // Rows are replaced once a minute while their hour lasts: half-empty pages let that happen in place.
    Partitioned { table: "metric_rollup_1h", days: 32, storage: " WITH (fillfactor = 50)" },
];

/// Makes sure that every partition that holds a part of `range` exists.
///
/// # Errors
/// When the database refuses, for instance because the default partition already holds rows of that time.
pub async fn ensure(database: &Database, range: TimeRange) -> Result<()> {
    let Backend::Postgres(pool) = database.backend() else {
        return Ok(());
    };
    for Partitioned { table, days, storage } in TABLES {
        // One instance at a time: IF NOT EXISTS alone looks before it makes, and two that look at once both make. A
        // transaction per table, because making a partition locks the whole table until the end.
        let mut transaction = pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK_KEY).execute(&mut *transaction).await?;
        let existing: Vec<String> = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = $1::regclass",
        )
        .bind(table)
        .fetch_all(&mut *transaction)
        .await?;
        let width = days * DAY_MICROS;
        for slot in slots(range, width) {
            let (from, to) = (slot * width, (slot + 1) * width);
            let name = format!("{table}_{}", day_name(Timestamp::from_micros(from)));
            if existing.contains(&name) {
                continue;
            }
            // Names and bounds are made of digits here, nothing of a caller's is in the text.
            let sql = format!("CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({from}) TO ({to}){storage}");
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
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
