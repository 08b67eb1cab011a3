//! The one integration binary: behaviour tests by room, on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::unnecessary_wraps,
    clippy::float_cmp,
    reason = "a test that cannot go on has failed, it may start tasks, and it is told where the test server is"
)]

mod batch;
mod browser;
mod buses;
mod cases;
mod cli;
mod clients;
mod compaction;
mod connections;
mod crash;
mod crowds;
mod directory;
mod documents;
mod doors;
mod entity_changes;
mod explained;
mod faults;
mod harness;
mod hostile;
mod http;
mod import;
mod ingest;
mod late;
mod lifecycle;
mod live;
mod live_windows;
mod migrations;
mod mutations;
mod network;
mod outages;
mod partitions;
mod postman;
mod releases;
mod reports;
mod retention;
mod rows;
mod schema;
mod statements;
mod streams;
mod subscriptions;
mod tidy;
mod timeouts;
mod unbroken;
mod unruly;
mod watch;
mod watching;
mod websocket;
