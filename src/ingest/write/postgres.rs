//! The steps on PostgreSQL. Every statement takes its rows as arrays, one per column, through UNNEST.
//!
//! COPY would cost the server less, but sqlx sends its data and its end in two packets and leaves Nagle's algorithm on, so
//! that over TCP every COPY waits 40 ms for a delayed acknowledgement (measured).

use std::sync::{Arc, LazyLock};

use super::{LedgerEntry, Marked, RowsAndParts, StreamEnd, count, times};
use crate::{
    clock::Stopwatch,
    db::{Lease, StatementLog, Stock, Taken},
    ingest::{
        breakdown::{self, Addition},
        commit_group::{CommitEntry, LedgerKey, LedgerRow},
        late::LateRow,
        rollup::{LabelRow, RawRow},
    },
    model::{DayParts, SeriesDay, timestamp::DAY_MICROS},
};

// INSERT processes rows in the order of the arrays, which is the order in which every instance locks keys.
const CLAIM: &str = "INSERT INTO ingest_batch (organization_id, source, idem_key, project_id, first_id, body_hash, \
    n_accepted, n_rejected, min_ts, max_ts, received_at, rejections) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::int[], \
    $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[]) \
    ON CONFLICT (organization_id, source, idem_key) DO NOTHING RETURNING first_id";
// Look-ups by key are subqueries that cannot become joins, as in `endpoint/store/postgres`.
const EARLIER: &str = "SELECT found.* FROM unnest($1::bigint[], $2::text[], $3::text[]) \
    AS asked (organization_id, source, idem_key) CROSS JOIN LATERAL ( \
    SELECT b.organization_id, b.source, b.idem_key, b.seq, b.body_hash, b.n_accepted, b.rejections FROM ingest_batch b \
    WHERE b.organization_id = asked.organization_id AND b.source = asked.source AND b.idem_key = asked.idem_key \
    OFFSET 0) AS found";
const INSERT_LATE: &str = "INSERT INTO metric_late (organization_id, project_id, kind, bucket, part, n) \
    SELECT organization_id, project_id, kind, bucket, $5, n \
    FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $6::bigint[]) \
    AS late (organization_id, project_id, kind, bucket, n)";
const INSERT_LABELS: &str = "INSERT INTO metric_label (organization_id, project_id, kind, ts, id, labels) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::text[])";
// Rows and parts in one statement, the last steps in another: the time of small commits is dominated by round trips.
const PARTS: &str = "WITH part AS (INSERT INTO metric_rollup_part (organization_id, project_id, kind, bucket, endpoint_id, \
    part, n, n_err, sum, min, max, sketch) SELECT organization_id, project_id, kind, bucket, endpoint_id, $6, n, n_err, \
    sum, min, max, sketch FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], \
    $7::bigint[], $8::bigint[], $9::double precision[], $10::double precision[], $11::double precision[], $12::bytea[]) \
    AS cell (organization_id, project_id, kind, bucket, endpoint_id, n, n_err, sum, min, max, sketch))";
const ROWS: &str = "INSERT INTO metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, status, bin) \
    SELECT * FROM unnest($13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], $17::double precision[], \
    $18::bigint[], $19::smallint[], $20::smallint[], $21::smallint[])";
const TAGGED_ROWS: &str = "INSERT INTO metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, status, \
    bin, name, release) SELECT * FROM unnest($13::bigint[], $14::bigint[], $15::bigint[], $16::bigint[], \
    $17::double precision[], $18::bigint[], $19::smallint[], $20::smallint[], $21::smallint[], $22::text[], $23::text[])";
static INSERT: LazyLock<String> = LazyLock::new(|| format!("{PARTS} {ROWS}"));
static INSERT_TAGGED: LazyLock<String> = LazyLock::new(|| format!("{PARTS} {TAGGED_ROWS}"));
// An upsert rather than an update: it locks in the order of the arrays, and creates the row of a new organization, which begins with
// the bound of single measurements. Entries
// with a key are in the ledger since they were claimed; those without a key are inserted here.
const CONCLUDE: &str = "WITH kept AS (SELECT (SELECT since FROM metric_kept WHERE table_name = 'metric_event') AS since), \
    stream AS (INSERT INTO organization_stream (organization_id, last_seq, breakdowns_before, raw_since) \
    SELECT step.*, kept.since, kept.since FROM unnest($1::bigint[], $2::bigint[]) AS step, kept WHERE $20::smallint IS NULL \
    OR EXISTS (SELECT FROM instance_node WHERE node = $20 AND epoch = $21) ON CONFLICT (organization_id) \
    DO UPDATE SET last_seq = organization_stream.last_seq + excluded.last_seq RETURNING organization_id, last_seq, \
    breakdowns_before, raw_since), \
    keyed AS (UPDATE ingest_batch SET seq = claimed.seq FROM (SELECT found.row, stream.last_seq - given.behind AS seq \
    FROM unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[]) AS given (organization_id, source, idem_key, behind) \
    JOIN stream USING (organization_id) CROSS JOIN LATERAL (SELECT b.ctid AS row FROM ingest_batch b \
    WHERE b.organization_id = given.organization_id AND b.source = given.source AND b.idem_key = given.idem_key \
    OFFSET 0) AS found OFFSET 0) AS claimed WHERE ingest_batch.ctid = claimed.row), \
    free AS (INSERT INTO ingest_batch (organization_id, source, idem_key, project_id, first_id, body_hash, n_accepted, \
    n_rejected, min_ts, max_ts, received_at, rejections, seq) \
    SELECT organization_id, source, idem_key, project_id, first_id, body_hash, n_accepted, n_rejected, min_ts, max_ts, \
    received_at, rejections, stream.last_seq - behind \
    FROM unnest($7::bigint[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bytea[], $13::int[], \
    $14::int[], $15::bigint[], $16::bigint[], $17::bigint[], $18::text[], $19::bigint[]) \
    AS given (organization_id, source, idem_key, project_id, first_id, body_hash, n_accepted, n_rejected, min_ts, \
    max_ts, received_at, rejections, behind) JOIN stream USING (organization_id)) \
    SELECT organization_id, last_seq, breakdowns_before, raw_since FROM stream";
// Locks the rows in the order of the arrays, before it is known whether there is anything to remove: `jobs/breakdowns` may just be
// storing what it made of one of them, which each later statement sees. All bits stand for an attempt that is under way.
const LOCK_MARKED: &str = "SELECT found.* FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) \
    AS asked (organization_id, project_id, kind, day) CROSS JOIN LATERAL ( \
    SELECT g.organization_id, g.project_id, g.kind, g.day, CASE WHEN g.build > 0 THEN -1 ELSE g.seen_parts END \
    FROM metric_grain g WHERE g.organization_id = asked.organization_id AND g.project_id = asked.project_id AND g.kind = asked.kind \
    AND g.day = asked.day FOR NO KEY UPDATE OFFSET 0) AS found";
const UNMARK: &str = "UPDATE metric_grain SET status_parts = status_parts & ~late.parts, \
    release_parts = release_parts & ~late.parts, name_parts = name_parts & ~late.parts, \
    all_parts = all_parts & ~late.parts, seen_parts = seen_parts & ~late.parts, build = -ABS(build) \
    FROM (SELECT found.row, asked.parts FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::int[]) \
    AS asked (organization_id, project_id, kind, day, parts) CROSS JOIN LATERAL ( \
    SELECT g.ctid AS row FROM metric_grain g WHERE g.organization_id = asked.organization_id \
    AND g.project_id = asked.project_id AND g.kind = asked.kind AND g.day = asked.day OFFSET 0) AS found OFFSET 0) AS late \
    WHERE metric_grain.ctid = late.row";

// All hours of such a day have rows by one column, and none by several. The row, which retention may have removed, is where
// `jobs/breakdowns` finds that there is something to merge.
const MARK_KEPT: &str = "INSERT INTO metric_grain (organization_id, project_id, kind, day, all_endpoints, by_endpoint, \
    status_parts, release_parts, name_parts, seen_parts) \
    SELECT kept.*, 0, 0, $5, $5, $5, $6 FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) AS kept \
    ON CONFLICT (organization_id, project_id, kind, day) DO UPDATE SET status_parts = excluded.status_parts, \
    release_parts = excluded.release_parts, name_parts = excluded.name_parts, all_parts = 0, \
    seen_parts = excluded.seen_parts, build = -ABS(metric_grain.build)";

/// Removes the breakdowns by several columns of a table by their days, which are four arrays, and the length of a day.
macro_rules! remove_several {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY(ARRAY(SELECT found.row FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) \
             AS asked (organization_id, project_id, kind, day) CROSS JOIN LATERAL (SELECT b.ctid AS row FROM ",
            $table,
            " b WHERE b.organization_id = asked.organization_id AND b.project_id = asked.project_id \
             AND b.kind = asked.kind AND b.bucket >= asked.day AND b.bucket < asked.day + $5 AND b.detail = 4 OFFSET 0) AS found))"
        )
    };
}

/// Inserts rows of breakdowns, which are fourteen arrays.
macro_rules! insert_breakdowns {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (organization_id, project_id, kind, bucket, detail, status, release, name, n, n_err, sum, min, max, sketch) \
             SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::smallint[], $6::smallint[], \
             $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::double precision[], $12::double precision[], \
             $13::double precision[], $14::bytea[])"
        )
    };
}

/// Removes the breakdowns of a table by their buckets, which are four arrays.
macro_rules! remove_breakdowns {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ctid = ANY(ARRAY(SELECT found.row FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) \
             AS asked (organization_id, project_id, kind, bucket) CROSS JOIN LATERAL (SELECT b.ctid AS row FROM ",
            $table,
            " b WHERE b.organization_id = asked.organization_id AND b.project_id = asked.project_id \
             AND b.kind = asked.kind AND b.bucket = asked.bucket OFFSET 0) AS found))"
        )
    };
}
const REMOVE_HOURS: &str = remove_breakdowns!("metric_breakdown_1h");
const REMOVE_DAYS: &str = remove_breakdowns!("metric_breakdown_1d");

/// Binds the columns of the ledger except for the sequence.
macro_rules! bind_ledger {
    ($query:expr, $entries:expr) => {{
        let entries = &$entries;
        let jobs = || entries.iter().map(|entry| entry.job);
        let (min, max): (Vec<i64>, Vec<i64>) = entries.iter().map(|entry| times(entry)).unzip();
        $query
            .bind(jobs().map(|job| job.project.organization.0).collect::<Vec<_>>())
            .bind(jobs().map(|job| job.source.as_str()).collect::<Vec<_>>())
            .bind(entries.iter().map(|entry| entry.key.as_ref()).collect::<Vec<_>>())
            .bind(jobs().map(|job| job.project.id.0).collect::<Vec<_>>())
            .bind(entries.iter().map(|entry| entry.first_id).collect::<Vec<_>>())
            .bind(jobs().map(|job| job.body_hash.as_slice()).collect::<Vec<_>>())
            .bind(jobs().map(|job| count(job.measurements.len())).collect::<Vec<_>>())
            .bind(jobs().map(|job| count(job.rejected.len())).collect::<Vec<_>>())
            .bind(min)
            .bind(max)
            .bind(jobs().map(|job| job.received_at.as_micros()).collect::<Vec<_>>())
            .bind(entries.iter().map(|entry| entry.rejections.as_deref()).collect::<Vec<_>>())
    }};
}

/// Binds series, which are the first of each item, and a time of each.
macro_rules! by_bucket {
    ($query:expr, $items:expr, $bucket:expr) => {
        $query
            .bind(column(&$items, |(series, _)| series.organization))
            .bind(column(&$items, |(series, _)| series.project))
            .bind(column(&$items, |(series, _)| series.kind))
            .bind(column(&$items, $bucket))
    };
}

pub struct Transaction {
    inner: Taken,
    log: StatementLog,
}

pub async fn begin(stock: &Arc<Stock>, log: StatementLog) -> sqlx::Result<Transaction> {
    Ok(Transaction { inner: Taken::in_transaction(stock).await?, log })
}

impl super::Transaction for Transaction {
    async fn claim(&mut self, keyed: &[&CommitEntry<'_>]) -> sqlx::Result<Vec<i64>> {
        let watch = Stopwatch::start();
        let insert = bind_ledger!(sqlx::query_scalar(CLAIM), keyed);
        let (answers, connection) = self.inner.postgres()?;
        let claimed: Vec<i64> = answers.answer(insert.fetch_all(connection)).await?;
        self.log.add(CLAIM, claimed.len(), watch);
        Ok(claimed)
    }

    async fn earlier(&mut self, keys: &[LedgerKey<'_>]) -> sqlx::Result<Vec<LedgerRow>> {
        let watch = Stopwatch::start();
        let earlier = sqlx::query_as(EARLIER)
            .bind(keys.iter().map(|key| key.0).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.1).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.2).collect::<Vec<_>>());
        let (answers, connection) = self.inner.postgres()?;
        let found: Vec<LedgerColumns> = answers.answer(earlier.fetch_all(connection)).await?;
        self.log.add(EARLIER, found.len(), watch);
        Ok(found.into_iter().map(stored).collect())
    }

    async fn insert(&mut self, part: i64, RowsAndParts { rows, parts, .. }: &RowsAndParts<'_>) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let is_tagged = rows.iter().any(|row| row.tags.is_some());
        let sql: &'static str = if is_tagged { &INSERT_TAGGED } else { &INSERT };
        let mut insert = sqlx::query(sql)
            .bind(column(parts, |row| row.organization))
            .bind(column(parts, |row| row.project))
            .bind(column(parts, |row| row.kind))
            .bind(column(parts, |row| row.bucket))
            .bind(column(parts, |row| row.endpoint))
            .bind(part)
            .bind(column(parts, |row| row.tally.n()))
            .bind(column(parts, |row| row.tally.n_err()))
            .bind(column(parts, |row| row.tally.sum.value()))
            .bind(column(parts, |row| row.tally.min()))
            .bind(column(parts, |row| row.tally.max()))
            .bind(parts.iter().map(|row| row.tally.distribution.as_slice()).collect::<Vec<_>>())
            .bind(column(rows, |row| row.organization))
            .bind(column(rows, |row| row.project))
            .bind(column(rows, |row| row.ts))
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.value))
            .bind(column(rows, |row| row.endpoint))
            .bind(column(rows, |row| row.kind))
            .bind(column(rows, |row| row.status))
            .bind(column(rows, |row| row.bin));
        if is_tagged {
            insert = insert.bind(column(rows, RawRow::name)).bind(column(rows, RawRow::release));
        }
        let (answers, connection) = self.inner.postgres()?;
        answers.answer(insert.execute(connection)).await?;
        self.log.add(sql, rows.len(), watch);
        Ok(())
    }

    async fn insert_labels(&mut self, labels: &[LabelRow]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let insert = sqlx::query(INSERT_LABELS)
            .bind(column(labels, |row| row.organization))
            .bind(column(labels, |row| row.project))
            .bind(column(labels, |row| row.kind))
            .bind(column(labels, |row| row.ts))
            .bind(column(labels, |row| row.id))
            .bind(labels.iter().map(|row| row.labels.as_str()).collect::<Vec<_>>());
        let (answers, connection) = self.inner.postgres()?;
        answers.answer(insert.execute(connection)).await?;
        self.log.add(INSERT_LABELS, labels.len(), watch);
        Ok(())
    }

    async fn insert_late(&mut self, part: i64, late: &[LateRow]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let insert = sqlx::query(INSERT_LATE)
            .bind(column(late, |row| row.organization))
            .bind(column(late, |row| row.project))
            .bind(column(late, |row| row.kind))
            .bind(column(late, |row| row.bucket))
            .bind(part)
            .bind(column(late, |row| row.n));
        let (answers, connection) = self.inner.postgres()?;
        answers.answer(insert.execute(connection)).await?;
        self.log.add(INSERT_LATE, late.len(), watch);
        Ok(())
    }

    async fn conclude(
        &mut self,
        lease: Option<Lease>,
        steps: &[(i64, i64)],
        ledger: &[LedgerEntry<'_, '_>],
    ) -> sqlx::Result<Vec<StreamEnd>> {
        // Without rows there is no sequence to add: such an entry was inserted when its key was claimed.
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let watch = Stopwatch::start();
        let (organizations, steps): (Vec<i64>, Vec<i64>) = steps.iter().copied().unzip();
        let (keyed, free): (Vec<_>, Vec<_>) =
            ledger.iter().filter(|row| row.behind.is_some()).partition(|row| row.entry.job.key.is_some());
        let conclude = sqlx::query_as(CONCLUDE)
            .bind(organizations)
            .bind(steps)
            .bind(column(&keyed, |row| row.entry.job.project.organization.0))
            .bind(keyed.iter().map(|row| row.entry.job.source.as_str()).collect::<Vec<_>>())
            .bind(keyed.iter().map(|row| row.entry.key.as_ref()).collect::<Vec<_>>())
            .bind(column(&keyed, |row| row.behind));
        let entries: Vec<&CommitEntry<'_>> = free.iter().map(|row| row.entry).collect();
        let conclude = bind_ledger!(conclude, entries)
            .bind(column(&free, |row| row.behind))
            .bind(lease.map(|lease| lease.node))
            .bind(lease.map(|lease| lease.epoch));
        let (answers, connection) = self.inner.postgres()?;
        let last: Vec<StreamEnd> = answers.answer(conclude.fetch_all(connection)).await?;
        self.log.add(CONCLUDE, ledger.len(), watch);
        Ok(last)
    }

    async fn marked(&mut self, late: &[(SeriesDay, DayParts)]) -> sqlx::Result<Vec<Marked>> {
        let watch = Stopwatch::start();
        let lock = by_bucket!(sqlx::query_as(LOCK_MARKED), late, |(series, _)| series.day);
        let (answers, connection) = self.inner.postgres()?;
        let marked: Vec<Marked> = answers.answer(lock.fetch_all(connection)).await?;
        self.log.add(LOCK_MARKED, marked.len(), watch);
        Ok(marked)
    }

    async fn reopen(&mut self, late: &[(SeriesDay, DayParts)]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let hours = breakdown::hours(late);
        for remove in [
            by_bucket!(sqlx::query(UNMARK), late, |(series, _)| series.day)
                .bind(column(late, |(_, parts)| parts.bits())),
            by_bucket!(sqlx::query(REMOVE_HOURS), hours, |(_, bucket)| *bucket),
            by_bucket!(sqlx::query(REMOVE_DAYS), late, |(series, _)| series.day),
        ] {
            let (answers, connection) = self.inner.postgres()?;
            answers.answer(remove.execute(connection)).await?;
        }
        self.log.add(UNMARK, late.len(), watch);
        Ok(())
    }

    async fn extend(
        &mut self,
        kept: &[(SeriesDay, DayParts)],
        hours: &[Addition],
        days: &[Addition],
    ) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let by_day = |sql| by_bucket!(sqlx::query(sql), kept, |(series, _)| series.day);
        for change in [
            by_day(MARK_KEPT).bind(DayParts::ALL.bits()).bind(DayParts::ALL.bits() | DayParts::ADDED),
            by_day(remove_several!("metric_breakdown_1h")).bind(DAY_MICROS),
            by_day(remove_several!("metric_breakdown_1d")).bind(DAY_MICROS),
        ] {
            let (answers, connection) = self.inner.postgres()?;
            answers.answer(change.execute(connection)).await?;
        }
        for (sql, rows) in
            [(insert_breakdowns!("metric_breakdown_1h"), hours), (insert_breakdowns!("metric_breakdown_1d"), days)]
        {
            let insert = sqlx::query(sql)
                .bind(column(rows, |row| row.series.organization))
                .bind(column(rows, |row| row.series.project))
                .bind(column(rows, |row| row.series.kind))
                .bind(column(rows, |row| row.bucket))
                .bind(column(rows, |row| row.detail.code()))
                .bind(column(rows, |row| row.status))
                .bind(rows.iter().map(|row| row.release.as_str()).collect::<Vec<_>>())
                .bind(rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>())
                .bind(column(rows, |row| row.tally.n()))
                .bind(column(rows, |row| row.tally.n_err()))
                .bind(column(rows, |row| row.tally.sum.value()))
                .bind(column(rows, |row| row.tally.min()))
                .bind(column(rows, |row| row.tally.max()))
                .bind(rows.iter().map(|row| row.tally.distribution.as_slice()).collect::<Vec<_>>());
            let (answers, connection) = self.inner.postgres()?;
            answers.answer(insert.execute(connection)).await?;
        }
        self.log.add(MARK_KEPT, kept.len(), watch);
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

/// One column of rows that are sent as arrays.
fn column<T, V>(rows: &[T], value: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

type LedgerColumns = (i64, String, String, Option<i64>, Vec<u8>, i32, Option<String>);

fn stored((organization, source, key, sequence, body_hash, accepted, rejections): LedgerColumns) -> LedgerRow {
    LedgerRow {
        organization,
        source,
        key,
        sequence,
        body_hash,
        accepted: u32::try_from(accepted).unwrap_or(0),
        rejections,
    }
}
