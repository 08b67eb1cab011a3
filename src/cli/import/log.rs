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

/// The refusal of a log whose format is not certain, with the commands that decide.
fn refuse(command: &Import, unclear: &Unclear) -> Failure {
    let file = command.file.display();
    let mut message = format!("{file}: {}", unclear.seen);
    let quoted = match file.to_string() {
        name if name.contains([' ', '\'', '"', '$', '\\']) => format!("'{}'", name.replace('\'', "'\\''")),
        name => name,
    };
    let project = command.project.as_ref().map_or_else(String::new, |project| format!(" --project {project}"));
    for (meaning, options) in &unclear.choices {
        // Writing to a string cannot fail.
        let _ = write!(message, "\n  if {meaning}:\n    perfgraph import {quoted}{project} {options}");
    }
    if !unclear.choices.is_empty() {
        message.push_str("\n  With --dry-run, the command shows how it reads the first lines and stores nothing");
    }
    Failure::Data(message)
}
