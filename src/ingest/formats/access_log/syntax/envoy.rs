//! Formats of Envoy: operators such as `%START_TIME%` or `%REQ(:METHOD)%`. Unknown operators are read over.

use super::part::{FormatError, Meaning, Part, field, ignored};
use crate::ingest::formats::access_log::{
    duration::{self, TimeUnit},
    layout::Extent,
    moment,
};

/// Operators with white space in their values. All others have none.
const TEXTS: &[&str] =
    &["DYNAMIC_METADATA", "FILTER_STATE", "REQ", "RESP", "TRAILER", "UPSTREAM_TRANSPORT_FAILURE_REASON"];

/// True if the format has an operator of Envoy.
pub fn is_format(format: &str) -> bool {
    format.match_indices('%').any(|(at, _)| operator(&format[at + 1..]).is_some())
}

/// The parts of a format.
pub fn parse(format: &str) -> Result<Vec<Part>, FormatError> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        parts.push(Part::Literal(rest[..at].to_owned()));
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('%') {
            parts.push(Part::Literal("%".to_owned()));
            rest = behind;
            continue;
        }
        let Some((name, argument, behind)) = operator(rest) else {
            let shown: String = rest.chars().take(24).collect();
            return Err(FormatError(format!("`%{shown}` begins with no operator of Envoy, such as %DURATION%")));
        };
        parts.push(meaning(&rest[..rest.len() - behind.len()], name, argument));
        rest = behind;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Ok(parts)
}

/// The name, the argument and the text behind an operator whose percent sign was read.
fn operator(text: &str) -> Option<(&str, &str, &str)> {
    let is_name = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    let length = text.find(|character| !is_name(character))?;
    let (name, rest) = text.split_at(length);
    let (argument, rest) = match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(')')?,
        None => ("", rest),
    };
    // A maximal length, `:10`, may follow.
    let rest =
        rest.strip_prefix(':').map_or(rest, |rest| rest.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    let behind = rest.strip_prefix('%')?;
    (name.len() >= 3 && name.starts_with(|first: char| first.is_ascii_uppercase())).then_some((name, argument, behind))
}

fn meaning(text: &str, name: &str, argument: &str) -> Part {
    let shown = format!("%{text}");
    match (name, argument) {
        ("START_TIME", pattern) => start_time(&shown, pattern),
        ("REQ", ":METHOD") => field(&shown, Extent::Word, Meaning::Method),
        ("REQ", header) if header.split('?').any(|name| name == ":PATH") => {
            field(&shown, Extent::Text, Meaning::Target(0))
        }
        ("RESPONSE_CODE", _) => field(&shown, Extent::Number, Meaning::Status(0)),
        ("DURATION", _) => {
            let form = duration::Form::Plain(TimeUnit::Milliseconds);
            field(&shown, Extent::Number, Meaning::Duration(form, 0))
        }
        ("RESP", "X-ENVOY-UPSTREAM-SERVICE-TIME") => ignored(&shown, Extent::Word),
        _ if TEXTS.contains(&name) => ignored(&shown, Extent::Text),
        _ => ignored(&shown, Extent::Word),
    }
}

fn start_time(name: &str, pattern: &str) -> Part {
    let (extent, form) = match pattern {
        "" => (Extent::Moment, moment::Form::Text),
        "%s" | "%s.%f" | "%s.%3f" | "%s.%6f" | "%s.%9f" => (Extent::Epoch, moment::Form::Epoch(TimeUnit::Seconds)),
        "%s%3f" => (Extent::Epoch, moment::Form::Epoch(TimeUnit::Milliseconds)),
        "%s%6f" => (Extent::Epoch, moment::Form::Epoch(TimeUnit::Microseconds)),
        _ => {
            let pattern = (1..=9).fold(pattern.to_owned(), |text, digits| text.replace(&format!("%{digits}f"), "%f"));
            (Extent::Pattern(pattern.matches(' ').count()), moment::Form::Pattern(pattern))
        }
    };
    field(name, extent, Meaning::Moment(form))
}
