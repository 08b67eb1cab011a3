//! The steps on PostgreSQL: binary COPY for rows and cells, UNNEST arrays for everything small.

use sqlx::{PgConnection, PgPool, Postgres};

use super::{Numbered, count, record, times};
use crate::{
    clock::Stopwatch,
    db::StatementLog,
    ingest::{
        endpoint::{Found, Path},
        group::{Entry, LedgerKey, Stored},
        rollup::{Cell, Row},
    },
    model::{EndpointId, Key, OrganizationId, ProjectId},
};

// Rows reach INSERT in the order of the arrays, which is the order in which every instance locks keys.
const CLAIM: &str = "INSERT INTO ingest_batch (organization_id, source, idem_key, project_id, first_id, body_hash, \
    n_accepted, n_rejected, min_ts, max_ts, received_at, rejections) \
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::int[], \
    $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[]) \
    ON CONFLICT (organization_id, source, idem_key) DO NOTHING RETURNING first_id";
const EARLIER: &str = "SELECT organization_id, source, idem_key, seq, body_hash, n_accepted, rejections \
    FROM ingest_batch JOIN unnest($1::bigint[], $2::text[], $3::text[]) AS asked (organization_id, source, idem_key) \
    USING (organization_id, source, idem_key)";
const COPY_ROWS: &str = "COPY metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, status, bin) \
    FROM STDIN (FORMAT binary)";
const COPY_CELLS: &str = "COPY metric_rollup_1m (organization_id, project_id, kind, bucket, endpoint_id, part, n, \
    n_err, sum, min, max, sketch) FROM STDIN (FORMAT binary)";
// An upsert rather than an update: it locks in the order of the arrays, and makes the row of a new organization.
const ADVANCE: &str = "INSERT INTO organization_stream (organization_id, last_seq) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[]) ON CONFLICT (organization_id) \
    DO UPDATE SET last_seq = organization_stream.last_seq + excluded.last_seq RETURNING organization_id, last_seq";
const NUMBER: &str = "UPDATE ingest_batch SET seq = given.seq \
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS given (organization_id, source, idem_key, seq) \
    WHERE ingest_batch.organization_id = given.organization_id AND ingest_batch.source = given.source \
    AND ingest_batch.idem_key = given.idem_key";
const INSERT_ENDPOINTS: &str = "INSERT INTO endpoint (organization_id, project_id, path, id) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";
const SELECT_ENDPOINTS: &str = "SELECT organization_id, project_id, path, id FROM endpoint \
    JOIN unnest($1::bigint[], $2::bigint[], $3::text[]) AS asked (organization_id, project_id, path) \
    USING (organization_id, project_id, path)";

pub struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    log: StatementLog,
}

pub async fn begin(pool: &PgPool, log: StatementLog) -> sqlx::Result<Transaction> {
    Ok(Transaction { inner: pool.begin().await?, log })
}

impl super::Transaction for Transaction {
    async fn claim(&mut self, entries: &[&Entry<'_>]) -> sqlx::Result<Vec<i64>> {
        let watch = Stopwatch::start();
        let jobs = || entries.iter().map(|entry| entry.job);
        let (min, max): (Vec<i64>, Vec<i64>) = entries.iter().map(|entry| times(entry)).unzip();
        let claimed: Vec<i64> = sqlx::query_scalar(CLAIM)
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
            .fetch_all(&mut *self.inner)
            .await?;
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

    async fn insert_rows(&mut self, rows: &[Row]) -> sqlx::Result<()> {
        let mut buffer = CopyBuffer::new(rows.len() * 92);
        for row in rows {
            buffer.row(9);
            for number in [row.organization, row.project, row.ts, row.id] {
                buffer.field(number.to_be_bytes());
            }
            buffer.field(row.value.to_be_bytes());
            buffer.field(row.endpoint.to_be_bytes());
            for number in [row.kind, row.status, row.bin] {
                buffer.field(number.to_be_bytes());
            }
        }
        self.copy(COPY_ROWS, rows.len(), buffer).await
    }

    async fn insert_cells(&mut self, part: i64, cells: &[Cell]) -> sqlx::Result<()> {
        let mut buffer = CopyBuffer::new(cells.len() * 192);
        for cell in cells {
            buffer.row(12);
            buffer.field(cell.organization.to_be_bytes());
            buffer.field(cell.project.to_be_bytes());
            buffer.field(cell.kind.to_be_bytes());
            for number in [cell.bucket, cell.endpoint, part, cell.n, cell.n_err] {
                buffer.field(number.to_be_bytes());
            }
            for number in [cell.sum, cell.min, cell.max] {
                buffer.field(number.to_be_bytes());
            }
            buffer.field(&cell.sketch);
        }
        self.copy(COPY_CELLS, cells.len(), buffer).await
    }

    async fn advance(&mut self, steps: &[(i64, i64)]) -> sqlx::Result<Vec<(i64, i64)>> {
        let watch = Stopwatch::start();
        let (organizations, steps): (Vec<i64>, Vec<i64>) = steps.iter().copied().unzip();
        let last: Vec<(i64, i64)> =
            sqlx::query_as(ADVANCE).bind(organizations).bind(steps).fetch_all(&mut *self.inner).await?;
        record(&self.log, ADVANCE, last.len(), watch);
        Ok(last)
    }

    async fn number(&mut self, numbered: &[Numbered<'_>]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        sqlx::query(NUMBER)
            .bind(numbered.iter().map(|row| row.key.0).collect::<Vec<_>>())
            .bind(numbered.iter().map(|row| row.key.1).collect::<Vec<_>>())
            .bind(numbered.iter().map(|row| row.key.2).collect::<Vec<_>>())
            .bind(numbered.iter().map(|row| row.sequence).collect::<Vec<_>>())
            .execute(&mut *self.inner)
            .await?;
        record(&self.log, NUMBER, numbered.len(), watch);
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

impl Transaction {
    async fn copy(&mut self, sql: &'static str, rows: usize, buffer: CopyBuffer) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let connection: &mut PgConnection = &mut self.inner;
        let mut copy = connection.copy_in_raw(sql).await?;
        copy.send(buffer.finish()).await?;
        copy.finish().await?;
        record(&self.log, sql, rows, watch);
        Ok(())
    }
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

pub async fn endpoints(pool: &PgPool, log: &StatementLog, paths: &[Path<'_>]) -> sqlx::Result<Vec<Found>> {
    let organizations: Vec<i64> = paths.iter().map(|path| path.project.organization.0).collect();
    let projects: Vec<i64> = paths.iter().map(|path| path.project.id.0).collect();
    let names: Vec<&str> = paths.iter().map(|path| path.path).collect();
    let ids: Vec<i64> = paths.iter().map(|path| path.id.0).collect();

    let watch = Stopwatch::start();
    let inserted =
        sqlx::query(INSERT_ENDPOINTS).bind(&organizations).bind(&projects).bind(&names).bind(ids).execute(pool).await?;
    let rows = usize::try_from(inserted.rows_affected()).unwrap_or(usize::MAX);
    record(log, INSERT_ENDPOINTS, rows, watch);

    let watch = Stopwatch::start();
    let found: Vec<(i64, i64, String, i64)> =
        sqlx::query_as(SELECT_ENDPOINTS).bind(organizations).bind(projects).bind(names).fetch_all(pool).await?;
    record(log, SELECT_ENDPOINTS, found.len(), watch);
    let key = |organization, project| Key::new(OrganizationId(organization), ProjectId(project));
    Ok(found
        .into_iter()
        .map(|(organization, project, path, id)| (key(organization, project), path, EndpointId(id)))
        .collect())
}

/// The binary COPY format: a header, then per row the number of fields and each field with its length before it.
struct CopyBuffer(Vec<u8>);

impl CopyBuffer {
    fn new(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes + 32);
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        // No flags, no header extension.
        buffer.extend_from_slice(&[0; 8]);
        Self(buffer)
    }

    fn row(&mut self, fields: i16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    fn field(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&(-1_i16).to_be_bytes());
        self.0
    }
}
