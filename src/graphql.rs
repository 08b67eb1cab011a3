//! The GraphQL schema: types, resolvers and loaders that translate between clients and rooms and never decide.
//!
//! The `engine` room executes it.

pub mod context;
pub mod loaders;
pub mod moved;
pub mod mutation;
mod named;
pub mod node;
pub mod page;
pub mod plain_list;
pub mod query;
mod release_query;
pub mod scalars;
pub mod schema;
pub mod selection;
pub mod sizes;
pub mod subscription;
pub mod types;
mod version;

pub use context::{RequestContext, Services};
