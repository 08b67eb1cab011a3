//! Liveness, readiness and version of the server.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::state::HttpState;

/// `GET /healthz`: returns 200 while the process runs.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: returns 200 while the database responds, its SQLite file is in its place and undamaged, the lease of this
/// instance holds and the server is not stopping, otherwise 503.
pub async fn ready(State(state): State<HttpState>) -> Response {
    if state.leaving.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    match state.database.ping().await {
        Ok(()) if state.ingest.check().is_err() => {
            (StatusCode::SERVICE_UNAVAILABLE, "the database has not confirmed the lease of this instance\n")
                .into_response()
        }
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "the readiness probe could not reach the database");
            let reason = match state.database.file_watch().admits() {
                Err(fault) => fault.message(),
                Ok(()) => "the database does not respond",
            };
            (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
        }
    }
}

/// `GET /version`: returns the name and the version.
pub async fn version() -> Json<serde_json::Value> {
    Json(serde_json::json!({ "name": "perfgraph", "version": env!("CARGO_PKG_VERSION") }))
}
