//! Where log lines go and which of them: standard error, filtered by the configuration.

use tracing_subscriber::EnvFilter;

use super::failure::Failure;
use crate::{
    config::{Log, LogFormat},
    error::Error,
};

/// Starts logging for the rest of the process.
pub fn start(config: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|error| Error::input("log.filter", format!("`{}` is not a log filter: {error}", config.filter)))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(Failure::internal)
}
