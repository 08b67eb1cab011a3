//! Section `log`: log output.

use super::section::section;
use super::setting::Setting;

section! {
    /// Log output, written to standard error.
    "log" => Log {
        /// Minimum level: `error`, `warn`, `info`, `debug` or `trace`. May be given per module:
        /// `info,perfgraph::ingest=debug`. At `debug` every request is logged.
        filter: String = String::from("info"),
        /// `text` for reading, or `json` (one object per line) for log collectors.
        format: LogFormat = LogFormat::Text,
        /// Bytes of log lines that wait for a reader of standard error. Further lines are dropped and counted, so that
        /// a pipe without a reader does not stop requests.
        queue_bytes_max: usize = 1_048_576,
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Plain text.
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
