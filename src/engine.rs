//! The GraphQL engine: admits documents and variables, executes operations, shares subscriptions and encodes responses.
//!
//! It executes any schema. A schema declares the sizes of its lists and the resumption of its subscriptions by directives on
//! its fields, brings a rule for each scalar, and makes the contexts of its resolvers. `error` gives every fault its code.

pub mod contexts;
pub mod directives;
pub mod documents;
pub mod error;
mod executor;
pub mod guard;
pub mod loader;
mod nearest;
mod operation;
pub mod payload;
pub mod request;
pub mod rows;
pub mod schema;
pub mod spelling;
pub mod variables;
pub mod watch;

pub use executor::{Engine, Settings};
pub use operation::{Cost, Method, OperationStream, Outcome, PreparedOperation};
pub use request::Request;
