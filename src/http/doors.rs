//! Ways in for metrics besides GraphQL: bodies that are read while they arrive. What may be stored is decided by `ingest`,
//! the same for every door.

mod content;
pub mod metrics;
mod summary;
