//! The format of an access log: named on the command line, or seen from its first lines.

use std::fmt::Write as _;

use crate::{
    cli::{
        arguments::{Import, ImportTimeUnit},
        failure::Failure,
    },
    ingest::formats::{LogFormat, TimeUnit, Unclear, detect},
};

/// The format of a log that begins with these bytes.
pub fn format(command: &Import, head: &[u8]) -> Result<LogFormat, Failure> {
    let said = command.log_format.clone().or_else(|| command.map.clone().map(LogFormat::mapped));
    let format = match said {
        Some(said) => said,
        None => detect(head, unit(command.time_unit)).map_err(|unclear| refuse(command, &unclear))?,
    };
    Ok(format.with_offset(command.utc_offset))
}

const fn unit(said: ImportTimeUnit) -> Option<TimeUnit> {
    match said {
        ImportTimeUnit::Auto => None,
        ImportTimeUnit::S => Some(TimeUnit::Seconds),
        ImportTimeUnit::Ms => Some(TimeUnit::Milliseconds),
        ImportTimeUnit::Us => Some(TimeUnit::Microseconds),
    }
}

/// The options of the command that stay the same.
fn options(command: &Import) -> String {
    let mut options = String::new();
    let mut add = |name, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(options, " --{name} {value}");
        }
    };
    add("project", command.project.clone());
    add("url", command.url.as_ref().map(ToString::to_string));
    add("since", command.since.map(|since| since.to_string()));
    add("rejects", command.rejects.as_ref().map(|file| quoted(&file.display().to_string())));
    options
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    if name.contains([' ', '\'', '"', '$', '\\']) {
        format!("'{}'", name.replace('\'', "'\\''"))
    } else {
        name.to_owned()
    }
}

/// The refusal of a log whose format is not certain, with the commands that decide.
fn refuse(command: &Import, unclear: &Unclear) -> Failure {
    let file = command.file.display();
    let mut message = format!("{file}: {}", unclear.seen);
    let quoted = quoted(&file.to_string());
    let rest = options(command);
    for (meaning, options) in &unclear.choices {
        // Writing to a string cannot fail.
        let _ = write!(message, "\n  if {meaning}:\n    perfgraph import {quoted}{rest} {options}");
    }
    if !unclear.choices.is_empty() {
        message.push_str("\n  With --dry-run, the command shows how it reads the first lines and stores nothing");
    }
    Failure::Data(message)
}
