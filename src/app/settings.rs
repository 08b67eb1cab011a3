//! What each part of the server is told, from the configuration.

use crate::{
    config::{Config, TrustedDocuments},
    engine::documents::{Trusted, TrustedMode},
    error::{Error, Result},
    live::Pace,
};

pub(super) const fn pace(config: &Config) -> Pace {
    let live = &config.live;
    Pace {
        batch_max: live.event_metrics_max,
        delay_max: live.delay_max,
        heartbeat: live.heartbeat_interval,
        organizations_max: live.organizations_max,
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
