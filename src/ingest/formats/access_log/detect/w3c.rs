//! Logs in the extended format of the W3C, which IIS and `CloudFront` write: a line names the fields of the lines behind it.

use super::unclear::Unclear;
use crate::ingest::formats::access_log::{
    LogFormat, TimeUnit, UtcOffset, duration,
    layout::Extent,
    moment,
    syntax::{Meaning, NamedField, Part},
};

/// The first character of lines about the log.
pub const COMMENT: u8 = b'#';

/// The field of the request's time. The standard has seconds, IIS milliseconds.
const TIME_TAKEN: &str = "time-taken";

/// The format of lines behind a line that names their fields; `None` if the first line is none about the log.
pub fn detect(lines: &[String], unit: Option<TimeUnit>) -> Option<Result<LogFormat, Unclear>> {
    lines.first().filter(|line| line.as_bytes().first() == Some(&COMMENT))?;
    Some(format(lines, unit))
}

fn format(lines: &[String], unit: Option<TimeUnit>) -> Result<LogFormat, Unclear> {
    let fields = lines.iter().find_map(|line| line.strip_prefix("#Fields:"));
    let Some(fields) = fields else {
        let shown: String = lines.first().map(|line| line.chars().take(64).collect()).unwrap_or_default();
        let seen = format!("`{shown}` begins a log of the W3C, but no line `#Fields: ...` names its fields");
        return Err(Unclear::new(seen));
    };
    let rows: Vec<&str> =
        lines.iter().filter(|line| line.as_bytes().first() != Some(&COMMENT)).map(String::as_str).collect();
    let separator = if rows.iter().any(|row| row.contains('\t')) { '\t' } else { ' ' };
    let names: Vec<&str> = fields.split_whitespace().collect();
    let unit = match unit.or_else(|| unit_of(lines, &rows, &names, separator)) {
        Some(unit) => unit,
        None if names.contains(&TIME_TAKEN) => {
            let seen = format!(
                "`{TIME_TAKEN}` holds whole numbers, which are seconds by the standard of the W3C and milliseconds of IIS"
            );
            let unclear = Unclear::new(seen).or("they are milliseconds", "--time-unit ms");
            return Err(unclear.or("they are seconds", "--time-unit s"));
        }
        // Compiling says that the log has no time of the request.
        None => TimeUnit::Seconds,
    };
    let mut parts = Vec::with_capacity(2 * names.len());
    for name in names {
        if !parts.is_empty() {
            parts.push(Part::Literal(separator.to_string()));
        }
        parts.push(Part::Field(NamedField {
            name: name.to_owned(),
            extent: Extent::Word,
            meaning: meaning(name, unit),
        }));
    }
    let format = LogFormat::compiled("W3C extended", &parts).map_err(|error| {
        let seen = format!("the fields of this log of the W3C are `{}`, and it {error}", fields.trim());
        Unclear::new(seen.replace("add $request_time (nginx) or %D (Apache)", "add time-taken"))
    })?;
    // The standard says that times are UTC.
    Ok(format.with_comments(COMMENT).with_offset(Some(UtcOffset::UTC)))
}

fn meaning(name: &str, unit: TimeUnit) -> Meaning {
    let pattern = |pattern: &str| Meaning::Moment(moment::Form::Pattern(pattern.to_owned()));
    match name {
        "date" => pattern("%Y-%m-%d"),
        "time" => pattern("%H:%M:%S%.f"),
        "cs-method" => Meaning::Method,
        "cs-uri-stem" => Meaning::Target(0),
        "cs-uri" => Meaning::Target(1),
        "sc-status" => Meaning::Status(0),
        TIME_TAKEN => Meaning::Duration(duration::Form::Plain(unit), 0),
        _ => Meaning::Ignored,
    }
}

/// The unit of the request's time: seconds if there are fractions, milliseconds if the program is IIS.
fn unit_of(lines: &[String], rows: &[&str], names: &[&str], separator: char) -> Option<TimeUnit> {
    let at = names.iter().position(|name| *name == TIME_TAKEN)?;
    if rows.iter().any(|row| row.split(separator).nth(at).is_some_and(|time| time.contains('.'))) {
        return Some(TimeUnit::Seconds);
    }
    let is_iis = lines.iter().any(|line| line.starts_with("#Software: Microsoft"));
    is_iis.then_some(TimeUnit::Milliseconds)
}
