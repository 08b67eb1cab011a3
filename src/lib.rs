//! perfgraph: metrics in, answers and live pushes out. The map of the house is ARCHITECTURE.md.

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
pub mod seed;
