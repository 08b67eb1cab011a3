//! Logging to standard error, filtered by the configuration.

mod by_request;

use std::panic;

use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use by_request::ByRequest;

use super::{failure::Failure, log_queue::LogQueue};
use crate::{
    config::{Log, LogFormat},
    error::Error,
};

/// Starts logging for the rest of the process. Returns the queue in front of standard error.
pub fn start(config: &Log) -> Result<LogQueue, Failure> {
    let filter: Targets = config.filter.parse().map_err(|error| {
        Error::input("log.filter", format!("`{}` is not a valid log filter: {error}", config.filter))
    })?;
    let queue = LogQueue::start(config.queue_bytes_max).map_err(Failure::internal)?;
    let writer = queue.clone();
    let lines = fmt::layer().with_writer(move || writer.clone());
    let registry = tracing_subscriber::registry().with(filter);
    let started = match config.format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
            ByRequest(registry.with(lines)).try_init()
        }
        LogFormat::Json => ByRequest(registry.with(lines.json())).try_init(),
    };
    started.map_err(Failure::internal)?;
    // The default hook writes to standard error itself, and waits there for a reader.
    panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    Ok(queue)
}
