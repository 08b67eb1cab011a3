//! `perfgraph config`: shows the configuration.

use super::{arguments::ConfigCommand, failure::Failure};
use crate::config::Config;

/// Prints what was asked for.
#[expect(
    clippy::print_stdout,
    clippy::unnecessary_wraps,
    reason = "data goes to standard output; one shape for all commands"
)]
pub fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Print => print!("{}", Config::default_toml()),
    }
    Ok(())
}
