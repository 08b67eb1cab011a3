//! The six requests on PostgreSQL: joins, arrays as parameters, UNNEST to insert.

use std::collections::HashSet;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    READ_CONNECTIONS, WRITE_CONNECTIONS,
    batch::{Batch, next_id},
    shape::{DepartmentRow, Employee, EmployeeRow, Figures, MemberRow, Organization, OrganizationRow, ProjectRow},
};

const ORGANIZATION: &str = "SELECT name, slug, employee_count FROM organization WHERE id = $1";
const EMPLOYEES: &str = "SELECT e.organization_id, e.id, e.name, e.email, e.department, o.name FROM employee e \
    JOIN organization o ON o.id = e.organization_id ORDER BY e.name, e.id LIMIT $1";
const PROJECTS: &str = "SELECT organization_id, id, name, status FROM project ORDER BY name, id LIMIT $1";
const TEAMS: &str = "SELECT organization_id, project_id, id, name, email FROM ( \
    SELECT m.organization_id, m.project_id, e.id, e.name, e.email, \
    ROW_NUMBER() OVER (PARTITION BY m.organization_id, m.project_id ORDER BY e.name, e.id) AS place \
    FROM project_member m JOIN employee e ON e.organization_id = m.organization_id AND e.id = m.employee_id \
    WHERE m.organization_id = ANY($1) AND m.project_id = ANY($2)) team WHERE place <= $3 ORDER BY place";
const ORGANIZATIONS: &str = "SELECT id, name FROM organization WHERE id = ANY($1)";
/// From raw rows: without rollups there is nothing else.
const SUMMARY: &str = "SELECT COUNT(*), AVG(value), MIN(value), MAX(value), \
    PERCENTILE_DISC(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY value) FROM metric_event \
    WHERE organization_id = $1 AND project_id = $2 AND kind = 1 AND ts >= $3 AND ts < $4";
const DEPARTMENTS: &str = "SELECT department, COUNT(*), COUNT(*) FILTER (WHERE is_active), COUNT(salary), SUM(salary) \
    FROM employee WHERE organization_id = $1 GROUP BY department ORDER BY department";
const INSERT_ENDPOINTS: &str = "INSERT INTO endpoint (organization_id, project_id, path, id) \
    SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";
const SELECT_ENDPOINTS: &str =
    "SELECT path, id FROM endpoint WHERE organization_id = $1 AND project_id = $2 AND path = ANY($3)";
const INSERT: &str = "INSERT INTO metric_event \
    (organization_id, project_id, ts, id, value, endpoint_id, kind, status, bin) \
    SELECT $1, $2, ts, id, value, endpoint, kind, status, 0 \
    FROM unnest($3::bigint[], $4::bigint[], $5::float8[], $6::bigint[], $7::int2[], $8::int2[]) \
    AS row (ts, id, value, endpoint, kind, status)";

#[derive(Clone)]
pub struct Store {
    read: PgPool,
    write: PgPool,
}

impl Store {
    pub async fn open(url: &str) -> sqlx::Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        let pool = |connections| {
            PgPoolOptions::new().max_connections(connections).test_before_acquire(false).connect_with(options.clone())
        };
        Ok(Self { read: pool(READ_CONNECTIONS).await?, write: pool(WRITE_CONNECTIONS).await? })
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
        let organizations: Vec<i64> = organizations.into_iter().collect();
        sqlx::query_as(TEAMS).bind(organizations).bind(projects).bind(first).fetch_all(&self.read).await
    }

    pub async fn organizations(&self, keys: &[(i64, i64)]) -> sqlx::Result<Vec<(i64, String)>> {
        let ids: HashSet<i64> = keys.iter().map(|key| key.0).collect();
        sqlx::query_as(ORGANIZATIONS).bind(ids.into_iter().collect::<Vec<_>>()).fetch_all(&self.read).await
    }

    pub async fn summary(&self, organization: i64, project: i64, window: (i64, i64)) -> sqlx::Result<Figures> {
        type Row = (i64, Option<f64>, Option<f64>, Option<f64>, Option<Vec<f64>>);
        let query = sqlx::query_as(SUMMARY).bind(organization).bind(project).bind(window.0).bind(window.1);
        let (count, average, min, max, percentiles): Row = query.fetch_one(&self.read).await?;
        let percentile = |place: usize| percentiles.as_ref().and_then(|values| values.get(place).copied());
        Ok((count, average, min, max, [percentile(0), percentile(1), percentile(2)]))
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
        let paths: Vec<&str> = paths.iter().copied().collect();
        let ids: Vec<i64> = paths.iter().map(|_| next_id()).collect();
        let insert = sqlx::query(INSERT_ENDPOINTS).bind(organization).bind(project).bind(&paths).bind(ids);
        insert.execute(&self.write).await?;
        let select = sqlx::query_as(SELECT_ENDPOINTS).bind(organization).bind(project).bind(&paths);
        select.fetch_all(&self.write).await
    }

    pub async fn insert(&self, batch: &Batch) -> sqlx::Result<()> {
        let mut transaction = self.write.begin().await?;
        sqlx::query(INSERT)
            .bind(batch.organization)
            .bind(batch.project)
            .bind(&batch.times)
            .bind(&batch.ids)
            .bind(&batch.values)
            .bind(&batch.endpoints)
            .bind(&batch.kinds)
            .bind(&batch.statuses)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }
}
