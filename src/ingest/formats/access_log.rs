//! Lines of access logs: nginx `combined` and Apache `common` or `combined`, followed by the duration of the request:
//! `$request_time` of nginx (seconds with a decimal point) or `%D` of Apache (whole microseconds).
//!
//! The duration is the first unquoted number after the quoted fields, or the number after `rt=` or `request_time=`.

mod request;

use super::record::ParsedRow;
use crate::{
    ingest::submission::{Candidate, FieldError},
    model::{MetricType, Timestamp},
};

/// The unit of the request's duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds if the number has a decimal point, microseconds otherwise.
    #[default]
    Detect,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

/// The names of the duration in logs with named fields.
const NAMES: [&str; 2] = ["rt=", "request_time="];

/// Parses one line.
pub fn parse(line: &[u8], unit: TimeUnit) -> Result<ParsedRow, FieldError> {
    let line =
        std::str::from_utf8(line).map_err(|_| FieldError::row("the line is not UTF-8; send the text in UTF-8"))?;
    let parts = Line::split(line).ok_or_else(|| {
        let message =
            "is not a line of a combined access log: ADDRESS - USER [TIME] \"METHOD PATH HTTP/1.1\" STATUS BYTES …";
        FieldError::row(message)
    })?;
    let timestamp = time(parts.time).ok_or_else(|| {
        FieldError::new("timestamp", format!("`{}` is not a time such as 31/Jan/2026:12:00:00 +0000", parts.time))
    })?;
    let endpoint = request::endpoint(parts.request)?;
    let status = parts.status.parse().map_err(|_| {
        FieldError::new(
            "statusCode",
            format!("`{}` is not an HTTP status", parts.status.chars().take(16).collect::<String>()),
        )
    })?;
    let value = request_time(parts.rest, unit).ok_or_else(|| {
        let message = "the line has no duration of the request; add $request_time (nginx) or %D (Apache) to the end \
                       of the log format";
        FieldError::new("value", message)
    })?;
    let candidate = Candidate {
        kind: MetricType::ApiResponse,
        value,
        endpoint,
        status: Some(status),
        timestamp: Some(timestamp),
        name: None,
        release: None,
    };
    Ok(ParsedRow { project: None, candidate })
}

/// The parts of a line that are used.
struct Line<'a> {
    time: &'a str,
    request: &'a str,
    status: &'a str,
    /// The text after the status: bytes, perhaps referrer and user agent, then custom fields.
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn split(line: &'a str) -> Option<Self> {
        let (_, rest) = line.split_once('[')?;
        let (time, rest) = rest.split_once(']')?;
        let (request, rest) = quoted(rest.trim_start())?;
        let (status, rest) = word(rest)?;
        Some(Self { time, request, status, rest })
    }
}

/// Splits a quoted string, in which a backslash escapes the next character, from the rest of the text.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })?;
    Some((&inside[..end], &inside[end + 1..]))
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(' ').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn time(text: &str) -> Option<Timestamp> {
    match jiff::Timestamp::strptime("%d/%b/%Y:%H:%M:%S %z", text) {
        Ok(moment) => Some(Timestamp::from_micros(moment.as_microsecond())),
        // $time_iso8601
        Err(_) => text.parse().ok(),
    }
}

/// The duration in milliseconds.
fn request_time(rest: &str, unit: TimeUnit) -> Option<f64> {
    // Skips the number of bytes sent (`-` for none).
    let (_, mut rest) = word(rest)?;
    let mut bare = None;
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        if rest.starts_with('"') {
            rest = quoted(rest)?.1;
            continue;
        }
        let (part, behind) = word(rest)?;
        rest = behind;
        if let Some(number) = NAMES.iter().find_map(|name| part.strip_prefix(name)) {
            return milliseconds(number.trim_matches('"'), unit);
        }
        bare = bare.or_else(|| milliseconds(part, unit));
    }
    bare
}

fn milliseconds(text: &str, unit: TimeUnit) -> Option<f64> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let exponent = match unit {
        TimeUnit::Detect if text.contains('.') => "e3",
        TimeUnit::Detect | TimeUnit::Microseconds => "e-3",
        TimeUnit::Seconds => "e3",
        TimeUnit::Milliseconds => "",
    };
    // Moves the decimal point instead of multiplying, which would make 1.001 s 1000.9999999999999 ms.
    format!("{text}{exponent}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Candidate, FieldError> {
        parse(line.as_bytes(), TimeUnit::Detect).map(|row| row.candidate)
    }

    #[test]
    fn lines_of_nginx_and_apache_are_read() {
        const HEAD: &str = "203.0.113.9 - - [31/Jan/2026:13:00:00 +0100] \"GET /orders/17?x=\\\"y\\\" HTTP/1.1\" 200";
        let moment: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        for (rest, value) in [
            (" 512 \"-\" \"curl/8\" 0.250", 250.0),
            (" 512 \"-\" \"a \\\"quoted\\\" agent\" \"10.0.0.1\" 0.250 0.100", 250.0),
            (" 512 \"-\" \"curl/8\" rt=0.250 uct=\"0.001\"", 250.0),
            (" 512 \"-\" \"curl/8\" 1 request_time=0.250", 250.0),
            (" - \"-\" \"curl/8\" 250000", 250.0),
            (" 512 1500", 1.5),
            (" 512 \"-\" \"curl/8\" 1.001", 1_001.0),
            (" 512 \"-\" \"curl/8\" 0.0001", 0.1),
            (" 512 1234567", 1_234.567),
        ] {
            let candidate = read(&format!("{HEAD}{rest}")).unwrap();
            assert_eq!(candidate.value.to_bits(), f64::to_bits(value), "{rest}: {}", candidate.value);
            assert_eq!((candidate.status, candidate.timestamp), (Some(200), Some(moment)));
            assert_eq!(candidate.endpoint, "GET /orders/17?x=\"y\"");
        }
        let iso = read("::1 - me [2026-01-31T13:00:00+01:00] \"PUT /a HTTP/2.0\" 204 0 \"-\" \"-\" 0.001").unwrap();
        assert_eq!((iso.timestamp, &*iso.endpoint), (Some(moment), "PUT /a"));
        let line = format!("{HEAD} 512 \"-\" \"curl/8\" 250");
        assert_eq!(
            parse(line.as_bytes(), TimeUnit::Milliseconds).unwrap().candidate.value.to_bits(),
            250_f64.to_bits()
        );
    }

    #[test]
    fn an_invalid_line_is_an_error_of_its_field() {
        let head = "203.0.113.9 - - [31/Jan/2026:13:00:00 +0100]";
        for (line, field) in [
            ("hello".to_owned(), ""),
            (String::new(), ""),
            (format!("{head} \"GET / HTTP/1.1\" 200 12 \"-\" \"curl/8\""), "value"),
            (format!("{head} \"GET / HTTP/1.1\" abc 12 0.1"), "statusCode"),
            (format!("{head} \"\\x16\\x03\\x01\" 400 157 \"-\" \"-\" 0.1"), "endpoint"),
            (format!("{head} \"-\" 408 0 \"-\" \"-\" 0.1"), "endpoint"),
            (line_with_time("32/Jan/2026:13:00:00 +0100"), "timestamp"),
        ] {
            assert_eq!(read(&line).unwrap_err().field, field, "{line}");
        }
    }

    fn line_with_time(time: &str) -> String {
        format!("::1 - - [{time}] \"GET / HTTP/1.1\" 200 12 \"-\" \"-\" 0.1")
    }
}
