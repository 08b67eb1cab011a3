//! The one integration binary: behaviour tests by room, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed; helpers of tests are no different")]

mod cases;
mod harness;
mod ingest;
mod live;
mod migrations;
mod reports;
mod tidy;
