//! A configured value before it is parsed as the type of its setting.

use toml::Value;

/// A value before it is parsed.
pub(super) enum RawValue {
    /// Text from the environment or a flag.
    Text(String),
    /// A typed value from the file.
    Value(Value),
}

impl RawValue {
    /// The value as a problem shows it; long text is cut.
    pub fn describe(&self) -> String {
        match self {
            Self::Text(text) | Self::Value(Value::String(text)) => quoted(text),
            Self::Value(Value::Boolean(value)) => value.to_string(),
            Self::Value(Value::Integer(number)) => number.to_string(),
            Self::Value(Value::Float(number)) => number.to_string(),
            Self::Value(Value::Datetime(time)) => time.to_string(),
            Self::Value(Value::Array(_)) => "a list".to_owned(),
            Self::Value(Value::Table(_)) => "a table".to_owned(),
        }
    }
}

fn quoted(text: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
