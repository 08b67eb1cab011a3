//! Section `log`: what is logged, and how it looks.

use super::section::section;
use super::setting::Setting;

section! {
    /// What is logged, and how. The log goes to standard error.
    "log" => Log {
        /// `error`, `warn`, `info`, `debug` or `trace`, also by module: `info,perfgraph::ingest=debug`.
        filter: String = String::from("info,sea_orm_migration=warn"),
        /// `text` to read, `json` for a log collector.
        format: LogFormat = LogFormat::Text,
    }
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines to read.
    Text,
    /// One JSON object per line.
    Json,
}

impl Setting for LogFormat {
    const EXPECTED: &'static str = "\"text\" or \"json\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn to_toml(&self, name: &str) -> String {
        let value = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        format!("{name} = \"{value}\"")
    }
}
