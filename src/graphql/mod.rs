//! The GraphQL layer: it translates between clients and rooms and never decides.
//!
//! A request passes the guard (bounds before validation), then the schema; `error` gives every fault its code.

pub mod context;
pub mod cursor;
pub mod documents;
pub mod engine;
pub mod error;
pub mod guard;
pub mod loaders;
pub mod mutation;
pub mod node;
pub mod page;
pub mod payload;
pub mod plain_list;
pub mod query;
mod release_query;
pub mod request;
pub mod rows;
pub mod scalars;
pub mod selection;
pub mod subscription;
pub mod types;
pub mod variables;
pub mod watch;

pub use context::{Limits, RequestContext, Services};
pub use engine::{Answer, Engine};
pub use request::Request;
