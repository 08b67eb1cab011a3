//! The configuration file: locating it, reading its keys, and formatting the commented default file.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use toml::{Table, Value};

use super::Config;
use super::error::Problem;
use super::raw::RawValue;
use super::section::Key;
use super::source::{GivenSetting, Source};

/// The file that is read from the working directory if no other is given.
pub(super) const DEFAULT: &str = "perfgraph.toml";

/// The name and the text of the file. `None` if no file is named and the default one does not exist.
pub(super) fn read(named: Option<&Path>) -> Result<Option<(String, String)>, Problem> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(cause) if cause.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(cause) => Err(Problem::new(&[], format!("cannot read the configuration file {}: {cause}", path.display()))),
    }
}

/// All values of the file with the paths of their keys.
pub(super) fn given(file: &str, text: &str, keys: &[Key], problems: &mut Vec<Problem>) -> Vec<GivenSetting> {
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(cause) => {
            // The library's own report quotes the line, which may contain a password.
            let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message = cause.message().replace('\n', ", ");
            problems.push(Problem::new(&[], format!("{file}, line {line}, is not valid TOML: {message}")));
            return Vec::new();
        }
    };
    let mut given = Vec::new();
    for (section, value) in table {
        match value {
            Value::Table(entries) if !entries.is_empty() => {
                given.extend(entries.into_iter().map(|(name, value)| one(file, format!("{section}.{name}"), value)));
            }
            _ if keys.iter().any(|key| in_section(key, &section)) => {
                problems.extend(not_a_section(file, &section, &value));
            }
            _ => given.push(one(file, section, value)),
        }
    }
    given
}

/// The head of the default file.
const HEAD: &str = "\
# Configuration of perfgraph. All keys are listed with their defaults; keys that you do not change may be deleted.
#
# Environment variables override this file: PERFGRAPH_SECTION__KEY, for example PERFGRAPH_SERVER__LISTEN. Flags override
# both. The server does not start if a key is unknown or values contradict each other.
#
# Numbers must be at least 1 unless their comment allows 0. Units and maximums by the ending of a key: _ms are milliseconds
# (at most 86400000, a day), _minutes at most 525600 (a year), _hours at most 876000 and _days at most 36500 (a century).
";

/// The default file, generated from the entries of the sections.
pub(super) fn commented(config: &Config) -> String {
    let mut text = String::from(HEAD);
    let keys = config.keys();
    for section in config.sections() {
        let mut lines = vec![String::new()];
        lines.extend(section.comment().iter().map(|line| format!("#{line}")));
        lines.push(format!("[{}]", section.name()));
        for key in keys.iter().filter(|key| in_section(key, section.name())) {
            lines.extend(key.comment.iter().map(|line| format!("#{line}")));
            lines.push(key.toml.clone());
        }
        lines.push(String::new());
        text.push_str(&lines.join("\n"));
    }
    text
}

fn one(file: &str, key: String, value: Value) -> GivenSetting {
    GivenSetting { key, raw: RawValue::Value(value), source: Source::File(file.to_owned()) }
}

fn in_section(key: &Key, section: &str) -> bool {
    key.section() == section
}

fn not_a_section(file: &str, section: &str, value: &Value) -> Option<Problem> {
    // An empty section is allowed; it sets nothing.
    let wrong = !value.is_table();
    wrong.then(|| {
        let sentence = format!("`{section}` in {file} is a section: write [{section}] once, followed by its keys");
        Problem::new(&[section], sentence)
    })
}
