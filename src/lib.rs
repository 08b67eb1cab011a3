//! perfgraph: a GraphQL server for performance analytics. ARCHITECTURE.md describes its structure.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod directory;
pub mod engine;
pub mod entity;
pub mod error;
pub mod graphql;
pub mod http;
pub mod ingest;
pub mod jobs;
pub mod live;
pub mod model;
pub mod random;
pub mod reports;
pub mod sample;
pub mod seed;
