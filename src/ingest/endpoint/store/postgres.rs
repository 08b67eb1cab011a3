//! The steps on PostgreSQL. The lock is on the rows of the projects, in a mode that foreign key checks do not wait for.
//!
//! Rows are found by their keys one after the other (LATERAL, and OFFSET against a join): a join would read the whole table
//! for as long as PostgreSQL keeps a plan that it made for an empty one.

use std::sync::Arc;

use super::{EndpointPath, EndpointRow, Projects};
use crate::{
    clock::Stopwatch,
    db::{StatementLog, Stock, Taken},
};

const LOCK: &str = "SELECT id FROM project JOIN unnest($1::bigint[], $2::bigint[]) AS asked (organization_id, id) \
    USING (organization_id, id) ORDER BY organization_id, id FOR NO KEY UPDATE OF project";
// A statement of its own after the lock, so that it sees rows that others committed while this one waited.
const READ: &str = "SELECT found.* FROM unnest($1::bigint[], $2::bigint[], $3::text[]) \
    AS asked (organization_id, project_id, path) CROSS JOIN LATERAL ( \
    SELECT e.organization_id, e.project_id, e.path, e.id FROM endpoint e WHERE e.organization_id = asked.organization_id \
    AND e.project_id = asked.project_id AND e.path = asked.path OFFSET 0) AS found \
    UNION ALL SELECT asked.organization_id, asked.project_id, NULL, counted.n \
    FROM unnest($4::bigint[], $5::bigint[]) AS asked (organization_id, project_id) CROSS JOIN LATERAL ( \
    SELECT count(*) AS n FROM endpoint e WHERE e.organization_id = asked.organization_id \
    AND e.project_id = asked.project_id OFFSET 0) AS counted";
const INSERT: &str = "INSERT INTO endpoint (organization_id, project_id, path, id) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])";
const ALL: &str = "SELECT found.* FROM unnest($1::bigint[], $2::bigint[]) AS asked (organization_id, project_id) \
    CROSS JOIN LATERAL (SELECT e.organization_id, e.project_id, e.path, e.id FROM endpoint e \
    WHERE e.organization_id = asked.organization_id AND e.project_id = asked.project_id OFFSET 0) AS found";

pub struct Transaction {
    inner: Taken,
    log: StatementLog,
}

pub async fn begin(stock: &Arc<Stock>, log: StatementLog) -> sqlx::Result<Transaction> {
    Ok(Transaction { inner: Taken::in_transaction(stock).await?, log })
}

impl super::Transaction for Transaction {
    async fn lock(&mut self, projects: &Projects) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let (organizations, ids) = columns(projects);
        let (answers, connection) = self.inner.postgres()?;
        let lock = sqlx::query(LOCK).bind(organizations).bind(ids);
        let locked = answers.answer(lock.execute(connection)).await?;
        self.log.add(LOCK, locked.rows_affected(), watch);
        Ok(())
    }

    async fn read(&mut self, projects: &Projects, paths: &[EndpointPath<'_>]) -> sqlx::Result<Vec<EndpointRow>> {
        let watch = Stopwatch::start();
        let (organizations, ids) = columns(projects);
        let read = sqlx::query_as(READ)
            .bind(paths.iter().map(|path| path.project.organization.0).collect::<Vec<_>>())
            .bind(paths.iter().map(|path| path.project.id.0).collect::<Vec<_>>())
            .bind(paths.iter().map(|path| path.path).collect::<Vec<_>>())
            .bind(organizations)
            .bind(ids);
        let (answers, connection) = self.inner.postgres()?;
        let rows: Vec<EndpointRow> = answers.answer(read.fetch_all(connection)).await?;
        self.log.add(READ, rows.len(), watch);
        Ok(rows)
    }

    async fn insert(&mut self, paths: &[&EndpointPath<'_>]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let insert = sqlx::query(INSERT)
            .bind(paths.iter().map(|path| path.project.organization.0).collect::<Vec<_>>())
            .bind(paths.iter().map(|path| path.project.id.0).collect::<Vec<_>>())
            .bind(paths.iter().map(|path| path.path).collect::<Vec<_>>())
            .bind(paths.iter().map(|path| path.id.0).collect::<Vec<_>>());
        let (answers, connection) = self.inner.postgres()?;
        answers.answer(insert.execute(connection)).await?;
        self.log.add(INSERT, paths.len(), watch);
        Ok(())
    }

    async fn all(&mut self, projects: &Projects) -> sqlx::Result<Vec<EndpointRow>> {
        let watch = Stopwatch::start();
        let (organizations, ids) = columns(projects);
        let (answers, connection) = self.inner.postgres()?;
        let all = sqlx::query_as(ALL).bind(organizations).bind(ids);
        let rows: Vec<EndpointRow> = answers.answer(all.fetch_all(connection)).await?;
        self.log.add(ALL, rows.len(), watch);
        Ok(rows)
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

/// The keys as two arrays, one per column.
fn columns(projects: &Projects) -> (Vec<i64>, Vec<i64>) {
    projects.iter().map(|project| (project.organization.0, project.id.0)).unzip()
}
