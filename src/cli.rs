//! The command line: one file per command.
//!
//! Data goes to standard output, messages go to standard error. Exit codes: 0 success, 1 internal error, 2 usage error, 65
//! invalid data or a damaged SQLite file, 69 unavailable (a database that does not respond, or an SQLite file that another
//! process uses), 78 invalid configuration, 130 interrupted.

pub mod arguments;
mod client;
mod config;
mod failure;
mod first_look;
mod import;
mod log_queue;
mod migrate;
mod output;
mod projects;
mod schema;
mod seed;
mod serve;
mod signals;
mod tail;
mod telemetry;
mod watch;

use std::{process::ExitCode, time::Duration};

use arguments::{Arguments, Command};
use failure::Failure;
use log_queue::LogQueue;

use crate::config::Config;

/// Timeout at exit for work that cannot be cancelled.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Maximum time for the last log lines and the message of a failure, if nobody reads standard error.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs a command.
pub fn run(arguments: &Arguments) -> ExitCode {
    let mut log = None;
    let code = match dispatch(arguments, &mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(log.as_ref()),
    };
    if let Some(log) = log {
        log.flush(FLUSH_TIMEOUT);
    }
    code
}

fn dispatch(arguments: &Arguments, log: &mut Option<LogQueue>) -> Result<(), Failure> {
    // These commands need no configuration.
    match &arguments.command {
        Some(Command::Schema(command)) => return schema::run(command),
        Some(Command::Config(command)) => return config::run(command),
        Some(Command::Projects(command)) => return projects::run(command),
        Some(Command::Tail(command)) => return tail::run(command),
        Some(Command::Watch(command)) => return watch::run(command),
        _ => {}
    }
    let config = Config::load(arguments.config.as_deref(), &arguments.overrides())?;
    let log = log.insert(telemetry::start(&config.log)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
    let ended = runtime.block_on(async {
        match &arguments.command {
            Some(Command::Migrate(command)) => migrate::run(&config, command).await,
            Some(Command::Seed(command)) => seed::run(&config, command).await,
            Some(Command::Import(command)) => import::run(&config, command).await,
            _ => serve::run(&config, log).await,
        }
    });
    // A DNS lookup in progress, for instance, must not delay the exit.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}
