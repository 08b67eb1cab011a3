//! `perfgraph config`: prints the default configuration.

use super::{arguments::ConfigCommand, failure::Failure, output};
use crate::config::Config;

/// Runs the command.
pub fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Print => output::print(&Config::default_toml()),
    }
}
