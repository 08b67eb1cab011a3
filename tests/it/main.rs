//! The one integration binary: behaviour tests by room, on SQLite and on PostgreSQL.

mod harness;
mod ingest;
mod live;
mod migrations;
