//! Every address of the server on one page, and the middleware around them.

use std::{ops::Deref, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect},
    routing::{any, get, post},
};
use tokio_util::sync::CancellationToken;

use super::{assets, compression, cors, doors::metrics, graphql, health, middleware, websocket};
use crate::{
    config::Config, db::Database, engine::Engine, ingest::Ingest, jobs::self_monitoring::Recorder, live::Cursors,
};

/// What handlers share. Every layer of every request has a clone, which is why there is one allocation below.
#[derive(Clone)]
pub struct HttpState(Arc<Shared>);

impl HttpState {
    /// For the handlers of one server.
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for HttpState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The parts of the house that handlers call, and what tells them when to end.
pub struct Shared {
    /// The executable schema.
    pub engine: Engine,
    /// Where metrics go that do not come by GraphQL.
    pub ingest: Ingest,
    /// Writes where the streams of metrics stand after something was sent.
    pub cursors: Cursors,
    /// For readiness.
    pub database: Database,
    /// Settings of the server.
    pub config: Arc<Config>,
    /// Where served requests are recorded.
    pub recorder: Recorder,
    /// Cancelled when balancers should look elsewhere.
    pub leaving: CancellationToken,
    /// Cancelled when the server drains.
    pub draining: CancellationToken,
    /// One permit for each socket that may be open.
    pub sockets: Arc<tokio::sync::Semaphore>,
    /// One permit for each stream over HTTP that may be open.
    pub streams: Arc<tokio::sync::Semaphore>,
}

/// The whole URL space, guarded.
pub fn router(state: HttpState) -> Router {
    guarded(addresses(&state), state)
}

fn addresses(state: &HttpState) -> Router<HttpState> {
    let mut graphql = get(websocket::upgrade_or_get)
        .post(graphql::post)
        .options(graphql::options)
        .fallback(graphql::method_not_allowed);
    let mut bulk = post(metrics::post).fallback(metrics::method_not_allowed);
    if let Some(cors) = cors::layer(&state.config.server) {
        graphql = graphql.layer(cors.clone());
        bulk = bulk.layer(cors);
    }
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/graphql") }))
        .route("/graphql", graphql)
        .route(metrics::PATH, bulk)
        .route("/assets/{*path}", get(assets::asset))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/version", get(health::version))
        .fallback(any(|| async {
            (StatusCode::NOT_FOUND, "no such address; GraphQL is at /graphql\n").into_response()
        }))
}

/// What happens to every request, whatever its address.
pub fn guarded(mut routes: Router<HttpState>, state: HttpState) -> Router {
    if let Some(compression) = compression::layer(state.config.server.compression) {
        routes = routes.layer(compression);
    }
    // One layer for all of it: each by itself would be one more box around every request.
    routes.layer(from_fn_with_state(state.clone(), middleware::guard)).with_state(state)
}
