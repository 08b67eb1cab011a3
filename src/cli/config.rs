//! `perfgraph config`: prints the default configuration.

use super::{arguments::ConfigCommand, failure::Failure};
use crate::config::Config;

/// Runs the command.
#[expect(
    clippy::print_stdout,
    clippy::unnecessary_wraps,
    reason = "data goes to standard output; all commands have the same signature"
)]
pub fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Print => print!("{}", Config::default_toml()),
    }
    Ok(())
}
