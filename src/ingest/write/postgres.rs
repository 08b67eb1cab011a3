//! The steps on PostgreSQL: every statement takes its rows as arrays, one per column, through UNNEST.
//!
//! Not COPY, although it costs the server less: sqlx sends its data and its end in two packets and leaves Nagle's
//! algorithm on, so that over TCP every COPY waits 40 ms for a delayed acknowledgement (measured).

use sqlx::{PgPool, Postgres};

use super::{Numbered, count, record, times};
use crate::{
    clock::Stopwatch,
    db::StatementLog,
    ingest::{
        group::{Entry, LedgerKey, Stored},
        late::LateRow,
        rollup::{Cell, Row},
    },
};

// Rows reach INSERT in the order of the arrays, which is the order in which every instance locks keys.
const CLAIM: &str = "INSERT INTO ingest_batch (organization_id, source, idem_key, project_id, first_id, body_hash, \
    n_accepted, n_rejected, min_ts, max_ts, received_at, rejections) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::int[], \
    $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[]) \
    ON CONFLICT (organization_id, source, idem_key) DO NOTHING RETURNING first_id";
// As CLAIM, for what has no key that anybody could claim: there at the end is soon enough.
const REGISTER: &str = "INSERT INTO ingest_batch (organization_id, source, idem_key, project_id, first_id, body_hash, \
    n_accepted, n_rejected, min_ts, max_ts, received_at, rejections, seq) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::int[], \
    $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::bigint[])";
const EARLIER: &str = "SELECT organization_id, source, idem_key, seq, body_hash, n_accepted, rejections \
    FROM ingest_batch JOIN unnest($1::bigint[], $2::text[], $3::text[]) AS asked (organization_id, source, idem_key) \
    USING (organization_id, source, idem_key)";
const INSERT_ROWS: &str = "INSERT INTO metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, \
    status, bin) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], \
    $5::double precision[], $6::bigint[], $7::smallint[], $8::smallint[], $9::smallint[])";
const INSERT_TAGGED_ROWS: &str = "INSERT INTO metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, \
    status, bin, name, release) SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], \
    $5::double precision[], $6::bigint[], $7::smallint[], $8::smallint[], $9::smallint[], $10::text[], $11::text[])";
const INSERT_CELLS: &str = "INSERT INTO metric_rollup_part (organization_id, project_id, kind, bucket, endpoint_id, part, \
    n, n_err, sum, min, max, sketch) SELECT organization_id, project_id, kind, bucket, endpoint_id, $6, n, n_err, sum, \
    min, max, sketch FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $7::bigint[], \
    $8::bigint[], $9::double precision[], $10::double precision[], $11::double precision[], $12::bytea[]) \
    AS cell (organization_id, project_id, kind, bucket, endpoint_id, n, n_err, sum, min, max, sketch)";
const INSERT_LATE: &str = "INSERT INTO metric_late (organization_id, project_id, kind, bucket, part, n) \
    SELECT organization_id, project_id, kind, bucket, $5, n \
    FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $6::bigint[]) \
    AS late (organization_id, project_id, kind, bucket, n)";
// An upsert rather than an update: it locks in the order of the arrays, and makes the row of a new organization.
const ADVANCE: &str = "INSERT INTO organization_stream (organization_id, last_seq) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT (organization_id) \
    DO UPDATE SET last_seq = organization_stream.last_seq + excluded.last_seq RETURNING organization_id, last_seq";
const NUMBER: &str = "UPDATE ingest_batch SET seq = given.seq \
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS given (organization_id, source, idem_key, seq) \
    WHERE ingest_batch.organization_id = given.organization_id AND ingest_batch.source = given.source \
    AND ingest_batch.idem_key = given.idem_key";

/// Binds the columns of the ledger that are known before a sequence is.
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

pub struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    log: StatementLog,
}

pub async fn begin(pool: &PgPool, log: StatementLog) -> sqlx::Result<Transaction> {
    Ok(Transaction { inner: pool.begin().await?, log })
}

impl super::Transaction for Transaction {
    async fn claim(&mut self, keyed: &[&Entry<'_>]) -> sqlx::Result<Vec<i64>> {
        let watch = Stopwatch::start();
        let insert = bind_ledger!(sqlx::query_scalar(CLAIM), keyed);
        let claimed: Vec<i64> = insert.fetch_all(&mut *self.inner).await?;
        record(&self.log, CLAIM, claimed.len(), watch);
        Ok(claimed)
    }

    async fn earlier(&mut self, keys: &[LedgerKey<'_>]) -> sqlx::Result<Vec<Stored>> {
        let watch = Stopwatch::start();
        let found: Vec<LedgerRow> = sqlx::query_as(EARLIER)
            .bind(keys.iter().map(|key| key.0).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.1).collect::<Vec<_>>())
            .bind(keys.iter().map(|key| key.2).collect::<Vec<_>>())
            .fetch_all(&mut *self.inner)
            .await?;
        record(&self.log, EARLIER, found.len(), watch);
        Ok(found.into_iter().map(stored).collect())
    }

    async fn insert_rows(&mut self, rows: &[Row<'_>]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let is_tagged = rows.iter().any(|row| row.tags.is_some());
        let sql = if is_tagged { INSERT_TAGGED_ROWS } else { INSERT_ROWS };
        let mut insert = sqlx::query(sql)
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
            insert = insert.bind(column(rows, Row::name)).bind(column(rows, Row::release));
        }
        insert.execute(&mut *self.inner).await?;
        record(&self.log, sql, rows.len(), watch);
        Ok(())
    }

    async fn insert_cells(&mut self, part: i64, cells: &[Cell]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        sqlx::query(INSERT_CELLS)
            .bind(column(cells, |cell| cell.organization))
            .bind(column(cells, |cell| cell.project))
            .bind(column(cells, |cell| cell.kind))
            .bind(column(cells, |cell| cell.bucket))
            .bind(column(cells, |cell| cell.endpoint))
            .bind(part)
            .bind(column(cells, |cell| cell.n))
            .bind(column(cells, |cell| cell.n_err))
            .bind(column(cells, |cell| cell.sum))
            .bind(column(cells, |cell| cell.min))
            .bind(column(cells, |cell| cell.max))
            .bind(cells.iter().map(|cell| cell.sketch.as_slice()).collect::<Vec<_>>())
            .execute(&mut *self.inner)
            .await?;
        record(&self.log, INSERT_CELLS, cells.len(), watch);
        Ok(())
    }

    async fn insert_late(&mut self, part: i64, late: &[LateRow]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        sqlx::query(INSERT_LATE)
            .bind(column(late, |row| row.organization))
            .bind(column(late, |row| row.project))
            .bind(column(late, |row| row.kind))
            .bind(column(late, |row| row.bucket))
            .bind(part)
            .bind(column(late, |row| row.n))
            .execute(&mut *self.inner)
            .await?;
        record(&self.log, INSERT_LATE, late.len(), watch);
        Ok(())
    }

    async fn advance(&mut self, steps: &[(i64, i64)]) -> sqlx::Result<Vec<(i64, i64)>> {
        let watch = Stopwatch::start();
        let (organizations, steps): (Vec<i64>, Vec<i64>) = steps.iter().copied().unzip();
        let last: Vec<(i64, i64)> =
            sqlx::query_as(ADVANCE).bind(organizations).bind(steps).fetch_all(&mut *self.inner).await?;
        record(&self.log, ADVANCE, last.len(), watch);
        Ok(last)
    }

    async fn register(&mut self, numbered: &[Numbered<'_, '_>]) -> sqlx::Result<()> {
        let (keyed, free): (Vec<_>, Vec<_>) = numbered.iter().partition(|row| row.entry.job.key.is_some());
        let keyed: Vec<_> = keyed.into_iter().filter(|row| row.sequence.is_some()).collect();
        if !free.is_empty() {
            let watch = Stopwatch::start();
            let entries: Vec<&Entry<'_>> = free.iter().map(|row| row.entry).collect();
            let insert = bind_ledger!(sqlx::query(REGISTER), entries).bind(column(&free, |row| row.sequence));
            insert.execute(&mut *self.inner).await?;
            record(&self.log, REGISTER, free.len(), watch);
        }
        if !keyed.is_empty() {
            let watch = Stopwatch::start();
            sqlx::query(NUMBER)
                .bind(column(&keyed, |row| row.entry.job.project.organization.0))
                .bind(keyed.iter().map(|row| row.entry.job.source.as_str()).collect::<Vec<_>>())
                .bind(keyed.iter().map(|row| row.entry.key.as_ref()).collect::<Vec<_>>())
                .bind(column(&keyed, |row| row.sequence))
                .execute(&mut *self.inner)
                .await?;
            record(&self.log, NUMBER, keyed.len(), watch);
        }
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

/// One column of a table that is sent as arrays.
fn column<T, V>(rows: &[T], value: impl Fn(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

type LedgerRow = (i64, String, String, Option<i64>, Vec<u8>, i32, Option<String>);

fn stored((organization, source, key, sequence, body_hash, accepted, rejections): LedgerRow) -> Stored {
    Stored {
        organization,
        source,
        key,
        sequence,
        body_hash,
        accepted: u32::try_from(accepted).unwrap_or(0),
        rejections,
    }
}
