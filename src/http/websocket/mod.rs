//! The GET address of GraphQL: a WebSocket for those who upgrade, the explorer for browsers, queries for the rest.

mod connection;
mod message;

use async_graphql_axum::GraphQLProtocol;
use axum::{
    extract::{FromRequestParts, Query, Request, State, WebSocketUpgrade},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};

use tracing::{Instrument, Span};

use super::{assets, graphql, origin, router::HttpState};
use crate::{auth, error::Error};

/// The one sub-protocol spoken here; the older `graphql-ws` of the same library family is not.
const PROTOCOL: &str = "graphql-transport-ws";

/// Read and write buffers of a socket: the default of 128 KiB would be most of a watcher's memory.
const BUFFER_BYTES: usize = 1_024;

/// Whether the request wants a WebSocket; some HTTP libraries offer other upgrades (h2c) and mean a plain request.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// `GET /graphql`.
pub async fn upgrade_or_get(State(state): State<HttpState>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if is_upgrade(&parts.headers) {
        return upgrade(state, &mut parts).await;
    }
    let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_browser = accept.is_some_and(|accept| accept.contains("text/html"));
    let names_a_document =
        |query: &str| ["query=", "documentId=", "extensions="].iter().any(|name| query.contains(name));
    let has_query = parts.uri.query().is_some_and(names_a_document);
    if is_browser && !has_query && state.config.graphql.graphiql {
        return assets::graphiql();
    }
    let parameters = Query::from_request_parts(&mut parts, &()).await.ok();
    graphql::get(state, parts.headers, parameters).await
}

async fn upgrade(state: HttpState, parts: &mut Parts) -> Response {
    if !origin::is_welcome(&parts.headers, &state.config.server) {
        let fault = Error::Forbidden("a page of another origin may not open a socket here".to_owned());
        return graphql::failure_by_code(&fault);
    }
    let known = GraphQLProtocol::from_request_parts(parts, &()).await.is_ok();
    let upgrade = WebSocketUpgrade::from_request_parts(parts, &()).await.map(|upgrade| upgrade.protocols([PROTOCOL]));
    let Some(upgrade) = upgrade.ok().filter(|upgrade| known && upgrade.selected_protocol().is_some()) else {
        let fault = Error::input("Sec-WebSocket-Protocol", format!("a WebSocket here speaks {PROTOCOL}"));
        return graphql::failure(&fault, StatusCode::BAD_REQUEST);
    };
    let Ok(permit) = state.sockets.clone().try_acquire_owned() else {
        let fault = Error::Unavailable { message: "too many sockets are open", retry_after_s: 1, source: None };
        return graphql::failure_by_code(&fault);
    };
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(state.config.limits.websocket_message_bytes_max)
        .max_frame_size(state.config.limits.websocket_message_bytes_max)
        .on_upgrade(|socket| {
            let served = async move {
                connection::serve(socket, state, auth::development_viewer()).await;
                drop(permit);
            };
            // What its operations log belongs to the request that opened it.
            served.instrument(Span::current())
        })
}
