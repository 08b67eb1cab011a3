//! The least that can answer these questions: axum, one prepared statement a question on connections that stay open, typed rows,
//! serde. No schema, no validation, no scopes, no rollups, no pool that pings, no measurements of itself.

#[path = "../load/handwritten/answer.rs"]
mod answer;
mod answers;
mod store;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Query, State},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::Outcome;
use answer::{Answer, json};
use answers::shape;
use store::Store;

/// The word that makes this program the endpoint.
pub const MODE: &str = "plain";
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

type App = State<Arc<Store>>;

/// Serves until killed.
pub fn run(url: &str) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Arc::new(Store::open(url).await?);
        let router = Router::new()
            .route("/organization", get(organization))
            .route("/employees", get(employees))
            .route("/projects", get(projects))
            .route("/summary", get(summary))
            .route("/departments", get(departments))
            .route("/hourly", get(hourly))
            .route("/slowest", get(slowest))
            .route("/statuses", get(statuses))
            .route("/releases", get(releases))
            .route("/names", get(names))
            .route("/metric", post(insert_one))
            .route("/metrics", post(insert_many))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(store);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("plain serves on http://{}", listener.local_addr()?);
        Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), router)
            .await?)
    })
}

#[derive(Deserialize)]
struct ById {
    id: i64,
}

/// A project and a time in microseconds.
#[derive(Deserialize)]
struct Window {
    project: i64,
    from: i64,
    to: i64,
}

#[derive(Deserialize)]
struct Ranking {
    by: String,
    from: i64,
    to: i64,
}

async fn organization(State(store): App, Query(query): Query<ById>) -> Answer<shape::OrganizationData> {
    Ok(json(shape::OrganizationData { organization: store.organization(query.id).await? }))
}

async fn employees(State(store): App) -> Answer<shape::EmployeesData> {
    Ok(json(shape::EmployeesData { employees: shape::Nodes { nodes: store.employees().await? } }))
}

async fn projects(State(store): App) -> Answer<shape::ProjectsData> {
    let (projects, members, organizations) = store.projects().await?;
    Ok(json(shape::ProjectsData::assemble(projects, members, organizations)))
}

async fn departments(State(store): App, Query(query): Query<ById>) -> Answer<shape::DepartmentsData> {
    Ok(json(shape::DepartmentsData::new(store.departments(query.id).await?)))
}

async fn summary(State(store): App, Query(window): Query<Window>) -> Answer<answers::Groups<answers::TypeGroup>> {
    Ok(json(answers::Groups::new(store.summary(window.project, window.from, window.to).await?)))
}

async fn hourly(State(store): App, Query(window): Query<Window>) -> Answer<answers::Series> {
    let rows = store.hourly(window.project, window.from, window.to).await?;
    Ok(json(answers::Series::new(rows, window.from, window.to)))
}

async fn slowest(State(store): App, Query(ranking): Query<Ranking>) -> Answer<answers::Slowest> {
    Ok(json(answers::Slowest::new(store.slowest(&ranking.by, ranking.from, ranking.to).await?)))
}

async fn statuses(State(store): App, Query(window): Query<Window>) -> Answer<answers::Groups<answers::KeyGroup>> {
    Ok(json(answers::Groups::new(store.by(store::STATUSES, window.project, window.from, window.to).await?)))
}

async fn releases(State(store): App, Query(window): Query<Window>) -> Answer<answers::Groups<answers::KeyGroup>> {
    Ok(json(answers::Groups::new(store.by(store::RELEASES, window.project, window.from, window.to).await?)))
}

async fn names(State(store): App, Query(window): Query<Window>) -> Answer<answers::Groups<answers::KeyGroup>> {
    Ok(json(answers::Groups::new(store.by(store::NAMES, window.project, window.from, window.to).await?)))
}

async fn insert_one(State(store): App, Json(metric): Json<store::NewMetric>) -> Answer<answers::Accepted> {
    store.insert_one(&metric).await?;
    Ok(json(answers::Accepted { accepted: 1 }))
}

async fn insert_many(State(store): App, Json(metrics): Json<Vec<store::NewMetric>>) -> Answer<answers::Accepted> {
    store.insert_many(&metrics).await?;
    Ok(json(answers::Accepted { accepted: metrics.len() }))
}
