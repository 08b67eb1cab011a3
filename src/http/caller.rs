//! The caller of a request. Handlers take it as an argument, so this is the only place that identifies callers.

use std::{convert::Infallible, net::SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{Extensions, request::Parts},
};

use crate::auth::{self, Viewer};

/// The caller of a request or of a WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The identity of the caller and its scope.
    pub viewer: Viewer,
    /// The address that the connection comes from. `None` for a request that did not come through the listener.
    pub peer: Option<SocketAddr>,
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self { viewer: auth::development_viewer(), peer: peer(&parts.extensions) })
    }
}

/// The address that a request comes from, as the listener has attached it.
pub fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| *address)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[tokio::test]
    async fn a_caller_has_the_address_of_its_connection() {
        let address = SocketAddr::from(([127, 0, 0, 1], 4_000));
        for peer in [None, Some(address)] {
            let (mut parts, ()) = Request::new(()).into_parts();
            if let Some(address) = peer {
                parts.extensions.insert(ConnectInfo(address));
            }
            let Ok(caller) = Caller::from_request_parts(&mut parts, &()).await;
            assert_eq!(caller.peer, peer);
        }
    }
}
