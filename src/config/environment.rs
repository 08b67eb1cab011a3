//! Environment variables. Only this module reads them.
//!
//! An empty variable counts as unset, because compose files and unit files cannot omit one.

use std::env;
use std::fs;

use super::error::Problem;
use super::raw::RawValue;
use super::section::Key;
use super::source::{GivenSetting, Source};

const PREFIX: &str = "PERFGRAPH_";
/// Conventional names set by hosting platforms. The prefixed name of the same key overrides them.
const CONVENTIONAL: [(&str, &str); 1] = [("DATABASE_URL", "database.url")];
const FILE_SUFFIX: &str = "_FILE";

/// The variables of this process that concern perfgraph.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(super) fn variables(problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    for (name, value) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if !is_ours(&name) {
            continue;
        }
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) => problems.push(Problem::new(&[], format!("{name} in the environment is not UTF-8"))),
        }
    }
    variables
}

/// The values of these variables with the paths of their keys. Later ones override earlier ones.
pub(super) fn given(variables: &[(String, String)], keys: &[Key], problems: &mut Vec<Problem>) -> Vec<GivenSetting> {
    let mut ours: Vec<_> = variables
        .iter()
        .filter(|(name, value)| is_ours(name) && !value.is_empty() && !is_service_link(name, value))
        .collect();
    ours.sort_by_key(|(name, _)| (name.starts_with(PREFIX), name.as_str()));

    let mut given = Vec::new();
    for (name, value) in &ours {
        let Some((plain, key)) = secret_in_file(name, keys) else {
            given.push(one(key_of(name), value.clone(), name));
            continue;
        };
        if ours.iter().any(|(other, _)| other == plain) {
            let sentence = format!("{plain} and {name} are both set: keep one of them");
            problems.push(Problem::new(&[&key], sentence));
            continue;
        }
        match fs::read_to_string(value) {
            Ok(text) => given.push(one(key, text.trim_end_matches(['\r', '\n']).to_owned(), name)),
            Err(cause) => {
                problems
                    .push(Problem::new(&[&key], format!("cannot read {value}, the file that {name} names: {cause}")));
            }
        }
    }
    given
}

fn one(key: String, text: String, variable: &str) -> GivenSetting {
    GivenSetting { key, raw: RawValue::Text(text), source: Source::Environment(variable.to_owned()) }
}

fn is_ours(name: &str) -> bool {
    let plain = name.strip_suffix(FILE_SUFFIX).unwrap_or(name);
    name.starts_with(PREFIX) || CONVENTIONAL.iter().any(|(conventional, _)| *conventional == plain)
}

fn key_of(name: &str) -> String {
    let conventional = CONVENTIONAL.iter().find(|(conventional, _)| *conventional == name);
    conventional.map_or_else(
        || name.strip_prefix(PREFIX).unwrap_or(name).to_lowercase().replace("__", "."),
        |(_, key)| (*key).to_owned(),
    )
}

/// For a variable `NAME_FILE` that names the file of a secret: `NAME` and the key of the secret.
fn secret_in_file<'name>(name: &'name str, keys: &[Key]) -> Option<(&'name str, String)> {
    let plain = name.strip_suffix(FILE_SUFFIX)?;
    let key = key_of(plain);
    keys.iter().any(|known| known.secret && known.path == key).then_some((plain, key))
}

/// True if Kubernetes sets this variable in every container for a service called `perfgraph`. The operator did not write
/// it, so it is ignored rather than refused.
fn is_service_link(name: &str, value: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return false;
    };
    let numbered_port = rest.strip_prefix("PORT_").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    numbered_port
        || rest == "PORT" && value.contains("://")
        || rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
}
