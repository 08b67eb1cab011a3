//! The configuration file: finding it, reading its keys, and writing the commented default one.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};

use super::Config;
use super::error::Problem;
use super::section::Key;
use super::source::{Given, Raw, Source};

/// The file that is read from the working directory when none is named.
pub(super) const DEFAULT: &str = "perfgraph.toml";

/// The name and text of the file, if there is one to read.
pub(super) fn read(named: Option<&Path>) -> Result<Option<(String, String)>, Problem> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT));
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(cause) if cause.kind() == ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(cause) => Err(Problem::new(&[], format!("cannot read the configuration file {}: {cause}", path.display()))),
    }
}

/// Every value in the file, with the path of its key.
pub(super) fn given(file: &str, text: &str, keys: &[Key], problems: &mut Vec<Problem>) -> Vec<Given> {
    let table = match Toml::from_str::<Dict>(text) {
        Ok(table) => table,
        Err(cause) => {
            // The library's own text quotes the line, which may hold a password.
            let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let message = cause.message().replace('\n', ", ");
            problems.push(Problem::new(&[], format!("{file}, line {line}, is not TOML: {message}")));
            return Vec::new();
        }
    };
    let mut given = Vec::new();
    for (section, value) in table {
        match value {
            Value::Dict(_, entries) if !entries.is_empty() => {
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

/// The default file, from the entries of the sections.
pub(super) fn commented(config: &Config) -> String {
    let mut text = String::from(
        "# Configuration of perfgraph. Every key is here with its default; delete what you do not change.\n\
         # The environment wins over this file: PERFGRAPH_SECTION__KEY, for example PERFGRAPH_SERVER__LISTEN.\n\
         # Flags win over both.\n",
    );
    for section in config.sections() {
        let mut lines = vec![String::new()];
        lines.extend(section.comment().iter().map(|line| format!("#{line}")));
        lines.push(format!("[{}]", section.name()));
        for key in section.keys() {
            lines.extend(key.comment.iter().map(|line| format!("#{line}")));
            lines.push(key.toml);
        }
        lines.push(String::new());
        text.push_str(&lines.join("\n"));
    }
    text
}

fn one(file: &str, key: String, value: Value) -> Given {
    Given { key, raw: Raw::Value(value), source: Source::File(file.to_owned()) }
}

fn in_section(key: &Key, section: &str) -> bool {
    key.path.split_once('.').is_some_and(|(known, _)| known == section)
}

fn not_a_section(file: &str, section: &str, value: &Value) -> Option<Problem> {
    // An empty section sets nothing, which is fine.
    let wrong = value.as_dict().is_none();
    wrong.then(|| {
        let sentence = format!("`{section}` in {file} is a section: write [{section}] once, and its keys below it");
        Problem::new(&[section], sentence)
    })
}
