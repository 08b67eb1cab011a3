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
            Self::Part(error::Error::Unavailable { .. }) => 69,
            Self::Data(_) => 65,
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

/// A fault with its causes: at the terminal, unlike on the wire, they help.
fn explain(fault: &error::Error) -> String {
    let mut text = fault.to_string();
    let mut next = std::error::Error::source(fault);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
