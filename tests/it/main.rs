//! The one integration binary: behaviour tests on SQLite and on PostgreSQL, one module per room and one file per feature.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::unnecessary_wraps,
    clippy::float_cmp,
    reason = "a test that cannot go on has failed, it may start tasks, and it is told where the test server is"
)]

mod cases;
mod harness;
mod readme;
mod tidy;

/// `perfgraph` as a command.
mod cli {
    mod commands;
    pub mod import;
    mod migrate;
    mod tail;
    mod watch;
}

/// Client libraries and tools, as frontends use them.
mod clients {
    mod frontends;
    mod graphiql;
    mod postman;
}

/// Connections, migrations and query plans.
mod db {
    mod connections;
    mod encryption;
    mod leases;
    mod migrations;
    mod pooler;
    mod query_plans;
}

/// Organizations, employees, projects and their teams.
mod directory {
    mod employee_statistics;
    mod filters;
    mod fixture;
    mod mutations;
    mod ordering;
    mod pagination;
    mod query_plans;
}

/// Execution of GraphQL, without the nouns of the schema.
mod engine {
    mod batches;
    mod conditions;
    mod documents;
    mod hostile_documents;
    mod row_text;
    mod timeouts;
    mod validation;
}

/// The schema.
mod graphql {
    mod empty_lists;
    mod error_texts;
    mod figures;
    mod malformed_ids;
    mod names;
    pub mod schema;
    mod slugs;
    pub mod statement_counts;
    mod unknown_ids;
}

/// The protocols: GraphQL over HTTP, event streams, WebSockets, and what surrounds every request.
mod http {
    mod byte_limits;
    mod client_habits;
    mod connections;
    mod event_ids;
    mod graphql;
    mod memory_bombs;
    mod middleware;
    mod request_bodies;
    mod response_streams;
    mod root_fragments;
    mod unfinished_messages;
    mod unread_bodies;
    mod websocket;
    mod websocket_clients;
}

/// Storing measurements.
mod ingest {
    mod backpressure;
    pub mod batches;
    mod dialects;
    mod doubles;
    mod faults;
    pub mod http_api;
    mod labels;
    mod late_rows;
    mod look_ups;
    mod spellings;
    mod status;
}

/// Background work.
mod jobs {
    mod breakdowns;
    mod compaction;
    mod demo_traffic;
    mod grains;
    mod kept_breakdowns;
    mod partitions;
    mod retention;
    mod statistics;
}

/// Subscriptions.
mod live {
    mod bus;
    mod entity_changes;
    mod failover;
    mod fan_out;
    mod misbehaving_clients;
    pub mod streams;
    pub mod windows;
}

/// Starting, stopping, and failures of processes and disks.
mod operations {
    mod broken_connections;
    pub mod crash;
    mod damaged_files;
    mod first_start;
    mod idle_files;
    mod instances;
    mod lifecycle;
    mod outages;
    mod own_organization;
    mod signals;
    mod taken_files;
    mod wrong_clocks;
}

/// Releases: markers, tags of measurements, and comparisons.
mod releases {
    mod comparisons;
    mod dense_comparisons;
    mod markers;
    mod tags;
}

/// Statistics, series, groups and rankings of measurements.
mod reports;

/// Sample data.
mod seed {
    mod sample_data;
}
