//! The command line: one file per command, none of which knows how the parts work inside.
//!
//! Data goes to standard output, talk to standard error. Exit codes: 0 done, 1 failed, 2 usage, 65 data differs
//! or was refused, 69 unavailable (a database that does not answer, or an SQLite file that another server or seed works on), 78
//! configuration, 130 interrupted.

pub mod arguments;
mod config;
mod failure;
mod first_look;
mod import;
mod migrate;
mod schema;
mod seed;
mod serve;
mod telemetry;
mod watch;

use std::{process::ExitCode, time::Duration};

use arguments::{Arguments, Command};
use failure::Failure;

use crate::config::Config;

/// How long what cannot be cancelled may take at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Does what the command line says.
pub fn run(arguments: &Arguments) -> ExitCode {
    match dispatch(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(arguments: &Arguments) -> Result<(), Failure> {
    // These need no configuration.
    match &arguments.command {
        Some(Command::Schema(command)) => return schema::run(command),
        Some(Command::Config(command)) => return config::run(command),
        Some(Command::Watch(command)) => return watch::run(command),
        _ => {}
    }
    let config = Config::load(arguments.config.as_deref(), &arguments.overrides())?;
    telemetry::start(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::internal)?;
    let ended = runtime.block_on(async {
        match &arguments.command {
            Some(Command::Migrate(command)) => migrate::run(&config, command).await,
            Some(Command::Seed(command)) => seed::run(&config, command).await,
            Some(Command::Import(command)) => import::run(&config, command).await,
            _ => serve::run(&config).await,
        }
    });
    // A name that is still being looked up, for instance, must not hold up the end.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}
