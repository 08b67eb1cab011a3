//! The HTTP layer: routes, middleware, GraphQL over HTTP, WebSocket and streams, the ingest API, health and pages.
//!
//! It translates requests into calls of the other rooms and their results into responses. It decides nothing about data.

pub mod assets;
pub mod caller;
mod compression;
mod content_encoding;
mod cors;
mod fault;
pub mod graphql;
mod header_list;
pub mod health;
pub mod in_flight;
pub mod ingest_api;
pub mod listener;
pub mod logged_request;
mod media_type;
pub mod middleware;
mod observation;
pub mod origin;
pub mod refused_origins;
pub mod request_body;
mod request_target;
pub mod router;
pub mod state;
pub mod streams;
mod trace;
mod unread_body;
pub mod waiting;
pub mod websocket;

pub use router::router;
