//! The textbook GraphQL server: async-graphql, SeaORM entities and a data loader per relation, put together as the
//! documentation of these libraries does, on PostgreSQL. Correct and without one statement per row; aggregates are
//! computed by the database. Nothing is tuned: no rollups, no cache that outlives a request, pools as the libraries have
//! them. Also the questions as request bodies for this server.

mod entity;
mod loaders;

use async_graphql::{ComplexObject, Context, EmptySubscription, InputObject, Object, Result, Schema, SimpleObject};
use async_graphql_axum::{GraphQLRequest, GraphQLResponse};
use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    routing::post,
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    Database, DatabaseConnection, DbBackend, EntityTrait, FromQueryResult, QueryOrder, QuerySelect, Statement,
    TransactionTrait, Value,
};
use serde_json::json;
use tokio::net::TcpListener;

use crate::Outcome;
use entity::{MetricType, employee, organization, plain_metric, project};
use loaders::Loaders;

/// The argument that makes this program be the server.
pub const MODE: &str = "textbook";
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Nine parameters each: PostgreSQL takes 65,535 of them.
const ROWS_PER_STATEMENT: usize = 5_000;

fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

#[derive(FromQueryResult, SimpleObject)]
struct Summary {
    kind: MetricType,
    count: i64,
    average: f64,
    min: f64,
    max: f64,
    p50: f64,
    p95: f64,
    p99: f64,
}

const SUMMARY: &str = "SELECT kind, count(*) AS count, avg(value) AS average, min(value) AS min, max(value) AS max, \
    percentile_disc(0.5) WITHIN GROUP (ORDER BY value) AS p50, \
    percentile_disc(0.95) WITHIN GROUP (ORDER BY value) AS p95, \
    percentile_disc(0.99) WITHIN GROUP (ORDER BY value) AS p99 \
    FROM plain_metric WHERE project_id = $1 AND kind IN (0, 1, 2, 3, 4) AND ts >= $2 AND ts < $3 GROUP BY kind ORDER BY kind";

/// An hour, counted from 1970.
#[derive(FromQueryResult, SimpleObject)]
struct Hour {
    hour: i64,
    count: i64,
    average: f64,
    p95: f64,
}

const HOURLY: &str = "SELECT ts / 3600000000 AS hour, count(*) AS count, avg(value) AS average, \
    percentile_disc(0.95) WITHIN GROUP (ORDER BY value) AS p95 \
    FROM plain_metric WHERE project_id = $1 AND kind = $2 AND ts >= $3 AND ts < $4 GROUP BY 1 ORDER BY 1";

#[derive(FromQueryResult, SimpleObject)]
struct StatusCode {
    status: i16,
    count: i64,
    average: f64,
    p95: f64,
}

const STATUS_CODES: &str = "SELECT status, count(*) AS count, avg(value) AS average, \
    percentile_disc(0.95) WITHIN GROUP (ORDER BY value) AS p95 \
    FROM plain_metric WHERE project_id = $1 AND kind = $2 AND ts >= $3 AND ts < $4 GROUP BY status ORDER BY status";

#[derive(FromQueryResult, SimpleObject)]
#[graphql(complex)]
struct SlowEndpoint {
    organization_id: i64,
    project_id: i64,
    endpoint: String,
    count: i64,
    average: f64,
    p95: f64,
}

const SLOWEST: &str = "SELECT organization_id, project_id, endpoint, count(*) AS count, avg(value) AS average, \
    percentile_disc(0.95) WITHIN GROUP (ORDER BY value) AS p95 \
    FROM plain_metric WHERE kind = $1 AND ts >= $2 AND ts < $3 GROUP BY organization_id, project_id, endpoint \
    ORDER BY average DESC, project_id, endpoint LIMIT 10";

#[ComplexObject]
impl SlowEndpoint {
    async fn project(&self, ctx: &Context<'_>) -> Result<project::Model> {
        Ok(ctx.data::<Loaders>()?.projects.try_load((self.organization_id, self.project_id)).await??)
    }
}

#[derive(FromQueryResult, SimpleObject)]
struct Department {
    department: String,
    count: i64,
    average_salary: Option<f64>,
}

const DEPARTMENTS: &str = "SELECT department, count(*) AS count, avg(salary) AS average_salary \
    FROM employee WHERE organization_id = $1 GROUP BY department ORDER BY department";

#[derive(FromQueryResult, SimpleObject)]
struct Staff {
    count: i64,
    active_count: i64,
    average_salary: Option<f64>,
    #[sea_orm(skip)]
    departments: Vec<Department>,
}

const STAFF: &str = "SELECT count(*) AS count, count(*) FILTER (WHERE is_active) AS active_count, \
    avg(salary) AS average_salary FROM employee WHERE organization_id = $1";

struct Query;

#[Object]
impl Query {
    async fn organization(&self, ctx: &Context<'_>, id: i64) -> Result<Option<organization::Model>> {
        Ok(organization::Entity::find_by_id(id).one(ctx.data::<DatabaseConnection>()?).await?)
    }

    async fn employees(&self, ctx: &Context<'_>, first: u64) -> Result<Vec<employee::Model>> {
        let ordered = employee::Entity::find().order_by_asc(employee::Column::Name).order_by_asc(employee::Column::Id);
        Ok(ordered.limit(first).all(ctx.data::<DatabaseConnection>()?).await?)
    }

    async fn projects(&self, ctx: &Context<'_>, first: u64) -> Result<Vec<project::Model>> {
        let ordered = project::Entity::find().order_by_asc(project::Column::Name).order_by_asc(project::Column::Id);
        Ok(ordered.limit(first).all(ctx.data::<DatabaseConnection>()?).await?)
    }

    async fn summary(&self, ctx: &Context<'_>, project: i64, from: i64, to: i64) -> Result<Vec<Summary>> {
        let statement = statement(SUMMARY, [project.into(), from.into(), to.into()]);
        Ok(Summary::find_by_statement(statement).all(ctx.data::<DatabaseConnection>()?).await?)
    }

    async fn departments(&self, ctx: &Context<'_>, organization: i64) -> Result<Staff> {
        let database = ctx.data::<DatabaseConnection>()?;
        let totals = statement(STAFF, [organization.into()]);
        let staff = Staff::find_by_statement(totals).one(database).await?.ok_or("the totals are missing")?;
        let by_department = statement(DEPARTMENTS, [organization.into()]);
        let departments = Department::find_by_statement(by_department).all(database).await?;
        Ok(Staff { departments, ..staff })
    }

    async fn hourly(&self, ctx: &Context<'_>, project: i64, from: i64, to: i64) -> Result<Vec<Hour>> {
        let values = [project.into(), MetricType::ApiResponse.into(), from.into(), to.into()];
        Ok(Hour::find_by_statement(statement(HOURLY, values)).all(ctx.data::<DatabaseConnection>()?).await?)
    }

    async fn slowest(&self, ctx: &Context<'_>, from: i64, to: i64) -> Result<Vec<SlowEndpoint>> {
        let statement = statement(SLOWEST, [MetricType::ApiResponse.into(), from.into(), to.into()]);
        Ok(SlowEndpoint::find_by_statement(statement).all(ctx.data::<DatabaseConnection>()?).await?)
    }

    async fn status_codes(&self, ctx: &Context<'_>, project: i64, from: i64, to: i64) -> Result<Vec<StatusCode>> {
        let values = [project.into(), MetricType::ApiResponse.into(), from.into(), to.into()];
        let statement = statement(STATUS_CODES, values);
        Ok(StatusCode::find_by_statement(statement).all(ctx.data::<DatabaseConnection>()?).await?)
    }
}

#[derive(InputObject)]
struct MetricInput {
    #[graphql(name = "type")]
    kind: MetricType,
    value: f64,
    endpoint: String,
    status_code: Option<i16>,
    timestamp: String,
    name: Option<String>,
    release_version: Option<String>,
}

#[derive(InputObject)]
struct InsertMetricInput {
    organization_id: i64,
    project_id: i64,
    #[graphql(flatten)]
    metric: MetricInput,
}

#[derive(InputObject)]
struct InsertMetricsInput {
    organization_id: i64,
    project_id: i64,
    metrics: Vec<MetricInput>,
}

impl MetricInput {
    /// The row to insert.
    fn read(self, organization_id: i64, project_id: i64) -> Result<plain_metric::ActiveModel> {
        let ts = self.timestamp.parse::<jiff::Timestamp>()?.as_microsecond();
        Ok(plain_metric::ActiveModel {
            id: NotSet,
            organization_id: Set(organization_id),
            project_id: Set(project_id),
            kind: Set(self.kind),
            endpoint: Set(self.endpoint),
            name: Set(self.name.unwrap_or_default()),
            status: Set(self.status_code.unwrap_or_default()),
            release: Set(self.release_version.unwrap_or_default()),
            value: Set(self.value),
            ts: Set(ts),
        })
    }
}

struct Mutation;

#[Object]
impl Mutation {
    async fn insert_metric(&self, ctx: &Context<'_>, input: InsertMetricInput) -> Result<plain_metric::Model> {
        let row = input.metric.read(input.organization_id, input.project_id)?;
        Ok(row.insert(ctx.data::<DatabaseConnection>()?).await?)
    }

    /// The number of accepted measurements: all of them, or an error and none.
    async fn insert_metrics(&self, ctx: &Context<'_>, input: InsertMetricsInput) -> Result<usize> {
        let InsertMetricsInput { organization_id, project_id, metrics } = input;
        let read = metrics.into_iter().map(|metric| metric.read(organization_id, project_id));
        let rows = read.collect::<Result<Vec<_>>>()?;
        let transaction = ctx.data::<DatabaseConnection>()?.begin().await?;
        for chunk in rows.chunks(ROWS_PER_STATEMENT) {
            plain_metric::Entity::insert_many(chunk.to_vec()).exec_without_returning(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(rows.len())
    }
}

#[derive(Clone)]
struct App {
    schema: Schema<Query, Mutation, EmptySubscription>,
    database: DatabaseConnection,
}

async fn graphql(State(app): State<App>, request: GraphQLRequest) -> GraphQLResponse {
    app.schema.execute(request.into_inner().data(Loaders::new(&app.database))).await.into()
}

/// Serves until it is killed.
pub fn run(url: &str) -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(url))
}

async fn serve(url: &str) -> Outcome<()> {
    let database = Database::connect(url).await?;
    let schema = Schema::build(Query, Mutation, EmptySubscription).data(database.clone()).finish();
    let router = Router::new()
        .route("/graphql", post(graphql))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(App { schema, database });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("textbook serves on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

/// A question of the benchmark. Times are microseconds since 1970; `to` is exclusive.
#[derive(Clone, Debug)]
pub enum Question {
    Organization { id: i64 },
    Employees,
    Projects,
    Summary { project: i64, from: i64, to: i64 },
    Departments { organization: i64 },
    Hourly { project: i64, from: i64, to: i64 },
    Slowest { from: i64, to: i64 },
    StatusCodes { project: i64, from: i64, to: i64 },
    InsertOne { project: i64, organization: i64, metric: serde_json::Value },
    InsertMany { project: i64, organization: i64, metrics: Vec<serde_json::Value> },
}

/// The JSON body of the request that asks this server a question.
pub fn body(question: &Question) -> String {
    let (query, variables) = match question {
        Question::Organization { id } => {
            ("query ($id: Int!) { organization(id: $id) { name slug employeeCount } }", json!({ "id": id }))
        }
        Question::Employees => {
            ("query { employees(first: 50) { id name email department organization { id name } } }", json!({}))
        }
        Question::Projects => (
            "query { projects(first: 20) { \
             id name status members(first: 8) { id name email } organization { id name } } }",
            json!({}),
        ),
        Question::Summary { project, from, to } => (
            "query ($project: Int!, $from: Int!, $to: Int!) { \
             summary(project: $project, from: $from, to: $to) { kind count average min max p50 p95 p99 } }",
            json!({ "project": project, "from": from, "to": to }),
        ),
        Question::Departments { organization } => (
            "query ($organization: Int!) { departments(organization: $organization) { \
             count activeCount averageSalary departments { department count averageSalary } } }",
            json!({ "organization": organization }),
        ),
        Question::Hourly { project, from, to } => (
            "query ($project: Int!, $from: Int!, $to: Int!) { \
             hourly(project: $project, from: $from, to: $to) { hour count average p95 } }",
            json!({ "project": project, "from": from, "to": to }),
        ),
        Question::Slowest { from, to } => (
            "query ($from: Int!, $to: Int!) { \
             slowest(from: $from, to: $to) { endpoint project { id name } count average p95 } }",
            json!({ "from": from, "to": to }),
        ),
        Question::StatusCodes { project, from, to } => (
            "query ($project: Int!, $from: Int!, $to: Int!) { \
             statusCodes(project: $project, from: $from, to: $to) { status count average p95 } }",
            json!({ "project": project, "from": from, "to": to }),
        ),
        Question::InsertOne { project, organization, metric } => {
            let mut input = metric.clone();
            input["organizationId"] = json!(organization);
            input["projectId"] = json!(project);
            ("mutation ($input: InsertMetricInput!) { insertMetric(input: $input) { id } }", json!({ "input": input }))
        }
        Question::InsertMany { project, organization, metrics } => (
            "mutation ($input: InsertMetricsInput!) { insertMetrics(input: $input) }",
            json!({ "input": { "organizationId": organization, "projectId": project, "metrics": metrics } }),
        ),
    };
    json!({ "query": query, "variables": variables }).to_string()
}
