//! The steps on SQLite. Inserts use multi-row VALUES in a few fixed sizes, so that each statement is prepared once; lookups
//! take their keys as one JSON array.

use std::sync::{Arc, LazyLock};

use serde_json::json;
use sqlx::{Arguments, Sqlite, SqlitePool, query::Query, sqlite::SqliteArguments};

use super::{LedgerEntry, Marked, RowsAndParts, StreamEnd, count, times};
use crate::{
    clock::Stopwatch,
    db::{Lease, StatementLog, json_array},
    ingest::{
        breakdown::{self, Addition},
        commit_group::{CommitEntry, LedgerKey, LedgerRow},
        late::LateRow,
        rollup::{LabelRow, RawRow},
    },
    model::{DayParts, SeriesDay, timestamp::DAY_MICROS},
};

// The transaction holds SQLite's only write lock, so an absent key stays absent until the commit.
const CLAIM: &str = "SELECT asked.value->>3 FROM json_each(?1) AS asked WHERE NOT EXISTS (SELECT 1 FROM ingest_batch \
    WHERE organization_id = asked.value->>0 AND source = asked.value->>1 AND idem_key = asked.value->>2)";
// CROSS JOIN fixes the join order: the requested keys outside, the ledger by its primary key inside.
const EARLIER: &str = "SELECT organization_id, source, idem_key, seq, body_hash, n_accepted, rejections \
    FROM json_each(?1) AS asked CROSS JOIN ingest_batch \
    ON organization_id = asked.value->>0 AND source = asked.value->>1 AND idem_key = asked.value->>2";
// A new organization begins with the bound of single measurements. Without WHERE the parser would take ON CONFLICT for the ON of a join.
const ADVANCE: &str = "WITH kept AS (SELECT (SELECT since FROM metric_kept WHERE table_name = 'metric_event') AS since) \
    INSERT INTO organization_stream (organization_id, last_seq, breakdowns_before, raw_since) \
    SELECT value->>0, value->>1, kept.since, kept.since FROM json_each(?1), kept WHERE ?2 IS NULL \
    OR EXISTS (SELECT 1 FROM instance_node WHERE node = ?2 AND epoch = ?3) ON CONFLICT (organization_id) \
    DO UPDATE SET last_seq = organization_stream.last_seq + excluded.last_seq \
    RETURNING organization_id, last_seq, breakdowns_before, raw_since";
// The transaction is the only one that writes, so nothing has to be locked.
const MARKED: &str = "SELECT g.organization_id, g.project_id, g.kind, g.day, \
    CASE WHEN g.build > 0 THEN -1 ELSE g.seen_parts END \
    FROM json_each(?1) AS asked CROSS JOIN metric_grain AS g ON g.organization_id = asked.value->>0 \
    AND g.project_id = asked.value->>1 AND g.kind = asked.value->>2 AND g.day = asked.value->>3";
const UNMARK: &str = "UPDATE metric_grain SET status_parts = status_parts & ~(late.value->>4), \
    release_parts = release_parts & ~(late.value->>4), name_parts = name_parts & ~(late.value->>4), \
    all_parts = all_parts & ~(late.value->>4), seen_parts = seen_parts & ~(late.value->>4), build = -ABS(build) \
    FROM json_each(?1) AS late WHERE organization_id = late.value->>0 AND project_id = late.value->>1 \
    AND kind = late.value->>2 AND day = late.value->>3";
const REMOVE_HOURS: &str = "DELETE FROM metric_breakdown_1h WHERE (organization_id, project_id, kind, bucket) IN \
    (SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?1))";
const REMOVE_DAYS: &str = "DELETE FROM metric_breakdown_1d WHERE (organization_id, project_id, kind, bucket) IN \
    (SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?1))";
// All hours of such a day have rows by one column, and none by several. The row, which retention may have removed, is where
// `jobs/breakdowns` finds that there is something to merge. Without WHERE the parser would take ON CONFLICT for the ON of a join.
const MARK_KEPT: &str = "INSERT INTO metric_grain (organization_id, project_id, kind, day, all_endpoints, by_endpoint, \
    status_parts, release_parts, name_parts, seen_parts) \
    SELECT value->>0, value->>1, value->>2, value->>3, 0, 0, ?2, ?2, ?2, ?3 FROM json_each(?1) WHERE true \
    ON CONFLICT (organization_id, project_id, kind, day) DO UPDATE SET status_parts = excluded.status_parts, \
    release_parts = excluded.release_parts, name_parts = excluded.name_parts, all_parts = 0, \
    seen_parts = excluded.seen_parts, build = -ABS(metric_grain.build)";
const BREAKDOWN_COLUMNS: &str =
    "organization_id, project_id, kind, bucket, detail, status, release, name, n, n_err, sum, min, max, sketch";
const LEDGER_COLUMNS: &str = "organization_id, source, idem_key, seq, project_id, first_id, body_hash, n_accepted, \
    n_rejected, min_ts, max_ts, received_at, rejections";
const ROW_COLUMNS: &str = "organization_id, project_id, kind, ts, id, value, endpoint_id, status, bin";
const TAGGED_ROW_COLUMNS: &str =
    "organization_id, project_id, kind, ts, id, value, endpoint_id, status, bin, name, release";
const PART_COLUMNS: &str =
    "organization_id, project_id, kind, bucket, endpoint_id, part, n, n_err, sum, min, max, sketch";
const LABEL_COLUMNS: &str = "organization_id, project_id, kind, ts, id, labels";
const LATE_COLUMNS: &str = "organization_id, project_id, kind, bucket, part, n";

/// Removes the breakdowns by several columns of a series in a range of time.
macro_rules! remove_several {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE organization_id = ?1 AND project_id = ?2 AND kind = ?3 AND bucket >= ?4 AND bucket < ?5 AND detail = 4"
        )
    };
}

/// Rows per statement, ascending. Larger statements are no faster, and prepared statements take memory by their size. Rows
/// that do not fill a statement use the next larger one with NULLs, which costs less than one more statement.
const SIZES: [usize; 6] = [1, 4, 16, 32, 128, 512];

/// An INSERT for every size in [`SIZES`].
struct Inserts {
    /// The statement with one row, for the log.
    short: Arc<str>,
    by_size: [(usize, String); SIZES.len()],
    parameters: usize,
}

static ROWS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_event", ROW_COLUMNS));
static TAGGED_ROWS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_event", TAGGED_ROW_COLUMNS));
static LEDGER: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("ingest_batch", LEDGER_COLUMNS));
static PARTS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_rollup_part", PART_COLUMNS));
static LABELS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_label", LABEL_COLUMNS));
static HOURS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_breakdown_1h", BREAKDOWN_COLUMNS));
static DAYS: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_breakdown_1d", BREAKDOWN_COLUMNS));
static LATE: LazyLock<Inserts> = LazyLock::new(|| Inserts::new("metric_late", LATE_COLUMNS));

impl Inserts {
    fn new(table: &str, columns: &str) -> Self {
        let parameters = columns.split(',').count();
        let marks = vec!["?"; parameters].join(", ");
        // OR FAIL: an error rolls back the whole transaction, so statements need no journal of their own. Unused rows are NULL,
        // which the first column of a used row never is.
        let sql = |rows: &str| {
            format!(
                "INSERT OR FAIL INTO {table} ({columns}) SELECT * FROM (VALUES {rows}) AS row WHERE column1 IS NOT NULL"
            )
        };
        let by_size = SIZES.map(|size| (size, sql(&vec![format!("({marks})"); size].join(", "))));
        Self { short: sql(&format!("({marks}), …")).into(), by_size, parameters }
    }

    /// The smallest statement that holds this many rows, or the largest.
    fn fitting(&self, rows: usize) -> Option<&(usize, String)> {
        self.by_size.iter().find(|(size, _)| *size >= rows).or(self.by_size.last())
    }
}

type LedgerColumns = (i64, String, String, Option<i64>, Vec<u8>, u32, Option<String>);

type Bound = Query<'static, Sqlite, SqliteArguments>;

pub struct Transaction {
    inner: sqlx::Transaction<'static, Sqlite>,
    log: StatementLog,
}

pub async fn begin(pool: &SqlitePool, log: StatementLog) -> sqlx::Result<Transaction> {
    // Takes the write lock at once: upgrading a read lock later could fail as busy without waiting.
    let inner = pool.begin_with("BEGIN IMMEDIATE").await?;
    Ok(Transaction { inner, log })
}

impl super::Transaction for Transaction {
    async fn claim(&mut self, keyed: &[&CommitEntry<'_>]) -> sqlx::Result<Vec<i64>> {
        let watch = Stopwatch::start();
        let asked = keyed.iter().map(|entry| {
            let (organization, source, key) = entry.ledger_key();
            json!([organization, source, key, entry.first_id])
        });
        let claimed: Vec<i64> = sqlx::query_scalar(CLAIM).bind(json_array(asked)).fetch_all(&mut *self.inner).await?;
        self.log.add(CLAIM, claimed.len(), watch);
        Ok(claimed)
    }

    async fn earlier(&mut self, keys: &[LedgerKey<'_>]) -> sqlx::Result<Vec<LedgerRow>> {
        let watch = Stopwatch::start();
        let found: Vec<LedgerColumns> = sqlx::query_as(EARLIER)
            .bind(json_array(keys.iter().map(|key| json!(key))))
            .fetch_all(&mut *self.inner)
            .await?;
        self.log.add(EARLIER, found.len(), watch);
        let stored = |(organization, source, key, sequence, body_hash, accepted, rejections)| LedgerRow {
            organization,
            source,
            key,
            sequence,
            body_hash,
            accepted,
            rejections,
        };
        Ok(found.into_iter().map(stored).collect())
    }

    async fn insert(&mut self, part: i64, load: &RowsAndParts<'_>) -> sqlx::Result<()> {
        self.insert_rows(&load.rows).await?;
        self.insert_each(&PARTS, &load.parts, |query, row| {
            query
                .bind(row.organization)
                .bind(row.project)
                .bind(row.kind)
                .bind(row.bucket)
                .bind(row.endpoint)
                .bind(part)
                .bind(row.tally.n())
                .bind(row.tally.n_err())
                .bind(row.tally.sum.value())
                .bind(row.tally.min())
                .bind(row.tally.max())
                .bind(row.tally.distribution.clone())
        })
        .await
    }

    async fn insert_labels(&mut self, labels: &[LabelRow]) -> sqlx::Result<()> {
        self.insert_each(&LABELS, labels, |query, row| {
            query
                .bind(row.organization)
                .bind(row.project)
                .bind(row.kind)
                .bind(row.ts)
                .bind(row.id)
                .bind(row.labels.clone())
        })
        .await
    }

    async fn insert_late(&mut self, part: i64, late: &[LateRow]) -> sqlx::Result<()> {
        self.insert_each(&LATE, late, |query, row| {
            query.bind(row.organization).bind(row.project).bind(row.kind).bind(row.bucket).bind(part).bind(row.n)
        })
        .await
    }

    async fn conclude(
        &mut self,
        lease: Option<Lease>,
        steps: &[(i64, i64)],
        ledger: &[LedgerEntry<'_, '_>],
    ) -> sqlx::Result<Vec<StreamEnd>> {
        let last = if steps.is_empty() { Vec::new() } else { self.advance(lease, steps).await? };
        if last.len() != steps.len() {
            return Ok(last);
        }
        let known = last.iter().map(|(organization, sequence, ..)| (*organization, *sequence)).collect();
        self.insert_each(&LEDGER, ledger, |query, row| {
            let entry = row.entry;
            let (job, (min, max)) = (entry.job, times(entry));
            query
                .bind(job.project.organization.0)
                .bind(job.source.clone())
                .bind(entry.key.to_string())
                .bind(row.sequence(&known))
                .bind(job.project.id.0)
                .bind(entry.first_id)
                .bind(job.body_hash.clone())
                .bind(count(job.measurements.len()))
                .bind(count(job.rejected.len()))
                .bind(min)
                .bind(max)
                .bind(job.received_at.as_micros())
                .bind(entry.rejections.clone())
        })
        .await?;
        Ok(last)
    }

    async fn marked(&mut self, late: &[(SeriesDay, DayParts)]) -> sqlx::Result<Vec<Marked>> {
        let key = |series: &SeriesDay| (series.organization, series.project, series.kind, series.day);
        let asked = json_array(late.iter().map(|(series, _)| json!(key(series))));
        sqlx::query_as(MARKED).bind(asked).fetch_all(&mut *self.inner).await
    }

    async fn reopen(&mut self, late: &[(SeriesDay, DayParts)]) -> sqlx::Result<()> {
        let key = |series: &SeriesDay| (series.organization, series.project, series.kind, series.day);
        let watch = Stopwatch::start();
        let unmarked = json_array(late.iter().map(|(series, parts)| {
            let (organization, project, kind, day) = key(series);
            json!([organization, project, kind, day, parts.bits()])
        }));
        let hours = breakdown::hours(late);
        let hours = json_array(
            hours.iter().map(|(series, bucket)| json!([series.organization, series.project, series.kind, bucket])),
        );
        let days = json_array(late.iter().map(|(series, _)| json!(key(series))));
        for (sql, rows) in [(UNMARK, unmarked), (REMOVE_HOURS, hours), (REMOVE_DAYS, days)] {
            sqlx::query(sql).bind(rows).execute(&mut *self.inner).await?;
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
        let marked = json_array(kept.iter().map(|(one, _)| json!([one.organization, one.project, one.kind, one.day])));
        let all = DayParts::ALL.bits();
        sqlx::query(MARK_KEPT).bind(marked).bind(all).bind(all | DayParts::ADDED).execute(&mut *self.inner).await?;
        for (series, _) in kept {
            for remove in [remove_several!("metric_breakdown_1h"), remove_several!("metric_breakdown_1d")] {
                let remove = sqlx::query(remove).bind(series.organization).bind(series.project).bind(series.kind);
                let day = (series.day, series.day.saturating_add(DAY_MICROS));
                remove.bind(day.0).bind(day.1).execute(&mut *self.inner).await?;
            }
        }
        self.log.add(MARK_KEPT, kept.len(), watch);
        for (inserts, rows) in [(&*HOURS, hours), (&*DAYS, days)] {
            self.insert_each(inserts, rows, |query, row| {
                query
                    .bind(row.series.organization)
                    .bind(row.series.project)
                    .bind(row.series.kind)
                    .bind(row.bucket)
                    .bind(row.detail.code())
                    .bind(row.status)
                    .bind(row.release.clone())
                    .bind(row.name.clone())
                    .bind(row.tally.n())
                    .bind(row.tally.n_err())
                    .bind(row.tally.sum.value())
                    .bind(row.tally.min())
                    .bind(row.tally.max())
                    .bind(row.tally.distribution.clone())
            })
            .await?;
        }
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

impl Transaction {
    async fn insert_rows(&mut self, rows: &[RawRow<'_>]) -> sqlx::Result<()> {
        if rows.iter().all(|row| row.tags.is_none()) {
            return self.insert_each(&ROWS, rows, bind_row).await;
        }
        let tagged =
            |query, row: &RawRow<'_>| bind_row(query, row).bind(row.name().to_owned()).bind(row.release().to_owned());
        self.insert_each(&TAGGED_ROWS, rows, tagged).await
    }

    async fn advance(&mut self, lease: Option<Lease>, steps: &[(i64, i64)]) -> sqlx::Result<Vec<StreamEnd>> {
        let watch = Stopwatch::start();
        let last: Vec<StreamEnd> = sqlx::query_as(ADVANCE)
            .bind(json_array(steps.iter().map(|step| json!(step))))
            .bind(lease.map(|lease| lease.node))
            .bind(lease.map(|lease| lease.epoch))
            .fetch_all(&mut *self.inner)
            .await?;
        self.log.add(ADVANCE, last.len(), watch);
        Ok(last)
    }

    async fn insert_each<T: Sync>(
        &mut self,
        inserts: &'static Inserts,
        mut items: &[T],
        bind: impl Fn(Bound, &T) -> Bound + Send + Sync,
    ) -> sqlx::Result<()> {
        while let (false, Some((size, sql))) = (items.is_empty(), inserts.fitting(items.len())) {
            let (chunk, rest) = items.split_at(items.len().min(*size));
            let watch = Stopwatch::start();
            let mut arguments = SqliteArguments::default();
            arguments.reserve(chunk.len() * inserts.parameters, 0);
            let query = chunk.iter().fold(sqlx::query_with(sql.as_str(), arguments), &bind);
            query.execute(&mut *self.inner).await?;
            self.log.add(Arc::clone(&inserts.short), chunk.len(), watch);
            items = rest;
        }
        Ok(())
    }
}

fn bind_row(query: Bound, row: &RawRow<'_>) -> Bound {
    query
        .bind(row.organization)
        .bind(row.project)
        .bind(row.kind)
        .bind(row.ts)
        .bind(row.id)
        .bind(row.value)
        .bind(row.endpoint)
        .bind(row.status)
        .bind(row.bin)
}
