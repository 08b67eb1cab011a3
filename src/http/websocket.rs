//! `GET /graphql`: a WebSocket for upgrades, GraphiQL for browsers, and queries for all other clients.

mod connection;
mod counted;
mod handshake;
mod message;

use async_graphql_axum::GraphQLProtocol;
use axum::{
    extract::{FromRequestParts, Query, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::protocol::{Role, WebSocketConfig},
};

use self::counted::CountedConnection;
use super::{
    assets, caller::Caller, fault, graphql, logged_request::LoggedRequest, observation::Unrecorded, state::HttpState,
};
use crate::error::Error;

/// The only subprotocol that is supported. The older `graphql-ws` is not.
const PROTOCOL: &str = "graphql-transport-ws";

/// Size of the read and of the write buffer of a socket. The default of 128 KiB would dominate the memory per subscriber.
const BUFFER_BYTES: usize = 1_024;

/// `GET /graphql`.
pub async fn upgrade_or_get(State(state): State<HttpState>, caller: Caller, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    if is_upgrade(&parts.headers) {
        let mut response = upgrade(state, caller, &mut parts).await;
        response.extensions_mut().insert(Unrecorded);
        return response;
    }
    if state.config.graphql.graphiql && graphql::page::is_wanted(&parts) {
        return assets::graphiql();
    }
    let parameters = Query::from_request_parts(&mut parts, &()).await.ok();
    graphql::get(state, caller, parts.headers, parameters).await
}

/// True if the request asks for a WebSocket. Some HTTP libraries offer other upgrades (h2c) on plain requests.
fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

async fn upgrade(state: HttpState, caller: Caller, parts: &mut Parts) -> Response {
    if let Err(fault) = state.admit_origin(&parts.headers, "open a WebSocket") {
        return fault::response_by_code(&fault);
    }
    let is_known = GraphQLProtocol::from_request_parts(parts, &()).await.is_ok();
    let accepted = handshake::accept(parts, PROTOCOL).filter(|_| is_known);
    let Some((response, upgrade)) = accepted else {
        let fault = Error::input("Sec-WebSocket-Protocol", format!("must contain {PROTOCOL}"));
        return fault::response(&fault, StatusCode::BAD_REQUEST);
    };
    let Ok(permit) = state.sockets.clone().try_acquire_owned() else {
        let message = "too many WebSockets are open (limits.sockets_max)";
        let fault = Error::Unavailable { message, retry_after_s: 1, source: None };
        return fault::response_by_code(&fault);
    };
    let message_bytes_max = Some(state.config.limits.websocket_message_bytes_max);
    let settings = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(message_bytes_max)
        .max_frame_size(message_bytes_max);
    let served = async move {
        if let Ok(upgraded) = upgrade.await {
            let connection = CountedConnection::new(TokioIo::new(upgraded), &state.in_flight);
            let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(settings)).await;
            connection::serve(socket, state, caller.viewer).await;
        }
        drop(permit);
    };
    // Log lines of the socket's operations carry the id of the request that opened it.
    let served = LoggedRequest::attribute(LoggedRequest::current(), served);
    #[expect(clippy::disallowed_methods, reason = "a socket lives on after its handshake; its permit counts it")]
    tokio::spawn(served);
    response
}
