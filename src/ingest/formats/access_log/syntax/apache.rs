//! Formats of Apache's `mod_log_config`: `%h`, `%>s`, `%{Referer}i`, `%{ms}T`.

use super::part::{FormatError, Meaning, Part, field, ignored};
use crate::ingest::formats::access_log::{
    duration::{self, TimeUnit},
    layout::Extent,
    moment,
};

/// The parts of a format.
pub fn parse(format: &str) -> Result<Vec<Part>, FormatError> {
    let mut parts = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        parts.push(Part::Literal(rest[..at].to_owned()));
        rest = directive(&rest[at + 1..], &mut parts)?;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Ok(parts)
}

/// Reads a directive behind its percent sign, and returns the text behind it.
fn directive<'a>(text: &'a str, parts: &mut Vec<Part>) -> Result<&'a str, FormatError> {
    let unknown = || {
        let shown: String = text.chars().take(24).collect();
        FormatError(format!("`%{shown}` begins with no directive of Apache that is known, such as %h, %>s or %D"))
    };
    // Only for some statuses (`%!200,304{...}i`), or of the first or the last of internal redirects.
    let modifiers = text.find(|character: char| !character.is_ascii_digit() && !",!<>".contains(character));
    let (modifiers, rest) = text.split_at(modifiers.unwrap_or(text.len()));
    let (argument, rest) = match rest.strip_prefix('{') {
        Some(rest) => {
            let (argument, rest) = rest.split_once('}').ok_or_else(|| FormatError(format!("`%{text}` lacks a }}")))?;
            (Some(argument), rest)
        }
        None => (None, rest),
    };
    let letter = rest.chars().next().ok_or_else(unknown)?;
    let mark = modifiers.chars().find(|mark| matches!(mark, '<' | '>')).map(String::from).unwrap_or_default();
    let name = match argument {
        Some(argument) => format!("%{{{argument}}}{letter}"),
        None => format!("%{mark}{letter}"),
    };
    match (letter, argument) {
        ('%', None) => parts.push(Part::Literal("%".to_owned())),
        ('t', None) => {
            let moment = Meaning::Moment(moment::Form::Text);
            parts.extend([
                Part::Literal("[".to_owned()),
                field(&name, Extent::Moment, moment),
                Part::Literal("]".to_owned()),
            ]);
        }
        ('t', Some(pattern)) => parts.extend(time(&name, pattern)),
        ('r', None) => parts.push(field(&name, Extent::Text, Meaning::Request)),
        ('m', None) => parts.push(field(&name, Extent::Word, Meaning::Method)),
        ('U', None) => parts.push(field(&name, Extent::Text, Meaning::Target(0))),
        // The query string belongs to the target before it.
        ('q', None) if is_behind_target(parts) => {}
        ('q', None) => parts.push(ignored(&name, Extent::Text)),
        ('s', None) => parts.push(field(&name, Extent::Number, Meaning::Status(u8::from(mark != ">")))),
        ('D', None) => parts.push(time_taken(&name, TimeUnit::Microseconds, 0)),
        ('T', None) => parts.push(time_taken(&name, TimeUnit::Seconds, 2)),
        ('T', Some(unit)) => match TimeUnit::by_symbol(unit) {
            Some(unit @ TimeUnit::Seconds) => parts.push(time_taken(&name, unit, 2)),
            Some(unit @ TimeUnit::Milliseconds) => parts.push(time_taken(&name, unit, 1)),
            Some(unit @ TimeUnit::Microseconds) => parts.push(time_taken(&name, unit, 0)),
            _ => return Err(FormatError(format!("`{name}` has the unit `{unit}`; Apache knows s, ms and us"))),
        },
        ('v' | 'V', None) => parts.push(ignored(&name, Extent::Host)),
        ('a' | 'p' | 'P' | 'A' | 'h' | 'l' | 'L' | 'k' | 'b' | 'B' | 'H' | 'I' | 'O' | 'S' | 'X', _) => {
            parts.push(ignored(&name, Extent::Word));
        }
        ('u' | 'f' | 'R', None) | ('i' | 'o' | 'e' | 'C' | 'n' | 'x' | '^', Some(_)) => {
            parts.push(ignored(&name, Extent::Text));
        }
        _ => return Err(unknown()),
    }
    let behind = &rest[letter.len_utf8()..];
    // Trailers are `%{name}^ti` and `%{name}^to`.
    Ok(if letter == '^' { behind.trim_start_matches(['t', 'i', 'o']) } else { behind })
}

/// True if the last field is the target, with nothing behind it.
fn is_behind_target(parts: &[Part]) -> bool {
    match parts {
        [.., Part::Field(field), Part::Literal(text)] => text.is_empty() && field.meaning == Meaning::Target(0),
        _ => false,
    }
}

fn time_taken(name: &str, unit: TimeUnit, rank: u8) -> Part {
    field(name, Extent::Number, Meaning::Duration(duration::Form::Plain(unit), rank))
}

/// The parts of `%{...}t`: a number since 1970, a fraction, or a format of `strftime`, perhaps in brackets.
fn time(name: &str, pattern: &str) -> Vec<Part> {
    let pattern = pattern.strip_prefix("begin:").or_else(|| pattern.strip_prefix("end:")).unwrap_or(pattern);
    let moment = |form| Meaning::Moment(form);
    match pattern {
        "sec" => vec![field(name, Extent::Epoch, moment(moment::Form::Epoch(TimeUnit::Seconds)))],
        "msec" => vec![field(name, Extent::Epoch, moment(moment::Form::Epoch(TimeUnit::Milliseconds)))],
        "usec" => vec![field(name, Extent::Epoch, moment(moment::Form::Epoch(TimeUnit::Microseconds)))],
        "msec_frac" => vec![field(name, Extent::Word, moment(moment::Form::Fraction(TimeUnit::Milliseconds)))],
        "usec_frac" => vec![field(name, Extent::Word, moment(moment::Form::Fraction(TimeUnit::Microseconds)))],
        _ => {
            let inside = pattern.trim_start_matches(['[', '(']);
            let before = &pattern[..pattern.len() - inside.len()];
            let inside = inside.trim_end_matches([']', ')']);
            let behind = &pattern[before.len() + inside.len()..];
            let form = moment(moment::Form::Pattern(inside.to_owned()));
            let extent = Extent::Pattern(spaces(inside));
            vec![Part::Literal(before.to_owned()), field(name, extent, form), Part::Literal(behind.to_owned())]
        }
    }
}

/// The spaces in a text that has this format of `strftime`.
fn spaces(pattern: &str) -> usize {
    pattern.matches(' ').count() + 4 * pattern.matches("%c").count()
}
