//! The protocol layer: addresses, middleware, GraphQL over HTTP, WebSocket and streams, health and the embedded pages.
//!
//! It turns bytes into calls and answers into bytes; what a call means is decided further in.

pub mod assets;
mod compression;
mod cors;
pub mod doors;
pub mod graphql;
pub mod health;
pub mod listener;
pub mod middleware;
pub mod origin;
mod patience;
pub mod request_body;
pub mod router;
pub mod streams;
mod trace;
pub mod websocket;

pub use router::router;
