//! What each part of the server is told, from the configuration.

use std::time::Duration;

use crate::{
    config::{Config, TrustedDocuments},
    db::pool,
    engine::documents::{Trusted, TrustedMode},
    error::{Error, Result},
    http::{HttpSettings, doors::metrics, listener::Bounds, origin::Origins},
    ingest,
    jobs::{compaction, partitions::Days, retention},
    live::Pace,
};

/// How to open the database.
pub fn pool_options(config: &Config) -> pool::Options {
    pool::Options {
        url: config.database.url.reveal().to_owned(),
        read_connections: config.database.read_connections,
        write_connections: config.database.write_connections,
        acquire_timeout: Duration::from_millis(config.database.acquire_timeout_ms),
        busy_timeout: Duration::from_millis(config.database.busy_timeout_ms),
        statement_timeout: Duration::from_millis(config.database.statement_timeout_ms),
    }
}

pub(super) const fn pace(config: &Config) -> Pace {
    let live = &config.live;
    Pace {
        batch_max: live.event_metrics_max,
        delay_max: Duration::from_millis(live.delay_max_ms),
        heartbeat: Duration::from_millis(live.heartbeat_interval_ms),
        organizations_max: live.organizations_max,
    }
}

pub(super) fn partition_days(config: &Config) -> Days {
    Days { past: config.ingest.time_window_past_hours.div_ceil(24), future: config.database.partition_days_ahead }
}

pub(super) const fn compaction_settings(config: &Config) -> compaction::Settings {
    compaction::Settings {
        delay: Duration::from_millis(config.compaction.delay_ms),
        interval: Duration::from_millis(config.compaction.interval_ms),
    }
}

pub(super) const fn kept_days(config: &Config) -> retention::Days {
    let retention = &config.retention;
    retention::Days {
        raw: retention.raw_days,
        minutes: retention.minute_days,
        hours: retention.hour_days,
        changes: retention.change_days,
        keys: retention.key_days,
    }
}

/// What the server takes in, and how it writes it.
pub fn ingest_settings(config: &Config) -> ingest::Settings {
    ingest::Settings {
        rows_max: narrow(config.limits.ingest_rows_max),
        past: Duration::from_secs(u64::from(config.ingest.time_window_past_hours) * 3_600),
        future: Duration::from_secs(u64::from(config.ingest.time_window_future_minutes) * 60),
        queue_rows_max: narrow(config.ingest.queue_rows_max),
        endpoint_bytes_max: config.ingest.endpoint_bytes_max,
        tag_bytes_max: config.ingest.tag_bytes_max,
        endpoint_templates: config.ingest.endpoint_templates,
        endpoints_max: config.ingest.endpoints_max,
        commit_rows_max: narrow(config.ingest.commit_rows_max),
        committers: if config.database.url.is_sqlite() { 1 } else { config.database.write_connections.max(1) as usize },
    }
}

/// The configuration's own check keeps every maximum far below this.
pub(super) fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) const fn bounds(config: &Config) -> Bounds {
    Bounds {
        header_bytes_max: config.limits.header_bytes_max,
        idle_timeout: Duration::from_millis(config.server.idle_timeout_ms),
        write_timeout: Duration::from_millis(config.server.write_timeout_ms),
    }
}

pub(super) fn trusted(config: &Config) -> Result<Trusted> {
    let mode = match config.graphql.trusted_documents {
        TrustedDocuments::Off => return Ok(Trusted::everything()),
        TrustedDocuments::Learn => TrustedMode::Learn,
        TrustedDocuments::Only => TrustedMode::Only,
    };
    let path = std::path::Path::new(&config.graphql.trusted_documents_file);
    Trusted::open(mode, path).map_err(|error| Error::input("graphql.trusted_documents_file", error.to_string()))
}

pub(super) fn http_settings(config: &Config) -> HttpSettings {
    HttpSettings {
        listen: config.server.listen.ip(),
        origins: Origins {
            public: config.server.public_origins.clone(),
            listed: config.server.cors_origins.clone(),
            with_credentials: config.server.cors_credentials,
        },
        compression: config.server.compression,
        body_bytes_max: config.limits.body_bytes_max,
        bulk: metrics::Bounds {
            body_bytes_max: config.limits.ingest_body_bytes_max,
            part_rows: config.ingest.part_rows,
            body_timeout: Duration::from_millis(config.server.ingest_body_timeout_ms),
        },
        batch_operations_max: config.limits.batch_operations_max,
        strict_status: config.graphql.strict_status,
        request_timeout: Duration::from_millis(config.server.request_timeout_ms),
        graphiql: config.graphql.graphiql,
        websocket_message_bytes_max: config.limits.websocket_message_bytes_max,
        subscriptions_per_socket_max: config.limits.subscriptions_per_socket_max,
        connection_init_timeout: Duration::from_millis(config.limits.connection_init_timeout_ms),
        write_timeout: Duration::from_millis(config.server.write_timeout_ms),
        ping_interval: Duration::from_millis(config.server.ping_interval_ms),
        heartbeat_interval: Duration::from_millis(config.server.heartbeat_interval_ms),
    }
}
