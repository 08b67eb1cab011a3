//! A configured value and its source, so that a problem can name the place to change.

use super::database_url::DatabaseUrl;
use super::error::Problem;
use super::raw::RawValue;
use super::section::Key;
use super::suggest;

/// The source of a value.
pub(super) enum Source {
    /// The file of this name.
    File(String),
    /// The environment variable of this name.
    Environment(String),
    /// The flag of this name.
    Flag(&'static str),
}

/// A value given for a key, which may be unknown.
pub(super) struct GivenSetting {
    /// `section.name`.
    pub key: String,
    /// The value.
    pub raw: RawValue,
    /// Its source.
    pub source: Source,
}

/// Settings given as command line flags; they take precedence over all other sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`: replaces `server.listen`.
    pub listen: Option<String>,
    /// `--database-url`: replaces `database.url`.
    pub database_url: Option<DatabaseUrl>,
    /// `--demo` or `--no-demo`: replaces `server.demo`.
    pub demo: Option<bool>,
}

/// The values of the command line flags.
pub(super) fn flags(overrides: &Overrides) -> Vec<GivenSetting> {
    let listen = overrides.listen.clone().map(|text| ("server.listen", "--listen", text));
    let url = overrides.database_url.as_ref();
    let url = url.map(|url| ("database.url", "--database-url", url.reveal().to_owned()));
    let demo = overrides.demo.map(|is_on| {
        let (flag, value) = if is_on { ("--demo", "on") } else { ("--no-demo", "off") };
        ("server.demo", flag, value.to_owned())
    });
    let given = |(key, flag, text): (&str, _, _)| GivenSetting {
        key: key.to_owned(),
        raw: RawValue::Text(text),
        source: Source::Flag(flag),
    };
    [listen, url, demo].into_iter().flatten().map(given).collect()
}

impl GivenSetting {
    /// The place to change: a key in a file, an environment variable, or a flag.
    pub fn place(&self) -> String {
        match &self.source {
            Source::File(file) => format!("`{}` in {file}", self.key),
            Source::Environment(variable) => variable.clone(),
            Source::Flag(flag) => (*flag).to_owned(),
        }
    }

    /// The problem of a value that cannot be parsed as the type of its setting.
    pub fn wrong_type(&self, expected: &str, keys: &[Key]) -> Problem {
        let secret = keys.iter().any(|key| key.secret && key.path == self.key);
        let found = if secret { String::new() } else { format!(", not {}", self.raw.describe()) };
        Problem::new(&[&self.key], format!("{} must be {expected}{found}", self.place()))
    }

    /// The problem of a key that does not exist, with the most similar key as a suggestion.
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

/// The environment variable that sets a key.
pub(super) fn variable_for(key: &str) -> String {
    format!("PERFGRAPH_{}", key.replace('.', "__").to_uppercase())
}
