//! Settings of parts that do not take a section of the configuration.

use crate::{
    config::{Config, TrustedDocuments},
    engine::documents::{Trusted, TrustedMode},
    error::{Error, Result},
};

pub(super) fn trusted(config: &Config) -> Result<Trusted> {
    let mode = match config.graphql.trusted_documents {
        TrustedDocuments::Off => return Ok(Trusted::everything()),
        TrustedDocuments::Learn => TrustedMode::Learn,
        TrustedDocuments::Only => TrustedMode::Only,
    };
    let path = std::path::Path::new(&config.graphql.trusted_documents_file);
    Trusted::open(mode, path).map_err(|error| Error::input("graphql.trusted_documents_file", error.to_string()))
}
