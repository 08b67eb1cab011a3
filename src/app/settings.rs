//! What each part of the server is told, from the configuration.

use std::time::Duration;

use crate::{
    config::{Config, TrustedDocuments},
    db::pool,
    engine::documents::{Trusted, TrustedMode},
    error::{Error, Result},
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
        acquire_timeout: config.database.acquire_timeout,
        busy_timeout: config.database.busy_timeout,
        statement_timeout: config.database.statement_timeout,
    }
}

pub(super) const fn pace(config: &Config) -> Pace {
    let live = &config.live;
    Pace {
        batch_max: live.event_metrics_max,
        delay_max: live.delay_max,
        heartbeat: live.heartbeat_interval,
        organizations_max: live.organizations_max,
    }
}

pub(super) fn partition_days(config: &Config) -> Days {
    Days { past: config.ingest.time_window_past_hours.div_ceil(24), future: config.database.partition_days_ahead }
}

pub(super) const fn compaction_settings(config: &Config) -> compaction::Settings {
    compaction::Settings { delay: config.compaction.delay, interval: config.compaction.interval }
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
        rows_max: config.ingest.rows_max,
        past: Duration::from_secs(u64::from(config.ingest.time_window_past_hours) * 3_600),
        future: Duration::from_secs(u64::from(config.ingest.time_window_future_minutes) * 60),
        queue_rows_max: config.ingest.queue_rows_max,
        endpoint_bytes_max: config.ingest.endpoint_bytes_max,
        tag_bytes_max: config.ingest.tag_bytes_max,
        endpoint_templates: config.ingest.endpoint_templates,
        endpoints_max: config.ingest.endpoints_max,
        commit_rows_max: config.ingest.commit_rows_max,
        committers: if config.database.url.is_sqlite() { 1 } else { config.database.write_connections.max(1) as usize },
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
