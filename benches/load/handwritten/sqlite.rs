//! The six requests on SQLite: joins, JSON arrays as parameters, one multi-row insert.

use std::collections::HashSet;

use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    READ_CONNECTIONS,
    batch::{Batch, next_id},
    shape::{DepartmentRow, Employee, EmployeeRow, Figures, MemberRow, Organization, OrganizationRow, ProjectRow},
};

const ORGANIZATION: &str = "SELECT name, slug, employee_count FROM organization WHERE id = ?";
const EMPLOYEES: &str = "SELECT e.organization_id, e.id, e.name, e.email, e.department, o.name FROM employee e \
    JOIN organization o ON o.id = e.organization_id ORDER BY e.name, e.id LIMIT ?";
const PROJECTS: &str = "SELECT organization_id, id, name, status FROM project ORDER BY name, id LIMIT ?";
const TEAMS: &str = "SELECT organization_id, project_id, id, name, email FROM ( \
    SELECT m.organization_id, m.project_id, e.id, e.name, e.email, \
    ROW_NUMBER() OVER (PARTITION BY m.organization_id, m.project_id ORDER BY e.name, e.id) AS place \
    FROM project_member m JOIN employee e ON e.organization_id = m.organization_id AND e.id = m.employee_id \
    WHERE m.organization_id IN (SELECT value FROM json_each(?)) AND m.project_id IN (SELECT value FROM json_each(?))) \
    WHERE place <= ? ORDER BY place";
const ORGANIZATIONS: &str = "SELECT id, name FROM organization WHERE id IN (SELECT value FROM json_each(?))";
/// From raw rows: without rollups there is nothing else. Percentiles by nearest rank.
const SUMMARY: &str = "WITH ordered AS (SELECT value, ROW_NUMBER() OVER (ORDER BY value) AS place, \
    COUNT(*) OVER () AS n FROM metric_event \
    WHERE organization_id = ? AND project_id = ? AND kind = 1 AND ts >= ? AND ts < ?) \
    SELECT COUNT(*), AVG(value), MIN(value), MAX(value), MAX(value) FILTER (WHERE place <= (n * 50 + 99) / 100), \
    MAX(value) FILTER (WHERE place <= (n * 95 + 99) / 100), MAX(value) FILTER (WHERE place <= (n * 99 + 99) / 100) \
    FROM ordered";
const DEPARTMENTS: &str = "SELECT department, COUNT(*), COUNT(*) FILTER (WHERE is_active), COUNT(salary), SUM(salary) \
    FROM employee WHERE organization_id = ? GROUP BY department ORDER BY department";
const INSERT_ENDPOINT: &str =
    "INSERT INTO endpoint (organization_id, project_id, path, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
const SELECT_ENDPOINT: &str = "SELECT path, id FROM endpoint WHERE organization_id = ? AND project_id = ? AND path = ?";
const INSERT: &str =
    "INSERT INTO metric_event (organization_id, project_id, kind, ts, id, value, endpoint_id, status, bin) ";

#[derive(Clone)]
pub struct Store {
    read: SqlitePool,
    write: SqlitePool,
}

impl Store {
    pub async fn open(url: &str) -> sqlx::Result<Self> {
        // As perfgraph opens it: the pragmas decide more than the code.
        let options = url
            .parse::<SqliteConnectOptions>()?
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("temp_store", "MEMORY");
        let pool = |connections, cache| {
            let options = options.clone().pragma("cache_size", cache);
            SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false).connect_with(options)
        };
        Ok(Self { read: pool(READ_CONNECTIONS, "-1024").await?, write: pool(1, "-4096").await? })
    }

    pub async fn organization(&self, id: i64) -> sqlx::Result<Option<Organization>> {
        let row: Option<OrganizationRow> = sqlx::query_as(ORGANIZATION).bind(id).fetch_optional(&self.read).await?;
        Ok(row.map(Organization::from))
    }

    pub async fn employees(&self, first: i64) -> sqlx::Result<Vec<Employee>> {
        let rows: Vec<EmployeeRow> = sqlx::query_as(EMPLOYEES).bind(first).fetch_all(&self.read).await?;
        Ok(rows.into_iter().map(Employee::from).collect())
    }

    pub async fn projects(&self, first: i64) -> sqlx::Result<Vec<ProjectRow>> {
        sqlx::query_as(PROJECTS).bind(first).fetch_all(&self.read).await
    }

    pub async fn teams(&self, keys: &[(i64, i64)], first: i64) -> sqlx::Result<Vec<MemberRow>> {
        let (organizations, projects): (HashSet<i64>, Vec<i64>) = keys.iter().copied().unzip();
        let query = sqlx::query_as(TEAMS).bind(json(organizations)).bind(json(projects)).bind(first);
        query.fetch_all(&self.read).await
    }

    pub async fn organizations(&self, keys: &[(i64, i64)]) -> sqlx::Result<Vec<(i64, String)>> {
        let ids: HashSet<i64> = keys.iter().map(|key| key.0).collect();
        sqlx::query_as(ORGANIZATIONS).bind(json(ids)).fetch_all(&self.read).await
    }

    pub async fn summary(&self, organization: i64, project: i64, window: (i64, i64)) -> sqlx::Result<Figures> {
        type Row = (i64, Option<f64>, Option<f64>, Option<f64>, Option<f64>, Option<f64>, Option<f64>);
        let query = sqlx::query_as(SUMMARY).bind(organization).bind(project).bind(window.0).bind(window.1);
        let (count, average, min, max, p50, p95, p99): Row = query.fetch_one(&self.read).await?;
        Ok((count, average, min, max, [p50, p95, p99]))
    }

    pub async fn departments(&self, organization: i64) -> sqlx::Result<Vec<DepartmentRow>> {
        sqlx::query_as(DEPARTMENTS).bind(organization).fetch_all(&self.read).await
    }

    pub async fn endpoints(
        &self,
        organization: i64,
        project: i64,
        paths: &HashSet<&str>,
    ) -> sqlx::Result<Vec<(String, i64)>> {
        let mut transaction = self.write.begin_with("BEGIN IMMEDIATE").await?;
        let mut found = Vec::with_capacity(paths.len());
        for path in paths {
            let insert = sqlx::query(INSERT_ENDPOINT).bind(organization).bind(project).bind(*path).bind(next_id());
            insert.execute(&mut *transaction).await?;
            let select = sqlx::query_as(SELECT_ENDPOINT).bind(organization).bind(project).bind(*path);
            found.push(select.fetch_one(&mut *transaction).await?);
        }
        transaction.commit().await?;
        Ok(found)
    }

    pub async fn insert(&self, batch: &Batch) -> sqlx::Result<()> {
        let mut insert = sqlx::QueryBuilder::new(INSERT);
        insert.push_values(0..batch.ids.len(), |mut row, place| {
            row.push_bind(batch.organization)
                .push_bind(batch.project)
                .push_bind(batch.kinds[place])
                .push_bind(batch.times[place])
                .push_bind(batch.ids[place])
                .push_bind(batch.values[place])
                .push_bind(batch.endpoints[place])
                .push_bind(batch.statuses[place])
                .push_bind(0_i16);
        });
        let mut transaction = self.write.begin_with("BEGIN IMMEDIATE").await?;
        insert.build().execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

/// A list of numbers as the one parameter that `json_each` takes apart.
fn json(numbers: impl IntoIterator<Item = i64>) -> String {
    let numbers: Vec<String> = numbers.into_iter().map(|number| number.to_string()).collect();
    format!("[{}]", numbers.join(","))
}
