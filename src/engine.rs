//! The GraphQL engine: admits documents and variables, executes operations, shares subscriptions and writes responses.
//!
//! A request passes the guard (limits before validation), then the schema; `error` gives every fault its code.

pub mod documents;
pub mod error;
mod executor;
pub mod guard;
pub mod loader;
pub mod payload;
pub mod request;
pub mod rows;
pub mod variables;
pub mod watch;

pub use executor::{Admitted, Answer, Cost, Engine, Method, Operation};
pub use request::Request;
