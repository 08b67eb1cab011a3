//! The routes of the server and the middleware around them.

use axum::{
    Router,
    http::StatusCode,
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect},
    routing::{any, get, post},
};

use super::{assets, compression, graphql, health, ingest_api::metrics, middleware, state::HttpState, websocket};

/// All routes with their middleware.
pub fn router(state: HttpState) -> Router {
    guarded(routes(), state)
}

fn routes() -> Router<HttpState> {
    let graphql_routes = get(websocket::upgrade_or_get)
        .post(graphql::post)
        .options(graphql::options)
        .fallback(graphql::method_not_allowed);
    let metrics_routes = post(metrics::post).fallback(metrics::method_not_allowed);
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/graphql") }))
        .route("/graphql", graphql_routes)
        .route(metrics::PATH, metrics_routes)
        .route("/assets/{*path}", get(assets::asset))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/version", get(health::version))
        .fallback(any(|| async {
            (StatusCode::NOT_FOUND, "no such address; GraphQL is at /graphql\n").into_response()
        }))
}

/// Wraps routes in the middleware of all requests.
pub fn guarded(mut routes: Router<HttpState>, state: HttpState) -> Router {
    if let Some(compression) = compression::layer(state.config.server.compression) {
        routes = routes.layer(compression);
    }
    // A single layer, because each further layer adds one boxed future per request.
    routes.layer(from_fn_with_state(state.clone(), middleware::guard)).with_state(state)
}
