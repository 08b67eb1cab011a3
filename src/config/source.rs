//! A value as somebody gave it, with where it came from: what lets a complaint name the line to change.

use figment::value::Value;

use super::Overrides;
use super::error::Problem;
use super::section::Key;
use super::suggest;

/// A value before it is read as the type of its setting.
pub(super) enum Raw {
    /// From the environment or a flag, where everything is text.
    Text(String),
    /// From the file, where values have types.
    Value(Value),
}

/// Where a value came from.
pub(super) enum Source {
    /// The file of this name.
    File(String),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name.
    Flag(&'static str),
}

/// A value that somebody gave for a key, known or not.
pub(super) struct Given {
    /// `section.name`.
    pub key: String,
    /// The value.
    pub raw: Raw,
    /// Where it stands.
    pub source: Source,
}

/// What the command line gives.
pub(super) fn flags(overrides: &Overrides) -> Vec<Given> {
    let listen = overrides.listen.clone().map(|text| ("server.listen", "--listen", text));
    let url = overrides.database_url.as_ref();
    let url = url.map(|url| ("database.url", "--database-url", url.reveal().to_owned()));
    let given = |(key, flag, text): (&str, _, _)| Given {
        key: key.to_owned(),
        raw: Raw::Text(text),
        source: Source::Flag(flag),
    };
    [listen, url].into_iter().flatten().map(given).collect()
}

impl Given {
    /// The place to look at, in the words of that place.
    pub fn place(&self) -> String {
        match &self.source {
            Source::File(file) => format!("`{}` in {file}", self.key),
            Source::Environment(variable) => variable.clone(),
            Source::Flag(flag) => (*flag).to_owned(),
        }
    }

    /// The value could not be read as the type of its setting.
    pub fn wrong_type(&self, expected: &str, keys: &[Key]) -> Problem {
        let secret = keys.iter().any(|key| key.secret && key.path == self.key);
        let found = if secret { String::new() } else { format!(", not {}", self.raw.describe()) };
        Problem::new(&[&self.key], format!("{} must be {expected}{found}", self.place()))
    }

    /// There is no such setting.
    pub fn unknown(&self, keys: &[Key]) -> Problem {
        let place = match &self.source {
            Source::Environment(variable) => format!("{variable} in the environment"),
            Source::File(_) | Source::Flag(_) => self.place(),
        };
        let advice = match (suggest::nearest(&self.key, keys), &self.source) {
            (Some(key), Source::Environment(_)) => format!("did you mean {}?", variable_for(key)),
            (Some(key), _) => format!("did you mean `{key}`?"),
            (None, _) => "`perfgraph config print` lists all keys".to_owned(),
        };
        Problem::new(&[&self.key], format!("unknown key {place}: {advice}"))
    }
}

impl Raw {
    fn describe(&self) -> String {
        match self {
            Self::Text(text) | Self::Value(Value::String(_, text)) => quoted(text),
            Self::Value(Value::Bool(_, value)) => value.to_string(),
            Self::Value(Value::Num(_, number)) => {
                let whole = number.to_i128().map(|value| value.to_string());
                whole.or_else(|| number.to_f64().map(|value| value.to_string())).unwrap_or_else(|| "that number".into())
            }
            Self::Value(Value::Array(..)) => "a list".to_owned(),
            Self::Value(_) => "a table".to_owned(),
        }
    }
}

/// The environment variable that sets a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("PERFGRAPH_{}", key.replace('.', "__").to_uppercase())
}

fn quoted(text: &str) -> String {
    const SHOWN_CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(SHOWN_CHARACTERS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
