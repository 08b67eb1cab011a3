//! GraphQL over WebSocket (graphql-transport-ws), and the GET address that it shares with queries and the explorer.

use std::time::Duration;

use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::{
    extract::{FromRequestParts, Query, Request, State, WebSocketUpgrade, ws::WebSocket},
    http::{StatusCode, header},
    response::Response,
};
use futures_util::StreamExt;
use tokio::sync::OwnedSemaphorePermit;

use super::{assets, graphql, origin, router::HttpState};
use crate::{auth, error::Error, graphql::engine::ViewerEngine};

/// A client that is silent for so long is asked for a sign of life, and then closed.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Read and write buffers of a socket: the default of 128 KiB would be most of a watcher's memory.
const BUFFER_BYTES: usize = 1_024;

/// `GET /graphql`: a socket, the explorer for browsers, or a query.
pub async fn upgrade_or_get(State(state): State<HttpState>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if parts.headers.contains_key(header::UPGRADE) {
        if !origin::is_same(&parts.headers) {
            let fault = Error::Forbidden("a page of another origin may not open a socket here".to_owned());
            return graphql::failure(&fault, StatusCode::FORBIDDEN);
        }
        let protocol = GraphQLProtocol::from_request_parts(&mut parts, &()).await;
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await;
        let (Ok(protocol), Ok(upgrade)) = (protocol, upgrade) else {
            let fault = Error::input("Sec-WebSocket-Protocol", "a WebSocket here speaks graphql-transport-ws");
            return graphql::failure(&fault, StatusCode::BAD_REQUEST);
        };
        return open(state, upgrade, protocol);
    }
    let wants_page = parts
        .headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page && !parts.uri.query().is_some_and(|query| query.contains("query=")) && state.settings.graphiql {
        return assets::graphiql();
    }
    let parameters = Query::from_request_parts(&mut parts, &()).await.ok();
    graphql::get(state, parts.headers, parameters).await
}

fn open(state: HttpState, upgrade: WebSocketUpgrade, protocol: GraphQLProtocol) -> Response {
    let Ok(permit) = state.sockets.clone().try_acquire_owned() else {
        let fault = Error::Unavailable { message: "too many sockets are open", retry_after_s: 1, source: None };
        return graphql::failure(&fault, StatusCode::SERVICE_UNAVAILABLE);
    };
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(state.settings.websocket_message_bytes_max)
        .protocols(ALL_WEBSOCKET_PROTOCOLS)
        .on_upgrade(move |socket| serve(state, socket, protocol, permit))
}

async fn serve(state: HttpState, socket: WebSocket, protocol: GraphQLProtocol, permit: OwnedSemaphorePermit) {
    let engine = ViewerEngine { engine: state.engine, viewer: auth::development_viewer() };
    let (sink, stream) = socket.split();
    // A draining server stops listening to its sockets; the protocol then ends their operations.
    let stream = stream.take_until(state.draining.cancelled_owned());
    GraphQLWebSocket::new_with_pair(sink, stream, engine, protocol).keepalive_timeout(KEEPALIVE).serve().await;
    drop(permit);
}
