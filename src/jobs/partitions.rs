//! Time partitions of the metric tables on PostgreSQL, created ahead of time so that inserts never wait for one, and dropped
//! by retention.
//!
//! A partition is named by its first day (`metric_event_20260131`). SQLite has no partitions.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc};

use sqlx::AssertSqlSafe;

use crate::{
    clock::Clock,
    config::Config,
    db::{Database, Stock, Taken, Writer},
    error::Result,
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS, TimeRange},
    },
};

/// The number of days around now whose partitions are kept ready.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// Days in the past, for late measurements.
    pub past: u32,
    /// Days ahead.
    pub future: u32,
}

impl From<&Config> for Days {
    fn from(config: &Config) -> Self {
        Self { past: config.ingest.time_window_past_hours.div_ceil(24), future: config.database.partition_days_ahead }
    }
}

/// A table that is partitioned by time.
struct PartitionedTable {
    table: &'static str,
    column: &'static str,
    /// The number of days per partition.
    days: i64,
    /// Storage parameters.
    storage: &'static str,
}

/// The advisory lock under which partitions are created. An arbitrary number.
const LOCK_KEY: i64 = 0x7065_7266_7061_7274;

const TABLES: [PartitionedTable; 5] = [
    PartitionedTable { table: "metric_event", column: "ts", days: 1, storage: "" },
    PartitionedTable { table: "metric_label", column: "ts", days: 1, storage: "" },
    PartitionedTable { table: "metric_rollup_1m", column: "bucket", days: 1, storage: "" },
    // Rows are replaced once a minute until their time is over: half-empty pages let that happen in place.
    PartitionedTable { table: "metric_rollup_5m", column: "bucket", days: 1, storage: " WITH (fillfactor = 50)" },
    PartitionedTable { table: "metric_rollup_1h", column: "bucket", days: 32, storage: " WITH (fillfactor = 50)" },
];

/// Creates the missing partitions around now.
///
/// # Errors
/// The database fails.
pub async fn ensure(database: &Database, clock: &Clock, days: Days) -> Result<()> {
    let now = clock.now();
    let from = now.plus_micros(-i64::from(days.past) * DAY_MICROS);
    let to = now.plus_micros(i64::from(days.future).max(1) * DAY_MICROS);
    ensure_range(database, TimeRange::new(from, to)?).await
}

/// Creates the missing partitions that overlap `range`. Rows of such a partition that are in the default partition move
/// into it.
///
/// # Errors
/// The database fails.
pub async fn ensure_range(database: &Database, range: TimeRange) -> Result<()> {
    let Writer::Postgres(stock) = database.bulk_writer() else {
        return Ok(());
    };
    for partitioned in &TABLES {
        // One instance at a time, because IF NOT EXISTS alone is a race. A transaction per table, because creating a
        // partition locks the whole table until the end of the transaction.
        let mut transaction = Taken::in_transaction(stock).await?;
        let (answers, mut connection) = transaction.postgres()?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK_KEY);
        answers.answer(lock.execute(connection.again())).await?;
        let names = sqlx::query_scalar(
            "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
             WHERE i.inhparent = $1::regclass",
        );
        let existing: Vec<String> = answers.answer(names.bind(partitioned.table).fetch_all(connection)).await?;
        let width = partitioned.days * DAY_MICROS;
        for slot in slots(range, width) {
            let (from, to) = (slot * width, (slot + 1) * width);
            let name = format!("{}_{}", partitioned.table, day_name(Timestamp::from_micros(from)));
            if !existing.contains(&name) {
                create(&mut transaction, partitioned, &name, (from, to)).await?;
            }
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// The days of rows from before the usual time window, for which partitions are created when they are met.
#[derive(Debug)]
pub struct PartitionDays {
    first: Timestamp,
    future_minutes: u32,
    noted: BTreeSet<Timestamp>,
    made: BTreeSet<Timestamp>,
}

impl PartitionDays {
    /// Days of rows from `from` until `future_minutes` after now. Others are refused; partitions for corrupt dates would be
    /// left behind.
    pub const fn within(from: Timestamp, future_minutes: u32) -> Self {
        Self { first: from.plus_micros(-DAY_MICROS), future_minutes, noted: BTreeSet::new(), made: BTreeSet::new() }
    }

    /// Adds the day of a row.
    pub fn note(&mut self, timestamp: Option<Timestamp>) {
        let day = timestamp.map(|timestamp| timestamp.floor(DAY_MICROS));
        self.noted.extend(day.filter(|day| !self.made.contains(day)));
    }

    /// Creates the partitions of new days.
    ///
    /// # Errors
    /// The database fails.
    pub async fn make(&mut self, database: &Database, now: Timestamp) -> Result<()> {
        let ahead = i64::from(self.future_minutes) * MINUTE_MICROS;
        let (first, last) = (self.first.floor(DAY_MICROS), now.plus_micros(ahead));
        let noted = std::mem::take(&mut self.noted);
        for day in noted.into_iter().filter(|day| (first..=last).contains(day)) {
            if let Ok(range) = TimeRange::new(day, day.plus_micros(DAY_MICROS)) {
                ensure_range(database, range).await?;
            }
            self.made.insert(day);
        }
        Ok(())
    }
}

/// Creates a partition and moves its rows out of the default partition. The database refuses to create a partition while
/// the default partition holds rows of it: a machine that slept longer than partitions were created ahead would never get
/// new ones.
async fn create(
    transaction: &mut Taken,
    PartitionedTable { table, column, storage, .. }: &PartitionedTable,
    name: &str,
    (from, to): (i64, i64),
) -> Result<()> {
    // Names and bounds consist of constants and digits, never of a caller's text.
    let (answers, mut connection) = transaction.postgres()?;
    let answers = answers.without_limit();
    let mut run = async |sql: String| answers.answer(sqlx::query(AssertSqlSafe(sql)).execute(connection.again())).await;
    // Creating the partition takes this lock too. Taken here, it also keeps rows from arriving after the check below.
    run(format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")).await?;
    let misplaced = format!("{table}_default WHERE {column} >= {from} AND {column} < {to}");
    if run(format!("SELECT FROM {misplaced} LIMIT 1")).await?.rows_affected() == 0 {
        run(format!("CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({from}) TO ({to}){storage}")).await?;
        return Ok(());
    }
    tracing::info!(name, "the partition was not created ahead; its rows move out of the default partition");
    // The move may take longer than statements of requests are allowed to.
    run("SET LOCAL statement_timeout = 0".to_owned()).await?;
    run(format!("CREATE TABLE {name} (LIKE {table} INCLUDING ALL){storage}")).await?;
    run(format!("WITH moved AS (DELETE FROM {misplaced} RETURNING *) INSERT INTO {name} SELECT * FROM moved")).await?;
    run(format!("ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to})")).await?;
    Ok(())
}

/// Drops the partitions of a table that end before `before`, and deletes older rows from the default partition. Gives up if
/// a long query reads the table: waiting for its lock would block all later queries.
///
/// # Errors
/// The database fails, or the lock is not available.
pub(super) async fn drop_before(stock: &Arc<Stock>, table: &str, column: &str, before: Timestamp) -> Result<()> {
    let mut transaction = Taken::in_transaction(stock).await?;
    let (answers, mut connection) = transaction.postgres()?;
    let expired = sqlx::query_scalar(
        "SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = $1::regclass \
         AND substring(pg_get_expr(c.relpartbound, c.oid) FROM 'TO \\(''?(-?[0-9]+)')::bigint <= $2",
    );
    let expired = expired.bind(table).bind(before.as_micros());
    let expired: Vec<String> = answers.answer(expired.fetch_all(connection.again())).await?;
    let rest = AssertSqlSafe(format!("DELETE FROM {table}_default WHERE {column} < $1"));
    answers.answer(sqlx::query(rest).bind(before.as_micros()).execute(connection)).await?;
    transaction.commit().await?;
    for partition in expired {
        let mut transaction = Taken::in_transaction(stock).await?;
        let (answers, mut connection) = transaction.postgres()?;
        let mut run =
            async |sql: String| answers.answer(sqlx::query(AssertSqlSafe(sql)).execute(connection.again())).await;
        run("SET LOCAL lock_timeout = '500ms'".to_owned()).await?;
        run(format!("DROP TABLE IF EXISTS {partition}")).await?;
        transaction.commit().await?;
        tracing::info!(partition, "the partition was dropped: its retention period is over");
    }
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
