//! The statements, on eight connections that are taken in turn and never pinged.

use std::str::FromStr;

use serde::Deserialize;
use sqlx::{Connection, FromRow, PgConnection, postgres::PgRow};
use tokio::sync::{Mutex, MutexGuard};

use super::answers::{
    HourRow, KeyRow, SlowRow, TypeRow,
    shape::{DepartmentRow, Employee, EmployeeRow, MemberRow, Organization, OrganizationRow, ProjectRow},
};

/// As perfgraph has: four to read and four to write.
const CONNECTIONS: usize = 8;

const ORGANIZATION: &str = "SELECT name, slug, employee_count FROM organization WHERE id = $1";
const EMPLOYEES: &str = "SELECT e.organization_id, e.id, e.name, e.email, e.department, o.name FROM employee e \
    JOIN organization o ON o.id = e.organization_id ORDER BY e.name, e.id LIMIT 50";
const PROJECTS: &str = "SELECT organization_id, id, name, status FROM project ORDER BY name, id LIMIT 20";
const TEAMS: &str = "SELECT organization_id, project_id, id, name, email FROM ( \
    SELECT m.organization_id, m.project_id, e.id, e.name, e.email, \
    ROW_NUMBER() OVER (PARTITION BY m.organization_id, m.project_id ORDER BY e.name, e.id) AS place \
    FROM project_member m JOIN employee e ON e.organization_id = m.organization_id AND e.id = m.employee_id \
    WHERE m.organization_id = ANY($1) AND m.project_id = ANY($2)) team WHERE place <= 8 ORDER BY place";
const ORGANIZATIONS: &str = "SELECT id, name FROM organization WHERE id = ANY($1)";
const DEPARTMENTS: &str = "SELECT department, COUNT(*), COUNT(*) FILTER (WHERE is_active), COUNT(salary), SUM(salary) \
    FROM employee WHERE organization_id = $1 GROUP BY department ORDER BY department";
const SUMMARY: &str = "SELECT kind, COUNT(*), AVG(value), MIN(value), MAX(value), \
    PERCENTILE_DISC(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY value) FROM plain_metric \
    WHERE project_id = $1 AND kind = ANY('{0,1,2,3,4}') AND ts >= $2 AND ts < $3 GROUP BY kind ORDER BY 2 DESC, kind";
const HOURLY: &str = "SELECT ts / 3600000000, COUNT(*), AVG(value), PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) \
    FROM plain_metric WHERE project_id = $1 AND kind = 1 AND ts >= $2 AND ts < $3 GROUP BY 1 ORDER BY 1";
const SLOWEST_BY_AVERAGE: &str = "SELECT g.endpoint, p.name, g.n, g.average, g.p95 FROM ( \
    SELECT organization_id, project_id, endpoint, COUNT(*) AS n, AVG(value) AS average, \
    PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) AS p95 FROM plain_metric \
    WHERE kind = 1 AND ts >= $1 AND ts < $2 GROUP BY 1, 2, 3 ORDER BY average DESC, project_id LIMIT 10) g \
    JOIN project p ON p.organization_id = g.organization_id AND p.id = g.project_id ORDER BY g.average DESC";
const SLOWEST_BY_P95: &str = "SELECT g.endpoint, p.name, g.n, g.average, g.p95 FROM ( \
    SELECT organization_id, project_id, endpoint, COUNT(*) AS n, AVG(value) AS average, \
    PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) AS p95 FROM plain_metric \
    WHERE kind = 1 AND ts >= $1 AND ts < $2 GROUP BY 1, 2, 3 ORDER BY p95 DESC, project_id LIMIT 10) g \
    JOIN project p ON p.organization_id = g.organization_id AND p.id = g.project_id ORDER BY g.p95 DESC";
/// By HTTP status.
pub const STATUSES: &str = "SELECT status::text, COUNT(*), AVG(value), PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) \
    FROM plain_metric WHERE project_id = $1 AND kind = 1 AND ts >= $2 AND ts < $3 GROUP BY status ORDER BY 2 DESC, 1";
/// By version of the release.
pub const RELEASES: &str = "SELECT release, COUNT(*), AVG(value), PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) \
    FROM plain_metric WHERE project_id = $1 AND kind = 1 AND ts >= $2 AND ts < $3 GROUP BY release ORDER BY 2 DESC, 1";
/// By name, of page loads.
pub const NAMES: &str = "SELECT name, COUNT(*), AVG(value), PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) \
    FROM plain_metric WHERE project_id = $1 AND kind = 0 AND ts >= $2 AND ts < $3 GROUP BY name ORDER BY 2 DESC, 1";
const INSERT_ONE: &str = "INSERT INTO plain_metric \
    (organization_id, project_id, kind, endpoint, name, status, release, value, ts) \
    VALUES ($7, $1, $2, $3, '', $4, '', $5, $6)";
const INSERT_MANY: &str = "INSERT INTO plain_metric \
    (organization_id, project_id, kind, endpoint, name, status, release, value, ts) \
    SELECT $7, $1, kind, endpoint, '', status, '', value, ts \
    FROM unnest($2::int2[], $3::text[], $4::int2[], $5::float8[], $6::int8[]) AS row (kind, endpoint, status, value, ts)";

/// A measurement as it comes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMetric {
    organization: i64,
    project: i64,
    r#type: String,
    endpoint: String,
    value: f64,
    status_code: i16,
    timestamp: String,
}

impl NewMetric {
    fn kind(&self) -> Result<i16, &'static str> {
        match self.r#type.as_str() {
            "PAGE_LOAD" => Ok(0),
            "API_RESPONSE" => Ok(1),
            "DATABASE" => Ok(2),
            _ => Err("an unknown type"),
        }
    }

    fn micros(&self) -> Result<i64, jiff::Error> {
        Ok(jiff::Timestamp::from_str(&self.timestamp)?.as_microsecond())
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.value.is_finite() && self.value >= 0.0 { Ok(()) } else { Err("a value is negative or infinite") }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The open connections.
pub struct Store {
    connections: Vec<Mutex<PgConnection>>,
    next: std::sync::atomic::AtomicUsize,
}

impl Store {
    pub async fn open(url: &str) -> sqlx::Result<Self> {
        let mut connections = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            connections.push(Mutex::new(PgConnection::connect(url).await?));
        }
        Ok(Self { connections, next: std::sync::atomic::AtomicUsize::new(0) })
    }

    /// A free connection, or the next in turn.
    async fn connection(&self) -> MutexGuard<'_, PgConnection> {
        if let Some(free) = self.connections.iter().find_map(|connection| connection.try_lock().ok()) {
            return free;
        }
        let next = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % self.connections.len();
        self.connections[next].lock().await
    }

    async fn rows<R>(&self, sql: &'static str, bound: &[i64]) -> sqlx::Result<Vec<R>>
    where
        R: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let query = bound.iter().fold(sqlx::query_as(sql), |query, value| query.bind(*value));
        query.fetch_all(&mut *self.connection().await).await
    }

    pub async fn organization(&self, id: i64) -> sqlx::Result<Option<Organization>> {
        let rows: Vec<OrganizationRow> = self.rows(ORGANIZATION, &[id]).await?;
        Ok(rows.into_iter().next().map(Organization::from))
    }

    pub async fn employees(&self) -> sqlx::Result<Vec<Employee>> {
        let rows: Vec<EmployeeRow> = self.rows(EMPLOYEES, &[]).await?;
        Ok(rows.into_iter().map(Employee::from).collect())
    }

    pub async fn projects(&self) -> sqlx::Result<(Vec<ProjectRow>, Vec<MemberRow>, Vec<(i64, String)>)> {
        let connection = &mut *self.connection().await;
        let projects: Vec<ProjectRow> = sqlx::query_as(PROJECTS).fetch_all(&mut *connection).await?;
        let ids: Vec<i64> = projects.iter().map(|project| project.1).collect();
        let mut organizations: Vec<i64> = projects.iter().map(|project| project.0).collect();
        organizations.sort_unstable();
        organizations.dedup();
        let members = sqlx::query_as(TEAMS).bind(&organizations).bind(&ids).fetch_all(&mut *connection).await?;
        let organizations = sqlx::query_as(ORGANIZATIONS).bind(&organizations).fetch_all(connection).await?;
        Ok((projects, members, organizations))
    }

    pub async fn departments(&self, organization: i64) -> sqlx::Result<Vec<DepartmentRow>> {
        self.rows(DEPARTMENTS, &[organization]).await
    }

    pub async fn summary(&self, project: i64, from: i64, to: i64) -> sqlx::Result<Vec<TypeRow>> {
        self.rows(SUMMARY, &[project, from, to]).await
    }

    pub async fn hourly(&self, project: i64, from: i64, to: i64) -> sqlx::Result<Vec<HourRow>> {
        self.rows(HOURLY, &[project, from, to]).await
    }

    pub async fn slowest(&self, by: &str, from: i64, to: i64) -> sqlx::Result<Vec<SlowRow>> {
        self.rows(if by == "P95" { SLOWEST_BY_P95 } else { SLOWEST_BY_AVERAGE }, &[from, to]).await
    }

    pub async fn by(&self, sql: &'static str, project: i64, from: i64, to: i64) -> sqlx::Result<Vec<KeyRow>> {
        self.rows(sql, &[project, from, to]).await
    }

    pub async fn insert_one(&self, metric: &NewMetric) -> Result<(), Failure> {
        metric.check()?;
        let insert = sqlx::query(INSERT_ONE).bind(metric.project).bind(metric.kind()?).bind(&metric.endpoint);
        let insert =
            insert.bind(metric.status_code).bind(metric.value).bind(metric.micros()?).bind(metric.organization);
        insert.execute(&mut *self.connection().await).await?;
        Ok(())
    }

    pub async fn insert_many(&self, metrics: &[NewMetric]) -> Result<(), Failure> {
        let first = metrics.first().ok_or("no measurement")?;
        metrics.iter().try_for_each(NewMetric::check)?;
        let kinds = metrics.iter().map(NewMetric::kind).collect::<Result<Vec<i16>, _>>()?;
        let times = metrics.iter().map(NewMetric::micros).collect::<Result<Vec<i64>, _>>()?;
        let endpoints: Vec<&str> = metrics.iter().map(|metric| metric.endpoint.as_str()).collect();
        let statuses: Vec<i16> = metrics.iter().map(|metric| metric.status_code).collect();
        let values: Vec<f64> = metrics.iter().map(|metric| metric.value).collect();
        let insert = sqlx::query(INSERT_MANY).bind(first.project).bind(&kinds).bind(endpoints).bind(&statuses);
        let insert = insert.bind(&values).bind(&times).bind(first.organization);
        insert.execute(&mut *self.connection().await).await?;
        Ok(())
    }
}
