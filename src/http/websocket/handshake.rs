//! The handshake of a WebSocket: the subprotocol, and the headers that RFC 6455 asks for.

use axum::{
    body::Body,
    http::{HeaderValue, Request, header, request::Parts},
    response::Response,
};
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::server::create_response;

/// The response that changes the protocol, and the connection that follows it. `None` if the request does not offer the
/// subprotocol or is no handshake.
pub fn accept(parts: &mut Parts, protocol: &'static str) -> Option<(Response, OnUpgrade)> {
    let mut offers = parts.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().flat_map(|value| {
        let offers = value.as_bytes().split(|byte| *byte == b',');
        offers.map(<[u8]>::trim_ascii)
    });
    if !offers.any(|offer| offer == protocol.as_bytes()) {
        return None;
    }
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    let mut response = create_response(&request).ok()?.map(|()| Body::empty());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    Some((response, parts.extensions.remove()?))
}
