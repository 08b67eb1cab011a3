//! The endpoint that a competent engineer would write for these six requests and nothing else: axum, sqlx, serde, one statement per
//! question. No schema, no validation of documents, no scopes, no rollups, no live pushes, no measurements of itself.

mod answer;
mod batch;
mod postgres;
mod shape;
mod sqlite;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::Outcome;
use answer::{Answer, json};
use batch::{Batch, Endpoints};
use shape::decode;

/// The argument that makes this program be the endpoint.
pub const MODE: &str = "handwritten";
/// Pool sizes as perfgraph has them by default.
const READ_CONNECTIONS: u32 = 4;
const WRITE_CONNECTIONS: u32 = 4;
/// As perfgraph takes by default.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The database behind the endpoint.
#[derive(Clone)]
enum Store {
    Sqlite(sqlite::Store),
    Postgres(postgres::Store),
}

/// Calls the same function of whichever database there is.
macro_rules! ask {
    ($store:expr, $($call:tt)*) => {
        match &$store {
            Store::Sqlite(store) => store.$($call)*.await,
            Store::Postgres(store) => store.$($call)*.await,
        }
    };
}

#[derive(Clone)]
struct App {
    store: Store,
    endpoints: Endpoints,
}

/// Serves until killed.
pub fn run(url: &str) -> Outcome<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(url))
}

async fn serve(url: &str) -> Outcome<()> {
    let store = if url.starts_with("sqlite:") {
        Store::Sqlite(sqlite::Store::open(url).await?)
    } else {
        Store::Postgres(postgres::Store::open(url).await?)
    };
    let router = Router::new()
        .route("/organization", get(organization))
        .route("/employees", get(employees))
        .route("/projects", get(projects))
        .route("/summary", get(summary))
        .route("/departments", get(departments))
        .route("/ingest", post(ingest))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(App { store, endpoints: Endpoints::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("handwritten serves on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

#[derive(Deserialize)]
struct ById {
    id: String,
}

async fn organization(State(app): State<App>, Query(query): Query<ById>) -> Answer<shape::OrganizationData> {
    let [id] = decode(&query.id).ok_or("no id")?;
    let organization = ask!(app.store, organization(id))?;
    Ok(json(shape::OrganizationData { organization }))
}

#[derive(Deserialize)]
struct Page {
    first: i64,
    team: Option<i64>,
}

async fn employees(State(app): State<App>, Query(page): Query<Page>) -> Answer<shape::EmployeesData> {
    let nodes = ask!(app.store, employees(page.first))?;
    Ok(json(shape::EmployeesData { employees: shape::Nodes { nodes } }))
}

async fn projects(State(app): State<App>, Query(page): Query<Page>) -> Answer<shape::ProjectsData> {
    let projects = ask!(app.store, projects(page.first))?;
    let keys: Vec<(i64, i64)> = projects.iter().map(|project| (project.0, project.1)).collect();
    let team = ask!(app.store, teams(&keys, page.team.unwrap_or(10)))?;
    let organizations = ask!(app.store, organizations(&keys))?;
    Ok(json(shape::ProjectsData::assemble(projects, team, organizations)))
}

#[derive(Deserialize)]
struct Day {
    project: String,
    from: String,
    to: String,
}

async fn summary(State(app): State<App>, Query(day): Query<Day>) -> Answer<shape::SummaryData> {
    let [organization, project] = decode(&day.project).ok_or("no id")?;
    let micros = |text: &str| text.parse().map(jiff::Timestamp::as_microsecond);
    let window = (micros(&day.from)?, micros(&day.to)?);
    let figures = ask!(app.store, summary(organization, project, window))?;
    Ok(json(shape::SummaryData::new(figures)))
}

async fn departments(State(app): State<App>, Query(query): Query<ById>) -> Answer<shape::DepartmentsData> {
    let [organization] = decode(&query.id).ok_or("no id")?;
    let rows = ask!(app.store, departments(organization))?;
    Ok(json(shape::DepartmentsData::new(rows)))
}

async fn ingest(State(app): State<App>, Json(body): Json<batch::Body>) -> Answer<batch::IngestData> {
    let input = body.variables.input;
    let [organization, project] = decode(&input.project_id).ok_or("no id")?;
    let (known, missing) = app.endpoints.of(project, &input.metrics);
    let known = if missing.is_empty() {
        known
    } else {
        app.endpoints.remember(project, ask!(app.store, endpoints(organization, project, &missing))?)
    };
    let batch = Batch::new(organization, project, &input.metrics, &known)?;
    ask!(app.store, insert(&batch))?;
    Ok(json(batch::IngestData::new(input.metrics.len())))
}
