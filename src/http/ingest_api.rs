//! The ingest API: metrics over HTTP without GraphQL, from bodies that are read while they arrive. It applies the same rules
//! as the mutation, because both use `ingest`.

mod body;
mod intake;
pub mod metrics;
mod summary;
