//! Why a command failed, in a sentence for the person at the terminal and a number for scripts.

use std::{fmt::Display, process::ExitCode};

use thiserror::Error;

use crate::{config::ConfigError, error};

/// A failed command.
#[derive(Debug, Error)]
pub enum Failure {
    /// The configuration does not make sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A part of the server failed.
    #[error("{}", explain(.0))]
    Part(#[from] error::Error),
    /// Something is not as it was said to be.
    #[error("{0}")]
    Data(String),
    /// A server does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// Somebody stopped it.
    #[error("{0}")]
    Interrupted(String),
    /// Anything else.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// Anything else.
    pub fn internal(error: impl Display) -> Self {
        Self::Internal(error.to_string())
    }

    fn exit_code(&self) -> u8 {
        match self {
            // What a part refuses at the start was configured.
            Self::Config(_) | Self::Part(error::Error::Input { .. }) => ConfigError::EXIT_CODE,
            Self::Part(error::Error::Unavailable { .. }) | Self::Unavailable(_) => 69,
            Self::Data(_) => 65,
            Self::Interrupted(_) => 130,
            Self::Part(_) | Self::Internal(_) => 1,
        }
    }

    /// Says why on standard error and gives the exit code.
    #[expect(clippy::print_stderr, reason = "the last words of a command, also when logging never started")]
    pub fn report(&self) -> ExitCode {
        eprintln!("perfgraph: {self}");
        ExitCode::from(self.exit_code())
    }
}

/// A fault with its causes: at the terminal, unlike on the wire, they help. What an internal fault says itself is for
/// the wire alone, where there is a request id.
fn explain(fault: &error::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next: Option<&dyn std::error::Error> = match fault {
        error::Error::Internal(cause) => Some(cause),
        other => Some(other),
    };
    while let Some(cause) = next {
        let text = cause.to_string();
        // Many a fault already ends with its cause.
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
    fn an_internal_fault_says_its_cause_and_nothing_of_requests() {
        let cause = std::io::Error::other("the disk is made of cheese");
        assert_eq!(Failure::from(error::Error::internal(cause)).to_string(), "the disk is made of cheese");
    }
}
