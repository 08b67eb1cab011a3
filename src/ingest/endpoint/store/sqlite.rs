//! The steps on SQLite. The lock is the write lock of the file, taken when the transaction begins.

use serde_json::json;
use sqlx::{Sqlite, SqlitePool};

use super::{EndpointPath, EndpointRow, Projects};
use crate::{
    clock::Stopwatch,
    db::{StatementLog, json_array},
};

const READ: &str = "SELECT organization_id, project_id, endpoint.path, endpoint.id \
    FROM json_each(?1) AS asked CROSS JOIN endpoint \
    ON organization_id = asked.value->>0 AND project_id = asked.value->>1 AND endpoint.path = asked.value->>2 \
    UNION ALL SELECT organization_id, project_id, NULL, count(*) FROM json_each(?2) AS asked CROSS JOIN endpoint \
    ON organization_id = asked.value->>0 AND project_id = asked.value->>1 GROUP BY organization_id, project_id";
const INSERT: &str = "INSERT INTO endpoint (organization_id, project_id, path, id) \
    SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each(?1)";
const ALL: &str = "SELECT organization_id, project_id, endpoint.path, endpoint.id \
    FROM json_each(?1) AS asked CROSS JOIN endpoint \
    ON organization_id = asked.value->>0 AND project_id = asked.value->>1";

pub struct Transaction {
    inner: sqlx::Transaction<'static, Sqlite>,
    log: StatementLog,
}

pub async fn begin(pool: &SqlitePool, log: StatementLog) -> sqlx::Result<Transaction> {
    Ok(Transaction { inner: pool.begin_with("BEGIN IMMEDIATE").await?, log })
}

impl super::Transaction for Transaction {
    async fn lock(&mut self, _: &Projects) -> sqlx::Result<()> {
        Ok(())
    }

    async fn read(&mut self, projects: &Projects, paths: &[EndpointPath<'_>]) -> sqlx::Result<Vec<EndpointRow>> {
        let watch = Stopwatch::start();
        let asked =
            paths.iter().map(|EndpointPath { project, path, .. }| json!([project.organization.0, project.id.0, path]));
        let rows: Vec<EndpointRow> =
            sqlx::query_as(READ).bind(json_array(asked)).bind(keys(projects)).fetch_all(&mut *self.inner).await?;
        self.log.add(READ, rows.len(), watch);
        Ok(rows)
    }

    async fn insert(&mut self, paths: &[&EndpointPath<'_>]) -> sqlx::Result<()> {
        let watch = Stopwatch::start();
        let rows = paths
            .iter()
            .map(|EndpointPath { project, path, id }| json!([project.organization.0, project.id.0, path, id.0]));
        sqlx::query(INSERT).bind(json_array(rows)).execute(&mut *self.inner).await?;
        self.log.add(INSERT, paths.len(), watch);
        Ok(())
    }

    async fn all(&mut self, projects: &Projects) -> sqlx::Result<Vec<EndpointRow>> {
        let watch = Stopwatch::start();
        let rows: Vec<EndpointRow> = sqlx::query_as(ALL).bind(keys(projects)).fetch_all(&mut *self.inner).await?;
        self.log.add(ALL, rows.len(), watch);
        Ok(rows)
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.inner.commit().await
    }
}

fn keys(projects: &Projects) -> String {
    json_array(projects.iter().map(|project| json!([project.organization.0, project.id.0])))
}
