//! Failures of commands: a message for the terminal and an exit code for scripts.

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use thiserror::Error;

use super::log_queue::LogQueue;
use crate::{config::ConfigError, db::file::fault::is_damage, error};

/// A failed command.
#[derive(Debug, Error)]
pub enum Failure {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the server failed.
    #[error("{}", explain(.0))]
    Part(#[from] error::Error),
    /// An argument is missing.
    #[error("{0}")]
    Usage(String),
    /// Input data is invalid or differs from what is expected.
    #[error("{0}")]
    Data(String),
    /// A server does not respond.
    #[error("{0}")]
    Unavailable(String),
    /// The command was interrupted by a signal.
    #[error("{0}")]
    Interrupted(String),
    /// Any other failure.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// A failure of any other kind.
    pub fn internal(error: impl Display) -> Self {
        Self::Internal(error.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            // Input that a part refuses at startup comes from the configuration.
            Self::Config(_) | Self::Part(error::Error::Input { .. }) => ConfigError::EXIT_CODE,
            Self::Usage(_) => 2,
            Self::Data(_) => 65,
            Self::Part(error::Error::Unavailable { source: Some(cause), .. }) if is_damage(cause) => 65,
            Self::Part(error::Error::Unavailable { .. }) | Self::Unavailable(_) => 69,
            Self::Interrupted(_) => 130,
            Self::Part(_) | Self::Internal(_) => 1,
        }
    }

    /// Prints the message to standard error, through the queue of log lines if there is one, and returns the exit code.
    pub fn report(&self, log: Option<&LogQueue>) -> ExitCode {
        let message = format!("perfgraph: {self}\n");
        match log {
            Some(log) => log.say(&message),
            // A reader that has gone must not change the exit code.
            None => drop(io::stderr().write_all(message.as_bytes())),
        }
        ExitCode::from(self.exit_code())
    }
}

/// A fault with its causes. The own message of an internal fault is left out, because it refers to the id of a request.
fn explain(fault: &error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = match fault {
        error::Error::Internal(cause) => Some(cause),
        other => Some(other),
    };
    while let Some(cause) = next {
        let text = cause.to_string();
        // The messages of some faults already end with their cause.
        if !parts.last().is_some_and(|said| said.ends_with(&text)) {
            parts.push(text);
        }
        next = cause.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_internal_fault_shows_its_cause_only() {
        let cause = std::io::Error::other("the disk is made of cheese");
        assert_eq!(Failure::from(error::Error::internal(cause)).to_string(), "the disk is made of cheese");
    }
}
